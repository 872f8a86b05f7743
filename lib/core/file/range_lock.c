/* SPDX-License-Identifier: MIT */
/* Range locks. A mount has a fixed number, selected by a hash of inode and PMD range. */
#include "file/range_lock.h"

#include "base/lock.h"

struct ext2dax_lock *e2d_range_lock_of(const struct ext2dax_inode *inode, uint64_t range)
{
    uint32_t mix = ((uint32_t)range + inode->number * 0x61C88647u) * 0x9E3779B1u;

    return &inode->mount->range_lock[mix >> 16 & (E2D_RANGE_LOCKS - 1)].lock;
}

void e2d_range_lock(struct ext2dax_inode *inode, uint64_t range)
{
    e2d_write_lock(inode->mount, e2d_range_lock_of(inode, range));
}

void e2d_range_unlock(struct ext2dax_inode *inode, uint64_t range)
{
    e2d_write_unlock(inode->mount, e2d_range_lock_of(inode, range));
}
