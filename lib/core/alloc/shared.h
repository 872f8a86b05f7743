/* SPDX-License-Identifier: MIT */
/*
 * Xattr blocks known to the mount, so that inodes with equal attributes can share a block. The
 * table is small and forgets. An unknown block is only not shared. Guarded by fs.
 *
 * A block leaves the table under the lock of the group, together with the bit of the block. So a
 * block found in the table with the lock of the group held is still an xattr block, even where a
 * file has been given a block with the same bytes.
 */
#ifndef E2D_ALLOC_SHARED_H
#define E2D_ALLOC_SHARED_H

#include "base/internal.h"

/* Inodes which share a block, at most. */
#define E2D_REFERENCES_MAX 1024u

/* Enters a block with attributes of this hash, perhaps in place of another block. Takes fs. */
void e2d_share_remember(struct ext2dax_mount *m, uint32_t hash, uint32_t block);

/*
 * Removes a block. The caller holds the lock of the block's group exclusively. Takes fs.
 */
void e2d_share_forget(struct ext2dax_mount *m, uint32_t block);

/*
 * Finds a known block with the attributes of `content`, which is a whole xattr block, and adds a
 * reference to the count in the block. The store is not fenced. Returns the block, or 0 if no such
 * block is known. Takes the lock of the block's group and fs.
 */
uint32_t e2d_bshare(struct ext2dax_mount *m, const void *content);

#endif
