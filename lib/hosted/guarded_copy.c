/* SPDX-License-Identifier: MIT */
/*
 * Copies that survive a fault in the caller's buffer. Compared with memcpy(), an accessible buffer
 * costs a sigsetjmp(), which saves no signal mask and makes no system call, plus, in a write, a
 * read of a single byte per page in advance.
 *
 * The fault handler jumps back to the copy if three conditions hold. The fault address lies in the
 * caller's buffer. The interrupted thread is inside a copy. The fault interrupted the copy itself,
 * not a signal handler running on top of the copy. The stack pointer decides the third condition.
 * memcpy() needs next to no stack, while the frame of a signal below the copy takes more than ROOM.
 * Faults in the memory of the image are not survived, because a short count could not distinguish
 * such faults from faults in the caller's buffer.
 *
 * memcpy() may copy in any order. So a short count never comes from an interrupted memcpy() of the
 * whole buffer. After a fault the copy starts again in ascending order, in pieces within a single
 * page of the buffer each. A piece that faults has copied nothing. File bytes after the count must
 * not change, so a write reads a byte of every page of the buffer before the first store. Bytes
 * after the count can still change if another thread unmaps pages of the buffer between this read
 * and the copy. The file then holds bytes of the buffer.
 */
#include "guarded_copy.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault_handler.h"
#include "guard.h"

/*
 * MADV_POPULATE_READ and MADV_POPULATE_WRITE of Linux 5.14, as numbers because not every libc
 * defines the names.
 */
#define POPULATE_READ  22
#define POPULATE_WRITE 23

static atomic_uint refusals; /* see e2dh_guard_refusals() */

/*
 * Returns the end of the buffer page that holds byte `at`, counted from the start of the buffer and
 * at most `bytes`.
 */
static size_t page_end(const struct e2dh_copy *copy, size_t at)
{
    size_t left = LEAST_PAGE - ((uintptr_t)copy->callers + at) % LEAST_PAGE;

    return left < copy->bytes - at ? at + left : copy->bytes;
}

static void copy_whole(struct e2dh_copy *copy)
{
    memcpy(copy->to, copy->from, copy->bytes);
    copy->done = copy->bytes;
}

static void copy_whole_once_read(struct e2dh_copy *copy)
{
    for (size_t at = 0; at < copy->bytes; at = page_end(copy, at))
        (void)*(const volatile unsigned char *)(copy->from + at);
    copy_whole(copy);
}

static void copy_by_pages(struct e2dh_copy *copy)
{
    for (size_t at = 0, end; at < copy->bytes; at = end) {
        end = page_end(copy, at);
        memcpy(copy->to + at, copy->from + at, end - at);
        copy->done = end;
    }
}

/*
 * Returns how many bytes of the buffer can be accessed, counted from the start. An access to any
 * later byte would raise a SIGBUS for the program's handler on top, which may never return. Pages
 * unmapped between this check and the copy still raise SIGBUS in the program.
 */
static size_t accessible(const struct e2dh_copy *copy, int advice)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)copy->callers;
    uintptr_t low = first & ~(page - 1), end = (first + copy->bytes + page - 1) & ~(page - 1);
    int saved = errno;
    size_t bytes = copy->bytes;

    if (end > low && madvise((void *)low, end - low, advice) != 0 && errno == EFAULT) {
        while (low < end && madvise((void *)low, page, advice) == 0)
            low += page;
        if (low < end && errno == EFAULT)
            bytes = low <= first ? 0 : low - first;
    }
    errno = saved;
    return bytes;
}

void e2dh_guard_refusals(bool begin)
{
    if (begin)
        atomic_fetch_add(&refusals, 1);
    else
        atomic_fetch_sub(&refusals, 1);
}

static size_t copy_guarded(void (*run)(struct e2dh_copy *), struct e2dh_copy *copy, int advice)
{
    if (copy->bytes == 0 || !copy->callers)
        return 0;
    if (atomic_load_explicit(&refusals, memory_order_relaxed) != 0 && !e2dh_handler_is_first(SIGBUS))
        copy->bytes = accessible(copy, advice);
    if (copy->bytes == 0)
        return 0;
    if (!e2dh_guard_run(run, copy))
        (void)e2dh_guard_run(copy_by_pages, copy);
    return copy->done;
}

size_t e2dh_guarded_copy_out(void *to_caller, const void *from_image, size_t bytes)
{
    struct e2dh_copy copy = {to_caller, from_image, to_caller, bytes, 0};

    return copy_guarded(copy_whole, &copy, POPULATE_WRITE);
}

size_t e2dh_guarded_copy_in(void *to_image, const void *from_caller, size_t bytes)
{
    struct e2dh_copy copy = {to_image, from_caller, from_caller, bytes, 0};

    return copy_guarded(copy_whole_once_read, &copy, POPULATE_READ);
}
