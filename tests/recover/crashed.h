/* SPDX-License-Identifier: MIT */
/*
 * What the tests of recovery share: images with something of everything in them, plugs that tell of every fence, fail when
 * told and keep what the log was told, and whether two images say the same.
 */
#ifndef TESTS_RECOVER_CRASHED_H
#define TESTS_RECOVER_CRASHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/checker.h"

#include "../image/outside.h"

#define KINDS_TOLD 32

/* What the plugs have seen, and what they are told to do. plug_reset() sets it to zero, and the countdowns to never. */
struct plug {
    long allocs_left; /* allocations until one fails, once; negative: never */
    long fences_left; /* fences until they fail, from then on; negative: never */
    long held;        /* bytes of the host's memory that are out */
    size_t most;      /* … at any time */
    const unsigned char *poison;
    size_t poison_size;
    void (*fenced)(void *arg); /* before a fence counts */
    void *arg;
    unsigned fences;

    struct ext2dax_report error;                 /* the last one */
    struct ext2dax_report recovered[KINDS_TOLD]; /* summaries */
    unsigned kinds;
    uint64_t steps, all; /* the last progress */
    unsigned progresses;
    bool backwards; /* progress went back, or past its end */
};
extern struct plug plug;
void plug_reset(void);

/* Mounts `base`; the plugs go on as they are told. */
int plug_mount(unsigned char *base, size_t size, unsigned flags, enum ext2dax_order order,
               struct ext2dax_mount **mount);
/* Mounts for writing and unmounts. */
int plug_recover(unsigned char *base, size_t size);
/* How many of `what` the log was told to be recovered. */
uint64_t plug_recovered(const char *what);

/* An image made by mke2fs of a tree of files; false: it cannot be made. Removed again by tree_remove(). */
bool tree_make(void);
void tree_remove(void);

/* A copy of it, 8 MiB in blocks of 1 KiB, in a file of its own; `image` and `image_size` of broken.h become it. */
struct outside_image tree_image(void);

void say_finding(void *arg, const struct ext2dax_finding *finding);

/*
 * Do two images hold the same: the same files under the same names, links, sizes, sectors, blocks, owners of blocks,
 * bitmaps and counts? NULL, or the first thing that differs.
 */
const char *differs(const unsigned char *a, const unsigned char *b, size_t size);

/* Deterministic noise. */
uint32_t noise(uint32_t *state);

/*
 * A state between two: of the 8-byte words that differ, those that `state` decides have arrived. `pattern` below
 * 2^(number of them), where that is small: exactly that subset.
 */
unsigned words_between(const unsigned char *from, const unsigned char *to, size_t size);
void mix(unsigned char *mixed, const unsigned char *from, const unsigned char *to, size_t size, uint64_t pattern,
         uint32_t *state);

#endif
