/* SPDX-License-Identifier: MIT */
/*
 * Internals of the explorer. Each file builds on the files below.
 *
 *     explorer           public calls for opening, plugs, names and exploring
 *     replay, walk       run a single schedule, named by an id or drawn from a seed
 *     search             chooses the decision tried next
 *     lock, point        where a thread is suspended
 *     finding, trace     findings and notes, ids and the table
 *     thread, waiting    saves and restores threads, decides if a thread can run
 *     memory, state      saves, restores and hashes memory, records visited states
 *     coroutine          stacks, and switching between stacks
 */
#ifndef E2DT_EXPLORER_INTERNAL_H
#define E2DT_EXPLORER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/testkit/explorer.h"

#include "coroutine.h"
#include "lock_order_holds.h"
#include "base/instrument.h"

#define E2DT_CHUNK  256u /* bytes compared, hashed and restored together */
#define E2DT_NOBODY UINT32_MAX

/* ---- state ---- */

/* A range of memory saved and restored by the explorer. */
struct e2dt_state_range {
    unsigned char *at;
    /* number (the last may be partial), and index of the first over all ranges */
    size_t chunks, first;
    size_t bytes;
};

struct e2dt_ignored {
    const unsigned char *at;
    size_t bytes;
};

/* Contents of a chunk in an older saved state. */
struct e2dt_undo {
    uint32_t chunk;
    uint64_t hash;
    unsigned char bytes[E2DT_CHUNK];
};

/*
 * A visited state. `count` is the number of schedules from the state to an end. With bounded
 * preemptions `count` is the most preemptions left in any visit, plus 1.
 */
struct e2dt_seen {
    uint64_t key; /* 0 for an empty slot */
    double count;
    uint32_t frame; /* index of its frame if on the current path, else E2DT_NOBODY */
    uint32_t order; /* order of discovery, 0 once an end is known to be reachable */
};

struct e2dt_state {
    unsigned char *arena;
    size_t arena_size;
    uint64_t *taken; /* 1 bit per granule of the arena */
    size_t high;     /* upper bound of the granules ever allocated */
    size_t limit;    /* granules saved and restored, 0 before exploring */

    struct e2dt_state_range *range;
    unsigned ranges;
    struct e2dt_ignored *ignored;
    unsigned ignores;

    /* Arrays over the chunks of all ranges. */
    size_t chunks;
    unsigned char *root;   /* contents in the first state */
    unsigned char *shadow; /* contents in the newest saved state */
    uint64_t *hash;        /* per chunk of the shadow */
    unsigned char *masked; /* 1 if part of the chunk is ignored */
    unsigned char *used;   /* 1 if allocated in the first state or since, or outside the arena */
    size_t arena_first;    /* index of the arena's first chunk */
    uint32_t *changed;     /* chunks differing from the shadow, valid if `known` */
    uint64_t *changed_hash;
    size_t changes;
    bool known;
    uint64_t sum; /* of all chunk hashes */

    struct e2dt_undo *undo;
    size_t undos, undo_room;

    struct e2dt_seen *seen;
    size_t seen_room, seen_count;
};

bool e2dt_state_open(struct e2dt_state *state, size_t arena_size);
void e2dt_state_close(struct e2dt_state *state);
void e2dt_state_clear(struct e2dt_state *state);

void *e2dt_state_alloc(struct e2dt_state *state, size_t bytes, size_t alignment);
void e2dt_state_release(struct e2dt_state *state, void *at, size_t bytes);
int e2dt_state_remember(struct e2dt_state *state, void *at, size_t bytes);
int e2dt_state_ignore(struct e2dt_state *state, const void *at, size_t bytes);

/*
 * Saves the current memory as the first state. Returns 0 or a negative errno
 *   ENOMEM  no memory for the saved state
 *   EINVAL  there is no memory to save
 */
int e2dt_state_begin(struct e2dt_state *state);
/* Invalidates the list of changes after a thread has run. */
void e2dt_state_ran(struct e2dt_state *state);
/* Finds the changes since the newest saved state. Returns the hash of the current state. */
uint64_t e2dt_state_look(struct e2dt_state *state);
/* Saves the state found by e2dt_state_look() as the newest. Returns false if out of memory. */
bool e2dt_state_keep(struct e2dt_state *state);
/* Restores the newest saved state. */
void e2dt_state_back(struct e2dt_state *state);
/* Restores the first state, regardless of later saved states. */
void e2dt_state_first(struct e2dt_state *state);
/*
 * Drops saved states. `undos` is the number of undo records present before the oldest dropped state
 * was saved. The state saved before becomes the newest again.
 */
void e2dt_state_drop(struct e2dt_state *state, size_t undos);

uint64_t e2dt_state_mix(uint64_t value);
uint64_t e2dt_state_hash(const void *at, size_t bytes);

/* Returns the record of a state, created if missing (*fresh). Returns NULL if out of memory. */
struct e2dt_seen *e2dt_state_seen(struct e2dt_state *state, uint64_t key, bool *fresh);
void e2dt_state_forget(struct e2dt_state *state);

/* ---- threads ---- */

enum e2dt_waiting {
    E2DT_RUNNABLE,
    E2DT_WAITS_SHARED,    /* for the lock `at` */
    E2DT_WAITS_EXCLUSIVE, /* for the lock `at` */
    E2DT_SLEEPS,          /* until a wake-up at `at` */
    E2DT_ENDED
};

struct e2dt_thread {
    struct e2dt_coroutine coroutine;
    struct e2dt_lock_holds holds; /* for a lock-order checker wrapping the explorer's locks */
    enum e2dt_waiting waiting;
    const void *at;
    uint32_t points; /* passed so far in this schedule */
    uint32_t limit;  /* replay, suspend only after so many points, 0 to suspend at every decision */
    uint32_t passed; /* points since the last suspension */
    bool announced;  /* has announced a store or released a lock since the last suspension */
    struct ext2dax_explorer *explorer;
};

#define E2DT_TO_THE_END UINT32_MAX
/* Points a thread may pass without a decision before being suspended. */
#define E2DT_ON_AND_ON 10000u

/* Part of a schedule. A thread runs through a number of yield points, or to its end. */
struct e2dt_turn {
    uint32_t thread;
    uint32_t points;
};

/* The threads accessing an address, with 1 bit per thread. */
struct e2dt_accessed {
    const void *at; /* NULL for an empty slot */
    uint32_t loads, stores, tries;
    bool shared; /* accessed by two threads, of which at least one stores */
    bool tried;  /* a lock taken by two threads, of which at least one may react to a failed try */
};

struct e2dt_named {
    const unsigned char *at;
    size_t bytes;
    const char *text;
};

struct e2dt_lock_state {
    const struct ext2dax_lock *lock;
    enum ext2dax_lock_class lock_class;
    uint64_t number;
    uint32_t readers;
    uint32_t queued; /* FAIR, threads waiting for exclusive access */
    uint32_t writer; /* thread number + 1, UINT32_MAX outside of threads, 0 if none */
};

struct e2dt_frame {
    uint64_t key;
    size_t undos;         /* number of undo records before the state was saved */
    size_t stacks;        /* offset of its saved stacks */
    size_t turns;         /* of the schedule up to this state */
    uint32_t last_points; /* points of the last turn */
    uint32_t steps;
    double count;            /* schedules explored from this state so far */
    uint32_t enabled, tried; /* 1 bit per thread */
    uint32_t chosen;         /* the thread being tried */
    uint32_t last;           /* the thread that ran before */
    uint32_t preemptions;    /* number left */
    uint32_t order, low;     /* order of discovery, and the oldest state reachable from here */
    bool ends;               /* an end is reachable from here */
};

struct ext2dax_explorer {
    struct ext2dax_explorer_options options;
    struct e2dt_state state;

    struct e2dt_thread thread[EXT2DAX_EXPLORER_THREADS];
    unsigned threads;
    uint32_t current; /* the running thread, or E2DT_NOBODY */
    bool exploring;
    bool doomed;  /* this schedule has a finding */
    bool stopped; /* this walk ends here, by ext2dax_explorer_stop() */
    const struct ext2dax_scenario *scenario;
    struct ext2dax_explorer_result *result, plain;

    struct e2dt_accessed *accessed; /* SHARED_ONLY, hash table by address */
    size_t accessed_room, accessed_count;
    bool learned; /* an address became shared in this round */

    struct e2dt_turn *turn;
    size_t turns, turn_room;
    struct e2dt_frame *frame;
    size_t frames, frame_room;
    unsigned char *stacks; /* saved stacks of the frames */
    size_t stacks_used, stacks_room;
    uint32_t steps; /* of this schedule */
    uint32_t order; /* number of states found */
    /* keys of states left from which older states on the current path are reachable */
    uint64_t *open;
    size_t opens, open_room;

    struct ext2dax_address_space watched; /* ops points to watched_ops, ctx is the test harness's */
    /* copy of the test harness's table, and the table wrapping the same ops */
    struct ext2dax_address_space_ops watched_ops, watching_ops;
    struct e2dt_named *named;
    unsigned names;

    void (*line)(void *arg, const char *text); /* set while a table is printed */
    void *line_arg;
};

void e2dt_threads_begin(struct ext2dax_explorer *explorer);
/*
 * Runs a thread until suspended. With a `limit` the thread is suspended only after passing this
 * many points in total. A limit of 0 suspends at every decision.
 */
void e2dt_threads_run(struct ext2dax_explorer *explorer, uint32_t which, uint32_t limit);
/* Returns the threads able to run, with 1 bit per thread. */
uint32_t e2dt_threads_enabled(const struct ext2dax_explorer *explorer, bool *all_ended);
/*
 * Returns the key of the current state, computed from the hash of memory (`sum`), all threads, and
 * `last`, unless E2DT_NOBODY. Never 0.
 */
uint64_t e2dt_threads_key(const struct ext2dax_explorer *explorer, uint64_t sum, uint32_t last);
/* Appends all threads to the saved stacks. Returns false if out of memory. */
bool e2dt_threads_keep(struct ext2dax_explorer *explorer);
void e2dt_threads_restore(struct ext2dax_explorer *explorer, size_t at);

/* ---- points ---- */

/* The running thread is about to access `at`. Suspends the thread if a decision is due. */
void e2dt_point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at, bool store,
                const char *what);
/* Suspends the running thread as waiting for `at`. Returns once the thread is chosen again. */
void e2dt_stand(struct ext2dax_explorer *explorer, enum e2dt_waiting waiting, const void *at);
/* Records the access. Returns true if another thread may conflict with the access. */
bool e2dt_access(struct ext2dax_explorer *explorer, const void *at, bool store);
/* Records that the running thread tries the lock. */
void e2dt_access_try(struct ext2dax_explorer *explorer, const void *lock);
/* The running thread holds the lock. Returns true if another thread may try the lock. */
bool e2dt_access_held(struct ext2dax_explorer *explorer, const void *lock);
/*
 * Counts a point of the running thread. With `decision` another thread may run here. Returns true
 * if the running thread must be suspended.
 */
bool e2dt_pass(struct ext2dax_explorer *explorer, bool decision);
void e2dt_access_clear(struct ext2dax_explorer *explorer);
/* Can the thread run? */
bool e2dt_enabled(const struct e2dt_thread *thread);
/* Hooks the explorer into the instrumented core while threads run. NULL removes the hook. */
void e2dt_hook(struct ext2dax_explorer *explorer);
/*
 * The same for a walk. The hook of a crashing memory stays below the hook of the explorer, because
 * nothing is restored.
 */
void e2dt_hook_walk(struct ext2dax_explorer *explorer);
void e2dt_unhook_walk(void);

/* ---- locks ---- */

bool e2dt_lock_is_free(const struct e2dt_lock_state *lock, bool exclusive);
void e2dt_lock_text(const struct e2dt_lock_state *lock, char *text, size_t size);

/* ---- trace ---- */

#define E2DT_COLUMN 34 /* characters */

void e2dt_trace(struct ext2dax_explorer *explorer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void e2dt_trace_head(struct ext2dax_explorer *explorer);
/* Describes an address in words. */
void e2dt_trace_place(const struct ext2dax_explorer *explorer, const void *at, char *text, size_t size);
void e2dt_trace_id(const struct ext2dax_explorer *explorer, char *id, size_t size);
/* Converts an id to turns. Returns false if the id is invalid. */
bool e2dt_trace_turns(struct ext2dax_explorer *explorer, const char *id, unsigned threads);
/* Appends a turn, or extends the last turn of the same thread. Returns false if out of memory. */
bool e2dt_trace_add_turn(struct ext2dax_explorer *explorer, uint32_t thread, uint32_t points);

/* ---- search ---- */

/*
 * Explores all schedules with at most this many preemptions, from the current state as the first.
 * Returns false after a finding.
 */
bool e2dt_search(struct ext2dax_explorer *explorer, uint32_t preemptions);
/*
 * Runs the schedule described by the explorer's turns, and then every thread to its end. Returns
 * false if the turns are not a schedule.
 */
bool e2dt_search_replay(struct ext2dax_explorer *explorer);
/* Runs a schedule drawn from the seed, from the current state. Restores nothing. */
void e2dt_walk(struct ext2dax_explorer *explorer, uint64_t seed);
/* Restores the first state. */
void e2dt_search_end(struct ext2dax_explorer *explorer);
/* With SHARED_ONLY, finds most shared addresses before exploring. */
void e2dt_search_learn(struct ext2dax_explorer *explorer);
/* Returns the number of preemptions of the current schedule. */
uint32_t e2dt_search_preemptions(const struct ext2dax_explorer *explorer);
/* Pushes a frame. Returns false if out of memory. */
bool e2dt_search_push(struct ext2dax_explorer *explorer, const struct e2dt_frame *frame);

/*
 * Reports findings. A deadlock if no thread can run. A livelock if the state of frames[from] recurs
 * after every thread able to run has run. A livelock if the schedule does not end.
 */
void e2dt_search_deadlock(struct ext2dax_explorer *explorer);
void e2dt_search_circle(struct ext2dax_explorer *explorer, size_t from);
void e2dt_search_endless(struct ext2dax_explorer *explorer);

#endif
