/* SPDX-License-Identifier: MIT */
/*
 * Measures fsync of a file of 1,000 MiB by the number of dirty PMD ranges. The floor is the cost of
 * as many ranges as an inode records by itself, for each range. More ranges have marks in memory of
 * the host. Library and floor alternate within each round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "result.h"

#define ROUNDS    9
#define TURNS     100
#define MEBIBYTES 1000u
#define STEP      ((uint64_t)50 << 20) /* bytes between dirty ranges */

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
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

/* Returns the time of an fsync with `ranges` dirty PMD ranges, in nanoseconds. */
static double dirty_and_sync(struct ext2dax_inode *file, unsigned ranges)
{
    double begun, sum = 0;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned i = 0; i < ranges; i++) {
            if (ext2dax_write(file, i * STEP, "x", 1) != 1)
                exit(1);
        }
        begun = now();
        if (ext2dax_fsync(file) != 0)
            exit(1);
        sum += now() - begun;
    }
    return sum / TURNS;
}

static void row(struct ext2dax_inode *file, unsigned ranges)
{
    char what[64];
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];

    for (int i = -1; i < ROUNDS; i++) { /* the first round is not counted */
        double figure = dirty_and_sync(file, ranges);
        double floor = dirty_and_sync(file, EXT2DAX_DIRTY_SLOTS) * ranges / EXT2DAX_DIRTY_SLOTS;

        if (i >= 0) {
            ours[i] = figure;
            theirs[i] = floor;
            ratio[i] = figure / floor;
        }
    }
    printf("%2u dirty PMD ranges  %10.0f %10.0f %8.2f\n", ranges, median(ours), median(theirs), median(ratio));
    (void)snprintf(what, sizeof(what), "%u dirty PMD ranges", ranges);
    result_row(what, "none", "ns", median(ours), median(theirs), median(ratio), 1.2, ROUNDS);
}

int main(void)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_by_name("none"), .host = ext2dax_host_default()};
    struct ext2dax_format_options format = {.size = sizeof(format)};
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_inode *root, *file;
    struct ext2dax_mount *mount;
    int error;

    if (ext2dax_memory_open_heap((size_t)(MEBIBYTES + 100) << 20, &plugs.memory) != 0) {
        fprintf(stderr, "no memory\n");
        return 2;
    }
    if ((error = ext2dax_format(&plugs.memory, &format, &plugs.host)) != 0 ||
        (error = ext2dax_mount(&plugs, &options, &mount)) != 0 ||
        (error = ext2dax_lookup_path(mount, "/", 1, 0, &root)) != 0 ||
        (error = ext2dax_create(root, "file", 4, 0644, 0, 0, &file)) != 0 ||
        (error = ext2dax_allocate(file, 0, (uint64_t)MEBIBYTES << 20, false)) != 0) {
        fprintf(stderr, "%s\n", ext2dax_strerror(error));
        return 1;
    }
    if (!result_begin("sync"))
        return 2;
    printf("fsync of %u MiB, ns, median of %d rounds\n", MEBIBYTES, ROUNDS);
    printf("%-19s  %10s %10s %8s\n", "", "library", "floor", "ratio");
    row(file, EXT2DAX_DIRTY_SLOTS);
    row(file, EXT2DAX_DIRTY_SLOTS + 1);
    row(file, 2 * EXT2DAX_DIRTY_SLOTS);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    error = ext2dax_unmount(mount);
    ext2dax_memory_close_heap(&plugs.memory);
    return error != 0 || !result_end();
}
