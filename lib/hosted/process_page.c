/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Records and maps the pages of a mapping. The VMA and the record
 * change together, in a single hold of the table lock. MAP_FIXED replaces a VMA in a single step,
 * so another thread finds a page not present, in the old state, or in the new state.
 *
 * VMAs are counted from the record, which marks the beginning of each VMA. The kernel can only have
 * fewer, by merging. At the limit, the PMD range mapped first is revoked with a single call.
 * process_vmas.c describes the rest.
 */
#include "process_page.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "calls.h"
#include "process_spare.h"
#include "process_backend.h"

/* ---- the record ---- */

static void enqueue(struct ext2dax_process *process, struct e2dh_pmd_range *range)
{
    if (range->queued)
        return;
    range->queued = true;
    range->mapping->queued++;
    range->newer = NULL;
    range->older = process->newest;
    if (process->newest)
        process->newest->newer = range;
    else
        process->oldest = range;
    process->newest = range;
}

static void dequeue(struct ext2dax_process *process, struct e2dh_pmd_range *range)
{
    if (!range->queued)
        return;
    range->queued = false;
    range->mapping->queued--;
    if (range->older)
        range->older->newer = range->newer;
    else
        process->oldest = range->newer;
    if (range->newer)
        range->newer->older = range->older;
    else
        process->newest = range->older;
}

void e2dh_record_start(struct e2dh_mapping *mapping, uint64_t index, bool start)
{
    uint8_t *at = &mapping->pages[index];
    bool edge = index == 0 || index == mapping->count;

    /* Without backend->joins, a VMA begins at both edges, counted in mapping->own. */
    if ((edge && !mapping->process->backend->joins) || start == ((*at & E2DH_PAGE_START) != 0))
        return;
    *at ^= E2DH_PAGE_START;
    if (start) {
        mapping->starts++;
        mapping->process->vmas++;
    } else {
        mapping->starts--;
        mapping->process->vmas--;
    }
    if (index < mapping->count)
        e2dh_pmd_range_at(mapping, index)->starts += start ? 1 : UINT32_MAX;
}

void e2dh_record_bare(struct e2dh_mapping *mapping, struct e2dh_pmd_range *range, uint64_t index, bool bare)
{
    if (bare == e2dh_is_bare(mapping, index))
        return;
    mapping->pages[index] ^= E2DH_PAGE_BARE;
    range->bare += bare ? 1 : UINT32_MAX;
}

void e2dh_record_page(struct e2dh_mapping *mapping, struct e2dh_pmd_range *range, uint64_t index, enum e2dh_page page)
{
    enum e2dh_page before = e2dh_page_of(mapping, index);

    range->entered += page != E2DH_PAGE_NONE;
    range->entered -= before != E2DH_PAGE_NONE;
    range->zeroes += page == E2DH_PAGE_ZERO;
    range->zeroes -= before == E2DH_PAGE_ZERO;
    range->writable += page == E2DH_PAGE_WRITE;
    range->writable -= before == E2DH_PAGE_WRITE;
    mapping->pages[index] = (uint8_t)((mapping->pages[index] & ~E2DH_PAGE_MASK) | page);
}

static bool is_absent(const struct e2dh_mapping *mapping, uint64_t index)
{
    enum e2dh_page page = e2dh_page_of(mapping, index);

    return (page == E2DH_PAGE_NONE || page == E2DH_PAGE_ASIDE) && !e2dh_is_bare(mapping, index);
}

void e2dh_record_entered(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, enum e2dh_page page)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        if (i != low)
            e2dh_record_start(mapping, i, false);
        e2dh_record_page(mapping, range, i, page);
        e2dh_record_bare(mapping, range, i, false);
        range->huge = false;
        range->mapping = mapping;
        enqueue(mapping->process, range);
    }
    e2dh_record_start(mapping, low, true);
    e2dh_record_start(mapping, high, true);
}

/*
 * Records that a page of `range` is no longer mapped. A private copy is kept in the memfd, or
 * dropped with `copies_too`.
 */
static void record_nothing(struct e2dh_mapping *mapping, struct e2dh_pmd_range *range, uint64_t index, bool copies_too)
{
    enum e2dh_page before = e2dh_page_of(mapping, index);
    bool aside = !copies_too && (before == E2DH_PAGE_COPY || before == E2DH_PAGE_ASIDE);

    e2dh_record_page(mapping, range, index, aside ? E2DH_PAGE_ASIDE : E2DH_PAGE_NONE);
    range->huge = false;
    if (range->entered == 0)
        dequeue(mapping->process, range);
}

/* Records that [low, high) was revoked. Pages that are not present merge with such neighbours. */
static void record_absent(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        if (range->entered == 0 && range->starts == 0 && range->bare == 0) {
            /*
             * Skips a PMD range never accessed, like most of a large mapping, without reading the
             * record of its pages.
             */
            i = e2dh_pmd_range_end(mapping, i, high) - 1;
            continue;
        }
        if (i != low)
            e2dh_record_start(mapping, i, false);
        record_nothing(mapping, range, i, copies_too);
        e2dh_record_bare(mapping, range, i, false);
    }
    e2dh_record_start(mapping, low, low > 0 && !is_absent(mapping, low - 1));
    e2dh_record_start(mapping, high, high < mapping->count && !is_absent(mapping, high));
}

/*
 * Records that [low, high) became a single VMA without permission, which does not merge with pages
 * that are not present.
 */
static void record_bared(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    for (uint64_t i = low; i < high; i++) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        if (i != low)
            e2dh_record_start(mapping, i, false);
        record_nothing(mapping, range, i, copies_too);
        e2dh_record_bare(mapping, range, i, true);
    }
    e2dh_record_start(mapping, low, true);
    e2dh_record_start(mapping, high, true);
}

void e2dh_record_removed(struct e2dh_mapping *mapping)
{
    for (uint64_t i = 0; i < mapping->count && mapping->queued > 0; i = e2dh_pmd_range_end(mapping, i, mapping->count))
        dequeue(mapping->process, e2dh_pmd_range_at(mapping, i));
    mapping->process->vmas -= mapping->starts + mapping->own;
    mapping->process->own_vmas -= mapping->own;
}

/* ---- VMAs ---- */

/*
 * Finds the range [*from, *to) with all pages that have a VMA of their own. The range begins and
 * ends at VMA boundaries. Returns false if no page is present or bare.
 */
static bool present_range(const struct e2dh_mapping *mapping, uint64_t *from, uint64_t *to)
{
    *from = *to = mapping->count;
    for (uint64_t i = 0; i < mapping->count; i++) {
        const struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        if (range->entered == 0 && range->bare == 0) {
            i = e2dh_pmd_range_end(mapping, i, mapping->count) - 1;
            continue;
        }
        if (is_absent(mapping, i))
            continue;
        if (*from == mapping->count)
            *from = i;
        *to = i + 1;
    }
    return *from < *to;
}

/*
 * Revokes [low, high) in a single step. Near the kernel's limit, releases the reserve for the VMAs
 * needed.
 */
static bool put_absent(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    const struct e2dh_backend *backend = mapping->process->backend;

    if (backend->clear(mapping, low, high))
        return true;
    if (mapping->process->spare_held == 0)
        return false;
    e2dh_spare_release(mapping->process);
    return backend->clear(mapping, low, high);
}

static bool put_bare(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    if (!e2dh_put_without_permission(e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low)))
        return false;
    record_bared(mapping, low, high, copies_too);
    return true;
}

/*
 * Removes the permissions of [from, to). Needs no additional VMA, since no VMA crosses the edges of
 * the range. Gives no VMA back either, so the recorded starts stay.
 */
static void strip(struct e2dh_mapping *mapping, uint64_t from, uint64_t to)
{
    if (mprotect(e2dh_address_of(mapping, from), e2dh_bytes_of(mapping, to - from), PROT_NONE) != 0)
        abort();
    e2dh_access_is_meant(e2dh_address_of(mapping, from), e2dh_bytes_of(mapping, to - from));
    for (uint64_t i = from; i < to; i++) {
        struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, i);

        /* With sigsegv, pages not present have no permission in any case, and still merge. */
        e2dh_record_bare(mapping, range, i, !is_absent(mapping, i) || mapping->process->backend->asks);
        record_nothing(mapping, range, i, false);
    }
}

/*
 * Revokes all pages of the mapping where the kernel has no VMA left to split. VMAs begin and end at
 * the edges of the range, so none is split, and the kernel gets back the VMAs in between. If the
 * kernel refuses even then, only removes the permissions of the pages and returns false, since no
 * VMA was given back. More pages than requested are revoked, which costs faults.
 */
static bool clear_all(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    uint64_t from, to;
    bool given_back = true;

    if (present_range(mapping, &from, &to)) {
        if (put_absent(mapping, from, to)) {
            record_absent(mapping, from, to, false);
        } else if (!mapping->process->backend->asks || !put_bare(mapping, from, to, false)) {
            strip(mapping, from, to);
            given_back = false;
        }
    }
    for (uint64_t i = low; copies_too && i < high; i++)
        record_nothing(mapping, e2dh_pmd_range_at(mapping, i), i, true);
    return given_back;
}

/* Returns false if the kernel got no VMA back. */
static bool clear(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    bool given_back = true;

    atomic_fetch_add_explicit(&mapping->process->revoked, 1, memory_order_relaxed);
    if (put_absent(mapping, low, high))
        record_absent(mapping, low, high, copies_too);
    else if (!mapping->process->backend->asks || !put_bare(mapping, low, high, copies_too))
        given_back = clear_all(mapping, low, high, copies_too);
    if (mapping->copies >= 0 && copies_too)
        /* Failure only wastes memory, since a copy is written completely before being mapped. */
        (void)e2dh_punch(mapping->copies, low << mapping->page_shift, (high - low) << mapping->page_shift);
    return given_back;
}

void e2dh_pages_clear(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too)
{
    if (low >= high)
        return;
    (void)clear(mapping, low, high, copies_too);
    e2dh_spare_refill(mapping->process);
}

void e2dh_pages_clear_all(struct e2dh_mapping *mapping)
{
    (void)clear_all(mapping, 0, 0, false);
    e2dh_spare_refill(mapping->process);
}

void e2dh_pages_refuse(struct e2dh_mapping *mapping, uint64_t index)
{
    if (put_bare(mapping, index, index + 1, false))
        return;
    e2dh_spare_release(mapping->process);
    if (!put_bare(mapping, index, index + 1, false))
        strip(mapping, 0, mapping->count);
    e2dh_spare_refill(mapping->process);
}

/* Tests whether the page is part of the same VMA as the preceding page. */
static bool goes_on(const struct e2dh_mapping *mapping, uint64_t index)
{
    return index > 0 && index < mapping->count && !(mapping->pages[index] & E2DH_PAGE_START) &&
           !is_absent(mapping, index);
}

/*
 * A VMA reaching beyond the PMD range on both sides would be split in two. Such a VMA is revoked
 * from the start of the PMD range to the end of the VMA.
 */
bool e2dh_pages_evict(struct ext2dax_process *process)
{
    struct e2dh_pmd_range *range = process->oldest;
    struct e2dh_mapping *mapping;
    uint64_t index, low, high;
    bool given_back;

    if (!range)
        return false;
    mapping = range->mapping;
    index = (uint64_t)(range - mapping->ranges) << mapping->huge_order;
    index -= index ? mapping->first & (((uint64_t)1 << mapping->huge_order) - 1) : 0;
    e2dh_pmd_range_pages(mapping, index, &low, &high);
    if (goes_on(mapping, low))
        while (goes_on(mapping, high))
            high++;
    given_back = clear(mapping, low, high, false);
    dequeue(process, range);
    atomic_fetch_add_explicit(&process->evicted, 1, memory_order_relaxed);
    return given_back;
}

void e2dh_pages_make_room(struct ext2dax_process *process)
{
    while (!e2dh_vmas_have_room(process) && e2dh_pages_evict(process))
        ;
}

/*
 * Tries once to map [low, high) to `offset` of `descriptor` (-1 for zeroes). After failure, the
 * pages are unchanged or not present.
 */
static bool try_enter(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                      enum e2dh_page page)
{
    bool image = page == E2DH_PAGE_READ || page == E2DH_PAGE_WRITE;
    int flags = image            ? mapping->process->shared_flags
                : descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
                                 : MAP_SHARED;
    enum e2dh_map_result mapped = mapping->process->backend->map(mapping, low, high, flags, descriptor, offset, page);

    if (mapped == E2DH_MAPPED_SPOILT)
        (void)clear(mapping, low, high, false);
    if (mapped != E2DH_MAPPED)
        return false;
    e2dh_record_entered(mapping, low, high, page);
    atomic_fetch_add_explicit(&mapping->process->mapped, 1, memory_order_relaxed);
    return true;
}

/*
 * Makes room first. If the kernel refuses all the same, releases the reserve and evicts as many PMD
 * ranges as necessary, up to all. The reserve is refilled with the VMAs left after mapping the
 * page. In this way all pages of an instruction are mapped from the reserve, one after the other,
 * before any of them is evicted for the next. Afterwards evicts other PMD ranges until the reserve
 * is large enough for the next eviction.
 */
bool e2dh_pages_enter(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                      enum e2dh_page page)
{
    struct ext2dax_process *process = mapping->process;
    size_t wanted = 0, done;
    bool entered;

    e2dh_pages_make_room(process);
    entered = try_enter(mapping, low, high, descriptor, offset, page);
    if (!entered) {
        wanted = e2dh_spare_is_enough(process, 2) ? 0 : 1;
        e2dh_spare_release(process);
    }
    while (!entered) {
        for (done = 0; done < wanted && e2dh_pages_evict(process);)
            done++;
        entered = try_enter(mapping, low, high, descriptor, offset, page);
        if (wanted > 0 && done == 0)
            break;
        wanted = wanted ? 2 * wanted : 1; /* doubled, because the failure may have another reason */
    }
    e2dh_spare_refill(process);
    while (!e2dh_spare_is_enough(process, 0) && process->oldest != e2dh_pmd_range_at(mapping, low) &&
           e2dh_pages_evict(process))
        e2dh_spare_refill(process);
    return entered;
}
