/* SPDX-License-Identifier: MIT */
/* Tests which images the crashing memory hands out, and which it must not. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/crash.h"

#include "../runner.h"

#define BYTES 4096u

static struct ext2dax_memory memory;
static struct ext2dax_crash *crash;
static uint64_t *words;

/* The images handed out. Each is recorded by the low four bits of its first eight words. */
static struct {
    unsigned images, before, whole;
    uint64_t seen[4096]; /* the first eight words, a hex digit each */
    unsigned stop_after;
} handed;

static int keep(void *arg, const struct ext2dax_crash_state *state)
{
    const uint64_t *at = state->image;
    uint64_t digits = 0;

    (void)arg;
    for (int i = 7; i >= 0; i--)
        digits = digits << 4 | (at[i] & 15);
    handed.seen[handed.images++ % 4096] = digits;
    handed.before += state->before;
    handed.whole += state->whole;
    return handed.stop_after != 0 && handed.images >= handed.stop_after;
}

static bool was_handed(uint64_t digits)
{
    for (unsigned i = 0; i < handed.images && i < 4096; i++) {
        if (handed.seen[i] == digits)
            return true;
    }
    return false;
}

static unsigned distinct(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < handed.images && i < 4096; i++) {
        unsigned k = 0;

        while (handed.seen[k] != handed.seen[i])
            k++;
        count += k == i;
    }
    return count;
}

static void open_memory(unsigned line, unsigned all_up_to)
{
    struct ext2dax_crash_options options = {
        .size = sizeof options, .bytes = BYTES, .line = line, .all_up_to = all_up_to, .sample = 500, .seed = 7};

    ck_assert_int_eq(ext2dax_crash_open(&options, &memory, &crash), 0);
    words = memory.base;
    memset(&handed, 0, sizeof handed);
    ext2dax_crash_check(crash, keep, NULL);
}

static void close_memory(void)
{
    ext2dax_crash_close(crash);
}

static void persist(unsigned word, unsigned count)
{
    ck_assert_int_eq(memory.ops->persist(memory.ctx, &words[word], count * 8u), 0);
}

static unsigned fence(void)
{
    handed.images = handed.before = handed.whole = 0;
    ck_assert_int_eq(memory.ops->fence(memory.ctx), 0);
    return handed.images;
}

static unsigned point(void)
{
    handed.images = handed.before = handed.whole = 0;
    (void)ext2dax_crash_point(crash);
    return handed.images;
}

START_TEST(every_subset_of_what_was_stored)
{
    open_memory(8, 12);
    for (unsigned i = 0; i < 5; i++)
        words[i] = 1;
    persist(0, 5);
    ck_assert_uint_eq(fence(), 32);
    ck_assert_uint_eq(distinct(), 32);
    ck_assert_uint_eq(handed.whole, 1);
    ck_assert(was_handed(0) && was_handed(0x11111) && was_handed(0x10101));
    /* All words are durable now. A single image is left, and it was handed out before. */
    ck_assert_uint_eq(point(), 1);
    ck_assert_uint_eq(handed.before, 1);
    ck_assert(was_handed(0x11111));
    close_memory();
}
END_TEST

START_TEST(not_written_back_may_be_lost_for_ever)
{
    open_memory(8, 12);
    words[0] = 1;
    words[1] = 2;
    persist(1, 1);
    ck_assert_uint_eq(fence(), 4);
    ck_assert_uint_eq(fence(), 2);
    ck_assert(was_handed(0x20) && was_handed(0x21));
    persist(0, 1);
    ck_assert_uint_eq(fence(), 2); /* written back, but durable only after the fence */
    ck_assert_uint_eq(fence(), 1);
    ck_assert(was_handed(0x21));
    close_memory();
}
END_TEST

START_TEST(a_line_goes_back_whole)
{
    open_memory(64, 12);
    words[0] = 1;
    words[7] = 2;
    words[8] = 3;
    persist(3, 1);
    (void)fence();
    ck_assert_uint_eq(point(), 2);
    ck_assert(was_handed(0x20000001));
    close_memory();
}
END_TEST

START_TEST(every_value_since_the_durable_one)
{
    open_memory(8, 12);
    words[0] = 1;
    persist(0, 1);
    words[0] = 2; /* after the write-back, so the fence makes 1 or a later value durable */
    ext2dax_crash_look(crash);
    words[0] = 3;
    ck_assert_uint_eq(fence(), 4);
    ck_assert(was_handed(0) && was_handed(1) && was_handed(2) && was_handed(3));
    ck_assert_uint_eq(point(), 3);
    ck_assert(!was_handed(0));
    close_memory();
}
END_TEST

START_TEST(zeroes_are_written_back)
{
    open_memory(8, 12);
    words[2] = 5;
    persist(2, 1);
    (void)fence();
    words[2] = 6;
    ck_assert_int_eq(memory.ops->zero(memory.ctx, &words[2], 8), 0);
    ck_assert_uint_eq(words[2], 0);
    ck_assert_uint_eq(fence(), 3);
    ck_assert(was_handed(0x500) && was_handed(0x600) && was_handed(0));
    ck_assert_uint_eq(point(), 1);
    ck_assert(was_handed(0));
    close_memory();
}
END_TEST

START_TEST(too_many_are_drawn_from)
{
    struct ext2dax_crash_figures figures;
    unsigned first;

    open_memory(8, 4);
    for (unsigned i = 0; i < 8; i++)
        words[i * 16] = 1; /* with the loop below, 15 pending words */
    for (unsigned i = 1; i < 8; i++)
        words[i] = 1;
    persist(0, 512);
    first = fence();
    ck_assert_uint_ge(first, 500);
    ck_assert(was_handed(0) && was_handed(0x11111111));
    for (unsigned i = 0; i < 8; i++)
        ck_assert(was_handed((uint64_t)1 << 4 * i) && was_handed(0x11111111u & ~((uint64_t)1 << 4 * i)));
    ck_assert_uint_gt(distinct(), 100);
    ck_assert_uint_eq(handed.whole, 1);
    ext2dax_crash_count(crash, &figures);
    ck_assert_uint_eq(figures.points, 1);
    ck_assert_uint_eq(figures.points_whole, 0);
    ck_assert_uint_eq(figures.images, first);
    ck_assert_uint_eq(figures.most_pending, 15);
    ck_assert_uint_eq(figures.fences, 1);
    /* All changes made for drawn images are undone. */
    ck_assert_uint_eq(point(), 1);
    ck_assert(was_handed(0x11111111));
    close_memory();
}
END_TEST

START_TEST(the_callback_may_stop)
{
    open_memory(8, 12);
    words[0] = words[1] = words[2] = 1;
    handed.stop_after = 3;
    persist(0, 3);
    ck_assert_uint_eq(fence(), 3);
    ck_assert_uint_eq(point(), 1);
    ck_assert(was_handed(0x111));
    close_memory();
}
END_TEST

START_TEST(loading_forgets)
{
    static uint64_t image[BYTES / 8];

    open_memory(8, 12);
    words[0] = 1;
    ext2dax_crash_look(crash);
    image[1] = 2;
    ext2dax_crash_load(crash, image);
    ck_assert_uint_eq(words[0], 0);
    ck_assert_uint_eq(point(), 1);
    ck_assert(was_handed(0x20));
    close_memory();
}
END_TEST

START_TEST(options_are_looked_at)
{
    static const struct ext2dax_crash_options wrong[] = {
        {.bytes = 0},
        {.bytes = 100},
        {.bytes = 4096, .line = 4},
        {.bytes = 4096, .line = 24},
        {.bytes = 4096, .line = 8192},
        {.bytes = 4096, .all_up_to = 25},
        {.bytes = 4096, .remember_log = 31},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ext2dax_crash_options options = wrong[i];

        options.size = sizeof options;
        ck_assert_int_eq(ext2dax_crash_open(&options, &memory, &crash), -EXT2DAX_EINVAL);
        ck_assert_ptr_null(crash);
    }
}
END_TEST

/* ---- poison below a filesystem ---- */

static struct ext2dax_host host;
static struct ext2dax_mount *mounted;
static struct ext2dax_inode *root, *file;

static int mount_it(void)
{
    struct ext2dax_mount_options options = {
        .size = sizeof options, .page_shift = 10, .huge_order = 3, .recover = ext2dax_recover};
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_by_name("none"), .memory = memory, .host = {host.ops, host.ctx}};

    return ext2dax_mount(&plugs, &options, &mounted);
}

static void open_filesystem(void)
{
    struct ext2dax_crash_options options = {.size = sizeof options, .bytes = 64 << 10};
    struct ext2dax_format_options format = {.size = sizeof format, .block_size = 1024};

    ck_assert_int_eq(ext2dax_crash_open(&options, &memory, &crash), 0);
    ck_assert_int_eq(ext2dax_host_open(NULL, &host), 0);
    ck_assert_int_eq(ext2dax_format(&memory, &format, NULL), 0);
    ck_assert_int_eq(mount_it(), 0);
    ck_assert_int_eq(ext2dax_inode_get(mounted, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &file), 0);
}

static void close_filesystem(void)
{
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mounted), 0);
    ext2dax_host_close(&host);
    ext2dax_crash_close(crash);
}

/*
 * Reading a poisoned block returns EIO. Its neighbours stay readable and unchanged. The poisoned
 * bytes are lost.
 */
START_TEST(poison_in_data)
{
    struct ext2dax_run run;
    char bytes[3 * 1024];

    open_filesystem();
    memset(bytes, 'x', sizeof bytes);
    ck_assert_int_eq(ext2dax_write(file, 0, bytes, sizeof bytes), sizeof bytes);
    ck_assert_int_eq(ext2dax_map(file, 1, 1, &run), 0);
    ck_assert_int_eq(ext2dax_crash_poison(crash, (size_t)run.physical * 1024 + 512, 64), 0);
    ck_assert_int_eq(ext2dax_read(file, 1024, bytes, 1024), -EXT2DAX_EIO);
    ck_assert_int_eq(ext2dax_read(file, 0, bytes, 1024), 1024);
    ck_assert_int_eq(ext2dax_read(file, 2048, bytes, 1024), 1024);
    ck_assert(bytes[0] == 'x' && bytes[1023] == 'x');
    ext2dax_crash_cure(crash);
    ck_assert_int_eq(ext2dax_read(file, 1024, bytes, 1024), 1024);
    ck_assert(bytes[0] == 'x' && bytes[512] != 'x' && bytes[575] != 'x' && bytes[576] == 'x');
    close_filesystem();
}
END_TEST

/* An unreadable pointer block fails the calls which need it with EIO, and they change nothing. */
START_TEST(poison_in_a_pointer_block)
{
    struct ext2dax_run run;
    struct ext2dax_stat before, after;
    char bytes[2 * 1024];
    size_t pointers = 0;

    open_filesystem();
    memset(bytes, 'x', sizeof bytes);
    ck_assert_int_eq(ext2dax_write(file, 11 * 1024, bytes, sizeof bytes), sizeof bytes);
    ck_assert_int_eq(ext2dax_map(file, 12, 1, &run), 0);
    for (size_t block = 1; block < 64; block++) {
        const unsigned char *at = (const unsigned char *)memory.base + block * 1024;

        if (at[0] == run.physical && at[1] == 0 && at[4] == 0 && at[1023] == 0)
            pointers = block;
    }
    ck_assert_uint_ne(pointers, 0);
    ck_assert_int_eq(ext2dax_crash_poison(crash, pointers * 1024, 1024), 0);
    ext2dax_stat(file, &before, sizeof(before));
    ck_assert_int_eq(ext2dax_truncate(file, 100), -EXT2DAX_EIO);
    ck_assert_int_eq(ext2dax_punch(file, 0, 13 * 1024), -EXT2DAX_EIO);
    ck_assert_int_eq(ext2dax_write(file, 12 * 1024, bytes, 100), -EXT2DAX_EIO);
    ext2dax_stat(file, &after, sizeof(after));
    ck_assert_uint_eq(before.size, after.size);
    ck_assert_uint_eq(before.sectors, after.sectors);
    ck_assert_int_eq(ext2dax_read(file, 11 * 1024, bytes, 1024), 1024);
    close_filesystem();
}
END_TEST

static int use_filesystem(void)
{
    struct ext2dax_inode *other;
    static char bytes[3000];
    int64_t done;
    int rc;

    rc = ext2dax_create(root, "other", 5, 0644, 0, 0, &other);
    if (rc != 0)
        return rc;
    done = ext2dax_write(other, 100, bytes, sizeof bytes);
    if (done == sizeof bytes)
        done = ext2dax_read(other, 0, bytes, 200);
    rc = done < 0 ? (int)done : ext2dax_truncate(other, 5);
    ext2dax_inode_put(other);
    ext2dax_crash_fail_check(crash, -1);
    ck_assert_int_eq(ext2dax_unlink(root, "other", 5), 0);
    return rc;
}

/*
 * Fails each call of the memory's `check` op once, during a few filesystem calls. A failing call
 * returns EIO and leaves nothing half done, and the filesystem passes the checker after unmount.
 * Calls which succeed with another group or a second attempt return 0.
 */
START_TEST(a_check_that_fails)
{
    int failed = 0, rc;

    for (long after = 0; after < 40; after++) {
        open_filesystem();
        ext2dax_crash_fail_check(crash, after);
        rc = use_filesystem();
        ck_assert(rc == 0 || rc == -EXT2DAX_EIO);
        failed += rc != 0;
        ext2dax_crash_fail_check(crash, -1);
        ext2dax_inode_put(file);
        ext2dax_inode_put(root);
        ck_assert_int_eq(ext2dax_unmount(mounted), 0);
        ck_assert_int_eq(ext2dax_check_image(memory.base, memory.size, 0, NULL, NULL, NULL), 0);
        ext2dax_host_close(&host);
        ext2dax_crash_close(crash);
    }
    ck_assert_int_ge(failed, 5);
    ck_assert_int_lt(failed, 40);
}
END_TEST

/*
 * Poison in a bitmap fails the call which needs the bitmap with EIO. Nothing reads past the check.
 */
START_TEST(poison_in_metadata)
{
    struct ext2dax_inode *other;
    const struct ext2dax_disk_group *group;

    open_filesystem();
    group = (const void *)((const char *)memory.base + 2 * 1024);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mounted), 0);
    ck_assert_int_eq(mount_it(), 0);
    ck_assert_int_eq(ext2dax_inode_get(mounted, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_lookup(root, "file", 4, &file), 0);
    ck_assert_int_eq(ext2dax_crash_poison(crash, (size_t)(((const uint8_t *)&group->inode_bitmap)[0]) * 1024, 1024), 0);
    ck_assert_int_eq(ext2dax_create(root, "other", 5, 0644, 0, 0, &other), -EXT2DAX_EIO);
    ck_assert_int_eq(ext2dax_crash_poison(crash, (size_t)(((const uint8_t *)&group->block_bitmap)[0]) * 1024, 1024), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), -EXT2DAX_EIO);
    close_filesystem();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crashing memory");
    TCase *images = add_case(suite, "images", USUAL_LIMIT), *poison = add_case(suite, "poison", USUAL_LIMIT);

    tcase_add_test(images, every_subset_of_what_was_stored);
    tcase_add_test(images, not_written_back_may_be_lost_for_ever);
    tcase_add_test(images, a_line_goes_back_whole);
    tcase_add_test(images, every_value_since_the_durable_one);
    tcase_add_test(images, zeroes_are_written_back);
    tcase_add_test(images, too_many_are_drawn_from);
    tcase_add_test(images, the_callback_may_stop);
    tcase_add_test(images, loading_forgets);
    tcase_add_test(images, options_are_looked_at);
    tcase_add_test(poison, poison_in_data);
    tcase_add_test(poison, poison_in_a_pointer_block);
    tcase_add_test(poison, a_check_that_fails);
    tcase_add_test(poison, poison_in_metadata);
    return run_suite(suite);
}
