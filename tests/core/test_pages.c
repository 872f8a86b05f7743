/* SPDX-License-Identifier: MIT */
/*
 * Tests the page sizes of real machines. 4 KiB with PMD ranges of 2 MiB, 8 KiB with 8 MiB, 16 KiB
 * with 32 MiB, and 64 KiB with 512 MiB. test_fault.c has the same tests with small PMD ranges.
 * These tests use the full size, the first and last page of a PMD range, its neighbours, and huge
 * PMDs of which a part is removed. The memory is sparse, so a PMD range costs only the accessed
 * pages.
 */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"

static const struct pages {
    const char *name;
    struct core_fixture_options options;
} kinds[] = {
    {"4K", {.size = (size_t)16 << 20, .block_size = 4096, .page_shift = 12, .huge_order = 9, .sparse = true}},
    {"8K", {.size = (size_t)40 << 20, .block_size = 8192, .page_shift = 13, .huge_order = 10, .sparse = true}},
    {"16K", {.size = (size_t)160 << 20, .block_size = 16384, .page_shift = 14, .huge_order = 11, .sparse = true}},
    /*
     * The group size mke2fs chooses, which is not a multiple of the PMD range, with a single group.
     */
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

static struct core_fixture fixture;
static struct ext2dax_inode *file;
static struct ext2dax_model_map *map;
static uint64_t page_size, range; /* bytes, and pages */

static void open_kind(int kind)
{
    core_fixture_open(&fixture, &kinds[kind].options);
    page_size = fixture.page_size;
    range = fixture.pmd_pages;
    ck_assert_uint_eq(page_size, kinds[kind].options.block_size);
    ck_assert_uint_eq(range, (uint64_t)1 << kinds[kind].options.huge_order);
    file = core_fixture_create(&fixture, "file");
    map = ext2dax_model_map(fixture.model, file, 0, 2 * range, true, true);
    ck_assert_ptr_nonnull(map);
}

static void close_kind(void)
{
    core_fixture_check(&fixture);
    ext2dax_model_unmap(map);
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
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

/* Returns a byte which differs between pages and between offsets in a page. */
static unsigned char mark_of(uint64_t offset)
{
    return (unsigned char)(1 + offset / page_size % 251 + offset % page_size % 3);
}

static void store_at(uint64_t offset)
{
    unsigned char byte = mark_of(offset);

    ck_assert_int_eq(ext2dax_model_write(map, offset, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
}

/* Reads a byte through the mapping and with ext2dax_read(), which must agree. */
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

/*
 * Extends the file to a whole PMD range and claims an aligned extent for it by a PMD write fault.
 */
static void claim_pmd_range(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, range * page_size), 0);
    /* installs a zero page, for the PMD fault to tear down */
    ck_assert_int_eq(fault(range - 1, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_model_entry(map, range - 1).kind, EXT2DAX_MODEL_ZERO);
    ck_assert_int_eq(pmd_fault(range / 2 + 1, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
}

START_TEST(a_pmd_range_is_one_aligned_extent)
{
    struct ext2dax_counters counters;
    struct ext2dax_run run;

    open_kind(_i);
    claim_pmd_range();
    for (uint64_t page = 0; page < range; page++) {
        if (!is_huge(page) || !ext2dax_model_entry(map, page).writable)
            ck_abort_msg("%s: page %u is not part of a writable huge entry", kinds[_i].name, (unsigned)page);
    }
    ck_assert_int_eq(ext2dax_model_entry(map, range).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(ext2dax_map(file, 0, UINT32_MAX, &run), 0);
    ck_assert_uint_eq(run.length, range);
    ck_assert_uint_eq(run.physical % range, 0);
    ext2dax_count(fixture.mount, &counters, sizeof(counters));
    ck_assert_uint_eq(counters.aligned_extents_claimed, 1);
    ck_assert_uint_eq(counters.huge_mapped, 1);
    ck_assert_int_eq(byte_at(0), 0);
    ck_assert_int_eq(byte_at(range * page_size - 1), 0);
    store_at(0);
    store_at(page_size - 1);
    store_at(range * page_size - 1);
    ck_assert_int_eq(byte_at(0), mark_of(0));
    ck_assert_int_eq(byte_at(page_size - 1), mark_of(page_size - 1));
    ck_assert_int_eq(byte_at(page_size), 0);
    ck_assert_int_eq(byte_at(range * page_size - 1), mark_of(range * page_size - 1));
    ck_assert_int_eq(pmd_fault(range, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_SIGBUS);
    close_kind();
}
END_TEST

START_TEST(fsync_protects_a_whole_pmd_range)
{
    open_kind(_i);
    claim_pmd_range();
    store_at((range - 1) * page_size + 7);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert(!ext2dax_model_entry(map, 0).writable && !ext2dax_model_entry(map, range - 1).writable);
    ck_assert(is_huge(0) && is_huge(range - 1));
    /*
     * A store to a single page splits the huge PMD. The next fsync write-protects the page again.
     */
    store_at((range - 1) * page_size + 7);
    ck_assert(!ext2dax_model_entry(map, 0).writable && ext2dax_model_entry(map, range - 1).writable);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert(!ext2dax_model_entry(map, range - 1).writable);
    ck_assert_int_eq(pmd_fault(3, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, 0).writable && ext2dax_model_entry(map, range - 1).writable);
    close_kind();
}
END_TEST

START_TEST(truncate_in_a_huge_pmd_range)
{
    uint64_t cut, end, free_blocks;

    open_kind(_i);
    cut = range / 2;
    end = cut * page_size + page_size / 2 + 1;
    claim_pmd_range();
    store_at(end - 1);
    store_at(end);
    store_at((cut + 1) * page_size);
    free_blocks = core_fixture_free_blocks(&fixture);
    ck_assert_int_eq(ext2dax_truncate(file, end), 0);
    ck_assert_uint_ge(core_fixture_free_blocks(&fixture), free_blocks + range - cut - 1);
    ck_assert_int_eq(ext2dax_model_entry(map, cut + 1).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(fault(cut + 1, false), EXT2DAX_FAULT_SIGBUS);
    core_fixture_check(&fixture);
    ck_assert_int_eq(byte_at(end - 1), mark_of(end - 1));
    ck_assert_int_eq(pmd_fault(0, true, EXT2DAX_FALLBACK_RANGE), EXT2DAX_FAULT_FALLBACK);
    /* Removed bytes never reappear. */
    ck_assert_int_eq(ext2dax_truncate(file, range * page_size), 0);
    ck_assert_int_eq(byte_at(end), 0);
    ck_assert_int_eq(byte_at((cut + 1) * page_size), 0);
    ck_assert_int_eq(pmd_fault(0, false, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
    close_kind();
}
END_TEST

START_TEST(punch_in_a_huge_pmd_range)
{
    struct ext2dax_run run;
    uint64_t gone;

    open_kind(_i);
    gone = range / 4;
    claim_pmd_range();
    store_at(gone * page_size - 1);
    store_at(gone * page_size + 1);
    store_at((gone + 1) * page_size);
    ck_assert_int_eq(ext2dax_punch(file, gone * page_size, page_size), 0);
    core_fixture_check(&fixture);
    ck_assert_int_eq(ext2dax_model_entry(map, gone).kind, EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(byte_at(gone * page_size + 1), 0);
    ck_assert_int_eq(byte_at(gone * page_size - 1), mark_of(gone * page_size - 1));
    ck_assert_int_eq(byte_at((gone + 1) * page_size), mark_of((gone + 1) * page_size));
    /* A store to the hole allocates the block at the same place in the aligned extent. */
    store_at(gone * page_size + 1);
    ck_assert_int_eq(ext2dax_map(file, 0, UINT32_MAX, &run), 0);
    ck_assert_uint_eq(run.length, range);
    close_kind();
}
END_TEST

/*
 * A file extended by a single write is packed into its first PMD range. Its pages are mapped small,
 * and a read fault maps the whole run.
 */
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
    /*
     * Extending the file zeroes the tail of the last page, where a mapped store may have left
     * bytes.
     */
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

/* An image whose block size differs from the page size can be read and written, but not mapped. */
START_TEST(other_blocks_fall_back)
{
    struct core_fixture_options options = kinds[_i].options;
    struct ext2dax_fault f;

    options.block_size = options.block_size == 4096 ? 1024 : 4096;
    options.blocks_per_group = 0;
    options.size = (size_t)16 << 20;
    core_fixture_open(&fixture, &options);
    ck_assert_uint_eq(fixture.pmd_pages, 0);
    file = core_fixture_create(&fixture, "file");
    map = ext2dax_model_map(fixture.model, file, 0, 8, true, true);
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
    TCase *all = add_case(suite, "pages", 60);

    tcase_add_loop_test(all, a_pmd_range_is_one_aligned_extent, 0, KINDS);
    tcase_add_loop_test(all, fsync_protects_a_whole_pmd_range, 0, KINDS);
    tcase_add_loop_test(all, truncate_in_a_huge_pmd_range, 0, KINDS);
    tcase_add_loop_test(all, punch_in_a_huge_pmd_range, 0, KINDS);
    tcase_add_loop_test(all, small_pages, 0, KINDS);
    tcase_add_loop_test(all, other_blocks_fall_back, 0, KINDS);
    return run_suite(suite);
}
