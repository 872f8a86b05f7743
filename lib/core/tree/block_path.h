/* SPDX-License-Identifier: MIT */
/*
 * Where a logical block hangs in the tree: the slot in the inode, then the index in each pointer block on the way. Pure
 * arithmetic. Depth 0 is a direct block; a tree of depth d has d pointer blocks between inode and data.
 */
#ifndef E2D_PATH_H
#define E2D_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "incore.h"

#define E2D_DEPTH_MAX 3

struct e2d_path {
    unsigned depth;                /* pointer blocks on the way */
    uint32_t slot;                 /* in the inode's block[] */
    uint32_t index[E2D_DEPTH_MAX]; /* [0]: in the topmost pointer block */
    uint64_t leaf_first;           /* first logical block of the pointer array that holds the data pointer */
    uint32_t leaf_count;           /* how many pointers that array has (12 for the inode itself) */
};

/* False where the tree does not reach `logical`. */
bool e2d_path(const struct ext2dax_mount *m, uint64_t logical, struct e2d_path *path);

/* First logical block below slot EXT2DAX_IND, DIND or TIND, and how many blocks one pointer of a level spans. */
uint64_t e2d_path_base(const struct ext2dax_mount *m, uint32_t slot);
static inline uint64_t e2d_path_span(const struct ext2dax_mount *m, unsigned level)
{
    return (uint64_t)1 << (level * m->pointer_shift);
}

/* Without a division instruction: n / d, where reciprocal = e2d_reciprocal(d). */
uint32_t e2d_reciprocal(uint32_t d);
static inline uint32_t e2d_divide(uint32_t n, uint32_t d, uint32_t reciprocal)
{
    uint32_t q = (uint32_t)(((uint64_t)n * reciprocal) >> 32);

    while (n - q * d >= d)
        q++;
    return q;
}

#endif
