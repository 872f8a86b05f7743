/* SPDX-License-Identifier: MIT */
/*
 * Windows: their entry locks, and the memory of which may hold stores that are not yet durable.
 *
 * The memory is a few slots, each a window's number, and behind them "all of it". A window is entered and cleared under
 * its entry lock, so no two threads have the same window in hand; different windows meet in the slots by atomic swaps.
 *
 * Flushing "all of it" first takes the mark down and counts itself as a walker, then visits every window that has blocks
 * under its entry lock. A store whose marking saw "all" still up holds its entry lock until it is mapped, so the walk
 * comes to it afterwards; one that saw it down has marked again. While a walker is on its way, another flush walks too:
 * it may not say "durable" before its own visit.
 */
#include "window.h"

#include "ext2dax/pin.h"

#include "branch.h"
#include "map.h"
#include "persist.h"

#define DIRTY_ALL    1u
#define DIRTY_WALKER 2u

struct ext2dax_lock *e2d_entry_lock_of(const struct ext2dax_inode *inode, uint64_t window)
{
    uint32_t mix = ((uint32_t)window + inode->number * 0x61C88647u) * 0x9E3779B1u;

    return &inode->mount->entry[mix >> 16 & (E2D_ENTRY_LOCKS - 1)];
}

void e2d_entry_lock(struct ext2dax_inode *inode, uint64_t window)
{
    E2D_UNLESS(ENTRY_SKIPPED, e2d_write_lock(inode->mount, e2d_entry_lock_of(inode, window)));
}

void e2d_entry_unlock(struct ext2dax_inode *inode, uint64_t window)
{
    E2D_UNLESS(ENTRY_SKIPPED, e2d_write_unlock(inode->mount, e2d_entry_lock_of(inode, window)));
}

static void raise_all(struct ext2dax_inode *inode)
{
    uint32_t was;

    do {
        was = e2d_load32(&inode->dirty_all);
    } while ((was & DIRTY_ALL) == 0 && !e2d_swap32(&inode->dirty_all, was, was | DIRTY_ALL));
}

void e2d_dirty_mark(struct ext2dax_inode *inode, uint64_t window)
{
    uint32_t mark = (uint32_t)window + 1;

    /* A pointer that was just stored comes first: a walker that takes "all" down afterwards must see it. */
    e2d_barrier_full();
    if ((e2d_load32(&inode->dirty_all) & DIRTY_ALL) != 0)
        return;
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++) {
        if (e2d_load32(&inode->dirty[i]) == mark)
            return;
    }
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++) {
        if (e2d_load32(&inode->dirty[i]) == 0 && e2d_swap32(&inode->dirty[i], 0, mark))
            return;
    }
    raise_all(inode);
}

static void clear_mark(struct ext2dax_inode *inode, uint64_t window)
{
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++)
        (void)e2d_swap32(&inode->dirty[i], (uint32_t)window + 1, 0);
}

bool e2d_dirty(const struct ext2dax_inode *inode)
{
    bool any = e2d_load32(&inode->dirty_all) != 0;

    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS && !any; i++)
        any = e2d_load32(&inode->dirty[i]) != 0;
    return any;
}

bool e2d_pinned(struct ext2dax_inode *inode, uint64_t first, uint64_t end, bool writable_only)
{
    struct ext2dax_mount *m = inode->mount;
    const struct ext2dax_pin *pin;

    e2d_read_lock(m, &m->fs);
    for (pin = inode->pins; pin; pin = pin->next) {
        if (pin->first < end && first < pin->first + pin->count && (pin->writable || !writable_only))
            break;
    }
    e2d_read_unlock(m, &m->fs);
    return pin != NULL;
}

static void write_protect(struct ext2dax_inode *inode, uint64_t first, uint64_t count)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t at = first, end = first + count, run, length;

    if (!m->faultable || !m->space_ops.protect)
        return;
    while (at < end) {
        E2D_YIELD(E2D_YIELD_CALLBACK, inode);
        length = m->space_ops.protect(m->space_ctx, inode, at, end - at, &run);
        if (length == 0)
            break;
        at = run + length;
    }
}

/*
 * Writes back what the window has, in one epoch, and adds its blocks to *met; *next is the first window behind it that can
 * have any.
 */
static int flush_window(struct ext2dax_inode *inode, uint64_t window, uint64_t *next, uint64_t *met)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t first = window << m->window_shift, limit = e2d_blocks_for(m, e2d_size(inode));
    uint64_t last = first + m->window_blocks, end = e2d_min64(last, limit), at = first;
    struct ext2dax_run run;
    bool hole = false;
    int rc = 0;

    *next = window + 1;
    if (E2D_MUTANT(FSYNC_CLEAR_FIRST))
        clear_mark(inode, window);
    E2D_UNLESS(FSYNC_UNPROTECTED, write_protect(inode, first, m->window_blocks));
    while (rc == 0 && at < end) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            break;
        if (run.physical != 0) {
            e2d_write_back(m, e2d_block(m, (uint32_t)run.physical), (size_t)run.length << m->block_shift);
            *met += run.length;
        }
        at += run.length;
        hole = run.physical == 0;
    }
    /* A hole at the end may reach far: its windows have nothing to write back. */
    if (rc == 0 && hole && at < limit && e2d_map(inode, at, limit - at, &run) == 0 && run.physical == 0)
        *next = e2d_max64(window + 1, e2d_window_of(m, at + run.length));
    if (rc == 0)
        rc = e2d_flush(m, inode->disk, sizeof *inode->disk);
    if (rc == 0 && !e2d_pinned(inode, first, last, true))
        clear_mark(inode, window);
    return rc;
}

static int visit(struct ext2dax_inode *inode, uint64_t window, uint64_t *next, uint64_t *met)
{
    int rc;

    E2D_UNLESS(DAX_SEM_FSYNC, e2d_dax_read_lock(inode));
    E2D_UNLESS(ENTRY_SKIPPED_FSYNC, e2d_entry_lock(inode, window));
    rc = flush_window(inode, window, next, met);
    E2D_UNLESS(ENTRY_SKIPPED_FSYNC, e2d_entry_unlock(inode, window));
    E2D_UNLESS(DAX_SEM_FSYNC, e2d_dax_read_unlock(inode));
    return rc;
}

static int flush_all(struct ext2dax_inode *inode, bool *fenced)
{
    struct ext2dax_mount *m = inode->mount;
    uintptr_t allocated = e2d_counted(&m->counters.blocks_allocated);
    uint64_t window = 0, met = 0;
    uint32_t was;
    int rc = 0;

    do {
        was = e2d_load32(&inode->dirty_all);
    } while (!e2d_swap32(&inode->dirty_all, was, (was & ~DIRTY_ALL) + DIRTY_WALKER));
    while (rc == 0 && window << m->window_shift < e2d_blocks_for(m, e2d_size(inode))) {
        rc = visit(inode, window, &window, &met);
        *fenced = true;
        /* The file may change meanwhile, but a block that is met twice was given out in between. */
        if (rc == 0 && met > (uint64_t)m->blocks + (e2d_counted(&m->counters.blocks_allocated) - allocated))
            rc = e2d_blocks_possible(inode, met);
    }
    if (rc != 0 || e2d_pinned(inode, 0, UINT64_MAX, true))
        raise_all(inode);
    (void)e2d_add32(&inode->dirty_all, 0u - DIRTY_WALKER);
    return rc;
}

int e2d_dirty_flush(struct ext2dax_inode *inode, bool *fenced)
{
    uint64_t next, met = 0;
    uint32_t mark;
    int rc = 0;

    *fenced = false;
    if (e2d_load32(&inode->dirty_all) != 0)
        return flush_all(inode, fenced);
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS && rc == 0; i++) {
        mark = e2d_load32(&inode->dirty[i]);
        if (mark == 0)
            continue;
        rc = visit(inode, mark - 1, &next, &met);
        *fenced = true;
    }
    return rc;
}

int e2d_dirty_sync(struct ext2dax_inode *inode, bool *fenced)
{
    int rc;

    if (!E2D_FAULTS)
        e2d_read_lock(inode->mount, &inode->io);
    rc = e2d_dirty_flush(inode, fenced);
    if (!E2D_FAULTS)
        e2d_read_unlock(inode->mount, &inode->io);
    return rc;
}

void e2d_unmap(struct ext2dax_inode *inode, uint64_t first_page, uint64_t count, bool private_too)
{
    struct ext2dax_mount *m = inode->mount;

    E2D_YIELD(E2D_YIELD_CALLBACK, inode);
    if (count != 0 && m->faultable && m->space_ops.unmap)
        m->space_ops.unmap(m->space_ctx, inode, first_page, count, private_too);
}

void e2d_grow_mapped(struct ext2dax_inode *inode, uint64_t pages)
{
    struct ext2dax_mount *m = inode->mount;

    if (m->faultable && m->space_ops.grow)
        m->space_ops.grow(m->space_ctx, inode, pages);
}
