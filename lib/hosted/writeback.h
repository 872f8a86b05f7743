/* SPDX-License-Identifier: MIT */
/* Cache lines to memory: which instructions this processor has for it, and stores of zeroes that bypass the cache. */
#ifndef E2D_WRITEBACK_H
#define E2D_WRITEBACK_H

#include <stddef.h>

struct e2d_write_back {
    const char *name; /* "clwb", "clflushopt", "clflush", "dc cvap", "dc cvac"; "none": there is no such instruction */
    size_t line;      /* bytes, a power of two; 0 with "none" */
    void (*one)(const void *at); /* starts writing back the line that holds `at` */
    void (*fence)(void);         /* what was written back before is durable before anything stored after */
};

/* Asks the processor, which may take a microsecond: once for each memory. */
struct e2d_write_back e2d_write_back_choose(void);

/* Starts writing back every line that holds a byte of the range. Not with "none". */
void e2d_write_back_range(const struct e2d_write_back *how, const void *at, size_t length);

/*
 * Stores zeroes, past the cache where that is a win. The zeroes are visible to other threads before anything stored
 * after, fence or not.
 */
void e2d_zero_volatile(void *at, size_t length);
/* The same, and every line is on its way to memory: the next fence makes the zeroes durable. Not with "none". */
void e2d_zero_durable(const struct e2d_write_back *how, void *at, size_t length);

#endif
