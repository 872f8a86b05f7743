/* SPDX-License-Identifier: MIT */
/* Compares lookup and readdir on real images with debugfs. */
#include "../runner.h"
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

static const unsigned agree_blocks[] = {1024, 2048, 4096, 65536};

START_TEST(test_agrees_with_debugfs)
{
    struct fixture tree;

    fixture_name(&tree);
    ck_assert_int_eq(
        run(&tree,
            "set -e; mkdir -p %s.d/sub/deeper %s.d/many; cd %s.d; echo hello >plain; mkfifo pipe; ln plain "
            "sub/hard; ln -s plain fast; ln -s $(printf 'sub/%%0200d' 7) slow; "
            "i=0; while [ $i -lt 300 ]; do : >many/a-name-of-some-length-$i; i=$((i+1)); done",
            tree.path, tree.path, tree.path),
        0);
    fixture_open(&f, 16384, "-b %u -N 1024 -d %s.d", agree_blocks[_i], tree.path);
    fixture_mount(&f);
    ck_assert_uint_eq(agree(&f, "/"), 9);
    ck_assert_uint_eq(agree(&f, "/sub"), 4);
    ck_assert_uint_eq(agree(&f, "/sub/deeper"), 2);
    ck_assert_uint_eq(agree(&f, "/many"), 302);
    check_clean(&f);
    fixture_close(&tree);
}
END_TEST

/* A listing continued by its cookie while names are created and removed. */
struct listing {
    unsigned char seen[400];
    unsigned stop_after;
    uint64_t cookie;
};

static int note(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;
    unsigned number;
    char name[16] = "";

    listing->cookie = entry->cookie;
    memcpy(name, entry->name, entry->name_length < 15 ? entry->name_length : 15);
    if (sscanf(name, "stay%u", &number) == 1)
        listing->seen[number]++;
    return --listing->stop_after == 0 ? 77 : 0;
}

START_TEST(test_cookies)
{
    struct listing listing = {.cookie = 0};
    struct ext2dax_inode *root;
    uint32_t state = 1;
    char name[32];
    unsigned i, turn = 0;
    int answer;

    fixture_open(&f, 4096, "-b 1024 -N 1024");
    fixture_mount(&f);
    root = find(&f, "/");
    for (i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "%s%u", i % 2 == 0 ? "stay" : "goes", i);
        create(root, name);
    }
    do {
        listing.stop_after = 1 + noise(&state) % 5;
        answer = ext2dax_readdir(root, listing.cookie, note, &listing);
        ck_assert(answer == 0 || answer == 77);
        for (i = 0; i < 3; i++) {
            snprintf(name, sizeof(name), "goes%u", (noise(&state) % 200) * 2 + 1);
            if (try_unlink(root, name) != 0)
                create(root, name);
        }
        snprintf(name, sizeof(name), "new%u", turn++);
        create(root, name);
    } while (answer != 0);
    for (i = 0; i < 400; i++)
        ck_assert_uint_eq(listing.seen[i], i % 2 == 0);
    listing.stop_after = 1;
    ck_assert_int_eq(ext2dax_readdir(root, UINT64_MAX, note, &listing), 0);
    ck_assert_uint_eq(listing.stop_after, 1);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

static int walk(const char *path, unsigned flags)
{
    struct ext2dax_inode *inode;
    int error = ext2dax_lookup_path(f.mount, path, strlen(path), flags, &inode);
    int number;

    if (error != 0) {
        ck_assert_ptr_null(inode);
        return error;
    }
    number = (int)inode->number;
    ext2dax_inode_put(inode);
    return number;
}

START_TEST(test_paths)
{
    struct fixture tree;
    char target[300], path[700];
    struct ext2dax_inode *link;
    int plain;

    fixture_name(&tree);
    ck_assert_int_eq(
        run(&tree,
            "set -e; mkdir -p %s.d/a/b; cd %s.d; : >plain; : >a/b/leaf; ln -s b a/fast; ln -s /a/b/leaf abs; ln -s "
            "../plain a/up; ln -s a/$(printf '%%0100d' 0 | sed 's,0,./,g')b/leaf slow; "
            "ln -s loop loop; ln -s / top; "
            "ln -s plain l1; i=1; while [ $i -le 41 ]; do ln -s l$i l$((i+1)); i=$((i+1)); done",
            tree.path, tree.path),
        0);
    fixture_open(&f, 4096, "-b 1024 -d %s.d", tree.path);
    fixture_mount(&f);
    plain = walk("/plain", 0);
    ck_assert_int_gt(plain, 10);
    ck_assert_int_eq(walk("", 0), 2);
    ck_assert_int_eq(walk("///", 0), 2);
    ck_assert_int_eq(walk("plain", 0), plain);
    ck_assert_int_eq(walk("//a//..//plain/", 0), plain);
    ck_assert_int_eq(walk("/../../a/./up", 0), plain);
    ck_assert_int_eq(walk("/a/up", 0), plain);
    ck_assert_int_ne(walk("/a/up", EXT2DAX_NO_FOLLOW), plain);
    ck_assert_int_eq(walk("/top/top/a/up", EXT2DAX_NO_FOLLOW), walk("/a/up", EXT2DAX_NO_FOLLOW));
    ck_assert_int_eq(walk("/a/fast/leaf", 0), walk("/a/b/leaf", 0));
    ck_assert_int_eq(walk("/abs", 0), walk("/a/b/leaf", 0));
    ck_assert_int_eq(walk("/slow", 0), walk("/a/b/leaf", 0));
    ck_assert_int_eq(walk("/l40", 0), plain);
    ck_assert_int_eq(walk("/l41", 0), -EXT2DAX_ELOOP);
    ck_assert_int_eq(walk("/loop", 0), -EXT2DAX_ELOOP);
    ck_assert_int_gt(walk("/loop", EXT2DAX_NO_FOLLOW), 10);
    ck_assert_int_eq(walk("/plain/x", 0), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(walk("/a/none/x", 0), -EXT2DAX_ENOENT);
    ck_assert_int_eq(walk("/a", 0x80), -EXT2DAX_EINVAL);
    memset(path, 'n', 256);
    path[256] = '\0';
    ck_assert_int_eq(walk(path, 0), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "a\0b", 3, 0, &link), -EXT2DAX_EINVAL);

    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "slow", 4, EXT2DAX_NO_FOLLOW, &link), 0);
    ck_assert_int_gt(ext2dax_readlink(link, target, sizeof(target)), 100);
    ck_assert_mem_eq(target, "a/./.", 5);
    ck_assert_int_gt(ext2dax_readlink(link, NULL, 0), 100);
    ext2dax_inode_put(link);
    ck_assert_int_eq(ext2dax_lookup_path(f.mount, "/a/up", 5, EXT2DAX_NO_FOLLOW, &link), 0);
    memset(target, 'x', sizeof(target));
    ck_assert_int_eq(ext2dax_readlink(link, target, 4), 8);
    ck_assert_mem_eq(target, "../px", 5);
    ext2dax_inode_put(link);
    link = find(&f, "/plain");
    ck_assert_int_eq(ext2dax_readlink(link, target, 4), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_readdir(link, 0, note, NULL), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(try_create(link, "x"), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(try_unlink(link, "x"), -EXT2DAX_ENOTDIR);
    ext2dax_inode_put(link);

    /* Fails each allocation of a path walk with symlinks once. */
    for (long n = 0;; n++) {
        int number;

        f.allocs_left = n;
        number = walk("/top/slow", 0);
        if (f.allocs_left >= 0)
            break;
        ck_assert_int_eq(number, -EXT2DAX_ENOMEM);
    }
    f.allocs_left = -1;
    fixture_close(&tree);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names: looking");
    TCase *looking = add_case(suite, "looking", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(looking, NULL, close_fixture);
    tcase_add_loop_test(looking, test_agrees_with_debugfs, 0, 4);
    tcase_add_test(looking, test_cookies);
    tcase_add_test(looking, test_paths);
    return run_suite(suite);
}
