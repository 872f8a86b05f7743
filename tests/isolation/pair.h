/* SPDX-License-Identifier: MIT */
/*
 * Duets: two operations on a bench, in every schedule. In every state and at every end the whole image and every mapping
 * must be as they must be, no lock taken out of order, and no store may be lost.
 *
 * Whatever a scenario changes while threads run it declares with CHANGES, so that it is put back.
 */
#ifndef DUET_H
#define DUET_H

#include "../core/bench.h"
#include "ext2dax/testkit/explorer.h"

#define PAGE    1024u
#define WINDOW  (8 * PAGE)
#define CHANGES __attribute__((section("changes")))

/* Made anew for every scenario: two files, and two shared mappings of the first one's first 40 pages. */
extern struct bench bench;
extern struct ext2dax_inode *file, *victim;
extern struct ext2dax_model_map *map, *other;

struct scenario {
    const char *name;
    void (*start)(void), (*first)(void), (*second)(void), (*verify)(void);
};

void complain(const char *what);
void expect(bool condition, const char *what);

struct duet {
    const struct scenario *scenario;
    const char *mutant; /* active while both run; NULL: nothing is broken */
    bool blind;         /* the core's assertions are off, and nobody looks at the order of locks */
    bool thorough;      /* tried in all the ways a mutant is, though nothing is broken */
    bool unjudged;      /* only assertions and the order of locks count */
    bool hostile;       /* the image is not whole from the start: only its mappings are judged */
    bool durable;       /* the mount is ordered, and bench.durable kept */
};

/* All schedules, up to a finding; false: there was one. */
bool duet_explore(const struct duet *duet, struct ext2dax_explorer_result *result);
/* One of them. `print`: as a table, to stdout. False: it ends in a finding. */
bool duet_replay(const struct duet *duet, const char *id, unsigned flags, bool print,
                 struct ext2dax_explorer_result *result);

/*
 * A Check suite with a test for each: explores it with nothing broken, prints how many schedules there were, and fails at a
 * finding. What main() returns.
 */
int duets_run(const char *name, const struct scenario *scenarios, int count);

/* Steps of operations. */
enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                   enum ext2dax_fault_result (*entry)(struct ext2dax_fault *));
void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte);
void fill(uint64_t first, uint64_t pages); /* pages of the file, with 7s */
void linger(void);                         /* a step at which the other operation may go on */
void no_leaks(void);                       /* nothing is in use that no name leads to */

#endif
