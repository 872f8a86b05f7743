/* SPDX-License-Identifier: MIT */
/*
 * Ownership check. Every block has a single owner, with a size that covers the block.
 *
 * The check uses 1 bit per block. A block named by a tree is marked, and a block marked before has
 * two owners. So no block is walked twice, not even in a tree with a loop, and the check ends after
 * at most as many steps as the image has pointers. The first owner is not recorded. If a second
 * owner appears, the walk is repeated to find the first.
 *
 * Xattr blocks may be shared between inodes, but not with a tree. Xattr blocks are compared after
 * all trees are marked. Two reserved inodes own metadata on purpose, namely the bad blocks inode
 * and the resize inode (blocks reserved for the growth of the descriptors, and their backups).
 * Metadata in the trees of these two is skipped, and not followed.
 */
#include "ext2dax/mount.h"

#include "base/bitmap.h"
#include "tree/walk.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "base/persist.h"
#include "disk/system_zone.h"
#include "base/skips.h"

#define FOUND (-EXT2DAX_EEXIST) /* ends a search */

struct scan {
    struct ext2dax_mount *m;
    uint8_t *owned;  /* 1 bit per block, or NULL during the search for `wanted` */
    uint32_t wanted; /* the block with an unknown first owner */
    uint32_t owner;  /* the first owner, or 0 until found */
    uint32_t number; /* the inode being walked */
    bool file;       /* the inode is a regular file */
    uint64_t size;   /* bytes of the file or directory, or UINT64_MAX for an inode without an end */
    bool told;       /* a block at the end was reported */
};

static int refuse(struct ext2dax_mount *m, uint32_t number, uint32_t block, const char *reason)
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "block pointer", block, reason);
}

static int walk_all(struct scan *scan);

/* Reports the second owner and, with a walk of its own, the first. */
static int two_owners(struct scan *scan, uint32_t number, uint32_t block)
{
    struct scan search = {.m = scan->m, .wanted = block};
    int error = refuse(scan->m, number, block, "belongs to another inode too");

    (void)walk_all(&search);
    if (search.owner)
        (void)refuse(scan->m, search.owner, block, "is the other owner");
    return error;
}

/*
 * Reports a block past the end. A block exactly at the end of a file, and pointer blocks that lead
 * to none or to this block, are a warning, because extending the file frees such blocks before
 * exposing them.
 */
static int past_end(struct scan *scan, uint32_t block, uint64_t logical, unsigned level)
{
    if (level == 0 && (!scan->file || logical << scan->m->block_shift != scan->size))
        return refuse(scan->m, scan->number, block, "is past the end of the file");
    if (!scan->told)
        e2d_warn(scan->m, "inode", scan->number, "block pointer", block, "is past the last byte of the file");
    scan->told = true;
    return 1;
}

/* Checks a block named by the inode being walked. */
static int visit(void *arg, uint32_t block, uint64_t logical, unsigned level)
{
    struct scan *scan = arg;
    struct ext2dax_mount *m = scan->m;
    uint32_t number = scan->number;

    if (e2d_zone_offender(m, block, 1) != 0) {
        if (block >= m->blocks)
            return refuse(m, number, block, "is outside the image");
        return e2d_may_own_metadata(m, number) ? 0 : refuse(m, number, block, "is metadata");
    }
    if (!scan->owned) {
        if (block != scan->wanted)
            return 1;
        scan->owner = number;
        return FOUND;
    }
    if (!e2d_marked_used(m, block))
        return refuse(m, number, block, "is marked free");
    if (e2d_bit(scan->owned, block))
        return two_owners(scan, number, block);
    e2d_set_bits(scan->owned, block, block + 1);
    if (scan->size != UINT64_MAX && logical >= e2d_blocks_for(m, scan->size))
        return past_end(scan, block, logical, level);
    return 1;
}

/* Determines how far the blocks of an inode may reach. */
static void measure(struct scan *scan, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    uint32_t type = e2d_get16(inode->mode) & EXT2DAX_S_IFMT;

    scan->number = number;
    scan->file = type == EXT2DAX_S_IFREG;
    scan->told = false;
    scan->size = UINT64_MAX;
    if (e2d_is_reserved(scan->m, number) || (!scan->file && type != EXT2DAX_S_IFDIR))
        return;
    scan->size = e2d_get32(inode->size);
    if (scan->file)
        scan->size |= (uint64_t)e2d_get32(inode->dir_acl) << 32;
}

static bool has_tree(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode)
{
    uint32_t others = (e2d_get32(inode->file_acl) != 0 ? 1u : 0u) + (e2d_translator(m, inode) != 0 ? 1u : 0u);

    switch (e2d_get16(inode->mode) & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
    case 0: /* reserved inodes have no type */
        return true;
    case EXT2DAX_S_IFLNK:
        return e2d_get32(inode->sectors) >
               others * (m->block_size >> 9); /* else the target is in place of the pointers */
    default:
        return false;
    }
}

static int walk_inode(struct scan *scan, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    int error;

    if (!has_tree(scan->m, inode))
        return 0;
    measure(scan, number, inode);
    error = e2d_walk_tree(scan->m, inode, visit, scan);
    if (error == 0 && e2d_translator(scan->m, inode) != 0)
        error = visit(scan, e2d_translator(scan->m, inode), 0, 0);
    return error == FOUND || error > 0 ? 0 : error;
}

static int check_attributes(struct scan *scan, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    struct ext2dax_mount *m = scan->m;
    uint32_t block = e2d_get32(inode->file_acl);

    if (!block)
        return 0;
    if (!e2d_is_data(m, block))
        return refuse(m, number, block, "is outside the image, or metadata");
    return e2d_bit(scan->owned, block) ? two_owners(scan, number, block) : 0;
}

/*
 * Refuses an inode of the group in use and marked free, among the inodes [from, end) marked free.
 * The inode can be reached by name and number, and blocks of the inode would have no owner here.
 */
static int check_unmarked(struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end)
{
    uint32_t first = group * m->inodes_per_group + 1;

    for (uint32_t i = from; i < end; i++) {
        const struct ext2dax_disk_inode *inode = e2d_disk_inode(m, first + i);
        size_t data, rest = (size_t)(end - i) * m->inode_size;

        /* Most of a sparse image's inode tables are holes. */
        if (i == from && m->memory_ops.next_data && m->memory_ops.next_data(m->memory_ctx, inode, rest, &data) == 0)
            return 0;
        if (!e2d_readable(m, inode, m->inode_size) || e2d_get16(inode->links) == 0 || e2d_get16(inode->mode) == 0)
            continue;
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", first + i, "link count", e2d_get16(inode->links),
                            "of an inode that its bitmap says is free");
    }
    return 0;
}

/*
 * Calls `each` for the inodes in use, that is marked used, and with links or reserved. Without
 * links nothing is reachable any more.
 */
static int each_inode(struct scan *scan, int (*each)(struct scan *, uint32_t, const struct ext2dax_disk_inode *))
{
    struct ext2dax_mount *m = scan->m;
    uint32_t group, i, after;

    for (group = 0; group < m->groups; group++) {
        const uint8_t *map = e2d_inode_bitmap(m, group);
        int error = e2d_interrupted(m);

        if (!error)
            error = e2d_check(m, map, m->block_size);
        if (!error)
            error = e2d_check(m, e2d_block_bitmap(m, group), m->block_size);
        if (error)
            return error;
        for (after = 0; after < m->inodes_per_group; after = i + 1) {
            uint32_t number;
            const struct ext2dax_disk_inode *inode;

            i = e2d_next_set(map, after, m->inodes_per_group);
            error = check_unmarked(m, group, after, i);
            if (error || i == m->inodes_per_group)
                break;
            number = group * m->inodes_per_group + i + 1;
            inode = e2d_disk_inode(m, number);
            error = e2d_check(m, inode, m->inode_size);
            if (!error && (e2d_get16(inode->links) != 0 || number < m->first_inode))
                error = each(scan, number, inode);
            if (error || scan->owner)
                break;
        }
        if (error || scan->owner)
            return error;
    }
    return 0;
}

static int walk_all(struct scan *scan)
{
    return each_inode(scan, walk_inode);
}

/* Takes no lock, because no other thread uses the mount yet. */
int ext2dax_verify(struct ext2dax_mounting *mounting)
{
    struct ext2dax_mount *m = mounting->mount;
    struct scan scan = {.m = m};
    size_t bytes = ((size_t)m->blocks >> 3) + 1;
    int error;

    scan.owned = e2d_alloc(m, bytes);
    if (!scan.owned)
        return -EXT2DAX_ENOMEM;
    memset(scan.owned, 0, bytes);
    e2d_scan_hint(m, true);
    error = walk_all(&scan);
    if (!error)
        error = each_inode(&scan, check_attributes);
    e2d_scan_hint(m, false);
    e2d_release(m, scan.owned, bytes);
    return error;
}
