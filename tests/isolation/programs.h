/* SPDX-License-Identifier: MIT */
/*
 * Small random programs, and all their end states, found by trying every order of the instructions.
 */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "explorer_harness.h"

#define PROGRAM_THREADS 3u
#define INSTRUCTIONS    16u
#define MOST_ENDS       512u

enum operation {
    LOAD_SHARED,  /* own = variable */
    STORE_SHARED, /* variable = own + 1 */
    ADD_LOCKED,   /* variable of the lock += own + 1, in two steps */
    LOCK,
    UNLOCK,
    TRY /* if not free, own += 16, and the next two instructions are skipped */
};

struct instruction {
    enum operation operation;
    unsigned which; /* variable, or lock with variable 2 + which */
};

struct program {
    unsigned threads;
    unsigned length[PROGRAM_THREADS];
    struct instruction code[PROGRAM_THREADS][INSTRUCTIONS];
};

struct ending {
    uint32_t variable[VARIABLES], own[PROGRAM_THREADS];
};

struct endings {
    struct ending ending[MOST_ENDS];
    unsigned count;
    bool deadlock;
};

/* Makes the same program for the same seed on every machine. */
void make_program(struct program *program, uint32_t seed);
void add_ending(struct endings *endings, const struct ending *ending);
bool same_endings(const struct endings *a, const struct endings *b);
/* Tries every order of instructions. */
void run_every_order(const struct program *program, struct endings *endings);

#endif
