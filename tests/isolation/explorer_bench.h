/* SPDX-License-Identifier: MIT */
/* What the explorer's own tests share: a world of a few variables and locks, and scenarios that play in it. */
#ifndef EXPLORER_BENCH_H
#define EXPLORER_BENCH_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/testkit/explorer.h"

#define VARIABLES 4u
#define LOCKS     2u

/* All that threads share; remembered. */
struct world {
    uint32_t variable[VARIABLES];
    uint32_t own[EXT2DAX_EXPLORER_THREADS]; /* a thread's own */
    struct ext2dax_lock lock[LOCKS];
};

extern struct ext2dax_explorer *explorer;
extern struct world world;

/* How states are gone back to and where threads stand still; every test passes with each. */
struct mode {
    const char *name;
    unsigned flags;
};
#define MODES 4u
extern const struct mode modes[MODES];

/* An explorer with any number of preemptions. */
void open_explorer(unsigned flags);
void close_explorer(void);

/* A scenario's `start`: an empty world. */
void empty_world(void *arg);

uint32_t load(unsigned variable);
void store(unsigned variable, uint32_t value);
void lock(unsigned which);
bool try_lock(unsigned which);
void unlock(unsigned which);

/* The id leads to the same finding, three times. */
void reproduce(const struct ext2dax_scenario *scenario, const struct ext2dax_explorer_result *result);
/* Explores; the finding begins with that text (NULL: there is none), and can be reproduced. */
void expect_finding(const struct ext2dax_scenario *scenario, const char *text);

#endif
