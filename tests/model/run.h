/* SPDX-License-Identifier: MIT */
/*
 * Sequences of calls, each played in a process of its own, because a broken library may do
 * anything. The calls and the verdict lie in memory shared with the process.
 */
#ifndef TESTS_MODEL_RUN_H
#define TESTS_MODEL_RUN_H

#include <stdio.h>

#include "compare.h"

#define MOST_CALLS 4000u

struct setting {
    const struct player_ops *ops;
    const struct image_kind *kind;
    const char *place;  /* of a directory to play in, or NULL */
    const char *mutant; /* of the library, or NULL */
    uint64_t without;   /* kinds of calls left out, a bit for each */
    unsigned interval;  /* calls between comparisons of whole trees */
    bool quiet;         /* drops reports of the library */
};

struct sequence {
    unsigned count;
    struct call call[MOST_CALLS];
    int64_t expected[MOST_CALLS]; /* the result by the model */
    bool skipped[MOST_CALLS];     /* the call did nothing */

    /* The verdict of the last attempt. */
    bool failed;
    bool cannot_run; /* `difference` has the reason */
    unsigned at;     /* the call that differs, or `count` for the checks at the end */
    unsigned played; /* calls */
    unsigned done[CALL_KINDS], succeeded[CALL_KINDS];
    char difference[2000];
};

struct sequence *sequence_new(void);

/* Generates and plays `count` calls. Records the calls up to a failure. */
void sequence_generate(struct sequence *sequence, const struct setting *setting, uint64_t seed, unsigned count);

/* Plays the calls of the sequence again. */
void sequence_replay(struct sequence *sequence, const struct setting *setting);

/* Drops calls as long as the sequence still fails. */
void sequence_shrink(struct sequence *sequence, const struct setting *setting);

/* Prints the sequence as C code for a test. */
void sequence_print(const struct sequence *sequence, const struct setting *setting, FILE *output);

#endif
