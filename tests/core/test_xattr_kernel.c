/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes exchanged with Linux. The kernel and the library change the attributes of the
 * same files in turns, and each reads every byte the other has stored. e2fsck finds nothing in
 * between. Needs root and a loop device.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { FILES = 5, NAMES = 12, MOST = 4096, ROUNDS = 12, CHANGES = 40 };

/* A directory, three files and a symbolic link, which Linux allows no "user." attributes. */
static const char *const files[FILES] = {"one", "two", "three", "directory", "link"};

static const char *const names[NAMES] = {"user.a",
                                         "user.name of some length",
                                         "user.\xc3\xa9\xff",
                                         "user.b",
                                         "trusted.t",
                                         "trusted.another name",
                                         "security.other",
                                         "security.capability",
                                         "system.posix_acl_access",
                                         "system.posix_acl_default",
                                         "trusted.u",
                                         "trusted.v"};

static struct fixture f;
static char mounted[128];

struct model {
    int size[NAMES]; /* -1 for none */
    unsigned char value[NAMES][MOST];
};
static struct model models[FILES];

static void close_fixture(void)
{
    (void)run(&f, "umount %s; rmdir %s", mounted, mounted);
    fixture_close(&f);
}

static bool kernel_mount(void)
{
    return run(&f, "PATH=$PATH:/usr/sbin:/sbin; mkdir -p %s && mount -o loop %s %s", mounted, f.path, mounted) == 0;
}

static void kernel_unmount(void)
{
    ck_assert_int_eq(run(&f, "umount %s", mounted), 0);
}

static const char *path_of(int file)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", mounted, files[file]);
    return path;
}

/* ---- values ---- */

static size_t acl(unsigned char *to, uint32_t *state)
{
    static const unsigned tags[] = {0x01, 0x02, 0x02, 0x04, 0x08, 0x10, 0x20};
    uint32_t id = 1000 + noise(state) % 1000;
    size_t length = 4;

    memcpy(to, "\2\0\0", 4);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        bool named = tags[i] == 2 || tags[i] == 8;

        /* One named user is always there. Without names Linux keeps only the mode. */
        if (i == 2 && noise(state) % 2 == 0)
            continue;
        if (i == 4 && noise(state) % 2 == 0)
            continue;
        memset(to + length, 0, 4);
        to[length] = (unsigned char)tags[i];
        to[length + 2] = (unsigned char)(noise(state) % 8);
        memset(to + length + 4, 0xFF, 4);
        if (named) {
            memset(to + length + 4, 0, 4);
            to[length + 4] = (unsigned char)id;
            to[length + 5] = (unsigned char)(id >> 8);
            id++;
        }
        length += 8;
    }
    return length;
}

static size_t random_value(unsigned char *to, int name, int most, uint32_t *state)
{
    size_t size = noise(state) % 3 == 0 ? noise(state) % (uint32_t)most : noise(state) % 12;

    if (strstr(names[name], "posix_acl"))
        return acl(to, state);
    if (strcmp(names[name], "security.capability") == 0) {
        memset(to, 0, 20);
        to[3] = 2; /* version 2 */
        to[4] = (unsigned char)noise(state);
        return 20;
    }
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)noise(state);
    return size;
}

static bool allowed(int file, int name)
{
    if (strcmp(names[name], "system.posix_acl_default") == 0)
        return file == 3;
    return file != 4 || strncmp(names[name], "trusted.", 8) == 0;
}

/* ---- changes ---- */

static void kernel_change(int file, int name, const unsigned char *value, int size)
{
    int rc = size < 0 ? lremovexattr(path_of(file), names[name])
                      : lsetxattr(path_of(file), names[name], value, (size_t)size, 0);

    if (rc != 0) {
        ck_assert_msg(errno == ENOSPC || errno == ENODATA, "%s %s: %d", files[file], names[name], errno);
        return;
    }
    models[file].size[name] = size;
    if (size > 0)
        memcpy(models[file].value[name], value, (size_t)size);
}

static void library_change(struct ext2dax_inode *inode, int file, int name, const unsigned char *value, int size)
{
    size_t length = strlen(names[name]);
    int rc = size < 0 ? ext2dax_removexattr(inode, names[name], length)
                      : ext2dax_setxattr(inode, names[name], length, value, (size_t)size, 0);

    if (rc != 0) {
        ck_assert(rc == -EXT2DAX_ENOSPC || (rc == -EXT2DAX_ENODATA && size < 0 && models[file].size[name] < 0));
        return;
    }
    models[file].size[name] = size;
    if (size > 0)
        memcpy(models[file].value[name], value, (size_t)size);
}

/* ---- comparisons ---- */

static void kernel_compare(const char *after)
{
    static unsigned char value[MOST];
    static char list[4096];

    for (int file = 0; file < FILES; file++) {
        ssize_t length = llistxattr(path_of(file), list, sizeof(list));
        int expected = 0, listed = 0;

        ck_assert_int_ge(length, 0);
        for (const char *at = list; at < list + length; at += strlen(at) + 1)
            listed += strcmp(at, "security.selinux") != 0;
        for (int i = 0; i < NAMES; i++) {
            ssize_t size = lgetxattr(path_of(file), names[i], value, sizeof(value));

            expected += models[file].size[i] >= 0;
            ck_assert_msg(size == models[file].size[i], "after %s, Linux reads %s of %s: %zd, expected %d", after,
                          names[i], files[file], size, models[file].size[i]);
            if (size > 0)
                ck_assert_int_eq(memcmp(value, models[file].value[i], (size_t)size), 0);
        }
        ck_assert_int_eq(listed, expected);
    }
}

static void library_compare(void)
{
    static unsigned char value[MOST];
    static char list[4096];

    for (int file = 0; file < FILES; file++) {
        struct ext2dax_inode *root = find(&f, "/"), *inode;
        int expected = 0, listed = 0;
        int64_t length;

        ck_assert_int_eq(ext2dax_lookup(root, files[file], strlen(files[file]), &inode), 0);
        length = ext2dax_listxattr(inode, list, sizeof(list));
        ck_assert_int_ge(length, 0);
        for (const char *at = list; at < list + length; at += strlen(at) + 1)
            listed++;
        for (int i = 0; i < NAMES; i++) {
            int64_t size = ext2dax_getxattr(inode, names[i], strlen(names[i]), value, sizeof(value));

            expected += models[file].size[i] >= 0;
            ck_assert_int_eq(size, models[file].size[i] >= 0 ? models[file].size[i] : -EXT2DAX_ENODATA);
            if (size > 0)
                ck_assert_int_eq(memcmp(value, models[file].value[i], (size_t)size), 0);
        }
        ck_assert_int_eq(listed, expected);
        ext2dax_inode_put(inode);
        ext2dax_inode_put(root);
    }
}

static const struct {
    const char *options;
    unsigned kib;
    int most;
} images[] = {{"-b 1024 -I 128", 2048, 300},
              {"-b 1024 -I 256 -O extra_isize", 2048, 300},
              {"-b 4096 -I 256", 4096, 1500},
              {"-b 1024 -I 1024", 4096, 900},
              {"-b 2048 -I 512 -O ^ext_attr", 4096, 700}};

static void make_files(void)
{
    ck_assert_int_eq(
        run(&f, "set -e; cd %s; echo one >one; echo two >two; : >three; mkdir directory; ln -s one link", mounted), 0);
    for (int file = 0; file < FILES; file++)
        memset(models[file].size, -1, sizeof(models[file].size));
}

START_TEST(test_turns)
{
    static unsigned char value[MOST];
    uint32_t state = 1234 + (uint32_t)_i;

    fixture_open(&f, images[_i].kib, "%s", images[_i].options);
    ck_assert(kernel_mount());
    make_files();
    for (int round = 0; round < ROUNDS; round++) {
        bool kernel = round % 2 == 0;

        for (int i = 0; i < CHANGES; i++) {
            int file = (int)(noise(&state) % FILES), name = (int)(noise(&state) % NAMES), size;
            struct ext2dax_inode *root, *inode;

            if (!allowed(file, name))
                continue;
            size = noise(&state) % 4 == 0 ? -1 : (int)random_value(value, name, images[_i].most, &state);
            if (kernel) {
                kernel_change(file, name, value, size);
                continue;
            }
            root = find(&f, "/");
            ck_assert_int_eq(ext2dax_lookup(root, files[file], strlen(files[file]), &inode), 0);
            library_change(inode, file, name, value, size);
            ext2dax_inode_put(inode);
            ext2dax_inode_put(root);
        }
        if (kernel) {
            kernel_compare("Linux");
            kernel_unmount();
            check_clean(&f);
            fixture_mount(&f);
            library_compare();
        } else {
            library_compare();
            fixture_unmount(&f);
            check_clean(&f);
            ck_assert(kernel_mount());
            kernel_compare("the library");
        }
    }
    kernel_unmount();
    check_clean(&f);
}
END_TEST

/* Blocks shared by the library keep their reference counts when Linux changes one of the files. */
START_TEST(test_shared)
{
    static unsigned char value[200];

    fixture_open(&f, 2048, "-b 1024 -I 128");
    ck_assert(kernel_mount());
    make_files();
    kernel_unmount();
    fixture_mount(&f);
    memset(value, 'v', sizeof(value));
    for (int file = 0; file < 4; file++) {
        struct ext2dax_inode *root = find(&f, "/"), *inode;

        ck_assert_int_eq(ext2dax_lookup(root, files[file], strlen(files[file]), &inode), 0);
        library_change(inode, file, 0, value, 200);
        ext2dax_inode_put(inode);
        ext2dax_inode_put(root);
    }
    ck_assert_uint_eq(raw32(raw_inode(&f, 12)->file_acl), raw32(raw_inode(&f, 13)->file_acl));
    fixture_unmount(&f);
    check_clean(&f);
    ck_assert(kernel_mount());
    kernel_change(0, 0, value, 100);
    kernel_change(1, 4, value, 100);
    kernel_change(2, 0, NULL, -1);
    kernel_compare("Linux");
    kernel_unmount();
    check_clean(&f);
    fixture_mount(&f);
    library_compare();
    fixture_unmount(&f);
}
END_TEST

/* Returns whether this machine can mount an image. */
static bool can_mount(void)
{
    char command[2048];

    if (geteuid() != 0)
        return false;
    snprintf(command, sizeof(command),
             "PATH=$PATH:/usr/sbin:/sbin; exec >/dev/null 2>&1; mkdir %s && truncate -s 1M %s.image && "
             "mke2fs -q -F -t ext2 %s.image && mount -o loop %s.image %s && umount %s; can=$?; "
             "rm -f %s.image; rmdir %s; exit $can",
             mounted, mounted, mounted, mounted, mounted, mounted, mounted, mounted);
    return system(command) == 0;
}

int main(void)
{
    Suite *suite = suite_create("attributes with Linux");
    TCase *turns = add_case(suite, "turns", 120);
    char folder[] = "/tmp/ext2dax-xattr-XXXXXX";
    int status = SKIPPED;

    tcase_add_checked_fixture(turns, NULL, close_fixture);
    tcase_add_loop_test(turns, test_turns, 0, (int)(sizeof(images) / sizeof(images[0])));
    tcase_add_test(turns, test_shared);
    if (!fixture_tools())
        return SKIPPED;
    if (!mkdtemp(folder)) {
        printf("skipped: needs a folder in /tmp\n");
        return SKIPPED;
    }
    snprintf(mounted, sizeof(mounted), "%s/mount", folder);
    if (can_mount())
        status = run_suite(suite);
    else
        printf("skipped: needs root and a loop device\n");
    (void)rmdir(folder);
    return status;
}
