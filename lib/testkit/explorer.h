/* SPDX-License-Identifier: MIT */
/*
 * The explorer's inside. Its rooms, each standing on those below it:
 *
 *     explorer          the public calls: opening, threads, findings
 *     search · replay   which decision is tried next; the one schedule that an id names
 *     trace             ids, and the table
 *     lock · point      where a thread stands still, and whether it may go on
 *     thread            threads that are put back, and what they are apart from memory
 *     state             memory that is put back, what tells states apart, states seen
 *     coroutine         stacks, and switching between them
 */
#ifndef E2D_EXPLORER_H
#define E2D_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/testkit/explorer.h"

#include "coroutine.h"
#include "lock_order_holds.h"
#include "yield.h"

#define E2D_CHUNK  256u /* bytes that are compared, hashed and put back together */
#define E2D_NOBODY UINT32_MAX

/* ---- state ---- */

/* A range of memory that is put back. */
struct e2d_state_range {
    unsigned char *at;
    size_t chunks, first; /* how many, and the number of the first over all ranges; the last may be partial */
    size_t bytes;
};

struct e2d_ignored {
    const unsigned char *at;
    size_t bytes;
};

/* What a chunk held before it was seen changed. */
struct e2d_undo {
    uint32_t chunk;
    uint64_t hash;
    unsigned char bytes[E2D_CHUNK];
};

/* Which states were seen. `count`: schedules from there to the end, or the most preemptions left there so far. */
struct e2d_seen {
    uint64_t key; /* 0: empty */
    double count;
    uint32_t frame; /* on the way to here: its place; else E2D_NOBODY */
    uint32_t order; /* when it was found; 0 once it is known that an end can be reached from it */
};

struct e2d_state {
    unsigned char *arena;
    size_t arena_size;
    uint64_t *taken; /* a bit for each granule of the arena */
    size_t high;     /* granules below which something was ever taken */
    size_t limit;    /* granules that are put back; 0: not yet exploring */

    struct e2d_state_range *region;
    unsigned regions;
    struct e2d_ignored *ignored;
    unsigned ignores;

    /* of all regions' chunks */
    size_t chunks;
    unsigned char *root;   /* as in the first state */
    unsigned char *shadow; /* as in the newest state kept */
    uint64_t *hash;        /* of each chunk of the shadow */
    unsigned char *masked; /* 1: part of the chunk is ignored */
    unsigned char *used;   /* 1: was ever given out, or is not of the arena */
    size_t arena_first;    /* the arena's first chunk */
    uint32_t *changed;     /* that differ from the shadow, where `known` */
    uint64_t *changed_hash;
    size_t changes;
    bool known;
    uint64_t sum; /* of the hashes */

    struct e2d_undo *undo;
    size_t undos, undo_room;

    struct e2d_seen *seen;
    size_t seen_room, seen_count;
};

bool e2d_state_open(struct e2d_state *state, size_t arena_size);
void e2d_state_close(struct e2d_state *state);
void e2d_state_clear(struct e2d_state *state);

void *e2d_state_alloc(struct e2d_state *state, size_t bytes, size_t alignment);
void e2d_state_release(struct e2d_state *state, void *at, size_t bytes);
int e2d_state_remember(struct e2d_state *state, void *at, size_t bytes);
int e2d_state_ignore(struct e2d_state *state, const void *at, size_t bytes);

/* Takes the present for the first state. ENOMEM. */
int e2d_state_begin(struct e2d_state *state);
/* A thread has run: what differs from the newest state kept is not known any more. */
void e2d_state_ran(struct e2d_state *state);
/* Looks what has changed since the newest state kept, and returns the present's hash. */
uint64_t e2d_state_look(struct e2d_state *state);
/* Keeps what was just looked at as the newest state; false: no memory. */
bool e2d_state_keep(struct e2d_state *state);
/* Puts everything back to the newest state kept. */
void e2d_state_back(struct e2d_state *state);
/* Puts everything back to the first state, whatever is kept. */
void e2d_state_first(struct e2d_state *state);
/* The newest state is no longer needed: the one before it, kept when there were `undos`, is the newest again. */
void e2d_state_drop(struct e2d_state *state, size_t undos);

uint64_t e2d_state_mix(uint64_t value);
uint64_t e2d_state_hash(const void *at, size_t bytes);

/* The state's record, made if there is none (*fresh). NULL: no memory. */
struct e2d_seen *e2d_state_seen(struct e2d_state *state, uint64_t key, bool *fresh);
void e2d_state_forget(struct e2d_state *state);

/* ---- threads ---- */

enum e2d_waiting {
    E2D_RUNNABLE,
    E2D_WAITS_SHARED,    /* for `at`, a lock */
    E2D_WAITS_EXCLUSIVE, /* likewise */
    E2D_SLEEPS,          /* until `at` is woken */
    E2D_ENDED
};

struct e2d_thread {
    struct e2d_coroutine coroutine;
    struct e2d_lock_holds holds; /* for a lock-order checker around the explorer's locks */
    enum e2d_waiting waiting;
    const void *at;
    uint32_t points; /* passed so far in this schedule */
    uint32_t limit;  /* replay: stand still only after so many; 0: wherever there is a decision */
    uint32_t passed; /* since it last stood still */
    bool told;       /* since then it stored something that was announced, or released a lock */
    struct ext2dax_explorer *explorer;
};

#define E2D_TO_THE_END UINT32_MAX
#define E2D_ON_AND_ON  10000u /* points that a thread may pass without another being let in */

/* Part of a schedule: who ran, through how many yield points, or to its end. */
struct e2d_turn {
    uint32_t thread;
    uint32_t points;
};

/* What touched a place: a bit a thread. */
struct e2d_touched {
    const void *at; /* NULL: empty */
    uint32_t loads, stores, tries;
    bool shared; /* two threads, one of which stores */
    bool tried;  /* a lock that two threads take, one of which may find it taken and do something else */
};

struct e2d_named {
    const unsigned char *at;
    size_t bytes;
    const char *text;
};

struct e2d_lock_state {
    const struct ext2dax_lock *lock;
    enum ext2dax_lock_class lock_class;
    uint64_t number;
    uint32_t readers;
    uint32_t queued; /* FAIR: who wait to have it exclusively */
    uint32_t writer; /* 0: nobody; else the thread's number + 1, or UINT32_MAX from outside of threads */
};

struct e2d_frame {
    uint64_t key;
    size_t undos;         /* before it was kept */
    size_t stacks;        /* where its stacks begin among those kept */
    size_t turns;         /* of the schedule up to here */
    uint32_t last_points; /* of the last of them */
    uint32_t steps;
    double count;            /* schedules from here on, so far */
    uint32_t enabled, tried; /* a bit a thread */
    uint32_t chosen;         /* the thread that is being tried */
    uint32_t last;           /* who ran before */
    uint32_t preemptions;    /* left */
    uint32_t order, low;     /* when it was found; the oldest state that is reached from it */
    bool ends;               /* an end is reached from it */
};

struct ext2dax_explorer {
    struct ext2dax_explorer_options options;
    struct e2d_state state;

    struct e2d_thread thread[EXT2DAX_EXPLORER_THREADS];
    unsigned threads;
    uint32_t current; /* the running thread, or E2D_NOBODY */
    bool exploring;
    bool doomed; /* this schedule has its finding */
    const struct ext2dax_scenario *scenario;
    struct ext2dax_explorer_result *result, plain;

    struct e2d_touched *touched; /* SHARED_ONLY: a table by address */
    size_t touched_room, touched_count;
    bool learned; /* a place became shared in this round */

    struct e2d_turn *turn;
    size_t turns, turn_room;
    struct e2d_frame *frame;
    size_t frames, frame_room;
    unsigned char *stacks; /* of the frames */
    size_t stacks_used, stacks_room;
    uint32_t steps; /* of this schedule */
    uint32_t order; /* states found */
    uint64_t *open; /* keys of states left, from which older ones on the way to here are reached */
    size_t opens, open_room;

    struct ext2dax_address_space watched;                       /* the bench's ctx, and */
    struct ext2dax_address_space_ops watched_ops, watching_ops; /* its table; that of the same ops, watched */
    struct e2d_named *named;
    unsigned names;

    void (*line)(void *arg, const char *text); /* while a table is printed */
    void *line_arg;
};

void e2d_threads_begin(struct ext2dax_explorer *explorer);
/* Lets the thread run until it stands still, with a limit only when it has passed so many points. */
void e2d_threads_run(struct ext2dax_explorer *explorer, uint32_t which, uint32_t limit);
/* Who can go on; a bit a thread. */
uint32_t e2d_threads_enabled(const struct ext2dax_explorer *explorer, bool *all_ended);
/* What tells the present state apart, given memory's hash; never 0. */
uint64_t e2d_threads_key(const struct ext2dax_explorer *explorer, uint64_t sum, uint32_t last);
/* Puts all threads behind the stacks kept; false: no memory. */
bool e2d_threads_keep(struct ext2dax_explorer *explorer);
void e2d_threads_restore(struct ext2dax_explorer *explorer, size_t at);

/* ---- points ---- */

/* The running thread is about to touch that; stands still if a decision is to be made. */
void e2d_point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at, bool store,
               const char *what);
/* Stands still until whatever it waits for has come. */
void e2d_stand(struct ext2dax_explorer *explorer, enum e2d_waiting waiting, const void *at);
/* Notes the access; true: another thread may be in conflict about it. */
bool e2d_touch(struct ext2dax_explorer *explorer, const void *at, bool store);
/* The running thread asks whether the lock is free. */
void e2d_touch_try(struct ext2dax_explorer *explorer, const void *lock);
/* The running thread holds the lock; true: another may ask whether it is free. */
bool e2d_touch_held(struct ext2dax_explorer *explorer, const void *lock);
/* Counts a point of the running thread; `decision`: another may be let in here. true: it has to stand still. */
bool e2d_pass(struct ext2dax_explorer *explorer, bool decision);
void e2d_touch_clear(struct ext2dax_explorer *explorer);
/* May the thread go on? */
bool e2d_enabled(const struct e2d_thread *thread);
/* Into the instrumented core, while threads run. */
void e2d_hook(struct ext2dax_explorer *explorer);

/* ---- locks ---- */

bool e2d_lock_is_free(const struct e2d_lock_state *lock, bool exclusive);
void e2d_lock_text(const struct e2d_lock_state *lock, char *text, size_t size);

/* ---- trace ---- */

#define E2D_COLUMN 34 /* characters */

void e2d_trace(struct ext2dax_explorer *explorer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void e2d_trace_head(struct ext2dax_explorer *explorer);
/* What lies there, in words. */
void e2d_trace_place(const struct ext2dax_explorer *explorer, const void *at, char *text, size_t size);
void e2d_trace_id(const struct ext2dax_explorer *explorer, char *id, size_t size);
/* The turns an id means; false: it is none. */
bool e2d_trace_turns(struct ext2dax_explorer *explorer, const char *id, unsigned threads);
/* false: no memory. */
bool e2d_trace_add_turn(struct ext2dax_explorer *explorer, uint32_t thread, uint32_t points);

/* ---- search ---- */

/* All schedules with so many preemptions; false: there was a finding. The present is the first state. */
bool e2d_search(struct ext2dax_explorer *explorer, uint32_t preemptions);
/* The one schedule that the explorer's turns describe, and then every thread to its end. false: it is none. */
bool e2d_search_replay(struct ext2dax_explorer *explorer);
/* Everything as it was in the first state. */
void e2d_search_end(struct ext2dax_explorer *explorer);
/* For SHARED_ONLY: finds out most of what is shared, before anything is explored. */
void e2d_search_learn(struct ext2dax_explorer *explorer);
/* How many preemptions the present schedule has. */
uint32_t e2d_search_preemptions(const struct ext2dax_explorer *explorer);
/* false: no memory. */
bool e2d_search_push(struct ext2dax_explorer *explorer, const struct e2d_frame *frame);

/* Findings: nobody can go on; the state of frames[from] has come back, if that means anything; there is no end. */
void e2d_search_deadlock(struct ext2dax_explorer *explorer);
void e2d_search_circle(struct ext2dax_explorer *explorer, size_t from);
void e2d_search_endless(struct ext2dax_explorer *explorer);

#endif
