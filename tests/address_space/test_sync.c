/* SPDX-License-Identifier: MIT */
/*
 * Tests the calls which lead from an address of a mapping to its file, and make a range of
 * addresses durable. The memory plug keeps the bytes which survive a power cut.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"
#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../runner.h"

#define SIZE       (16u << 20)
#define PMD_RANGES 3u
#define OLD        0x55

static struct mounted m;

/* ---- memory with a power cut ---- */

static uint8_t durable[SIZE];
static atomic_uint written_back; /* the resolver thread of userfaultfd stores metadata, too */
static bool failing;
static void (*in_write_back)(void); /* called in each write-back */

static int keep(void *ctx, const void *at, size_t length)
{
    const struct mounted *mounted = ctx;

    if (failing)
        return -EXT2DAX_EIO;
    atomic_fetch_add(&written_back, 1);
    if (in_write_back)
        in_write_back();
    memcpy(durable + ((const uint8_t *)at - (const uint8_t *)mounted->memory.base), at, length);
    return 0;
}

static int keep_order(void *ctx)
{
    (void)ctx;
    return 0;
}

static void open_all(void)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .persist = keep, .fence = keep_order};
    struct mounted_options options = {.size = SIZE, .order = EXT2DAX_ORDERED, .memory_ops = &ops};

    failing = false;
    in_write_back = NULL;
    mounted_open(&m, &options);
    memcpy(durable, m.memory.base, SIZE);
}

/* Makes a file of PMD_RANGES PMD ranges of OLD, durable. */
static struct ext2dax_inode *make_old(const char *name)
{
    struct ext2dax_inode *file = make_file(&m, name, 0);

    fill(file, 0, PMD_RANGES * HUGE, OLD);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    return file;
}

/* Returns the byte of the file as left by a power cut at this moment. */
static uint8_t durable_byte(const struct ext2dax_inode *file, uint64_t offset)
{
    uint32_t block = ext2dax_check_block(durable, SIZE, file->number, offset / PAGE);

    ck_assert_uint_ne(block, 0);
    return durable[(size_t)block * PAGE + offset % PAGE];
}

static int sync_range(const void *at, size_t length)
{
    return ext2dax_process_sync(m.process, at, length);
}

/* ---- process_find ---- */

static void must_find(const void *at, const struct ext2dax_inode *file, uint64_t offset, uint64_t length)
{
    struct ext2dax_inode *inode;
    uint64_t found_offset, found_length;

    ck_assert_int_eq(ext2dax_process_find(m.process, at, &inode, &found_offset, &found_length), 0);
    ck_assert_ptr_eq(inode, file);
    ck_assert_uint_eq(found_offset, offset);
    ck_assert_uint_eq(found_length, length);
}

static void must_not_find(const void *at)
{
    struct ext2dax_inode *inode = m.root;
    uint64_t offset = 1, length = 1;

    ck_assert_int_eq(ext2dax_process_find(m.process, at, &inode, &offset, &length), -EXT2DAX_ENOENT);
    ck_assert_ptr_null(inode);
    ck_assert_uint_eq(offset, 0);
    ck_assert_uint_eq(length, 0);
}

START_TEST(an_address_leads_to_its_file)
{
    struct ext2dax_inode *a, *b, *inode;
    uint64_t offset, length;
    uint8_t *at, *copy, *rest;

    open_all();
    a = make_old("a");
    b = make_file(&m, "b", 10 * PAGE);
    must_not_find(&m);
    must_not_find(NULL);
    at = map_file(&m, a, 3 * PAGE, 2 * PAGE + 1, EXT2DAX_MAP_WRITE);
    copy = map_file(&m, b, 0, PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    rest = map_file(&m, b, 5 * PAGE, 20 * PAGE, 0);
    /* The length is rounded up to whole pages. */
    must_find(at, a, 3 * PAGE, 3 * PAGE);
    must_find(at + PAGE + 7, a, 4 * PAGE + 7, 2 * PAGE - 7);
    must_find(at + 3 * PAGE - 1, a, 6 * PAGE - 1, 1);
    must_not_find(at - 1);
    must_not_find(at + 3 * PAGE);
    must_find(copy + 1, b, 1, PAGE - 1);
    must_not_find(copy + PAGE);
    /* Past the end of the file a mapping is a mapping. */
    must_find(rest + 19 * PAGE, b, 24 * PAGE, PAGE);
    must_not_find(rest + 20 * PAGE);
    /* The inode outlives its mapping with a reference taken before. */
    ck_assert_int_eq(ext2dax_process_find(m.process, at, &inode, &offset, &length), 0);
    ext2dax_inode_hold(inode);
    ext2dax_inode_put(a);
    unmap_file(&m, at);
    must_not_find(at);
    ck_assert_uint_eq(byte_of(inode, 0), OLD);
    ext2dax_inode_put(inode);
    unmap_file(&m, copy);
    unmap_file(&m, rest);
    must_not_find(rest);
    ext2dax_inode_put(b);
    mounted_close(&m);
}
END_TEST

/* ---- process_sync ---- */

START_TEST(only_the_range_becomes_durable)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    open_all();
    file = make_old("f");
    at = map_file(&m, file, PAGE, PMD_RANGES * HUGE - PAGE, EXT2DAX_MAP_WRITE);
    for (uint8_t turn = 1; turn < 4; turn++) {
        uint8_t old = turn == 1 ? OLD : (uint8_t)(turn - 1);

        /* A page is write-protected after each turn, so the next store is noticed. */
        for (unsigned mapping = 0; mapping < PMD_RANGES; mapping++)
            poke(at + mapping * HUGE, turn);
        ck_assert_uint_eq(durable_byte(file, PAGE), old);
        /* An address in the middle of the second PMD range of the file. */
        ck_assert_int_eq(sync_range(at + HUGE + 17, 1), 0);
        ck_assert_uint_eq(durable_byte(file, PAGE), old);
        ck_assert_uint_eq(durable_byte(file, HUGE + PAGE), turn);
        ck_assert_uint_eq(durable_byte(file, 2 * HUGE + PAGE), old);
        /* The last byte of the first PMD range of the file. The mapping begins inside of it. */
        ck_assert_int_eq(sync_range(at + HUGE - PAGE - 1, 1), 0);
        ck_assert_uint_eq(durable_byte(file, PAGE), turn);
        ck_assert_uint_eq(durable_byte(file, 2 * HUGE + PAGE), old);
        ck_assert_int_eq(sync_range(at, PMD_RANGES * HUGE - PAGE), 0);
        ck_assert_uint_eq(durable_byte(file, 2 * HUGE + PAGE), turn);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* As msync(), the call makes the mapped part of a range durable, and reports the rest. */
START_TEST(addresses_of_no_mapping)
{
    struct ext2dax_inode *files[2];
    uint8_t *at[2], *low, *high;
    size_t both;

    open_all();
    files[0] = make_old("a");
    files[1] = make_file(&m, "b", PAGE);
    fill(files[1], 0, PAGE, OLD);
    ck_assert_int_eq(ext2dax_fsync(files[1]), 0);
    at[0] = map_file(&m, files[0], 0, PAGE, EXT2DAX_MAP_WRITE);
    at[1] = map_file(&m, files[1], 0, PAGE, EXT2DAX_MAP_WRITE);
    low = at[0] < at[1] ? at[0] : at[1];
    high = at[0] < at[1] ? at[1] : at[0];
    both = (size_t)(high - low) + PAGE;
    for (int i = 0; i < 2; i++)
        poke(at[i], 1);
    /* None of these covers a mapped byte. */
    ck_assert_int_eq(sync_range(low, 0), 0);
    ck_assert_int_eq(sync_range(&m, 0), 0);
    ck_assert_int_eq(sync_range(&m, 1), -EXT2DAX_ENOMEM);
    ck_assert_int_eq(sync_range(low - 1, 1), -EXT2DAX_ENOMEM);
    ck_assert_int_eq(sync_range(low + PAGE, 1), -EXT2DAX_ENOMEM);
    ck_assert_int_eq(sync_range(low, SIZE_MAX), -EXT2DAX_ENOMEM);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(durable_byte(files[i], 0), OLD);
    /* A hole before, between and after the mappings. */
    ck_assert_int_eq(sync_range(low - 1, 2), -EXT2DAX_ENOMEM);
    ck_assert_uint_eq(durable_byte(files[low == at[1]], 0), 1);
    ck_assert_uint_eq(durable_byte(files[low == at[0]], 0), OLD);
    for (int i = 0; i < 2; i++)
        poke(at[i], 2);
    ck_assert_int_eq(sync_range(low, both), -EXT2DAX_ENOMEM);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_eq(durable_byte(files[i], 0), 2);
    poke(high, 3);
    ck_assert_int_eq(sync_range(high + PAGE - 1, 2), -EXT2DAX_ENOMEM);
    ck_assert_uint_eq(durable_byte(files[high == at[1]], 0), 3);
    /* Each mapping by itself has no hole. */
    for (int i = 0; i < 2; i++) {
        poke(at[i], 4);
        ck_assert_int_eq(sync_range(at[i], PAGE), 0);
        ck_assert_uint_eq(durable_byte(files[i], 0), 4);
    }
    for (int i = 0; i < 2; i++) {
        unmap_file(&m, at[i]);
        ck_assert_int_eq(sync_range(at[i], PAGE), -EXT2DAX_ENOMEM);
        ext2dax_inode_put(files[i]);
    }
    mounted_close(&m);
}
END_TEST

START_TEST(private_mappings_are_skipped)
{
    struct ext2dax_inode *file;
    uint8_t *shared, *copy, *reading;
    unsigned before;

    open_all();
    file = make_old("f");
    shared = map_file(&m, file, 0, HUGE, EXT2DAX_MAP_WRITE);
    reading = map_file(&m, file, 0, HUGE, 0);
    copy = map_file(&m, file, 0, HUGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    poke(shared, 1);
    poke(copy + PAGE, 2);
    before = written_back;
    ck_assert_int_eq(sync_range(copy, HUGE), 0);
    ck_assert_uint_eq(written_back, before);
    ck_assert_uint_eq(durable_byte(file, 0), OLD);
    ck_assert_int_eq(sync_range(reading, 1), 0);
    ck_assert_uint_eq(durable_byte(file, 0), 1);
    ck_assert_uint_eq(durable_byte(file, PAGE), OLD);
    ck_assert_uint_eq(peek(copy + PAGE), 2);
    unmap_file(&m, copy);
    unmap_file(&m, reading);
    unmap_file(&m, shared);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* The first failure ends the call, and wins over a hole. */
START_TEST(a_failed_write_back_is_told)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    open_all();
    file = make_old("f");
    at = map_file(&m, file, 0, HUGE, EXT2DAX_MAP_WRITE);
    poke(at, 1);
    failing = true;
    ck_assert_int_eq(sync_range(at, HUGE + 1), -EXT2DAX_EIO);
    failing = false;
    ck_assert_uint_eq(durable_byte(file, 0), OLD);
    ck_assert_int_eq(sync_range(at, HUGE), -EXT2DAX_EIO);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    ext2dax_inode_put(m.root);
    ck_assert_int_eq(ext2dax_unmount(m.mount), -EXT2DAX_EIO);
    ck_assert_int_eq(ext2dax_process_close(m.process), 0);
    ext2dax_host_close(&m.host);
    ext2dax_memory_close_file(&m.memory);
}
END_TEST

/* ---- beside other threads ---- */

static sem_t begun, unmapped;
static uint8_t *mapping;
static bool waited;

/* Lets the other thread remove the mapping in the middle of the first write-back. */
static void wait_for_unmap(void)
{
    struct timespec end;

    if (waited)
        return;
    waited = true;
    sem_post(&begun);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    while (sem_timedwait(&unmapped, &end) != 0 && errno == EINTR)
        ;
}

static void *unmap_it(void *done)
{
    sem_wait(&begun);
    unmap_file(&m, mapping);
    *(bool *)done = true;
    sem_post(&unmapped);
    return NULL;
}

/*
 * No lock of the process object is held during a write-back. The file has no name, and its last
 * reference is the call's own.
 */
START_TEST(a_mapping_may_go_during_the_write_back)
{
    struct ext2dax_statfs before, after;
    struct ext2dax_inode *file;
    bool done = false;
    pthread_t thread;

    open_all();
    ext2dax_statfs(m.mount, &before, sizeof(before));
    file = make_old("f");
    mapping = map_file(&m, file, 0, HUGE, EXT2DAX_MAP_WRITE);
    poke(mapping, 1);
    ck_assert_int_eq(ext2dax_unlink(m.root, "f", 1), 0);
    ext2dax_inode_put(file);
    waited = false;
    sem_init(&begun, 0, 0);
    sem_init(&unmapped, 0, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, unmap_it, &done), 0);
    in_write_back = wait_for_unmap;
    ck_assert_int_eq(sync_range(mapping, HUGE), 0);
    ck_assert_msg(done, "the mapping could not be removed during the write-back");
    in_write_back = NULL;
    pthread_join(thread, NULL);
    ck_assert_int_eq(sync_range(mapping, HUGE), -EXT2DAX_ENOMEM);
    ext2dax_statfs(m.mount, &after, sizeof(after));
    ck_assert_uint_eq(after.free_blocks, before.free_blocks);
    ck_assert_uint_eq(after.free_inodes, before.free_inodes);
    sem_destroy(&begun);
    sem_destroy(&unmapped);
    mounted_close(&m);
}
END_TEST

static void ask_in_child(void)
{
    struct ext2dax_inode *file, *inode;
    uint64_t offset, length;
    pid_t child;
    int status;
    void *at;

    open_all();
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, PAGE, 0);
    child = fork();
    if (child == 0)
        _exit(ext2dax_process_find(m.process, at, &inode, &offset, &length) == -EXT2DAX_EINVAL && !inode &&
                      sync_range(at, PAGE) == -EXT2DAX_EINVAL
                  ? 0
                  : 1);
    waitpid(child, &status, 0);
    child_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

START_TEST(a_child_is_refused)
{
    ck_assert_int_eq(in_child(ask_in_child), 1000);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    /* The kernel orders the resolver thread before the access, which a race detector cannot see. */
    if (by_userfaultfd() && race_detector("copies of the image in the resolver thread"))
        return SKIPPED;
    tcase = mounted_case("address space: sync", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, an_address_leads_to_its_file);
    tcase_add_test(tcase, only_the_range_becomes_durable);
    tcase_add_test(tcase, addresses_of_no_mapping);
    tcase_add_test(tcase, private_mappings_are_skipped);
    tcase_add_test(tcase, a_failed_write_back_is_told);
    tcase_add_test(tcase, a_mapping_may_go_during_the_write_back);
    if (!by_userfaultfd() || !race_detector("mappings of a child whose parent has threads"))
        tcase_add_test(tcase, a_child_is_refused);
    return run_suite(suite);
}
