/* SPDX-License-Identifier: MIT */
/*
 * Tests each fault kind over the model address space. Checks the results, the installed PTEs and
 * the changes of the file.
 */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"

#define K1                                                                                                             \
    {                                                                                                                  \
        .size = 1 << 20, .block_size = 1024, .page_shift = 10, .huge_order = 3                                         \
    }
#define PAGE      1024u
#define PMD_RANGE (8 * PAGE)

static struct core_fixture fixture;
static struct ext2dax_inode *file;
static struct ext2dax_model_map *map;

static void open_with(const struct core_fixture_options *options)
{
    core_fixture_open(&fixture, options);
    file = core_fixture_create(&fixture, "file");
    map = ext2dax_model_map(fixture.model, file, 0, 64, true, true);
}

static void setup(void)
{
    struct core_fixture_options options = K1;

    open_with(&options);
}

static void teardown(void)
{
    ext2dax_model_unmap(map);
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}

static int why; /* error of the last fault */

static enum ext2dax_fault_result fault(struct ext2dax_model_map *in, uint64_t page, bool write)
{
    struct ext2dax_fault f;
    enum ext2dax_fault_result result;

    ext2dax_model_fault(in, page, write, &f);
    result = ext2dax_fault(&f);
    ck_assert_int_eq(f.error != 0, result == EXT2DAX_FAULT_SIGBUS || result == EXT2DAX_FAULT_OOM);
    why = f.error;
    return result;
}

static enum ext2dax_fault_result pmd_fault(struct ext2dax_model_map *in, uint64_t page, bool write,
                                           enum ext2dax_fallback reason)
{
    struct ext2dax_fault f;
    enum ext2dax_fault_result result;

    ext2dax_model_fault(in, page, write, &f);
    result = ext2dax_pmd_fault(&f);
    ck_assert_int_eq(f.reason, reason);
    return result;
}

static enum ext2dax_model_kind kind_at(struct ext2dax_model_map *in, uint64_t page)
{
    return ext2dax_model_entry(in, page).kind;
}

static void write_pages(uint64_t page, size_t count, int byte)
{
    unsigned char *bytes = malloc(count * PAGE);

    memset(bytes, byte, count * PAGE);
    ck_assert_int_eq(ext2dax_write(file, page * PAGE, bytes, count * PAGE), (int64_t)(count * PAGE));
    free(bytes);
}

static int byte_at(struct ext2dax_model_map *in, uint64_t offset)
{
    unsigned char byte;

    ck_assert_int_eq(ext2dax_model_read(in, offset, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
    return byte;
}

START_TEST(read_enters_a_read_only_run)
{
    write_pages(0, 5, 7);
    ck_assert_int_eq(fault(map, 1, false), EXT2DAX_FAULT_NOPAGE);
    for (uint64_t page = 1; page < 5; page++) {
        ck_assert_int_eq(kind_at(map, page), EXT2DAX_MODEL_DATA);
        ck_assert(!ext2dax_model_entry(map, page).writable);
        ck_assert_uint_eq(ext2dax_model_entry(map, page).memory_offset, core_fixture_physical(file, page) * PAGE);
    }
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(read_of_a_hole_enters_zero_pages)
{
    uint64_t free_blocks;

    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE), 0);
    free_blocks = core_fixture_free_blocks(&fixture);
    ck_assert_int_eq(fault(map, 3, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(kind_at(map, 3), EXT2DAX_MODEL_ZERO);
    ck_assert_int_eq(kind_at(map, 7), EXT2DAX_MODEL_ZERO);
    ck_assert_int_eq(kind_at(map, 8), EXT2DAX_MODEL_NONE); /* stops at the end of the PMD range */
    ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_blocks);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(past_the_end_is_sigbus)
{
    ck_assert_int_eq(fault(map, 0, false), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(ext2dax_truncate(file, PAGE + 1), 0);
    ck_assert_int_eq(fault(map, 1, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(fault(map, 2, false), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(fault(map, 2, true), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(why, -EXT2DAX_EFAULT);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(write_fills_a_hole_and_replaces_every_zero_page)
{
    struct ext2dax_model_map *other = ext2dax_model_map(fixture.model, file, 0, 64, true, true);
    struct ext2dax_stat before, after;

    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE), 0);
    ck_assert_int_eq(fault(other, 3, false), EXT2DAX_FAULT_NOPAGE);
    ext2dax_stat(file, &before, sizeof(before));
    ck_assert_int_eq(fault(map, 3, true), EXT2DAX_FAULT_NOPAGE);
    ext2dax_stat(file, &after, sizeof(after));
    ck_assert_int_eq(kind_at(map, 3), EXT2DAX_MODEL_DATA);
    ck_assert(ext2dax_model_entry(map, 3).writable);
    ck_assert_int_eq(kind_at(other, 3), EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(kind_at(other, 4), EXT2DAX_MODEL_ZERO);
    ck_assert_uint_gt(after.sectors, before.sectors);
    for (unsigned i = 0; i < PAGE; i++)
        ck_assert_int_eq(byte_at(map, 3 * PAGE + i), 0);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(other);
}
END_TEST

START_TEST(mkwrite_replaces_a_zero_page)
{
    struct ext2dax_fault f;

    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE), 0);
    ck_assert_int_eq(fault(map, 3, false), EXT2DAX_FAULT_NOPAGE);
    ext2dax_model_fault(map, 3, true, &f);
    ck_assert_int_eq(ext2dax_mkwrite(&f), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(kind_at(map, 3), EXT2DAX_MODEL_DATA);
    ck_assert(ext2dax_model_entry(map, 3).writable);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(pfn_mkwrite_makes_writable_and_checks_the_size)
{
    struct ext2dax_fault f;
    struct ext2dax_stat figures;

    write_pages(0, 3, 7);
    ck_assert_int_eq(fault(map, 1, false), EXT2DAX_FAULT_NOPAGE);
    file->disk->mtime.le = 0;
    ext2dax_model_fault(map, 1, true, &f);
    ck_assert_int_eq(ext2dax_pfn_mkwrite(&f), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, 1).writable);
    ck_assert(!ext2dax_model_entry(map, 2).writable);
    ext2dax_stat(file, &figures, sizeof(figures));
    ck_assert_int_eq(figures.mtime.seconds, 1700000000);

    ext2dax_model_fault(map, 2, true, &f);
    ck_assert_int_eq(ext2dax_truncate(file, PAGE), 0);
    ck_assert_int_eq(ext2dax_pfn_mkwrite(&f), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(ext2dax_truncate(file, 3 * PAGE), 0);
    /* The block is gone. No PTE is installed, and the access faults again. */
    ck_assert_int_eq(ext2dax_pfn_mkwrite(&f), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(kind_at(map, 2), EXT2DAX_MODEL_NONE);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(pmd_write_claims_a_whole_region)
{
    struct ext2dax_counters counters;

    ck_assert_int_eq(ext2dax_truncate(file, 4 * PMD_RANGE), 0);
    /* installs a zero page, for the PMD fault to tear down */
    ck_assert_int_eq(fault(map, 9, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(pmd_fault(map, 11, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    for (uint64_t page = 8; page < 16; page++) {
        ck_assert(ext2dax_model_entry(map, page).huge);
        ck_assert(ext2dax_model_entry(map, page).writable);
        ck_assert_uint_eq(core_fixture_physical(file, page), core_fixture_physical(file, 8) + page - 8);
        ck_assert_int_eq(byte_at(map, page * PAGE), 0);
    }
    ck_assert_uint_eq(core_fixture_physical(file, 8) % 8, 0);
    ext2dax_count(fixture.mount, &counters, sizeof(counters));
    ck_assert_uint_eq(counters.huge_mapped, 1);
    ck_assert_uint_eq(counters.aligned_extents_claimed, 1);
    core_fixture_check(&fixture);
    /* A read of the same PMD range through another mapping installs a read-only huge PMD. */
    ext2dax_model_unmap(map);
    map = ext2dax_model_map(fixture.model, file, 0, 64, true, true);
    ck_assert_int_eq(pmd_fault(map, 11, false, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, 8).huge && !ext2dax_model_entry(map, 8).writable);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(small_faults_fill_a_region_in_place)
{
    ck_assert_int_eq(ext2dax_truncate(file, 4 * PMD_RANGE), 0);
    /*
     * Stores in any order, with a neighbouring PMD range in between. Each page of a PMD range goes
     * to its own place in a single aligned extent.
     */
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(fault(map, 8 + i * 3 % 8, true), EXT2DAX_FAULT_NOPAGE);
        ck_assert_int_eq(fault(map, 16 + i * 5 % 8, true), EXT2DAX_FAULT_NOPAGE);
    }
    for (uint64_t range = 1; range < 3; range++) {
        ck_assert_uint_eq(core_fixture_physical(file, range * 8) % 8, 0);
        for (uint64_t i = 1; i < 8; i++)
            ck_assert_uint_eq(core_fixture_physical(file, range * 8 + i), core_fixture_physical(file, range * 8) + i);
    }
    ext2dax_model_unmap(map);
    map = ext2dax_model_map(fixture.model, file, 0, 64, true, true);
    ck_assert_int_eq(pmd_fault(map, 8, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(pmd_falls_back_with_a_reason)
{
    struct ext2dax_model_map *private = ext2dax_model_map(fixture.model, file, 0, 64, false, true);
    struct ext2dax_model_map *part = ext2dax_model_map(fixture.model, file, 3, 9, true, true);
    struct ext2dax_fault f;
    uint64_t free_blocks;

    ck_assert_int_eq(ext2dax_truncate(file, 3 * PMD_RANGE + PAGE), 0);
    free_blocks = core_fixture_free_blocks(&fixture);
    ck_assert_int_eq(pmd_fault(map, 2, false, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(pmd_fault(map, 24, true, EXT2DAX_FALLBACK_RANGE), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(pmd_fault(part, 4, true, EXT2DAX_FALLBACK_RANGE), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(pmd_fault(private, 4, true, EXT2DAX_FALLBACK_PRIVATE), EXT2DAX_FAULT_FALLBACK);
    ext2dax_model_fault(map, 2, true, &f);
    f.address += PAGE;
    ck_assert_int_eq(ext2dax_pmd_fault(&f), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(f.reason, EXT2DAX_FALLBACK_ALIGNMENT);
    ck_assert_int_eq(pmd_fault(map, 40, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_SIGBUS);
    ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_blocks);

    write_pages(1, 1, 7);
    ck_assert_int_eq(pmd_fault(map, 2, true, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(private);
    ext2dax_model_unmap(part);
}
END_TEST

START_TEST(pmd_tells_a_hole_from_scattered_blocks)
{
    struct ext2dax_inode *other = core_fixture_create(&fixture, "other");

    /*
     * PMD range 0 has four blocks and then a hole. PMD range 1 has a hole and then a block. PMD
     * range 2 lacks only its last block.
     */
    write_pages(0, 4, 1);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * PMD_RANGE), 0);
    write_pages(15, 1, 2);
    write_pages(16, 7, 3);
    for (uint64_t page = 1; page < 24; page += 8) {
        ck_assert_int_eq(pmd_fault(map, page, false, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
        ck_assert_int_eq(pmd_fault(map, page, true, EXT2DAX_FALLBACK_HOLE), EXT2DAX_FAULT_FALLBACK);
    }

    /* Two files extended in turns. Every page has a block, but no two blocks are contiguous. */
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    for (uint64_t page = 0; page < 8; page++) {
        write_pages(page, 1, 4);
        ck_assert_int_eq(ext2dax_write(other, page * PAGE, "x", 1), 1);
    }
    ck_assert_uint_ne(core_fixture_physical(file, 1), core_fixture_physical(file, 0) + 1);
    ck_assert_int_eq(pmd_fault(map, 1, false, EXT2DAX_FALLBACK_SCATTERED), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(pmd_fault(map, 1, true, EXT2DAX_FALLBACK_SCATTERED), EXT2DAX_FAULT_FALLBACK);
    core_fixture_check(&fixture);
    ext2dax_inode_put(other);
}
END_TEST

START_TEST(private_writes_copy)
{
    struct ext2dax_model_map *private = ext2dax_model_map(fixture.model, file, 0, 64, false, true);
    unsigned char byte = 9;

    write_pages(0, 2, 7);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * PAGE), 0);
    ck_assert_int_eq(ext2dax_model_write(private, 1, &byte, 1, true, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_model_write(private, 3 * PAGE, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(kind_at(private, 0), EXT2DAX_MODEL_COPY);
    ck_assert_int_eq(kind_at(private, 3), EXT2DAX_MODEL_COPY);
    ck_assert_int_eq(byte_at(private, 0), 7);
    ck_assert_int_eq(byte_at(private, 1), 9);
    ck_assert_int_eq(byte_at(map, 1), 7);
    ck_assert_uint_eq(core_fixture_physical(file, 3), 0);

    /* Punch keeps private copies. Truncate drops private copies. */
    ck_assert_int_eq(ext2dax_punch(file, 0, PAGE), 0);
    ck_assert_int_eq(kind_at(private, 0), EXT2DAX_MODEL_COPY);
    ck_assert_int_eq(kind_at(map, 0), EXT2DAX_MODEL_NONE);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    ck_assert_int_eq(kind_at(private, 0), EXT2DAX_MODEL_NONE);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(private);
}
END_TEST

START_TEST(frozen_write_faults_retry)
{
    struct ext2dax_model_map *private = ext2dax_model_map(fixture.model, file, 0, 64, false, true);
    struct ext2dax_model_map *reader = ext2dax_model_map(fixture.model, file, 0, 64, true, true);

    write_pages(0, 2, 7);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), 0);
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), -EXT2DAX_EBUSY);
    ck_assert(!ext2dax_model_entry(map, 0).writable); /* mapped stores stop too */
    ck_assert_int_eq(ext2dax_check_image(fixture.memory.base, fixture.memory.size, 0, NULL, NULL, NULL), 0);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_RETRY);
    ck_assert_int_eq(fault(reader, 1, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(fault(private, 1, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_thaw(fixture.mount), 0);
    ck_assert_int_eq(ext2dax_thaw(fixture.mount), -EXT2DAX_EINVAL);
    ext2dax_wait_thaw(fixture.mount);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, 0).writable);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(private);
    ext2dax_model_unmap(reader);
}
END_TEST

START_TEST(a_last_put_while_frozen_waits_for_thaw)
{
    struct ext2dax_inode *gone = core_fixture_create(&fixture, "gone");
    uint64_t free_blocks = core_fixture_free_blocks(&fixture);

    ck_assert_int_eq(ext2dax_write(gone, 0, "data", 4), 4);
    core_fixture_unlink(&fixture, "gone");
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), 0);
    ext2dax_inode_put(gone);
    ck_assert_uint_lt(core_fixture_free_blocks(&fixture), free_blocks);
    ck_assert_int_eq(ext2dax_thaw(fixture.mount), 0);
    ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_blocks);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(read_only_mounts_refuse_stores)
{
    struct ext2dax_model_map *private = ext2dax_model_map(fixture.model, file, 0, 64, false, true);

    write_pages(0, 2, 7);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert(!ext2dax_model_entry(map, 0).writable);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(why, -EXT2DAX_EROFS);
    ck_assert_int_eq(fault(private, 0, true), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(ext2dax_truncate(file, 0), -EXT2DAX_EROFS);
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), -EXT2DAX_EROFS);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, 0), 0);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_NOPAGE);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(private);
}
END_TEST

START_TEST(fsync_write_protects_and_stores_dirty_again)
{
    unsigned char byte = 5;

    ck_assert_int_eq(ext2dax_truncate(file, 20 * PMD_RANGE), 0);
    for (unsigned round = 0; round < 3; round++) {
        /*
         * Dirties as many PMD ranges as the inode has slots for dirty ranges, or two in the second
         * round.
         */
        for (uint64_t range = 0; range < (round == 1 ? 2 : 8); range++)
            ck_assert_int_eq(ext2dax_model_write(map, range * PMD_RANGE, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
        ck_assert(ext2dax_model_entry(map, 8).writable);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        for (uint64_t page = 0; page < 64; page++)
            ck_assert(!ext2dax_model_entry(map, page).writable);
        core_fixture_check(&fixture);
    }
}
END_TEST

/* With memory for marks of many dirty PMD ranges, and without. */
START_TEST(dirty_pmd_ranges_overflow_to_all_of_it)
{
    unsigned char byte = 5;
    struct ext2dax_model_map *whole = ext2dax_model_map(fixture.model, file, 0, 160, true, true);

    fixture.no_memory = _i != 0;
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PMD_RANGE), 0);
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t range = 0; range < 20; range++)
            ck_assert_int_eq(ext2dax_model_write(whole, range * PMD_RANGE, &byte, 1, false, false),
                             EXT2DAX_FAULT_NOPAGE);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        for (uint64_t page = 0; page < 160; page++)
            ck_assert(!ext2dax_model_entry(whole, page).writable);
    }
    fixture.no_memory = false;
    core_fixture_check(&fixture);
    ext2dax_model_unmap(whole);
}
END_TEST

START_TEST(pins_keep_blocks)
{
    struct ext2dax_pin pin, second;
    unsigned char *at;
    size_t length;
    void *pointer;

    write_pages(0, 12, 7);
    ck_assert_int_eq(ext2dax_pin(file, 4 * PAGE, 2 * PAGE, false, &pin), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 5 * PAGE), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_punch(file, 0, 5 * PAGE), -EXT2DAX_EBUSY);
    ck_assert_uint_eq(core_fixture_size(file), 12 * PAGE);
    ck_assert_int_eq(ext2dax_punch(file, 0, 4 * PAGE), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 6 * PAGE), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, 4 * PAGE + 5, &pointer, &length), 0);
    ck_assert_int_eq(*(unsigned char *)pointer, 7);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, 3 * PAGE, &pointer, &length), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_pin(file, 0, PAGE, false, &second), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_pin(file, 5 * PAGE, 2 * PAGE, false, &second), -EXT2DAX_EINVAL);

    /* A writable pin fills holes with zeroes and keeps its PMD ranges dirty. */
    ck_assert_int_eq(ext2dax_pin(file, 0, 3 * PAGE, true, &second), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&second, PAGE, &pointer, &length), 0);
    at = pointer;
    ck_assert_int_eq(at[0], 0);
    at[0] = 42;
    ck_assert_int_eq(byte_at(map, PAGE), 42);
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    core_fixture_check(&fixture);
    ext2dax_unpin(&second);
    ext2dax_unpin(&pin);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
}
END_TEST

START_TEST(no_space_is_sigbus_and_no_memory_is_oom)
{
    struct ext2dax_inode *hog = core_fixture_create(&fixture, "hog");
    int64_t got;
    static unsigned char bytes[64 * PAGE];

    ck_assert_int_eq(ext2dax_truncate(file, 64 * PAGE), 0);
    for (uint64_t at = 0; (got = ext2dax_write(hog, at, bytes, sizeof bytes)) > 0;)
        at += (uint64_t)got;
    ck_assert_int_eq(got, -EXT2DAX_ENOSPC);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_SIGBUS);
    ck_assert_int_eq(why, -EXT2DAX_ENOSPC);
    ck_assert_int_eq(pmd_fault(map, 0, true, EXT2DAX_FALLBACK_NO_EXTENT), EXT2DAX_FAULT_FALLBACK);
    core_fixture_check(&fixture);
    core_fixture_unlink(&fixture, "hog");
    ext2dax_inode_put(hog);
    ck_assert_int_eq(fault(map, 0, true), EXT2DAX_FAULT_NOPAGE);
    core_fixture_check(&fixture);
}
END_TEST

START_TEST(other_block_sizes_fall_back)
{
    struct core_fixture_options options = {.size = 4 << 20, .block_size = 1024};
    struct ext2dax_fault f;

    teardown();
    open_with(&options);
    ck_assert_int_eq(ext2dax_write(file, 0, "data", 4), 4);
    ext2dax_model_fault(map, 0, false, &f);
    ck_assert_int_eq(ext2dax_fault(&f), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(f.reason, EXT2DAX_FALLBACK_BLOCK_SIZE);
    ck_assert_int_eq(ext2dax_pmd_fault(&f), EXT2DAX_FAULT_FALLBACK);
    ck_assert_int_eq(f.reason, EXT2DAX_FALLBACK_BLOCK_SIZE);
}
END_TEST

START_TEST(shrinking_zeroes_the_new_tail)
{
    unsigned char *block;

    write_pages(0, 3, 7);
    ck_assert_int_eq(ext2dax_truncate(file, PAGE + 100), 0);
    block = (unsigned char *)fixture.memory.base + core_fixture_physical(file, 1) * PAGE;
    ck_assert_int_eq(block[99], 7);
    for (unsigned i = 100; i < PAGE; i++)
        ck_assert_int_eq(block[i], 0);
}
END_TEST

START_TEST(a_write_may_come_from_the_file_itself)
{
    unsigned char *own;

    /* The buffer is the memory of the file's first page. */
    write_pages(0, 4, 7);
    own = (unsigned char *)fixture.memory.base + core_fixture_physical(file, 0) * PAGE;
    ck_assert_int_eq(ext2dax_write(file, 8 * PAGE, own, PAGE), PAGE);
    ck_assert_int_eq(byte_at(map, 8 * PAGE), 7);
    core_fixture_check(&fixture);
}
END_TEST

/*
 * Makes the first host allocation fail. A fault on a mapped block makes no allocation, whether the
 * PTE was not present or read-only.
 */
START_TEST(a_mapped_fault_allocates_nothing)
{
    struct ext2dax_fault f;

    ck_assert_int_eq(ext2dax_allocate(file, 0, 3 * PMD_RANGE, false), 0);
    ck_assert_int_eq(ext2dax_write(file, 60 * PAGE, "indirect", 8), 8);
    fixture.allocs_left = 0;
    ck_assert_int_eq(fault(map, 1, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(fault(map, 60, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(fault(map, 60, true), EXT2DAX_FAULT_NOPAGE);
    ext2dax_model_fault(map, 1, true, &f);
    ck_assert_int_eq(ext2dax_pfn_mkwrite(&f), EXT2DAX_FAULT_NOPAGE);
    ext2dax_model_fault(map, 2, true, &f);
    ck_assert_int_eq(ext2dax_mkwrite(&f), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(pmd_fault(map, 8, false, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(pmd_fault(map, 16, true, EXT2DAX_FALLBACK_NONE), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(fixture.allocs_left, 0);
    fixture.allocs_left = -1;
    core_fixture_check(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault family");
    TCase *entries = add_case(suite, "entries", USUAL_LIMIT);

    tcase_add_checked_fixture(entries, setup, teardown);
    tcase_add_test(entries, read_enters_a_read_only_run);
    tcase_add_test(entries, read_of_a_hole_enters_zero_pages);
    tcase_add_test(entries, past_the_end_is_sigbus);
    tcase_add_test(entries, write_fills_a_hole_and_replaces_every_zero_page);
    tcase_add_test(entries, mkwrite_replaces_a_zero_page);
    tcase_add_test(entries, pfn_mkwrite_makes_writable_and_checks_the_size);
    tcase_add_test(entries, pmd_write_claims_a_whole_region);
    tcase_add_test(entries, small_faults_fill_a_region_in_place);
    tcase_add_test(entries, pmd_falls_back_with_a_reason);
    tcase_add_test(entries, pmd_tells_a_hole_from_scattered_blocks);
    tcase_add_test(entries, private_writes_copy);
    tcase_add_test(entries, frozen_write_faults_retry);
    tcase_add_test(entries, a_last_put_while_frozen_waits_for_thaw);
    tcase_add_test(entries, read_only_mounts_refuse_stores);
    tcase_add_test(entries, fsync_write_protects_and_stores_dirty_again);
    tcase_add_loop_test(entries, dirty_pmd_ranges_overflow_to_all_of_it, 0, 2);
    tcase_add_test(entries, pins_keep_blocks);
    tcase_add_test(entries, no_space_is_sigbus_and_no_memory_is_oom);
    tcase_add_test(entries, a_mapped_fault_allocates_nothing);
    tcase_add_test(entries, other_block_sizes_fall_back);
    tcase_add_test(entries, shrinking_zeroes_the_new_tail);
    tcase_add_test(entries, a_write_may_come_from_the_file_itself);
    return run_suite(suite);
}
