/* SPDX-License-Identifier: MIT */
/*
 * Mapping of a run of logical blocks to a run of physical blocks. A run is followed from leaf to
 * leaf, across pointer blocks, as long as the run is contiguous (or a hole) and the caller requests
 * more. A missing subtree is skipped in a single step, regardless of the number of blocks.
 */
#include "tree/map.h"

#include "tree/lookup.h"
#include "tree/quick_map.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "disk/super.h"
#include "base/skips.h"

/*
 * Returns the number of slots from `at` on, at most `max`, which continue the run starting with
 * `block`. The first `n` slots are known to belong to the run.
 */
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

/*
 * With `needed`, an error at the first block is reported. An error after the first block is never
 * reported. The run ends there, and the caller meets the error when continuing.
 */
static int map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, bool needed, struct ext2dax_run *run)
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

        rc = e2d_leaf(inode, logical + length, needed && length == 0, &leaf);
        if (rc != 0)
            break;
        if (!leaf.slots) {
            if (length != 0 && block != 0)
                break;
            length = leaf.first + leaf.count - logical;
            continue;
        }
        /*
         * A corrupt tree may refer to an empty pointer block from many places, so the leaves are
         * counted.
         */
        if (++leaves > m->blocks)
            return needed ? e2d_blocks_possible(inode, leaves) : -EXT2DAX_EUCLEAN;
        index = (uint32_t)(logical + length - leaf.first);
        most = (uint32_t)e2d_min64(leaf.count - index, max - length);
        /*
         * Read a single time. If read again, a concurrent fault filling the hole would leave a run
         * of length 0.
         */
        if (length == 0) {
            block = e2d_load_le32(&leaf.slots[index]);
            known = 1;
        }
        /*
         * Block numbers have 32 bits. The last block of a run must fit as well, so a run never
         * wraps to 0.
         */
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
    run->length = e2d_pointers_good(inode, block, (uint32_t)run->length);
    if (run->length != 0)
        return 0;
    return needed ? e2d_pointer_check(inode, block, 1) : -EXT2DAX_EUCLEAN;
}

int(e2d_map)(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    return map(inode, logical, max, true, run);
}

int e2d_map_hint(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    return map(inode, logical, max, false, run);
}

int(e2d_map_past_end)(struct ext2dax_inode *inode, uint64_t from, uint64_t end)
{
    struct ext2dax_run run;
    int rc;

    for (uint64_t at = from; at < end; at += run.length) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            return rc;
        if (run.physical != 0)
            return e2d_inode_corrupt(inode, "block pointer", run.physical, "is past the end of the file");
    }
    return 0;
}

static bool has_blocks(const struct ext2dax_inode *inode)
{
    return e2d_is_regular(inode) || e2d_is_directory(inode);
}

/* As ext2dax_map(). The caller holds io. */
static E2D_APART int map_in_file(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t end = e2d_blocks_for(m, e2d_size(inode));
    int rc = 0;

    if (logical < end || max == 0 || logical >= m->tree_blocks) {
        rc = e2d_map_short(inode, logical, logical < end ? e2d_min64(max, end - logical) : max, run);
    } else {
        run->logical = logical;
        run->physical = run->length = 0;
    }
    /* All blocks after the last hole are holes too. */
    if (rc == 0 && run->physical == 0 && logical + run->length >= end)
        run->length = e2d_min64(max, m->tree_blocks - logical);
    return rc;
}

/* Returns whether the file ends after the first byte of block `logical`. */
static inline bool covers(const struct ext2dax_inode *inode, uint64_t logical)
{
    uint64_t size = e2d_size(inode);

    return size != 0 && logical <= (size - 1) >> inode->mount->block_shift;
}

int ext2dax_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t block = 0;
    int rc = 0;

    if (!has_blocks(inode))
        return -EXT2DAX_EINVAL;
    e2d_read_lock(m, &inode->io);
    if (E2D_FOR_SPEED && max == 1 && covers(inode, logical))
        block = e2d_quick_block(inode, logical);
    if (block == 0)
        rc = map_in_file(inode, logical, max, run);
    e2d_read_unlock(m, &inode->io);
    if (block != 0) {
        run->logical = logical;
        run->physical = block;
        run->length = 1;
    }
    return rc;
}

/* ---- a block at a time ---- */

/* Most blocks of a hint. */
#define HINT_MAX 1024u

/*
 * Returns whether pointers were removed from the file since the hint was filled. A pointer changes
 * only by removal, and a removal changes the number before any block is freed. So the run of a hint
 * with the current number is the run of the file at the time of the load.
 */
static inline bool(hint_stale)(const struct ext2dax_map_hint *hint, const struct ext2dax_inode *inode)
{
    return hint->removals != e2d_load64(&inode->removals);
}

/*
 * Maps by the general way and fills the hint. Follows twice the blocks of the last run where the
 * lookups are in order, and a single block otherwise. So a lookup never pays for blocks which no
 * lookup wants.
 */
static E2D_APART int64_t map_and_hint(struct ext2dax_inode *inode, uint64_t logical, struct ext2dax_map_hint *hint)
{
    struct ext2dax_mount *m = inode->mount;
    bool in_order = hint->inode == inode && logical - hint->run.logical == hint->run.length;
    uint64_t most = in_order ? e2d_min64(2 * hint->run.length, HINT_MAX) : 1;
    int rc;

    if (!has_blocks(inode))
        return -EXT2DAX_EINVAL;
    e2d_read_lock(m, &inode->io);
    hint->inode = inode;
    hint->removals = e2d_load64(&inode->removals);
    rc = map_in_file(inode, logical, most, &hint->run);
    e2d_read_unlock(m, &inode->io);
    /* A fault may fill a hole at any time, so a hole is not remembered. */
    if (rc != 0 || hint->run.physical == 0)
        hint->inode = NULL;
    return rc != 0 ? rc : (int64_t)hint->run.physical;
}

int64_t ext2dax_map_block(struct ext2dax_inode *inode, uint64_t logical, struct ext2dax_map_hint *hint)
{
    uint64_t index = logical - hint->run.logical;

    if (E2D_RARELY(hint->inode != inode || index >= hint->run.length || hint_stale(hint, inode)))
        return map_and_hint(inode, logical, hint);
    return (int64_t)(hint->run.physical + index);
}
