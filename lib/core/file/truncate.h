/* SPDX-License-Identifier: MIT */
/*
 * Removal of blocks by truncate, punch and the freeing of an inode. Each is a removal in the sense
 * of tree/remove.h.
 */
#ifndef E2D_FILE_TRUNCATE_H
#define E2D_FILE_TRUNCATE_H

#include "base/internal.h"
#include "base/time.h"

/*
 * Frees every block of an inode that has no name, no reference and no mapping left, including the
 * xattr block, and then the inode itself. This is the last epoch of unlink. Takes dax_sem and
 * truncate exclusively. The caller holds freeze_fault shared and has removed every other access to
 * the inode.
 *
 * Returns 0 or a negative errno
 *   EUCLEAN  a tree or block is damaged (reported), the blocks are left to e2fsck
 *   EIO      a block cannot be read, or a write-back failed
 */
int e2d_inode_free(struct ext2dax_inode *inode);

/*
 * Checks in advance everything e2d_inode_free() relies on, namely pointers, bits and the counts of
 * each group to be changed. Changes nothing. Called before the removal of the last name, so no
 * later step can fail. The caller holds io exclusively. Takes truncate and group locks.
 *
 * Returns 0 or a negative errno
 *   EUCLEAN  a pointer, bit or count is wrong (reported)
 *   EIO      a block cannot be read
 */
int e2d_inode_freeable(struct ext2dax_inode *inode);

/*
 * Gives up the inode's reference to an xattr block, and frees a block without another reference.
 * The inode does not point to the block any more, or is being freed. Not fenced. The caller holds
 * truncate. Takes group locks and fs.
 *
 * Returns 0 or a negative errno
 *   EUCLEAN  the block is marked free, or has no references (reported)
 *   EIO      a bitmap cannot be read
 */
int e2d_xattr_unshare(struct ext2dax_inode *inode, uint32_t block);

/*
 * Shrinks the file to `size`, or frees everything past the end if `size` is the current size. The
 * caller holds freeze_write shared and io exclusively. Errors as ext2dax_truncate().
 */
int e2d_shrink(struct ext2dax_inode *inode, uint64_t size, struct e2d_time now);

/*
 * Prepares the extension of a file. Frees the block exactly at the end of file, and pointer blocks
 * past the end that lead to no other block. A crash of another driver, and e2fsck, leave such
 * blocks, and a larger size would expose their bytes. The result is durable on return.
 *
 * Anything else past the end is corruption. Such blocks stay, and e2d_map_past_end() reports them
 * if the file would extend over them. Costs nothing once an inode in core is known to have nothing
 * past the end. The caller holds freeze_write shared and io exclusively. Errors as e2d_shrink().
 */
int e2d_settle_end(struct ext2dax_inode *inode, struct e2d_time now);

#endif
