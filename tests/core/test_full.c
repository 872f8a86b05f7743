/* SPDX-License-Identifier: MIT */
/*
 * Stores through a mapping until no block is free. For every group size, a store fails only if no
 * block is left. A first access to a group must not fail because the host has no memory. An
 * unusable group must not fail a store either.
 */
#include <stdlib.h>

#include "../runner.h"
#include "fixture.h"
#include "ext2dax/ondisk.h"
#include "base/internal.h"

#define PAGE       1024u
#define PMD_RANGE  8u /* pages */
#define BLOCKS     8192u
#define MOST_EXTRA 3u /* pointer blocks a store may need in addition to its own block */

static struct core_fixture fixture;
static struct ext2dax_inode *file, *rest;
static struct ext2dax_model_map *map;

static const uint32_t group_sizes[] = {64, 256, 1024, 8192};
#define GROUP_SIZES (int)(sizeof group_sizes / sizeof group_sizes[0])

static void open_file(void)
{
    ck_assert_int_eq(ext2dax_lookup(fixture.root, "file", 4, &file), 0);
    ck_assert_int_eq(ext2dax_lookup(fixture.root, "rest", 4, &rest), 0);
    map = ext2dax_model_map(fixture.model, file, 0, BLOCKS, true, true);
}

static void close_file(void)
{
    ext2dax_model_unmap(map);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
}

static void open_with(uint32_t blocks_per_group)
{
    struct core_fixture_options options = {.size = BLOCKS * PAGE,
                                           .block_size = PAGE,
                                           .page_shift = 10,
                                           .huge_order = 3,
                                           .blocks_per_group = blocks_per_group};

    core_fixture_open(&fixture, &options);
    ext2dax_inode_put(core_fixture_create(&fixture, "file"));
    ext2dax_inode_put(core_fixture_create(&fixture, "rest"));
    open_file();
    ck_assert_int_eq(ext2dax_truncate(file, (uint64_t)BLOCKS * PAGE), 0);
}

static void close_all(void)
{
    core_fixture_check(&fixture);
    close_file();
    core_fixture_close(&fixture);
}

/*
 * Gives all free blocks to the file "rest", as *end pages. First allocates the pointer blocks for
 * the first half of the pages of "file".
 */
static void fill_up(uint64_t *end)
{
    for (uint64_t page = 0; page < BLOCKS / 2; page += 64)
        ck_assert_int_eq(ext2dax_allocate(file, (page + 12) * PAGE, PAGE, false), 0);
    for (uint64_t pages = 64; pages != 0; pages /= 2) {
        while (ext2dax_allocate(rest, *end * PAGE, pages * PAGE, false) == 0)
            *end += pages;
    }
    ck_assert_uint_le(core_fixture_free_blocks(&fixture), MOST_EXTRA);
}

/* Stores a byte, by a PMD fault where possible. Returns false if the store fails. */
static bool stored(uint64_t page)
{
    unsigned char byte = 1;
    enum ext2dax_fault_result result = ext2dax_model_write(map, page * PAGE, &byte, 1, true, true);

    ck_assert(result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_SIGBUS);
    return result == EXT2DAX_FAULT_NOPAGE;
}

/* Makes every host allocation fail, beginning with the first. A fault makes none. */
START_TEST(faults_take_the_last_block_of_a_host_without_memory)
{
    uint64_t range = 0, page;

    open_with(group_sizes[_i]);
    fixture.allocs_left = 0;
    while (range * PMD_RANGE < BLOCKS && stored(range * PMD_RANGE))
        range++;
    ck_assert(range == BLOCKS / PMD_RANGE || core_fixture_free_blocks(&fixture) <= MOST_EXTRA);

    /* The pointer blocks for these pages exist, so each store takes a single block. */
    ck_assert_uint_gt(range, 1);
    for (page = 0; page < (range - 1) * PMD_RANGE; page++)
        ck_assert(stored(page) || core_fixture_free_blocks(&fixture) == 0);
    ck_assert_uint_eq(core_fixture_free_blocks(&fixture), 0);
    ck_assert_int_eq(fixture.allocs_left, 0);
    fixture.allocs_left = -1;
    close_all();
}
END_TEST

/*
 * Repeats the test with only single free blocks in each group, after a remount which scans no
 * group.
 */
START_TEST(faults_take_the_last_blocks_of_every_group)
{
    uint32_t stride = group_sizes[_i] / 8;
    uint64_t end = 0, page;

    open_with(group_sizes[_i]);
    fill_up(&end);
    for (page = stride / 2; page < end; page += stride)
        ck_assert_int_eq(ext2dax_punch(rest, page * PAGE, PAGE), 0);
    close_file();
    core_fixture_remount(&fixture);
    open_file();

    fixture.allocs_left = 0;
    for (page = 0; core_fixture_free_blocks(&fixture) != 0; page++)
        ck_assert(stored(page));
    ck_assert_uint_ge(page, end / stride);
    ck_assert(!stored(page));
    ck_assert_int_eq(fixture.allocs_left, 0);
    fixture.allocs_left = -1;
    close_all();
}
END_TEST

/* ---- unusable groups ---- */

#define GROUP 256u

/* With 1 KiB blocks, the first group begins at block 1. */
static uint64_t group_of_page(uint64_t page)
{
    return (core_fixture_physical(file, page) - 1) / GROUP;
}

static const struct ext2dax_disk_group *descriptor_of(uint64_t group)
{
    const unsigned char *base = fixture.memory.base;

    return (const struct ext2dax_disk_group *)(const void *)(base + 2 * PAGE) + group;
}

static const void *at_block(struct ext2dax_le32 number)
{
    return (const unsigned char *)fixture.memory.base + (size_t)e2d_get32(number) * PAGE;
}

static const void *bitmap_of(uint64_t group)
{
    return at_block(descriptor_of(group)->block_bitmap);
}

/*
 * The unreadable bitmap is of the group the file would allocate from first. Its free blocks stay
 * free, and all other free blocks are allocated.
 */
START_TEST(a_group_whose_bitmap_cannot_be_read_is_passed_over)
{
    uint64_t left, page = PMD_RANGE - 1;

    open_with(GROUP);
    ck_assert(stored(0));
    ck_assert_uint_eq(group_of_page(0), 0);
    close_file();
    core_fixture_remount(&fixture);
    open_file();

    fixture.poison = bitmap_of(0);
    left = e2d_get16(descriptor_of(0)->free_blocks);
    while (stored(++page))
        ck_assert_uint_ne(group_of_page(page), 0);
    ck_assert_int_eq(fixture.last.error, -EXT2DAX_EIO);
    /* The group is known to be unreadable by now. Each refused store is reported all the same. */
    fixture.last.error = 0;
    ck_assert(!stored(page));
    ck_assert_int_eq(fixture.last.error, -EXT2DAX_EIO);
    ck_assert_uint_gt(left, 0);
    ck_assert_uint_le(core_fixture_free_blocks(&fixture), left + MOST_EXTRA);
    fixture.poison = NULL;
    close_all();
}
END_TEST

/*
 * A PMD range which already has a block in an unreadable group gets its further blocks elsewhere.
 */
START_TEST(a_pmd_range_in_a_group_that_cannot_be_read_goes_on_elsewhere)
{
    open_with(GROUP);
    ck_assert_int_eq(ext2dax_allocate(file, 9 * PAGE, PAGE, false), 0);
    close_file();
    core_fixture_remount(&fixture);
    open_file();

    fixture.poison = bitmap_of(group_of_page(9));
    ck_assert(stored(10));
    ck_assert_uint_ne(group_of_page(10), group_of_page(9));
    ck_assert_int_eq(fixture.last.error, -EXT2DAX_EIO);
    fixture.poison = NULL;
    close_all();
}
END_TEST

/*
 * The PMD range spans two arrays of pointers. If one array is unreadable, only its own pages fail.
 */
START_TEST(a_pointer_block_that_cannot_be_read_spoils_its_own_pages_alone)
{
    open_with(GROUP);
    ck_assert_int_eq(ext2dax_allocate(file, 13 * PAGE, PAGE, false), 0);
    fixture.poison = at_block(file->disk->block[EXT2DAX_IND]);
    ck_assert(stored(9));
    ck_assert(!stored(14));
    fixture.poison = NULL;
    ck_assert(stored(14));
    close_all();
}
END_TEST

/* Inode allocation skips unreadable groups in the same way. */
START_TEST(a_group_whose_inode_bitmap_cannot_be_read_is_passed_over)
{
    struct ext2dax_inode *inode;

    open_with(GROUP);
    fixture.poison = at_block(descriptor_of(0)->inode_bitmap);
    inode = core_fixture_create(&fixture, "third");
    ck_assert_uint_gt(inode->number, fixture.mount->inodes_per_group);
    ext2dax_inode_put(inode);
    fixture.poison = NULL;
    close_all();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full");
    TCase *entries = add_case(suite, "stores until nothing is free", USUAL_LIMIT);

    tcase_add_loop_test(entries, faults_take_the_last_block_of_a_host_without_memory, 0, GROUP_SIZES);
    tcase_add_loop_test(entries, faults_take_the_last_blocks_of_every_group, 0, GROUP_SIZES);
    tcase_add_test(entries, a_group_whose_bitmap_cannot_be_read_is_passed_over);
    tcase_add_test(entries, a_pmd_range_in_a_group_that_cannot_be_read_goes_on_elsewhere);
    tcase_add_test(entries, a_pointer_block_that_cannot_be_read_spoils_its_own_pages_alone);
    tcase_add_test(entries, a_group_whose_inode_bitmap_cannot_be_read_is_passed_over);
    return run_suite(suite);
}
