/* SPDX-License-Identifier: MIT */
/*
 * Measures the cost of ext2dax_map() against a floor. The floor is the loads any lookup needs, from
 * the pointer blocks of the same image, without checks, locks or calls. Library and floor alternate
 * within each round, so a disturbance affects both. The result is the median of the ratios per
 * round. Every result of the library is compared with the floor.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "result.h"

#define ROUNDS      9
#define CALLS       1000000u
#define BLOCK_SHIFT 12
#define LEAF_SHIFT  10

struct bench {
    struct ext2dax_inode *file;
    uint32_t blocks;
    const unsigned char *base;      /* the image */
    const struct ext2dax_le32 *top; /* the pointers in the inode */
    uint32_t *order;
    uint64_t sum; /* of the results, so the compiler cannot drop any */
};

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

/* `volatile` keeps the compiler from vectorizing the loads. */
static uint32_t load(const struct ext2dax_le32 *at)
{
    return *(const volatile uint32_t *)&at->le;
}

static const struct ext2dax_le32 *pointers(const struct bench *b, uint32_t block)
{
    return (const void *)(b->base + ((size_t)block << BLOCK_SHIFT));
}

/* Returns a single block number per call, as a caller needs it. Little-endian machines only. */
static uint32_t floor_block(const struct bench *b, uint32_t logical)
{
    if (logical < EXT2DAX_DIRECT)
        return load(&b->top[logical]);
    logical -= EXT2DAX_DIRECT;
    if (logical < 1u << LEAF_SHIFT)
        return load(&pointers(b, load(&b->top[EXT2DAX_IND]))[logical]);
    logical -= 1u << LEAF_SHIFT;
    return load(&pointers(
        b, load(&pointers(b, load(&b->top[EXT2DAX_DIND]))[logical >> LEAF_SHIFT]))[logical & ((1u << LEAF_SHIFT) - 1)]);
}

static uint64_t mapped_block(const struct bench *b, uint32_t logical)
{
    struct ext2dax_run run;

    return ext2dax_map(b->file, logical, 1, &run) == 0 ? run.physical : 0;
}

static void random_map(struct bench *b)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < CALLS; i++)
        sum += mapped_block(b, b->order[i]);
    b->sum = sum;
}

static void random_floor(struct bench *b)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < CALLS; i++)
        sum += floor_block(b, b->order[i]);
    b->sum = sum;
}

static void sequential_map(struct bench *b)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < b->blocks; i++)
        sum += mapped_block(b, i);
    b->sum = sum;
}

static void hinted_map(struct bench *b)
{
    uint64_t sum = 0;
    struct ext2dax_map_hint hint = {NULL, {0, 0, 0}, 0};

    for (uint32_t i = 0; i < b->blocks; i++)
        sum += (uint64_t)ext2dax_map_block(b->file, i, &hint);
    b->sum = sum;
}

static void sequential_floor(struct bench *b)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < b->blocks; i++)
        sum += floor_block(b, i);
    b->sum = sum;
}

static void runs_map(struct bench *b)
{
    uint64_t sum = 0;
    struct ext2dax_run run;

    for (uint64_t at = 0; at < b->blocks; at += run.length) {
        if (ext2dax_map(b->file, at, b->blocks - at, &run) != 0)
            return;
        sum += run.physical + run.length;
    }
    b->sum = sum;
}

static void runs_floor(struct bench *b)
{
    uint64_t sum = 0;
    uint32_t at = 0;

    while (at < b->blocks) {
        uint32_t first = floor_block(b, at), length = 1;

        while (at + length < b->blocks && floor_block(b, at + length) == first + length)
            length++;
        sum += first + length;
        at += length;
    }
    b->sum = sum;
}

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

/*
 * Prints both times in nanoseconds and their ratio. `bar` is as in result_row(). Returns 1 if the
 * results differ.
 */
static int measure(struct bench *b, const char *locks, const char *what, double bar, uint32_t steps,
                   void (*library)(struct bench *), void (*least)(struct bench *))
{
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];
    int differs = 0;

    for (int i = -1; i < ROUNDS; i++) { /* the first round is not counted */
        double begun, between, end;
        uint64_t said;

        b->sum = 0;
        begun = now();
        library(b);
        between = now();
        said = b->sum;
        b->sum = 0;
        least(b);
        end = now();
        differs |= said != b->sum;
        if (i >= 0) {
            ours[i] = (between - begun) / steps;
            theirs[i] = (end - between) / steps;
            ratio[i] = ours[i] / theirs[i];
        }
    }
    printf("%-10s  %-28s %8.2f %8.2f %8.1f%s\n", locks, what, median(ours), median(theirs), median(ratio),
           differs ? "  ANSWERS DIFFER" : "");
    result_row(what, locks, "ns", median(ours), median(theirs), median(ratio), bar, ROUNDS);
    return differs;
}

/* Draws the same numbers in every run, so every run maps the same blocks. */
static uint32_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static int choose_order(struct bench *b)
{
    uint64_t state = 1;

    b->top = b->file->disk->block;
    b->order = calloc(CALLS, sizeof(*b->order));
    if (!b->order)
        return -EXT2DAX_ENOMEM;
    for (uint32_t i = 0; i < CALLS; i++)
        b->order[i] = draw(&state) % b->blocks;
    return 0;
}

static int bench_with(const char *locks, const struct ext2dax_memory *memory, uint64_t bytes)
{
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_by_name(locks), .memory = *memory, .host = ext2dax_host_default()};
    struct ext2dax_format_options format = {.size = sizeof(format)};
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct bench b = {.blocks = (uint32_t)(bytes >> BLOCK_SHIFT), .base = memory->base};
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    int error;

    if (!plugs.locks.ops) {
        printf("%-10s  not in this build\n", locks);
        return 0;
    }
    if ((error = ext2dax_format(memory, &format, &plugs.host)) != 0 ||
        (error = ext2dax_mount(&plugs, &options, &mount)) != 0 ||
        (error = ext2dax_lookup_path(mount, "/", 1, 0, &root)) != 0 ||
        (error = ext2dax_create(root, "file", 4, 0644, 0, 0, &b.file)) != 0 ||
        (error = ext2dax_allocate(b.file, 0, bytes, false)) != 0 || (error = choose_order(&b)) != 0) {
        fprintf(stderr, "%s\n", ext2dax_strerror(error));
        return 1;
    }
    error = measure(&b, locks, "random, one block a call", strcmp(locks, "none") == 0 ? 3 : 0, CALLS, random_map,
                    random_floor);
    error |= measure(&b, locks, "in order, one block a call", 0, b.blocks, sequential_map, sequential_floor);
    error |= measure(&b, locks, "in order, one block, hint", 4, b.blocks, hinted_map, sequential_floor);
    error |= measure(&b, locks, "in order, whole runs", 1.2, b.blocks, runs_map, runs_floor);

    free(b.order);
    ext2dax_inode_put(b.file);
    ext2dax_inode_put(root);
    return error | (ext2dax_unmount(mount) != 0);
}

int main(int argc, char **argv)
{
    static const char *const locks[] = {"none", "atomic_ops", "pthread"};
    uint64_t bytes = (argc > 1 ? strtoull(argv[1], NULL, 10) : 256) << 20;
    struct ext2dax_memory memory;
    int failed = 0;

    if (bytes == 0 || bytes > UINT64_C(1) << 40 ||
        ext2dax_memory_open_heap(bytes + bytes / 8 + (32u << 20), &memory) != 0) {
        fprintf(stderr, "usage: %s [MiB that the file has]\n", argv[0]);
        return 2;
    }
    if (!result_begin("map"))
        return 2;
    printf("a file of %" PRIu64 " MiB in 4 KiB blocks; ns a block, median of %d rounds\n", bytes >> 20, ROUNDS);
    printf("%-10s  %-28s %8s %8s %8s\n", "locks", "map", "library", "floor", "ratio");
    for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
        failed |= bench_with(locks[i], &memory, bytes);
    ext2dax_memory_close_heap(&memory);
    return failed || !result_end();
}
