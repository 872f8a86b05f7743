/* SPDX-License-Identifier: MIT */
/*
 * Division of 32-bit numbers by a divisor known at mount, with a single multiplication. A division
 * instruction costs ten times as much, and on some machines calls a compiler helper missing in a
 * kernel.
 */
#ifndef E2D_BASE_DIVIDE_H
#define E2D_BASE_DIVIDE_H

#include <stdint.h>

/* Returns floor(2^32 / d), for e2d_divide(). `d` is not 0. Returns 2^32 - 1 for d = 1. */
uint32_t e2d_reciprocal(uint32_t d);

/* Returns n / d. `reciprocal` is e2d_reciprocal(d). */
static inline uint32_t e2d_divide(uint32_t n, uint32_t d, uint32_t reciprocal)
{
    uint32_t q = (uint32_t)(((uint64_t)n * reciprocal) >> 32);

    while (n - q * d >= d)
        q++;
    return q;
}

#endif
