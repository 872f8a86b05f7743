/* SPDX-License-Identifier: MIT */
/* Lookups by the hash-tree index of a directory on the medium. */
#ifndef E2D_NAMES_DIR_INDEX_H
#define E2D_NAMES_DIR_INDEX_H

#include "base/internal.h"

struct e2d_dirent;

/* The leaf where a name belongs, checked. */
struct e2d_index_leaf {
    uint64_t logical;
    unsigned char *block;
};

/*
 * Finds a name by the index. Only reads. The caller holds io of the directory.
 *
 * Returns 0 or a negative errno
 *   ENOENT   the name does not exist, and belongs to *leaf
 *   EAGAIN   no index, an index that contradicts itself or the dirents, or "." or "..". A walk
 *            decides
 *   EUCLEAN  a leaf is damaged (reported)
 *   EIO      a leaf holds poison (reported)
 */
int e2d_index_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found,
                   struct e2d_index_leaf *leaf);

#endif
