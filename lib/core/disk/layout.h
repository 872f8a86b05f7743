/* SPDX-License-Identifier: MIT */
/*
 * Layout of a new image, computed from the options and the size alone. The formatter writes the
 * layout, and builder/plan_size.c searches the smallest layout which holds a tree of files.
 *
 * Each group starts with its metadata in a single run, consisting of the superblock copy and
 * descriptors (if the group has a copy), block bitmap, inode bitmap and inode table. In group 0 the
 * two directories follow. All later blocks are free, as a single run, as needed to allocate whole
 * aligned extents.
 *
 * The functions take no lock and access no image.
 */
#ifndef E2D_DISK_LAYOUT_H
#define E2D_DISK_LAYOUT_H

#include "ext2dax/format.h"

#include "base/divide.h"
#include "base/internal.h"

#define E2D_LAYOUT_BITMAPS     2u /* of blocks and of inodes */
#define E2D_LAYOUT_DIRECTORIES 2u /* root and lost+found, one block each */

struct e2d_layout {
    uint32_t block_size, block_shift;
    uint32_t first, blocks; /* first block of group 0, and the number of blocks, block 0 included */
    uint32_t blocks_per_group, groups;
    uint32_t descriptor_blocks;
    uint32_t inode_size, inode_shift, inodes_per_group, table_blocks;
};

/*
 * Checks the options which do not depend on the size, and fills in the sizes of blocks, groups and
 * inodes. Returns 0 or -EINVAL with the report in *why.
 */
int e2d_layout_options(struct e2d_layout *l, const struct ext2dax_format_options *options, struct ext2dax_report *why);

/*
 * Computes groups, descriptors and inode tables for `blocks` blocks, after e2d_layout_options().
 * The last group may be too small for its metadata. `bytes` is the size of the memory, which gives
 * the default number of inodes. Returns 0 or a negative errno with the report in *why
 *   EINVAL   `options` asks for more inodes than the groups can hold
 */
int e2d_layout_groups(struct e2d_layout *l, uint32_t blocks, const struct ext2dax_format_options *options,
                      uint64_t bytes, struct ext2dax_report *why);

/*
 * Computes the whole layout for memory of `bytes` bytes. A last group too small for its own
 * metadata is dropped. Returns 0 or the errors of ext2dax_format() for options and size, with the
 * report in *why.
 */
int e2d_layout_plan(struct e2d_layout *l, const struct ext2dax_format_options *options, uint64_t bytes,
                    struct ext2dax_report *why);

/* Returns n / d, for divisors used a few times only. `d` is not 0. */
static inline uint32_t e2d_layout_quotient(uint32_t n, uint32_t d)
{
    return e2d_divide(n, d, e2d_reciprocal(d));
}

/* Has the group a copy of the superblock? */
bool e2d_layout_has_copy(uint32_t group);

/* Returns the blocks used by the superblock copy and the descriptors at the start of the group. */
uint32_t e2d_layout_head(const struct e2d_layout *l, uint32_t group);

/* Returns the blocks at the start of the group which are not free. */
uint32_t e2d_layout_overhead(const struct e2d_layout *l, uint32_t group);

static inline uint32_t e2d_layout_first(const struct e2d_layout *l, uint32_t group)
{
    return l->first + group * l->blocks_per_group;
}

static inline uint32_t e2d_layout_blocks(const struct e2d_layout *l, uint32_t group)
{
    return e2d_min32(l->blocks_per_group, l->blocks - e2d_layout_first(l, group));
}

/*
 * Returns log2 of the blocks of a PMD range, given log2 of the bytes of a block and of a huge page.
 * If blocks are pages, a PMD range is a huge page. Otherwise a PMD range only groups blocks, and is
 * bounded by the blocks that a single pointer block maps. The bits of a PMD range are whole bytes
 * of a bitmap.
 */
static inline uint32_t e2d_layout_pmd_shift(uint32_t block_shift, uint32_t huge_shift)
{
    uint32_t shift = huge_shift > block_shift + 3 ? huge_shift - block_shift : 3;

    return e2d_min32(shift, block_shift - 2);
}

/*
 * Returns the blocks before the first aligned extent of a group. Aligned extents start at aligned
 * blocks of the image.
 */
static inline uint32_t e2d_layout_skew(uint32_t first_data_block, uint32_t pmd_shift)
{
    uint32_t in_range = ((uint32_t)1 << pmd_shift) - 1;

    return (in_range + 1 - (first_data_block & in_range)) & in_range;
}

/* Returns the blocks reserved for the superuser. */
uint32_t e2d_layout_reserved(const struct e2d_layout *l, const struct ext2dax_format_options *options);

#endif
