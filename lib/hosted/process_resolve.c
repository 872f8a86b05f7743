/* SPDX-License-Identifier: MIT */
/* The address space of a process: a touch of a page, however this process learned of it, becomes a fault of the core. */
#include "process_state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ext2dax/error.h"

#include "memory_reserve.h"

#if !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif

/*
 * Where the processor does not say: a touch of a page that is readable already was a store, or another thread made
 * it readable a moment ago. Only a store traps again.
 */
static bool traps_again(uintptr_t address)
{
    static _Thread_local uintptr_t last __attribute__((tls_model("initial-exec")));
    bool again = last == address;

    last = again ? 0 : address;
    return again;
}

/* Asks the core. The caller holds space shared. */
static enum ext2dax_fault_result ask(struct e2d_process_window *window, uint64_t page, uintptr_t address, bool write,
                                     enum e2d_page shown, bool try_huge, int *error)
{
    struct ext2dax_fault fault;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_FALLBACK;

    /* Nobody to ask: the window was made by e2d_process_add(). */
    *error = -EXT2DAX_EIO;
    if (!window->inode->mount)
        return EXT2DAX_FAULT_SIGBUS;
    memset(&fault, 0, sizeof(fault));
    fault.inode = window->inode;
    fault.page = page;
    fault.mapping_first = window->first;
    fault.mapping_count = window->count;
    fault.address = address;
    fault.write = write;
    fault.shared = !(window->flags & EXT2DAX_MAP_PRIVATE);
    fault.cookie = window;

    if (try_huge && (fault.shared || !write))
        result = ext2dax_pmd_fault(&fault);
    if (result == EXT2DAX_FAULT_FALLBACK) {
        if (fault.shared && write && shown == E2D_PAGE_READ)
            result = ext2dax_pfn_mkwrite(&fault);
        else if (fault.shared && write && shown == E2D_PAGE_ZERO)
            result = ext2dax_mkwrite(&fault);
        else
            result = ext2dax_fault(&fault);
    }
    if (fault.error)
        *error = fault.error;
    return result;
}

static uint64_t page_of(const struct e2d_process_window *window, uintptr_t address)
{
    return window->first + ((address - (uintptr_t)window->address) >> window->page_shift);
}

/* One try; RETRY where the filesystem is frozen. The caller holds space shared. */
static enum ext2dax_fault_result resolve(struct e2d_process_window *window, uintptr_t address, enum e2d_access access,
                                         bool *foreign, int *error)
{
    uint64_t page = page_of(window, address);
    bool write = access == E2D_ACCESS_WRITE, try_huge;
    enum e2d_page shown = e2d_window_look(window, page, &try_huge);

    *foreign = false;
    if (access == E2D_ACCESS_UNKNOWN && (shown == E2D_PAGE_ZERO || shown == E2D_PAGE_READ)) {
        if (!traps_again(address))
            return EXT2DAX_FAULT_NOPAGE;
        write = true;
    }
    if (write && !(window->flags & EXT2DAX_MAP_WRITE)) {
        *foreign = true;
        return EXT2DAX_FAULT_NOPAGE;
    }
    if (shown == E2D_PAGE_ASIDE) {
        *error = -EXT2DAX_ENOMEM;
        return e2d_window_restore(window, page);
    }
    /* Another thread was faster. */
    if (shown == E2D_PAGE_COPY || shown == E2D_PAGE_WRITE || (!write && shown != E2D_PAGE_NONE))
        return EXT2DAX_FAULT_NOPAGE;
    return ask(window, page, address, write, shown, try_huge, error);
}

/*
 * Has the kernel make one huge page of what a slab shows. Through the image's own mapping, which nobody revokes: a window's
 * page may be armed again by now, and must not be filled. No lock is needed: bytes stay what they are, whoever owns them.
 */
static void collapse(struct ext2dax_process *process, uint64_t image, size_t bytes)
{
    char *at = (char *)process->memory.base + image;
    uint64_t number = image / E2D_HUGE, width = 8 * sizeof(uintptr_t);
    uintptr_t bit = (uintptr_t)1 << number % width;

    /* Once: the kernel stops all processors for a moment before it finds that there is nothing to do. */
    if (atomic_fetch_or(&process->gathered[number / width], bit) & bit)
        return;
    /* A page that is in use for a moment is asked for once more. */
    if (madvise(at, bytes, MADV_COLLAPSE) == 0 || (errno == EAGAIN && madvise(at, bytes, MADV_COLLAPSE) == 0))
        atomic_fetch_add_explicit(&process->collapsed, 1, memory_order_relaxed);
    else
        atomic_fetch_and(&process->gathered[number / width], ~bit);
}

enum e2d_outcome e2d_process_show(struct ext2dax_process *process, uintptr_t address, enum e2d_access access,
                                  struct ext2dax_mount **frozen, int *error)
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    struct e2d_process_window *window;
    bool foreign = false, loose = false;
    uint64_t image = 0;
    size_t bytes = 0;

    e2d_space_share(process);
    window = e2d_process_find(process, address);
    if (window) {
        *frozen = window->inode->mount;
        result = resolve(window, address, access, &foreign, error);
        bytes = (size_t)1 << (window->huge_order + window->page_shift);
        loose = process->gathered && result == EXT2DAX_FAULT_NOPAGE &&
                e2d_window_is_loose(window, page_of(window, address), &image);
    }
    e2d_space_unshare(process);
    if (loose)
        collapse(process, image, bytes);
    if (!window || foreign)
        return E2D_OUTCOME_FOREIGN;
    if (result == EXT2DAX_FAULT_RETRY)
        return E2D_OUTCOME_FROZEN;
    return result == EXT2DAX_FAULT_NOPAGE ? E2D_OUTCOME_DONE : E2D_OUTCOME_SIGBUS;
}

enum e2d_outcome e2d_process_resolve(struct ext2dax_process *process, uintptr_t address, enum e2d_access access,
                                     struct ext2dax_mount **frozen)
{
    int error = 0;
    enum e2d_outcome outcome = e2d_process_show(process, address, access, frozen, &error);

    if (outcome == E2D_OUTCOME_DONE || outcome == E2D_OUTCOME_SIGBUS)
        atomic_fetch_add_explicit(&process->traps, 1, memory_order_relaxed);
    if (outcome == E2D_OUTCOME_SIGBUS)
        atomic_fetch_add_explicit(&process->sigbus, 1, memory_order_relaxed);
    return outcome;
}
