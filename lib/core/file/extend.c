/* SPDX-License-Identifier: MIT */
/* Extension of the size. Zeroes the old tail, then stores the size. */
#include "file/extend.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "file/dirty.h"
#include "file/mappings.h"
#include "file/truncate_mutants.h"
#include "tree/map.h"
#include "base/skips.h"

uint64_t e2d_growth_line(const struct ext2dax_mount *m)
{
    uint64_t line = m->block_shift == 10 ? (uint64_t)16 << 30 : m->block_shift == 11 ? (uint64_t)256 << 30 : UINT64_MAX;

    return e2d_min64(m->max_size, line);
}

uint64_t e2d_extend_limit(const struct ext2dax_inode *inode)
{
    return e2d_max64(e2d_size(inode), e2d_growth_line(inode->mount));
}

int e2d_may_extend(const struct ext2dax_inode *inode, uint64_t size)
{
    return size > e2d_extend_limit(inode) ? -EXT2DAX_EFBIG : 0;
}

int e2d_zero_old_tail(struct ext2dax_inode *inode, uint64_t data)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t old = e2d_size(inode);
    uint32_t from = (uint32_t)(old & (m->block_size - 1));
    size_t length = (size_t)e2d_min64(m->block_size - from, data - old);
    struct ext2dax_run run;
    int rc;

    E2D_MUST_HOLD_DAX(inode);
    if (from == 0)
        return 0;
    rc = e2d_map(inode, old >> m->block_shift, 1, &run);
    if (rc != 0 || run.physical == 0)
        return rc;
    e2d_unmap(inode, old >> m->page_shift, 1, false);
    e2d_zero(m, (unsigned char *)e2d_block(m, (uint32_t)run.physical) + from, length);
    return 0;
}

int e2d_publish_size(struct ext2dax_inode *inode, uint64_t size, enum e2d_fence step)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t pages = e2d_pages_for(m, e2d_size(inode)), now = e2d_pages_for(m, size);
    int rc;

    e2d_dirty_room(inode, size);
    rc = e2d_store_size(inode, size);
    if (rc == 0)
        rc = e2d_order(m, step);
    if (rc != 0)
        return rc;
    if (now > pages)
        e2d_extend_mapped(inode, now);
    e2d_set64(&inode->size, size);
    e2d_unmap(inode, pages, now - pages, false);
    return 0;
}

int e2d_extend_size(struct ext2dax_inode *inode, uint64_t size)
{
    struct ext2dax_mount *m = inode->mount;
    int rc;

    rc = e2d_may_extend(inode, size);
    if (rc != 0)
        return rc;
    e2d_dax_write_lock(inode, E2D_DAX_EXTEND);
    e2d_write_lock(m, &inode->truncate);
    e2d_size_early(inode, size, E2D_SIZE_BEFORE_TAIL);
    rc = e2d_zero_old_tail(inode, UINT64_MAX);
    e2d_announce_size(inode, size);
    if (rc == 0)
        rc = e2d_order(m, E2D_FENCE_EXTEND_TAIL);
    if (rc == 0)
        rc = e2d_publish_size(inode, size, E2D_FENCE_EXTEND_SIZE);
    if (E2D_MUTANT(ORDER_FEATURE_LAST))
        e2d_super_large_file(m);
    e2d_write_unlock(m, &inode->truncate);
    e2d_dax_write_unlock(inode, E2D_DAX_EXTEND);
    return rc;
}
