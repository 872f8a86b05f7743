/* SPDX-License-Identifier: MIT */
/* Touches that userfaultfd asks about, answered by two threads of ours: for process.c. */
#ifndef E2D_HOSTED_PROCESS_TOUCH_H
#define E2D_HOSTED_PROCESS_TOUCH_H

#include "process_state.h"

/* Starts the threads; windows may be made from here on. 0 or an error. */
int e2d_touches_begin(struct ext2dax_process *process);
/* There are no windows any more. In a child that inherited the process object, too. */
void e2d_touches_end(struct ext2dax_process *process);

#endif
