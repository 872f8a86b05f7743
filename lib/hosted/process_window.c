/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process: what the pages of a window show, and the three ops of the plug.
 *
 * Why a page never shows a block that is not its file's: the core calls `map` while it holds dax_sem shared, and
 * `unmap` while it holds it exclusively; each changes the kernel's mapping and the record in one hold of the table lock.
 * MAP_FIXED replaces a mapping in one step, so another thread finds a page armed, or as it was, or as it will be.
 *
 * A new mapping is made without any permission, excluded from fork, and only then opened: a child never inherits a page
 * it could touch. Private copies lie in a memfd of the window, at their page's place: neighbours merge into one kernel
 * mapping, and an eviction takes them aside without losing them.
 *
 * Kernel mappings are counted from the record (where one begins), which the kernel can only undercut by merging. At the
 * limit the slab entered first is armed again, with one call.
 */
#include "process_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ext2dax/error.h"

#define MOST_SLABS 512u /* that one map call enters: recording more would keep the table lock too long */

static enum e2d_page page_of(const struct e2d_process_window *window, uint64_t index)
{
    return (enum e2d_page)(window->pages[index] & E2D_PAGE_MASK);
}

static struct e2d_slab *slab_of(const struct e2d_process_window *window, uint64_t index)
{
    return &window->slabs[((window->first + index) >> window->huge_order) - (window->first >> window->huge_order)];
}

/* The pages of the slab around `index`, clipped to the window: [*low, *high). */
static void slab_range(const struct e2d_process_window *window, uint64_t index, uint64_t *low, uint64_t *high)
{
    uint64_t pages = (uint64_t)1 << window->huge_order;
    uint64_t start = (window->first + index) & ~(pages - 1);

    *low = start > window->first ? start - window->first : 0;
    *high = start + pages - window->first;
    if (*high > window->count)
        *high = window->count;
}

/* The end of the slab around `index`, but at most `high`. */
static uint64_t slab_end(const struct e2d_process_window *window, uint64_t index, uint64_t high)
{
    uint64_t low, end;

    slab_range(window, index, &low, &end);
    return end < high ? end : high;
}

static bool is_whole_slab(const struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    uint64_t pages = (uint64_t)1 << window->huge_order;

    return high - low == pages && ((window->first + low) & (pages - 1)) == 0;
}

static char *address_of(const struct e2d_process_window *window, uint64_t index)
{
    return window->address + (index << window->page_shift);
}

static size_t bytes_of(const struct e2d_process_window *window, uint64_t pages)
{
    return (size_t)(pages << window->page_shift);
}

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

static void record_start(struct e2d_process_window *window, uint64_t index, bool start)
{
    uint8_t *at;

    if (index == 0 || index >= window->count)
        return; /* the window's own first mapping is counted with the window */
    at = &window->pages[index];
    if (start == ((*at & E2D_PAGE_START) != 0))
        return;
    *at ^= E2D_PAGE_START;
    if (start) {
        slab_of(window, index)->starts++;
        window->process->mappings++;
    } else {
        slab_of(window, index)->starts--;
        window->process->mappings--;
    }
}

static void record_page(struct e2d_process_window *window, struct e2d_slab *slab, uint64_t index, enum e2d_page page)
{
    enum e2d_page before = page_of(window, index);

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
    enum e2d_page page = page_of(window, index);

    return page == E2D_PAGE_NONE || page == E2D_PAGE_ASIDE;
}

/* The pages [low, high) have become one kernel mapping that shows `page`. */
static void record_entered(struct e2d_process_window *window, uint64_t low, uint64_t high, enum e2d_page page)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2d_slab *slab = slab_of(window, i);

        if (i != low)
            record_start(window, i, false);
        record_page(window, slab, i, page);
        slab->huge = false;
        slab->window = window;
        enqueue(window->process, slab);
    }
    record_start(window, low, true);
    record_start(window, high, true);
}

/* … have become armed; private copies have been taken aside, or are given up. Armed neighbours merge. */
static void record_armed(struct e2d_process_window *window, uint64_t low, uint64_t high, bool copies_too)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2d_slab *slab = slab_of(window, i);
        enum e2d_page before = page_of(window, i);
        bool aside = !copies_too && (before == E2D_PAGE_COPY || before == E2D_PAGE_ASIDE);

        if (slab->entered == 0 && slab->starts == 0) {
            i = slab_end(window, i, high) - 1; /* most of a large window was never touched, its record neither */
            continue;
        }
        if (i != low)
            record_start(window, i, false);
        record_page(window, slab, i, aside ? E2D_PAGE_ASIDE : E2D_PAGE_NONE);
        slab->huge = false;
        if (slab->entered == 0)
            dequeue(window->process, slab);
    }
    record_start(window, low, low > 0 && !is_armed(window, low - 1));
    record_start(window, high, high < window->count && !is_armed(window, high));
}

/* ---- kernel mappings ---- */

/*
 * Replaces the mappings of a range. To a race detector mmap() is a store to every byte of it, which any touch by another
 * thread would race with; here it is how page-table entries change under the feet of whoever touches.
 */
static bool replace_mapping(char *at, size_t bytes, int flags, int descriptor, uint64_t offset)
{
#if E2D_RACE_DETECTOR
    return (void *)syscall(SYS_mmap, at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#else
    return mmap(at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#endif
}

static bool put_armed(char *at, size_t bytes)
{
    if (!replace_mapping(at, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
        return false;
    /* Unmarked it would be inherited by a child, as armed as here, where nobody resolves. */
    (void)madvise(at, bytes, MADV_DONTFORK);
    e2d_touch_is_meant(at, bytes);
    return true;
}

/*
 * Arms everything that is shown, from the first page to the last: mappings begin and end there, so none is split, and
 * the kernel gets back those in between.
 */
static bool put_all_armed(struct e2d_process_window *window)
{
    uint64_t from = window->count, to = window->count;

    for (uint64_t i = 0; i < window->count; i++) {
        if (slab_of(window, i)->entered == 0) {
            i = slab_end(window, i, window->count) - 1;
            continue;
        }
        if (is_armed(window, i))
            continue;
        if (from == window->count)
            from = i;
        to = i + 1;
    }
    return from == to || put_armed(address_of(window, from), bytes_of(window, to - from));
}

/*
 * Arms [low, high): cannot fail. Where the kernel has no mapping left to split, all of the window goes, and where even
 * that is refused, it loses its permissions, which needs no mapping: it ends in a guard, so none reaches out of it.
 * That is more than was asked for, and costs faults.
 */
static void arm(struct e2d_process_window *window, uint64_t low, uint64_t high, bool copies_too)
{
    bool copies = window->copies >= 0 && copies_too;

    if (low >= high)
        return;
    atomic_fetch_add_explicit(&window->process->revoked, 1, memory_order_relaxed);
    if (put_armed(address_of(window, low), bytes_of(window, high - low))) {
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

/* Gives up the slab entered first. False: there is none. */
static bool evict(struct ext2dax_process *process)
{
    struct e2d_slab *slab = process->oldest;
    struct e2d_process_window *window;
    uint64_t index, low, high;

    if (!slab)
        return false;
    window = slab->window;
    index = (uint64_t)(slab - window->slabs) << window->huge_order;
    index -= index ? window->first & (((uint64_t)1 << window->huge_order) - 1) : 0;
    slab_range(window, index, &low, &high);
    arm(window, low, high, false);
    dequeue(process, slab);
    atomic_fetch_add_explicit(&process->evicted, 1, memory_order_relaxed);
    return true;
}

/* One more mapping inside a window may split one: two more in all. */
static bool has_room(const struct ext2dax_process *process)
{
    return process->mappings + 2 <= process->max_mappings;
}

/* One attempt to show [low, high) of `descriptor` (-1: zeroes) at `offset`. On failure they are as before, or armed. */
static bool try_enter(struct e2d_process_window *window, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                      enum e2d_page page)
{
    bool image = page == E2D_PAGE_READ || page == E2D_PAGE_WRITE;
    bool stores = page == E2D_PAGE_WRITE || page == E2D_PAGE_COPY;
    int flags = image            ? window->process->shared_flags
                : descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
                                 : MAP_SHARED;
    char *at = address_of(window, low);
    size_t bytes = bytes_of(window, high - low);

    if (!replace_mapping(at, bytes, flags, descriptor, offset)) {
        /* The limit is looked at before anything is replaced; a file system that refuses comes later. */
        if (errno != ENOMEM)
            arm(window, low, high, false);
        return false;
    }
    if (madvise(at, bytes, MADV_DONTFORK) != 0 || mprotect(at, bytes, PROT_READ | (stores ? PROT_WRITE : 0)) != 0) {
        arm(window, low, high, false);
        return false;
    }
    e2d_touch_is_meant(at, bytes);
    record_entered(window, low, high, page);
    atomic_fetch_add_explicit(&window->process->mapped, 1, memory_order_relaxed);
    return true;
}

/* Makes room first; where the kernel refuses all the same, gives up everything else and tries once more. */
static bool enter(struct e2d_process_window *window, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                  enum e2d_page page)
{
    while (!has_room(window->process) && evict(window->process))
        ;
    if (try_enter(window, low, high, descriptor, offset, page))
        return true;
    while (evict(window->process))
        ;
    return try_enter(window, low, high, descriptor, offset, page);
}

/* ---- map ---- */

/* A run as `map` wants it, clipped: pages [low, high) of the window. */
struct wanted {
    uint64_t low, high;
    uint64_t offset; /* of `low` in the image */
    enum e2d_page page;
};

static bool enter_wanted(struct e2d_process_window *window, const struct wanted *wanted, uint64_t low, uint64_t high)
{
    struct ext2dax_process *process = window->process;
    uint64_t offset = 0;
    int descriptor = -1;

    /* The block is known and shown already: only the permission changes, and a huge page stays one. */
    if (wanted->page == E2D_PAGE_WRITE && page_of(window, low) == E2D_PAGE_READ) {
        while (!has_room(process) && page_of(window, low) == E2D_PAGE_READ && evict(process))
            ;
        if (page_of(window, low) == E2D_PAGE_READ &&
            mprotect(address_of(window, low), bytes_of(window, high - low), PROT_READ | PROT_WRITE) == 0) {
            record_entered(window, low, high, E2D_PAGE_WRITE);
            return true;
        }
    }
    if (wanted->page != E2D_PAGE_ZERO) {
        descriptor = process->descriptor;
        offset = wanted->offset + ((low - wanted->low) << window->page_shift);
    }
    return enter(window, low, high, descriptor, offset, wanted->page);
}

/* The pages around `index` that want the same step as it does: [*low, *high). */
static void alike(const struct e2d_process_window *window, const struct wanted *wanted, uint64_t index, uint64_t *low,
                  uint64_t *high)
{
    bool read = page_of(window, index) == E2D_PAGE_READ;

    *low = index;
    *high = index + 1;
    while (*low > wanted->low && page_of(window, *low - 1) < wanted->page &&
           (page_of(window, *low - 1) == E2D_PAGE_READ) == read)
        --*low;
    while (*high < wanted->high && page_of(window, *high) < wanted->page &&
           (page_of(window, *high) == E2D_PAGE_READ) == read)
        ++*high;
}

/* Enters what is not there yet: the faulting page in any case, the others while there is room. */
static enum ext2dax_fault_result map_run(struct e2d_process_window *window, const struct wanted *wanted, uint64_t index)
{
    uint64_t low, high;

    if (page_of(window, index) < wanted->page) {
        alike(window, wanted, index, &low, &high);
        if (!enter_wanted(window, wanted, low, high))
            return EXT2DAX_FAULT_OOM;
    }
    for (uint64_t i = wanted->low; i < wanted->high; i = high) {
        high = i + 1;
        if (page_of(window, i) >= wanted->page)
            continue;
        if (!has_room(window->process))
            break;
        alike(window, wanted, i, &low, &high);
        if (!enter_wanted(window, wanted, low, high))
            break;
    }
    return EXT2DAX_FAULT_NOPAGE;
}

/* One mapping for the whole slab, unless it shows something stronger somewhere. */
static enum ext2dax_fault_result map_huge(struct e2d_process_window *window, const struct wanted *wanted)
{
    struct e2d_slab *slab = slab_of(window, wanted->low);
    uint64_t pages = wanted->high - wanted->low, weaker = 0, stronger = 0, read = 0;

    if (!is_whole_slab(window, wanted->low, wanted->high))
        return EXT2DAX_FAULT_FALLBACK;
    for (uint64_t i = wanted->low; i < wanted->high; i++) {
        enum e2d_page page = page_of(window, i);

        if (page == E2D_PAGE_COPY || page == E2D_PAGE_ASIDE)
            return EXT2DAX_FAULT_FALLBACK;
        weaker += page < wanted->page;
        stronger += page > wanted->page;
        read += page == E2D_PAGE_READ;
    }
    if (weaker == 0)
        return EXT2DAX_FAULT_NOPAGE;
    if (stronger)
        return EXT2DAX_FAULT_FALLBACK;
    if (wanted->page == E2D_PAGE_WRITE && read == pages) {
        if (!enter_wanted(window, wanted, wanted->low, wanted->high))
            return EXT2DAX_FAULT_OOM;
    } else if (!enter(window, wanted->low, wanted->high, window->process->descriptor, wanted->offset, wanted->page)) {
        return EXT2DAX_FAULT_OOM;
    }
    slab->huge = true;
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result show_copy(struct e2d_process_window *window, uint64_t index)
{
    bool shown = enter(window, index, index + 1, window->copies, index << window->page_shift, E2D_PAGE_COPY);

    return shown ? EXT2DAX_FAULT_NOPAGE : EXT2DAX_FAULT_OOM;
}

static enum ext2dax_fault_result map_copy(struct e2d_process_window *window, uint64_t index, uint64_t offset)
{
    size_t bytes = bytes_of(window, 1), done = 0;
    off_t to = (off_t)(index << window->page_shift);
    const char *from = (const char *)window->process->memory.base + (offset == EXT2DAX_NO_OFFSET ? 0 : offset);

    if (window->copies < 0)
        return EXT2DAX_FAULT_FALLBACK;
    if (page_of(window, index) == E2D_PAGE_COPY)
        return EXT2DAX_FAULT_NOPAGE;
    if (page_of(window, index) == E2D_PAGE_ASIDE)
        return show_copy(window, index);
    if (offset == EXT2DAX_NO_OFFSET) {
        if (fallocate(window->copies, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, to, (off_t)bytes) != 0)
            return EXT2DAX_FAULT_OOM;
        done = bytes;
    }
    while (done < bytes) {
        ssize_t wrote = pwrite(window->copies, from + done, bytes - done, to + (off_t)done);

        if (wrote <= 0)
            return EXT2DAX_FAULT_OOM;
        done += (size_t)wrote;
    }
    return show_copy(window, index);
}

static enum ext2dax_fault_result op_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    struct ext2dax_process *process = ctx;
    struct e2d_process_window *window = fault->cookie;
    uint64_t index = fault->page - window->first, first = mapping->page, end = first + mapping->count, low, high;
    bool stores = (window->flags & (EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE)) == EXT2DAX_MAP_WRITE;
    enum ext2dax_fault_result result;
    struct wanted wanted;

    if (fault->page < window->first || index >= window->count || fault->page < first || fault->page >= end)
        return EXT2DAX_FAULT_FALLBACK;
    if (mapping->huge && (first < window->first || end - window->first > window->count))
        return EXT2DAX_FAULT_FALLBACK;
    slab_range(window, index, &low, &high);
    wanted.low = first > window->first + low ? first - window->first : low;
    wanted.high = end - window->first < window->count ? end - window->first : window->count;
    if (wanted.high - wanted.low > (uint64_t)MOST_SLABS << window->huge_order)
        wanted.high = wanted.low + ((uint64_t)MOST_SLABS << window->huge_order);
    wanted.offset = mapping->memory_offset + ((window->first + wanted.low - first) << window->page_shift);
    wanted.page = mapping->kind == EXT2DAX_MAPPING_ZERO ? E2D_PAGE_ZERO
                  : mapping->writable && stores         ? E2D_PAGE_WRITE
                                                        : E2D_PAGE_READ;

    e2d_table_lock(process);
    if (mapping->kind == EXT2DAX_MAPPING_COPY)
        result = map_copy(window, index, mapping->memory_offset);
    else if (page_of(window, index) == E2D_PAGE_ASIDE)
        result = mapping->huge ? EXT2DAX_FAULT_FALLBACK : show_copy(window, index);
    else if (mapping->huge)
        result = map_huge(window, &wanted);
    else
        result = map_run(window, &wanted, index);
    e2d_table_unlock(process);
    return result;
}

/* ---- unmap and protect ---- */

/* The pages of [first, first + count) that the window shows, as [*low, *high) of its own; false: none. */
static bool clip(const struct e2d_process_window *window, uint64_t first, uint64_t count, uint64_t *low, uint64_t *high)
{
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;

    *low = first > window->first ? first - window->first : 0;
    *high = end > window->first ? end - window->first : 0;
    if (*high > window->count)
        *high = window->count;
    return *low < *high;
}

static void unmap_window(struct e2d_process_window *window, uint64_t low, uint64_t high, bool private_too)
{
    uint64_t from = high, to = high; /* entered pages found so far, with armed ones between them: [from, to) */

    for (uint64_t i = low; i < high; i++) {
        enum e2d_page page = page_of(window, i);

        if (slab_of(window, i)->entered == 0) {
            i = slab_end(window, i, high) - 1;
            continue;
        }
        if (!private_too && (page == E2D_PAGE_COPY || page == E2D_PAGE_ASIDE)) {
            if (from < high)
                arm(window, from, to, false);
            from = high;
        } else if (page != E2D_PAGE_NONE) {
            if (from == high)
                from = i;
            to = i + 1;
        }
    }
    if (from < high)
        arm(window, from, to, private_too);
}

static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct ext2dax_process *process = ctx;
    uint64_t low, high;

    e2d_table_lock(process);
    for (size_t i = 0; i < process->window_count; i++)
        if (process->windows[i]->inode == inode && clip(process->windows[i], first, count, &low, &high))
            unmap_window(process->windows[i], low, high, private_too);
    e2d_table_unlock(process);
}

/* The first run of writable pages in [low, high); false: there is none. */
static bool writable_run(const struct e2d_process_window *window, uint64_t low, uint64_t high, uint64_t *from,
                         uint64_t *to)
{
    uint64_t i = low;

    while (i < high && page_of(window, i) != E2D_PAGE_WRITE)
        i = slab_of(window, i)->writable == 0 ? slab_end(window, i, high) : i + 1;
    *from = i;
    while (i < high && page_of(window, i) == E2D_PAGE_WRITE)
        i++;
    *to = i;
    return *from < *to;
}

static void protect_window(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    uint64_t from, to;

    for (; writable_run(window, low, high, &from, &to); low = to) {
        atomic_fetch_add_explicit(&window->process->protections, 1, memory_order_relaxed);
        if (mprotect(address_of(window, from), bytes_of(window, to - from), PROT_READ) != 0) {
            arm(window, from, to, false);
            continue;
        }
        for (uint64_t i = from; i < to; i++) {
            struct e2d_slab *slab = slab_of(window, i);
            uint64_t start, end;

            slab_range(window, i, &start, &end);
            record_page(window, slab, i, E2D_PAGE_READ);
            slab->huge = slab->huge && start >= from && end <= to;
        }
        record_start(window, from, true);
        record_start(window, to, true);
    }
}

static uint64_t op_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    struct ext2dax_process *process = ctx;
    uint64_t low, high, from, to, start = UINT64_MAX, end = 0;

    e2d_table_lock(process);
    for (size_t i = 0; i < process->window_count; i++) {
        struct e2d_process_window *window = process->windows[i];

        if (window->inode != inode || !clip(window, first, count, &low, &high) ||
            !writable_run(window, low, high, &from, &to) || window->first + from >= start)
            continue;
        start = window->first + from;
        end = window->first + to;
    }
    for (size_t i = 0; i < process->window_count; i++)
        if (start < end && process->windows[i]->inode == inode &&
            clip(process->windows[i], start, end - start, &low, &high))
            protect_window(process->windows[i], low, high);
    e2d_table_unlock(process);
    if (start >= end)
        return 0;
    *run = start;
    return end - start;
}

const struct ext2dax_address_space_ops e2d_process_ops = {sizeof(e2d_process_ops), op_map, op_unmap, op_protect};

/* ---- a window's own ---- */

/* Addresses for `bytes`, congruent to `offset` modulo `align` (a power of two), with a guard behind: armed. */
static char *reserve(size_t bytes, uint64_t offset, size_t align, size_t guard)
{
    size_t whole = bytes + guard + align, before;
    char *start = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return NULL;
    before = (size_t)(offset - (uintptr_t)start) & (align - 1);
    if (before)
        munmap(start, before);
    if (before < align)
        munmap(start + before + bytes + guard, align - before);
    (void)madvise(start + before, bytes + guard, MADV_DONTFORK);
    e2d_touches_are_meant(start + before, bytes);
    e2d_touch_is_meant(start + before, bytes);
    return start + before;
}

int e2d_window_open(struct e2d_process_window *window)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE), align = (size_t)1 << (window->huge_order + window->page_shift);
    uint64_t slabs =
        ((window->first + window->count - 1) >> window->huge_order) - (window->first >> window->huge_order) + 1;
    uint64_t most = (SIZE_MAX / 2 >> window->page_shift) - 2 * ((uint64_t)align >> window->page_shift);

    if (window->count > most || window->first > UINT64_MAX / 2 >> window->page_shift)
        return -EXT2DAX_EOVERFLOW;
    window->record = (size_t)slabs * sizeof(struct e2d_slab) + (size_t)window->count;
    window->slabs =
        mmap(NULL, window->record, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (window->slabs == MAP_FAILED)
        return -EXT2DAX_ENOMEM;
    window->pages = (uint8_t *)(window->slabs + slabs);

    window->copies = -1;
    if (window->flags & EXT2DAX_MAP_PRIVATE && window->flags & EXT2DAX_MAP_WRITE) {
        window->copies = memfd_create("ext2dax private copies", MFD_CLOEXEC);
        if (window->copies < 0 || ftruncate(window->copies, (off_t)(window->count << window->page_shift)) != 0)
            goto fail;
    }
    window->reserved = bytes_of(window, window->count) + guard;
    window->address = reserve(bytes_of(window, window->count), window->first << window->page_shift, align, guard);
    if (window->address)
        return 0;

fail:
    if (window->copies >= 0)
        close(window->copies);
    munmap(window->slabs, window->record);
    return -EXT2DAX_ENOMEM;
}

void e2d_window_close(struct e2d_process_window *window)
{
    unmap_window(window, 0, window->count, true);
    e2d_touches_are_not_meant(window->address, bytes_of(window, window->count));
    (void)munmap(window->address, window->reserved); /* at the kernel's limit it stays armed */
    munmap(window->slabs, window->record);
    if (window->copies >= 0)
        close(window->copies);
}

enum e2d_page e2d_window_look(struct e2d_process_window *window, uint64_t page, bool *try_huge)
{
    uint64_t index = page - window->first, low, high;
    const struct e2d_slab *slab = slab_of(window, index);
    enum e2d_page shown;

    slab_range(window, index, &low, &high);
    e2d_table_lock(window->process);
    shown = page_of(window, index);
    /* In a slab that shows scattered blocks, or copies, it would only be refused. */
    *try_huge = is_whole_slab(window, low, high) && (slab->entered == slab->zeroes || slab->huge);
    e2d_table_unlock(window->process);
    return shown;
}

enum ext2dax_fault_result e2d_window_restore(struct e2d_process_window *window, uint64_t page)
{
    uint64_t index = page - window->first;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    e2d_table_lock(window->process);
    if (page_of(window, index) == E2D_PAGE_ASIDE)
        result = show_copy(window, index);
    e2d_table_unlock(window->process);
    return result;
}
