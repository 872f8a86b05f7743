/* SPDX-License-Identifier: MIT */
/*
 * The hashes of names in directory indexes.
 *
 * The index of a directory was made by a driver on a machine where char is signed, or by a driver
 * where char is unsigned. The superblock says which. Bytes above 127 count as negative numbers in
 * the former.
 *
 * Half MD4 is MD4 (RFC 1320) with 8 in place of 16 words per chunk and 8 in place of 16 steps per
 * round. TEA is the Tiny Encryption Algorithm of Wheeler and Needham with 16 rounds, where each
 * chunk of the name is the key. Both begin with the seed of the superblock, or with the initial
 * state of MD4 if the seed is 0.
 */
#include "names/dir_hash.h"

#define WORDS_MAX 8u

static int32_t value_of(char byte, bool is_unsigned)
{
    int32_t value = (unsigned char)byte;

    return is_unsigned || value < 0x80 ? value : value - 0x100;
}

/*
 * Packs up to 4 * `count` bytes into words, the first byte of a word highest. Missing bytes are
 * the low byte of the length. `length` is the length of the name from here to the end.
 */
static void pack(const char *name, size_t length, bool is_unsigned, uint32_t *words, unsigned count)
{
    uint32_t padding = (uint32_t)(length & 0xFF) * 0x01010101u;
    size_t used = length < 4 * (size_t)count ? length : 4 * (size_t)count, i = 0;
    unsigned word;

    for (word = 0; word < count; word++) {
        uint32_t value = padding;
        size_t end = e2d_min32((uint32_t)used, 4 * word + 4);

        for (; i < end; i++)
            value = (value << 8) + (uint32_t)value_of(name[i], is_unsigned);
        words[word] = value;
    }
}

static uint32_t rotated(uint32_t value, unsigned by)
{
    return value << by | value >> (32 - by);
}

/* One step of MD4. The roles of the four state words rotate from step to step. */
static void md4_step(uint32_t *state, unsigned step, uint32_t mixed, uint32_t addend, unsigned by)
{
    uint32_t *a = &state[(4 - step % 4) % 4];

    *a = rotated(*a + mixed + addend, by);
}

static void half_md4(uint32_t *hash, const uint32_t *words)
{
    static const uint8_t order[3][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 3, 5, 7, 0, 2, 4, 6}, {3, 7, 2, 6, 1, 5, 0, 4}};
    static const uint8_t shift[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
    static const uint32_t addend[3] = {0, 0x5A827999u, 0x6ED9EBA1u};
    uint32_t state[4] = {hash[0], hash[1], hash[2], hash[3]};
    unsigned round, step, i;

    for (round = 0; round < 3; round++) {
        for (step = 0; step < 8; step++) {
            uint32_t b = state[(5 - step % 4) % 4], c = state[(6 - step % 4) % 4], d = state[(7 - step % 4) % 4];
            uint32_t mixed;

            if (round == 0)
                mixed = (b & c) | (~b & d);
            else if (round == 1)
                mixed = (b & c) | (b & d) | (c & d);
            else
                mixed = b ^ c ^ d;
            md4_step(state, step, mixed, words[order[round][step]] + addend[round], shift[round][step % 4]);
        }
    }
    for (i = 0; i < 4; i++)
        hash[i] += state[i];
}

static void tea(uint32_t *hash, const uint32_t *key)
{
    uint32_t sum = 0, left = hash[0], right = hash[1];
    unsigned round;

    for (round = 0; round < 16; round++) {
        sum += 0x9E3779B9u;
        left += ((right << 4) + key[0]) ^ (right + sum) ^ ((right >> 5) + key[1]);
        right += ((left << 4) + key[2]) ^ (left + sum) ^ ((left >> 5) + key[3]);
    }
    hash[0] += left;
    hash[1] += right;
}

static uint32_t legacy(const char *name, size_t length, bool is_unsigned)
{
    uint32_t last = 0x12A3FE2Du, before = 0x37ABE8F9u, next;
    size_t i;

    for (i = 0; i < length; i++) {
        next = before + (last ^ (uint32_t)value_of(name[i], is_unsigned) * 7152373u);
        if ((next & 0x80000000u) != 0)
            next -= 0x7FFFFFFFu;
        before = last;
        last = next;
    }
    return last << 1;
}

/* Begins with the seed, or with the state of MD4 if the seed is 0. */
static void begin(const struct ext2dax_mount *m, uint32_t *hash)
{
    static const uint32_t md4[4] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u};
    bool seeded = false;
    unsigned i;

    for (i = 0; i < 4; i++)
        seeded = seeded || e2d_get32(m->super->hash_seed[i]) != 0;
    for (i = 0; i < 4; i++)
        hash[i] = seeded ? e2d_get32(m->super->hash_seed[i]) : md4[i];
}

uint32_t e2d_dir_hash(const struct ext2dax_mount *m, uint32_t version, const char *name, size_t length)
{
    bool is_unsigned = (e2d_get32(m->super->flags) & EXT2DAX_SUPER_UNSIGNED_HASH) != 0;
    unsigned count = version == E2D_HASH_HALF_MD4 ? 8 : 4;
    uint32_t state[4], words[WORDS_MAX], hash;
    size_t at;

    if (version == E2D_HASH_LEGACY) {
        hash = legacy(name, length, is_unsigned);
    } else {
        begin(m, state);
        for (at = 0; at < length; at += 4 * (size_t)count) {
            pack(name + at, length - at, is_unsigned, words, count);
            if (version == E2D_HASH_HALF_MD4)
                half_md4(state, words);
            else
                tea(state, words);
        }
        hash = version == E2D_HASH_HALF_MD4 ? state[1] : state[0];
    }
    hash &= ~1u; /* The low bit marks a continuation in an index. */
    /* The largest number is the end of a listing by hash in Linux. */
    return hash == 0xFFFFFFFEu ? 0xFFFFFFFCu : hash;
}
