/* SPDX-License-Identifier: MIT */
/*
 * Attributes of on-disk inodes.
 *
 * A device number is stored in place of the first two block pointers. The old form, with 8 bits for
 * each number, is in the first pointer and leaves the second pointer 0. The new form leaves the
 * first pointer 0. The new form serves numbers past 255 only, because old kernels read the old form
 * only.
 */
#include "disk/attributes.h"

#include "base/copy_struct.h"
#include "base/endian.h"
#include "base/mem.h"
#include "disk/inode.h"

#define SET_ALL                                                                                                        \
    (EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID | EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME |                    \
     EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED | EXT2DAX_SET_FLAGS | EXT2DAX_SET_ATIME_NOW | EXT2DAX_SET_MTIME_NOW)

/* ---- reading ---- */

static void load_device(const struct ext2dax_disk_inode *disk, struct ext2dax_stat *figures)
{
    uint32_t old = e2d_load_le32(&disk->block[0]), new = e2d_load_le32(&disk->block[1]);

    if (old != 0) {
        figures->device_major = old >> 8 & 0xFF;
        figures->device_minor = old & 0xFF;
    } else {
        figures->device_major = new >> 8 & E2D_DEVICE_MAJOR_MAX;
        figures->device_minor = (new & 0xFF) | (new >> 12 & 0xFFF00);
    }
}

static void load_times(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                       struct ext2dax_stat *figures)
{
    figures->mtime = e2d_load_time(m, disk, E2D_MTIME);
    figures->ctime = e2d_load_time(m, disk, E2D_CTIME);
    figures->atime = e2d_load_time(m, disk, E2D_ATIME);
    figures->created = e2d_load_time(m, disk, E2D_CREATED);
    figures->has_nanoseconds = e2d_inode_tail(m, disk, E2D_TAIL_END(atime_extra)) != NULL;
    figures->has_created = figures->created.seconds != 0 || figures->created.nanoseconds != 0;
}

void ext2dax_stat(const struct ext2dax_inode *inode, struct ext2dax_stat *to, size_t size)
{
    struct ext2dax_stat own, *figures = &own;
    const struct ext2dax_disk_inode *disk = inode->disk;
    uint32_t type = inode->mode;

    memset(figures, 0, sizeof(*figures));
    figures->number = inode->number;
    figures->mode = (uint16_t)(type | (e2d_load_le16(&disk->mode) & ~EXT2DAX_S_IFMT));
    figures->links = e2d_load_le16(&disk->links);
    figures->uid = e2d_load_le16(&disk->uid) | (uint32_t)e2d_load_le16(&disk->uid_high) << 16;
    figures->gid = e2d_load_le16(&disk->gid) | (uint32_t)e2d_load_le16(&disk->gid_high) << 16;
    figures->flags = e2d_load_le32(&disk->flags);
    figures->size = e2d_size(inode);
    figures->sectors = e2d_sectors(inode->mount, disk);
    figures->generation = e2d_load_le32(&disk->generation);
    if (type == EXT2DAX_S_IFCHR || type == EXT2DAX_S_IFBLK)
        load_device(disk, figures);
    load_times(inode->mount, disk, figures);
    e2d_copy_results(to, size, figures, sizeof(*figures));
}

/* ---- attributes from a caller ---- */

static bool in_range(unsigned set, unsigned bit, struct ext2dax_time time)
{
    return (set & bit) == 0 || time.nanoseconds < E2D_SECOND_NANOSECONDS;
}

int e2d_check_attributes(const struct ext2dax_attributes *attributes)
{
    unsigned set = attributes->set, given = set;

    if ((set & ~(unsigned)SET_ALL) != 0)
        return -EXT2DAX_EINVAL;
    if ((set & EXT2DAX_SET_ATIME_NOW) != 0)
        given ^= EXT2DAX_SET_ATIME;
    if ((set & EXT2DAX_SET_MTIME_NOW) != 0)
        given ^= EXT2DAX_SET_MTIME;
    /* A bit for the present without the bit of the time has set the bit of the time. */
    if ((given & ~set) != 0)
        return -EXT2DAX_EINVAL;
    if (!in_range(given, EXT2DAX_SET_ATIME, attributes->atime) ||
        !in_range(given, EXT2DAX_SET_MTIME, attributes->mtime) ||
        !in_range(given, EXT2DAX_SET_CTIME, attributes->ctime) ||
        !in_range(given, EXT2DAX_SET_CREATED, attributes->created))
        return -EXT2DAX_EINVAL;
    return 0;
}

/* ---- inodes about to be created ---- */

void e2d_fill_attributes(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                         struct ext2dax_disk_inode_tail *tail, const struct ext2dax_attributes *attributes,
                         struct e2d_time now)
{
    unsigned set = attributes->set;

    fresh->mode = e2d_le16(attributes->mode);
    fresh->uid = e2d_le16(attributes->uid & 0xFFFFu);
    fresh->uid_high = e2d_le16(attributes->uid >> 16);
    fresh->gid = e2d_le16(attributes->gid & 0xFFFFu);
    fresh->gid_high = e2d_le16(attributes->gid >> 16);
    fresh->flags = e2d_le32((set & EXT2DAX_SET_FLAGS) != 0 ? attributes->flags : 0);
    e2d_fill_times(m, fresh, tail, now);
    if ((set & (EXT2DAX_SET_ATIME | EXT2DAX_SET_ATIME_NOW)) == EXT2DAX_SET_ATIME)
        e2d_fill_time(m, fresh, tail, E2D_ATIME, e2d_time_encode(attributes->atime));
    if ((set & (EXT2DAX_SET_MTIME | EXT2DAX_SET_MTIME_NOW)) == EXT2DAX_SET_MTIME)
        e2d_fill_time(m, fresh, tail, E2D_MTIME, e2d_time_encode(attributes->mtime));
    if ((set & EXT2DAX_SET_CTIME) != 0)
        e2d_fill_time(m, fresh, tail, E2D_CTIME, e2d_time_encode(attributes->ctime));
    if ((set & EXT2DAX_SET_CREATED) != 0)
        e2d_fill_time(m, fresh, tail, E2D_CREATED, e2d_time_encode(attributes->created));
}

void e2d_fill_device(struct ext2dax_disk_inode *fresh, uint32_t major, uint32_t minor)
{
    bool old = major < 256 && minor < 256;

    fresh->block[0] = e2d_le32(old ? major << 8 | minor : 0);
    fresh->block[1] = e2d_le32(old ? 0 : (minor & 0xFF) | major << 8 | (minor & ~0xFFu) << 12);
}
