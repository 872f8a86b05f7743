/* SPDX-License-Identifier: MIT */
/* Tests of directories, links, device nodes and further names of files. */
#include <stdio.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"

#include "names_fixture.h"
#include "../runner.h"
#include "../skip.h"

static struct fixture f;
static struct ext2dax_inode *root;

static void open_options(const char *options)
{
    fixture_open(&f, 4096, "%s", options);
    fixture_mount(&f);
    root = find(&f, "/");
}

static void open_small(void)
{
    open_options("-b 1024 -I 256");
}

static void close_small(void)
{
    if (root)
        ext2dax_inode_put(root);
    root = NULL;
    if (f.fd > 0) {
        if (f.mount) {
            check_clean(&f);
            fixture_unmount(&f);
        }
        fixture_close(&f);
    }
    memset(&f, 0, sizeof(f));
}

static int make(struct ext2dax_inode *in, const char *name)
{
    return ext2dax_mkdir(in, name, strlen(name), 0755, 1, 2, NULL);
}

static int discard(struct ext2dax_inode *in, const char *name)
{
    return ext2dax_rmdir(in, name, strlen(name));
}

static int add(struct ext2dax_inode *inode, struct ext2dax_inode *in, const char *name)
{
    return ext2dax_link(inode, in, name, strlen(name));
}

static struct ext2dax_stat stat_of(struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures;
}

static uint64_t free_blocks(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(f.mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

/* ---- directories ---- */

static const char *const layouts[] = {"-b 1024 -I 256", "-b 1024 -O none", "-b 4096 -I 128", "-b 65536"};

START_TEST(test_tree)
{
    struct ext2dax_inode *at, *next;
    char path[64];

    if (strstr(layouts[_i], "65536")) {
        fixture_open(&f, 65536, "%s", layouts[_i]);
        fixture_mount(&f);
        root = find(&f, "/");
    } else {
        open_options(layouts[_i]);
    }
    ck_assert_int_eq(make(root, "a"), 0);
    ck_assert_uint_eq(stat_of(root).links, 4);
    at = find(&f, "/a");
    ck_assert_uint_eq(stat_of(at).links, 2);
    ck_assert_uint_eq(stat_of(at).mode, EXT2DAX_S_IFDIR | 0755);
    ck_assert_uint_eq(stat_of(at).uid, 1);
    ck_assert_uint_eq(stat_of(at).gid, 2);
    for (unsigned depth = 0; depth < 20; depth++) {
        snprintf(path, sizeof(path), "level%u", depth);
        ck_assert_int_eq(ext2dax_mkdir(at, path, strlen(path), 0700, 0, 0, &next), 0);
        ck_assert_uint_eq(stat_of(at).links, 3);
        ck_assert_int_eq(ext2dax_lookup(next, "..", 2, &at), 0);
        ext2dax_inode_put(at);
        ext2dax_inode_put(at);
        at = next;
        create(at, "file");
    }
    ext2dax_inode_put(at);
    check_clean(&f);
    agree(&f, "/a/level0/level1");
    at = find(&f, "/a/level0/level1/level2/../../level1");
    ck_assert_int_eq(discard(at, "level2"), -EXT2DAX_ENOTEMPTY);
    ext2dax_inode_put(at);
}
END_TEST

START_TEST(test_removed)
{
    struct ext2dax_inode *dir, *found;
    uint64_t inodes, blocks;

    inodes = free_inodes(&f);
    blocks = free_blocks();
    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    for (unsigned i = 0; i < 200; i++) {
        char name[32];

        snprintf(name, sizeof(name), "a name of some length %u", i);
        create(dir, name);
    }
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_ENOTEMPTY);
    for (unsigned i = 0; i < 200; i++) {
        char name[32];

        snprintf(name, sizeof(name), "a name of some length %u", i);
        ck_assert_int_eq(try_unlink(dir, name), 0);
    }
    ck_assert_int_eq(discard(root, "dir"), 0);
    ck_assert_uint_eq(stat_of(root).links, 3);
    /* A removed directory still held has no names and accepts none. */
    ck_assert_uint_eq(stat_of(dir).links, 0);
    ck_assert_int_eq(ext2dax_lookup(dir, ".", 1, &found), -EXT2DAX_ENOENT);
    ck_assert_int_eq(ext2dax_lookup(dir, "..", 2, &found), -EXT2DAX_ENOENT);
    ck_assert_int_eq(try_create(dir, "new"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(make(dir, "new"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(discard(dir, "new"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(try_unlink(dir, "new"), -EXT2DAX_ENOENT);
    ck_assert_uint_eq(count_entries(dir), 0);
    ck_assert_int_eq(ext2dax_unmount(f.mount), -EXT2DAX_EBUSY);
    ck_assert_uint_lt(free_blocks(), blocks);
    ext2dax_inode_put(dir);
    ck_assert_uint_eq(free_blocks(), blocks);
    ck_assert_uint_eq(free_inodes(&f), inodes);
}
END_TEST

START_TEST(test_mkdir_refusals)
{
    struct ext2dax_inode *file, *dir;
    char name[256];

    memset(name, 'n', sizeof(name));
    create(root, "file");
    file = find(&f, "/file");
    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    ck_assert_int_eq(make(root, ""), -EXT2DAX_EINVAL);
    ck_assert_int_eq(make(root, "a/b"), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_mkdir(root, name, 256, 0, 0, 0, NULL), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(make(file, "x"), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(make(root, "file"), -EXT2DAX_EEXIST);
    ck_assert_int_eq(make(root, "."), -EXT2DAX_EEXIST);
    ck_assert_int_eq(make(root, ".."), -EXT2DAX_EEXIST);
    dir->disk->flags = raw_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(make(dir, "x"), -EXT2DAX_EPERM);
    dir->disk->flags = raw_le32(0);
    ck_assert_int_eq(make(dir, "x"), 0);

    ck_assert_int_eq(discard(root, ""), -EXT2DAX_EINVAL);
    ck_assert_int_eq(discard(root, "."), -EXT2DAX_EINVAL);
    ck_assert_int_eq(discard(root, ".."), -EXT2DAX_ENOTEMPTY);
    ck_assert_int_eq(discard(root, "a/b"), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_rmdir(root, name, 256), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(discard(file, "x"), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(discard(root, "file"), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(discard(root, "none"), -EXT2DAX_ENOENT);
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_ENOTEMPTY);
    ck_assert_int_eq(try_unlink(dir, "x"), -EXT2DAX_EISDIR);
    for (unsigned flag = EXT2DAX_FL_IMMUTABLE; flag <= EXT2DAX_FL_APPEND; flag <<= 1) {
        struct ext2dax_inode *x = find(&f, "/dir/x");

        dir->disk->flags = raw_le32(flag);
        ck_assert_int_eq(discard(dir, "x"), -EXT2DAX_EPERM);
        dir->disk->flags = raw_le32(0);
        x->disk->flags = raw_le32(flag);
        ck_assert_int_eq(discard(dir, "x"), -EXT2DAX_EPERM);
        x->disk->flags = raw_le32(0);
        ext2dax_inode_put(x);
    }
    f.allocs_left = 0;
    ck_assert_int_eq(discard(dir, "x"), -EXT2DAX_ENOMEM);
    f.allocs_left = 0;
    ck_assert_int_eq(make(dir, "y"), -EXT2DAX_ENOMEM);
    f.allocs_left = -1;
    check_clean(&f);
    ck_assert_int_eq(discard(dir, "x"), 0);
    ext2dax_inode_put(dir);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_none(), EXT2DAX_MOUNT_READ_ONLY), 0);
    root = find(&f, "/");
    ck_assert_int_eq(make(root, "x"), -EXT2DAX_EROFS);
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EROFS);
}
END_TEST

/* A directory that contradicts its parent, or itself, is not removed. */
START_TEST(test_rmdir_corrupt)
{
    struct ext2dax_inode *dir;
    unsigned char *block;

    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    block = raw_block(&f, dir->number, 0);
    memcpy(block + 12, &(struct ext2dax_le32){raw_le32(11).le}, 4);
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EUCLEAN);
    memcpy(block + 12, &(struct ext2dax_le32){raw_le32(2).le}, 4);
    block[8] = 'x';
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EUCLEAN);
    block[8] = '.';
    block[20] = 'x';
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EUCLEAN);
    block[20] = '.';
    memcpy(block, &(struct ext2dax_le32){raw_le32(2).le}, 4);
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EUCLEAN);
    memcpy(block, &(struct ext2dax_le32){raw_le32(dir->number).le}, 4);
    f.poison = block + 100;
    ck_assert_int_eq(discard(root, "dir"), -EXT2DAX_EIO);
    f.poison = NULL;
    f.base[EXT2DAX_SUPER_OFFSET + 58] &= (unsigned char)~EXT2DAX_STATE_ERROR;
    ck_assert_int_eq(discard(root, "dir"), 0);
    ext2dax_inode_put(dir);
}
END_TEST

/* An image without free blocks or inodes is unchanged by a mkdir that fails. */
START_TEST(test_no_space)
{
    struct ext2dax_inode *file;
    char name[32];
    unsigned made = 0;
    int error;

    create(root, "file");
    file = find(&f, "/file");
    for (uint64_t at = 0; ext2dax_write(file, at, "x", 1) == 1; at += 1024)
        ;
    ck_assert_uint_eq(free_blocks(), 0);
    ck_assert_int_eq(make(root, "dir"), -EXT2DAX_ENOSPC);
    memset(name, 't', sizeof(name));
    ck_assert_int_eq(ext2dax_symlink(root, "fast", 4, name, 30, 0, 0, NULL), 0);
    ck_assert_int_eq(ext2dax_symlink(root, "slow", 4, f.path, strlen(f.path), 0, 0, NULL),
                     strlen(f.path) < 60 ? 0 : -EXT2DAX_ENOSPC);
    check_clean(&f);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    ext2dax_inode_put(file);
    do {
        snprintf(name, sizeof(name), "%u", made++);
        error = make(root, name);
    } while (error == 0);
    ck_assert_int_eq(error, -EXT2DAX_ENOSPC);
    check_clean(&f);
    while (--made > 0) {
        snprintf(name, sizeof(name), "%u", made - 1);
        ck_assert_int_eq(discard(root, name), 0);
    }
}
END_TEST

/* Directories of the root are spread over the groups, and others stay near their parent. */
START_TEST(test_groups)
{
    struct ext2dax_inode *dir, *sub;
    unsigned used[4] = {0};
    char name[8];

    open_options("-b 1024 -g 1024 -N 256");
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(ext2dax_mkdir(root, name, 1, 0755, 0, 0, &dir), 0);
        used[(dir->number - 1) / 64]++;
        ck_assert_int_eq(ext2dax_mkdir(dir, "sub", 3, 0755, 0, 0, &sub), 0);
        ck_assert_uint_eq((sub->number - 1) / 64, (dir->number - 1) / 64);
        ext2dax_inode_put(sub);
        ext2dax_inode_put(dir);
    }
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_ge(used[i], 1);
}
END_TEST

/* ---- numbers of links ---- */

static void set_links(uint32_t number, uint32_t links)
{
    struct ext2dax_le16 le = raw_le16(links);

    memcpy(&raw_inode(&f, number)->links, &le, sizeof(le));
}

START_TEST(test_link_limits)
{
    struct ext2dax_inode *file, *dir;

    open_options(_i != 0 ? "-b 1024 -O dir_nlink" : "-b 1024 -O ^dir_nlink");
    create(root, "file");
    file = find(&f, "/file");
    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    set_links(file->number, 31999);
    ck_assert_int_eq(add(file, root, "one more"), 0);
    ck_assert_int_eq(add(file, root, "too many"), -EXT2DAX_EMLINK);
    set_links(file->number, 2);
    set_links(dir->number, 31999);
    ck_assert_int_eq(make(dir, "one more"), 0);
    ck_assert_uint_eq(stat_of(dir).links, 32000);
    ck_assert_int_eq(make(dir, "too many"), _i != 0 ? 0 : -EXT2DAX_EMLINK);
    if (_i != 0) {
        ck_assert_uint_eq(stat_of(dir).links, 32001);
        set_links(dir->number, 65000);
        ck_assert_int_eq(make(dir, "uncounted"), 0);
        ck_assert_uint_eq(stat_of(dir).links, 1);
        ck_assert_int_eq(make(dir, "uncounted too"), 0);
        ck_assert_uint_eq(stat_of(dir).links, 1);
        ck_assert_int_eq(discard(dir, "uncounted"), 0);
        ck_assert_uint_eq(stat_of(dir).links, 1);
        ck_assert_int_eq(discard(dir, "uncounted too"), 0);
        ck_assert_int_eq(discard(dir, "too many"), 0);
    }
    set_links(dir->number, 3);
    ck_assert_int_eq(discard(dir, "one more"), 0);
    ck_assert_uint_eq(stat_of(dir).links, 2);
    ext2dax_inode_put(dir);
    ext2dax_inode_put(file);
}
END_TEST

/* ---- symbolic links and device nodes ---- */

START_TEST(test_symlinks)
{
    char target[1024], back[1024];

    for (unsigned i = 0; i < sizeof(target); i++)
        target[i] = (char)('a' + i % 26);
    for (unsigned length = 1; length < 1024; length += length < 70 ? 1 : 119) {
        struct ext2dax_inode *link;
        char name[16];

        snprintf(name, sizeof(name), "%u", length);
        ck_assert_int_eq(ext2dax_symlink(root, name, strlen(name), target, length, 70000, 80000, &link), 0);
        ck_assert_uint_eq(stat_of(link).mode, EXT2DAX_S_IFLNK | 0777);
        ck_assert_uint_eq(stat_of(link).uid, 70000);
        ck_assert_uint_eq(stat_of(link).size, length);
        ck_assert_uint_eq(stat_of(link).sectors, length < 60 ? 0 : 2);
        ck_assert_int_eq(ext2dax_readlink(link, back, sizeof(back)), length);
        ck_assert_mem_eq(back, target, length);
        ext2dax_inode_put(link);
    }
    check_clean(&f);
    ck_assert_int_eq(ext2dax_symlink(root, "no", 2, target, 0, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_symlink(root, "no", 2, "a\0b", 3, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_symlink(root, "no", 2, target, 1024, 0, 0, NULL), -EXT2DAX_ENAMETOOLONG);
    for (unsigned length = 1; length < 1024; length += length < 70 ? 1 : 119) {
        char name[16];

        snprintf(name, sizeof(name), "%u", length);
        ck_assert_int_eq(try_unlink(root, name), 0);
    }
}
END_TEST

START_TEST(test_nodes)
{
    static const struct {
        uint32_t type, major, minor;
    } nodes[] = {{EXT2DAX_S_IFCHR, 1, 3},          {EXT2DAX_S_IFBLK, 255, 255}, {EXT2DAX_S_IFBLK, 256, 0},
                 {EXT2DAX_S_IFCHR, 0, 256},        {EXT2DAX_S_IFIFO, 9, 9},     {EXT2DAX_S_IFSOCK, 5000, 0},
                 {EXT2DAX_S_IFCHR, 4095, 1048575}, {EXT2DAX_S_IFREG, 0, 0},     {0, 0, 0}};
    char name[8];

    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        struct ext2dax_inode *node;

        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(
            ext2dax_mknod(root, name, 1, (uint16_t)(nodes[i].type | 0640), nodes[i].major, nodes[i].minor, 0, 0, &node),
            0);
        ck_assert_uint_eq(stat_of(node).mode, (nodes[i].type != 0 ? nodes[i].type : EXT2DAX_S_IFREG) | 0640);
        ext2dax_inode_put(node);
        ck_assert_int_eq(run(&f,
                             "PATH=$PATH:/usr/sbin:/sbin; debugfs -R 'stat /%u' %s 2>/dev/null | "
                             "grep -q 'number: %02u:%02u (\\|regular\\|FIFO\\|socket' ",
                             i, f.path, nodes[i].major, nodes[i].minor),
                         0);
    }
    ck_assert_int_eq(ext2dax_mknod(root, "x", 1, EXT2DAX_S_IFCHR, 4096, 0, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_mknod(root, "x", 1, EXT2DAX_S_IFBLK, 0, 1048576, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_mknod(root, "x", 1, EXT2DAX_S_IFDIR, 0, 0, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_mknod(root, "x", 1, EXT2DAX_S_IFLNK, 0, 0, 0, 0, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_mknod(root, "x", 1, 0x3000, 0, 0, 0, 0, NULL), -EXT2DAX_EINVAL);
    check_clean(&f);
    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        snprintf(name, sizeof(name), "%u", i);
        ck_assert_int_eq(try_unlink(root, name), 0);
    }
}
END_TEST

START_TEST(test_create_as)
{
    struct ext2dax_creation creation = {.size = sizeof(creation)};
    struct ext2dax_attributes *a = &creation.attributes;
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_create_as(root, "plain", 5, &creation, &inode), 0);
    ck_assert_uint_eq(stat_of(inode).mode, EXT2DAX_S_IFREG);
    ext2dax_inode_put(inode);
    a->mode = EXT2DAX_S_IFREG | 07777;
    a->set = EXT2DAX_SET_MTIME | EXT2DAX_SET_ATIME | EXT2DAX_SET_FLAGS;
    a->mtime.seconds = 1234567;
    a->atime.seconds = -5;
    a->flags = EXT2DAX_FL_NODUMP;
    ck_assert_int_eq(ext2dax_create_as(root, "dated", 5, &creation, &inode), 0);
    ck_assert_uint_eq(stat_of(inode).mode, EXT2DAX_S_IFREG | 07777);
    ck_assert_int_eq(stat_of(inode).mtime.seconds, 1234567);
    ck_assert_int_eq(stat_of(inode).atime.seconds, -5);
    ck_assert_uint_eq(stat_of(inode).flags, EXT2DAX_FL_NODUMP);
    ext2dax_inode_put(inode);
    a->flags = EXT2DAX_FL_INDEX;
    ck_assert_int_eq(ext2dax_create_as(root, "no", 2, &creation, &inode), -EXT2DAX_EOPNOTSUPP);
    a->set = EXT2DAX_SET_CTIME;
    a->ctime.nanoseconds = 1000000000;
    ck_assert_int_eq(ext2dax_create_as(root, "no", 2, &creation, &inode), -EXT2DAX_EINVAL);
    a->set = 0x400;
    ck_assert_int_eq(ext2dax_create_as(root, "no", 2, &creation, &inode), -EXT2DAX_EINVAL);
    a->set = EXT2DAX_SET_MTIME_NOW;
    ck_assert_int_eq(ext2dax_create_as(root, "no", 2, &creation, &inode), -EXT2DAX_EINVAL);
    ck_assert_ptr_null(inode);
    ck_assert(!exists(root, "no"));
}
END_TEST

/* ---- further names ---- */

START_TEST(test_link)
{
    struct ext2dax_inode *file, *dir, *pipe;
    uintptr_t before;
    char name[256];

    memset(name, 'n', sizeof(name));
    create(root, "file");
    file = find(&f, "/file");
    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    before = fences(&f);
    ck_assert_int_eq(add(file, dir, "again"), 0);
    ck_assert_uint_eq(fences(&f) - before, 2);
    ck_assert_uint_eq(stat_of(file).links, 2);
    ck_assert_int_eq(ext2dax_mknod(root, "pipe", 4, EXT2DAX_S_IFIFO, 0, 0, 0, 0, &pipe), 0);
    ck_assert_int_eq(add(pipe, dir, "pipe"), 0);
    for (unsigned i = 1; i < 40; i++)
        ck_assert_int_eq(ext2dax_link(file, dir, name, 200 + i), 0);
    check_clean(&f);
    ck_assert_int_eq(add(file, dir, ""), -EXT2DAX_EINVAL);
    ck_assert_int_eq(add(file, dir, "a/b"), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_link(file, dir, name, 256), -EXT2DAX_ENAMETOOLONG);
    ck_assert_int_eq(add(dir, file, "x"), -EXT2DAX_ENOTDIR);
    ck_assert_int_eq(add(file, dir, "again"), -EXT2DAX_EEXIST);
    ck_assert_int_eq(add(file, dir, ".."), -EXT2DAX_EEXIST);
    ck_assert_int_eq(add(dir, root, "x"), -EXT2DAX_EPERM);
    file->disk->flags = raw_le32(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(add(file, root, "x"), -EXT2DAX_EPERM);
    file->disk->flags = raw_le32(0);
    dir->disk->flags = raw_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(add(file, dir, "x"), -EXT2DAX_EPERM);
    dir->disk->flags = raw_le32(0);
    ck_assert_int_eq(try_unlink(root, "pipe"), 0);
    ck_assert_int_eq(try_unlink(dir, "pipe"), 0);
    ck_assert_int_eq(add(pipe, dir, "x"), -EXT2DAX_ENOENT);
    ext2dax_inode_put(pipe);
    ck_assert_int_eq(make(dir, "sub"), 0);
    pipe = find(&f, "/dir/sub");
    ck_assert_int_eq(discard(dir, "sub"), 0);
    ck_assert_int_eq(add(file, pipe, "x"), -EXT2DAX_ENOENT);
    ext2dax_inode_put(pipe);
    ck_assert_uint_eq(stat_of(file).links, 41);
    ext2dax_inode_put(dir);
    ext2dax_inode_put(file);
}
END_TEST

/* A link into a full directory of a full image changes neither the count nor the directory. */
START_TEST(test_link_no_space)
{
    struct ext2dax_inode *file, *dir;
    char name[256];
    int error = 0;

    memset(name, 'n', sizeof(name));
    create(root, "file");
    file = find(&f, "/file");
    ck_assert_int_eq(make(root, "dir"), 0);
    dir = find(&f, "/dir");
    for (uint64_t at = 0; ext2dax_write(file, at, "x", 1) == 1; at += 1024)
        ;
    for (size_t length = 200; error == 0; length++) {
        uint32_t links = stat_of(file).links;

        error = ext2dax_link(file, dir, name, length);
        ck_assert_uint_eq(stat_of(file).links, links + (error == 0));
        check_clean(&f);
    }
    ck_assert_int_eq(error, -EXT2DAX_ENOSPC);
    ext2dax_inode_put(dir);
    ext2dax_inode_put(file);
}
END_TEST

START_TEST(test_other_mount)
{
    struct fixture other;
    struct ext2dax_inode *there;

    fixture_open(&other, 1024, "-b 1024");
    fixture_mount(&other);
    there = find(&other, "/");
    create(there, "file");
    ext2dax_inode_put(there);
    there = find(&other, "/file");
    ck_assert_int_eq(add(there, root, "x"), -EXT2DAX_EXDEV);
    ext2dax_inode_put(there);
    fixture_close(&other);
}
END_TEST

/* ---- failed fences, and memory that runs out ---- */

/* Failing each fence of each call leaves a mount that can be given up, and an image to recover. */
START_TEST(test_failed_fences)
{
    for (long left = 0; left < 8; left++) {
        struct ext2dax_inode *file, *got;
        bool failed;
        int error;

        open_small();
        create(root, "file");
        ck_assert_int_eq(make(root, "dir"), 0);
        file = find(&f, "/file");
        f.fences_left = left;
        error = _i == 0   ? make(root, "new")
                : _i == 1 ? add(file, root, "new")
                : _i == 2 ? discard(root, "dir")
                          : ext2dax_symlink(root, "new", 3, "target", 6, 0, 0, NULL);
        f.fences_left = -1;
        ck_assert(error == 0 || make(root, "later") == -EXT2DAX_EIO);
        if (error != 0) {
            ck_assert_int_eq(error, -EXT2DAX_EIO);
            if (_i != 2)
                ck_assert_int_eq(ext2dax_lookup(root, "new", 3, &got), -EXT2DAX_ENOENT);
        }
        failed = make(root, "probe") != 0;
        ext2dax_inode_put(file);
        ext2dax_inode_put(root);
        root = NULL;
        if (failed) {
            (void)ext2dax_unmount(f.mount);
            ext2dax_lock_order_close(f.order);
            f.mount = NULL;
            fixture_mount(&f);
        }
        close_small();
        if (error == 0) {
            ck_assert_int_ge(left, 2);
            return;
        }
    }
    ck_abort_msg("never succeeded");
}
END_TEST

START_TEST(test_fence_counts)
{
    static const char *const what[] = {"mkdir", "symlink", "slow symlink", "mknod", "link", "rmdir"};
    static const unsigned expected[] = {3, 3, 3, 3, 2, 2};
    char target[100];

    memset(target, 't', sizeof(target));
    for (unsigned i = 0; i < 6; i++) {
        struct ext2dax_inode *held = NULL;
        uintptr_t before, took;

        if (i >= 4) {
            create(root, "first");
            held = find(&f, i == 4 ? "/first" : "/mkdir");
        }
        before = fences(&f);
        ck_assert_int_eq(i == 0   ? make(root, "mkdir")
                         : i == 1 ? ext2dax_symlink(root, "s", 1, target, 50, 0, 0, NULL)
                         : i == 2 ? ext2dax_symlink(root, "t", 1, target, 100, 0, 0, NULL)
                         : i == 3 ? ext2dax_mknod(root, "n", 1, EXT2DAX_S_IFCHR, 1, 1, 0, 0, NULL)
                         : i == 4 ? add(held, root, "l")
                                  : discard(root, "mkdir"),
                         0);
        took = fences(&f) - before;
        printf("%-14s %lu fences\n", what[i], (unsigned long)took);
        ck_assert_uint_eq(took, expected[i]);
        if (held)
            ext2dax_inode_put(held);
        if (i >= 4)
            ck_assert_int_eq(try_unlink(root, "first"), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directories and links");
    TCase *own = add_case(suite, "own image", 60), *small = add_case(suite, "small", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(own, NULL, close_small);
    tcase_add_loop_test(own, test_tree, 0, (int)(sizeof(layouts) / sizeof(layouts[0])));
    tcase_add_test(own, test_groups);
    tcase_add_loop_test(own, test_link_limits, 0, 2);
    tcase_add_loop_test(own, test_failed_fences, 0, 4);
    tcase_add_checked_fixture(small, open_small, close_small);
    tcase_add_test(small, test_removed);
    tcase_add_test(small, test_mkdir_refusals);
    tcase_add_test(small, test_rmdir_corrupt);
    tcase_add_test(small, test_no_space);
    tcase_add_test(small, test_symlinks);
    tcase_add_test(small, test_nodes);
    tcase_add_test(small, test_create_as);
    tcase_add_test(small, test_link);
    tcase_add_test(small, test_link_no_space);
    tcase_add_test(small, test_other_mount);
    tcase_add_test(small, test_fence_counts);
    return run_suite(suite);
}
