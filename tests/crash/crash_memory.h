/* SPDX-License-Identifier: MIT */
/* Helpers of the three crash fixtures: those of plan.h, tree.h and damaged_image.h. */
#ifndef TESTS_CRASH_CRASH_MEMORY_H
#define TESTS_CRASH_CRASH_MEMORY_H

#include "crash_fixture.h"

/* Opens crashing memory of `bytes` bytes by the options of a fixture. Exits with 2 on an error. */
void crash_memory_open(const struct crash_options *options, size_t bytes, struct ext2dax_memory *memory,
                       struct ext2dax_crash **crash);

/* Adds the counters of the memory to a tally, and returns the tally. */
const struct tally *crash_memory_tally(const struct ext2dax_crash *crash, const struct tally *tally);

/* Mounts an image with blocks of 1 KiB for ordered stores, with recovery. */
int crash_memory_mount(const struct ext2dax_memory *memory, const struct ext2dax_host *host,
                       struct ext2dax_mount **mount);

/*
 * Runs the checker of the testkit. Returns NULL, or the first finding, valid until the next call.
 */
const char *crash_memory_check(const void *image, size_t size, unsigned flags);

/*
 * Repairs the image with e2fsck and counts the exit status. Returns as fsck_repair().
 */
const char *crash_memory_fsck(unsigned char *image, size_t size, struct tally *tally);

#endif
