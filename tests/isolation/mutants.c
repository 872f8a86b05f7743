/* SPDX-License-Identifier: MIT */
/*
 * Every protection broken by itself, and noticed: in some schedule the image, the mappings or what a call answers is not as it
 * must be, with the core's assertions off and nobody looking at the order of locks. Whether those would have noticed too
 * stands in a column of its own. The same scenarios with nothing broken are all in order.
 *
 * A broken core may do anything, so each is tried in a process of its own, which Check forks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"
#include "mutant_scenarios.h"

#define PATIENCE 100 /* seconds for all schedules of a scenario */
#define REPLAYS  3

static int cases(void)
{
    int count = 0;

    while (mutant_cases[count].mutant)
        count++;
    return count;
}

/*
 * What assertions and the lock-order checker say, when they are asked: in a process of its own, since there a broken core goes
 * on where a look at the image would have ended the schedule.
 */
static void print_what_others_say(const struct mutant_case *tried)
{
    const struct duet duet = {
        .scenario = tried->scenario, .mutant = tried->mutant, .unjudged = true, .durable = tried->durable};
    struct ext2dax_explorer_result checked;
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        bool nothing = duet_explore(&duet, &checked);

        printf("  [%s]\n", nothing                                           ? "-"
                           : strncmp(checked.finding, "assertion", 9) == 0   ? "assertion"
                           : strncmp(checked.finding, "lock order", 10) == 0 ? "lock order"
                                                                             : checked.finding);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        printf("  [crash]\n");
}

/* A mutant that takes more than the usual points to be noticed: those must find nothing where nothing is broken. */
static void find_nothing_unbroken(const struct mutant_case *tried)
{
    const struct duet duet = {.scenario = tried->scenario,
                              .thorough = true,
                              .blind = true,
                              .durable = tried->durable,
                              .hostile = tried->hostile};
    struct ext2dax_explorer_result result;

    if (!duet_explore(&duet, &result))
        ck_abort_msg("%s, with nothing broken, schedule %s: %s", tried->scenario->name, result.id, result.finding);
}

START_TEST(a_broken_protection_is_noticed)
{
    const struct mutant_case *tried = &mutant_cases[_i];
    const struct duet duet = {.scenario = tried->scenario,
                              .mutant = tried->mutant,
                              .blind = true,
                              .durable = tried->durable,
                              .hostile = tried->hostile};
    struct ext2dax_explorer_result noticed, again;

    if (duet_explore(&duet, &noticed))
        ck_abort_msg("%s was not noticed in %s (%llu schedules)", tried->mutant, tried->scenario->name,
                     (unsigned long long)noticed.schedules);
    printf("%-26s %-32s %5llu  %-14s %s", tried->mutant, tried->scenario->name,
           (unsigned long long)(noticed.schedules + noticed.pruned + 1), noticed.id, noticed.finding);
    for (unsigned i = 0; i < REPLAYS; i++) {
        ck_assert(!duet_replay(&duet, noticed.id, noticed.flags, false, &again));
        ck_assert_str_eq(again.finding, noticed.finding);
    }
    if ((noticed.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        find_nothing_unbroken(tried);
    print_what_others_say(tried);
}
END_TEST

START_TEST(nothing_is_noticed_where_nothing_is_broken)
{
    const struct mutant_case *tried = &mutant_cases[_i];
    const struct duet duet = {.scenario = tried->scenario, .durable = tried->durable, .hostile = tried->hostile};
    struct ext2dax_explorer_result result, again;

    for (const struct mutant_case *before = mutant_cases; before < tried; before++) {
        if (before->scenario == tried->scenario && before->durable == tried->durable)
            return;
    }
    if (!duet_explore(&duet, &result)) {
        (void)duet_replay(&duet, result.id, result.flags, true, &again);
        ck_abort_msg("%s, with nothing broken, schedule %s: %s", tried->scenario->name, result.id, result.finding);
    }
    ck_assert(result.complete);
}
END_TEST

/* A new protection comes with its case. */
START_TEST(every_mutant_has_its_case)
{
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        bool found = ext2dax_mutant_kind(i) != EXT2DAX_MUTANT_CORE;

        for (int k = 0; k < cases() && !found; k++)
            found = strcmp(mutant_cases[k].mutant, ext2dax_mutant_name(i)) == 0;
        if (!found)
            ck_abort_msg("%s (%s) has no case", ext2dax_mutant_name(i), ext2dax_mutant_text(i));
    }
}
END_TEST

static SRunner *runner_of(const char *name)
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);

    tcase_set_timeout(tests, PATIENCE);
    if (strcmp(name, "mutants") == 0) {
        tcase_add_loop_test(tests, a_broken_protection_is_noticed, 0, cases());
    } else {
        tcase_add_test(tests, every_mutant_has_its_case);
        tcase_add_loop_test(tests, nothing_is_noticed_where_nothing_is_broken, 0, cases());
    }
    suite_add_tcase(suite, tests);
    return srunner_create(suite);
}

static int run(const char *name)
{
    SRunner *runner = runner_of(name);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

int main(void)
{
    int sound = run("nothing broken"), mutants;

    printf("%-26s %-32s %5s  %-14s %s\n", "mutant", "scenario", "tried", "schedule", "noticed by [also by]");
    mutants = run("mutants");
    printf("%d of %d mutants noticed\n", cases() - mutants, cases());
    return sound == 0 && mutants == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
