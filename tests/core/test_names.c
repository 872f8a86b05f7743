/* SPDX-License-Identifier: MIT */
/* Creates and removes names on real images. e2fsck finds nothing after the changes. */
#include "../runner.h"
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/internal.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

/* ---- changes ---- */

static void name_of(char *name, unsigned i)
{
    int length = snprintf(name, 256, "%05u-", i);

    memset(name + length, 'a' + (int)(i % 26), 180);
    name[length + 180] = '\0';
}

/*
 * A block of 1 KiB holds five of these names, so 1,500 names need direct, indirect and double
 * indirect blocks of the directory. Blocks of 64 KiB have dirents whose length does not fit in 16
 * bits.
 */
static const char *const thousands_images[] = {"-b 1024 -O none,filetype", "-b 1024 -O none", "-b 65536"};

START_TEST(test_thousands)
{
    enum { COUNT = 1500 };
    static unsigned order[COUNT];
    struct ext2dax_inode *directory;
    uint64_t free_before;
    uint32_t state = 7;
    char name[256];
    unsigned i;

    fixture_open(&f, 16384, "-N 2048 %s", thousands_images[_i]);
    fixture_mount(&f);
    directory = find(&f, "/lost+found");
    free_before = free_inodes(&f);
    for (i = 0; i < COUNT; i++) {
        name_of(name, i);
        create(directory, name);
        order[i] = i;
    }
    ck_assert_uint_gt(ext2dax_check_size(f.base, f.size, directory->number), (_i == 2 ? 4 * 64 : 12 + 256 + 1) * 1024);
    ck_assert_uint_eq(count_entries(directory), COUNT);
    ck_assert_uint_eq(free_inodes(&f), free_before - COUNT);
    check_clean(&f);
    ck_assert_uint_eq(agree(&f, "/lost+found"), COUNT + 2);

    for (i = COUNT - 1; i > 0; i--) {
        unsigned j = noise(&state) % (i + 1), swap = order[i];

        order[i] = order[j];
        order[j] = swap;
    }
    for (i = 0; i < COUNT; i++) {
        name_of(name, order[i]);
        ck_assert_int_eq(try_unlink(directory, name), 0);
        ck_assert(!exists(directory, name));
        if (i == COUNT / 2) {
            ck_assert_uint_eq(count_entries(directory), COUNT - (i + 1) + (i + 2) / 3);
            check_clean(&f);
        }
        if (i % 3 == 0)
            create(directory, name);
    }
    for (i = 0; i < COUNT; i += 3) {
        name_of(name, order[i]);
        ck_assert_int_eq(try_unlink(directory, name), 0);
    }
    ck_assert_uint_eq(count_entries(directory), 0);
    ck_assert_uint_eq(free_inodes(&f), free_before);
    ext2dax_inode_put(directory);
    check_clean(&f);
}
END_TEST

static int check_type(void *arg, const struct ext2dax_entry *entry)
{
    if (entry->name[0] != '.' && entry->name[0] != 'l')
        ck_assert_uint_eq(entry->type, *(uint8_t *)arg);
    return 0;
}

static const char *const length_images[] = {"-b 1024 -N 600",      "-b 4096 -N 600 -I 256",  "-b 65536 -N 600",
                                            "-b 1024 -r 0 -N 600", "-b 2048 -N 600 -O none", "-b 4096"};

START_TEST(test_every_length)
{
    struct ext2dax_inode *root, *inode;
    struct ext2dax_stat figures;
    char name[258];
    uint8_t type;
    size_t length;
    unsigned turn;

    fixture_open(&f, _i == 2 ? 65536 : 4096, "%s", length_images[_i]);
    if (_i == 5)
        fixture_format(&f, 1024, 600);
    fixture_mount(&f);
    root = find(&f, "/");
    memset(name, 'n', sizeof(name));
    ck_assert_int_eq(ext2dax_create(root, name, 256, 0, 0, 0, &inode), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(ext2dax_create(root, name, 0, 0, 0, 0, &inode), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_create(root, "a/b", 3, 0, 0, 0, &inode), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_create(root, "a\0b", 3, 0, 0, 0, &inode), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_unlink(root, name, 256), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(ext2dax_lookup(root, "", 0, &inode), -EXT2DAX_EINVAL);
    for (turn = 0; turn < 3; turn++) {
        for (length = 1; length <= 255; length++) {
            if (turn != 0 && length % 2 == 0)
                continue;
            ck_assert_int_eq(ext2dax_create(root, name, length, 0xF1ED, 0x12345, 0x54321, &inode), 0);
            ext2dax_stat(inode, &figures, sizeof(figures));
            ck_assert_uint_eq(figures.mode, EXT2DAX_S_IFREG | 0x1ED);
            ck_assert_uint_eq(figures.uid, 0x12345);
            ck_assert_uint_eq(figures.gid, 0x54321);
            ck_assert_uint_eq(figures.links, 1);
            ck_assert_uint_eq(figures.size, 0);
            ck_assert_int_eq(figures.ctime.seconds, 1700000000);
            ext2dax_inode_put(inode);
            ck_assert_int_eq(ext2dax_create(root, name, length, 0, 0, 0, &inode), -EXT2DAX_EEXIST);
        }
        ck_assert_uint_eq(count_entries(root), 255 + 1);
        check_clean(&f);
        for (length = 1; length <= 255; length += 2)
            ck_assert_int_eq(ext2dax_unlink(root, name, length), 0);
        ck_assert_uint_eq(count_entries(root), 127 + 1);
        check_clean(&f);
    }
    type = (uint8_t)(_i == 3 || _i == 4 ? EXT2DAX_FT_UNKNOWN : EXT2DAX_FT_REG);
    ck_assert_int_eq(ext2dax_readdir(root, 0, check_type, &type), 0);
    agree(&f, "/");
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

START_TEST(test_generation)
{
    static const unsigned char zeroes[96];
    struct ext2dax_inode *root, *inode;
    uint32_t before, number;

    fixture_open(&f, 1024, "-b 1024 -I 256");
    fixture_mount(&f);
    root = find(&f, "/");
    create(root, "a");
    inode = find(&f, "/a");
    number = inode->number;
    ext2dax_inode_put(inode);
    before = raw32(raw_inode(&f, number)->generation);
    ck_assert_int_eq(try_unlink(root, "a"), 0);
    ck_assert_uint_ne(raw32(raw_inode(&f, number)->dtime), 0);
    memset(raw_inode(&f, number)->block, 0xFF, 60);
    memset(raw_inode(&f, number) + 1, 0xFF, 128);
    create(root, "b");
    inode = find(&f, "/b");
    ck_assert_uint_eq(inode->number, number);
    ck_assert_uint_eq(raw32(inode->disk->generation), before + 1);
    ck_assert_uint_eq(raw32(inode->disk->dtime), 0);
    /* mke2fs asks for 32 extra bytes. */
    ck_assert_uint_eq(((unsigned char *)(inode->disk + 1))[0], 32);
    ck_assert_uint_eq(((unsigned char *)(inode->disk + 1))[1], 0);
    ck_assert_mem_eq((unsigned char *)(inode->disk + 1) + 32, zeroes, sizeof(zeroes));
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

START_TEST(test_hard_links)
{
    struct fixture tree;
    struct ext2dax_inode *root, *sub, *file, *again;
    struct ext2dax_stat figures;
    uint64_t free_before;

    fixture_name(&tree);
    ck_assert_int_eq(
        run(&tree,
            "set -e; mkdir -p %s.d/sub; cd %s.d; dd if=/dev/zero of=one bs=1k count=400 status=none; ln one "
            "two; ln one sub/three",
            tree.path, tree.path),
        0);
    fixture_open(&f, 4096, "-b 1024 -d %s.d", tree.path);
    fixture_mount(&f);
    root = find(&f, "/");
    sub = find(&f, "/sub");
    file = find(&f, "/one");
    free_before = free_inodes(&f);
    ck_assert_int_eq(try_unlink(sub, "three"), 0);
    check_clean(&f);
    ck_assert_int_eq(try_unlink(root, "one"), 0);
    ext2dax_stat(file, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.links, 1);
    check_clean(&f);

    /*
     * Unlinks the last name of an open file. The file stays intact until its last put, but lookups
     * by name and by number fail.
     */
    ck_assert_int_eq(try_unlink(root, "two"), 0);
    ck_assert_uint_eq(free_inodes(&f), free_before);
    ck_assert_int_eq(ext2dax_inode_get(f.mount, file->number, &again), -EXT2DAX_ENOENT);
    ext2dax_stat(file, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.links, 0);
    ck_assert_uint_eq(figures.size, 400 * 1024);
    ck_assert_int_eq(ext2dax_unmount(f.mount), -EXT2DAX_EBUSY);
    ext2dax_inode_put(file);
    ck_assert_uint_eq(free_inodes(&f), free_before + 1);
    ext2dax_inode_put(sub);
    ext2dax_inode_put(root);
    check_clean(&f);
    fixture_close(&tree);
}
END_TEST

/* ---- many inodes in core ---- */

enum { MANY = 3000 };

/*
 * Creates a file and keeps a reference. Around the first growth of the table of inodes, a single
 * allocation fails at first.
 */
static struct ext2dax_inode *create_held(struct ext2dax_inode *root, unsigned i)
{
    const size_t growth = 2 * E2D_CACHE_CHAINS;
    struct ext2dax_inode *made;
    char name[16];
    int rc;

    snprintf(name, sizeof(name), "f%u", i);
    f.allocs_left = i > growth - 8 && i < growth + 8 ? (long)(i % 4) : -1;
    rc = ext2dax_create(root, name, strlen(name), EXT2DAX_S_IFREG | 0644, 0, 0, &made);
    f.allocs_left = -1;
    if (rc == -EXT2DAX_ENOMEM)
        rc = ext2dax_create(root, name, strlen(name), EXT2DAX_S_IFREG | 0644, 0, 0, &made);
    ck_assert_int_eq(rc, 0);
    return made;
}

START_TEST(test_many_in_core)
{
    static struct ext2dax_inode *held[MANY];
    struct ext2dax_inode *root, *again;
    char name[16];

    fixture_open(&f, 8192, "-b 1024 -N 4096");
    fixture_mount(&f);
    root = find(&f, "/");
    for (unsigned i = 0; i < MANY; i++) {
        held[i] = create_held(root, i);
        if (i % 100 == 0)
            ck_assert_int_eq(ext2dax_sync(f.mount), 0);
    }
    ck_assert_uint_eq(f.mount->cached, E2D_FOR_SPEED ? MANY + 1 : 0);
    ck_assert_uint_gt(f.mount->cache_chains, E2D_FOR_SPEED ? MANY / 4 : 0);
    ck_assert_uint_eq(f.mount->cache_walks, 0);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(ext2dax_inode_get(f.mount, held[i]->number, &again), 0);
        ck_assert_ptr_eq(again, held[i]);
        ext2dax_inode_put(again);
    }
    ck_assert_int_eq(ext2dax_unmount(f.mount), -EXT2DAX_EBUSY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        if (i % 2 == 0)
            ck_assert_int_eq(try_unlink(root, name), 0);
        ext2dax_inode_put(held[i]);
    }
    ck_assert_uint_eq(f.mount->cached, E2D_FOR_SPEED);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

/* ---- refused calls ---- */

START_TEST(test_refusals)
{
    struct ext2dax_inode *root, *dir, *file;

    fixture_open(&f, 1024, "-b 1024");
    fixture_mount(&f);
    root = find(&f, "/");
    dir = find(&f, "/lost+found");
    create(dir, "file");
    file = find(&f, "/lost+found/file");
    ck_assert_int_eq(try_unlink(root, "lost+found"), -EXT2DAX_EISDIR);
    ck_assert_int_eq(try_unlink(root, "."), -EXT2DAX_EISDIR);
    ck_assert_int_eq(try_unlink(root, ".."), -EXT2DAX_EISDIR);
    ck_assert_int_eq(try_unlink(root, "none"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(try_create(root, "."), -EXT2DAX_EEXIST);
    ck_assert_int_eq(try_create(root, "lost+found"), -EXT2DAX_EEXIST);

    dir->disk->flags = raw_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(try_create(dir, "new"), -EXT2DAX_EPERM);
    ck_assert_int_eq(try_unlink(dir, "file"), -EXT2DAX_EPERM);
    dir->disk->flags = raw_le32(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(try_create(dir, "new"), 0);
    ck_assert_int_eq(try_unlink(dir, "new"), -EXT2DAX_EPERM);
    dir->disk->flags = raw_le32(0);
    file->disk->flags = raw_le32(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(try_unlink(dir, "file"), -EXT2DAX_EPERM);
    file->disk->flags = raw_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(try_unlink(dir, "file"), -EXT2DAX_EPERM);
    file->disk->flags = raw_le32(0);

    dir->disk->links = raw_le16(0);
    ck_assert_int_eq(try_create(dir, "newer"), -EXT2DAX_ENOENT);
    dir->disk->links = raw_le16(2);
    ck_assert_uint_eq(f.reports, 0);
    check_clean(&f);
    ext2dax_inode_put(file);
    ext2dax_inode_put(dir);
    ext2dax_inode_put(root);
    fixture_unmount(&f);

    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_none(), EXT2DAX_MOUNT_READ_ONLY), 0);
    root = find(&f, "/lost+found");
    ck_assert_int_eq(try_create(root, "newer"), -EXT2DAX_EROFS);
    ck_assert_int_eq(try_unlink(root, "new"), -EXT2DAX_EROFS);
    ck_assert(exists(root, "new"));
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

START_TEST(test_no_inodes)
{
    struct ext2dax_inode *root;
    uint64_t count, i;
    char name[32];

    fixture_open(&f, 24576, "-b 1024 -N 48 -g 8192");
    fixture_mount(&f);
    root = find(&f, "/");
    count = free_inodes(&f);
    ck_assert_uint_gt(count, 16);
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "f%u", (unsigned)i);
        create(root, name);
    }
    ck_assert_uint_eq(free_inodes(&f), 0);
    ck_assert_int_eq(try_create(root, "one-more"), -EXT2DAX_ENOSPC);
    ck_assert(!exists(root, "one-more"));
    check_clean(&f);
    ck_assert_int_eq(try_unlink(root, "f3"), 0);
    create(root, "one-more");
    ck_assert_int_eq(try_create(root, "two-more"), -EXT2DAX_ENOSPC);
    ck_assert_uint_eq(f.reports, 0);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

/* Fills the image through a file until no block is free. */
static void fill(struct ext2dax_inode *root)
{
    static const char block[1024] = {1};
    struct ext2dax_inode *file;
    struct ext2dax_statfs figures;
    int64_t wrote;
    uint64_t at = 0;

    ck_assert_int_eq(ext2dax_create(root, "fill", 4, 0600, 0, 0, &file), 0);
    do {
        wrote = ext2dax_write(file, at, block, sizeof(block));
        at += sizeof(block);
    } while (wrote == sizeof(block));
    ck_assert_int_eq(wrote, -EXT2DAX_ENOSPC);
    ext2dax_statfs(f.mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.free_blocks, 0);
    ext2dax_inode_put(file);
}

START_TEST(test_no_blocks)
{
    struct ext2dax_inode *root;
    unsigned i, entries;
    uint64_t inodes;
    char name[256];

    fixture_open(&f, 1024, "-b 1024 -N 256");
    fixture_mount(&f);
    root = find(&f, "/");
    fill(root);
    for (i = 0;; i++) {
        int error;

        name_of(name, i);
        entries = count_entries(root);
        inodes = free_inodes(&f);
        error = try_create(root, name);
        if (error == -EXT2DAX_ENOSPC)
            break;
        ck_assert_int_eq(error, 0);
    }
    ck_assert_uint_gt(inodes, 0);
    ck_assert_uint_eq(free_inodes(&f), inodes);
    ck_assert_uint_eq(count_entries(root), entries);
    ck_assert_uint_eq(f.reports, 0);
    check_clean(&f);
    ck_assert_int_eq(try_unlink(root, "fill"), 0);
    create(root, name);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

/*
 * Extending the directory fails after a block was allocated. The block is freed again, and the
 * index flag stays set.
 */
START_TEST(test_no_sectors)
{
    struct ext2dax_statfs before, after;
    struct ext2dax_inode *root;
    struct ext2dax_le32 sectors;
    char name[256];
    unsigned i;

    fixture_open(&f, 1024, "-b 1024");
    fixture_mount(&f);
    root = find(&f, "/");
    for (i = 0; i < 5; i++) {
        name_of(name, i);
        create(root, name);
    }
    name_of(name, i);
    sectors = root->disk->sectors;
    root->disk->sectors = raw_le32(UINT32_MAX);
    root->disk->flags = raw_le32(EXT2DAX_FL_INDEX);
    ext2dax_statfs(f.mount, &before, sizeof(before));
    ck_assert_int_eq(try_create(root, name), -EXT2DAX_EFBIG);
    ext2dax_statfs(f.mount, &after, sizeof(after));
    ck_assert_uint_eq(after.free_blocks, before.free_blocks);
    ck_assert_uint_eq(after.free_inodes, before.free_inodes);
    ck_assert_uint_eq(raw32(root->disk->flags), EXT2DAX_FL_INDEX);
    root->disk->sectors = sectors;
    create(root, name);
    ck_assert_uint_eq(raw32(root->disk->flags), 0);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

/* A block past the directory's end is corruption, detected when the directory is extended. */
START_TEST(test_block_past_the_end)
{
    struct ext2dax_inode *root;
    char name[256];
    unsigned i;

    fixture_open(&f, 1024, "-b 1024");
    fixture_mount(&f);
    root = find(&f, "/");
    for (i = 0; i < 5; i++) {
        name_of(name, i);
        create(root, name);
    }
    name_of(name, i);
    root->disk->block[1] = root->disk->block[0];
    ck_assert_int_eq(try_create(root, name), -EXT2DAX_EUCLEAN);
    ck_assert_uint_ge(f.reports, 1);
    root->disk->block[1] = raw_le32(0);
    ck_assert(!exists(root, name));
    ext2dax_inode_put(root);
}
END_TEST

/*
 * The type byte is the high byte of the name length without the filetype feature. A value other
 * than 0 is corruption, because no name is so long.
 */
START_TEST(test_type_without_types)
{
    struct ext2dax_inode *root, *inode;

    fixture_open(&f, 1024, "-b 1024 -O none");
    fixture_mount(&f);
    root = find(&f, "/");
    ck_assert(exists(root, "lost+found"));
    raw_block(&f, root->number, 0)[24 + 7] = EXT2DAX_FT_DIR;
    ck_assert_int_eq(ext2dax_lookup(root, "lost+found", 10, &inode), -EXT2DAX_EUCLEAN);
    ext2dax_inode_put(root);
}
END_TEST

START_TEST(test_no_memory)
{
    struct ext2dax_inode *root;
    unsigned made = 0;
    char name[256];
    long n;

    fixture_open(&f, 2048, "-b 1024 -N 256");
    fixture_mount(&f);
    root = find(&f, "/");
    /*
     * Creates twelve names, so some extend the directory. Tries each with every single allocation
     * failing.
     */
    while (made < 12) {
        name_of(name, made);
        for (n = 0;; n++) {
            uint64_t inodes = free_inodes(&f);
            int error;

            f.allocs_left = n;
            error = try_create(root, name);
            if (error == 0)
                break;
            ck_assert_int_eq(error, -EXT2DAX_ENOMEM);
            f.allocs_left = -1;
            ck_assert_uint_eq(free_inodes(&f), inodes);
            ck_assert(!exists(root, name));
            check_clean(&f);
        }
        ck_assert_int_gt(n, 0);
        f.allocs_left = -1;
        made++;
    }
    f.allocs_left = 0;
    ck_assert_int_eq(try_unlink(root, name), -EXT2DAX_ENOMEM);
    f.allocs_left = -1;
    ck_assert(exists(root, name));
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *changing = add_case(suite, "changing", 60);
    TCase *refused = add_case(suite, "refused", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(changing, NULL, close_fixture);
    tcase_add_loop_test(changing, test_thousands, 0, 3);
    tcase_add_loop_test(changing, test_every_length, 0, 6);
    tcase_add_test(changing, test_generation);
    tcase_add_test(changing, test_hard_links);
    tcase_add_test(changing, test_many_in_core);
    tcase_add_checked_fixture(refused, NULL, close_fixture);
    tcase_add_test(refused, test_refusals);
    tcase_add_test(refused, test_no_inodes);
    tcase_add_test(refused, test_no_blocks);
    tcase_add_test(refused, test_no_sectors);
    tcase_add_test(refused, test_block_past_the_end);
    tcase_add_test(refused, test_type_without_types);
    tcase_add_test(refused, test_no_memory);
    return run_suite(suite);
}
