/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Maps pages before the first access, for callers unable to wait
 * for a fault.
 */
#include "process_state.h"

#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/mount.h"

/* Pages [low, high) of the mapping beginning at `mapping`. */
struct range {
    uintptr_t mapping;
    uint64_t low, high;
    unsigned page_shift;
};

/*
 * Finds the mapping and the pages of a byte range. Returns 0 or a negative errno
 *   EINVAL  the bytes are not all in a single mapping, or the caller is a child process
 *   EPERM   `write`, and the mapping does not permit stores
 */
static int range_of(struct ext2dax_process *process, uintptr_t address, size_t length, bool write, struct range *range)
{
    const struct e2dh_mapping *mapping;
    int error = -EXT2DAX_EINVAL;

    /* A child inherits the record, but not the mappings. */
    if (process->owner != getpid())
        return error;
    e2dh_space_share(process);
    mapping = e2dh_process_find(process, address);
    if (mapping) {
        size_t into = address - (uintptr_t)mapping->address, bytes = (size_t)(mapping->count << mapping->page_shift);

        range->mapping = (uintptr_t)mapping->address;
        range->page_shift = mapping->page_shift;
        range->low = into >> mapping->page_shift;
        if (length <= bytes - into) {
            range->high = length ? ((into + length - 1) >> mapping->page_shift) + 1 : range->low;
            error = write && !(mapping->flags & EXT2DAX_MAP_WRITE) ? -EXT2DAX_EPERM : 0;
        }
    }
    e2dh_space_unshare(process);
    return error;
}

/* Returns the first page from `low` on not mapped as needed, or range->high if none. */
static uint64_t missing(struct ext2dax_process *process, const struct range *range, uint64_t low, bool write)
{
    struct e2dh_mapping *mapping;

    e2dh_space_share(process);
    mapping = e2dh_process_find(process, range->mapping);
    low = mapping ? e2dh_mapping_missing(mapping, low, range->high, write) : range->high;
    e2dh_space_unshare(process);
    return low;
}

static int access_page(struct ext2dax_process *process, uintptr_t address, bool write)
{
    enum e2dh_access access = write ? E2DH_ACCESS_WRITE : E2DH_ACCESS_READ;
    struct ext2dax_mount *frozen;
    enum e2dh_outcome outcome;
    int error = 0;

    while ((outcome = e2dh_process_map_page(process, address, access, &frozen, &error)) == E2DH_OUTCOME_FROZEN)
        ext2dax_wait_thaw(frozen);
    return outcome == E2DH_OUTCOME_DONE ? 0 : outcome == E2DH_OUTCOME_SIGBUS ? error : -EXT2DAX_EINVAL;
}

/* Maps every page of the range not mapped as needed. */
static int map_range(struct ext2dax_process *process, const struct range *range, bool write)
{
    int error = 0;

    for (uint64_t low = missing(process, range, range->low, write); low < range->high && error == 0;
         low = missing(process, range, low + 1, write))
        error = access_page(process, range->mapping + (uintptr_t)(low << range->page_shift), write);
    return error;
}

int ext2dax_process_populate(struct ext2dax_process *process, void *address, size_t length, bool write)
{
    struct range range;
    int error = range_of(process, (uintptr_t)address, length, write, &range);

    /*
     * Pages of the range mapped earlier are the first evicted to make room for the rest. A second
     * attempt maps them again, as the youngest.
     */
    for (unsigned attempt = 0; error == 0 && attempt < 2; attempt++) {
        uintptr_t evicted = atomic_load(&process->evicted);

        error = map_range(process, &range, write);
        if (error || atomic_load(&process->evicted) == evicted ||
            missing(process, &range, range.low, write) == range.high)
            return error;
    }
    return error ? error : -EXT2DAX_ENOMEM;
}
