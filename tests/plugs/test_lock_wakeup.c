/* SPDX-License-Identifier: MIT */
/*
 * No wake-up of the default lock is lost. While a thread is entering a held lock, the holder
 * unlocks before any single step of the thread, or after the thread sleeps. The test replaces the
 * sleep and wake functions under the lock (explored_lock.h), so the holder runs exactly there, and
 * a sleep without any thread left to end it is detected at once.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "../runner.h"
#include "explored_lock.h"
#include "instrument.h"

static struct ext2dax_locks locks;
static struct ext2dax_lock lock;

static struct {
    bool writer, left; /* the initial mode of the holder, and the holder has unlocked */
    bool inside;       /* the holder is unlocking */
    unsigned at, passed;
    uint32_t woken;
    bool lost;
} run;

static void leave(void)
{
    run.left = run.inside = true;
    if (run.writer)
        locks.ops->write_unlock(locks.ctx, &lock);
    else
        locks.ops->read_unlock(locks.ctx, &lock);
    run.inside = false;
}

static void step(enum e2d_yield_kind kind, const volatile void *at)
{
    (void)kind;
    (void)at;
    if (!run.inside && run.passed++ == run.at && !run.left)
        leave();
}

/* Sleeps. Only an unlock from here on can wake the thread. */
static void fall_asleep(const volatile void *at, uint32_t bits)
{
    (void)at;
    run.woken = 0;
    if (!run.left)
        leave();
    if ((run.woken & bits) == 0)
        run.lost = true;
}

static void wake(const volatile void *at, uint32_t bits)
{
    (void)at;
    run.woken |= bits;
}

/* Unlocks before step `at` of the entering thread. Returns true if the step exists. */
static bool meet(bool holder_writes, bool comer_writes, unsigned at)
{
    memset(&run, 0, sizeof run);
    run.writer = holder_writes;
    run.at = at;
    ck_assert_int_eq(locks.ops->init(locks.ctx, &lock, EXT2DAX_LOCK_FS, 0), 0);
    if (holder_writes)
        locks.ops->write_lock(locks.ctx, &lock);
    else
        locks.ops->read_lock(locks.ctx, &lock);
    e2dt_explored_sleep_hook = fall_asleep;
    e2dt_explored_wake_hook = wake;
    e2dt_yield_hook = step;
    if (comer_writes)
        locks.ops->write_lock(locks.ctx, &lock);
    else
        locks.ops->read_lock(locks.ctx, &lock);
    e2dt_yield_hook = NULL;
    if (!run.left)
        leave();
    if (comer_writes)
        locks.ops->write_unlock(locks.ctx, &lock);
    else
        locks.ops->read_unlock(locks.ctx, &lock);
    locks.ops->destroy(locks.ctx, &lock);
    e2dt_explored_sleep_hook = e2dt_explored_wake_hook = NULL;
    return run.passed > at;
}

/* Returns the step with a lost wake-up, or -1. Stores the number of steps in *steps. */
static int first_lost(bool holder_writes, bool comer_writes, unsigned *steps)
{
    for (*steps = 0; meet(holder_writes, comer_writes, *steps) && !run.lost; ++*steps)
        ;
    return run.lost ? (int)*steps : -1;
}

/* Pairs with a wait. A reader does not wait for a reader. */
static const struct {
    bool holder_writes, comer_writes;
} pairs[] = {{true, true}, {true, false}, {false, true}};

START_TEST(every_waiter_is_woken)
{
    unsigned steps;

    ck_assert_int_eq(first_lost(pairs[_i].holder_writes, pairs[_i].comer_writes, &steps), -1);
    printf("%s waits for %s: %u schedules\n", pairs[_i].comer_writes ? "writer" : "reader",
           pairs[_i].holder_writes ? "writer" : "reader", steps + 1);
    ck_assert_uint_gt(steps, 3);
}
END_TEST

START_TEST(a_lost_wake_up_is_noticed)
{
    static const char *const mutants[] = {"LOCK_SLEEPS_UNCHECKED", "LOCK_WAKE_LOST"};

    for (unsigned i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        unsigned steps;
        int lost;

        ck_assert_int_eq(ext2dax_mutant_activate(mutants[i]), 0);
        lost = first_lost(pairs[_i].holder_writes, pairs[_i].comer_writes, &steps);
        ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
        ck_assert_msg(lost >= 0, "%s was not noticed", mutants[i]);
        printf("%s: noticed at step %d\n", mutants[i], lost);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wake-ups of the lock");
    TCase *cases = add_case(suite, "wake-ups", USUAL_LIMIT);

    locks = e2dt_explored_locks();
    tcase_add_loop_test(cases, every_waiter_is_woken, 0, 3);
    tcase_add_loop_test(cases, a_lost_wake_up_is_noticed, 0, 3);
    return run_suite(suite);
}
