/* SPDX-License-Identifier: MIT */
/*
 * Stress with real threads on a few files of a small, mostly full image. Threads store and load
 * through mappings, by calls and through pins, while other threads truncate, punch, allocate, sync,
 * freeze, unlink and create. Every word encodes its file and offset, so every reader detects a
 * foreign or misplaced word. At the end nothing is leaked.
 *
 * The seed is printed. EXT2DAX_SEED sets the seed, though schedules still differ. EXT2DAX_SECONDS
 * sets the duration. The test is also meant to run under race detectors.
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

/* The address space under test, and the access to its bytes. */
struct stress_space {
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    uint32_t page, pages; /* bytes of a page, and pages of every file and mapping */

    /* Maps a whole file. Returns NULL if no mapping is available. */
    void *(*map)(struct ext2dax_inode *inode, bool shared);
    void (*unmap)(void *map);
    /*
     * Load and store words like a processor. Return NOPAGE on success, and SIGBUS past the end or
     * without space. With `huge` a huge page is tried first.
     */
    enum ext2dax_fault_result (*load)(void *map, uint64_t offset, uint64_t *words, size_t count, bool huge);
    enum ext2dax_fault_result (*store)(void *map, uint64_t offset, uint64_t word, bool huge);
    /* Copies to or from a pinned page. Other threads may be storing to the page. */
    void (*copy)(void *to, const void *from, size_t bytes);
    /* Called when a thread has finished an operation. May be NULL. */
    void (*returned)(void);
};

/*
 * Runs for the given time. Fails the test on any error. All files are removed at the end. Returns
 * the number of operations.
 */
unsigned long stress_run(const struct stress_space *space, double seconds, uint64_t seed);

/* Returns the seed and prints it. */
uint64_t stress_seed(void);
double stress_seconds(double otherwise);

#endif
