/* SPDX-License-Identifier: MIT */
/*
 * Times of on-disk inodes.
 *
 * i_extra_isize says how many bytes after the first 128 an inode uses. Attributes may follow, so a
 * field not covered by i_extra_isize is neither read nor stored.
 */
#include "disk/times.h"

#include <stddef.h>

#include "base/endian.h"
#include "base/mem.h"
#include "base/persist.h"

_Static_assert(sizeof(struct ext2dax_disk_inode) == 128, "the extra words follow the inode");
_Static_assert(offsetof(struct ext2dax_disk_inode_tail, created_extra) == 148 - 128, "as in the image");

/* The words of a time. A word for which the inode has no room is NULL. */
struct words {
    struct ext2dax_le32 *seconds, *extra;
};

static struct ext2dax_disk_inode_tail *tail_of(const struct ext2dax_disk_inode *disk)
{
    return (void *)(uintptr_t)(disk + 1);
}

/* Returns i_extra_isize, or 0 for an impossible value. */
static uint32_t bytes_used(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk)
{
    uint32_t room = m->inode_size - (uint32_t)sizeof(*disk), used;

    if (room == 0)
        return 0;
    used = e2d_load_le16(&tail_of(disk)->extra_isize);
    return used <= room && (used & 3) == 0 ? used : 0;
}

struct ext2dax_disk_inode_tail *e2d_inode_tail(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                                               size_t end)
{
    return end <= bytes_used(m, disk) ? tail_of(disk) : NULL;
}

#define IF_COVERED(member) (E2D_TAIL_END(member) <= used ? &tail->member : NULL)

static struct words words_of(struct ext2dax_disk_inode *disk, struct ext2dax_disk_inode_tail *tail, uint32_t used,
                             enum e2d_time_field field)
{
    switch (field) {
    case E2D_CTIME:
        return (struct words){&disk->ctime, IF_COVERED(ctime_extra)};
    case E2D_MTIME:
        return (struct words){&disk->mtime, IF_COVERED(mtime_extra)};
    case E2D_ATIME:
        return (struct words){&disk->atime, IF_COVERED(atime_extra)};
    default:
        return (struct words){IF_COVERED(created), IF_COVERED(created_extra)};
    }
}

/* ---- inodes of the image ---- */

static E2D_OUT_OF_LINE struct words words_in_image(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                                                   enum e2d_time_field field)
{
    return words_of((void *)(uintptr_t)disk, tail_of(disk), bytes_used(m, disk), field);
}

struct ext2dax_time e2d_load_time(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                                  enum e2d_time_field field)
{
    struct words words = words_in_image(m, disk, field);
    struct e2d_time time;

    time.seconds = words.seconds ? e2d_load_le32(words.seconds) : 0;
    time.extra = words.extra ? e2d_load_le32(words.extra) : 0;
    return e2d_time_decode(time);
}

void e2d_store_time(struct ext2dax_inode *inode, enum e2d_time_field field, struct e2d_time time)
{
    struct ext2dax_mount *m = inode->mount;
    struct words words = words_in_image(m, inode->disk, field);
    uint32_t seconds = words.extra ? time.seconds : e2d_time_narrow(time);

    if (words.seconds && e2d_load_le32(words.seconds) != seconds)
        e2d_store32(m, words.seconds, seconds);
    if (words.extra && e2d_load_le32(words.extra) != time.extra)
        e2d_store32(m, words.extra, time.extra);
}

void e2d_store_times(struct ext2dax_inode *inode, struct e2d_time now, bool mtime)
{
    e2d_store_time(inode, E2D_CTIME, now);
    if (mtime)
        e2d_store_time(inode, E2D_MTIME, now);
}

/* ---- inodes about to be created ---- */

void e2d_fill_time(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                   struct ext2dax_disk_inode_tail *tail, enum e2d_time_field field, struct e2d_time time)
{
    struct words words = words_of(fresh, tail, m->extra_isize, field);

    if (words.seconds)
        *words.seconds = e2d_le32(words.extra ? time.seconds : e2d_time_narrow(time));
    if (words.extra)
        *words.extra = e2d_le32(time.extra);
}

void e2d_fill_times(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                    struct ext2dax_disk_inode_tail *tail, struct e2d_time now)
{
    memset(tail, 0, sizeof(*tail));
    tail->extra_isize = e2d_le16(m->extra_isize);
    e2d_fill_time(m, fresh, tail, E2D_CTIME, now);
    e2d_fill_time(m, fresh, tail, E2D_MTIME, now);
    e2d_fill_time(m, fresh, tail, E2D_ATIME, now);
    e2d_fill_time(m, fresh, tail, E2D_CREATED, now);
}
