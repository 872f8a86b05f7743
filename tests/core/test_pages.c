/* SPDX-License-Identifier: MIT */
/*
 * The pages a machine may have: 4 KiB with 2 MiB windows, 8 KiB with 8 MiB, 16 KiB with 32 MiB, 64 KiB with 512 MiB.
 * What is true of a window in test_fault.c, where windows are small, is true at full size: its first and last page, its
 * neighbours, and what happens to a huge entry when part of it is taken away. The memory is sparse, and a window costs
 * what is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct pages {
    const char *name;
    struct bench_options options;
} kinds[] = {
    {"4K", {.size = (size_t)16 << 20, .block_size = 4096, .page_shift = 12, .huge_order = 9, .sparse = true}},
    {"8K", {.size = (size_t)40 << 20, .block_size = 8192, .page_shift = 13, .huge_order = 10, .sparse = true}},
    {"16K", {.size = (size_t)160 << 20, .block_size = 16384, .page_shift = 14, .huge_order = 11, .sparse = true}},
    /* What mke2fs chooses, which is not whole windows, in an image of one group. */
    {"16K by mke2fs",
     {.size = (size_t)160 << 20,
      .block_size = 16384,
      .page_shift = 14,
      .huge_order = 11,
      .blocks_per_group = 65528,
      .sparse = true}},
    {"64K", {.size = (size_t)1 << 30, .block_size = 65536, .page_shift = 16, .huge_order = 13, .sparse = true}},
};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static struct bench bench;
static struct ext2dax_inode *file;
static struct ext2dax_model_map *map;
static uint64_t page_size, window; /* bytes; pages */

static void open_kind(int kind)
{
    bench_open(&bench, &kinds[kind].options);
    page_size = bench.page_size;
    window = bench.window_pages;
    ck_assert_uint_eq(page_size, kinds[kind].options.block_size);
    ck_assert_uint_eq(window, (uint64_t)1 << kinds[kind].options.huge_order);
    file = bench_create(&bench, "file");
    map = ext2dax_model_map(bench.model, file, 0, 2 * window, true, true);
    ck_assert_ptr_nonnull(map);
}

static void close_kind(void)
{
    bench_check(&bench);
    ext2dax_model_unmap(map);
    ext2dax_inode_put(file);
    bench_close(&bench);
}

static enum ext2dax_fault_result fault(uint64_t page, bool write)
{
    struct ext2dax_fault f;

    ext2dax_model_fault(map, page, write, &f);
    return ext2dax_fault(&f);
}

static enum ext2dax_fault_result pmd_fault(uint64_t page, bool write, enum ext2dax_fallback reason)
{
    struct ext2dax_fault f;
    enum ext2dax_fault_result result;

    ext2dax_model_fault(map, page, write, &f);
    result = ext2dax_pmd_fault(&f);
    ck_assert_int_eq(f.reason, reason);
    return result;
}

/* A byte that tells pages, and places in them, apart. */
static unsigned char mark_of(uint64_t offset)
{
    return (unsigned char)(1 + offset / page_size % 251 + offset % page_size % 3);
}

static void store_at(uint64_t offset)
{
    unsigned char byte = mark_of(offset);

    ck_assert_int_eq(ext2dax_model_write(map, offset, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
}

/* Through the mapping and by read(), which must not differ. */
static int byte_at(uint64_t offset)
{
    unsigned char mapped = 0xA5, file_byte = 0x5A;

    ck_assert_int_eq(ext2dax_model_read(map, offset, &mapped, 1, false, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_read(file, offset, &file_byte, 1), 1);
    ck_assert_int_eq(mapped, file_byte);
    return mapped;
}

static bool is_huge(uint64_t page)
{
    struct ext2dax_model_entry entry = ext2dax_model_entry(map, page);

    return entry.kind == EXT2DAX_MODEL_DATA && entry.huge;
}

/* The only free region is the last; whatever the file had before lies elsewhere. */
static void claim_window(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, window * page_size), 0);
    ck_assert_int_eq(fault(window - 1, false), EXT2DAX_FAULT_NOPAGE); /* a zero page, to be torn down */
    ck_assert_int_eq(ext2dax_model_entry(map, window - 1).kind, EXT2DAX_MODEL_ZERO);
    ck_assert_int_eq(pmd_fault(window / 2 + 1, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
}

START_TEST(a_window_is_one_region)
{
    struct ext2dax_counters counters;
    struct ext2dax_run run;

    open_kind(_i);
    claim_window();
    for (uint64_t page = 0; page < window; page++) {
        if (!is_huge(page) || !ext2dax_model_entry(map, page).writable)
            ck_abort_msg("%s: page %u is not part of a writable huge entry", kinds[_i].name, (unsigned)page);
    }
    ck_assert_int_eq(ext2dax_model_entry(map, window).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(ext2dax_map(file, 0, UINT32_MAX, &run), 0);
    ck_assert_uint_eq(run.length, window);
    ck_assert_uint_eq(run.physical % window, 0);
    ext2dax_count(bench.mount, &counters);
    ck_assert_uint_eq(counters.regions_claimed, 1);
    ck_assert_uint_eq(counters.huge_mapped, 1);
    ck_assert_int_eq(byte_at(0), 0);
    ck_assert_int_eq(byte_at(window * page_size - 1), 0);
    store_at(0);
    store_at(page_size - 1);
    store_at(window * page_size - 1);
    ck_assert_int_eq(byte_at(0), mark_of(0));
    ck_assert_int_eq(byte_at(page_size - 1), mark_of(page_size - 1));
    ck_assert_int_eq(byte_at(page_size), 0);
    ck_assert_int_eq(byte_at(window * page_size - 1), mark_of(window * page_size - 1));
    ck_assert_int_eq(pmd_fault(window, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_SIGBUS);
    close_kind();
}
END_TEST

START_TEST(fsync_protects_a_whole_window)
{
    open_kind(_i);
    claim_window();
    store_at((window - 1) * page_size + 7);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert(!ext2dax_model_entry(map, 0).writable && !ext2dax_model_entry(map, window - 1).writable);
    ck_assert(is_huge(0) && is_huge(window - 1));
    /* One page written again takes the entry apart; it is protected again all the same. */
    store_at((window - 1) * page_size + 7);
    ck_assert(!ext2dax_model_entry(map, 0).writable && ext2dax_model_entry(map, window - 1).writable);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert(!ext2dax_model_entry(map, window - 1).writable);
    ck_assert_int_eq(pmd_fault(3, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, 0).writable && ext2dax_model_entry(map, window - 1).writable);
    close_kind();
}
END_TEST

START_TEST(truncate_in_a_huge_window)
{
    uint64_t cut, end, free_blocks;

    open_kind(_i);
    cut = window / 2;
    end = cut * page_size + page_size / 2 + 1;
    claim_window();
    store_at(end - 1);
    store_at(end);
    store_at((cut + 1) * page_size);
    free_blocks = bench_free_blocks(&bench);
    ck_assert_int_eq(ext2dax_truncate(file, end), 0);
    ck_assert_uint_ge(bench_free_blocks(&bench), free_blocks + window - cut - 1);
    ck_assert_int_eq(ext2dax_model_entry(map, cut + 1).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(fault(cut + 1, false), EXT2DAX_FAULT_SIGBUS);
    bench_check(&bench);
    ck_assert_int_eq(byte_at(end - 1), mark_of(end - 1));
    ck_assert_int_eq(pmd_fault(0, true, EXT2DAX_FALLBACK_RANGE), EXT2DAX_FAULT_FALLBACK);
    /* What was cut away never comes back. */
    ck_assert_int_eq(ext2dax_truncate(file, window * page_size), 0);
    ck_assert_int_eq(byte_at(end), 0);
    ck_assert_int_eq(byte_at((cut + 1) * page_size), 0);
    ck_assert_int_eq(pmd_fault(0, false, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
    close_kind();
}
END_TEST

START_TEST(punch_in_a_huge_window)
{
    struct ext2dax_run run;
    uint64_t gone;

    open_kind(_i);
    gone = window / 4;
    claim_window();
    store_at(gone * page_size - 1);
    store_at(gone * page_size + 1);
    store_at((gone + 1) * page_size);
    ck_assert_int_eq(ext2dax_punch(file, gone * page_size, page_size), 0);
    bench_check(&bench);
    ck_assert_int_eq(ext2dax_model_entry(map, gone).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(byte_at(gone * page_size + 1), 0);
    ck_assert_int_eq(byte_at(gone * page_size - 1), mark_of(gone * page_size - 1));
    ck_assert_int_eq(byte_at((gone + 1) * page_size), mark_of((gone + 1) * page_size));
    /* The hole is filled again in the place that the window kept for it. */
    store_at(gone * page_size + 1);
    ck_assert_int_eq(ext2dax_map(file, 0, UINT32_MAX, &run), 0);
    ck_assert_uint_eq(run.length, window);
    close_kind();
}
END_TEST

/* A file that only grows is packed in its first window; every page of it is small, and read faults enter whole runs. */
START_TEST(small_pages)
{
    unsigned char *bytes;
    size_t length;

    open_kind(_i);
    length = (size_t)page_size * 5 - 1;
    bytes = malloc(length);
    memset(bytes, 0x3C, length);
    ck_assert_int_eq(ext2dax_write(file, 0, bytes, length), (int64_t)length);
    free(bytes);
    ck_assert_int_eq(fault(1, false), EXT2DAX_FAULT_NOPAGE);
    for (uint64_t page = 1; page < 5; page++)
        ck_assert_int_eq(ext2dax_model_entry(map, page).kind, EXT2DAX_MODEL_DATA);
    ck_assert_int_eq(fault(5, false), EXT2DAX_FAULT_SIGBUS);
    ck_assert(!is_huge(1));
    /* Growing zeroes the tail that a mapped store may have filled. */
    ck_assert_int_eq(fault(4, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_model_write(map, page_size * 5 - 1, "x", 1, false, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_truncate(file, page_size * 6), 0);
    ck_assert_int_eq(byte_at(page_size * 5 - 1), 0);
    ck_assert_int_eq(byte_at(page_size * 5 - 2), 0x3C);
    ck_assert_int_eq(fault(5, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(byte_at(page_size * 5), 0);
    close_kind();
}
END_TEST

/* An image of another block size than the machine's page is read and written, and never mapped. */
START_TEST(other_blocks_fall_back)
{
    struct bench_options options = kinds[_i].options;
    struct ext2dax_fault f;

    options.block_size = options.block_size == 4096 ? 1024 : 4096;
    options.blocks_per_group = 0;
    options.size = (size_t)16 << 20;
    bench_open(&bench, &options);
    ck_assert_uint_eq(bench.window_pages, 0);
    file = bench_create(&bench, "file");
    map = ext2dax_model_map(bench.model, file, 0, 8, true, true);
    ck_assert_int_eq(ext2dax_write(file, 0, "text", 4), 4);
    ext2dax_model_fault(map, 0, false, &f);
    ck_assert_int_eq(ext2dax_fault(&f), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(f.reason, EXT2DAX_FALLBACK_BLOCK_SIZE);
    ck_assert_int_eq(ext2dax_pmd_fault(&f), EXT2DAX_FAULT_FALLBACK);
    close_kind();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *all = tcase_create("pages");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_window_is_one_region, 0, KINDS);
    tcase_add_loop_test(all, fsync_protects_a_whole_window, 0, KINDS);
    tcase_add_loop_test(all, truncate_in_a_huge_window, 0, KINDS);
    tcase_add_loop_test(all, punch_in_a_huge_window, 0, KINDS);
    tcase_add_loop_test(all, small_pages, 0, KINDS);
    tcase_add_loop_test(all, other_blocks_fall_back, 0, KINDS);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
