/* SPDX-License-Identifier: MIT */
/*
 * Tests files of more extents than may be mapped at once, and files too large to map as a whole.
 * With the argument "all", a file has more extents than the kernel grants mappings to a process.
 * The test fragments the free space first. A file takes all blocks, and then every other block is
 * punched.
 */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../emulated.h"
#include "../runner.h"

#define MOST_EXTENTS 100000u /* more than the kernel's default limit of mappings */
#define FEW_EXTENTS  8000u
#define SWEEPERS     2u
#define STEPS        40u

static struct mounted m;
static unsigned extents; /* of the fragmented file, a page each */

/* Returns the word at the start of a page, different for every page and every file. */
static uint64_t word_of(uint64_t page, unsigned file)
{
    return 0x9E3779B97F4A7C15u * (page + 1) ^ file;
}

static void write_word(struct ext2dax_inode *file, uint64_t page, uint64_t word)
{
    ck_assert_int_eq(ext2dax_write(file, page * PAGE, &word, sizeof(word)), sizeof(word));
}

static struct ext2dax_inode *fragmented_file(struct ext2dax_inode **rest)
{
    struct ext2dax_inode *file;

    *rest = make_file(&m, "rest", 0);
    ck_assert_int_eq(ext2dax_allocate(*rest, 0, (uint64_t)(2 * extents + 2) * PAGE, false), 0);
    /* Takes the free blocks elsewhere, so only the punched blocks are left. */
    file = make_file(&m, "scraps", 0);
    for (uint64_t page = 0; ext2dax_allocate(file, page * PAGE, PAGE, false) == 0; page++)
        ;
    ext2dax_inode_put(file);
    for (uint64_t page = 0; page < extents; page++)
        ck_assert_int_eq(ext2dax_punch(*rest, (2 * page + 1) * PAGE, PAGE), 0);
    file = make_file(&m, "f", 0);
    /* pointer blocks need some blocks */
    for (uint64_t page = 0; page < extents - extents / 64; page++)
        write_word(file, page, word_of(page, 0));
    return file;
}

static unsigned extents_of(struct ext2dax_inode *file, uint64_t pages)
{
    struct ext2dax_run run;
    unsigned found = 0;

    for (uint64_t page = 0; page < pages; page += run.length, found++)
        ck_assert_int_eq(ext2dax_map(file, page, pages - page, &run), 0);
    return found;
}

static size_t kernel_mappings(void)
{
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    static char text[65536];
    size_t lines = 0;
    ssize_t got;

    ck_assert_int_ge(maps, 0);
    while ((got = read(maps, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < got; i++)
            lines += text[i] == '\n';
    close(maps);
    return lines;
}

static size_t limit_of_mappings(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    size_t limit = 65530;

    if (file) {
        ck_assert_int_eq(fscanf(file, "%zu", &limit), 1);
        fclose(file);
    }
    return limit;
}

static uint64_t pages_of(struct ext2dax_inode *file)
{
    struct ext2dax_stat stat;

    ext2dax_stat(file, &stat, sizeof(stat));
    return stat.size / PAGE;
}

/* ---- swept while the file shrinks ---- */

static volatile uint64_t *shown;
static _Atomic uint64_t low, high; /* bounds of the file's size, in pages */
static atomic_bool stop;
static atomic_uint violations, buses, loads;

static void *sweep(void *arg)
{
    uint64_t most = atomic_load(&high), stride = 1 + 2 * (uint64_t)(uintptr_t)arg;

    for (uint64_t i = 0; !atomic_load(&stop); i = (i + stride) % most) {
        uint64_t seen = 0;
        int end = access_word(shown + i * (PAGE / 8), 0, &seen);

        if (end == 0 && seen != word_of(i, 0))
            atomic_fetch_add(&violations, 1);
        if ((end != 0 && end != SIGBUS) || (end == SIGBUS && i < atomic_load(&low)))
            atomic_fetch_add(&violations, 1);
        atomic_fetch_add(end ? &buses : &loads, 1);
    }
    return NULL;
}

static void shrink_while_swept(struct ext2dax_inode *file, uint64_t pages)
{
    struct ext2dax_inode *thief = make_file(&m, "thief", 0);
    uint64_t taken = 0, word;
    pthread_t threads[SWEEPERS];

    atomic_store(&low, pages);
    atomic_store(&high, pages);
    atomic_store(&stop, false);
    atomic_store(&violations, 0);
    for (size_t i = 0; i < SWEEPERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sweep, (void *)i), 0);
    for (unsigned step = 1; step <= STEPS; step++) {
        uint64_t to = pages - pages * step / STEPS;

        atomic_store(&low, to);
        ck_assert_int_eq(ext2dax_truncate(file, to * PAGE), 0);
        /* A thread which still sees a freed block reads this word. */
        for (; taken + 64 < pages - to; taken++)
            write_word(thief, taken, word_of(taken, 1));
        sched_yield();
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < SWEEPERS; i++)
        pthread_join(threads[i], NULL);
    for (uint64_t page = 0; page < taken; page++) {
        ck_assert_int_eq(ext2dax_read(thief, page * PAGE, &word, sizeof(word)), sizeof(word));
        ck_assert_uint_eq(word, word_of(page, 1));
    }
    printf("truncated while swept: %u loads, %u SIGBUSes, %u violations\n", atomic_load(&loads), atomic_load(&buses),
           atomic_load(&violations));
    ck_assert_uint_eq(atomic_load(&violations), 0);
    ck_assert_uint_gt(atomic_load(&loads), 0);
    ck_assert_uint_gt(atomic_load(&buses), 0);
    ext2dax_inode_put(thief);
}

START_TEST(more_extents_than_mappings)
{
    struct mounted_options options = {.size = ((uint64_t)2 * extents + extents / 8 + 2000) * PAGE};
    size_t before, most = 0, limit = limit_of_mappings();
    struct ext2dax_inode *file, *rest;
    uint64_t pages, wrong = 0;

    if (extents < MOST_EXTENTS)
        options.max_mappings = extents / 4;
    catch_signals();
    mounted_open(&m, &options);
    file = fragmented_file(&rest);
    pages = pages_of(file);
    ck_assert_uint_ge(extents_of(file, pages), pages - pages / 100);
    before = kernel_mappings();
    shown = map_file(&m, file, 0, pages * PAGE, EXT2DAX_MAP_WRITE);
    for (uint64_t page = 0; page < pages; page++) {
        wrong += shown[page * (PAGE / 8)] != word_of(page, 0);
        if (page % (pages / 8) == pages / 8 - 1 && kernel_mappings() > most)
            most = kernel_mappings();
    }
    ck_assert_uint_eq(wrong, 0);
    printf("%u extents swept: %zu kernel mappings at most, of which %zu were there before; %" PRIuPTR
           " slabs evicted\n",
           extents_of(file, pages), most, before, count(&m).evicted);
    ck_assert_uint_gt(count(&m).evicted, 0);
    ck_assert_uint_lt(most, (options.max_mappings ? options.max_mappings : limit / 2) + before + 16);
    ck_assert_uint_lt(most, limit);
    shrink_while_swept(file, pages);
    unmap_file(&m, (void *)(uintptr_t)shown);
    ext2dax_inode_put(file);
    ext2dax_inode_put(rest);
    mounted_close(&m);
}
END_TEST

START_TEST(private_copies_outlive_eviction)
{
    struct mounted_options options = {.size = 24u << 20, .max_mappings = 64};
    struct ext2dax_inode *file, *rest;
    volatile uint64_t *at, *shared;
    uint64_t pages, word;

    extents = 2000;
    mounted_open(&m, &options);
    file = fragmented_file(&rest);
    pages = pages_of(file);
    at = map_file(&m, file, 0, pages * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    shared = map_file(&m, file, 0, pages * PAGE, EXT2DAX_MAP_WRITE);
    for (uint64_t page = 0; page < pages; page++) {
        if (page % 3 == 0)
            at[page * (PAGE / 8)] = word_of(page, 2);
        ck_assert_uint_eq(shared[page * (PAGE / 8)], word_of(page, 0));
    }
    ck_assert_uint_gt(count(&m).evicted, 0);
    /* Pages without a private copy show the stores of others. */
    for (uint64_t page = 0; page < pages; page++)
        shared[page * (PAGE / 8)] = word_of(page, 3);
    for (uint64_t page = pages; page-- > 0;)
        ck_assert_uint_eq(at[page * (PAGE / 8)], word_of(page, page % 3 ? 3 : 2));
    for (uint64_t page = 0; page < pages; page++) {
        ck_assert_int_eq(ext2dax_read(file, page * PAGE, &word, sizeof(word)), sizeof(word));
        ck_assert_uint_eq(word, word_of(page, 3));
    }
    unmap_file(&m, (void *)(uintptr_t)shared);
    unmap_file(&m, (void *)(uintptr_t)at);
    ext2dax_inode_put(file);
    ext2dax_inode_put(rest);
    mounted_close(&m);
}
END_TEST

/* ---- a terabyte, a mapping at a time ---- */

#define MAPPING_BYTES ((uint64_t)64 << 20)

START_TEST(mappings_move_over_a_terabyte)
{
    const uint64_t size = (uint64_t)1 << 40, far = size / 61 / PAGE * PAGE;
    struct ext2dax_inode *file;
    uint64_t word;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", size);
    for (uint64_t i = 0; i < 60; i++)
        write_word(file, i * far / PAGE, word_of(i, 0));
    for (uint64_t i = 0; i < 60; i++) {
        /*
         * Each mapping begins at some page before the word, and some mappings reach past the end.
         */
        uint64_t from = i * far > 5000 * PAGE ? i * far - (i * 83 % 5000) * PAGE : 0;
        uint8_t *at = map_file(&m, file, from, MAPPING_BYTES, EXT2DAX_MAP_WRITE);
        volatile uint64_t *there = (volatile uint64_t *)(at + (i * far - from));

        ck_assert_uint_eq(((uintptr_t)at ^ from) & (HUGE - 1), 0);
        ck_assert_uint_eq(there[0], word_of(i, 0));
        ck_assert_uint_eq(there[PAGE / 8], 0);
        there[PAGE / 8 + 1] = word_of(i, 1);
        unmap_file(&m, at);
        ck_assert_int_eq(ext2dax_read(file, i * far + PAGE + 8, &word, 8), 8);
        ck_assert_uint_eq(word, word_of(i, 1));
    }
    /* The last page of the file, and the page after the end. */
    write_word(file, size / PAGE - 1, word_of(60, 0));
    shown = map_file(&m, file, size - PAGE, MAPPING_BYTES, EXT2DAX_MAP_WRITE);
    ck_assert_uint_eq(shown[0], word_of(60, 0));
    ck_assert_int_eq(access_byte((const volatile uint8_t *)shown + PAGE, true), SIGBUS);
    unmap_file(&m, (void *)(uintptr_t)shown);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* ---- mappings which leave little room below the limit ---- */

#define MANY_MAPPINGS 40

/*
 * A load across a page boundary needs both pages present at once. It succeeds even if the mappings
 * alone take nearly the limit or more.
 */
START_TEST(a_load_across_pages_ends_among_many_mappings)
{
    /*
     * By `userfaultfd` each mapping takes two kernel mappings. On 32-bit targets, each has
     * addresses of its own, a single kernel mapping.
     */
    unsigned each = by_userfaultfd() ? 2 : sizeof(size_t) == 4;
    struct mounted_options options = {.max_mappings = each * MANY_MAPPINGS + (by_userfaultfd() ? 28 : 16)};
    struct ext2dax_inode *file, *rest;
    void *mappings[MANY_MAPPINGS];
    uint64_t word = 0;

    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", 0);
    rest = make_file(&m, "r", 0);
    for (uint64_t page = 0; page < 8; page++) {
        write_word(file, page, word_of(page, 0));
        write_word(rest, page, word_of(page, 0));
    }
    for (unsigned i = 0; i < MANY_MAPPINGS; i++)
        mappings[i] = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned i = 0; i < MANY_MAPPINGS; i++) {
        memcpy(&word, (char *)mappings[i] + (1 + i % 7) * PAGE - 4, sizeof(word));
        __asm__ volatile("" : : "r"(&word) : "memory");
    }
    for (unsigned i = 0; i < MANY_MAPPINGS; i++)
        unmap_file(&m, mappings[i]);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* ---- fork during faults of other threads ---- */

#define FORKED_PAGES 64u

static void *store_and_load(void *arg)
{
    unsigned noise = (unsigned)(uintptr_t)arg;

    while (!atomic_load(&stop)) {
        uint64_t seen;
        int end;

        noise = noise * 1664525u + 1013904223u;
        end = access_word(shown + (noise >> 12) % FORKED_PAGES * (PAGE / 8) + 1, noise & 0x400 ? 7 : 0, &seen);
        if ((end != 0 && end != SIGBUS) || (end == 0 && seen != 0 && seen != 7))
            atomic_fetch_add(&violations, 1);
    }
    return NULL;
}

static void *change(void *arg)
{
    struct ext2dax_inode *file = arg;

    while (!atomic_load(&stop)) {
        if (ext2dax_punch(file, 5 * PAGE, 20 * PAGE) != 0 || ext2dax_fsync(file) != 0 ||
            ext2dax_truncate(file, FORKED_PAGES / 2 * PAGE) != 0 || ext2dax_truncate(file, FORKED_PAGES * PAGE) != 0)
            atomic_fetch_add(&violations, 1);
    }
    return NULL;
}

/* Runs in a child. No system call can read a page of the mapping, and an access ends the child. */
static void child_accesses(unsigned page)
{
    int pipes[2];

    if (pipe(pipes) != 0)
        _exit(3);
    for (unsigned i = 0; i < FORKED_PAGES; i++)
        if (write(pipes[1], (const void *)(uintptr_t)(shown + i * (PAGE / 8)), 1) != -1)
            _exit(4);
    (void)shown[page * (PAGE / 8)];
    _exit(5);
}

START_TEST(a_child_has_no_mapping_whatever_others_do)
{
    struct ext2dax_inode *file;
    pthread_t threads[3];
    int status;

    if (race_detector("fork beside other threads"))
        return;
    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", FORKED_PAGES * PAGE);
    shown = map_file(&m, file, 0, FORKED_PAGES * PAGE, EXT2DAX_MAP_WRITE);
    atomic_store(&stop, false);
    atomic_store(&violations, 0);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, store_and_load, (void *)(i + 1)), 0);
    ck_assert_int_eq(pthread_create(&threads[2], NULL, change, file), 0);
    for (unsigned round = 0; round < 150; round++) {
        pid_t child = fork();

        if (child == 0) {
            alarm(60);
            child_accesses(round % FORKED_PAGES);
        }
        ck_assert_int_gt(child, 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        /*
         * The library's handler passes the signal on to the handler of catch_signals(), which exits
         * with 99 outside access_byte().
         */
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&violations), 0);
    unmap_file(&m, (void *)(uintptr_t)shown);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tcase;
    bool all = argc == 2 && strcmp(argv[1], "all") == 0;

    if (left_out_emulated("page faults of this process, which it resolves in its own way") || left_out_method())
        return SKIPPED;
    if (getenv("EXT2DAX_UNDER_VALGRIND"))
        return skip("Valgrind has no time for so many page faults, and has mappings of its own");
    extents = FEW_EXTENTS;
    if (all)
        extents = MOST_EXTENTS + MOST_EXTENTS / 50; /* some blocks become pointer blocks */
    suite = suite_create("address space: fragmented and huge files");
    tcase = add_case(suite, "process", 100);
    tcase_add_test(tcase, a_load_across_pages_ends_among_many_mappings);
    tcase_add_test(tcase, more_extents_than_mappings);
    if (!all) {
        tcase_add_test(tcase, private_copies_outlive_eviction);
        tcase_add_test(tcase, mappings_move_over_a_terabyte);
        tcase_add_test(tcase, a_child_has_no_mapping_whatever_others_do);
    }
    return run_suite(suite);
}
