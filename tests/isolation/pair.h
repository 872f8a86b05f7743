/* SPDX-License-Identifier: MIT */
/*
 * Pairs of operations on a fixture, run in every schedule. In every state and at every end the
 * whole image and every mapping must satisfy the invariants, no lock may be taken out of order, and
 * no store may be lost.
 *
 * A scenario declares every variable changed by its threads with CHANGES. The explorer restores
 * such variables.
 */
#ifndef PAIR_H
#define PAIR_H

#include "../core/fixture.h"
#include "ext2dax/testkit/explorer.h"

#define PAGE      1024u
#define PMD_RANGE (8 * PAGE)
#define OLD       7    /* stored by fill() */
#define OTHER     0xBB /* stored in the other file */
#define CHANGES   __attribute__((section("changes")))

/*
 * Created for every scenario. Two files, and two shared mappings of the first 40 pages of `file`.
 */
extern struct core_fixture fixture;
extern struct ext2dax_inode *file, *victim;
extern struct ext2dax_model_map *map, *other;

struct scenario {
    const char *name;
    void (*start)(void), (*first)(void), (*second)(void), (*verify)(void);
};

void complain(const char *what);
void expect(bool condition, const char *what);

struct pair {
    const struct scenario *scenario;
    void (*third)(void); /* a third operation, or NULL */
    bool serial;         /* outcomes are compared, see outcome(), and 32 inodes exist */
    const char *mutant;  /* active while both run, NULL for an unbroken core */
    bool blind;          /* the core's assertions and the lock order checker are off */
    bool thorough;       /* tried in all the ways of a mutant, though nothing is broken */
    bool unchecked;      /* only assertions and the lock order count */
    bool hostile;        /* the image is invalid from the start, and only mappings are checked */
    bool durable;        /* the mount is ordered, and fixture.durable is maintained */
};

/*
 * Reports the outcome of a schedule, a hash of the results of all operations and of the state at
 * the end. A scenario calls the function once, in `verify`. An outcome which no serial order of the
 * operations has is a finding. Without `serial` of the pair no outcome is compared.
 */
void outcome(uint64_t hash);

/* Explores all schedules up to the first finding. Returns false after a finding. */
bool pair_explore(const struct pair *pair, struct ext2dax_explorer_result *result);
/*
 * Runs a single schedule. With `print` prints a table to stdout. Returns false if the schedule ends
 * in a finding.
 */
bool pair_replay(const struct pair *pair, const char *id, unsigned flags, bool print,
                 struct ext2dax_explorer_result *result);

/*
 * Runs a Check suite with a test per scenario. Each test explores the unbroken core, prints the
 * number of schedules, and fails on a finding. Returns the exit status for main().
 */
int pairs_run(const char *name, const struct scenario *scenarios, int count);

/* Building blocks of operations. */
enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                   enum ext2dax_fault_result (*entry)(struct ext2dax_fault *));
void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte);
void fill(uint64_t first, uint64_t pages); /* pages of the file, with OLD */
void linger(void);                         /* a yield point for the other operation */
void no_leaks(void);                       /* every block in use is reachable from a name */

/* Makes two empty files share an attribute block. */
void share_attributes(struct ext2dax_inode *one, struct ext2dax_inode *two);

#endif
