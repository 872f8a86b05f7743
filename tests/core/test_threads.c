/* SPDX-License-Identifier: MIT */
/*
 * Real threads on a few files of a small, mostly full image: storing and reading through mappings, by call and through
 * pins, while others truncate, punch, allocate, sync, freeze, unlink and create. Every word says which file it belongs
 * to and where, so a foreign or misplaced one is noticed by whoever reads it; in the end nothing is leaked.
 *
 * Runs about three seconds, or EXT2DAX_SECONDS; the seed is printed, and EXT2DAX_SEED gives one (schedules differ all
 * the same). Meant for a race detector too: what it must not look at is named here and in the bench.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "ext2dax/hosted/lock.h"

#define THREADS    6
#define SLOTS      3
#define PAGE       1024u
#define FILE_PAGES 160u
#define WORDS      1024u /* that one access moves at most */

static struct bench bench;
static uint64_t seed;

/* A truncate zeroes behind the new end while the last page is mapped: a store there is the program's own race. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:zero_in_block";
}

/* ---- what goes wrong ---- */

static pthread_mutex_t wrong_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;
static char wrong[200];

static void complain(const char *what, uint64_t a, uint64_t b)
{
    pthread_mutex_lock(&wrong_mutex);
    if (wrong[0] == '\0')
        snprintf(wrong, sizeof wrong, "%s (%#" PRIx64 ", %#" PRIx64 ")", what, a, b);
    pthread_mutex_unlock(&wrong_mutex);
    atomic_store(&stop, true);
}

static void expect(int64_t got, const int *allowed, const char *what)
{
    if (got >= 0)
        return;
    for (; *allowed != 0; allowed++) {
        if (got == -*allowed)
            return;
    }
    complain(what, (uint64_t)-got, 0);
}
#define EXPECT(call, ...) expect((call), (const int[]){__VA_ARGS__, 0}, #call)

/* ---- words ---- */

static uint64_t word(uint16_t file, uint64_t offset, uint16_t turn)
{
    return (uint64_t)file << 48 | (offset / 8) << 16 | turn;
}

static void check_words(uint16_t file, uint64_t offset, const uint64_t *words, size_t count, const char *how)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i] != 0 && words[i] >> 16 != word(file, offset + i * 8, 0) >> 16)
            complain(how, words[i], word(file, offset + i * 8, 0));
    }
}

/* ---- files ---- */

/* The file that a name stands for is told by the name: an old one may be held by some when a new one has its place. */
static struct {
    pthread_mutex_t mutex;
    uint16_t id; /* 0: no file */
} slots[SLOTS];
static atomic_uint last_id;

struct worker {
    pthread_t thread;
    uint64_t noise;
    uint16_t turn;
    struct ext2dax_inode *inode;
    struct ext2dax_model_map *map, *copy; /* a shared and a private mapping */
    uint16_t id;
    uint64_t words[WORDS];
    unsigned long done;
};

static uint32_t noise(struct worker *w, uint32_t below)
{
    return bench_noise(&w->noise) % below;
}

static size_t name_of(char *name, size_t size, unsigned slot, uint16_t id)
{
    return (size_t)snprintf(name, size, "%u-%u", slot, (unsigned)id);
}

static void replace_file(struct worker *w)
{
    unsigned slot = noise(w, SLOTS);
    struct ext2dax_inode *inode;
    char name[32];
    int rc;

    pthread_mutex_lock(&slots[slot].mutex);
    if (slots[slot].id != 0) {
        rc = ext2dax_unlink(bench.root, name, name_of(name, sizeof name, slot, slots[slot].id));
        if (rc != 0)
            complain("unlink", (uint64_t)-rc, 0);
        slots[slot].id = 0;
    }
    if (noise(w, 4) != 0) {
        uint16_t id = (uint16_t)(atomic_fetch_add(&last_id, 1) % 0xFFFE + 1);

        rc = ext2dax_create(bench.root, name, name_of(name, sizeof name, slot, id), 0644, 0, 0, &inode);
        if (rc == 0) {
            slots[slot].id = id;
            ext2dax_inode_put(inode);
        } else if (rc != -EXT2DAX_ENOSPC) {
            complain("create", (uint64_t)-rc, 0);
        }
    }
    pthread_mutex_unlock(&slots[slot].mutex);
}

/* What frees the file, if it was unlinked meanwhile and nobody else holds it. */
static void close_file(struct worker *w)
{
    if (!w->inode)
        return;
    ext2dax_model_unmap(w->map);
    ext2dax_model_unmap(w->copy);
    ext2dax_inode_put(w->inode);
    w->inode = NULL;
}

static bool open_file(struct worker *w)
{
    unsigned slot = noise(w, SLOTS);
    char name[32];
    int rc;

    pthread_mutex_lock(&slots[slot].mutex);
    w->id = slots[slot].id;
    pthread_mutex_unlock(&slots[slot].mutex);
    if (w->id == 0)
        return false;
    rc = ext2dax_lookup(bench.root, name, name_of(name, sizeof name, slot, w->id), &w->inode);
    if (rc != 0) {
        EXPECT(rc, EXT2DAX_ENOENT);
        w->inode = NULL;
        return false;
    }
    w->map = ext2dax_model_map(bench.model, w->inode, 0, FILE_PAGES, true, true);
    w->copy = ext2dax_model_map(bench.model, w->inode, 0, FILE_PAGES, false, true);
    return true;
}

/* ---- operations ---- */

/* A range of whole words in the file, some of it past the end. */
static uint64_t range(struct worker *w, size_t *count)
{
    *count = noise(w, 8) == 0 ? 1 + noise(w, WORDS - 1) : 1 + noise(w, 64);
    return (uint64_t)noise(w, FILE_PAGES * (PAGE / 8) - (uint32_t)*count) * 8;
}

static uint64_t clip(uint64_t first, uint64_t length)
{
    return first + length > FILE_PAGES * PAGE ? FILE_PAGES * PAGE - first : length;
}

static size_t prepare(struct worker *w, uint64_t offset, size_t count)
{
    w->turn++;
    for (size_t i = 0; i < count; i++)
        w->words[i] = word(w->id, offset + i * 8, w->turn);
    return count * 8;
}

static void may_end(enum ext2dax_fault_result result, const char *how)
{
    if (result != EXT2DAX_FAULT_NOPAGE && result != EXT2DAX_FAULT_SIGBUS)
        complain(how, result, 0);
}

/* Word by word, as a processor stores: a page may be gone between two of them. */
static void store_mapped(struct worker *w)
{
    uint64_t offset;
    size_t count;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    offset = range(w, &count);
    prepare(w, offset, count);
    for (size_t i = 0; i < count && result == EXT2DAX_FAULT_NOPAGE; i += 1 + noise(w, 40))
        result = ext2dax_model_write(w->map, offset + i * 8, &w->words[i], 8, noise(w, 2) != 0, true);
    may_end(result, "a mapped store");
}

static void load_mapped(struct worker *w, struct ext2dax_model_map *map)
{
    uint64_t offset;
    size_t count;
    enum ext2dax_fault_result result;

    offset = range(w, &count);
    memset(w->words, 0, count * 8);
    result = ext2dax_model_read(map, offset, w->words, count * 8, noise(w, 2) != 0, true);
    may_end(result, "a mapped load");
    check_words(w->id, offset, w->words, count, map == w->map ? "foreign bytes mapped" : "foreign bytes in a copy");
}

static void store_private(struct worker *w)
{
    uint64_t offset;
    size_t count;

    offset = range(w, &count);
    (void)prepare(w, offset, count);
    may_end(ext2dax_model_write(w->copy, offset, w->words, 8, false, true), "a private store");
}

static void write_call(struct worker *w)
{
    uint64_t offset;
    size_t count, bytes;

    offset = range(w, &count);
    bytes = prepare(w, offset, count);
    EXPECT(ext2dax_write(w->inode, offset, w->words, bytes), EXT2DAX_ENOSPC);
}

static void read_call(struct worker *w)
{
    uint64_t offset;
    size_t count;
    int64_t got;

    offset = range(w, &count);
    got = ext2dax_read(w->inode, offset, w->words, count * 8);
    if (got < 0)
        complain("read", (uint64_t)-got, 0);
    else
        check_words(w->id, offset, w->words, (size_t)got / 8, "foreign bytes read");
}

static void pin_range(struct worker *w)
{
    bool writable = noise(w, 2) != 0;
    struct ext2dax_pin pin;
    uint64_t offset;
    size_t count, length;
    void *at;
    int rc;

    offset = range(w, &count);
    rc = ext2dax_pin(w->inode, offset, count * 8, writable, &pin);
    if (rc != 0) {
        EXPECT(rc, EXT2DAX_EINVAL, EXT2DAX_ENXIO, EXT2DAX_ENOSPC);
        return;
    }
    for (size_t i = 0; i < count; i += 16) {
        rc = ext2dax_pin_pointer(&pin, offset + i * 8, &at, &length);
        if (rc != 0) {
            complain("pin_pointer", (uint64_t)-rc, 0);
            break;
        }
        bench_copy(&w->words[0], at, 8);
        check_words(w->id, offset + i * 8, w->words, 1, "foreign bytes pinned");
        w->words[0] = word(w->id, offset + i * 8, ++w->turn);
        if (writable)
            bench_copy(at, &w->words[0], 8);
    }
    ext2dax_unpin(&pin);
}

static void change_size(struct worker *w)
{
    uint64_t size = (uint64_t)noise(w, FILE_PAGES * PAGE / 8) * 8;

    EXPECT(ext2dax_truncate(w->inode, noise(w, 3) == 0 ? 0 : size), EXT2DAX_EBUSY);
}

static void look(struct worker *w)
{
    struct ext2dax_run run;
    struct ext2dax_stat figures;
    struct ext2dax_statfs all;

    EXPECT(ext2dax_map(w->inode, noise(w, FILE_PAGES), 1 + noise(w, 100), &run), EXT2DAX_EFBIG);
    EXPECT(ext2dax_seek(w->inode, noise(w, FILE_PAGES) * PAGE, noise(w, 2) ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE),
           EXT2DAX_ENXIO);
    ext2dax_stat(w->inode, &figures);
    ext2dax_statfs(bench.mount, &all);
    if (figures.size > FILE_PAGES * PAGE || all.free_blocks > all.blocks)
        complain("figures", figures.size, all.free_blocks);
}

/* The main thread thaws what this one leaves frozen. */
static void freeze(struct worker *w)
{
    int rc = ext2dax_freeze(bench.mount);

    if (rc != 0) {
        EXPECT(rc, EXT2DAX_EBUSY);
        return;
    }
    read_call(w);
    load_mapped(w, w->copy);
    close_file(w);
    if (noise(w, 2) != 0)
        EXPECT(ext2dax_thaw(bench.mount), EXT2DAX_EINVAL);
}

static void step(struct worker *w)
{
    uint64_t first = noise(w, FILE_PAGES) * (uint64_t)PAGE;
    uint32_t choice = noise(w, 200);

    if (choice < 50)
        store_mapped(w);
    else if (choice < 80)
        load_mapped(w, w->map);
    else if (choice < 90)
        load_mapped(w, w->copy);
    else if (choice < 95)
        store_private(w);
    else if (choice < 115)
        write_call(w);
    else if (choice < 130)
        read_call(w);
    else if (choice < 140)
        pin_range(w);
    else if (choice < 150)
        change_size(w);
    else if (choice < 160)
        EXPECT(ext2dax_punch(w->inode, first, (1 + noise(w, 20)) * PAGE), EXT2DAX_EBUSY);
    else if (choice < 168)
        EXPECT(ext2dax_allocate(w->inode, first, clip(first, (1 + noise(w, 20)) * (uint64_t)PAGE), false),
               EXT2DAX_ENOSPC);
    else if (choice < 180)
        EXPECT(ext2dax_fsync(w->inode), EXT2DAX_EIO);
    else if (choice < 182)
        EXPECT(ext2dax_sync(bench.mount), EXT2DAX_EIO);
    else if (choice < 183)
        freeze(w);
    else if (choice < 188)
        replace_file(w);
    else if (choice < 196)
        close_file(w);
    else
        look(w);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(&stop)) {
        if (!w->inode && !open_file(w)) {
            replace_file(w);
            continue;
        }
        step(w);
        ext2dax_lock_order_returned(bench.order);
        w->done++;
    }
    close_file(w);
    return NULL;
}

/* ---- the runs ---- */

static const struct {
    const char *locks;
    enum ext2dax_order order;
} runs[] = {
    {"atomic_ops", EXT2DAX_ORDERED},
    {"pthread", EXT2DAX_UNORDERED},
    {"pthread", EXT2DAX_ORDERED},
    {"atomic_ops", EXT2DAX_UNORDERED},
};
#define RUNS (sizeof runs / sizeof runs[0])

static double seconds(void)
{
    return (getenv("EXT2DAX_SECONDS") ? atof(getenv("EXT2DAX_SECONDS")) : 3) / (double)RUNS;
}

/* Puts nobody's file away: what is held by nobody and has no name must be gone without a trace. */
static void clear_up(uint64_t free_at_first)
{
    char name[32];

    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].id != 0)
            ck_assert_int_eq(ext2dax_unlink(bench.root, name, name_of(name, sizeof name, i, slots[i].id)), 0);
        slots[i].id = 0;
        pthread_mutex_destroy(&slots[i].mutex);
    }
    ck_assert_uint_eq(bench.reports, 0);
    bench_check(&bench);
    ck_assert_uint_eq(bench_free_blocks(&bench), free_at_first);
    bench_close(&bench);
}

START_TEST(many_threads)
{
    struct bench_options options = {.size = 400 << 10,
                                    .block_size = PAGE,
                                    .page_shift = 10,
                                    .huge_order = 3,
                                    .order = runs[_i].order,
                                    .locks = runs[_i].locks};
    static struct worker workers[THREADS];
    struct timespec pause = {0, 1000000}, from, now;
    unsigned long done = 0;
    uint64_t free_at_first;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    bench_open(&bench, &options);
    atomic_store(&stop, false);
    memset(workers, 0, sizeof workers);
    free_at_first = bench_free_blocks(&bench);
    for (unsigned i = 0; i < SLOTS; i++)
        pthread_mutex_init(&slots[i].mutex, NULL);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].noise = seed + i * 1000003u + (unsigned)_i;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    do {
        nanosleep(&pause, NULL);
        (void)ext2dax_thaw(bench.mount);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - from.tv_sec) + (double)(now.tv_nsec - from.tv_nsec) / 1e9 > seconds())
            atomic_store(&stop, true);
    } while (!atomic_load(&stop));
    for (unsigned i = 0; i < THREADS; i++) {
        /* It may have left the filesystem frozen, with the others waiting. */
        while (pthread_tryjoin_np(workers[i].thread, NULL) != 0) {
            (void)ext2dax_thaw(bench.mount);
            nanosleep(&pause, NULL);
        }
        done += workers[i].done;
    }
    (void)ext2dax_thaw(bench.mount);
    if (wrong[0] != '\0')
        ck_abort_msg("seed %" PRIu64 ": %s", seed, wrong);
    clear_up(free_at_first);
    printf("%s, %s: %lu operations\n", options.locks, options.order == EXT2DAX_ORDERED ? "ordered" : "unordered", done);
}
END_TEST

/* ---- after a thaw ---- */

static atomic_bool thawed;
static atomic_uint retries;

/* Begun after the thaw has returned, no fault may be told to wait for it. */
static void *fault_through_a_thaw(void *arg)
{
    struct ext2dax_fault fault;
    unsigned after = 0;

    while (after < 300) {
        bool begun_after = atomic_load(&thawed);

        ext2dax_model_fault(arg, after % 8, true, &fault);
        after += begun_after;
        if (ext2dax_fault(&fault) != EXT2DAX_FAULT_RETRY)
            continue;
        atomic_fetch_add(&retries, begun_after);
        ext2dax_wait_thaw(bench.mount);
    }
    return NULL;
}

START_TEST(who_waited_for_thaw_waits_no_more)
{
    struct bench_options options = {.size = 256 << 10,
                                    .block_size = PAGE,
                                    .page_shift = 10,
                                    .huge_order = 3,
                                    .locks = _i == 0 ? "atomic_ops" : "pthread"};
    struct ext2dax_inode *file;
    struct ext2dax_model_map *map;
    struct timespec pause = {0, 10000000};
    pthread_t threads[2 * THREADS];
    unsigned retried;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    bench_open(&bench, &options);
    file = bench_create(&bench, "file");
    ck_assert_int_eq(ext2dax_truncate(file, 8 * PAGE), 0);
    map = ext2dax_model_map(bench.model, file, 0, 8, true, true);
    atomic_store(&thawed, false);
    atomic_store(&retries, 0);
    ck_assert_int_eq(ext2dax_freeze(bench.mount), 0);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fault_through_a_thaw, map), 0);
    nanosleep(&pause, NULL);
    ck_assert_int_eq(ext2dax_thaw(bench.mount), 0);
    atomic_store(&thawed, true);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    retried = atomic_load(&retries);
    ck_assert_uint_eq(retried, 0);
    bench_check(&bench);
    ext2dax_inode_put(file);
    bench_close(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *cases = tcase_create("many threads");
    SRunner *runner;
    int failed;

    seed = getenv("EXT2DAX_SEED") ? strtoull(getenv("EXT2DAX_SEED"), NULL, 0) : (uint64_t)time(NULL);
    printf("EXT2DAX_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    tcase_set_timeout(cases, seconds() * 4 + 60);
    tcase_add_loop_test(cases, many_threads, 0, (int)RUNS);
    tcase_add_loop_test(cases, who_waited_for_thaw_waits_no_more, 0, 2);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
