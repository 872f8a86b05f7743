/* SPDX-License-Identifier: MIT */
/*
 * The page-fault handler: from an address to a mapping, from there to the call of the fault family that fits, and from its
 * answer to what becomes of the access.
 */
#include "kernel.h"

struct fault_counts fault_counts;

static void count(unsigned *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Nothing is there, or a huge entry that is not enough: the whole window if possible, else the page. */
static enum ext2dax_fault_result fill(struct ext2dax_fault *fault)
{
    enum ext2dax_fault_result result;

    count(&fault_counts.huge);
    result = ext2dax_pmd_fault(fault);
    if (result != EXT2DAX_FAULT_FALLBACK)
        return result;
    count(&fault_counts.fallback);
    count(&fault_counts.fault);
    return ext2dax_fault(fault);
}

/*
 * Which call fits depends on what the page table holds. It may hold something else by the time of the call; each of them
 * looks for itself, and at the worst the access faults once more.
 */
static enum ext2dax_fault_result ask(struct ext2dax_fault *fault)
{
    uint64_t entry = space_look(fault->address);

    if (!fault->write || (entry & ENTRY_PRESENT) == 0 || (entry & ENTRY_HUGE) != 0)
        return fill(fault);
    if ((entry & ENTRY_FRAME) == physical_of(zero_page)) {
        count(&fault_counts.mkwrite);
        return ext2dax_mkwrite(fault);
    }
    count(&fault_counts.pfn_mkwrite);
    return ext2dax_pfn_mkwrite(fault);
}

/* 0: the access may be tried again; else what user code gets. */
static uint64_t resolve(uintptr_t address, bool write)
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_SIGBUS;
    const struct mapping *mapping;
    struct ext2dax_fault fault;
    bool allowed;

    do {
        mapping = space_find(address); /* takes the address-space lock */
        allowed = mapping && (mapping->writable || !write);
        if (allowed) {
            fault = (struct ext2dax_fault){
                .inode = mapping->inode,
                .page = mapping->first + (address - mapping->address) / PAGE_SIZE,
                .mapping_first = mapping->first,
                .mapping_count = mapping->count,
                .address = address,
                .write = write,
                .shared = mapping->shared,
                .cookie = (void *)mapping,
            };
            result = ask(&fault);
        }
        space_put();
        if (!allowed)
            return USER_SIGSEGV;
        if (result == EXT2DAX_FAULT_RETRY) {
            count(&fault_counts.retry);
            ext2dax_wait_thaw(bench.mount); /* without the address-space lock: whoever thaws may need it */
        }
    } while (result == EXT2DAX_FAULT_RETRY);

    if (result == EXT2DAX_FAULT_NOPAGE)
        return 0;
    count(&fault_counts.sigbus);
    return USER_SIGBUS;
}

void page_fault(struct trap *trap, uintptr_t address)
{
    uint64_t failed;

    if (!trap_from_user(trap) && trap->rip != (uintptr_t)copy_user_access) {
        print("the kernel touched ");
        print_number(address);
        panic(", at", trap->rip);
    }
    failed = resolve(address, (trap->error & FAULT_WRITE) != 0);
    if (failed == 0)
        return;
    if (trap_from_user(trap))
        user_leave(failed);
    trap->rip = (uintptr_t)copy_user_failed;
}
