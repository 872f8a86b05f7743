/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process with sigsegv. Pages not present have no permission, and the
 * handler (process_signal.c) resolves faults in the thread that made the access. Pages showing a
 * block read-only are mapped read-only.
 *
 * A new VMA is created without permission, then excluded from fork, and only then made accessible.
 * So a child never inherits an accessible page. Another thread accessing the page in between
 * faults, and waits in the handler for the table lock.
 */
#include "process_backend.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process_page.h"

bool e2dh_replace_mapping(char *at, size_t bytes, int flags, int descriptor, uint64_t offset)
{
#if E2DH_RACE_DETECTOR
    return (void *)syscall(SYS_mmap, at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#else
    return mmap(at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#endif
}

bool e2dh_put_without_permission(char *at, size_t bytes)
{
    if (!e2dh_replace_mapping(at, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
        return false;
    /*
     * Otherwise a child would inherit the range, not present either, with no handler to resolve
     * faults.
     */
    (void)madvise(at, bytes, MADV_DONTFORK);
    e2dh_access_is_meant(at, bytes);
    return true;
}

static int open_nothing(struct ext2dax_process *process)
{
    (void)process;
    return 0;
}

static void close_nothing(struct ext2dax_process *process)
{
    (void)process;
}

static bool clear(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    return e2dh_put_without_permission(e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low));
}

static enum e2dh_map_result map_pages(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int flags,
                                      int descriptor, uint64_t offset, enum e2dh_page page)
{
    char *at = e2dh_address_of(mapping, low);
    size_t bytes = e2dh_bytes_of(mapping, high - low);
    int stores = page == E2DH_PAGE_WRITE || page == E2DH_PAGE_COPY ? PROT_WRITE : 0;
    int allowed = e2dh_readable(mapping) | stores;

    /*
     * ENOMEM is returned for a limit, before any VMA is replaced. A file system refuses only later.
     */
    if (!e2dh_replace_mapping(at, bytes, flags, descriptor, offset))
        return errno == ENOMEM ? E2DH_MAPPED_NOT : E2DH_MAPPED_SPOILT;
    if (madvise(at, bytes, MADV_DONTFORK) != 0 || mprotect(at, bytes, allowed) != 0)
        return E2DH_MAPPED_SPOILT;
    e2dh_access_is_meant(at, bytes);
    return E2DH_MAPPED;
}

static bool allow(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    return mprotect(e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low),
                    e2dh_readable(mapping) | PROT_WRITE) == 0;
}

static bool forbid(struct e2dh_mapping *mapping, uint64_t low, uint64_t high)
{
    return mprotect(e2dh_address_of(mapping, low), e2dh_bytes_of(mapping, high - low), e2dh_readable(mapping)) == 0;
}

const struct e2dh_backend e2dh_backend_sigsegv = {
    .open = open_nothing,
    .close = close_nothing,
    .clear = clear,
    .map = map_pages,
    .allow = allow,
    .forbid = forbid,
    .joins = true,
    .splits = true,
};
