/* SPDX-License-Identifier: MIT */
/* An inode as it lies in the image. */
#ifndef E2D_INODE_H
#define E2D_INODE_H

#include "incore.h"

/* How a block of extended attributes begins. */
#define E2D_XATTR_MAGIC 0xEA020000u
struct e2d_xattr_header {
    struct ext2dax_le32 magic;
    struct ext2dax_le32 references; /* inodes that share the block */
};

/* Where inode `number` lies; it must be within 1 … inodes. */
struct ext2dax_disk_inode *e2d_disk_inode(const struct ext2dax_mount *m, uint32_t number);

/* Fills number, disk, mode and size of an in-core object and checks them: ENOENT (free), EUCLEAN (reported). */
int e2d_inode_load(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *inode);

uint64_t e2d_disk_size(const struct ext2dax_inode *inode);

/* What must be durable before a larger size is stored: the large_file feature, where the size asks for it. Unfenced. */
void e2d_announce_size(struct ext2dax_inode *inode, uint64_t size);

/*
 * Stores a size, growing (announced before) or shrinking, so that the image never holds less than the smaller of old
 * and new. Fences between the words when the high one changes, not after the last store.
 */
int e2d_store_size(struct ext2dax_inode *inode, uint64_t size);

/* 4-byte stores without a fence; any thread. `mtime` false: ctime alone. */
void e2d_store_times(struct ext2dax_inode *inode, uint32_t now, bool mtime);

/* i_blocks, in blocks, up or down. The caller holds truncate. EFBIG where 32 bits of sectors would not hold it. */
int e2d_add_blocks(struct ext2dax_inode *inode, uint32_t blocks);
void e2d_drop_blocks(struct ext2dax_inode *inode, uint32_t blocks);

/* Holds its target in the inode itself, or has no block map (devices, fifos, sockets): no pointer may be followed. */
bool e2d_has_tree(const struct ext2dax_inode *inode);

/* The list of bad blocks, and the inode of the blocks kept for the descriptors' growth: metadata may be theirs. */
bool e2d_may_own_metadata(const struct ext2dax_mount *m, uint32_t number);

static inline uint32_t e2d_inode_group(const struct ext2dax_inode *inode);

#include "path.h"

static inline uint32_t e2d_inode_group(const struct ext2dax_inode *inode)
{
    return e2d_divide(inode->number - 1, inode->mount->inodes_per_group, inode->mount->inode_reciprocal);
}

#endif
