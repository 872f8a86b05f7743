/* SPDX-License-Identifier: MIT */
/*
 * The core's mkfs, checked by others. e2fsck checks a sweep of geometries (argument "e2fsck"), and
 * Linux mounts the image and changes files (argument "linux").
 */
#include <check.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ext2dax/error.h"
#include "ext2dax/format.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

#include "../runner.h"
#include "formatted.h"
#include "outside.h"

/* ---- checks by e2fsck ---- */

static unsigned counted;

static void check_whole(size_t size, uint32_t block_size, uint32_t blocks_per_group, uint32_t inodes)
{
    struct outside_image image = outside_open(size);
    int error = make(image.base, size, block_size, blocks_per_group, inodes);

    if (error == 0) {
        counted++;
        ck_assert_msg(ext2dax_check_image(image.base, size, 0, show, NULL, NULL) == 0 &&
                          outside_e2fsck(&image, true) == 0,
                      "%zu bytes, blocks of %u, %u a group, %u inodes", size, block_size, blocks_per_group, inodes);
    } else {
        ck_assert_int_eq(error, -EXT2DAX_ENOSPC);
    }
    outside_close(&image);
}

START_TEST(e2fsck_passes_every_block_size)
{
    static const uint32_t blocks[] = {7, 8, 9, 10, 11, 16, 64, 100, 257, 1000};
    unsigned i;

    counted = 0;
    for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        check_whole((size_t)blocks[i] * block_sizes[_i] + 511, block_sizes[_i], 0, 0);
    ck_assert_uint_ge(counted, 8);
}
END_TEST

START_TEST(e2fsck_passes_sizes_around_group_boundaries)
{
    static const uint32_t groups[] = {1, 2, 3, 5};
    static const int beside[] = {-1, 0, 1, 2, 4, 37, 69};
    unsigned g, d;

    counted = 0;
    for (g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
        for (d = 0; d < sizeof(beside) / sizeof(beside[0]); d++) {
            check_whole((size_t)((int)(groups[g] * 8192) + 1 + beside[d]) * 1024, 1024, 0, 0);
            check_whole((size_t)((int)(groups[g] * 128) + beside[d]) * 4096, 4096, 128, 0);
        }
    ck_assert_uint_eq(counted, 56);
}
END_TEST

START_TEST(e2fsck_passes_odd_groups_and_inode_counts)
{
    static const uint32_t per_group[] = {24, 32, 64, 256};
    static const uint32_t inodes[] = {1, 17, 100, 2000};
    unsigned g, i;

    counted = 0;
    for (g = 0; g < sizeof(per_group) / sizeof(per_group[0]); g++)
        for (i = 40; i <= 300; i += 26) {
            check_whole((size_t)i * 1024, 1024, per_group[g], 16);
            check_whole((size_t)i * 2048, 2048, per_group[g], 16);
            check_whole((size_t)i * 65536, 65536, per_group[g], 16);
        }
    for (i = 0; i < sizeof(inodes) / sizeof(inodes[0]); i++)
        for (g = 0; g < BLOCK_SIZES; g++)
            check_whole((size_t)2000 * block_sizes[g], block_sizes[g], 1024, inodes[i]);
    check_whole((size_t)70000 * 16384, 16384, 0, 64);
    ck_assert_uint_ge(counted, 140);
}
END_TEST

START_TEST(e2fsck_passes_every_inode_size)
{
    static const uint32_t left_out[] = {0, EXT2DAX_COMPAT_DIR_INDEX, EXT2DAX_COMPAT_EXT_ATTR,
                                        EXT2DAX_COMPAT_DIR_INDEX | EXT2DAX_COMPAT_EXT_ATTR};
    uint32_t block_size = block_sizes[_i], inode_size;

    for (inode_size = 128; inode_size <= block_size && inode_size <= 32768; inode_size *= 2) {
        struct outside_image image = outside_open((size_t)700 * block_size);
        struct ext2dax_memory memory = plain(image.base, image.size);
        struct ext2dax_format_options options = {.size = sizeof(options),
                                                 .block_size = block_size,
                                                 .inode_size = inode_size,
                                                 .without = left_out[inode_size / 128 % 4],
                                                 .root_uid = 70000,
                                                 .time = 0x90000000};

        ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
        ck_assert_int_eq(ext2dax_check_image(image.base, image.size, 0, show, NULL, NULL), 0);
        ck_assert_int_eq(outside_e2fsck(&image, true), 0);
        ck_assert_int_eq(outside_run("tune2fs -l %s | grep -q 'Inode size:[[:space:]]*%u$'", image.path, inode_size),
                         0);
        outside_close(&image);
    }
}
END_TEST

START_TEST(debugfs_and_dumpe2fs_read_it)
{
    struct outside_image image = outside_open((size_t)300 * block_sizes[_i]);

    ck_assert_int_eq(make(image.base, image.size, block_sizes[_i], 0, 0), 0);
    ck_assert_int_eq(outside_run("dumpe2fs %s 2>/dev/null | grep -q 'Filesystem state: *clean'", image.path), 0);
    ck_assert_int_eq(
        outside_run("dumpe2fs -h %s 2>/dev/null | grep -q 'features:  *ext_attr dir_index filetype'", image.path), 0);
    ck_assert_int_eq(outside_run("dumpe2fs -h %s 2>/dev/null | grep -q 'directory hash: *half_md4'", image.path), 0);
    ck_assert_int_eq(outside_run("dumpe2fs -h %s 2>/dev/null | grep -q 'Filesystem flags: *signed_dir'", image.path),
                     0);
    ck_assert_int_eq(outside_run("debugfs -R 'ls -l /lost+found' %s 2>/dev/null | grep -q ' 40700 '", image.path), 0);
    outside_close(&image);
}
END_TEST

/* ---- checks by Linux ---- */

static char mount_point[] = "/tmp/ext2dax-mount-XXXXXX";

START_TEST(linux_works_in_it)
{
    struct outside_image image = outside_open((size_t)9001 * block_sizes[_i]);

    ck_assert_int_eq(make(image.base, image.size, block_sizes[_i], 2048, 0), 0);
    ck_assert_int_eq(outside_run("mount -t ext2 -o loop %s %s", image.path, mount_point), 0);
    ck_assert_int_eq(outside_run("cd %s && mkdir -p a/b/c && head -c 300000 /dev/zero | tr '\\0' x >a/b/x && "
                                 "for i in 1 2 3 4 5 6 7 8 9; do ln -s some/where a/link$i; cp a/b/x a/$i; done && "
                                 "rm a/3 a/5 && ln a/1 one && truncate -s 100000 a/2",
                                 mount_point),
                     0);
    ck_assert_int_eq(outside_run("umount %s", mount_point), 0);
    ck_assert_int_eq(outside_e2fsck(&image, true), 0);
    ck_assert_int_eq(ext2dax_check_image(image.base, image.size, 0, show, NULL, NULL), 0);
    outside_close(&image);
}
END_TEST

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "e2fsck";
    Suite *suite = suite_create("format");
    TCase *tests = add_case(suite, part, 120);
    int status;

    if (strcmp(part, "linux") == 0) {
        struct outside_image image = outside_open(1 << 20);
        bool can = geteuid() == 0 && outside_has("e2fsck") && mkdtemp(mount_point) &&
                   make(image.base, image.size, 1024, 0, 0) == 0 &&
                   outside_run("mount -t ext2 -o loop %s %s 2>/dev/null && umount %s", image.path, mount_point,
                               mount_point) == 0;

        outside_close(&image);
        if (!can) {
            (void)rmdir(mount_point);
            return skip("no loop mounts for this user on this system, or no e2fsck");
        }
        tcase_add_loop_test(tests, linux_works_in_it, 0, 3);
    } else {
        if (!outside_has("e2fsck") || !outside_has("debugfs") || !outside_has("dumpe2fs"))
            return skip("e2fsprogs is not installed; nothing else checked the images");
        tcase_add_loop_test(tests, e2fsck_passes_every_block_size, 0, BLOCK_SIZES);
        tcase_add_test(tests, e2fsck_passes_sizes_around_group_boundaries);
        tcase_add_test(tests, e2fsck_passes_odd_groups_and_inode_counts);
        tcase_add_loop_test(tests, e2fsck_passes_every_inode_size, 0, BLOCK_SIZES);
        tcase_add_loop_test(tests, debugfs_and_dumpe2fs_read_it, 0, BLOCK_SIZES);
    }
    status = run_suite(suite);
    if (strcmp(part, "linux") == 0) {
        /* a failed test left the image mounted */
        (void)outside_run("umount %s 2>/dev/null", mount_point);
        (void)rmdir(mount_point);
    }
    return status;
}
