/* SPDX-License-Identifier: MIT */
/*
 * The order of stores: what is durable before what. Every store into the image goes through here, and every fence has a
 * name, so that the table in the design is the list of e2d_order() calls.
 *
 * Ordered: a store is written back when it is made, and e2d_order() fences. Unordered: both cost nothing, and
 * ext2dax_sync() and fsync write back instead. A failed write-back or fence makes the mount read-only from then on;
 * the stores themselves cannot fail, the next e2d_order() tells.
 *
 * None of these takes a lock; whose lock guards the bytes stands with their room.
 */
#ifndef E2D_PERSIST_H
#define E2D_PERSIST_H

#include "incore.h"
#include "steps.h"

/* Stores without writing back: for many neighbours at once, then e2d_written() over all. Release order to readers. */
static inline void e2d_put32(struct ext2dax_le32 *at, uint32_t value)
{
    if (E2D_MUTANT(PUBLISH_RELAXED))
        e2d_set32_relaxed(&at->le, e2d_swap_bytes32(value));
    else
        e2d_set32(&at->le, e2d_swap_bytes32(value));
}

/* The range has been stored to in place: write it back. */
void e2d_written(struct ext2dax_mount *m, const void *at, size_t length);

void e2d_store8(struct ext2dax_mount *m, uint8_t *at, uint8_t value);
void e2d_store16(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t value);
void e2d_store32(struct ext2dax_mount *m, struct ext2dax_le32 *at, uint32_t value);
void e2d_copy(struct ext2dax_mount *m, void *to, const void *from, size_t length);
void e2d_zero(struct ext2dax_mount *m, void *at, size_t length);

/* Everything stored up to here is durable before anything stored from here on. EIO: the mount has gone read-only. */
int e2d_order(struct ext2dax_mount *m, enum e2d_step step);

/* Writes the range back whatever the order mode is; the fence is the caller's. */
void e2d_write_back(struct ext2dax_mount *m, const void *at, size_t length);

/* Writes the range back and fences whatever the order mode is: for fsync and sync. EIO likewise. */
int e2d_flush(struct ext2dax_mount *m, const void *at, size_t length);

/* -EIO (told) once a write-back has failed, else 0. */
int e2d_failed(struct ext2dax_mount *m);
bool e2d_has_failed(const struct ext2dax_mount *m);

/* 0 where the range can be read, -EIO (reported) where it holds poison. */
int e2d_check(struct ext2dax_mount *m, const void *at, size_t length);

/*
 * In the instrumented core every call says where it stands, so that a bench can take its write-back away by name. The
 * functions themselves are compiled without.
 */
#if defined(E2D_INSTRUMENT) && !defined(E2D_PERSIST_PLAIN)
#define e2d_written(m, at, length)    (e2d_site(__func__, #at), e2d_written((m), (at), (length)))
#define e2d_store8(m, at, value)      (e2d_site(__func__, #at), e2d_store8((m), (at), (value)))
#define e2d_store16(m, at, value)     (e2d_site(__func__, #at), e2d_store16((m), (at), (value)))
#define e2d_store32(m, at, value)     (e2d_site(__func__, #at), e2d_store32((m), (at), (value)))
#define e2d_copy(m, to, from, length) (e2d_site(__func__, #to), e2d_copy((m), (to), (from), (length)))
#define e2d_zero(m, at, length)       (e2d_site(__func__, #at), e2d_zero((m), (at), (length)))
#define e2d_write_back(m, at, length) (e2d_site(__func__, #at), e2d_write_back((m), (at), (length)))
#define e2d_flush(m, at, length)      (e2d_site(__func__, #at), e2d_flush((m), (at), (length)))
#endif

#endif
