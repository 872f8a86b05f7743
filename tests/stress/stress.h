/* SPDX-License-Identifier: MIT */
/*
 * Real threads on a few files of a small, mostly full image: storing and reading through mappings, by call and through
 * pins, while others truncate, punch, allocate, sync, freeze, unlink and create. Every word says which file it belongs
 * to and where, so a foreign or misplaced one is noticed by whoever reads it; in the end nothing is leaked.
 *
 * The seed is printed, and EXT2DAX_SEED gives one (schedules differ all the same); EXT2DAX_SECONDS says how long. Meant for
 * race detectors too.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/fault.h"
#include "ext2dax/inode.h"
#include "ext2dax/mount.h"

#define STRESS_THREADS 6

/* Where it is done: the address space, and how bytes in it are reached. */
struct stress_space {
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    uint32_t page, pages; /* bytes; of every file and mapping */

    /* A mapping of a whole file; NULL: none can be had. */
    void *(*map)(struct ext2dax_inode *inode, bool shared);
    void (*unmap)(void *map);
    /* Words, as a processor moves them; NOPAGE: done, SIGBUS: past the end, or no space. `huge`: try that first. */
    enum ext2dax_fault_result (*load)(void *map, uint64_t offset, uint64_t *words, size_t count, bool huge);
    enum ext2dax_fault_result (*store)(void *map, uint64_t offset, uint64_t word, bool huge);
    /* To and from a pinned page, which somebody may be storing to. */
    void (*copy)(void *to, const void *from, size_t bytes);
    /* A thread is through with what it did. NULL: nobody wants to know. */
    void (*returned)(void);
};

/* Runs so long; fails the test if anything is wrong. Every file is gone afterwards. How many operations were done. */
unsigned long stress_run(const struct stress_space *space, double seconds, uint64_t seed);

/* Prints it. */
uint64_t stress_seed(void);
double stress_seconds(double otherwise);

#endif
