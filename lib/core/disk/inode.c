/* SPDX-License-Identifier: MIT */
/*
 * An inode as it lies in the image: found, checked, and its fields stored in place. i_blocks is guarded by the inode's
 * truncate lock, the size by io (and by dax_sem or truncate, see grow.h), times by nobody: each is one 4-byte store.
 */
#include "inode.h"

#include "group.h"
#include "persist.h"
#include "super.h"
#include "zone.h"

struct ext2dax_disk_inode *e2d_disk_inode(const struct ext2dax_mount *m, uint32_t number)
{
    uint32_t group = e2d_divide(number - 1, m->inodes_per_group, m->inode_reciprocal);
    uint32_t index = number - 1 - group * m->inodes_per_group;
    unsigned char *table = e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_table));

    return (void *)(table + (size_t)index * m->inode_size);
}

static bool type_is_known(uint16_t mode)
{
    switch (mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
    case EXT2DAX_S_IFLNK:
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
    case EXT2DAX_S_IFIFO:
    case EXT2DAX_S_IFSOCK:
        return true;
    default:
        return false;
    }
}

uint64_t e2d_disk_size(const struct ext2dax_inode *inode)
{
    uint64_t size = e2d_load_le32(&inode->disk->size);

    if (e2d_is_regular(inode))
        size |= (uint64_t)e2d_load_le32(&inode->disk->dir_acl) << 32;
    return size;
}

int e2d_inode_load(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *inode)
{
    uint64_t size;
    int rc;

    inode->mount = m;
    inode->number = number;
    inode->disk = e2d_disk_inode(m, number);
    rc = e2d_check(m, inode->disk, m->inode_size);
    if (rc != 0)
        return rc;
    inode->mode = e2d_load_le16(&inode->disk->mode);
    if (inode->mode == 0)
        return -EXT2DAX_ENOENT;
    if (!type_is_known(inode->mode))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "mode", inode->mode, "is no file type");
    size = e2d_disk_size(inode);
    /* A crash between the words of a growing size leaves the new high one beside the old low one. */
    if (size > e2d_min64(m->max_size | UINT32_MAX, m->tree_blocks << m->block_shift))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "size", size, "is past the largest possible");
    e2d_set64(&inode->size, size);
    return 0;
}

void e2d_announce_size(struct ext2dax_inode *inode, uint64_t size)
{
    if (size > 0x7FFFFFFFu && size > e2d_size(inode) && e2d_is_regular(inode))
        e2d_super_large_file(inode->mount);
}

int e2d_store_size(struct ext2dax_inode *inode, uint64_t size)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_disk_inode *disk = inode->disk;
    uint64_t old = e2d_disk_size(inode);
    uint32_t low = (uint32_t)size, high = (uint32_t)(size >> 32);
    int rc = 0;

    if (high == (uint32_t)(old >> 32)) {
        e2d_store32(m, &disk->size, low);
    } else if ((size > old && !E2D_MUTANT(ORDER_GROW_LOW_FIRST)) || (size < old && E2D_MUTANT(ORDER_CUT_HIGH_FIRST))) {
        e2d_store32(m, &disk->dir_acl, high);
        rc = e2d_order(m, E2D_STEP_GROW_SIZE_HIGH);
        e2d_store32(m, &disk->size, low);
    } else {
        e2d_store32(m, &disk->size, low);
        rc = e2d_order(m, E2D_STEP_CUT_SIZE_LOW);
        e2d_store32(m, &disk->dir_acl, high);
    }
    return rc;
}

void e2d_store_times(struct ext2dax_inode *inode, uint32_t now, bool mtime)
{
    e2d_store32(inode->mount, &inode->disk->ctime, now);
    if (mtime)
        e2d_store32(inode->mount, &inode->disk->mtime, now);
}

int e2d_add_blocks(struct ext2dax_inode *inode, uint32_t blocks)
{
    uint64_t sectors = e2d_load_le32(&inode->disk->sectors);

    sectors += (uint64_t)blocks << (inode->mount->block_shift - 9);
    if (sectors > UINT32_MAX)
        return -EXT2DAX_EFBIG;
    e2d_store32(inode->mount, &inode->disk->sectors, (uint32_t)sectors);
    return 0;
}

void e2d_drop_blocks(struct ext2dax_inode *inode, uint32_t blocks)
{
    uint64_t drop = (uint64_t)blocks << (inode->mount->block_shift - 9);
    uint32_t sectors = e2d_load_le32(&inode->disk->sectors);

    /* An image that counted too few must not be made to count billions. */
    e2d_store32(inode->mount, &inode->disk->sectors, drop > sectors ? 0 : sectors - (uint32_t)drop);
}

bool e2d_has_tree(const struct ext2dax_inode *inode)
{
    uint32_t sectors = e2d_load_le32(&inode->disk->sectors);
    uint32_t xattr = e2d_load_le32(&inode->disk->file_acl) != 0 ? inode->mount->block_size >> 9 : 0;

    switch (inode->mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
        return true;
    case EXT2DAX_S_IFLNK:
        return sectors > xattr; /* a fast one keeps its target where the pointers would be */
    default:
        return false;
    }
}

bool e2d_may_own_metadata(const struct ext2dax_mount *m, uint32_t number)
{
    return number == EXT2DAX_BAD_BLOCKS_INODE ||
           (number == EXT2DAX_RESIZE_INODE && (e2d_get32(m->super->compat) & EXT2DAX_COMPAT_RESIZE_INODE) != 0);
}

void ext2dax_stat(const struct ext2dax_inode *inode, struct ext2dax_stat *figures)
{
    const struct ext2dax_disk_inode *disk = inode->disk;

    figures->number = inode->number;
    figures->mode = inode->mode;
    figures->links = e2d_load_le16(&disk->links);
    figures->uid = e2d_load_le16(&disk->uid) | (uint32_t)e2d_load_le16(&disk->uid_high) << 16;
    figures->gid = e2d_load_le16(&disk->gid) | (uint32_t)e2d_load_le16(&disk->gid_high) << 16;
    figures->flags = e2d_load_le32(&disk->flags);
    figures->size = e2d_size(inode);
    figures->sectors = e2d_load_le32(&disk->sectors);
    figures->mtime = (int32_t)e2d_load_le32(&disk->mtime);
    figures->ctime = (int32_t)e2d_load_le32(&disk->ctime);
    figures->atime = (int32_t)e2d_load_le32(&disk->atime);
}
