/* SPDX-License-Identifier: MIT */
#include "plugs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "../host_ops.h"

#include "reports.h"
#include "tree.h"

#define GUARD ((size_t)65536)

struct fuzz_counts fuzz_counts;

static void *host_alloc(void *ctx, size_t bytes)
{
    void *at = malloc(bytes);

    (void)ctx;
    MUST(at);
    memset(at, 0xA5, bytes);
    fuzz_counts.given++;
    return at;
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0x5A, bytes);
    free(at);
    fuzz_counts.given--;
}

static int64_t host_now(void *ctx)
{
    (void)ctx;
    return 1800000000;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    char text[512];

    (void)ctx;
    reports_note(report);
    MUST(ext2dax_report_text(report, text, sizeof(text)) < sizeof(text));
    if (getenv("FUZZ_SHOW"))
        (void)fprintf(stderr, "%s\n", text);
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    fuzz_fail(file, line, what);
}

struct ext2dax_host fuzz_host(void)
{
    static const struct ext2dax_host_ops ops = {.size = sizeof(ops),
                                                .alloc = host_alloc,
                                                .release = host_release,
                                                .now = host_now,
                                                .log = host_log,
                                                .panic = host_panic,
                                                .may_use_reserved = always_may_use_reserved};

    return (struct ext2dax_host){&ops, NULL};
}

/* The locks counted here. ext2dax_locks_none() ends the program where a lock would wait. */
static struct ext2dax_locks none;

static int lock_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    fuzz_counts.made++;
    return none.ops->init(ctx, lock, lock_class, number);
}
static void lock_destroy(void *ctx, struct ext2dax_lock *lock)
{
    fuzz_counts.made--;
    none.ops->destroy(ctx, lock);
}
static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    fuzz_counts.held++;
    none.ops->read_lock(ctx, lock);
}
static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    fuzz_counts.held--;
    none.ops->read_unlock(ctx, lock);
}
static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    fuzz_counts.held++;
    none.ops->write_lock(ctx, lock);
}
static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    fuzz_counts.held--;
    none.ops->write_unlock(ctx, lock);
}
static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = none.ops->try_read_lock(ctx, lock);

    fuzz_counts.held += got;
    return got;
}
static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = none.ops->try_write_lock(ctx, lock);

    fuzz_counts.held += got;
    return got;
}
static bool is_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    return none.ops->held(ctx, lock, mode);
}

static const struct ext2dax_lock_ops lock_ops = {sizeof(lock_ops), lock_init,  lock_destroy, read_lock,
                                                 read_unlock,      write_lock, write_unlock, try_read_lock,
                                                 try_write_lock,   is_held};

struct ext2dax_locks fuzz_locks(void)
{
    none = ext2dax_locks_none();
    return (struct ext2dax_locks){&lock_ops, NULL};
}

struct fuzz_area fuzz_area_open(size_t size, size_t alignment)
{
    size_t whole = (size + GUARD - 1) & ~(GUARD - 1), room = whole + alignment;
    struct fuzz_area area = {.mapped = room + 2 * GUARD};
    uintptr_t in_page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1, before;

    area.at = mmap(NULL, area.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(area.at != MAP_FAILED);
    area.base = area.at + GUARD + whole - size;
    if (alignment != 0)
        area.base = area.at + GUARD + ((0 - (uintptr_t)(area.at + GUARD)) & (alignment - 1));
    /*
     * Guards are whole pages. If the image does not start at a page, the bytes in front of the
     * image are accessible.
     */
    before = (uintptr_t)area.base & in_page;
    MUST(mprotect(area.base - before, size + before, PROT_READ | PROT_WRITE) == 0);
    return area;
}

void fuzz_area_close(const struct fuzz_area *area)
{
    MUST(munmap(area->at, area->mapped) == 0);
}
