/* SPDX-License-Identifier: MIT */
/*
 * Schedule explorer. Runs a few operations as coroutines of a single thread, and decides at every
 * lock call, write-back, fence, callback and marked shared access which coroutine continues. Every
 * decision is tried, depth first. To go back, memory and stacks are restored. A state explored
 * before is not explored again. A finding has a short name, the id of its schedule, by which the
 * schedule is replayed exactly and printed as a table with a column per thread.
 *
 * The explorer runs on the instrumented core of the testkit. A test harness
 *   - opens an explorer, and takes the lock plug, the host plug and the memory of the image from
 *     the explorer
 *   - keeps everything changed by running threads in the explorer's memory, or passes the range to
 *     ext2dax_explorer_remember()
 *   - describes scenarios, with a fixture, the operations of each thread, and invariants for every
 *     state and for the end
 *
 * The explored executions are sequentially consistent. Finding a missing memory barrier needs a
 * race detector.
 *
 * A single explorer may be exploring in a process at a time, and nothing else may run in the
 * instrumented core meanwhile. The functions below must not be called from two threads at once.
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

#define EXT2DAX_EXPLORER_THREADS 4          /* most threads of a scenario */
#define EXT2DAX_EXPLORER_ANY     UINT32_MAX /* any number of preemptions */

/*
 * Lets another thread run only at accesses about which two threads can conflict. These accesses are
 * learned during the exploration. Each new access starts the exploration again, until a whole
 * exploration has met no new access. The result is sound if threads access all shared memory under
 * a lock of the explorer's plug, or announce the access as a yield point.
 */
#define EXT2DAX_EXPLORER_SHARED_ONLY 0x1u
/*
 * Goes back by running the schedule again from its start instead of restoring stacks. Slower.
 * Implied under sanitizers and Valgrind. Frames must lie on the stack, so
 * detect_stack_use_after_return of AddressSanitizer must be off.
 */
#define EXT2DAX_EXPLORER_REPLAY 0x2u
/*
 * Makes the lock plug report every lock as held. Assertions about held locks are off then, and only
 * the checks of the test harness find faults.
 */
#define EXT2DAX_EXPLORER_BLIND 0x4u

/*
 * Queues a shared lock call behind a thread waiting for the lock exclusively, as every backend fair
 * to writers does. Finds deadlocks caused by this queue. Code taking all locks in order does not
 * need the flag.
 */
#define EXT2DAX_EXPLORER_FAIR 0x8u

/*
 * Options of ext2dax_explorer_open(). All-zero is a good default, except for `preemptions`, where 0
 * allows none.
 */
struct ext2dax_explorer_options {
    size_t size;    /* sizeof this struct at the caller. Members beyond count as 0. */
    size_t memory;  /* bytes of the restored memory, 0 for 1 MiB */
    size_t stack;   /* bytes per thread, 0 for 64 KiB */
    unsigned flags; /* EXT2DAX_EXPLORER_… */
    /*
     * Most preemptions per schedule, or EXT2DAX_EXPLORER_ANY. A preemption is a switch away from a
     * thread able to continue. A switch at the end of a thread, or where the thread blocks, is
     * free.
     */
    uint32_t preemptions;
    uint64_t most_states; /* stops incomplete after this number of states, 0 for no bound */
    uint32_t most_steps;  /* steps of a schedule counted as a livelock beyond, 0 for 100,000 */
};

/*
 * Opens an explorer. `options` may be NULL, for all defaults and any number of preemptions. Returns
 * NULL without memory.
 */
struct ext2dax_explorer *ext2dax_explorer_open(const struct ext2dax_explorer_options *options);
/* Closes the explorer, and frees its memory and stacks. */
void ext2dax_explorer_close(struct ext2dax_explorer *explorer);

/*
 * Frees everything allocated, remembered, ignored or named, for the next scenario. Options stay.
 */
void ext2dax_explorer_clear(struct ext2dax_explorer *explorer);
/* Sets flags and the bound of preemptions for later explorations. */
void ext2dax_explorer_set(struct ext2dax_explorer *explorer, unsigned flags, uint32_t preemptions);

/* ---- the plugs ---- */

/*
 * Returns the lock plug. A lock not free blocks the coroutine. Which of several waiting threads
 * gets a freed lock is a decision as any other. The init op returns ENOMEM without memory.
 */
struct ext2dax_locks ext2dax_explorer_locks(struct ext2dax_explorer *explorer);

/*
 * Returns the host plug. Memory comes from the explorer. The clock stands at 1,700,000,000 s. A
 * panic is a finding, and outside of threads aborts the program. The caller may use reserved
 * blocks. Reports are dropped.
 */
struct ext2dax_host ext2dax_explorer_host(struct ext2dax_explorer *explorer);

/*
 * Allocates zeroed memory which is restored, as the host plug does. While exploring, threads can
 * take about 32 KiB beyond the memory used by the fixture. Returns NULL without memory.
 */
void *ext2dax_explorer_alloc(struct ext2dax_explorer *explorer, size_t bytes);
/* Frees memory of ext2dax_explorer_alloc(), and overwrites the bytes. `at` may be NULL. */
void ext2dax_explorer_release(struct ext2dax_explorer *explorer, void *at, size_t bytes);

/*
 * Allocates the memory of an image in the explorer's memory, aligned to 64 KiB, and filled with
 * `fill`. The memory has a `fence` op.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM   no memory
 */
int ext2dax_explorer_memory(struct ext2dax_explorer *explorer, size_t bytes, unsigned char fill,
                            struct ext2dax_memory *memory);

/*
 * Wraps an address space. Its ops map, unmap, protect and extend become yield points and appear in
 * the table. The op aliases is passed through. A missing op stays missing. An explorer wraps a
 * single address space.
 */
struct ext2dax_address_space ext2dax_explorer_watch(struct ext2dax_explorer *explorer,
                                                    struct ext2dax_address_space space);

/* ---- restored memory and the comparison of states ---- */

/*
 * Adds memory of the test harness, such as a page table, to the restored memory. Its content
 * distinguishes states.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM   no memory
 *   EBUSY    the explorer is exploring
 */
int ext2dax_explorer_remember(struct ext2dax_explorer *explorer, void *at, size_t bytes);
/*
 * Excludes a part of the restored memory from the comparison of states, as for counters. The part
 * is still restored. Returns 0 or a negative errno
 *
 *   ENOMEM   no memory
 *   EBUSY    the explorer is exploring
 */
int ext2dax_explorer_ignore(struct ext2dax_explorer *explorer, const void *at, size_t bytes);
/*
 * Excludes the counters of a mount, which only record events. Returns 0 or a negative errno
 *
 *   ENOMEM   no memory
 *   EBUSY    the explorer is exploring
 */
int ext2dax_explorer_ignore_counters(struct ext2dax_explorer *explorer, struct ext2dax_mount *mount);

/*
 * Names a range in the table. `text` must stay valid. Of several names for an address the shortest
 * range wins. The second function names an inode and its members.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM   no memory
 */
int ext2dax_explorer_name(struct ext2dax_explorer *explorer, const void *at, size_t bytes, const char *text);
int ext2dax_explorer_name_inode(struct ext2dax_explorer *explorer, const struct ext2dax_inode *inode, const char *text);

/* ---- for code that runs as a thread ---- */

/* Kind of the next access of a thread. */
enum ext2dax_explorer_access {
    EXT2DAX_EXPLORER_LOAD, /* load */
    EXT2DAX_EXPLORER_STORE /* store */
};

/*
 * Marks a yield point of the test harness, directly before an access at `at`. NULL stands for any
 * address. No effect outside of threads.
 */
void ext2dax_explorer_point(struct ext2dax_explorer *explorer, enum ext2dax_explorer_access access, const void *at);
/*
 * Sleeps until another thread calls ext2dax_explorer_wake() with the same `at`. A sleep without any
 * possible wake-up is reported as a lost wake-up. Values loaded since the last yield point are
 * still current when the sleep begins, as under the lock of a wait queue. If the thread has
 * announced a store or released a lock since its last stop, other threads may run before the sleep
 * begins. No effect outside of threads.
 */
void ext2dax_explorer_sleep(struct ext2dax_explorer *explorer, const void *at);
/* Wakes all threads sleeping at `at`. A yield point. */
void ext2dax_explorer_wake(struct ext2dax_explorer *explorer, const void *at);
/*
 * Prints a line into the running thread's column of the table, as printf() does. Costs nothing
 * unless a table is printed.
 */
void ext2dax_explorer_note(struct ext2dax_explorer *explorer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * Reports a finding. The schedule ends at its next yield point. Only the first finding of a
 * schedule counts. Callable anywhere while exploring.
 */
void ext2dax_explorer_fail(struct ext2dax_explorer *explorer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- exploring ---- */

/* A thread of a scenario. */
struct ext2dax_explorer_thread {
    const char *name;       /* heading of the column in the table */
    void (*run)(void *arg); /* receives the scenario's `arg` */
};

/* A fixture, threads, and invariants. */
struct ext2dax_scenario {
    const char *name; /* for output by the test harness */
    void *arg;        /* passed to all functions below */
    unsigned threads; /* number of threads, at least 1 */
    /* Threads, which start together. */
    struct ext2dax_explorer_thread thread[EXT2DAX_EXPLORER_THREADS];
    /*
     * Builds the fixture, a single time, in a clear explorer. A used explorer is cleared first.
     * NULL if the fixture exists already.
     */
    void (*start)(void *arg);
    /*
     * Checks every new state, while threads stand at yield points. Must change nothing and take no
     * lock. May be NULL.
     */
    void (*step)(void *arg);
    /*
     * Checks every new end, with all threads done. May make any call, because everything is
     * restored afterwards. May be NULL.
     */
    void (*finish)(void *arg);
};

#define EXT2DAX_EXPLORER_ID 512 /* bytes for any id of a schedule */

/* Result of an exploration. */
struct ext2dax_explorer_result {
    uint64_t schedules; /* schedules run to their end */
    uint64_t pruned;    /* schedules ended in a state explored before */
    uint64_t states;    /* distinct states */
    uint64_t ends;      /* distinct states with all threads done */
    uint64_t steps;     /* steps from a yield point to the next */
    double covered;     /* schedules covered by the explored, 0 with bounded preemptions */
    uint32_t points;    /* yield points of the longest schedule */
    uint32_t rounds;    /* explorations started, above 1 only with SHARED_ONLY */
    uint32_t flags;     /* flags of the exploration */
    bool complete;      /* all schedules within the bound. False after a finding or most_states. */
    bool failed;        /* `finding` and `id` are valid */
    /*
     * Preemptions of the schedule found. No schedule with fewer was seen to fail, unless the number
     * is above four.
     */
    uint32_t preemptions;
    char finding[256];            /* description of the finding */
    char id[EXT2DAX_EXPLORER_ID]; /* id of the schedule with the finding */
};

/*
 * Explores all schedules of the scenario up to the first finding, then searches for a failing
 * schedule with the fewest preemptions. Deadlock, lost wake-up and livelock are findings. A
 * livelock by which no schedule reaches an end, whichever thread runs, is seen only if preemptions
 * are not bounded. Blocks until done.
 *
 * Returns true without a finding. Returns false with a finding, and with a failure described in
 * `finding` without an id, if the number of threads is wrong or memory is missing.
 */
bool ext2dax_explorer_explore(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario,
                              struct ext2dax_explorer_result *result);

/*
 * Runs a single schedule, with every decision drawn from `seed`. For scenarios with too many
 * schedules to explore. The same program runs the same schedule from the same seed. The mean number
 * of yield points between two decisions is drawn as well.
 *
 * Nothing is restored. Memory is left as the threads leave it, and need not come from the explorer,
 * except for the locks. `start` runs in a clear explorer. `step` runs at every decision. `finish`
 * runs after all threads have ended, and not after ext2dax_explorer_stop(). A crashing memory may
 * be open, and learns of the stores of all threads. Deadlock is a finding, and so is a walk of more
 * than `most_steps` decisions.
 *
 * Returns true without a finding. The result has no id, because the seed is the name of the
 * schedule. `steps` counts decisions, and `points` the yield points of all threads. `schedules` is
 * 0 after ext2dax_explorer_stop(), else 1.
 */
bool ext2dax_explorer_walk(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario, uint64_t seed,
                           struct ext2dax_explorer_result *result);

/*
 * Ends a walk without a finding, as a power failure or a kill does. The threads never continue, and
 * locks stay held. In a thread the effect is at the next yield point. Not for explorations.
 */
void ext2dax_explorer_stop(struct ext2dax_explorer *explorer);

/* Returns the index of the running thread, or EXT2DAX_EXPLORER_THREADS outside of threads. */
unsigned ext2dax_explorer_running(const struct ext2dax_explorer *explorer);

/*
 * Runs a single schedule by its id. "a17b4a" stands for 17 yield points of the first thread, 4 of
 * the second, the first to its end, and the other threads to their ends. `line`, if not NULL, gets
 * the table line by line. With SHARED_ONLY accesses known to be private are left out. `id` may be
 * the id in *result.
 *
 * Returns true if the schedule ended without a finding. Otherwise returns false, with the finding
 * in *result. *error is 0 or a negative errno
 *
 *   EINVAL   not an id of this scenario. No line was printed, and *result is not valid.
 */
bool ext2dax_explorer_replay(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario, const char *id,
                             void (*line)(void *arg, const char *text), void *arg,
                             struct ext2dax_explorer_result *result, int *error);

#ifdef __cplusplus
}
#endif
#endif
