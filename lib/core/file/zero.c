/* SPDX-License-Identifier: MIT */
/*
 * Zeroing of a range in place. A single exclusive hold of dax_sem covers the whole range. So a
 * fault finds either none of the range zeroed, or all of it. No block is added or removed. The
 * order under dax_sem is
 *
 *   look up every block of the range, so that a damaged pointer is found before the first change
 *   zero the blocks, run by run, and mark their PMD ranges dirty
 *
 * The zeroes are data over existing blocks, as in a write, and become durable with fsync. No
 * metadata except times changes, so no fence is needed.
 *
 * Nothing is unmapped. Every mapping of a block shows the zeroes, because a mapping is the memory
 * of the block. Zero pages over holes still show zeroes. Private copies stay, as after a write.
 */
#include "ext2dax/file.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "file/dirty.h"
#include "file/range_lock.h"
#include "file/write_access.h"
#include "tree/lookup.h"
#include "tree/map.h"
#include "base/skips.h"

/* Zeroes the bytes [from, to) of the file, which begin in the first block of `run`, a block run. */
static void zero_run(struct ext2dax_inode *inode, const struct ext2dax_run *run, uint64_t from, uint64_t to)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t into = from & (m->block_size - 1), last = e2d_pmd_range_of(m, (to - 1) >> m->block_shift);

    e2d_zero_data(m, (unsigned char *)e2d_block(m, (uint32_t)run->physical) + into, (size_t)(to - from));
    for (uint64_t range = e2d_pmd_range_of(m, run->logical); range <= last; range++) {
        e2d_range_lock(inode, range);
        e2d_dirty_mark(inode, range);
        e2d_range_unlock(inode, range);
    }
}

/*
 * Looks up every block of the bytes [from, to), and zeroes the bytes if `zeroes` is set. The caller
 * holds dax_sem exclusively.
 */
static int each_run(struct ext2dax_inode *inode, uint64_t from, uint64_t to, bool zeroes)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t end, met = 0;
    struct ext2dax_run run;
    int rc = 0;

    for (uint64_t at = from; rc == 0 && at < to; at = end) {
        uint64_t logical = at >> m->block_shift;

        rc = e2d_map(inode, logical, e2d_blocks_for(m, to) - logical, &run);
        if (rc != 0)
            break;
        end = e2d_min64(to, (logical + run.length) << m->block_shift);
        if (run.physical == 0)
            continue;
        rc = e2d_blocks_possible(inode, met += run.length);
        if (rc == 0 && zeroes)
            zero_run(inode, &run, at, end);
    }
    return rc;
}

int ext2dax_zero_range(struct ext2dax_inode *inode, uint64_t offset, uint64_t length)
{
    uint64_t to;
    struct e2d_time now;
    bool synchronous;
    int rc;

    if (length == 0 || offset > UINT64_MAX - length)
        return length == 0 ? -EXT2DAX_EINVAL : -EXT2DAX_EOVERFLOW;
    rc = e2d_write_access_begin(inode, E2D_MODIFY_SIZE, &now);
    if (rc != 0)
        return rc;
    synchronous = (e2d_load_le32(&inode->disk->flags) & EXT2DAX_FL_SYNC) != 0;
    to = e2d_min64(offset + length, e2d_size(inode));
    if (offset < to) {
        e2d_dax_write_lock(inode, E2D_DAX_ZERO);
        rc = each_run(inode, offset, to, false);
        if (rc == 0) {
            rc = each_run(inode, offset, to, true);
            e2d_store_times(inode, now, true);
        }
        e2d_dax_write_unlock(inode, E2D_DAX_ZERO);
    }
    e2d_change_end(inode);
    return rc == 0 && synchronous && offset < to ? ext2dax_fsync_range(inode, offset, to - offset) : rc;
}
