/* SPDX-License-Identifier: MIT */
/*
 * Begin and end of a call that modifies an inode. Takes freeze_write shared and io exclusively, and
 * checks the permission to modify.
 */
#ifndef E2D_FILE_WRITE_ACCESS_H
#define E2D_FILE_WRITE_ACCESS_H

#include "base/internal.h"
#include "base/time.h"

enum e2d_write_access {
    /* adds or overwrites. An append-only file permits it at the end, checked by the caller */
    E2D_MODIFY_DATA,
    /* removes bytes or sets the size. Not permitted on an append-only file */
    E2D_MODIFY_SIZE
};

/*
 * Begins a modification. *now receives the time to store, read while only freeze_write is held. May
 * wait for thaw.
 *
 * Returns 0 or a negative errno, and holds nothing after a failure
 *   EISDIR      a directory
 *   EINVAL      not a regular file, or a mount opened by the parent of a forked process
 *   EROFS       the mount is read-only
 *   EPERM       an immutable file, or E2D_MODIFY_SIZE of an append-only file
 *   EOPNOTSUPP  the inode counts blocks as only huge_file allows (reported)
 *   EIO         a write-back has failed
 */
int e2d_write_access_begin(struct ext2dax_inode *inode, enum e2d_write_access what, struct e2d_time *now);

/*
 * Begins a modification of an inode of any type and flags. Takes freeze_write shared, reads the
 * time, and takes io exclusively. May wait for thaw.
 *
 * Returns 0 or a negative errno, and holds nothing after a failure
 *   EINVAL  a mount opened by the parent of a forked process
 *   EROFS   the mount is read-only
 *   EIO     a write-back has failed
 */
int e2d_change_begin(struct ext2dax_inode *inode, struct e2d_time *now);
void e2d_change_end(struct ext2dax_inode *inode);

/*
 * Continues the begin of a modifying call, with freeze_write taken shared. Reads the time. Returns
 * 0, or releases freeze_write and returns EROFS or EIO as above.
 */
int e2d_change_admitted(struct ext2dax_mount *m, struct e2d_time *now);

/*
 * Returns 0 if the mount may be modified at the moment, else EROFS or EIO. The caller holds a
 * freeze lock.
 */
int e2d_may_write(struct ext2dax_mount *m);

#endif
