/* SPDX-License-Identifier: MIT */
/*
 * The ops of a mapped file as memory (memory_file.c).
 *
 * Ops may run in a fault handler and while the core holds locks. So ops use no cancellation points
 * of libc, use no heap and preserve errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "calls.h"
#include "host_report.h"
#include "in_use.h"
#include "memory_file.h"
#include "memory_owner.h"
#include "memory_reserve.h"
#include "writeback.h"
#if !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

/* Returns the host pages that hold the range. */
static void page_range(const struct e2dh_file *f, const void *at, size_t length, void **first, size_t *bytes)
{
    size_t into = (uintptr_t)at & (f->page - 1);

    *first = (char *)f->base + ((const char *)at - into - (const char *)f->base);
    *bytes = (into + length + f->page - 1) & ~(f->page - 1);
}

static int volatile_zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    e2dh_zero_volatile(at, length);
    return 0;
}

static int write_back_pages(const struct e2dh_file *f, const void *at, size_t length)
{
    int saved = errno, r = 0;
    void *first;
    size_t bytes;

    page_range(f, at, length, &first, &bytes);
    while (syscall(SYS_msync, first, bytes, MS_SYNC) != 0) {
        if (errno != EINTR) {
            r = -EXT2DAX_EIO;
            break;
        }
    }
    errno = saved;
    return r;
}

/*
 * Writes the range back, or, during a scan, leaves the range to the fence. Recovery stores a few
 * bytes in each of thousands of groups, and every msync waits for the medium. So during a scan the
 * fence writes all changes of the epoch back in a single msync. Clean pages in the range cost
 * nothing.
 */
static int cached_persist(void *ctx, const void *at, size_t length)
{
    struct e2dh_file *f = ctx;
    const char *first = at, *end = first + length;

    if (length == 0)
        return 0;
    if (atomic_load_explicit(&f->scans, memory_order_relaxed) == 0)
        return write_back_pages(f, at, length);
    if (f->first == f->end) {
        f->first = first;
        f->end = end;
        return 0;
    }
    f->first = first < f->first ? first : f->first;
    f->end = end > f->end ? end : f->end;
    return 0;
}

static int cached_fence(void *ctx)
{
    struct e2dh_file *f = ctx;
    const char *first = f->first;
    size_t length = (size_t)(f->end - first);

    if (atomic_load_explicit(&f->scans, memory_order_relaxed) == 0 || length == 0)
        return 0;
    f->end = first;
    return write_back_pages(f, first, length);
}

static int cached_zero(void *ctx, void *at, size_t length)
{
    e2dh_zero_volatile(at, length);
    return cached_persist(ctx, at, length);
}

static int dax_persist(void *ctx, const void *at, size_t length)
{
    const struct e2dh_file *f = ctx;

    e2dh_write_back_range(&f->how, at, length);
    return 0;
}

static int dax_zero(void *ctx, void *at, size_t length)
{
    const struct e2dh_file *f = ctx;

    e2dh_zero_durable(&f->how, at, length);
    return 0;
}

static int dax_fence(void *ctx)
{
    const struct e2dh_file *f = ctx;

    f->how.fence();
    return 0;
}

/*
 * Populates the pages for reading. The kernel refuses exactly where a read would raise SIGBUS,
 * namely for poison, a bad block, a read error, or a file truncated by another process. A kernel
 * without MADV_POPULATE_READ (before 5.14) reports no error.
 */
static int check(void *ctx, const void *at, size_t length)
{
    int saved = errno, r = 0;
    void *first;
    size_t bytes;

    if (length == 0)
        return 0;
    page_range(ctx, at, length, &first, &bytes);
    if (madvise(first, bytes, MADV_POPULATE_READ) != 0 && (errno == EFAULT || errno == EHWPOISON))
        r = -EXT2DAX_EIO;
    errno = saved;
    return r;
}

/*
 * Refuses calls in a child process. A child inherits the mapping, which shows the same file, and
 * locks that may never be released.
 */
static int usable(void *ctx)
{
    const struct e2dh_file *f = ctx;

    return e2dh_is_this_process(f->process) ? 0 : -EXT2DAX_EINVAL;
}

static int claim(void *ctx, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    struct e2dh_file *f = ctx;
    int r = wanted == EXT2DAX_CLAIM_NONE ? 0 : usable(f);

    return r == 0 ? e2dh_change_claim(&f->claims, held, wanted) : r;
}

/*
 * Disables readahead during a scan. Around each page read in, the kernel would read dozens more.
 * Readahead is right for files but takes minutes for structures with unneeded blocks between.
 */
static void cached_scan(void *ctx, bool begins)
{
    struct e2dh_file *f = ctx;
    int saved = errno;

    /*
     * The result is ignored. Only an abandoned recovery issues no fence of its own, and needs none.
     */
    if (!begins)
        (void)cached_fence(f);
    if (begins ? atomic_fetch_add(&f->scans, 1) == 0 : atomic_fetch_sub(&f->scans, 1) == 1)
        (void)madvise(f->base, f->mapped, begins ? MADV_RANDOM : MADV_NORMAL);
    errno = saved;
}

/*
 * Prefetches a range. The kernel reads dozens of such ranges in parallel, while page faults read a
 * single range at a time.
 */
static void cached_fetch(void *ctx, const void *at, size_t length)
{
    int saved = errno;
    void *first;
    size_t bytes;

    page_range(ctx, at, length, &first, &bytes);
    (void)madvise(first, bytes, MADV_WILLNEED);
    errno = saved;
}

/*
 * Is the file still at least `end` bytes long? A file shortened by another process has no hole past
 * the new end. A read past the end fails.
 */
static bool is_inside(const struct e2dh_file *f, uint64_t end)
{
    struct stat st;

    return fstat(f->fd, &st) == 0 && end <= (uint64_t)st.st_size;
}

/*
 * Asks the filesystem of the file for holes. If the filesystem cannot, all bytes count as
 * data. tmpfs searches a hole page by page, so the run of data found last is kept. Bytes of the run
 * may have become a hole since, and are then read as zeroes.
 */
static size_t next_data(void *ctx, const void *at, size_t length, size_t *from)
{
    struct e2dh_file *f = ctx;
    uint64_t begin = f->from + (uint64_t)((const char *)at - (const char *)f->base);
    int saved = errno;
    off_t data, hole;
    size_t found = length;

    *from = 0;
    if (begin >= f->data && begin < f->hole)
        return (size_t)(length < f->hole - begin ? length : f->hole - begin);
    data = lseek(f->fd, (off_t)begin, SEEK_DATA);
    /* A device may return any offset. */
    if (data < 0 ? errno == ENXIO : (uint64_t)data >= begin && (uint64_t)data - begin >= length) {
        found = is_inside(f, begin + length) ? 0 : length;
    } else if (data >= 0 && (uint64_t)data >= begin) {
        hole = lseek(f->fd, data, SEEK_HOLE);
        *from = (size_t)((uint64_t)data - begin);
        found = length - *from;
        if (hole > data) {
            f->data = (uint64_t)data;
            f->hole = (uint64_t)hole;
            if (f->hole - f->data < found)
                found = (size_t)(f->hole - f->data);
        }
    }
    errno = saved;
    return found;
}

/*
 * Punches the whole pages of the range out of the file, and zeroes the rest of the first and last
 * page. Refused where this opening has reserved the file, because a hole gives blocks back. Not an
 * op of DAX, where every hole costs a transaction of the host filesystem, and every store to a hole
 * another transaction.
 */
static int discard(void *ctx, void *at, size_t length)
{
    struct e2dh_file *f = ctx;
    char *first = at, *end = first + length;
    size_t head = (size_t)(-(uintptr_t)first & (f->page - 1)), tail = (uintptr_t)end & (f->page - 1);
    int saved = errno;
    bool punched;

    if (f->reserved || length < E2DH_DISCARD_LEAST)
        return -EXT2DAX_EOPNOTSUPP;
    punched = e2dh_punch(f->fd, f->from + (uint64_t)(first + head - (char *)f->base), length - head - tail);
    errno = saved;
    if (!punched)
        return -EXT2DAX_EOPNOTSUPP;
    e2dh_zero_volatile(first, head);
    e2dh_zero_volatile(end - tail, tail);
    return f->kind == EXT2DAX_FILE_PAGE_CACHE ? cached_persist(f, at, length) : 0;
}

const struct ext2dax_memory_ops e2dh_file_ops[] = {
    [EXT2DAX_FILE_PAGE_CACHE] = {.size = sizeof(struct ext2dax_memory_ops),
                                 .zero = cached_zero,
                                 .persist = cached_persist,
                                 .fence = cached_fence,
                                 .check = check,
                                 .claim = claim,
                                 .usable = usable,
                                 .scan = cached_scan,
                                 .fetch = cached_fetch,
                                 .next_data = next_data,
                                 .discard = discard},
    [EXT2DAX_FILE_VOLATILE] = {.size = sizeof(struct ext2dax_memory_ops),
                               .zero = volatile_zero,
                               .claim = claim,
                               .usable = usable,
                               .next_data = next_data,
                               .discard = discard},
    [EXT2DAX_FILE_DAX] = {.size = sizeof(struct ext2dax_memory_ops),
                          .zero = dax_zero,
                          .persist = dax_persist,
                          .fence = dax_fence,
                          .check = check,
                          .claim = claim,
                          .usable = usable,
                          .next_data = next_data},
};

struct e2dh_file *e2dh_file_of(const struct ext2dax_memory *memory)
{
    for (size_t i = 0; i < sizeof(e2dh_file_ops) / sizeof(e2dh_file_ops[0]); i++) {
        if (memory->ops == &e2dh_file_ops[i])
            return memory->ctx;
    }
    return NULL;
}
