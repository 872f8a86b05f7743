/* SPDX-License-Identifier: MIT */
/*
 * Shared by the explorer's own tests. Provides a world of a few variables and locks, and scenarios
 * in the world.
 */
#ifndef EXPLORER_BENCH_H
#define EXPLORER_BENCH_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/testkit/explorer.h"

#define VARIABLES 4u
#define LOCKS     2u

/* All state shared by threads, saved and restored by the explorer. */
struct world {
    uint32_t variable[VARIABLES];
    uint32_t own[EXT2DAX_EXPLORER_THREADS]; /* a thread's private variable */
    struct ext2dax_lock lock[LOCKS];
};

extern struct ext2dax_explorer *explorer;
extern struct world world;

/*
 * How the explorer backtracks, and where threads may be preempted. Every test passes in each mode.
 */
struct mode {
    const char *name;
    unsigned flags;
};
#define MODES 4u
extern const struct mode modes[MODES];

/* Opens an explorer with any number of preemptions. */
void open_explorer(unsigned flags);
void close_explorer(void);

/* The `start` function of a scenario. Makes an empty world. */
void empty_world(void *arg);

uint32_t load(unsigned variable);
void store(unsigned variable, uint32_t value);
void lock(unsigned which);
bool try_lock(unsigned which);
void unlock(unsigned which);

/* Checks three replays of the id for the same finding. */
void reproduce(const struct ext2dax_scenario *scenario, const struct ext2dax_explorer_result *result);
/*
 * Explores the scenario. The finding must begin with `text` and be reproducible. NULL expects no
 * finding.
 */
void expect_finding(const struct ext2dax_scenario *scenario, const char *text);

#endif
