/* SPDX-License-Identifier: MIT */
/*
 * The shared main() of test programs written with Check. A program creates a suite, adds a list of
 * tests to the cases of the suite, and returns the result of run_suite(). A program unable to run
 * returns SKIPPED instead, after printing a reason (skip.h). A program with resources to release
 * keeps the result in a variable. Compiles with Check and with the replacement in check_free.
 */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <check.h>
#include <stdlib.h>

#include "skip.h"

/* The limit of a case which keeps Check's own limit of 4 seconds. */
#define USUAL_LIMIT 0

/*
 * Adds an empty case to the suite. Each test of the case fails after `seconds`, except with
 * USUAL_LIMIT.
 */
static inline TCase *add_case(Suite *suite, const char *name, double seconds)
{
    TCase *added = tcase_create(name);

    if (seconds > USUAL_LIMIT)
        tcase_set_timeout(added, seconds);
    suite_add_tcase(suite, added);
    return added;
}

/* Runs every test and frees the suite. Returns the number of failed tests. */
static inline int count_failures(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

/* Runs every test and frees the suite. Returns the exit status of the program. */
static inline int run_suite(Suite *suite)
{
    return count_failures(suite) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
