/* SPDX-License-Identifier: MIT */
/*
 * The host plug: the few services the core wants from whatever it runs in. Any op but alloc and release may be NULL.
 */
#ifndef EXT2DAX_HOST_H
#define EXT2DAX_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_inode;

/* What the core asks of its host. `ctx` is what the embedder put beside the table. */
struct ext2dax_host_ops {
    size_t size; /* sizeof of whoever filled the table; what lies past it counts as NULL */

    /*
     * Memory for in-core objects: aligned for any type, contents undefined; NULL when there is none, at any call. May
     * be called with dax_sem, entry and truncate held, never with a group, fs or cache lock. A host that serves real
     * page faults from a signal handler must answer from a reserve there.
     */
    void *(*alloc)(void *ctx, size_t bytes);
    void (*release)(void *ctx, void *at, size_t bytes);

    /*
     * Seconds since 1970-01-01 UTC. Called with nothing below the freeze locks held. NULL: 0, and then times are
     * stored as the image's inode count, the smallest that is never mistaken for an orphan link.
     */
    int64_t (*now)(void *ctx);

    /*
     * Takes one report; may be called with any lock held, so it may not call back. NULL: reports are dropped. It is called in
     * the thread whose call makes the report, before that call returns. An embedder that wants to say why a call failed
     * keeps the report for the thread (its strings are static), forgets it before the next call, and believes
     * it if its `error` is what the call returned.
     */
    void (*log)(void *ctx, const struct ext2dax_report *report);

    /* A caller's bug or the core's: does not return. NULL: the core traps. */
    void (*panic)(void *ctx, const char *file, int line, const char *what);

    /*
     * Copy between the image and a caller's buffer for read and write; either side may fault. Return how many bytes
     * were copied, short where the caller's side could not be touched. Called with freeze_write and io at the most.
     * NULL: memcpy.
     */
    size_t (*copy_out)(void *ctx, void *to_caller, const void *from_image, size_t bytes);
    size_t (*copy_in)(void *ctx, void *to_image, const void *from_caller, size_t bytes);

    /* May the calling thread use the blocks reserved for the superuser? NULL: no. */
    bool (*may_use_reserved)(void *ctx);

    /*
     * The last reference to an inode that lives in the embedder's storage is gone; the core will not touch it again.
     * Called without locks, but for the freeze locks where a freeze had the last reference. NULL where
     * ext2dax_inode_get_in() is not used.
     */
    void (*inode_released)(void *ctx, struct ext2dax_inode *inode);
};

/* The plug: a table, copied at mount, and what is handed to its ops. */
struct ext2dax_host {
    const struct ext2dax_host_ops *ops; /* required */
    void *ctx;                          /* handed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
