/* SPDX-License-Identifier: MIT */
/*
 * The base of the checker. Validates the geometry before locating anything by it, locates
 * descriptors and inodes, and reports findings.
 */
#include "check_image.h"

#include <limits.h>

#include "ext2dax/error.h"

#define get16 e2dt_check_get16
#define get32 e2dt_check_get32

void e2dt_check_report(struct e2dt_check *a, const char *what, uint32_t inode, uint64_t block, uint64_t expected,
                       uint64_t found)
{
    struct ext2dax_finding finding = {what, inode, block, expected, found};

    if (a->findings < INT_MAX)
        a->findings++;
    if (a->found)
        a->found(a->arg, &finding);
}

static bool bad_geometry(struct e2dt_check *a, const char *what, uint64_t expected, uint64_t found)
{
    e2dt_check_report(a, what, 0, 0, expected, found);
    return false;
}

static bool read_blocks(struct e2dt_check *a, const struct ext2dax_disk_super *s)
{
    uint32_t log = get32(s->log_block_size);

    if (log > EXT2DAX_MAX_LOG_BLOCK)
        return bad_geometry(a, "superblock: block size", EXT2DAX_MAX_LOG_BLOCK, log);
    a->block_shift = 10 + log;
    a->block_size = 1024u << log;
    a->pointers_shift = a->block_shift - 2;
    a->first = get32(s->first_data_block);
    a->blocks = get32(s->blocks_count);
    if (a->first != (log == 0))
        return bad_geometry(a, "superblock: first data block", log == 0, a->first);
    if (a->blocks <= a->first || a->blocks > a->size >> a->block_shift)
        return bad_geometry(a, "superblock: block count", a->size >> a->block_shift, a->blocks);
    if (get32(s->log_frag_size) != log)
        return bad_geometry(a, "superblock: fragment size", log, get32(s->log_frag_size));
    a->blocks_per_group = get32(s->blocks_per_group);
    if (a->blocks_per_group == 0 || a->blocks_per_group > 8 * a->block_size)
        return bad_geometry(a, "superblock: blocks per group", 8ull * a->block_size, a->blocks_per_group);
    a->groups = (a->blocks - a->first - 1) / a->blocks_per_group + 1;
    return true;
}

static bool read_inodes(struct e2dt_check *a, const struct ext2dax_disk_super *s)
{
    bool classic = get32(s->revision) == 0;

    a->inode_size = classic ? EXT2DAX_INODE_SIZE_REV0 : get16(s->inode_size);
    a->first_inode = classic ? EXT2DAX_FIRST_INODE_REV0 : get32(s->first_inode);
    a->inodes_per_group = get32(s->inodes_per_group);
    a->inodes = get32(s->inodes_count);
    if (a->inode_size < 128 || a->inode_size > a->block_size || (a->inode_size & (a->inode_size - 1)) != 0)
        return bad_geometry(a, "superblock: inode size", 128, a->inode_size);
    if (a->inodes_per_group == 0 || a->inodes_per_group > 8 * a->block_size)
        return bad_geometry(a, "superblock: inodes per group", 8ull * a->block_size, a->inodes_per_group);
    if (a->inodes != (uint64_t)a->groups * a->inodes_per_group)
        return bad_geometry(a, "superblock: inode count", (uint64_t)a->groups * a->inodes_per_group, a->inodes);
    if (a->first_inode < EXT2DAX_FIRST_INODE_REV0 || a->first_inode > a->inodes)
        return bad_geometry(a, "superblock: first inode", EXT2DAX_FIRST_INODE_REV0, a->first_inode);
    a->table_blocks = (uint32_t)(((uint64_t)a->inodes_per_group * a->inode_size + a->block_size - 1) >> a->block_shift);
    /* Bounds the memory per inode by the image size, regardless of the superblock. */
    if (a->table_blocks > a->blocks_per_group)
        return bad_geometry(a, "superblock: inodes per group", a->blocks_per_group, a->table_blocks);
    return true;
}

static bool read_descriptors(struct e2dt_check *a, const struct ext2dax_disk_super *s)
{
    a->descriptors = a->block_size / (uint32_t)sizeof(struct ext2dax_disk_group);
    a->descriptor_blocks = (a->groups - 1) / a->descriptors + 1;
    a->sparse = (get32(s->ro_compat) & EXT2DAX_RO_COMPAT_SPARSE_SUPER) != 0;
    a->sparse2 = (get32(s->compat) & EXT2DAX_COMPAT_SPARSE_SUPER2) != 0;
    a->dir_nlink = (get32(s->ro_compat) & EXT2DAX_RO_COMPAT_DIR_NLINK) != 0;
    a->huge_file = (get32(s->ro_compat) & EXT2DAX_RO_COMPAT_HUGE_FILE) != 0;
    a->hurd = get32(s->creator_os) == EXT2DAX_CREATOR_HURD;
    a->filetype = (get32(s->incompat) & EXT2DAX_INCOMPAT_FILETYPE) != 0;
    a->meta_groups = (get32(s->incompat) & EXT2DAX_INCOMPAT_META_BG) != 0;
    a->old_descriptor_blocks = a->descriptor_blocks;
    a->reserved_descriptors = get16(s->reserved_gdt_blocks);
    if (a->meta_groups) {
        a->reserved_descriptors = 0;
        a->old_descriptor_blocks = get32(s->first_meta_bg);
        if (a->old_descriptor_blocks > a->descriptor_blocks)
            return bad_geometry(a, "superblock: first meta group", a->descriptor_blocks, a->old_descriptor_blocks);
    }
    if (1ull + a->old_descriptor_blocks + a->reserved_descriptors > e2dt_check_group_blocks(a, 0))
        return bad_geometry(a, "superblock: descriptors do not fit the first group", e2dt_check_group_blocks(a, 0),
                            1ull + a->old_descriptor_blocks + a->reserved_descriptors);
    return true;
}

int e2dt_check_geometry(struct e2dt_check *a)
{
    const struct ext2dax_disk_super *s = (const void *)(a->base + EXT2DAX_SUPER_OFFSET);

    if (a->size < EXT2DAX_SUPER_OFFSET + sizeof(*s) || get16(s->magic) != EXT2DAX_SUPER_MAGIC)
        return -EXT2DAX_EINVAL;
    if ((get32(s->incompat) & ~EXT2DAX_INCOMPAT_KNOWN) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    a->super = s;
    return read_blocks(a, s) && read_inodes(a, s) && read_descriptors(a, s) ? 0 : 1;
}

bool e2dt_check_has_super(const struct e2dt_check *a, uint32_t group)
{
    uint32_t base;

    if (a->sparse2)
        return group == 0 || group == get32(a->super->backup_groups[0]) || group == get32(a->super->backup_groups[1]);
    if (!a->sparse || group <= 1)
        return true;
    for (base = 3; base <= 7; base += 2) {
        uint32_t rest = group;

        while (rest % base == 0)
            rest /= base;
        if (rest == 1)
            return true;
    }
    return false;
}

/* `which` is 0, 1 or 2 for the copy in the first, second or last group of the meta group. */
uint32_t e2dt_check_meta_descriptor(const struct e2dt_check *a, uint32_t table, uint32_t which)
{
    uint32_t group = table * a->descriptors + (which == 2 ? a->descriptors - 1 : which);

    return e2dt_check_group_first(a, group) + e2dt_check_has_super(a, group);
}

const struct ext2dax_disk_group *e2dt_check_descriptor(const struct e2dt_check *a, uint32_t group)
{
    uint32_t table = group / a->descriptors;
    uint32_t block = table < a->old_descriptor_blocks ? a->first + 1 + table : e2dt_check_meta_descriptor(a, table, 0);

    if (block >= a->blocks)
        return NULL;
    return (const struct ext2dax_disk_group *)e2dt_check_block(a, block) + group % a->descriptors;
}

const struct ext2dax_disk_inode *e2dt_check_inode_at(const struct e2dt_check *a, uint32_t number)
{
    const struct ext2dax_disk_group *d;
    uint32_t group, table;

    if (number == 0 || number > a->inodes)
        return NULL;
    if (a->first_table && number <= a->inodes_per_group)
        return (const void *)(a->first_table + (size_t)(number - 1) * a->inode_size);
    group = (number - 1) / a->inodes_per_group;
    d = e2dt_check_descriptor(a, group);
    if (!d)
        return NULL;
    table = get32(d->inode_table);
    if (!e2dt_check_in_image(a, table) || (uint64_t)table + a->table_blocks > a->blocks)
        return NULL;
    return (const void *)((const uint8_t *)e2dt_check_block(a, table) +
                          (size_t)((number - 1) % a->inodes_per_group) * a->inode_size);
}

uint64_t e2dt_check_inode_size(const struct ext2dax_disk_inode *inode)
{
    uint64_t size = get32(inode->size);

    if ((get16(inode->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG)
        size |= (uint64_t)get32(inode->dir_acl) << 32;
    return size;
}

uint64_t e2dt_check_inode_sectors(const struct e2dt_check *a, const struct ext2dax_disk_inode *inode)
{
    uint64_t count = get32(inode->sectors);

    if (!a->huge_file)
        return count;
    count += ((uint64_t)inode->frag_size << 40) + ((uint64_t)inode->frag_number << 32);
    return (get32(inode->flags) & EXT2DAX_FL_HUGE_FILE) != 0 ? count * (a->block_size / 512) : count;
}

bool e2dt_check_inode_marked(const struct e2dt_check *a, uint32_t number)
{
    const struct ext2dax_disk_group *d;

    if (a->first_inode_bitmap && number <= a->inodes_per_group)
        return e2dt_check_bit(a->first_inode_bitmap, number - 1);
    d = e2dt_check_descriptor(a, (number - 1) / a->inodes_per_group);
    return e2dt_check_bit(e2dt_check_block(a, get32(d->inode_bitmap)), (number - 1) % a->inodes_per_group);
}

bool e2dt_check_in_use(const struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    unsigned held = a->flags & (EXT2DAX_CHECK_UNLINKED_OK | EXT2DAX_CHECK_LEAKS_OK);

    if (get16(inode->links) != 0)
        return true;
    return held == EXT2DAX_CHECK_UNLINKED_OK && get16(inode->mode) != 0 && e2dt_check_inode_marked(a, number);
}
