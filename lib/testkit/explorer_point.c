/* SPDX-License-Identifier: MIT */
/*
 * Points at which a thread may be suspended.
 *
 * With SHARED_ONLY a thread is suspended only at addresses on which two threads can conflict. Both
 * access such an address, and at least one of them stores. The accesses of each thread are recorded
 * while schedules run.
 *
 * The reduction is sound. Consider the shortest schedule in which a second thread accesses an
 * address recorded as private. Every earlier step without a decision of the explorer accessed an
 * address of no other thread. Such a step can be moved next to the other steps of its thread. The
 * result is a schedule run by the explorer, in which the access of the second thread would have
 * been recorded.
 *
 * Taking a lock commutes with the steps of other threads up to their own taking of the lock.
 * Releasing a lock commutes with the later steps of other threads, as long as these threads wait
 * for the lock. A thread merely trying the lock sees a difference. Releasing a tried lock is
 * therefore a point, at which the lock is still held.
 */
#include <stdlib.h>
#include <string.h>

#include "explorer_internal.h"
#include "instrument.h"

static struct ext2dax_explorer *hooked;
/* The hook of a crashing memory, which notes the value that a store is about to replace. */
static void (*hook_below)(enum e2d_yield_kind kind, const volatile void *at);

/* ---- recorded accesses ---- */

static struct e2dt_accessed *slot_of(struct e2dt_accessed *table, size_t room, const void *at)
{
    size_t slot = (size_t)e2dt_state_mix((uint64_t)(uintptr_t)at) & (room - 1);

    while (table[slot].at && table[slot].at != at)
        slot = (slot + 1) & (room - 1);
    return &table[slot];
}

static bool widen(struct ext2dax_explorer *explorer)
{
    size_t room = explorer->accessed_room == 0 ? 1024 : explorer->accessed_room * 2;
    struct e2dt_accessed *wider = calloc(room, sizeof *wider);

    if (!wider)
        return false;
    for (size_t i = 0; i < explorer->accessed_room; i++) {
        if (explorer->accessed[i].at)
            *slot_of(wider, room, explorer->accessed[i].at) = explorer->accessed[i];
    }
    free(explorer->accessed);
    explorer->accessed = wider;
    explorer->accessed_room = room;
    return true;
}

/* Returns NULL if every access counts as shared. */
static struct e2dt_accessed *accessed_at(struct ext2dax_explorer *explorer, const void *at)
{
    struct e2dt_accessed *accessed;

    if (!at || (explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        return NULL;
    if (explorer->accessed_count * 2 >= explorer->accessed_room && !widen(explorer))
        return NULL;
    accessed = slot_of(explorer->accessed, explorer->accessed_room, at);
    if (!accessed->at) {
        accessed->at = at;
        explorer->accessed_count++;
    }
    return accessed;
}

static void learn(struct ext2dax_explorer *explorer, struct e2dt_accessed *accessed)
{
    uint32_t who = accessed->loads | accessed->stores;
    bool several = (who & (who - 1)) != 0;

    if (!several)
        return;
    if (!accessed->shared && accessed->stores != 0)
        accessed->shared = explorer->learned = true;
    if (!accessed->tried && accessed->tries != 0)
        accessed->tried = explorer->learned = true;
}

__attribute__((noinline)) static bool access(struct ext2dax_explorer *explorer, const void *at, bool store)
{
    struct e2dt_accessed *accessed = accessed_at(explorer, at);
    uint32_t me = (uint32_t)1 << explorer->current;

    if (!accessed)
        return true;
    if (store)
        accessed->stores |= me;
    else
        accessed->loads |= me;
    learn(explorer, accessed);
    return accessed->shared;
}

/*
 * Zeroes the stack bytes left by access(), which depend on earlier learning and must not
 * distinguish states.
 */
bool e2dt_access(struct ext2dax_explorer *explorer, const void *at, bool store)
{
    bool shared = access(explorer, at, store);

    e2dt_coroutine_tidy();
    return shared;
}

__attribute__((noinline)) static void access_try(struct ext2dax_explorer *explorer, const void *lock)
{
    struct e2dt_accessed *accessed = accessed_at(explorer, lock);

    if (!accessed)
        return;
    accessed->tries |= (uint32_t)1 << explorer->current;
    learn(explorer, accessed);
}

void e2dt_access_try(struct ext2dax_explorer *explorer, const void *lock)
{
    access_try(explorer, lock);
    e2dt_coroutine_tidy();
}

__attribute__((noinline)) static bool access_held(struct ext2dax_explorer *explorer, const void *lock)
{
    const struct e2dt_accessed *accessed = accessed_at(explorer, lock);

    return !accessed || accessed->tried;
}

bool e2dt_access_held(struct ext2dax_explorer *explorer, const void *lock)
{
    bool tried = access_held(explorer, lock);

    e2dt_coroutine_tidy();
    return tried;
}

void e2dt_access_clear(struct ext2dax_explorer *explorer)
{
    if (explorer->accessed)
        memset(explorer->accessed, 0, explorer->accessed_room * sizeof *explorer->accessed);
    explorer->accessed_count = 0;
    explorer->learned = false;
}

/* ---- suspension ---- */

void e2dt_stand(struct ext2dax_explorer *explorer, enum e2dt_waiting waiting, const void *at)
{
    struct e2dt_thread *thread = &explorer->thread[explorer->current];

    thread->waiting = waiting;
    thread->at = at;
    thread->passed = 0;
    thread->announced = false;
    e2dt_coroutine_leave(&thread->coroutine);
    e2dt_coroutine_tidy_deep();
    thread->waiting = E2DT_RUNNABLE;
    thread->at = NULL;
}

/*
 * A thread passing points forever may be waiting for another thread, and is therefore suspended
 * after E2DT_ON_AND_ON points.
 */
bool e2dt_pass(struct ext2dax_explorer *explorer, bool decision)
{
    struct e2dt_thread *thread = &explorer->thread[explorer->current];

    thread->points++;
    thread->passed++;
    if (explorer->doomed || explorer->stopped)
        return true;
    return thread->limit == 0 ? decision || thread->passed > E2DT_ON_AND_ON : thread->points >= thread->limit;
}

static void trace(struct ext2dax_explorer *explorer, const void *at, const char *what)
{
    char place[96];

    if (!explorer->line || !what)
        return;
    e2dt_trace_place(explorer, at, place, sizeof place);
    e2dt_trace(explorer, "%s %s", what, place);
}

__attribute__((noinline)) static void point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at,
                                            bool store, const char *what)
{
    bool shared = false;

    if (kind != E2D_YIELD_PERSIST)
        shared = e2dt_access(explorer, at, store);
    else if ((explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        shared = true;
    if (e2dt_pass(explorer, shared))
        e2dt_stand(explorer, E2DT_RUNNABLE, NULL);
    if (store)
        explorer->thread[explorer->current].announced = true;
    if (shared)
        trace(explorer, at, what);
}

void e2dt_point(struct ext2dax_explorer *explorer, enum e2d_yield_kind kind, const void *at, bool store,
                const char *what)
{
    if (explorer->current == E2DT_NOBODY)
        return;
    point(explorer, kind, at, store, what);
    e2dt_coroutine_tidy();
}

static void from_core(enum e2d_yield_kind kind, const volatile void *at)
{
    static const char *const what[] = {
        [E2D_YIELD_LOAD] = "load", [E2D_YIELD_STORE] = "store", [E2D_YIELD_PERSIST] = "write back"};

    /* Locks and callbacks are reported by the plugs, with more information. */
    if (kind == E2D_YIELD_LOCK || kind == E2D_YIELD_CALLBACK)
        return;
    e2dt_point(hooked, kind, (const void *)at, kind != E2D_YIELD_LOAD, what[kind]);
    /* Another thread may have stored to the address while this thread was suspended. */
    if (hook_below)
        hook_below(kind, at);
}

void e2dt_hook(struct ext2dax_explorer *explorer)
{
    hooked = explorer;
    hook_below = NULL;
    e2dt_yield_hook = explorer ? from_core : NULL;
}

void e2dt_hook_walk(struct ext2dax_explorer *explorer)
{
    hooked = explorer;
    hook_below = e2dt_yield_hook;
    e2dt_yield_hook = from_core;
}

void e2dt_unhook_walk(void)
{
    hooked = NULL;
    e2dt_yield_hook = hook_below;
    hook_below = NULL;
}
