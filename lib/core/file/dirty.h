/* SPDX-License-Identifier: MIT */
/* One aligned huge page of a file: its entry lock, and whether it may hold stores that are not yet durable. */
#ifndef E2D_WINDOW_H
#define E2D_WINDOW_H

#include "incore.h"
#include "lock.h"

static inline uint64_t e2d_window_of(const struct ext2dax_mount *m, uint64_t logical)
{
    return logical >> m->window_shift;
}

struct ext2dax_lock *e2d_entry_lock_of(const struct ext2dax_inode *inode, uint64_t window);
void e2d_entry_lock(struct ext2dax_inode *inode, uint64_t window);
void e2d_entry_unlock(struct ext2dax_inode *inode, uint64_t window);

/* Marks a window dirty; never fails, at worst the whole file counts as dirty. The caller holds the window's entry. */
void e2d_dirty_mark(struct ext2dax_inode *inode, uint64_t window);
bool e2d_dirty(const struct ext2dax_inode *inode);

/*
 * Write-protects, writes back and clears every dirty window: in that order, each under dax_sem shared and its entry lock.
 * *fenced: there was one, so that what was written back before is durable too. EIO: the marks stay.
 */
int e2d_dirty_flush(struct ext2dax_inode *inode, bool *fenced);

/*
 * The same where somebody may truncate meanwhile: looking blocks up wants dax_sem, and a build without it takes io shared
 * instead.
 */
int e2d_dirty_sync(struct ext2dax_inode *inode, bool *fenced);

/* Does a pin (a writable one) cover any of the blocks [first, end)? Takes the fs lock. */
bool e2d_pinned(struct ext2dax_inode *inode, uint64_t first, uint64_t end, bool writable_only);

/* Takes mappings away, where there is an address space. Pages; count may be UINT64_MAX. */
void e2d_unmap(struct ext2dax_inode *inode, uint64_t first_page, uint64_t count, bool private_too);
/* Tells the address space, before anybody can see the size. */
void e2d_grow_mapped(struct ext2dax_inode *inode, uint64_t pages);

#endif
