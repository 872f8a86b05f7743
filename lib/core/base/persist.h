/* SPDX-License-Identifier: MIT */
/*
 * Stores into the image, and their order. Every store outside disk/format.c uses these functions,
 * or is made in place and followed by e2d_written(). Data over existing blocks is not written back
 * before fsync, and its PMD range is marked dirty instead. Every fence has a name (base/fences.h),
 * so the e2d_order() calls list the complete store order.
 *
 * Ordered mount: each store is written back at once, and e2d_order() fences. Unordered mount:
 * stores are not written back and e2d_order() does not fence. ext2dax_sync() and fsync write back
 * instead.
 *
 * A failed write-back or fence makes the mount read-only. The store functions return no error. The
 * next e2d_order() returns the failure.
 *
 * The functions take no lock. The header of the directory that owns the bytes names the lock.
 */
#ifndef E2D_BASE_PERSIST_H
#define E2D_BASE_PERSIST_H

#include "base/internal.h"
#include "base/fences.h"

/*
 * Stores without write-back, with release order for readers. For many adjacent fields, followed by
 * a single e2d_written() over all fields.
 */
static inline void e2d_put32(struct ext2dax_le32 *at, uint32_t value)
{
    if (E2D_MUTANT(PUBLISH_RELAXED))
        e2d_set32_relaxed(&at->le, e2d_swap_bytes32(value));
    else
        e2d_set32(&at->le, e2d_swap_bytes32(value));
}

/* Writes back a range stored to in place, if the mount is ordered. */
void e2d_written(struct ext2dax_mount *m, const void *at, size_t length);

/* As e2d_written(), for the bits [from, end) of a map, of which there is at least one. */
void e2d_written_bits(struct ext2dax_mount *m, const uint8_t *map, uint32_t from, uint32_t end);

void e2d_store8(struct ext2dax_mount *m, uint8_t *at, uint8_t value);
void e2d_store16(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t value);
void e2d_store32(struct ext2dax_mount *m, struct ext2dax_le32 *at, uint32_t value);
void e2d_copy(struct ext2dax_mount *m, void *to, const void *from, size_t length);
void e2d_zero(struct ext2dax_mount *m, void *at, size_t length);

/*
 * Returns the memory of blocks to the host, if the mount discards. The bytes are undefined
 * afterwards. Nothing durable points to the blocks, no mapping has the blocks, and the bits are
 * still set, so that no other file uses the blocks.
 */
void e2d_discard(struct ext2dax_mount *m, void *at, size_t length);

/*
 * Zeroes file data without write-back, in every order mode. The caller marks the PMD range dirty,
 * and fsync writes back.
 */
void e2d_zero_data(struct ext2dax_mount *m, void *at, size_t length);

/*
 * Makes all earlier stores durable before any later store, if the mount is ordered. Returns 0, or
 * -EIO after a failed write-back or fence, which made the mount read-only.
 */
int e2d_order(struct ext2dax_mount *m, enum e2d_fence step);

/* Writes back the range in every order mode. The caller fences. */
void e2d_write_back(struct ext2dax_mount *m, const void *at, size_t length);

/*
 * Writes back the range and fences in every order mode. For fsync and sync. Returns 0, or -EIO as
 * e2d_order().
 */
int e2d_flush(struct ext2dax_mount *m, const void *at, size_t length);

/*
 * Returns -EIO, reported with EXT2DAX_LEVEL_INFO, after a failed write-back or fence, else 0.
 * e2d_has_failed() does not report.
 */
int e2d_failed(struct ext2dax_mount *m);
bool e2d_has_failed(const struct ext2dax_mount *m);

/*
 * Returns 0 if the process may use the memory, else the error of the memory plug, reported. Every
 * call that may store checks this before taking any lock, because a lock inherited by fork may
 * never be released.
 */
int e2d_usable(struct ext2dax_mount *m);
/* As e2d_usable(), without a report. For calls that cannot fail. */
bool e2d_is_usable(const struct ext2dax_mount *m);

/* Returns 0 if the range can be read, or -EIO (reported) if the range contains poison. */
int e2d_check(struct ext2dax_mount *m, const void *at, size_t length);
/* As e2d_check(), for data which the caller does not depend on. Not reported. */
bool e2d_readable(const struct ext2dax_mount *m, const void *at, size_t length);

/*
 * In the instrumented core every call that stores reports the call site first, so that a mutant can
 * remove the write-back by name. A mutant can also leave out some calls (skips.h). persist.c itself
 * is compiled without these macros.
 */
#if defined(E2D_INSTRUMENT) && !defined(E2D_PERSIST_PLAIN)
#define e2d_written(m, at, length)          (e2d_site(__func__, #at), e2d_written((m), (at), (length)))
#define e2d_written_bits(m, map, from, end) (e2d_site(__func__, #map), e2d_written_bits((m), (map), (from), (end)))
#define e2d_store8(m, at, value)            (e2d_site(__func__, #at), e2d_store8((m), (at), (value)))
#define e2d_store16(m, at, value)           (e2d_site(__func__, #at), e2d_store16((m), (at), (value)))
#define e2d_store32(m, at, value)           (e2d_site(__func__, #at), e2d_store32((m), (at), (value)))
#define e2d_copy(m, to, from, length)       (e2d_site(__func__, #to), e2d_copy((m), (to), (from), (length)))
#define e2d_zero(m, at, length)                                                                                        \
    E2D_SKIPPABLE("e2d_zero(" #at ")", (void)0, (e2d_site(__func__, #at), e2d_zero((m), (at), (length))))
#define e2d_write_back(m, at, length) (e2d_site(__func__, #at), e2d_write_back((m), (at), (length)))
#define e2d_flush(m, at, length)      (e2d_site(__func__, #at), e2d_flush((m), (at), (length)))
#define e2d_usable(m)                 E2D_SKIPPABLE("e2d_usable(" #m ")", 0, e2d_usable(m))
#define e2d_is_usable(m)              E2D_SKIPPABLE("e2d_is_usable(" #m ")", true, e2d_is_usable(m))
#endif

#endif
