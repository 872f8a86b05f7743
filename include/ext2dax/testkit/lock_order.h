/* SPDX-License-Identifier: MIT */
/*
 * The lock-order checker: wraps any lock backend, and looks at every lock taken or released before the backend does, so
 * that what could deadlock is reported even in a run in which it does not.
 *
 * Reported: a class taken under one further down, or under its own kind; the cache lock under the fs lock; a lock taken
 * twice by one thread; a release by a thread that did not take it; a lock destroyed while held. Of several io locks a
 * directory's comes before a file's, and files' come by number; between two directories only the tree could tell.
 *
 * A freeze lock held exclusively belongs to the freeze and to no thread: any thread may release it, and once taken it
 * orders nothing.
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
 * Wraps `locks`, whose table is copied. `broken` is told of each broken rule, in one line that is its own until it returns,
 * by the thread that breaks it; NULL: the line goes to stderr and the program aborts. NULL: no memory, or a plug lacks a
 * required op.
 */
struct ext2dax_lock_order *ext2dax_lock_order_open(struct ext2dax_locks locks,
                                                   void (*broken)(void *arg, const char *text), void *arg);
/* The same, with its memory from `host`. */
struct ext2dax_lock_order *ext2dax_lock_order_open_on(const struct ext2dax_host *host, struct ext2dax_locks locks,
                                                      void (*broken)(void *arg, const char *text), void *arg);
/* Nobody uses a lock of it any more; locks that were not destroyed are forgotten. */
void ext2dax_lock_order_close(struct ext2dax_lock_order *order);

/* A lock of class io must lie in a struct ext2dax_inode, as the core's do. */
struct ext2dax_locks ext2dax_lock_order_locks(struct ext2dax_lock_order *order);

/* The calling thread has returned from whatever it did: what it still holds is reported, and forgotten. */
void ext2dax_lock_order_returned(struct ext2dax_lock_order *order);

/* Rules broken so far. */
unsigned ext2dax_lock_order_broken(const struct ext2dax_lock_order *order);

#ifdef __cplusplus
}
#endif
#endif
