/* SPDX-License-Identifier: MIT */
/*
 * Block groups: where they and their descriptors lie, whether descriptors can be, and their counters (guarded by the
 * group's lock).
 */
#ifndef E2D_GROUP_H
#define E2D_GROUP_H

#include "bitmap.h"
#include "incore.h"
#include "path.h"

/* Where a block lies: its group, and blocks from the group's first. The block must be inside the image. */
static inline uint32_t e2d_group_of(const struct ext2dax_mount *m, uint32_t block)
{
    uint32_t from = block - m->first_data_block;

    return m->group_reciprocal == 0 ? from >> m->group_shift
                                    : e2d_divide(from, m->blocks_per_group, m->group_reciprocal);
}
uint32_t e2d_group_first(const struct ext2dax_mount *m, uint32_t group);
/* Blocks the group really has: the last one is often short. */
uint32_t e2d_group_blocks(const struct ext2dax_mount *m, uint32_t group);

/* Has the group a copy of the superblock (and of the descriptors)? */
bool e2d_has_super(const struct ext2dax_mount *m, uint32_t group);
/* How many blocks of the group's start hold its superblock copy, descriptors and reserved descriptors. */
uint32_t e2d_group_head(const struct ext2dax_mount *m, uint32_t group);
/* Blocks of each group's inode table. */
uint32_t e2d_table_blocks(const struct ext2dax_mount *m);

/* The primary descriptor of a group, in the image. */
struct ext2dax_disk_group *e2d_descriptor(const struct ext2dax_mount *m, uint32_t group);
/* The block in which the descriptor lies. */
uint32_t e2d_descriptor_block(const struct ext2dax_mount *m, uint32_t group);

/* Every descriptor: bitmaps and tables inside their own group, not overlapping, counters possible. EUCLEAN, EIO. */
int e2d_groups_validate(struct ext2dax_mount *m);

static inline uint8_t *e2d_block_bitmap(const struct ext2dax_mount *m, uint32_t group)
{
    return e2d_block(m, e2d_get32(e2d_descriptor(m, group)->block_bitmap));
}
static inline uint8_t *e2d_inode_bitmap(const struct ext2dax_mount *m, uint32_t group)
{
    return e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_bitmap));
}

/* The block, inside the image, as its bitmap has it. */
static inline bool e2d_marked_used(const struct ext2dax_mount *m, uint32_t block)
{
    uint32_t group = e2d_group_of(m, block);

    return e2d_bit(e2d_block_bitmap(m, group), block - e2d_group_first(m, group));
}

#endif
