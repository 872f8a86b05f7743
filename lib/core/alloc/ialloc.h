/* SPDX-License-Identifier: MIT */
/*
 * Inode allocator. Bits and counters are stored without a fence, and become durable with the
 * caller's next fence.
 */
#ifndef E2D_ALLOC_IALLOC_H
#define E2D_ALLOC_IALLOC_H

#include "base/internal.h"

/*
 * Marks a free inode used, in `near_group` or the next group with a free inode. Never a reserved
 * inode. With `directory`, raises the directory count of the group. On failure nothing is held.
 * Takes fs, and group locks, a single one at a time.
 * Returns 0 or a negative errno
 *   ENOSPC   no free inode
 *   EUCLEAN  bitmap and count of a group disagree, and no other group has a free inode (reported)
 *   EIO      a bitmap cannot be read, and no other group has a free inode (reported)
 */
int e2d_ialloc(struct ext2dax_mount *m, uint32_t near_group, bool directory, uint32_t *number);

/*
 * Returns the group for a directory that begins a tree of its own. This is the group with the
 * fewest directories among the groups with at least half the average of free inodes and blocks, or
 * `otherwise` if no group has both. Reads the counts without locks, as hints.
 */
uint32_t e2d_ialloc_spread(struct ext2dax_mount *m, uint32_t otherwise);

/*
 * Checks whether an inode can be marked free. Takes the lock of the group, then fs.
 * Returns 0 or a negative errno
 *   EUCLEAN  bitmap and count of the group disagree, or the inode is reserved or marked free
 *            (reported)
 *   EIO      the bitmap cannot be read (reported)
 */
int e2d_ifreeable(struct ext2dax_mount *m, uint32_t number);

/*
 * Marks an inode free. With `directory`, lowers the directory count of the group. Leaves a reserved
 * or free inode unchanged and reports the inode. If the bitmap cannot be read, reports and changes
 * nothing. Takes the lock of the group, then fs.
 */
void e2d_ifree(struct ext2dax_mount *m, uint32_t number, bool directory);

#endif
