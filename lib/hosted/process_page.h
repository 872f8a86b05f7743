/* SPDX-License-Identifier: MIT */
/* The pages of a window: where they lie, what is recorded of them, and how the kernel's mappings of them change. */
#ifndef E2D_HOSTED_PROCESS_PAGE_H
#define E2D_HOSTED_PROCESS_PAGE_H

#include "process_state.h"

static inline enum e2d_page e2d_page_of(const struct e2d_process_window *window, uint64_t index)
{
    return (enum e2d_page)(window->pages[index] & E2D_PAGE_MASK);
}

static inline struct e2d_slab *e2d_slab_of(const struct e2d_process_window *window, uint64_t index)
{
    return &window->slabs[((window->first + index) >> window->huge_order) - (window->first >> window->huge_order)];
}

/* The pages of the slab around `index`, clipped to the window: [*low, *high). */
static inline void e2d_slab_range(const struct e2d_process_window *window, uint64_t index, uint64_t *low,
                                  uint64_t *high)
{
    uint64_t pages = (uint64_t)1 << window->huge_order;
    uint64_t start = (window->first + index) & ~(pages - 1);

    *low = start > window->first ? start - window->first : 0;
    *high = start + pages - window->first;
    if (*high > window->count)
        *high = window->count;
}

/* The end of the slab around `index`, but at most `high`. */
static inline uint64_t e2d_slab_end(const struct e2d_process_window *window, uint64_t index, uint64_t high)
{
    uint64_t low, end;

    e2d_slab_range(window, index, &low, &end);
    return end < high ? end : high;
}

static inline bool e2d_is_whole_slab(const struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    uint64_t pages = (uint64_t)1 << window->huge_order;

    return high - low == pages && ((window->first + low) & (pages - 1)) == 0;
}

static inline char *e2d_address_of(const struct e2d_process_window *window, uint64_t index)
{
    return window->address + (index << window->page_shift);
}

static inline size_t e2d_bytes_of(const struct e2d_process_window *window, uint64_t pages)
{
    return (size_t)(pages << window->page_shift);
}

/* All of these want the table lock. Pages are counted from the window's start. */

/* Does a kernel mapping begin at the page, as far as we know? */
void e2d_record_start(struct e2d_process_window *window, uint64_t index, bool start);
/* The page, one of `slab`, shows something else now. */
void e2d_record_page(struct e2d_process_window *window, struct e2d_slab *slab, uint64_t index, enum e2d_page page);
/* The pages [low, high) have become one kernel mapping that shows `page`. */
void e2d_record_entered(struct e2d_process_window *window, uint64_t low, uint64_t high, enum e2d_page page);

/*
 * Arms [low, high): cannot fail. Where the kernel has no mapping left to split, all of the window is armed: more than was
 * asked for, which costs faults.
 */
void e2d_pages_arm(struct e2d_process_window *window, uint64_t low, uint64_t high, bool copies_too);
/* Gives up the slab entered first. False: there is none. */
bool e2d_pages_evict(struct ext2dax_process *process);
/* May a window have one more mapping inside? */
bool e2d_pages_have_room(const struct ext2dax_process *process);
/* Shows [low, high) of `descriptor` (-1: zeroes) at `offset`. False: they are as before, or armed. */
bool e2d_pages_enter(struct e2d_process_window *window, uint64_t low, uint64_t high, int descriptor, uint64_t offset,
                     enum e2d_page page);

#endif
