/* SPDX-License-Identifier: MIT */
/*
 * The memory plug. The image is persistent memory in the direct map. Plain loads and stores
 * access the image. The plug only writes cache lines back, by clwb or else clflush, and orders
 * the write-back by sfence.
 */
#include "kernel.h"

#define LINE 64u

static bool has_clwb(void)
{
    uint32_t a = 7, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (b & 1u << 24) != 0;
}

static int persist(void *ctx, const void *at, size_t length)
{
    const char *line = (const char *)((uintptr_t)at & ~(uintptr_t)(LINE - 1));
    const char *end = (const char *)at + length;
    bool keep = has_clwb();

    (void)ctx;
    for (; line < end; line += LINE) {
        if (keep)
            __asm__ volatile("clwb %0" : : "m"(*line) : "memory");
        else
            __asm__ volatile("clflush %0" : : "m"(*line) : "memory");
    }
    return 0;
}

static int fence(void *ctx)
{
    (void)ctx;
    __asm__ volatile("sfence" : : : "memory");
    return 0;
}

const struct ext2dax_memory_ops plug_memory = {.size = sizeof(plug_memory), .persist = persist, .fence = fence};
