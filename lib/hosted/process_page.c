/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process: the pages of a window, recorded and mapped. The kernel's mapping and the record change
 * together, in one hold of the table lock. MAP_FIXED replaces a mapping in one step, so another thread finds a page
 * armed, or as it was, or as it will be.
 *
 * Kernel mappings are counted from the record (where one begins), which the kernel can only undercut by
 * merging. At the limit the slab entered first is armed again, with one call.
 */
#include "process_page.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "process_way.h"

#define LEAST_SHOWN 10u

/* ---- the record ---- */

static void enqueue(struct ext2dax_process *process, struct e2d_slab *slab)
{
    if (slab->queued)
        return;
    slab->queued = true;
    slab->newer = NULL;
    slab->older = process->newest;
    if (process->newest)
        process->newest->newer = slab;
    else
        process->oldest = slab;
    process->newest = slab;
}

static void dequeue(struct ext2dax_process *process, struct e2d_slab *slab)
{
    if (!slab->queued)
        return;
    slab->queued = false;
    if (slab->older)
        slab->older->newer = slab->newer;
    else
        process->oldest = slab->newer;
    if (slab->newer)
        slab->newer->older = slab->older;
    else
        process->newest = slab->older;
}

void e2d_record_start(struct e2d_process_window *window, uint64_t index, bool start)
{
    uint8_t *at;

    if (index == 0 || index >= window->count)
        return; /* the window's own first mapping is counted with the window */
    at = &window->pages[index];
    if (start == ((*at & E2D_PAGE_START) != 0))
        return;
    *at ^= E2D_PAGE_START;
    if (start) {
        e2d_slab_of(window, index)->starts++;
        window->process->mappings++;
    } else {
        e2d_slab_of(window, index)->starts--;
        window->process->mappings--;
    }
}

void e2d_record_page(struct e2d_process_window *window, struct e2d_slab *slab, uint64_t index, enum e2d_page page)
{
    enum e2d_page before = e2d_page_of(window, index);

    slab->entered += page != E2D_PAGE_NONE;
    slab->entered -= before != E2D_PAGE_NONE;
    slab->zeroes += page == E2D_PAGE_ZERO;
    slab->zeroes -= before == E2D_PAGE_ZERO;
    slab->writable += page == E2D_PAGE_WRITE;
    slab->writable -= before == E2D_PAGE_WRITE;
    window->pages[index] = (uint8_t)((window->pages[index] & ~E2D_PAGE_MASK) | page);
}

static bool is_armed(const struct e2d_process_window *window, uint64_t index)
{
    enum e2d_page page = e2d_page_of(window, index);

    return page == E2D_PAGE_NONE || page == E2D_PAGE_ASIDE;
}

void e2d_record_entered(struct e2d_process_window *window, uint64_t low, uint64_t high, enum e2d_page page)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2d_slab *slab = e2d_slab_of(window, i);

        if (i != low)
            e2d_record_start(window, i, false);
        e2d_record_page(window, slab, i, page);
        slab->huge = false;
        slab->window = window;
        enqueue(window->process, slab);
    }
    e2d_record_start(window, low, true);
    e2d_record_start(window, high, true);
}

/* … have become armed; private copies have been taken aside, or are given up. Armed neighbours merge. */
static void record_armed(struct e2d_process_window *window, uint64_t low, uint64_t high, bool copies_too)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2d_slab *slab = e2d_slab_of(window, i);
        enum e2d_page before = e2d_page_of(window, i);
        bool aside = !copies_too && (before == E2D_PAGE_COPY || before == E2D_PAGE_ASIDE);

        if (slab->entered == 0 && slab->starts == 0) {
            i = e2d_slab_end(window, i, high) - 1; /* most of a large window was never touched, its record neither */
            continue;
        }
        if (i != low)
            e2d_record_start(window, i, false);
        e2d_record_page(window, slab, i, aside ? E2D_PAGE_ASIDE : E2D_PAGE_NONE);
        slab->huge = false;
        if (slab->entered == 0)
            dequeue(window->process, slab);
    }
    e2d_record_start(window, low, low > 0 && !is_armed(window, low - 1));
    e2d_record_start(window, high, high < window->count && !is_armed(window, high));
}

/* ---- kernel mappings ---- */

/*
 * Arms everything that is shown, from the first page to the last: mappings begin and end there, so none is split, and
 * the kernel gets back those in between.
 */
static bool put_all_armed(struct e2d_process_window *window)
{
    uint64_t from = window->count, to = window->count;

    for (uint64_t i = 0; i < window->count; i++) {
        if (e2d_slab_of(window, i)->entered == 0) {
            i = e2d_slab_end(window, i, window->count) - 1;
            continue;
        }
        if (is_armed(window, i))
            continue;
        if (from == window->count)
            from = i;
        to = i + 1;
    }
    return from == to || window->process->way->arm(window, from, to);
}

/*
 * Arms [low, high): cannot fail. Where the kernel has no mapping left to split, all of the window goes, and where even
 * that is refused, it loses its permissions, which needs no mapping: it ends in a guard, so none reaches out of it.
 * That is more than was asked for, and costs faults.
 */
void e2d_pages_arm(struct e2d_process_window *window, uint64_t low, uint64_t high, bool copies_too)
{
    bool copies = window->copies >= 0 && copies_too;

    if (low >= high)
        return;
    atomic_fetch_add_explicit(&window->process->revoked, 1, memory_order_relaxed);
    if (window->process->way->arm(window, low, high)) {
        record_armed(window, low, high, copies_too);
    } else {
        if (!put_all_armed(window)) {
            if (mprotect(window->address, window->reserved, PROT_NONE) != 0)
                abort();
            e2d_touch_is_meant(window->address, window->reserved);
        }
        record_armed(window, 0, low, false);
        record_armed(window, low, high, copies_too);
        record_armed(window, high, window->count, false);
    }
    if (copies)
        /* Only gives memory back: a copy is written whole before it is shown. */
        (void)fallocate(window->copies, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(low << window->page_shift),
                        (off_t)((high - low) << window->page_shift));
}

bool e2d_pages_evict(struct ext2dax_process *process)
{
    struct e2d_slab *slab = process->oldest;
    struct e2d_process_window *window;
    uint64_t index, low, high;

    if (!slab)
        return false;
    window = slab->window;
    index = (uint64_t)(slab - window->slabs) << window->huge_order;
    index -= index ? window->first & (((uint64_t)1 << window->huge_order) - 1) : 0;
    e2d_slab_range(window, index, &low, &high);
    e2d_pages_arm(window, low, high, false);
    dequeue(process, slab);
    atomic_fetch_add_explicit(&process->evicted, 1, memory_order_relaxed);
    return true;
}

/*
 * One more mapping inside a window may split one: two more in all. However many windows there are, what one instruction
 * needs can be shown at once: two operands that lie across two pages each.
 */
bool e2d_pages_have_room(const struct ext2dax_process *process)
{
    return process->mappings + 2 <= process->max_mappings ||
           process->mappings - process->own_mappings + 2 <= LEAST_SHOWN;
}

/* One attempt to show [low, high) of `descriptor` (-1: zeroes) at `offset`. On failure they are as before, or armed. */
static bool try_enter(struct e2d_process_window *window, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                      enum e2d_page page)
{
    bool image = page == E2D_PAGE_READ || page == E2D_PAGE_WRITE;
    int flags = image            ? window->process->shared_flags
                : descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
                                 : MAP_SHARED;
    enum e2d_shown shown = window->process->way->show(window, low, high, flags, descriptor, offset, page);

    if (shown == E2D_SHOWN_SPOILT)
        e2d_pages_arm(window, low, high, false);
    if (shown != E2D_SHOWN)
        return false;
    e2d_record_entered(window, low, high, page);
    atomic_fetch_add_explicit(&window->process->mapped, 1, memory_order_relaxed);
    return true;
}

/* Makes room first; where the kernel refuses all the same, gives up everything else and tries once more. */
bool e2d_pages_enter(struct e2d_process_window *window, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                     enum e2d_page page)
{
    while (!e2d_pages_have_room(window->process) && e2d_pages_evict(window->process))
        ;
    if (try_enter(window, low, high, descriptor, offset, page))
        return true;
    while (e2d_pages_evict(window->process))
        ;
    return try_enter(window, low, high, descriptor, offset, page);
}
