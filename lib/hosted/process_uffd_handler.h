/* SPDX-License-Identifier: MIT */
/* Fault messages of userfaultfd, resolved by two threads of the library. Used by process.c. */
#ifndef E2DH_HOSTED_PROCESS_UFFD_HANDLER_H
#define E2DH_HOSTED_PROCESS_UFFD_HANDLER_H

#include "process_state.h"

/* Starts the threads. Mappings may be created afterwards. Returns 0 or a negative errno. */
int e2dh_accesses_begin(struct ext2dax_process *process);
/*
 * Stops the threads. No mapping exists any more. May be called in a child that inherited the
 * process object.
 */
void e2dh_accesses_end(struct ext2dax_process *process);

#endif
