/* SPDX-License-Identifier: MIT */
/* On-disk inodes. */
#ifndef E2D_DISK_INODE_H
#define E2D_DISK_INODE_H

#include "base/divide.h"
#include "base/internal.h"
#include "disk/times.h"

/*
 * Header of a block of extended attributes. Attributes in an inode have only the magic number
 * before the entries.
 */
#define E2D_XATTR_MAGIC 0xEA020000u
struct e2d_xattr_header {
    struct ext2dax_le32 magic;
    struct ext2dax_le32 references; /* inodes sharing the block, guarded by the lock of its group */
    struct ext2dax_le32 blocks;     /* always 1 */
    struct ext2dax_le32 hash;       /* of the hashes of all entries, 0 if one of them is 0 */
    struct ext2dax_le32 rest[4];    /* 0 */
};

/* Returns the on-disk inode `number`, which must be in 1 … m->inodes. */
struct ext2dax_disk_inode *e2d_disk_inode(const struct ext2dax_mount *m, uint32_t number);

/*
 * Fills number, disk, mode and size of an in-core inode from the image, and checks mode and size.
 * With `linked`, an inode with a link count of 0 is free, regardless of the other fields.
 * Returns 0 or a negative errno
 *   ENOENT   the inode is free (not reported)
 *   EUCLEAN  file type unknown, or size too large (reported)
 *   EIO      the inode cannot be read (reported)
 */
int e2d_inode_load(struct ext2dax_mount *m, uint32_t number, bool linked, struct ext2dax_inode *inode);

/* Returns the size in the image, in bytes. Only regular files have a high word. */
uint64_t e2d_disk_size(const struct ext2dax_inode *inode);

/*
 * Sets the large_file feature if the new size needs the feature. Must be durable before the size is
 * stored. Does not fence.
 */
void e2d_announce_size(struct ext2dax_inode *inode, uint64_t size);

/*
 * Stores a larger size (after e2d_announce_size()) or a smaller size. At any time, the size in the
 * image is at least the smaller of the old and the new size. If the high word changes, fences
 * between the two words. Does not fence after the last store. Returns 0, or -EIO if a write-back or
 * the fence failed.
 */
int e2d_store_size(struct ext2dax_inode *inode, uint64_t size);

/*
 * Raise and lower i_blocks. `blocks` is in file system blocks. The caller holds truncate.
 *
 * e2d_add_blocks() returns 0 or a negative errno
 *   EFBIG       the sum does not fit 32 bits of 512-byte sectors
 *   EOPNOTSUPP  the inode is huge (reported)
 *
 * e2d_can_add_blocks() returns the same without a change.
 *
 * e2d_drop_blocks() leaves i_blocks of a huge inode unchanged. Blocks of a huge inode are freed
 * only together with the inode, and i_blocks is not read afterwards.
 */
int e2d_add_blocks(struct ext2dax_inode *inode, uint32_t blocks);
int e2d_can_add_blocks(const struct ext2dax_inode *inode, uint32_t blocks);
void e2d_drop_blocks(struct ext2dax_inode *inode, uint32_t blocks);

/*
 * Returns whether the inode is huge. The i_blocks of a huge inode counts blocks instead of sectors,
 * or uses more than 32 bits, as allowed by the huge_file feature only. The core reads a huge inode,
 * stores to the data blocks and frees the inode with its blocks, but changes neither the size nor
 * the block tree. Files written by ext2 are never as large.
 */
bool e2d_is_huge(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk);
/* Returns i_blocks in 512-byte sectors, also for a huge inode. */
uint64_t e2d_sectors(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk);
/*
 * Returns 0, or -EOPNOTSUPP (reported) for a huge inode. Called by e2d_write_access_begin() and
 * before i_blocks is raised.
 */
int e2d_huge_check(const struct ext2dax_inode *inode);

/* Returns the block of the Hurd translator, which counts as a block of the inode, or 0 if none. */
uint32_t e2d_translator(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk);

/*
 * Returns whether the inode has a block tree. False for a fast symbolic link, which keeps the
 * target in the inode, and for devices, fifos and sockets, which have no block map. No pointer of
 * an inode without a tree may be followed.
 */
bool e2d_has_tree(const struct ext2dax_inode *inode);

/*
 * Returns whether the inode number is reserved. No directory entry leads to a reserved inode, and
 * ext2dax_inode_get() refuses it. The root is not counted as reserved.
 */
static inline bool e2d_is_reserved(const struct ext2dax_mount *m, uint32_t number)
{
    return number < m->first_inode && number != EXT2DAX_ROOT_INODE;
}

/*
 * Returns true for the bad blocks inode, and for the resize inode if the resize_inode feature is
 * set. Blocks of both may be metadata.
 */
bool e2d_may_own_metadata(const struct ext2dax_mount *m, uint32_t number);

/* As e2d_corrupt() of disk/super.h, about the inode. */
int e2d_inode_corrupt(const struct ext2dax_inode *inode, const char *field,
                      uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_inode_corrupt(inode, field, value, reason)                                                                 \
    E2D_WITHOUT_REASON(reason, e2d_inode_corrupt((inode), (field), (value)))
#endif

/* Returns the group of an inode number, which is not 0. */
uint32_t e2d_group_of_inode(const struct ext2dax_mount *m, uint32_t number);

/* Returns the group of the inode. */
static inline uint32_t e2d_inode_group(const struct ext2dax_inode *inode)
{
    return e2d_group_of_inode(inode->mount, inode->number);
}

#endif
