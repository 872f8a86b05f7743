/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process: what the pages of a window show, and the three ops of the plug.
 *
 * Why a page never shows a block that is not its file's: the core calls `map` while it holds dax_sem shared, and
 * `unmap` while it holds it exclusively; each changes what the pages show in one hold of the table lock.
 *
 * Private copies lie in a memfd of the window, at their page's place: neighbours merge into one kernel mapping, and an
 * eviction takes them aside without losing them.
 */
#include "process_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "memory_reserve.h"
#include "process_way.h"

#define SMALL_RECORD ((size_t)256 << 10)

/* ---- map ---- */

/* A run as `map` wants it, clipped: pages [low, high) of the window. */
struct wanted {
    uint64_t low, high;
    uint64_t offset; /* of `low` in the image */
    enum e2d_page page;
};

/* The pages, which show blocks, let stores through now, or no longer. */
static void record_permission(struct e2d_process_window *window, uint64_t low, uint64_t high, enum e2d_page page)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2d_slab *slab = e2d_slab_of(window, i);
        uint64_t start, end;

        e2d_slab_range(window, i, &start, &end);
        e2d_record_page(window, slab, i, page);
        slab->huge = slab->huge && start >= low && end <= high;
    }
    if (window->process->way->splits) {
        e2d_record_start(window, low, true);
        e2d_record_start(window, high, true);
    }
}

/* Do the run's place in the image and in the file agree modulo a huge page? */
static bool is_congruent(const struct e2d_process_window *window, const struct wanted *wanted)
{
    uint64_t apart = (wanted->offset >> window->page_shift) ^ (window->first + wanted->low);

    return wanted->page != E2D_PAGE_ZERO && (apart & (((uint64_t)1 << window->huge_order) - 1)) == 0;
}

/*
 * [low, high) of the run has become one kernel mapping. Which slabs does it show as one? The kernel is asked to do so, too:
 * for all of the mapping, so that none is split.
 */
static void note_huge(struct e2d_process_window *window, const struct wanted *wanted, uint64_t low, uint64_t high)
{
    struct ext2dax_process *process = window->process;
    uint64_t pages = (uint64_t)1 << window->huge_order;
    uint64_t first = ((window->first + low + pages - 1) & ~(pages - 1)) - window->first, i;

    if (!is_congruent(window, wanted))
        return;
    for (i = first; i + pages <= high; i += pages) {
        struct e2d_slab *slab = e2d_slab_of(window, i);

        slab->huge = true;
        slab->loose = process->gathered != NULL;
        slab->image = wanted->offset + ((i - wanted->low) << window->page_shift);
        atomic_fetch_add_explicit(&process->huge, 1, memory_order_relaxed);
    }
    if (i > first && process->advise)
        (void)madvise(e2d_address_of(window, low), e2d_bytes_of(window, high - low), MADV_HUGEPAGE);
}

static bool enter_wanted(struct e2d_process_window *window, const struct wanted *wanted, uint64_t low, uint64_t high)
{
    struct ext2dax_process *process = window->process;
    uint64_t offset = 0;
    int descriptor = -1;

    /* The block is known and shown already: only the permission changes, and a huge page stays one. */
    if (wanted->page == E2D_PAGE_WRITE && e2d_page_of(window, low) == E2D_PAGE_READ) {
        while (process->way->splits && !e2d_pages_have_room(process) && e2d_page_of(window, low) == E2D_PAGE_READ &&
               e2d_pages_evict(process))
            ;
        if (e2d_page_of(window, low) == E2D_PAGE_READ && process->way->allow(window, low, high)) {
            if (process->way->splits)
                e2d_record_entered(window, low, high, E2D_PAGE_WRITE);
            else
                record_permission(window, low, high, E2D_PAGE_WRITE);
            return true;
        }
    }
    if (wanted->page != E2D_PAGE_ZERO) {
        descriptor = process->descriptor;
        offset = wanted->offset + ((low - wanted->low) << window->page_shift);
    }
    if (!e2d_pages_enter(window, low, high, descriptor, offset, wanted->page))
        return false;
    note_huge(window, wanted, low, high);
    return true;
}

/* The pages around `index` that want the same step as it does: [*low, *high). */
static void alike(const struct e2d_process_window *window, const struct wanted *wanted, uint64_t index, uint64_t *low,
                  uint64_t *high)
{
    bool read = e2d_page_of(window, index) == E2D_PAGE_READ;

    *low = index;
    *high = index + 1;
    while (*low > wanted->low && e2d_page_of(window, *low - 1) < wanted->page &&
           (e2d_page_of(window, *low - 1) == E2D_PAGE_READ) == read)
        --*low;
    while (*high < wanted->high && e2d_page_of(window, *high) < wanted->page &&
           (e2d_page_of(window, *high) == E2D_PAGE_READ) == read)
        ++*high;
}

/* Enters what is not there yet: the faulting page in any case, the others while there is room. */
static enum ext2dax_fault_result map_run(struct e2d_process_window *window, const struct wanted *wanted, uint64_t index)
{
    uint64_t low, high;

    if (e2d_page_of(window, index) < wanted->page) {
        alike(window, wanted, index, &low, &high);
        if (!enter_wanted(window, wanted, low, high))
            return EXT2DAX_FAULT_OOM;
    }
    for (uint64_t i = wanted->low; i < wanted->high; i = high) {
        high = i + 1;
        if (e2d_page_of(window, i) >= wanted->page)
            continue;
        if (!e2d_pages_have_room(window->process))
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
    struct e2d_slab *slab = e2d_slab_of(window, wanted->low);
    uint64_t pages = wanted->high - wanted->low, weaker = 0, stronger = 0, read = 0;

    if (!e2d_is_whole_slab(window, wanted->low, wanted->high))
        return EXT2DAX_FAULT_FALLBACK;
    for (uint64_t i = wanted->low; i < wanted->high; i++) {
        enum e2d_page page = e2d_page_of(window, i);

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
    } else if (!e2d_pages_enter(window, wanted->low, wanted->high, window->process->descriptor, wanted->offset,
                                wanted->page)) {
        return EXT2DAX_FAULT_OOM;
    } else {
        note_huge(window, wanted, wanted->low, wanted->high);
    }
    slab->huge = true;
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result show_copy(struct e2d_process_window *window, uint64_t index)
{
    bool shown = e2d_pages_enter(window, index, index + 1, window->copies, index << window->page_shift, E2D_PAGE_COPY);

    return shown ? EXT2DAX_FAULT_NOPAGE : EXT2DAX_FAULT_OOM;
}

static enum ext2dax_fault_result map_copy(struct e2d_process_window *window, uint64_t index, uint64_t offset)
{
    size_t bytes = e2d_bytes_of(window, 1), done = 0;
    off_t to = (off_t)(index << window->page_shift);
    const char *from = (const char *)window->process->memory.base + (offset == EXT2DAX_NO_OFFSET ? 0 : offset);

    if (window->copies < 0)
        return EXT2DAX_FAULT_FALLBACK;
    if (e2d_page_of(window, index) == E2D_PAGE_COPY)
        return EXT2DAX_FAULT_NOPAGE;
    if (e2d_page_of(window, index) == E2D_PAGE_ASIDE)
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
    e2d_slab_range(window, index, &low, &high);
    wanted.low = first > window->first + low ? first - window->first : low;
    wanted.high = end - window->first < window->count ? end - window->first : window->count;
    if (wanted.high - wanted.low > e2d_way_most_slabs(window) << window->huge_order)
        wanted.high = wanted.low + (e2d_way_most_slabs(window) << window->huge_order);
    wanted.offset = mapping->memory_offset + ((window->first + wanted.low - first) << window->page_shift);
    wanted.page = mapping->kind == EXT2DAX_MAPPING_ZERO ? E2D_PAGE_ZERO
                  : mapping->writable && stores         ? E2D_PAGE_WRITE
                                                        : E2D_PAGE_READ;
    if (wanted.high > high && is_congruent(window, &wanted)) {
        /* The beginning of a slab would keep the kernel from mapping all of it by one entry later. */
        wanted.high -= (window->first + wanted.high) & (((uint64_t)1 << window->huge_order) - 1);
        /* One at a time: each is collapsed under a touch of its own. */
        if (process->gathered)
            wanted.high = high;
    }

    e2d_table_lock(process);
    if (mapping->kind == EXT2DAX_MAPPING_COPY)
        result = map_copy(window, index, mapping->memory_offset);
    else if (e2d_page_of(window, index) == E2D_PAGE_ASIDE)
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
        enum e2d_page page = e2d_page_of(window, i);

        if (e2d_slab_of(window, i)->entered == 0) {
            i = e2d_slab_end(window, i, high) - 1;
            continue;
        }
        if (!private_too && (page == E2D_PAGE_COPY || page == E2D_PAGE_ASIDE)) {
            if (from < high)
                e2d_pages_arm(window, from, to, false);
            from = high;
        } else if (page != E2D_PAGE_NONE) {
            if (from == high)
                from = i;
            to = i + 1;
        }
    }
    if (from < high)
        e2d_pages_arm(window, from, to, private_too);
}

void e2d_window_resize(struct e2d_process_window *window, uint64_t least, bool shrinks)
{
    uint64_t pages = UINT64_MAX, page = (uint64_t)1 << window->page_shift;
    struct ext2dax_stat stat;

    if (!window->process->way->resize)
        return;
    if (window->inode->mount) {
        ext2dax_stat(window->inode, &stat);
        pages = (stat.size >> window->page_shift) + ((stat.size & (page - 1)) != 0);
        pages = pages > least ? pages : least;
        pages = pages > window->first ? pages - window->first : 0;
    }
    pages = pages < window->count ? pages : window->count;
    if (shrinks || pages > window->limit)
        window->process->way->resize(window, pages);
}

static void op_grow(void *ctx, struct ext2dax_inode *inode, uint64_t pages)
{
    struct ext2dax_process *process = ctx;

    e2d_table_lock(process);
    for (size_t i = 0; i < process->window_count; i++)
        if (process->windows[i]->inode == inode)
            e2d_window_resize(process->windows[i], pages, false);
    e2d_table_unlock(process);
}

/* A smaller size is in core before the pages that it takes away are unmapped. */
static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct ext2dax_process *process = ctx;
    bool to_end = count >= UINT64_MAX - first;
    uint64_t low, high;

    e2d_table_lock(process);
    for (size_t i = 0; i < process->window_count; i++) {
        if (process->windows[i]->inode != inode)
            continue;
        e2d_window_resize(process->windows[i], 0, to_end);
        if (clip(process->windows[i], first, count, &low, &high))
            unmap_window(process->windows[i], low, high, private_too);
    }
    e2d_table_unlock(process);
}

/* The first run of writable pages in [low, high); false: there is none. */
static bool writable_run(const struct e2d_process_window *window, uint64_t low, uint64_t high, uint64_t *from,
                         uint64_t *to)
{
    uint64_t i = low;

    while (i < high && e2d_page_of(window, i) != E2D_PAGE_WRITE)
        i = e2d_slab_of(window, i)->writable == 0 ? e2d_slab_end(window, i, high) : i + 1;
    *from = i;
    while (i < high && e2d_page_of(window, i) == E2D_PAGE_WRITE)
        i++;
    *to = i;
    return *from < *to;
}

static void protect_window(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    const struct e2d_way *way = window->process->way;
    uint64_t from, to;

    for (; writable_run(window, low, high, &from, &to); low = to) {
        atomic_fetch_add_explicit(&window->process->protections, 1, memory_order_relaxed);
        if (!way->splits)
            to = e2d_slab_end(window, from, to);
        if (way->forbid(window, from, to))
            record_permission(window, from, to, E2D_PAGE_READ);
        else
            e2d_pages_arm(window, from, to, false);
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

const struct ext2dax_address_space_ops e2d_process_ops = {sizeof(e2d_process_ops), op_map, op_unmap, op_protect,
                                                          op_grow};

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
    int flags;
    uint64_t most = (SIZE_MAX / 2 >> window->page_shift) - 2 * ((uint64_t)align >> window->page_shift);
    int error = -EXT2DAX_ENOMEM;

    if (window->count > most || window->first > UINT64_MAX / 2 >> window->page_shift)
        return -EXT2DAX_EOVERFLOW;
    window->record = (size_t)slabs * sizeof(struct e2d_slab) + (size_t)window->count;
    /* Most of a large window is never touched; a small one's record causes no page faults of its own. */
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (window->record <= SMALL_RECORD ? MAP_POPULATE : 0);
    window->slabs = mmap(NULL, window->record, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (window->slabs == MAP_FAILED)
        return -EXT2DAX_ENOMEM;
    window->pages = (uint8_t *)(window->slabs + slabs);

    window->copies = -1;
    if (window->flags & EXT2DAX_MAP_PRIVATE && window->flags & EXT2DAX_MAP_WRITE) {
        window->copies = e2d_memfd("ext2dax private copies");
        if (window->copies < 0 || !e2d_set_length(window->copies, window->count << window->page_shift)) {
            error = -errno;
            goto fail;
        }
    }
    window->reserved = e2d_bytes_of(window, window->count) + guard;
    window->address = reserve(e2d_bytes_of(window, window->count), window->first << window->page_shift, align, guard);
    if (!window->address)
        goto fail;
    error = window->process->way->prepare(window);
    if (error == 0)
        return 0;
    (void)munmap(window->address, window->reserved);

fail:
    if (window->copies >= 0)
        close(window->copies);
    munmap(window->slabs, window->record);
    return error;
}

void e2d_window_close(struct e2d_process_window *window)
{
    unmap_window(window, 0, window->count, true);
    e2d_touches_are_not_meant(window->address, e2d_bytes_of(window, window->count));
    (void)munmap(window->address, window->reserved); /* at the kernel's limit it stays armed */
    window->process->way->disarm(window);
    munmap(window->slabs, window->record);
    if (window->copies >= 0)
        close(window->copies);
}

enum e2d_page e2d_window_look(struct e2d_process_window *window, uint64_t page, bool *try_huge)
{
    uint64_t index = page - window->first, low, high;
    const struct e2d_slab *slab = e2d_slab_of(window, index);
    enum e2d_page shown;

    e2d_slab_range(window, index, &low, &high);
    e2d_table_lock(window->process);
    shown = e2d_page_of(window, index);
    /* In a slab that shows scattered blocks, or copies, it would only be refused. */
    *try_huge = e2d_is_whole_slab(window, low, high) && (slab->entered == slab->zeroes || slab->huge);
    e2d_table_unlock(window->process);
    return shown;
}

enum ext2dax_fault_result e2d_window_restore(struct e2d_process_window *window, uint64_t page)
{
    uint64_t index = page - window->first;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    e2d_table_lock(window->process);
    if (e2d_page_of(window, index) == E2D_PAGE_ASIDE)
        result = show_copy(window, index);
    e2d_table_unlock(window->process);
    return result;
}

uint64_t e2d_window_missing(struct e2d_process_window *window, uint64_t low, uint64_t high, bool write)
{
    bool copies = write && window->flags & EXT2DAX_MAP_PRIVATE;
    uint64_t end = low, i = low;

    while (i == end && i < high) {
        end = e2d_slab_end(window, i, high); /* not all of a large window in one hold of the lock */
        e2d_table_lock(window->process);
        for (; i < end; i++) {
            enum e2d_page page = e2d_page_of(window, i);

            if (page == E2D_PAGE_NONE || page == E2D_PAGE_ASIDE || (copies && page != E2D_PAGE_COPY) ||
                (write && page < E2D_PAGE_WRITE))
                break;
        }
        e2d_table_unlock(window->process);
    }
    return i;
}

bool e2d_window_is_loose(struct e2d_process_window *window, uint64_t page, uint64_t *image)
{
    struct e2d_slab *slab = e2d_slab_of(window, page - window->first);
    bool loose;

    e2d_table_lock(window->process);
    loose = slab->huge && slab->loose;
    slab->loose = false;
    *image = slab->image;
    e2d_table_unlock(window->process);
    return loose;
}
