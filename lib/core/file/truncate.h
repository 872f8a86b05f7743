/* SPDX-License-Identifier: MIT */
/* What takes blocks away: truncate, punch, and the end of a file. All of them are one cut (cut.h). */
#ifndef E2D_TRUNCATE_H
#define E2D_TRUNCATE_H

#include "incore.h"

/*
 * Frees every block of an inode that has no name, no reference and no mapping left, its xattr block included, and then
 * the inode itself: the last epoch of unlink. The blocks of a tree that cannot be are left to e2fsck: EUCLEAN, reported.
 * Takes dax_sem and truncate. The caller holds freeze_fault shared and has removed every other way in.
 */
int e2d_inode_free(struct ext2dax_inode *inode);

/* Shrinks under locks that the caller holds: freeze_write shared, io exclusively. Errors as ext2dax_truncate(). */
int e2d_shrink(struct ext2dax_inode *inode, uint64_t size, uint32_t now);

#endif
