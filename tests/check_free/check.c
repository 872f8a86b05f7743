/* SPDX-License-Identifier: MIT */
/*
 * The runner of check.h. Each case runs in its own process. A failed assertion in the case, or in
 * any thread or child process of the case, writes a text to a pipe. A case passes if the process
 * exits by itself with status 0 and the pipe is empty. Check itself ignores an assertion failing in
 * a process forked by the case.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USUAL_SECONDS 4
#define MOST_TEXT     1024

struct fixture {
    struct fixture *next;
    void (*setup)(void);
    void (*teardown)(void);
    bool checked;
};

struct entry {
    struct entry *next;
    const TTest *test;
    int start, end;
};

struct TCase {
    TCase *next;
    const char *name;
    double seconds;
    struct fixture *fixtures, **last_fixture;
    struct entry *entries, **last_entry;
};

struct Suite {
    const char *name;
    TCase *cases, **last;
};

struct SRunner {
    Suite *suite;
    int run, failed;
};

/* The write end of the pipe for the texts of failed assertions, -1 between cases. */
static int texts = -1;

static void *make(size_t size)
{
    void *made = calloc(1, size);

    if (!made) {
        perror("check");
        exit(2);
    }
    return made;
}

Suite *suite_create(const char *name)
{
    Suite *suite = make(sizeof(*suite));

    suite->name = name;
    suite->last = &suite->cases;
    return suite;
}

TCase *tcase_create(const char *name)
{
    TCase *tcase = make(sizeof(*tcase));

    tcase->name = name;
    tcase->seconds = USUAL_SECONDS;
    tcase->last_fixture = &tcase->fixtures;
    tcase->last_entry = &tcase->entries;
    return tcase;
}

void suite_add_tcase(Suite *suite, TCase *tcase)
{
    *suite->last = tcase;
    suite->last = &tcase->next;
}

void tcase_set_timeout(TCase *tcase, double seconds)
{
    tcase->seconds = seconds;
}

static void add_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void), bool checked)
{
    struct fixture *fixture = make(sizeof(*fixture));

    fixture->setup = setup;
    fixture->teardown = teardown;
    fixture->checked = checked;
    *tcase->last_fixture = fixture;
    tcase->last_fixture = &fixture->next;
}

void tcase_add_checked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void))
{
    add_fixture(tcase, setup, teardown, true);
}

void tcase_add_unchecked_fixture(TCase *tcase, void (*setup)(void), void (*teardown)(void))
{
    add_fixture(tcase, setup, teardown, false);
}

void tcase_add_loop_test(TCase *tcase, const TTest *test, int start, int end)
{
    struct entry *entry = make(sizeof(*entry));

    entry->test = test;
    entry->start = start;
    entry->end = end;
    *tcase->last_entry = entry;
    tcase->last_entry = &entry->next;
}

SRunner *srunner_create(Suite *suite)
{
    SRunner *runner = make(sizeof(*runner));

    runner->suite = suite;
    return runner;
}

void check_failed(const char *file, int line, const char *format, ...)
{
    char text[MOST_TEXT];
    int length = snprintf(text, sizeof(text), "%s:%d: ", file, line);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
    va_end(arguments);
    if (texts < 0) { /* an unchecked fixture */
        fprintf(stderr, "%s\n", text);
        exit(2);
    }
    fflush(NULL);
    while (write(texts, text, strlen(text)) < 0 && errno == EINTR)
        ;
    _exit(1);
}

/* Runs the teardowns in reverse order of the setups. */
static void tear_down(const struct fixture *fixture, bool checked)
{
    if (!fixture)
        return;
    tear_down(fixture->next, checked);
    if (fixture->checked == checked && fixture->teardown)
        fixture->teardown();
}

static void set_up(const struct fixture *fixture, bool checked)
{
    for (; fixture; fixture = fixture->next) {
        if (fixture->checked == checked && fixture->setup)
            fixture->setup();
    }
}

static _Noreturn void be_the_case(const TCase *tcase, const TTest *test, int i)
{
    setpgid(0, 0);
    set_up(tcase->fixtures, true);
    test->run(i);
    tear_down(tcase->fixtures, true);
    exit(0);
}

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

/*
 * Waits for the child to exit. Returns false when the time is over. SIGCHLD is blocked, so a
 * SIGCHLD arriving before the wait is not lost.
 */
static bool wait_for(pid_t child, double seconds, int *status)
{
    double until = now() + seconds;
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    for (;;) {
        double left = until - now();
        struct timespec pause = {(time_t)left, 0};

        if (waitpid(child, status, WNOHANG) == child)
            return true;
        if (left <= 0)
            return false;
        pause.tv_nsec = (long)((left - (double)pause.tv_sec) * 1e9);
        (void)sigtimedwait(&ended, NULL, &pause);
    }
}

static double multiplier(void)
{
    const char *by = getenv("CK_TIMEOUT_MULTIPLIER");
    double value = by ? atof(by) : 1;

    return value > 0 ? value : 1;
}

/* Returns true if the case passed. Otherwise writes the reason to `text`. */
static bool verdict(int status, bool in_time, int end_of_texts, char *text, size_t size)
{
    ssize_t length = read(end_of_texts, text, size - 1);

    text[length > 0 ? length : 0] = '\0';
    if (length > 0)
        return false;
    if (!in_time)
        snprintf(text, size, "Test timeout expired");
    else if (WIFSIGNALED(status))
        snprintf(text, size, "Received signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, size, "Early exit with return value %d", WEXITSTATUS(status));
    return text[0] == '\0';
}

static void run_one(SRunner *runner, const TCase *tcase, const TTest *test, int i)
{
    char text[MOST_TEXT];
    sigset_t ended, before;
    bool in_time;
    int ends[2], status = 0;
    pid_t child;

    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        perror("check: pipe2");
        exit(2);
    }
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    fflush(NULL);
    texts = ends[1];
    child = fork();
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(ends[0]);
        be_the_case(tcase, test, i);
    }
    if (child < 0) {
        perror("check: fork");
        exit(2);
    }
    in_time = wait_for(child, tcase->seconds * multiplier(), &status);
    /*
     * Kills the process group of the case, including forked processes. The case itself is killed
     * separately below, because the time may be over before the call of setpgid.
     */
    (void)kill(-child, SIGKILL);
    if (!in_time) {
        (void)kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    texts = -1;
    close(ends[1]);
    runner->run++;
    if (!verdict(status, in_time, ends[0], text, sizeof(text))) {
        runner->failed++;
        printf("%s:%d: %s:%s:%d: %s\n", test->file, test->line, tcase->name, test->name, i, text);
    }
    close(ends[0]);
}

void srunner_run_all(SRunner *runner, enum print_output how)
{
    (void)how;
    printf("Running suite(s): %s\n", runner->suite->name);
    for (const TCase *tcase = runner->suite->cases; tcase; tcase = tcase->next) {
        set_up(tcase->fixtures, false);
        for (const struct entry *entry = tcase->entries; entry; entry = entry->next) {
            for (int i = entry->start; i < entry->end; i++)
                run_one(runner, tcase, entry->test, i);
        }
        tear_down(tcase->fixtures, false);
    }
    printf("%d%%: Checks: %d, Failures: %d\n", runner->run ? (runner->run - runner->failed) * 100 / runner->run : 100,
           runner->run, runner->failed);
    fflush(stdout);
}

int srunner_ntests_failed(SRunner *runner)
{
    return runner->failed;
}

static void free_list(void *first, size_t next_at)
{
    while (first) {
        void *next;

        memcpy(&next, (char *)first + next_at, sizeof(next));
        free(first);
        first = next;
    }
}

void srunner_free(SRunner *runner)
{
    for (TCase *tcase = runner->suite->cases; tcase; tcase = tcase->next) {
        free_list(tcase->fixtures, offsetof(struct fixture, next));
        free_list(tcase->entries, offsetof(struct entry, next));
    }
    free_list(runner->suite->cases, offsetof(TCase, next));
    free(runner->suite);
    free(runner);
}
