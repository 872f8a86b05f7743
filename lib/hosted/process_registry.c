/* SPDX-License-Identifier: MIT */
/*
 * The set of mappings. An array sorted by address lets the fault handler find a mapping by
 * bisection. The array changes only under both locks. The fault handler reads the array under
 * space, the ops of the plug under table.
 */
#include "process_vmas.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/error.h"

#include "process_page.h"
#include "process_backend.h"

/* Returns the index of the first mapping ending above `address`. */
static size_t place_of(const struct ext2dax_process *process, uintptr_t address)
{
    size_t low = 0, high = process->mapping_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct e2dh_mapping *mapping = process->mappings[middle];

        if ((uintptr_t)mapping->address + mapping->reserved <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct e2dh_mapping *e2dh_process_find(const struct ext2dax_process *process, uintptr_t address)
{
    size_t place = place_of(process, address);
    struct e2dh_mapping *mapping = place < process->mapping_count ? process->mappings[place] : NULL;

    if (!mapping || address < (uintptr_t)mapping->address ||
        (address - (uintptr_t)mapping->address) >> mapping->page_shift >= mapping->count)
        return NULL;
    return mapping;
}

struct e2dh_mapping *e2dh_process_find_from(const struct ext2dax_process *process, uintptr_t address)
{
    size_t place = place_of(process, address);

    /* The address may lie after the pages of a mapping, in its guard page or spare mapping. */
    if (place < process->mapping_count && address >= (uintptr_t)process->mappings[place]->address &&
        !e2dh_process_find(process, address))
        place++;
    return place < process->mapping_count ? process->mappings[place] : NULL;
}

/* Makes room for another pointer. The caller holds space and table exclusively. */
static bool make_room(struct ext2dax_process *process)
{
    size_t room = process->mapping_room ? process->mapping_room * 2 : 8;
    struct e2dh_mapping **mappings;

    if (process->mapping_count < process->mapping_room)
        return true;
    mappings = realloc(process->mappings, room * sizeof(struct e2dh_mapping *));
    if (!mappings)
        return false;
    process->mappings = mappings;
    process->mapping_room = room;
    return true;
}

/*
 * Places the mapping in an existing or a new chunk. Returns 0 or -ENOMEM. The caller holds space
 * and table.
 */
static int place(struct e2dh_mapping *mapping)
{
    struct ext2dax_process *process = mapping->process;
    size_t align = (size_t)1 << (mapping->huge_order + mapping->page_shift);
    uint64_t offset = mapping->first << mapping->page_shift;
    struct e2dh_chunk *chunk;
    char *at = e2dh_addresses_find(process, mapping->reserved, offset, align, &chunk);

    if (!at) {
        if (!e2dh_vmas_claim(process, 1))
            return -EXT2DAX_ENOMEM;
        if (!e2dh_addresses_grow(process, mapping->reserved, align)) {
            e2dh_vmas_disclaim(process, 1);
            return -EXT2DAX_ENOMEM;
        }
        at = e2dh_addresses_find(process, mapping->reserved, offset, align, &chunk);
    }
    e2dh_mapping_place(mapping, at, chunk);
    return 0;
}

/*
 * Fills the reserve with the VMAs needed to map pages at the kernel's limit, evicting PMD ranges if
 * necessary. Returns false if the kernel does not grant enough VMAs. The mapping is refused then,
 * since pages of the mapping could not be mapped later.
 */
static bool is_backed(struct ext2dax_process *process)
{
    do {
        e2dh_spare_refill(process);
        if (process->spare_held >= process->spare_wanted)
            return true;
    } while (e2dh_pages_evict(process));
    return false;
}

/*
 * Inserts an open mapping into the array. Returns 0 or -ENOMEM. The caller holds space and table.
 */
static int insert(struct e2dh_mapping *mapping)
{
    struct ext2dax_process *process = mapping->process;
    size_t at;

    if (!make_room(process) || (process->backend->joins && place(mapping) != 0) || !is_backed(process))
        return -EXT2DAX_ENOMEM;
    at = place_of(process, (uintptr_t)mapping->address);
    memmove(process->mappings + at + 1, process->mappings + at,
            (process->mapping_count - at) * sizeof(struct e2dh_mapping *));
    process->mappings[at] = mapping;
    process->mapping_count++;
    if ((uintptr_t)mapping->address < atomic_load(&process->low))
        atomic_store(&process->low, (uintptr_t)mapping->address);
    if ((uintptr_t)mapping->address + mapping->reserved > atomic_load(&process->high))
        atomic_store(&process->high, (uintptr_t)mapping->address + mapping->reserved);
    return 0;
}

/* Closes the reserve together with the last mapping. */
static void close_spare(struct ext2dax_process *process)
{
    if (process->spare && process->vmas == 1 + process->spare_held)
        e2dh_spare_close(process);
}

int e2dh_process_add(struct ext2dax_process *process, struct ext2dax_inode *inode, unsigned page_shift,
                     unsigned huge_order, uint64_t first, uint64_t count, unsigned flags, void **address)
{
    struct e2dh_mapping *mapping = calloc(1, sizeof(*mapping));
    bool counted;
    int error;

    if (!mapping)
        return -EXT2DAX_ENOMEM;
    mapping->process = process;
    mapping->inode = inode;
    mapping->flags = flags;
    mapping->page_shift = page_shift;
    mapping->huge_order = huge_order;
    mapping->first = first;
    mapping->count = count;
    error = e2dh_mapping_measure(mapping);
    if (error)
        goto free_mapping;

    /* VMAs are counted before the kernel creates them. */
    e2dh_table_lock(process);
    counted = e2dh_spare_open(process) && e2dh_vmas_claim(process, mapping->own);
    if (!counted)
        close_spare(process);
    e2dh_table_unlock(process);
    error = counted ? e2dh_mapping_open(mapping) : -EXT2DAX_ENOMEM;

    e2dh_space_lock(process);
    e2dh_table_lock(process);
    if (error == 0) {
        error = insert(mapping);
        if (error)
            e2dh_mapping_close(mapping);
    } else if (counted) {
        e2dh_vmas_disclaim(process, mapping->own);
    }
    if (error == 0) {
        e2dh_mapping_resize(mapping, 0, true);
        *address = mapping->address;
    }
    close_spare(process);
    e2dh_table_unlock(process);
    e2dh_space_unlock(process);
    if (!error)
        return 0;

free_mapping:
    free(mapping);
    return error;
}
int e2dh_process_remove(struct ext2dax_process *process, void *address, struct ext2dax_inode **inode)
{
    struct e2dh_mapping *mapping;
    size_t place;

    e2dh_space_lock(process);
    e2dh_table_lock(process);
    place = place_of(process, (uintptr_t)address);
    mapping = place < process->mapping_count ? process->mappings[place] : NULL;
    if (mapping && mapping->address == (char *)address) {
        process->mapping_count--;
        memmove(process->mappings + place, process->mappings + place + 1,
                (process->mapping_count - place) * sizeof(struct e2dh_mapping *));
        e2dh_mapping_close(mapping);
        close_spare(process);
        e2dh_vmas_assert(process);
    } else {
        mapping = NULL;
    }
    e2dh_table_unlock(process);
    e2dh_space_unlock(process);
    if (!mapping)
        return -EXT2DAX_EINVAL;
    *inode = mapping->inode;
    free(mapping);
    return 0;
}
