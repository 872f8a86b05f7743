/* SPDX-License-Identifier: MIT */
/*
 * The smallest image for a tally.
 *
 * An empty image has E whole free extents and L loose free blocks. A tree needs R extents and P
 * packed blocks. The allocator uses all loose blocks before an extent is broken, and breaks a
 * single extent at a time. So the tree fits, in every order of calls, if and only if
 *
 *     E >= R + (P - L) / blocks of an extent, rounded up
 *
 * E and L grow with the blocks of the last group, and jump down a little with each further group,
 * because a group has metadata of its own. So the search looks for the least number of groups
 * first. Each step adds the groups that are missing at least. The blocks of the last group follow
 * by bisection.
 */
#include "ext2dax/build.h"

#include "base/internal.h"
#include "disk/layout.h"

#define RESERVED_INODES 11u /* in use in an empty image, lost+found included */

/* Room in groups. */
struct capacity {
    uint64_t extents; /* whole and free */
    uint64_t free;    /* blocks */
};

struct search {
    const struct ext2dax_tally *tally;
    struct ext2dax_format_options options;
    struct e2d_layout layout;
    struct capacity before; /* of all groups but the last */
    uint64_t room;          /* blocks */
};

static void add_group(const struct search *s, uint32_t group, struct capacity *capacity)
{
    const struct e2d_layout *l = &s->layout;
    uint32_t shift = s->tally->pmd_shift, skew = e2d_layout_skew(l->first, shift);
    uint32_t blocks = e2d_layout_blocks(l, group), used = e2d_layout_overhead(l, group);
    uint32_t whole = blocks > skew ? (blocks - skew) >> shift : 0;
    /* A group that begins before the first aligned block has an extent less. */
    uint32_t most = (l->blocks_per_group - skew) >> shift;
    uint32_t broken = used > skew ? (used - skew + ((uint32_t)1 << shift) - 1) >> shift : 0;

    whole = e2d_min32(whole, most);
    capacity->extents += whole > broken ? whole - broken : 0;
    capacity->free += blocks - used;
}

/* Returns the extents which the image lacks, after the capacity of the last group was added. */
static uint64_t missing(const struct search *s)
{
    const struct ext2dax_tally *t = s->tally;
    struct capacity c = s->before;
    uint64_t packed, loose, needed = t->ranges, in_extent = (uint64_t)1 << t->pmd_shift;

    add_group(s, s->layout.groups - 1, &c);
    packed = t->packed + s->room + e2d_layout_reserved(&s->layout, &s->options);
    loose = c.free - (c.extents << t->pmd_shift);
    if (packed > loose)
        needed += (packed - loose + in_extent - 1) >> t->pmd_shift;
    return needed > c.extents ? needed - c.extents : 0;
}

/* Lays out `groups` whole groups. Returns 0, EINVAL for too few groups, or EOVERFLOW. */
static int lay_out(struct search *s, uint64_t groups)
{
    struct e2d_layout *l = &s->layout;
    struct ext2dax_report why;
    uint64_t blocks = groups * l->blocks_per_group;
    uint32_t group;
    int error;

    if (groups > UINT32_MAX || blocks > UINT32_MAX - l->first)
        return -EXT2DAX_EOVERFLOW;
    error = e2d_layout_groups(l, (uint32_t)blocks + l->first, &s->options, 0, &why);
    if (error != 0)
        return error;
    if (l->blocks_per_group < e2d_layout_overhead(l, 0))
        return -EXT2DAX_EINVAL;
    memset(&s->before, 0, sizeof(s->before));
    for (group = 0; group + 1 < l->groups; group++)
        add_group(s, group, &s->before);
    return 0;
}

static int find_groups(struct search *s)
{
    const struct ext2dax_tally *t = s->tally;
    uint64_t needed = (t->ranges << t->pmd_shift) + t->packed + s->room, groups = 1, lack;
    int error;

    if (needed > UINT32_MAX)
        return -EXT2DAX_EOVERFLOW;
    groups += e2d_layout_quotient((uint32_t)needed, t->group_blocks);
    for (groups -= groups > 1;; groups += lack) {
        error = lay_out(s, groups);
        if (error != 0 && error != -EXT2DAX_EINVAL)
            return error;
        lack = error == 0 ? missing(s) : 1;
        if (lack == 0)
            return 0;
        /*
         * The groups for the extents which are missing, rounded down, and a single group at least.
         */
        if (lack > UINT32_MAX)
            return -EXT2DAX_EOVERFLOW;
        lack = e2d_layout_quotient((uint32_t)lack, t->group_blocks >> t->pmd_shift);
        lack = lack != 0 ? lack : 1;
    }
}

/* Finds the least blocks of the last group, which suffice if the group is whole. */
static void find_blocks(struct search *s)
{
    struct e2d_layout *l = &s->layout;
    uint32_t start = e2d_layout_first(l, l->groups - 1);
    uint32_t least = e2d_layout_overhead(l, l->groups - 1), most = l->blocks_per_group;

    while (least < most) {
        uint32_t middle = least + (most - least) / 2;

        l->blocks = start + middle;
        if (missing(s) == 0)
            most = middle;
        else
            least = middle + 1;
    }
    l->blocks = start + least;
}

int ext2dax_tally_plan(const struct ext2dax_tally *tally, uint64_t room, struct ext2dax_image_plan *plan)
{
    uint64_t inodes = e2d_max64(tally->inodes + RESERVED_INODES, tally->least_inodes);
    struct ext2dax_report why;
    struct capacity all;
    struct search s;
    int error;

    memset(plan, 0, sizeof(*plan));
    memset(&s, 0, sizeof(s));
    if (inodes > UINT32_MAX || room >> tally->block_shift > UINT32_MAX || tally->ranges > UINT32_MAX ||
        tally->packed > UINT32_MAX)
        return -EXT2DAX_EOVERFLOW;
    /* The metadata of a group takes a part of the only range, and no number of groups suffices. */
    if (tally->ranges != 0 && tally->group_blocks >> tally->pmd_shift < 2)
        return -EXT2DAX_EINVAL;
    s.tally = tally;
    s.room = (room + tally->block_size - 1) >> tally->block_shift;
    s.options.block_size = tally->block_size;
    s.options.blocks_per_group = tally->group_blocks;
    s.options.inode_size = tally->inode_size;
    s.options.inodes = (uint32_t)inodes;
    s.options.reserved_percent = tally->reserved;
    error = e2d_layout_options(&s.layout, &s.options, &why);
    if (error == 0)
        error = find_groups(&s);
    if (error != 0)
        return error;
    find_blocks(&s);

    all = s.before;
    add_group(&s, s.layout.groups - 1, &all);
    plan->size = (uint64_t)s.layout.blocks << tally->block_shift;
    plan->content = tally->blocks << tally->block_shift;
    plan->free = (all.free - tally->blocks) << tally->block_shift;
    plan->inodes = (uint32_t)inodes;
    plan->extents = (uint32_t)all.extents;
    plan->groups = s.layout.groups;
    return 0;
}
