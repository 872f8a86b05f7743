/* SPDX-License-Identifier: MIT */
/* True SIGBUS past the end, and what the handler does with faults that are not its own. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"

#include "mounted.h"
#include "way.h"
#include "../emulated.h"

static struct mounted m;

/* ---- past the end ---- */

START_TEST(past_the_end_is_a_sigbus_at_that_address)
{
    struct ext2dax_inode *file;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 10000);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    for (int store = 0; store < 2; store++) {
        ck_assert_int_eq(touch(at + 2 * PAGE + 4000, store), 0); /* behind the end, in its last page */
        ck_assert_int_eq(touch(at + 3 * PAGE + 123, store), SIGBUS);
        ck_assert_ptr_eq(touched.si_addr, at + 3 * PAGE + 123);
        ck_assert_int_eq(touched.si_code, BUS_ADRERR);
        ck_assert_int_eq(touch(at + 15 * PAGE, store), SIGBUS);
    }
    ck_assert_uint_eq(count(&m).sigbus, by_userfaultfd() ? 0 : 4); /* there, the kernel's own */
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(a_file_that_grows_is_read_where_it_was_not)
{
    struct ext2dax_inode *file;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 1);
    at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned page = 1; page < 64; page += 3) {
        char byte = (char)page;

        for (unsigned i = page; i < page + 3 && i < 64; i++)
            ck_assert_int_eq(touch(at + i * PAGE + 5, (int)i & 1), SIGBUS);
        ck_assert_int_eq(ext2dax_write(file, page * PAGE + 5, &byte, 1), 1);
        ck_assert_int_eq(touch(at + page * PAGE + 5, false), 0);
        ck_assert_int_eq(at[page * PAGE + 5], byte);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 3) * PAGE), 0);
        ck_assert_int_eq(touch(at + (page + 2) * PAGE - 1, true), 0);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 1) * PAGE), 0);
        ck_assert_int_eq(touch(at + (page + 2) * PAGE - 1, false), SIGBUS);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 3) * PAGE), 0);
        ck_assert_int_eq(touch(at + (page + 2) * PAGE - 1, false), 0);
        ck_assert_int_eq(at[(page + 2) * PAGE - 1], 0);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* A bad pointer is named to whoever gets the SIGBUS, and to nobody who comes to a later one, or whose call it interrupts. */
START_TEST(a_refused_touch_says_why)
{
    static const unsigned char metadata[4] = {2};
    unsigned char good[4];
    struct ext2dax_report report;
    struct ext2dax_inode *file;
    char *at, byte = 1;
    uint64_t mark, before;
    void *slot;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 10 * PAGE);
    slot = &file->disk->block[3];
    for (unsigned page = 0; page < 10; page++)
        ck_assert_int_eq(ext2dax_write(file, page * PAGE, &byte, 1), 1);
    /* Read-only, so that the error bit stays as it is. */
    ck_assert_int_eq(ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    memcpy(good, slot, sizeof(good));
    memcpy(slot, metadata, sizeof(metadata));
    at = map_file(&m, file, 0, 20 * PAGE, 0);

    ck_assert_int_eq(touch(at, false), 0);
    mark = ext2dax_host_mark();
    for (int again = 0; again < 2; again++) {
        before = ext2dax_host_mark();
        ck_assert_int_eq(touch(at + 3 * PAGE + 9, false), SIGBUS);
        ck_assert(ext2dax_host_fault_report(before, &report));
        ck_assert_int_eq(report.error, -EXT2DAX_EUCLEAN);
        ck_assert_str_eq(report.structure, "inode");
        ck_assert_uint_eq(report.number, file->number);
        ck_assert_str_eq(report.field, "block pointer");
        ck_assert_uint_eq(report.value, 2);
        before = ext2dax_host_mark();
        ck_assert_int_eq(touch(at + 12 * PAGE, false), SIGBUS);
        ck_assert(!ext2dax_host_fault_report(before, &report));
    }
    ck_assert(!ext2dax_host_report(mark, 0, &report));
    /* A call that meets the same pointer has its report where calls have theirs. */
    ck_assert_int_eq(ext2dax_read(file, 3 * PAGE, &byte, 1), -EXT2DAX_EUCLEAN);
    ck_assert(ext2dax_host_report(mark, -EXT2DAX_EUCLEAN, &report) && report.value == 2);
    ck_assert(!ext2dax_host_fault_report(before, &report));

    memcpy(slot, good, sizeof(good));
    ck_assert_int_eq(touch(at + 3 * PAGE, false), 0);
    unmap_file(&m, at);
    ck_assert_int_eq(ext2dax_remount(m.mount, 0), 0);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static atomic_bool stop;
static atomic_uint buses, reads;

static void *keep_touching(void *at)
{
    while (!atomic_load(&stop)) {
        if (touch(at, false) == SIGBUS)
            atomic_fetch_add(&buses, 1);
        else
            atomic_fetch_add(&reads, 1);
    }
    return NULL;
}

START_TEST(growth_beside_a_sigbus_leaves_nothing_behind)
{
    struct ext2dax_inode *file;
    pthread_t threads[2];
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_touching, at + 5 * PAGE), 0);
    for (unsigned round = 0; round < (getenv("EXT2DAX_UNDER_VALGRIND") ? 100 : 2000) || atomic_load(&buses) < 20 ||
                             atomic_load(&reads) < 20;
         round++) {
        char byte = (char)(round | 1);

        if (round & 1) {
            ck_assert_int_eq(ext2dax_truncate(file, 6 * PAGE), 0);
            byte = 0;
        } else {
            ck_assert_int_eq(ext2dax_write(file, 5 * PAGE, &byte, 1), 1);
        }
        ck_assert_int_eq(touch(at + 5 * PAGE, false), 0);
        ck_assert_int_eq(at[5 * PAGE], byte);
        ck_assert_int_eq(ext2dax_truncate(file, PAGE), 0);
        ck_assert_int_eq(touch(at + 5 * PAGE, false), SIGBUS);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static char *open_past_end(void)
{
    mounted_open(&m, NULL);
    return map_file(&m, make_file(&m, "f", 0), 0, PAGE, EXT2DAX_MAP_WRITE);
}

static void die_of_sigbus(void)
{
    poke(open_past_end(), 1);
}

static void die_with_sigbus_ignored(void)
{
    signal(SIGBUS, SIG_IGN);
    (void)peek(open_past_end());
}

static void die_with_sigbus_blocked(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGBUS);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)peek(open_past_end());
}

START_TEST(sigbus_kills_who_does_not_catch_it)
{
    ck_assert_int_eq(in_child(die_of_sigbus), SIGBUS);
    ck_assert_int_eq(in_child(die_with_sigbus_ignored), SIGBUS);
    ck_assert_int_eq(in_child(die_with_sigbus_blocked), SIGBUS);
}
END_TEST

/* ---- faults that are not ours ---- */

START_TEST(a_store_to_a_read_only_window_is_the_programs_own)
{
    struct ext2dax_inode *file;
    char *at, *private;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 3 * PAGE);
    at = map_file(&m, file, 0, 3 * PAGE, 0);
    private = map_file(&m, file, 0, 3 * PAGE, EXT2DAX_MAP_PRIVATE);
    ck_assert_int_eq(touch(at + 1, true), SIGSEGV);
    ck_assert_ptr_eq(touched.si_addr, at + 1);
    ck_assert_int_eq(touch(at + 1, false), 0);
    ck_assert_int_eq(touch(at + 1, true), SIGSEGV);
    ck_assert_int_eq(touch(private + PAGE, true), SIGSEGV);
    ck_assert_int_eq(touch(private + PAGE, false), 0);
    ck_assert_int_eq(touch(private + 3 * PAGE, false), SIGSEGV); /* the guard behind it */
    unmap_file(&m, at);
    ck_assert_int_eq(touch(at, false), SIGSEGV);
    unmap_file(&m, private);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static char *nothing_there;
static volatile sig_atomic_t calls, saw_mask;

static void open_nothing(void)
{
    nothing_there = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)VALGRIND_MAKE_MEM_DEFINED(nothing_there, PAGE);
}

static void plain_handler(int number)
{
    sigset_t mask;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    saw_mask = sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGUSR2) == 1 &&
               sigismember(&mask, SIGSEGV) == 1 && sigismember(&mask, SIGTERM) == 0 && number == SIGSEGV;
    calls++;
    mprotect(nothing_there, PAGE, PROT_READ | PROT_WRITE);
}

START_TEST(a_plain_handler_before_ours_is_called_with_its_mask)
{
    struct sigaction action, now;
    sigset_t mask, old;

    memset(&action, 0, sizeof(action));
    action.sa_handler = plain_handler;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR1);
    sigaction(SIGSEGV, &action, NULL);
    open_nothing();
    mounted_open(&m, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    calls = saw_mask = 0;
    poke(nothing_there, 5);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(saw_mask, 1);
    ck_assert_int_eq(peek(nothing_there), 5);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGUSR1), 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    raise(SIGSEGV); /* sent, not the processor's: passed on all the same */
    ck_assert_int_eq(calls, 2);
    mounted_close(&m);
    sigaction(SIGSEGV, NULL, &now);
    ck_assert(now.sa_handler == plain_handler);
    munmap(nothing_there, PAGE);
    signal(SIGSEGV, SIG_DFL);
}
END_TEST

static struct sigaction below;

static void chaining_handler(int number, siginfo_t *info, void *context)
{
    if (++calls > 50)
        child_exit(9);
    below.sa_sigaction(number, info, context);
}

/* A handler over ours that calls it; ours closed below it, and opened again on top. */
static void open_again_on_top(void)
{
    struct sigaction action;
    struct ext2dax_inode *file;
    char *at;

    memset(&action, 0, sizeof(action));
    action.sa_handler = plain_handler;
    sigaction(SIGSEGV, &action, NULL);
    mounted_open(&m, NULL);
    action.sa_sigaction = chaining_handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &below);
    for (unsigned round = 0; round < 10; round++) {
        mounted_close(&m);
        mounted_open(&m, NULL);
    }
    open_nothing();
    calls = 0;
    poke(nothing_there, 5);
    if (calls != 2) /* the one in between, and the one below all of ours */
        child_exit(8);
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, PAGE, EXT2DAX_MAP_WRITE);
    poke(at, 3);
    child_exit(peek(at) == 3 && calls == 2 ? 0 : 7);
}

START_TEST(handlers_never_call_each_other_for_ever)
{
    ck_assert_int_eq(in_child(open_again_on_top), 1000);
}
END_TEST

static void die_by_default(void)
{
    open_nothing();
    mounted_open(&m, NULL);
    poke(nothing_there, 1);
}

static void die_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    open_nothing();
    mounted_open(&m, NULL);
    raise(SIGSEGV); /* this one is ignored */
    (void)!write(STDOUT_FILENO, "", 0);
    poke(nothing_there, 1);
    child_exit(7);
}

static void survive_sent(void)
{
    signal(SIGSEGV, SIG_IGN);
    mounted_open(&m, NULL);
    raise(SIGSEGV);
    child_exit(7);
}

static void die_sent(void)
{
    mounted_open(&m, NULL);
    raise(SIGSEGV);
    child_exit(7);
}

static void once_handler(int number)
{
    (void)number;
    if (calls++)
        child_exit(7);
}

static void die_the_second_time(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = once_handler;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGSEGV, &action, NULL);
    calls = 0;
    open_nothing();
    mounted_open(&m, NULL);
    poke(nothing_there, 1);
}

START_TEST(without_a_handler_before_ours_it_ends_as_ever)
{
    ck_assert_int_eq(in_child(die_by_default), SIGSEGV);
    ck_assert_int_eq(in_child(die_ignored), SIGSEGV);
    ck_assert_int_eq(in_child(survive_sent), 1007);
    ck_assert_int_eq(in_child(die_sent), SIGSEGV);
    ck_assert_int_eq(in_child(die_the_second_time), SIGSEGV);
}
END_TEST

static void die_on_resolved_page(char *at)
{
    (void)peek(at);
}

static void die_on_armed_page(char *at)
{
    (void)peek(at + 9 * PAGE);
}

static void die_on_store(char *at)
{
    poke(at + 9 * PAGE, 1);
}

START_TEST(a_child_does_not_inherit_windows)
{
    void (*const ways[])(char *) = {die_on_resolved_page, die_on_armed_page, die_on_store};
    struct ext2dax_inode *file;
    char *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 16 * PAGE);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    poke(at, 1);
    (void)peek(at + PAGE); /* a zero page */
    for (unsigned i = 0; i < 3; i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            signal(SIGSEGV, SIG_DFL); /* Check's own, not ours: see the next test */
            alarm(60);
            ways[i](at);
            _exit(7);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    poke(at + 2, 2);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static void fork_with_our_handler(void)
{
    struct ext2dax_inode *file;
    char *at;
    pid_t child;
    int status;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 16 * PAGE);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    child = fork();
    if (child == 0) {
        poke(at + 3 * PAGE, 1);
        _exit(7);
    }
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
        child_exit(8);
    if (peek(at + 3 * PAGE) != 0)
        child_exit(9);
    child_exit(0);
}

START_TEST(a_childs_own_touch_is_never_resolved)
{
    ck_assert_int_eq(in_child(fork_with_our_handler), 1000);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;
    SRunner *runner;
    int failed;

    if (left_out_way())
        return 77;
    if (left_out_emulated("page faults of this process, which it resolves in its own way"))
        return 77;
    suite = suite_create("address space: signals");
    tcase = tcase_create("process");
    runner = srunner_create(suite);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, past_the_end_is_a_sigbus_at_that_address);
    tcase_add_test(tcase, a_file_that_grows_is_read_where_it_was_not);
    tcase_add_test(tcase, a_refused_touch_says_why);
    tcase_add_test(tcase, growth_beside_a_sigbus_leaves_nothing_behind);
    tcase_add_test(tcase, sigbus_kills_who_does_not_catch_it);
    tcase_add_test(tcase, a_store_to_a_read_only_window_is_the_programs_own);
    tcase_add_test(tcase, a_plain_handler_before_ours_is_called_with_its_mask);
    tcase_add_test(tcase, handlers_never_call_each_other_for_ever);
    tcase_add_test(tcase, without_a_handler_before_ours_it_ends_as_ever);
    tcase_add_test(tcase, a_child_does_not_inherit_windows);
    tcase_add_test(tcase, a_childs_own_touch_is_never_resolved);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
