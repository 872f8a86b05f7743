/* SPDX-License-Identifier: MIT */
/*
 * Lock backends of a hosted program. `ctx` is NULL for all of them. The `held` op reports a holder
 * in any thread, not in the calling thread.
 *
 * Each backend aborts with a line on stderr on an unlock without a holder and on the destruction of
 * a held lock.
 *
 * A fault handler takes locks of its backend. The backends allow
 *
 *   none         a fault handler by `sigsegv` in a program with a single thread
 *   atomic_ops   every signal handler interrupting code neither holding nor taking the same lock
 *   pthread      a fault handler, because an access to a mapping interrupts no pthread function.
 *                Another signal handler may access mappings where ext2dax_locks_held() is false.
 *
 * A program with a backend of its own must make the ops safe in its fault handler.
 */
#ifndef EXT2DAX_HOSTED_LOCK_H
#define EXT2DAX_HOSTED_LOCK_H

#include <stdbool.h>

#include "../export.h"
#include "../lock.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns a backend without locking, for a program with a single thread. The backend counts holders
 * to detect a missing unlock. Where a lock call would have to wait, no other thread could end the
 * wait, and the program aborts with a line on stderr. `held` is exact. Always available.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_none(void);

/*
 * Returns the backend on libatomic_ops. The lock is the word itself, without heap memory. Readers
 * and writers are served first come, first served, so no thread starves. Waiting threads sleep in
 * the kernel where possible (futex), and yield otherwise. On 64-bit targets readers of a lock that
 * only readers use store into a table of the backend instead of the word. So readers on several
 * processors do not wait for the cache line of the lock. A writer waits for the readers in the
 * table. Usable in a signal handler if the interrupted code neither holds nor takes the same lock.
 * The thread that locked for reading unlocks. Any thread may unlock for a writer. `held` is exact.
 * Up to 65535 holders and waiters per lock are served in order (255 on 32-bit targets). Further
 * threads wait out of turn. The ops are NULL in a build without libatomic_ops.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_atomic_ops(void);

/*
 * Returns the backend on POSIX threads. Each lock is a mutex and a queue of condition variables in
 * heap memory. The init op returns ENOMEM without memory, and init and destroy must not be called
 * in a signal handler. Threads are served first come, first served, and any thread may unlock. A
 * pthread_rwlock_t promises neither. `held` is exact. The ops are NULL in a build without POSIX
 * threads.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_pthread(void);

/*
 * Returns true if the calling thread holds, waits for or is about to take a lock of the two
 * backends above under which no page fault can be resolved. For a signal handler which interrupted
 * the library. With false the handler may access mappings (hosted/process.h). The result is false
 * during most of a read or write, with only the lock of class IO held. Async-signal-safe.
 */
EXT2DAX_API bool ext2dax_locks_held(void);

/*
 * Finds a backend by its name "none", "atomic_ops" or "pthread". `name` is not NULL. The ops are
 * NULL for another name and for a backend missing in this build.
 */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_by_name(const char *name);

/* Returns the best backend of this build. Prefers atomic_ops, then pthread, then none. */
EXT2DAX_API struct ext2dax_locks ext2dax_locks_default(void);

#ifdef __cplusplus
}
#endif
#endif
