/* SPDX-License-Identifier: MIT */
/*
 * A second build of the default lock backend, with all atomic operations exposed. A test harness
 * may run another thread between any two atomic operations, and implements the sleep of waiters.
 * Built only where libatomic_ops is available.
 */
#ifndef E2DT_TESTKIT_EXPLORED_LOCK_H
#define E2DT_TESTKIT_EXPLORED_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "ext2dax/lock.h"

struct ext2dax_locks e2dt_explored_locks(void);

/*
 * Hooks of the test harness. The sleep hook blocks its caller until a wake-up on the same word with
 * at least one common bit. The word was checked just before the call, and no other thread may run
 * between the check and the sleep. Spurious returns are allowed. Without a hook every sleep returns
 * at once. Set while no thread uses such a lock.
 */
extern void (*e2dt_explored_sleep_hook)(const volatile void *at, uint32_t bits);
extern void (*e2dt_explored_wake_hook)(const volatile void *at, uint32_t bits);

/*
 * Returns the memory of the readers outside of the words of the locks, the table for part 0, and
 * the records of the threads for part 1. A test harness that restores locks restores both.
 */
void *e2dt_explored_readers(unsigned part, size_t *bytes);

void e2dt_explored_sleep(const volatile void *at, uint32_t bits);
void e2dt_explored_wake(const volatile void *at, uint32_t bits);

#endif
