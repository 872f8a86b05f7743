/* SPDX-License-Identifier: MIT */
/*
 * Declarations shared by the three files of race. race.c sets up and reports. race_mapper.c
 * loads and stores. race_changer.c removes blocks. The top of race_mapper.c argues why a
 * correct library cannot produce a violation.
 */
#ifndef PMEM_MAPPER_RACE_H
#define PMEM_MAPPER_RACE_H

#include "mapper.h"

#include <pthread.h>

/*
 * A stored word identifies the file, the offset and the generation. From the most significant
 * bit on, the word holds the tag of the file (8 bits), the file offset / 8 (27 bits) and the
 * generation (29 bits). Zero is never stored.
 */
#define TAG_FIRST       0xA5u
#define TAG_SECOND      0x5Bu
#define GENERATION_BITS 29
#define PLACE_BITS      27

/* Bytes per floor. Every size and offset used by the changer is a multiple. */
#define CHUNK 512u

#define RECENT 256 /* finished stores kept for a check by any thread */
#define SHOWN  8   /* violations described in the report */
#define IDLE   UINT32_MAX

struct violation {
    const char *what;
    uint64_t offset, found;
};

struct race;

struct mapper {
    struct race *race;
    pthread_t thread;
    unsigned index;
    void *mapping;            /* the mapping of the whole range, separate per thread */
    _Atomic uint32_t storing; /* generation of the store in progress, or IDLE */
    uint64_t random;
    uint64_t sigbus;
};

struct race {
    struct image *image;
    const char *path;
    uint64_t bytes; /* length of the range under test, from the start of the file */
    uint64_t page;  /* page size in bytes */
    unsigned threads;
    struct mapper *mappers;
    atomic_bool stop;
    atomic_bool gathering; /* the changer waits for stores in progress, so the mappers yield */

    struct ext2dax_inode *first, *second;

    /* See race_mapper.c. */
    _Atomic uint32_t generation;
    _Atomic uint32_t *floor; /* per chunk */
    _Atomic uint32_t changes;
    _Atomic uint64_t low, high; /* low <= file size <= high */
    _Atomic uint64_t recent[RECENT];

    uint64_t truncates, reused;
    atomic_uint violations;
    struct violation shown[SHOWN];
};

static inline uint64_t race_word(unsigned tag, uint64_t offset, uint32_t generation)
{
    return (uint64_t)tag << (GENERATION_BITS + PLACE_BITS) | (offset / 8) << GENERATION_BITS | generation;
}

static inline unsigned word_tag(uint64_t word)
{
    return (unsigned)(word >> (GENERATION_BITS + PLACE_BITS));
}

static inline uint64_t word_offset(uint64_t word)
{
    return (word >> GENERATION_BITS & (((uint64_t)1 << PLACE_BITS) - 1)) * 8;
}

static inline uint32_t word_generation(uint64_t word)
{
    return (uint32_t)(word & (((uint32_t)1 << GENERATION_BITS) - 1));
}

static inline uint64_t race_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void race_violation(struct race *race, const char *what, uint64_t offset, uint64_t found);
void *race_mapper(void *arg); /* a struct mapper */
/* Runs for `seconds`, or until `interrupted` is set. Returns an exit code. */
int race_changer(struct race *race, struct ext2dax_inode *directory, const char *second, double seconds);

#endif
