/* SPDX-License-Identifier: MIT */
/*
 * The host plug. The host plug supplies the few services that the core needs from its environment.
 * Every op except `alloc` and `release` may be NULL.
 */
#ifndef EXT2DAX_HOST_H
#define EXT2DAX_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_inode;

/*
 * Services of the host. An op must return to the core. An op that jumps out or ends the thread
 * would leave locks of the core held. Where POSIX threads are cancelled, an op that is a
 * cancellation point (a log that writes) must disable cancellation for its own duration, as the
 * plugs in hosted/ do. `ctx` is the pointer the embedder stored beside the table.
 */
struct ext2dax_host_ops {
    size_t size; /* sizeof as known to the embedder, ops past this size count as NULL */

    /*
     * Allocates memory for in-core objects, aligned for any type, with undefined contents. May
     * return NULL at any call. `release` frees such memory, of the same size.
     *
     * May be called with dax_sem and the truncate lock held, never with a group, fs or cache lock.
     * Faults call neither `alloc` nor `release`. Everything a fault needs is allocated at mount, so
     * a fault can fail for lack of a block, never for lack of memory of the core.
     */
    void *(*alloc)(void *ctx, size_t bytes);
    void (*release)(void *ctx, void *at, size_t bytes);

    /*
     * Returns seconds since 1970-01-01 UTC. Called with no lock below the freeze locks held. NULL
     * returns 0. Not called if `time` is present.
     *
     * time.h has the range of stored times. A time of deletion below the inode count of the image
     * is stored as the inode count, because in a deleted inode a smaller number reads as a link of
     * the orphan list.
     */
    int64_t (*now)(void *ctx);

    /*
     * Receives a report. May be called with any lock held and so must not call the library. Called
     * in the thread of the reporting call, before this call returns. NULL drops reports.
     *
     * An embedder that explains why a call failed keeps the last report per thread (the strings are
     * static), forgets the report before the next call, and trusts the report if `error` in the
     * report equals the error returned.
     */
    void (*log)(void *ctx, const struct ext2dax_report *report);

    /* Handles a bug of the caller or of the core. Must not return. With NULL the core traps. */
    void (*panic)(void *ctx, const char *file, int line, const char *what);

    /*
     * Copy between the image and the buffer of a caller, for read and write, for the target of a
     * symbolic link, and for names and values of attributes. Either side may fault.
     * Return the number of bytes copied, fewer than `bytes` where the side of the caller is not
     * accessible. Called with at most freeze_write and the io lock held.
     *
     * Where the buffer of the caller maps the bytes being moved, either side may be memory of
     * `alloc` instead. NULL means memcpy.
     */
    size_t (*copy_out)(void *ctx, void *to_caller, const void *from_image, size_t bytes);
    size_t (*copy_in)(void *ctx, void *to_image, const void *from_caller, size_t bytes);

    /*
     * Returns true if the calling thread may use the blocks reserved for the superuser. Called only
     * when an allocation would take reserved blocks, with no group, fs or cache lock held. NULL
     * means no.
     */
    bool (*may_use_reserved)(void *ctx);

    /*
     * Notifies the embedder that the last reference to an inode in its storage is released. The
     * core does not access the inode again. Called without locks, except for the freeze locks where
     * the last reference was one of freeze or remount, and for freeze_write and the rename lock
     * where the last reference was one of ext2dax_rename() to an ancestor of a directory. May be
     * NULL where ext2dax_inode_get_in() is not used.
     */
    void (*inode_released)(void *ctx, struct ext2dax_inode *inode);

    /*
     * Returns true to stop a long operation. Polled many times a second by ext2dax_mount() during
     * recovery and verification. The mount then fails with EINTR. Called with no lock held. NULL
     * means no.
     */
    bool (*interrupted)(void *ctx);

    /*
     * Stores the present in *now. Called as `now`. NULL calls `now`, with 0 nanoseconds. More than
     * 999,999,999 nanoseconds count as 999,999,999.
     *
     * A clock of coarse steps is enough. A time equal to the stored time is not stored again, so a
     * coarse clock saves stores to the image.
     */
    void (*time)(void *ctx, struct ext2dax_time *now);
};

/* The host plug. The table is copied at mount. */
struct ext2dax_host {
    const struct ext2dax_host_ops *ops; /* required */
    void *ctx;                          /* passed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
