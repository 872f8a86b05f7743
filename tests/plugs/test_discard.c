/* SPDX-License-Identifier: MIT */
/* A mount with EXT2DAX_MOUNT_DISCARD returns the memory of freed blocks to the host. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../runner.h"
#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#define MIB ((uint64_t)1 << 20)

static struct ext2dax_memory memory;
static struct ext2dax_memory_ops ops;
static struct ext2dax_mount *mount;
static struct ext2dax_inode *root, *file;
static unsigned discarded;      /* calls of the op */
static uint64_t bytes, longest; /* of all calls, and of a single call */

static int discard(void *ctx, void *at, size_t length)
{
    discarded++;
    bytes += length;
    longest = length > longest ? length : longest;
    return memory.ops->discard ? memory.ops->discard(ctx, at, length) : -EXT2DAX_EOPNOTSUPP;
}

/* Mounts an image with the file "f" of 8 MiB and the file "kept" of 100 bytes. */
static void open_image(unsigned flags)
{
    static unsigned char content[8 << 20];
    struct ext2dax_format_options format = {.size = sizeof format};
    struct ext2dax_mount_options options = {.size = sizeof options, .flags = flags};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_by_name("none"), .host = ext2dax_host_default()};
    struct ext2dax_inode *kept;

    ops = *memory.ops;
    ops.discard = discard;
    plugs.memory = memory;
    plugs.memory.ops = &ops;
    ck_assert_int_eq(ext2dax_format(&memory, &format, NULL), 0);
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_lookup_path(mount, "/", 1, 0, &root), 0);
    memset(content, 'x', sizeof content);
    ck_assert_int_eq(ext2dax_create(root, "f", 1, 0644, 0, 0, &file), 0);
    ck_assert_int_eq(ext2dax_truncate(file, sizeof content), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, content, sizeof content), sizeof content);
    ck_assert_int_eq(ext2dax_create(root, "kept", 4, 0644, 0, 0, &kept), 0);
    ck_assert_int_eq(ext2dax_write(kept, 0, content, 100), 100);
    ext2dax_inode_put(kept);
    ck_assert_int_eq(ext2dax_sync(mount), 0);
    discarded = 0;
    bytes = longest = 0;
}

static void close_image(void)
{
    char content[200];
    struct ext2dax_inode *kept;

    ck_assert_int_eq(ext2dax_lookup(root, "kept", 4, &kept), 0);
    ck_assert_int_eq(ext2dax_read(kept, 0, content, sizeof content), 100);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(content[i], 'x');
    ext2dax_inode_put(kept);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}

static void open_heap(void)
{
    ck_assert_int_eq(ext2dax_memory_open_heap(32 * MIB, &memory), 0);
}

/* A run of contiguous blocks is a single call, however long. */
START_TEST(discards_runs)
{
    open_heap();
    open_image(EXT2DAX_MOUNT_DISCARD);
    ck_assert_int_eq(ext2dax_punch(file, 4096, 2 * MIB), 0);
    ck_assert_uint_eq(bytes, 2 * MIB);
    ck_assert_uint_le(discarded, 2);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * MIB + 1), 0);
    ck_assert_uint_ge(bytes, 2 * MIB + 4 * MIB - 4096);
    ck_assert_uint_ge(longest, 2 * MIB - 4096);
    ck_assert_uint_le(discarded, 12);
    ck_assert_int_eq(ext2dax_unlink(root, "f", 1), 0);
    /* The last put frees. */
    ck_assert_uint_lt(bytes, 7 * MIB);
    ext2dax_inode_put(file);
    /* And the pointer blocks. */
    ck_assert_uint_gt(bytes, 8 * MIB);
    ck_assert_uint_lt(bytes, 8 * MIB + MIB / 2);
    close_image();
    ext2dax_memory_close_heap(&memory);
}
END_TEST

/* Discarded pages of the heap read as zeroes. Without the flag nothing is discarded. */
START_TEST(only_with_the_flag)
{
    struct ext2dax_run run;
    const unsigned char *at;

    open_heap();
    open_image(_i ? EXT2DAX_MOUNT_DISCARD : 0);
    ck_assert_int_eq(ext2dax_map(file, 512, 512, &run), 0);
    ck_assert_uint_eq(run.length, 512);
    at = (const unsigned char *)memory.base + run.physical * 4096;
    ck_assert_int_eq(at[0], 'x');
    ck_assert_int_eq(ext2dax_truncate(file, 2 * MIB), 0);
    ck_assert_int_eq(at[0], _i ? 0 : 'x');
    ck_assert_int_eq(at[2 * MIB - 1], _i ? 0 : 'x');
    ck_assert_int_eq(at[-1], 'x');
    ck_assert(_i ? discarded != 0 : discarded == 0);
    ext2dax_inode_put(file);
    close_image();
    ext2dax_memory_close_heap(&memory);
}
END_TEST

static long blocks(const char *path)
{
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    return (long)status.st_blocks;
}

/* The image file shrinks by the bytes freed, and files that stay are intact. */
START_TEST(image_file_shrinks)
{
    const char *directory = getenv("TMPDIR");
    char path[256];
    long full;
    int fd;

    snprintf(path, sizeof path, "%s/ext2dax-discard-XXXXXX", directory ? directory : "/tmp");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, 32 * MIB, &memory), 0);
    if (!memory.ops->discard) {
        printf("%s is on DAX, where nothing is discarded\n", path);
        ext2dax_memory_close_file(&memory);
        unlink(path);
        return;
    }
    open_image(EXT2DAX_MOUNT_DISCARD);
    full = blocks(path);
    ck_assert_int_eq(ext2dax_punch(file, 0, 4 * MIB), 0);
    ck_assert_int_le(blocks(path), full - (long)(4 * MIB / 512) * 9 / 10);
    ck_assert_int_eq(ext2dax_unlink(root, "f", 1), 0);
    ext2dax_inode_put(file);
    ck_assert_int_le(blocks(path), full - (long)(8 * MIB / 512) * 9 / 10);
    close_image();
    ext2dax_memory_close_file(&memory);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("discard");
    TCase *tcase = add_case(suite, "discard", 60);

    tcase_add_test(tcase, discards_runs);
    tcase_add_loop_test(tcase, only_with_the_flag, 0, 2);
    tcase_add_test(tcase, image_file_shrinks);
    return run_suite(suite);
}
