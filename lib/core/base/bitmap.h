/* SPDX-License-Identifier: MIT */
/* Runs of bits in a little-endian bitmap, as ext2 keeps them: bit n is bit n % 8 of byte n / 8. Pure. */
#ifndef E2D_BITMAP_H
#define E2D_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

static inline bool e2d_bit(const uint8_t *map, uint32_t n)
{
    return (map[n >> 3] >> (n & 7) & 1) != 0;
}

/* The first bit of [from, end) that is clear, or set; `end` where none is. */
uint32_t e2d_next_clear(const uint8_t *map, uint32_t from, uint32_t end);
uint32_t e2d_next_set(const uint8_t *map, uint32_t from, uint32_t end);

/* How many bits of [from, end) are clear. */
uint32_t e2d_count_clear(const uint8_t *map, uint32_t from, uint32_t end);

/* Sets or clears [from, end); all of it must have been the other way round. */
void e2d_set_bits(uint8_t *map, uint32_t from, uint32_t end);
void e2d_clear_bits(uint8_t *map, uint32_t from, uint32_t end);

#endif
