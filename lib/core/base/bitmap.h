/* SPDX-License-Identifier: MIT */
/*
 * Runs of bits in a little-endian bitmap as used by ext2. Bit n is bit n % 8 of byte n / 8. The
 * functions change nothing but the bitmap.
 */
#ifndef E2D_BASE_BITMAP_H
#define E2D_BASE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

static inline bool e2d_bit(const uint8_t *map, uint32_t n)
{
    return (map[n >> 3] >> (n & 7) & 1) != 0;
}

/* Return the first clear (set) bit of [from, end), or `end` if no bit is clear (set). */
uint32_t e2d_next_clear(const uint8_t *map, uint32_t from, uint32_t end);
uint32_t e2d_next_set(const uint8_t *map, uint32_t from, uint32_t end);

/* Returns the number of clear bits in [from, end). */
uint32_t e2d_count_clear(const uint8_t *map, uint32_t from, uint32_t end);

/*
 * Sets a single bit, which may be set already. Accepts every n. A run could not express UINT32_MAX,
 * because the end of the run would overflow.
 */
static inline void e2d_set_bit(uint8_t *map, uint32_t n)
{
    map[n >> 3] = (uint8_t)(map[n >> 3] | 1u << (n & 7));
}

/* Set (clear) all bits of [from, end). Every bit must have the opposite value before. */
void e2d_set_bits(uint8_t *map, uint32_t from, uint32_t end);
void e2d_clear_bits(uint8_t *map, uint32_t from, uint32_t end);

#endif
