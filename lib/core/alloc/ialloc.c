/* SPDX-License-Identifier: MIT */
/*
 * Inode allocator.
 *
 * The free count of the superblock is lowered before a group is searched and raised after the inode
 * was freed in the group. So the count never exceeds the free inodes in the groups. A search may
 * still pass a group just before an inode is freed there, so the search does a second round. The
 * lowest free number of the first group with a free inode is taken, so equal calls produce equal
 * images. A group which cannot be used is skipped. The error is returned only if no other group has
 * a free inode.
 */
#include "alloc/ialloc.h"

#include "base/bitmap.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "base/skips.h"

#define ROUNDS 2

/*
 * Compares the inode bitmap of the group with the free count, a single time per group. A group with
 * a difference neither allocates nor frees inodes. The caller holds the lock of the group.
 * Returns 0 or a negative errno (reported)
 *   EUCLEAN  bitmap and count differ
 *   EIO      the bitmap cannot be read
 */
static int(check_group)(struct ext2dax_mount *m, uint32_t group)
{
    static const char differs[] = "differs from the inode bitmap";
    struct e2d_group *g = &m->group[group];
    const uint8_t *bitmap = e2d_inode_bitmap(m, group);
    uint32_t counted = e2d_get16(e2d_descriptor(m, group)->free_inodes);
    int error = e2d_check(m, bitmap, (m->inodes_per_group + 7) / 8);

    if (error != 0)
        return error;
    if (g->inodes_bad)
        return e2d_tell(m, -EXT2DAX_EUCLEAN, "group", group, "free inode count", counted, differs);
    if (g->inodes_checked)
        return 0;
    g->inodes_checked = true;
    g->inodes_bad = e2d_count_clear(bitmap, 0, m->inodes_per_group) != counted;
    return g->inodes_bad ? e2d_corrupt(m, "group", group, "free inode count", counted, differs) : 0;
}

/*
 * Allocates an inode in a group. The caller holds the lock of the group.
 * Returns 0 or a negative errno
 *   ENOSPC   no free inode
 *   EUCLEAN  the bitmap contradicts the free count (reported)
 *   EIO      the bitmap cannot be read (reported)
 */
static int take(struct ext2dax_mount *m, uint32_t group, bool directory, uint32_t *number)
{
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint8_t *bitmap = e2d_inode_bitmap(m, group);
    uint32_t free = e2d_get16(descriptor->free_inodes);
    /* Inodes in all earlier groups. */
    uint32_t before = group * m->inodes_per_group;
    uint32_t from = before < m->first_inode - 1 ? e2d_min32(m->first_inode - 1 - before, m->inodes_per_group) : 0;
    uint32_t bit;
    int error;

    if (free == 0)
        return -EXT2DAX_ENOSPC;
    error = check_group(m, group);
    if (error != 0)
        return error;
    bit = e2d_next_clear(bitmap, from, m->inodes_per_group);
    if (bit == m->inodes_per_group)
        return e2d_corrupt(m, "group", group, "free inode count", free, "but no bit of the inode bitmap is free");
    E2D_GUARDED_STORE(bitmap + bit / 8);
    e2d_set_bits(bitmap, bit, bit + 1);
    e2d_written(m, bitmap + bit / 8, 1);
    e2d_store16(m, &descriptor->free_inodes, free - 1);
    if (directory)
        e2d_store16(m, &descriptor->used_dirs, e2d_get16(descriptor->used_dirs) + 1u);
    *number = before + bit + 1;
    return 0;
}

int e2d_ialloc(struct ext2dax_mount *m, uint32_t near_group, bool directory, uint32_t *number)
{
    uint32_t group = near_group;
    uint32_t i;
    unsigned round;
    int error = e2d_super_take_inode(m), rc;

    if (error != 0)
        return error;
    error = -EXT2DAX_ENOSPC;
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < m->groups; i++) {
            e2d_write_lock(m, &m->group[group].lock);
            rc = take(m, group, directory, number);
            e2d_write_unlock(m, &m->group[group].lock);
            if (rc == 0)
                return 0;
            if (rc != -EXT2DAX_ENOSPC)
                error = rc;
            group = group + 1 == m->groups ? 0 : group + 1;
        }
    }
    e2d_super_give_inode(m);
    return error;
}

/*
 * Returns whether a group has at least half the average of free inodes and of free blocks. The
 * counts are hints and read without locks.
 */
static bool has_room(const struct ext2dax_mount *m, const struct ext2dax_disk_group *descriptor)
{
    uint64_t inodes = (uint64_t)e2d_load_le16(&descriptor->free_inodes) * m->groups;
    uint64_t blocks = (uint64_t)e2d_load_le16(&descriptor->free_blocks) * m->groups;

    return inodes != 0 && 2 * inodes >= e2d_load_le32(&m->super->free_inodes) &&
           2 * blocks >= e2d_load_le32(&m->super->free_blocks);
}

uint32_t e2d_ialloc_spread(struct ext2dax_mount *m, uint32_t otherwise)
{
    uint32_t best = otherwise, least = UINT32_MAX;

    for (uint32_t group = 0; group < m->groups; group++) {
        const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);

        if (e2d_load_le16(&descriptor->used_dirs) < least && has_room(m, descriptor)) {
            least = e2d_load_le16(&descriptor->used_dirs);
            best = group;
        }
    }
    return best;
}

int e2d_ifreeable(struct ext2dax_mount *m, uint32_t number)
{
    uint32_t group = e2d_group_of_inode(m, number);
    uint32_t bit = number - 1 - group * m->inodes_per_group;
    int error;

    e2d_write_lock(m, &m->group[group].lock);
    error = check_group(m, group);
    if (error == 0 && (number < m->first_inode || !e2d_bit(e2d_inode_bitmap(m, group), bit)))
        error = e2d_corrupt(m, "inode", number, "inode bitmap", bit, "marks a used or reserved inode free");
    e2d_write_unlock(m, &m->group[group].lock);
    return error;
}

void(e2d_ifree)(struct ext2dax_mount *m, uint32_t number, bool directory)
{
    uint32_t group = e2d_group_of_inode(m, number);
    uint32_t bit = number - 1 - group * m->inodes_per_group;
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint8_t *bitmap = e2d_inode_bitmap(m, group);
    uint32_t free, directories;
    bool was_used;

    if (e2d_check(m, bitmap, (m->inodes_per_group + 7) / 8) != 0)
        return;
    e2d_write_lock(m, &m->group[group].lock);
    free = e2d_get16(descriptor->free_inodes);
    directories = e2d_get16(descriptor->used_dirs);
    was_used = number >= m->first_inode && e2d_bit(bitmap, bit) && free < m->inodes_per_group;
    if (was_used) {
        E2D_GUARDED_STORE(bitmap + bit / 8);
        e2d_clear_bits(bitmap, bit, bit + 1);
        e2d_written(m, bitmap + bit / 8, 1);
        e2d_store16(m, &descriptor->free_inodes, free + 1);
        if (directory && directories != 0)
            e2d_store16(m, &descriptor->used_dirs, directories - 1);
    }
    e2d_write_unlock(m, &m->group[group].lock);
    if (was_used)
        e2d_super_give_inode(m);
    else
        (void)e2d_corrupt(m, "inode", number, "inode bitmap", free, "freed again, or reserved");
}
