/* SPDX-License-Identifier: MIT */
/* Tests the handlers of the library beside handlers, stacks and children of the program. */
#include <check.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../runner.h"

static struct mounted m;

static char *nothing_there;
static volatile sig_atomic_t calls, saw_mask;
static sigjmp_buf leave;

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
    raise(SIGSEGV); /* sent by raise(), not by the processor, and passed on all the same */
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

/*
 * Installs a handler over the library's which calls the library's. Then closes and opens the
 * library again, so its handler is on top.
 */
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
    if (calls != 2) /* the handler in between, and the handler below all of the library's */
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

/* ---- handlers installed later, and small stacks ---- */

static struct sigaction ours;

static void first_ours(int number, siginfo_t *info, void *context)
{
    calls++;
    ours.sa_sigaction(number, info, context);
}

/* A later handler with SA_NODEFER and an empty mask calls the library's handler. */
START_TEST(a_later_handler_that_calls_ours)
{
    struct sigaction action = {.sa_sigaction = first_ours, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct ext2dax_inode *file;
    sigset_t before, after;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 4 * PAGE);
    at = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(sigaction(SIGSEGV, &action, &ours), 0);
    sigprocmask(SIG_SETMASK, NULL, &before);
    calls = 0;
    for (unsigned page = 0; page < 4; page++) {
        ck_assert_int_eq(access_byte(at + page * PAGE, false), 0);
        ck_assert_int_eq(access_byte(at + page * PAGE, true), 0);
        ck_assert_uint_eq(byte_of(file, page * PAGE), 1);
    }
    if (!by_userfaultfd())
        ck_assert_int_gt(calls, 0);
    ck_assert_int_eq(access_byte(at + 5 * PAGE, true), SIGBUS);
    ck_assert_ptr_eq(access_signal.si_addr, at + 5 * PAGE);
    ck_assert_int_eq(ext2dax_read(file, 0, at + 3 * PAGE, 2 * PAGE), PAGE);
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        ck_assert_int_eq(sigismember(&before, number), sigismember(&after, number));
    sigaction(SIGSEGV, &ours, NULL);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* Gives the calling thread an alternate stack of `size` bytes, above a page without access. */
static void set_alternate_stack(size_t size)
{
    size_t room = (size + PAGE - 1) / PAGE * PAGE;
    char *at = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = at + PAGE, .ss_size = size};

    ck_assert_ptr_ne(at, MAP_FAILED);
    ck_assert_int_eq(mprotect(at, PAGE, PROT_NONE), 0);
    ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
}

static volatile uintptr_t in_handler_at;

static void note_stack(int number)
{
    volatile char here = (char)number;

    in_handler_at = (uintptr_t)&here;
}

/*
 * Returns the bytes the kernel puts on an alternate stack for a signal now. May be less than the
 * maximum the kernel states.
 */
static size_t size_of_frame(void)
{
    struct sigaction action = {.sa_handler = note_stack, .sa_flags = SA_ONSTACK};
    size_t size = ext2dax_process_alternate_stack();
    stack_t stack;

    set_alternate_stack(size);
    sigaltstack(NULL, &stack);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return size - (size_t)(in_handler_at - (uintptr_t)stack.ss_sp);
}

static void take_sigbus(int number)
{
    (void)number;
    child_exit(3);
}

/* The stack fits the kernel's frame and a refusal of the access, but not its resolution. */
static void access_on_a_small_stack_of(bool cancelled)
{
    char *at;

    mounted_open(&m, NULL);
    at = map_file(&m, make_file(&m, "f", PAGE), 0, PAGE, EXT2DAX_MAP_WRITE);
    signal(SIGBUS, take_sigbus);
    set_alternate_stack(size_of_frame() + (ext2dax_process_alternate_stack() - size_of_frame()) / 2);
    if (cancelled)
        pthread_cancel(pthread_self());
    poke(at, 1);
}

static void access_on_a_small_stack(void)
{
    access_on_a_small_stack_of(false);
}

/* The complaint on stderr is no cancellation point. */
static void access_on_a_small_stack_when_cancelled(void)
{
    access_on_a_small_stack_of(true);
}

static void jump_out(int number)
{
    (void)number;
    siglongjmp(leave, 1);
}

/* The complaint on stderr, a pipe without a reader, does not end the program. */
static void access_on_a_small_stack_unheard(void)
{
    struct sigaction action = {.sa_handler = jump_out};
    int ends[2];
    char *at;

    mounted_open(&m, NULL);
    at = map_file(&m, make_file(&m, "f", PAGE), 0, PAGE, EXT2DAX_MAP_WRITE);
    sigaction(SIGBUS, &action, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        child_exit(8);
    close(ends[0]);
    set_alternate_stack(size_of_frame() + (ext2dax_process_alternate_stack() - size_of_frame()) / 2);
    if (sigsetjmp(leave, 1) == 0)
        poke(at, 1);
    child_exit(9);
}

static void access_on_a_stack_of_that_size(void)
{
    struct ext2dax_inode *file;
    uint64_t third =
        /* first byte mapped through three levels of pointer blocks */
        (12 + 1024 + 1024 * 1024) * (uint64_t)PAGE;
    char *at, *far;

    set_alternate_stack(ext2dax_process_alternate_stack());
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 0);
    ck_assert_int_eq(ext2dax_truncate(file, (uint64_t)5 << 30), 0);
    at = map_file(&m, file, 0, 2000 * (uint64_t)PAGE, EXT2DAX_MAP_WRITE);
    far = map_file(&m, file, third, 16 * (uint64_t)PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned i = 0; i < 3; i++) {
        (void)peek(at + i * PAGE);
        poke(at + i * PAGE, 1);
    }
    poke(at + (12 + 1024 + 5) * (uint64_t)PAGE, 2);
    poke(far + 5 * (uint64_t)PAGE, 3);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    poke(at, 4);
    child_exit(peek(at) == 4 ? 5 : 6);
}

static void open_on_a_small_stack(void)
{
    struct ext2dax_process *process;
    struct ext2dax_memory memory;
    struct ext2dax_process_options options = {.size = sizeof(options), .method = method_in()};

    set_alternate_stack(ext2dax_process_alternate_stack() - 4096);
    if (ext2dax_memory_open_anonymous("small", 1 << 20, &memory) != 0)
        child_exit(7);
    child_exit(-ext2dax_process_open(&memory, ext2dax_locks_default(), &options, &process));
}

START_TEST(an_alternate_stack_has_to_be_large_enough)
{
    ck_assert_int_eq(in_child(open_on_a_small_stack), 1000 + EXT2DAX_EINVAL);
    ck_assert_int_eq(in_child(access_on_a_stack_of_that_size), 1005);
    if (!by_userfaultfd()) {
        ck_assert_int_eq(in_child(access_on_a_small_stack), 1003);
        ck_assert_int_eq(in_child(access_on_a_small_stack_when_cancelled), 1003);
        ck_assert_int_eq(in_child(access_on_a_small_stack_unheard), 1009);
    }
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
    raise(SIGSEGV); /* this signal is ignored */
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

START_TEST(a_child_does_not_inherit_mappings)
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
            signal(SIGSEGV, SIG_DFL); /* removes the library's handler, which the next test keeps */
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

START_TEST(a_childs_own_access_is_never_resolved)
{
    ck_assert_int_eq(in_child(fork_with_our_handler), 1000);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: handlers", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, a_later_handler_that_calls_ours);
    tcase_add_test(tcase, an_alternate_stack_has_to_be_large_enough);
    tcase_add_test(tcase, a_plain_handler_before_ours_is_called_with_its_mask);
    tcase_add_test(tcase, handlers_never_call_each_other_for_ever);
    tcase_add_test(tcase, without_a_handler_before_ours_it_ends_as_ever);
    tcase_add_test(tcase, a_child_does_not_inherit_mappings);
    tcase_add_test(tcase, a_childs_own_access_is_never_resolved);
    return run_suite(suite);
}
