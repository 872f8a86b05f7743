/* SPDX-License-Identifier: MIT */
/*
 * Page faults. A fault holds dax_sem shared from the size check until the address space has
 * installed the mapping. So nothing the fault has looked up is removed before it is mapped, and
 * nothing is mapped after removal.
 *
 *   freeze_fault (shared, tried)  a shared write, before anything else, then stores the times
 *     dax_sem (shared)            the size check, the lookup, the address space's map
 *       range lock                a fault that sees or fills a hole, makes writable or marks dirty
 *         truncate                adding to the tree (block_plan.c)
 *
 * A read fault on an existing block needs no range lock. Two such faults install the same mapping.
 * A fault filling a hole holds the range lock, and unmaps the zero pages after publishing the
 * block. A fault never truncates, not even after an error.
 *
 * e2d_fault_lock() and e2d_fault_unlock() take and release dax_sem. The other functions of
 * file/fault_mutants.h, which look early or zero again, do nothing in the shipped core.
 */
#include "ext2dax/fault.h"

#include "file/block_plan.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/quick_map.h"
#include "file/write_access.h"
#include "base/persist.h"
#include "file/range_lock.h"
#include "file/dirty.h"
#include "file/fault_mutants.h"
#include "base/skips.h"

/* Longest run of a read fault, in PMD ranges. Bounds the time dax_sem is held. */
#define READ_RANGES_MAX 8u
/* Pages of a run where the address space has no wish. As many as kernels map around a fault. */
#define PAGES_WANTED 16u

static enum ext2dax_fault_result result_of(struct ext2dax_fault *fault, int error)
{
    fault->error = error;
    return error == 0 ? EXT2DAX_FAULT_NOPAGE : EXT2DAX_FAULT_SIGBUS;
}

static E2D_OUT_OF_LINE enum ext2dax_fault_result fall_back(struct ext2dax_fault *fault, enum ext2dax_fallback reason)
{
    fault->reason = reason;
    e2d_count(&e2d_counters(fault->inode->mount)->fallback[reason], 1);
    return EXT2DAX_FAULT_FALLBACK;
}

static enum ext2dax_fault_result enter(struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    struct ext2dax_mount *m = fault->inode->mount;
    enum ext2dax_fault_result result;

    E2D_YIELD(E2D_YIELD_CALLBACK, fault);
    result = m->space_ops.map(m->space_ctx, fault, mapping);
    if (result == EXT2DAX_FAULT_FALLBACK)
        return fall_back(fault, EXT2DAX_FALLBACK_PRIVATE);
    if (result == EXT2DAX_FAULT_OOM && fault->error == 0)
        fault->error = -EXT2DAX_ENOMEM;
    if (result == EXT2DAX_FAULT_NOPAGE && mapping->huge)
        e2d_count(&e2d_counters(m)->huge_mapped, 1);
    return result;
}

/*
 * Installs a run of blocks, or zero pages if `block` is 0. A private write gets a copy of a single
 * page.
 */
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

    /* A bad page of a run must not be mapped, and must not make the good pages fail. */
    if (block != 0 && m->memory_ops.check &&
        !e2d_readable(m, e2d_block(m, (uint32_t)block), (size_t)pages << m->page_shift)) {
        if (huge)
            return fall_back(fault, EXT2DAX_FALLBACK_SCATTERED);
        if (e2d_check(m, e2d_block(m, (uint32_t)block), m->page_size) != 0)
            return result_of(fault, -EXT2DAX_EIO);
        mapping.count = 1;
    }
    return enter(fault, &mapping);
}

/*
 * Returns the pages wanted from the faulting page on, up to the end of the mapping or of the file,
 * whichever is nearer, and at most `most`.
 */
static uint64_t pages_ahead(const struct ext2dax_fault *fault, uint64_t most)
{
    uint64_t wanted = fault->pages_wanted != 0 ? fault->pages_wanted : PAGES_WANTED;
    uint64_t end = e2d_pages_for(fault->inode->mount, e2d_size(fault->inode));
    uint64_t mapped = fault->mapping_count > UINT64_MAX - fault->mapping_first
                          ? UINT64_MAX
                          : fault->mapping_first + fault->mapping_count;

    end = e2d_min64(end, e2d_max64(mapped, fault->page + 1));
    return e2d_min64(e2d_min64(most, wanted), end - fault->page);
}

static bool(past_end)(const struct ext2dax_fault *fault)
{
    return fault->page >= e2d_pages_for(fault->inode->mount, e2d_size(fault->inode));
}

/* Does the file end before the end of the PMD range? `end` is in pages. */
static bool(ends_before)(const struct ext2dax_fault *fault, uint64_t end)
{
    return end > e2d_pages_for(fault->inode->mount, e2d_size(fault->inode));
}

/* ---- small pages ---- */

static enum ext2dax_fault_result read_page(struct ext2dax_fault *fault)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t range = e2d_pmd_range_of(m, fault->page);
    uint64_t in_range = m->pmd_blocks - (fault->page & (m->pmd_blocks - 1));
    enum ext2dax_fault_result result;
    struct ext2dax_run run;
    int rc;

    rc = e2d_map_short(inode, fault->page, pages_ahead(fault, (uint64_t)m->pmd_blocks * READ_RANGES_MAX), &run);
    if (rc != 0)
        return result_of(fault, rc);
    if (run.physical != 0)
        return enter_run(fault, fault->page, run.physical, run.length, false, false);

    e2d_range_lock(inode, range);
    rc = e2d_map(inode, fault->page, pages_ahead(fault, in_range), &run);
    result = rc != 0 ? result_of(fault, rc) : enter_run(fault, fault->page, run.physical, run.length, false, false);
    e2d_range_unlock(inode, range);
    return result;
}

/* Ensures that the page has a block. The caller holds the range lock. */
static int block_for_write(struct ext2dax_inode *inode, uint64_t page, uint64_t ahead, struct ext2dax_run *run)
{
    struct e2d_extent filled;
    int rc;

    rc = e2d_map_short(inode, page, ahead, run);
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
    uint64_t range = e2d_pmd_range_of(m, fault->page);
    uint64_t in_range = m->pmd_blocks - (fault->page & (m->pmd_blocks - 1));
    enum ext2dax_fault_result result;
    struct ext2dax_run run;
    int rc;

    e2d_look_unlocked(fault, &run);
    e2d_range_lock(inode, range);
    e2d_zero_again(fault, &run);
    rc = block_for_write(inode, fault->page, pages_ahead(fault, in_range), &run);
    if (rc == 0) {
        e2d_dirty_mark(inode, range);
        result = enter_run(fault, fault->page, run.physical, run.length, true, false);
    } else {
        result = result_of(fault, rc);
    }
    e2d_range_unlock(inode, range);
    return result;
}

/*
 * Makes a page mapped read-only writable. The block may be gone by now, and then nothing is
 * installed.
 */
static enum ext2dax_fault_result make_writable(struct ext2dax_fault *fault)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t range = e2d_pmd_range_of(m, fault->page);
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    struct ext2dax_run run;
    int rc;

    e2d_look_early(fault, &run);
    e2d_range_lock(inode, range);
    rc = e2d_map_short(inode, fault->page, 1, &run);
    if (rc != 0) {
        result = result_of(fault, rc);
    } else if (run.physical != 0) {
        e2d_dirty_mark(inode, range);
        result = enter_run(fault, fault->page, run.physical, 1, true, false);
    }
    e2d_range_unlock(inode, range);
    return result;
}

/* ---- PMD ranges ---- */

/*
 * Falls back for a PMD range that starts with this run and is no aligned extent. A single lookup
 * after the run gives the reason, instead of a lookup of each page.
 */
static enum ext2dax_fault_result no_aligned_extent(struct ext2dax_fault *fault, uint64_t first, struct ext2dax_run *run)
{
    if (run->physical != 0)
        (void)e2d_map_hint(fault->inode, first + run->length, 1, run);
    return fall_back(fault, run->physical == 0 ? EXT2DAX_FALLBACK_HOLE : EXT2DAX_FALLBACK_SCATTERED);
}

/*
 * Finds the aligned extent of the PMD range. A write, which holds the range lock, allocates a whole
 * aligned extent if the PMD range is empty.
 */
static enum ext2dax_fault_result aligned_of_range(struct ext2dax_fault *fault, uint64_t first, struct ext2dax_run *run)
{
    struct ext2dax_inode *inode = fault->inode;
    const struct ext2dax_mount *m = inode->mount;
    struct e2d_extent filled;
    int rc;

    rc = e2d_map(inode, first, m->pmd_blocks, run);
    if (rc != 0)
        return result_of(fault, rc);
    if (run->length != m->pmd_blocks || (run->physical == 0 && !fault->write))
        return no_aligned_extent(fault, first, run);
    if (run->physical == 0) {
        rc = e2d_fill_hole(inode, first, m->pmd_blocks, true, &filled);
        if (rc == -EXT2DAX_ENOSPC)
            return fall_back(fault, EXT2DAX_FALLBACK_NO_EXTENT);
        if (rc != 0)
            return result_of(fault, rc);
        run->physical = filled.block;
    }
    if ((run->physical & (m->pmd_blocks - 1)) != 0)
        return fall_back(fault, EXT2DAX_FALLBACK_SCATTERED);
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result read_range(struct ext2dax_fault *fault, uint64_t first)
{
    struct ext2dax_run run;
    enum ext2dax_fault_result result = aligned_of_range(fault, first, &run);

    return result != EXT2DAX_FAULT_NOPAGE ? result : enter_run(fault, first, run.physical, run.length, false, true);
}

static enum ext2dax_fault_result write_range(struct ext2dax_fault *fault, uint64_t first)
{
    struct ext2dax_inode *inode = fault->inode;
    uint64_t range = e2d_pmd_range_of(inode->mount, first);
    enum ext2dax_fault_result result;
    struct ext2dax_run run;

    e2d_range_lock(inode, range);
    result = aligned_of_range(fault, first, &run);
    if (result == EXT2DAX_FAULT_NOPAGE) {
        e2d_dirty_mark(inode, range);
        result = enter_run(fault, first, run.physical, run.length, true, true);
    }
    e2d_range_unlock(inode, range);
    return result;
}

static enum ext2dax_fault_result huge_page(struct ext2dax_fault *fault)
{
    const struct ext2dax_mount *m = fault->inode->mount;
    uint64_t first = fault->page & ~(uint64_t)(m->pmd_blocks - 1), end = first + m->pmd_blocks;

    if (ends_before(fault, end))
        return fall_back(fault, EXT2DAX_FALLBACK_RANGE);
    return fault->write ? write_range(fault, first) : read_range(fault, first);
}

/* Returns the reason against a huge mapping known before any lock is taken, or NONE. */
static enum ext2dax_fallback unfit_for_huge(const struct ext2dax_fault *fault)
{
    const struct ext2dax_mount *m = fault->inode->mount;
    uint64_t huge = (uint64_t)m->pmd_blocks << m->page_shift;
    uint64_t first = fault->page & ~(uint64_t)(m->pmd_blocks - 1);

    if (fault->write && !fault->shared)
        return EXT2DAX_FALLBACK_PRIVATE;
    if (!m->huge_aligned || ((fault->address ^ (fault->page << m->page_shift)) & (huge - 1) & ~(m->page_size - 1)) != 0)
        return EXT2DAX_FALLBACK_ALIGNMENT;
    if (first < fault->mapping_first || fault->mapping_count < m->pmd_blocks ||
        first - fault->mapping_first > fault->mapping_count - m->pmd_blocks)
        return EXT2DAX_FALLBACK_RANGE;
    return EXT2DAX_FALLBACK_NONE;
}

/* ---- fault kinds ---- */

/*
 * Runs the part of a fault under dax_sem, from the size check to the installed mapping. `write`
 * means a write to a shared mapping.
 */
static enum ext2dax_fault_result resolve(struct ext2dax_fault *fault, enum e2d_fault_kind kind, bool write,
                                         enum ext2dax_fault_result (*work)(struct ext2dax_fault *fault))
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_SIGBUS;

    e2d_fault_lock(fault, kind, write);
    if (past_end(fault))
        fault->error = -EXT2DAX_EFAULT;
    else
        result = work(fault);
    e2d_fault_unlock(fault, kind, write);
    return result;
}

/*
 * Runs a whole fault of any kind. Adds the freeze lock and the times of a shared write to
 * resolve().
 */
static enum ext2dax_fault_result serve(struct ext2dax_fault *fault, enum e2d_fault_kind kind, bool write,
                                       enum ext2dax_fault_result (*work)(struct ext2dax_fault *fault))
{
    struct ext2dax_inode *inode = fault->inode;
    struct ext2dax_mount *m = inode->mount;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_SIGBUS;

    fault->reason = EXT2DAX_FALLBACK_NONE;
    fault->error = 0;
    e2d_count(&e2d_counters(m)->faults, 1);
    if (!m->faultable || !m->space_ops.map)
        return fall_back(fault, EXT2DAX_FALLBACK_BLOCK_SIZE);
    if (!e2d_is_regular(inode)) {
        fault->error = -EXT2DAX_EINVAL;
        e2d_count(&e2d_counters(m)->sigbus, 1);
        return EXT2DAX_FAULT_SIGBUS;
    }
    if (write) {
        fault->error = e2d_usable(m);
        if (fault->error != 0) {
            e2d_count(&e2d_counters(m)->sigbus, 1);
            return EXT2DAX_FAULT_SIGBUS;
        }
    }
    if (write && !e2d_try_read_lock(m, &m->freeze_fault))
        return EXT2DAX_FAULT_RETRY;
    if (write) {
        fault->error = e2d_may_write(m);
        if (fault->error != 0)
            goto out;
        e2d_store_times(inode, e2d_now(m), true);
    }
    result = resolve(fault, kind, write, work);
out:
    if (write)
        e2d_read_unlock(m, &m->freeze_fault);
    if (result == EXT2DAX_FAULT_SIGBUS)
        e2d_count(&e2d_counters(m)->sigbus, 1);
    return result;
}

enum ext2dax_fault_result ext2dax_fault(struct ext2dax_fault *fault)
{
    bool write = fault->write && fault->shared;

    return serve(fault, write ? E2D_FAULT_WRITE : E2D_FAULT_READ, write, write ? write_page : read_page);
}

enum ext2dax_fault_result ext2dax_pmd_fault(struct ext2dax_fault *fault)
{
    enum ext2dax_fallback reason = fault->inode->mount->faultable ? unfit_for_huge(fault) : EXT2DAX_FALLBACK_NONE;

    if (reason != EXT2DAX_FALLBACK_NONE)
        return fall_back(fault, reason);
    return serve(fault, fault->write ? E2D_FAULT_PMD_WRITE : E2D_FAULT_PMD_READ, fault->write, huge_page);
}

enum ext2dax_fault_result ext2dax_mkwrite(struct ext2dax_fault *fault)
{
    return serve(fault, E2D_FAULT_MKWRITE, fault->shared, fault->shared ? write_page : read_page);
}

enum ext2dax_fault_result ext2dax_pfn_mkwrite(struct ext2dax_fault *fault)
{
    return serve(fault, E2D_FAULT_PFN_MKWRITE, fault->shared, fault->shared ? make_writable : read_page);
}
