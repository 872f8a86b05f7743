/* SPDX-License-Identifier: MIT */
/*
 * The explorer's lock plug. Taking a lock is a point; where it is not free the thread is simply not among those that may
 * go on. Who waits is not ordered: of several who could have the lock, each is tried first. Any thread may release. Before
 * it does is another point: whoever only tries finds it taken then. After it none is needed: a thread that is let in at the
 * next one sees the same.
 */
#include <stdio.h>
#include <string.h>

#include "ext2dax/error.h"

#include "explorer.h"
#include "lock_class.h"

static struct e2d_lock_state *state_of(const struct ext2dax_lock *lock)
{
    return (struct e2d_lock_state *)lock->word;
}

bool e2d_lock_is_free(const struct e2d_lock_state *lock, bool exclusive)
{
    return lock->writer == 0 && (exclusive ? lock->readers == 0 : lock->queued == 0);
}

void e2d_lock_text(const struct e2d_lock_state *lock, char *text, size_t size)
{
    snprintf(text, size, "%s %llu", e2d_lock_class_name(lock->lock_class), (unsigned long long)lock->number);
}

static uint32_t me(const struct ext2dax_explorer *explorer)
{
    return explorer->current == E2D_NOBODY ? UINT32_MAX : explorer->current + 1;
}

static void tell(struct ext2dax_explorer *explorer, const char *what, const struct e2d_lock_state *lock,
                 const char *how)
{
    char text[64];

    if (!explorer->line)
        return;
    e2d_lock_text(lock, text, sizeof text);
    e2d_trace(explorer, "%s %s%s", what, text, how);
}

static void grant(struct e2d_lock_state *lock, bool exclusive, uint32_t who)
{
    if (exclusive)
        lock->writer = who;
    else
        lock->readers++;
}

/* Coming for it and waiting are two steps: in between others may come, and they go first or not by who came first. */
static void queue(struct ext2dax_explorer *explorer, struct e2d_lock_state *lock, bool exclusive, bool stands)
{
    if (stands)
        e2d_stand(explorer, E2D_RUNNABLE, NULL);
    if (e2d_lock_is_free(lock, exclusive))
        return;
    (void)e2d_pass(explorer, true);
    lock->queued += exclusive;
    e2d_stand(explorer, exclusive ? E2D_WAITS_EXCLUSIVE : E2D_WAITS_SHARED, lock);
    lock->queued -= exclusive;
}

__attribute__((noinline)) static void take(struct ext2dax_explorer *explorer, struct e2d_lock_state *lock,
                                           bool exclusive)
{
    char text[64];

    if (explorer->current == E2D_NOBODY) {
        if (!e2d_lock_is_free(lock, exclusive)) {
            e2d_lock_text(lock, text, sizeof text);
            ext2dax_explorer_fail(explorer, "%s is still held when nobody runs", text);
        }
    } else {
        bool shared = e2d_touch(explorer, lock, exclusive), stands = e2d_pass(explorer, shared);

        if ((explorer->options.flags & EXT2DAX_EXPLORER_FAIR) != 0)
            queue(explorer, lock, exclusive, stands);
        else if (stands || !e2d_lock_is_free(lock, exclusive))
            e2d_stand(explorer, exclusive ? E2D_WAITS_EXCLUSIVE : E2D_WAITS_SHARED, lock);
        if (shared)
            tell(explorer, "lock", lock, exclusive ? "" : ", shared");
    }
    grant(lock, exclusive, me(explorer));
}

__attribute__((noinline)) static bool try(struct ext2dax_explorer *explorer, struct e2d_lock_state *lock,
                                          bool exclusive)
{
    bool taken;

    if (explorer->current != E2D_NOBODY)
        e2d_touch_try(explorer, lock);
    e2d_point(explorer, E2D_YIELD_LOCK, lock, true, NULL);
    taken = e2d_lock_is_free(lock, exclusive);
    if (taken)
        grant(lock, exclusive, me(explorer));
    if (explorer->current != E2D_NOBODY)
        tell(explorer, "try", lock, taken ? ": taken" : ": not free");
    return taken;
}

__attribute__((noinline)) static void release(struct ext2dax_explorer *explorer, struct e2d_lock_state *lock,
                                              bool exclusive)
{
    bool shared = false;
    char text[64];

    if (explorer->current != E2D_NOBODY) {
        shared = e2d_touch(explorer, lock, exclusive);
        if (e2d_pass(explorer, e2d_touch_held(explorer, lock)))
            e2d_stand(explorer, E2D_RUNNABLE, NULL);
        explorer->thread[explorer->current].told = true;
    }
    if (exclusive ? lock->writer == 0 : lock->readers == 0) {
        e2d_lock_text(lock, text, sizeof text);
        ext2dax_explorer_fail(explorer, "%s released, but not held", text);
        return;
    }
    if (exclusive)
        lock->writer = 0;
    else
        lock->readers--;
    if (shared)
        tell(explorer, "unlock", lock, "");
}

/* ---- the plug ---- */

static int op_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    struct e2d_lock_state *state = ext2dax_explorer_alloc(ctx, sizeof *state);

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
    struct e2d_lock_state *state = state_of(lock);
    char text[64];

    if (state->readers != 0 || state->writer != 0) {
        e2d_lock_text(state, text, sizeof text);
        ext2dax_explorer_fail(ctx, "%s destroyed while held", text);
    }
    ext2dax_explorer_release(ctx, state, sizeof *state);
    lock->word = 0;
}

static void op_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    take(ctx, state_of(lock), false);
    e2d_coroutine_tidy();
}
static void op_read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    release(ctx, state_of(lock), false);
    e2d_coroutine_tidy();
}
static void op_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    take(ctx, state_of(lock), true);
    e2d_coroutine_tidy();
}
static void op_write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    release(ctx, state_of(lock), true);
    e2d_coroutine_tidy();
}
static bool op_try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool taken = try(ctx, state_of(lock), false);

    e2d_coroutine_tidy();
    return taken;
}
static bool op_try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool taken = try(ctx, state_of(lock), true);

    e2d_coroutine_tidy();
    return taken;
}

static bool op_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    const struct ext2dax_explorer *explorer = ctx;
    const struct e2d_lock_state *state = state_of(lock);

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
