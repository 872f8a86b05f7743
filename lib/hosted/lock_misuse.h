/* SPDX-License-Identifier: MIT */
/* What the lock backends share: the end of a program that unlocks what is not locked, or waits for itself. */
#ifndef E2D_LOCK_MISUSE_H
#define E2D_LOCK_MISUSE_H

#include "ext2dax/hosted/lock.h"

/* Says what on stderr and aborts. Async-signal-safe. */
_Noreturn void e2d_lock_misuse(const char *what);

#endif
