/* SPDX-License-Identifier: MIT */
/*
 * Tests the kernel's limits for a process. Covers the number of mappings, inheritance by a child,
 * and the addresses of a mapping.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/hosted/process.h"

#include "maps.h"
#include "plug.h"
#include "fault_method.h"
#include "process_vmas.h"
#include "race_detector.h"
#include "../emulated.h"
#include "../runner.h"

static struct plug plug;
static struct ext2dax_inode file, other;

#define NOPAGE EXT2DAX_FAULT_NOPAGE

/* Returns the kernel's mappings in this range. Counts the accessible ones in *open. */
static unsigned kernel_mappings(const void *at, size_t bytes, unsigned *open)
{
    static struct maps maps;
    unsigned found = 0;

    *open = 0;
    for (maps_open(&maps); maps_next(&maps);) {
        if (maps.high <= (uintptr_t)at || maps.low >= (uintptr_t)at + bytes)
            continue;
        found++;
        *open += maps.readable && !maps.absent;
    }
    return found;
}

static struct ext2dax_process_counters counters(void)
{
    struct ext2dax_process_counters now = {.size = sizeof(now)};

    ext2dax_process_count(plug.object, &now);
    return now;
}

START_TEST(live_mappings_are_capped)
{
    const size_t caps[] = {1, 16, 40, 100};
    unsigned open, entered = 0;
    struct view view, second;

    /*
     * Slow lookups of a page reduce the number of caps tested. At least one of the caps causes
     * evictions.
     */
    unsigned few = getenv("EXT2DAX_UNDER_VALGRIND") || emulated() ? 3 : by_userfaultfd() ? 2 : 0;

    for (unsigned c = few; c < (few == 2 ? 3 : sizeof(caps) / sizeof(caps[0])); c++) {
        plug_open(&plug, &process_backend, caps[c]);
        view = view_open(&plug, &file, 3, 400, true, true);
        second = view_open(&plug, &other, 0, 400, true, true);
        /* Each page has a different block, no two blocks are contiguous, and there are gaps. */
        for (unsigned i = 0; i < 390; i++) {
            uint64_t page = 3 + i * 7 % 390, block = 1 + page * 2;

            ck_assert_int_eq(enter_data(&view, page, page, 1, block, i & 1), NOPAGE);
            ck_assert_int_eq(shows(&view, page, block), i & 1 ? 'w' : 'r');
            if (i % 3 == 0) {
                ck_assert_int_eq(enter_zero(&second, page, page, 1), NOPAGE);
                ck_assert_int_eq(shows(&second, page, 0), 'z');
            }
            ck_assert_int_eq(shows(&view, page, block), i & 1 ? 'w' : 'r');
            ck_assert_uint_le(kernel_mappings(view.handle, 401 * PAGE, &open) +
                                  kernel_mappings(second.handle, 401 * PAGE, &open),
                              by_userfaultfd() && caps[c] < 24 ? 24
                              : caps[c] < 16                   ? 16
                                                               : caps[c]);
        }
        for (uint64_t page = 3; page < 393; page++) {
            char seen = shows(&view, page, 1 + page * 2);

            ck_assert(seen == 'n' || seen == 'r' || seen == 'w');
            entered += seen != 'n';
        }
        ck_assert_uint_gt(entered, 0);
        ck_assert_uint_gt(counters().evicted, 0);
        unmap(&plug, &file, 0, UINT64_MAX, true);
        unmap(&plug, &other, 0, UINT64_MAX, true);
        kernel_mappings(view.handle, 401 * PAGE, &open);
        ck_assert_uint_eq(open, 0);
        view_close(&second);
        view_close(&view);
        plug_close(&plug);
    }
}
END_TEST

/* Returns the page mapped in the k-th turn. Each page lies in a PMD range of its own. */
static uint64_t page_in_turn(unsigned k)
{
    return (uint64_t)(k * 7 % 50) * HUGE + 3;
}

START_TEST(the_slab_entered_first_goes_first)
{
    unsigned oldest = 0;
    struct view view;

    plug_open(&plug, &process_backend, 40);
    view = view_open(&plug, &file, 0, 50 * HUGE, true, true);
    for (unsigned k = 0; k < 50; k++) {
        uint64_t page = page_in_turn(k);

        ck_assert_int_eq(enter_data(&view, page, page, 1, page * 2, true), NOPAGE);
        /*
         * Eviction is in order of the first mapping. Every page mapped before the oldest one
         * present is gone, and no later page is gone.
         */
        while (oldest < k && shows(&view, page_in_turn(oldest), page_in_turn(oldest) * 2) == 'n')
            oldest++;
        for (unsigned i = 0; i <= k; i++)
            ck_assert_int_eq(shows(&view, page_in_turn(i), page_in_turn(i) * 2), i < oldest ? 'n' : 'w');
        /* A second page in a mapped PMD range does not make the range younger. */
        for (unsigned i = 0; k == 10 && i < 3; i++) {
            uint64_t again = page_in_turn(i) + 2;

            ck_assert_int_eq(enter_data(&view, again, again, 1, again * 2, true), NOPAGE);
        }
    }
    ck_assert_uint_gt(oldest, 20);
    ck_assert_uint_eq(counters().evicted, oldest);
    view_close(&view);
    plug_close(&plug);
}
END_TEST

START_TEST(the_record_counts_what_the_kernel_has)
{
    struct ext2dax_process *process;
    struct view view;
    unsigned noise = 1;
    size_t found;

    plug_open(&plug, &process_backend, 100000);
    process = plug.object;
    view = view_open(&plug, &file, 5, 300, false, true);
    for (unsigned i = 0; i < (emulated() ? 60 : getenv("EXT2DAX_UNDER_VALGRIND") ? 300 : 1500); i++) {
        uint64_t page, length, run;

        noise = noise * 1664525u + 1013904223u;
        page = 5 + (noise >> 8) % 300;
        length = 1 + (noise >> 20) % 9;
        switch (noise >> 29) {
        case 0:
        case 1:
            unmap(&plug, &file, page, length, noise & 0x100);
            break;
        case 2:
            protect(&plug, &file, page, length, &run);
            break;
        case 3:
            enter_copy(&view, page, page);
            break;
        case 4:
            enter_zero(&view, page, page, length);
            break;
        default:
            enter_data(&view, page, page, length, page, false);
        }
        ck_assert(e2dh_vmas_are_right(process, false, &found));
        /* The kernel may have merged mappings which the record counts separately. */
        ck_assert_uint_le(process->vmas - process->spare_held, 2 * found + 2);
    }
    view_close(&view);
    ck_assert_uint_eq(process->vmas, 0);
    plug_close(&plug);
}
END_TEST

START_TEST(private_copies_survive_eviction)
{
    struct view view;

    plug_open(&plug, &process_backend, 16);
    view = view_open(&plug, &file, 0, 300, false, true);
    for (uint64_t page = 0; page < 300; page += 2) {
        ck_assert_int_eq(enter_copy(&view, page, page), NOPAGE);
        *((volatile uint8_t *)view.handle + page * PAGE + 100) = (uint8_t)(page / 2);
    }
    ck_assert_uint_gt(counters().evicted, 0);
    /*
     * A plain load. The handler maps an evicted copy again without a call of the core, which knows
     * no such file here.
     */
    for (uint64_t page = 0; page < 300; page += 2) {
        ck_assert_uint_eq(*((volatile uint8_t *)view.handle + page * PAGE + 100), (uint8_t)(page / 2));
        ck_assert_uint_eq(*((volatile uint8_t *)view.handle + page * PAGE), mark_of(page));
    }
    /* The copy stays visible after any request to map other data there. */
    unmap(&plug, &file, 0, UINT64_MAX, false);
    ck_assert_int_eq(enter_data(&view, 0, 0, 300, 0, false), NOPAGE);
    ck_assert_uint_eq(*((volatile uint8_t *)view.handle + 100), 0);
    ck_assert_uint_eq(*((volatile uint8_t *)view.handle + 50 * PAGE + 100), 25);
    unmap(&plug, &file, 0, UINT64_MAX, true);
    ck_assert_int_eq(enter_data(&view, 50, 50, 1, 50, false), NOPAGE);
    ck_assert_uint_eq(*((volatile uint8_t *)view.handle + 50 * PAGE + 100), 0);
    view_close(&view);
    plug_close(&plug);
}
END_TEST

START_TEST(at_the_kernels_limit_nothing_stays_that_was_taken_away)
{
    struct view view, private;
    uint64_t run = 0;
    size_t bytes;
    void *filler;
    bool failed;

    if (getenv("EXT2DAX_UNDER_VALGRIND") || left_out_emulated("the kernel's limit of mappings, which it needs too"))
        return; /* Valgrind has a far lower limit of its own */
    if (race_detector("the kernel's limit of mappings, which it needs too"))
        return;
    plug_open(&plug, &process_backend, 0);
    view = view_open(&plug, &file, 0, 300, true, true);
    private = view_open(&plug, &file, 0, 300, false, true);
    ck_assert_int_eq(enter_data(&view, 0, 0, 300, 100, true), NOPAGE);
    ck_assert_int_eq(enter_copy(&private, 7, 107), NOPAGE);
    *((volatile uint8_t *)private.handle + 7 * PAGE + 9) = 42;
    filler = use_up(&bytes);
    failed = filler == NULL;
    if (!failed) {
        ck_assert_uint_eq(protect(&plug, &file, 20, 3, &run), 3);
        ck_assert_uint_eq(run, 20);
        for (uint64_t page = 20; page < 23; page++)
            ck_assert(shows(&view, page, page + 100) != 'w');
        unmap(&plug, &file, 0, UINT64_MAX, false);
        ck_assert_int_eq(enter_data(&view, 0, 0, 300, 100, true), NOPAGE);
        unmap(&plug, &file, 33, 1, true);
        ck_assert_int_eq(shows(&view, 33, 133), 'n');
        unmap(&plug, &file, 150, 2, true);
        ck_assert_int_eq(shows(&view, 150, 250), 'n');
        ck_assert_int_eq(shows(&view, 151, 251), 'n');
        munmap(filler, bytes);
    }
    if (failed)
        fprintf(stderr, "SKIP: this kernel sets no limit to the mappings of a process that could be reached here\n");
    ck_assert_uint_eq(*((volatile uint8_t *)private.handle + 7 * PAGE + 9), 42);
    ck_assert_int_eq(enter_data(&view, 33, 33, 1, 133, true), NOPAGE);
    ck_assert_int_eq(shows(&view, 33, 133), 'w');
    view_close(&private);
    view_close(&view);
    plug_close(&plug);
}
END_TEST

/*
 * Uses the spare mappings first at the kernel's limit, then evicts the oldest pages. The spare
 * mappings also make up for a mapping which cannot be split.
 */
START_TEST(a_map_at_the_kernels_limit_gives_up_the_oldest)
{
    struct view view;
    size_t bytes, found;
    void *filler;

    if (getenv("EXT2DAX_UNDER_VALGRIND") || race_detector("the kernel's limit of mappings, which it needs too") ||
        left_out_emulated("the kernel's limit of mappings, which it needs too"))
        return;
    plug_open(&plug, &process_backend, 0);
    view = view_open(&plug, &file, 0, 300, true, true);
    for (uint64_t page = 0; page < 200; page += 2)
        ck_assert_int_eq(enter_data(&view, page, page, 1, 100 + page, true), NOPAGE);
    filler = use_up(&bytes);
    if (filler) {
        for (uint64_t page = 201; page < 209; page += 2) {
            ck_assert_int_eq(enter_data(&view, page, page, 1, 100 + page, true), NOPAGE);
            ck_assert_int_eq(shows(&view, 201, 301), 'w');
            ck_assert_int_eq(shows(&view, page, 100 + page), 'w');
        }
        for (uint64_t page = 210; page < 290; page += 2) {
            ck_assert_int_eq(enter_data(&view, page, page, 1, 100 + page, true), NOPAGE);
            ck_assert_int_eq(shows(&view, page, 100 + page), 'w');
        }
        ck_assert_int_eq(shows(&view, 0, 100), 'n');
        ck_assert(e2dh_vmas_are_right(plug.object, false, &found));
        munmap(filler, bytes);
    }
    view_close(&view);
    plug_close(&plug);
}
END_TEST

/*
 * Releases the spare mappings and takes all mappings of the kernel. With `more`, also takes the
 * last mapping granted without a split, so the kernel grants no mapping at all.
 */
static void *use_up_everything(size_t *bytes, bool more)
{
    struct ext2dax_process *process = plug.object;
    void *filler;

    e2dh_spare_release(process);
    process->spare_wanted = 0;
    filler = use_up(bytes);
    if (filler && more)
        go_beyond();
    return filler;
}

START_TEST(a_mapping_given_up_at_the_kernels_limit_serves_again)
{
    struct view view;
    size_t bytes, found;
    void *filler;

    if (getenv("EXT2DAX_UNDER_VALGRIND") || race_detector("the kernel's limit of mappings, which it needs too") ||
        left_out_emulated("the kernel's limit of mappings, which it needs too"))
        return;
    plug_open(&plug, &process_backend, 0);
    view = view_open(&plug, &file, 0, 300, true, true);
    for (uint64_t page = 10; page < 200; page += 2)
        ck_assert_int_eq(enter_data(&view, page, page, 1, 100 + page, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 220, 220, 60, 320, true), NOPAGE);
    filler = use_up_everything(&bytes, _i == 1);
    if (filler) {
        /*
         * The page is in the middle of a kernel mapping which cannot be split, so all pages are
         * unmapped.
         */
        unmap(&plug, &file, 250, 1, true);
        ck_assert_int_eq(shows(&view, 250, 350), 'n');
        ck_assert_int_eq(shows(&view, 10, 110), 'n');
        ck_assert(e2dh_vmas_are_right(plug.object, false, &found));
        if (_i == 1) {
            ck_assert_int_eq(enter_data(&view, 250, 250, 1, 350, true), EXT2DAX_FAULT_OOM);
            munmap(filler, bytes);
            filler = NULL;
        }
        ck_assert_int_eq(enter_data(&view, 250, 250, 1, 350, true), NOPAGE);
        ck_assert_int_eq(shows(&view, 250, 350), 'w');
        ck_assert_int_eq(enter_data(&view, 5, 5, 1, 105, true), NOPAGE);
        ck_assert_int_eq(shows(&view, 5, 105), 'w');
        ck_assert(e2dh_vmas_are_right(plug.object, false, &found));
        if (filler)
            munmap(filler, bytes);
    }
    view_close(&view);
    plug_close(&plug);
}
END_TEST

START_TEST(a_child_inherits_no_part_of_a_mapping)
{
    struct view view, private;
    uint64_t run;
    unsigned open;
    pid_t child;
    int status;

    if (left_out_emulated("what a child inherits: it ignores MADV_DONTFORK"))
        return;
    plug_open(&plug, &process_backend, 0);
    view = view_open(&plug, &file, 0, 64, true, true);
    private = view_open(&plug, &file, 0, 64, false, true);
    ck_assert_int_eq(enter_data(&view, 0, 0, 40, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 3, 3, 9, 103, true), NOPAGE);
    ck_assert_int_eq(enter_zero(&view, 50, 50, 5), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, 57, 200, true), NOPAGE);
    ck_assert_int_eq(enter_copy(&private, 7, 107), NOPAGE);
    protect(&plug, &file, 5, 2, &run);
    unmap(&plug, &file, 20, 5, false);
    child = fork();
    if (child == 0)
        _exit(kernel_mappings(view.handle, 64 * PAGE, &open) + kernel_mappings(private.handle, 64 * PAGE, &open) ? 1
                                                                                                                 : 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    view_close(&private);
    view_close(&view);
    plug_close(&plug);
}
END_TEST

START_TEST(a_mapping_lies_where_huge_pages_can)
{
    const unsigned huge = 9;
    const uintptr_t bytes = (uintptr_t)PAGE << huge;
    struct ext2dax_inode *found;
    void *address;

    plug_open(&plug, &process_backend, 0);
    for (uint64_t first = 0; first < 2000; first += 333) {
        ck_assert_int_eq(e2dh_process_add(plug.object, &file, 12, huge, first, 700, EXT2DAX_MAP_WRITE, &address), 0);
        ck_assert_uint_eq((uintptr_t)address % bytes, first * PAGE % bytes);
        ck_assert_ptr_nonnull(e2dh_process_find(plug.object, (uintptr_t)address));
        ck_assert_ptr_nonnull(e2dh_process_find(plug.object, (uintptr_t)address + 700 * PAGE - 1));
        ck_assert_ptr_null(e2dh_process_find(plug.object, (uintptr_t)address - 1));
        ck_assert_ptr_null(e2dh_process_find(plug.object, (uintptr_t)address + 700 * PAGE));
        ck_assert_int_eq(e2dh_process_remove(plug.object, (char *)address + PAGE, &found), -EXT2DAX_EINVAL);
        ck_assert_int_eq(e2dh_process_remove(plug.object, address, &found), 0);
    }
    ck_assert_int_eq(e2dh_process_add(plug.object, &file, 12, huge, 0, UINT64_MAX >> 12, 0, &address),
                     -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(e2dh_process_add(plug.object, &file, 12, huge, UINT64_MAX >> 12, 2, 0, &address),
                     -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(e2dh_process_add(plug.object, &file, 12, huge, 0, (uint64_t)1 << 40, 0, &address),
                     SIZE_MAX > 0xFFFFFFFFu ? -EXT2DAX_ENOMEM : -EXT2DAX_EOVERFLOW);
    plug_close(&plug);
}
END_TEST

START_TEST(many_mappings_are_told_apart)
{
    struct view views[50];

    plug_open(&plug, &process_backend, 0);
    for (unsigned i = 0; i < 50; i++)
        views[i] = view_open(&plug, i & 1 ? &file : &other, i, 3, true, true);
    ck_assert_int_eq(ext2dax_process_close(plug.object), -EXT2DAX_EBUSY);
    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(enter_data(&views[i], i + 1, i + 1, 1, 10 * i, true), NOPAGE);
    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(shows(&views[i], i + 1, 10 * i), 'w');
    unmap(&plug, &file, 0, UINT64_MAX, true);
    for (unsigned i = 0; i < 50; i++)
        ck_assert_int_eq(shows(&views[i], i + 1, 10 * i), i & 1 ? 'n' : 'w');
    for (unsigned i = 0; i < 50; i++)
        view_close(&views[i * 7 % 50]);
    plug_close(&plug);
}
END_TEST

START_TEST(an_older_callers_options_and_wrong_ones)
{
    struct ext2dax_process_options options = {.size = sizeof(options), .max_mappings = 16};
    struct ext2dax_memory heap;
    struct ext2dax_process *process;
    struct ext2dax_locks no_locks = {NULL, NULL};

    ck_assert_int_eq(ext2dax_memory_open_heap(1 << 20, &heap), 0);
    ck_assert_int_eq(ext2dax_process_open(&heap, ext2dax_locks_default(), &options, &process), -EXT2DAX_EINVAL);
    ck_assert_ptr_null(process);
    ext2dax_memory_close_heap(&heap);
    plug_open(&plug, &process_backend, 0);
    ck_assert_int_eq(ext2dax_process_open(&plug.memory, no_locks, &options, &process), -EXT2DAX_EINVAL);
    options.size = sizeof(options.size);
    ck_assert_int_eq(ext2dax_process_open(&plug.memory, ext2dax_locks_default(), &options, &process), 0);
    ck_assert_uint_gt(process->max_mappings, 24);
    ck_assert_int_eq(ext2dax_process_close(process), 0);
    ck_assert_int_eq(ext2dax_process_open(&plug.memory, ext2dax_locks_default(), NULL, &process), 0);
    ck_assert_int_eq(ext2dax_process_close(process), 0);
    plug_close(&plug);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (left_out_method())
        return SKIPPED;
    suite = suite_create("address space: limits");
    tcase = add_case(suite, "process", 60);
    tcase_add_test(tcase, live_mappings_are_capped);
    tcase_add_test(tcase, the_slab_entered_first_goes_first);
    tcase_add_test(tcase, the_record_counts_what_the_kernel_has);
    tcase_add_test(tcase, private_copies_survive_eviction);
    tcase_add_test(tcase, at_the_kernels_limit_nothing_stays_that_was_taken_away);
    tcase_add_test(tcase, a_map_at_the_kernels_limit_gives_up_the_oldest);
    tcase_add_loop_test(tcase, a_mapping_given_up_at_the_kernels_limit_serves_again, 0, 2);
    tcase_add_test(tcase, a_child_inherits_no_part_of_a_mapping);
    tcase_add_test(tcase, a_mapping_lies_where_huge_pages_can);
    tcase_add_test(tcase, many_mappings_are_told_apart);
    tcase_add_test(tcase, an_older_callers_options_and_wrong_ones);
    return run_suite(suite);
}
