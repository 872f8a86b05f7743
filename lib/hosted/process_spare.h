/* SPDX-License-Identifier: MIT */
/* Number of VMAs of a process object against the limit, and the reserve. The caller holds table. */
#ifndef E2DH_HOSTED_PROCESS_SPARE_H
#define E2DH_HOSTED_PROCESS_SPARE_H

#include "process_state.h"

/* VMAs that one instruction may need. process_vmas.c has the reason. */
#define E2DH_LEAST_SHOWN 10u
/* Maximum number of pages refused at the same time (process_uffd_handler.h). */
#define E2DH_MOST_REFUSED 64u

/*
 * Returns the part of the limit no page may take. With userfaultfd includes the VMA set up at a
 * temporary address.
 */
size_t e2dh_vmas_kept_back(const struct ext2dax_process *process);
/* Returns the number of VMAs inside mappings, other than the own VMAs and the reserve. */
size_t e2dh_vmas_started(const struct ext2dax_process *process);
/* Tests whether a mapping may have another VMA inside. */
bool e2dh_vmas_have_room(const struct ext2dax_process *process);
/* Returns the number of pages that may be refused now, from 1 to E2DH_MOST_REFUSED. */
unsigned e2dh_vmas_refusals(const struct ext2dax_process *process);

/*
 * The reserve holds kernel VMAs without use. At the kernel's limit eviction itself needs a VMA for
 * a moment, so eviction releases the reserve first and refills the reserve afterwards.
 */
size_t e2dh_spare_bytes(const struct ext2dax_process *process);
void e2dh_spare_release(struct ext2dax_process *process);
void e2dh_spare_refill(struct ext2dax_process *process);
/* Tests whether enough of the reserve is left for the next eviction after use of `more` VMAs. */
bool e2dh_spare_is_enough(const struct ext2dax_process *process, size_t more);

#endif
