/* SPDX-License-Identifier: MIT */
/*
 * Every schedule with one preemption: one operation is stopped at each of its yield points in turn, a second one runs
 * there in another thread as far as the locks let it, and then both go on to their end. Every time the whole image and
 * every mapping must be as they must be, no lock taken out of order, and no store may be lost.
 *
 * A second operation that is not done after a moment is taken to be blocked. Where the machine was merely slow, that is
 * just another schedule: it can hide a mistake once, never invent one.
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include "bench.h"

#define PAGE   1024u
#define WINDOW (8 * PAGE)

/* Made anew for every schedule: two files, and two shared mappings of the first one's first 40 pages. */
extern struct bench bench;
extern struct ext2dax_inode *file, *victim;
extern struct ext2dax_model_map *map, *other;

struct scenario {
    const char *name;
    void (*start)(void), (*first)(void), (*second)(void), (*verify)(void);
};

extern bool durable;        /* false at first. The mount is ordered, and bench.durable kept */
extern unsigned blocked_ms; /* after which the second operation is taken to be blocked */

/* What was noticed; of a mutant, locks taken out of order are noticed apart, and the core's assertions are off. */
extern unsigned wrong, wrong_order;
extern const char *wrong_what;
void complain(const char *what);
void expect(bool condition, const char *what);

/* One schedule, with a protection broken or with "none"; false when `first` has fewer yield points than that. */
bool one_schedule(const struct scenario *scenario, unsigned at, const char *mutant);
/* All of them, and the test fails if anything is wrong in one; how many there were. */
unsigned every_schedule(const struct scenario *scenario);

/* Steps of operations. */
enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                   enum ext2dax_fault_result (*entry)(struct ext2dax_fault *));
void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte);
void fill(uint64_t first, uint64_t pages); /* pages of the file, with 7s */
void linger(void);                         /* a step at which the other operation goes on */
void no_leaks(void);                       /* nothing is in use that no name leads to */

#endif
