/* SPDX-License-Identifier: MIT */
/*
 * What adds blocks. Content first, reachable from nowhere; then the size that will cover it; then the pointers, so that a
 * crash between any two stores leaves at worst blocks that nobody owns.
 *
 * One window touches at most two pointer arrays (the boundary between two pointer blocks, or between the inode's own
 * pointers and the first pointer block, can fall inside it). An array that exists has its pointers stored last; a new
 * one is filled while it is unreachable and then hung in with one store.
 */
#include "grow.h"

#include "branch.h"
#include "inode.h"
#include "lock.h"
#include "map.h"
#include "persist.h"
#include "super.h"
#include "window.h"
#include "zone.h"

/* ---- data blocks ---- */

/* Takes as many of `count` off the free count as there are: halving finds the last ones. */
static int take_blocks(struct ext2dax_mount *m, uint32_t *count, bool whole)
{
    int rc;

    while ((rc = e2d_super_take_blocks(m, *count)) == -EXT2DAX_ENOSPC && !whole && *count > 1)
        *count >>= 1;
    return rc;
}

/* Has the window a region coming to it, by the size and the order of calls alone? */
static bool eligible(const struct ext2dax_mount *m, uint64_t window, uint64_t size)
{
    uint64_t start = window << (m->window_shift + m->block_shift);
    uint64_t end = start + ((uint64_t)m->window_blocks << m->block_shift);

    return m->regions_per_group != 0 && (size >= end || (window != 0 && size >= start));
}

/*
 * The place in memory that the window would have from its first block on, judging by a block it has already; 0: it has
 * none, UINT32_MAX: it has some, but not in an aligned region.
 */
static int region_in_use(struct ext2dax_inode *inode, uint64_t window, uint32_t *region)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t start = window << m->window_shift, at = start, end = start + m->window_blocks;
    struct ext2dax_run run;
    int rc;

    *region = 0;
    for (; at < end; at += run.length) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            return rc == -EXT2DAX_EFBIG ? 0 : rc;
        if (run.physical == 0)
            continue;
        *region = UINT32_MAX;
        if (run.physical > at - start && ((run.physical - (at - start)) & (m->window_blocks - 1)) == 0)
            *region = (uint32_t)(run.physical - (at - start));
        return 0;
    }
    return 0;
}

/* The region of an eligible window: the one in use, or a whole free one. ENOSPC: pack its blocks. */
static int window_region(struct ext2dax_inode *inode, uint64_t window, uint32_t *region)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t goal = e2d_load32_relaxed(&inode->goal);
    int rc;

    rc = region_in_use(inode, window, region);
    if (rc != 0 || (*region != 0 && *region != UINT32_MAX))
        return rc;
    if (*region == UINT32_MAX)
        return -EXT2DAX_ENOSPC;
    rc = e2d_balloc_region(m, inode->number, (uint32_t)window,
                           goal != 0 && goal < m->blocks ? e2d_group_of(m, goal) : e2d_inode_group(inode), region);
    e2d_count(rc == 0 ? &m->counters.regions_claimed : &m->counters.regions_missed, 1);
    return rc;
}

/* Where packed blocks would best lie: behind the block before them, else behind the last one given to this inode. */
static uint32_t goal_for(struct ext2dax_inode *inode, uint64_t first)
{
    struct ext2dax_run run;
    uint32_t goal = e2d_load32_relaxed(&inode->goal);

    if (first != 0 && e2d_map(inode, first - 1, 1, &run) == 0 && run.physical != 0)
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
    uint64_t window = e2d_window_of(m, first);
    uint32_t region = 0, in_window = (uint32_t)(first - (window << m->window_shift)), want, goal;
    struct e2d_extent extent;
    int rc;

    plan->inode = inode;
    plan->first = first;
    plan->count = 0;
    plan->extents = plan->tree_blocks = plan->attaches = plan->parts = 0;
    want = e2d_min32(count, m->window_blocks - in_window);
    rc = take_blocks(m, &want, whole);
    if (rc != 0)
        return rc;

    rc = eligible(m, window, size) ? window_region(inode, window, &region) : -EXT2DAX_ENOSPC;
    while (rc == 0 && plan->count < want && plan->extents < E2D_PLAN_EXTENTS) {
        rc = e2d_balloc_at(m, inode->number, (uint32_t)window, region + in_window + plan->count, want - plan->count,
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
        if (!E2D_MUTANT(PUBLISH_UNZEROED))
            e2d_zero(plan->inode->mount, at, length);
        from += length;
    }
}

void e2d_plan_zero(struct e2d_plan *plan, uint64_t from, uint64_t to)
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

static void give_back(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    e2d_super_give_blocks(m, e2d_bfree(m, block, count));
}

void e2d_plan_shorten(struct e2d_plan *plan, uint32_t count)
{
    struct ext2dax_mount *m = plan->inode->mount;

    while (plan->count > count) {
        struct e2d_extent *last = &plan->extent[plan->extents - 1];
        uint32_t over = e2d_min32(plan->count - count, last->count);

        give_back(m, last->block + last->count - over, over);
        last->count -= over;
        plan->count -= over;
        if (last->count == 0)
            plan->extents--;
    }
}

static void drop_tree(struct e2d_plan *plan)
{
    for (unsigned i = 0; i < plan->tree_blocks; i++)
        give_back(plan->inode->mount, plan->tree[i], 1);
    plan->tree_blocks = plan->attaches = plan->parts = 0;
}

void e2d_plan_drop(struct e2d_plan *plan)
{
    drop_tree(plan);
    e2d_plan_shorten(plan, 0);
}

/* ---- pointer blocks ---- */

/* The block number planned for a logical block, and how many follow it contiguously. */
static uint32_t planned_block(const struct e2d_plan *plan, uint64_t logical, uint32_t *run)
{
    uint32_t into = (uint32_t)(logical - plan->first);
    unsigned i = 0;

    while (into >= plan->extent[i].count)
        into -= plan->extent[i++].count;
    *run = plan->extent[i].count - into;
    return plan->extent[i].block + into;
}

/* A new pointer block, zeroed and reachable from nowhere. Never out of a data run: packed. */
static int new_tree_block(struct e2d_plan *plan, uint32_t *block)
{
    struct ext2dax_mount *m = plan->inode->mount;
    struct e2d_extent extent;
    int rc;

    rc = e2d_super_take_blocks(m, 1);
    if (rc != 0)
        return rc;
    rc = e2d_balloc(m, e2d_group_first(m, e2d_inode_group(plan->inode)), 1, &extent);
    if (rc != 0) {
        e2d_super_give_blocks(m, 1);
        return rc;
    }
    e2d_zero(m, e2d_block(m, extent.block), m->block_size);
    plan->tree[plan->tree_blocks++] = extent.block;
    *block = extent.block;
    return 0;
}

/* What a slot will hold once the plan is published. */
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
 * Finds or builds the pointer array for `logical`, which may hang below a chain that this plan has just built. Sets
 * *reachable when readers can see it already.
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
                    (void)e2d_order(m, E2D_STEP_FILL_POINTERS);
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

/* Builds everything that hangs below the topmost pointers, and notes what must be stored to publish it. */
static int build(struct e2d_plan *plan)
{
    struct ext2dax_mount *m = plan->inode->mount;
    uint64_t at = plan->first, end = plan->first + plan->count;
    struct e2d_path path;
    int rc;

    while (at < end) {
        struct ext2dax_le32 *array;
        uint32_t index, count;
        bool reachable;

        if (!e2d_path(m, at, &path))
            return -EXT2DAX_EFBIG;
        rc = array_for(plan, &path, &array, &reachable);
        if (rc != 0)
            return rc;
        index = (uint32_t)(at - path.leaf_first);
        count = (uint32_t)e2d_min64(end - at, path.leaf_count - index);
        for (uint32_t i = 0; i < count; i++) {
            if (e2d_load_le32(&array[index + i]) != 0 && !E2D_MUTANT(PLACE_NOT_RECHECKED) &&
                !E2D_MUTANT(FAULT_NOT_RECHECKED))
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

int e2d_may_grow(const struct ext2dax_inode *inode, uint64_t size)
{
    const struct ext2dax_mount *m = inode->mount;
    uint64_t line = m->block_shift == 10 ? (uint64_t)16 << 30 : m->block_shift == 11 ? (uint64_t)256 << 30 : UINT64_MAX;

    if (size > m->max_size || (size > line && size > e2d_size(inode)))
        return -EXT2DAX_EFBIG;
    return 0;
}

/*
 * The bytes between the old end and its block's end, or `data`: a mapped store past the end may have put anything
 * there, and growing would show it. The page goes first, so that no store comes behind the zeroes; the caller holds
 * dax_sem exclusively until the new size is in core, so that none maps it again before it may.
 */
static int zero_old_tail(struct ext2dax_inode *inode, uint64_t data)
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
    E2D_UNLESS(TAIL_STAYS_MAPPED, e2d_unmap(inode, old >> m->page_shift, 1, false));
    if (!E2D_MUTANT(TAIL_NOT_ZEROED))
        e2d_zero(m, (unsigned char *)e2d_block(m, (uint32_t)run.physical) + from, length);
    return 0;
}

/* The size in the image, durable, then in core; pages that were past the end are no longer. */
static int publish_size(struct ext2dax_inode *inode, uint64_t size, enum e2d_step step)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t pages = e2d_pages_for(m, e2d_size(inode)), now = e2d_pages_for(m, size);
    int rc;

    rc = e2d_store_size(inode, size);
    if (rc == 0)
        rc = e2d_order(m, step);
    if (rc != 0)
        return rc;
    if (now > pages)
        e2d_grow_mapped(inode, now);
    e2d_set64(&inode->size, size);
    e2d_unmap(inode, pages, now - pages, false);
    return 0;
}

/* Does a mutant leave the zero pages over what the plan has filled? A new size tells a call's plan from a fault's. */
static bool zero_page_stays(const struct e2d_plan *plan, uint64_t new_size)
{
    if (new_size != 0)
        return E2D_MUTANT(ZERO_PAGE_STAYS_WRITE) || E2D_MUTANT(ZERO_PAGE_EARLY);
    return plan->count == plan->inode->mount->window_blocks ? E2D_MUTANT(ZERO_PAGE_STAYS_PMD)
                                                            : E2D_MUTANT(ZERO_PAGE_STAYS);
}

/* The pointers that make the plan the file's. */
static int store_all(const struct e2d_plan *plan)
{
    struct ext2dax_mount *m = plan->inode->mount;

    for (unsigned i = 0; i < plan->parts; i++)
        store_pointers(plan, plan->part[i].slots, plan->part[i].first, plan->part[i].count);
    for (unsigned i = 0; i < plan->attaches; i++)
        e2d_store32(m, plan->attach[i].slot, plan->attach[i].block);
    return e2d_order(m, E2D_STEP_FILL_POINTERS);
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
    rc = e2d_order(m, E2D_STEP_FILL_CONTENT);
    if (E2D_MUTANT(ORDER_POINTERS_FIRST) && rc == 0)
        rc = store_all(plan);
    if (rc == 0 && new_size > e2d_size(inode))
        rc = publish_size(inode, new_size, E2D_STEP_FILL_SIZE);
    if (rc != 0) {
        e2d_drop_blocks(inode, plan->count + plan->tree_blocks);
        return rc;
    }
    rc = store_all(plan);
    if (!zero_page_stays(plan, new_size) && m->faultable)
        e2d_unmap(inode, plan->first, plan->count, false);
    /* Published, durable or not: from here on the blocks are the file's. */
    plan->count = 0;
    plan->extents = plan->tree_blocks = plan->attaches = plan->parts = 0;
    return rc;
}

int e2d_plan_publish(struct e2d_plan *plan, uint64_t new_size)
{
    struct ext2dax_inode *inode = plan->inode;
    int rc;

    E2D_UNLESS(TRUNCATE_LOCK_SKIPPED, e2d_write_lock(inode->mount, &inode->truncate));
    rc = publish_locked(plan, new_size);
    if (rc != 0)
        drop_tree(plan);
    E2D_UNLESS(TRUNCATE_LOCK_SKIPPED, e2d_write_unlock(inode->mount, &inode->truncate));
    return rc;
}

int e2d_plan_publish_growing(struct e2d_plan *plan, uint64_t new_size, uint64_t data)
{
    struct ext2dax_inode *inode = plan->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t window = e2d_window_of(m, plan->first), old = e2d_size(inode);
    bool tail = new_size > old && data > old && (old & (m->block_size - 1)) != 0;
    int rc = 0;

    if (tail)
        e2d_dax_write_lock(inode, E2D_DAX_GROW);
    if (tail)
        rc = zero_old_tail(inode, data);
    if (rc == 0) {
        if (E2D_MUTANT(ZERO_PAGE_EARLY))
            e2d_unmap(inode, plan->first, plan->count, false);
        e2d_entry_lock(inode, window);
        rc = e2d_plan_publish(plan, new_size);
        e2d_entry_unlock(inode, window);
    }
    if (tail)
        e2d_dax_write_unlock(inode, E2D_DAX_GROW);
    return rc;
}

int e2d_fill_hole(struct ext2dax_inode *inode, uint64_t first, uint32_t count, bool whole, struct e2d_extent *filled)
{
    struct e2d_plan plan;
    int rc;

    rc = e2d_plan_blocks(&plan, inode, first, count, e2d_size(inode), whole);
    if (rc != 0)
        return rc;
    /* The first extent is enough to go on with; the caller comes again for the rest. */
    e2d_plan_shorten(&plan, plan.extent[0].count);
    E2D_UNLESS(PUBLISH_BEFORE_ZEROING, e2d_plan_zero(&plan, 0, 0));
    *filled = plan.extent[0];
    rc = e2d_plan_publish(&plan, 0);
    if (rc != 0)
        e2d_plan_drop(&plan);
    else if (E2D_MUTANT(PUBLISH_BEFORE_ZEROING))
        e2d_zero(inode->mount, e2d_block(inode->mount, filled->block),
                 (size_t)filled->count << inode->mount->block_shift);
    return rc;
}

int e2d_grow_size(struct ext2dax_inode *inode, uint64_t size)
{
    struct ext2dax_mount *m = inode->mount;
    int rc;

    rc = e2d_may_grow(inode, size);
    if (rc != 0)
        return rc;
    e2d_dax_write_lock(inode, E2D_DAX_GROW);
    e2d_write_lock(m, &inode->truncate);
    if (E2D_MUTANT(ORDER_TAIL_LAST)) {
        (void)e2d_store_size(inode, size);
        (void)e2d_order(m, E2D_STEP_GROW_SIZE);
    }
    rc = zero_old_tail(inode, UINT64_MAX);
    if (!E2D_MUTANT(ORDER_FEATURE_LAST))
        e2d_announce_size(inode, size);
    if (rc == 0)
        rc = e2d_order(m, E2D_STEP_GROW_TAIL);
    if (rc == 0)
        rc = publish_size(inode, size, E2D_STEP_GROW_SIZE);
    if (E2D_MUTANT(ORDER_FEATURE_LAST))
        e2d_super_large_file(m);
    e2d_write_unlock(m, &inode->truncate);
    e2d_dax_write_unlock(inode, E2D_DAX_GROW);
    return rc;
}
