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
#include "group.h"
#include "inode.h"
#include "persist.h"
#include "zone.h"

#define BAD_BLOCKS_INODE 1u

struct scan {
    struct ext2dax_mount *m;
    uint8_t *owned;  /* bit a block; NULL: the walk looks for `wanted` instead */
    uint32_t wanted; /* the block whose first owner is looked for */
    uint32_t owner;  /* which that is; 0 until found */
};

static int refuse(struct ext2dax_mount *m, uint32_t number, uint32_t block, const char *reason)
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", number, "block pointer", block, reason);
}

static bool may_own_metadata(const struct ext2dax_mount *m, uint32_t number)
{
    return number == BAD_BLOCKS_INODE ||
           (number == EXT2DAX_RESIZE_INODE && (e2d_get32(m->super->compat) & EXT2DAX_COMPAT_RESIZE_INODE) != 0);
}

static bool marked_used(const struct ext2dax_mount *m, uint32_t block)
{
    uint32_t group = e2d_group_of(m, block);

    return e2d_bit(e2d_block_bitmap(m, group), block - e2d_group_first(m, group));
}

static int walk_all(struct scan *scan);

/* Tells of the second owner and, with a walk of its own, of the first. */
static int two_owners(struct scan *scan, uint32_t number, uint32_t block)
{
    struct scan search = {scan->m, NULL, block, 0};
    int error = refuse(scan->m, number, block, "belongs to another inode too");

    (void)walk_all(&search);
    if (search.owner)
        (void)refuse(scan->m, search.owner, block, "is the other owner");
    return error;
}

/* One block that an inode names. *follow: what it holds may be read as pointers. */
static int visit(struct scan *scan, uint32_t number, uint32_t block, bool *follow)
{
    struct ext2dax_mount *m = scan->m;

    *follow = false;
    if (e2d_zone_offender(m, block, 1) != 0) {
        if (block >= m->blocks)
            return refuse(m, number, block, "lies outside the image");
        return may_own_metadata(m, number) ? 0 : refuse(m, number, block, "lies in a metadata zone");
    }
    *follow = true;
    if (!scan->owned) {
        if (block == scan->wanted)
            scan->owner = number;
        return 0;
    }
    if (!marked_used(m, block))
        return refuse(m, number, block, "is marked free");
    if (e2d_bit(scan->owned, block))
        return two_owners(scan, number, block);
    e2d_set_bits(scan->owned, block, block + 1);
    return 0;
}

/* Everything below one pointer of the inode; `depth` levels of pointer blocks, its own first. */
static int walk_subtree(struct scan *scan, uint32_t number, uint32_t top, unsigned depth)
{
    struct ext2dax_mount *m = scan->m;
    const struct ext2dax_le32 *level[E2D_DEPTH_MAX];
    uint32_t index[E2D_DEPTH_MAX];
    uint32_t block = top;
    unsigned at = 0; /* levels entered */
    bool follow;

    for (;;) {
        int error = block ? visit(scan, number, block, &follow) : 0;

        if (error || scan->owner)
            return error;
        if (block && follow && at < depth) {
            level[at] = e2d_block(m, block);
            error = e2d_check(m, level[at], m->block_size);
            if (error)
                return error;
            index[at++] = 0;
        } else {
            /* The next pointer of the lowest level that has one. */
            while (at > 0 && ++index[at - 1] == m->pointers)
                at--;
            if (at == 0)
                return 0;
        }
        block = e2d_get32(level[at - 1][index[at - 1]]);
    }
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
    uint32_t slot;
    int error = 0;

    if (!has_tree(scan->m, inode))
        return 0;
    for (slot = 0; slot < EXT2DAX_SLOTS && !error && !scan->owner; slot++) {
        unsigned depth = slot < EXT2DAX_IND ? 0 : slot - EXT2DAX_IND + 1;

        if (e2d_get32(inode->block[slot]))
            error = walk_subtree(scan, number, e2d_get32(inode->block[slot]), depth);
    }
    return error;
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
    struct scan scan = {m, NULL, 0, 0};
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
