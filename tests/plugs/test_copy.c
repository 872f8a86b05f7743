/* SPDX-License-Identifier: MIT */
/*
 * The copies of the hosted host. An inaccessible byte of the caller's buffer makes a copy short by
 * the exact number of bytes. No other fault is handled by the copies. No process object exists
 * here.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ext2dax/hosted/host.h>

#include "../emulated.h"
#include "../runner.h"

/* Memcheck reports every access to a protected page as an error, even if the access is survived. */
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#if !defined(VALGRIND_DISABLE_ERROR_REPORTING)
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING  ((void)0)
#endif

#define PAGES 8u

static struct ext2dax_host host;
static size_t page;
/* the caller's buffer of PAGES pages, and an image of the same size */
static unsigned char *buffer, *image;

/* Opens the host. Loop 0 uses the default host, loop 1 a host opened and closed by the test. */
static void set_up(int way)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    if (way == 0)
        host = ext2dax_host_default();
    else
        ck_assert_int_eq(ext2dax_host_open(NULL, &host), 0);
    buffer = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    image = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(buffer != MAP_FAILED && image != MAP_FAILED);
    for (size_t i = 0; i < PAGES * page; i++)
        buffer[i] = (unsigned char)(i % 251 + 1);
}

static void tear_down(void)
{
    munmap(buffer, PAGES * page);
    munmap(image, PAGES * page);
    ext2dax_host_close(&host);
}

static size_t copy_in(size_t to, const void *from, size_t bytes)
{
    size_t done;

    VALGRIND_DISABLE_ERROR_REPORTING;
    done = host.ops->copy_in(host.ctx, image + to, from, bytes);
    VALGRIND_ENABLE_ERROR_REPORTING;
    return done;
}

static size_t copy_out(void *to, size_t from, size_t bytes)
{
    size_t done;

    VALGRIND_DISABLE_ERROR_REPORTING;
    done = host.ops->copy_out(host.ctx, to, image + from, bytes);
    VALGRIND_ENABLE_ERROR_REPORTING;
    return done;
}

/*
 * Copies [from, from + bytes) of the buffer into the image. The first `count` bytes must be copied,
 * and no byte after.
 */
static void expect_in(size_t from, size_t bytes, size_t count)
{
    size_t changed = 0;

    memset(image, 0, PAGES * page);
    errno = EXDEV;
    ck_assert_uint_eq(copy_in(3, buffer + from, bytes), count);
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_int_eq(memcmp(image + 3, buffer + from, count), 0);
    for (size_t i = 3 + count; i < PAGES * page; i++)
        changed += image[i] != 0;
    ck_assert_uint_eq(changed, 0);
}

START_TEST(stops_at_the_page_that_cannot_be_accessed)
{
    set_up(_i);
    for (size_t bad = 0; bad < PAGES - 1; bad++) {
        for (size_t from = 0; from < 3 * page; from += page / 2 + 17) {
            size_t bytes = (PAGES - 1) * page - from;
            size_t count = (bad + 1) * page <= from ? bytes : bad * page <= from ? 0 : bad * page - from;

            ck_assert_int_eq(mprotect(buffer + bad * page, page, PROT_NONE), 0);
            expect_in(from, bytes, count);
            ck_assert_uint_eq(copy_out(buffer + from, 0, bytes), count);
            /* A page readable but not writable. */
            ck_assert_int_eq(mprotect(buffer + bad * page, page, PROT_READ), 0);
            expect_in(from, bytes, bytes);
            ck_assert_uint_eq(copy_out(buffer + from, 5, bytes), count);
            ck_assert_int_eq(memcmp(buffer + from, image + 5, count), 0);
            ck_assert_int_eq(mprotect(buffer + bad * page, page, PROT_READ | PROT_WRITE), 0);
            expect_in(from, bytes, bytes);
        }
    }
    tear_down();
}
END_TEST

START_TEST(no_buffer_at_all)
{
    set_up(_i);
    ck_assert_uint_eq(copy_in(0, NULL, 100), 0);
    ck_assert_uint_eq(copy_out(NULL, 0, 100), 0);
    ck_assert_uint_eq(copy_in(0, (void *)16, 100), 0);
    ck_assert_uint_eq(copy_out((void *)16, 0, 100), 0);
    ck_assert_uint_eq(copy_in(0, buffer, 0), 0);
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* The kernel does not report the address of a fault at a non-canonical address. */
    ck_assert_uint_eq(copy_in(0, (void *)0x0100000000000000, 2 * page), 0);
    ck_assert_uint_eq(copy_out((void *)0x0100000000000000, 0, 2 * page), 0);
#endif
    tear_down();
}
END_TEST

/*
 * Shows a truncated file under a mapping. The fault is SIGBUS, not SIGSEGV as in the other tests.
 */
START_TEST(past_the_end_of_a_mapped_file)
{
    int fd;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    if (left_out_emulated("SIGBUS of a mapped file: its address is garbled on big-endian machines"))
        return;
#endif
    set_up(_i);
    fd = memfd_create("short", MFD_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)(2 * page)), 0);
    ck_assert_ptr_eq(mmap(buffer, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), buffer);
    expect_in(100, 3 * page, 2 * page - 100);
    ck_assert_uint_eq(copy_out(buffer + 100, 0, 3 * page), 2 * page - 100);
    ck_assert_uint_eq(copy_out(buffer + 2 * page, 0, 3 * page), 0);
    close(fd);
    tear_down();
}
END_TEST

static sigjmp_buf jump;
static volatile sig_atomic_t faults, ticks, inside;
static void *volatile fault_address;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    faults++;
    fault_address = info->si_addr;
    siglongjmp(jump, 1);
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
}

START_TEST(the_programs_handler_and_mask_stay)
{
    struct sigaction now;
    sigset_t mask, before, after;
    int status;
    pid_t child;

    catch_faults();
    set_up(1);
    faults = 0;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mask, &before);
    mprotect(buffer + page, page, PROT_NONE);
    ck_assert_uint_eq(copy_in(0, buffer, 3 * page), page);
    ck_assert_uint_eq(copy_out(buffer, 0, 3 * page), page);
    ck_assert_int_eq(faults, 0);
    sigprocmask(SIG_SETMASK, &before, &after);
    for (int number = 1; number < 32; number++)
        ck_assert_int_eq(sigismember(&after, number), number == SIGUSR2 ? 1 : sigismember(&before, number));
    /*
     * A fault on the same page outside a copy belongs to the program, and so does a fault on the
     * image's side of a copy.
     */
    VALGRIND_DISABLE_ERROR_REPORTING;
    if (sigsetjmp(jump, 1) == 0)
        *(volatile unsigned char *)(buffer + page + 5) = 1;
    ck_assert_int_eq(faults, 1);
    VALGRIND_ENABLE_ERROR_REPORTING;
    mprotect(image + page, page, PROT_NONE);
    /* In a child, because a program should not jump out of a copy. */
    child = fork();
    if (child == 0) {
        if (sigsetjmp(jump, 1) == 0)
            (void)copy_out(buffer + 2 * page, page, 100);
        _exit(faults);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    tear_down();
    for (int number = SIGBUS; number; number = number == SIGBUS ? SIGSEGV : 0) {
        ck_assert_int_eq(sigaction(number, NULL, &now), 0);
        ck_assert_ptr_eq((void *)now.sa_sigaction, (void *)on_fault);
    }
}
END_TEST

/* Faults on the last page of the buffer, not yet reached by the copy. */
static void fault_in_the_buffer(int number)
{
    (void)number;
    if (!inside)
        return;
    ticks++;
    if (sigsetjmp(jump, 1) != 0)
        return;
    *(volatile unsigned char *)fault_address = 1;
    _exit(97);
}

/* Shows a copy interrupted by a handler. A fault of the handler must not end the copy. */
START_TEST(a_handlers_own_fault_is_not_the_copys)
{
    const size_t bytes = (size_t)16 << 20;
    struct sigaction action = {.sa_handler = fault_in_the_buffer};
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    unsigned char *large, *to;

    catch_faults();
    set_up(_i);
    large = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(large != MAP_FAILED && to != MAP_FAILED);
    memset(large, 7, bytes);
    mprotect(large + bytes - page, page, PROT_READ);
    fault_address = large + bytes - 10;
    sigaction(SIGALRM, &action, NULL);
    faults = ticks = 0;
    VALGRIND_DISABLE_ERROR_REPORTING;
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned round = 0; round < 500 && faults < 20; round++) {
        memset(to, 0, bytes);
        inside = 1;
        ck_assert_uint_eq(host.ops->copy_in(host.ctx, to, large, bytes), bytes);
        inside = 0;
        ck_assert_uint_eq(to[bytes - 1], 7);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    VALGRIND_ENABLE_ERROR_REPORTING;
    ck_assert_int_gt(faults, 0);
    ck_assert_int_eq(faults, ticks);
    munmap(large, bytes);
    munmap(to, bytes);
    tear_down();
}
END_TEST

/*
 * Shows copies on an alternate signal stack. A jump out of the fault handler leaves the stack
 * setting unchanged, even with a stack disarmed by handlers.
 */
START_TEST(alternate_stacks_stay)
{
    static const int flags[] = {
        0,
#if defined(__linux__)
        INT_MIN, /* SS_AUTODISARM, not defined by every libc */
#endif
    };
    size_t size = (size_t)128 << 10;
    stack_t stack = {.ss_sp = malloc(size), .ss_size = size}, now, before;

    set_up(1);
    mprotect(buffer + page, page, PROT_NONE);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        stack.ss_flags = flags[i];
        if (sigaltstack(&stack, &before) != 0)
            continue; /* an emulator does not support the flag */
        for (unsigned round = 0; round < 3; round++) {
            ck_assert_uint_eq(copy_in(0, buffer, 3 * page), page);
            ck_assert_int_eq(sigaltstack(NULL, &now), 0);
            ck_assert_ptr_eq(now.ss_sp, stack.ss_sp);
            ck_assert_int_eq(now.ss_flags, flags[i]);
        }
        if (before.ss_flags & SS_DISABLE)
            before.ss_size = size;
        sigaltstack(&before, NULL);
    }
    free(stack.ss_sp);
    tear_down();
}
END_TEST

START_TEST(without_handlers_it_is_the_programs_own)
{
    struct ext2dax_host_options options = {.size = sizeof(options), .no_handlers = true};
    struct sigaction before, now;
    int status;
    pid_t child;

    ck_assert_int_eq(sigaction(SIGBUS, NULL, &before), 0); /* a sanitizer's handler, or none */
    ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
    ck_assert_ptr_null((void *)(uintptr_t)host.ops->copy_in);
    ck_assert_ptr_null((void *)(uintptr_t)host.ops->copy_out);
    ck_assert_int_eq(sigaction(SIGBUS, NULL, &now), 0);
    ck_assert(now.sa_handler == before.sa_handler);
    ext2dax_host_close(&host);
    ck_assert_ptr_null(host.ops);

    child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGBUS, SIG_DFL);
        set_up(1);
        raise(SIGBUS); /* sent by the process, and not a fault of a copy */
        _exit(7);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
END_TEST

/*
 * Does ThreadSanitizer run the program's handlers, with its own errno and at times of its choice?
 */
static bool handlers_are_another_s(void)
{
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (handlers_are_another_s())
        return skip("ThreadSanitizer runs handlers of signals in its own way");
    suite = suite_create("plug: host, copies");
    tcase = add_case(suite, "copies", 60);
    /* Runs before the first use of the default host, which leaves handlers installed. */
    tcase_add_test(tcase, without_handlers_it_is_the_programs_own);
    tcase_add_test(tcase, the_programs_handler_and_mask_stay);
    tcase_add_test(tcase, alternate_stacks_stay);
    tcase_add_loop_test(tcase, stops_at_the_page_that_cannot_be_accessed, 0, 2);
    tcase_add_loop_test(tcase, no_buffer_at_all, 0, 2);
    tcase_add_loop_test(tcase, past_the_end_of_a_mapped_file, 0, 2);
    tcase_add_loop_test(tcase, a_handlers_own_fault_is_not_the_copys, 1, 2);
    return run_suite(suite);
}
