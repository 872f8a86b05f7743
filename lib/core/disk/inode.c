/* SPDX-License-Identifier: MIT */
/*
 * On-disk inodes. Lookup, validation, and stores to single fields.
 *
 * The inode's truncate lock guards i_blocks. io guards the size, together with dax_sem or truncate
 * (see file/extend.h).
 */
#include "disk/inode.h"

#include "disk/group.h"
#include "base/persist.h"
#include "disk/super.h"
#include "disk/system_zone.h"

int(e2d_inode_corrupt)(const struct ext2dax_inode *inode, const char *field,
                       uint64_t value E2D_REASON(const char *reason))
{
    return e2d_corrupt(inode->mount, "inode", inode->number, field, value, E2D_REASON_OR_NULL(reason));
}

uint32_t e2d_group_of_inode(const struct ext2dax_mount *m, uint32_t number)
{
    return e2d_divide(number - 1, m->inodes_per_group, m->inode_reciprocal);
}

struct ext2dax_disk_inode *e2d_disk_inode(const struct ext2dax_mount *m, uint32_t number)
{
    uint32_t group = e2d_group_of_inode(m, number);
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

int e2d_inode_load(struct ext2dax_mount *m, uint32_t number, bool linked, struct ext2dax_inode *inode)
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
    if (inode->mode == 0 || (linked && e2d_load_le16(&inode->disk->links) == 0))
        return -EXT2DAX_ENOENT;
    if (!type_is_known(inode->mode))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "mode", inode->mode, "is no file type");
    size = e2d_disk_size(inode);
    /*
     * A crash between the words of a growing size leaves the new high word next to the old low
     * word.
     */
    if (size > e2d_min64(m->huge_file ? UINT64_MAX : m->max_size | UINT32_MAX, m->tree_blocks << m->block_shift))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "size", size, "is larger than the largest file");
    e2d_set64(&inode->size, size);
    inode->mode &= EXT2DAX_S_IFMT; /* the permissions may change without a lock of the readers */
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
    } else if (size > old ? !E2D_MUTANT(ORDER_EXTEND_LOW_FIRST) : E2D_MUTANT(ORDER_SHRINK_HIGH_FIRST)) {
        e2d_store32(m, &disk->dir_acl, high);
        rc = e2d_order(m, E2D_FENCE_EXTEND_SIZE_HIGH);
        e2d_store32(m, &disk->size, low);
    } else {
        e2d_store32(m, &disk->size, low);
        rc = e2d_order(m, E2D_FENCE_SHRINK_SIZE_LOW);
        e2d_store32(m, &disk->dir_acl, high);
    }
    return rc;
}

static uint32_t sectors_high(const struct ext2dax_disk_inode *disk)
{
    return disk->frag_number | (uint32_t)disk->frag_size << 8;
}

bool e2d_is_huge(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk)
{
    return m->huge_file && ((e2d_load_le32(&disk->flags) & EXT2DAX_FL_HUGE_FILE) != 0 || sectors_high(disk) != 0);
}

uint64_t e2d_sectors(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk)
{
    uint64_t count = e2d_load_le32(&disk->sectors);

    if (!e2d_is_huge(m, disk))
        return count;
    count |= (uint64_t)sectors_high(disk) << 32;
    return (e2d_load_le32(&disk->flags) & EXT2DAX_FL_HUGE_FILE) != 0 ? count << (m->block_shift - 9) : count;
}

int e2d_huge_check(const struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    if (!e2d_is_huge(m, inode->disk))
        return 0;
    return e2d_complain(m, -EXT2DAX_EOPNOTSUPP, "inode", inode->number, "sector count", e2d_sectors(m, inode->disk),
                        "of a file with huge_file, which is read-only here");
}

uint32_t e2d_translator(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk)
{
    return m->hurd ? e2d_load_le32(&disk->os1) : 0;
}

static uint64_t sectors_with(const struct ext2dax_inode *inode, uint32_t blocks)
{
    return e2d_load_le32(&inode->disk->sectors) + ((uint64_t)blocks << (inode->mount->block_shift - 9));
}

int e2d_can_add_blocks(const struct ext2dax_inode *inode, uint32_t blocks)
{
    int rc = e2d_huge_check(inode);

    if (rc != 0)
        return rc;
    return sectors_with(inode, blocks) > UINT32_MAX ? -EXT2DAX_EFBIG : 0;
}

int e2d_add_blocks(struct ext2dax_inode *inode, uint32_t blocks)
{
    int rc = e2d_can_add_blocks(inode, blocks);

    if (rc == 0)
        e2d_store32(inode->mount, &inode->disk->sectors, (uint32_t)sectors_with(inode, blocks));
    return rc;
}

void e2d_drop_blocks(struct ext2dax_inode *inode, uint32_t blocks)
{
    uint64_t drop = (uint64_t)blocks << (inode->mount->block_shift - 9);
    uint32_t sectors = e2d_load_le32(&inode->disk->sectors);

    if (e2d_is_huge(inode->mount, inode->disk))
        return;
    /* An image with a count too low must not end up with a count of billions. */
    e2d_store32(inode->mount, &inode->disk->sectors, drop > sectors ? 0 : sectors - (uint32_t)drop);
}

bool e2d_has_tree(const struct ext2dax_inode *inode)
{
    uint32_t sectors = e2d_load_le32(&inode->disk->sectors);
    uint32_t others = (e2d_load_le32(&inode->disk->file_acl) != 0 ? 1u : 0u) +
                      (e2d_translator(inode->mount, inode->disk) != 0 ? 1u : 0u);

    switch (inode->mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
        return true;
    case EXT2DAX_S_IFLNK:
        /* A fast symbolic link keeps the target in place of the block pointers. */
        return sectors > others * (inode->mount->block_size >> 9);
    default:
        return false;
    }
}

bool e2d_may_own_metadata(const struct ext2dax_mount *m, uint32_t number)
{
    return number == EXT2DAX_BAD_BLOCKS_INODE ||
           (number == EXT2DAX_RESIZE_INODE && (e2d_get32(m->super->compat) & EXT2DAX_COMPAT_RESIZE_INODE) != 0);
}
