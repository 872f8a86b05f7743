/* SPDX-License-Identifier: MIT */
/*
 * The memory plug.
 *
 * An image is a single directly addressable range. The core loads and stores the range as memory
 * and uses the table only for operations beyond a plain store. The core calls `persist` and `fence`
 * in the order required by EXT2DAX_ORDERED. With EXT2DAX_UNORDERED the core calls both only to make
 * data durable (fsync, sync, freeze, remount, unmount, the last put of a dirty file) and for marks
 * in the superblock.
 */
#ifndef EXT2DAX_MEMORY_H
#define EXT2DAX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes survive power failure once persisted and fenced. Makes EXT2DAX_ORDERED the default. */
#define EXT2DAX_MEMORY_PERSISTENT 0x1u
/* The range must not be stored to. Only a read-only mount accepts such memory. */
#define EXT2DAX_MEMORY_READ_ONLY 0x2u

/* How a mount, or ext2dax_format(), uses the memory. */
enum ext2dax_claim {
    EXT2DAX_CLAIM_NONE, /* no use, before and after */
    EXT2DAX_CLAIM_READ, /* only loads */
    EXT2DAX_CLAIM_WRITE /* loads and stores */
};

/*
 * Operations on the memory. No op may wait for a lock of the core or call the core. `at` always
 * lies in the range. The `length` bytes do not leave the range, and `length` may be any number, 0
 * included. Errors are negative EXT2DAX_E…, mostly EIO. After a failed `zero`, `persist` or `fence`
 * the core makes the mount read-only.
 */
struct ext2dax_memory_ops {
    size_t size; /* sizeof as known to the embedder, ops past this size count as NULL */

    /*
     * Stores zeroes. May use stores that bypass the cache. Such stores count as written back, and
     * the next fence orders them.
     *
     * Other processors must see the zeroes before any later store of the caller, because an
     * unordered mount publishes blocks without a fence. NULL means memset and persist. May fail.
     */
    int (*zero)(void *ctx, void *at, size_t length);
    /*
     * Starts the write-back of the cache lines of the range. NULL means nothing needs a write-back.
     * May fail.
     *
     * The fence may come from another thread, because sync fences stores that other calls made
     * without a fence. Where the fence of a processor waits only for write-backs of the same
     * processor, each `persist` must wait for its own write-back. Releasing a lock is the next step
     * of every caller, so a write-back completed by the release of a lock is also sufficient.
     */
    int (*persist)(void *ctx, const void *at, size_t length);
    /*
     * Makes everything written back before, by any thread, durable before anything stored after.
     * NULL means nothing needs ordering. May fail.
     */
    int (*fence)(void *ctx);
    /*
     * Returns 0 if the whole range is readable, -EXT2DAX_EIO if the range holds poison or a bad
     * block. NULL means always readable.
     */
    int (*check)(void *ctx, const void *at, size_t length);

    /*
     * Changes the use of the memory by a single user from `held` to `wanted`, in a single step. A
     * change to less never fails.
     *
     * A change to more fails with EBUSY while another user is in the way, or with another error.
     * The requesting call then fails with this error. A user that may store excludes all other
     * users, and a user that only loads excludes users that may store. Hence a mount that may store
     * never shares its memory with another mount, and any number of read-only mounts share it. NULL
     * grants every change, and the embedder excludes the conflicts.
     */
    int (*claim)(void *ctx, enum ext2dax_claim held, enum ext2dax_claim wanted);
    /*
     * Returns 0, or an error to refuse a call that may store because the calling process may not,
     * as a child of the process that opened the memory. Asked at the start of each such call,
     * before any lock is taken. NULL means 0.
     */
    int (*usable)(void *ctx);
    /*
     * Hints that small structures all over the range are about to be read once (`begins`), or have
     * been read. Called around recovery and EXT2DAX_MOUNT_VERIFY during mount, and around the
     * stores of ext2dax_format(). No mount that may store uses the memory between both calls,
     * except the mount of the call. Several mounts that only read may scan at the same time. May be
     * NULL.
     */
    void (*scan)(void *ctx, bool begins);
    /*
     * Hints during a scan that the range is about to be read. Starts to fetch the range and waits
     * for nothing. May be NULL. A core compiled for size does not call fetch.
     */
    void (*fetch)(void *ctx, const void *at, size_t length);
    /*
     * Finds the first run of [at, at + length) that may hold anything except zeroes. Returns the
     * length of the run in bytes and stores the offset of the run from `at`, in bytes, in *from.
     * Returns 0 if the whole range is zeroes, as the holes of a sparse file are.
     *
     * Loads no byte of the range and waits for no medium. Recovery skips the zeroes, and
     * ext2dax_format() does not store them. NULL means any byte may differ from zero.
     */
    size_t (*next_data)(void *ctx, const void *at, size_t length, size_t *from);
    /*
     * Makes the range zeroes and returns the memory of the range to the host where possible, as a
     * hole of a sparse file. The zeroes count as written back, as those of `zero`. Nothing else
     * accesses the range during the call, and nothing maps the range.
     *
     * After a failure the bytes of the range are undefined, and the core stores zeroes instead. So
     * a failure is no error of the caller. NULL means `zero` is the best way. Used by
     * ext2dax_format() for old content, and for freed blocks with EXT2DAX_MOUNT_DISCARD. A crash
     * before the next fence may leave any bytes in the range.
     */
    int (*discard)(void *ctx, void *at, size_t length);
};

/* The memory plug, a range and a table. The table is copied at mount. */
struct ext2dax_memory {
    const struct ext2dax_memory_ops *ops; /* required, if only for its size */
    void *ctx;                            /* passed to every op */
    /* Aligned to 8 bytes at least, to a page for page faults, to a huge page for huge mappings. */
    void *base;
    size_t size;    /* bytes */
    unsigned flags; /* EXT2DAX_MEMORY_… */
};

#ifdef __cplusplus
}
#endif
#endif
