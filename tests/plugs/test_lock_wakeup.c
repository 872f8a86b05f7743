/* SPDX-License-Identifier: MIT */
/*
 * No wake-up of the default lock is lost: while one thread is on its way into a held lock, the holder leaves before any one
 * of its steps, or once it sleeps. What the lock rests on is the test's (explored_lock.h), so that the holder runs right
 * there, and a sleep that nobody is left to end is seen at once.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "explored_lock.h"
#include "instrument.h"

static struct ext2dax_locks locks;
static struct ext2dax_lock lock;

static struct {
    bool writer, left; /* how the lock is held at first; the holder has left */
    bool inside;       /* the holder is on its way out */
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

/* Awake only through who leaves from here on. */
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

/* The holder leaves before step `at` of who comes; true: there is one. */
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
    e2d_explored_sleep_hook = fall_asleep;
    e2d_explored_wake_hook = wake;
    e2d_yield_hook = step;
    if (comer_writes)
        locks.ops->write_lock(locks.ctx, &lock);
    else
        locks.ops->read_lock(locks.ctx, &lock);
    e2d_yield_hook = NULL;
    if (!run.left)
        leave();
    if (comer_writes)
        locks.ops->write_unlock(locks.ctx, &lock);
    else
        locks.ops->read_unlock(locks.ctx, &lock);
    locks.ops->destroy(locks.ctx, &lock);
    e2d_explored_sleep_hook = e2d_explored_wake_hook = NULL;
    return run.passed > at;
}

/* At which step a wake-up was lost, or -1: at none; *steps: how many there were. */
static int first_lost(bool holder_writes, bool comer_writes, unsigned *steps)
{
    for (*steps = 0; meet(holder_writes, comer_writes, *steps) && !run.lost; ++*steps)
        ;
    return run.lost ? (int)*steps : -1;
}

/* A reader enters beside a reader, and does not wait. */
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
    TCase *cases = tcase_create("wake-ups");
    SRunner *runner;
    int failed;

    locks = e2d_explored_locks();
    tcase_add_loop_test(cases, every_waiter_is_woken, 0, 3);
    tcase_add_loop_test(cases, a_lost_wake_up_is_noticed, 0, 3);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
