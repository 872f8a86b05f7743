/* SPDX-License-Identifier: MIT */
/*
 * Runs of bits, processed by machine words, or in a core compiled for size by bytes and bits.
 *
 * word_at() loads a word with bit k of the word being bit `at + k` of the map, on any byte order.
 * Only bytes with a bit below `end` are accessed. If the length of the map is no multiple of a
 * word, the last word is assembled from single bytes. Bits at or after `end` in the word are
 * undefined, and the caller masks or clips them.
 */
#include "base/bitmap.h"
#include "base/internal.h"

#if E2D_FOR_SPEED

typedef uintptr_t word;

#define WORD_BYTES ((uint32_t)sizeof(word))
#define WORD_BITS  (WORD_BYTES * 8)
#define ONES       (~(word)0)

/* Returns the word with `at` as first bit. `at` is a multiple of WORD_BITS, below `end`. */
static inline word word_at(const uint8_t *map, uint32_t at, uint32_t end)
{
    const uint8_t *from = map + (at >> 3);
    uint32_t bytes = (end - at - 1) / 8 + 1;
    word value = 0;
    uint32_t i;

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_BIG_ENDIAN__
    if (bytes >= WORD_BYTES) {
        /* The builtin is a single load in a freestanding build. The map may have any alignment. */
        __builtin_memcpy(&value, from, sizeof(value));
        return value;
    }
#endif
    if (bytes > WORD_BYTES)
        bytes = WORD_BYTES;
    for (i = 0; i < bytes; i++)
        value |= (word)from[i] << (8 * i);
    return value;
}

/*
 * Returns the number of set bits. Adds neighboring fields of 1, 2 and 4 bits in parallel, then sums
 * the bytes with a single multiplication.
 */
static inline uint32_t population(word value)
{
    value -= (value >> 1) & (ONES / 3);
    value = (value & (ONES / 5)) + ((value >> 2) & (ONES / 5));
    value = (value + (value >> 4)) & (ONES / 17);
    return (uint32_t)((value * (ONES / 255)) >> (WORD_BITS - 8));
}

/* Returns the index of the lowest set bit, which equals the number of bits below. */
static inline uint32_t lowest(word value)
{
    return population((value & (0 - value)) - 1);
}

/* Returns the first bit of [from, end) which is set (clear), or `end` if none is. */
static inline uint32_t find(const uint8_t *map, uint32_t from, uint32_t end, bool set)
{
    const word flip = set ? 0 : ONES;
    uint32_t at = from & ~(WORD_BITS - 1);
    word wanted = ONES << (from & (WORD_BITS - 1));

    while (at < end) {
        word found = (word_at(map, at, end) ^ flip) & wanted;

        if (found)
            return e2d_min32(at + lowest(found), end);
        if (end - at <= WORD_BITS)
            break;
        at += WORD_BITS;
        wanted = ONES;
    }
    return end;
}

uint32_t e2d_count_clear(const uint8_t *map, uint32_t from, uint32_t end)
{
    uint32_t at = from & ~(WORD_BITS - 1);
    word wanted = ONES << (from & (WORD_BITS - 1));
    uint32_t clear = 0;

    while (at < end && from < end) {
        uint32_t left = end - at;

        if (left < WORD_BITS)
            wanted &= ~(ONES << left);
        clear += population(~word_at(map, at, end) & wanted);
        if (left <= WORD_BITS)
            break;
        at += WORD_BITS;
        wanted = ONES;
    }
    return clear;
}

#else

/* Returns the first bit of [from, end) which is set (clear), or `end` if none is. */
static E2D_OUT_OF_LINE uint32_t find(const uint8_t *map, uint32_t from, uint32_t end, bool set)
{
    while (from < end && e2d_bit(map, from) != set) {
        bool whole = (from & 7) == 0 && end - from > 8 && map[from >> 3] == (set ? 0 : 0xFF);

        from += whole ? 8 : 1;
    }
    return from < end ? from : end;
}

uint32_t e2d_count_clear(const uint8_t *map, uint32_t from, uint32_t end)
{
    uint32_t clear = 0;

    while ((from = find(map, from, end, false)) < end) {
        uint32_t stop = find(map, from, end, true);

        clear += stop - from;
        from = stop;
    }
    return clear;
}

#endif

uint32_t e2d_next_clear(const uint8_t *map, uint32_t from, uint32_t end)
{
    return find(map, from, end, false);
}

uint32_t e2d_next_set(const uint8_t *map, uint32_t from, uint32_t end)
{
    return find(map, from, end, true);
}

/*
 * Sets or clears [from, end). The first and last byte may be shared with neighboring bits, all
 * bytes between belong to the run.
 */
static E2D_OUT_OF_LINE void fill(uint8_t *map, uint32_t from, uint32_t end, bool set)
{
    uint32_t first = from >> 3, last = end >> 3;
    unsigned head = 0xFFu << (from & 7) & 0xFFu;
    unsigned tail = ~(0xFFu << (end & 7)) & 0xFFu;

    if (from >= end)
        return;
    if (first == last) {
        head &= tail;
        tail = 0;
    }
    map[first] = (uint8_t)(set ? map[first] | head : map[first] & ~head);
    if (tail)
        map[last] = (uint8_t)(set ? map[last] | tail : map[last] & ~tail);
    if (last > first + 1)
        memset(map + first + 1, set ? 0xFF : 0, last - first - 1);
}

void e2d_set_bits(uint8_t *map, uint32_t from, uint32_t end)
{
    fill(map, from, end, true);
}

void e2d_clear_bits(uint8_t *map, uint32_t from, uint32_t end)
{
    fill(map, from, end, false);
}
