/* SPDX-License-Identifier: MIT */
/* Pages of a mapping: addresses, recorded states, and changes of the VMAs. */
#ifndef E2DH_HOSTED_PROCESS_PAGE_H
#define E2DH_HOSTED_PROCESS_PAGE_H

#include "process_state.h"

static inline enum e2dh_page e2dh_page_of(const struct e2dh_mapping *mapping, uint64_t index)
{
    return (enum e2dh_page)(mapping->pages[index] & E2DH_PAGE_MASK);
}

static inline struct e2dh_pmd_range *e2dh_pmd_range_at(const struct e2dh_mapping *mapping, uint64_t index)
{
    return &mapping
                ->ranges[((mapping->first + index) >> mapping->huge_order) - (mapping->first >> mapping->huge_order)];
}

/* Returns the pages of the PMD range around `index`, clipped to the mapping, as [*low, *high). */
static inline void e2dh_pmd_range_pages(const struct e2dh_mapping *mapping, uint64_t index, uint64_t *low,
                                        uint64_t *high)
{
    uint64_t pages = (uint64_t)1 << mapping->huge_order;
    uint64_t start = (mapping->first + index) & ~(pages - 1);

    *low = start > mapping->first ? start - mapping->first : 0;
    *high = start + pages - mapping->first;
    if (*high > mapping->count)
        *high = mapping->count;
}

/* Returns the end of the PMD range around `index`, at most `high`. */
static inline uint64_t e2dh_pmd_range_end(const struct e2dh_mapping *mapping, uint64_t index, uint64_t high)
{
    uint64_t low, end;

    e2dh_pmd_range_pages(mapping, index, &low, &end);
    return end < high ? end : high;
}

static inline bool e2dh_is_whole_pmd_range(const struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    uint64_t pages = (uint64_t)1 << mapping->huge_order;

    return high - low == pages && ((mapping->first + low) & (pages - 1)) == 0;
}

static inline char *e2dh_address_of(const struct e2dh_mapping *mapping, uint64_t index)
{
    return mapping->address + (index << mapping->page_shift);
}

static inline size_t e2dh_bytes_of(const struct e2dh_mapping *mapping, uint64_t pages)
{
    return (size_t)(pages << mapping->page_shift);
}

/* Tests whether the record of the mapping is a VMA. Smaller records lie on the heap. */
static inline bool e2dh_record_is_mapped(const struct e2dh_mapping *mapping)
{
    return mapping->record > (size_t)64 << 10;
}

/*
 * The caller of all functions below holds the table lock. Pages count from the start of the
 * mapping.
 */

/* Records whether a VMA may begin at the page. */
void e2dh_record_start(struct e2dh_mapping *mapping, uint64_t index, bool start);
/* Records a new state of a page of `range`. */
void e2dh_record_page(struct e2dh_mapping *mapping, struct e2dh_pmd_range *range, uint64_t index, enum e2dh_page page);
/* Records whether a page of `range` is bare. */
void e2dh_record_bare(struct e2dh_mapping *mapping, struct e2dh_pmd_range *range, uint64_t index, bool bare);
static inline bool e2dh_is_bare(const struct e2dh_mapping *mapping, uint64_t index)
{
    return (mapping->pages[index] & E2DH_PAGE_BARE) != 0;
}
/* Records [low, high) as a single VMA with pages in state `page`. */
void e2dh_record_entered(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, enum e2dh_page page);
/* Takes the record of a removed mapping out of the count. */
void e2dh_record_removed(struct e2dh_mapping *mapping);

/*
 * Revokes [low, high), with `copies_too` including private copies. Cannot fail. Where the kernel
 * has no VMA left to split, revokes all pages of the mapping, which costs extra faults.
 */
void e2dh_pages_clear(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool copies_too);
/*
 * Revokes every page of the mapping. Where the kernel has no VMA left, pages without permission
 * remain, counted in mapping->starts.
 */
void e2dh_pages_clear_all(struct e2dh_mapping *mapping);
/*
 * Makes every access of a page that is not present fail, with either fault method. Cannot fail, but
 * may revoke other pages like e2dh_pages_clear().
 */
void e2dh_pages_refuse(struct e2dh_mapping *mapping, uint64_t index);
/*
 * Evicts the PMD range at the head of the queue. Returns false if the queue is empty, or if no VMA
 * could be given back to the kernel.
 */
bool e2dh_pages_evict(struct ext2dax_process *process);
/* Evicts until another VMA is permitted, or eviction gives none back. */
void e2dh_pages_make_room(struct ext2dax_process *process);
/*
 * Maps [low, high) to `offset` of `descriptor` (-1 for zeroes). After false, the pages are
 * unchanged or not present.
 */
bool e2dh_pages_enter(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                      enum e2dh_page page);

#endif
