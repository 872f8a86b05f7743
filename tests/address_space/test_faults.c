/* SPDX-License-Identifier: MIT */
/*
 * Accesses files of a mounted image through mappings of this process. The faults are real and
 * resolved by the fault family.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/mutant.h"

#include "../../lib/testkit/instrument.h" /* lib/testkit is not an include directory here */
#include "mounted.h"
#include "race_detector.h"
#include "../runner.h"

static struct mounted m;
static const char *const lock_names[] = {"atomic_ops", "pthread"};

START_TEST(a_mapping_is_the_file)
{
    struct ext2dax_inode *file;
    uint8_t *at, *part;
    uint64_t sectors;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 40 * PAGE);
    fill(file, 3 * PAGE, 5 * PAGE, 0x33);
    at = map_file(&m, file, 0, 40 * PAGE, EXT2DAX_MAP_WRITE);
    part = map_file(&m, file, 5 * PAGE, 2 * PAGE + 1, 0);
    ck_assert_uint_eq((uintptr_t)at % HUGE, 0);
    ck_assert_uint_eq((uintptr_t)part % HUGE, 5 * PAGE);

    /*
     * A read of a block maps the run of blocks. A read of a hole maps zeroes and allocates nothing.
     */
    ck_assert_uint_eq(peek(at + 3 * PAGE), 0x33);
    ck_assert_uint_eq(peek(at + 8 * PAGE - 1), 0x33);
    ck_assert_uint_eq(count(&m).traps, 1);
    sectors = sectors_of(file);
    ck_assert_uint_eq(peek(at + 20 * PAGE + 9), 0);
    ck_assert_uint_eq(sectors_of(file), sectors);

    /* Stores to a block, over a zero page, and into a hole. */
    poke(at + 4 * PAGE, 0x44);
    ck_assert_uint_eq(byte_of(file, 4 * PAGE), 0x44);
    poke(at + 20 * PAGE + 9, 0x55);
    ck_assert_uint_eq(byte_of(file, 20 * PAGE + 9), 0x55);
    ck_assert_uint_gt(sectors_of(file), sectors);
    poke(at + 39 * PAGE + 1, 0x66);
    ck_assert_uint_eq(byte_of(file, 39 * PAGE + 1), 0x66);
    ck_assert_uint_eq(byte_of(file, 39 * PAGE), 0);

    /* All views of the file agree, through the other mapping, by write and by read. */
    poke(at + 6 * PAGE, 0x77);
    ck_assert_uint_eq(peek(part + PAGE), 0x77);
    fill(file, 7 * PAGE, 1, 0x88);
    ck_assert_uint_eq(peek(part + 2 * PAGE), 0x88);
    ck_assert_uint_eq(peek(at + 7 * PAGE), 0x88);
    /* A write into a hole replaces a mapped zero page. */
    ck_assert_uint_eq(peek(at + 30 * PAGE), 0);
    fill(file, 30 * PAGE, 1, 0x99);
    ck_assert_uint_eq(peek(at + 30 * PAGE), 0x99);
    unmap_file(&m, part);
    unmap_file(&m, at);
    ck_assert_int_eq(ext2dax_process_unmap(m.process, at), -EXT2DAX_EINVAL);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(truncate_and_punch_revoke)
{
    struct ext2dax_inode *file, *thief;
    uint8_t *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 0);
    fill(file, 0, 32 * PAGE, 0x11);
    at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned i = 0; i < 32; i++)
        poke(at + i * PAGE + 1, 0x22);
    ck_assert_int_eq(ext2dax_truncate(file, 10 * PAGE + 5), 0);
    /* The freed blocks belong to another file now. */
    thief = make_file(&m, "g", 0);
    fill(thief, 0, 64 * PAGE, 0x99);
    ck_assert_int_eq(access_byte(at + 20 * PAGE, false), SIGBUS);
    ck_assert_int_eq(access_byte(at + 20 * PAGE, true), SIGBUS);
    ck_assert_uint_eq(peek(at + 10 * PAGE + 1), 0x22);
    ck_assert_uint_eq(peek(at + 10 * PAGE + 5), 0);
    ck_assert_int_eq(ext2dax_punch(file, 2 * PAGE, 3 * PAGE), 0);
    fill(thief, 64 * PAGE, 64 * PAGE, 0x99);
    ck_assert_uint_eq(peek(at + 2 * PAGE + 1), 0);
    ck_assert_uint_eq(peek(at + 4 * PAGE + 1), 0);
    ck_assert_uint_eq(peek(at + 5 * PAGE + 1), 0x22);
    poke(at + 3 * PAGE, 0x33);
    ck_assert_uint_eq(byte_of(file, 3 * PAGE), 0x33);
    for (unsigned i = 0; i < 128; i++)
        ck_assert_uint_eq(byte_of(thief, i * PAGE + 1), 0x99);
    ck_assert_int_eq(ext2dax_truncate(file, 30 * PAGE), 0);
    ck_assert_uint_eq(peek(at + 20 * PAGE), 0);
    unmap_file(&m, at);
    ext2dax_inode_put(thief);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* ---- several threads ---- */

#define STORERS 4
#define WORDS   (64 * PAGE / sizeof(uint64_t))

static uint8_t *shared_at;

static void *store_every_fourth(void *arg)
{
    size_t mine = (size_t)(uintptr_t)arg;

    for (size_t i = mine; i < WORDS; i += STORERS)
        __atomic_store_n((uint64_t *)shared_at + i, i * STORERS + mine, __ATOMIC_RELAXED);
    return NULL;
}

START_TEST(no_store_is_lost_in_a_hole)
{
    struct mounted_options options = {.locks = lock_names[_i]};
    static uint64_t words[WORDS];
    struct ext2dax_inode *file;
    pthread_t threads[STORERS];
    size_t lost;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    mounted_open(&m, &options);
    for (unsigned round = 0; round < 20; round++) {
        file = make_file(&m, "f", 64 * PAGE);
        shared_at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
        for (size_t i = 0; i < STORERS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, store_every_fourth, (void *)i), 0);
        for (size_t i = 0; i < STORERS; i++)
            pthread_join(threads[i], NULL);
        lost = 0;
        for (size_t i = 0; i < WORDS; i++)
            lost += ((uint64_t *)shared_at)[i] != i * STORERS + i % STORERS;
        ck_assert_uint_eq(lost, 0);
        unmap_file(&m, shared_at);
        ck_assert_int_eq(ext2dax_read(file, 0, words, sizeof(words)), sizeof(words));
        for (size_t i = 0; i < WORDS; i++)
            lost += words[i] != i * STORERS + i % STORERS;
        ck_assert_uint_eq(lost, 0);
        ck_assert_int_eq(ext2dax_unlink(m.root, "f", 1), 0);
        ext2dax_inode_put(file);
    }
    mounted_close(&m);
}
END_TEST

#define RACED_PAGES 48
#define OWN_TAG     0xA5A5000000000000u
#define TAG_MASK    0xFFFF000000000000u
#define THIEF_TAG   0x5A5A5A5A5A5A5A5Au

static atomic_bool stop;
static atomic_uint violations, accesses, buses;

/*
 * Reads and stores words at random places of the mapping. Each word read is the file's own or zero.
 */
static void *race(void *arg)
{
    uint32_t noise = (uint32_t)(uintptr_t)arg;

    while (!atomic_load(&stop)) {
        volatile uint64_t *word;
        uint64_t seen = 0;
        int end;

        noise = noise * 1664525u + 1013904223u;
        word = (volatile uint64_t *)shared_at + (noise >> 10) % (RACED_PAGES * PAGE / sizeof(uint64_t));
        end = access_word(word, (noise & 0x200) ? OWN_TAG | noise : 0, &seen);
        if (end == 0 && seen != 0 && (seen & TAG_MASK) != OWN_TAG)
            atomic_fetch_add(&violations, 1);
        atomic_fetch_add(end == SIGBUS ? &buses : &accesses, 1);
        if (end != 0 && end != SIGBUS)
            atomic_fetch_add(&violations, 1);
    }
    return NULL;
}

static atomic_bool dawdling;

/*
 * Delays between a lookup and the installation of its mapping, or before a revocation, so other
 * threads run there.
 */
static void dawdle(enum e2d_yield_kind kind, const volatile void *at)
{
    static atomic_uint turn;
    const struct timespec moment = {0, 50000};

    (void)at;
    if (kind == E2D_YIELD_CALLBACK && atomic_load(&dawdling) && atomic_fetch_add(&turn, 1) % 4 == 0)
        nanosleep(&moment, NULL);
}

static bool write_all(struct ext2dax_inode *inode, const void *page)
{
    for (unsigned i = 0; i < RACED_PAGES; i++)
        if (ext2dax_write(inode, i * PAGE, page, PAGE) != PAGE)
            return false;
    return true;
}

static unsigned count_hits(struct ext2dax_inode *inode)
{
    uint64_t tags[PAGE / 8];
    unsigned hits = 0;

    for (unsigned i = 0; i < RACED_PAGES; i++) {
        if (ext2dax_read(inode, i * PAGE, tags, PAGE) != PAGE)
            return 1;
        for (unsigned k = 0; k < PAGE / 8; k++)
            hits += tags[k] != THIEF_TAG;
    }
    return hits;
}

/*
 * Repeatedly frees blocks of the raced file and gives them to another file. Returns true if no
 * thread saw or changed a foreign block.
 */
static bool run_race(struct ext2dax_inode *file, struct ext2dax_inode *thief, unsigned rounds)
{
    uint64_t tags[PAGE / 8];
    pthread_t threads[3];
    uint32_t noise = 7;
    bool good = true;

    for (unsigned i = 0; i < PAGE / 8; i++)
        tags[i] = THIEF_TAG;
    atomic_store(&stop, false);
    violations = accesses = buses = 0;
    atomic_store(&dawdling, true);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, race, (void *)(i * 77 + 1));
    for (unsigned round = 0; good && (round < rounds || (buses == 0 && round < 100000)); round++) {
        uint64_t size;

        noise = noise * 1664525u + 1013904223u;
        size = (noise >> 8) % (RACED_PAGES * PAGE) & ~7u; /* whole words */
        good = (round % 3 || ext2dax_punch(file, size, 5 * PAGE) == 0) && ext2dax_truncate(file, size) == 0;
        good = good && write_all(thief, tags) && (round % 4 || ext2dax_fsync(file) == 0) && count_hits(thief) == 0;
        good = good && ext2dax_truncate(thief, 0) == 0 && ext2dax_truncate(file, RACED_PAGES * PAGE) == 0;
        good = good && atomic_load(&violations) == 0;
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&dawdling, false);
    return good && violations == 0 && accesses > 0 && buses > 0;
}

START_TEST(nobody_sees_or_hits_another_files_blocks)
{
    struct mounted_options options = {.size = 8u << 20, .locks = lock_names[_i % 2], .max_mappings = _i < 2 ? 0 : 20};
    struct ext2dax_inode *file, *thief;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    catch_signals();
    e2dt_yield_hook = dawdle; /* set before any thread reads the hook */
    mounted_open(&m, &options);
    file = make_file(&m, "f", RACED_PAGES * PAGE);
    thief = make_file(&m, "g", 0);
    shared_at = map_file(&m, file, 0, RACED_PAGES * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert(run_race(file, thief, getenv("EXT2DAX_UNDER_VALGRIND") ? 5 : 60));
    unmap_file(&m, shared_at);
    ext2dax_inode_put(thief);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static const char *const mutants[] = {"DAX_SEM_FAULT", "DAX_SEM_TRUNCATE"};
static const char *mutant;

static void race_with_a_mutant(void)
{
    struct mounted_options options = {.size = 8u << 20};
    struct ext2dax_inode *file, *thief;

    catch_signals();
    e2dt_yield_hook = dawdle; /* set before any thread reads the hook */
    mounted_open(&m, &options);
    file = make_file(&m, "f", RACED_PAGES * PAGE);
    thief = make_file(&m, "g", 0);
    shared_at = map_file(&m, file, 0, RACED_PAGES * PAGE, EXT2DAX_MAP_WRITE);
    ext2dax_mutant_activate(mutant);
    child_exit(run_race(file, thief, 3000) ? 0 : 1);
}

START_TEST(the_race_notices_a_broken_core)
{
    if (getenv("EXT2DAX_UNDER_VALGRIND"))
        return; /* Valgrind runs only a single thread at a time */
    if (race_detector("a core without dax_sem, which races"))
        return;
    mutant = mutants[_i];
    ck_assert_int_ne(in_child(race_with_a_mutant), 1000);
}
END_TEST

/* ---- fsync and freeze ---- */

static atomic_uint persisted_pages;
static _Atomic(uint8_t *) watched;

/*
 * Counts write-backs which cover the watched byte, in place of the image's own op. Does not need
 * the image's own ctx.
 */
static int count_persist(void *ctx, const void *at, size_t length)
{
    const uint8_t *from = at, *here = watched;

    (void)ctx;
    if (here >= from && here < from + length)
        persisted_pages++;
    return 0;
}

START_TEST(fsync_protects_writes_back_and_asks_again)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .persist = count_persist};
    struct mounted_options options = {.memory_ops = &ops, .order = EXT2DAX_ORDERED};
    struct ext2dax_process_counters before;
    struct ext2dax_run run;
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, &options);
    file = make_file(&m, "f", 16 * PAGE);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    poke(at + 5 * PAGE, 1);
    ck_assert_int_eq(ext2dax_map(file, 5, 1, &run), 0);
    watched = (uint8_t *)m.memory.base + run.physical * PAGE;
    for (unsigned round = 0; round < 3; round++) {
        before = count(&m);
        /* already writable in the first round, write-protected by fsync in later rounds */
        poke(at + 5 * PAGE, (uint8_t)(round + 2));
        ck_assert(!SHOWS_STORES || count(&m).traps - before.traps == (round > 0));
        persisted_pages = 0;
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_gt(persisted_pages, 0);
        ck_assert_uint_gt(count(&m).protections, before.protections);
        persisted_pages = 0;
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_eq(persisted_pages, 0); /* nothing new to write back */
        ck_assert_uint_eq(peek(at + 5 * PAGE), round + 2);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static atomic_bool stored;

static void *store_one(void *at)
{
    poke(at, 0x5F);
    atomic_store(&stored, true);
    return NULL;
}

START_TEST(a_store_waits_while_frozen)
{
    struct ext2dax_inode *file;
    pthread_t thread;
    uint8_t *at, *more;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 16 * PAGE);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    poke(at, 1);
    ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
    atomic_store(&stored, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, store_one, at), 0);
    ck_assert_uint_eq(peek(at), 1);
    ck_assert_uint_eq(peek(at + PAGE), 0);
    usleep(30000);
    ck_assert(!atomic_load(&stored));
    ck_assert_uint_eq(peek(at), 1);
    /* A waiting store does not hold the lock of the list of mappings. */
    more = map_file(&m, file, 0, PAGE, 0);
    ck_assert_uint_eq(peek(more), 1);
    unmap_file(&m, more);
    ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(peek(at), 0x5F);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: real faults", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, a_mapping_is_the_file);
    tcase_add_test(tcase, truncate_and_punch_revoke);
    tcase_add_loop_test(tcase, no_store_is_lost_in_a_hole, 0, 2);
    tcase_add_loop_test(tcase, nobody_sees_or_hits_another_files_blocks, 0, 4);
    tcase_add_loop_test(tcase, the_race_notices_a_broken_core, 0, (int)(sizeof(mutants) / sizeof(mutants[0])));
    tcase_add_test(tcase, fsync_protects_writes_back_and_asks_again);
    tcase_add_test(tcase, a_store_waits_while_frozen);
    return run_suite(suite);
}
