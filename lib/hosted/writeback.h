/* SPDX-License-Identifier: MIT */
/*
 * Write-back of cache lines to memory with the best instructions of this processor, and stores of
 * zeroes that bypass the cache.
 */
#ifndef E2DH_WRITEBACK_H
#define E2DH_WRITEBACK_H

#include <stddef.h>

struct e2dh_write_back {
    /* "clwb", "clflushopt", "clflush", "dc cvap", "dc cvac", "none" without such an instruction */
    const char *name;
    size_t line;                 /* bytes, a power of two, 0 with "none" */
    void (*one)(const void *at); /* starts writing back the line of `at` */
    void (*fence)(void);         /* earlier write-backs are durable before any later store */
    void (*settle)(void);        /* NULL, or waits for this processor's write-backs after a range */
};

/* Queries the processor, which may take a microsecond. Call once per memory. */
struct e2dh_write_back e2dh_write_back_choose(void);

/*
 * Starts writing back every line with a byte of the range. Not with "none". The fence may come from
 * another thread on another processor, after this thread has released a lock. x86 orders
 * write-backs before the locked instruction of that release. An ARM processor waits only for its
 * own write-backs, and only at a barrier. Hence `settle`.
 */
void e2dh_write_back_range(const struct e2dh_write_back *how, const void *at, size_t length);

/*
 * Stores zeroes, bypassing the cache where this is faster. Other threads see the zeroes before any
 * later store of this thread, with or without a fence.
 */
void e2dh_zero_volatile(void *at, size_t length);
/*
 * Like e2dh_zero_volatile(), and starts writing back every line. The next fence makes the zeroes
 * durable. Not with "none".
 */
void e2dh_zero_durable(const struct e2dh_write_back *how, void *at, size_t length);

#endif
