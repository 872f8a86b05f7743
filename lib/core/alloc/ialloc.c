/* SPDX-License-Identifier: MIT */
/*
 * Inodes given out and taken back.
 *
 * The superblock's count is lowered before a group is searched and raised after a group got its inode back, so it never
 * promises more than the groups hold. A search may still pass a group just before an inode is freed in it, and for this
 * it goes round a second time. The lowest free number of the first group with one is taken: same calls, same image.
 */
#include "ialloc.h"

#include "bitmap.h"
#include "group.h"
#include "lock.h"
#include "path.h"
#include "persist.h"
#include "super.h"

#define ROUNDS 2

/* Takes an inode of one group, whose lock is held: ENOSPC where it has none, EUCLEAN where its count says otherwise. */
static int take(struct ext2dax_mount *m, uint32_t group, uint32_t *number)
{
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint8_t *bitmap = e2d_inode_bitmap(m, group);
    uint32_t free = e2d_get16(descriptor->free_inodes);
    uint32_t before = group * m->inodes_per_group; /* inode numbers of the groups in front */
    uint32_t from = before < m->first_inode - 1 ? e2d_min32(m->first_inode - 1 - before, m->inodes_per_group) : 0;
    uint32_t bit;
    int error;

    if (free == 0)
        return -EXT2DAX_ENOSPC;
    error = e2d_check(m, bitmap, (m->inodes_per_group + 7) / 8);
    if (error != 0)
        return error;
    bit = e2d_next_clear(bitmap, from, m->inodes_per_group);
    if (bit == m->inodes_per_group)
        return -EXT2DAX_EUCLEAN;
    E2D_GUARDED_STORE(bitmap + bit / 8);
    e2d_set_bits(bitmap, bit, bit + 1);
    e2d_written(m, bitmap + bit / 8, 1);
    e2d_store16(m, &descriptor->free_inodes, free - 1);
    *number = before + bit + 1;
    return 0;
}

int e2d_ialloc(struct ext2dax_mount *m, uint32_t near_group, uint32_t *number)
{
    uint32_t group = near_group;
    uint32_t i;
    unsigned round;
    int error = e2d_super_take_inode(m);

    if (error != 0)
        return error;
    error = -EXT2DAX_ENOSPC;
    for (round = 0; round < ROUNDS && error == -EXT2DAX_ENOSPC; round++) {
        for (i = 0; i < m->groups && error == -EXT2DAX_ENOSPC; i++) {
            E2D_UNLESS(GROUP_LOCK_SKIPPED_INODES, e2d_write_lock(m, &m->group[group].lock));
            error = take(m, group, number);
            E2D_UNLESS(GROUP_LOCK_SKIPPED_INODES, e2d_write_unlock(m, &m->group[group].lock));
            if (error == -EXT2DAX_EUCLEAN)
                error =
                    e2d_corrupt(m, "group", group, "free inode count", e2d_get16(e2d_descriptor(m, group)->free_inodes),
                                "the inode bitmap has no free bit");
            group = group + 1 == m->groups ? 0 : group + 1;
        }
    }
    if (error != 0)
        e2d_super_give_inode(m);
    return error;
}

void e2d_ifree(struct ext2dax_mount *m, uint32_t number, bool directory)
{
    uint32_t group = e2d_divide(number - 1, m->inodes_per_group, m->inode_reciprocal);
    uint32_t bit = number - 1 - group * m->inodes_per_group;
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint8_t *bitmap = e2d_inode_bitmap(m, group);
    uint32_t free, directories;
    bool was_used;

    if (e2d_check(m, bitmap, (m->inodes_per_group + 7) / 8) != 0)
        return;
    E2D_UNLESS(GROUP_LOCK_SKIPPED_INODES, e2d_write_lock(m, &m->group[group].lock));
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
    E2D_UNLESS(GROUP_LOCK_SKIPPED_INODES, e2d_write_unlock(m, &m->group[group].lock));
    if (was_used)
        e2d_super_give_inode(m);
    else
        (void)e2d_corrupt(m, "inode", number, "inode bitmap", free, "freed, but reserved or free already");
}
