/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Turns an access of a page, reported by either fault method, into
 * a fault of the core.
 */
#include "process_state.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ext2dax/error.h"

#include "memory_reserve.h"
#include "process_page.h"

#define MOST_TURNS   64u
#define MOST_REPAIRS 4u
/* EAGAIN of MADV_COLLAPSE means a page was in use for a moment. */
#define MOST_COLLAPSES 4u

#if !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif

/*
 * Used where the processor does not report the kind of access. A fault on a readable page was
 * caused by a store, or another thread has made the page readable a moment ago. Only a store faults
 * again at the same address.
 */
static bool traps_again(uintptr_t address)
{
    static _Thread_local uintptr_t last __attribute__((tls_model("initial-exec")));
    bool again = last == address;

    last = again ? 0 : address;
    return again;
}

/*
 * Fault on a page already mapped as needed. Usually another thread has resolved the same fault
 * first. But the program may have changed the page itself (mprotect(), a protection key, a tag),
 * and the access would fault forever. So after MOST_TURNS faults of a thread in a row on the same
 * page, the page is revoked and mapped again. The MOST_REPAIRS-th time, the signal is passed to the
 * program instead.
 */
enum again { AGAIN_FASTER, AGAIN_STALE, AGAIN_FOREIGN };

static _Thread_local struct {
    uintptr_t page;
    unsigned turns;   /* faults since a page was last mapped */
    unsigned repairs; /* repairs in a row, each after MOST_TURNS faults */
} again __attribute__((tls_model("initial-exec")));

static enum again comes_again(uintptr_t page)
{
    if (again.page != page) {
        again.page = page;
        again.turns = again.repairs = 0;
    }
    if (++again.turns < MOST_TURNS)
        return AGAIN_FASTER;
    again.turns = 0;
    if (++again.repairs < MOST_REPAIRS)
        return AGAIN_STALE;
    again.repairs = 0;
    return AGAIN_FOREIGN;
}

/*
 * Resets the counters, because the page is about to be mapped. Directly after a repair, the row of
 * repairs continues.
 */
static void comes_for_the_first_time(uintptr_t page)
{
    if (again.page != page || again.turns > 0)
        again.repairs = 0;
    again.page = page;
    again.turns = 0;
}

/* Calls the core. The caller holds space shared. */
static enum ext2dax_fault_result fault_page(struct e2dh_mapping *mapping, uint64_t page, uintptr_t address, bool write,
                                            enum e2dh_page shown, bool try_huge, int *error)
{
    struct ext2dax_fault fault;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_FALLBACK;

    /*
     * A mapping made by calling e2dh_process_add() for an inode without a mount has no core to
     * call.
     */
    *error = -EXT2DAX_EIO;
    if (!mapping->inode->mount)
        return EXT2DAX_FAULT_SIGBUS;
    memset(&fault, 0, sizeof(fault));
    fault.inode = mapping->inode;
    fault.page = page;
    fault.mapping_first = mapping->first;
    fault.mapping_count = mapping->count;
    fault.address = address;
    fault.write = write;
    fault.shared = !(mapping->flags & EXT2DAX_MAP_PRIVATE);
    fault.cookie = mapping;
    fault.pages_wanted = mapping->process->pages_wanted;

    if (try_huge && (fault.shared || !write))
        result = ext2dax_pmd_fault(&fault);
    if (result == EXT2DAX_FAULT_FALLBACK) {
        if (fault.shared && write && shown == E2DH_PAGE_READ)
            result = ext2dax_pfn_mkwrite(&fault);
        else if (fault.shared && write && shown == E2DH_PAGE_ZERO)
            result = ext2dax_mkwrite(&fault);
        else
            result = ext2dax_fault(&fault);
    }
    if (fault.error)
        *error = fault.error;
    return result;
}

static uint64_t page_of(const struct e2dh_mapping *mapping, uintptr_t address)
{
    return mapping->first + ((address - (uintptr_t)mapping->address) >> mapping->page_shift);
}

/*
 * Tries once to resolve a fault. Returns RETRY while the filesystem is frozen. Sets *foreign if the
 * fault is the program's own. The caller holds space shared.
 */
static enum ext2dax_fault_result resolve(struct e2dh_mapping *mapping, uintptr_t address, enum e2dh_access access,
                                         bool *foreign, int *error)
{
    uint64_t page = page_of(mapping, address);
    uintptr_t whose = (uintptr_t)e2dh_address_of(mapping, page - mapping->first);
    bool write = access == E2DH_ACCESS_WRITE, try_huge;
    enum e2dh_page shown = e2dh_mapping_look(mapping, page, &try_huge);

    /* No code runs in a page that may not be executed, so an apparent fetch really is a fetch. */
    *foreign = (access == E2DH_ACCESS_FETCH || access == E2DH_ACCESS_ANY) && !(mapping->flags & EXT2DAX_MAP_EXEC);
    if (*foreign)
        return EXT2DAX_FAULT_NOPAGE;
    if ((access == E2DH_ACCESS_UNKNOWN || access == E2DH_ACCESS_ANY) &&
        (shown == E2DH_PAGE_ZERO || shown == E2DH_PAGE_READ)) {
        if (!traps_again(address))
            return EXT2DAX_FAULT_NOPAGE;
        write = true;
    }
    if (write && !(mapping->flags & EXT2DAX_MAP_WRITE)) {
        *foreign = true;
        return EXT2DAX_FAULT_NOPAGE;
    }
    if (shown == E2DH_PAGE_ASIDE) {
        comes_for_the_first_time(whose);
        *error = -EXT2DAX_ENOMEM;
        return e2dh_mapping_restore(mapping, page);
    }
    if (shown == E2DH_PAGE_COPY || shown == E2DH_PAGE_WRITE || (!write && shown != E2DH_PAGE_NONE)) {
        enum again verdict = comes_again(whose);

        if (verdict == AGAIN_STALE)
            e2dh_mapping_forget(mapping, page);
        *foreign = verdict == AGAIN_FOREIGN;
        return EXT2DAX_FAULT_NOPAGE;
    }
    comes_for_the_first_time(whose);
    return fault_page(mapping, page, address, write, shown, try_huge, error);
}

/*
 * Makes the kernel collapse the memory of a PMD range into a huge page. Uses the image's own
 * mapping, which is never revoked. In the process's mapping, a page may be revoked again by now,
 * and must not be populated. No lock is needed, since collapsing changes no bytes, no matter which
 * file owns the blocks.
 */
static void collapse(struct ext2dax_process *process, uint64_t image, size_t bytes)
{
    char *at = (char *)process->memory.base + (image - process->offset);
    uint64_t number = image / E2DH_HUGE, width = 8 * sizeof(uintptr_t);
    uintptr_t bit = (uintptr_t)1 << number % width;
    unsigned tries = 0;
    bool failed;

    /* Once only. The kernel stops all processors for a moment before it finds nothing to do. */
    if (atomic_fetch_or(&process->collapse_done[number / width], bit) & bit)
        return;
    do {
        failed = madvise(at, bytes, MADV_COLLAPSE) != 0;
    } while (failed && errno == EAGAIN && ++tries < MOST_COLLAPSES);
    if (!failed)
        atomic_fetch_add_explicit(&process->collapsed, 1, memory_order_relaxed);
    else
        atomic_fetch_and(&process->collapse_done[number / width], ~bit);
}

enum e2dh_outcome e2dh_process_map_page(struct ext2dax_process *process, uintptr_t address, enum e2dh_access access,
                                        struct ext2dax_mount **frozen, int *error)
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    struct e2dh_mapping *mapping;
    bool foreign = false, uncollapsed = false;
    uint64_t image = 0;
    size_t bytes = 0;

    e2dh_space_share(process);
    mapping = e2dh_process_find(process, address);
    if (mapping) {
        *frozen = mapping->inode->mount;
        result = resolve(mapping, address, access, &foreign, error);
        bytes = (size_t)1 << (mapping->huge_order + mapping->page_shift);
        uncollapsed = process->collapse_done && result == EXT2DAX_FAULT_NOPAGE &&
                      e2dh_mapping_is_uncollapsed(mapping, page_of(mapping, address), &image);
    }
    e2dh_space_unshare(process);
    if (uncollapsed)
        collapse(process, image, bytes);
    if (!mapping || foreign)
        return E2DH_OUTCOME_FOREIGN;
    if (result == EXT2DAX_FAULT_RETRY)
        return E2DH_OUTCOME_FROZEN;
    return result == EXT2DAX_FAULT_NOPAGE ? E2DH_OUTCOME_DONE : E2DH_OUTCOME_SIGBUS;
}

enum e2dh_outcome e2dh_process_resolve(struct ext2dax_process *process, uintptr_t address, enum e2dh_access access,
                                       struct ext2dax_mount **frozen)
{
    int error = 0;
    enum e2dh_outcome outcome = e2dh_process_map_page(process, address, access, frozen, &error);

    if (outcome == E2DH_OUTCOME_DONE || outcome == E2DH_OUTCOME_SIGBUS)
        atomic_fetch_add_explicit(&process->traps, 1, memory_order_relaxed);
    if (outcome == E2DH_OUTCOME_SIGBUS)
        atomic_fetch_add_explicit(&process->sigbus, 1, memory_order_relaxed);
    return outcome;
}
