/* SPDX-License-Identifier: MIT */
/*
 * Layout of a new image. Nothing but arithmetic of 32 bits, so that equal options and sizes give
 * equal layouts everywhere.
 */
#include "disk/layout.h"

/*
 * Minimum of inodes per group. The reserved inodes are all in group 0, which still has a few left.
 */
#define MIN_INODES 16u
/* Maximum of blocks or inodes per group. A multiple of 8 with free counts of at most 16 bits. */
#define MAX_COUNT       65528u
#define INODE_RATIO_LOG 14  /* one inode per 16 KiB, */
#define TABLE_RATIO_LOG 6   /* and inode tables of at most a 64th of the image */
#define MAX_INODE_SHIFT 15u /* the size of an inode has 16 bits in the superblock */

static E2D_OUT_OF_LINE int refuse(struct ext2dax_report *why, int error, const char *structure, const char *field,
                                  uint64_t value, const char *reason)
{
    const struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR,   -error, structure, 0, field, value,
                                          E2D_OWN_REASON(reason)};

    *why = report;
    return -error;
}

static E2D_OUT_OF_LINE uint32_t quotient_up(uint32_t n, uint32_t d)
{
    uint32_t q = e2d_layout_quotient(n, d);

    return q + (q * d != n);
}

bool e2d_layout_has_copy(uint32_t group)
{
    static const uint8_t bases[] = {3, 5, 7};
    uint64_t power;
    unsigned i;

    if (group <= 1)
        return true;
    for (i = 0; i < sizeof(bases); i++) {
        for (power = bases[i]; power < group;)
            power *= bases[i];
        if (power == group)
            return true;
    }
    return false;
}

uint32_t e2d_layout_head(const struct e2d_layout *l, uint32_t group)
{
    return e2d_layout_has_copy(group) ? 1 + l->descriptor_blocks : 0;
}

uint32_t e2d_layout_overhead(const struct e2d_layout *l, uint32_t group)
{
    return e2d_layout_head(l, group) + E2D_LAYOUT_BITMAPS + l->table_blocks + (group == 0 ? E2D_LAYOUT_DIRECTORIES : 0);
}

/* Stores log2 of `size` in *shift. Returns false if `size` is no power of two in the range. */
static bool log_of(uint32_t size, uint32_t least, uint32_t most, uint32_t *shift)
{
    for (*shift = least; *shift < most; ++*shift)
        if (size >> *shift <= 1)
            break;
    return size == (uint32_t)1 << *shift;
}

int e2d_layout_options(struct e2d_layout *l, const struct ext2dax_format_options *o, struct ext2dax_report *why)
{
    uint32_t most;

    memset(l, 0, sizeof(*l));
    l->block_size = o->block_size != 0 ? o->block_size : 4096;
    if (!log_of(l->block_size, 10, 10 + EXT2DAX_MAX_LOG_BLOCK, &l->block_shift))
        return refuse(why, EXT2DAX_EINVAL, "options", "block size", l->block_size,
                      "not a power of two from 1024 to 65536");
    l->first = l->block_size == 1024;

    most = e2d_min32(8 * l->block_size, MAX_COUNT);
    /*
     * The default makes a group a multiple of the PMD range. A PMD range has at most as many blocks
     * as a pointer block has pointers.
     */
    l->blocks_per_group = o->blocks_per_group != 0 ? o->blocks_per_group : most & ~(l->block_size / 4 - 1);
    if ((l->blocks_per_group & 7) != 0 || l->blocks_per_group > most)
        return refuse(why, EXT2DAX_EINVAL, "options", "blocks per group", l->blocks_per_group,
                      "not a multiple of 8, or more than a bitmap block and a free count hold");
    if (o->reserved_percent > 50)
        return refuse(why, EXT2DAX_EINVAL, "options", "reserved percent", o->reserved_percent, "more than 50");
    if (o->time < 0 || o->time > (int64_t)UINT32_MAX)
        return refuse(why, EXT2DAX_EINVAL, "options", "time", (uint64_t)o->time, "does not fit 32 bits");
    if ((o->without & ~(EXT2DAX_COMPAT_DIR_INDEX | EXT2DAX_COMPAT_EXT_ATTR)) != 0)
        return refuse(why, EXT2DAX_EINVAL, "options", "features left out", o->without,
                      "only dir_index and ext_attr can be");
    if (o->root_mode > 0xFFF)
        return refuse(why, EXT2DAX_EINVAL, "options", "mode of the root", o->root_mode, "more than 12 bits");

    /*
     * The room after the classic 128 bytes holds nanoseconds and small attributes. Images with
     * small blocks are small, and profit more from an inode table of half the size.
     */
    l->inode_size = o->inode_size != 0 ? o->inode_size : l->block_size < 4096 ? 128 : 256;
    if (!log_of(l->inode_size, 7, e2d_min32(l->block_shift, MAX_INODE_SHIFT), &l->inode_shift))
        return refuse(why, EXT2DAX_EINVAL, "options", "inode size", l->inode_size,
                      "not a power of two from 128 to the block size or 32768");
    return 0;
}

/*
 * Computes the inodes per group. The inodes fill whole blocks of the table and whole bytes of the
 * bitmap.
 */
static int plan_inodes(struct e2d_layout *l, uint32_t asked, uint64_t bytes, struct ext2dax_report *why)
{
    uint32_t in_block = l->block_size >> l->inode_shift, grain = in_block > 8 ? in_block : 8;
    uint32_t most =
        e2d_min32(e2d_min32(8 * l->block_size, MAX_COUNT), e2d_layout_quotient(UINT32_MAX, l->groups)) & ~(grain - 1);
    uint32_t ratio_log = l->inode_shift + TABLE_RATIO_LOG;
    uint32_t wanted, count;

    if (ratio_log < INODE_RATIO_LOG)
        ratio_log = INODE_RATIO_LOG;
    wanted = asked != 0 ? asked : (uint32_t)e2d_min64(bytes >> ratio_log, UINT32_MAX);
    count = quotient_up(wanted, l->groups);
    if (count < MIN_INODES)
        count = MIN_INODES;
    count = e2d_min32(count, MAX_COUNT + 1); /* so that rounding up cannot overflow */
    count = (count + grain - 1) & ~(grain - 1);
    if (count > most && asked != 0)
        return refuse(why, EXT2DAX_EINVAL, "options", "inodes", asked,
                      "more than the groups' bitmaps and counters hold");
    l->inodes_per_group = e2d_min32(count, most);
    l->table_blocks = l->inodes_per_group >> (l->block_shift - l->inode_shift);
    return 0;
}

int e2d_layout_groups(struct e2d_layout *l, uint32_t blocks, const struct ext2dax_format_options *o, uint64_t bytes,
                      struct ext2dax_report *why)
{
    uint64_t descriptors;

    l->blocks = blocks;
    l->groups = quotient_up(blocks - l->first, l->blocks_per_group);
    descriptors = (uint64_t)l->groups * sizeof(struct ext2dax_disk_group);
    l->descriptor_blocks = (uint32_t)((descriptors + l->block_size - 1) >> l->block_shift);
    return plan_inodes(l, o->inodes, bytes, why);
}

int e2d_layout_plan(struct e2d_layout *l, const struct ext2dax_format_options *o, uint64_t bytes,
                    struct ext2dax_report *why)
{
    uint32_t last;
    int error = e2d_layout_options(l, o, why);

    if (error != 0)
        return error;
    if (bytes >> l->block_shift > UINT32_MAX)
        return refuse(why, EXT2DAX_EOVERFLOW, "image", "blocks", bytes >> l->block_shift, "block numbers have 32 bits");

    for (l->blocks = (uint32_t)(bytes >> l->block_shift);; l->blocks -= last) {
        if (l->blocks <= l->first)
            return refuse(why, EXT2DAX_ENOSPC, "image", "size", bytes, "too small for a filesystem");
        error = e2d_layout_groups(l, l->blocks, o, bytes, why);
        if (error != 0)
            return error;
        last = e2d_layout_blocks(l, l->groups - 1);
        if (l->groups == 1) {
            if (last >= e2d_layout_overhead(l, 0))
                return 0;
            return refuse(why, EXT2DAX_ENOSPC, "image", "size", bytes, "too small for a filesystem");
        }
        /* Group 0 needs the most blocks of all groups. */
        if (l->blocks_per_group < e2d_layout_overhead(l, 0))
            return refuse(why, o->blocks_per_group != 0 || o->inodes != 0 ? EXT2DAX_EINVAL : EXT2DAX_EOVERFLOW, "image",
                          "metadata blocks of a group", e2d_layout_overhead(l, 0), "do not fit a group");
        if (last >= e2d_layout_overhead(l, l->groups - 1))
            return 0;
    }
}

uint32_t e2d_layout_reserved(const struct e2d_layout *l, const struct ext2dax_format_options *o)
{
    uint32_t hundredth = e2d_layout_quotient(l->blocks, 100);

    return hundredth * o->reserved_percent +
           e2d_layout_quotient((l->blocks - hundredth * 100) * o->reserved_percent, 100);
}
