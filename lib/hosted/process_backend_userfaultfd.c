/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process with userfaultfd. The kernel sends a message for each access of a
 * page not present, even an access by a system call. process_uffd_handler.c reads and resolves the
 * messages.
 *
 * Pages not present are mapped from a memfd without any pages. The memfd is as long as the file, so
 * the kernel itself raises SIGBUS past the end. The memfd is mapped twice, as the mapping and,
 * directly after it as a guard, as the spare mapping, which is never accessed. To revoke pages,
 * mremap() moves the same pages of the spare mapping over the mapping in a single step, and leaves
 * the spare mapping in place. The registration moves along, because remap events are enabled.
 *
 * A page is mapped at a temporary address first, where no thread looks, and gets all attributes
 * there. Then the page is moved to its place. So an access finds the page either not present or
 * complete. Waiting threads are woken afterwards.
 *
 * Pages read first map their block write-protected by userfaultfd, so that a system call may store
 * there. Only tmpfs, a memfd and anonymous memory can be write-protected, and write protection
 * splits a huge page. So a writable whole PMD range is not registered, and is revoked when stores
 * are to be forbidden. If the image is on other memory, read-only pages are mapped read-only. A
 * store to such a page raises SIGSEGV, resolved by the handler of the other fault method.
 */
#include "calls.h"
#include "memory_reserve.h"
#include "process_backend.h"

#include "ext2dax/error.h"

#include "process_page.h"
#include "process_uffd.h"

#define MOST_SLABS  512u /* PMD ranges installed by a single map call */
#define MOST_CAUGHT 512u /* pages instead, if stores are caught by write protection */

#if E2DH_HAVE_USERFAULTFD

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int stores_of(const struct e2dh_mapping *mapping)
{
    return mapping->flags & EXT2DAX_MAP_WRITE ? PROT_WRITE : 0;
}

/* Moves a VMA over another in a single step. `how` is 0 or MREMAP_DONTUNMAP. */
static bool move(char *from, size_t bytes, char *to, int how)
{
    /* A raw system call, since race detectors must not see it, as in e2dh_replace_mapping(). */
    return (void *)syscall(SYS_mremap, from, bytes, bytes, MREMAP_FIXED | MREMAP_MAYMOVE | how, to) != MAP_FAILED;
}

/*
 * The only access of a spare mapping comes from a kernel locking all memory of the program. The
 * kernel skips memory without permission. The permissions are restored before pages are moved from
 * the spare mapping.
 */
bool e2dh_uffd_hide_staging(struct ext2dax_process *process, uintptr_t address)
{
    bool found = false;

    e2dh_table_lock(process);
    for (size_t i = 0; i < process->mapping_count && !found; i++) {
        struct e2dh_mapping *mapping = process->mappings[i];
        size_t bytes = e2dh_bytes_of(mapping, mapping->count);

        found = address >= (uintptr_t)mapping->staging && address - (uintptr_t)mapping->staging < bytes;
        if (found)
            mapping->staging_hidden = mprotect(mapping->staging, bytes, PROT_NONE) == 0;
    }
    e2dh_table_unlock(process);
    return found;
}

/* Fails near the kernel's limit, since a move needs a few more VMAs. */
static bool clear(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    char *at = e2dh_address_of(mapping, low);
    size_t bytes = e2dh_bytes_of(mapping, high - low);

    if (mapping->staging_hidden && mprotect(mapping->staging, e2dh_bytes_of(mapping, mapping->count),
                                            e2dh_readable(mapping) | stores_of(mapping)) != 0)
        return false;
    mapping->staging_hidden = false;
    return move(mapping->staging + e2dh_bytes_of(mapping, low), bytes, at, MREMAP_DONTUNMAP);
}

static int prepare(struct e2dh_mapping *mapping)
{
    size_t bytes = e2dh_bytes_of(mapping, mapping->count);
    char *staging = mapping->address + bytes;
    int error = 0;

    mapping->absent = e2dh_memfd("ext2dax absent");
    if (mapping->absent < 0)
        return -errno;
    /*
     * Without permission at first. A program locking its memory would otherwise populate the memfd.
     */
    if (!e2dh_set_length(mapping->absent, bytes) ||
        !e2dh_replace_mapping(staging, bytes, MAP_SHARED | MAP_NORESERVE, mapping->absent, 0) ||
        madvise(staging, bytes, MADV_DONTFORK) != 0)
        error = -errno;
    mapping->staging = staging;
    mapping->limit = mapping->count;
    if (error == 0)
        error = e2dh_userfault_register(mapping->process, staging, bytes, E2DH_USERFAULT_MISSING);
    if (error == 0 && mprotect(staging, bytes, e2dh_readable(mapping) | stores_of(mapping)) != 0)
        error = -errno;
    /* Moving shared memory needs Linux 5.13. */
    if (error == 0 && !move(staging, bytes, mapping->address, MREMAP_DONTUNMAP))
        error = errno == EINVAL ? -EXT2DAX_EOPNOTSUPP : -errno;
    if (error)
        close(mapping->absent);
    return error;
}

static void disarm(struct e2dh_mapping *mapping)
{
    close(mapping->absent);
    e2dh_userfault_wake(mapping->process, (uintptr_t)mapping->address, e2dh_bytes_of(mapping, mapping->count));
}

bool e2dh_userfault_catches(const struct e2dh_mapping *mapping, enum e2dh_page page)
{
    if (!(mapping->flags & EXT2DAX_MAP_WRITE) || page == E2DH_PAGE_COPY)
        return false;
    return e2dh_userfault_catches_in(mapping->process, page == E2DH_PAGE_ZERO);
}

/* Attributes to be given to a VMA without permission. */
struct dress {
    bool registered; /* stores are to be write-protected by userfaultfd, now or later */
    bool now;
    bool zeroes;
    int protection;
};

static bool put_on(struct ext2dax_process *process, char *at, size_t bytes, const struct dress *dress)
{
    return madvise(at, bytes, MADV_DONTFORK) == 0 &&
           (!dress->registered || e2dh_userfault_register(process, at, bytes, E2DH_USERFAULT_STORES) == 0) &&
           (!dress->now || e2dh_userfault_catch(process, at, bytes, dress->zeroes)) &&
           mprotect(at, bytes, dress->protection) == 0;
}

/*
 * Returns the temporary address. For huge pages the address is congruent to the target modulo a
 * huge page. From any other address, the kernel moves a page table of small entries instead. Only a
 * hint, since another thread may map memory there first. NULL allows any address.
 */
static char *place_aside(const struct e2dh_mapping *mapping, const char *at, size_t bytes)
{
    size_t huge = (size_t)1 << (mapping->huge_order + mapping->page_shift);
    char *start = MAP_FAILED;

    if (bytes >= huge)
        start = mmap(NULL, bytes + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    munmap(start, bytes + huge);
    return start + (((uintptr_t)at - (uintptr_t)start) & (huge - 1));
}

static enum e2dh_map_result map_pages(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int flags,
                                      int descriptor, uint64_t offset, enum e2dh_page page)
{
    bool stores = page == E2DH_PAGE_WRITE || page == E2DH_PAGE_COPY, caught = e2dh_userfault_catches(mapping, page);
    bool registered = caught && (!stores || high - low < (uint64_t)1 << mapping->huge_order);
    struct dress dress = {registered, registered && !stores, page == E2DH_PAGE_ZERO,
                          e2dh_readable(mapping) | (stores || caught ? PROT_WRITE : 0)};
    size_t bytes = e2dh_bytes_of(mapping, high - low);
    char *at = e2dh_address_of(mapping, low), *aside;

    /*
     * Mapped privately, so a store passing the write protection all the same stays in this process.
     */
    if (page == E2DH_PAGE_READ && caught && mapping->flags & EXT2DAX_MAP_PRIVATE)
        flags = MAP_PRIVATE | MAP_NORESERVE;
    aside = mmap(place_aside(mapping, at, bytes), bytes, PROT_NONE, flags, descriptor, (off_t)offset);
    if (aside != MAP_FAILED) {
        if (put_on(mapping->process, aside, bytes, &dress) && move(aside, bytes, at, 0))
            return E2DH_MAPPED;
        munmap(aside, bytes);
    }
    /*
     * Near the VMA limit the page is mapped in place, as with sigsegv. The handler of sigsegv
     * resolves faults of other threads in between.
     */
    if (!e2dh_replace_mapping(at, bytes, flags, descriptor, offset))
        return errno == ENOMEM ? E2DH_MAPPED_NOT : E2DH_MAPPED_SPOILT;
    return put_on(mapping->process, at, bytes, &dress) ? E2DH_MAPPED : E2DH_MAPPED_SPOILT;
}

static bool allow(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    char *at = e2dh_address_of(mapping, low);
    size_t bytes = e2dh_bytes_of(mapping, high - low);

    if (e2dh_userfault_catches(mapping, E2DH_PAGE_READ))
        return e2dh_userfault_let_through(mapping->process, at, bytes);
    return mprotect(at, bytes, e2dh_readable(mapping) | PROT_WRITE) == 0;
}

/*
 * Fails for pages not registered, which the caller then revokes. For a whole PMD range, revoking
 * costs as much as protecting, and the next access maps it again.
 */
static bool forbid(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    return e2dh_userfault_catches(mapping, E2DH_PAGE_WRITE) &&
           e2dh_userfault_catch(mapping->process, e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low),
                                false);
}

static void resize(struct e2dh_mapping *mapping, uint64_t pages)
{
    if (pages != mapping->limit && e2dh_set_length(mapping->absent, e2dh_bytes_of(mapping, pages)))
        mapping->limit = pages;
}

static const struct e2dh_backend backend = {
    .open = e2dh_userfault_open,
    .close = e2dh_userfault_close,
    .prepare = prepare,
    .disarm = disarm,
    .clear = clear,
    .map = map_pages,
    .allow = allow,
    .forbid = forbid,
    .resize = resize,
    .asks = true,
};
const struct e2dh_backend *const e2dh_backend_userfaultfd = &backend;

/* With write protection each page costs time, even a page never accessed. */
uint64_t e2dh_backend_most_ranges(const struct e2dh_mapping *mapping)
{
    uint64_t pages = (uint64_t)1 << mapping->huge_order;

    if (mapping->process->backend != &backend || !e2dh_userfault_catches(mapping, E2DH_PAGE_READ))
        return MOST_SLABS;
    return pages < MOST_CAUGHT ? MOST_CAUGHT / pages : 1;
}

#else

const struct e2dh_backend *const e2dh_backend_userfaultfd = NULL;

uint64_t e2dh_backend_most_ranges(const struct e2dh_mapping *mapping)
{
    (void)mapping;
    return MOST_SLABS;
}

int e2dh_userfaultfd_may(const char **why)
{
    *why = "this build, or this system, has no userfaultfd";
    return -EXT2DAX_EOPNOTSUPP;
}

#endif
