/* SPDX-License-Identifier: MIT */
/*
 * Every protection broken by itself, and noticed: in some schedule with one preemption (explorer.h) the image, the
 * mappings or what a call answers is not as it must be, with the core's assertions off and the lock-order checker's word
 * not counted. The same scenarios with nothing broken are all in order.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"
#include "mutant_scenarios.h"

#define PATIENCE 2 /* seconds for a schedule that may hang */

static int cases(void)
{
    int count = 0;

    while (mutant_cases[count].mutant)
        count++;
    return count;
}

START_TEST(nothing_is_noticed_where_nothing_is_broken)
{
    for (int i = 0; i < _i; i++) {
        if (mutant_cases[i].scenario == mutant_cases[_i].scenario)
            return;
    }
    durable = mutant_cases[_i].durable;
    every_schedule(mutant_cases[_i].scenario);
}
END_TEST

/* Two threads in what one lock should have guarded: the breakage itself is what ends a program under these. */
static const char *what_ends_first(void)
{
#if defined(__SANITIZE_THREAD__)
    return "a race detector";
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return "a race detector";
#endif
#endif
    return getenv("EXT2DAX_UNDER_VALGRIND") ? "valgrind" : NULL;
}

static bool left_out(const struct mutant_case *tried)
{
    const char *why = what_ends_first();

    if (why)
        printf("%s: left out under %s, which ends at the first sign of it\n", tried->mutant, why);
    return why != NULL;
}

/* All schedules until one is wrong; how many were not. */
static unsigned try_all(const struct mutant_case *tried)
{
    unsigned at = 0;

    wrong = wrong_order = 0;
    while (one_schedule(tried->scenario, at, tried->mutant) && wrong == 0)
        at++;
    return at;
}

/* In a child, which a deadlock is the end of. */
static void expect_deadlock(const struct mutant_case *tried)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(PATIENCE);
        (void)try_all(tried);
        _exit(wrong == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM)
        ck_abort_msg("%s did not deadlock in %s", tried->mutant, tried->scenario->name);
    printf("%-26s %-30s a deadlock\n", tried->mutant, tried->scenario->name);
}

START_TEST(a_broken_protection_is_noticed)
{
    const struct mutant_case *tried = &mutant_cases[_i];
    unsigned at = 0;

    if (left_out(tried))
        return;
    durable = tried->durable;
    if (tried->hangs) {
        expect_deadlock(tried);
        return;
    }
    wrong = 0;
    /* On a busy machine the second thread may need longer to get where the mistake is. */
    for (blocked_ms = 2; wrong == 0 && blocked_ms < 200; blocked_ms *= 5)
        at = try_all(tried);
    if (wrong == 0)
        ck_abort_msg("%s was not noticed in %s (%u schedules)", tried->mutant, tried->scenario->name, at);
    printf("%-26s %-30s %3u schedules%s: %s\n", tried->mutant, tried->scenario->name, at + 1,
           wrong_order != 0 ? ", order" : "", wrong_what);
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

int main(void)
{
    Suite *suite = suite_create("mutants");
    TCase *sound = tcase_create("sound"), *mutants = tcase_create("broken");
    SRunner *runner;
    int failed;

    tcase_set_timeout(sound, 120);
    tcase_add_loop_test(sound, nothing_is_noticed_where_nothing_is_broken, 0, cases());
    suite_add_tcase(suite, sound);
    tcase_set_timeout(mutants, 120);
    tcase_add_test(mutants, every_mutant_has_its_case);
    tcase_add_loop_test(mutants, a_broken_protection_is_noticed, 0, cases());
    suite_add_tcase(suite, mutants);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
