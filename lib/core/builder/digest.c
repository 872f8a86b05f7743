/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2b of RFC 7693, without a key, with a digest of 256 bits. Fast in portable C (about a byte
 * per nanosecond), because every operation has 64 bits and no table is used.
 */
#include "ext2dax/build.h"

#include "base/mem.h"

#define BLOCK  128u
#define BYTES  32u /* of the digest */
#define ROUNDS 12u

/* Fractions of the square roots of the first eight primes, as for SHA-512. */
static const uint64_t initial[8] = {0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
                                    0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u};

/* The order in which a round takes the words of the block. */
static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static uint64_t rotate(uint64_t word, unsigned right)
{
    return word >> right | word << (64 - right);
}

static uint64_t word_at(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 8; i > 0; i--)
        word = word << 8 | bytes[i - 1];
    return word;
}

/* Mixes two words of the block into a column or a diagonal of the state. */
static void mix(uint64_t *v, const uint8_t at[4], uint64_t x, uint64_t y)
{
    uint64_t a = v[at[0]], b = v[at[1]], c = v[at[2]], d = v[at[3]];

    a += b + x;
    d = rotate(d ^ a, 32);
    c += d;
    b = rotate(b ^ c, 24);
    a += b + y;
    d = rotate(d ^ a, 16);
    c += d;
    b = rotate(b ^ c, 63);
    v[at[0]] = a, v[at[1]] = b, v[at[2]] = c, v[at[3]] = d;
}

/* Compresses a block. `digest->length` counts all bytes up to the end of the block. */
static void compress(struct ext2dax_digest *digest, const uint8_t *block, bool last)
{
    static const uint8_t at[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                     {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};
    uint64_t v[16], m[16];
    unsigned round, i;

    for (i = 0; i < 16; i++)
        m[i] = word_at(block + (size_t)8 * i);
    for (i = 0; i < 8; i++) {
        v[i] = digest->state[i];
        v[i + 8] = initial[i];
    }
    v[12] ^= digest->length;
    if (last)
        v[14] = ~v[14];
    for (round = 0; round < ROUNDS; round++) {
        const uint8_t *o = order[round < 10 ? round : round - 10];

        for (i = 0; i < 8; i++, o += 2)
            mix(v, at[i], m[o[0]], m[o[1]]);
    }
    for (i = 0; i < 8; i++)
        digest->state[i] ^= v[i] ^ v[i + 8];
}

void ext2dax_digest_begin(struct ext2dax_digest *digest)
{
    memset(digest, 0, sizeof(*digest));
    memcpy(digest->state, initial, sizeof(initial));
    digest->state[0] ^= 0x01010000u | BYTES;
}

void ext2dax_digest_add(struct ext2dax_digest *digest, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;

    /* A full block waits for the next byte, because the last block is compressed differently. */
    while (length != 0) {
        size_t part = BLOCK - digest->used;

        if (part == 0) {
            digest->length += BLOCK;
            compress(digest, digest->block, false);
            digest->used = 0;
            part = BLOCK;
        }
        for (; digest->used == 0 && length > BLOCK; from += BLOCK, length -= BLOCK) {
            digest->length += BLOCK;
            compress(digest, from, false);
        }
        part = part < length ? part : length;
        memcpy(digest->block + digest->used, from, part);
        digest->used += (uint32_t)part;
        from += part;
        length -= part;
    }
}

void ext2dax_digest_identity(struct ext2dax_digest *digest, uint8_t uuid[16], uint8_t hash_seed[16])
{
    uint8_t bytes[BYTES];

    memset(digest->block + digest->used, 0, BLOCK - digest->used);
    digest->length += digest->used;
    compress(digest, digest->block, true);
    for (unsigned i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(digest->state[i / 8] >> i % 8 * 8);
    memcpy(uuid, bytes, 16);
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x80); /* version 8, made by a rule of the vendor */
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80); /* the variant of RFC 9562 */
    if (hash_seed)
        memcpy(hash_seed, bytes + 16, 16);
}
