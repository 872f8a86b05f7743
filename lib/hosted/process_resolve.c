/* SPDX-License-Identifier: MIT */
/* The address space of a process: a touch of a page, however this process learned of it, becomes a fault of the core. */
#include "process_state.h"

#include <string.h>

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
                                     enum e2d_page shown, bool try_huge)
{
    struct ext2dax_fault fault;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_FALLBACK;

    /* Nobody to ask: the window was made by e2d_process_add(). */
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
    return result;
}

/* One try; RETRY where the filesystem is frozen. The caller holds space shared. */
static enum ext2dax_fault_result resolve(struct e2d_process_window *window, uintptr_t address, enum e2d_access access,
                                         bool *foreign)
{
    uint64_t page = window->first + ((address - (uintptr_t)window->address) >> window->page_shift);
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
    if (shown == E2D_PAGE_ASIDE)
        return e2d_window_restore(window, page);
    /* Another thread was faster. */
    if (shown == E2D_PAGE_COPY || shown == E2D_PAGE_WRITE || (!write && shown != E2D_PAGE_NONE))
        return EXT2DAX_FAULT_NOPAGE;
    return ask(window, page, address, write, shown, try_huge);
}

enum e2d_outcome e2d_process_resolve(struct ext2dax_process *process, uintptr_t address, enum e2d_access access,
                                     struct ext2dax_mount **frozen)
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    struct e2d_process_window *window;
    bool foreign = false;

    e2d_space_share(process);
    window = e2d_process_find(process, address);
    if (window) {
        *frozen = window->inode->mount;
        result = resolve(window, address, access, &foreign);
    }
    e2d_space_unshare(process);
    if (!window || foreign)
        return E2D_OUTCOME_FOREIGN;
    if (result == EXT2DAX_FAULT_RETRY)
        return E2D_OUTCOME_FROZEN;
    atomic_fetch_add_explicit(&process->traps, 1, memory_order_relaxed);
    if (result == EXT2DAX_FAULT_NOPAGE)
        return E2D_OUTCOME_DONE;
    atomic_fetch_add_explicit(&process->sigbus, 1, memory_order_relaxed);
    return E2D_OUTCOME_SIGBUS;
}
