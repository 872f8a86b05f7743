/* SPDX-License-Identifier: MIT */
/*
 * Which windows exist. They stand in an array sorted by address, so that the handler finds the one that was touched by
 * bisection. It changes only under both locks; the handler reads it under space, the three ops under table.
 */
#include "process_state.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/error.h"

/* The index of the first window whose addresses end above `address`. */
static size_t place_of(const struct ext2dax_process *process, uintptr_t address)
{
    size_t low = 0, high = process->window_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct e2d_process_window *window = process->windows[middle];

        if ((uintptr_t)window->address + window->reserved <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct e2d_process_window *e2d_process_find(const struct ext2dax_process *process, uintptr_t address)
{
    size_t place = place_of(process, address);
    struct e2d_process_window *window = place < process->window_count ? process->windows[place] : NULL;

    if (!window || address < (uintptr_t)window->address ||
        (address - (uintptr_t)window->address) >> window->page_shift >= window->count)
        return NULL;
    return window;
}

/* Room for one more pointer. The caller holds space and table exclusively. */
static bool make_room(struct ext2dax_process *process)
{
    size_t room = process->window_room ? process->window_room * 2 : 8;
    struct e2d_process_window **windows;

    if (process->window_count < process->window_room)
        return true;
    windows = realloc(process->windows, room * sizeof(struct e2d_process_window *));
    if (!windows)
        return false;
    process->windows = windows;
    process->window_room = room;
    return true;
}

/* Those it has before any page is shown. */
static size_t own_mappings(const struct e2d_process_window *window)
{
    return window->donor ? 2 : 1;
}

int e2d_process_add(struct ext2dax_process *process, struct ext2dax_inode *inode, unsigned page_shift,
                    unsigned huge_order, uint64_t first, uint64_t count, unsigned flags, void **address)
{
    struct e2d_process_window *window = calloc(1, sizeof(*window));
    size_t place;
    int error;

    if (!window)
        return -EXT2DAX_ENOMEM;
    window->process = process;
    window->inode = inode;
    window->flags = flags;
    window->page_shift = page_shift;
    window->huge_order = huge_order;
    window->first = first;
    window->count = count;
    error = e2d_window_open(window);
    if (error)
        goto free_window;

    e2d_space_lock(process);
    e2d_table_lock(process);
    if (make_room(process)) {
        place = place_of(process, (uintptr_t)window->address);
        memmove(process->windows + place + 1, process->windows + place,
                (process->window_count - place) * sizeof(struct e2d_process_window *));
        process->windows[place] = window;
        process->window_count++;
        process->mappings += own_mappings(window);
        process->own_mappings += own_mappings(window);
        if ((uintptr_t)window->address < atomic_load(&process->low))
            atomic_store(&process->low, (uintptr_t)window->address);
        if ((uintptr_t)window->address + window->reserved > atomic_load(&process->high))
            atomic_store(&process->high, (uintptr_t)window->address + window->reserved);
        e2d_window_resize(window, 0, true);
        *address = window->address;
    } else {
        error = -EXT2DAX_ENOMEM;
        e2d_window_close(window);
    }
    e2d_table_unlock(process);
    e2d_space_unlock(process);
    if (!error)
        return 0;

free_window:
    free(window);
    return error;
}

int e2d_process_remove(struct ext2dax_process *process, void *address, struct ext2dax_inode **inode)
{
    struct e2d_process_window *window;
    size_t place;

    e2d_space_lock(process);
    e2d_table_lock(process);
    place = place_of(process, (uintptr_t)address);
    window = place < process->window_count ? process->windows[place] : NULL;
    if (window && window->address == (char *)address) {
        process->window_count--;
        process->mappings -= own_mappings(window);
        process->own_mappings -= own_mappings(window);
        memmove(process->windows + place, process->windows + place + 1,
                (process->window_count - place) * sizeof(struct e2d_process_window *));
        e2d_window_close(window);
    } else {
        window = NULL;
    }
    e2d_table_unlock(process);
    e2d_space_unlock(process);
    if (!window)
        return -EXT2DAX_EINVAL;
    *inode = window->inode;
    free(window);
    return 0;
}
