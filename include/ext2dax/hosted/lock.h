/* SPDX-License-Identifier: MIT */
/* Lock backends of a hosted program. `ctx` is NULL for all of them; `held` is as good as each can tell. */
#ifndef EXT2DAX_HOSTED_LOCK_H
#define EXT2DAX_HOSTED_LOCK_H

#include "../export.h"
#include "../lock.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * No locking at all, for a program with one thread. It still counts holders, so that a missing unlock is seen: what
 * would have to wait could never go on, and aborts with a line on stderr.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_none(void);

/*
 * libatomic_ops: the lock is the word itself. First come, first served between readers and writers, so nobody starves;
 * waits by sleeping in the kernel where it can (futex), else by yielding. Usable from a signal handler that
 * interrupted nobody who has or takes the same lock. `held` is exact. Up to 65535 holders and waiters a lock are
 * served in order (255 where a word has 32 bits); further ones wait out of turn. Its ops are NULL where the library
 * was built without libatomic_ops.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_atomic_ops(void);

/*
 * POSIX threads: a mutex and a queue of condition variables for each lock, in heap memory (init may answer ENOMEM).
 * First come, first served, and any thread may unlock, neither of which a pthread_rwlock_t promises. `held` is exact.
 * Its ops are NULL where the library was built without it.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_pthread(void);

/* By name: "none", "atomic_ops", "pthread"; ops NULL for another name, or for one this build leaves out. */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_by_name(const char *name);

/* The best this build has: atomic_ops, else pthread, else none. */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_default(void);

#ifdef __cplusplus
}
#endif
#endif
