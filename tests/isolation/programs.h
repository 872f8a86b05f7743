/* SPDX-License-Identifier: MIT */
/* Small programs made by chance, and all that they can end in, found by trying every order of their instructions. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "explorer_bench.h"

#define PROGRAM_THREADS 3u
#define INSTRUCTIONS    16u
#define MOST_ENDS       512u

enum operation {
    LOAD_SHARED,  /* own = variable */
    STORE_SHARED, /* variable = own + 1 */
    ADD_LOCKED,   /* variable of the lock += own + 1, in two steps */
    LOCK,
    UNLOCK,
    TRY /* not free: own += 16, and the next two instructions are passed over */
};

struct instruction {
    enum operation operation;
    unsigned which; /* variable, or lock, whose variable is 2 + which */
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

/* The same for the same seed, everywhere. */
void make_program(struct program *program, uint32_t seed);
void add_ending(struct endings *endings, const struct ending *ending);
bool same_endings(const struct endings *a, const struct endings *b);
/* Tries every order. */
void run_every_order(const struct program *program, struct endings *endings);

#endif
