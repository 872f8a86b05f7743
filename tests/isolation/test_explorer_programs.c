/* SPDX-License-Identifier: MIT */
/*
 * Compares the explorer with trying every order of instructions, on small random programs. Both
 * must find the same end states and deadlocks in every mode of the explorer.
 *
 * With --figures prints the counts of the exploration, for comparing builds. The number of states
 * is not printed, because dead registers distinguish states, and each method of switching threads
 * preserves different registers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "programs.h"

#define PROGRAMS 400u

static struct program program;
static struct endings found;

static void play(unsigned thread)
{
    uint32_t *own = &world.own[thread], half;

    for (unsigned at = 0; at < program.length[thread]; at++) {
        unsigned which = program.code[thread][at].which;

        switch (program.code[thread][at].operation) {
        case LOAD_SHARED:
            *own = load(which);
            break;
        case STORE_SHARED:
            store(which, *own + 1);
            break;
        case ADD_LOCKED:
            half = world.variable[2 + which];
            world.variable[2 + which] = half + *own + 1;
            break;
        case LOCK:
            lock(which);
            break;
        case UNLOCK:
            unlock(which);
            break;
        case TRY:
            if (!try_lock(which)) {
                *own += 16;
                at += 2;
            }
            break;
        }
    }
}

static void play_0(void *arg)
{
    (void)arg;
    play(0);
}

static void play_1(void *arg)
{
    (void)arg;
    play(1);
}

static void play_2(void *arg)
{
    (void)arg;
    play(2);
}

static void keep_ending(void *arg)
{
    struct ending ending;

    (void)arg;
    memcpy(ending.variable, world.variable, sizeof ending.variable);
    memcpy(ending.own, world.own, sizeof ending.own);
    add_ending(&found, &ending);
}

static struct ext2dax_scenario scenario = {.name = "a program",
                                           .thread = {{"first", play_0}, {"second", play_1}, {"third", play_2}},
                                           .start = empty_world,
                                           .finish = keep_ending};

static void explore(uint32_t seed, struct ext2dax_explorer_result *result)
{
    make_program(&program, seed);
    scenario.threads = program.threads;
    memset(&found, 0, sizeof found);
    (void)ext2dax_explorer_explore(explorer, &scenario, result);
}

static void compare(uint32_t seed, const struct endings *all, struct ext2dax_explorer_result *result)
{
    explore(seed, result);
    if (all->deadlock) {
        ck_assert_msg(strncmp(result->finding, "deadlock", 8) == 0, "program %u: no deadlock found", (unsigned)seed);
        reproduce(&scenario, result);
        return;
    }
    ck_assert_msg(!result->failed && result->complete, "program %u: %s", (unsigned)seed, result->finding);
    ck_assert_msg(same_endings(&found, all), "program %u: %u ends, not %u", (unsigned)seed, found.count, all->count);
    ck_assert_uint_eq(result->ends, all->count);
}

static void same_counts(uint32_t seed, const struct ext2dax_explorer_result *a, const struct ext2dax_explorer_result *b)
{
    ck_assert_msg(a->schedules == b->schedules && a->pruned == b->pruned && a->states == b->states &&
                      a->ends == b->ends && a->steps == b->steps && a->points == b->points && a->rounds == b->rounds &&
                      a->covered == b->covered && strcmp(a->id, b->id) == 0,
                  "program %u: %llu states and %llu, %s and %s", (unsigned)seed, (unsigned long long)a->states,
                  (unsigned long long)b->states, a->id, b->id);
}

START_TEST(programs)
{
    static struct endings all;
    unsigned deadlocks = 0, ends = 0;

    const uint32_t programs_now = getenv("EXT2DAX_UNDER_VALGRIND") ? PROGRAMS / 8 : PROGRAMS;

    open_explorer(0);
    for (uint32_t seed = 0; seed < programs_now; seed++) {
        struct ext2dax_explorer_result result[MODES], bounded;

        make_program(&program, seed);
        run_every_order(&program, &all);
        deadlocks += all.deadlock;
        ends += all.count;
        for (unsigned i = 0; i < MODES; i++) {
            ext2dax_explorer_set(explorer, modes[i].flags, EXT2DAX_EXPLORER_ANY);
            compare(seed, &all, &result[i]);
        }
        same_counts(seed, &result[0], &result[2]);
        same_counts(seed, &result[1], &result[3]);
        ck_assert_uint_le(result[1].states, result[0].states * result[1].rounds);
        /* A bound never reached has no effect. */
        ext2dax_explorer_set(explorer, 0, 100);
        compare(seed, &all, &bounded);
    }
    close_explorer();
    printf("%u programs, %u ends, %u with deadlocks\n", (unsigned)programs_now, ends, deadlocks);
    ck_assert(ends > programs_now && deadlocks > 0);
}
END_TEST

static int print_figures(void)
{
    for (unsigned i = 0; i < 2; i++) {
        open_explorer(modes[i].flags);
        for (uint32_t seed = 0; seed < PROGRAMS; seed++) {
            struct ext2dax_explorer_result result;

            explore(seed, &result);
            printf("%s %u: %llu ends, %u points, %.0f schedules known, %u rounds %s%s\n", modes[i].name, (unsigned)seed,
                   (unsigned long long)result.ends, (unsigned)result.points, result.covered, (unsigned)result.rounds,
                   result.id, result.finding);
        }
        close_explorer();
    }
    return 0;
}

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tcase;

    if (argc > 1)
        return strcmp(argv[1], "--figures") == 0 ? print_figures() : 2;
    suite = suite_create("explorer");
    tcase = add_case(suite, "programs", 100);
    tcase_add_test(tcase, programs);
    return run_suite(suite);
}
