/* SPDX-License-Identifier: MIT */
/*
 * The page-fault handler. Finds the mapping of the address, calls the fault function for the
 * state of the PTE, and ends the fault by the result.
 */
#include "kernel.h"

struct fault_counts fault_counts;

static void count(unsigned *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/*
 * Resolves a fault without a PTE, or with a huge entry without enough rights. Maps the whole
 * PMD range if possible, otherwise the page.
 */
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
 * Chooses the fault function by the PTE. The PTE may change before the call. This is harmless,
 * because each fault function checks the state again, and in the worst case the access faults
 * once more.
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

/* Returns 0 to retry the access, or USER_SIGSEGV or USER_SIGBUS. */
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
            /* Called without the address-space lock, which the thawing thread may need. */
            ext2dax_wait_thaw(fixture.mount);
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
        print("the kernel accessed ");
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
