/* SPDX-License-Identifier: MIT */
/*
 * Failures the runner must detect, and conditions the runner must accept. The test is built with
 * Check and with the replacement in check.h. Both must give the same results, because otherwise the
 * ports would be tested by a different standard.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../runner.h"

static int setups, teardowns;
static int here, there;

START_TEST(holds)
{
    ck_assert(here == 0);
    ck_assert_msg(here == 0, "%s", "text");
    ck_assert_int_eq(-1, -1);
    ck_assert_int_ne(-1, 1);
    ck_assert_int_lt(-1, 0);
    ck_assert_int_le(-1, -1);
    ck_assert_int_gt(0, -1);
    ck_assert_int_ge(0, 0);
    ck_assert_uint_eq(UINT64_MAX, UINT64_MAX);
    ck_assert_uint_ne(UINT64_MAX, UINT32_MAX);
    ck_assert_uint_lt(1, UINT64_MAX);
    ck_assert_uint_le(1, 1);
    ck_assert_uint_gt(UINT64_MAX, 1);
    ck_assert_uint_ge(1, 1);
    ck_assert_ptr_eq(&here, &here);
    ck_assert_ptr_ne(&here, &there);
    ck_assert_ptr_null(NULL);
    ck_assert_ptr_nonnull(&here);
    ck_assert_str_eq("text", "text");
    ck_assert_str_ne("text", "texts");
    ck_assert_mem_eq("text1", "text2", 4);
}
END_TEST

#define WRONG 21
START_TEST(wrong)
{
    switch (_i) {
    case 0:
        ck_assert(here != 0);
        break;
    case 1:
        ck_assert_msg(here != 0, "%s", "text");
        break;
    case 2:
        ck_assert_int_eq(-1, 1);
        break;
    case 3:
        ck_assert_int_ne(-1, -1);
        break;
    case 4:
        ck_assert_int_lt(0, -1);
        break;
    case 5:
        ck_assert_int_le(0, -1);
        break;
    case 6:
        ck_assert_int_gt(-1, 0);
        break;
    case 7:
        ck_assert_int_ge(-1, 0);
        break;
    case 8:
        ck_assert_uint_eq(UINT64_MAX, UINT32_MAX);
        break;
    case 9:
        ck_assert_uint_ne(1, 1);
        break;
    case 10:
        ck_assert_uint_lt(UINT64_MAX, 1);
        break;
    case 11:
        ck_assert_uint_le(UINT64_MAX, 1);
        break;
    case 12:
        ck_assert_uint_gt(1, UINT64_MAX);
        break;
    case 13:
        ck_assert_uint_ge(1, UINT64_MAX);
        break;
    case 14:
        ck_assert_ptr_eq(&here, &there);
        break;
    case 15:
        ck_assert_ptr_ne(&here, &here);
        break;
    case 16:
        ck_assert_ptr_null(&here);
        break;
    case 17:
        ck_assert_ptr_nonnull(NULL);
        break;
    case 18:
        ck_assert_str_eq("text", "texts");
        break;
    case 19:
        ck_assert_str_ne("text", "text");
        break;
    case 20:
        ck_assert_mem_eq("text1", "text2", 5);
        break;
    default:
        break;
    }
}
END_TEST

static void *fail_there(void *arg)
{
    ck_abort_msg("in a thread: %s", (const char *)arg);
    return NULL;
}

#define ENDINGS 6
START_TEST(ends_badly)
{
    static char text[] = "text";
    pthread_t thread;

    switch (_i) {
    case 0:
        ck_abort_msg("%s", "text");
        break;
    case 1:
        raise(SIGKILL);
        break;
    case 2:
        abort();
    case 3:
        exit(3);
    case 4:
        for (;;)
            pause();
    default:
        pthread_create(&thread, NULL, fail_there, text);
        pthread_join(thread, NULL);
        break;
    }
}
END_TEST

static void setup(void)
{
    setups++;
}

static void teardown(void)
{
    teardowns++;
}

static void fail_in_fixture(void)
{
    ck_abort_msg("%s", "in a fixture");
}

/*
 * Shows the fixtures of a case. The unchecked setup ran once in the runner, the checked setup ran
 * once in this process, and no teardown has run yet.
 */
START_TEST(fixtures)
{
    ck_assert_int_eq(setups, 2);
    ck_assert_int_eq(teardowns, 0);
}
END_TEST

START_TEST(nothing)
{
}
END_TEST

/* Returns the exit status of a program with a single test. */
static int status_of(bool fails)
{
    Suite *suite = suite_create("status");
    TCase *tests = add_case(suite, "status", USUAL_LIMIT);

    if (fails)
        tcase_add_loop_test(tests, wrong, 0, 1);
    else
        tcase_add_test(tests, nothing);
    return run_suite(suite);
}

int main(void)
{
    Suite *suite = suite_create("runner");
    TCase *good = add_case(suite, "good", USUAL_LIMIT);
    TCase *bad = add_case(suite, "bad", 0.5);
    TCase *broken_setup = add_case(suite, "broken setup", USUAL_LIMIT);
    TCase *broken_teardown = add_case(suite, "broken teardown", USUAL_LIMIT);
    int failed, expected = WRONG + ENDINGS + 2;

    tcase_add_unchecked_fixture(good, setup, teardown);
    tcase_add_checked_fixture(good, setup, teardown);
    tcase_add_test(good, holds);
    tcase_add_loop_test(good, fixtures, 0, 2);
    tcase_add_loop_test(bad, wrong, 0, WRONG);
    tcase_add_loop_test(bad, ends_badly, 0, ENDINGS);
    tcase_add_checked_fixture(broken_setup, fail_in_fixture, NULL);
    tcase_add_test(broken_setup, nothing);
    tcase_add_checked_fixture(broken_teardown, NULL, fail_in_fixture);
    tcase_add_test(broken_teardown, nothing);
    failed = count_failures(suite);
    if (failed != expected || setups != 1 || teardowns != 1) {
        printf("%d failed where %d should; %d setups and %d teardowns, not 1\n", failed, expected, setups, teardowns);
        return EXIT_FAILURE;
    }
    if (status_of(false) != EXIT_SUCCESS || status_of(true) != EXIT_FAILURE) {
        printf("the exit status does not show a failed test\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
