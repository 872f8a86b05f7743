/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/mutant.h"

/*
 * A block of memory allocated through the host. All are kept in a list, so bench_abandon() can free
 * the memory of a broken filesystem.
 */
struct given {
    struct given *next, *before;
    max_align_t at[];
};

static void *take(struct bench *bench, size_t bytes)
{
    struct given *given = malloc(sizeof *given + bytes);

    pthread_mutex_lock(&bench->given_mutex);
    given->before = NULL;
    given->next = bench->given;
    if (given->next)
        given->next->before = given;
    bench->given = given;
    pthread_mutex_unlock(&bench->given_mutex);
    return given->at;
}

static void give(struct bench *bench, void *at)
{
    struct given *given = (struct given *)((char *)at - offsetof(struct given, at));

    pthread_mutex_lock(&bench->given_mutex);
    if (given->before)
        given->before->next = given->next;
    else
        bench->given = given->next;
    if (given->next)
        given->next->before = given->before;
    pthread_mutex_unlock(&bench->given_mutex);
    free(given);
}

static void *host_alloc(void *ctx, size_t bytes)
{
    struct bench *bench = ctx;

    if (bench->allocs_left >= 0 && bench->allocs_left-- == 0)
        return NULL;
    return bench->explorer ? ext2dax_explorer_alloc(bench->explorer, bytes) : take(bench, bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    struct bench *bench = ctx;

    if (bench->explorer)
        ext2dax_explorer_release(bench->explorer, at, bytes);
    else
        give(bench, at);
}

static void host_time(void *ctx, struct ext2dax_time *now)
{
    const struct bench *bench = ctx;

    if (bench->clock)
        bench->clock();
    *now = bench->present;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    struct bench *bench = ctx;

    bench->reports++;
    bench->last = *report;
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    struct bench *bench = ctx;
    struct ext2dax_host explored;

    if (bench->explorer) {
        explored = ext2dax_explorer_host(bench->explorer);
        explored.ops->panic(explored.ctx, file, line, what);
    }
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

/*
 * Copies 8-byte words where both addresses are aligned, as a processor does. A mapping of the same
 * block may be stored to at the same time. That race is the tested program's own, so the race
 * detector ignores this function.
 */
#if defined(__SANITIZE_THREAD__)
__attribute__((no_sanitize_thread))
#elif defined(__clang__)
__attribute__((no_sanitize("thread")))
#endif
void bench_copy(void *to, const void *from, size_t bytes)
{
    volatile unsigned char *to_byte = to;
    const volatile unsigned char *from_byte = from;
    size_t i = 0;

    if (((uintptr_t)to & 7) == 0 && ((uintptr_t)from & 7) == 0) {
        for (; i + 8 <= bytes; i += 8)
            *(volatile uint64_t *)((uintptr_t)to + i) = *(const volatile uint64_t *)((uintptr_t)from + i);
    }
    for (; i < bytes; i++)
        to_byte[i] = from_byte[i];
}

static size_t host_copy_out(void *ctx, void *to, const void *from, size_t bytes)
{
    (void)ctx;
    bench_copy(to, from, bytes);
    return bytes;
}

/* The core calls this op without locks held, so an embedder may do anything in it. */
static void host_released(void *ctx, struct ext2dax_inode *inode)
{
    struct bench *bench = ctx;

    bench->released = inode;
    if (bench->order)
        ext2dax_lock_order_returned(bench->order);
}

static bool host_may_use_reserved(void *ctx)
{
    const struct bench *bench = ctx;

    return !bench->nobody;
}

static size_t host_copy_in(void *ctx, void *to, const void *from, size_t bytes)
{
    struct bench *bench = ctx;

    if (bytes > bench->copy_left)
        bytes = bench->copy_left;
    if (bench->copy_left != SIZE_MAX)
        bench->copy_left -= bytes;
    bench_copy(to, from, bytes);
    return bytes;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof host_ops,
    .alloc = host_alloc,
    .release = host_release,
    .log = host_log,
    .panic = host_panic,
    .copy_out = host_copy_out,
    .copy_in = host_copy_in,
    .may_use_reserved = host_may_use_reserved,
    .inode_released = host_released,
    .time = host_time,
};

static int count_fence(void *ctx)
{
    (void)ctx;
    return 0;
}

static int find_poison(void *ctx, const void *at, size_t length)
{
    const struct bench *bench = ctx;
    uintptr_t into = (uintptr_t)bench->poison - (uintptr_t)at;

    return bench->poison && into < length ? -EXT2DAX_EIO : 0;
}

/*
 * Stores the old content of free blocks, which no caller may ever see. A medium may leave anything
 * in a discarded block.
 */
static int discard(void *ctx, void *at, size_t length)
{
    (void)ctx;
    memset(at, 0xA5, length);
    return 0;
}

/* Heap memory with a fence op, so the core counts its fences. */
static const struct ext2dax_memory_ops fenced_ops = {
    .size = sizeof fenced_ops, .fence = count_fence, .check = find_poison, .discard = discard};

/*
 * Copies only the given bytes to the durable image. A real write-back includes the rest of the
 * cache line, so this version is stricter.
 */
static int write_back(void *ctx, const void *at, size_t length)
{
    const struct bench *bench = ctx;

    bench_copy(bench->durable + ((const unsigned char *)at - (const unsigned char *)bench->memory.base), at, length);
    return 0;
}

static const struct ext2dax_memory_ops durable_ops = {
    .size = sizeof durable_ops, .persist = write_back, .fence = count_fence};

/*
 * Zeroes the range. Drops whole pages of the machine running the test, which then read as zeroes,
 * so PMD ranges of 512 MiB cost no memory.
 */
static int sparse_zero(void *ctx, void *at, size_t length)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at, to = from + length;
    uintptr_t first = (from + page - 1) & ~(page - 1), end = to & ~(page - 1);

    (void)ctx;
    if (end <= first || madvise((void *)first, end - first, MADV_DONTNEED) != 0)
        first = end = to;
    memset(at, 0, first - from);
    memset((void *)end, 0, to - end);
    return 0;
}

static const struct ext2dax_memory_ops sparse_ops = {
    .size = sizeof sparse_ops, .zero = sparse_zero, .fence = count_fence};

/* Reserves aligned memory and unmaps the parts before and after the aligned range. */
static void open_sparse(struct bench *bench, size_t size, size_t align)
{
    char *at = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t head = (size_t)(-(uintptr_t)at & (align - 1));

    ck_assert(at != MAP_FAILED);
    if (head > 0)
        munmap(at, head);
    if (head < align)
        munmap(at + head + size, align - head);
    bench->memory = (struct ext2dax_memory){.ops = &sparse_ops, .base = at + head, .size = size};
    bench->sparse = true;
}

static void close_memory(struct bench *bench)
{
    if (bench->sparse)
        munmap(bench->memory.base, bench->memory.size);
    else
        ext2dax_memory_close_heap(&bench->memory);
}

static void order_broken(void *arg, const char *text)
{
    struct bench *bench = arg;

    if (bench->explorer) {
        ext2dax_explorer_fail(bench->explorer, "%s", text);
        return;
    }
    pthread_mutex_lock(&bench->given_mutex);
    snprintf(bench->broken, sizeof bench->broken, "%s", text);
    pthread_mutex_unlock(&bench->given_mutex);
}

static void check_order(struct bench *bench)
{
    if (!bench->order)
        return;
    ext2dax_lock_order_returned(bench->order);
    if (ext2dax_lock_order_broken(bench->order) != 0)
        ck_abort_msg("%s", bench->broken);
}

static void open_locks(struct bench *bench, struct ext2dax_locks locks, bool blind)
{
    struct ext2dax_host host = bench->explorer ? ext2dax_explorer_host(bench->explorer) : ext2dax_host_default();

    bench->locks = locks;
    if (blind)
        return;
    bench->order = ext2dax_lock_order_open_on(&host, locks, order_broken, bench);
    ck_assert_ptr_nonnull(bench->order);
    bench->locks = ext2dax_lock_order_locks(bench->order);
}

/* Opens memory filled with 0xA5. No caller may ever see this old content of free blocks. */
static void open_memory(struct bench *bench, size_t size)
{
    if (bench->explorer) {
        ck_assert_int_eq(ext2dax_explorer_memory(bench->explorer, size, 0xA5, &bench->memory), 0);
        return;
    }
    ck_assert_int_eq(ext2dax_memory_open_heap(size, &bench->memory), 0);
    memset(bench->memory.base, 0xA5, bench->memory.size);
}

static struct ext2dax_model *open_model(struct bench *bench, unsigned huge_order)
{
    struct ext2dax_host host = bench->explorer ? ext2dax_explorer_host(bench->explorer) : ext2dax_host_default();

    return ext2dax_model_open_on(&host, &bench->memory, bench->locks, bench->page_size, huge_order);
}

void bench_open(struct bench *bench, const struct bench_options *options)
{
    struct ext2dax_format_options format = {.size = sizeof format,
                                            .block_size = options->block_size,
                                            .reserved_percent = options->reserved_percent,
                                            .blocks_per_group = options->blocks_per_group,
                                            .inodes = options->inodes,
                                            .time = 1700000000};
    struct ext2dax_mount_options mount = {.size = sizeof mount,
                                          .flags = options->discard ? EXT2DAX_MOUNT_DISCARD : 0,
                                          .order = options->order,
                                          .page_shift = options->page_shift,
                                          .huge_order = options->huge_order,
                                          .recover = ext2dax_recover,
                                          .verify = ext2dax_verify};
    struct ext2dax_locks locks = options->explorer ? ext2dax_explorer_locks(options->explorer)
                                 : options->locks  ? ext2dax_locks_by_name(options->locks)
                                                   : ext2dax_locks_default();
    struct ext2dax_plugs plugs = {.host = {&host_ops, bench}};
    struct ext2dax_statfs figures;
    unsigned page_shift = options->page_shift ? options->page_shift : 12;

    if (getenv("EXT2DAX_MUTANT"))
        ck_assert_int_eq(ext2dax_mutant_activate(getenv("EXT2DAX_MUTANT")), 0);
    memset(bench, 0, sizeof *bench);
    pthread_mutex_init(&bench->given_mutex, NULL);
    bench->allocs_left = -1;
    bench->explorer = options->explorer;
    bench->copy_left = SIZE_MAX;
    bench->present.seconds = 1700000000;
    open_locks(bench, locks, options->blind);
    plugs.locks = bench->locks;
    bench->page_size = 1u << page_shift;
    if (options->sparse)
        open_sparse(bench, options->size, (size_t)bench->page_size << options->huge_order);
    else
        open_memory(bench, options->size);
    bench->model = open_model(bench, options->huge_order ? options->huge_order : page_shift - 3);
    ck_assert_ptr_nonnull(bench->model);
    ck_assert_int_eq(ext2dax_format(&bench->memory, &format, NULL), 0);
    plugs.memory = bench->memory;
    if (!options->sparse) {
        plugs.memory.ops = &fenced_ops;
        plugs.memory.ctx = bench;
    }
    if (options->durable) {
        bench->durable =
            options->explorer ? ext2dax_explorer_alloc(options->explorer, options->size) : malloc(options->size);
        ck_assert_ptr_nonnull(bench->durable);
        memcpy(bench->durable, bench->memory.base, options->size);
        plugs.memory.ops = &durable_ops;
        plugs.memory.ctx = bench;
    }
    plugs.address_space = ext2dax_model_address_space(bench->model);
    if (bench->explorer)
        plugs.address_space = ext2dax_explorer_watch(bench->explorer, plugs.address_space);
    bench->plugs = plugs;
    bench->mount_options = mount;
    ck_assert_int_eq(ext2dax_mount(&plugs, &mount, &bench->mount), 0);
    ext2dax_statfs(bench->mount, &figures, sizeof(figures));
    bench->block_size = figures.block_size;
    bench->pmd_pages = figures.pmd_pages;
    ck_assert_int_eq(ext2dax_inode_get(bench->mount, EXT2DAX_ROOT_INODE, &bench->root), 0);
}

void bench_remount(struct bench *bench)
{
    ext2dax_inode_put(bench->root);
    ck_assert_int_eq(ext2dax_unmount(bench->mount), 0);
    ck_assert_int_eq(ext2dax_mount(&bench->plugs, &bench->mount_options, &bench->mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(bench->mount, EXT2DAX_ROOT_INODE, &bench->root), 0);
}

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    ext2dax_finding_text(finding, text, sizeof text);
    fprintf(stderr, "finding: %s\n", text);
}

static void print_mapping(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what)
{
    (void)arg;
    fprintf(stderr, "inode %u page %llu: %s\n", (unsigned)inode->number, (unsigned long long)page, what);
}

void bench_check(struct bench *bench)
{
    ck_assert_int_eq(ext2dax_check_image(bench->memory.base, bench->memory.size,
                                         EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK, print_finding, NULL, NULL),
                     0);
    ck_assert_int_eq(ext2dax_model_check(bench->model, print_mapping, NULL), 0);
    ck_assert_int_eq(ext2dax_model_complaints(bench->model), 0);
    check_order(bench);
}

void bench_close(struct bench *bench)
{
    ext2dax_inode_put(bench->root);
    ck_assert_int_eq(ext2dax_unmount(bench->mount), 0);
    ck_assert_int_eq(ext2dax_check_image(bench->memory.base, bench->memory.size, 0, print_finding, NULL, NULL), 0);
    ext2dax_model_close(bench->model);
    check_order(bench);
    ext2dax_lock_order_close(bench->order);
    close_memory(bench);
    free(bench->durable);
    pthread_mutex_destroy(&bench->given_mutex);
}

void bench_abandon(struct bench *bench)
{
    while (bench->given)
        give(bench, bench->given->at);
    ext2dax_model_close(bench->model);
    ext2dax_lock_order_close(bench->order);
    close_memory(bench);
    free(bench->durable);
    pthread_mutex_destroy(&bench->given_mutex);
}

struct ext2dax_inode *bench_create(struct bench *bench, const char *name)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_create(bench->root, name, strlen(name), 0644, 0, 0, &inode), 0);
    return inode;
}

void bench_unlink(struct bench *bench, const char *name)
{
    ck_assert_int_eq(ext2dax_unlink(bench->root, name, strlen(name)), 0);
}

uint64_t bench_free_blocks(struct bench *bench)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(bench->mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

uint64_t bench_size(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.size;
}

uint64_t bench_physical(struct ext2dax_inode *inode, uint64_t logical)
{
    struct ext2dax_run run;

    ck_assert_int_eq(ext2dax_map(inode, logical, 1, &run), 0);
    return run.physical;
}

uintptr_t bench_fences(struct bench *bench)
{
    struct ext2dax_counters counters;

    ext2dax_count(bench->mount, &counters, sizeof(counters));
    return counters.fences;
}

uint32_t bench_noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
