/* SPDX-License-Identifier: MIT */
/*
 * Block groups and descriptors.
 *
 * Validation is a single pass, which reads nothing before the location is known to be inside the
 * image. The head of a group is checked against the size of the group first. A descriptor is always
 * in the head of a group checked earlier (group 0, or the first group of the meta group). The
 * system zones and all users of bitmaps and inode tables rely on this validation.
 */
#include "disk/group.h"

#include "base/persist.h"
#include "disk/layout.h"

#if !E2D_FOR_SPEED
uint32_t e2d_group_of(const struct ext2dax_mount *m, uint32_t block)
{
    return e2d_group_inline(m, block);
}
#endif

uint32_t e2d_group_first(const struct ext2dax_mount *m, uint32_t group)
{
    return m->first_data_block + group * m->blocks_per_group;
}

uint32_t e2d_group_blocks(const struct ext2dax_mount *m, uint32_t group)
{
    /* After the last group the difference would wrap to a large number of blocks. */
    E2D_ASSERT(m, group < m->groups);
    return e2d_min32(m->blocks - e2d_group_first(m, group), m->blocks_per_group);
}

uint32_t e2d_table_blocks(const struct ext2dax_mount *m)
{
    /* Fits 32 bits. At most 65535 inodes of at most 64 KiB each. */
    uint32_t bytes_less_one = m->inodes_per_group * m->inode_size - 1;

    return (bytes_less_one >> m->block_shift) + 1;
}

bool e2d_has_super(const struct ext2dax_mount *m, uint32_t group)
{
    if (m->sparse_super2)
        return group == 0 || group == m->backup_groups[0] || group == m->backup_groups[1];
    return !m->sparse_super || e2d_layout_has_copy(group);
}

/*
 * Descriptor blocks below first_meta_group follow every superblock copy, all together. Each later
 * descriptor block is stored in the meta group which the block describes, in the first, the second
 * and the last group.
 */
uint32_t e2d_group_head(const struct ext2dax_mount *m, uint32_t group)
{
    bool has_super = e2d_has_super(m, group);
    uint32_t in_meta_group = ((uint32_t)1 << m->descriptors_shift) - 1;
    uint32_t place = group & in_meta_group;

    if (m->first_meta_group == UINT32_MAX)
        return has_super ? 1 + m->descriptor_blocks + m->reserved_descriptors : 0;
    if (group >> m->descriptors_shift < m->first_meta_group)
        return has_super ? 1 + m->first_meta_group : 0;
    return (has_super ? 1u : 0u) + (place <= 1 || place == in_meta_group ? 1u : 0u);
}

uint32_t e2d_descriptor_block(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t which = group >> m->descriptors_shift;
    uint32_t home;

    if (which < m->first_meta_group)
        return m->first_data_block + 1 + which;
    home = which << m->descriptors_shift;
    return e2d_group_first(m, home) + (e2d_has_super(m, home) ? 1 : 0);
}

struct ext2dax_disk_group *e2d_descriptor(const struct ext2dax_mount *m, uint32_t group)
{
    struct ext2dax_disk_group *block = e2d_block(m, e2d_descriptor_block(m, group));

    return block + (group & (((uint32_t)1 << m->descriptors_shift) - 1));
}

int(e2d_group_refuse)(struct ext2dax_mount *m, uint32_t group, const char *field,
                      uint32_t value E2D_REASON(const char *reason))
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "group", group, field, value, E2D_REASON_OR_NULL(reason));
}

/* Returns whether [block, block + count) is inside the group and after the head of the group. */
static bool behind_head(const struct ext2dax_mount *m, uint32_t group, uint32_t block, uint32_t count)
{
    uint32_t first = e2d_group_first(m, group), blocks = e2d_group_blocks(m, group);
    uint32_t head = e2d_group_head(m, group);

    return block >= first && block - first >= head && block - first < blocks && count <= blocks - (block - first);
}

static int validate_places(struct ext2dax_mount *m, uint32_t group, const struct ext2dax_disk_group *descriptor)
{
    static const char outside[] = "outside the group, or inside the descriptors";
    uint32_t block_bitmap = e2d_get32(descriptor->block_bitmap);
    uint32_t inode_bitmap = e2d_get32(descriptor->inode_bitmap);
    uint32_t table = e2d_get32(descriptor->inode_table), table_blocks = e2d_table_blocks(m);

    if (!behind_head(m, group, block_bitmap, 1))
        return e2d_group_refuse(m, group, "block bitmap", block_bitmap, outside);
    if (!behind_head(m, group, inode_bitmap, 1))
        return e2d_group_refuse(m, group, "inode bitmap", inode_bitmap, outside);
    if (!behind_head(m, group, table, table_blocks))
        return e2d_group_refuse(m, group, "inode table", table, outside);
    if (block_bitmap == inode_bitmap)
        return e2d_group_refuse(m, group, "inode bitmap", inode_bitmap, "is the block bitmap");
    /* Unsigned arithmetic. A block before the table wraps to a large distance. */
    if (block_bitmap - table < table_blocks)
        return e2d_group_refuse(m, group, "block bitmap", block_bitmap, "is in the inode table");
    if (inode_bitmap - table < table_blocks)
        return e2d_group_refuse(m, group, "inode bitmap", inode_bitmap, "is in the inode table");
    return 0;
}

int e2d_groups_validate(struct ext2dax_mount *m)
{
    uint32_t in_block = ((uint32_t)1 << m->descriptors_shift) - 1;
    uint32_t group;
    int error;

    for (group = 0; group < m->groups; group++) {
        const struct ext2dax_disk_group *descriptor;
        uint32_t blocks = e2d_group_blocks(m, group);

        /* Head, bitmaps and table are below 2^28 each, so the sum does not wrap. */
        if (e2d_group_head(m, group) + 2 + e2d_table_blocks(m) > blocks)
            return e2d_group_refuse(m, group, "block count", blocks, "too few for the metadata of the group");
        if ((group & in_block) == 0) {
            error = e2d_check(m, e2d_block(m, e2d_descriptor_block(m, group)), m->block_size);
            if (error)
                return error;
        }
        descriptor = e2d_descriptor(m, group);
        error = validate_places(m, group, descriptor);
        if (error)
            return error;
    }
    return 0;
}

/* ---- counters ---- */

/* Returns the blocks of the group which are not metadata of the group. */
static uint32_t data_blocks(const struct ext2dax_mount *m, uint32_t group)
{
    return e2d_group_blocks(m, group) - (e2d_group_head(m, group) + 2 + e2d_table_blocks(m));
}

/* Fills the report with the first impossible counter of the group. Returns false if none. */
static bool impossible(const struct ext2dax_mount *m, uint32_t group, struct ext2dax_report *report)
{
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t free_blocks = e2d_get16(descriptor->free_blocks);
    uint32_t free_inodes = e2d_get16(descriptor->free_inodes);
    uint32_t directories = e2d_get16(descriptor->used_dirs);

    if (free_blocks > data_blocks(m, group)) {
        report->field = "free block count";
        report->value = free_blocks;
    } else if (free_inodes > m->inodes_per_group) {
        report->field = "free inode count";
        report->value = free_inodes;
    } else if (directories > m->inodes_per_group) {
        report->field = "directory count";
        report->value = directories;
    } else {
        return false;
    }
    report->reason = E2D_TEXT("more than fit in the group");
    return true;
}

int e2d_groups_counters(struct ext2dax_mount *m, bool read_only)
{
    struct ext2dax_report report;
    uint32_t met = 0;

    for (uint32_t group = 0; group < m->groups; group++) {
        if (!impossible(m, group, &report))
            continue;
        if (!read_only)
            return e2d_group_refuse(m, group, report.field, (uint32_t)report.value, report.reason);
        if (met++ == 0)
            e2d_warn(m, "group", group, report.field, report.value, report.reason);
    }
    if (met > 1)
        e2d_warn(m, "groups", m->groups, "impossible counts", met, "number of affected groups");
    return 0;
}

void e2d_groups_sums(const struct ext2dax_mount *m, uint32_t *free_blocks, uint32_t *free_inodes)
{
    uint32_t blocks = 0, inodes = 0;

    for (uint32_t group = 0; group < m->groups; group++) {
        const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);

        blocks += e2d_min32(e2d_get16(descriptor->free_blocks), data_blocks(m, group));
        inodes += e2d_min32(e2d_get16(descriptor->free_inodes), m->inodes_per_group);
    }
    *free_blocks = blocks;
    *free_inodes = inodes;
}
