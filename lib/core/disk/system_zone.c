/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are metadata.
 *
 * A group's metadata is its head (a copy of the superblock and what follows it), two bitmaps and the inode table. Groups
 * that mke2fs made have all of it in one run at their start, which is remembered as `compact`: one comparison answers
 * for them. For the others (stride, moved tables) the four pieces are compared one by one. Descriptors were validated
 * before, so that the pieces lie inside their group and apart from each other.
 */
#include "zone.h"

/* First common block of two runs given by first block and length; UINT32_MAX for none. Neither run wraps. */
static uint32_t common(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
    uint32_t first = a > b ? a : b;

    return first - a < a_count && first - b < b_count ? first : UINT32_MAX;
}

/* The lowest metadata block of a run inside one group; UINT32_MAX for none. */
static uint32_t offender_in_group(const struct ext2dax_mount *m, uint32_t group, uint32_t block, uint32_t count)
{
    const struct e2d_group *known = &m->group[group];
    const struct ext2dax_disk_group *descriptor;
    uint32_t first = e2d_group_first(m, group);
    uint32_t found = common(block, count, first, known->metadata_end);

    if (known->compact)
        return found;
    descriptor = e2d_descriptor(m, group);
    found = e2d_min32(found, common(block, count, e2d_get32(descriptor->block_bitmap), 1));
    found = e2d_min32(found, common(block, count, e2d_get32(descriptor->inode_bitmap), 1));
    return e2d_min32(found, common(block, count, e2d_get32(descriptor->inode_table), e2d_table_blocks(m)));
}

uint32_t e2d_zone_offender(const struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    if (count == 0)
        return 0;
    if (block < m->first_data_block || block >= m->blocks)
        return block;
    while (count > 0) {
        uint32_t group = e2d_group_of(m, block);
        uint32_t left = e2d_group_first(m, group) + (e2d_group_blocks(m, group) - 1) - block + 1;
        uint32_t here = e2d_min32(count, left);
        uint32_t found = offender_in_group(m, group, block, here);

        if (found != UINT32_MAX)
            return found;
        block += here;
        count -= here;
        if (count > 0 && block >= m->blocks)
            return block;
    }
    return 0;
}

void e2d_zone_prepare(struct ext2dax_mount *m)
{
    uint32_t table_blocks = e2d_table_blocks(m);
    uint32_t group;

    for (group = 0; group < m->groups; group++) {
        const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
        uint32_t first = e2d_group_first(m, group);
        uint32_t head = e2d_group_head(m, group);
        uint32_t end = head;

        end = end > e2d_get32(descriptor->block_bitmap) - first ? end : e2d_get32(descriptor->block_bitmap) - first + 1;
        end = end > e2d_get32(descriptor->inode_bitmap) - first ? end : e2d_get32(descriptor->inode_bitmap) - first + 1;
        if (end < e2d_get32(descriptor->inode_table) - first + table_blocks)
            end = e2d_get32(descriptor->inode_table) - first + table_blocks;

        /* Pieces that do not overlap and whose lengths add up to where the last one ends leave no gap. */
        m->group[group].compact = end == head + 2 + table_blocks;
        m->group[group].metadata_end = m->group[group].compact ? end : head;
    }
}
