/* SPDX-License-Identifier: MIT */
/*
 * Pointer chains from an inode down to the slot with the pointer to a block. Pointers are loaded
 * with acquire, because concurrent faults may add pointers. Calls that remove pointers exclude all
 * readers (dax_sem or io).
 */
#ifndef E2D_TREE_LOOKUP_H
#define E2D_TREE_LOOKUP_H

#include "base/internal.h"
#include "tree/block_path.h"

/* A pointer array, which is the part of the tree with the data pointers around a logical block. */
struct e2d_leaf {
    struct ext2dax_le32 *slots; /* NULL if the chain ends above, so all blocks are holes */
    uint64_t first;             /* logical block of slots[0] */
    /*
     * Number of slots. If slots is NULL, number of blocks in the missing subtree, from `first` on.
     */
    uint64_t count;
};

/*
 * Checks a pointer (or a run) from the tree. Returns 0, or -EUCLEAN if a block is 0, outside the
 * image or metadata. Reports the error and sets the error bit in the superblock.
 */
int e2d_pointer_check(struct ext2dax_inode *inode, uint32_t block, uint32_t count);

/*
 * Returns the number of blocks at the start of the run which may belong to a file. Does not report.
 */
uint32_t e2d_pointers_good(const struct ext2dax_inode *inode, uint32_t block, uint32_t count);

/*
 * Checks `met`, the number of blocks of the file found so far by a walk which is not bounded by the
 * size of a buffer. Returns 0, or -EUCLEAN if `met` exceeds the blocks of the image, as with a
 * pointer block pointing to itself. Reports the error and sets the error bit in the superblock.
 */
int e2d_blocks_possible(struct ext2dax_inode *inode, uint64_t met);

/*
 * Finds the leaf which contains `logical`. EUCLEAN and EIO are reported only if the leaf is
 * `needed`, because read-ahead callers can continue without the leaf.
 * Returns 0 or a negative errno
 *   EFBIG    the tree does not reach `logical` (not reported)
 *   EUCLEAN  a pointer is outside the image or in metadata
 *   EIO      a pointer block cannot be read
 */
int e2d_leaf(struct ext2dax_inode *inode, uint64_t logical, bool needed, struct e2d_leaf *leaf);

#endif
