/* SPDX-License-Identifier: MIT */
/*
 * Block groups. Location of groups and descriptors, validation of descriptors, and the counters in
 * the descriptors. The lock of the group guards the counters.
 */
#ifndef E2D_DISK_GROUP_H
#define E2D_DISK_GROUP_H

#include "base/bitmap.h"
#include "base/divide.h"
#include "base/internal.h"

/*
 * Returns the group of a block. The block must be inside the image, else the result would index
 * past the end of m->group.
 */
static inline uint32_t e2d_group_inline(const struct ext2dax_mount *m, uint32_t block)
{
    uint32_t from = block - m->first_data_block;

    /* A block before the first data block wraps to a large distance. */
    E2D_ASSERT(m, from < m->blocks - m->first_data_block);
    return m->group_reciprocal == 0 ? from >> m->group_shift
                                    : e2d_divide(from, m->blocks_per_group, m->group_reciprocal);
}
#if E2D_FOR_SPEED
#define e2d_group_of(m, block) e2d_group_inline((m), (block))
#else
uint32_t e2d_group_of(const struct ext2dax_mount *m, uint32_t block);
#endif
/* Returns the first block of a group. */
uint32_t e2d_group_first(const struct ext2dax_mount *m, uint32_t group);
/* Returns the number of blocks of a group. The last group is often shorter than the others. */
uint32_t e2d_group_blocks(const struct ext2dax_mount *m, uint32_t group);

/* Returns whether the group has a copy of the superblock (and of the descriptors). */
bool e2d_has_super(const struct ext2dax_mount *m, uint32_t group);
/*
 * Returns the number of blocks at the start of the group used for the superblock copy, the
 * descriptors and the reserved descriptor blocks.
 */
uint32_t e2d_group_head(const struct ext2dax_mount *m, uint32_t group);
/* Returns the number of blocks of the inode table of a group. Equal for all groups. */
uint32_t e2d_table_blocks(const struct ext2dax_mount *m);

/* Returns the primary descriptor of a group, in the image. */
struct ext2dax_disk_group *e2d_descriptor(const struct ext2dax_mount *m, uint32_t group);
/* Returns the block which contains the primary descriptor. */
uint32_t e2d_descriptor_block(const struct ext2dax_mount *m, uint32_t group);

/*
 * Validates every descriptor. Bitmaps and inode table must be inside their group and must not
 * overlap.
 * Returns 0 or a negative errno (reported)
 *   EUCLEAN  a descriptor is invalid, or a group is too small for its metadata
 *   EIO      a descriptor block cannot be read
 */
int e2d_groups_validate(struct ext2dax_mount *m);

/* Reports damage of a group, and returns -EUCLEAN. Changes nothing. */
int e2d_group_refuse(struct ext2dax_mount *m, uint32_t group, const char *field,
                     uint32_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_group_refuse(m, group, field, value, reason)                                                               \
    E2D_WITHOUT_REASON(reason, e2d_group_refuse((m), (group), (field), (value)))
#endif

/*
 * Checks the counters of every descriptor against the size of the group. Call after
 * e2d_groups_validate(). Returns 0, or -EUCLEAN (reported) for an impossible counter.
 *
 * With `read_only` always returns 0, because no read depends on the counters. Then the first
 * impossible counter is a warning, followed by a warning with the number of groups affected.
 */
int e2d_groups_counters(struct ext2dax_mount *m, bool read_only);

/*
 * Returns the sums of the free blocks and free inodes over all groups. An impossible counter is
 * clamped to the maximum of the group.
 */
void e2d_groups_sums(const struct ext2dax_mount *m, uint32_t *free_blocks, uint32_t *free_inodes);

/* Return the bitmaps of a group, in the image. The group's lock guards the bits. */
static inline uint8_t *e2d_block_bitmap(const struct ext2dax_mount *m, uint32_t group)
{
    return e2d_block(m, e2d_get32(e2d_descriptor(m, group)->block_bitmap));
}
static inline uint8_t *e2d_inode_bitmap(const struct ext2dax_mount *m, uint32_t group)
{
    return e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_bitmap));
}

/* Returns the bit of a block in the block bitmap. The block must be inside the image. */
static inline bool e2d_marked_used(const struct ext2dax_mount *m, uint32_t block)
{
    uint32_t group = e2d_group_of(m, block);

    return e2d_bit(e2d_block_bitmap(m, group), block - e2d_group_first(m, group));
}

#endif
