/* SPDX-License-Identifier: MIT */
/* Extension of a file's size, with or without new blocks. */
#ifndef E2D_FILE_EXTEND_H
#define E2D_FILE_EXTEND_H

#include "base/fences.h"
#include "base/internal.h"

/*
 * Zeroes the bytes from the old end of file to the end of the block, or to `data` if nearer. A
 * store through a mapping may have left any bytes past the end of file, and a larger size would
 * expose these bytes. Unmaps the page first, so no store follows the zeroes. The caller holds
 * dax_sem exclusively until the new size is in core, so no fault maps the page again before the
 * size covers it. Errors are those of the lookup, EUCLEAN and EIO.
 */
int e2d_zero_old_tail(struct ext2dax_inode *inode, uint64_t data);

/*
 * Makes the new size durable in the image, then stores it in core. Unmaps the pages between the old
 * and the new end, because an address space may remember these pages as past the end.
 */
int e2d_publish_size(struct ext2dax_inode *inode, uint64_t size, enum e2d_fence step);

/*
 * Extends the size without adding blocks. Zeroes the old tail | stores the size |, where | is a
 * fence. The caller holds io exclusively. Takes dax_sem exclusively, and truncate.
 *
 * Returns 0 or a negative errno
 *   EFBIG    the size is past e2d_extend_limit()
 *   EUCLEAN  the pointer to the old tail is damaged (reported)
 *   EIO      a pointer block cannot be read, or a write-back failed
 */
int e2d_extend_size(struct ext2dax_inode *inode, uint64_t size);

/*
 * Returns the largest size to which a file of this image may extend from size 0. The bound is the
 * image's limit, or a lower threshold which no extension crosses. On the way past 16 GiB with 1 KiB
 * blocks, or past 256 GiB with 2 KiB blocks, the image would hold between two stores a size that
 * e2fsck calls impossible.
 */
uint64_t e2d_growth_line(const struct ext2dax_mount *m);
/*
 * Returns the largest size to which the file may extend, e2d_growth_line() or the current size if
 * larger.
 */
uint64_t e2d_extend_limit(const struct ext2dax_inode *inode);
/* Returns 0 if the file may extend to `size`, or EFBIG if `size` is past e2d_extend_limit(). */
int e2d_may_extend(const struct ext2dax_inode *inode, uint64_t size);

#endif
