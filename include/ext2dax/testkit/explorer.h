/* SPDX-License-Identifier: MIT */
/*
 * The schedule explorer: runs a few operations as coroutines of one thread, and decides at every lock call, write-back,
 * fence, callback and marked shared access which of them goes on. It tries every decision: depth first, going back by
 * putting memory and stacks as they were, and cutting off where a state comes back that was explored before. What it
 * finds has a short name, the schedule's id, that replays it exactly and prints it as a table with a column a thread.
 *
 * It runs on the testkit's instrumented core. A bench
 *   - opens an explorer, and takes the lock plug, the host plug and the image's memory from it;
 *   - keeps what it changes while threads run in the explorer's memory, or has it remembered;
 *   - describes scenarios: how the stage is set, what each thread does, what has to hold in every state and at the end.
 *
 * What is explored is sequentially consistent: a missing memory barrier is for a race detector to find.
 *
 * One explorer at a time may be exploring in a process, and nothing else may run in the instrumented core meanwhile. None of
 * this may be called from two threads at once.
 */
#ifndef EXT2DAX_TESTKIT_EXPLORER_H
#define EXT2DAX_TESTKIT_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../address_space.h"
#include "../host.h"
#include "../lock.h"
#include "../memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_explorer;
struct ext2dax_mount;

#define EXT2DAX_EXPLORER_THREADS 4          /* of a scenario, at most */
#define EXT2DAX_EXPLORER_ANY     UINT32_MAX /* preemptions: as many as there can be */

/*
 * Only at accesses that two threads can be in conflict about is another thread let in. Which those are is learned while
 * exploring, which begins again whenever one is added, until a whole exploration has met no other. Sound as long as
 * whatever threads share is touched under a lock of the explorer's plug, or announced as a yield point.
 */
#define EXT2DAX_EXPLORER_SHARED_ONLY 0x1u
/*
 * Go back by running the schedule again from its start, not by restoring stacks: slower. Implied under sanitizers and
 * Valgrind. Frames must be on the stack: AddressSanitizer's detect_stack_use_after_return has to be off.
 */
#define EXT2DAX_EXPLORER_REPLAY 0x2u
/* The lock plug says that every lock is held: what asserts on that is off, and only the bench's own checks judge. */
#define EXT2DAX_EXPLORER_BLIND 0x4u

/*
 * Who comes for a lock shared while somebody waits to have it exclusively waits behind that one, as with every backend that
 * is fair to writers. Finds what deadlocks for that alone; what takes every lock in order needs it not.
 */
#define EXT2DAX_EXPLORER_FAIR 0x8u

/* All-zero is a good default, but for `preemptions`: 0 is none. */
struct ext2dax_explorer_options {
    size_t size;          /* sizeof of whoever filled it; what lies past it counts as zero */
    size_t memory;        /* bytes for all that has to be put back; 0: 1 MiB */
    size_t stack;         /* bytes a thread; 0: 64 KiB */
    unsigned flags;       /* EXT2DAX_EXPLORER_… */
    uint32_t preemptions; /* at most so many a schedule, or EXT2DAX_EXPLORER_ANY: a switch from a thread that could
                            * have gone on; switches at the end of a thread or where it blocks are free */
    uint64_t most_states; /* stop there, incomplete; 0: no bound */
    uint32_t most_steps;  /* of one schedule, past which it counts as a livelock; 0: 100,000 */
};

/* NULL: no memory. `options` may be NULL: all defaults, any number of preemptions. */
struct ext2dax_explorer *ext2dax_explorer_open(const struct ext2dax_explorer_options *options);
void ext2dax_explorer_close(struct ext2dax_explorer *explorer);

/* Gives everything back that was allocated, remembered, ignored or named; for the next scenario. Options stay. */
void ext2dax_explorer_clear(struct ext2dax_explorer *explorer);
/* Changes flags and bound for the explorations to come. */
void ext2dax_explorer_set(struct ext2dax_explorer *explorer, unsigned flags, uint32_t preemptions);

/* ---- the plugs ---- */

/* A lock that is not free blocks the coroutine; who is let in when it becomes free is a decision like any other. */
struct ext2dax_locks ext2dax_explorer_locks(struct ext2dax_explorer *explorer);

/* Memory from the explorer's; a clock that stands at 1,700,000,000; a panic is a finding; the caller may use reserved blocks. */
struct ext2dax_host ext2dax_explorer_host(struct ext2dax_explorer *explorer);

/* Zeroed memory that is put back; NULL: none is left. The same as the host plug's. Released memory is overwritten. */
void *ext2dax_explorer_alloc(struct ext2dax_explorer *explorer, size_t bytes);
void ext2dax_explorer_release(struct ext2dax_explorer *explorer, void *at, size_t bytes);

/* An image's memory, in the explorer's and aligned to 64 KiB, with a fence, filled with `fill`. ENOMEM. */
int ext2dax_explorer_memory(struct ext2dax_explorer *explorer, size_t bytes, unsigned char fill,
                            struct ext2dax_memory *memory);

/* Wraps an address space, so that its three calls are yield points and appear in the table. One an explorer. */
struct ext2dax_address_space ext2dax_explorer_watch(struct ext2dax_explorer *explorer,
                                                    struct ext2dax_address_space space);

/* ---- what is put back, and what tells states apart ---- */

/* More memory that is put back, and tells states apart: the bench's own, such as a page table. ENOMEM; EBUSY: exploring. */
int ext2dax_explorer_remember(struct ext2dax_explorer *explorer, void *at, size_t bytes);
/* Part of the explorer's memory, or of what it remembers, that is put back but does not tell states apart: counters. */
int ext2dax_explorer_ignore(struct ext2dax_explorer *explorer, const void *at, size_t bytes);
/* The counters of a mount, which only tell what happened. */
int ext2dax_explorer_ignore_counters(struct ext2dax_explorer *explorer, struct ext2dax_mount *mount);

/* A name in the table for accesses to that range; the text must stay. */
int ext2dax_explorer_name(struct ext2dax_explorer *explorer, const void *at, size_t bytes, const char *text);
int ext2dax_explorer_name_inode(struct ext2dax_explorer *explorer, const struct ext2dax_inode *inode, const char *text);

/* ---- for code that runs as a thread ---- */

/* What a thread is about to do. */
enum ext2dax_explorer_access {
    EXT2DAX_EXPLORER_LOAD, /* look */
    EXT2DAX_EXPLORER_STORE /* change */
};

/* A yield point of the bench's own: this is about to be touched; NULL: anything may be. Outside of threads: nothing. */
void ext2dax_explorer_point(struct ext2dax_explorer *explorer, enum ext2dax_explorer_access access, const void *at);
/*
 * Sleeps until another thread wakes whoever sleeps at `at`; a sleep that nobody can end is reported as a lost wake-up. What
 * was loaded since the last yield point is still so when it sleeps, as under the lock of a wait queue. If the thread
 * announced a store or released a lock since it last stood still, others may come in before it sleeps.
 */
void ext2dax_explorer_sleep(struct ext2dax_explorer *explorer, const void *at);
void ext2dax_explorer_wake(struct ext2dax_explorer *explorer, const void *at);
/* A line in the running thread's column of the table, printf's way. Costs nothing but while a table is printed. */
void ext2dax_explorer_note(struct ext2dax_explorer *explorer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something is wrong: this schedule is a finding, and ends at its next yield point. From anywhere. */
void ext2dax_explorer_fail(struct ext2dax_explorer *explorer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- exploring ---- */

/* One thread of a scenario. */
struct ext2dax_explorer_thread {
    const char *name;       /* its column in the table */
    void (*run)(void *arg); /* with the scenario's arg */
};

/* A stage, threads on it, and what has to hold. */
struct ext2dax_scenario {
    const char *name; /* for whoever prints it */
    void *arg;        /* the bench's, handed to all of it */
    unsigned threads; /* how many of the following there are, at least 1 */
    struct ext2dax_explorer_thread thread[EXT2DAX_EXPLORER_THREADS]; /* they start together */
    /* Sets the stage, once, in an explorer that is clear: one that has explored is cleared first. NULL: it is set. */
    void (*start)(void *arg);
    /* Looks at every new state while threads stand at yield points: may change nothing and take no lock. May be NULL. */
    void (*step)(void *arg);
    /* Looks at every new end, when all threads are done; may call anything, since all is put back after it. May be NULL. */
    void (*finish)(void *arg);
};

#define EXT2DAX_EXPLORER_ID 512 /* bytes that hold any schedule's id */

/* What came of exploring. */
struct ext2dax_explorer_result {
    uint64_t schedules; /* run to their end */
    uint64_t pruned;    /* cut off in a state explored before */
    uint64_t states;    /* different ones */
    uint64_t ends;      /* of those, in which all threads were done */
    uint64_t steps;     /* from one yield point to the next */
    double covered;     /* schedules that these stand for; 0 where preemptions are bounded */
    uint32_t points;    /* yield points of the longest schedule */
    uint32_t rounds;    /* explorations begun: more than one only with SHARED_ONLY */
    uint32_t flags;     /* what it was explored with */
    bool complete;      /* all there are within the bound; false after a finding or at most_states */
    bool failed;        /* `finding` and `id` mean something */
    uint32_t
        preemptions;   /* of the schedule found: no other with fewer was seen to fail, unless it has more than four */
    char finding[256]; /* what was wrong */
    char id[EXT2DAX_EXPLORER_ID]; /* of the schedule in which it was */
};

/*
 * Explores all schedules of the scenario, up to the first finding; for that it then looks for the one with the fewest
 * preemptions. Deadlock, lost wake-up and livelock are findings; a livelock that needs no thread to run in particular, only
 * that no schedule comes to an end, is seen only where preemptions are not bounded. True: no finding.
 */
bool ext2dax_explorer_explore(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario,
                              struct ext2dax_explorer_result *result);

/*
 * Runs one schedule by its id, "a17b4a": 17 yield points of the first thread, 4 of the second, the first to its end, the
 * others to theirs. `line`, where not NULL, gets the table, a line at a time; with SHARED_ONLY without what is known to be
 * private. The id may be the one in `*result`. True: it ended without a finding, else the result tells. EINVAL (negative, in
 * `*error`): not an id of this scenario; nothing else is to be made of it then, and no line was given.
 */
bool ext2dax_explorer_replay(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario, const char *id,
                             void (*line)(void *arg, const char *text), void *arg,
                             struct ext2dax_explorer_result *result, int *error);

#ifdef __cplusplus
}
#endif
#endif
