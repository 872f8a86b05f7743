/* SPDX-License-Identifier: MIT */
/*
 * Block plans: adding blocks to a file.
 *
 * Content is stored first, reachable from nowhere, then the size that will cover the content, then
 * the pointers. A crash between any two stores leaves at worst blocks without an owner.
 *
 * A PMD range spans at most two pointer arrays, because the boundary between two pointer blocks, or
 * between the inode's own pointers and the first pointer block, can fall inside the range. In an
 * existing array, the pointers are stored last. A new array is filled while unreachable and then
 * attached with a single store.
 */
#include "file/block_plan.h"

#include "tree/lookup.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/map.h"
#include "base/persist.h"
#include "alloc/aligned_extent.h"
#include "disk/super.h"
#include "file/range_lock.h"
#include "file/extend.h"
#include "file/mappings.h"
#include "disk/system_zone.h"
#include "base/skips.h"

/* ---- data blocks ---- */

/*
 * Takes up to *count blocks off the free count. Halves *count until the free count suffices, so
 * even the last free blocks are found. With `whole`, takes all of *count or fails.
 */
static int take_blocks(struct ext2dax_mount *m, uint32_t *count, bool whole)
{
    int rc;

    while ((rc = e2d_super_take_blocks(m, *count)) == -EXT2DAX_ENOSPC && !whole && *count > 1)
        *count >>= 1;
    return rc;
}

/*
 * Is the PMD range eligible for an aligned extent? Decided by the size and the sequence of calls
 * alone.
 */
static bool eligible(const struct ext2dax_mount *m, uint64_t range, uint64_t size)
{
    uint64_t start = range << (m->pmd_shift + m->block_shift);
    uint64_t end = start + ((uint64_t)m->pmd_blocks << m->block_shift);

    return m->aligned_per_group != 0 && (size >= end || (range != 0 && size >= start && !m->full_ranges));
}

/*
 * Returns the block number at which the PMD range starts in memory, derived from the first block
 * the range already has. Returns 0 if the range has no block, and UINT32_MAX if its blocks are not
 * in a whole aligned extent or cannot be looked up. An unreadable pointer block (reported) is no
 * reason to refuse a page of the range with pointers elsewhere.
 */
static E2D_OUT_OF_LINE uint32_t aligned_in_use(struct ext2dax_inode *inode, uint64_t range)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t start = range << m->pmd_shift, at = start, end = start + m->pmd_blocks;
    uint32_t group, number;
    struct ext2dax_run run;
    int rc;

    for (; at < end; at += run.length) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            return rc == -EXT2DAX_EFBIG ? 0 : UINT32_MAX;
        if (run.physical == 0)
            continue;
        if (run.physical > at - start && ((run.physical - (at - start)) & (m->pmd_blocks - 1)) == 0 &&
            e2d_aligned_find(m, run.physical - (at - start), &group, &number))
            return (uint32_t)(run.physical - (at - start));
        return UINT32_MAX;
    }
    return 0;
}

/*
 * Finds the aligned extent of an eligible PMD range, which is the extent in use, or a whole free
 * extent reserved here. Returns ENOSPC if neither exists, and the caller packs the blocks.
 */
static int aligned_for_range(struct ext2dax_inode *inode, uint64_t range, uint32_t *aligned)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t goal = e2d_load32_relaxed(&inode->goal);
    int rc;

    *aligned = aligned_in_use(inode, range);
    if (*aligned != 0)
        return *aligned != UINT32_MAX ? 0 : -EXT2DAX_ENOSPC;
    rc = e2d_balloc_aligned(m, inode->number, (uint32_t)range,
                            goal != 0 && goal < m->blocks ? e2d_group_of(m, goal) : e2d_inode_group(inode), aligned);
    e2d_count(rc == 0 ? &e2d_counters(m)->aligned_extents_claimed : &e2d_counters(m)->aligned_extents_missed, 1);
    return rc;
}

/*
 * Returns the best place for packed blocks. This is the place after the preceding block of the
 * file, else after the last block allocated for this inode, else the start of the inode's group.
 */
static uint32_t goal_for(struct ext2dax_inode *inode, uint64_t first)
{
    struct ext2dax_run run;
    uint32_t goal = e2d_load32_relaxed(&inode->goal);

    if (first != 0 && e2d_map_hint(inode, first - 1, 1, &run) == 0 && run.physical != 0)
        return (uint32_t)run.physical + 1;
    return goal != 0 ? goal : e2d_group_first(inode->mount, e2d_inode_group(inode));
}

static void add_extent(struct e2d_plan *plan, const struct e2d_extent *extent)
{
    struct e2d_extent *last = plan->extents != 0 ? &plan->extent[plan->extents - 1] : NULL;

    if (last && last->block + last->count == extent->block)
        last->count += extent->count;
    else
        plan->extent[plan->extents++] = *extent;
    plan->count += extent->count;
}

int e2d_plan_blocks(struct e2d_plan *plan, struct ext2dax_inode *inode, uint64_t first, uint32_t count, uint64_t size,
                    bool whole)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t range = e2d_pmd_range_of(m, first);
    uint32_t aligned = 0, in_range = (uint32_t)(first - (range << m->pmd_shift)), want, goal;
    struct e2d_extent extent;
    int rc;

    plan->inode = inode;
    plan->first = first;
    plan->count = 0;
    plan->extents = plan->tree_blocks = plan->attaches = plan->parts = 0;
    want = e2d_min32(count, m->pmd_blocks - in_range);
    rc = take_blocks(m, &want, whole);
    if (rc != 0)
        return rc;

    rc = eligible(m, range, size) ? aligned_for_range(inode, range, &aligned) : -EXT2DAX_ENOSPC;
    while (rc == 0 && plan->count < want && plan->extents < E2D_PLAN_EXTENTS) {
        rc = e2d_balloc_at(m, inode->number, (uint32_t)range, aligned + in_range + plan->count, want - plan->count,
                           &extent);
        if (rc == 0)
            add_extent(plan, &extent);
    }
    if (rc == -EXT2DAX_ENOSPC && !whole) {
        rc = 0;
        goal = plan->extents != 0 ? plan->extent[plan->extents - 1].block + plan->extent[plan->extents - 1].count
                                  : goal_for(inode, first);
        while (rc == 0 && plan->count < want && plan->extents < E2D_PLAN_EXTENTS) {
            rc = e2d_balloc(m, goal, want - plan->count, &extent);
            if (rc == 0) {
                add_extent(plan, &extent);
                goal = extent.block + extent.count;
            }
        }
    }
    e2d_super_give_blocks(m, want - plan->count);
    if (plan->count == 0 || (whole && (plan->extents != 1 || plan->count != count))) {
        e2d_plan_drop(plan);
        return rc != 0 ? rc : -EXT2DAX_ENOSPC;
    }
    e2d_set32_relaxed(&inode->goal, plan->extent[plan->extents - 1].block + plan->extent[plan->extents - 1].count);
    return 0;
}

void *e2d_plan_at(const struct e2d_plan *plan, uint64_t offset, size_t *contiguous)
{
    const struct ext2dax_mount *m = plan->inode->mount;
    uint64_t into = offset - (plan->first << m->block_shift);
    unsigned i = 0;

    while (into >= (uint64_t)plan->extent[i].count << m->block_shift)
        into -= (uint64_t)plan->extent[i++].count << m->block_shift;
    *contiguous = (size_t)(((uint64_t)plan->extent[i].count << m->block_shift) - into);
    return (unsigned char *)e2d_block(m, plan->extent[i].block) + into;
}

static void zero_bytes(struct e2d_plan *plan, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t length;
        void *at = e2d_plan_at(plan, from, &length);

        length = (size_t)e2d_min64(length, to - from);
        e2d_zero(plan->inode->mount, at, length);
        from += length;
    }
}

void(e2d_plan_zero)(struct e2d_plan *plan, uint64_t from, uint64_t to)
{
    const struct ext2dax_mount *m = plan->inode->mount;
    uint64_t start = plan->first << m->block_shift, end = (plan->first + plan->count) << m->block_shift;

    if (from >= to) {
        zero_bytes(plan, start, end);
        return;
    }
    zero_bytes(plan, start, e2d_max64(start, e2d_min64(from, end)));
    zero_bytes(plan, e2d_min64(end, e2d_max64(to, start)), end);
}

void e2d_plan_shorten(struct e2d_plan *plan, uint32_t count)
{
    struct ext2dax_mount *m = plan->inode->mount;

    while (plan->count > count) {
        struct e2d_extent *last = &plan->extent[plan->extents - 1];
        uint32_t over = e2d_min32(plan->count - count, last->count);

        e2d_give_back(m, last->block + last->count - over, over);
        last->count -= over;
        plan->count -= over;
        if (last->count == 0)
            plan->extents--;
    }
}

static void drop_tree(struct e2d_plan *plan)
{
    for (unsigned i = 0; i < plan->tree_blocks; i++)
        e2d_give_back(plan->inode->mount, plan->tree[i], 1);
    plan->tree_blocks = plan->attaches = plan->parts = 0;
}

void(e2d_plan_drop)(struct e2d_plan *plan)
{
    drop_tree(plan);
    e2d_plan_shorten(plan, 0);
}

/* ---- pointer blocks ---- */

/*
 * Returns the block number planned for a logical block. *run receives the number of contiguous
 * blocks from this block on, itself included.
 */
static uint32_t planned_block(const struct e2d_plan *plan, uint64_t logical, uint32_t *run)
{
    uint32_t into = (uint32_t)(logical - plan->first);
    unsigned i = 0;

    while (into >= plan->extent[i].count)
        into -= plan->extent[i++].count;
    *run = plan->extent[i].count - into;
    return plan->extent[i].block + into;
}

/*
 * Allocates a pointer block, zeroed and reachable from nowhere. The block is packed, never part of
 * a run of data blocks.
 */
static int new_tree_block(struct e2d_plan *plan, uint32_t *block)
{
    struct ext2dax_mount *m = plan->inode->mount;
    struct e2d_extent extent;
    int rc = e2d_balloc_one(m, e2d_inode_group(plan->inode), &extent);

    if (rc != 0)
        return rc;
    e2d_zero(m, e2d_block(m, extent.block), m->block_size);
    plan->tree[plan->tree_blocks++] = extent.block;
    *block = extent.block;
    /*
     * A block not zeroed holds old bytes. Taken for pointers, these would make every later attempt
     * find blocks in the place.
     */
    return e2d_failed(m);
}

/* Returns the value of a pointer-block slot once the plan is published. */
static uint32_t slot_value(const struct e2d_plan *plan, const struct ext2dax_le32 *slot)
{
    for (unsigned i = 0; i < plan->attaches; i++) {
        if (plan->attach[i].slot == slot)
            return plan->attach[i].block;
    }
    return e2d_load_le32(slot);
}

static bool is_new(const struct e2d_plan *plan, uint32_t block)
{
    for (unsigned i = 0; i < plan->tree_blocks; i++) {
        if (plan->tree[i] == block)
            return true;
    }
    return false;
}

static void store_pointers(const struct e2d_plan *plan, struct ext2dax_le32 *slots, uint64_t first, uint32_t count)
{
    uint32_t block = 0, run = 0;

    for (uint32_t i = 0; i < count; i++, block++, run--) {
        if (run == 0)
            block = planned_block(plan, first + i, &run);
        e2d_put32(&slots[i], block);
    }
    e2d_written(plan->inode->mount, slots, count * sizeof *slots);
}

/*
 * Finds or builds the pointer array for `logical`. The array may hang below a chain that this plan
 * has just built. Sets *reachable if readers can already see the array.
 */
static int array_for(struct e2d_plan *plan, const struct e2d_path *path, struct ext2dax_le32 **array, bool *reachable)
{
    struct ext2dax_inode *inode = plan->inode;
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_le32 *slots = inode->disk->block;
    uint32_t at = path->slot, block;
    bool seen = true;
    int rc;

    for (unsigned i = 0; i < path->depth; i++) {
        block = slot_value(plan, &slots[at]);
        if (block == 0) {
            rc = new_tree_block(plan, &block);
            if (rc != 0)
                return rc;
            if (seen) {
                plan->attach[plan->attaches].slot = &slots[at];
                plan->attach[plan->attaches++].block = block;
                if (E2D_MUTANT(ORDER_TREE_FIRST)) {
                    e2d_store32(m, &slots[at], block);
                    (void)e2d_order(m, E2D_FENCE_FILL_POINTERS);
                }
            } else {
                e2d_store32(m, &slots[at], block);
            }
        } else if (!is_new(plan, block)) {
            rc = e2d_pointer_check(inode, block, 1);
            if (rc != 0)
                return rc;
        }
        seen = seen && !is_new(plan, block);
        slots = e2d_block(m, block);
        at = path->index[i];
    }
    *array = slots;
    *reachable = seen;
    return 0;
}

/*
 * Builds everything below the topmost pointers, and records the stores that will publish the plan.
 * Returns EAGAIN if a data slot is already in use.
 */
static int build(struct e2d_plan *plan)
{
    struct ext2dax_mount *m = plan->inode->mount;
    uint64_t at = plan->first, end = plan->first + plan->count;
    struct e2d_path path;
    int rc;

    while (at < end) {
        struct ext2dax_le32 *array = NULL;
        uint32_t index, count;
        bool reachable = false;

        if (!e2d_path(m, at, &path))
            return -EXT2DAX_EFBIG;
        rc = array_for(plan, &path, &array, &reachable);
        if (rc != 0)
            return rc;
        index = (uint32_t)(at - path.leaf_first);
        count = (uint32_t)e2d_min64(end - at, path.leaf_count - index);
        for (uint32_t i = 0; i < count; i++) {
            if (e2d_load_le32(&array[index + i]) != 0)
                return -EXT2DAX_EAGAIN;
        }
        if (reachable) {
            plan->part[plan->parts].slots = &array[index];
            plan->part[plan->parts].first = at;
            plan->part[plan->parts++].count = count;
        } else {
            store_pointers(plan, &array[index], at, count);
        }
        at += count;
    }
    return 0;
}

/* ---- publishing ---- */

/*
 * Does a mutant leave the zero pages mapped over the blocks of this plan? A nonzero new size
 * distinguishes the plan of a call from the plan of a fault or pin.
 */
static bool zero_page_stays(const struct e2d_plan *plan, uint64_t new_size)
{
    bool call = new_size != 0, huge = plan->count == plan->inode->mount->pmd_blocks;

    return E2D_MUTANT_FROM(ZERO_PAGE_STAYS, call ? 2 : huge) || (call && E2D_MUTANT(ZERO_PAGE_EARLY));
}

/* Stores the pointers that make the planned blocks part of the file, and fences. */
static int store_all(const struct e2d_plan *plan)
{
    struct ext2dax_mount *m = plan->inode->mount;

    for (unsigned i = 0; i < plan->parts; i++)
        store_pointers(plan, plan->part[i].slots, plan->part[i].first, plan->part[i].count);
    for (unsigned i = 0; i < plan->attaches; i++)
        e2d_store32(m, plan->attach[i].slot, plan->attach[i].block);
    return e2d_order(m, E2D_FENCE_FILL_POINTERS);
}

static int publish_locked(struct e2d_plan *plan, uint64_t new_size)
{
    struct ext2dax_inode *inode = plan->inode;
    struct ext2dax_mount *m = inode->mount;
    int rc;

    rc = build(plan);
    if (rc == 0)
        rc = e2d_add_blocks(inode, plan->count + plan->tree_blocks);
    if (rc != 0)
        return rc;
    e2d_announce_size(inode, new_size);
    rc = e2d_order(m, E2D_FENCE_FILL_CONTENT);
    if (E2D_MUTANT(ORDER_POINTERS_FIRST) && rc == 0)
        rc = store_all(plan);
    if (rc == 0 && new_size > e2d_size(inode))
        rc = e2d_publish_size(inode, new_size, E2D_FENCE_FILL_SIZE);
    if (rc != 0) {
        e2d_drop_blocks(inode, plan->count + plan->tree_blocks);
        return rc;
    }
    rc = store_all(plan);
    if (!zero_page_stays(plan, new_size) && m->faultable)
        e2d_unmap(inode, plan->first, plan->count, false);
    /* Published, even if not durable. From here on the blocks belong to the file. */
    plan->count = 0;
    plan->extents = plan->tree_blocks = plan->attaches = plan->parts = 0;
    return rc;
}

int e2d_plan_publish(struct e2d_plan *plan, uint64_t new_size)
{
    struct ext2dax_inode *inode = plan->inode;
    int rc;

    e2d_write_lock(inode->mount, &inode->truncate);
    rc = publish_locked(plan, new_size);
    if (rc != 0)
        drop_tree(plan);
    e2d_write_unlock(inode->mount, &inode->truncate);
    return rc;
}

int e2d_plan_publish_extending(struct e2d_plan *plan, uint64_t new_size, uint64_t data)
{
    struct ext2dax_inode *inode = plan->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t range = e2d_pmd_range_of(m, plan->first), old = e2d_size(inode);
    bool tail = new_size > old && data > old && (old & (m->block_size - 1)) != 0;
    int rc = 0;

    if (tail)
        e2d_dax_write_lock(inode, E2D_DAX_EXTEND);
    if (tail)
        rc = e2d_zero_old_tail(inode, data);
    if (rc == 0) {
        if (E2D_MUTANT(ZERO_PAGE_EARLY))
            e2d_unmap(inode, plan->first, plan->count, false);
        e2d_range_lock(inode, range);
        rc = e2d_plan_publish(plan, new_size);
        e2d_range_unlock(inode, range);
    }
    if (tail)
        e2d_dax_write_unlock(inode, E2D_DAX_EXTEND);
    return rc;
}

int e2d_fill_hole(struct ext2dax_inode *inode, uint64_t first, uint32_t count, bool whole, struct e2d_extent *filled)
{
    struct e2d_plan plan;
    int rc;

    rc = e2d_plan_blocks(&plan, inode, first, count, e2d_size(inode), whole);
    if (rc != 0)
        return rc;
    /* The first extent is enough to proceed. The caller calls again for the rest. */
    e2d_plan_shorten(&plan, plan.extent[0].count);
    e2d_plan_zero(&plan, 0, 0);
    *filled = plan.extent[0];
    rc = e2d_plan_publish(&plan, 0);
    if (rc != 0)
        e2d_plan_drop(&plan);
    else if (E2D_MUTANT(PUBLISH_BEFORE_ZEROING))
        e2d_zero(inode->mount, e2d_block(inode->mount, filled->block),
                 (size_t)filled->count << inode->mount->block_shift);
    return rc;
}
