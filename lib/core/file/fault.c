/* SPDX-License-Identifier: MIT */
/*
 * The fault family. From the check of the size to the moment the address space has the answer, dax_sem is held shared, so
 * nothing that a fault has looked up is taken away before it is mapped, and nothing is mapped after it was taken away.
 *
 *   freeze_fault (shared, tried)   a shared write, before anything else; then the times
 *     dax_sem (shared)             the size, the lookup, the address space's map
 *       entry                      whatever sees or fills a hole, makes writable, or marks dirty
 *         truncate                 adding to the tree (grow.c)
 *
 * A read of a mapped block needs no entry lock: two of them enter the same thing, and a hole's filler comes with the entry
 * lock and unmaps the zero pages after it has published. A fault never truncates, whatever fails.
 */
#include "ext2dax/fault.h"

#include "grow.h"
#include "inode.h"
#include "lock.h"
#include "map.h"
#include "modify.h"
#include "persist.h"
#include "truncate.h"
#include "window.h"

/* How far a read-only run goes on behind the faulting page, in windows: enough to make traps rare, not to matter alone. */
#define READ_AHEAD_WINDOWS 8u

enum entry { READ_FAULT, WRITE_FAULT, PMD_READ, PMD_WRITE, MKWRITE, PFN_MKWRITE };

/* Which mutants let an entry go without dax_sem, or look at the size before it has dax_sem instead of after. */
static bool skips_dax_sem(enum entry entry)
{
    return E2D_MUTANT(DAX_SEM_FAULT) || (entry == READ_FAULT && E2D_MUTANT(DAX_SEM_READ_FAULT)) ||
           (entry == WRITE_FAULT && E2D_MUTANT(DAX_SEM_WRITE_FAULT)) ||
           (entry == PMD_READ && E2D_MUTANT(DAX_SEM_PMD_READ)) ||
           (entry == PMD_WRITE && E2D_MUTANT(DAX_SEM_PMD_WRITE)) || (entry == MKWRITE && E2D_MUTANT(DAX_SEM_MKWRITE)) ||
           (entry == PFN_MKWRITE && E2D_MUTANT(DAX_SEM_PFN_MKWRITE));
}
static bool sees_size_early(enum entry entry)
{
    return (entry == READ_FAULT && E2D_MUTANT(READ_NO_RECHECK)) ||
           (entry == WRITE_FAULT && E2D_MUTANT(WRITE_NO_RECHECK)) ||
           ((entry == PMD_READ || entry == PMD_WRITE) && E2D_MUTANT(PMD_NO_RECHECK)) ||
           (entry == MKWRITE && E2D_MUTANT(MKWRITE_NO_RECHECK)) || (entry == PFN_MKWRITE && E2D_MUTANT(PFN_NO_RECHECK));
}

static enum ext2dax_fault_result result_of(struct ext2dax_fault *fault, int error)
{
    fault->error = error;
    return error == 0 ? EXT2DAX_FAULT_NOPAGE : error == -EXT2DAX_ENOMEM ? EXT2DAX_FAULT_OOM : EXT2DAX_FAULT_SIGBUS;
}

static enum ext2dax_fault_result fall_back(struct ext2dax_fault *fault, enum ext2dax_fallback reason)
{
    fault->reason = reason;
    e2d_count(&fault->inode->mount->counters.fallback[reason], 1);
    return EXT2DAX_FAULT_FALLBACK;
}

static enum ext2dax_fault_result enter(struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    struct ext2dax_mount *m = fault->inode->mount;
    enum ext2dax_fault_result result;

    if (E2D_MUTANT(DAX_SEM_EARLY))
        e2d_dax_read_unlock(fault->inode);
    E2D_YIELD(E2D_YIELD_CALLBACK, fault);
    result = m->space_ops.map(m->space_ctx, fault, mapping);
    if (E2D_MUTANT(DAX_SEM_EARLY))
        e2d_dax_read_lock(fault->inode);
    if (result == EXT2DAX_FAULT_FALLBACK)
        return fall_back(fault, EXT2DAX_FALLBACK_PRIVATE);
    if (result == EXT2DAX_FAULT_OOM)
        fault->error = -EXT2DAX_ENOMEM;
    if (result == EXT2DAX_FAULT_NOPAGE && mapping->huge)
        e2d_count(&m->counters.huge_mapped, 1);
    return result;
}

/* Enters a run of blocks, or zero pages where `block` is 0. */
static enum ext2dax_fault_result enter_run(struct ext2dax_fault *fault, uint64_t page, uint64_t block, uint64_t count,
                                           bool writable, bool huge)
{
    struct ext2dax_mount *m = fault->inode->mount;
    bool copy = fault->write && !fault->shared;
    uint64_t pages = copy ? 1 : count;
    struct ext2dax_mapping mapping = {
        .kind = copy         ? EXT2DAX_MAPPING_COPY
                : block == 0 ? EXT2DAX_MAPPING_ZERO
                             : EXT2DAX_MAPPING_DATA,
        .page = page,
        .count = pages,
        .memory_offset = block == 0 ? EXT2DAX_NO_OFFSET : block << m->block_shift,
        .writable = writable,
        .huge = huge,
    };

    /* One bad page of a run is not to be entered, nor to take the good ones with it. */
    if (block != 0 && e2d_check(m, e2d_block(m, (uint32_t)block), (size_t)pages << m->page_shift) != 0) {
        if (huge)
            return fall_back(fault, EXT2DAX_FALLBACK_SCATTERED);
        if (pages == 1 || e2d_check(m, e2d_block(m, (uint32_t)block), m->page_size) != 0)
            return result_of(fault, -EXT2DAX_EIO);
        mapping.count = 1;
    }
    return enter(fault, &mapping);
}

/* Pages from the faulting one to the end of the mapping or of the file, whichever is nearer. */
static uint64_t pages_ahead(const struct ext2dax_fault *fault, uint64_t most)
{
    uint64_t end = e2d_pages_for(fault->inode->mount, e2d_size(fault->inode));
    uint64_t mapped = fault->mapping_count > UINT64_MAX - fault->mapping_first
                          ? UINT64_MAX
                          : fault->mapping_first + fault->mapping_count;

    end = e2d_min64(end, e2d_max64(mapped, fault->page + 1));
    return e2d_min64(most, end - fault->page);
}

static bool past_end(const struct ext2dax_fault *fault)
{
    return fault->page >= e2d_pages_for(fault->inode->mount, e2d_size(fault->inode));
}

/* ---- small pages ---- */

static enum ext2dax_fault_result read_page(struct ext2dax_fault *fault)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t window = e2d_window_of(m, fault->page);
    uint64_t in_window = m->window_blocks - (fault->page & (m->window_blocks - 1));
    enum ext2dax_fault_result result;
    struct ext2dax_run run;
    int rc;

    rc = e2d_map(inode, fault->page, pages_ahead(fault, (uint64_t)m->window_blocks * READ_AHEAD_WINDOWS), &run);
    if (rc != 0)
        return result_of(fault, rc);
    if (run.physical != 0)
        return enter_run(fault, fault->page, run.physical, run.length, false, false);

    e2d_entry_lock(inode, window);
    rc = e2d_map(inode, fault->page, pages_ahead(fault, in_window), &run);
    result = rc != 0 ? result_of(fault, rc) : enter_run(fault, fault->page, run.physical, run.length, false, false);
    e2d_entry_unlock(inode, window);
    return result;
}

/* What mutants do that saw a hole before they had the entry lock, and find a block under it. */
static void misjudge_hole(struct ext2dax_inode *inode, struct ext2dax_run *run)
{
    if (E2D_MUTANT(ZEROED_BY_LOSER) && run->physical != 0)
        e2d_zero(inode->mount, e2d_block(inode->mount, (uint32_t)run->physical), inode->mount->block_size);
    if (E2D_MUTANT(FAULT_NOT_RECHECKED))
        run->physical = 0;
}

/* Makes the page's block be there; the entry lock is held. */
static int block_for_write(struct ext2dax_inode *inode, uint64_t page, uint64_t ahead, bool saw_hole,
                           struct ext2dax_run *run)
{
    struct e2d_extent filled;
    int rc;

    rc = e2d_map(inode, page, ahead, run);
    if (rc == 0 && saw_hole)
        misjudge_hole(inode, run);
    if (rc != 0 || run->physical != 0)
        return rc;
    rc = e2d_fill_hole(inode, page, 1, false, &filled);
    if (rc != 0)
        return rc;
    run->physical = filled.block;
    run->length = 1;
    return 0;
}

static enum ext2dax_fault_result write_page(struct ext2dax_fault *fault)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t window = e2d_window_of(m, fault->page);
    uint64_t in_window = m->window_blocks - (fault->page & (m->window_blocks - 1));
    enum ext2dax_fault_result result;
    struct ext2dax_run run;
    bool saw_hole = false;
    int rc;

    if (E2D_MUTANT(ZEROED_BY_LOSER) || E2D_MUTANT(FAULT_NOT_RECHECKED))
        saw_hole = e2d_map(inode, fault->page, 1, &run) == 0 && run.physical == 0;
    e2d_entry_lock(inode, window);
    rc = block_for_write(inode, fault->page, pages_ahead(fault, in_window), saw_hole, &run);
    if (rc == 0) {
        E2D_UNLESS(FAULT_NOT_DIRTY, e2d_dirty_mark(inode, window));
        result = enter_run(fault, fault->page, run.physical, run.length, true, false);
    } else {
        result = result_of(fault, rc);
    }
    e2d_entry_unlock(inode, window);
    return result;
}

/* The block was entered read-only before; by now it may be gone, and then nothing is entered. */
static enum ext2dax_fault_result make_writable(struct ext2dax_fault *fault)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t window = e2d_window_of(m, fault->page);
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    struct ext2dax_run run;
    int rc = 0;

    if (E2D_MUTANT(PFN_NO_RECHECK)) {
        rc = e2d_map(inode, fault->page, 1, &run);
        e2d_dax_read_unlock(inode);
        e2d_dax_read_lock(inode);
    }
    e2d_entry_lock(inode, window);
    E2D_UNLESS(PFN_NO_RECHECK, rc = e2d_map(inode, fault->page, 1, &run));
    if (rc != 0) {
        result = result_of(fault, rc);
    } else if (run.physical != 0) {
        E2D_UNLESS(PFN_NOT_DIRTY, e2d_dirty_mark(inode, window));
        result = enter_run(fault, fault->page, run.physical, 1, true, false);
    }
    e2d_entry_unlock(inode, window);
    return result;
}

/* ---- windows ---- */

/* A window that begins with this run, no region, is refused. Why: one look behind the run, not at each of its pages. */
static enum ext2dax_fault_result no_region(struct ext2dax_fault *fault, uint64_t first, struct ext2dax_run *run)
{
    if (run->physical != 0)
        (void)e2d_map(fault->inode, first + run->length, 1, run);
    return fall_back(fault, run->physical == 0 ? EXT2DAX_FALLBACK_HOLE : EXT2DAX_FALLBACK_SCATTERED);
}

/* The window's region; a write, which holds the entry lock, claims one whole if the window is empty. */
static enum ext2dax_fault_result region_of_window(struct ext2dax_fault *fault, uint64_t first, struct ext2dax_run *run)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    struct e2d_extent filled;
    int rc;

    rc = e2d_map(inode, first, m->window_blocks, run);
    if (rc != 0)
        return result_of(fault, rc);
    if (run->length != m->window_blocks || (run->physical == 0 && !fault->write))
        return no_region(fault, first, run);
    if (run->physical == 0) {
        rc = e2d_fill_hole(inode, first, m->window_blocks, true, &filled);
        if (rc == -EXT2DAX_ENOSPC)
            return fall_back(fault, EXT2DAX_FALLBACK_NO_REGION);
        if (rc != 0)
            return result_of(fault, rc);
        run->physical = filled.block;
    }
    if ((run->physical & (m->window_blocks - 1)) != 0)
        return fall_back(fault, EXT2DAX_FALLBACK_SCATTERED);
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result read_window(struct ext2dax_fault *fault, uint64_t first)
{
    struct ext2dax_run run;
    enum ext2dax_fault_result result = region_of_window(fault, first, &run);

    return result != EXT2DAX_FAULT_NOPAGE ? result : enter_run(fault, first, run.physical, run.length, false, true);
}

static enum ext2dax_fault_result write_window(struct ext2dax_fault *fault, uint64_t first)
{
    struct ext2dax_inode *inode = fault->inode;
    uint64_t window = e2d_window_of(inode->mount, first);
    enum ext2dax_fault_result result;
    struct ext2dax_run run;

    e2d_entry_lock(inode, window);
    result = region_of_window(fault, first, &run);
    if (result == EXT2DAX_FAULT_NOPAGE) {
        e2d_dirty_mark(inode, window);
        result = enter_run(fault, first, run.physical, run.length, true, true);
    }
    e2d_entry_unlock(inode, window);
    return result;
}

static enum ext2dax_fault_result huge_page(struct ext2dax_fault *fault)
{
    const struct ext2dax_mount *m = fault->inode->mount;
    uint64_t first = fault->page & ~(uint64_t)(m->window_blocks - 1), end = first + m->window_blocks;

    if (end > e2d_pages_for(m, e2d_size(fault->inode)) && !E2D_MUTANT(PMD_NO_RECHECK))
        return fall_back(fault, EXT2DAX_FALLBACK_RANGE);
    return fault->write ? write_window(fault, first) : read_window(fault, first);
}

/* What rules a huge entry out before any lock is taken. */
static enum ext2dax_fallback unfit_for_huge(const struct ext2dax_fault *fault)
{
    const struct ext2dax_mount *m = fault->inode->mount;
    uint64_t huge = (uint64_t)m->window_blocks << m->page_shift;
    uint64_t first = fault->page & ~(uint64_t)(m->window_blocks - 1);

    if (fault->write && !fault->shared)
        return EXT2DAX_FALLBACK_PRIVATE;
    if (!m->huge_aligned || ((fault->address ^ (fault->page << m->page_shift)) & (huge - 1) & ~(m->page_size - 1)) != 0)
        return EXT2DAX_FALLBACK_ALIGNMENT;
    if (first < fault->mapping_first || fault->mapping_count < m->window_blocks ||
        first - fault->mapping_first > fault->mapping_count - m->window_blocks)
        return EXT2DAX_FALLBACK_RANGE;
    return EXT2DAX_FALLBACK_NONE;
}

/* ---- the entries ---- */

/* The part under dax_sem: from the look at the size to the installed mapping. `write`: of a shared mapping. */
static enum ext2dax_fault_result resolve(struct ext2dax_fault *fault, enum entry entry, bool write,
                                         enum ext2dax_fault_result (*work)(struct ext2dax_fault *fault))
{
    struct ext2dax_inode *inode = fault->inode;
    struct ext2dax_mount *m = inode->mount;
    bool refused = sees_size_early(entry) && past_end(fault);
    enum ext2dax_fault_result result = EXT2DAX_FAULT_SIGBUS;

    if (!skips_dax_sem(entry))
        e2d_dax_read_lock(inode);
    if (write && E2D_MUTANT(FREEZE_FAULT_LATE))
        e2d_read_lock(m, &m->freeze_fault);
    if (write && E2D_MUTANT(CLOCK_UNDER_DAX_SEM))
        e2d_store_times(inode, e2d_now(m), true);
    if (!sees_size_early(entry))
        refused = past_end(fault);
    if (refused)
        fault->error = -EXT2DAX_EFAULT;
    else
        result = work(fault);
    if (write && E2D_MUTANT(FREEZE_FAULT_LATE))
        e2d_read_unlock(m, &m->freeze_fault);
    if (!skips_dax_sem(entry))
        e2d_dax_read_unlock(inode);
    if (E2D_MUTANT(ERROR_TRUNCATES) && write && result == EXT2DAX_FAULT_SIGBUS && !past_end(fault))
        (void)e2d_shrink(inode, fault->page << m->page_shift, e2d_now(m));
    return result;
}

/* What every entry does around that: the freeze lock and the times of a shared write. */
static enum ext2dax_fault_result serve(struct ext2dax_fault *fault, enum entry entry, bool write,
                                       enum ext2dax_fault_result (*work)(struct ext2dax_fault *fault))
{
    struct ext2dax_inode *inode = fault->inode;
    struct ext2dax_mount *m = inode->mount;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_SIGBUS;
    bool freeze_held = write && !E2D_MUTANT(FREEZE_FAULT_LATE);

    fault->reason = EXT2DAX_FALLBACK_NONE;
    fault->error = 0;
    e2d_count(&m->counters.faults, 1);
    if (!m->faultable || !m->space_ops.map)
        return fall_back(fault, EXT2DAX_FALLBACK_BLOCK_SIZE);
    if (!e2d_is_regular(inode)) {
        fault->error = -EXT2DAX_EINVAL;
        e2d_count(&m->counters.sigbus, 1);
        return EXT2DAX_FAULT_SIGBUS;
    }
    if (freeze_held && !e2d_try_read_lock(m, &m->freeze_fault))
        return EXT2DAX_FAULT_RETRY;
    if (write) {
        fault->error = e2d_may_modify(m);
        if (fault->error != 0)
            goto out;
        E2D_UNLESS(CLOCK_UNDER_DAX_SEM, e2d_store_times(inode, e2d_now(m), true));
    }
    if (E2D_MUTANT(FREEZE_FAULT_SHORT) && freeze_held) {
        e2d_read_unlock(m, &m->freeze_fault);
        freeze_held = false;
    }
    result = resolve(fault, entry, write, work);
out:
    if (freeze_held)
        e2d_read_unlock(m, &m->freeze_fault);
    if (result == EXT2DAX_FAULT_SIGBUS)
        e2d_count(&m->counters.sigbus, 1);
    return result;
}

enum ext2dax_fault_result ext2dax_fault(struct ext2dax_fault *fault)
{
    bool write = fault->write && fault->shared;

    return serve(fault, write ? WRITE_FAULT : READ_FAULT, write, write ? write_page : read_page);
}

enum ext2dax_fault_result ext2dax_pmd_fault(struct ext2dax_fault *fault)
{
    enum ext2dax_fallback reason = fault->inode->mount->faultable ? unfit_for_huge(fault) : EXT2DAX_FALLBACK_NONE;

    if (reason != EXT2DAX_FALLBACK_NONE)
        return fall_back(fault, reason);
    return serve(fault, fault->write ? PMD_WRITE : PMD_READ, fault->write, huge_page);
}

enum ext2dax_fault_result ext2dax_mkwrite(struct ext2dax_fault *fault)
{
    return serve(fault, MKWRITE, fault->shared, fault->shared ? write_page : read_page);
}

enum ext2dax_fault_result ext2dax_pfn_mkwrite(struct ext2dax_fault *fault)
{
    return serve(fault, PFN_MKWRITE, fault->shared, fault->shared ? make_writable : read_page);
}
