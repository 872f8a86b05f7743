/* SPDX-License-Identifier: MIT */
/* Plugs of a single-threaded fuzzer. They count unreleased locks and memory. */
#ifndef TESTS_FUZZ_PLUGS_H
#define TESTS_FUZZ_PLUGS_H

#include <stddef.h>

#include "ext2dax/host.h"
#include "ext2dax/lock.h"

struct fuzz_counts {
    long held;  /* locks */
    long made;  /* locks made and not yet destroyed */
    long given; /* allocations of host memory not yet freed */
};
extern struct fuzz_counts fuzz_counts;

/* Returns ext2dax_locks_none() with counting. The counting host is fuzz_host(), in tree.h. */
struct ext2dax_locks fuzz_locks(void);

/* Zeroed memory between guard pages. */
struct fuzz_area {
    unsigned char *base; /* of `size` bytes */
    unsigned char *at;   /* including the guards */
    size_t mapped;
};

/*
 * Opens memory ending at a guard page, or starting at a multiple of `alignment` if `alignment` is
 * not 0.
 */
struct fuzz_area fuzz_area_open(size_t size, size_t alignment);
void fuzz_area_close(const struct fuzz_area *area);

#endif
