/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes against a model, on real images. e2fsck finds nothing after the changes.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"

#include "../emulated.h"

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

static int set(struct ext2dax_inode *inode, const char *name, const void *value, size_t size, unsigned flags)
{
    return ext2dax_setxattr(inode, name, strlen(name), value, size, flags);
}

static int set_text(struct ext2dax_inode *inode, const char *name, const char *value)
{
    return set(inode, name, value, strlen(value), 0);
}

static int64_t get(struct ext2dax_inode *inode, const char *name, void *buffer, size_t size)
{
    return ext2dax_getxattr(inode, name, strlen(name), buffer, size);
}

static int drop(struct ext2dax_inode *inode, const char *name)
{
    return ext2dax_removexattr(inode, name, strlen(name));
}

static void has(struct ext2dax_inode *inode, const char *name, const char *value)
{
    char buffer[256];

    ck_assert_int_eq(get(inode, name, buffer, sizeof(buffer)), (int64_t)strlen(value));
    ck_assert_int_eq(memcmp(buffer, value, strlen(value)), 0);
}

static uint32_t block_of(const struct ext2dax_inode *inode)
{
    return raw32(raw_inode(&f, inode->number)->file_acl);
}

static uint32_t references(uint32_t block, uint32_t block_size)
{
    return raw32(((const struct ext2dax_le32 *)(const void *)(f.base + (size_t)block * block_size))[1]);
}

static uint64_t free_blocks(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(f.mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

static struct ext2dax_inode *new_file(const char *name)
{
    struct ext2dax_inode *root = find(&f, "/"), *inode;

    ck_assert_int_eq(ext2dax_create(root, name, strlen(name), 0644, 0, 0, &inode), 0);
    ext2dax_inode_put(root);
    return inode;
}

/* ---- against a model ---- */

enum { NAMES = 14, FILES = 3, MOST = 4096 };

static const char *const names[NAMES] = {"user.a",
                                         "user.b",
                                         "user.much longer name than the others",
                                         "trusted.t",
                                         "security.capability",
                                         "security.other",
                                         "user.c",
                                         "trusted.very long name, but no prefix",
                                         "user.ab",
                                         "user.d\xc3\xa9",
                                         "user.e",
                                         "user.ff",
                                         "trusted.x",
                                         "user.\xff"};

struct model {
    struct ext2dax_inode *inode;
    int size[NAMES]; /* -1 for none */
    unsigned char value[NAMES][MOST];
};

static void compare(const struct model *model)
{
    static unsigned char buffer[MOST];
    static char list[2048];
    size_t listed = 0, expected = 0;
    int64_t length = ext2dax_listxattr(model->inode, list, sizeof(list));

    ck_assert_int_ge(length, 0);
    ck_assert_int_eq(ext2dax_listxattr(model->inode, NULL, 0), length);
    for (int i = 0; i < NAMES; i++) {
        bool found = false;

        if (model->size[i] < 0) {
            ck_assert_int_eq(get(model->inode, names[i], buffer, sizeof(buffer)), -EXT2DAX_ENODATA);
            continue;
        }
        ck_assert_int_eq(get(model->inode, names[i], NULL, 0), model->size[i]);
        ck_assert_int_eq(get(model->inode, names[i], buffer, sizeof(buffer)), model->size[i]);
        ck_assert_int_eq(memcmp(buffer, model->value[i], (size_t)model->size[i]), 0);
        if (model->size[i] > 1)
            ck_assert_int_eq(get(model->inode, names[i], buffer, (size_t)model->size[i] - 1), -EXT2DAX_ERANGE);
        for (size_t at = 0; at < (size_t)length; at += strlen(list + at) + 1)
            found = found || strcmp(list + at, names[i]) == 0;
        ck_assert(found);
        expected++;
    }
    for (size_t at = 0; at < (size_t)length; at += strlen(list + at) + 1)
        listed++;
    ck_assert_uint_eq(listed, expected);
    if (length > 1)
        ck_assert_int_eq(ext2dax_listxattr(model->inode, list, (size_t)length - 1), -EXT2DAX_ERANGE);
}

static int change(struct model *model, uint32_t *state, int most)
{
    int i = (int)(noise(state) % NAMES), size = (int)(noise(state) % 8);
    static unsigned char value[MOST];
    int rc;

    if (noise(state) % 3 == 0) {
        rc = drop(model->inode, names[i]);
        if (model->size[i] < 0)
            ck_assert_int_eq(rc, -EXT2DAX_ENODATA);
        else
            ck_assert_int_eq(rc, 0);
        model->size[i] = -1;
        return rc;
    }
    if (noise(state) % 3 == 0)
        size = (int)(noise(state) % (uint32_t)most);
    if (model->size[i] > 0 && noise(state) % 3 == 0)
        size = model->size[i];
    for (int k = 0; k < size; k++)
        value[k] = (unsigned char)noise(state);
    rc = set(model->inode, names[i], value, (size_t)size, 0);
    if (rc == 0) {
        model->size[i] = size;
        memcpy(model->value[i], value, (size_t)size);
    } else {
        ck_assert_int_eq(rc, -EXT2DAX_ENOSPC);
    }
    return rc;
}

static const struct {
    const char *options;
    unsigned kib;
    int most; /* bytes of a value */
} model_images[] = {{"-b 1024 -I 128 -O none", 1024, 500},
                    {"-b 1024 -I 256 -O extra_isize", 1024, 500},
                    {"-b 4096 -I 256 -O extra_isize", 4096, 2000},
                    {"-b 4096 -I 1024 -O extra_isize", 4096, 4000},
                    {"-b 65536 -I 512 -N 128 -O extra_isize", 65536, 4096},
                    {"-b 1024 -I 1024 -O extra_isize", 2048, 900},
                    {"-b 1024 -r 0 -O none", 1024, 500}};

START_TEST(test_model)
{
    static struct model models[FILES];
    uint32_t state = 99 + (uint32_t)_i;
    uint64_t free_before;
    unsigned full = 0;

    fixture_open(&f, model_images[_i].kib, "%s", model_images[_i].options);
    fixture_mount(&f);
    for (int i = 0; i < FILES; i++) {
        char name[8] = {'f', (char)('0' + i), '\0'};

        models[i].inode = new_file(name);
        memset(models[i].size, -1, sizeof(models[i].size));
    }
    free_before = free_blocks();
    for (unsigned turn = 0; turn < (slowed() ? 500 : 3000); turn++) {
        struct model *model = &models[noise(&state) % FILES];

        full += change(model, &state, model_images[_i].most) == -EXT2DAX_ENOSPC;
        compare(model);
        if (turn % 500 == 499)
            check_clean(&f);
        if (turn % 700 != 699)
            continue;
        for (int i = 0; i < FILES; i++) {
            ext2dax_inode_put(models[i].inode);
            models[i].inode = NULL;
        }
        fixture_unmount(&f);
        fixture_mount(&f);
        for (int i = 0; i < FILES; i++) {
            char name[8] = {'/', 'f', (char)('0' + i), '\0'};

            models[i].inode = find(&f, name);
            compare(&models[i]);
        }
    }
    ck_assert_uint_lt(full, 2500);
    for (int i = 0; i < FILES; i++) {
        for (int k = NAMES - 1; k >= 0; k--)
            if (models[i].size[k] >= 0)
                ck_assert_int_eq(drop(models[i].inode, names[k]), 0);
        ck_assert_int_eq(ext2dax_listxattr(models[i].inode, NULL, 0), 0);
        ck_assert_uint_eq(block_of(models[i].inode), 0);
        ext2dax_inode_put(models[i].inode);
    }
    ck_assert_uint_eq(free_blocks(), free_before);
    check_clean(&f);
}
END_TEST

/* ---- errors ---- */

START_TEST(test_errors)
{
    struct ext2dax_inode *inode;
    char name[300], buffer[8], value[1000];

    fixture_open(&f, 1024, "-b 1024 -I 256 -O extra_isize");
    fixture_mount(&f);
    inode = new_file("a");
    memset(name, 'n', sizeof(name));
    memcpy(name, "user.", 5);
    ck_assert_int_eq(ext2dax_setxattr(inode, "", 0, "", 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_setxattr(inode, name, 5, "", 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_setxattr(inode, name, 5 + 256, "", 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_setxattr(inode, "user.a\0b", 8, "", 0, 0), -EXT2DAX_EINVAL);
    ck_assert_int_eq(set(inode, "user.a", "", 0, 4), -EXT2DAX_EINVAL);
    ck_assert_int_eq(set_text(inode, "name", "x"), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(set_text(inode, "system.data", "x"), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(set_text(inode, "system.posix_acl_accessx", "x"), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(set(inode, "user.a", "x", 1, EXT2DAX_XATTR_REPLACE), -EXT2DAX_ENODATA);
    ck_assert_int_eq(drop(inode, "user.a"), -EXT2DAX_ENODATA);
    ck_assert_int_eq(drop(inode, "other.a"), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(get(inode, "user.a", buffer, 8), -EXT2DAX_ENODATA);
    ck_assert_int_eq(get(inode, "x", buffer, 8), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_listxattr(inode, buffer, 8), 0);
    ck_assert_int_eq(set(inode, "user.a", "x", 1, EXT2DAX_XATTR_CREATE), 0);
    ck_assert_int_eq(set(inode, "user.a", "y", 1, EXT2DAX_XATTR_CREATE), -EXT2DAX_EEXIST);
    ck_assert_int_eq(set(inode, "user.a", "y", 1, EXT2DAX_XATTR_REPLACE), 0);
    has(inode, "user.a", "y");
    raw_inode(&f, inode->number)->flags = raw_le32(EXT2DAX_FL_IMMUTABLE);
    ck_assert_int_eq(set_text(inode, "user.a", "z"), -EXT2DAX_EPERM);
    raw_inode(&f, inode->number)->flags = raw_le32(EXT2DAX_FL_APPEND);
    ck_assert_int_eq(drop(inode, "user.a"), -EXT2DAX_EPERM);
    raw_inode(&f, inode->number)->flags = raw_le32(0);
    /* The longest name needs a block. */
    ck_assert_int_eq(ext2dax_setxattr(inode, name, 5 + 255, "v", 1, 0), 0);
    ck_assert_uint_ne(block_of(inode), 0);
    /* Every allocation fails once, and nothing changes. */
    for (int left = 0; left < 2; left++) {
        f.allocs_left = left;
        ck_assert_int_eq(ext2dax_setxattr(inode, name, 5 + 255, "w2", 2, 0), -EXT2DAX_ENOMEM);
        f.allocs_left = -1;
        ck_assert_int_eq(ext2dax_getxattr(inode, name, 5 + 255, buffer, 8), 1);
    }
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(set(inode, "user.b", value, 300, 0), 0);
    ck_assert_int_eq(ext2dax_setxattr(inode, name, 5 + 255, value, sizeof(value), 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(ext2dax_remount(f.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(set_text(inode, "user.a", "z"), -EXT2DAX_EROFS);
    ck_assert_int_eq(drop(inode, "user.a"), -EXT2DAX_EROFS);
    has(inode, "user.a", "y");
    ck_assert_int_eq(ext2dax_remount(f.mount, 0), 0);
    ext2dax_inode_put(inode);
    check_clean(&f);
}
END_TEST

/* ---- limits ---- */

/* The largest value fills a block up to the last byte. One byte more does not fit. */
START_TEST(test_largest_value)
{
    const uint32_t block_size = _i == 0 ? 1024 : 4096, most = block_size - 32 - 20 - 4;
    struct ext2dax_inode *inode;
    static char value[4096], got[4096];

    fixture_open(&f, block_size, "-b %u -I 128", block_size);
    fixture_mount(&f);
    inode = new_file("a");
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(set(inode, "user.abc", value, most + 1, 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(set(inode, "user.abc", value, SIZE_MAX, 0), -EXT2DAX_ENOSPC);
    ck_assert_uint_eq(block_of(inode), 0);
    ck_assert_int_eq(set(inode, "user.abc", value, most, 0), 0);
    ck_assert_int_eq(get(inode, "user.abc", got, sizeof(got)), most);
    ck_assert_int_eq(memcmp(value, got, most), 0);
    ck_assert_int_eq(set_text(inode, "user.b", ""), -EXT2DAX_ENOSPC);
    ext2dax_inode_put(inode);
    check_clean(&f);
}
END_TEST

/* A value too large for what is left of the block moves to the inode, and back. */
START_TEST(test_moves)
{
    struct ext2dax_inode *inode;
    static char value[1024];
    uint32_t block;

    fixture_open(&f, 1024, "-b 1024 -I 256 -O extra_isize");
    fixture_mount(&f);
    inode = new_file("a");
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(set(inode, "user.in", value, 60, 0), 0);
    ck_assert_uint_eq(block_of(inode), 0);
    ck_assert_int_eq(set(inode, "user.big", value, 900, 0), 0);
    block = block_of(inode);
    ck_assert_uint_ne(block, 0);
    ck_assert_int_eq(set(inode, "user.small", value, 20, 0), 0);
    ck_assert_int_eq(drop(inode, "user.in"), 0);
    ck_assert_int_eq(set(inode, "user.small", value, 60, 0), 0);
    ck_assert_int_eq(get(inode, "user.small", NULL, 0), 60);
    ck_assert_int_eq(get(inode, "user.big", NULL, 0), 900);
    ck_assert_int_eq(ext2dax_listxattr(inode, NULL, 0), 9 + 11);
    ck_assert_int_eq(set(inode, "user.small", value, 61, 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(set(inode, "user.small", value, 8, 0), 0);
    ck_assert_int_eq(ext2dax_listxattr(inode, NULL, 0), 9 + 11);
    ck_assert_int_eq(drop(inode, "user.big"), 0);
    ck_assert_int_eq(drop(inode, "user.small"), 0);
    ck_assert_uint_eq(block_of(inode), 0);
    ext2dax_inode_put(inode);
    check_clean(&f);
}
END_TEST

/* Without a free block, attributes that fit the inode are still set and removed. */
START_TEST(test_no_space)
{
    struct ext2dax_inode *inode, *filler;
    static char value[1024];

    fixture_open(&f, 1024, "-b 1024 -I 256 -O extra_isize -m 0");
    fixture_mount(&f);
    inode = new_file("a");
    filler = new_file("filler");
    ck_assert_int_eq(set(inode, "user.block", value, 200, 0), 0);
    for (uint64_t at = 0; ext2dax_write(filler, at, value, sizeof(value)) == sizeof(value);)
        at += sizeof(value);
    while (free_blocks() != 0)
        ck_assert_int_eq(ext2dax_write(filler, ext2dax_check_size(f.base, f.size, filler->number), value, 1024), 1024);
    ck_assert_int_eq(set(inode, "user.block", value, 201, 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(set(inode, "user.more", value, 200, 0), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(set(inode, "user.s", value, 8, 0), 0);
    ck_assert_int_eq(set(inode, "user.s", "changed!", 8, 0), 0);
    ck_assert_int_eq(set(inode, "user.s", "once more", 9, 0), 0);
    ck_assert_int_eq(set(inode, "user.s", value, 90, 0), -EXT2DAX_ENOSPC);
    has(inode, "user.s", "once more");
    ck_assert_int_eq(drop(inode, "user.s"), 0);
    ck_assert_int_eq(set(inode, "user.block", "short", 5, 0), 0);
    has(inode, "user.block", "short");
    ck_assert_uint_eq(block_of(inode), 0);
    ck_assert_uint_eq(free_blocks(), 1);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(filler);
    check_clean(&f);
}
END_TEST

/* ---- sharing ---- */

/*
 * A value of the inode is replaced when inode and block are full, by a shorter or equally long
 * value, and by a longer value where the inode has room. Linux stores hashes in the inode, which
 * the new value does not have.
 */
START_TEST(test_full_replaced)
{
    static const char *const shorter[] = {"", "b", "bcd", "bcde", "bcdefghijkl"};
    char name[32] = "user.0", value[40], long_value[201];
    struct ext2dax_inode *inode;
    int count = 0, error;

    fixture_open(&f, 1024, "-b 1024 -I 256 -O extra_isize");
    fixture_mount(&f);
    inode = new_file("f");
    do {
        (void)snprintf(name, sizeof(name), "user.%d", count);
        (void)snprintf(value, sizeof(value), "a value %d", count);
        error = set_text(inode, name, value);
        count += error == 0;
    } while (error == 0);
    ck_assert_int_eq(error, -EXT2DAX_ENOSPC);
    ck_assert_int_gt(count, 10);
    memset(long_value, 'l', sizeof(long_value));
    ck_assert_int_eq(set(inode, "user.0", long_value, sizeof(long_value), 0), -EXT2DAX_ENOSPC);
    has(inode, "user.0", "a value 0");
    for (size_t i = 0; i < sizeof(shorter) / sizeof(shorter[0]); i++) {
        (void)snprintf(value, sizeof(value), "%.9s", shorter[i]);
        ck_assert_int_eq(set_text(inode, "user.0", value), 0);
        has(inode, "user.0", value);
        for (int k = 1; k < count; k++) {
            (void)snprintf(name, sizeof(name), "user.%d", k);
            (void)snprintf(value, sizeof(value), "a value %d", k);
            has(inode, name, value);
        }
    }
    ext2dax_inode_put(inode);
    check_clean(&f);
}
END_TEST

START_TEST(test_sharing)
{
    struct ext2dax_inode *a, *b, *c;
    uint64_t free_before;
    uint32_t block;

    fixture_open(&f, 1024, "-b 1024 -I 128");
    fixture_mount(&f);
    a = new_file("a");
    b = new_file("b");
    c = new_file("c");
    free_before = free_blocks();
    ck_assert_int_eq(set_text(a, "user.one", "1"), 0);
    ck_assert_int_eq(set_text(a, "user.two", "2"), 0);
    ck_assert_int_eq(set_text(b, "user.two", "2"), 0);
    ck_assert_uint_ne(block_of(a), block_of(b));
    ck_assert_int_eq(set_text(b, "user.one", "1"), 0);
    block = block_of(a);
    ck_assert_uint_eq(block_of(b), block);
    ck_assert_uint_eq(references(block, 1024), 2);
    ck_assert_uint_eq(free_blocks(), free_before - 1);
    check_clean(&f);
    /* A write to one of two leaves the other. */
    ck_assert_int_eq(set_text(b, "user.one", "x"), 0);
    has(a, "user.one", "1");
    has(b, "user.one", "x");
    ck_assert_uint_eq(references(block, 1024), 1);
    ck_assert_int_eq(set_text(b, "user.one", "1"), 0);
    ck_assert_uint_eq(block_of(b), block);
    ck_assert_int_eq(set_text(c, "user.one", "1"), 0);
    ck_assert_int_eq(set_text(c, "user.two", "2"), 0);
    ck_assert_uint_eq(references(block, 1024), 3);
    ck_assert_int_eq(drop(a, "user.one"), 0);
    ck_assert_int_eq(drop(a, "user.two"), 0);
    ck_assert_uint_eq(references(block, 1024), 2);
    ext2dax_inode_put(a);
    ext2dax_inode_put(b);
    b = find(&f, "/");
    ck_assert_int_eq(try_unlink(b, "b"), 0);
    ck_assert_uint_eq(references(block, 1024), 1);
    ext2dax_inode_put(c);
    ck_assert_int_eq(try_unlink(b, "c"), 0);
    ck_assert_uint_eq(free_blocks(), free_before);
    ext2dax_inode_put(b);
    check_clean(&f);
}
END_TEST

/*
 * Frees an xattr block, and gives the block with the same bytes to a file. Returns whether another
 * file with these attributes gets a block of its own.
 */
static bool freed_is_not_shared(void)
{
    struct ext2dax_inode *a, *b, *data;
    static char content[1024];
    struct ext2dax_run map;
    uint32_t block;
    bool apart;

    fixture_open(&f, 1024, "-b 1024 -I 128");
    fixture_mount(&f);
    a = new_file("a");
    b = new_file("b");
    data = new_file("data");
    ck_assert_int_eq(set_text(a, "user.one", "1"), 0);
    block = block_of(a);
    memcpy(content, f.base + (size_t)block * 1024, 1024);
    ck_assert_int_eq(drop(a, "user.one"), 0);
    for (uint64_t i = 0; i < 64; i++) {
        ck_assert_int_eq(ext2dax_write(data, i * 1024, content, 1024), 1024);
        ck_assert_int_eq(ext2dax_map(data, i, 1, &map), 0);
        if (map.physical == block)
            break;
    }
    ck_assert_uint_eq(map.physical, block);
    ck_assert_int_eq(set_text(b, "user.one", "1"), 0);
    apart = block_of(b) != block && memcmp(content, f.base + (size_t)block * 1024, 1024) == 0;
    ext2dax_inode_put(a);
    ext2dax_inode_put(b);
    ext2dax_inode_put(data);
    return apart;
}

START_TEST(test_not_shared)
{
    ck_assert(freed_is_not_shared());
    check_clean(&f);
    fixture_close(&f);
    ck_assert_int_eq(ext2dax_mutant_activate("SHARED_KEPT"), 0);
    ck_assert(!freed_is_not_shared());
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
}
END_TEST

/* Blocks of an earlier mount are known once a call changes attributes of their inode. */
START_TEST(test_shared_after_mount)
{
    struct ext2dax_inode *a, *b;

    fixture_open(&f, 1024, "-b 1024 -I 128");
    fixture_mount(&f);
    a = new_file("a");
    b = new_file("b");
    ck_assert_int_eq(set_text(b, "user.one", "1"), 0);
    ext2dax_inode_put(a);
    ext2dax_inode_put(b);
    fixture_unmount(&f);
    fixture_mount(&f);
    a = find(&f, "/a");
    b = find(&f, "/b");
    ck_assert_int_eq(set_text(b, "user.one", "1"), 0);
    ck_assert_int_eq(set_text(a, "user.one", "1"), 0);
    ck_assert_uint_eq(block_of(a), block_of(b));
    ext2dax_inode_put(a);
    ext2dax_inode_put(b);
    check_clean(&f);
}
END_TEST

/* A block is shared by 1,024 inodes, and the next inode has another. */
START_TEST(test_most_sharing)
{
    struct ext2dax_inode *root;
    uint32_t first = 0, block = 0;

    fixture_open(&f, 4096, "-b 1024 -I 128 -N 1200");
    fixture_mount(&f);
    root = find(&f, "/");
    for (int i = 0; i < 1025; i++) {
        struct ext2dax_inode *inode;
        char name[16];

        snprintf(name, sizeof(name), "f%d", i);
        inode = new_file(name);
        ck_assert_int_eq(set_text(inode, "user.same", "for all"), 0);
        block = block_of(inode);
        first = i == 0 ? block : first;
        ck_assert(block == first || i == 1024);
        ext2dax_inode_put(inode);
    }
    ck_assert_uint_ne(block, first);
    ck_assert_uint_eq(references(first, 1024), 1024);
    ck_assert_uint_eq(references(block, 1024), 1);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

/* ---- ACLs ---- */

static size_t acl_entry(unsigned char *to, unsigned tag, unsigned permissions, uint32_t id)
{
    to[0] = (unsigned char)tag;
    to[1] = 0;
    to[2] = (unsigned char)permissions;
    to[3] = 0;
    for (int i = 0; i < 4; i++)
        to[4 + i] = (unsigned char)(id >> 8 * i);
    return 8;
}

static const struct {
    unsigned tags[6];
    bool good;
} acls[] = {{{1, 4, 0x20}, true},
            {{1, 2, 4, 0x10, 0x20}, true},
            {{1, 2, 2, 4, 0x10, 0x20}, true},
            {{1, 4, 8, 0x10, 0x20}, true},
            {{1, 4, 8, 8, 0x10, 0x20}, true},
            {{1, 4, 0x10, 0x20}, true},
            {{1, 2, 4, 0x20}, false},
            {{1, 4, 8, 0x20}, false},
            {{1, 4}, false},
            {{4, 1, 0x20}, false},
            {{1, 1, 4, 0x20}, false},
            {{1, 4, 2, 0x10, 0x20}, false},
            {{1, 4, 0x20, 0x10}, false},
            {{1, 4, 0x20, 0x40}, false},
            {{1, 4, 3, 0x20}, false},
            {{0}, false}};

START_TEST(test_acls)
{
    static const char access[] = "system.posix_acl_access", inherited[] = "system.posix_acl_default";
    unsigned char value[4 + 6 * 8] = {2, 0, 0, 0}, got[64];
    struct ext2dax_inode *inode;
    size_t length = 4;

    fixture_open(&f, 1024, "-b 1024 -I %s", _i % 2 == 0 ? "128" : "256 -O extra_isize");
    fixture_mount(&f);
    inode = find(&f, "/lost+found");
    for (int i = 0; i < 6 && acls[_i].tags[i] != 0; i++) {
        unsigned tag = acls[_i].tags[i];

        length += acl_entry(value + length, tag, (unsigned)i, tag == 2 || tag == 8 ? 70000u + (unsigned)i : UINT32_MAX);
    }
    ck_assert_int_eq(set(inode, access, value, length, 0), acls[_i].good ? 0 : -EXT2DAX_EINVAL);
    if (acls[_i].good) {
        ck_assert_int_eq(set(inode, inherited, value, length, 0), 0);
        ck_assert_int_eq(get(inode, access, NULL, 0), (int64_t)length);
        ck_assert_int_eq(get(inode, access, got, length - 1), -EXT2DAX_ERANGE);
        ck_assert_int_eq(get(inode, access, got, sizeof(got)), (int64_t)length);
        ck_assert_int_eq(memcmp(value, got, length), 0);
        ck_assert_int_eq(get(inode, inherited, got, sizeof(got)), (int64_t)length);
        ck_assert_int_eq(memcmp(value, got, length), 0);
        ck_assert_int_eq(ext2dax_listxattr(inode, NULL, 0), 24 + 25);
        value[0] = 1;
        ck_assert_int_eq(set(inode, access, value, length, 0), -EXT2DAX_EINVAL);
        value[0] = 2;
        value[6] = 8;
        ck_assert_int_eq(set(inode, access, value, length, 0), -EXT2DAX_EINVAL);
        value[6] = 0;
        ck_assert_int_eq(set(inode, access, value, length - 1, 0), -EXT2DAX_EINVAL);
        ck_assert_int_eq(drop(inode, access), 0);
        ck_assert_int_eq(ext2dax_listxattr(inode, NULL, 0), 25);
    } else {
        ck_assert_int_eq(ext2dax_listxattr(inode, NULL, 0), 0);
    }
    ck_assert_int_eq(set(inode, access, value, 3, 0), -EXT2DAX_EINVAL);
    ext2dax_inode_put(inode);
    check_clean(&f);
}
END_TEST

/* ---- other inodes ---- */

/* Every type of inode keeps attributes, and a symbolic link stays what it is. */
START_TEST(test_types)
{
    static const char *const files[] = {"fast", "slow", "fifo", "device", "directory"};
    static char value[600];
    struct fixture tree;

    fixture_name(&tree);
    ck_assert_int_eq(run(&tree,
                         "set -e; mkdir -p %s.d/directory; cd %s.d; ln -s target fast; ln -s $(printf %%0100d 7) slow; "
                         "mkfifo fifo",
                         tree.path, tree.path),
                     0);
    fixture_open(&f, 1024, "-b 1024 -I %d -d %s.d", _i == 0 ? 128 : 256, tree.path);
    fixture_close(&tree);
    ck_assert_int_eq(run(&f, "PATH=$PATH:/usr/sbin:/sbin; debugfs -w -R 'mknod device c 1 3' %s", f.path), 0);
    fixture_mount(&f);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
            struct ext2dax_inode *root = find(&f, "/"), *inode;

            ck_assert_int_eq(ext2dax_lookup(root, files[i], strlen(files[i]), &inode), 0);
            if (round == 0) {
                ck_assert_int_eq(set_text(inode, "trusted.s", files[i]), 0);
                ck_assert_int_eq(set(inode, "trusted.big", value, 300 + i, 0), 0);
            } else if (round == 1) {
                has(inode, "trusted.s", files[i]);
                ck_assert_int_eq(get(inode, "trusted.big", NULL, 0), 300 + (int64_t)i);
                ck_assert_int_eq(drop(inode, "trusted.big"), 0);
            } else {
                ck_assert_int_eq(drop(inode, "trusted.s"), 0);
                ck_assert_uint_eq(block_of(inode), 0);
            }
            ext2dax_inode_put(inode);
            ext2dax_inode_put(root);
        }
        check_clean(&f);
    }
}
END_TEST

/* ---- the order of stores ---- */

#define COSTS(count, call)                                                                                             \
    do {                                                                                                               \
        uintptr_t before = fences(&f);                                                                                 \
        ck_assert_int_eq(call, 0);                                                                                     \
        ck_assert_uint_eq(fences(&f) - before, (count));                                                               \
    } while (0)

START_TEST(test_fences)
{
    struct ext2dax_inode *inode, *other;
    static char value[600];

    fixture_open(&f, 1024, "-b 1024 -I 256 -O extra_isize");
    fixture_mount(&f);
    inode = new_file("a");
    other = new_file("b");
    COSTS(2, set_text(inode, "user.a", "one"));
    COSTS(0, set_text(inode, "user.a", "one"));
    COSTS(2, set_text(inode, "user.a", "two"));
    COSTS(2, set_text(inode, "user.b", "x"));
    COSTS(2, set(inode, "user.large", value, 600, 0));
    COSTS(2, set(other, "user.large", value, 600, 0));
    ck_assert_uint_eq(block_of(inode), block_of(other));
    COSTS(3, set(inode, "user.large", value, 599, 0));
    COSTS(4, set_text(inode, "user.a", "a longer value"));
    COSTS(3, drop(inode, "user.b"));
    COSTS(3, drop(inode, "user.a"));
    COSTS(2, drop(inode, "user.large"));
    COSTS(2, set_text(inode, "user.a", "one"));
    COSTS(1, drop(inode, "user.a"));
    ext2dax_inode_put(inode);
    ext2dax_inode_put(other);
    check_clean(&f);
}
END_TEST

struct recording {
    unsigned char *at[8]; /* the image before and after each fence */
    unsigned count;
};

static void record(struct fixture *fixture)
{
    struct recording *recording = fixture->fenced_arg;

    ck_assert_uint_lt(recording->count, 8);
    recording->at[recording->count] = malloc(fixture->size);
    memcpy(recording->at[recording->count++], fixture->base, fixture->size);
}

/* Checks that recovery and e2fsck -p each settle the image, and that the link keeps its target. */
static void settles(const unsigned char *image, const char *link, size_t length)
{
    struct fixture copy;
    struct ext2dax_inode *root, *inode;
    char target[256];

    fixture_open_copy(&copy, &f);
    memcpy(copy.base, image, copy.size);
    ck_assert_int_eq(run(&copy,
                         "PATH=$PATH:/usr/sbin:/sbin; cp %s %s.e2fsck; e2fsck -p %s.e2fsck; [ $? -le 1 ] && "
                         "e2fsck -fn %s.e2fsck; good=$?; rm %s.e2fsck; exit $good",
                         copy.path, copy.path, copy.path, copy.path, copy.path),
                     0);
    fixture_mount(&copy);
    root = find(&copy, "/");
    ck_assert_int_eq(ext2dax_lookup(root, link, strlen(link), &inode), 0);
    ck_assert_int_eq(ext2dax_readlink(inode, target, sizeof(target)), (int)length);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    check_clean(&copy);
    fixture_unmount(&copy);
    fixture_close(&copy);
}

/* At each fence a symbolic link is still of its kind. */
START_TEST(test_links)
{
    const char *link = _i == 0 ? "fast" : "slow";
    struct recording recording = {.count = 0};
    struct ext2dax_inode *root, *inode;
    struct fixture tree;
    static char value[300];

    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "set -e; mkdir -p %s.d; cd %s.d; ln -s target fast; ln -s $(printf %%0100d 7) slow",
                         tree.path, tree.path),
                     0);
    fixture_open(&f, 256, "-b 1024 -I 128 -d %s.d", tree.path);
    fixture_close(&tree);
    fixture_mount(&f);
    root = find(&f, "/");
    ck_assert_int_eq(ext2dax_lookup(root, link, 4, &inode), 0);
    f.fenced_arg = &recording;
    f.fenced = record;
    ck_assert_int_eq(set(inode, "trusted.a", value, 300, 0), 0);
    ck_assert_int_eq(drop(inode, "trusted.a"), 0);
    f.fenced = NULL;
    ck_assert_uint_eq(recording.count, _i == 0 ? 6 : 4);
    for (unsigned i = 0; i < recording.count; i++) {
        settles(recording.at[i], link, _i == 0 ? 6 : 100);
        free(recording.at[i]);
    }
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    check_clean(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extended attributes");
    TCase *calls = add_case(suite, "calls", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(calls, NULL, close_fixture);
    tcase_add_loop_test(calls, test_model, 0, (int)(sizeof(model_images) / sizeof(model_images[0])));
    tcase_add_test(calls, test_errors);
    tcase_add_loop_test(calls, test_largest_value, 0, 2);
    tcase_add_test(calls, test_moves);
    tcase_add_test(calls, test_no_space);
    tcase_add_test(calls, test_full_replaced);
    tcase_add_test(calls, test_sharing);
    tcase_add_test(calls, test_not_shared);
    tcase_add_test(calls, test_shared_after_mount);
    tcase_add_test(calls, test_most_sharing);
    tcase_add_loop_test(calls, test_acls, 0, (int)(sizeof(acls) / sizeof(acls[0])));
    tcase_add_loop_test(calls, test_types, 0, 2);
    tcase_add_test(calls, test_fences);
    tcase_add_loop_test(calls, test_links, 0, 2);
    return run_suite(suite);
}
