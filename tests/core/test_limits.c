/* SPDX-License-Identifier: MIT */
/*
 * Where files end: sizes at every limit, sparse files over all levels of the tree, seek, and what each call refuses, by
 * name and with nothing changed.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define KIB 1024ull
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

static struct bench bench;
static struct ext2dax_inode *file;

static void open_with(uint32_t block_size)
{
    struct bench_options options = {.size = 8 * MIB, .block_size = block_size};

    bench_open(&bench, &options);
    file = bench_create(&bench, "file");
}

static void close_all(void)
{
    ext2dax_inode_put(file);
    bench_close(&bench);
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

/* Largest file in bytes, by block size: tree or i_blocks, whichever is smaller. */
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
    /* The hole in front is one run, however many missing pointer blocks it spans. */
    ck_assert_int_eq(ext2dax_map(file, 0, UINT64_MAX, &run), 0);
    ck_assert_uint_eq(run.physical, 0);
    ck_assert_uint_eq(run.length, 11);
    bench_check(&bench);
    for (unsigned i = n; i-- > 0;) {
        ck_assert_int_eq(ext2dax_truncate(file, at[i] * block_size), 0);
        bench_check(&bench);
    }
    close_all();
}
END_TEST

START_TEST(the_largest_file)
{
    uint64_t max = limits[_i].max;
    struct ext2dax_statfs figures;
    struct ext2dax_stat stat;
    /* With small blocks, growing so far would pass through a size that e2fsck calls impossible. */
    uint64_t reach = limits[_i].block_size == 1024 ? 16 * GIB : limits[_i].block_size == 2048 ? 256 * GIB : max;

    open_with(limits[_i].block_size);
    ext2dax_statfs(bench.mount, &figures);
    ck_assert_uint_eq(figures.max_file_size, max);
    ck_assert_int_eq(ext2dax_truncate(file, max + 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_truncate(file, UINT64_MAX), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_truncate(file, reach + 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(put_byte(reach, 1), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_allocate(file, reach, 1, false), -EXT2DAX_EFBIG);
    ck_assert_uint_eq(bench_size(file), 0);
    ck_assert_int_eq(put_byte(reach - 1, 7), 1);
    ck_assert_uint_eq(bench_size(file), reach);
    ck_assert_int_eq(get_byte(reach - 1), 7);
    ck_assert_int_eq(get_byte(reach - 2), 0);
    ext2dax_stat(file, &stat);
    ck_assert_uint_le(stat.sectors, 4 * limits[_i].block_size / 512);
    bench_check(&bench);
    ck_assert_int_eq(
        ext2dax_punch(file, (reach - 1) / limits[_i].block_size * limits[_i].block_size, limits[_i].block_size), 0);
    ext2dax_stat(file, &stat);
    ck_assert_uint_eq(stat.sectors, 0); /* the emptied pointer blocks went too */
    bench_check(&bench);
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
        ck_assert_uint_eq(bench_size(file), size);
        bench_check(&bench); /* large_file is set where the size needs it */
    }
    ck_assert_int_eq(ext2dax_truncate(file, 4 * GIB + 5), 0);
    ck_assert_int_eq(get_byte(2 * GIB), 3);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * GIB - 5), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 5), 0);
    bench_check(&bench);
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
    ck_assert_int_eq(ext2dax_seek(bench.root, 0, EXT2DAX_SEEK_DATA), -EXT2DAX_EINVAL);
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
    ck_assert_int_eq(ext2dax_read(bench.root, 0, &byte, 1), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_write(bench.root, 0, &byte, 1), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_write(file, UINT64_MAX, &byte, 2), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_truncate(bench.root, 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(ext2dax_punch(file, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_punch(file, UINT64_MAX, 2), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_punch(file, UINT64_MAX - 1, 1), 0); /* past the end: nothing to do */
    ck_assert_int_eq(ext2dax_allocate(file, 0, 0, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_allocate(file, UINT64_MAX, 2, false), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 4096, true), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 101, true), 0);
    ck_assert_int_eq(ext2dax_pin(file, UINT64_MAX, 2, false, &pin), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_pin(file, 4096, 1, false, &pin), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_pin(bench.root, 0, 1, false, &pin), -EXT2DAX_EINVAL);
    ck_assert_uint_eq(bench_size(file), 101);
    ck_assert_int_eq(get_byte(100), 1);
    bench_check(&bench);
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
    ck_assert_uint_eq(bench_size(file), 102);
    set_flags(0);
    close_all();
}
END_TEST

START_TEST(reserved_blocks_are_refused_whole)
{
    struct bench_options options = {.size = 4 * MIB, .block_size = 1024, .reserved_percent = 20};
    struct ext2dax_statfs figures;
    static char bytes[16 * KIB];
    uint64_t at = 0;
    int64_t got;

    bench_open(&bench, &options);
    file = bench_create(&bench, "file");
    bench.nobody = true;
    while ((got = ext2dax_write(file, at, bytes, sizeof bytes)) > 0)
        at += (uint64_t)got;
    ck_assert_int_eq(got, -EXT2DAX_ENOSPC);
    ext2dax_statfs(bench.mount, &figures);
    ck_assert_uint_eq(figures.available_blocks, 0);
    ck_assert_uint_ge(figures.free_blocks, 4 * 1024 / 5 - 2);
    bench.nobody = false;
    ck_assert_int_gt(ext2dax_write(file, at, bytes, sizeof bytes), 0);
    bench_check(&bench);
    close_all();
}
END_TEST

/* A copy that stops half-way: what it counted is in the file, and nothing else. */
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
            ext2dax_stat(file, &before);
            bench.copy_left = (size_t)stop;
            ck_assert_int_eq(ext2dax_write(file, offset, bytes, sizeof bytes), stop == 0 ? -EXT2DAX_EFAULT : stop);
            ck_assert_uint_eq(bench_size(file), stop == 0 ? before.size : offset + (uint64_t)stop);
            ck_assert_int_eq(ext2dax_read(file, offset, back, sizeof back), stop);
            ck_assert_mem_eq(back, bytes, (size_t)stop);
            ext2dax_stat(file, &after);
            bench.copy_left = SIZE_MAX;
            if (stop == 0)
                ck_assert_uint_eq(after.sectors, before.sectors);
            bench_check(&bench);
            close_all();
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *all = tcase_create("limits");
    SRunner *runner = srunner_create(suite);
    int failed, sizes = (int)(sizeof limits / sizeof limits[0]);

    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, every_level_of_the_tree, 0, sizes);
    tcase_add_loop_test(all, the_largest_file, 0, sizes);
    tcase_add_test(all, around_two_gib);
    tcase_add_test(all, seek_finds_data_and_holes);
    tcase_add_test(all, what_is_refused);
    tcase_add_test(all, immutable_and_append_only);
    tcase_add_test(all, reserved_blocks_are_refused_whole);
    tcase_add_test(all, a_short_copy_leaves_what_it_copied);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
