/* SPDX-License-Identifier: MIT */
/* A rename in progress, and the stores of a rename. */
#ifndef E2D_NAMES_RENAMING_H
#define E2D_NAMES_RENAMING_H

#include "names/change.h"
#include "names/dir.h"

/* A side of a rename, the old name or the new name. */
struct e2d_renaming_side {
    struct ext2dax_inode *directory;
    const char *name;
    size_t length;
    struct e2d_dirent found;            /* the dirent, if the name exists */
    struct ext2dax_inode *inode;        /* the inode of the name, with a reference, or NULL */
    struct ext2dax_disk_dirent *dotdot; /* the dirent ".." of the inode, checked, or NULL */
};

struct e2d_renaming {
    struct ext2dax_mount *m;
    struct e2d_time now;
    struct e2d_renaming_side old, new;
    bool exchange;
    struct e2d_dir_slot slot; /* of the new name, if the name does not exist */
};

/*
 * Makes the stores of a rename. The caller holds the rename lock and the io locks of all
 * directories and inodes exclusively, and has checked that nothing forbids the rename. Returns 0 or
 * a negative errno. The name and the counts are unchanged except after EIO
 *   ENOSPC      no free block for the directory, or the directory has its largest size
 *   EFBIG       i_blocks of the directory does not fit 32 bits
 *   EOPNOTSUPP  the directory counts blocks as only huge_file allows (reported)
 *   EUCLEAN     a block pointer or a group is damaged (reported)
 *   EIO         a fence failed
 */
int e2d_renaming_store(struct e2d_renaming *r);

#endif
