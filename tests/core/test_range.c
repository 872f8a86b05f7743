/* SPDX-License-Identifier: MIT */
/*
 * Tests the calls on a part of a file, fsync_range and zero_range. Compares the bytes which survive
 * a power cut per PMD range, and runs a crash at every point over crashing memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/internal.h"
#include "../runner.h"
#include "fixture.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/crash.h"

#define B          1024u    /* a block and a page */
#define W          (8u * B) /* a PMD range */
#define PMD_RANGES 12u      /* more PMD ranges than an inode has dirty marks */
#define MANY       100u     /* PMD ranges whose marks need more than a word of bits */
#define OLD        0x55
#define NEW        0xAA

static struct core_fixture fixture;
static struct ext2dax_inode *file;
static bool fixture_without_memory; /* in the next open_with() */

static void put_bytes(struct ext2dax_inode *inode, uint64_t at, size_t length, int byte)
{
    static unsigned char bytes[PMD_RANGES * W];

    memset(bytes, byte, length);
    ck_assert_int_eq(ext2dax_write(inode, at, bytes, length), (int64_t)length);
}

/* Opens a file of `ranges` PMD ranges of OLD, durable. */
static void open_with(enum ext2dax_order order, unsigned ranges)
{
    struct core_fixture_options options = {
        .size = 1 << 20, .block_size = B, .page_shift = 10, .huge_order = 3, .order = order, .durable = true};

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
    fixture.no_memory = fixture_without_memory;
    fixture_without_memory = false;
    put_bytes(file, 0, (size_t)ranges * W, OLD);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
}

static void close_all(void)
{
    core_fixture_check(&fixture);
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}

/* Returns the byte at `at` of the file as left by a power cut at this moment. */
static int durable_byte(uint64_t at)
{
    uint32_t block = ext2dax_check_block(fixture.durable, fixture.memory.size, file->number, at / B);

    return block != 0 ? fixture.durable[(size_t)block * B + at % B] : -1;
}

/* Returns the only byte value of [from, to) after a power cut, or -1 if the values differ. */
static int durable_bytes(uint64_t from, uint64_t to)
{
    int first = durable_byte(from);

    for (uint64_t at = from; at < to; at++) {
        if (durable_byte(at) != first)
            return -1;
    }
    return first;
}

static int file_byte(uint64_t at)
{
    unsigned char byte;

    ck_assert_int_eq(ext2dax_read(file, at, &byte, 1), 1);
    return byte;
}

/* ---- fsync_range ---- */

START_TEST(only_the_covered_pmd_ranges_become_durable)
{
    open_with(EXT2DAX_ORDERED, 4);
    put_bytes(file, 0, 4 * W, NEW);
    ck_assert_int_eq(durable_bytes(0, 4 * W), OLD);

    /* A single byte covers its PMD range. */
    ck_assert_int_eq(ext2dax_fsync_range(file, W + 3 * B + 7, 1), 0);
    ck_assert_int_eq(durable_bytes(0, W), OLD);
    ck_assert_int_eq(durable_bytes(W, 2 * W), NEW);
    ck_assert_int_eq(durable_bytes(2 * W, 4 * W), OLD);
    /* The last byte of a PMD range and the first of the next cover both. */
    ck_assert_int_eq(ext2dax_fsync_range(file, 3 * W - 1, 2), 0);
    ck_assert_int_eq(durable_bytes(0, W), OLD);
    ck_assert_int_eq(durable_bytes(W, 4 * W), NEW);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(durable_bytes(0, 4 * W), NEW);
    close_all();
}
END_TEST

/*
 * fsync takes a fence per dirty PMD range. Without memory for the marks every PMD range counts as
 * dirty. A file which grows in steps gets its marks in several maps.
 */
START_TEST(fsync_visits_what_is_dirty)
{
    static const unsigned last[] = {EXT2DAX_DIRTY_SLOTS + 1, EXT2DAX_DIRTY_SLOTS + 2, 40, 64, 65, MANY};
    struct core_fixture_options options = {
        .size = 2 << 20, .block_size = B, .page_shift = 10, .huge_order = 3, .order = EXT2DAX_ORDERED, .durable = true};
    bool memory = _i == 0 && E2D_FOR_SPEED;
    uintptr_t fences;

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
    fixture.no_memory = _i != 0;
    for (unsigned i = 0; i < sizeof last / sizeof last[0]; i++)
        ck_assert_int_eq(ext2dax_allocate(file, 0, last[i] * W, false), 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        unsigned dirty = 0;

        ck_assert_int_eq(ext2dax_fsync(file), 0);
        for (unsigned range = 0; range < MANY; range += 1 + 3 * (range % 4), dirty++)
            put_bytes(file, range * W + 5, 1, (int)(turn + 1));
        /* The first bit of a word, and the last of all. */
        put_bytes(file, 96 * W, 1, (int)(turn + 1));
        put_bytes(file, (MANY - 1) * W, 1, (int)(turn + 1));
        ck_assert_uint_gt(dirty, EXT2DAX_DIRTY_SLOTS + 2);
        fences = core_fixture_fences(&fixture);
        if (turn == 1) {
            ck_assert_int_eq(ext2dax_fsync_range(file, 30 * W, 40 * W), 0);
            ck_assert_uint_lt(core_fixture_fences(&fixture) - fences, memory ? 14 : 42);
            ck_assert_int_eq(durable_byte(5), (int)turn);
        }
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        if (memory)
            ck_assert_uint_le(core_fixture_fences(&fixture) - fences, dirty + 2);
        else
            ck_assert_uint_ge(core_fixture_fences(&fixture) - fences, MANY);
        for (unsigned range = 0; range < MANY; range += 1 + 3 * (range % 4))
            ck_assert_int_eq(durable_byte(range * W + 5), (int)(turn + 1));
        ck_assert_int_eq(durable_byte(96 * W), (int)(turn + 1));
        ck_assert_int_eq(durable_byte((MANY - 1) * W), (int)(turn + 1));
        fences = core_fixture_fences(&fixture);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_eq(core_fixture_fences(&fixture) - fences, 1); /* nothing is dirty */
    }
    fixture.no_memory = false;
    close_all();
}
END_TEST

/* Without memory for marks of many dirty PMD ranges, the file as a whole counts as dirty. */
START_TEST(only_the_covered_pmd_ranges_of_many)
{
    fixture_without_memory = _i != 0;
    open_with(EXT2DAX_ORDERED, PMD_RANGES);
    for (int turn = 0; turn < 2; turn++) {
        int old = turn == 0 ? OLD : NEW, new = turn == 0 ? NEW : OLD;

        put_bytes(file, 0, PMD_RANGES * W, new);
        ck_assert_int_eq(ext2dax_fsync_range(file, 9 * W, W + 1), 0);
        ck_assert_int_eq(durable_bytes(0, 9 * W), old);
        ck_assert_int_eq(durable_bytes(9 * W, 11 * W), new);
        ck_assert_int_eq(durable_bytes(11 * W, 12 * W), old);
        /* A store after the flush of a part is noticed as before. The mark of the file stays. */
        if (turn == 0) {
            put_bytes(file, 10 * W, 1, 7);
            ck_assert_int_eq(ext2dax_fsync_range(file, 10 * W, 1), 0);
            ck_assert_int_eq(durable_byte(10 * W), 7);
            put_bytes(file, 10 * W, 1, new);
        }
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_int_eq(durable_bytes(0, PMD_RANGES * W), new);
    }
    /* The walk skips holes, and ends at the end of the file and of the range. */
    fixture.no_memory = false;
    ck_assert_int_eq(ext2dax_punch(file, W, 6 * W), 0);
    put_bytes(file, 0, W, NEW);
    put_bytes(file, 7 * W, 5 * W, NEW);
    ck_assert_int_eq(ext2dax_fsync_range(file, 3 * W, 5 * W), 0);
    ck_assert_int_eq(durable_bytes(7 * W, 8 * W), NEW);
    ck_assert_int_eq(ext2dax_fsync_range(file, 8 * W, UINT64_MAX - 8 * W), 0);
    ck_assert_int_eq(durable_bytes(8 * W, PMD_RANGES * W), NEW);
    close_all();
}
END_TEST

/* New blocks, the pointers to them and the size survive, in both orders. */
START_TEST(new_blocks_can_be_read)
{
    enum ext2dax_order order = _i == 0 ? EXT2DAX_ORDERED : EXT2DAX_UNORDERED;

    open_with(order, 1);
    put_bytes(file, 100 * B + 5, 3 * B, NEW);
    if (order == EXT2DAX_UNORDERED)
        ck_assert_uint_eq(ext2dax_check_size(fixture.durable, fixture.memory.size, file->number), W);
    ck_assert_int_eq(ext2dax_fsync_range(file, 100 * B, 4 * B), 0);
    ck_assert_uint_eq(ext2dax_check_size(fixture.durable, fixture.memory.size, file->number), 103 * B + 5);
    ck_assert_int_eq(durable_bytes(100 * B + 5, 103 * B + 5), NEW);
    ck_assert_int_eq(ext2dax_check_image(fixture.durable, fixture.memory.size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, NULL),
                     0);
    close_all();
}
END_TEST

START_TEST(arguments_of_fsync_range)
{
    uintptr_t fences;

    open_with(EXT2DAX_ORDERED, 2);
    put_bytes(file, 0, 2 * W, NEW);
    fences = core_fixture_fences(&fixture);
    ck_assert_int_eq(ext2dax_fsync_range(file, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_fsync_range(file, UINT64_MAX, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_fsync_range(file, 1, UINT64_MAX), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_fsync_range(file, UINT64_MAX, 1), -EXT2DAX_EOVERFLOW);
    ck_assert_uint_eq(core_fixture_fences(&fixture), fences);
    /* A range past the end makes the times durable, and nothing else. */
    ck_assert_int_eq(ext2dax_fsync_range(file, 2 * W, W), 0);
    ck_assert_int_eq(ext2dax_fsync_range(file, UINT64_MAX - 1, 1), 0);
    ck_assert_uint_eq(core_fixture_fences(&fixture), fences + 2);
    ck_assert_int_eq(durable_bytes(0, 2 * W), OLD);
    /* Two PMD ranges are dirty in the longest range. */
    ck_assert_int_eq(ext2dax_fsync_range(file, 0, UINT64_MAX), 0);
    ck_assert_uint_eq(core_fixture_fences(&fixture), fences + 4);
    ck_assert_int_eq(durable_bytes(0, 2 * W), NEW);
    close_all();
}
END_TEST

/* Stores through a writable pin are never noticed, so each call writes the range back. */
START_TEST(a_writable_pin_stays_dirty)
{
    struct ext2dax_pin pin;
    size_t length;
    void *at;

    fixture_without_memory = _i != 0;
    open_with(EXT2DAX_ORDERED, PMD_RANGES);
    ck_assert_int_eq(ext2dax_pin(file, W, B, true, &pin), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, W, &at, &length), 0);
    for (int turn = 1; turn < 4; turn++) {
        /* In the last turn many PMD ranges are dirty. */
        if (turn == 3)
            put_bytes(file, 2 * W, (PMD_RANGES - 2) * W, NEW);
        memset(at, turn, B);
        ck_assert_int_eq(ext2dax_fsync_range(file, W, 1), 0);
        ck_assert_int_eq(durable_bytes(W, W + B), turn);
    }
    ext2dax_unpin(&pin);
    close_all();
}
END_TEST

/* ---- zero_range ---- */

START_TEST(blocks_stay_and_holes_stay)
{
    struct ext2dax_stat before, after;
    struct ext2dax_run run;
    uint64_t physical[2 * W / B];

    open_with(EXT2DAX_ORDERED, 2);
    ck_assert_int_eq(ext2dax_punch(file, 5 * B, 2 * B), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 2 * W - 100), 0);
    for (unsigned i = 0; i < 2 * W / B; i++)
        physical[i] = core_fixture_physical(file, i);
    file->disk->mtime = e2d_le32(1);
    ext2dax_stat(file, &before, sizeof(before));
    ck_assert_int_eq(ext2dax_zero_range(file, 3 * B + 100, 5 * B), 0);
    ext2dax_stat(file, &after, sizeof(after));
    ck_assert_uint_eq(after.size, before.size);
    ck_assert_uint_eq(after.sectors, before.sectors);
    ck_assert_int_gt(after.mtime.seconds, before.mtime.seconds);
    for (unsigned i = 0; i < 2 * W / B; i++)
        ck_assert_uint_eq(core_fixture_physical(file, i), physical[i]);
    for (unsigned at = 0; at < 2 * W - 100; at++)
        ck_assert_int_eq(file_byte(at), at >= 3 * B + 100 && at < 8 * B + 100 ? 0
                                        : at >= 5 * B && at < 7 * B           ? 0
                                                                              : OLD);
    /* A range across the end is clipped, and a range past the end changes not even the times. */
    ck_assert_int_eq(ext2dax_zero_range(file, 2 * W - 200, UINT64_MAX - 2 * W), 0);
    ck_assert_uint_eq(core_fixture_size(file), 2 * W - 100);
    ck_assert_int_eq(file_byte(2 * W - 201), OLD);
    ck_assert_int_eq(file_byte(2 * W - 200), 0);
    ck_assert_int_eq(file_byte(2 * W - 101), 0);
    file->disk->mtime = file->disk->ctime = e2d_le32(1);
    ck_assert_int_eq(ext2dax_zero_range(file, 2 * W - 100, 50), 0);
    ext2dax_stat(file, &after, sizeof(after));
    ck_assert_int_eq(after.mtime.seconds, 1);
    ck_assert_int_eq(after.ctime.seconds, 1);
    ck_assert_int_eq(ext2dax_map(file, 5, 1, &run), 0);
    ck_assert_uint_eq(run.physical, 0);
    close_all();
}
END_TEST

/* The zeroes are data over existing blocks, which only fsync makes durable. */
START_TEST(zeroes_become_durable_with_fsync)
{
    uintptr_t fences;

    open_with(_i == 0 ? EXT2DAX_ORDERED : EXT2DAX_UNORDERED, PMD_RANGES);
    fences = core_fixture_fences(&fixture);
    ck_assert_int_eq(ext2dax_zero_range(file, 100, 3 * W), 0);
    ck_assert_uint_eq(core_fixture_fences(&fixture), fences);
    ck_assert_int_eq(durable_bytes(0, PMD_RANGES * W), OLD);
    ck_assert_int_eq(ext2dax_fsync_range(file, W, 1), 0);
    ck_assert_int_eq(durable_bytes(W, 2 * W), 0);
    if (_i == 0) {
        ck_assert_int_eq(durable_bytes(0, W), OLD);
        ck_assert_int_eq(durable_bytes(2 * W, 4 * W), OLD);
    }
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(durable_bytes(0, 100), OLD);
    ck_assert_int_eq(durable_bytes(100, 3 * W + 100), 0);
    ck_assert_int_eq(durable_bytes(3 * W + 100, PMD_RANGES * W), OLD);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, UINT64_MAX), 0);
    ck_assert_int_eq(ext2dax_sync(fixture.mount), 0);
    ck_assert_int_eq(durable_bytes(0, PMD_RANGES * W), 0);
    close_all();
}
END_TEST

/* A pin points to zeroed memory, and no block is freed, so a pin is no reason to refuse. */
START_TEST(pins_see_the_zeroes)
{
    struct ext2dax_pin pins[2];
    const unsigned char *at[2];
    size_t length;

    open_with(EXT2DAX_ORDERED, 2);
    for (int i = 0; i < 2; i++) {
        void *pointer;

        ck_assert_int_eq(ext2dax_pin(file, (unsigned)i * W, B, i == 1, &pins[i]), 0);
        ck_assert_int_eq(ext2dax_pin_pointer(&pins[i], (unsigned)i * W, &pointer, &length), 0);
        at[i] = pointer;
    }
    ck_assert_int_eq(ext2dax_zero_range(file, 1, W), 0);
    ck_assert_int_eq(at[0][0], OLD);
    ck_assert_int_eq(at[0][1], 0);
    ck_assert_int_eq(at[1][0], 0);
    ck_assert_int_eq(at[1][1], OLD);
    for (int i = 0; i < 2; i++)
        ext2dax_unpin(&pins[i]);
    close_all();
}
END_TEST

START_TEST(refusals_of_zero_range)
{
    struct ext2dax_disk_super *super;
    struct ext2dax_le32 was;

    open_with(EXT2DAX_ORDERED, 2);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_zero_range(file, UINT64_MAX, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_zero_range(file, 1, UINT64_MAX), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_zero_range(fixture.root, 0, 1), -EXT2DAX_EISDIR);
    was = file->disk->flags;
    file->disk->flags = e2d_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 1), -EXT2DAX_EPERM);
    file->disk->flags = e2d_le32(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 1), -EXT2DAX_EPERM);
    file->disk->flags = was;
    ck_assert_int_eq(ext2dax_remount(fixture.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 1), -EXT2DAX_EROFS);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, 0), 0);
    ck_assert_int_eq(file_byte(0), OLD);

    /* A damaged pointer is found before the first change, and outside the range not at all. */
    was = file->disk->block[9];
    file->disk->block[9] = e2d_le32(2);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 10 * B), -EXT2DAX_EUCLEAN);
    ck_assert_uint_eq(fixture.last.number, file->number);
    ck_assert_int_eq(file_byte(0), OLD);
    ck_assert_int_eq(file_byte(9 * B - 1), OLD);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    put_bytes(file, 9 * B - 1, 1, NEW);
    ck_assert_int_eq(ext2dax_fsync_range(file, W, B), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 9 * B), 0);
    ck_assert_int_eq(ext2dax_fsync_range(file, 0, B), 0);
    ck_assert_int_eq(durable_bytes(0, W), 0);
    file->disk->block[9] = was;
    super = (void *)((unsigned char *)fixture.memory.base + EXT2DAX_SUPER_OFFSET);
    super->state = e2d_le16(e2d_get16(super->state) & ~EXT2DAX_STATE_ERROR);
    close_all();
}
END_TEST

/* ---- mappings ---- */

#if BENCH_FAULTS
static void load(struct ext2dax_model_map *map, uint64_t at, bool huge, int byte)
{
    unsigned char got;

    ck_assert_int_eq(ext2dax_model_read(map, at, &got, 1, huge, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert_int_eq(got, byte);
}

static void store(struct ext2dax_model_map *map, uint64_t at, bool huge, unsigned char byte)
{
    ck_assert_int_eq(ext2dax_model_write(map, at, &byte, 1, huge, false), EXT2DAX_FAULT_NOPAGE);
}

/* Only the mappings of covered PMD ranges are write-protected, and later stores are noticed. */
START_TEST(mappings_of_other_pmd_ranges_stay_writable)
{
    struct ext2dax_model_map *map;

    fixture_without_memory = _i != 0;
    open_with(EXT2DAX_ORDERED, PMD_RANGES);
    map = ext2dax_model_map(fixture.model, file, 0, PMD_RANGES * W / B, true, true);
    for (int turn = 0; turn < 2; turn++) {
        /* The second turn has more dirty PMD ranges than marks. */
        unsigned ranges = turn == 0 ? 3 : PMD_RANGES;

        for (unsigned range = 0; range < ranges; range++)
            store(map, range * W + B, false, NEW);
        ck_assert_int_eq(ext2dax_fsync_range(file, W, W), 0);
        ck_assert(ext2dax_model_entry(map, 1).writable);
        ck_assert(!ext2dax_model_entry(map, W / B + 1).writable);
        ck_assert(ext2dax_model_entry(map, 2 * W / B + 1).writable);
        ck_assert_int_eq(durable_byte(W + B), NEW);
        ck_assert_int_eq(durable_byte(2 * W + B), turn == 0 ? OLD : 7);
        store(map, W + B, false, 7);
        ck_assert_int_eq(durable_byte(W + B), NEW);
        ck_assert_int_eq(ext2dax_fsync_range(file, 0, 2 * W), 0);
        ck_assert_int_eq(durable_byte(W + B), 7);
        store(map, 2 * W + B, false, 7);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_int_eq(durable_byte(2 * W + B), 7);
    }
    ext2dax_model_unmap(map);
    close_all();
}
END_TEST

/* Every kind of PTE stays, and shows the zeroes without a fault. A private copy keeps its bytes. */
START_TEST(mappings_show_the_zeroes)
{
    struct ext2dax_model_map *map, *private_map;
    struct ext2dax_counters before, after;

    open_with(EXT2DAX_ORDERED, 1);
    ck_assert_int_eq(ext2dax_allocate(file, W, W, false), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 3 * W), 0);
    map = ext2dax_model_map(fixture.model, file, 0, 3 * W / B, true, true);
    private_map = ext2dax_model_map(fixture.model, file, 0, 3 * W / B, false, true);
    load(map, B, false, OLD);
    store(map, 2 * B, false, NEW);
    store(map, W + B, true, NEW);
    ck_assert(ext2dax_model_entry(map, W / B).huge);
    load(map, 2 * W + B, false, 0);
    load(private_map, B, false, OLD);
    store(private_map, 2 * B, false, NEW);
    ext2dax_count(fixture.mount, &before, sizeof(before));
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 3 * W), 0);
    load(map, B, false, 0);
    load(map, 2 * B, false, 0);
    store(map, 2 * B, false, 3);
    load(map, W + B, false, 0);
    load(map, 2 * W + B, false, 0);
    load(private_map, B, false, 0);
    load(private_map, 2 * B, false, NEW);
    ext2dax_count(fixture.mount, &after, sizeof(after));
    ck_assert_uint_eq(after.faults, before.faults);
    ck_assert(ext2dax_model_entry(map, W / B).huge && ext2dax_model_entry(map, W / B).writable);
    ck_assert_int_eq(ext2dax_model_entry(map, 2 * W / B + 1).kind, EXT2DAX_MODEL_ZERO);
    ext2dax_model_unmap(private_map);
    ext2dax_model_unmap(map);
    close_all();
}
END_TEST
#endif

/* ---- a crash at every point ---- */

#define CRASH_BYTES (64u * B)
#define CRASH_FILE  (2u * W)
#define FROM        (W - 72u) /* zeroed range, with an edge inside a word */
#define TO          (W + 44u)

static struct {
    uint32_t number;
    bool covered; /* the first PMD range is synced */
    unsigned images, old, zeroed;
    char wrong[160];
} crashed;

static int wrong(const char *what, uint64_t at)
{
    snprintf(crashed.wrong, sizeof crashed.wrong, "%s at byte %u", what, (unsigned)at);
    return 1;
}

/* Checks an image a crash could leave after the zeroing. */
static int check_words(void *arg, const struct ext2dax_crash_state *state)
{
    const unsigned char *image = state->image;

    (void)arg;
    crashed.images++;
    if (ext2dax_check_image(image, CRASH_BYTES, EXT2DAX_CHECK_MOUNTED, NULL, NULL, NULL) != 0)
        return wrong("a finding of the checker", 0);
    if (ext2dax_check_size(image, CRASH_BYTES, crashed.number) != CRASH_FILE)
        return wrong("another size", 0);
    for (uint32_t at = 0; at < CRASH_FILE; at++) {
        uint32_t block = ext2dax_check_block(image, CRASH_BYTES, crashed.number, at / B);
        int byte = block != 0 ? image[(size_t)block * B + at % B] : -1;
        bool inside = at >= FROM && at < TO;

        if (byte != OLD && !(inside && byte == 0))
            return wrong("another byte", at);
        if (inside && crashed.covered && at < W && byte != 0)
            return wrong("a byte not durable", at);
        crashed.old += inside && at >= W && byte == OLD;
        crashed.zeroed += inside && at >= W && byte == 0;
    }
    return 0;
}

START_TEST(a_crash_at_every_point)
{
    struct ext2dax_crash_options crash_options = {.size = sizeof crash_options, .bytes = CRASH_BYTES};
    struct ext2dax_format_options format = {.size = sizeof format, .block_size = B};
    struct ext2dax_mount_options options = {
        .size = sizeof options, .order = EXT2DAX_ORDERED, .page_shift = 10, .huge_order = 3};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_inode *root, *inode;
    struct ext2dax_mount *mount;
    struct ext2dax_crash *crash;

    memset(&crashed, 0, sizeof crashed);
    ck_assert_int_eq(ext2dax_crash_open(&crash_options, &plugs.memory, &crash), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, &format, NULL), 0);
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &inode), 0);
    put_bytes(inode, 0, CRASH_FILE, OLD);
    ck_assert_int_eq(ext2dax_sync(mount), 0);
    crashed.number = inode->number;

    ext2dax_crash_check(crash, check_words, NULL);
    ck_assert_int_eq(ext2dax_zero_range(inode, FROM, TO - FROM), 0);
    ck_assert_msg(ext2dax_crash_point(crash) == 0, "after zero_range, %s", crashed.wrong);
    ck_assert_uint_gt(crashed.old, 0);
    ck_assert_uint_gt(crashed.zeroed, 0);
    ck_assert_uint_gt(crashed.images, 100);
    /* The fence of this call is checked as well, before its effect. */
    ck_assert_int_eq(ext2dax_fsync_range(inode, 0, 1), 0);
    ck_assert_str_eq(crashed.wrong, "");
    crashed.covered = true;
    crashed.old = crashed.zeroed = 0;
    ck_assert_msg(ext2dax_crash_point(crash) == 0, "after fsync_range, %s", crashed.wrong);
    ck_assert_uint_gt(crashed.old, 0);
    ck_assert_uint_gt(crashed.zeroed, 0);
    ck_assert_int_eq(ext2dax_fsync_range(inode, TO - 1, 1), 0);
    crashed.old = 0;
    ck_assert_msg(ext2dax_crash_point(crash) == 0, "after the second fsync_range, %s", crashed.wrong);
    ck_assert_uint_eq(crashed.old, 0);

    ext2dax_crash_check(crash, NULL, NULL);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ext2dax_crash_close(crash);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range");
    TCase *all = add_case(suite, "range", 60);

    tcase_add_test(all, only_the_covered_pmd_ranges_become_durable);
    tcase_add_loop_test(all, fsync_visits_what_is_dirty, 0, 2);
    tcase_add_loop_test(all, only_the_covered_pmd_ranges_of_many, 0, 2);
    tcase_add_loop_test(all, new_blocks_can_be_read, 0, 2);
    tcase_add_test(all, arguments_of_fsync_range);
    tcase_add_loop_test(all, a_writable_pin_stays_dirty, 0, 2);
    tcase_add_test(all, blocks_stay_and_holes_stay);
    tcase_add_loop_test(all, zeroes_become_durable_with_fsync, 0, 2);
    tcase_add_test(all, pins_see_the_zeroes);
    tcase_add_test(all, refusals_of_zero_range);
#if BENCH_FAULTS
    tcase_add_loop_test(all, mappings_of_other_pmd_ranges_stay_writable, 0, 2);
    tcase_add_test(all, mappings_show_the_zeroes);
#endif
    tcase_add_test(all, a_crash_at_every_point);
    return run_suite(suite);
}
