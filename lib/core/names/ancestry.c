/* SPDX-License-Identifier: MIT */
/*
 * Ancestry of two directories, by climbing from each to the root.
 *
 * A directory with a name keeps the inode of its parent in use, so the next step exists. An
 * unlinked directory has no parent, and neither has a directory unlinked during the climb.
 */
#include "names/ancestry.h"

#include "names/dir.h"
#include "base/skips.h"

/* Is the directory without a name? Such a directory does not keep the number of the parent. */
static bool(has_no_name)(const struct ext2dax_inode *directory)
{
    return e2d_load_le16(&directory->disk->links) == 0;
}

/* Replaces a referenced directory by the parent. */
static int step(struct ext2dax_inode **at)
{
    struct ext2dax_inode *child = *at, *next;
    uint32_t parent;
    int error = e2d_dir_parent(child, &parent);

    if (error == 0 && parent == 0)
        error = -EXT2DAX_ENOENT;
    if (error != 0)
        return error;
    error = ext2dax_inode_get(child->mount, parent, &next);
    if (error == -EXT2DAX_EINVAL || (error == 0 && !e2d_is_directory(next))) {
        if (error == 0)
            ext2dax_inode_put(next);
        /* Both were removed since "..", and another inode has the number now. */
        if (has_no_name(child))
            return -EXT2DAX_ENOENT;
        return e2d_dir_corrupt(child, "..", parent, "is no directory");
    }
    if (error != 0)
        return error;
    *at = next;
    ext2dax_inode_put(child);
    return 0;
}

/* Climbs from `from` to the root. Returns 1 if `to` was met, 0 at the root, or an error. */
static int climb(struct ext2dax_inode *from, const struct ext2dax_inode *to, uint32_t *child)
{
    struct ext2dax_mount *m = from->mount;
    struct ext2dax_inode *at = from;
    uint32_t steps = 0;
    int error = 0;

    ext2dax_inode_hold(at);
    while (error == 0 && at != to && at->number != EXT2DAX_ROOT_INODE) {
        *child = at->number;
        if (++steps > m->inodes)
            error = e2d_dir_corrupt(at, "..", steps, "does not lead to the root");
        else
            error = step(&at);
    }
    if (error == 0)
        error = at == to;
    ext2dax_inode_put(at);
    return error;
}

int(e2d_ancestry)(struct ext2dax_inode *first, struct ext2dax_inode *second, struct e2d_ancestry *ancestry)
{
    uint32_t child = 0;
    int met = climb(second, first, &child);

    memset(ancestry, 0, sizeof(*ancestry));
    ancestry->first_above = met > 0;
    if (met == 0)
        met = climb(first, second, &child);
    /* A directory with a name has all ancestors. */
    if (met == -EXT2DAX_ENOENT && !has_no_name(first) && !has_no_name(second))
        return e2d_dir_corrupt(first, "..", second->number, "leads to the root from neither directory");
    if (met < 0)
        return met;
    ancestry->second_above = met > 0 && !ancestry->first_above;
    ancestry->child = met > 0 ? child : 0;
    return 0;
}
