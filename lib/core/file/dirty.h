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
 * Allocates memory for marks of all PMD ranges of a file of `size` bytes. Without memory of the
 * host many dirty PMD ranges count as the whole file. Takes icache_lock. Not for faults.
 */
void e2d_dirty_map(struct ext2dax_inode *inode, uint64_t size);
static inline void e2d_dirty_room(struct ext2dax_inode *inode, uint64_t size)
{
    if (E2D_FOR_SPEED && size >> inode->mount->block_shift >> inode->mount->pmd_shift >= EXT2DAX_DIRTY_SLOTS)
        e2d_dirty_map(inode, size);
}

/* Releases the memory. No other thread uses the inode. */
void e2d_dirty_unmap(struct ext2dax_inode *inode);
static inline void e2d_dirty_drop(struct ext2dax_inode *inode)
{
    if (E2D_FOR_SPEED && inode->dirty_maps != 0)
        e2d_dirty_unmap(inode);
}

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
