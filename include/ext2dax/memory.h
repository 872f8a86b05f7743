/* SPDX-License-Identifier: MIT */
/*
 * The memory plug: where the bytes live.
 *
 * An image is one directly addressable range. The core reads and stores into it as memory; through the table it asks
 * only for what a store alone cannot do. The core calls persist and fence in the order its contract needs
 * (EXT2DAX_ORDERED), or not at all between calls to sync (EXT2DAX_UNORDERED).
 */
#ifndef EXT2DAX_MEMORY_H
#define EXT2DAX_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes survive power failure once persisted and fenced. Makes EXT2DAX_ORDERED the default. */
#define EXT2DAX_MEMORY_PERSISTENT 0x1u
/* The range may not be stored to: only a read-only mount accepts it. */
#define EXT2DAX_MEMORY_READ_ONLY 0x2u

/*
 * No op may block on a lock of the core's or call into it. `at` always lies in the range, `length` (bytes) does not
 * leave it and may be any number, 0 included. Errors are negative EXT2DAX_E…, mostly EIO; after a failed persist or
 * fence the core makes the mount read-only.
 */
struct ext2dax_memory_ops {
    size_t size; /* sizeof(struct ext2dax_memory_ops) of whoever filled the table; what lies past it counts as NULL */

    /*
     * Stores zeroes. May use stores that bypass the cache; they count as written back, and the next fence orders
     * them. To other processors they come before whatever the caller stores next: an unordered mount publishes blocks
     * without a fence. NULL: memset and persist. May fail.
     */
    int (*zero)(void *ctx, void *at, size_t length);
    /* Starts writing back the cache lines that hold the range. NULL: nothing to write back. May fail. */
    int (*persist)(void *ctx, const void *at, size_t length);
    /* All that was written back before is durable before anything stored after. NULL: nothing to order. May fail. */
    int (*fence)(void *ctx);
    /* 0 where the whole range is readable, -EXT2DAX_EIO where it holds poison or a bad block. NULL: always readable. */
    int (*check)(void *ctx, const void *at, size_t length);
};

/* The plug: the range, and a table, copied at mount, of what a store alone cannot do. */
struct ext2dax_memory {
    const struct ext2dax_memory_ops *ops; /* required, if only for its size */
    void *ctx;                            /* handed to every op */
    void *base;  /* at least 8-byte aligned; huge mappings and whole-region allocation need it aligned to a huge page */
    size_t size; /* bytes */
    unsigned flags; /* EXT2DAX_MEMORY_… */
};

#ifdef __cplusplus
}
#endif
#endif
