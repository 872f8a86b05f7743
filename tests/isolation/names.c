/* SPDX-License-Identifier: MIT */
/*
 * Calls on names against each other, in every schedule (name_operations.h). Each call is atomic to
 * the others, so every outcome is the outcome of a serial order.
 *
 *     names [--slice I/N] [--trios | --full] [--first NAME] [--second NAME] [--seconds S]
 *
 * With --seconds no exploration begins after this time. The environment variable EXT2DAX_SECONDS
 * replaces the number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../runner.h"
#include "coroutine.h"
#include "name_operations.h"

static const struct name_operation *cast[3];

static void play_first(void)
{
    name_result[0] = cast[0]->run();
}
static void play_second(void)
{
    name_result[1] = cast[1]->run();
}
static void play_third(void)
{
    name_result[2] = cast[2]->run();
}

static struct {
    unsigned part, parts;
    bool trios, full;
    const char *first, *second;
    double seconds; /* 0 without a limit */
} wanted = {.parts = 1};
static struct timespec begun;

static bool is_late(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return wanted.seconds > 0 &&
           (double)(now.tv_sec - begun.tv_sec) + (double)(now.tv_nsec - begun.tv_nsec) / 1e9 > wanted.seconds;
}

/* ---- the casts ---- */

/* Trios with operations of several calls. The operations of a single call make all trios. */
static const char *const trios[][3] = {
    {"rename a/x to b/n", "rename a/sub to n", "look for the moved"},
    {"rename a/x to b/n", "unlink a/x", "look for the moved"},
    {"rename a/x over b/y", "unlink b/y", "look for the moved"},
    {"exchange a/x and b/y", "create b/n", "look for the moved"},
    {"unlink a/x", "link x to b/n", "look for the nameless"},
    {"unlink a/x", "unlink b/y", "look for the nameless"},
    {"unlink a/x", "last put", "freeze"},
    {"rename a/x to b/n", "create a/n", "freeze"},
};

#define TRIOS      (sizeof trios / sizeof trios[0])
#define CASTS_MOST 16384u

static struct {
    const struct name_operation *operation[3];
    void (*start)(void);
} casts[CASTS_MOST];
static unsigned cast_count;

static bool is_wanted(const char *name, const char *only)
{
    return !only || strcmp(name, only) == 0;
}

/* Adds a cast, if the cast is wanted and of the slice. */
static void add(void (*start)(void), const struct name_operation *first, const struct name_operation *second,
                const struct name_operation *third)
{
    static unsigned number;

    if (!is_wanted(first->name, wanted.first) || !is_wanted(second->name, wanted.second) ||
        number++ % wanted.parts != wanted.part || cast_count == CASTS_MOST)
        return;
    casts[cast_count].start = start;
    casts[cast_count].operation[0] = first;
    casts[cast_count].operation[1] = second;
    casts[cast_count++].operation[2] = third;
}

/* Pairs with a start of their own. */
static void add_chain(void)
{
    static const struct name_operation rename = {"rename d/x to n", rename_from_d};
    static const struct name_operation remove = {"remove c/d and reuse the number of c", remove_chain};

    add(start_chain, &rename, &remove, NULL);
}

static void add_pairs(void)
{
    add_chain();
    for (unsigned i = 0; i < name_operation_count; i++) {
        for (unsigned k = i; k < name_operation_count; k++)
            add(start_tree, &name_operations[i], &name_operations[k], NULL);
    }
}

/* Pairs with a new name in the full directory. */
static void add_full(void)
{
    for (unsigned i = 0; i < name_operation_count; i++) {
        for (unsigned k = 0; k < name_operation_count; k++) {
            if (strstr(name_operations[i].name, "b/n") && (k >= i || !strstr(name_operations[k].name, "b/n")))
                add(start_full, &name_operations[i], &name_operations[k], NULL);
        }
    }
}

static void add_trios(void)
{
    unsigned calls = name_operation_count - NAME_OPERATIONS_OF_CALLS;

    for (unsigned i = 0; i < TRIOS; i++)
        add(start_tree, name_operation(trios[i][0]), name_operation(trios[i][1]), name_operation(trios[i][2]));
    for (unsigned i = 0; i < calls; i++) {
        for (unsigned k = i + 1; k < calls; k++) {
            for (unsigned l = k + 1; l < calls; l++)
                add(start_tree, &name_operations[i], &name_operations[k], &name_operations[l]);
        }
    }
}

/* ---- a cast in every schedule ---- */

START_TEST(every_outcome_is_serial)
{
    const struct name_operation *third = casts[_i].operation[2];
    struct ext2dax_explorer_result result, again;
    char name[160];
    const struct scenario scenario = {name, casts[_i].start, play_first, play_second, check_tree};
    const struct pair pair = {.scenario = &scenario, .third = third ? play_third : NULL, .serial = true};

    if (is_late())
        return;
    memcpy(cast, casts[_i].operation, sizeof cast);
    snprintf(name, sizeof name, "%s / %s%s%s", cast[0]->name, cast[1]->name, third ? " / " : "",
             third ? third->name : "");
    if (!pair_explore(&pair, &result)) {
        (void)pair_replay(&pair, result.id, result.flags, true, &again);
        ck_abort_msg("%s, schedule %s: %s", name, result.id, result.finding);
    }
    ck_assert(result.complete || E2DT_COROUTINE_SANITIZED);
    printf("%-60s %6llu schedules %7llu states\n", name, (unsigned long long)result.schedules,
           (unsigned long long)result.states);
}
END_TEST

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trios") == 0)
            wanted.trios = true;
        else if (strcmp(argv[i], "--full") == 0)
            wanted.full = true;
        else if (strcmp(argv[i], "--first") == 0 && i + 1 < argc)
            wanted.first = argv[++i];
        else if (strcmp(argv[i], "--second") == 0 && i + 1 < argc)
            wanted.second = argv[++i];
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            wanted.seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--slice") != 0 || i + 1 == argc ||
                 sscanf(argv[++i], "%u/%u", &wanted.part, &wanted.parts) != 2 || wanted.part >= wanted.parts)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("isolation of names");
    int status;

    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: names [--slice I/N] [--trios | --full] [--first NAME] [--second NAME] [--seconds S]\n");
        return EXIT_FAILURE;
    }
    if (wanted.seconds > 0 && getenv("EXT2DAX_SECONDS"))
        wanted.seconds = atof(getenv("EXT2DAX_SECONDS"));
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (wanted.trios)
        add_trios();
    else if (wanted.full)
        add_full();
    else
        add_pairs();
    tcase_add_loop_test(add_case(suite, "names", 120), every_outcome_is_serial, 0, (int)cast_count);
    status = run_suite(suite);
    if (is_late())
        printf("the rest of %u explorations left out after %g seconds\n", cast_count, wanted.seconds);
    return status;
}
