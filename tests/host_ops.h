/* SPDX-License-Identifier: MIT */
/*
 * Plain host ops shared by test programs, with no state and any ctx. A program counting calls or
 * injecting failures defines such ops itself.
 */
#ifndef TESTS_HOST_OPS_H
#define TESTS_HOST_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FIXED_TIME 1700000000 /* seconds since 1970 */

static inline void *heap_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static inline void heap_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(at);
}

/* Returns a constant, so a repeated call stores the same bytes whenever it runs. */
static inline int64_t fixed_now(void *ctx)
{
    (void)ctx;
    return FIXED_TIME;
}

/* Ends the program. */
static inline void print_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

/* Lets every caller use the reserved blocks. */
static inline bool always_may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

#endif
