/* SPDX-License-Identifier: MIT */
/*
 * The default lock backend once more, with its inside laid open: between any two of its atomic operations a bench may run
 * another thread, and the bench is what waiters sleep on. Only where libatomic_ops was there to build it with.
 */
#ifndef E2D_TESTKIT_EXPLORED_LOCK_H
#define E2D_TESTKIT_EXPLORED_LOCK_H

#include <stdint.h>

#include "ext2dax/lock.h"

struct ext2dax_locks e2d_explored_locks(void);

/*
 * The bench's. Sleep: whoever calls waits until a wake-up at the same word with one of the same bits; it has just been seen
 * that it must, and nothing may come between. It may also return for no reason. Without a hook it does so always. Set
 * while nobody uses such a lock.
 */
extern void (*e2d_explored_sleep_hook)(const volatile void *at, uint32_t bits);
extern void (*e2d_explored_wake_hook)(const volatile void *at, uint32_t bits);

void e2d_explored_sleep(const volatile void *at, uint32_t bits);
void e2d_explored_wake(const volatile void *at, uint32_t bits);

#endif
