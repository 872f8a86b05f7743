/* SPDX-License-Identifier: MIT */
/*
 * The needs of a tree of files, counted as the allocator will serve them (balloc.h). With
 * EXT2DAX_MOUNT_FULL_RANGES a PMD range wholly below the size of a file takes an aligned extent
 * with its first block. Every other block is packed, pointer blocks too. Packed blocks break a
 * whole extent only when no loose block is left in any group. So two sums describe a tree, whatever
 * the order of the calls.
 */
#include "ext2dax/build.h"

#include "base/copy_struct.h"
#include "base/internal.h"
#include "disk/layout.h"
#include "disk/super.h"

#define EXTRA_ISIZE       32u /* bytes of a large inode before attributes */
#define ATTRIBUTE_MARKS   8u  /* bytes of the magic number and of the end of the entries */
#define SHORT_TARGET      60u /* a target below this length lies in the inode */
#define DOTS              24u /* bytes of "." and ".." */
#define LOST_FOUND_DIRENT 20u
#define LEAST_HUGE        13u /* log2 of the bytes of the smallest huge page */
#define LARGEST_HUGE      40u

int ext2dax_tally_begin(struct ext2dax_tally *tally, const struct ext2dax_format_options *format, uint64_t huge_size)
{
    struct ext2dax_format_options o;
    struct ext2dax_report why;
    struct e2d_layout l;
    uint32_t huge_shift = LEAST_HUGE;
    int error;

    memset(tally, 0, sizeof(*tally));
    e2d_copy_struct(&o, sizeof(o), format);
    error = e2d_layout_options(&l, &o, &why);
    if (error != 0)
        return error;
    huge_size = huge_size != 0 ? huge_size : (uint64_t)2 << 20;
    while (huge_shift < LARGEST_HUGE && huge_size >> huge_shift > 1)
        huge_shift++;
    tally->pmd_shift = e2d_layout_pmd_shift(l.block_shift, huge_shift);
    if (huge_size != (uint64_t)1 << huge_shift || (l.blocks_per_group & (((uint32_t)1 << tally->pmd_shift) - 1)) != 0)
        return -EXT2DAX_EINVAL;

    tally->block_size = l.block_size;
    tally->block_shift = l.block_shift;
    tally->group_blocks = l.blocks_per_group;
    tally->inode_size = l.inode_size;
    tally->least_inodes = o.inodes;
    tally->reserved = o.reserved_percent;
    if (l.inode_size > EXT2DAX_INODE_SIZE_REV0 + EXTRA_ISIZE + ATTRIBUTE_MARKS)
        tally->in_inode = l.inode_size - EXT2DAX_INODE_SIZE_REV0 - EXTRA_ISIZE - ATTRIBUTE_MARKS;
    return 0;
}

/* ---- blocks of a file ---- */

/*
 * Counts of a file while its runs are added in ascending order. Each `next_…` is the first number
 * of the kind not counted yet.
 */
struct counts {
    uint64_t ranges, packed, blocks;
    uint64_t next_range, next_block, next_leaf, next_middle;
    bool has_double, has_triple;
};

/* Adds the numbers [first, last] of a kind, as far as not counted yet. Returns how many are new. */
static E2D_OUT_OF_LINE uint64_t count_new(uint64_t *next, uint64_t first, uint64_t last)
{
    uint64_t from = e2d_max64(first, *next);

    if (last < from)
        return 0;
    *next = last + 1;
    return last - from + 1;
}

/*
 * Counts the pointer blocks of the blocks [first, last]. A leaf is a block of pointers to data.
 * Leaf 0 hangs in the inode, `pointers` leaves hang below the double indirect block, and `pointers`
 * leaves hang below each middle block of the triple indirect block.
 */
static uint64_t count_pointers(struct counts *c, uint64_t first, uint64_t last, uint32_t pointer_shift)
{
    uint64_t leaf, last_leaf, added, in_double = (uint64_t)1 << pointer_shift;

    if (last < EXT2DAX_DIRECT)
        return 0;
    leaf = (e2d_max64(first, EXT2DAX_DIRECT) - EXT2DAX_DIRECT) >> pointer_shift;
    last_leaf = (last - EXT2DAX_DIRECT) >> pointer_shift;
    added = count_new(&c->next_leaf, leaf, last_leaf);
    if (last_leaf > 0 && leaf <= in_double && !c->has_double) {
        c->has_double = true;
        added++;
    }
    if (last_leaf > in_double) {
        added += !c->has_triple;
        c->has_triple = true;
        leaf = e2d_max64(leaf, in_double + 1) - in_double - 1;
        added += count_new(&c->next_middle, leaf >> pointer_shift, (last_leaf - in_double - 1) >> pointer_shift);
    }
    return added;
}

/* Adds the blocks [first, last] with data of a file with `full` PMD ranges below its size. */
static void count_run(const struct ext2dax_tally *tally, struct counts *c, uint64_t first, uint64_t last, uint64_t full)
{
    uint64_t range = first >> tally->pmd_shift, last_range = last >> tally->pmd_shift, tail = full << tally->pmd_shift;
    uint64_t pointers = count_pointers(c, first, last, tally->block_shift - 2);

    c->blocks += pointers;
    c->packed += pointers;
    if (range < full)
        c->ranges += count_new(&c->next_range, range, e2d_min64(last_range, full - 1));
    first = e2d_max64(first, c->next_block);
    if (last >= first)
        c->blocks += last - first + 1;
    if (last >= e2d_max64(first, tail))
        c->packed += last - e2d_max64(first, tail) + 1;
    c->next_block = last + 1;
}

int ext2dax_tally_file(struct ext2dax_tally *tally, uint64_t size, const struct ext2dax_tally_run *runs, size_t count,
                       bool packed)
{
    const struct ext2dax_tally_run whole = {0, size};
    uint64_t full = packed ? 0 : size >> tally->block_shift >> tally->pmd_shift, end = 0;
    struct counts c;
    size_t i;

    if (size > e2d_super_max_size(tally->block_shift))
        return -EXT2DAX_EFBIG;
    memset(&c, 0, sizeof(c));
    if (!runs) {
        runs = &whole;
        count = size != 0;
    }
    for (i = 0; i < count; i++) {
        if (runs[i].length == 0 || runs[i].offset < end || runs[i].offset > size ||
            runs[i].length > size - runs[i].offset)
            return -EXT2DAX_EINVAL;
        end = runs[i].offset + runs[i].length;
        count_run(tally, &c, runs[i].offset >> tally->block_shift, (end - 1) >> tally->block_shift, full);
    }
    tally->ranges += c.ranges;
    tally->packed += c.packed;
    tally->blocks += c.blocks;
    tally->inodes++;
    return 0;
}

/* ---- all else ---- */

static void add_packed(struct ext2dax_tally *tally, uint64_t blocks)
{
    tally->packed += blocks;
    tally->blocks += blocks;
}

void ext2dax_tally_symlink(struct ext2dax_tally *tally, size_t length)
{
    tally->inodes++;
    add_packed(tally, length >= SHORT_TARGET);
}

void ext2dax_tally_node(struct ext2dax_tally *tally)
{
    tally->inodes++;
}

void ext2dax_tally_directory(struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory)
{
    directory->blocks = 1;
    directory->used = DOTS;
    tally->inodes++;
    add_packed(tally, 1);
}

void ext2dax_tally_root(const struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory)
{
    (void)tally;
    directory->blocks = 1;
    directory->used = DOTS + LOST_FOUND_DIRENT;
}

/*
 * Counts as if each name went to the last block. The library takes the first block with room, and
 * so never needs more blocks.
 */
void ext2dax_tally_name(struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory, size_t length)
{
    uint32_t bytes = (EXT2DAX_DIRENT_HEADER + (uint32_t)length + 3) & ~(uint32_t)3;
    struct counts c;

    if (directory->used + bytes <= tally->block_size) {
        directory->used += bytes;
        return;
    }
    memset(&c, 0, sizeof(c));
    count_run(tally, &c, 0, directory->blocks - 1, 0);
    c.blocks = 0;
    count_run(tally, &c, directory->blocks, directory->blocks, 0);
    add_packed(tally, c.blocks);
    directory->blocks++;
    directory->used = bytes;
}

void ext2dax_tally_attributes(struct ext2dax_tally *tally, uint64_t bytes)
{
    if (bytes > tally->in_inode)
        add_packed(tally, 1);
}
