/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process, by userfaultfd: the kernel asks this process for an armed page, whoever touched it, a
 * system call too. process_touch.c reads its questions and answers them.
 *
 * Armed pages are mapped from a memfd that never holds any, as long as the file: past its end the kernel raises SIGBUS
 * by itself. It is mapped twice, as the window and as a donor that nobody touches. To arm pages again the donor's are
 * moved over them with mremap(), in one step, and stay where they were; the registration travels along, since moves are
 * announced.
 *
 * What a page is to show is mapped aside, where nobody looks, made what it shall be there, and moved over the armed
 * pages: a touch finds them armed, or finished. Then whoever waits is woken.
 *
 * Pages that are read first show their block with stores caught by the same means (write protection of userfaultfd), so
 * that a system call may store there. Only tmpfs, a memfd and anonymous memory can have that, and a huge page breaks
 * up for it. So a whole slab that may be stored to is not registered, and armed where stores are to be forbidden. Where
 * the image is no such memory, read-only pages are mapped so, a store is a SIGSEGV, and the handler of the other
 * way answers it.
 */
#include "memory_reserve.h"
#include "process_way.h"

#include "ext2dax/error.h"

#include "process_page.h"
#include "process_userfault.h"

#define MOST_SLABS  512u /* that one map call enters */
#define MOST_CAUGHT 512u /* pages, rather, where stores are caught */

#if E2D_HAVE_USERFAULTFD

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int stores_of(const struct e2d_process_window *window)
{
    return window->flags & EXT2DAX_MAP_WRITE ? PROT_WRITE : 0;
}

/* Moves a mapping over another, in one step; `how`: 0, or MREMAP_DONTUNMAP. */
static bool move(char *from, size_t bytes, char *to, int how)
{
    /* As in e2d_replace_mapping(): no race detector is to hear of it. */
    return (void *)syscall(SYS_mremap, from, bytes, bytes, MREMAP_FIXED | MREMAP_MAYMOVE | how, to) != MAP_FAILED;
}

/*
 * Nobody touches a donor but a kernel that is to lock all memory of the program, which passes over what has no permission.
 * It gets it back before pages are moved from it.
 */
bool e2d_userfault_hide_donor(struct ext2dax_process *process, uintptr_t address)
{
    bool found = false;

    e2d_table_lock(process);
    for (size_t i = 0; i < process->window_count && !found; i++) {
        struct e2d_process_window *window = process->windows[i];
        size_t bytes = e2d_bytes_of(window, window->count);

        found = address >= (uintptr_t)window->donor && address - (uintptr_t)window->donor < bytes;
        if (found)
            window->donor_hidden = mprotect(window->donor, bytes, PROT_NONE) == 0;
    }
    e2d_table_unlock(process);
    return found;
}

/* A move takes a few mappings more than the kernel may have left; then a touch is for the handler of the other way. */
static bool arm(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    char *at = e2d_address_of(window, low);
    size_t bytes = e2d_bytes_of(window, high - low);

    if (window->donor_hidden &&
        mprotect(window->donor, e2d_bytes_of(window, window->count), PROT_READ | stores_of(window)) == 0)
        window->donor_hidden = false;
    return move(window->donor + e2d_bytes_of(window, low), bytes, at, MREMAP_DONTUNMAP) ||
           e2d_put_without_permission(at, bytes);
}

static int prepare(struct e2d_process_window *window)
{
    size_t bytes = e2d_bytes_of(window, window->count);
    int error;

    window->armed = e2d_memfd("ext2dax armed");
    if (window->armed < 0)
        return -errno;
    window->donor = MAP_FAILED;
    /* Without permission first: a program that locks its memory would get pages in it otherwise. */
    if (e2d_set_length(window->armed, bytes))
        window->donor = mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, window->armed, 0);
    error = window->donor == MAP_FAILED || madvise(window->donor, bytes, MADV_DONTFORK) != 0 ? -errno : 0;
    window->limit = window->count;
    if (error == 0)
        error = e2d_userfault_register(window->process, window->donor, bytes, E2D_USERFAULT_TOUCHES);
    if (error == 0 && mprotect(window->donor, bytes, PROT_READ | stores_of(window)) != 0)
        error = -errno;
    /* Linux 5.13 can move what is shared. */
    if (error == 0 && !move(window->donor, bytes, window->address, MREMAP_DONTUNMAP))
        error = errno == EINVAL ? -EXT2DAX_EOPNOTSUPP : -errno;
    if (error == 0)
        return 0;
    if (window->donor != MAP_FAILED)
        munmap(window->donor, bytes);
    close(window->armed);
    return error;
}

static void disarm(struct e2d_process_window *window)
{
    munmap(window->donor, e2d_bytes_of(window, window->count));
    close(window->armed);
    e2d_userfault_wake(window->process, (uintptr_t)window->address, e2d_bytes_of(window, window->count));
}

bool e2d_userfault_catches(const struct e2d_process_window *window, enum e2d_page page)
{
    if (!(window->flags & EXT2DAX_MAP_WRITE) || page == E2D_PAGE_COPY)
        return false;
    return e2d_userfault_catches_in(window->process, page == E2D_PAGE_ZERO);
}

/* What a mapping without permissions is to become. */
struct dress {
    bool registered; /* are stores to be caught by userfaultfd, sooner or later? */
    bool now;
    bool zeroes;
    int protection;
};

static bool put_on(struct ext2dax_process *process, char *at, size_t bytes, const struct dress *dress)
{
    return madvise(at, bytes, MADV_DONTFORK) == 0 &&
           (!dress->registered || e2d_userfault_register(process, at, bytes, E2D_USERFAULT_STORES) == 0) &&
           (!dress->now || e2d_userfault_catch(process, at, bytes, dress->zeroes)) &&
           mprotect(at, bytes, dress->protection) == 0;
}

/*
 * Where to map it aside. Huge pages come from a place that agrees with theirs modulo one: from any other the kernel brings a
 * table of small entries along. A wish, for who maps something there first has it. NULL: anywhere.
 */
static char *place_aside(const struct e2d_process_window *window, const char *at, size_t bytes)
{
    size_t huge = (size_t)1 << (window->huge_order + window->page_shift);
    char *start = MAP_FAILED;

    if (bytes >= huge)
        start = mmap(NULL, bytes + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    munmap(start, bytes + huge);
    return start + (((uintptr_t)at - (uintptr_t)start) & (huge - 1));
}

static enum e2d_shown show(struct e2d_process_window *window, uint64_t low, uint64_t high, int flags, int descriptor,
                           uint64_t offset, enum e2d_page page)
{
    bool stores = page == E2D_PAGE_WRITE || page == E2D_PAGE_COPY, caught = e2d_userfault_catches(window, page);
    bool registered = caught && (!stores || high - low < (uint64_t)1 << window->huge_order);
    struct dress dress = {registered, registered && !stores, page == E2D_PAGE_ZERO,
                          PROT_READ | (stores || caught ? PROT_WRITE : 0)};
    size_t bytes = e2d_bytes_of(window, high - low);
    char *at = e2d_address_of(window, low), *aside;

    /* A store that got through all the same would be this process's alone. */
    if (page == E2D_PAGE_READ && caught && window->flags & EXT2DAX_MAP_PRIVATE)
        flags = MAP_PRIVATE | MAP_NORESERVE;
    aside = mmap(place_aside(window, at, bytes), bytes, PROT_NONE, flags, descriptor, (off_t)offset);
    if (aside != MAP_FAILED) {
        if (put_on(window->process, aside, bytes, &dress) && move(aside, bytes, at, 0))
            return E2D_SHOWN;
        munmap(aside, bytes);
    }
    /* Near the limit of mappings it is made in place, as in the other way, whose handler has to do with who comes between. */
    if (!e2d_replace_mapping(at, bytes, flags, descriptor, offset))
        return errno == ENOMEM ? E2D_SHOWN_NOT : E2D_SHOWN_SPOILT;
    return put_on(window->process, at, bytes, &dress) ? E2D_SHOWN : E2D_SHOWN_SPOILT;
}

static bool allow(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    char *at = e2d_address_of(window, low);
    size_t bytes = e2d_bytes_of(window, high - low);

    if (e2d_userfault_catches(window, E2D_PAGE_READ))
        return e2d_userfault_let_through(window->process, at, bytes);
    return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0;
}

/* What is not registered is armed: for a whole slab that costs as much as protecting it, and a touch brings it back. */
static bool forbid(struct e2d_process_window *window, uint64_t low, uint64_t high)
{
    return e2d_userfault_catches(window, E2D_PAGE_WRITE) &&
           e2d_userfault_catch(window->process, e2d_address_of(window, low), e2d_bytes_of(window, high - low), false);
}

static void resize(struct e2d_process_window *window, uint64_t pages)
{
    if (pages != window->limit && e2d_set_length(window->armed, e2d_bytes_of(window, pages)))
        window->limit = pages;
}

static const struct e2d_way way = {
    e2d_userfault_open, e2d_userfault_close, prepare, disarm, arm, show, allow, forbid, resize, false, true,
};
const struct e2d_way *const e2d_way_userfaultfd = &way;

/* Where stores are caught each page costs something, though nobody may ever look at it. */
uint64_t e2d_way_most_slabs(const struct e2d_process_window *window)
{
    uint64_t pages = (uint64_t)1 << window->huge_order;

    if (window->process->way != &way || !e2d_userfault_catches(window, E2D_PAGE_READ))
        return MOST_SLABS;
    return pages < MOST_CAUGHT ? MOST_CAUGHT / pages : 1;
}

#else

const struct e2d_way *const e2d_way_userfaultfd = NULL;

uint64_t e2d_way_most_slabs(const struct e2d_process_window *window)
{
    (void)window;
    return MOST_SLABS;
}

int e2d_userfaultfd_may(const char **why)
{
    *why = "this build, or this system, has no userfaultfd";
    return -EXT2DAX_EOPNOTSUPP;
}

#endif
