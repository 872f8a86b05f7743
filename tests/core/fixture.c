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
 * A block of memory allocated through the host. All are kept in a list, so core_fixture_abandon()
 * can free the memory of a broken filesystem.
 */
struct given {
    struct given *next, *before;
    max_align_t at[];
};

static void *take(struct core_fixture *fixture, size_t bytes)
{
    struct given *given = malloc(sizeof *given + bytes);

    pthread_mutex_lock(&fixture->given_mutex);
    given->before = NULL;
    given->next = fixture->given;
    if (given->next)
        given->next->before = given;
    fixture->given = given;
    pthread_mutex_unlock(&fixture->given_mutex);
    return given->at;
}

static void give(struct core_fixture *fixture, void *at)
{
    struct given *given = (struct given *)((char *)at - offsetof(struct given, at));

    pthread_mutex_lock(&fixture->given_mutex);
    if (given->before)
        given->before->next = given->next;
    else
        fixture->given = given->next;
    if (given->next)
        given->next->before = given->before;
    pthread_mutex_unlock(&fixture->given_mutex);
    free(given);
}

static void *host_alloc(void *ctx, size_t bytes)
{
    struct core_fixture *fixture = ctx;

    if (fixture->no_memory)
        return NULL;
    if (fixture->allocs_left >= 0 && fixture->allocs_left-- == 0)
        return NULL;
    return fixture->explorer ? ext2dax_explorer_alloc(fixture->explorer, bytes) : take(fixture, bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    struct core_fixture *fixture = ctx;

    if (fixture->explorer)
        ext2dax_explorer_release(fixture->explorer, at, bytes);
    else
        give(fixture, at);
}

static void host_time(void *ctx, struct ext2dax_time *now)
{
    const struct core_fixture *fixture = ctx;

    if (fixture->clock)
        fixture->clock();
    *now = fixture->present;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    struct core_fixture *fixture = ctx;

    fixture->reports++;
    fixture->last = *report;
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    struct core_fixture *fixture = ctx;
    struct ext2dax_host explored;

    if (fixture->explorer) {
        explored = ext2dax_explorer_host(fixture->explorer);
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
void core_fixture_copy(void *to, const void *from, size_t bytes)
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
    core_fixture_copy(to, from, bytes);
    return bytes;
}

/* The core calls this op without locks held, so an embedder may do anything in it. */
static void host_released(void *ctx, struct ext2dax_inode *inode)
{
    struct core_fixture *fixture = ctx;

    fixture->released = inode;
    if (fixture->order)
        ext2dax_lock_order_returned(fixture->order);
}

static bool host_may_use_reserved(void *ctx)
{
    const struct core_fixture *fixture = ctx;

    return !fixture->nobody;
}

static size_t host_copy_in(void *ctx, void *to, const void *from, size_t bytes)
{
    struct core_fixture *fixture = ctx;

    if (bytes > fixture->copy_left)
        bytes = fixture->copy_left;
    if (fixture->copy_left != SIZE_MAX)
        fixture->copy_left -= bytes;
    core_fixture_copy(to, from, bytes);
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
    const struct core_fixture *fixture = ctx;
    uintptr_t into = (uintptr_t)fixture->poison - (uintptr_t)at;

    return fixture->poison && into < length ? -EXT2DAX_EIO : 0;
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
    const struct core_fixture *fixture = ctx;

    core_fixture_copy(fixture->durable + ((const unsigned char *)at - (const unsigned char *)fixture->memory.base), at,
                      length);
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
static void open_sparse(struct core_fixture *fixture, size_t size, size_t align)
{
    char *at = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t head = (size_t)(-(uintptr_t)at & (align - 1));

    ck_assert(at != MAP_FAILED);
    if (head > 0)
        munmap(at, head);
    if (head < align)
        munmap(at + head + size, align - head);
    fixture->memory = (struct ext2dax_memory){.ops = &sparse_ops, .base = at + head, .size = size};
    fixture->sparse = true;
}

static void close_memory(struct core_fixture *fixture)
{
    if (fixture->sparse)
        munmap(fixture->memory.base, fixture->memory.size);
    else
        ext2dax_memory_close_heap(&fixture->memory);
}

static void order_broken(void *arg, const char *text)
{
    struct core_fixture *fixture = arg;

    if (fixture->explorer) {
        ext2dax_explorer_fail(fixture->explorer, "%s", text);
        return;
    }
    pthread_mutex_lock(&fixture->given_mutex);
    snprintf(fixture->broken, sizeof fixture->broken, "%s", text);
    pthread_mutex_unlock(&fixture->given_mutex);
}

static void check_order(struct core_fixture *fixture)
{
    if (!fixture->order)
        return;
    ext2dax_lock_order_returned(fixture->order);
    if (ext2dax_lock_order_broken(fixture->order) != 0)
        ck_abort_msg("%s", fixture->broken);
}

static void open_locks(struct core_fixture *fixture, struct ext2dax_locks locks, bool blind)
{
    struct ext2dax_host host = fixture->explorer ? ext2dax_explorer_host(fixture->explorer) : ext2dax_host_default();

    fixture->locks = locks;
    if (blind)
        return;
    fixture->order = ext2dax_lock_order_open_on(&host, locks, order_broken, fixture);
    ck_assert_ptr_nonnull(fixture->order);
    fixture->locks = ext2dax_lock_order_locks(fixture->order);
}

/* Opens memory filled with 0xA5. No caller may ever see this old content of free blocks. */
static void open_memory(struct core_fixture *fixture, size_t size)
{
    if (fixture->explorer) {
        ck_assert_int_eq(ext2dax_explorer_memory(fixture->explorer, size, 0xA5, &fixture->memory), 0);
        return;
    }
    ck_assert_int_eq(ext2dax_memory_open_heap(size, &fixture->memory), 0);
    memset(fixture->memory.base, 0xA5, fixture->memory.size);
}

static struct ext2dax_model *open_model(struct core_fixture *fixture, unsigned huge_order)
{
    struct ext2dax_host host = fixture->explorer ? ext2dax_explorer_host(fixture->explorer) : ext2dax_host_default();

    return ext2dax_model_open_on(&host, &fixture->memory, fixture->locks, fixture->page_size, huge_order);
}

void core_fixture_open(struct core_fixture *fixture, const struct core_fixture_options *options)
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
    struct ext2dax_plugs plugs = {.host = {&host_ops, fixture}};
    struct ext2dax_statfs figures;
    unsigned page_shift = options->page_shift ? options->page_shift : 12;

    if (getenv("EXT2DAX_MUTANT"))
        ck_assert_int_eq(ext2dax_mutant_activate(getenv("EXT2DAX_MUTANT")), 0);
    memset(fixture, 0, sizeof *fixture);
    pthread_mutex_init(&fixture->given_mutex, NULL);
    fixture->allocs_left = -1;
    fixture->no_memory = false;
    fixture->explorer = options->explorer;
    fixture->copy_left = SIZE_MAX;
    fixture->present.seconds = 1700000000;
    open_locks(fixture, locks, options->blind);
    plugs.locks = fixture->locks;
    fixture->page_size = 1u << page_shift;
    if (options->sparse)
        open_sparse(fixture, options->size, (size_t)fixture->page_size << options->huge_order);
    else
        open_memory(fixture, options->size);
    fixture->model = open_model(fixture, options->huge_order ? options->huge_order : page_shift - 3);
    ck_assert_ptr_nonnull(fixture->model);
    ck_assert_int_eq(ext2dax_format(&fixture->memory, &format, NULL), 0);
    plugs.memory = fixture->memory;
    if (!options->sparse) {
        plugs.memory.ops = &fenced_ops;
        plugs.memory.ctx = fixture;
    }
    if (options->durable) {
        fixture->durable =
            options->explorer ? ext2dax_explorer_alloc(options->explorer, options->size) : malloc(options->size);
        ck_assert_ptr_nonnull(fixture->durable);
        memcpy(fixture->durable, fixture->memory.base, options->size);
        plugs.memory.ops = &durable_ops;
        plugs.memory.ctx = fixture;
    }
    plugs.address_space = ext2dax_model_address_space(fixture->model);
    if (fixture->explorer)
        plugs.address_space = ext2dax_explorer_watch(fixture->explorer, plugs.address_space);
    fixture->plugs = plugs;
    fixture->mount_options = mount;
    ck_assert_int_eq(ext2dax_mount(&plugs, &mount, &fixture->mount), 0);
    ext2dax_statfs(fixture->mount, &figures, sizeof(figures));
    fixture->block_size = figures.block_size;
    fixture->pmd_pages = figures.pmd_pages;
    ck_assert_int_eq(ext2dax_inode_get(fixture->mount, EXT2DAX_ROOT_INODE, &fixture->root), 0);
}

void core_fixture_remount(struct core_fixture *fixture)
{
    ext2dax_inode_put(fixture->root);
    ck_assert_int_eq(ext2dax_unmount(fixture->mount), 0);
    ck_assert_int_eq(ext2dax_mount(&fixture->plugs, &fixture->mount_options, &fixture->mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(fixture->mount, EXT2DAX_ROOT_INODE, &fixture->root), 0);
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

void core_fixture_check(struct core_fixture *fixture)
{
    ck_assert_int_eq(ext2dax_check_image(fixture->memory.base, fixture->memory.size,
                                         EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK, print_finding, NULL, NULL),
                     0);
    ck_assert_int_eq(ext2dax_model_check(fixture->model, print_mapping, NULL), 0);
    ck_assert_int_eq(ext2dax_model_complaints(fixture->model), 0);
    check_order(fixture);
}

void core_fixture_close(struct core_fixture *fixture)
{
    ext2dax_inode_put(fixture->root);
    ck_assert_int_eq(ext2dax_unmount(fixture->mount), 0);
    ck_assert_int_eq(ext2dax_check_image(fixture->memory.base, fixture->memory.size, 0, print_finding, NULL, NULL), 0);
    ext2dax_model_close(fixture->model);
    check_order(fixture);
    ext2dax_lock_order_close(fixture->order);
    close_memory(fixture);
    free(fixture->durable);
    pthread_mutex_destroy(&fixture->given_mutex);
}

void core_fixture_abandon(struct core_fixture *fixture)
{
    while (fixture->given)
        give(fixture, fixture->given->at);
    ext2dax_model_close(fixture->model);
    ext2dax_lock_order_close(fixture->order);
    close_memory(fixture);
    free(fixture->durable);
    pthread_mutex_destroy(&fixture->given_mutex);
}

struct ext2dax_inode *core_fixture_create(struct core_fixture *fixture, const char *name)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_create(fixture->root, name, strlen(name), 0644, 0, 0, &inode), 0);
    return inode;
}

void core_fixture_unlink(struct core_fixture *fixture, const char *name)
{
    ck_assert_int_eq(ext2dax_unlink(fixture->root, name, strlen(name)), 0);
}

uint64_t core_fixture_free_blocks(struct core_fixture *fixture)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(fixture->mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

uint64_t core_fixture_size(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.size;
}

uint64_t core_fixture_physical(struct ext2dax_inode *inode, uint64_t logical)
{
    struct ext2dax_run run;

    ck_assert_int_eq(ext2dax_map(inode, logical, 1, &run), 0);
    return run.physical;
}

uintptr_t core_fixture_fences(struct core_fixture *fixture)
{
    struct ext2dax_counters counters;

    ext2dax_count(fixture->mount, &counters, sizeof(counters));
    return counters.fences;
}

uint32_t core_fixture_noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
