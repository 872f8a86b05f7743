/* SPDX-License-Identifier: MIT */
/*
 * Lock-order checker. Wraps any lock backend, and checks every lock call before the backend makes
 * the call. A possible deadlock is reported even in a run without a deadlock.
 *
 * Violations are
 * - a lock taken under a lock of a class further down, or of the same class
 * - the cache lock taken under the fs lock
 * - a lock taken twice by a thread
 * - a lock released by a thread not holding the lock in this mode
 * - a lock destroyed while held
 * - more than 32 locks held by a thread
 *
 * Several io locks may be held. A directory comes before a file, and files come in the order of
 * their numbers. The order of two directories is not checked, because only the tree determines it.
 * Trying a lock may fail in any order. A lock taken by trying is checked as any other.
 *
 * A freeze lock held exclusively belongs to the freeze and to no thread. Any thread may release the
 * lock, and the lock takes no part in the order once held.
 */
#ifndef EXT2DAX_TESTKIT_LOCK_ORDER_H
#define EXT2DAX_TESTKIT_LOCK_ORDER_H

#include "../host.h"
#include "../lock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_lock_order;

/*
 * Opens a checker around `locks`. The table of ops is copied. Calls `broken` for each violation, in
 * the violating thread, with a text valid until `broken` returns. With NULL the text is written to
 * stderr and the program aborts. Memory comes from ext2dax_host_default(). Returns NULL without
 * memory, or if a required op is missing.
 */
struct ext2dax_lock_order *ext2dax_lock_order_open(struct ext2dax_locks locks,
                                                   void (*broken)(void *arg, const char *text), void *arg);
/* Opens a checker as ext2dax_lock_order_open(), with all memory from `host`. */
struct ext2dax_lock_order *ext2dax_lock_order_open_on(const struct ext2dax_host *host, struct ext2dax_locks locks,
                                                      void (*broken)(void *arg, const char *text), void *arg);
/*
 * Closes the checker. No lock may be in use any more. Locks not destroyed are forgotten, and the
 * backend's locks inside them are not destroyed.
 */
void ext2dax_lock_order_close(struct ext2dax_lock_order *order);

/*
 * Returns the wrapping lock plug. A lock of class io must lie in a struct ext2dax_inode, as the
 * core's locks do. The init op returns ENOMEM, or the error of the wrapped backend.
 */
struct ext2dax_locks ext2dax_lock_order_locks(struct ext2dax_lock_order *order);

/*
 * Declares the calling thread outside the library. Locks still held by the thread are violations,
 * and are forgotten.
 */
void ext2dax_lock_order_returned(struct ext2dax_lock_order *order);

/* Returns the number of violations so far. */
unsigned ext2dax_lock_order_broken(const struct ext2dax_lock_order *order);

#ifdef __cplusplus
}
#endif
#endif
