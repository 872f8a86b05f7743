/* SPDX-License-Identifier: MIT */
/*
 * The part of Check's interface used by these tests, for targets without Check. The same test
 * sources compile against both, unchanged. Names and meanings are Check's, and Check's manual
 * applies. Everything unused by the tests is omitted, so a test using more does not compile,
 * instead of compiling with a different meaning. test_runner.c checks both implementations for the
 * same results where the two might differ.
 *
 * Every case runs in a process group of its own. The group is killed when the case ends.
 * CK_TIMEOUT_MULTIPLIER is honoured. CK_FORK is ignored, because a case is always a process.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *name;
    void (*run)(int _i);
    const char *file;
    int line;
} TTest;
typedef struct TCase TCase;
typedef struct Suite Suite;
typedef struct SRunner SRunner;
enum print_output { CK_NORMAL };

Suite *suite_create(const char *name);
TCase *tcase_create(const char *name);
void suite_add_tcase(Suite *suite, TCase *tcase);
void tcase_set_timeout(TCase *tcase, double seconds);
/*
 * Add fixtures. A checked fixture runs in the process of each case. An unchecked fixture runs once,
 * in the process of the runner. Either function may be NULL.
 */
void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void));
void tcase_add_unchecked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void));
void tcase_add_loop_test(TCase *tcase, const TTest *test, int start, int end);
#define tcase_add_test(tcase, test) tcase_add_loop_test((tcase), (test), 0, 1)

SRunner *srunner_create(Suite *suite);
void srunner_run_all(SRunner *runner, enum print_output how);
int srunner_ntests_failed(SRunner *runner);
void srunner_free(SRunner *runner);

#define START_TEST(test)                                                                                               \
    static void test##_fn(int _i __attribute__((unused)));                                                             \
    static const TTest test##_ttest = {"" #test, test##_fn, __FILE__, __LINE__};                                       \
    static const TTest *test = &test##_ttest;                                                                          \
    static void test##_fn(int _i __attribute__((unused)))
#define END_TEST

/* Ends the case as failed. Callable from any thread or child process of the case. */
_Noreturn void check_failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define ck_abort_msg(...)        check_failed(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(what, ...) ((what) ? (void)0 : check_failed(__FILE__, __LINE__, __VA_ARGS__))
#define ck_assert(what)          ck_assert_msg(what, "%s", "Assertion '" #what "' failed")

#define CHECK_TWO(type, print, as, x, how, y)                                                                          \
    do {                                                                                                               \
        type check_x = (x);                                                                                            \
        type check_y = (y);                                                                                            \
        if (!(check_x how check_y))                                                                                    \
            check_failed(__FILE__, __LINE__, "Assertion '%s' failed: %s == %" print ", %s == %" print,                 \
                         #x " " #how " " #y, #x, (as)check_x, #y, (as)check_y);                                        \
    } while (0)
#define CHECK_INT(x, how, y)     CHECK_TWO(intmax_t, "lld", long long, x, how, y)
#define CHECK_UINT(x, how, y)    CHECK_TWO(uintmax_t, "llu", unsigned long long, x, how, y)
#define CHECK_POINTER(x, how, y) CHECK_TWO(const void *, "p", const void *, x, how, y)
#define CHECK_STRING(x, how, y)                                                                                        \
    do {                                                                                                               \
        const char *check_x = (x);                                                                                     \
        const char *check_y = (y);                                                                                     \
        if (!check_x || !check_y || !(strcmp(check_x, check_y) how 0))                                                 \
            check_failed(__FILE__, __LINE__, "Assertion '%s' failed: %s == \"%s\", %s == \"%s\"", #x " " #how " " #y,  \
                         #x, check_x ? check_x : "(null)", #y, check_y ? check_y : "(null)");                          \
    } while (0)

#define ck_assert_int_eq(x, y)   CHECK_INT(x, ==, y)
#define ck_assert_int_ne(x, y)   CHECK_INT(x, !=, y)
#define ck_assert_int_lt(x, y)   CHECK_INT(x, <, y)
#define ck_assert_int_le(x, y)   CHECK_INT(x, <=, y)
#define ck_assert_int_gt(x, y)   CHECK_INT(x, >, y)
#define ck_assert_int_ge(x, y)   CHECK_INT(x, >=, y)
#define ck_assert_uint_eq(x, y)  CHECK_UINT(x, ==, y)
#define ck_assert_uint_ne(x, y)  CHECK_UINT(x, !=, y)
#define ck_assert_uint_lt(x, y)  CHECK_UINT(x, <, y)
#define ck_assert_uint_le(x, y)  CHECK_UINT(x, <=, y)
#define ck_assert_uint_gt(x, y)  CHECK_UINT(x, >, y)
#define ck_assert_uint_ge(x, y)  CHECK_UINT(x, >=, y)
#define ck_assert_ptr_eq(x, y)   CHECK_POINTER(x, ==, y)
#define ck_assert_ptr_ne(x, y)   CHECK_POINTER(x, !=, y)
#define ck_assert_ptr_null(x)    CHECK_POINTER(x, ==, NULL)
#define ck_assert_ptr_nonnull(x) CHECK_POINTER(x, !=, NULL)
#define ck_assert_str_eq(x, y)   CHECK_STRING(x, ==, y)
#define ck_assert_str_ne(x, y)   CHECK_STRING(x, !=, y)
#define ck_assert_mem_eq(x, y, length)                                                                                 \
    ck_assert_msg(memcmp((x), (y), (length)) == 0, "%s", "Assertion '" #x " == " #y "' failed")

#endif
