/* SPDX-License-Identifier: MIT */
/*
 * System zones.
 *
 * The metadata of a group consists of the head (superblock copy and descriptors), two bitmaps and
 * the inode table. Groups made by mke2fs usually have all metadata in a single run at the start.
 * Such a group is marked `compact`, and a single comparison is sufficient. For other groups
 * (stride, moved tables) the four pieces are compared separately. The descriptors are valid, so the
 * pieces are inside the group and do not overlap.
 */
#include "disk/system_zone.h"

/*
 * Returns the first common block of two runs, each given by first block and length, or UINT32_MAX
 * if none. No run may wrap.
 */
static E2D_OUT_OF_LINE uint32_t common(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
    uint32_t first = a > b ? a : b;

    return first - a < a_count && first - b < b_count ? first : UINT32_MAX;
}

/* Returns the lowest metadata block of a run inside a single group, or UINT32_MAX if none. */
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

size_t e2d_zone_table_bytes(const struct ext2dax_mount *m)
{
    if (!E2D_FOR_SPEED)
        return 0;
    return ((size_t)((m->blocks - 1) >> E2D_CHUNK_SHIFT >> 5) + 1) * sizeof(*m->data_chunks);
}

/* Marks the whole chunks of a group after its metadata. */
static void mark_chunks(struct ext2dax_mount *m, uint32_t group)
{
    uint32_t first = e2d_group_first(m, group), last = first + (e2d_group_blocks(m, group) - 1);
    uint32_t chunk = (first + m->group[group].metadata_end - 1) >> E2D_CHUNK_SHIFT;
    uint32_t end = last == UINT32_MAX ? UINT32_MAX >> E2D_CHUNK_SHIFT : (last + 1) >> E2D_CHUNK_SHIFT;

    for (chunk++; chunk < end; chunk++)
        m->data_chunks[chunk >> 5] |= 1u << (chunk & 31);
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

        /*
         * Pieces which do not overlap leave no gap if the sum of the lengths is the end of the last
         * piece.
         */
        m->group[group].compact = end == head + 2 + table_blocks;
        m->group[group].metadata_end = m->group[group].compact ? end : head;
        if (E2D_FOR_SPEED && m->group[group].compact)
            mark_chunks(m, group);
    }
}
