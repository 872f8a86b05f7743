/* SPDX-License-Identifier: MIT */
/*
 * Runs many threads on a few files through mappings of this process (see ../stress/stress.h). Every
 * fault is real.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ext2dax/hosted/lock.h"

#include "mounted.h"
#include "fault_method.h"

#include "../stress/stress.h"
#include "../runner.h"

#define PAGES 1100u /* two whole PMD ranges and a part */
/* loads 1 of this many words, because they share a page and each access costs two system calls */
#define EVERY 16u

static struct mounted m;
static uint64_t seed;

/* The last run has so few mappings that pages not accessed lately are evicted all the time. */
static const struct mounted_options runs[] = {
    {.size = 12u << 20, .locks = "atomic_ops", .order = EXT2DAX_UNORDERED},
    {.size = 12u << 20, .locks = "pthread", .order = EXT2DAX_ORDERED},
    {.size = 12u << 20, .locks = "atomic_ops", .order = EXT2DAX_ORDERED, .max_mappings = 64},
};
#define RUNS (sizeof runs / sizeof runs[0])

static void *map_whole(struct ext2dax_inode *inode, bool shared)
{
    unsigned flags = EXT2DAX_MAP_WRITE | (shared ? 0 : EXT2DAX_MAP_PRIVATE);
    void *at;

    return ext2dax_process_map(m.process, inode, 0, PAGES * (uint64_t)PAGE, flags, &at) == 0 ? at : NULL;
}

static void unmap_whole(void *at)
{
    unmap_file(&m, at);
}

/* A SIGBUS is the end of file. Any other signal is an error. */
static enum ext2dax_fault_result result_of(int number)
{
    return number == 0 ? EXT2DAX_FAULT_NOPAGE : number == SIGBUS ? EXT2DAX_FAULT_SIGBUS : EXT2DAX_FAULT_FALLBACK;
}

static enum ext2dax_fault_result load(void *map, uint64_t offset, uint64_t *words, size_t count, bool huge)
{
    int number = 0;

    (void)huge;
    for (size_t i = 0; i < count && number == 0; i += EVERY)
        number = access_word((volatile uint64_t *)map + offset / 8 + i, 0, &words[i]);
    return result_of(number);
}

static enum ext2dax_fault_result store(void *map, uint64_t offset, uint64_t word, bool huge)
{
    uint64_t seen;

    (void)huge;
    return result_of(access_word((volatile uint64_t *)map + offset / 8, word, &seen));
}

/* Copies whole words, as a processor does. */
static void copy(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / 8; i++)
        __atomic_store_n((uint64_t *)to + i, __atomic_load_n((const uint64_t *)from + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}

static uint64_t free_blocks(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(m.mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

START_TEST(many_threads)
{
    struct stress_space space = {.page = PAGE,
                                 .pages = PAGES,
                                 .map = map_whole,
                                 .unmap = unmap_whole,
                                 .load = load,
                                 .store = store,
                                 .copy = copy};
    struct ext2dax_process_counters counters;
    uint64_t free_at_first;
    unsigned long done;

    if (!ext2dax_locks_by_name(runs[_i].locks).ops)
        return;
    catch_signals();
    mounted_open(&m, &runs[_i]);
    free_at_first = free_blocks();
    space.mount = m.mount;
    space.root = m.root;
    done = stress_run(&space, stress_seconds(3) / (double)RUNS, seed + (unsigned)_i);
    ck_assert_uint_eq(free_blocks(), free_at_first);
    counters = count(&m);
    ck_assert_uint_gt(counters.traps, 0);
    mounted_close(&m);
    printf("%s, %s: %lu operations, %lu faults, %lu slabs evicted\n", runs[_i].locks,
           runs[_i].order == EXT2DAX_ORDERED ? "ordered" : "unordered", done, (unsigned long)counters.traps,
           (unsigned long)counters.evicted);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *cases;

    if (left_out_method())
        return SKIPPED;
    seed = stress_seed();
    suite = suite_create("threads and mappings");
    cases = add_case(suite, "many threads", stress_seconds(3) * 4 + 60);
    tcase_add_loop_test(cases, many_threads, 0, (int)RUNS);
    return run_suite(suite);
}
