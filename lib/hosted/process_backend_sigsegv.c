/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process, by SIGSEGV: armed pages have no permission, and the handler (process_signal.c) resolves
 * in the thread that touched. Pages that show a block read-only are mapped so.
 *
 * A new mapping is made without any permission, excluded from fork, and only then opened: a child never inherits a page
 * it could touch. Another thread that comes between traps, and waits in the handler for the table lock.
 */
#include "process_way.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process_page.h"

bool e2d_replace_mapping(char *at, size_t bytes, int flags, int descriptor, uint64_t offset)
{
#if E2D_RACE_DETECTOR
    return (void *)syscall(SYS_mmap, at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#else
    return mmap(at, bytes, PROT_NONE, flags | MAP_FIXED, descriptor, (off_t)offset) != MAP_FAILED;
#endif
}

bool e2d_put_without_permission(char *at, size_t bytes)
{
    if (!e2d_replace_mapping(at, bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
        return false;
    /* Unmarked it would be inherited by a child, as armed as here, where nobody resolves. */
    (void)madvise(at, bytes, MADV_DONTFORK);
    e2d_touch_is_meant(at, bytes);
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

/* Reserved addresses have no permission either. */
static int prepare(struct e2d_process_window *window)
{
    (void)window;
    return 0;
}

static void disarm(struct e2d_process_window *window)
{
    (void)window;
}

static bool arm(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    return e2d_put_without_permission(e2d_address_of(window, low), e2d_bytes_of(window, high - low));
}

static enum e2d_shown show(struct e2d_process_window *window, uint64_t low, uint64_t high, int flags, int descriptor,
                           uint64_t offset, enum e2d_page page)
{
    char *at = e2d_address_of(window, low);
    size_t bytes = e2d_bytes_of(window, high - low);
    int stores = page == E2D_PAGE_WRITE || page == E2D_PAGE_COPY ? PROT_WRITE : 0;

    /* The limit is looked at before anything is replaced; a file system that refuses comes later. */
    if (!e2d_replace_mapping(at, bytes, flags, descriptor, offset))
        return errno == ENOMEM ? E2D_SHOWN_NOT : E2D_SHOWN_SPOILT;
    if (madvise(at, bytes, MADV_DONTFORK) != 0 || mprotect(at, bytes, PROT_READ | stores) != 0)
        return E2D_SHOWN_SPOILT;
    e2d_touch_is_meant(at, bytes);
    return E2D_SHOWN;
}

static bool allow(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    return mprotect(e2d_address_of(window, low), e2d_bytes_of(window, high - low), PROT_READ | PROT_WRITE) == 0;
}

static bool forbid(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    return mprotect(e2d_address_of(window, low), e2d_bytes_of(window, high - low), PROT_READ) == 0;
}

const struct e2d_way e2d_way_sigsegv = {
    open_nothing, close_nothing, prepare, disarm, arm, show, allow, forbid, NULL, true, false,
};
