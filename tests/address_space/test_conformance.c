/* SPDX-License-Identifier: MIT */
/* Tests the contract of the address-space plug, op by op, over every backend. */
#include <check.h>
#include <stdlib.h>

#include "ext2dax/hosted/process.h"
#include "ext2dax/testkit/model.h"

#include "../runner.h"
#include "plug.h"
#include "fault_method.h"

static const struct backend *const backends[] = {&process_backend, &model_backend};
#define BACKENDS ((int)(sizeof(backends) / sizeof(backends[0])))

static struct plug plug;
static struct ext2dax_inode file, other;

#define NOPAGE   EXT2DAX_FAULT_NOPAGE
#define FALLBACK EXT2DAX_FAULT_FALLBACK

/*
 * Checks the state of the pages from `first` on, a letter per page (see shows()). Page p maps block
 * p + shift.
 */
#define ck_shows(view, first, shift, expected)                                                                         \
    do {                                                                                                               \
        const char *expected_ = (expected);                                                                            \
        for (uint64_t i_ = 0; expected_[i_]; i_++) {                                                                   \
            char found_ = shows((view), (first) + i_, (first) + i_ + (shift));                                         \
            ck_assert_msg(found_ == expected_[i_], "%s: page %u shows '%c', not '%c'", plug.backend->name,             \
                          (unsigned)((first) + i_), found_, expected_[i_]);                                            \
        }                                                                                                              \
    } while (0)

static void start(int backend)
{
    plug_open(&plug, backends[backend], 0);
}

static void finish(int complaints)
{
    if (plug.backend == &model_backend)
        ck_assert_int_eq(ext2dax_model_complaints(plug.object), complaints);
    plug_close(&plug);
}

START_TEST(map_enters_the_run_and_nothing_else)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 32, true, true);
    ck_shows(&view, 0, 100, "nnnnnnnn");
    ck_assert_int_eq(enter_data(&view, 4, 2, 5, 102, false), NOPAGE);
    ck_shows(&view, 0, 100, "nnrrrrrnn");
    ck_assert_int_eq(enter_data(&view, 20, 20, 1, 120, true), NOPAGE);
    ck_shows(&view, 19, 100, "nwn");
    plug.backend->write(&view, 20, 5, 77);
    ck_assert_uint_eq(*image_at(&plug, 120, 5), 77);
    *image_at(&plug, 103, 9) = 88;
    ck_assert_uint_eq(plug.backend->read(&view, 3, 9), 88);
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(map_clips_to_the_mapping)
{
    struct view low, high;

    start(_i);
    low = view_open(&plug, &file, 6, 4, true, true);
    high = view_open(&plug, &file, 10, 6, true, true);
    ck_assert_int_eq(enter_data(&low, 8, 0, 32, 200, false), NOPAGE);
    ck_shows(&low, 8, 200, "rr");
    ck_shows(&high, 10, 200, "nnnnnn");
    ck_assert_int_eq(enter_data(&high, 12, 0, 32, 200, false), NOPAGE);
    ck_shows(&high, 12, 200, "rrrr");
    view_close(&high);
    ck_shows(&low, 8, 200, "rr");
    view_close(&low);
    finish(0);
}
END_TEST

START_TEST(map_refuses_what_is_not_its_own)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 8, 8, true, true);
    ck_assert_int_eq(enter_data(&view, 7, 7, 1, 7, false), FALLBACK);
    ck_assert_int_eq(enter_data(&view, 16, 16, 1, 16, false), FALLBACK);
    ck_assert_int_eq(enter_data(&view, 9, 10, 2, 10, false), FALLBACK);
    ck_shows(&view, 8, 0, "nnnnnnnn");
    view_close(&view);
    finish(3);
}
END_TEST

START_TEST(map_never_weakens)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 16, true, true);
    ck_assert_int_eq(enter_data(&view, 3, 3, 1, 103, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 5, 5, 2, 105, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 1, 0, 16, 100, false), NOPAGE);
    ck_shows(&view, 0, 100, "rrrwrwwrr");
    ck_assert_int_eq(enter_data(&view, 3, 0, 16, 100, false), NOPAGE);
    ck_shows(&view, 0, 100, "rrrwrwwrr");
    plug.backend->write(&view, 6, 1, 9);
    ck_assert_uint_eq(*image_at(&plug, 106, 1), 9);
    /* A writable mapping replaces a read-only one, even in the middle of a run. */
    ck_assert_int_eq(enter_data(&view, 4, 2, 3, 102, true), NOPAGE);
    ck_shows(&view, 0, 100, "rrwwwwwrr");
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(a_zero_page_over_data_is_not_entered)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 16, true, true);
    ck_assert_int_eq(enter_data(&view, 3, 3, 1, 103, false), NOPAGE);
    ck_assert_int_eq(enter_zero(&view, 1, 0, 8), NOPAGE);
    ck_shows(&view, 0, 100, "zzzrzzzzn");
    view_close(&view);
    finish(1); /* the model complains about a zero page over a page mapped as data */
}
END_TEST

START_TEST(map_again_is_nothing)
{
    struct ext2dax_process_counters before = {.size = sizeof(before)}, after = before;
    struct view view, private;

    start(_i);
    view = view_open(&plug, &file, 0, 16, true, true);
    private = view_open(&plug, &file, 0, 16, false, true);
    ck_assert_int_eq(enter_data(&view, 2, 0, 6, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 7, 7, 1, 107, true), NOPAGE);
    ck_assert_int_eq(enter_zero(&view, 8, 8, 2), NOPAGE);
    ck_assert_int_eq(enter_copy(&private, 4, 104), NOPAGE);
    plug.backend->write(&private, 4, 5, 55);
    if (plug.backend == &process_backend)
        ext2dax_process_count(plug.object, &before);
    ck_assert_int_eq(enter_data(&view, 2, 0, 6, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 7, 7, 1, 107, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 7, 7, 1, 107, false), NOPAGE);
    ck_assert_int_eq(enter_zero(&view, 8, 8, 2), NOPAGE);
    ck_assert_int_eq(enter_copy(&private, 4, 104), NOPAGE);
    ck_shows(&view, 0, 100, "rrrrrrnwzzn");
    ck_assert_uint_eq(plug.backend->read(&private, 4, 5), 55);
    if (plug.backend == &process_backend) {
        ext2dax_process_count(plug.object, &after);
        ck_assert_uint_eq(after.mapped, before.mapped);
        ck_assert_uint_eq(after.revoked, before.revoked);
    }
    view_close(&private);
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(zero_pages_read_as_zero_and_give_way)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 16, true, true);
    ck_assert_int_eq(enter_zero(&view, 2, 0, 6), NOPAGE);
    ck_shows(&view, 0, 100, "zzzzzzn");
    ck_assert_int_eq(enter_data(&view, 3, 3, 1, 103, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 1, 0, 2, 100, false), NOPAGE);
    ck_shows(&view, 0, 100, "rrzwzzn");
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(a_private_copy_is_complete_and_kept)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 16, false, true);
    ck_assert_int_eq(enter_data(&view, 2, 0, 6, 100, false), NOPAGE);
    ck_assert_int_eq(enter_copy(&view, 3, 103), NOPAGE);
    ck_shows(&view, 0, 100, "rrrwrrn");
    *image_at(&plug, 103, 0) = 99;
    ck_shows(&view, 3, 100, "w");
    plug.backend->write(&view, 3, 8, 11);
    ck_assert_uint_eq(*image_at(&plug, 103, 8), 0);
    *image_at(&plug, 103, 0) = mark_of(103);

    ck_assert_int_eq(enter_copy(&view, 9, UINT64_MAX), NOPAGE);
    ck_shows(&view, 9, 100, "Z");
    plug.backend->write(&view, 9, 0, 12);
    ck_assert_uint_eq(plug.backend->read(&view, 9, 0), 12);

    /* No data, zero page or huge mapping replaces a private copy. */
    ck_assert_int_eq(enter_data(&view, 2, 0, 6, 100, false), NOPAGE);
    ck_assert_int_eq(enter_zero(&view, 10, 8, 8), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, 5, 96, false), FALLBACK);
    ck_assert_uint_eq(plug.backend->read(&view, 3, 8), 11);
    ck_assert_uint_eq(plug.backend->read(&view, 9, 0), 12);

    unmap(&plug, &file, 0, 16, false);
    ck_shows(&view, 0, 100, "nnnwnnnnn");
    ck_assert_uint_eq(plug.backend->read(&view, 3, 8), 11);
    ck_assert_uint_eq(plug.backend->read(&view, 9, 0), 12);

    unmap(&plug, &file, 3, 1, true);
    ck_shows(&view, 0, 100, "nnnnnnnnn");
    unmap(&plug, &file, 8, UINT64_MAX, true);
    ck_shows(&view, 9, 100, "nn");
    ck_assert_int_eq(enter_copy(&view, 3, 103), NOPAGE);
    ck_assert_uint_eq(plug.backend->read(&view, 3, 8), 0);
    ck_assert_int_eq(enter_copy(&view, 9, UINT64_MAX), NOPAGE);
    ck_shows(&view, 9, 100, "Z");
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(a_private_mapping_never_stores_to_the_file)
{
    struct view view;

    start(_i);
    view = view_open(&plug, &file, 0, 16, false, true);
    ck_assert_int_eq(enter_data(&view, 2, 2, 4, 102, false), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, 9, 200, false), NOPAGE);
    ck_shows(&view, 2, 100, "rrrr");
    ck_shows(&view, 8, 192, "rrrrrrrr");
    ck_assert_int_eq(enter_copy(&view, 12, 204), NOPAGE);
    ck_shows(&view, 8, 192, "rrrrwrrr");
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(unmap_takes_every_mapping_of_the_inode)
{
    struct view whole, part, foreign, private;

    start(_i);
    whole = view_open(&plug, &file, 0, 32, true, true);
    part = view_open(&plug, &file, 5, 10, true, false);
    private = view_open(&plug, &file, 0, 32, false, true);
    foreign = view_open(&plug, &other, 0, 32, true, true);
    ck_assert_int_eq(enter_data(&whole, 5, 0, 32, 100, true), NOPAGE);
    ck_assert_int_eq(enter_data(&part, 6, 0, 32, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&private, 6, 0, 32, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&foreign, 5, 0, 32, 300, true), NOPAGE);

    unmap(&plug, &file, 6, 3, false);
    ck_shows(&whole, 0, 100, "wwwwwwnnnwwwwwww");
    ck_shows(&part, 5, 100, "rnnnrrrrrr");
    ck_shows(&private, 0, 100, "rrrrrrnnnrrrrrr");
    ck_shows(&foreign, 0, 300, "wwwwwwwwwwww");
    unmap(&plug, &file, 6, 3, true);
    unmap(&plug, &file, 12, UINT64_MAX, true);
    ck_shows(&whole, 8, 100, "nwwwnnnnnnnn");
    ck_shows(&part, 10, 100, "rrnnn");
    unmap(&plug, &file, 0, 1, true);
    unmap(&plug, &file, 40, 8, true);
    unmap(&plug, &file, UINT64_MAX, 1, true);
    ck_shows(&whole, 0, 100, "nwwwwwn");
    ck_shows(&foreign, 0, 300, "wwwwwwwwwwww");
    /* Unmapped pages can be mapped again, with other blocks too. */
    ck_assert_int_eq(enter_data(&whole, 7, 7, 1, 500, true), NOPAGE);
    ck_assert_int_eq(shows(&whole, 7, 500), 'w');
    view_close(&foreign);
    view_close(&private);
    view_close(&part);
    view_close(&whole);
    finish(0);
}
END_TEST

START_TEST(protect_reports_what_was_writable)
{
    struct view view, second, private;
    uint64_t run = 99;

    start(_i);
    view = view_open(&plug, &file, 0, 32, true, true);
    second = view_open(&plug, &file, 8, 16, true, true);
    private = view_open(&plug, &file, 0, 32, false, true);
    ck_assert_uint_eq(protect(&plug, &file, 0, UINT64_MAX, &run), 0);
    ck_assert_int_eq(enter_data(&view, 0, 0, 32, 100, false), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 4, 4, 3, 104, true), NOPAGE);
    ck_assert_int_eq(enter_data(&view, 20, 20, 2, 120, true), NOPAGE);
    ck_assert_int_eq(enter_data(&second, 12, 12, 2, 112, true), NOPAGE);
    ck_assert_int_eq(enter_data(&second, 20, 20, 1, 120, true), NOPAGE);
    ck_assert_int_eq(enter_copy(&private, 2, 102), NOPAGE);

    ck_assert_uint_eq(protect(&plug, &other, 0, UINT64_MAX, &run), 0);
    ck_assert_uint_eq(protect(&plug, &file, 0, 4, &run), 0);
    ck_shows(&view, 0, 100, "rrrrwwwr");
    ck_assert_uint_eq(protect(&plug, &file, 0, UINT64_MAX, &run), 3);
    ck_assert_uint_eq(run, 4);
    ck_shows(&view, 0, 100, "rrrrrrrr");
    ck_assert_uint_eq(protect(&plug, &file, 7, 25, &run), 2);
    ck_assert_uint_eq(run, 12);
    ck_shows(&second, 11, 100, "nrrn");
    /* Bounded by the count, and over both mappings. */
    ck_assert_uint_eq(protect(&plug, &file, 14, 7, &run), 1);
    ck_assert_uint_eq(run, 20);
    ck_shows(&view, 19, 100, "rrwr");
    ck_shows(&second, 20, 100, "r");
    ck_assert_uint_eq(protect(&plug, &file, 21, UINT64_MAX, &run), 1);
    ck_assert_uint_eq(run, 21);
    ck_assert_uint_eq(protect(&plug, &file, 0, UINT64_MAX, &run), 0);
    ck_shows(&private, 2, 100, "w");
    /* A protected page can become writable again. */
    ck_assert_int_eq(enter_data(&view, 5, 5, 1, 105, true), NOPAGE);
    ck_shows(&view, 4, 100, "rwr");
    view_close(&private);
    view_close(&second);
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(huge_takes_the_whole_pmd_range)
{
    struct view view, narrow;
    /*
     * By `userfaultfd`, a PMD range mapped as a whole is unmapped instead of write-protected. The
     * next access maps the whole range again.
     */
    bool given_up = backends[_i] == &process_backend && by_userfaultfd();
    uint64_t run;

    start(_i);
    view = view_open(&plug, &file, 0, 4 * HUGE, true, true);
    narrow = view_open(&plug, &file, 1, 2 * HUGE, true, true);
    ck_assert_int_eq(enter_zero(&view, HUGE + 2, HUGE, 3), NOPAGE);
    ck_assert_int_eq(enter_data(&view, HUGE + 4, HUGE + 4, 1, 20 * HUGE + 4, false), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, HUGE + 5, 20 * HUGE, true), NOPAGE);
    ck_shows(&view, HUGE, 19 * HUGE, "wwwwwwwwn");
    ck_shows(&view, HUGE - 1, 0, "n");
    ck_assert_int_eq(enter_huge(&view, HUGE + 5, 20 * HUGE, true), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, HUGE + 5, 20 * HUGE, false), NOPAGE);
    ck_shows(&view, HUGE, 19 * HUGE, "wwwwwwwwn");

    /* The mapping does not cover the whole PMD range. */
    ck_assert_int_eq(enter_huge(&narrow, 2, 20 * HUGE, false), FALLBACK);
    ck_assert_int_eq(enter_huge(&narrow, 2 * HUGE, 20 * HUGE, false), FALLBACK);
    ck_shows(&narrow, 1, 0, "nnn");
    ck_assert_int_eq(enter_huge(&narrow, HUGE, 20 * HUGE, false), NOPAGE);
    ck_shows(&narrow, HUGE, 19 * HUGE, "rrrrrrrrn");

    ck_assert_uint_eq(protect(&plug, &file, 0, UINT64_MAX, &run), HUGE);
    ck_assert_uint_eq(run, HUGE);
    ck_shows(&view, HUGE, 19 * HUGE, given_up ? "nnnnnnnnn" : "rrrrrrrrn");
    ck_assert_int_eq(enter_huge(&view, HUGE + 1, 20 * HUGE, true), NOPAGE);
    ck_assert_uint_eq(protect(&plug, &file, HUGE + 2, 2, &run), 2);
    ck_shows(&view, HUGE, 19 * HUGE, given_up ? "wwnnwwwwn" : "wwrrwwwwn");

    /* Unmapping a part leaves the rest mapped. */
    unmap(&plug, &file, HUGE + 6, 1, true);
    ck_shows(&view, HUGE, 19 * HUGE, given_up ? "wwnnwwnwn" : "wwrrwwnwn");
    ck_shows(&narrow, HUGE, 19 * HUGE, "rrrrrrnrn");
    unmap(&plug, &file, HUGE, HUGE, false);
    ck_shows(&view, HUGE, 19 * HUGE, "nnnnnnnnn");
    /* A writable page inside the PMD range refuses a read-only huge mapping with FALLBACK. */
    ck_assert_int_eq(enter_data(&view, HUGE + 4, HUGE + 4, 1, 20 * HUGE + 4, true), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, HUGE + 5, 20 * HUGE, false), FALLBACK);
    ck_shows(&view, HUGE, 19 * HUGE, "nnnnwnnnn");
    view_close(&narrow);
    view_close(&view);
    finish(0);
}
END_TEST

START_TEST(a_read_only_mapping_stays_one)
{
    struct view view;
    uint64_t run;

    start(_i);
    view = view_open(&plug, &file, 3, 21, true, false);
    ck_assert_int_eq(enter_data(&view, 5, 3, 10, 103, true), NOPAGE);
    ck_assert_int_eq(enter_huge(&view, 17, 200, true), NOPAGE);
    ck_shows(&view, 3, 100, "rrrrrrrrrrn");
    ck_shows(&view, 16, 184, "rrrrrrr");
    ck_assert_uint_eq(protect(&plug, &file, 0, UINT64_MAX, &run), 0);
    view_close(&view);
    finish(0);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (left_out_method())
        return SKIPPED;
    suite = suite_create("address space: conformance");
    tcase = add_case(suite, "every backend", 30);
    tcase_add_loop_test(tcase, map_enters_the_run_and_nothing_else, 0, BACKENDS);
    tcase_add_loop_test(tcase, map_clips_to_the_mapping, 0, BACKENDS);
    tcase_add_loop_test(tcase, map_refuses_what_is_not_its_own, 0, BACKENDS);
    tcase_add_loop_test(tcase, map_never_weakens, 0, BACKENDS);
    tcase_add_loop_test(tcase, a_zero_page_over_data_is_not_entered, 0, BACKENDS);
    tcase_add_loop_test(tcase, map_again_is_nothing, 0, BACKENDS);
    tcase_add_loop_test(tcase, zero_pages_read_as_zero_and_give_way, 0, BACKENDS);
    tcase_add_loop_test(tcase, a_private_copy_is_complete_and_kept, 0, BACKENDS);
    tcase_add_loop_test(tcase, a_private_mapping_never_stores_to_the_file, 0, BACKENDS);
    tcase_add_loop_test(tcase, unmap_takes_every_mapping_of_the_inode, 0, BACKENDS);
    tcase_add_loop_test(tcase, protect_reports_what_was_writable, 0, BACKENDS);
    tcase_add_loop_test(tcase, huge_takes_the_whole_pmd_range, 0, BACKENDS);
    tcase_add_loop_test(tcase, a_read_only_mapping_stays_one, 0, BACKENDS);
    return run_suite(suite);
}
