/* SPDX-License-Identifier: MIT */
/*
 * Measures the format of a sparse file of 20 GiB against mke2fs, alternating, in the directory
 * given as argument. Prints the median times and the space taken. The library is called in this
 * process and opens the file each time. mke2fs is a process, as for every user. The benchmark fails
 * if an image takes more than 6 MB, or if e2fsck finds anything in the image.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/memory.h"

#include "../image/outside.h"

#define ROUNDS 7
#define SIZE   ((uint64_t)20 << 30)
#define MOST   6000000 /* bytes on the host filesystem */

static char path[4096];

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static int by_number(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/* Returns the milliseconds of a format of a new file, or a negative number. */
static double library(void)
{
    struct ext2dax_memory memory;
    double start = now();

    if (ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE, &memory) != 0)
        return -1;
    if (ext2dax_format(&memory, NULL, NULL) != 0)
        return -1;
    ext2dax_memory_close_file(&memory);
    return now() - start;
}

static double mke2fs(void)
{
    double start = now();

    return outside_run("mke2fs -q -F -t ext2 -b 4096 '%s' 20G >/dev/null", path) == 0 ? now() - start : -1;
}

static long space(void)
{
    struct stat st;

    return stat(path, &st) == 0 ? (long)st.st_blocks * 512 : -1;
}

int main(int argc, char **argv)
{
    double ours[ROUNDS], theirs[ROUNDS];
    long our_space = 0, their_space = 0;
    int status;

    if (sizeof(size_t) <= 4 || !outside_has("mke2fs") || !outside_has("e2fsck"))
        return skip("20 GiB of addresses, mke2fs and e2fsck are needed");
    (void)snprintf(path, sizeof(path), "%s/ext2dax-bench-format-%ld", argc > 1 ? argv[1] : "/tmp", (long)getpid());
    for (unsigned round = 0; round < ROUNDS; round++) {
        theirs[round] = mke2fs();
        their_space = space();
        (void)unlink(path);
        ours[round] = library();
        our_space = space();
        status = round == 0 ? outside_run("e2fsck -fn '%s' >/dev/null 2>&1", path) : 0;
        (void)unlink(path);
        if (theirs[round] < 0 || ours[round] < 0 || status != 0) {
            fprintf(stderr, "a format failed, or e2fsck found something\n");
            return 1;
        }
    }
    qsort(ours, ROUNDS, sizeof(ours[0]), by_number);
    qsort(theirs, ROUNDS, sizeof(theirs[0]), by_number);
    printf("20 GiB in %s: library %.1f ms, %.1f MB; mke2fs %.1f ms, %.1f MB\n", argc > 1 ? argv[1] : "/tmp",
           ours[ROUNDS / 2], (double)our_space / 1e6, theirs[ROUNDS / 2], (double)their_space / 1e6);
    return our_space > MOST;
}
