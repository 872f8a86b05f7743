/* SPDX-License-Identifier: MIT */
/* PMD ranges, each an aligned huge page of a file, and their range locks. */
#ifndef E2D_FILE_RANGE_LOCK_H
#define E2D_FILE_RANGE_LOCK_H

#include "base/internal.h"

static inline uint64_t e2d_pmd_range_of(const struct ext2dax_mount *m, uint64_t logical)
{
    return logical >> m->pmd_shift;
}

struct ext2dax_lock *e2d_range_lock_of(const struct ext2dax_inode *inode, uint64_t range);
void e2d_range_lock(struct ext2dax_inode *inode, uint64_t range);
void e2d_range_unlock(struct ext2dax_inode *inode, uint64_t range);

#endif
