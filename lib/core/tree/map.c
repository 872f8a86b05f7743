/* SPDX-License-Identifier: MIT */
/*
 * Logical run to physical run. A run is followed from leaf to leaf, across pointer blocks, as long as it stays contiguous
 * (or a hole) and the caller wants more; a missing subtree is passed over in one step, however much it spans.
 */
#include "map.h"

#include "branch.h"
#include "inode.h"
#include "lock.h"
#include "super.h"

/* How many slots from `at` on, at most `max`, continue the run that has `block` at the first; `n` are known to. */
static uint32_t follow(const struct ext2dax_le32 *at, uint32_t max, uint32_t block, uint32_t n)
{
    if (block == 0) {
        while (n < max && e2d_load_le32(&at[n]) == 0)
            n++;
    } else {
        while (n < max && e2d_load_le32(&at[n]) == block + n)
            n++;
    }
    return n;
}

int e2d_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_leaf leaf;
    uint64_t length = 0;
    uint32_t block = 0, leaves = 0;
    int rc;

    if (max == 0)
        return -EXT2DAX_EINVAL;
    if (logical >= m->tree_blocks)
        return -EXT2DAX_EFBIG;
    max = e2d_min64(max, m->tree_blocks - logical);
    do {
        uint32_t most, got, next, index, known = 0;

        rc = e2d_leaf(inode, logical + length, &leaf);
        if (rc != 0)
            break;
        if (!leaf.slots) {
            if (length != 0 && block != 0)
                break;
            length = leaf.first + leaf.count - logical;
            continue;
        }
        /* A pointer block without pointers may hang in many places of a tree that cannot be. */
        rc = e2d_blocks_possible(inode, ++leaves);
        if (rc != 0)
            return rc;
        index = (uint32_t)(logical + length - leaf.first);
        most = (uint32_t)e2d_min64(leaf.count - index, max - length);
        /* Read once: were it read again, a fault that fills it meanwhile would leave a run of nothing. */
        if (length == 0) {
            block = e2d_load_le32(&leaf.slots[index]);
            known = 1;
        }
        /* Block numbers are 32 bits, and so must a run's last one be: a run never wraps to 0. */
        next = block == 0 ? 0 : block + (uint32_t)length;
        if (block != 0)
            most = e2d_min32(most, UINT32_MAX - next);
        got = follow(&leaf.slots[index], most, next, known);
        length += got;
        if (got < leaf.count - index)
            break;
    } while (length < max);
    if (rc != 0 && length == 0)
        return rc;

    run->logical = logical;
    run->physical = block;
    run->length = e2d_min64(length, max);
    if (block == 0)
        return 0;
    /* What lies before the first bad pointer is good; the caller meets the bad one when it goes on there. */
    while (e2d_pointer_check(inode, block, (uint32_t)run->length) != 0) {
        if (run->length == 1)
            return -EXT2DAX_EUCLEAN;
        run->length = 1;
    }
    return 0;
}

int e2d_map_past_end(struct ext2dax_inode *inode, uint64_t end)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t at = e2d_blocks_for(m, e2d_size(inode));
    struct ext2dax_run run;
    int rc;

    for (; at < end; at += run.length) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            return rc;
        if (run.physical != 0)
            return e2d_corrupt(m, "inode", inode->number, "block pointer", run.physical,
                               "lies past the end of the file");
    }
    return 0;
}

int ext2dax_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t end;
    int rc = 0;

    if (!e2d_is_regular(inode) && !e2d_is_directory(inode))
        return -EXT2DAX_EINVAL;
    e2d_read_lock(m, &inode->io);
    end = e2d_blocks_for(m, e2d_size(inode));
    if (logical < end || max == 0 || logical >= m->tree_blocks) {
        rc = e2d_map(inode, logical, logical < end ? e2d_min64(max, end - logical) : max, run);
    } else {
        run->logical = logical;
        run->physical = run->length = 0;
    }
    e2d_read_unlock(m, &inode->io);
    /* What follows the last hole is one too. */
    if (rc == 0 && run->physical == 0 && logical + run->length >= end)
        run->length = e2d_min64(max, m->tree_blocks - logical);
    return rc;
}
