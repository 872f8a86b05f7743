/* SPDX-License-Identifier: MIT */
/*
 * Every schedule with one preemption: one operation is stopped at each of its yield points in turn, a second one runs
 * there in another thread as far as the locks let it, and then both go on to their end. Every time the whole image and
 * every mapping must be as they must be, and no store may be lost.
 *
 * A second operation that is not done after a moment is taken to be blocked. Where the machine was merely slow, that is
 * just another schedule: it can hide a mistake once, never invent one.
 *
 * The same is then done with one protection broken at a time, and has to be noticed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "ext2dax/testkit/mutant.h"
#include "../../lib/testkit/instrument.h"

#define PAGE 1024u
#define WINDOW (8 * PAGE)

static struct bench bench;
static struct ext2dax_inode *file, *victim;
static struct ext2dax_model_map *map, *other;

/* ---- the preemption ---- */

static struct {
    void (*second)(void);
    unsigned at, passed; /* yield points */
    bool started, done;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} meet = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static unsigned blocked_ms = 2; /* after which the second operation is taken to be blocked */
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

    (void)kind;
    (void)at;
    if (!first_thread || meet.started || meet.passed++ != meet.at)
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

static unsigned wrong;
static const char *wrong_what;

static void complain(const char *what)
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

static void judge(void)
{
    (void)ext2dax_check_image(bench.memory.base, bench.memory.size,
                              EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK, finding, NULL, NULL);
    (void)ext2dax_model_check(bench.model, bad_mapping, NULL);
    if (ext2dax_model_complaints(bench.model) != 0)
        complain("the core broke its side of the address space's contract");
}

/* ---- operations ---- */

static enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                          enum ext2dax_fault_result (*entry)(struct ext2dax_fault *))
{
    struct ext2dax_fault f;

    ext2dax_model_fault(in, page, write, &f);
    return entry(&f);
}

static void expect(bool condition, const char *what)
{
    if (!condition)
        complain(what);
}

static void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte)
{
    enum ext2dax_fault_result result = ext2dax_model_write(in, offset, &byte, 1, false, true);

    expect(result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_SIGBUS, "a store failed");
}

static void read_fault(void)
{
    (void)fault_in(map, 9, false, ext2dax_fault);
}
static void other_read_fault(void)
{
    (void)fault_in(other, 9, false, ext2dax_fault);
}
static void write_fault(void)
{
    (void)fault_in(map, 9, true, ext2dax_fault);
}
static void pmd_write(void)
{
    (void)fault_in(map, 9, true, ext2dax_pmd_fault);
}
static void pmd_read(void)
{
    (void)fault_in(map, 9, false, ext2dax_pmd_fault);
}
static void pfn_mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_pfn_mkwrite);
}
static void store_one(void)
{
    store(map, 9 * PAGE, 1);
}
static void store_two(void)
{
    store(other, 9 * PAGE + 100, 2);
}
/* Two windows whose pointers hang in one pointer block that is not there yet. */
static void store_indirect(void)
{
    store(map, 13 * PAGE, 1);
}
static void store_next_window(void)
{
    store(other, 17 * PAGE, 2);
}
static void store_in_victim(void)
{
    unsigned char byte = 0xBB;

    (void)ext2dax_write(victim, 30 * PAGE, &byte, 1);
}
static void write_call(void)
{
    unsigned char byte = 1;

    expect(ext2dax_write(file, 9 * PAGE, &byte, 1) == 1, "a write failed");
}
static void extend_by_write(void)
{
    unsigned char byte = 3;

    expect(ext2dax_write(file, bench_size(file) + 300, &byte, 1) == 1, "a write failed");
}
/* Into the last page, past the end; once the file has grown over it, such a store is a good one. */
static bool strayed;
static void stray_store(void)
{
    unsigned char bytes[800];

    memset(bytes, 0xEE, sizeof bytes);
    (void)ext2dax_model_write(map, 20 * PAGE + 100, bytes, sizeof bytes, false, false);
    strayed = bench_size(file) == 20 * PAGE + 100;
}
static void truncate_down(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE) == 0, "a truncate failed");
}
static void truncate_pinned(void)
{
    int rc = ext2dax_truncate(file, 9 * PAGE);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a truncate failed");
}

static void reuse(void)
{
    unsigned char bytes[WINDOW];

    memset(bytes, 0xBB, sizeof bytes);
    (void)ext2dax_write(victim, 0, bytes, sizeof bytes);
    (void)ext2dax_write(victim, WINDOW, bytes, sizeof bytes);
}
static void truncate_and_reuse(void)
{
    expect(ext2dax_truncate(file, 0) == 0, "a truncate failed");
    reuse();
}
static void punch_and_reuse(void)
{
    expect(ext2dax_punch(file, 8 * PAGE, WINDOW) == 0, "a punch failed");
    reuse();
}
/* The other file's blocks must not show through the mapping, not even for a moment. */
static void reuse_and_look(void)
{
    struct ext2dax_model_entry entry;

    reuse();
    for (uint64_t page = 0; page < 40; page++) {
        entry = ext2dax_model_entry(map, page);
        if (entry.kind == EXT2DAX_MODEL_DATA &&
            *((const unsigned char *)bench.memory.base + entry.memory_offset) == 0xBB)
            complain("another file's block is mapped");
    }
}
static void fsync_file(void)
{
    expect(ext2dax_fsync(file) == 0, "fsync failed");
}
static void pin_and_look(void)
{
    struct ext2dax_pin pin;
    void *at;
    size_t length;

    if (ext2dax_pin(file, 9 * PAGE, PAGE, false, &pin) != 0)
        return;
    expect(ext2dax_truncate(file, 0) == -EXT2DAX_EBUSY, "a truncate took pinned blocks");
    expect(ext2dax_pin_pointer(&pin, 9 * PAGE, &at, &length) == 0 && *(unsigned char *)at == 7,
           "a pinned block is not the file's");
    ext2dax_unpin(&pin);
}
static void freeze_and_thaw(void)
{
    expect(ext2dax_freeze(bench.mount) == 0, "freeze failed");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable && !ext2dax_model_entry(other, page).writable,
               "a page is writable while frozen");
    expect(ext2dax_thaw(bench.mount) == 0, "thaw failed");
}

/* ---- scenarios ---- */

static void fill(uint64_t first, uint64_t pages)
{
    unsigned char bytes[8 * PAGE];

    memset(bytes, 7, sizeof bytes);
    for (uint64_t i = 0; i < pages; i += 8)
        ck_assert_int_gt(ext2dax_write(file, (first + i) * PAGE, bytes, (pages - i < 8 ? pages - i : 8) * PAGE), 0);
}
static void start_mapped(void)
{
    fill(0, 20);
}
static void start_region(void)
{
    ck_assert_int_eq(ext2dax_allocate(file, 0, 20 * PAGE, false), 0);
    fill(0, 20);
}
static void start_read_only(void)
{
    fill(0, 20);
    read_fault();
}
static void start_hole(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, 40 * PAGE), 0);
}
static void start_entered(void)
{
    fill(0, 20);
    for (uint64_t page = 0; page < 20; page++)
        store(map, page * PAGE + 5, 7);
}
static void start_tail(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE + 100), 0);
    store(map, 20 * PAGE, 7);
}

static void both_stores_kept(void)
{
    unsigned char bytes[101];

    expect(ext2dax_read(file, 9 * PAGE, bytes, sizeof bytes) == sizeof bytes && bytes[0] == 1 && bytes[100] == 2,
           "a store was lost");
}
static void windows_kept(void)
{
    unsigned char first = 0, second = 0;

    expect(ext2dax_read(file, 13 * PAGE, &first, 1) == 1 && first == 1, "a store was lost");
    expect(ext2dax_read(file, 17 * PAGE, &second, 1) == 1 && second == 2, "a store was lost");
}
static void one_store_kept(void)
{
    unsigned char byte = 0;

    expect(ext2dax_read(file, 9 * PAGE, &byte, 1) == 1 && byte == 1, "a store was lost");
}
static void tail_is_zero(void)
{
    unsigned char bytes[400];
    int64_t got = ext2dax_read(file, 20 * PAGE + 100, bytes, sizeof bytes);

    for (int64_t i = 0; strayed && i < got - 1; i++)
        expect(bytes[i] == 0, "a store past the end shows");
}
/* A page that may be stored to without a fault is in a window that the next fsync visits. */
static void writable_is_dirty(void)
{
    bool before = ext2dax_model_entry(map, 9).writable;

    expect(ext2dax_fsync(file) == 0, "fsync failed");
    expect(!before || !ext2dax_model_entry(map, 9).writable, "fsync passed a writable page over");
}

static const struct scenario {
    const char *name;
    void (*start)(void), (*first)(void), (*second)(void), (*verify)(void);
} scenarios[] = {
    {"read fault / truncate and reuse", start_mapped, read_fault, truncate_and_reuse, NULL},
    {"write fault / truncate and reuse", start_mapped, write_fault, truncate_and_reuse, NULL},
    {"write fault in a hole / truncate and reuse", start_hole, write_fault, truncate_and_reuse, NULL},
    {"PMD write in a hole / truncate and reuse", start_hole, pmd_write, truncate_and_reuse, NULL},
    {"PMD read / truncate and reuse", start_region, pmd_read, truncate_and_reuse, NULL},
    {"PMD write / punch and reuse", start_region, pmd_write, punch_and_reuse, NULL},
    {"pfn_mkwrite / truncate and reuse", start_read_only, pfn_mkwrite, truncate_and_reuse, NULL},
    {"read fault / punch and reuse", start_mapped, read_fault, punch_and_reuse, NULL},
    {"store in a hole / read fault on it", start_hole, store_one, other_read_fault, one_store_kept},
    {"read fault on a hole / store in it", start_hole, other_read_fault, store_one, one_store_kept},
    {"store in a hole / store in the same page", start_hole, store_one, store_two, both_stores_kept},
    {"store in a hole / store in the next window", start_hole, store_indirect, store_next_window, windows_kept},
    {"store in a hole / another file's write", start_hole, store_one, store_in_victim, one_store_kept},
    {"PMD write in a hole / store in it", start_hole, pmd_write, store_one, one_store_kept},
    {"store in a hole / PMD write over it", start_hole, store_one, pmd_write, one_store_kept},
    {"write into a hole / store in the same page", start_hole, write_call, store_two, both_stores_kept},
    {"store in a hole / write into it", start_hole, store_two, write_call, both_stores_kept},
    {"truncate / read fault", start_entered, truncate_down, read_fault, NULL},
    {"truncate / another file takes the blocks", start_entered, truncate_down, reuse_and_look, NULL},
    {"extending write / store past the end", start_tail, extend_by_write, stray_store, tail_is_zero},
    {"fsync / store", start_entered, fsync_file, store_one, writable_is_dirty},
    {"store / fsync", start_mapped, store_one, fsync_file, writable_is_dirty},
    {"pin / truncate", start_mapped, pin_and_look, truncate_pinned, NULL},
    {"truncate / pin", start_mapped, truncate_pinned, pin_and_look, NULL},
    {"freeze / store", start_entered, freeze_and_thaw, store_one, one_store_kept},
    {"store / freeze", start_mapped, store_one, freeze_and_thaw, one_store_kept},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

static bool one_schedule(const struct scenario *scenario, unsigned at, const char *mutant)
{
    struct bench_options options = {.size = 256 << 10, .block_size = 1024, .page_shift = 10, .huge_order = 3};
    bool more;

    bench_open(&bench, &options);
    file = bench_create(&bench, "file");
    victim = bench_create(&bench, "victim");
    map = ext2dax_model_map(bench.model, file, 0, 40, true, true);
    other = ext2dax_model_map(bench.model, file, 0, 40, true, true);
    scenario->start();
    ck_assert_int_eq(ext2dax_mutant_activate(mutant), 0);
    more = schedule(scenario->first, scenario->second, at);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    judge();
    if (scenario->verify)
        scenario->verify();
    bench_abandon(&bench);
    return more;
}

START_TEST(one_preemption_anywhere)
{
    const struct scenario *scenario = &scenarios[_i];
    unsigned at = 0;

    wrong = 0;
    while (one_schedule(scenario, at, "none")) {
        if (wrong != 0)
            ck_abort_msg("%s, stopped at yield point %u: %s", scenario->name, at, wrong_what);
        at++;
    }
    printf("%-45s %4u schedules\n", scenario->name, at);
}
END_TEST

/* The protections that only a second thread can miss, and a scenario in which it does. */
static const struct {
    const char *mutant, *scenario;
} broken[] = {
    {"DAX_SEM_FAULT", "read fault / truncate and reuse"},
    {"DAX_SEM_FAULT", "PMD write in a hole / truncate and reuse"},
    {"DAX_SEM_TRUNCATE", "write fault / truncate and reuse"},
    {"DAX_SEM_EARLY", "read fault / truncate and reuse"},
    {"DAX_SEM_EARLY", "pfn_mkwrite / truncate and reuse"},
    {"FREE_BEFORE_UNMAP", "truncate / another file takes the blocks"},
    {"ENTRY_SKIPPED", "store in a hole / store in the same page"},
    {"TRUNCATE_LOCK_SKIPPED", "store in a hole / store in the next window"},
    {"GROUP_LOCK_SKIPPED", "store in a hole / another file's write"},
    {"ZERO_PAGE_STAYS", "store in a hole / read fault on it"},
    {"TAIL_NOT_ZEROED", "extending write / store past the end"},
    {"PINS_IGNORED", "truncate / pin"},
};

START_TEST(a_broken_protection_is_noticed)
{
    for (unsigned i = 0; i < SCENARIOS; i++) {
        unsigned at = 0;

        if (strcmp(scenarios[i].name, broken[_i].scenario) != 0)
            continue;
        wrong = 0;
        /* On a busy machine the second thread may need longer to get where the mistake is. */
        for (blocked_ms = 2; wrong == 0 && blocked_ms < 200; blocked_ms *= 5) {
            at = 0;
            while (wrong == 0 && one_schedule(&scenarios[i], at, broken[_i].mutant))
                at++;
        }
        if (wrong == 0)
            ck_abort_msg("%s was not noticed in \"%s\" (%u schedules)", broken[_i].mutant, broken[_i].scenario, at);
        printf("%-22s caught by \"%s\" after %u schedules: %s\n", broken[_i].mutant, broken[_i].scenario, at, wrong_what);
        return;
    }
    ck_abort_msg("no such scenario");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("isolation");
    TCase *sound = tcase_create("one preemption"), *mutants = tcase_create("mutants");
    SRunner *runner;
    int failed;

    tcase_set_timeout(sound, 120);
    tcase_add_loop_test(sound, one_preemption_anywhere, 0, (int)SCENARIOS);
    suite_add_tcase(suite, sound);
    tcase_set_timeout(mutants, 120);
    tcase_add_loop_test(mutants, a_broken_protection_is_noticed, 0, (int)(sizeof broken / sizeof broken[0]));
    suite_add_tcase(suite, mutants);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
