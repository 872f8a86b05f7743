/* SPDX-License-Identifier: MIT */
/*
 * The schedule explorer finds every possible failure of two threads with a few variables, and
 * reports nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "explorer_harness.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ext2dax_scenario scenario_of(const char *name, unsigned threads, void (*a)(void *arg),
                                           void (*b)(void *arg), void (*c)(void *arg))
{
    struct ext2dax_scenario scenario = {.name = name, .threads = threads, .start = empty_world};

    scenario.thread[0] = (struct ext2dax_explorer_thread){"first", a};
    scenario.thread[1] = (struct ext2dax_explorer_thread){"second", b};
    scenario.thread[2] = (struct ext2dax_explorer_thread){"third", c};
    return scenario;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* ---- deadlock ---- */

static void up(void *arg)
{
    (void)arg;
    lock(0);
    lock(1);
    unlock(1);
    unlock(0);
}

static void down(void *arg)
{
    (void)arg;
    lock(1);
    lock(0);
    unlock(0);
    unlock(1);
}

static void twice(void *arg)
{
    (void)arg;
    lock(0);
    lock(0);
}

START_TEST(deadlocks)
{
    struct ext2dax_scenario crossing = scenario_of("crossing", 2, up, down, NULL),
                            ordered = scenario_of("ordered", 3, up, up, up),
                            alone = scenario_of("alone", 1, twice, NULL, NULL);

    open_explorer(modes[_i].flags);
    expect_finding(&crossing, "deadlock: a waits for group 1, b waits for group 0");
    expect_finding(&ordered, NULL);
    expect_finding(&alone, "deadlock: a waits for group 0");
    close_explorer();
}
END_TEST

/* ---- lost wake-ups ---- */

enum { READY, ASLEEP };

static void wake(void *arg)
{
    (void)arg;
    store(READY, 1);
    ext2dax_explorer_wake(explorer, &world.variable[READY]);
}

/* Nothing intervenes between the test and the sleep. */
static void wait_well(void *arg)
{
    (void)arg;
    while (load(READY) == 0)
        ext2dax_explorer_sleep(explorer, &world.variable[READY]);
}

static void wait_after_store(void *arg)
{
    (void)arg;
    if (load(READY) != 0)
        return;
    store(ASLEEP, 1);
    ext2dax_explorer_sleep(explorer, &world.variable[READY]);
}

static void wait_after_unlock(void *arg)
{
    bool ready;

    (void)arg;
    lock(0);
    ready = world.variable[READY] != 0;
    unlock(0);
    if (!ready)
        ext2dax_explorer_sleep(explorer, &world.variable[READY]);
}

static void wake_locked(void *arg)
{
    (void)arg;
    lock(0);
    world.variable[READY] = 1;
    unlock(0);
    ext2dax_explorer_wake(explorer, &world.variable[READY]);
}

START_TEST(wake_ups)
{
    struct ext2dax_scenario well = scenario_of("well", 2, wait_well, wake, NULL),
                            late = scenario_of("store between", 2, wait_after_store, wake, NULL),
                            unlocked = scenario_of("unlock between", 2, wait_after_unlock, wake_locked, NULL),
                            never = scenario_of("never", 2, wait_well, nothing, NULL);

    open_explorer(modes[_i].flags);
    expect_finding(&well, NULL);
    expect_finding(&late, "lost wake-up: a sleeps at");
    expect_finding(&unlocked, "lost wake-up: a sleeps at");
    expect_finding(&never, "lost wake-up: a sleeps at");
    close_explorer();
}
END_TEST

/* ---- livelocks ---- */

static void spin_on_0(void *arg)
{
    (void)arg;
    while (load(0) == 0)
        ;
}

static void spin_on_1(void *arg)
{
    (void)arg;
    while (load(1) == 0)
        ;
}

static void set_0(void *arg)
{
    (void)arg;
    store(0, 1);
}

static void look_under_lock(void *arg)
{
    bool done = false;

    (void)arg;
    while (!done) {
        lock(0);
        done = world.variable[0] != 0;
        unlock(0);
    }
}

static void set_under_lock(void *arg)
{
    (void)arg;
    lock(0);
    world.variable[0] = 1;
    unlock(0);
}

static void spin_holding(void *arg)
{
    (void)arg;
    lock(0);
    while (load(0) == 0)
        ;
    unlock(0);
}

/* Each thread yields to the other, forever if both alternate. */
static void polite(unsigned mine, unsigned other)
{
    for (;;) {
        store(mine, 1);
        if (load(other) == 0)
            break;
        store(mine, 0);
    }
    store(mine, 0);
}

static void polite_0(void *arg)
{
    (void)arg;
    polite(0, 1);
}

static void polite_1(void *arg)
{
    (void)arg;
    polite(1, 0);
}

static void run_on(void *arg)
{
    (void)arg;
    for (uint32_t i = 0;; i++)
        store(0, i);
}

START_TEST(livelocks)
{
    struct ext2dax_scenario ended = scenario_of("a spin that is ended", 2, spin_on_0, set_0, NULL),
                            locked =
                                scenario_of("one under a lock", 3, look_under_lock, look_under_lock, set_under_lock),
                            both = scenario_of("two that wait for each other", 2, spin_on_0, spin_on_1, NULL),
                            alone = scenario_of("one that nobody ends", 2, spin_on_0, nothing, NULL),
                            holding = scenario_of("one that keeps out who would end it", 2, spin_holding,
                                                  set_under_lock, NULL),
                            dance = scenario_of("two that are polite", 2, polite_0, polite_1, NULL);

    open_explorer(modes[_i].flags);
    expect_finding(&ended, NULL);
    expect_finding(&locked, NULL);
    expect_finding(&both, "livelock: a state comes back");
    expect_finding(&alone, "livelock: a state comes back");
    expect_finding(&holding, "livelock: a state comes back");
    expect_finding(&dance, "livelock: a state comes back");
    close_explorer();
}
END_TEST

START_TEST(no_end)
{
    struct ext2dax_explorer_options options = {
        .size = sizeof options, .preemptions = 0, .most_steps = 2000, .flags = modes[_i].flags};
    struct ext2dax_scenario endless = scenario_of("no state twice", 2, run_on, run_on, NULL);

    explorer = ext2dax_explorer_open(&options);
    ck_assert_ptr_nonnull(explorer);
    expect_finding(&endless, "livelock: no end after 2000 steps");
    close_explorer();
}
END_TEST

/* ---- lost updates, and their number of preemptions ---- */

static void add_one(void *arg)
{
    (void)arg;
    store(0, load(0) + 1);
}

static void add_one_locked(void *arg)
{
    (void)arg;
    lock(0);
    world.variable[0]++;
    unlock(0);
}

static void two_were_added(void *arg)
{
    (void)arg;
    if (world.variable[0] != 2)
        ext2dax_explorer_fail(explorer, "an update was lost");
}

START_TEST(lost_updates)
{
    struct ext2dax_scenario bare = scenario_of("bare", 2, add_one, add_one, NULL),
                            locked = scenario_of("locked", 2, add_one_locked, add_one_locked, NULL);
    struct ext2dax_explorer_result result;

    bare.finish = locked.finish = two_were_added;
    open_explorer(modes[_i].flags);
    expect_finding(&bare, "an update was lost");
    expect_finding(&locked, NULL);
    ext2dax_explorer_set(explorer, modes[_i].flags, 0);
    ck_assert(ext2dax_explorer_explore(explorer, &bare, &result));
    ck_assert(result.complete);
    ext2dax_explorer_set(explorer, modes[_i].flags, 1);
    ck_assert(!ext2dax_explorer_explore(explorer, &bare, &result));
    ck_assert_uint_eq(result.preemptions, 1);
    reproduce(&bare, &result);
    /* The explorer reports the failing schedule with the fewest preemptions. */
    ext2dax_explorer_set(explorer, modes[_i].flags, EXT2DAX_EXPLORER_ANY);
    ck_assert(!ext2dax_explorer_explore(explorer, &bare, &result));
    ck_assert_uint_eq(result.preemptions, 1);
    close_explorer();
}
END_TEST

/* ---- try-lock ---- */

static void hold_for_a_moment(void *arg)
{
    (void)arg;
    lock(0);
    world.variable[0]++;
    unlock(0);
}

static void try_once(void *arg)
{
    (void)arg;
    if (!try_lock(0)) {
        ext2dax_explorer_fail(explorer, "not free");
        return;
    }
    unlock(0);
}

START_TEST(tries)
{
    struct ext2dax_scenario one = scenario_of("one tries", 2, hold_for_a_moment, try_once, NULL),
                            both = scenario_of("both try", 2, try_once, try_once, NULL),
                            alone = scenario_of("nobody else", 2, try_once, nothing, NULL);

    open_explorer(modes[_i].flags);
    expect_finding(&one, "not free");
    expect_finding(&both, "not free");
    expect_finding(&alone, NULL);
    close_explorer();
}
END_TEST

/* ---- sources of findings ---- */

static void see_both(void *arg)
{
    (void)arg;
    if (world.variable[0] != world.variable[1])
        ext2dax_explorer_fail(explorer, "they differ");
}

static void set_both(void *arg)
{
    (void)arg;
    store(0, 1);
    store(1, 1);
}

static void set_both_at_once(void *arg)
{
    (void)arg;
    store(0, 1);
    world.variable[1] = 1;
}

static void give_up(void *arg)
{
    struct ext2dax_host host = ext2dax_explorer_host(explorer);

    (void)arg;
    if (load(0) == 1)
        host.ops->panic(host.ctx, "bench.c", 7, "it cannot be 1");
}

static void give_up_at_once(void *arg)
{
    struct ext2dax_host host = ext2dax_explorer_host(explorer);

    (void)arg;
    host.ops->panic(host.ctx, "bench.c", 7, "never");
}

static void release_what_is_free(void *arg)
{
    (void)arg;
    unlock(0);
}

START_TEST(findings)
{
    struct ext2dax_scenario seen = scenario_of("seen between steps", 2, nothing, set_both, NULL),
                            unseen = scenario_of("never between steps", 2, nothing, set_both_at_once, NULL),
                            panic = scenario_of("an assertion", 3, add_one, nothing, give_up),
                            first = scenario_of("one before any point", 2, nothing, give_up_at_once, NULL),
                            released = scenario_of("a release too many", 2, nothing, release_what_is_free, NULL),
                            none = scenario_of("no threads", 0, NULL, NULL, NULL),
                            many = scenario_of("too many", 5, nothing, nothing, nothing);
    struct ext2dax_explorer_result result;

    seen.step = unseen.step = see_both;
    open_explorer(modes[_i].flags);
    ext2dax_explorer_set(explorer, modes[_i].flags & ~EXT2DAX_EXPLORER_SHARED_ONLY, EXT2DAX_EXPLORER_ANY);
    expect_finding(&seen, "they differ");
    expect_finding(&unseen, NULL);
    ext2dax_explorer_set(explorer, modes[_i].flags, EXT2DAX_EXPLORER_ANY);
    expect_finding(&panic, "assertion: it cannot be 1 (bench.c:7)");
    expect_finding(&first, "assertion: never (bench.c:7)");
    expect_finding(&released, "group 0 released, but not held");
    ck_assert(!ext2dax_explorer_explore(explorer, &none, &result));
    ck_assert(!ext2dax_explorer_explore(explorer, &many, &result));
    ck_assert_ptr_nonnull(strstr(result.finding, "1 to 4 threads"));
    close_explorer();
}
END_TEST

/* ---- restored memory, and distinct states ---- */

static uint32_t counter;

static void remember_counter(void *arg)
{
    empty_world(arg);
    counter = 0;
    if (ext2dax_explorer_remember(explorer, &counter, sizeof counter) != 0)
        ext2dax_explorer_fail(explorer, "no memory");
}

static void ignore_counter(void *arg)
{
    remember_counter(arg);
    if (ext2dax_explorer_ignore(explorer, &counter, sizeof counter) != 0)
        ext2dax_explorer_fail(explorer, "no memory");
}

static void count_and_allocate(void *arg)
{
    unsigned char *at[3];

    (void)arg;
    for (unsigned i = 0; i < COUNT(at); i++) {
        at[i] = ext2dax_explorer_alloc(explorer, 100);
        if (!at[i] || at[i][0] != 0 || at[i][99] != 0) {
            ext2dax_explorer_fail(explorer, "memory is not zeroed, or runs out");
            return;
        }
        memset(at[i], 0x77, 100);
        /* The first thread leaves a trace absent from the other thread's state. */
        counter = counter * 3 + load(0);
        store(0, load(0) + 1);
    }
    for (unsigned i = 0; i < COUNT(at); i++)
        ext2dax_explorer_release(explorer, at[i], 100);
    if (ext2dax_explorer_remember(explorer, &counter, sizeof counter) == 0)
        ext2dax_explorer_fail(explorer, "something new is remembered in the middle of it");
}

START_TEST(put_back)
{
    struct ext2dax_scenario scenario = scenario_of("counts", 2, count_and_allocate, count_and_allocate, NULL);
    struct ext2dax_explorer_result told, ignored;

    open_explorer(modes[_i].flags);
    scenario.start = remember_counter;
    ck_assert_msg(ext2dax_explorer_explore(explorer, &scenario, &told), "%s", told.finding);
    ck_assert_uint_eq(counter, 0);
    ck_assert_uint_eq(world.variable[0], 0);
    scenario.start = ignore_counter;
    ck_assert_msg(ext2dax_explorer_explore(explorer, &scenario, &ignored), "%s", ignored.finding);
    ck_assert_uint_eq(counter, 0);
    ck_assert_msg(ignored.states < told.states, "%llu, %llu", (unsigned long long)ignored.states,
                  (unsigned long long)told.states);
    ck_assert_uint_gt(told.ends, ignored.ends);
    close_explorer();
}
END_TEST

/* ---- ids and the table ---- */

static char table[8192];

static void keep_line(void *arg, const char *text)
{
    (void)arg;
    strncat(table, text, sizeof table - strlen(table) - 1);
    strncat(table, "\n", sizeof table - strlen(table) - 1);
}

static void named_world(void *arg)
{
    empty_world(arg);
    (void)ext2dax_explorer_name(explorer, &world.variable[0], sizeof world.variable[0], "the sum");
}

static void add_noted(void *arg)
{
    uint32_t value = load(0);

    (void)arg;
    ext2dax_explorer_note(explorer, "it is %u", (unsigned)value);
    store(0, value + 1);
}

START_TEST(ids)
{
    static const char *const none[] = {
        "c",  "z1", "A1",   "a0",      "a1bb", "a99", "a1,b1", "a-1", "1", " ", "a18446744073709551616",
        "aa", "bb", "ab1a", "too long"};
    struct ext2dax_scenario scenario = scenario_of("sum", 2, add_noted, add_noted, NULL);
    struct ext2dax_explorer_result found, result;
    int error;

    scenario.start = named_world;
    scenario.finish = two_were_added;
    open_explorer(modes[_i].flags);
    ck_assert(!ext2dax_explorer_explore(explorer, &scenario, &found));
    for (unsigned i = 0; i < COUNT(none); i++) {
        table[0] = '\0';
        (void)ext2dax_explorer_replay(explorer, &scenario, none[i], keep_line, NULL, &result, &error);
        ck_assert_msg(error < 0, "'%s' was taken for an id", none[i]);
        ck_assert(!result.failed);
        ck_assert_str_eq(table, "");
    }
    ck_assert(!ext2dax_explorer_replay(explorer, &scenario, found.id, keep_line, NULL, &result, &error));
    ck_assert_int_eq(error, 0);
    ck_assert_ptr_nonnull(strstr(table, "a: first"));
    ck_assert_ptr_nonnull(strstr(table, "b: second"));
    ck_assert_ptr_nonnull(strstr(table, "load the sum\n"));
    ck_assert_ptr_nonnull(strstr(table, "it is 0\n"));
    ck_assert_ptr_nonnull(strstr(table, "*** an update was lost"));
    ck_assert(ext2dax_explorer_replay(explorer, &scenario, "ab", NULL, NULL, &result, &error));
    ck_assert(ext2dax_explorer_replay(explorer, &scenario, "", NULL, NULL, &result, &error));
    ck_assert_int_eq(error, 0);
    close_explorer();
}
END_TEST

/* ---- bounds ---- */

static void many_stores(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < 20; i++)
        store(0, load(0) + 1);
}

START_TEST(bounds)
{
    struct ext2dax_explorer_options options = {
        .size = sizeof options, .preemptions = EXT2DAX_EXPLORER_ANY, .most_states = 100, .flags = modes[_i].flags};
    struct ext2dax_scenario scenario = scenario_of("many", 2, many_stores, many_stores, NULL);
    struct ext2dax_explorer_result result;

    explorer = ext2dax_explorer_open(&options);
    ck_assert_ptr_nonnull(explorer);
    ck_assert(ext2dax_explorer_explore(explorer, &scenario, &result));
    ck_assert(!result.complete && !result.failed);
    ck_assert_uint_le(result.states, 102);
    close_explorer();
    options.stack = SIZE_MAX - 1;
    ck_assert_ptr_null(ext2dax_explorer_open(&options));
    options.stack = 0;
    options.memory = SIZE_MAX - 1;
    ck_assert_ptr_null(ext2dax_explorer_open(&options));
}
END_TEST

/* Shows repeated use of the same explorer, cleared or not. */
START_TEST(used_again)
{
    struct ext2dax_scenario bare = scenario_of("bare", 2, add_one, add_one, NULL),
                            locked = scenario_of("locked", 2, add_one_locked, add_one_locked, NULL);
    struct ext2dax_explorer_result first, result;

    bare.finish = locked.finish = two_were_added;
    open_explorer(modes[_i].flags);
    ck_assert(ext2dax_explorer_explore(explorer, &locked, &first));
    for (unsigned i = 0; i < 4; i++) {
        if (i % 2 == 0)
            ext2dax_explorer_clear(explorer);
        ck_assert(!ext2dax_explorer_explore(explorer, &bare, &result));
        if (i < 2)
            ext2dax_explorer_clear(explorer);
        ck_assert(ext2dax_explorer_explore(explorer, &locked, &result));
        ck_assert_uint_eq(result.states, first.states);
        ck_assert_uint_eq(result.schedules, first.schedules);
        ck_assert_uint_eq(result.ends, first.ends);
    }
    close_explorer();
}
END_TEST

/* ---- walks ---- */

#define SEEDS 60u

static unsigned decisions_left;

static void stop_soon(void *arg)
{
    (void)arg;
    if (decisions_left-- == 0)
        ext2dax_explorer_stop(explorer);
}

static void never_reached(void *arg)
{
    (void)arg;
    ext2dax_explorer_fail(explorer, "a stopped walk has an end");
}

static void note_thread(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 10; i++) {
        lock(0);
        world.variable[0] = ext2dax_explorer_running(explorer);
        unlock(0);
    }
}

/* Shows walks that find a lost update and a deadlock, and nothing in sound scenarios. */
START_TEST(walks_find)
{
    struct ext2dax_scenario bare = scenario_of("bare", 2, add_one, add_one, NULL),
                            locked = scenario_of("locked", 2, add_one_locked, add_one_locked, NULL),
                            crossing = scenario_of("crossing", 2, up, down, NULL);
    struct ext2dax_explorer_result result, again;
    unsigned lost = 0, blocked = 0;

    bare.finish = locked.finish = two_were_added;
    open_explorer(modes[_i].flags);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        ck_assert(ext2dax_explorer_walk(explorer, &locked, seed, &result));
        ck_assert_uint_eq(result.schedules, 1);
        lost += !ext2dax_explorer_walk(explorer, &bare, seed, &result);
        ck_assert(ext2dax_explorer_walk(explorer, &bare, seed, &again) == !result.failed);
        ck_assert_uint_eq(again.steps, result.steps);
        ck_assert_str_eq(again.finding, result.finding);
        if (!ext2dax_explorer_walk(explorer, &crossing, seed, &result)) {
            ck_assert_ptr_nonnull(strstr(result.finding, "deadlock:"));
            blocked++;
        }
    }
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_lt(lost, SEEDS);
    ck_assert_uint_gt(blocked, 0);
    ck_assert_uint_lt(blocked, SEEDS);
    close_explorer();
}
END_TEST

/* Shows a walk stopped with locks held, and another walk or exploration after the stop. */
START_TEST(walks_stop)
{
    struct ext2dax_scenario crossing = scenario_of("crossing", 2, up, up, NULL),
                            noting = scenario_of("noting", 3, note_thread, note_thread, note_thread);
    struct ext2dax_explorer_result result;

    crossing.step = noting.step = stop_soon;
    crossing.finish = noting.finish = never_reached;
    open_explorer(modes[_i].flags);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        decisions_left = 0;
        ck_assert(ext2dax_explorer_walk(explorer, &crossing, seed, &result));
        ck_assert_uint_eq(result.schedules, 0);
        ck_assert_uint_eq(result.steps, 1);
        decisions_left = 2;
        ck_assert(ext2dax_explorer_walk(explorer, &noting, seed, &result));
        ck_assert_uint_lt(world.variable[0], 3);
        ck_assert_uint_eq(ext2dax_explorer_running(explorer), EXT2DAX_EXPLORER_THREADS);
    }
    crossing.step = crossing.finish = NULL;
    ck_assert(ext2dax_explorer_walk(explorer, &crossing, 0, &result));
    ck_assert(ext2dax_explorer_explore(explorer, &crossing, &result));
    close_explorer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explorer");
    TCase *tcase = add_case(suite, "explorer", 30);

    tcase_add_loop_test(tcase, deadlocks, 0, MODES);
    tcase_add_loop_test(tcase, wake_ups, 0, MODES);
    tcase_add_loop_test(tcase, livelocks, 0, MODES);
    tcase_add_loop_test(tcase, no_end, 0, MODES);
    tcase_add_loop_test(tcase, lost_updates, 0, MODES);
    tcase_add_loop_test(tcase, tries, 0, MODES);
    tcase_add_loop_test(tcase, findings, 0, MODES);
    tcase_add_loop_test(tcase, put_back, 0, MODES);
    tcase_add_loop_test(tcase, ids, 0, MODES);
    tcase_add_loop_test(tcase, bounds, 0, MODES);
    tcase_add_loop_test(tcase, used_again, 0, MODES);
    tcase_add_loop_test(tcase, walks_find, 0, MODES);
    tcase_add_loop_test(tcase, walks_stop, 0, MODES);
    return run_suite(suite);
}
