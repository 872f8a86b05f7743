/* SPDX-License-Identifier: MIT */
/*
 * The reserve is a page range never accessed. Held pages alternate between no permission and read
 * permission, so each is a VMA and the rest of the range is another VMA. Holding another page
 * splits the rest once, so a failing mprotect() changes nothing.
 */
#include "process_spare.h"

#include <sys/mman.h>
#include <unistd.h>

#include "process_backend.h"

#define ENOUGH_SPARE   4u
#define ENOUGH_TO_MOVE 8u /* mremap() needs six spare VMAs */

/* ---- the count ---- */

size_t e2dh_vmas_kept_back(const struct ext2dax_process *process)
{
    return process->spare_wanted + process->backend->asks;
}

size_t e2dh_vmas_started(const struct ext2dax_process *process)
{
    return process->vmas - process->own_vmas - process->spare_held;
}

bool e2dh_vmas_have_room(const struct ext2dax_process *process)
{
    return process->own_vmas + e2dh_vmas_started(process) + e2dh_vmas_kept_back(process) + 2 <= process->max_mappings ||
           e2dh_vmas_started(process) + 2 <= E2DH_LEAST_SHOWN;
}

unsigned e2dh_vmas_refusals(const struct ext2dax_process *process)
{
    size_t taken = process->own_vmas + e2dh_vmas_kept_back(process) + E2DH_LEAST_SHOWN;
    size_t most = 1 + (taken < process->max_mappings ? process->max_mappings - taken : 0) / 2;

    return most < E2DH_MOST_REFUSED ? (unsigned)most : E2DH_MOST_REFUSED;
}

/* ---- the reserve ---- */

size_t e2dh_spare_bytes(const struct ext2dax_process *process)
{
    return (process->spare_wanted + 1) * (size_t)sysconf(_SC_PAGESIZE);
}

void e2dh_spare_release(struct ext2dax_process *process)
{
    if (process->spare_held == 0 || mprotect(process->spare, e2dh_spare_bytes(process), PROT_NONE) != 0)
        return;
    process->vmas -= process->spare_held;
    process->spare_held = 0;
}

void e2dh_spare_refill(struct ext2dax_process *process)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), held = process->spare_held;

    while (process->spare && held < process->spare_wanted && process->vmas < process->max_mappings &&
           mprotect(process->spare + (held + 1) * page, e2dh_spare_bytes(process) - (held + 1) * page,
                    held & 1 ? PROT_NONE : PROT_READ) == 0) {
        process->spare_held = ++held;
        process->vmas++;
    }
}

bool e2dh_spare_is_enough(const struct ext2dax_process *process, size_t more)
{
    size_t enough = (process->backend->asks ? ENOUGH_TO_MOVE : ENOUGH_SPARE) + more;

    return process->spare_held >= (process->spare_wanted < enough ? process->spare_wanted : enough);
}
