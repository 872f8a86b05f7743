/* SPDX-License-Identifier: MIT */
/* The address space of a process: pages made present before anybody touches them, for those who cannot wait for a fault. */
#include "process_state.h"

#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/mount.h"

/* Pages [low, high) of the window that begins there. */
struct range {
    uintptr_t window;
    uint64_t low, high;
    unsigned page_shift;
};

/* Where the bytes lie; EINVAL, EPERM. */
static int range_of(struct ext2dax_process *process, uintptr_t address, size_t length, bool write, struct range *range)
{
    const struct e2d_process_window *window;
    int error = -EXT2DAX_EINVAL;

    /* A child has inherited the record, and no window. */
    if (process->owner != getpid())
        return error;
    e2d_space_share(process);
    window = e2d_process_find(process, address);
    if (window) {
        size_t into = address - (uintptr_t)window->address, bytes = (size_t)(window->count << window->page_shift);

        range->window = (uintptr_t)window->address;
        range->page_shift = window->page_shift;
        range->low = into >> window->page_shift;
        if (length <= bytes - into) {
            range->high = length ? ((into + length - 1) >> window->page_shift) + 1 : range->low;
            error = write && !(window->flags & EXT2DAX_MAP_WRITE) ? -EXT2DAX_EPERM : 0;
        }
    }
    e2d_space_unshare(process);
    return error;
}

/* The first page from `low` on that is not shown as wanted; range->high: none. */
static uint64_t missing(struct ext2dax_process *process, const struct range *range, uint64_t low, bool write)
{
    struct e2d_process_window *window;

    e2d_space_share(process);
    window = e2d_process_find(process, range->window);
    low = window ? e2d_window_missing(window, low, range->high, write) : range->high;
    e2d_space_unshare(process);
    return low;
}

static int show(struct ext2dax_process *process, uintptr_t address, bool write)
{
    enum e2d_access access = write ? E2D_ACCESS_WRITE : E2D_ACCESS_READ;
    struct ext2dax_mount *frozen;
    enum e2d_outcome outcome;
    int error = 0;

    while ((outcome = e2d_process_show(process, address, access, &frozen, &error)) == E2D_OUTCOME_FROZEN)
        ext2dax_wait_thaw(frozen);
    return outcome == E2D_OUTCOME_DONE ? 0 : outcome == E2D_OUTCOME_SIGBUS ? error : -EXT2DAX_EINVAL;
}

/* Shows every page that is not. */
static int show_range(struct ext2dax_process *process, const struct range *range, bool write)
{
    int error = 0;

    for (uint64_t low = missing(process, range, range->low, write); low < range->high && error == 0;
         low = missing(process, range, low + 1, write))
        error = show(process, range->window + (uintptr_t)(low << range->page_shift), write);
    return error;
}

int ext2dax_process_populate(struct ext2dax_process *process, void *address, size_t length, bool write)
{
    struct range range;
    int error = range_of(process, (uintptr_t)address, length, write, &range);

    /* What was shown before is the first that makes way for the rest: then once more, when it is the youngest. */
    for (unsigned attempt = 0; error == 0 && attempt < 2; attempt++) {
        uintptr_t evicted = atomic_load(&process->evicted);

        error = show_range(process, &range, write);
        if (error || atomic_load(&process->evicted) == evicted ||
            missing(process, &range, range.low, write) == range.high)
            return error;
    }
    return error ? error : -EXT2DAX_ENOMEM;
}
