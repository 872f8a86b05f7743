/* SPDX-License-Identifier: MIT */
/*
 * Tests the ends of files. Covers sizes at every limit, sparse files at all levels of the block
 * tree, seek, and the errors of each call, which must change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"

#define KIB 1024ull
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

static struct core_fixture fixture;
static struct ext2dax_inode *file;

static void open_with(uint32_t block_size)
{
    struct core_fixture_options options = {.size = 8 * MIB, .block_size = block_size};

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
}

static void close_all(void)
{
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}

static int64_t put_byte(uint64_t offset, char byte)
{
    return ext2dax_write(file, offset, &byte, 1);
}

static char get_byte(uint64_t offset)
{
    char byte = 0x55;

    ck_assert_int_eq(ext2dax_read(file, offset, &byte, 1), 1);
    return byte;
}

/* Largest file in bytes per block size. The smaller of the limits of block tree and i_blocks. */
static const struct {
    uint32_t block_size;
    uint64_t max;
} limits[] = {
    {1024, 17247252480},    {2048, 275415851008},   {4096, 2196873666560},  {8192, 2197948973056},
    {16384, 2198486220800}, {32768, 2198754754560}, {65536, 2198888906752},
};

START_TEST(every_level_of_the_tree)
{
    uint32_t block_size = limits[_i].block_size;
    uint64_t p = block_size / 4,
             at[] = {11, 12, 13, 11 + p, 12 + p, 13 + p, 11 + p + p * p, 12 + p + p * p, 13 + p + p * p};
    uint64_t max_block = limits[_i].max / block_size;
    struct ext2dax_run run;
    unsigned n = 0;

    open_with(block_size);
    for (; n < sizeof at / sizeof at[0] && at[n] < max_block && at[n] * block_size < 16 * GIB - 1; n++)
        ck_assert_int_eq(put_byte(at[n] * block_size + n, (char)(n + 1)), 1);
    for (unsigned i = 0; i < n; i++) {
        ck_assert_int_eq(get_byte(at[i] * block_size + i), (char)(i + 1));
        ck_assert_int_eq(ext2dax_map(file, at[i], 1, &run), 0);
        ck_assert_uint_ne(run.physical, 0);
    }
    /* The hole at the start is a single run across all missing pointer blocks. */
    ck_assert_int_eq(ext2dax_map(file, 0, UINT64_MAX, &run), 0);
    ck_assert_uint_eq(run.physical, 0);
    ck_assert_uint_eq(run.length, 11);
    /*
     * The checker sees a hole too. A pointer of 0 is a hole, never a pointer block in block 0,
     * which holds the superblock.
     */
    for (uint64_t hole = 12 + 6 * p; hole < 12 + 7 * p; hole++)
        ck_assert_uint_eq(ext2dax_check_block(fixture.memory.base, fixture.memory.size, file->number, hole), 0);
    core_fixture_check(&fixture);
    for (unsigned i = n; i-- > 0;) {
        ck_assert_int_eq(ext2dax_truncate(file, at[i] * block_size), 0);
        core_fixture_check(&fixture);
    }
    close_all();
}
END_TEST

START_TEST(the_largest_file)
{
    uint64_t max = limits[_i].max;
    struct ext2dax_statfs figures;
    struct ext2dax_stat stat;
    /*
     * With small blocks, extending further would pass through a size which e2fsck treats as
     * impossible.
     */
    uint64_t reach = limits[_i].block_size == 1024 ? 16 * GIB : limits[_i].block_size == 2048 ? 256 * GIB : max;

    open_with(limits[_i].block_size);
    ext2dax_statfs(fixture.mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.max_file_size, max);
    ck_assert_uint_eq(figures.max_grow_size, reach);
    ck_assert_int_eq(ext2dax_truncate(file, max + 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_truncate(file, UINT64_MAX), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_truncate(file, reach + 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(put_byte(reach, 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_allocate(file, reach, 1, false), -EXT2DAX_EFBIG);
    ck_assert_uint_eq(core_fixture_size(file), 0);
    ck_assert_int_eq(put_byte(reach - 1, 7), 1);
    ck_assert_uint_eq(core_fixture_size(file), reach);
    ck_assert_int_eq(get_byte(reach - 1), 7);
    ck_assert_int_eq(get_byte(reach - 2), 0);
    ext2dax_stat(file, &stat, sizeof(stat));
    ck_assert_uint_le(stat.sectors, 4 * limits[_i].block_size / 512);
    core_fixture_check(&fixture);
    ck_assert_int_eq(
        ext2dax_punch(file, (reach - 1) / limits[_i].block_size * limits[_i].block_size, limits[_i].block_size), 0);
    ext2dax_stat(file, &stat, sizeof(stat));
    ck_assert_uint_eq(stat.sectors, 0); /* the emptied pointer blocks were freed too */
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

START_TEST(around_two_gib)
{
    open_with(4096);
    for (int64_t delta = -1; delta <= 1; delta++) {
        uint64_t size = 2 * GIB + (uint64_t)delta;

        ck_assert_int_eq(ext2dax_truncate(file, size), 0);
        ck_assert_int_eq(put_byte(size - 1, 3), 1);
        ck_assert_uint_eq(core_fixture_size(file), size);
        core_fixture_check(&fixture); /* large_file is set where the size needs it */
    }
    ck_assert_int_eq(ext2dax_truncate(file, 4 * GIB + 5), 0);
    ck_assert_int_eq(get_byte(2 * GIB), 3);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * GIB - 5), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 5), 0);
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

START_TEST(seek_finds_data_and_holes)
{
    open_with(4096);
    ck_assert_int_eq(ext2dax_seek(file, 0, EXT2DAX_SEEK_DATA), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_truncate(file, 10 * MIB), 0);
    ck_assert_int_eq(ext2dax_seek(file, 0, EXT2DAX_SEEK_DATA), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_seek(file, 5, EXT2DAX_SEEK_HOLE), 5);
    ck_assert_int_eq(put_byte(5 * MIB + 7, 1), 1);
    ck_assert_int_eq(ext2dax_seek(file, 0, EXT2DAX_SEEK_DATA), 5 * MIB);
    ck_assert_int_eq(ext2dax_seek(file, 5 * MIB + 9, EXT2DAX_SEEK_DATA), 5 * MIB + 9);
    ck_assert_int_eq(ext2dax_seek(file, 5 * MIB, EXT2DAX_SEEK_HOLE), 5 * MIB + 4096);
    ck_assert_int_eq(ext2dax_seek(file, 5 * MIB + 4096, EXT2DAX_SEEK_DATA), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_seek(file, 10 * MIB, EXT2DAX_SEEK_HOLE), -EXT2DAX_ENXIO);
    ck_assert_int_eq(put_byte(10 * MIB - 1, 1), 1);
    ck_assert_int_eq(ext2dax_seek(file, 10 * MIB - 1, EXT2DAX_SEEK_HOLE), 10 * MIB);
    ck_assert_int_eq(ext2dax_seek(file, UINT64_MAX, EXT2DAX_SEEK_DATA), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_seek(fixture.root, 0, EXT2DAX_SEEK_DATA), -EXT2DAX_EINVAL);
    close_all();
}
END_TEST

/* Looks up blocks 40 to 47 by the hint, upwards or downwards, and compares with ext2dax_map(). */
static void look_up_by(struct ext2dax_map_hint *hint, bool downwards)
{
    struct ext2dax_run run;

    for (uint64_t i = 0; i < 8; i++) {
        uint64_t logical = downwards ? 47 - i : 40 + i;

        ck_assert_int_eq(ext2dax_map(file, logical, 1, &run), 0);
        ck_assert_int_eq(ext2dax_map_block(file, logical, hint), (int64_t)run.physical);
    }
}

/* Moves the object of the file to a fixed address, if no other reference keeps the object. */
static void move_object(struct ext2dax_inode *storage)
{
    uint32_t number = file->number;

    ext2dax_inode_put(file);
    ck_assert_int_eq(ext2dax_inode_get_in(fixture.mount, number, storage, &file), 0);
    ck_assert_ptr_eq(file, storage);
}

/*
 * A lookup by hint names the same block as a lookup without, whatever happened to the file in
 * between. The file made in the last turn has the inode of a removed file.
 */
START_TEST(a_hint_is_of_the_file_of_now)
{
    struct ext2dax_map_hint hint = {NULL, {0, 0, 0}, 0}, before;
    uint64_t bytes = 64 * 4096;
    struct ext2dax_inode storage;
    uint32_t number;

    open_with(4096);
    move_object(&storage);
    for (unsigned turn = 0; turn < 4; turn++) {
        ck_assert_int_eq(ext2dax_allocate(file, 0, bytes, false), 0);
        look_up_by(&hint, false);
        ck_assert_uint_gt(hint.run.length, 1);
        if (turn == 0)
            ck_assert_int_eq(ext2dax_truncate(file, bytes / 2), 0);
        if (turn == 1)
            ck_assert(ext2dax_truncate(file, 0) == 0 && ext2dax_truncate(file, bytes) == 0);
        if (turn == 2)
            ck_assert_int_eq(ext2dax_punch(file, 40 * 4096, 8 * 4096), 0);
        if (turn == 3) {
            number = file->number;
            ext2dax_inode_put(file);
            core_fixture_unlink(&fixture, "file");
            file = core_fixture_create(&fixture, "file");
            ck_assert_uint_eq(file->number, number);
            move_object(&storage);
        }
        before = hint;
        look_up_by(&hint, true);
    }
    /* The new object has the address of the old, and after some turns as many removals. */
    for (unsigned removals = 0; removals < 20; removals++) {
        hint = before;
        look_up_by(&hint, true);
        ck_assert(ext2dax_allocate(file, 0, 4096, false) == 0 && ext2dax_truncate(file, 0) == 0);
    }
    ck_assert_int_eq(ext2dax_map_block(file, UINT64_MAX, &hint), -EXT2DAX_EFBIG);
    close_all();
}
END_TEST

START_TEST(what_is_refused)
{
    struct ext2dax_run run;
    struct ext2dax_pin pin;
    char byte = 0;

    open_with(4096);
    ck_assert_int_eq(put_byte(100, 1), 1);
    ck_assert_int_eq(ext2dax_map(file, 0, 0, &run), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_map(file, UINT64_MAX, 1, &run), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_read(file, UINT64_MAX, &byte, 2), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_read(file, 101, &byte, 1), 0);
    ck_assert_int_eq(ext2dax_read(fixture.root, 0, &byte, 1), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_write(fixture.root, 0, &byte, 1), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_write(file, UINT64_MAX, &byte, 2), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_truncate(fixture.root, 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_punch(file, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_punch(file, UINT64_MAX, 2), -EXT2DAX_EOVERFLOW);
    /* past the end, so nothing changes */
    ck_assert_int_eq(ext2dax_punch(file, UINT64_MAX - 1, 1), 0);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 0, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_allocate(file, UINT64_MAX, 2, false), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 4096, true), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 101, true), 0);
    ck_assert_int_eq(ext2dax_pin(file, UINT64_MAX, 2, false, &pin), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_pin(file, 4096, 1, false, &pin), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_pin(fixture.root, 0, 1, false, &pin), -EXT2DAX_EINVAL);
    ck_assert_uint_eq(core_fixture_size(file), 101);
    ck_assert_int_eq(get_byte(100), 1);
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

/*
 * Passes zero lengths, and ranges past the largest offset, to every call with an offset and a
 * length. Files and free space are unchanged afterwards.
 */
START_TEST(lengths_at_the_edge)
{
    static const struct {
        uint64_t offset, length;
        int read, write, allocate, punch, pin;
    } edges[] = {
        {0, 0, 0, 0, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL},
        {100, 0, 0, 0, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL},
        {INT64_MAX, 0, 0, 0, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL},
        {UINT64_MAX, 0, 0, 0, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL, -EXT2DAX_EINVAL},
        {UINT64_MAX, 1, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW,
         -EXT2DAX_EOVERFLOW},
        {UINT64_MAX - 1, 1, 0, -EXT2DAX_EFBIG, -EXT2DAX_EFBIG, 0, -EXT2DAX_EINVAL},
        {UINT64_MAX - 4096, 1, 0, -EXT2DAX_EFBIG, -EXT2DAX_EFBIG, 0, -EXT2DAX_EINVAL},
        {INT64_MAX, 1, 0, -EXT2DAX_EFBIG, -EXT2DAX_EFBIG, 0, -EXT2DAX_EINVAL},
        {1, UINT64_MAX, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW,
         -EXT2DAX_EOVERFLOW},
        {0, UINT64_MAX, -EXT2DAX_EOVERFLOW, -EXT2DAX_EOVERFLOW, -EXT2DAX_EFBIG, 0, -EXT2DAX_EINVAL},
    };
    struct ext2dax_statfs before, after;
    struct ext2dax_run run;
    struct ext2dax_pin pin;
    char bytes[4] = {1, 2, 3, 4};
    uint64_t far = UINT64_MAX;
    size_t length;
    void *at;

    open_with(4096);
    ck_assert_int_eq(ext2dax_truncate(file, 101), 0);
    ext2dax_statfs(fixture.mount, &before, sizeof(before));
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        uint64_t from = edges[i].offset, count = edges[i].length;

        if (count <= SIZE_MAX) {
            ck_assert_int_eq(ext2dax_read(file, from, bytes, (size_t)count), edges[i].read);
            ck_assert_int_eq(ext2dax_write(file, from, bytes, (size_t)count), edges[i].write);
        }
        ck_assert_int_eq(ext2dax_allocate(file, from, count, false), edges[i].allocate);
        ck_assert_int_eq(ext2dax_allocate(file, from, count, true),
                         edges[i].allocate == -EXT2DAX_EFBIG ? -EXT2DAX_EOPNOTSUPP : edges[i].allocate);
        ck_assert_int_eq(ext2dax_punch(file, from, count), edges[i].punch);
        ck_assert_int_eq(ext2dax_pin(file, from, count, false, &pin), edges[i].pin);
        ck_assert_int_eq(ext2dax_pin(file, from, count, true, &pin), edges[i].pin);
        ck_assert_uint_eq(core_fixture_size(file), 101);
    }
    /* A null buffer is valid for a length of 0. */
    ck_assert_int_eq(ext2dax_read(file, 0, NULL, 0), 0);
    ck_assert_int_eq(ext2dax_write(file, far, NULL, 0), 0);

    ck_assert_int_eq(ext2dax_map(file, far, far, &run), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_map(file, far, 0, &run), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_map(file, 1, far, &run), 0);
    ck_assert(run.physical == 0 && run.logical == 1 && run.logical + run.length > run.logical);
    ck_assert_int_eq(ext2dax_seek(file, far, EXT2DAX_SEEK_DATA), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_seek(file, far, EXT2DAX_SEEK_HOLE), -EXT2DAX_ENXIO);
    ck_assert_int_eq(ext2dax_seek(file, 0, (enum ext2dax_whence)(EXT2DAX_SEEK_HOLE + 1)), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_seek(file, far, (enum ext2dax_whence)77), -EXT2DAX_EINVAL);

    ck_assert_int_eq(put_byte(0, 1), 1);
    ck_assert_int_eq(ext2dax_pin(file, 0, 101, false, &pin), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, far, &at, &length), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, 4096, &at, &length), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_punch(file, 0, far), -EXT2DAX_EBUSY);
    ext2dax_unpin(&pin);
    ck_assert_int_eq(ext2dax_punch(file, 0, far), 0);
    ext2dax_statfs(fixture.mount, &after, sizeof(after));
    ck_assert_uint_eq(after.free_blocks, before.free_blocks);
    ck_assert_uint_eq(core_fixture_size(file), 101);
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

/*
 * A write of no bytes fails on a directory and on a read-only mount, as any write does. Otherwise
 * the write returns 0 and changes nothing.
 */
START_TEST(no_bytes_change_nothing)
{
    struct ext2dax_stat before, after;
    char byte = 0;

    open_with(4096);
    ext2dax_stat(file, &before, sizeof(before));
    ck_assert_int_eq(ext2dax_write(file, 0, &byte, 0), 0);
    ck_assert_int_eq(ext2dax_write(file, 4096, &byte, 0), 0);
    ext2dax_stat(file, &after, sizeof(after));
    ck_assert(after.size == before.size && after.sectors == before.sectors);
    ck_assert(memcmp(&after.mtime, &before.mtime, sizeof(after.mtime)) == 0);
    ck_assert(memcmp(&after.ctime, &before.ctime, sizeof(after.ctime)) == 0);
    ck_assert_int_eq(ext2dax_write(fixture.root, 0, &byte, 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_read(fixture.root, 0, &byte, 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, &byte, 0), -EXT2DAX_EROFS);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, 0), 0);
    close_all();
}
END_TEST

/* A write across the largest size writes the part below the largest size. */
START_TEST(a_write_across_the_largest_size)
{
    uint64_t max = limits[_i].max;
    uint64_t reach = limits[_i].block_size == 1024 ? 16 * GIB : limits[_i].block_size == 2048 ? 256 * GIB : max;
    static char bytes[3 * 65536];

    open_with(limits[_i].block_size);
    memset(bytes, 5, sizeof bytes);
    ck_assert_int_eq(ext2dax_write(file, reach - 10, bytes, 20), 10);
    ck_assert_uint_eq(core_fixture_size(file), reach);
    ck_assert_int_eq(ext2dax_write(file, reach - 10, bytes, 20), 10);
    ck_assert_int_eq(get_byte(reach - 1), 5);
    ck_assert_int_eq(ext2dax_write(file, reach, bytes, 20), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_write(file, reach + 1, bytes, 20), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_write(file, reach - 65536, bytes, sizeof bytes), 65536);
    ck_assert_int_eq(get_byte(reach - 65536), 5);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    ck_assert_int_eq(ext2dax_write(file, reach - 70000, bytes, sizeof bytes), 70000);
    ck_assert_uint_eq(core_fixture_size(file), reach);
    core_fixture_check(&fixture);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    close_all();
}
END_TEST

/*
 * A punch up to the end of file frees the last block. The rest of the block past the end holds
 * nothing to keep.
 */
START_TEST(a_punch_up_to_the_end)
{
    struct ext2dax_stat empty, stat;

    open_with(4096);
    ext2dax_stat(file, &empty, sizeof(empty));
    for (unsigned past = 0; past < 3; past++) {
        uint64_t length = past == 0 ? 1 : past == 1 ? 100 : 1 << 20;

        ck_assert_int_eq(put_byte(40960, 1), 1);
        ck_assert_uint_ne(core_fixture_physical(file, 10), 0);
        ck_assert_int_eq(ext2dax_punch(file, 40960, length), 0);
        ck_assert_uint_eq(core_fixture_physical(file, 10), 0);
        ck_assert_uint_eq(core_fixture_size(file), 40961);
        ck_assert_int_eq(get_byte(40960), 0);
        ext2dax_stat(file, &stat, sizeof(stat));
        ck_assert_uint_eq(stat.sectors, empty.sectors);
        core_fixture_check(&fixture);
    }
    /* A punch which ends before the end of file keeps the block. */
    ck_assert_int_eq(put_byte(40960, 1), 1);
    ck_assert_int_eq(put_byte(40961, 2), 1);
    ck_assert_int_eq(ext2dax_punch(file, 40960, 1), 0);
    ck_assert_uint_ne(core_fixture_physical(file, 10), 0);
    ck_assert_int_eq(get_byte(40961), 2);
    ck_assert_int_eq(ext2dax_punch(file, 40961, 1), 0);
    ck_assert_uint_ne(core_fixture_physical(file, 10), 0); /* begins inside the block */
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

static void set_flags(uint32_t flags)
{
    unsigned char *at = (unsigned char *)&file->disk->flags;

    for (unsigned i = 0; i < 4; i++)
        at[i] = (unsigned char)(flags >> (8 * i));
}

START_TEST(immutable_and_append_only)
{
    open_with(4096);
    ck_assert_int_eq(put_byte(100, 1), 1);
    set_flags(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(put_byte(100, 2), -EXT2DAX_EPERM);
    ck_assert_int_eq(put_byte(101, 2), 1);
    ck_assert_int_eq(ext2dax_truncate(file, 5), -EXT2DAX_EPERM);
    ck_assert_int_eq(ext2dax_punch(file, 0, 5), -EXT2DAX_EPERM);
    set_flags(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(put_byte(102, 2), -EXT2DAX_EPERM);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 4096, false), -EXT2DAX_EPERM);
    ck_assert_uint_eq(core_fixture_size(file), 102);
    set_flags(0);
    close_all();
}
END_TEST

START_TEST(reserved_blocks_are_refused_whole)
{
    struct core_fixture_options options = {.size = 4 * MIB, .block_size = 1024, .reserved_percent = 20};
    struct ext2dax_statfs figures;
    static char bytes[16 * KIB];
    uint64_t at = 0;
    int64_t got;

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
    fixture.nobody = true;
    while ((got = ext2dax_write(file, at, bytes, sizeof bytes)) > 0)
        at += (uint64_t)got;
    ck_assert_int_eq(got, -EXT2DAX_ENOSPC);
    ext2dax_statfs(fixture.mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.available_blocks, 0);
    ck_assert_uint_ge(figures.free_blocks, 4 * 1024 / 5 - 2);
    fixture.nobody = false;
    ck_assert_int_gt(ext2dax_write(file, at, bytes, sizeof bytes), 0);
    core_fixture_check(&fixture);
    close_all();
}
END_TEST

/* A copy which stops early leaves exactly the counted bytes in the file. */
START_TEST(a_short_copy_leaves_what_it_copied)
{
    static char bytes[40 * KIB], back[40 * KIB];
    struct ext2dax_stat before, after;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(1 + i % 100);
    for (unsigned start = 0; start < 3; start++) {
        uint64_t offset = start * 2500;

        for (long stop = 0; stop < (long)sizeof bytes; stop += 1777) {
            open_with(1024);
            if (offset != 0)
                ck_assert_int_eq(ext2dax_write(file, 0, bytes, 100), 100);
            ext2dax_stat(file, &before, sizeof(before));
            fixture.copy_left = (size_t)stop;
            ck_assert_int_eq(ext2dax_write(file, offset, bytes, sizeof bytes), stop == 0 ? -EXT2DAX_EFAULT : stop);
            ck_assert_uint_eq(core_fixture_size(file), stop == 0 ? before.size : offset + (uint64_t)stop);
            ck_assert_int_eq(ext2dax_read(file, offset, back, sizeof back), stop);
            ck_assert_mem_eq(back, bytes, (size_t)stop);
            ext2dax_stat(file, &after, sizeof(after));
            fixture.copy_left = SIZE_MAX;
            if (stop == 0)
                ck_assert_uint_eq(after.sectors, before.sectors);
            core_fixture_check(&fixture);
            close_all();
        }
    }
}
END_TEST

/*
 * Groups which end inside an aligned extent. The first images have a single group, with blocks per
 * group a multiple of the aligned extent or not. The last image has two groups of 1 KiB blocks, so
 * aligned extents straddle groups.
 */
static const struct {
    struct core_fixture_options options;
    uint32_t end; /* the first block after the group */
} short_groups[] = {
    {{.size = 900 * 4 * KIB, .block_size = 4096, .blocks_per_group = 1000}, 900},
    {{.size = 1000 * 16 * KIB, .block_size = 16384, .page_shift = 14, .huge_order = 7}, 1000},
    {{.size = 1000 * 16 * KIB, .block_size = 16384, .blocks_per_group = 1008}, 1000},
    {{.size = 690 * KIB, .block_size = 1024, .page_shift = 10, .huge_order = 7, .blocks_per_group = 696}, 690},
    {{.size = 700 * KIB, .block_size = 1024, .page_shift = 10, .huge_order = 7, .blocks_per_group = 512}, 513},
};

/*
 * Places the first block of a small file after the last whole aligned extent of its group, aligned
 * as the start of a PMD range. The other blocks of the PMD range must not be placed past the end of
 * the group.
 */
START_TEST(no_pmd_range_passes_the_end_of_its_group)
{
    struct ext2dax_inode *filler;
    struct ext2dax_statfs figures;
    uint32_t block_size, range, past = 0;
    uint64_t first, at, filled = 0;

    core_fixture_open(&fixture, &short_groups[_i].options);
    file = core_fixture_create(&fixture, "file");
    filler = core_fixture_create(&fixture, "filler");
    ext2dax_statfs(fixture.mount, &figures, sizeof(figures));
    block_size = figures.block_size;
    range = fixture.pmd_pages != 0 ? fixture.pmd_pages : (uint32_t)(2 * MIB) / block_size;
    for (;;) {
        ck_assert_int_eq(put_byte(0, 1), 1);
        first = core_fixture_physical(file, 0);
        if (first % range == 0 && first + range > short_groups[_i].end)
            break;
        ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
        ck_assert_int_eq(ext2dax_write(filler, filled++ * block_size, "x", 1), 1);
    }
    ck_assert_int_eq(ext2dax_truncate(file, 2ull * range * block_size), 0);
    for (uint32_t logical = range; --logical > 0;) {
        if (put_byte((uint64_t)logical * block_size, (char)logical) != 1)
            break;
        at = core_fixture_physical(file, logical);
        ck_assert_uint_gt(at, 0);
        ck_assert_uint_lt(at, figures.blocks);
        past += first + logical >= short_groups[_i].end;
        if (logical % 50 == 0)
            core_fixture_check(&fixture);
    }
    ck_assert_uint_gt(past, 0);
    ext2dax_inode_put(filler);
    close_all();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *all = add_case(suite, "limits", 60);
    int sizes = (int)(sizeof limits / sizeof limits[0]);
    tcase_add_loop_test(all, every_level_of_the_tree, 0, sizes);
    tcase_add_loop_test(all, the_largest_file, 0, sizes);
    tcase_add_test(all, around_two_gib);
    tcase_add_test(all, seek_finds_data_and_holes);
    tcase_add_test(all, a_hint_is_of_the_file_of_now);
    tcase_add_test(all, what_is_refused);
    tcase_add_test(all, lengths_at_the_edge);
    tcase_add_test(all, no_bytes_change_nothing);
    tcase_add_loop_test(all, a_write_across_the_largest_size, 0, sizes);
    tcase_add_test(all, a_punch_up_to_the_end);
    tcase_add_test(all, immutable_and_append_only);
    tcase_add_test(all, reserved_blocks_are_refused_whole);
    tcase_add_test(all, a_short_copy_leaves_what_it_copied);
    tcase_add_loop_test(all, no_pmd_range_passes_the_end_of_its_group, 0,
                        (int)(sizeof short_groups / sizeof short_groups[0]));
    return run_suite(suite);
}
