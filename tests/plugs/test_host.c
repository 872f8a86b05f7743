/* SPDX-License-Identifier: MIT */
/*
 * The host plug's contract, for both hosted hosts. Memory is aligned for any type, and allocated
 * only from the reserve in a handler. A log writes a line per report. A panic does not return.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ext2dax/hosted/host.h>

#include "../runner.h"

/*
 * Memcheck reports every access to a protected page as an error, even if a handler resolves the
 * fault.
 */
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#if !defined(VALGRIND_DISABLE_ERROR_REPORTING)
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING  ((void)0)
#endif

#define RESERVE ((size_t)64 << 10)

static struct ext2dax_host host;

/* Opens the host. Loop 0 uses the default host, loop 1 a host with a reserve of the same size. */
static void set_up(int way)
{
    if (way == 0) {
        host = ext2dax_host_default();
    } else {
        struct ext2dax_host_options options = {.size = sizeof(options), .reserve = RESERVE};

        ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    }
    ck_assert_uint_eq(host.ops->size, sizeof(struct ext2dax_host_ops));
}

static void tear_down(void)
{
    ext2dax_host_close(&host);
    ck_assert_ptr_null(host.ops);
}

static void *alloc(size_t bytes)
{
    return host.ops->alloc(host.ctx, bytes);
}
static void release(void *at, size_t bytes)
{
    host.ops->release(host.ctx, at, bytes);
}

START_TEST(alignment)
{
    set_up(_i);
    for (int in_handler = 0; in_handler < 2; in_handler++) {
        if (in_handler)
            ext2dax_host_in_handler(true);
        for (size_t bytes = 0; bytes < 600; bytes += 7) {
            void *at = alloc(bytes);

            ck_assert_ptr_nonnull(at);
            ck_assert_uint_eq((uintptr_t)at % _Alignof(max_align_t), 0);
            memset(at, 0xA5, bytes);
            release(at, bytes);
        }
        if (in_handler)
            ext2dax_host_in_handler(false);
    }
    release(NULL, 0);
    tear_down();
}
END_TEST

static struct {
    void *at[4096];
    size_t count, size;
    int error;
} taken;

/*
 * Allocates until the reserve is empty. If the host used malloc, the loop would reach 4096
 * allocations.
 */
static void take_until_empty(size_t size)
{
    taken.count = 0;
    taken.size = size;
    ext2dax_host_in_handler(true);
    while (taken.count < 4096 && (taken.at[taken.count] = alloc(size)) != NULL) {
        memset(taken.at[taken.count], (int)(taken.count & 0xFF), size);
        taken.count++;
    }
    ext2dax_host_in_handler(false);
}

static void check_and_give_back(void)
{
    for (size_t i = 0; i < taken.count; i++) {
        const unsigned char *bytes = taken.at[i];

        for (size_t b = 0; b < taken.size; b++) {
            if (bytes[b] != (i & 0xFF))
                ck_abort_msg("allocation %zu of %zu bytes overlaps another", i, taken.size);
        }
        release(taken.at[i], taken.size);
    }
}

/*
 * Shows a reserve of the promised size, bounded and reusable, also with sizes not dividing the size
 * of a bitmap word.
 */
START_TEST(reserve_is_bounded)
{
    static const size_t sizes[] = {1, 256, 257, 300, 1000, 5000, 12 << 10, 20 << 10, 64 << 10};

    set_up(_i);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t rounded = (sizes[i] + 255) & ~(size_t)255;

        for (int again = 0; again < 2; again++) {
            take_until_empty(sizes[i]);
            ck_assert_uint_eq(taken.count, RESERVE / rounded);
            check_and_give_back();
        }
    }
    take_until_empty(RESERVE + 1);
    ck_assert_uint_eq(taken.count, 0);
    take_until_empty(SIZE_MAX);
    ck_assert_uint_eq(taken.count, 0);
    tear_down();
}
END_TEST

/* Shows a run found between allocations still in use, and only where the run fits. */
START_TEST(reserve_with_gaps)
{
    void *kept[64], *run;

    set_up(_i);
    take_until_empty(256);
    ck_assert_uint_eq(taken.count, 256);
    for (size_t i = 0; i < 64; i++)
        kept[i] = taken.at[4 * i];
    for (size_t i = 0; i < 256; i++) {
        if (i % 4 != 0)
            release(taken.at[i], 256);
    }
    ext2dax_host_in_handler(true);
    ck_assert_ptr_null(alloc(4 * 256));
    run = alloc(3 * 256);
    ck_assert_ptr_nonnull(run);
    release(kept[20], 256);
    kept[20] = alloc(7 * 256);
    ck_assert_ptr_nonnull(kept[20]);
    release(kept[20], 7 * 256);
    release(run, 3 * 256);
    ext2dax_host_in_handler(false);
    for (size_t i = 0; i < 64; i++) {
        if (i != 20)
            release(kept[i], 256);
    }
    take_until_empty(RESERVE);
    ck_assert_uint_eq(taken.count, 1);
    check_and_give_back();
    tear_down();
}
END_TEST

/* Shows memory allocated outside a handler and released inside, and the reverse. */
START_TEST(released_elsewhere)
{
    void *outside[200];

    set_up(_i);
    for (size_t i = 0; i < 200; i++)
        outside[i] = alloc(i);
    ext2dax_host_in_handler(true);
    for (size_t i = 0; i < 200; i++)
        release(outside[i], i);
    ext2dax_host_in_handler(true);
    ext2dax_host_in_handler(false);
    take_until_empty(256);
    /* memory from malloc did not enter the reserve */
    ck_assert_uint_eq(taken.count, RESERVE / 256);
    ext2dax_host_in_handler(false);
    check_and_give_back();
    outside[0] = alloc(10); /* frees the deferred releases, checked by a leak checker */
    release(outside[0], 10);
    tear_down();
}
END_TEST

static char *trap;
static size_t page;

/* Compiler barrier after a handler, so that variables changed by the handler are read again. */
static void handler_ran(void)
{
    __asm__ volatile("" ::: "memory");
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if ((char *)info->si_addr < trap || (char *)info->si_addr >= trap + page)
        _exit(99);
    take_until_empty(1000);
    if (mprotect(trap, page, PROT_READ | PROT_WRITE) != 0)
        _exit(98);
}

static void on_signal(int number)
{
    (void)number;
    take_until_empty(1000);
}

START_TEST(in_real_handlers)
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old_fault;
    struct sigaction signal_ = {.sa_handler = on_signal}, old_signal;
    void *ordinary;

    set_up(_i);
    sigfillset(&fault.sa_mask);
    sigfillset(&signal_.sa_mask);
    page = (size_t)sysconf(_SC_PAGESIZE);
    trap = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(trap, MAP_FAILED);
    ck_assert_int_eq(sigaction(SIGSEGV, &fault, &old_fault), 0);
    ck_assert_int_eq(sigaction(SIGUSR1, &signal_, &old_signal), 0);

    taken.count = 0;
    VALGRIND_DISABLE_ERROR_REPORTING;
    *(volatile char *)trap = 1;
    VALGRIND_ENABLE_ERROR_REPORTING;
    handler_ran();
    ck_assert_uint_eq(taken.count, RESERVE / 1024);
    ordinary = alloc(1000); /* outside a handler, where the reserve is empty but malloc is not */
    ck_assert_ptr_nonnull(ordinary);
    release(ordinary, 1000);
    check_and_give_back();

    taken.count = 0;
    ck_assert_int_eq(raise(SIGUSR1), 0);
    handler_ran();
    ck_assert_uint_eq(taken.count, RESERVE / 1024);
    check_and_give_back();

    sigaction(SIGSEGV, &old_fault, NULL);
    sigaction(SIGUSR1, &old_signal, NULL);
    munmap(trap, page);
    tear_down();
}
END_TEST

/* Runs several handlers at once. No two may hold the same bytes. */
static void *handlers_at_once(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    unsigned *mine[4] = {NULL};
    size_t size[4] = {0};

    ext2dax_host_in_handler(true);
    for (int i = 0; i < 4000; i++) {
        size_t slot;

        seed = seed * 1103515245u + 12345u;
        slot = seed >> 16 & 3;
        if (mine[slot]) {
            for (size_t w = 0; w < size[slot] / sizeof(unsigned); w++) {
                if (mine[slot][w] != *(unsigned *)arg)
                    abort();
            }
            release(mine[slot], size[slot]);
            mine[slot] = NULL;
        } else {
            size[slot] = (size_t)(seed >> 18 & 0xFFF) + sizeof(unsigned);
            mine[slot] = alloc(size[slot]);
            for (size_t w = 0; mine[slot] && w < size[slot] / sizeof(unsigned); w++)
                mine[slot][w] = *(unsigned *)arg;
        }
    }
    for (size_t slot = 0; slot < 4; slot++)
        release(mine[slot], size[slot]);
    ext2dax_host_in_handler(false);
    return NULL;
}

START_TEST(reserve_shared_by_threads)
{
    enum { THREADS = 6 };
    pthread_t thread[THREADS];
    unsigned seed[THREADS];

    set_up(_i);
    for (unsigned i = 0; i < THREADS; i++) {
        seed[i] = i * 101 + 3;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, handlers_at_once, &seed[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    take_until_empty(RESERVE); /* the whole reserve is free again */
    ck_assert_uint_eq(taken.count, 1);
    check_and_give_back();
    tear_down();
}
END_TEST

static const struct ext2dax_report sample = {
    .level = EXT2DAX_LEVEL_WARNING,
    .error = -EXT2DAX_EUCLEAN,
    .structure = "inode",
    .number = 12,
    .field = "block pointer",
    .value = 4096,
    .reason = "is metadata",
};

static struct {
    const struct ext2dax_report *report;
    void *arg;
    int calls;
} logged;

static void take_report(void *arg, const struct ext2dax_report *report)
{
    logged.report = report;
    logged.arg = arg;
    logged.calls++;
}

START_TEST(log_hook)
{
    int mark;
    struct ext2dax_host_options options = {.size = sizeof(options), .log = take_report, .log_arg = &mark};
    struct ext2dax_report info = sample;

    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    logged.calls = 0;
    host.ops->log(host.ctx, &sample);
    ck_assert_int_eq(logged.calls, 1);
    ck_assert_ptr_eq(logged.report, &sample);
    ck_assert_ptr_eq(logged.arg, &mark);
    info.level = EXT2DAX_LEVEL_INFO;
    host.ops->log(host.ctx, &info);
    ck_assert_int_eq(logged.calls, 2);
    tear_down();
    /* Options of a caller compiled with only the size. All others have defaults. */
    options.size = offsetof(struct ext2dax_host_options, log);
    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    logged.calls = 0;
    info.level = EXT2DAX_LEVEL_INFO;
    host.ops->log(host.ctx, &info);
    ck_assert_int_eq(logged.calls, 0);
    tear_down();
    ck_assert_int_eq(ext2dax_host_open(NULL, &host), 0);
    tear_down();
    options = (struct ext2dax_host_options){.size = sizeof(options), .reserve = SIZE_MAX};
    ck_assert_int_eq(ext2dax_host_open(&options, &host), -EXT2DAX_ENOMEM);
    ck_assert_ptr_null(host.ops);
}
END_TEST

/* Runs `body` in a child and collects its output to stderr. */
static int stderr_of_child(void (*body)(void), char *text, size_t size)
{
    size_t length = 0;
    int ends[2], status;
    ssize_t got;
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    while (length < size - 1 && (got = read(ends[0], text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void log_all_levels(void)
{
    static char endless[2000];
    struct ext2dax_report report = sample;

    errno = EXDEV;
    report.level = EXT2DAX_LEVEL_INFO;
    host.ops->log(host.ctx, &report);
    host.ops->log(host.ctx, &sample);
    report.level = EXT2DAX_LEVEL_ERROR;
    memset(endless, 'x', sizeof(endless) - 1);
    report.reason = endless;
    host.ops->log(host.ctx, &report);
    if (errno != EXDEV)
        _exit(3);
}

START_TEST(log_to_stderr)
{
    char text[4096], expected[256], *second;
    int status;

    set_up(_i);
    ext2dax_report_text(&sample, expected, sizeof(expected));
    status = stderr_of_child(log_all_levels, text, sizeof(text));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    second = strchr(text, '\n');
    ck_assert_ptr_nonnull(second);
    *second++ = '\0';
    ck_assert_int_eq(strncmp(text, "ext2dax: warning: ", 18), 0);
    ck_assert_str_eq(text + 18, expected);
    ck_assert_int_eq(strncmp(second, "ext2dax: error: ", 16), 0);
    /* truncated, but still a single line */
    ck_assert_ptr_eq(strchr(second, '\n'), second + strlen(second) - 1);
    ck_assert_uint_eq(strlen(second), 512);
    tear_down();
}
END_TEST

static int reported;

static void report_and_go_on(void *arg, const struct ext2dax_report *report)
{
    (void)arg;
    (void)report;
    pthread_testcancel();
}

/*
 * Reports in a thread already cancelled. The thread terminates at its own pthread_testcancel(), not
 * inside the report, where locks may be held.
 */
static void *report_when_cancelled(void *arg)
{
    (void)arg;
    pthread_cancel(pthread_self());
    host.ops->log(host.ctx, &sample);
    __atomic_store_n(&reported, 1, __ATOMIC_RELAXED);
    pthread_testcancel();
    return NULL;
}

START_TEST(a_report_is_no_cancellation_point)
{
    struct ext2dax_host_options options = {.size = sizeof(options), .log = report_and_go_on};
    pthread_t thread;
    void *result;

    if (_i == 0)
        set_up(0);
    else
        ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    reported = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, report_when_cancelled, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq(__atomic_load_n(&reported, __ATOMIC_RELAXED), 1);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    tear_down();
}
END_TEST

static bool is_pending(int number)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, number) == 1;
}

/*
 * Logs to a stderr unable to accept more, a file at its limit and a pipe without a reader. Logs
 * inside and outside a handler.
 */
static void log_in_vain(void)
{
    const struct rlimit limit = {4, 4};
    sigset_t all, before;
    int ends[2];

    if (pipe(ends) != 0 || dup2(memfd_create("log", 0), STDERR_FILENO) < 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(3);
    close(ends[0]);
    sigfillset(&all);
    for (int i = 0; i < 2; i++) {
        host.ops->log(host.ctx, &sample); /* four bytes are written */
        host.ops->log(host.ctx, &sample);
        sigprocmask(SIG_SETMASK, &all, &before);
        host.ops->log(host.ctx, &sample);
        if (is_pending(SIGXFSZ) || is_pending(SIGPIPE))
            _exit(4);
        raise(i ? SIGPIPE : SIGXFSZ);
        host.ops->log(host.ctx, &sample);
        if (!is_pending(i ? SIGPIPE : SIGXFSZ))
            _exit(5);
        signal(SIGPIPE, SIG_IGN); /* discards the pending signal */
        signal(SIGXFSZ, SIG_IGN);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        dup2(ends[1], STDERR_FILENO);
    }
}

START_TEST(a_log_that_takes_no_more_ends_nothing)
{
    char text[64];
    int status;

    set_up(_i);
    status = stderr_of_child(log_in_vain, text, sizeof(text));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    tear_down();
}
END_TEST

static void panic_now(void)
{
    host.ops->panic(host.ctx, "lib/core/some.c", 1234, "what should hold");
}

START_TEST(panic_aborts)
{
    char text[4096];
    int status;

    set_up(_i);
    status = stderr_of_child(panic_now, text, sizeof(text));
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(text, "lib/core/some.c:1234: "));
    ck_assert_ptr_nonnull(strstr(text, "what should hold\n"));
    tear_down();
}
END_TEST

START_TEST(figures)
{
    time_t before = time(NULL);
    struct ext2dax_time present;
    int64_t now;

    set_up(_i);
    now = host.ops->now(host.ctx);
    ck_assert_int_ge(now, before);
    ck_assert_int_le(now, time(NULL));
    host.ops->time(host.ctx, &present);
    ck_assert_int_ge(present.seconds, now);
    ck_assert_int_le(present.seconds, time(NULL));
    ck_assert_uint_lt(present.nanoseconds, 1000000000);
    ck_assert_int_eq(host.ops->may_use_reserved(host.ctx), geteuid() == 0);
    ck_assert_int_eq(host.ops->may_use_reserved(host.ctx), geteuid() == 0);
    tear_down();
}
END_TEST

static bool ask(void *arg)
{
    return *(bool *)arg;
}

/* The question whether to cancel reaches the program, with handlers and without. */
START_TEST(recovery_can_be_cancelled)
{
    bool cancelled = false;
    struct ext2dax_host_options options = {
        .size = sizeof(options), .interrupted = ask, .log_arg = &cancelled, .no_handlers = _i == 1};

    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    ck_assert_ptr_nonnull(host.ops->interrupted);
    ck_assert(!host.ops->interrupted(host.ctx));
    cancelled = true;
    ck_assert(host.ops->interrupted(host.ctx));
    ext2dax_host_close(&host);
}
END_TEST

/* A clock given to the host stands still, and another host has the present. */
START_TEST(clock_stands_still)
{
    static const struct ext2dax_time epoch = {.seconds = -5, .nanoseconds = 7};
    struct ext2dax_host_options options = {.size = sizeof(options), .clock = &epoch, .no_handlers = _i == 1};
    struct ext2dax_time now;

    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    host.ops->time(host.ctx, &now);
    ck_assert(now.seconds == -5 && now.nanoseconds == 7);
    ck_assert_int_eq(host.ops->now(host.ctx), -5);
    ext2dax_host_close(&host);
    options.clock = NULL;
    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    host.ops->time(host.ctx, &now);
    ck_assert_int_gt(now.seconds, 1700000000);
    ext2dax_host_close(&host);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("host");
    TCase *tcase = add_case(suite, "host", 60);

    /*
     * Runs before any thread exists, because thread data kept by a library would look like a leak
     * in a child.
     */
    tcase_add_loop_test(tcase, recovery_can_be_cancelled, 0, 2);
    tcase_add_loop_test(tcase, log_to_stderr, 0, 2);
    tcase_add_loop_test(tcase, a_log_that_takes_no_more_ends_nothing, 0, 2);
    tcase_add_loop_test(tcase, panic_aborts, 0, 2);
    tcase_add_loop_test(tcase, alignment, 0, 2);
    tcase_add_loop_test(tcase, reserve_is_bounded, 0, 2);
    tcase_add_loop_test(tcase, reserve_with_gaps, 0, 2);
    tcase_add_loop_test(tcase, released_elsewhere, 0, 2);
    tcase_add_loop_test(tcase, in_real_handlers, 0, 2);
    tcase_add_loop_test(tcase, reserve_shared_by_threads, 0, 2);
    tcase_add_test(tcase, log_hook);
    tcase_add_loop_test(tcase, a_report_is_no_cancellation_point, 0, 2);
    tcase_add_loop_test(tcase, clock_stands_still, 0, 2);
    tcase_add_loop_test(tcase, figures, 0, 2);
    return run_suite(suite);
}
