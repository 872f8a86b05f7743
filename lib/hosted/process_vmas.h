/* SPDX-License-Identifier: MIT */
/*
 * Number of VMAs of a process object, and the limit. The caller of every function except
 * e2dh_vmas_limit() holds table.
 */
#ifndef E2DH_HOSTED_PROCESS_VMAS_H
#define E2DH_HOSTED_PROCESS_VMAS_H

#include "process_spare.h"

/*
 * Returns the VMA limit of an address space opened with the option `wanted`. 0 selects half of the
 * kernel's limit.
 */
size_t e2dh_vmas_limit(const struct ext2dax_process *process, size_t wanted);

/*
 * Adds `own` VMAs to the count of own VMAs, and evicts until all VMAs fit. Returns false and counts
 * nothing if the pages needed at once by a single instruction would no longer fit.
 */
bool e2dh_vmas_claim(struct ext2dax_process *process, size_t own);
void e2dh_vmas_disclaim(struct ext2dax_process *process, size_t own);

/*
 * Opens the reserve (process_spare.h). Returns false, and changes nothing, if no VMA is left.
 */
bool e2dh_spare_open(struct ext2dax_process *process);
void e2dh_spare_close(struct ext2dax_process *process);

/*
 * Checks the count against the records, and the VMAs of the kernel in the ranges of the process
 * object against the count. Async-signal-safe. Reads /proc/self/maps, except a long file with
 * `quick` set. Sets *found to the number of VMAs of the kernel, 0 if the file was not read to the
 * end. VMAs split by the program itself (mlock(), mprotect(), madvise()) make the check fail. The
 * caller holds space too.
 */
bool e2dh_vmas_are_right(struct ext2dax_process *process, bool quick, size_t *found);
/* Aborts a debug build if the check fails. Reads only a short /proc/self/maps. */
void e2dh_vmas_assert(struct ext2dax_process *process);

#endif
