/* SPDX-License-Identifier: MIT */
/*
 * Common to the lock backends. Aborts a program on release of a lock not held, or on a wait for
 * itself.
 */
#ifndef E2DH_LOCK_MISUSE_H
#define E2DH_LOCK_MISUSE_H

#include "ext2dax/hosted/lock.h"

/* Writes `what` to stderr and aborts. Async-signal-safe. */
_Noreturn void e2dh_lock_misuse(const char *what);

#endif
