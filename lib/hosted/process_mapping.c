/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Maps the pages of mappings, and implements the ops of the plug.
 *
 * A page never maps a block of another file, because the core holds dax_sem shared when calling
 * `map` and exclusively when calling `unmap`, and each op changes the pages in a single hold of the
 * table lock.
 *
 * Private copies lie in a memfd of the mapping, at the offset of the page. Neighbours therefore
 * merge into a single VMA, and eviction keeps the copies.
 */
#include "process_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "calls.h"
#include "memory_reserve.h"
#include "process_vmas.h"
#include "process_backend.h"

#define SMALL_RECORD ((size_t)256 << 10)

/* ---- map ---- */

/* Run to be installed by `map`, clipped to pages [low, high) of the mapping. */
struct wanted {
    uint64_t low, high;
    uint64_t offset; /* bytes, of `low` in the image's file */
    enum e2dh_page page;
};

/* Records that pages mapping blocks allow stores, or no longer do. */
static void record_permission(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, enum e2dh_page page)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);
        uint64_t start, end;

        e2dh_pmd_range_pages(mapping, i, &start, &end);
        e2dh_record_page(mapping, range, i, page);
        range->huge = range->huge && start >= low && end <= high;
    }
    if (mapping->process->backend->splits) {
        e2dh_record_start(mapping, low, true);
        e2dh_record_start(mapping, high, true);
    }
}

/* Tests whether the offsets in the image's file and in the file agree modulo a huge page. */
static bool is_congruent(const struct e2dh_mapping *mapping, const struct wanted *wanted)
{
    uint64_t apart = (wanted->offset >> mapping->page_shift) ^ (mapping->first + wanted->low);

    return wanted->page != E2DH_PAGE_ZERO && (apart & (((uint64_t)1 << mapping->huge_order) - 1)) == 0;
}

/*
 * Marks the PMD ranges mapped as a whole by the new VMA [low, high). Also asks the kernel for huge
 * pages, for the entire VMA, so the VMA is not split.
 */
static void note_huge(struct e2dh_mapping *mapping, const struct wanted *wanted, uint64_t low, uint64_t high)
{
    struct ext2dax_process *process = mapping->process;
    uint64_t pages = (uint64_t)1 << mapping->huge_order;
    uint64_t first = ((mapping->first + low + pages - 1) & ~(pages - 1)) - mapping->first, i;

    if (!is_congruent(mapping, wanted))
        return;
    for (i = first; i + pages <= high; i += pages) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        range->huge = true;
        range->uncollapsed = process->collapse_done != NULL;
        range->image = wanted->offset + ((i - wanted->low) << mapping->page_shift);
        atomic_fetch_add_explicit(&process->huge, 1, memory_order_relaxed);
    }
    if (i > first && process->advise)
        (void)madvise(e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low), MADV_HUGEPAGE);
}

/* Tests whether pages, all mapping blocks read-only, only need another permission. */
static bool may_be_allowed(const struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    for (uint64_t i = low; i < high; i++)
        if (e2dh_page_of(mapping, i) != E2DH_PAGE_READ || e2dh_is_bare(mapping, i))
            return false;
    return true;
}

static bool enter_wanted(struct e2dh_mapping *mapping, const struct wanted *wanted, uint64_t low, uint64_t high)
{
    struct ext2dax_process *process = mapping->process;
    uint64_t offset = 0;
    int descriptor = -1;

    /* The block is mapped already. Only the permission changes, and a huge page stays intact. */
    if (wanted->page == E2DH_PAGE_WRITE && e2dh_page_of(mapping, low) == E2DH_PAGE_READ) {
        if (process->backend->splits)
            e2dh_pages_make_room(process);
        if (may_be_allowed(mapping, low, high) && process->backend->allow(mapping, low, high)) {
            if (process->backend->splits)
                e2dh_record_entered(mapping, low, high, E2DH_PAGE_WRITE);
            else
                record_permission(mapping, low, high, E2DH_PAGE_WRITE);
            return true;
        }
    }
    if (wanted->page != E2DH_PAGE_ZERO) {
        descriptor = process->descriptor;
        offset = wanted->offset + ((low - wanted->low) << mapping->page_shift);
    }
    if (!e2dh_pages_enter(mapping, low, high, descriptor, offset, wanted->page))
        return false;
    note_huge(mapping, wanted, low, high);
    return true;
}

/* Finds the pages around `index` needing the same step, as [*low, *high). */
static void alike(const struct e2dh_mapping *mapping, const struct wanted *wanted, uint64_t index, uint64_t *low,
                  uint64_t *high)
{
    bool read = e2dh_page_of(mapping, index) == E2DH_PAGE_READ;

    *low = index;
    *high = index + 1;
    while (*low > wanted->low && e2dh_page_of(mapping, *low - 1) < wanted->page &&
           (e2dh_page_of(mapping, *low - 1) == E2DH_PAGE_READ) == read)
        --*low;
    while (*high < wanted->high && e2dh_page_of(mapping, *high) < wanted->page &&
           (e2dh_page_of(mapping, *high) == E2DH_PAGE_READ) == read)
        ++*high;
}

/*
 * Maps the missing pages of a run. Maps the faulting page in any case, the others while VMAs are
 * left.
 */
static enum ext2dax_fault_result map_run(struct e2dh_mapping *mapping, const struct wanted *wanted, uint64_t index)
{
    uint64_t low, high;

    if (e2dh_page_of(mapping, index) < wanted->page) {
        alike(mapping, wanted, index, &low, &high);
        if (!enter_wanted(mapping, wanted, low, high))
            return EXT2DAX_FAULT_OOM;
    }
    for (uint64_t i = wanted->low; i < wanted->high; i = high) {
        high = i + 1;
        if (e2dh_page_of(mapping, i) >= wanted->page)
            continue;
        if (!e2dh_vmas_have_room(mapping->process))
            break;
        alike(mapping, wanted, i, &low, &high);
        if (!enter_wanted(mapping, wanted, low, high))
            break;
    }
    return EXT2DAX_FAULT_NOPAGE;
}

/* Maps a whole PMD range as a single VMA, unless a page is in a stronger state. */
static enum ext2dax_fault_result map_huge(struct e2dh_mapping *mapping, const struct wanted *wanted)
{
    struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, wanted->low);
    uint64_t pages = wanted->high - wanted->low, weaker = 0, stronger = 0, read = 0;

    if (!e2dh_is_whole_pmd_range(mapping, wanted->low, wanted->high))
        return EXT2DAX_FAULT_FALLBACK;
    for (uint64_t i = wanted->low; i < wanted->high; i++) {
        enum e2dh_page page = e2dh_page_of(mapping, i);

        if (page == E2DH_PAGE_COPY || page == E2DH_PAGE_ASIDE)
            return EXT2DAX_FAULT_FALLBACK;
        weaker += page < wanted->page;
        stronger += page > wanted->page;
        read += page == E2DH_PAGE_READ;
    }
    if (weaker == 0)
        return EXT2DAX_FAULT_NOPAGE;
    if (stronger)
        return EXT2DAX_FAULT_FALLBACK;
    if (wanted->page == E2DH_PAGE_WRITE && read == pages) {
        if (!enter_wanted(mapping, wanted, wanted->low, wanted->high))
            return EXT2DAX_FAULT_OOM;
    } else if (!e2dh_pages_enter(mapping, wanted->low, wanted->high, mapping->process->descriptor, wanted->offset,
                                 wanted->page)) {
        return EXT2DAX_FAULT_OOM;
    } else {
        note_huge(mapping, wanted, wanted->low, wanted->high);
    }
    range->huge = true;
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result map_the_copy(struct e2dh_mapping *mapping, uint64_t index)
{
    bool shown =
        e2dh_pages_enter(mapping, index, index + 1, mapping->copies, index << mapping->page_shift, E2DH_PAGE_COPY);

    return shown ? EXT2DAX_FAULT_NOPAGE : EXT2DAX_FAULT_OOM;
}

/* On OOM, *error has the reason if memory is not the reason, else 0. */
static enum ext2dax_fault_result map_copy(struct e2dh_mapping *mapping, uint64_t index, uint64_t offset, int *error)
{
    size_t bytes = e2dh_bytes_of(mapping, 1), done = 0;
    uint64_t to = index << mapping->page_shift;
    const char *from = (const char *)mapping->process->memory.base + (offset == EXT2DAX_NO_OFFSET ? 0 : offset);

    if (mapping->copies < 0)
        return EXT2DAX_FAULT_FALLBACK;
    if (e2dh_page_of(mapping, index) == E2DH_PAGE_COPY)
        return EXT2DAX_FAULT_NOPAGE;
    if (e2dh_page_of(mapping, index) == E2DH_PAGE_ASIDE)
        return map_the_copy(mapping, index);
    if (offset == EXT2DAX_NO_OFFSET) {
        if (!e2dh_punch(mapping->copies, to, bytes))
            return EXT2DAX_FAULT_OOM;
        done = bytes;
    }
    while (done < bytes) {
        ssize_t wrote = e2dh_pwrite(mapping->copies, from + done, bytes - done, to + done);

        if (wrote <= 0) {
            *error = wrote < 0 && errno == EFBIG ? -EXT2DAX_EFBIG : 0;
            return EXT2DAX_FAULT_OOM;
        }
        done += (size_t)wrote;
    }
    return map_the_copy(mapping, index);
}

static enum ext2dax_fault_result op_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *run)
{
    struct ext2dax_process *process = ctx;
    struct e2dh_mapping *mapping = fault->cookie;
    uint64_t index = fault->page - mapping->first, first = run->page, end = first + run->count, low, high;
    bool stores = (mapping->flags & (EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE)) == EXT2DAX_MAP_WRITE;
    enum ext2dax_fault_result result;
    struct wanted wanted;

    if (fault->page < mapping->first || index >= mapping->count || fault->page < first || fault->page >= end)
        return EXT2DAX_FAULT_FALLBACK;
    if (run->huge && (first < mapping->first || end - mapping->first > mapping->count))
        return EXT2DAX_FAULT_FALLBACK;
    e2dh_pmd_range_pages(mapping, index, &low, &high);
    wanted.low = first > mapping->first + low ? first - mapping->first : low;
    wanted.high = end - mapping->first < mapping->count ? end - mapping->first : mapping->count;
    if (wanted.high - wanted.low > e2dh_backend_most_ranges(mapping) << mapping->huge_order)
        wanted.high = wanted.low + (e2dh_backend_most_ranges(mapping) << mapping->huge_order);
    wanted.offset =
        process->offset + run->memory_offset + ((mapping->first + wanted.low - first) << mapping->page_shift);
    wanted.page = run->kind == EXT2DAX_MAPPING_ZERO ? E2DH_PAGE_ZERO
                  : run->writable && stores         ? E2DH_PAGE_WRITE
                                                    : E2DH_PAGE_READ;
    if (wanted.high > high && is_congruent(mapping, &wanted)) {
        /* Mapping only the beginning of a PMD range would prevent a PMD entry for it later. */
        wanted.high -= (mapping->first + wanted.high) & (((uint64_t)1 << mapping->huge_order) - 1);
        /* A single PMD range per fault, because each is collapsed in its own fault. */
        if (process->collapse_done)
            wanted.high = high;
    }

    e2dh_table_lock(process);
    if (run->kind == EXT2DAX_MAPPING_COPY)
        result = map_copy(mapping, index, run->memory_offset, &fault->error);
    else if (e2dh_page_of(mapping, index) == E2DH_PAGE_ASIDE)
        result = run->huge ? EXT2DAX_FAULT_FALLBACK : map_the_copy(mapping, index);
    else if (run->huge)
        result = map_huge(mapping, &wanted);
    else
        result = map_run(mapping, &wanted, index);
    e2dh_table_unlock(process);
    return result;
}

/* ---- unmap and protect ---- */

/*
 * Clips pages [first, first + count) of the file to the mapping, as pages [*low, *high) of the
 * mapping. Returns false if no page is left.
 */
static bool clip(const struct e2dh_mapping *mapping, uint64_t first, uint64_t count, uint64_t *low, uint64_t *high)
{
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;

    *low = first > mapping->first ? first - mapping->first : 0;
    *high = end > mapping->first ? end - mapping->first : 0;
    if (*high > mapping->count)
        *high = mapping->count;
    return *low < *high;
}

static void unmap_mapping(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool private_too)
{
    /* Present pages found so far are in [from, to), with pages not present in between. */
    uint64_t from = high, to = high;

    /* Revoking pages in the middle of a VMA splits the VMA in two. */
    e2dh_pages_make_room(mapping->process);
    for (uint64_t i = low; i < high; i++) {
        enum e2dh_page page = e2dh_page_of(mapping, i);

        if (e2dh_pmd_range_at(mapping, i)->entered == 0) {
            i = e2dh_pmd_range_end(mapping, i, high) - 1;
            continue;
        }
        if (!private_too && (page == E2DH_PAGE_COPY || page == E2DH_PAGE_ASIDE)) {
            if (from < high) {
                e2dh_pages_clear(mapping, from, to, false);
                e2dh_pages_make_room(mapping->process);
            }
            from = high;
        } else if (page != E2DH_PAGE_NONE) {
            if (from == high)
                from = i;
            to = i + 1;
        }
    }
    if (from < high)
        e2dh_pages_clear(mapping, from, to, private_too);
}

void e2dh_mapping_resize(struct e2dh_mapping *mapping, uint64_t least, bool shrinks)
{
    uint64_t pages = UINT64_MAX, page = (uint64_t)1 << mapping->page_shift;
    struct ext2dax_stat stat;

    if (!mapping->process->backend->resize)
        return;
    if (mapping->inode->mount) {
        ext2dax_stat(mapping->inode, &stat, sizeof(stat));
        pages = (stat.size >> mapping->page_shift) + ((stat.size & (page - 1)) != 0);
        pages = pages > least ? pages : least;
        pages = pages > mapping->first ? pages - mapping->first : 0;
    }
    pages = pages < mapping->count ? pages : mapping->count;
    if (shrinks || pages > mapping->limit)
        mapping->process->backend->resize(mapping, pages);
}

static void op_extend(void *ctx, struct ext2dax_inode *inode, uint64_t pages)
{
    struct ext2dax_process *process = ctx;

    e2dh_table_lock(process);
    for (size_t i = 0; i < process->mapping_count; i++)
        if (process->mappings[i]->inode == inode)
            e2dh_mapping_resize(process->mappings[i], pages, false);
    e2dh_table_unlock(process);
}

/*
 * The core sets a smaller size before unmapping the pages past the new end, so
 * e2dh_mapping_resize() finds the new size here.
 */
static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct ext2dax_process *process = ctx;
    bool to_end = count >= UINT64_MAX - first;
    uint64_t low, high;

    e2dh_table_lock(process);
    for (size_t i = 0; i < process->mapping_count; i++) {
        if (process->mappings[i]->inode != inode)
            continue;
        e2dh_mapping_resize(process->mappings[i], 0, to_end);
        if (clip(process->mappings[i], first, count, &low, &high))
            unmap_mapping(process->mappings[i], low, high, private_too);
    }
    e2dh_table_unlock(process);
}

/* Finds the first run of writable pages in [low, high). Returns false if none exists. */
static bool writable_run(const struct e2dh_mapping *mapping, uint64_t low, uint64_t high, uint64_t *from, uint64_t *to)
{
    uint64_t i = low;

    while (i < high && e2dh_page_of(mapping, i) != E2DH_PAGE_WRITE)
        i = e2dh_pmd_range_at(mapping, i)->writable == 0 ? e2dh_pmd_range_end(mapping, i, high) : i + 1;
    *from = i;
    while (i < high && e2dh_page_of(mapping, i) == E2DH_PAGE_WRITE)
        i++;
    *to = i;
    return *from < *to;
}

static void protect_mapping(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    const struct e2dh_backend *backend = mapping->process->backend;
    uint64_t from, to;

    for (; writable_run(mapping, low, high, &from, &to); low = to) {
        if (backend->splits && !e2dh_vmas_have_room(mapping->process)) {
            /* May evict the pages to be protected. */
            e2dh_pages_make_room(mapping->process);
            if (!writable_run(mapping, low, high, &from, &to))
                return;
        }
        atomic_fetch_add_explicit(&mapping->process->protections, 1, memory_order_relaxed);
        if (!backend->splits)
            to = e2dh_pmd_range_end(mapping, from, to);
        if (backend->forbid(mapping, from, to))
            record_permission(mapping, from, to, E2DH_PAGE_READ);
        else
            e2dh_pages_clear(mapping, from, to, false);
    }
}

static uint64_t op_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    struct ext2dax_process *process = ctx;
    uint64_t low, high, from, to, start = UINT64_MAX, end = 0;

    e2dh_table_lock(process);
    for (size_t i = 0; i < process->mapping_count; i++) {
        struct e2dh_mapping *mapping = process->mappings[i];

        if (mapping->inode != inode || !clip(mapping, first, count, &low, &high) ||
            !writable_run(mapping, low, high, &from, &to) || mapping->first + from >= start)
            continue;
        start = mapping->first + from;
        end = mapping->first + to;
    }
    for (size_t i = 0; i < process->mapping_count; i++)
        if (start < end && process->mappings[i]->inode == inode &&
            clip(process->mappings[i], start, end - start, &low, &high))
            protect_mapping(process->mappings[i], low, high);
    e2dh_table_unlock(process);
    if (start >= end)
        return 0;
    *run = start;
    return end - start;
}

/*
 * Page states are not checked, so private copies, which do not map the file, count as aliases too.
 */
static bool op_aliases(void *ctx, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, const void *buffer,
                       size_t bytes)
{
    struct ext2dax_process *process = ctx;
    uintptr_t from = (uintptr_t)buffer, to = from + bytes;
    bool found = false;

    if (to <= atomic_load(&process->low) || from >= atomic_load(&process->high))
        return false;
    e2dh_table_lock(process);
    for (size_t i = 0; i < process->mapping_count && !found; i++) {
        const struct e2dh_mapping *mapping = process->mappings[i];
        uintptr_t start = (uintptr_t)mapping->address, end = start + e2dh_bytes_of(mapping, mapping->count);
        uint64_t shown = mapping->first << mapping->page_shift;

        if (mapping->inode != inode || from >= end || to <= start)
            continue;
        end = to < end ? to : end;
        found = shown + (end - start) > offset && shown + (from > start ? from - start : 0) < offset + length;
    }
    e2dh_table_unlock(process);
    return found;
}

const struct ext2dax_address_space_ops e2dh_process_ops = {
    .size = sizeof(e2dh_process_ops),
    .map = op_map,
    .unmap = op_unmap,
    .protect = op_protect,
    .extend = op_extend,
    .aliases = op_aliases,
};

/* ---- open, close and state of a mapping ---- */

static size_t pmd_bytes(const struct e2dh_mapping *mapping)
{
    return (size_t)1 << (mapping->huge_order + mapping->page_shift);
}

int e2dh_mapping_measure(struct e2dh_mapping *mapping)
{
    bool joins = mapping->process->backend->joins;
    uint64_t ranges =
        ((mapping->first + mapping->count - 1) >> mapping->huge_order) - (mapping->first >> mapping->huge_order) + 1;
    uint64_t most =
        (SIZE_MAX / (joins ? 2 : 4) >> mapping->page_shift) - 2 * ((uint64_t)pmd_bytes(mapping) >> mapping->page_shift);
    size_t pages;

    if (mapping->count > most || mapping->first > UINT64_MAX / 2 >> mapping->page_shift)
        return -EXT2DAX_EOVERFLOW;
    pages = e2dh_bytes_of(mapping, mapping->count);
    mapping->reserved = pages + (joins ? (size_t)sysconf(_SC_PAGESIZE) : pages);
    mapping->record = (size_t)ranges * sizeof(struct e2dh_pmd_range) + (size_t)mapping->count + 1;
    mapping->own = (joins ? 0u : 2u) + e2dh_record_is_mapped(mapping);
    return 0;
}

/*
 * Allocates the zeroed record. Most of a large record is never accessed. A small record is
 * populated, so it causes no page faults.
 */
static struct e2dh_pmd_range *make_record(const struct e2dh_mapping *mapping)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (mapping->record <= SMALL_RECORD ? MAP_POPULATE : 0);
    void *record;

    if (!e2dh_record_is_mapped(mapping)) {
        record = malloc(mapping->record);
        if (record)
            memset(record, 0, mapping->record);
        return record;
    }
    record = mmap(NULL, mapping->record, PROT_READ | PROT_WRITE, flags, -1, 0);
    return record == MAP_FAILED ? NULL : record;
}

static void free_record(struct e2dh_mapping *mapping)
{
    if (e2dh_record_is_mapped(mapping))
        munmap(mapping->ranges, mapping->record);
    else
        free(mapping->ranges);
}

/*
 * Reserves addresses for a single mapping, congruent to its offset in the file modulo a PMD range.
 * Nothing else stays reserved.
 */
static char *reserve(const struct e2dh_mapping *mapping)
{
    size_t align = pmd_bytes(mapping), whole = mapping->reserved + align, before;
    char *start = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return NULL;
    before = (size_t)((mapping->first << mapping->page_shift) - (uintptr_t)start) & (align - 1);
    if (before)
        munmap(start, before);
    if (before < align)
        munmap(start + before + mapping->reserved, align - before);
    (void)madvise(start + before, mapping->reserved, MADV_DONTFORK);
    return start + before;
}

int e2dh_mapping_open(struct e2dh_mapping *mapping)
{
    int error = -EXT2DAX_ENOMEM;

    mapping->ranges = make_record(mapping);
    if (!mapping->ranges)
        return -EXT2DAX_ENOMEM;
    mapping->pages = (uint8_t *)mapping->ranges + (mapping->record - (size_t)mapping->count - 1);

    mapping->copies = -1;
    if (mapping->flags & EXT2DAX_MAP_PRIVATE && mapping->flags & EXT2DAX_MAP_WRITE) {
        mapping->copies = e2dh_memfd("ext2dax private copies");
        if (mapping->copies < 0 || !e2dh_set_length(mapping->copies, mapping->count << mapping->page_shift)) {
            error = -errno;
            goto fail;
        }
    }
    if (mapping->process->backend->joins)
        return 0;
    mapping->address = reserve(mapping);
    if (!mapping->address)
        goto fail;
    error = mapping->process->backend->prepare(mapping);
    if (error == 0)
        return 0;
    (void)munmap(mapping->address, mapping->reserved);

fail:
    if (mapping->copies >= 0)
        close(mapping->copies);
    free_record(mapping);
    return error;
}

void e2dh_mapping_place(struct e2dh_mapping *mapping, char *address, struct e2dh_chunk *chunk)
{
    size_t bytes = e2dh_bytes_of(mapping, mapping->count);

    if (chunk) {
        mapping->address = address;
        mapping->chunk = chunk;
        chunk->mappings++;
    }
    e2dh_accesses_are_meant(mapping->address, bytes);
    e2dh_access_is_meant(mapping->address, bytes);
}

/*
 * Returns the addresses to the chunk, where another mapping can use them. Near the kernel's limit
 * this may fail. The pages then only lose their permissions, and the chunk takes no more mappings.
 */
static void leave_chunk(struct e2dh_mapping *mapping)
{
    struct e2dh_chunk *chunk = mapping->chunk;

    if (!e2dh_addresses_shrink(mapping->process, chunk)) {
        e2dh_pages_clear_all(mapping);
        chunk->left += mapping->starts;
        mapping->process->vmas += mapping->starts;
        mapping->process->own_vmas += mapping->starts;
        chunk->mappings--;
        chunk->hint = mapping->address;
        chunk->refused = 0;
    }
}

void e2dh_mapping_close(struct e2dh_mapping *mapping)
{
    const struct e2dh_backend *backend = mapping->process->backend;

    if (mapping->address)
        e2dh_accesses_are_not_meant(mapping->address, e2dh_bytes_of(mapping, mapping->count));
    if (mapping->chunk)
        leave_chunk(mapping);
    else if (mapping->address)
        /* Cannot fail, since only whole VMAs are unmapped. */
        munmap(mapping->address, mapping->reserved);
    e2dh_record_removed(mapping);
    if (backend->disarm)
        backend->disarm(mapping);
    free_record(mapping);
    if (mapping->copies >= 0)
        close(mapping->copies);
}

enum e2dh_page e2dh_mapping_look(struct e2dh_mapping *mapping, uint64_t page, bool *try_huge)
{
    uint64_t index = page - mapping->first, low, high;
    const struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, index);
    enum e2dh_page shown;

    e2dh_pmd_range_pages(mapping, index, &low, &high);
    e2dh_table_lock(mapping->process);
    shown = e2dh_page_of(mapping, index);
    /* A PMD fault of a PMD range with scattered blocks or copies would be refused. */
    *try_huge = e2dh_is_whole_pmd_range(mapping, low, high) && (range->entered == range->zeroes || range->huge);
    e2dh_table_unlock(mapping->process);
    return shown;
}

enum ext2dax_fault_result e2dh_mapping_restore(struct e2dh_mapping *mapping, uint64_t page)
{
    uint64_t index = page - mapping->first;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    e2dh_table_lock(mapping->process);
    if (e2dh_page_of(mapping, index) == E2DH_PAGE_ASIDE)
        result = map_the_copy(mapping, index);
    e2dh_table_unlock(mapping->process);
    return result;
}

uint64_t e2dh_mapping_missing(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool write)
{
    bool copies = write && mapping->flags & EXT2DAX_MAP_PRIVATE;
    uint64_t end = low, i = low;

    while (i == end && i < high) {
        /* Releases the lock after each PMD range of a large mapping. */
        end = e2dh_pmd_range_end(mapping, i, high);
        e2dh_table_lock(mapping->process);
        for (; i < end; i++) {
            enum e2dh_page page = e2dh_page_of(mapping, i);

            if (page == E2DH_PAGE_NONE || page == E2DH_PAGE_ASIDE || (copies && page != E2DH_PAGE_COPY) ||
                (write && page < E2DH_PAGE_WRITE))
                break;
        }
        e2dh_table_unlock(mapping->process);
    }
    return i;
}

void e2dh_mapping_forget(struct e2dh_mapping *mapping, uint64_t page)
{
    uint64_t index = page - mapping->first;

    e2dh_table_lock(mapping->process);
    e2dh_pages_make_room(mapping->process);
    e2dh_pages_clear(mapping, index, index + 1, false);
    e2dh_table_unlock(mapping->process);
}

bool e2dh_mapping_is_uncollapsed(struct e2dh_mapping *mapping, uint64_t page, uint64_t *image)
{
    struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, page - mapping->first);
    bool uncollapsed;

    e2dh_table_lock(mapping->process);
    uncollapsed = range->huge && range->uncollapsed;
    range->uncollapsed = false;
    *image = range->image;
    e2dh_table_unlock(mapping->process);
    return uncollapsed;
}
