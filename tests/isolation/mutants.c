/* SPDX-License-Identifier: MIT */
/*
 * Each protection is disabled in turn, and the failure must be detected. In some schedule the
 * image, the mappings or the result of a call violates an invariant, with the core's assertions and
 * the lock order checker off. A separate column shows the findings of both. The same scenarios with
 * nothing broken have no findings.
 *
 * A broken core may do anything, so each mutant runs in a process of its own, forked by Check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"
#include "../runner.h"
#include "mutant_scenarios.h"

#define PATIENCE 250 /* seconds for all schedules of a scenario */
#define REPLAYS  3

static int count(const struct mutant_case *list)
{
    int cases = 0;

    while (list[cases].mutant)
        cases++;
    return cases;
}

static int cases(void)
{
    return count(mutant_cases) + count(name_mutant_cases);
}

/* Returns a case by its index in both lists together. */
static const struct mutant_case *case_at(int index)
{
    int first = count(mutant_cases);

    return index < first ? &mutant_cases[index] : &name_mutant_cases[index - first];
}

/* Describes the schedules of a case. The caller adds the mutant and the way to explore. */
static struct pair pair_of(const struct mutant_case *tried)
{
    int at = 0;

    while (at < cases() && case_at(at) != tried)
        at++;
    return (struct pair){.scenario = tried->scenario,
                         .durable = tried->durable,
                         .hostile = tried->hostile,
                         .serial = at >= count(mutant_cases)};
}

/*
 * Prints the findings of assertions and of the lock order checker. Runs in a process of its own,
 * because without the invariants a broken core continues past the point of the usual finding.
 */
static void print_what_others_say(const struct mutant_case *tried)
{
    struct pair pair = pair_of(tried);
    struct ext2dax_explorer_result checked;
    int status;
    pid_t child;

    pair.mutant = tried->mutant;
    pair.unchecked = true;
    pair.hostile = false;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        bool nothing = pair_explore(&pair, &checked);

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

/*
 * Checks the unbroken core at all yield points, for a mutant not detected at shared accesses alone.
 * No finding is allowed.
 */
static void find_nothing_unbroken(const struct mutant_case *tried)
{
    struct pair pair = pair_of(tried);
    struct ext2dax_explorer_result result;

    pair.thorough = pair.blind = true;
    if (!pair_explore(&pair, &result))
        ck_abort_msg("%s, with nothing broken, schedule %s: %s", tried->scenario->name, result.id, result.finding);
}

START_TEST(a_broken_protection_is_noticed)
{
    const struct mutant_case *tried = case_at(_i);
    struct pair pair = pair_of(tried);
    struct ext2dax_explorer_result noticed, again;

    pair.mutant = tried->mutant;
    pair.blind = true;
    if (pair_explore(&pair, &noticed))
        ck_abort_msg("%s was not noticed in %s (%llu schedules)", tried->mutant, tried->scenario->name,
                     (unsigned long long)noticed.schedules);
    printf("%-26s %-32s %5llu  %-14s %s", tried->mutant, tried->scenario->name,
           (unsigned long long)(noticed.schedules + noticed.pruned + 1), noticed.id, noticed.finding);
    for (unsigned i = 0; i < REPLAYS; i++) {
        ck_assert(!pair_replay(&pair, noticed.id, noticed.flags, false, &again));
        ck_assert_str_eq(again.finding, noticed.finding);
    }
    if ((noticed.flags & EXT2DAX_EXPLORER_SHARED_ONLY) == 0)
        find_nothing_unbroken(tried);
    print_what_others_say(tried);
}
END_TEST

START_TEST(nothing_is_noticed_where_nothing_is_broken)
{
    const struct mutant_case *tried = case_at(_i), *before;
    const struct pair pair = pair_of(tried);
    struct ext2dax_explorer_result result, again;

    for (int i = 0; i < _i; i++) {
        before = case_at(i);
        if (before->scenario == tried->scenario && before->durable == tried->durable)
            return;
    }
    if (!pair_explore(&pair, &result)) {
        (void)pair_replay(&pair, result.id, result.flags, true, &again);
        ck_abort_msg("%s, with nothing broken, schedule %s: %s", tried->scenario->name, result.id, result.finding);
    }
    ck_assert(result.complete);
}
END_TEST

/* Shows a case for every mutant of the core. */
START_TEST(every_mutant_has_its_case)
{
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        bool found = ext2dax_mutant_kind(i) != EXT2DAX_MUTANT_CORE;

        for (int k = 0; k < cases() && !found; k++)
            found = strcmp(case_at(k)->mutant, ext2dax_mutant_name(i)) == 0;
        if (!found)
            ck_abort_msg("%s (%s) has no case", ext2dax_mutant_name(i), ext2dax_mutant_text(i));
    }
}
END_TEST

static Suite *suite_of(const char *name)
{
    Suite *suite = suite_create(name);
    TCase *tests = add_case(suite, name, PATIENCE);

    if (strcmp(name, "mutants") == 0) {
        tcase_add_loop_test(tests, a_broken_protection_is_noticed, 0, cases());
    } else {
        tcase_add_test(tests, every_mutant_has_its_case);
        tcase_add_loop_test(tests, nothing_is_noticed_where_nothing_is_broken, 0, cases());
    }
    return suite;
}

int main(void)
{
    int sound = count_failures(suite_of("nothing broken")), mutants;

    printf("%-26s %-32s %5s  %-14s %s\n", "mutant", "scenario", "tried", "schedule", "noticed by [also by]");
    mutants = count_failures(suite_of("mutants"));
    printf("%d of %d mutants noticed\n", cases() - mutants, cases());
    return sound == 0 && mutants == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
