/* SPDX-License-Identifier: MIT */
/*
 * Points: where a thread may have to stand still.
 *
 * With SHARED_ONLY a thread passes a point unless two threads can be in conflict about the place: both touch it, and one of
 * them stores. Who touches what is noted as schedules run. Why that is sound: take the shortest schedule in which a
 * place that counts as private is touched by a second thread. Every step before it that was not a decision of ours
 * touched a place that nobody else did, so it can be moved next to the others of its thread, which makes it a schedule of
 * ours, and in that one the second thread's touch would have been noted.
 *
 * Taking a lock commutes with what other threads do before it is theirs, and releasing it with what they do after, as long
 * as they wait for it. One that only tries can tell, so releasing a lock that is tried is a point, at which it is held.
 */
#include <stdlib.h>
#include <string.h>

#include "explorer.h"
#include "instrument.h"

static struct ext2dax_explorer *hooked;

/* ---- who touches what ---- */

static struct e2d_touched *slot_of(struct e2d_touched *table, size_t room, const void *at)
{
    size_t slot = (size_t)e2d_state_mix((uint64_t)(uintptr_t)at) & (room - 1);

    while (table[slot].at && table[slot].at != at)
        slot = (slot + 1) & (room - 1);
    return &table[slot];
}

static bool widen(struct ext2dax_explorer *explorer)
{
    size_t room = explorer->touched_room == 0 ? 1024 : explorer->touched_room * 2;
    struct e2d_touched *wider = calloc(room, sizeof *wider);

    if (!wider)
        return false;
    for (size_t i = 0; i < explorer->touched_room; i++) {
        if (explorer->touched[i].at)
            *slot_of(wider, room, explorer->touched[i].at) = explorer->touched[i];
    }
    free(explorer->touched);
    explorer->touched = wider;
    explorer->touched_room = room;
    return true;
}

/* NULL: every access counts as shared. */
static struct e2d_touched *touched_at(struct ext2dax_explorer *explorer, const void *at)
{
    struct e2d_touched *touched;

    if (!at || (explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        return NULL;
    if (explorer->touched_count * 2 >= explorer->touched_room && !widen(explorer))
        return NULL;
    touched = slot_of(explorer->touched, explorer->touched_room, at);
    if (!touched->at) {
        touched->at = at;
        explorer->touched_count++;
    }
    return touched;
}

static void learn(struct ext2dax_explorer *explorer, struct e2d_touched *touched)
{
    uint32_t who = touched->loads | touched->stores;
    bool several = (who & (who - 1)) != 0;

    if (!several)
        return;
    if (!touched->shared && touched->stores != 0)
        touched->shared = explorer->learned = true;
    if (!touched->tried && touched->tries != 0)
        touched->tried = explorer->learned = true;
}

__attribute__((noinline)) static bool touch(struct ext2dax_explorer *explorer, const void *at, bool store)
{
    struct e2d_touched *touched = touched_at(explorer, at);
    uint32_t me = (uint32_t)1 << explorer->current;

    if (!touched)
        return true;
    if (store)
        touched->stores |= me;
    else
        touched->loads |= me;
    learn(explorer, touched);
    return touched->shared;
}

/* What it leaves on the stack depends on what was learned, and may tell nothing apart. */
bool e2d_touch(struct ext2dax_explorer *explorer, const void *at, bool store)
{
    bool shared = touch(explorer, at, store);

    e2d_coroutine_tidy();
    return shared;
}

__attribute__((noinline)) static void touch_try(struct ext2dax_explorer *explorer, const void *lock)
{
    struct e2d_touched *touched = touched_at(explorer, lock);

    if (!touched)
        return;
    touched->tries |= (uint32_t)1 << explorer->current;
    learn(explorer, touched);
}

void e2d_touch_try(struct ext2dax_explorer *explorer, const void *lock)
{
    touch_try(explorer, lock);
    e2d_coroutine_tidy();
}

__attribute__((noinline)) static bool touch_held(struct ext2dax_explorer *explorer, const void *lock)
{
    const struct e2d_touched *touched = touched_at(explorer, lock);

    return !touched || touched->tried;
}

bool e2d_touch_held(struct ext2dax_explorer *explorer, const void *lock)
{
    bool tried = touch_held(explorer, lock);

    e2d_coroutine_tidy();
    return tried;
}

void e2d_touch_clear(struct ext2dax_explorer *explorer)
{
    if (explorer->touched)
        memset(explorer->touched, 0, explorer->touched_room * sizeof *explorer->touched);
    explorer->touched_count = 0;
    explorer->learned = false;
}

/* ---- standing still ---- */

bool e2d_enabled(const struct e2d_thread *thread)
{
    switch (thread->waiting) {
    case E2D_RUNNABLE:
        return true;
    case E2D_WAITS_SHARED:
        return e2d_lock_is_free(thread->at, false);
    case E2D_WAITS_EXCLUSIVE:
        return e2d_lock_is_free(thread->at, true);
    default:
        return false;
    }
}

void e2d_stand(struct ext2dax_explorer *explorer, enum e2d_waiting waiting, const void *at)
{
    struct e2d_thread *thread = &explorer->thread[explorer->current];

    thread->waiting = waiting;
    thread->at = at;
    thread->passed = 0;
    thread->told = false;
    e2d_coroutine_leave(&thread->coroutine);
    e2d_coroutine_tidy_deep();
    thread->waiting = E2D_RUNNABLE;
    thread->at = NULL;
}

/* Whoever passes points for ever may do so because another thread is not let in. */
bool e2d_pass(struct ext2dax_explorer *explorer, bool decision)
{
    struct e2d_thread *thread = &explorer->thread[explorer->current];

    thread->points++;
    thread->passed++;
    if (explorer->doomed)
        return true;
    return thread->limit == 0 ? decision || thread->passed > E2D_ON_AND_ON : thread->points >= thread->limit;
}

static void tell(struct ext2dax_explorer *explorer, const void *at, const char *what)
{
    char place[96];

    if (!explorer->line || !what)
        return;
    e2d_trace_place(explorer, at, place, sizeof place);
    e2d_trace(explorer, "%s %s", what, place);
}

__attribute__((noinline)) static void point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at,
                                            bool store, const char *what)
{
    bool shared = false;

    if (kind != E2D_YIELD_PERSIST)
        shared = e2d_touch(explorer, at, store);
    else if ((explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        shared = true;
    if (e2d_pass(explorer, shared))
        e2d_stand(explorer, E2D_RUNNABLE, NULL);
    if (store)
        explorer->thread[explorer->current].told = true;
    if (shared)
        tell(explorer, at, what);
}

void e2d_point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at, bool store,
               const char *what)
{
    if (explorer->current == E2D_NOBODY)
        return;
    point(explorer, kind, at, store, what);
    e2d_coroutine_tidy();
}

static void from_core(enum e2d_yield_kind kind, const volatile void *at)
{
    static const char *const what[] = {
        [E2D_YIELD_LOAD] = "load", [E2D_YIELD_STORE] = "store", [E2D_YIELD_PERSIST] = "write back"};

    /* Locks and callbacks come through the plugs, where more is known of them. */
    if (kind == E2D_YIELD_LOCK || kind == E2D_YIELD_CALLBACK)
        return;
    e2d_point(hooked, kind, (const void *)at, kind != E2D_YIELD_LOAD, what[kind]);
}

void e2d_hook(struct ext2dax_explorer *explorer)
{
    hooked = explorer;
    e2d_yield_hook = explorer ? from_core : NULL;
}
