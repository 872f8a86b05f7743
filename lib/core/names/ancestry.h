/* SPDX-License-Identifier: MIT */
/*
 * Ancestry of two directories. Stable while the rename lock is held, because only a rename changes
 * "..".
 */
#ifndef E2D_NAMES_ANCESTRY_H
#define E2D_NAMES_ANCESTRY_H

#include "base/internal.h"

struct e2d_ancestry {
    bool first_above;  /* the first directory is an ancestor of the second */
    bool second_above; /* the second directory is an ancestor of the first */
    uint32_t child;    /* in the ancestor, the directory on the path to the other, else 0 */
};

/*
 * Finds the relation of two different directories of a mount. The caller holds the rename lock.
 * Takes io shared, of a single directory at a time, and the cache lock. Releases references, see
 * inode_released() of the host.
 *
 * Returns 0 or a negative errno
 *   ENOENT   a directory is unlinked
 *   ENOMEM   the host has no memory for an inode
 *   EUCLEAN  a ".." is missing or leads to no directory, or the path does not lead to the root
 *   EIO      a block holds poison
 */
int e2d_ancestry(struct ext2dax_inode *first, struct ext2dax_inode *second, struct e2d_ancestry *ancestry);

#endif
