/* SPDX-License-Identifier: MIT */
/* Tests of renames, of files and directories, to new names, over others, and exchanged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"

#include "names_fixture.h"
#include "../runner.h"
#include "../skip.h"

#define NOREPLACE EXT2DAX_RENAME_NOREPLACE
#define EXCHANGE  EXT2DAX_RENAME_EXCHANGE

static struct fixture f;
static struct ext2dax_inode *root, *a, *b;

static int make(struct ext2dax_inode *in, const char *name)
{
    return ext2dax_mkdir(in, name, strlen(name), 0755, 0, 0, NULL);
}

static int move(struct ext2dax_inode *from, const char *old, struct ext2dax_inode *to, const char *new, unsigned flags)
{
    return ext2dax_rename(from, old, strlen(old), to, new, strlen(new), flags);
}

static uint32_t number_of(struct ext2dax_inode *in, const char *name)
{
    struct ext2dax_inode *inode;
    uint32_t number;

    if (ext2dax_lookup(in, name, strlen(name), &inode) != 0)
        return 0;
    number = inode->number;
    ext2dax_inode_put(inode);
    return number;
}

static uint32_t links_of(struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.links;
}

/* Makes the directories "a" and "b", each with "file", "full/" with a name, and "empty/". */
static void open_layout(const char *options)
{
    fixture_open(&f, 4096, "%s", options);
    fixture_mount(&f);
    root = find(&f, "/");
    for (char name[] = "a"; name[0] <= 'b'; name[0]++) {
        struct ext2dax_inode *dir, *full;

        ck_assert_int_eq(ext2dax_mkdir(root, name, 1, 0755, 0, 0, &dir), 0);
        create(dir, "file");
        ck_assert_int_eq(ext2dax_mkdir(dir, "full", 4, 0755, 0, 0, &full), 0);
        create(full, "name");
        ck_assert_int_eq(make(dir, "empty"), 0);
        ext2dax_inode_put(full);
        *(name[0] == 'a' ? &a : &b) = dir;
    }
}

static void open_tree(void)
{
    open_layout("-b 1024 -I 256 -O ^dir_nlink");
}

/* The same without types in dirents. */
static void open_untyped(void)
{
    open_layout("-b 1024 -O none");
}

static void close_tree(void)
{
    if (a)
        ext2dax_inode_put(a);
    if (b)
        ext2dax_inode_put(b);
    if (root)
        ext2dax_inode_put(root);
    a = b = root = NULL;
    if (f.fd > 0) {
        check_clean(&f);
        fixture_close(&f);
    }
    memset(&f, 0, sizeof(f));
}

/* ---- results ---- */

/*
 * Every pair of kinds, within a directory and across, without and with an exchange. `result` is the
 * error of a plain rename.
 */
START_TEST(test_kinds)
{
    static const struct {
        const char *from, *to;
        int plain, exchange;
    } rows[] = {
        {"file", "file", 0, 0},
        {"file", "full", -EXT2DAX_EISDIR, 0},
        {"file", "empty", -EXT2DAX_EISDIR, 0},
        {"file", "new", 0, -EXT2DAX_ENOENT},
        {"full", "file", -EXT2DAX_ENOTDIR, 0},
        {"full", "full", -EXT2DAX_ENOTEMPTY, 0},
        {"full", "empty", 0, 0},
        {"full", "new", 0, -EXT2DAX_ENOENT},
        {"empty", "file", -EXT2DAX_ENOTDIR, 0},
        {"empty", "full", -EXT2DAX_ENOTEMPTY, 0},
        {"empty", "empty", 0, 0},
        {"empty", "new", 0, -EXT2DAX_ENOENT},
        {"none", "file", -EXT2DAX_ENOENT, -EXT2DAX_ENOENT},
    };
    const char *from = rows[_i].from, *to = rows[_i].to;

    for (unsigned across = 0; across < 2; across++) {
        struct ext2dax_inode *in = across != 0 ? b : a;
        uint32_t old = number_of(a, from), new = number_of(in, to), links = links_of(a) + links_of(b);
        uint64_t inodes = free_inodes(&f);
        bool same = across == 0 && strcmp(from, to) == 0;
        int error = move(a, from, in, to, NOREPLACE);

        if (old != 0 && new != 0)
            ck_assert_int_eq(error, -EXT2DAX_EEXIST);
        if (error == 0) {
            ck_assert_int_eq(move(in, to, a, from, 0), 0);
            ck_assert_uint_eq(links_of(a) + links_of(b), links);
        }
        error = move(a, from, in, to, EXCHANGE);
        ck_assert_int_eq(error, rows[_i].exchange);
        if (error == 0) {
            ck_assert_uint_eq(number_of(a, from), new);
            ck_assert_uint_eq(number_of(in, to), old);
            ck_assert_uint_eq(links_of(a) + links_of(b), links);
            check_clean(&f);
            ck_assert_int_eq(move(a, from, in, to, EXCHANGE), 0);
        }
        error = move(a, from, in, to, 0);
        ck_assert_int_eq(error, same ? 0 : rows[_i].plain);
        ck_assert_uint_eq(number_of(in, to), error == 0 ? old : new);
        ck_assert_uint_eq(number_of(a, from), error == 0 && !same ? 0 : old);
        ck_assert_uint_eq(free_inodes(&f), inodes + (error == 0 && new != 0 && !same));
        check_clean(&f);
        if (error == 0 && !same) {
            /* For the next turn. */
            ck_assert_int_eq(move(in, to, a, from, 0), 0);
            ck_assert(new == 0 || across != 0 || (strcmp(to, "file") == 0 ? try_create(a, to) == 0 : make(a, to) == 0));
        }
    }
}
END_TEST

/* A directory moved elsewhere gets a new "..", and its former parent loses a link. */
START_TEST(test_dotdot)
{
    struct ext2dax_inode *full = find(&f, "/a/full"), *back;
    uint32_t links = links_of(a);

    ck_assert_int_eq(move(a, "full", b, "moved", 0), 0);
    ck_assert_uint_eq(links_of(a), links - 1);
    ck_assert_uint_eq(links_of(b), links + 1);
    ck_assert_int_eq(ext2dax_lookup(full, "..", 2, &back), 0);
    ck_assert_ptr_eq(back, b);
    ext2dax_inode_put(back);
    ck_assert_int_eq(move(b, "moved", b, "again", 0), 0);
    ck_assert_int_eq(move(b, "again", a, "file", EXCHANGE), 0);
    ck_assert_uint_eq(links_of(a), links);
    ck_assert_int_eq(move(b, "again", a, "file", EXCHANGE), 0);
    ck_assert_uint_eq(links_of(b), links + 1);
    ck_assert_int_eq(move(a, "empty", b, "again", EXCHANGE), 0);
    ck_assert_uint_eq(number_of(full, ".."), a->number);
    ext2dax_inode_put(full);
}
END_TEST

/* No directory is moved into its own subtree, and none replaces an ancestor. */
START_TEST(test_subtree)
{
    struct ext2dax_inode *full = find(&f, "/a/full"), *deep;

    ck_assert_int_eq(ext2dax_mkdir(full, "deep", 4, 0755, 0, 0, &deep), 0);
    ck_assert_int_eq(move(root, "a", a, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(root, "a", full, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(root, "a", deep, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "full", deep, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "full", full, "name", EXCHANGE), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(full, "deep", root, "a", EXCHANGE), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(full, "deep", root, "a", 0), -EXT2DAX_ENOTEMPTY);
    ck_assert_int_eq(move(full, "name", root, "a", 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(move(full, "name", a, "full", 0), -EXT2DAX_EISDIR);
    ck_assert_int_eq(move(full, "deep", root, "b", 0), -EXT2DAX_ENOTEMPTY);
    ck_assert_int_eq(move(full, "deep", root, "deep", 0), 0);
    ck_assert_int_eq(move(root, "a", deep, "a", 0), 0);
    ck_assert_int_eq(move(root, "deep", full, "x", 0), -EXT2DAX_EINVAL);
    ext2dax_inode_put(deep);
    ext2dax_inode_put(full);
}
END_TEST

/* Two names of one file are left as they are. */
START_TEST(test_same_inode)
{
    struct ext2dax_inode *file = find(&f, "/a/file");
    uintptr_t before;

    ck_assert_int_eq(ext2dax_link(file, b, "again", 5), 0);
    before = fences(&f);
    ck_assert_int_eq(move(a, "file", b, "again", 0), 0);
    ck_assert_int_eq(move(a, "file", b, "again", EXCHANGE), 0);
    ck_assert_int_eq(move(a, "file", a, "file", 0), 0);
    ck_assert_int_eq(move(root, "a", root, "a", 0), 0);
    ck_assert_int_eq(move(a, "file", b, "again", NOREPLACE), -EXT2DAX_EEXIST);
    ck_assert_uint_eq(fences(&f), before);
    ck_assert_uint_eq(number_of(a, "file"), number_of(b, "again"));
    ck_assert_uint_eq(links_of(file), 2);
    /* Over one of several names, of another kind. */
    ck_assert_int_eq(ext2dax_mknod(a, "pipe", 4, EXT2DAX_S_IFIFO, 0, 0, 0, 0, NULL), 0);
    before = fences(&f);
    ck_assert_int_eq(move(a, "pipe", b, "again", 0), 0);
    printf("rename over one of several: %lu fences\n", (unsigned long)(fences(&f) - before));
    ck_assert_uint_le(fences(&f) - before, 3);
    ck_assert_uint_eq(links_of(file), 1);
    ext2dax_inode_put(file);
}
END_TEST

/* A replaced file lives until the last put. */
START_TEST(test_replaced_held)
{
    struct ext2dax_inode *file = find(&f, "/b/file"), *dir = find(&f, "/b/empty");
    uint64_t inodes = free_inodes(&f);

    ck_assert_int_eq(ext2dax_write(file, 0, "bytes", 5), 5);
    ck_assert_int_eq(move(a, "file", b, "file", 0), 0);
    ck_assert_int_eq(move(a, "empty", b, "empty", 0), 0);
    ck_assert_uint_eq(links_of(file), 0);
    ck_assert_uint_eq(links_of(dir), 0);
    ck_assert_int_eq(try_create(dir, "x"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(move(dir, "x", b, "y", 0), -EXT2DAX_ENOENT);
    ck_assert_int_eq(move(b, "file", dir, "y", 0), -EXT2DAX_ENOENT);
    ck_assert_int_eq(move(dir, "x", dir, "y", 0), -EXT2DAX_ENOENT);
    ck_assert_uint_eq(free_inodes(&f), inodes);
    ext2dax_inode_put(file);
    ext2dax_inode_put(dir);
    ck_assert_uint_eq(free_inodes(&f), inodes + 2);
}
END_TEST

START_TEST(test_refusals)
{
    struct ext2dax_inode *file = find(&f, "/a/file"), *full = find(&f, "/a/full"), *other;
    char name[256];

    memset(name, 'n', sizeof(name));
    ck_assert_int_eq(move(a, "file", b, "x", 4), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "file", b, "x", NOREPLACE | EXCHANGE), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "", b, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "file", b, "", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "file", b, "x/y", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, ".", b, "x", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(move(a, "full", b, "..", 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_rename(a, "file", 4, b, name, 256, 0), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(move(file, "x", b, "y", 0), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(move(a, "file", file, "y", 0), -EXT2DAX_ENOTDIR);
    for (unsigned flag = EXT2DAX_FL_IMMUTABLE; flag <= EXT2DAX_FL_APPEND; flag <<= 1) {
        a->disk->flags = raw_le32(flag);
        ck_assert_int_eq(move(a, "file", b, "x", 0), -EXT2DAX_EPERM);
        ck_assert_int_eq(move(b, "file", a, "file", 0), -EXT2DAX_EPERM);
        if (flag == EXT2DAX_FL_IMMUTABLE)
            ck_assert_int_eq(move(b, "file", a, "x", 0), -EXT2DAX_EPERM);
        a->disk->flags = raw_le32(0);
        file->disk->flags = raw_le32(flag);
        ck_assert_int_eq(move(a, "file", b, "x", 0), -EXT2DAX_EPERM);
        ck_assert_int_eq(move(b, "file", a, "file", 0), -EXT2DAX_EPERM);
        ck_assert_int_eq(move(a, "file", b, "full", EXCHANGE), -EXT2DAX_EPERM);
        file->disk->flags = raw_le32(0);
    }
    ck_assert_int_eq(try_unlink(full, "name"), 0);
    ck_assert_int_eq(ext2dax_rmdir(a, "full", 4), 0);
    ck_assert_int_eq(move(a, "file", full, "x", 0), -EXT2DAX_ENOENT);
    ck_assert_int_eq(move(full, "file", a, "x", 0), -EXT2DAX_ENOENT);
    ext2dax_inode_put(full);
    for (long left = 0; left < 3; left++) {
        f.allocs_left = left;
        ext2dax_inode_put(file);
        file = NULL;
        if (move(a, "file", b, "file", 0) == 0)
            ck_abort_msg("renamed without memory");
        f.allocs_left = -1;
        file = find(&f, "/a/file");
        if (left == 1)
            break;
    }
    ext2dax_inode_put(file);
    {
        struct fixture elsewhere;

        fixture_open(&elsewhere, 1024, "-b 1024");
        fixture_mount(&elsewhere);
        other = find(&elsewhere, "/");
        ck_assert_int_eq(move(a, "file", other, "x", 0), -EXT2DAX_EXDEV);
        ext2dax_inode_put(other);
        fixture_close(&elsewhere);
    }
    ext2dax_inode_put(a);
    ext2dax_inode_put(b);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_none(), EXT2DAX_MOUNT_READ_ONLY), 0);
    root = find(&f, "/");
    a = find(&f, "/a");
    b = find(&f, "/b");
    ck_assert_int_eq(move(a, "file", b, "x", 0), -EXT2DAX_EROFS);
}
END_TEST

/* A parent with as many links as fit gains no subdirectory. */
START_TEST(test_link_limit)
{
    struct ext2dax_le16 links = b->disk->links, most = raw_le16(32000);

    memcpy(&b->disk->links, &most, sizeof(most));
    ck_assert_int_eq(move(a, "full", b, "x", 0), -EXT2DAX_EMLINK);
    ck_assert_int_eq(move(a, "full", b, "file", EXCHANGE), -EXT2DAX_EMLINK);
    ck_assert_int_eq(move(b, "file", a, "full", EXCHANGE), -EXT2DAX_EMLINK);
    ck_assert_int_eq(move(a, "full", b, "full", EXCHANGE), 0);
    ck_assert_int_eq(move(a, "file", b, "x", 0), 0);
    memcpy(&b->disk->links, &links, sizeof(links));
}
END_TEST

/* A ".." that contradicts the tree is found before any change. */
START_TEST(test_corrupt_dotdot)
{
    struct ext2dax_inode *full = find(&f, "/a/full");
    uint32_t name = number_of(full, "name");
    unsigned char *block = raw_block(&f, full->number, 0);
    struct ext2dax_le32 wrong[] = {raw_le32(b->number), raw_le32(1), raw_le32(full->number), raw_le32(500)};
    struct ext2dax_le32 right = raw_le32(a->number);

    for (unsigned i = 0; i < 4; i++) {
        memcpy(block + 12, &wrong[i], 4);
        ck_assert_int_eq(move(a, "full", b, "x", 0), -EXT2DAX_EUCLEAN);
        ck_assert_int_eq(move(a, "full", a, "x", 0), -EXT2DAX_EUCLEAN);
        ck_assert_int_eq(move(full, "name", b, "x", 0), i == 0 ? 0 : -EXT2DAX_EUCLEAN);
        if (i == 0)
            ck_assert_int_eq(move(b, "x", full, "name", 0), 0);
    }
    memcpy(block + 12, &right, 4);
    /* A dirent that names an ancestor. */
    memcpy(raw_block(&f, full->number, 0) + 24, &(struct ext2dax_le32){raw_le32(a->number).le}, 4);
    ck_assert_int_eq(move(full, "name", b, "x", 0), -EXT2DAX_EUCLEAN);
    memcpy(raw_block(&f, full->number, 0) + 24, &(struct ext2dax_le32){raw_le32(full->number).le}, 4);
    ck_assert_int_eq(move(full, "name", b, "x", 0), -EXT2DAX_EUCLEAN);
    memcpy(raw_block(&f, full->number, 0) + 24, &(struct ext2dax_le32){raw_le32(2).le}, 4);
    ck_assert_int_eq(move(full, "name", b, "x", 0), -EXT2DAX_EUCLEAN);
    memcpy(raw_block(&f, full->number, 0) + 24, &(struct ext2dax_le32){raw_le32(name).le}, 4);
    f.base[EXT2DAX_SUPER_OFFSET + 58] &= (unsigned char)~EXT2DAX_STATE_ERROR;
    ext2dax_inode_put(full);
}
END_TEST

/* ---- places in blocks ---- */

/*
 * Renames at random among names of all lengths in three directories, so new dirents lie in the
 * slack of the old dirent, before and after, in unused dirents and in new blocks. Compares with a
 * list of the expected numbers.
 */
START_TEST(test_random)
{
    enum { NAMES = 40 };
    struct ext2dax_inode *in[3] = {root, a, b};
    uint32_t number[3][NAMES] = {{0}}, seed = 77 + (uint32_t)_i;
    char name[NAMES][256];

    for (unsigned i = 0; i < NAMES; i++) {
        memset(name[i], 'a' + (int)(i % 26), 256);
        name[i][3 + i * 6 % 250] = '\0';
        name[i][0] = (char)('A' + i % 26);
        name[i][1] = (char)('0' + i / 26);
    }
    for (unsigned turn = 0; turn < 1500; turn++) {
        unsigned i = noise(&seed) % NAMES, k = noise(&seed) % NAMES;
        unsigned from = noise(&seed) % 3, to = noise(&seed) % 3, what = noise(&seed) % 8;
        bool exchange = what == 7;
        int error;

        if (number[from][i] == 0) {
            ck_assert_int_eq(what < 4 ? try_create(in[from], name[i]) : make(in[from], name[i]), 0);
            number[from][i] = number_of(in[from], name[i]);
            continue;
        }
        error = move(in[from], name[i], in[to], name[k], exchange ? EXCHANGE : 0);
        if (error == -EXT2DAX_EISDIR || error == -EXT2DAX_ENOTDIR || error == -EXT2DAX_ENOENT)
            continue;
        ck_assert_int_eq(error, 0);
        if (from != to || i != k) {
            uint32_t moved = number[from][i];

            number[from][i] = exchange ? number[to][k] : 0;
            number[to][k] = moved;
        }
        if (turn % 100 != 0)
            continue;
        for (unsigned n = 0; n < 3 * NAMES; n++)
            ck_assert_uint_eq(number_of(in[n / NAMES], name[n % NAMES]), number[n / NAMES][n % NAMES]);
        check_clean(&f);
    }
}
END_TEST

/* Without a free block a rename that needs a block changes nothing. */
START_TEST(test_no_space)
{
    struct ext2dax_inode *file;
    char name[256];
    uint32_t old;
    int error = 0;

    create(root, "large");
    file = find(&f, "/large");
    for (uint64_t at = 0; ext2dax_write(file, at, "x", 1) == 1; at += 1024)
        ;
    ext2dax_inode_put(file);
    memset(name, 'n', sizeof(name));
    for (size_t length = 200; error == 0; length++) {
        create(a, "more");
        old = number_of(a, "more");
        error = ext2dax_rename(a, "more", 4, b, name, length, 0);
        ck_assert(error == 0 || number_of(a, "more") == old);
    }
    ck_assert_int_eq(error, -EXT2DAX_ENOSPC);
    ck_assert_int_eq(ext2dax_rename(a, "full", 4, b, name, 250, 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(move(a, "file", b, "file", 0), 0);
    ck_assert_int_eq(move(a, "full", b, "empty", 0), 0);
}
END_TEST

/* ---- fences, and fences that fail ---- */

static const struct {
    const char *what, *from, *to;
    unsigned across, flags, fences;
} costs[] = {
    {"file to a new name", "file", "new", 1, 0, 3},
    {"file to a new name beside", "file", "new", 0, 0, 3},
    {"file over a last name", "file", "file", 1, 0, 3},
    {"directory to a new name", "full", "new", 1, 0, 4},
    {"directory to a new name beside", "full", "new", 0, 0, 4},
    {"directory over a directory", "full", "empty", 1, 0, 3},
    {"directory over a directory beside", "full", "empty", 0, 0, 3},
    {"files exchanged", "file", "file", 1, EXCHANGE, 3},
    {"file and directory exchanged", "file", "full", 1, EXCHANGE, 3},
    {"directories exchanged beside", "full", "empty", 0, EXCHANGE, 3},
};
#define COSTS (sizeof(costs) / sizeof(costs[0]))

START_TEST(test_fence_counts)
{
    struct ext2dax_inode *in = costs[_i].across != 0 ? b : a;
    struct ext2dax_inode *held;
    uintptr_t before;

    /* A reference leaves the freeing of a replaced inode out of the count. */
    if (ext2dax_lookup(in, costs[_i].to, strlen(costs[_i].to), &held) != 0)
        held = NULL;
    before = fences(&f);
    ck_assert_int_eq(move(a, costs[_i].from, in, costs[_i].to, costs[_i].flags), 0);
    printf("%-34s %lu fences\n", costs[_i].what, (unsigned long)(fences(&f) - before));
    ck_assert_uint_eq(fences(&f) - before, costs[_i].fences);
    if (held)
        ext2dax_inode_put(held);
}
END_TEST

/* After any failed fence the next mount finds the old tree or the new tree. */
START_TEST(test_failed_fences)
{
    const char *from = costs[_i].from, *to = costs[_i].to;

    for (long left = 0; left < (long)costs[_i].fences; left++) {
        uint32_t old = number_of(a, from), new = number_of(costs[_i].across != 0 ? b : a, to);
        struct ext2dax_inode *in = costs[_i].across != 0 ? b : a;

        f.fences_left = left;
        ck_assert_int_eq(move(a, from, in, to, costs[_i].flags), -EXT2DAX_EIO);
        ck_assert_int_eq(move(a, from, in, to, costs[_i].flags), -EXT2DAX_EIO);
        f.fences_left = -1;
        ext2dax_inode_put(a);
        ext2dax_inode_put(b);
        ext2dax_inode_put(root);
        (void)ext2dax_unmount(f.mount);
        ext2dax_lock_order_close(f.order);
        f.mount = NULL;
        fixture_mount(&f);
        root = find(&f, "/");
        a = find(&f, "/a");
        b = find(&f, "/b");
        in = costs[_i].across != 0 ? b : a;
        if (number_of(in, to) == old)
            ck_assert(number_of(a, from) == (costs[_i].flags == EXCHANGE ? new : 0) ||
                      (number_of(a, from) == old && strcmp(from, "file") == 0));
        else
            ck_assert(number_of(in, to) == new &&number_of(a, from) == old);
        check_clean(&f);
        close_tree();
        open_tree();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("renames");
    TCase *tests = add_case(suite, "renames", 60), *untyped = add_case(suite, "without types", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(tests, open_tree, close_tree);
    tcase_add_loop_test(tests, test_kinds, 0, 13);
    tcase_add_test(tests, test_dotdot);
    tcase_add_test(tests, test_subtree);
    tcase_add_test(tests, test_same_inode);
    tcase_add_test(tests, test_replaced_held);
    tcase_add_test(tests, test_refusals);
    tcase_add_test(tests, test_link_limit);
    tcase_add_test(tests, test_corrupt_dotdot);
    tcase_add_loop_test(tests, test_random, 0, 4);
    tcase_add_test(tests, test_no_space);
    tcase_add_loop_test(tests, test_fence_counts, 0, (int)COSTS);
    tcase_add_loop_test(tests, test_failed_fences, 0, (int)COSTS);
    tcase_add_checked_fixture(untyped, open_untyped, close_tree);
    tcase_add_loop_test(untyped, test_kinds, 0, 13);
    tcase_add_loop_test(untyped, test_random, 4, 6);
    return run_suite(suite);
}
