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

/* What the fence ends. Calls that need no fence of their own (times) have no name. */
#define E2D_STEPS(_)                                                                                                   \
    _(FILL_CONTENT)   /* data or zeroes, bits, unreachable indirect blocks | */                                        \
    _(FILL_SIZE)      /* … the size that will cover the pointers | */                                                \
    _(FILL_POINTERS)  /* … the pointers | */                                                                         \
    _(GROW_TAIL)      /* old tail zeroed, or data | */                                                                 \
    _(GROW_SIZE)      /* … the size | */                                                                             \
    _(GROW_SIZE_HIGH) /* the size's high word, when it changes | */                                                    \
    _(CUT_POINTERS)   /* topmost pointers cleared, tail or edges zeroed | */                                           \
    _(CUT_BITS)       /* … size, bits | */                                                                           \
    _(CUT_SIZE_LOW)   /* the size's low word, when the high one changes too | */                                       \
    _(INODE)          /* times, mode, owner | */                                                                       \
    _(CREATE_BODY)    /* inode with links 0, the entry's body in slack | */                                            \
    _(CREATE_ENTRY)   /* … one aligned store publishes the entry | */                                                \
    _(CREATE_LINKS)   /* … links | */                                                                                \
    _(UNLINK_LINKS)   /* links 0 | */                                                                                  \
    _(UNLINK_ENTRY)   /* … entry cleared, dtime | */                                                                 \
    _(UNLINK_BITS)    /* … bits | */                                                                                 \
    _(RECOVER_INODES) /* links, i_blocks, sizes, index flags, xattr references mended | */                             \
    _(RECOVER_REST)   /* … entries, times of deletion, bits, counts | */                                             \
    _(SYNC)           /* data of a window, or everything | */                                                          \
    _(MARK_DIRTY)     /* the superblock's valid bit cleared, before the first change | */                              \
    _(MARK_CLEAN)     /* … set, after the last | */                                                                  \
    _(FORMAT)         /* everything but the magic number | */                                                          \
    _(FORMAT_MAGIC)   /* … the magic number | */

enum e2d_step {
#define E2D_STEP_ENUM(name) E2D_STEP_##name,
    E2D_STEPS(E2D_STEP_ENUM)
#undef E2D_STEP_ENUM
        E2D_STEP_COUNT
};

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

/* -EIO once a write-back has failed, else 0. */
int e2d_failed(const struct ext2dax_mount *m);

/* 0 where the range can be read, -EIO (reported) where it holds poison. */
int e2d_check(struct ext2dax_mount *m, const void *at, size_t length);

#endif
