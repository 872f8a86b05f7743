/* SPDX-License-Identifier: MIT */
/* PMD ranges of a file with stores possibly not durable yet, and the flush of such ranges. */
#ifndef E2D_FILE_DIRTY_H
#define E2D_FILE_DIRTY_H

#include "base/internal.h"

/*
 * Marks a PMD range dirty. Never fails. At worst the whole file counts as dirty. The caller holds
 * the range lock.
 */
void e2d_dirty_mark(struct ext2dax_inode *inode, uint64_t range);
bool e2d_dirty(const struct ext2dax_inode *inode);

/*
 * Write-protects, writes back and clears every dirty PMD range, in this order, each under dax_sem
 * shared and the range lock. *fenced is set if any range was dirty, and then all earlier
 * write-backs are durable too.
 *
 * Returns 0 or a negative errno, and ranges not written back stay marked after a failure
 *   EUCLEAN  a block pointer is damaged (reported)
 *   EIO      a pointer block cannot be read, or a write-back failed
 */
int e2d_dirty_flush(struct ext2dax_inode *inode, bool *fenced);

/*
 * As e2d_dirty_flush(), for callers that do not exclude truncate. The lookup of blocks needs
 * dax_sem. A build without faults has no dax_sem and takes io shared instead.
 */
int e2d_dirty_sync(struct ext2dax_inode *inode, bool *fenced);

/*
 * As e2d_dirty_sync(), for the PMD ranges [first, last] only. A dirty PMD range outside stays as
 * before.
 */
int e2d_dirty_sync_range(struct ext2dax_inode *inode, uint64_t first, uint64_t last, bool *fenced);

#endif
