/* SPDX-License-Identifier: MIT */
/*
 * The explorer's lock plug. Taking a lock is a point. A thread waiting for a lock cannot run until
 * the lock is free. Waiters have no order. Each waiter able to take the lock is tried first in some
 * schedule. Any thread may release a lock. The point before a release lets a trying thread find the
 * lock taken. No point is needed after a release, because a thread running at the next point sees
 * the same state.
 */
#include <stdio.h>
#include <string.h>

#include "ext2dax/error.h"

#include "explorer_internal.h"
#include "lock_class.h"

static struct e2dt_lock_state *state_of(const struct ext2dax_lock *lock)
{
    return (struct e2dt_lock_state *)lock->word;
}

static uint32_t me(const struct ext2dax_explorer *explorer)
{
    return explorer->current == E2DT_NOBODY ? UINT32_MAX : explorer->current + 1;
}

static void trace(struct ext2dax_explorer *explorer, const char *what, const struct e2dt_lock_state *lock,
                  const char *how)
{
    char text[64];

    if (!explorer->line)
        return;
    e2dt_lock_text(lock, text, sizeof text);
    e2dt_trace(explorer, "%s %s%s", what, text, how);
}

static void grant(struct e2dt_lock_state *lock, bool exclusive, uint32_t who)
{
    if (exclusive)
        lock->writer = who;
    else
        lock->readers++;
}

/*
 * Takes a fair lock. Arriving and waiting are two steps. Other threads may arrive in between, and
 * the order of arrival decides which thread waits.
 */
static void queue(struct ext2dax_explorer *explorer, struct e2dt_lock_state *lock, bool exclusive, bool stands)
{
    if (stands)
        e2dt_stand(explorer, E2DT_RUNNABLE, NULL);
    if (e2dt_lock_is_free(lock, exclusive))
        return;
    (void)e2dt_pass(explorer, true);
    lock->queued += exclusive;
    e2dt_stand(explorer, exclusive ? E2DT_WAITS_EXCLUSIVE : E2DT_WAITS_SHARED, lock);
    lock->queued -= exclusive;
}

__attribute__((noinline)) static void take(struct ext2dax_explorer *explorer, struct e2dt_lock_state *lock,
                                           bool exclusive)
{
    char text[64];

    if (explorer->current == E2DT_NOBODY) {
        if (!e2dt_lock_is_free(lock, exclusive)) {
            e2dt_lock_text(lock, text, sizeof text);
            ext2dax_explorer_fail(explorer, "%s is still held when no thread runs", text);
        }
    } else {
        bool shared = e2dt_access(explorer, lock, exclusive), stands = e2dt_pass(explorer, shared);

        if ((explorer->options.flags & EXT2DAX_EXPLORER_FAIR) != 0)
            queue(explorer, lock, exclusive, stands);
        else if (stands || !e2dt_lock_is_free(lock, exclusive))
            e2dt_stand(explorer, exclusive ? E2DT_WAITS_EXCLUSIVE : E2DT_WAITS_SHARED, lock);
        if (shared)
            trace(explorer, "lock", lock, exclusive ? "" : ", shared");
    }
    grant(lock, exclusive, me(explorer));
}

__attribute__((noinline)) static bool try(struct ext2dax_explorer *explorer, struct e2dt_lock_state *lock,
                                          bool exclusive)
{
    bool taken;

    if (explorer->current != E2DT_NOBODY)
        e2dt_access_try(explorer, lock);
    e2dt_point(explorer, E2D_YIELD_LOCK, lock, true, NULL);
    taken = e2dt_lock_is_free(lock, exclusive);
    if (taken)
        grant(lock, exclusive, me(explorer));
    if (explorer->current != E2DT_NOBODY)
        trace(explorer, "try", lock, taken ? ": taken" : ": not free");
    return taken;
}

__attribute__((noinline)) static void release(struct ext2dax_explorer *explorer, struct e2dt_lock_state *lock,
                                              bool exclusive)
{
    bool shared = false;
    char text[64];

    if (explorer->current != E2DT_NOBODY) {
        shared = e2dt_access(explorer, lock, exclusive);
        if (e2dt_pass(explorer, e2dt_access_held(explorer, lock)))
            e2dt_stand(explorer, E2DT_RUNNABLE, NULL);
        explorer->thread[explorer->current].announced = true;
    }
    if (exclusive ? lock->writer == 0 : lock->readers == 0) {
        e2dt_lock_text(lock, text, sizeof text);
        ext2dax_explorer_fail(explorer, "%s released, but not held", text);
        return;
    }
    if (exclusive)
        lock->writer = 0;
    else
        lock->readers--;
    if (shared)
        trace(explorer, "unlock", lock, "");
}

/* ---- the plug ---- */

static int op_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    struct e2dt_lock_state *state = ext2dax_explorer_alloc(ctx, sizeof *state);

    if (!state)
        return -EXT2DAX_ENOMEM;
    state->lock = lock;
    state->lock_class = lock_class;
    state->number = number;
    lock->word = (uintptr_t)state;
    return 0;
}

static void op_destroy(void *ctx, struct ext2dax_lock *lock)
{
    struct e2dt_lock_state *state = state_of(lock);
    char text[64];

    if (state->readers != 0 || state->writer != 0) {
        e2dt_lock_text(state, text, sizeof text);
        ext2dax_explorer_fail(ctx, "%s destroyed while held", text);
    }
    ext2dax_explorer_release(ctx, state, sizeof *state);
    lock->word = 0;
}

static void op_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    take(ctx, state_of(lock), false);
    e2dt_coroutine_tidy();
}
static void op_read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    release(ctx, state_of(lock), false);
    e2dt_coroutine_tidy();
}
static void op_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    take(ctx, state_of(lock), true);
    e2dt_coroutine_tidy();
}
static void op_write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    release(ctx, state_of(lock), true);
    e2dt_coroutine_tidy();
}
static bool op_try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool taken = try(ctx, state_of(lock), false);

    e2dt_coroutine_tidy();
    return taken;
}
static bool op_try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool taken = try(ctx, state_of(lock), true);

    e2dt_coroutine_tidy();
    return taken;
}

static bool op_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    const struct ext2dax_explorer *explorer = ctx;
    const struct e2dt_lock_state *state = state_of(lock);

    if ((explorer->options.flags & EXT2DAX_EXPLORER_BLIND) != 0)
        return true;
    return state->writer != 0 || (mode == EXT2DAX_LOCK_SHARED && state->readers != 0);
}

static const struct ext2dax_lock_ops ops = {
    .size = sizeof ops,
    .init = op_init,
    .destroy = op_destroy,
    .read_lock = op_read_lock,
    .read_unlock = op_read_unlock,
    .write_lock = op_write_lock,
    .write_unlock = op_write_unlock,
    .try_read_lock = op_try_read_lock,
    .try_write_lock = op_try_write_lock,
    .held = op_held,
};

struct ext2dax_locks ext2dax_explorer_locks(struct ext2dax_explorer *explorer)
{
    return (struct ext2dax_locks){&ops, explorer};
}
