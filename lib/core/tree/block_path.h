/* SPDX-License-Identifier: MIT */
/*
 * Position of a logical block in the block tree, given by the slot in the inode and the index in
 * each pointer block of the chain. Pure arithmetic. Depth 0 is a direct block. A tree of depth d
 * has d pointer blocks between the inode and the data.
 */
#ifndef E2D_TREE_BLOCK_PATH_H
#define E2D_TREE_BLOCK_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/internal.h"

struct e2d_path {
    unsigned depth;                /* pointer blocks in the chain */
    uint32_t slot;                 /* in block[] of the inode */
    uint32_t index[E2D_DEPTH_MAX]; /* [0] is the index in the topmost pointer block */
    uint64_t leaf_first;           /* first logical block of the array with the data pointer */
    uint32_t leaf_count;           /* pointers in the array, 12 for the inode itself */
};

/* Computes the position of `logical`. Returns false if `logical` is past the reach of the tree. */
bool e2d_path(const struct ext2dax_mount *m, uint64_t logical, struct e2d_path *path);

/*
 * Return the first logical block below slot EXT2DAX_IND, DIND or TIND, and the number of blocks
 * below a pointer of a level.
 */
uint64_t e2d_path_base(const struct ext2dax_mount *m, uint32_t slot);
static inline uint64_t e2d_path_span(const struct ext2dax_mount *m, unsigned level)
{
    return (uint64_t)1 << (level * m->pointer_shift);
}

#endif
