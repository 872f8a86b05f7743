/* SPDX-License-Identifier: MIT */
/*
 * Pointer chains: from an inode down to the slot that names a block. Pointers are read with acquire loads, since other
 * faults may be adding some; whoever takes pointers away excludes every reader (dax_sem or io).
 */
#ifndef E2D_BRANCH_H
#define E2D_BRANCH_H

#include "incore.h"
#include "path.h"

/* A pointer array: the part of the tree that holds the data pointers around one logical block. */
struct e2d_leaf {
    struct ext2dax_le32 *slots; /* NULL: the chain ends above, everything here is a hole */
    uint64_t first;             /* logical block of slots[0] */
    uint64_t count;             /* slots; where slots is NULL: blocks from `first` that the missing subtree spans */
};

/* Checks a pointer met in the tree: EUCLEAN (reported, error bit set) when outside the image or metadata. */
int e2d_pointer_check(struct ext2dax_inode *inode, uint32_t block, uint32_t count);

/*
 * For walks that no caller's buffer bounds: EUCLEAN (reported, error bit set) when `met`, the file's blocks met so far, are
 * more than the image has, as when a pointer block names itself.
 */
int e2d_blocks_possible(struct ext2dax_inode *inode, uint64_t met);

/* Finds the leaf that holds `logical`. EFBIG: the tree does not reach it; EUCLEAN; EIO (poison). */
int e2d_leaf(struct ext2dax_inode *inode, uint64_t logical, struct e2d_leaf *leaf);

#endif
