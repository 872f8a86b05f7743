/* SPDX-License-Identifier: MIT */
#include "explorer.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ext2dax/testkit/mutant.h"
#include "../../lib/testkit/instrument.h"

struct bench bench;
struct ext2dax_inode *file, *victim;
struct ext2dax_model_map *map, *other;

/* ---- the preemption ---- */

static struct {
    void (*second)(void);
    unsigned at, passed;      /* yield points */
    enum e2d_yield_kind kind; /* of the last one */
    const volatile void *place;
    bool started, done;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} meet = {.mutex = PTHREAD_MUTEX_INITIALIZER};

unsigned blocked_ms = 1;
bool durable;
static __thread bool first_thread;

static void *run_second(void *arg)
{
    (void)arg;
    meet.second();
    pthread_mutex_lock(&meet.mutex);
    meet.done = true;
    pthread_cond_signal(&meet.changed);
    pthread_mutex_unlock(&meet.mutex);
    return NULL;
}

static void preempt(enum e2d_yield_kind kind, const volatile void *at)
{
    struct timespec until;

    if (!first_thread || meet.started)
        return;
    /* The same step again, with nothing between that another thread could see: the same schedule. */
    if (kind == meet.kind && at == meet.place && kind != E2D_YIELD_STORE && kind != E2D_YIELD_LOCK)
        return;
    meet.kind = kind;
    meet.place = at;
    if (meet.passed++ != meet.at)
        return;
    meet.started = true;
    ck_assert_int_eq(pthread_create(&meet.thread, NULL, run_second, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)blocked_ms * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&meet.mutex);
    while (!meet.done && pthread_cond_timedwait(&meet.changed, &meet.mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&meet.mutex);
}

/* Runs both; false when the first operation has fewer yield points than that. */
static bool schedule(void (*first)(void), void (*second)(void), unsigned at)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&meet.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    meet.second = second;
    meet.at = at;
    meet.passed = 0;
    meet.place = NULL;
    meet.started = meet.done = false;
    first_thread = true;
    e2d_yield_hook = preempt;
    first();
    first_thread = false;
    if (meet.started)
        pthread_join(meet.thread, NULL);
    e2d_yield_hook = NULL;
    pthread_cond_destroy(&meet.changed);
    return meet.started;
}

/* ---- what is wrong afterwards ---- */

unsigned wrong, wrong_order;
const char *wrong_what;

void complain(const char *what)
{
    wrong++;
    wrong_what = what;
}

static void finding(void *arg, const struct ext2dax_finding *f)
{
    (void)arg;
    complain(f->what);
}

static void bad_mapping(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what)
{
    (void)arg;
    (void)inode;
    (void)page;
    complain(what);
}

static void judge(bool sound)
{
    (void)ext2dax_check_image(bench.memory.base, bench.memory.size, EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK,
                              finding, NULL, NULL);
    (void)ext2dax_model_check(bench.model, bad_mapping, NULL);
    if (ext2dax_model_complaints(bench.model) != 0)
        complain("the core broke its side of the address space's contract");
    ext2dax_lock_order_returned(bench.order);
    wrong_order += ext2dax_lock_order_broken(bench.order);
    if (sound && ext2dax_lock_order_broken(bench.order) != 0)
        complain(bench.broken);
}

/* ---- operations ---- */

enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                   enum ext2dax_fault_result (*entry)(struct ext2dax_fault *))
{
    struct ext2dax_fault f;

    ext2dax_model_fault(in, page, write, &f);
    return entry(&f);
}

void expect(bool condition, const char *what)
{
    if (!condition)
        complain(what);
}

void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte)
{
    enum ext2dax_fault_result result = ext2dax_model_write(in, offset, &byte, 1, false, true);

    expect(result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_SIGBUS, "a store failed");
}

/* ---- schedules ---- */

bool one_schedule(const struct scenario *scenario, unsigned at, const char *mutant)
{
    struct bench_options options = {.size = 256 << 10,
                                    .block_size = 1024,
                                    .page_shift = 10,
                                    .huge_order = 3,
                                    .order = durable ? EXT2DAX_ORDERED : EXT2DAX_ORDER_AUTO,
                                    .durable = durable};
    bool sound = strcmp(mutant, "none") == 0, more;

    bench_open(&bench, &options);
    file = bench_create(&bench, "file");
    victim = bench_create(&bench, "victim");
    map = ext2dax_model_map(bench.model, file, 0, 40, true, true);
    other = ext2dax_model_map(bench.model, file, 0, 40, true, true);
    scenario->start();
    ck_assert_int_eq(ext2dax_mutant_activate(mutant), 0);
    ext2dax_assertions(sound);
    more = schedule(scenario->first, scenario->second, at);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    ext2dax_assertions(true);
    judge(sound);
    if (scenario->verify)
        scenario->verify();
    bench_abandon(&bench);
    return more;
}

unsigned every_schedule(const struct scenario *scenario)
{
    unsigned at = 0;

    wrong = 0;
    while (one_schedule(scenario, at, "none")) {
        if (wrong != 0)
            ck_abort_msg("%s, stopped at yield point %u: %s", scenario->name, at, wrong_what);
        at++;
    }
    printf("%-45s %4u schedules\n", scenario->name, at);
    return at;
}

void linger(void)
{
    struct timespec pause = {0, (long)blocked_ms * 3000000};

    if (e2d_yield_hook)
        e2d_yield_hook(E2D_YIELD_CALLBACK, &bench);
    nanosleep(&pause, NULL);
}

void no_leaks(void)
{
    (void)ext2dax_check_image(bench.memory.base, bench.memory.size, EXT2DAX_CHECK_MOUNTED, finding, NULL, NULL);
}

void fill(uint64_t first, uint64_t pages)
{
    unsigned char bytes[8 * PAGE];

    memset(bytes, 7, sizeof bytes);
    for (uint64_t i = 0; i < pages; i += 8)
        ck_assert_int_gt(ext2dax_write(file, (first + i) * PAGE, bytes, (pages - i < 8 ? pages - i : 8) * PAGE), 0);
}
