/* SPDX-License-Identifier: MIT */
/*
 * Begin and end of calls that change names, and the checks and stores common to these calls.
 *
 * Names change under the directory's io held exclusively, up to and including the fence that makes
 * the change durable. So a reader sees a name either whole or not at all, and never a name that a
 * crash could take back. A link count changes under the io of the inode too, because the names of a
 * file may lie in several directories. Inode references are put with no lock held, because the last
 * put may have to free the inode.
 */
#ifndef E2D_NAMES_CHANGE_H
#define E2D_NAMES_CHANGE_H

#include "base/internal.h"
#include "base/time.h"
#include "names/dir.h"

/* Returns 0, EINVAL for an empty name or a name with '/' or NUL, or ENAMETOOLONG. */
int e2d_name_check(const char *name, size_t length);
/* Is the name "." or ".."? */
bool e2d_name_is_dots(const char *name, size_t length);

/*
 * Returns the inode of a dirent in a directory with io held, with a reference. A dirent keeps its
 * inode in use, so ENOENT is impossible. EINVAL is impossible too, because the number was checked
 * with the block. Either error is reported as corruption.
 */
int e2d_name_inode(struct ext2dax_inode *directory, const struct ext2dax_disk_dirent *dirent,
                   struct ext2dax_inode **inode);

/* Removes a name left in doubt by a failed fence. In memory the name never existed. */
void e2d_name_withdraw(struct ext2dax_inode *directory, const char *name, size_t length);

/*
 * Begins a change of names. Takes freeze_write shared and reads the time. Returns 0, EROFS, EIO or
 * the error of `usable`. Holds nothing after a failure.
 */
int e2d_names_begin(struct ext2dax_mount *m, struct e2d_time *now);
void e2d_names_end(struct ext2dax_mount *m);

/*
 * Returns 0 if names of a directory with io held may change. Returns ENOENT if the directory is
 * unlinked, and EPERM if the directory has a flag of `forbidden`.
 */
int e2d_change_permitted(const struct ext2dax_inode *directory, uint32_t forbidden);

/*
 * Begins a change of a single name. Checks the name, begins the change, takes the directory's io
 * exclusively and checks the permission. Holds nothing after a failure. e2d_change_close() ends
 * both.
 */
int e2d_change_open(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t forbidden,
                    struct e2d_time *now);
void e2d_change_close(struct ext2dax_inode *directory);

/*
 * Returns 0, or EMLINK if a directory cannot count another subdirectory. The caller holds the
 * directory's io.
 */
int e2d_subdirectory_fits(const struct ext2dax_inode *directory);
/*
 * Store the link count of a directory that gains or loses a subdirectory. With dir_nlink, a count
 * of 1 means more subdirectories than the count can hold, and the count stays 1. Not fenced. The
 * caller holds the directory's io exclusively.
 */
void e2d_subdirectory_added(struct ext2dax_inode *directory);
void e2d_subdirectory_removed(struct ext2dax_inode *directory);

#endif
