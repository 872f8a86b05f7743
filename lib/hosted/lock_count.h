/* SPDX-License-Identifier: MIT */
/*
 * Threads that hold, or are about to take, a lock under which no fault can be resolved. A fault
 * takes the locks below io. In a thread interrupted by a signal handler under such a lock, a fault
 * would wait for the same thread or take locks against the order. So the lock backends count such
 * locks per thread, from before the lock is taken until after the release.
 */
#ifndef E2DH_HOSTED_LOCK_COUNT_H
#define E2DH_HOSTED_LOCK_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/lock.h"

/* Kinds of holders to count. */
#define E2DH_COUNT_SHARED    1u
#define E2DH_COUNT_EXCLUSIVE 2u

/*
 * Returns the kinds of holders counted for a lock. Locks above the embedder's address-space lock
 * are not counted, because no fault takes such a lock. Of the freeze locks only shared holders of
 * number 1 are counted, the lock tried by faults, because a freeze waits for these holders. An
 * exclusive holder is not counted, because another thread may release the lock.
 */
static inline unsigned e2dh_counted_holders(enum ext2dax_lock_class lock_class, uint64_t number)
{
    if (lock_class == EXT2DAX_LOCK_FREEZE_FAULT)
        return number == 1 ? E2DH_COUNT_SHARED : 0;
    return lock_class >= EXT2DAX_LOCK_ADDRESS_SPACE ? E2DH_COUNT_SHARED | E2DH_COUNT_EXCLUSIVE : 0;
}

/* TLS model as in host.c, for the same reason. */
extern _Thread_local int e2dh_locks_counted __attribute__((tls_model("initial-exec")));
/* Not 0 while a process object uses userfaultfd and needs the table of threads. */
extern atomic_uint e2dh_threads_watched;

/* Add the calling thread to the table of threads that hold counted locks, or remove the thread. */
void e2dh_thread_begins(void);
void e2dh_thread_ends(void);

static inline void e2dh_locks_count(void)
{
    if (e2dh_locks_counted++ == 0 && atomic_load_explicit(&e2dh_threads_watched, memory_order_relaxed))
        e2dh_thread_begins();
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void e2dh_locks_discount(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (e2dh_locks_counted == 1)
        e2dh_thread_ends();
    e2dh_locks_counted--;
}

/*
 * Returns 0 if the thread, given by kernel thread id, is not in the table. Otherwise returns a
 * number that changes once the thread has released all counted locks. Takes no lock.
 */
unsigned long e2dh_thread_holds_locks(unsigned long thread);

#endif
