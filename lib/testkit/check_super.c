/* SPDX-License-Identifier: MIT */
/*
 * The fixed structures. Claims the metadata blocks, and after the walk compares bitmaps and
 * counters with the results of the walk. Each count is computed from the bits of the bitmap, and
 * each bit is checked against the owner map, so no counter is compared only with another counter.
 */
#include "check_image.h"

#include <string.h>

#define get16 e2dt_check_get16
#define get32 e2dt_check_get32

#define XATTR_MAGIC 0xEA020000u

static void claim(struct e2dt_check *a, uint64_t block, uint64_t count, uint32_t as)
{
    for (; count > 0; count--, block++) {
        if (block < a->first || block >= a->blocks)
            e2dt_check_report(a, "metadata outside the image", 0, block, a->blocks, block);
        else if (a->owner[block] != 0)
            e2dt_check_report(a, "metadata overlaps metadata", 0, block, 0, a->owner[block]);
        else
            a->owner[block] = as;
    }
}

/* Claims the superblock copy and the descriptors at the start of a group. */
static void claim_head(struct e2dt_check *a, uint32_t group)
{
    uint64_t start = e2dt_check_group_first(a, group);
    bool copy = e2dt_check_has_super(a, group);
    uint32_t place = group % a->descriptors;

    if (copy)
        claim(a, start, 1, EXT2DAX_OWNER_METADATA);
    if (a->meta_groups && group / a->descriptors >= a->old_descriptor_blocks) {
        if (place <= 1 || place == a->descriptors - 1)
            claim(a, start + copy, 1, EXT2DAX_OWNER_METADATA);
    } else if (copy) {
        claim(a, start + 1, a->old_descriptor_blocks, EXT2DAX_OWNER_METADATA);
        claim(a, start + 1 + a->old_descriptor_blocks, a->reserved_descriptors, E2DT_CHECK_RESERVED);
    }
}

static bool in_group(struct e2dt_check *a, uint32_t group, uint32_t block, uint32_t count, const char *what)
{
    uint32_t start = e2dt_check_group_first(a, group);

    if (block >= start && (uint64_t)block + count <= (uint64_t)start + e2dt_check_group_blocks(a, group))
        return true;
    e2dt_check_report(a, what, 0, group, start, block);
    return false;
}

/*
 * Compares the constant fields of a copy, namely the magic number, the block and inode counts, and
 * the location of the groups' structures.
 */
static void compare_copy(struct e2dt_check *a, uint32_t group)
{
    uint32_t start = e2dt_check_group_first(a, group);
    const struct ext2dax_disk_super *copy = e2dt_check_block(a, start);
    const struct ext2dax_disk_group *table = e2dt_check_block(a, start + 1);
    uint32_t tables =
        a->meta_groups && group / a->descriptors >= a->old_descriptor_blocks ? 0 : a->old_descriptor_blocks;
    uint32_t i;

    if (get16(copy->magic) != EXT2DAX_SUPER_MAGIC)
        e2dt_check_report(a, "superblock copy: magic number", 0, start, EXT2DAX_SUPER_MAGIC, get16(copy->magic));
    else if (get32(copy->blocks_count) != a->blocks)
        e2dt_check_report(a, "superblock copy: block count", 0, start, a->blocks, get32(copy->blocks_count));
    else if (get32(copy->inodes_count) != a->inodes)
        e2dt_check_report(a, "superblock copy: inode count", 0, start, a->inodes, get32(copy->inodes_count));
    if ((uint64_t)start + 1 + tables > a->blocks)
        return;
    for (i = 0; i < a->groups && i / a->descriptors < tables; i++) {
        const struct ext2dax_disk_group *first = e2dt_check_descriptor(a, i);

        if (get32(table[i].block_bitmap) != get32(first->block_bitmap) ||
            get32(table[i].inode_bitmap) != get32(first->inode_bitmap) ||
            get32(table[i].inode_table) != get32(first->inode_table))
            e2dt_check_report(a, "descriptor copy differs", 0, start + 1, i, i);
    }
}

bool e2dt_check_metadata(struct e2dt_check *a)
{
    bool usable = true;
    uint32_t group;

    for (group = 0; group < a->groups; group++) {
        const struct ext2dax_disk_group *d = e2dt_check_descriptor(a, group);

        claim_head(a, group);
        if (!d) {
            e2dt_check_report(a, "group: descriptor outside the image", 0, group, 0, 0);
            usable = false;
            continue;
        }
        if (in_group(a, group, get32(d->block_bitmap), 1, "group: block bitmap outside its group"))
            claim(a, get32(d->block_bitmap), 1, EXT2DAX_OWNER_METADATA);
        else
            usable = false;
        if (in_group(a, group, get32(d->inode_bitmap), 1, "group: inode bitmap outside its group"))
            claim(a, get32(d->inode_bitmap), 1, EXT2DAX_OWNER_METADATA);
        else
            usable = false;
        if (in_group(a, group, get32(d->inode_table), a->table_blocks, "group: inode table outside its group"))
            claim(a, get32(d->inode_table), a->table_blocks, EXT2DAX_OWNER_METADATA);
        else
            usable = false;
    }
    if (usable) {
        a->first_table = e2dt_check_block(a, get32(e2dt_check_descriptor(a, 0)->inode_table));
        a->first_inode_bitmap = e2dt_check_block(a, get32(e2dt_check_descriptor(a, 0)->inode_bitmap));
    }
    for (group = 1; usable && group < a->groups; group++)
        if (e2dt_check_has_super(a, group))
            compare_copy(a, group);
    return usable;
}

/* ---- after every inode was walked ---- */

static void check_counter(struct e2dt_check *a, const char *what, uint32_t group, uint64_t expected, uint64_t found)
{
    if (expected != found && (a->flags & EXT2DAX_CHECK_LEAKS_OK) == 0)
        e2dt_check_report(a, what, 0, group, expected, found);
}

static void check_padding(struct e2dt_check *a, const char *what, const uint8_t *map, uint32_t group, uint32_t bits)
{
    uint32_t at = bits, byte = (bits + 7) >> 3;
    bool all = true;

    /*
     * Compares single bits up to a byte boundary and the remaining bytes with memcmp(), because
     * most of a small image's bitmap is padding.
     */
    for (; (at & 7) != 0; at++)
        all = all && e2dt_check_bit(map, at);
    if (byte < a->block_size)
        all = all && map[byte] == 0xFF && memcmp(map + byte, map + byte + 1, a->block_size - byte - 1) == 0;
    if (!all)
        e2dt_check_report(a, what, 0, group, 1, 0);
}

static void check_xattr_block(struct e2dt_check *a, uint32_t block)
{
    const struct ext2dax_le32 *header = e2dt_check_block(a, block);
    uint32_t references = a->xattr_references[block];
    uint32_t recorded = get32(header[1]);

    if (get32(header[0]) != XATTR_MAGIC || get32(header[2]) != 1)
        e2dt_check_report(a, "xattr block: header", a->owner[block], block, XATTR_MAGIC, get32(header[0]));
    else if (recorded < references || (recorded > references && (a->flags & EXT2DAX_CHECK_LEAKS_OK) == 0))
        e2dt_check_report(a, "xattr block: reference count", a->owner[block], block, references, recorded);
}

/*
 * Checks the block bitmap of a group against the owner map, and sets the final owners. Returns the
 * number of free blocks.
 */
static uint32_t check_blocks(struct e2dt_check *a, uint32_t group, const uint8_t *map)
{
    uint32_t start = e2dt_check_group_first(a, group);
    uint32_t count = e2dt_check_group_blocks(a, group);
    uint32_t free = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint32_t *owner = &a->owner[start + i];
        bool marked = e2dt_check_bit(map, i);

        free += !marked;
        if (*owner == 0) {
            if (!marked)
                continue;
            *owner = EXT2DAX_OWNER_LEAKED;
            if ((a->flags & EXT2DAX_CHECK_LEAKS_OK) == 0)
                e2dt_check_report(a, "block marked used without an owner", 0, start + i, 0, 1);
            continue;
        }
        if (!marked)
            e2dt_check_report(a,
                              *owner >= E2DT_CHECK_RESERVED ? "metadata marked free" : "block in use, but marked free",
                              *owner >= E2DT_CHECK_RESERVED ? 0 : *owner, start + i, 1, 0);
        if (*owner == E2DT_CHECK_RESERVED)
            *owner = EXT2DAX_OWNER_METADATA;
        if (a->xattr_references[start + i] != 0)
            check_xattr_block(a, start + i);
    }
    check_padding(a, "group: padding of the block bitmap", map, group, count);
    return free;
}

static uint32_t check_inodes(struct e2dt_check *a, uint32_t group, const uint8_t *map, uint32_t *directories)
{
    uint32_t free = 0;
    uint32_t i;

    *directories = 0;
    for (i = 0; i < a->inodes_per_group; i++) {
        uint32_t number = group * a->inodes_per_group + i + 1;
        const struct ext2dax_disk_inode *inode;

        if (!e2dt_check_bit(map, i)) {
            free++;
            continue;
        }
        inode = e2dt_check_inode_at(a, number);
        *directories += (get16(inode->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR && e2dt_check_in_use(a, number, inode);
    }
    check_padding(a, "group: padding of the inode bitmap", map, group, a->inodes_per_group);
    return free;
}

void e2dt_check_totals(struct e2dt_check *a)
{
    uint64_t free_blocks = 0, free_inodes = 0;
    uint32_t state = get16(a->super->state);
    uint32_t group;

    for (group = 0; group < a->first; group++)
        a->owner[group] = EXT2DAX_OWNER_METADATA;
    for (group = 0; group < a->groups; group++) {
        const struct ext2dax_disk_group *d = e2dt_check_descriptor(a, group);
        uint32_t blocks = check_blocks(a, group, e2dt_check_block(a, get32(d->block_bitmap)));
        uint32_t directories;
        uint32_t inodes = check_inodes(a, group, e2dt_check_block(a, get32(d->inode_bitmap)), &directories);

        check_counter(a, "group: free block count", group, blocks, get16(d->free_blocks));
        check_counter(a, "group: free inode count", group, inodes, get16(d->free_inodes));
        check_counter(a, "group: directory count", group, directories, get16(d->used_dirs));
        free_blocks += blocks;
        free_inodes += inodes;
    }
    check_counter(a, "superblock: free block count", 0, free_blocks, get32(a->super->free_blocks));
    check_counter(a, "superblock: free inode count", 0, free_inodes, get32(a->super->free_inodes));
    if (get32(a->super->reserved_blocks) > a->blocks)
        e2dt_check_report(a, "superblock: reserved block count", 0, 0, a->blocks, get32(a->super->reserved_blocks));
    if ((state & EXT2DAX_STATE_VALID) == 0 && (a->flags & (EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_LEAKS_OK)) == 0)
        e2dt_check_report(a, "superblock: not marked clean", 0, 0, EXT2DAX_STATE_VALID, state);
    if ((state & EXT2DAX_STATE_ERROR) != 0)
        e2dt_check_report(a, "superblock: marked as having errors", 0, 0, 0, state);
}
