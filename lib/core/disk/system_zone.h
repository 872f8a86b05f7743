/* SPDX-License-Identifier: MIT */
/*
 * The system zones. Decides which blocks are metadata, and which numbers are blocks at all.
 * Constant after mount, no lock needed.
 */
#ifndef E2D_DISK_SYSTEM_ZONE_H
#define E2D_DISK_SYSTEM_ZONE_H

#include "disk/group.h"
#include "base/internal.h"

/*
 * Returns the lowest block of [block, block + count) which is outside the image or metadata
 * (superblock copies, descriptors, reserved descriptor blocks, bitmaps, inode tables), or 0 if
 * none. A run starting at block 0 must not be passed, because 0 as result would be ambiguous. No
 * pointer refers to block 0.
 */
uint32_t e2d_zone_offender(const struct ext2dax_mount *m, uint32_t block, uint32_t count);
/* Returns whether the block may hold file data. */
static inline bool e2d_is_data(const struct ext2dax_mount *m, uint32_t block)
{
    return block != 0 && e2d_zone_offender(m, block, 1) == 0;
}

/*
 * Fills metadata_end and compact of every group, and data_chunks, all zero before. Called once,
 * after e2d_groups_validate().
 */
void e2d_zone_prepare(struct ext2dax_mount *m);
/* Returns the size of data_chunks, in bytes. 0 without E2D_FOR_SPEED. */
size_t e2d_zone_table_bytes(const struct ext2dax_mount *m);

static inline bool e2d_data_chunk(const struct ext2dax_mount *m, uint32_t chunk)
{
    return E2D_FOR_SPEED && (m->data_chunks[chunk >> 5] >> (chunk & 31) & 1) != 0;
}

/*
 * Returns true if each block of a short run may hold file data, mostly by a single load. Returns
 * false for a run across groups, in a group with scattered metadata, or not wholly valid. Then only
 * e2d_zone_offender() can tell. `count` is not 0.
 */
static inline bool e2d_zone_data(const struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    uint32_t last = block + (count - 1), from, group, in_group;

    if (last < block || last >= m->blocks)
        return false;
    if (e2d_data_chunk(m, block >> E2D_CHUNK_SHIFT) && e2d_data_chunk(m, last >> E2D_CHUNK_SHIFT) &&
        count <= 1u << E2D_CHUNK_SHIFT)
        return true;
    if (block < m->first_data_block)
        return false;
    group = e2d_group_of(m, block);
    from = block - m->first_data_block;
    in_group = from - group * m->blocks_per_group;
    return m->group[group].compact && in_group >= m->group[group].metadata_end &&
           count <= m->blocks_per_group - in_group;
}

#endif
