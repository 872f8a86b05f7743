/* SPDX-License-Identifier: MIT */
/*
 * The fixture of every scenario. Provides a small image, a file with a shared mapping per thread, a
 * victim file allocating every block freed, and invariants over the whole image and every mapping.
 *
 * Pages and blocks have 1 KiB, a PMD range has 8 pages. Fill bytes identify the origin of data.
 * Free blocks hold FREE, bytes written to the file WROTE, stores through mappings STORED plus the
 * thread number, and the victim's data FOREIGN. No page of the file, and no mapping of the file,
 * may ever contain FREE or FOREIGN.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"
#include "invariants.h"

#define PAGE      1024u
#define PMD_RANGE 8u  /* pages */
#define PAGES     24u /* of a mapping */
#define WROTE     7
#define STORED    1 /* by thread 0, 2 by thread 1, and so on */

#define BLOCKS 64u /* of the image */

struct isolation_fixture {
    struct ext2dax_explorer *explorer;
    struct ext2dax_lock_order *order; /* NULL disables the lock order checker */
    struct ext2dax_memory memory;
    struct ext2dax_model *model;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *file, *victim;
    struct ext2dax_model_map *map[EXT2DAX_EXPLORER_THREADS]; /* by thread */
    unsigned maps;
    uint64_t page; /* the page used by the scenario */
    uint64_t size; /* of the file at the start */
    uint64_t kept; /* the file's first bytes, never removed by any thread */
    bool private;  /* all mappings are private */
    /* some thread removes the name, then each thread drops its reference */
    bool unlinked;
    bool frozen; /* between a freeze and its thaw */
    /* the thread's store to its byte of the page succeeded */
    bool stored[EXT2DAX_EXPLORER_THREADS];
    bool copied[EXT2DAX_EXPLORER_THREADS]; /* the same for its private copy of the page */
};

extern struct isolation_fixture fixture;

/* Returns the offset of the file byte reserved for stores by this thread. */
uint64_t fixture_place(unsigned thread);

/* A scenario is a start and an operation for each thread. */
struct operation {
    const char *name;
    void (*play)(unsigned thread);
    /* returns the number of the file's first bytes left unchanged, NULL for all */
    uint64_t (*keeps)(void);
    bool unlinks;
};

struct start {
    const char *name;
    void (*set)(void);
};

struct play {
    const struct start *start;
    const struct operation *operation[EXT2DAX_EXPLORER_THREADS];
    unsigned count;
    bool order; /* with a lock order checker around the locks */
};

/* Describes the play to the explorer. `name` has room for the whole name. */
void play_describe(const struct play *play, struct ext2dax_scenario *scenario, char *name, size_t size);

extern const struct start starts[];
extern const unsigned start_count;

/* Movers fault, read and write. Changers truncate, punch, unlink, or interfere in other ways. */
extern const struct operation movers[], changers[];
extern const unsigned mover_count, changer_count;

/* A failed check is the finding of the schedule. */
void expect(bool condition, const char *what);

#endif
