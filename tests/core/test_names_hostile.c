/* SPDX-License-Identifier: MIT */
/*
 * Tests corrupt directories. Every call reports the error and returns EUCLEAN, and changes no byte
 * of the image except the superblock's error bit. The directory's block is the last of the image,
 * so an access past the block leaves the memory and faults.
 */
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "../emulated.h"
#include "../runner.h"
#include "../reasons.h"
#include "../error_record.h"

#define BLOCK 1024u

static struct fixture f, tree;
static unsigned char *pristine;
static uint32_t directory_number;

/*
 * Makes a directory "d" of a single block with dirents of several lengths, and moves the block to
 * the end of the image. Also makes an empty directory "e".
 */
static void open_fixture(void)
{
    struct ext2dax_inode *inode;
    unsigned char *bitmap;
    uint32_t blocks, old;
    int error;

    fixture_name(&tree);
    error = run(&tree,
                "set -e; mkdir -p %s.d/d %s.d/e; cd %s.d/d; : >a; : >bcd; : >a-longer-name; mkdir sub; ln -s a link; : "
                ">f1; : >f2; : >f3",
                tree.path, tree.path, tree.path);
    ck_assert_int_eq(error, 0);
    fixture_open(&f, 256, "-b 1024 -N 64 -O none,filetype -d %s.d", tree.path);
    fixture_mount(&f);
    inode = find(&f, "/d");
    directory_number = inode->number;
    ext2dax_inode_put(inode);
    fixture_unmount(&f);

    blocks = (uint32_t)(f.size / BLOCK);
    old = raw32(raw_inode(&f, directory_number)->block[0]);
    memcpy(f.base + f.size - BLOCK, f.base + (size_t)old * BLOCK, BLOCK);
    raw_inode(&f, directory_number)->block[0] = raw_le32(blocks - 1);
    bitmap = f.base + (size_t)raw32(((struct ext2dax_disk_group *)(void *)(f.base + 2048))->block_bitmap) * BLOCK;
    bitmap[(old - 1) / 8] = (unsigned char)(bitmap[(old - 1) / 8] & ~(1u << (old - 1) % 8));
    bitmap[(blocks - 2) / 8] = (unsigned char)(bitmap[(blocks - 2) / 8] | 1u << (blocks - 2) % 8);
    check_clean(&f);
    fixture_mount(&f);
    pristine = malloc(f.size);
    ck_assert_ptr_nonnull(pristine);
    memcpy(pristine, f.base, f.size);
}

static void close_fixture(void)
{
    memcpy(f.base, pristine, f.size);
    free(pristine);
    fixture_close(&f);
    fixture_close(&tree);
}

static unsigned char *block(void)
{
    return f.base + f.size - BLOCK;
}

static void put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static int ignore(void *arg, const struct ext2dax_entry *entry)
{
    ck_assert_uint_ne(entry->number, 0);
    ck_assert_uint_ge(entry->name_length, 1);
    ck_assert_uint_le(entry->name_length, 255);
    ck_assert_ptr_null(memchr(entry->name, '/', entry->name_length));
    ++*(unsigned *)arg;
    return 0;
}

/* ---- a single field at a time ---- */

/* Offsets in the block. "." is at 0, ".." at 12 and the first name at 24. */
static void no_length(void)
{
    put16(block() + 24 + 4, 0);
}
static void short_length(void)
{
    put16(block() + 24 + 4, 8);
}
static void odd_length(void)
{
    put16(block() + 24 + 4, 14);
}
static void long_length(void)
{
    put16(block() + 24 + 4, 1024);
}
static void whole_length(void)
{
    put16(block() + 24 + 4, 0xFFFF);
}
static void long_name(void)
{
    block()[24 + 6] = 250;
}
static void empty_name(void)
{
    block()[24 + 6] = 0;
}
static void number_past_end(void)
{
    put16(block() + 24, 65);
}
static void number_huge(void)
{
    memset(block() + 24, 0xFF, 4);
}
static void number_reserved(void)
{
    put16(block() + 24, 7);
}
/*
 * Shortens the last dirent by `bytes`. Makes an unused dirent of the rest if it has room for a
 * dirent.
 */
static void split_last(unsigned bytes)
{
    unsigned at = 0, length;

    while (at + (length = block()[at + 4] | (unsigned)block()[at + 5] << 8) < BLOCK)
        at += length;
    put16(block() + at + 4, length - bytes);
    if (bytes >= 8)
        memset(block() + BLOCK - bytes, 0, 8);
    if (bytes >= 8)
        put16(block() + BLOCK - bytes + 4, bytes);
}
static void gap_at_the_end(void)
{
    split_last(4);
}
static void short_unused(void)
{
    split_last(8);
}
static void short_pair(void)
{
    split_last(20);
    put16(block() + BLOCK - 20 + 4, 8);
    memset(block() + BLOCK - 12, 0, 8);
    put16(block() + BLOCK - 12 + 4, 12);
}
static void odd_pair(void)
{
    split_last(30);
}
static void size_odd(void)
{
    raw_inode(&f, directory_number)->size = raw_le32(BLOCK + 4);
}
static void size_zero(void)
{
    raw_inode(&f, directory_number)->size = raw_le32(0);
}
static void size_negative(void)
{
    raw_inode(&f, directory_number)->size = raw_le32(0x80000000u);
}
static void hole(void)
{
    memcpy(f.base, block(), BLOCK); /* so block 0 would pass as a directory block */
    raw_inode(&f, directory_number)->size = raw_le32(2 * BLOCK);
}
static void in_metadata(void)
{
    raw_inode(&f, directory_number)->block[0] = raw_le32(1);
}
static void past_the_image(void)
{
    raw_inode(&f, directory_number)->block[0] = raw_le32(0x00FFFFFF);
}

/* Only a call which reaches past the first block detects a hole or a bad size there. */
static const struct {
    const char *what;
    void (*break_it)(void);
} broken[] = {{"length 0", no_length},
              {"length 8", short_length},
              {"length not a multiple of 4", odd_length},
              {"length past the block", long_length},
              {"length 65535", whole_length},
              {"name longer than the entry", long_name},
              {"no name", empty_name},
              {"inode number one past the last", number_past_end},
              {"inode number 2^32 - 1", number_huge},
              {"reserved inode", number_reserved},
              {"entries end before the block", gap_at_the_end},
              {"odd size", size_odd},
              {"unused entry of 8 bytes", short_unused},
              {"unused entry of 8 bytes before another", short_pair},
              {"two lengths not multiples of 4", odd_pair},
              {"size 0", size_zero},
              {"size 2^31", size_negative},
              {"hole", hole},
              {"pointer to the superblock", in_metadata},
              {"pointer past the image", past_the_image}};

/*
 * Checks that the image is unchanged except for the superblock's error bit, and that the error was
 * reported.
 */
static void unchanged(const unsigned char *before)
{
    struct ext2dax_disk_super *super = (void *)(f.base + EXT2DAX_SUPER_OFFSET);
    struct ext2dax_le16 state = super->state,
                        was = ((const struct ext2dax_disk_super *)(const void *)(before + 1024))->state;

    ck_assert_uint_ge(f.reports, 1);
    ck_assert_int_eq(f.last.error, -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(f.last.reason != NULL, REASONS);
    ck_assert_uint_eq(((unsigned char *)&state)[0], ((unsigned char *)&was)[0] | EXT2DAX_STATE_ERROR);
    super->state = was;
    copy_error_record(f.base, before);
    ck_assert(memcmp(f.base, before, f.size) == 0);
    super->state = state;
}

START_TEST(test_fields)
{
    struct ext2dax_inode *directory, *inode;
    unsigned char *before = malloc(f.size);
    unsigned seen = 0;

    ck_assert_ptr_nonnull(before);
    broken[_i].break_it();
    memcpy(before, f.base, f.size);
    directory = find(&f, "/d");
    ck_assert_int_eq(ext2dax_readdir(directory, 0, ignore, &seen), -EXT2DAX_EUCLEAN);
    if (broken[_i].break_it != hole)
        ck_assert_uint_eq(seen, 0);
    unchanged(before);
    ck_assert_int_eq(ext2dax_lookup(directory, "none", 4, &inode), -EXT2DAX_EUCLEAN);
    ck_assert_ptr_null(inode);
    ck_assert_int_eq(try_create(directory, "new"), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(try_unlink(directory, "none"), -EXT2DAX_EUCLEAN);
    unchanged(before);
    ext2dax_inode_put(directory);
    free(before);
}
END_TEST

START_TEST(test_names_with_slashes)
{
    struct ext2dax_inode *directory = find(&f, "/d");
    unsigned seen = 0;

    block()[24 + 8] = _i == 0 ? '/' : '\0';
    ck_assert_int_eq(ext2dax_readdir(directory, 0, ignore, &seen), -EXT2DAX_EUCLEAN);
    ck_assert_uint_eq(seen, 0);
    ext2dax_inode_put(directory);
}
END_TEST

START_TEST(test_entry_of_a_free_inode)
{
    struct ext2dax_inode *directory = find(&f, "/d"), *inode = find(&f, "/d/f1");
    uint32_t number = inode->number;

    ext2dax_inode_put(inode);
    raw_inode(&f, number)->links = raw_le16(0);
    ck_assert_int_eq(ext2dax_lookup(directory, "f1", 2, &inode), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(try_unlink(directory, "f1"), -EXT2DAX_EUCLEAN);
    ck_assert_uint_ge(f.reports, 2);
    ext2dax_inode_put(directory);
}
END_TEST

/* The link count became 0 while the inode is held. Unlink does not decrement it below 0. */
START_TEST(test_no_links)
{
    struct ext2dax_inode *directory = find(&f, "/d"), *held = find(&f, "/d/f1");

    held->disk->links = raw_le16(0);
    ck_assert_int_eq(try_unlink(directory, "f1"), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(held->disk->links.le, 0);
    held->disk->links = raw_le16(1);
    ext2dax_inode_put(held);
    ext2dax_inode_put(directory);
}
END_TEST

/* An inode in use which its bitmap already shows as free is not counted as free again. */
START_TEST(test_freed_twice)
{
    struct ext2dax_disk_group *group = (void *)(f.base + 2048);
    unsigned char *bitmap = f.base + (size_t)raw32(group->inode_bitmap) * BLOCK;
    struct ext2dax_inode *directory = find(&f, "/d"), *inode = find(&f, "/d/f1");
    uint64_t inodes = free_inodes(&f);
    uint32_t number = inode->number;

    /* Unlink detects the error, or the last put if the bitmap was still correct at the unlink. */
    if (_i == 1)
        ck_assert_int_eq(try_unlink(directory, "f1"), 0);
    bitmap[(number - 1) / 8] = (unsigned char)(bitmap[(number - 1) / 8] & ~(1u << (number - 1) % 8));
    if (_i == 0)
        ck_assert_int_eq(try_unlink(directory, "f1"), -EXT2DAX_EUCLEAN);
    ext2dax_inode_put(inode);
    ck_assert_uint_eq(free_inodes(&f), inodes);
    ck_assert_uint_ge(f.reports, 1);
    ck_assert(exists(directory, "f1") == (_i == 0));
    ext2dax_inode_put(directory);
}
END_TEST

/* "." and ".." never name a file, even if the image says so. */
START_TEST(test_dots)
{
    struct ext2dax_inode *directory = find(&f, "/d"), *inode = find(&f, "/d/f1");

    block()[0] = (unsigned char)inode->number;
    ext2dax_inode_put(inode);
    ck_assert_int_eq(try_unlink(directory, "."), -EXT2DAX_EISDIR);
    block()[8] = 'x';
    ck_assert_int_eq(try_unlink(directory, "."), -EXT2DAX_EISDIR);
    ck_assert_int_eq(try_create(directory, "."), -EXT2DAX_EEXIST);
    ext2dax_inode_put(directory);
}
END_TEST

/*
 * Two dirents name an inode with a link count of 1. The second unlink finds the inode free, or held
 * without links, and fails. The inode is freed only once.
 */
START_TEST(test_too_few_links)
{
    struct ext2dax_inode *directory = find(&f, "/d"), *held = NULL;
    uint64_t inodes = free_inodes(&f);
    unsigned at, length;

    /* The dirent of f2 names the inode of f1 too. */
    for (at = 0; at < BLOCK; at += length) {
        length = block()[at + 4] | (unsigned)block()[at + 5] << 8;
        if (block()[at + 6] == 2 && memcmp(block() + at + 8, "f2", 2) == 0) {
            held = find(&f, "/d/f1");
            block()[at] = (unsigned char)held->number;
        }
    }
    ck_assert_ptr_nonnull(held);
    if (_i == 0)
        ext2dax_inode_put(held);
    ck_assert_int_eq(try_unlink(directory, "f1"), 0);
    ck_assert_int_eq(try_unlink(directory, "f2"), -EXT2DAX_EUCLEAN);
    if (_i == 1)
        ext2dax_inode_put(held);
    ck_assert_uint_eq(free_inodes(&f), inodes + 1);
    ext2dax_inode_put(directory);
}
END_TEST

START_TEST(test_links)
{
    static const uint32_t sizes[] = {0, 60, 5000, 1};
    struct ext2dax_disk_inode *disk;
    struct ext2dax_inode *link;
    char buffer[64];

    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "/d/link", 7, EXT2DAX_NO_FOLLOW, &link), 0);
    disk = link->disk;
    ext2dax_inode_put(link);
    disk->size = raw_le32(sizes[_i]);
    if (_i == 3) {
        disk->sectors = raw_le32(2); /* a slow symlink without a block */
        disk->block[0] = raw_le32(0);
    }
    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "/d/link", 7, EXT2DAX_NO_FOLLOW, &link), 0);
    ck_assert_int_eq(ext2dax_readlink(link, buffer, sizeof(buffer)), -EXT2DAX_EUCLEAN);
    ext2dax_inode_put(link);
    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "/d/link", 7, 0, &link), -EXT2DAX_EUCLEAN);
    ck_assert_ptr_null(link);
}
END_TEST

/* ---- inode bitmaps ---- */

START_TEST(test_inode_bitmap)
{
    struct ext2dax_disk_group *group = (void *)(f.base + 2048);
    unsigned char *bitmap = f.base + (size_t)raw32(group->inode_bitmap) * BLOCK;
    struct ext2dax_inode *directory = find(&f, "/d");
    unsigned char *before = malloc(f.size);
    uint32_t number;

    ck_assert_ptr_nonnull(before);
    if (_i == 0) {
        memset(bitmap, 0xFF, 8); /* the descriptor still counts free inodes */
    } else if (_i == 1) {
        memset(bitmap, 0xFF, 8);
        bitmap[0] = 0x7F; /* inode 8 is free but reserved */
    } else {
        for (number = 12; (bitmap[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0; number++)
            ;
        raw_inode(&f, number)->links = raw_le16(1); /* marked free, but with a link count */
    }
    memcpy(before, f.base, f.size);
    ck_assert_int_eq(try_create(directory, "new"), -EXT2DAX_EUCLEAN);
    unchanged(before);
    ck_assert(!exists(directory, "new"));
    ext2dax_inode_put(directory);
    free(before);
}
END_TEST

/* ---- unreadable memory ---- */

START_TEST(test_poison)
{
    struct ext2dax_disk_group *group = (void *)(f.base + 2048);
    struct ext2dax_inode *directory = find(&f, "/d"), *link, *inode;
    unsigned char *bitmap = f.base + (size_t)raw32(group->inode_bitmap) * BLOCK;
    unsigned char *before = malloc(f.size);
    unsigned seen = 0;
    uint32_t number;
    char buffer[4];

    ck_assert_ptr_nonnull(before);
    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "/d/link", 7, EXT2DAX_NO_FOLLOW, &link), 0);
    memcpy(before, f.base, f.size);

    f.poison = block() + BLOCK - 1;
    ck_assert_int_eq(ext2dax_readdir(directory, 0, ignore, &seen), -EXT2DAX_EIO);
    ck_assert_uint_eq(seen, 0);
    ck_assert_int_eq(ext2dax_lookup(directory, "a", 1, &inode), -EXT2DAX_EIO);
    ck_assert_int_eq(try_create(directory, "new"), -EXT2DAX_EIO);
    ck_assert_int_eq(try_unlink(directory, "a"), -EXT2DAX_EIO);
    f.poison = (const unsigned char *)link->disk->block;
    ck_assert_int_eq(ext2dax_readlink(link, buffer, sizeof(buffer)), -EXT2DAX_EIO);
    f.poison = bitmap;
    ck_assert_int_eq(try_create(directory, "new"), -EXT2DAX_EIO);
    for (number = 12; (bitmap[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0; number++)
        ;
    f.poison = (const unsigned char *)raw_inode(&f, number);
    ck_assert_int_eq(try_create(directory, "new"), -EXT2DAX_EIO);
    f.poison = NULL;
    ck_assert(memcmp(f.base, before, f.size) == 0);
    ext2dax_inode_put(link);
    ext2dax_inode_put(directory);
    free(before);
}
END_TEST

/* ---- random damage ---- */

/*
 * Damages a few bytes of the directory block and runs every call on the directory. Each call must
 * return success or an expected error. An access past the image, right after the directory block,
 * would fault.
 */
START_TEST(test_fuzz)
{
    static const char *const names[] = {"a", "bcd", "a-longer-name", "sub", "link", "f1", "f2", "f3", ".", "new"};
    uint32_t state = 0x9E3779B9u + (uint32_t)_i;
    unsigned turn, clean = 0, dirty = 0, turns = getenv("EXT2DAX_UNDER_VALGRIND") || emulated() ? 300 : 3000;

    for (turn = 0; turn < turns; turn++) {
        struct ext2dax_inode *directory, *inode;
        unsigned i, seen = 0, bites = 1 + noise(&state) % 4;
        int error;

        memcpy(f.base, pristine, f.size);
        for (i = 0; i < bites; i++) {
            /*
             * Mostly damages the area of the dirents. The tail of the block is a single long
             * dirent.
             */
            unsigned at = noise(&state) % (noise(&state) % 8 == 0 ? BLOCK : 160);

            block()[at] = (unsigned char)(noise(&state) % 3 == 0 ? noise(&state) % 64 : noise(&state));
        }
        directory = find(&f, "/d");
        error = ext2dax_readdir(directory, 0, ignore, &seen);
        ck_assert(error == 0 || error == -EXT2DAX_EUCLEAN);
        error == 0 ? clean++ : dirty++;
        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            error = ext2dax_lookup(directory, names[i], strlen(names[i]), &inode);
            ck_assert(error == 0 || error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_ENOENT);
            if (error == 0)
                ext2dax_inode_put(inode);
        }
        for (i = 0; i < 4; i++) {
            const char *name = names[noise(&state) % 10];

            error = noise(&state) % 2 == 0 ? try_create(directory, name) : try_unlink(directory, name);
            ck_assert(error == 0 || error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_ENOENT || error == -EXT2DAX_EEXIST ||
                      error == -EXT2DAX_EISDIR || error == -EXT2DAX_ENOSPC);
        }
        ext2dax_inode_put(directory);
    }
    ck_assert_uint_gt(clean, turns / 20);
    ck_assert_uint_gt(dirty, turns / 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile directories");
    TCase *hostile = add_case(suite, "hostile", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(hostile, open_fixture, close_fixture);
    tcase_add_loop_test(hostile, test_fields, 0, (int)(sizeof(broken) / sizeof(broken[0])));
    tcase_add_loop_test(hostile, test_names_with_slashes, 0, 2);
    tcase_add_test(hostile, test_entry_of_a_free_inode);
    tcase_add_test(hostile, test_no_links);
    tcase_add_loop_test(hostile, test_freed_twice, 0, 2);
    tcase_add_test(hostile, test_dots);
    tcase_add_loop_test(hostile, test_too_few_links, 0, 2);
    tcase_add_loop_test(hostile, test_links, 0, 4);
    tcase_add_loop_test(hostile, test_inode_bitmap, 0, 3);
    tcase_add_test(hostile, test_poison);
    tcase_add_loop_test(hostile, test_fuzz, 0, 2);
    return run_suite(suite);
}
