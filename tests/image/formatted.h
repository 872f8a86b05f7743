/* SPDX-License-Identifier: MIT */
/* Formatting plain memory, for the tests of the core's mkfs. */
#ifndef FORMATTED_H
#define FORMATTED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ext2dax/format.h"
#include "ext2dax/memory.h"
#include "ext2dax/testkit/checker.h"

static const uint32_t block_sizes[] = {1024, 2048, 4096, 8192, 16384, 32768, 65536};
#define BLOCK_SIZES (sizeof(block_sizes) / sizeof(block_sizes[0]))

static const struct ext2dax_memory_ops plain_ops = {.size = sizeof(plain_ops)};

static inline struct ext2dax_memory plain(void *base, size_t size)
{
    struct ext2dax_memory memory = {&plain_ops, NULL, base, size, 0};

    return memory;
}

static inline int make(void *base, size_t size, uint32_t block_size, uint32_t blocks_per_group, uint32_t inodes)
{
    struct ext2dax_format_options options = {.size = sizeof(options),
                                             .block_size = block_size,
                                             .blocks_per_group = blocks_per_group,
                                             .inodes = inodes,
                                             .reserved_percent = 5};
    struct ext2dax_memory memory = plain(base, size);

    return ext2dax_format(&memory, &options, NULL);
}

static inline void show(void *arg, const struct ext2dax_finding *finding)
{
    char line[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, line, sizeof(line));
    puts(line);
}

#endif
