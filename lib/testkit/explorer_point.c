/* SPDX-License-Identifier: MIT */
/*
 * Points: where a thread may have to stand still.
 *
 * With SHARED_ONLY a thread passes a point unless two threads can be in conflict about the place: both touch it, and one of
 * them stores. Who touches what is noted as schedules run. Why that is sound: take the shortest schedule in which a
 * place that counts as private is touched by a second thread. Every step before it that was not a decision of ours
 * touched a place that nobody else did, so it can be moved next to the others of its thread, which makes it a schedule of
 * ours, and in that one the second thread's touch would have been noted.
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

bool e2d_touch(struct ext2dax_explorer *explorer, const void *at, bool store)
{
    uint32_t me = (uint32_t)1 << explorer->current;
    struct e2d_touched *touched;

    if (!at || (explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        return true;
    if (explorer->touched_count * 2 >= explorer->touched_room && !widen(explorer))
        return true;
    touched = slot_of(explorer->touched, explorer->touched_room, at);
    if (!touched->at) {
        touched->at = at;
        explorer->touched_count++;
    }
    if (store)
        touched->stores |= me;
    else
        touched->loads |= me;
    if (!touched->shared &&
        ((touched->stores & ~me) != 0 || (store && ((touched->loads | touched->stores) & ~me) != 0)))
        touched->shared = explorer->learned = true;
    return touched->shared;
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
    e2d_coroutine_leave(&thread->coroutine);
    thread->waiting = E2D_RUNNABLE;
    thread->at = NULL;
}

void e2d_point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at, bool store,
               const char *what)
{
    struct e2d_thread *thread;
    char place[96];
    bool shared;

    if (explorer->current == E2D_NOBODY)
        return;
    thread = &explorer->thread[explorer->current];
    thread->points++;
    if (kind == E2D_YIELD_PERSIST)
        shared = (explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0;
    else
        shared = e2d_touch(explorer, at, store);
    if (explorer->doomed || (thread->limit == 0 ? shared : thread->points >= thread->limit))
        e2d_stand(explorer, E2D_RUNNABLE, NULL);
    if (explorer->line && what) {
        e2d_trace_place(explorer, at, place, sizeof place);
        e2d_trace(explorer, "%s %s", what, place);
    }
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
