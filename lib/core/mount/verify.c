/* SPDX-License-Identifier: MIT */
/*
 * Does every block have one owner?
 *
 * One bit a block: a block that a tree names is marked, and one that is marked already has two owners. So no block is
 * walked through twice, a tree with a loop in it included, and the scan ends after as many steps as the image has
 * pointers. The first owner is not recorded; when a second one turns up, the walk is repeated to find the first.
 *
 * Extended-attribute blocks may be shared between inodes, but not with a tree: they are compared after all trees are
 * marked. Two reserved inodes own metadata on purpose, the list of bad blocks and the resize inode (blocks kept for the
 * descriptors' growth, and their copies): theirs is passed over, and not followed.
 */
#include "verify.h"

#include "bitmap.h"
#include "descend.h"
#include "group.h"
#include "inode.h"
#include "persist.h"
#include "zone.h"

#define FOUND (-EXT2DAX_EEXIST) /* ends a search */

struct scan {
    struct ext2dax_mount *m;
    uint8_t *owned;  /* bit a block; NULL: the walk looks for `wanted` instead */
    uint32_t wanted; /* the block whose first owner is looked for */
    uint32_t owner;  /* which that is; 0 until found */
    uint32_t number; /* of the inode that is walked */
};

static int refuse(struct ext2dax_mount *m, uint32_t number, uint32_t block, const char *reason)
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "block pointer", block, reason);
}

static int walk_all(struct scan *scan);

/* Tells of the second owner and, with a walk of its own, of the first. */
static int two_owners(struct scan *scan, uint32_t number, uint32_t block)
{
    struct scan search = {.m = scan->m, .wanted = block};
    int error = refuse(scan->m, number, block, "belongs to another inode too");

    (void)walk_all(&search);
    if (search.owner)
        (void)refuse(scan->m, search.owner, block, "is the other owner");
    return error;
}

/* One block that the inode of the moment names. */
static int visit(void *arg, uint32_t block, uint64_t logical, unsigned level)
{
    struct scan *scan = arg;
    struct ext2dax_mount *m = scan->m;
    uint32_t number = scan->number;

    (void)logical;
    (void)level;
    if (e2d_zone_offender(m, block, 1) != 0) {
        if (block >= m->blocks)
            return refuse(m, number, block, "lies outside the image");
        return e2d_may_own_metadata(m, number) ? 0 : refuse(m, number, block, "lies in a metadata zone");
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
    return 1;
}

static bool has_tree(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode)
{
    uint32_t attributes = e2d_get32(inode->file_acl) ? m->block_size >> 9 : 0;

    switch (e2d_get16(inode->mode) & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
    case 0: /* reserved inodes have no type */
        return true;
    case EXT2DAX_S_IFLNK:
        return e2d_get32(inode->sectors) > attributes; /* else the target lies in place of the pointers */
    default:
        return false;
    }
}

static int walk_inode(struct scan *scan, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    int error;

    if (!has_tree(scan->m, inode))
        return 0;
    scan->number = number;
    error = e2d_descend(scan->m, inode, visit, scan);
    return error == FOUND ? 0 : error;
}

static int check_attributes(struct scan *scan, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    struct ext2dax_mount *m = scan->m;
    uint32_t block = e2d_get32(inode->file_acl);

    if (!block)
        return 0;
    if (!e2d_is_data(m, block))
        return refuse(m, number, block, "to extended attributes, outside the image or in a metadata zone");
    return e2d_bit(scan->owned, block) ? two_owners(scan, number, block) : 0;
}

/* Calls `each` for the inodes in use: marked, and with a name or reserved. Without a name nothing is reached any more. */
static int each_inode(struct scan *scan, int (*each)(struct scan *, uint32_t, const struct ext2dax_disk_inode *))
{
    struct ext2dax_mount *m = scan->m;
    uint32_t group, i;

    for (group = 0; group < m->groups; group++) {
        const uint8_t *map = e2d_inode_bitmap(m, group);
        int error = e2d_check(m, map, m->block_size);

        if (!error)
            error = e2d_check(m, e2d_block_bitmap(m, group), m->block_size);
        if (error)
            return error;
        for (i = e2d_next_set(map, 0, m->inodes_per_group); i < m->inodes_per_group;
             i = e2d_next_set(map, i + 1, m->inodes_per_group)) {
            uint32_t number = group * m->inodes_per_group + i + 1;
            const struct ext2dax_disk_inode *inode = e2d_disk_inode(m, number);

            error = e2d_check(m, inode, m->inode_size);
            if (!error && (e2d_get16(inode->links) != 0 || number < m->first_inode))
                error = each(scan, number, inode);
            if (error || scan->owner)
                return error;
        }
    }
    return 0;
}

static int walk_all(struct scan *scan)
{
    return each_inode(scan, walk_inode);
}

int e2d_verify(struct ext2dax_mount *m)
{
    struct scan scan = {.m = m};
    size_t bytes = ((size_t)m->blocks >> 3) + 1;
    int error;

    scan.owned = e2d_alloc(m, bytes);
    if (!scan.owned)
        return -EXT2DAX_ENOMEM;
    memset(scan.owned, 0, bytes);
    error = walk_all(&scan);
    if (!error)
        error = each_inode(&scan, check_attributes);
    e2d_release(m, scan.owned, bytes);
    return error;
}
