/* SPDX-License-Identifier: MIT */
/*
 * The stage that every scenario is played on: a small image, a file that two mappings show, a victim that takes whatever
 * blocks become free, and the judge, who looks at the whole image and at every mapping.
 *
 * Pages and blocks have 1 KiB, a window 8 pages. Everything has its mark: free blocks FREE, what the file's owner wrote
 * WROTE, stores through mappings STORED (and more, by thread), the victim's data FOREIGN. No page of the file, and no mapping of it, may
 * ever show FREE or FOREIGN.
 */
#ifndef STAGE_H
#define STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"
#include "judge.h"

#define PAGE   1024u
#define WINDOW 8u  /* pages */
#define PAGES  24u /* that a mapping shows */
#define WROTE  7
#define STORED 1 /* by thread 0; by thread 1: 2, … */

#define BLOCKS 64u /* of the image */

struct stage {
    struct ext2dax_explorer *explorer;
    struct ext2dax_lock_order *order; /* NULL: nobody looks at the order of locks */
    struct ext2dax_memory memory;
    struct ext2dax_model *model;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *file, *victim;
    struct ext2dax_model_map *map[EXT2DAX_EXPLORER_THREADS]; /* a thread's own */
    unsigned maps;
    uint64_t page;                         /* what the scenario is about */
    uint64_t size;                         /* of the file at the start */
    uint64_t kept;                         /* the file's first bytes, which nobody takes away */
    bool private;                          /* all mappings are */
    bool unlinked;                         /* somebody removes the name; then each thread gives its reference back */
    bool frozen;                           /* between a freeze and its thaw */
    bool stored[EXT2DAX_EXPLORER_THREADS]; /* the thread's store went through, into its byte of the page */
    bool copied[EXT2DAX_EXPLORER_THREADS]; /* … of its private copy of it */
};

extern struct stage stage;

/* The byte of the file that only this thread stores to. */
uint64_t stage_place(unsigned thread);

/* A scenario is a start and a part for each thread. */
struct part {
    const char *name;
    void (*play)(unsigned thread);
    uint64_t (*keeps)(void); /* so many of the file's first bytes stay what they were; NULL: all */
    bool unlinks;
};

struct start {
    const char *name;
    void (*set)(void);
};

struct play {
    const struct start *start;
    const struct part *part[EXT2DAX_EXPLORER_THREADS];
    unsigned parts;
    bool order; /* with a lock-order checker around the locks */
};

/* The explorer's view of it; `name` has room for the whole name. */
void play_describe(const struct play *play, struct ext2dax_scenario *scenario, char *name, size_t size);

extern const struct start starts[];
extern const unsigned start_count;

/* What faults, reads and writes; what takes away or gets in between. */
extern const struct part movers[], changers[];
extern const unsigned mover_count, changer_count;

/* A check that fails is this schedule's finding. */
void expect(bool condition, const char *what);

#endif
