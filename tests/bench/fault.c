/* SPDX-License-Identifier: MIT */
/*
 * Measures the cost that the library adds to a page fault, with an address space that installs
 * nothing. The floor is the work any fault on a mapped block needs. This is the pair of lock
 * operations of the same backend, and the loads of the pointers from the same image. Library and
 * floor alternate within each round, and each figure is the median of the rounds. The rows with two
 * threads give the wall time per fault of both together, so a half of the row with one thread is
 * perfect scaling.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "result.h"

#define ROUNDS     9
#define CALLS      200000u
#define MEBIBYTES  256u
#define PAGES      (MEBIBYTES << 8)
#define LEAF_SHIFT 10
#define THREADS    2

/* The faults of one thread. */
struct work {
    struct ext2dax_inode *file;
    const unsigned char *base; /* the image */
    struct ext2dax_locks locks;
    struct ext2dax_lock lock; /* for the floor */
    uint64_t mapping_count;   /* pages */
    uint64_t pages_wanted;
    uint32_t first, pages; /* the part of the file that is accessed */
    bool write;
    uint64_t installed;    /* pages, by the address space */
    volatile uint64_t sum; /* of the floor */
};

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- an address space without pages ---- */

static enum ext2dax_fault_result map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    struct work *work = fault->cookie;

    (void)ctx;
    work->installed += mapping->count;
    return EXT2DAX_FAULT_NOPAGE;
}

static void unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    (void)ctx;
    (void)inode;
    (void)first;
    (void)count;
    (void)private_too;
}

static uint64_t protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    (void)ctx;
    (void)inode;
    (void)first;
    (void)count;
    (void)run;
    return 0;
}

static const struct ext2dax_address_space_ops space_ops = {
    .size = sizeof(space_ops), .map = map, .unmap = unmap, .protect = protect};

/* ---- library and floor ---- */

static void *faults(void *arg)
{
    struct work *work = arg;
    struct ext2dax_fault fault;
    uint32_t state = work->first + 1;

    memset(&fault, 0, sizeof(fault));
    fault.inode = work->file;
    fault.mapping_count = work->mapping_count;
    fault.pages_wanted = work->pages_wanted;
    fault.shared = true;
    fault.write = work->write;
    fault.cookie = work;
    for (uint32_t i = 0; i < CALLS; i++) {
        fault.page = work->first + draw(&state) % work->pages;
        if (work->mapping_count == 16)
            fault.mapping_first = fault.page & ~(uint64_t)15;
        if (ext2dax_fault(&fault) != EXT2DAX_FAULT_NOPAGE)
            abort();
    }
    return NULL;
}

static const struct ext2dax_le32 *pointers(const struct work *work, uint32_t block)
{
    return (const void *)(work->base + ((size_t)block << 12));
}

static uint32_t load(const struct ext2dax_le32 *at)
{
    return *(const volatile uint32_t *)&at->le;
}

static uint32_t block_of(const struct work *work, uint32_t page)
{
    const struct ext2dax_le32 *top = work->file->disk->block;

    if (page < EXT2DAX_DIRECT)
        return load(&top[page]);
    page -= EXT2DAX_DIRECT;
    if (page < 1u << LEAF_SHIFT)
        return load(&pointers(work, load(&top[EXT2DAX_IND]))[page]);
    page -= 1u << LEAF_SHIFT;
    return load(&pointers(
        work, load(&pointers(work, load(&top[EXT2DAX_DIND]))[page >> LEAF_SHIFT]))[page & ((1u << LEAF_SHIFT) - 1)]);
}

static void least(struct work *work)
{
    const struct ext2dax_locks *locks = &work->locks;
    uint32_t state = work->first + 1;

    for (uint32_t i = 0; i < CALLS; i++) {
        locks->ops->read_lock(locks->ctx, &work->lock);
        work->sum += block_of(work, work->first + draw(&state) % work->pages);
        locks->ops->read_unlock(locks->ctx, &work->lock);
    }
}

/* ---- rows ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

static double alone(struct work *work)
{
    double begun = now();

    faults(work);
    return (now() - begun) / CALLS;
}

static double together(struct work *works)
{
    pthread_t threads[THREADS];
    double begun = now();

    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, faults, &works[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    return (now() - begun) / (CALLS * THREADS);
}

/* `bar` as in result_row(). */
static void row(const char *locks, const char *what, struct work *works, bool threads, double bar)
{
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];

    for (int i = -1; i < ROUNDS; i++) { /* the first round is not counted */
        double figure = threads ? together(works) : alone(works), begun = now(), floor;

        least(works);
        floor = (now() - begun) / CALLS;
        if (i >= 0) {
            ours[i] = figure;
            theirs[i] = floor;
            ratio[i] = figure / floor;
        }
    }
    printf("%-10s  %-46s %8.1f %8.1f %8.1f\n", locks, what, median(ours), median(theirs), median(ratio));
    result_row(what, locks, "ns", median(ours), median(theirs), median(ratio), bar, ROUNDS);
}

static void rows(const char *locks, struct work *work, struct ext2dax_inode *other, bool threads)
{
    struct work both[THREADS];

    work->mapping_count = 16;
    row(locks, "read, mapping of 16 pages", work, false, 2.5);
    work->mapping_count = PAGES;
    row(locks, "read, whole file mapped", work, false, 2.5);
    work->pages_wanted = UINT64_MAX;
    row(locks, "read, whole file mapped, all pages wanted", work, false, 0);
    work->pages_wanted = 0;
    work->write = true;
    row(locks, "write", work, false, 0);
    if (!threads)
        return;
    for (unsigned i = 0; i < THREADS; i++) {
        both[i] = *work;
        both[i].write = false;
        both[i].first = i * (PAGES / THREADS);
        both[i].pages = PAGES / THREADS;
    }
    row(locks, "read, two threads, one file", both, true, 0);
    for (unsigned i = 0; i < THREADS; i++)
        both[i].write = true;
    row(locks, "write, two threads, one file, ranges apart", both, true, 0);
    both[1].file = other;
    for (unsigned i = 0; i < THREADS; i++)
        both[i].write = false;
    row(locks, "read, two threads, two files", both, true, 0);
}

static int bench_with(const char *locks, const struct ext2dax_memory *memory)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_by_name(locks),
                                  .memory = *memory,
                                  .host = ext2dax_host_default(),
                                  .address_space = {&space_ops, NULL}};
    struct ext2dax_format_options format = {.size = sizeof(format)};
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_inode *root, *other;
    struct work work;
    struct ext2dax_mount *mount;
    int error;

    if (!plugs.locks.ops) {
        printf("%-10s  not in this build\n", locks);
        return 0;
    }
    memset(&work, 0, sizeof(work));
    if ((error = ext2dax_format(memory, &format, &plugs.host)) != 0 ||
        (error = ext2dax_mount(&plugs, &options, &mount)) != 0 ||
        (error = ext2dax_lookup_path(mount, "/", 1, 0, &root)) != 0 ||
        (error = ext2dax_create(root, "file", 4, 0644, 0, 0, &work.file)) != 0 ||
        (error = ext2dax_create(root, "other", 5, 0644, 0, 0, &other)) != 0 ||
        (error = ext2dax_allocate(work.file, 0, (uint64_t)PAGES << 12, false)) != 0 ||
        (error = ext2dax_allocate(other, 0, (uint64_t)PAGES << 12, false)) != 0 ||
        (error = plugs.locks.ops->init(plugs.locks.ctx, &work.lock, EXT2DAX_LOCK_DAX_SEM, 0)) != 0) {
        fprintf(stderr, "%s\n", ext2dax_strerror(error));
        return 1;
    }
    work.base = memory->base;
    work.locks = plugs.locks;
    work.pages = PAGES;
    rows(locks, &work, other, strcmp(locks, "none") != 0);
    if (plugs.locks.ops->destroy)
        plugs.locks.ops->destroy(plugs.locks.ctx, &work.lock);
    ext2dax_inode_put(other);
    ext2dax_inode_put(work.file);
    ext2dax_inode_put(root);
    return ext2dax_unmount(mount) != 0;
}

int main(void)
{
    static const char *const locks[] = {"none", "atomic_ops", "pthread"};
    struct ext2dax_memory memory;
    int failed = 0;

    if (ext2dax_memory_open_heap((size_t)(3 * MEBIBYTES) << 20, &memory) != 0) {
        fprintf(stderr, "no memory\n");
        return 2;
    }
    if (!result_begin("fault"))
        return 2;
    printf("ns a fault on a mapped block, median of %d rounds\n", ROUNDS);
    printf("%-10s  %-46s %8s %8s %8s\n", "locks", "fault", "library", "floor", "ratio");
    for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
        failed |= bench_with(locks[i], &memory);
    ext2dax_memory_close_heap(&memory);
    return failed || !result_end();
}
