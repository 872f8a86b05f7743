/* SPDX-License-Identifier: MIT */
/*
 * Runs many threads on a few files through the model address space (see ../stress/stress.h), and
 * threads which wait for a thaw.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "ext2dax/hosted/lock.h"

#include "../stress/stress.h"
#include "../runner.h"

#define PAGE       1024u
#define FILE_PAGES 160u

static struct core_fixture fixture;
static uint64_t seed;

/* ---- stress runs ---- */

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

static void *map_file(struct ext2dax_inode *inode, bool shared)
{
    return ext2dax_model_map(fixture.model, inode, 0, FILE_PAGES, shared, true);
}

static void unmap_file(void *map)
{
    ext2dax_model_unmap(map);
}

static enum ext2dax_fault_result load(void *map, uint64_t offset, uint64_t *words, size_t count, bool huge)
{
    return ext2dax_model_read(map, offset, words, count * 8, huge, true);
}

static enum ext2dax_fault_result store(void *map, uint64_t offset, uint64_t word, bool huge)
{
    return ext2dax_model_write(map, offset, &word, 8, huge, true);
}

static void returned(void)
{
    ext2dax_lock_order_returned(fixture.order);
}

START_TEST(many_threads)
{
    struct core_fixture_options options = {.size = 400 << 10,
                                           .block_size = PAGE,
                                           .page_shift = 10,
                                           .huge_order = 3,
                                           .order = runs[_i].order,
                                           .locks = runs[_i].locks};
    struct stress_space space = {.page = PAGE,
                                 .pages = FILE_PAGES,
                                 .map = map_file,
                                 .unmap = unmap_file,
                                 .load = load,
                                 .store = store,
                                 .copy = core_fixture_copy,
                                 .returned = returned};
    uint64_t free_at_first;
    unsigned long done;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    core_fixture_open(&fixture, &options);
    free_at_first = core_fixture_free_blocks(&fixture);
    space.mount = fixture.mount;
    space.root = fixture.root;
    done = stress_run(&space, stress_seconds(3) / (double)RUNS, seed + (unsigned)_i);
    ck_assert_uint_eq(fixture.reports, 0);
    core_fixture_check(&fixture);
    ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_at_first);
    core_fixture_close(&fixture);
    printf("%s, %s: %lu operations\n", options.locks, options.order == EXT2DAX_ORDERED ? "ordered" : "unordered", done);
}
END_TEST

/* ---- faults after a thaw ---- */

static atomic_bool thawed;
static atomic_uint retries;

/* A fault begun after ext2dax_thaw() has returned must not return RETRY. */
static void *fault_through_a_thaw(void *arg)
{
    struct ext2dax_fault fault;
    const unsigned enough = getenv("EXT2DAX_UNDER_VALGRIND") ? 30 : 300;
    unsigned after = 0;

    while (after < enough) {
        bool begun_after = atomic_load(&thawed);

        ext2dax_model_fault(arg, after % 8, true, &fault);
        after += begun_after;
        if (ext2dax_fault(&fault) != EXT2DAX_FAULT_RETRY)
            continue;
        atomic_fetch_add(&retries, begun_after);
        ext2dax_wait_thaw(fixture.mount);
    }
    return NULL;
}

START_TEST(who_waited_for_thaw_waits_no_more)
{
    struct core_fixture_options options = {.size = 256 << 10,
                                           .block_size = PAGE,
                                           .page_shift = 10,
                                           .huge_order = 3,
                                           .locks = _i == 0 ? "atomic_ops" : "pthread"};
    struct ext2dax_inode *file;
    struct ext2dax_model_map *map;
    struct timespec pause = {0, 10000000};
    pthread_t threads[2 * STRESS_THREADS];
    unsigned retried;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
    ck_assert_int_eq(ext2dax_truncate(file, 8 * PAGE), 0);
    map = ext2dax_model_map(fixture.model, file, 0, 8, true, true);
    atomic_store(&thawed, false);
    atomic_store(&retries, 0);
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), 0);
    for (unsigned i = 0; i < 2 * STRESS_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fault_through_a_thaw, map), 0);
    nanosleep(&pause, NULL);
    ck_assert_int_eq(ext2dax_thaw(fixture.mount), 0);
    atomic_store(&thawed, true);
    for (unsigned i = 0; i < 2 * STRESS_THREADS; i++)
        pthread_join(threads[i], NULL);
    retried = atomic_load(&retries);
    ck_assert_uint_eq(retried, 0);
    core_fixture_check(&fixture);
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threads");
    TCase *cases = add_case(suite, "many threads", stress_seconds(3) * 4 + 60);

    seed = stress_seed();
    tcase_add_loop_test(cases, many_threads, 0, (int)RUNS);
    tcase_add_loop_test(cases, who_waited_for_thaw_waits_no_more, 0, 2);
    return run_suite(suite);
}
