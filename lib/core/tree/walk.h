/* SPDX-License-Identifier: MIT */
/*
 * Walk over a complete block tree in the image. For scans of the whole image, without in-core inode
 * and without locks.
 */
#ifndef E2D_TREE_WALK_H
#define E2D_TREE_WALK_H

#include "base/internal.h"

/*
 * Called for each block of an inode, in file order, a pointer block before the blocks below.
 *   logical  the block of the file, or the first block below a pointer block
 *   level    0 for data, else the number of levels of blocks below
 *
 * Returns a negative errno to end the walk, 0 to skip the contents of a pointer block, or 1 to read
 * the contents. Before returning 1, the function must ensure that the block is inside the image and
 * that loops end.
 */
typedef int (*e2d_visit)(void *arg, uint32_t block, uint64_t logical, unsigned level);

/*
 * Walks the tree of an inode. Returns 0, the negative result of a call of `visit`, or -EIO
 * (reported) if a pointer block cannot be read.
 */
int e2d_walk_tree(struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode, e2d_visit visit, void *arg);

#endif
