/* SPDX-License-Identifier: MIT */
/*
 * Tests corrupt extended attributes. An area which cannot be read is reported with EUCLEAN, and the
 * call changes no byte of the image except the superblock's error bit. Every other change of a byte
 * gives some attributes or an error of the header. The attributes' block is the last of the image,
 * so an access past the block leaves the memory and faults.
 */
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"
#include "../runner.h"

#include "../emulated.h"
#include "../error_record.h"

#define BLOCK 1024u
#define INODE 256u
#define AREA  164u /* first entry in the inode */

static struct fixture f;
static unsigned char *pristine;
static uint32_t number, block;

static unsigned char *inode_bytes(void)
{
    return (unsigned char *)raw_inode(&f, number);
}

static unsigned char *block_bytes(void)
{
    return f.base + (size_t)block * BLOCK;
}

static void set_bit(uint32_t of, bool used)
{
    struct ext2dax_disk_group *group = (void *)(f.base + 2048);
    unsigned char *byte = f.base + (size_t)raw32(group->block_bitmap) * BLOCK + (of - 1) / 8;

    *byte = (unsigned char)((*byte & ~(1u << (of - 1) % 8)) | (used ? 1u : 0u) << (of - 1) % 8);
}

static int set(struct ext2dax_inode *inode, const char *name, const void *value, size_t size)
{
    return ext2dax_setxattr(inode, name, strlen(name), value, size, 0);
}

/* Makes a file with two attributes in the inode, and with three and an ACL in the last block. */
static void open_fixture(void)
{
    static const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 4,   0,
                                        7, 0, 255, 255, 255, 255, 32, 0, 7,   0,   255, 255, 255, 255};
    struct ext2dax_inode *root, *inode;
    static char value[200];
    uint32_t old;

    fixture_open(&f, 256, "-b 1024 -I 256 -N 64 -O extra_isize");
    fixture_mount(&f);
    root = find(&f, "/");
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &inode), 0);
    number = inode->number;
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(set(inode, "user.a", "value", 5), 0);
    ck_assert_int_eq(set(inode, "user.second", "value two", 9), 0);
    ck_assert_int_eq(set(inode, "user.block", value, sizeof(value)), 0);
    ck_assert_int_eq(set(inode, "trusted.block", value, 100), 0);
    ck_assert_int_eq(set(inode, "security.empty", "", 0), 0);
    ck_assert_int_eq(set(inode, "system.posix_acl_access", acl, sizeof(acl)), 0);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    block = (uint32_t)(f.size / BLOCK) - 1;
    old = raw32(raw_inode(&f, number)->file_acl);
    ck_assert_uint_ne(old, 0);
    memcpy(block_bytes(), f.base + (size_t)old * BLOCK, BLOCK);
    raw_inode(&f, number)->file_acl = raw_le32(block);
    set_bit(old, false);
    set_bit(block, true);
    check_clean(&f);
    pristine = malloc(f.size);
    ck_assert_ptr_nonnull(pristine);
    memcpy(pristine, f.base, f.size);
}

static void close_fixture(void)
{
    free(pristine);
    fixture_close(&f);
}

/* Returns whether the image differs from `before` by no more than the record of errors. */
static bool unchanged(const unsigned char *before)
{
    size_t state = 1024 + 58, record = ERROR_RECORD, rest = ERROR_RECORD + ERROR_RECORD_BYTES;

    return memcmp(before, f.base, state) == 0 &&
           memcmp(before + state + 2, f.base + state + 2, record - state - 2) == 0 &&
           memcmp(before + rest, f.base + rest, f.size - rest) == 0;
}

enum call { GET_A, GET_SECOND, GET_BLOCK, GET_ACL, LIST, SET_SMALL, SET_LARGE, REPLACE, REMOVE_A, REMOVE_BLOCK, CALLS };

static int64_t perform(struct ext2dax_inode *inode, enum call call)
{
    static char buffer[2048];

    switch (call) {
    case GET_A:
        return ext2dax_getxattr(inode, "user.a", 6, buffer, sizeof(buffer));
    case GET_SECOND:
        return ext2dax_getxattr(inode, "user.second", 11, buffer, sizeof(buffer));
    case GET_BLOCK:
        return ext2dax_getxattr(inode, "user.block", 10, buffer, sizeof(buffer));
    case GET_ACL:
        return ext2dax_getxattr(inode, "system.posix_acl_access", 23, buffer, sizeof(buffer));
    case LIST:
        return ext2dax_listxattr(inode, buffer, sizeof(buffer));
    case SET_SMALL:
        return set(inode, "user.new", "x", 1);
    case SET_LARGE:
        return set(inode, "user.large", buffer, 300);
    case REPLACE:
        return set(inode, "user.block", buffer, 180);
    case REMOVE_A:
        return ext2dax_removexattr(inode, "user.a", 6);
    case REMOVE_BLOCK:
        return ext2dax_removexattr(inode, "user.block", 10);
    case CALLS:
        break;
    }
    return 0;
}

/* ---- each field ---- */

static void put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static void put32(unsigned char *at, uint32_t value)
{
    put16(at, value & 0xFFFF);
    put16(at + 2, value >> 16);
}

static void magic(void)
{
    put32(block_bytes(), 0xEA010000);
}
static void no_references(void)
{
    put32(block_bytes() + 4, 0);
}
static void two_blocks(void)
{
    put32(block_bytes() + 8, 2);
}
static void name_past_end(void)
{
    unsigned char *last = block_bytes() + BLOCK - 200;

    for (unsigned char *at = block_bytes() + 32; at < last; at += 16 + 4) {
        memset(at, 0, 20);
        at[0] = at[1] = 1;
        at[16] = 'x';
        at[36] = 255;
    }
}
static void value_past_end(void)
{
    put16(block_bytes() + 32 + 2, BLOCK - 4);
}
static void value_too_long(void)
{
    put32(block_bytes() + 32 + 8, UINT32_MAX);
}
static void value_among_names(void)
{
    put16(block_bytes() + 32 + 2, 40);
}
static void nul_in_name(void)
{
    block_bytes()[32 + 16 + 2] = '\0';
}
static void pointer_outside(void)
{
    raw_inode(&f, number)->file_acl = raw_le32(block + 1);
}
static void pointer_to_metadata(void)
{
    raw_inode(&f, number)->file_acl = raw_le32(2);
}
static void odd_extra(void)
{
    put16(inode_bytes() + 128, 33);
}
static void large_extra(void)
{
    put16(inode_bytes() + 128, 132);
}
static void inode_name(void)
{
    inode_bytes()[AREA] = 255;
}
static void inode_value(void)
{
    put16(inode_bytes() + AREA + 2, 91);
}
static void inode_value_low(void)
{
    put16(inode_bytes() + AREA + 2, 8);
}
static void value_inode(void)
{
    put32(block_bytes() + 32 + 4, 12);
}
static void value_inode_in_inode(void)
{
    put32(inode_bytes() + AREA + 4, 12);
}

static const struct {
    void (*damage)(void);
    int error;
} fields[] = {{magic, EXT2DAX_EUCLEAN},
              {no_references, EXT2DAX_EUCLEAN},
              {two_blocks, EXT2DAX_EUCLEAN},
              {name_past_end, EXT2DAX_EUCLEAN},
              {value_past_end, EXT2DAX_EUCLEAN},
              {value_too_long, EXT2DAX_EUCLEAN},
              {value_among_names, EXT2DAX_EUCLEAN},
              {nul_in_name, EXT2DAX_EUCLEAN},
              {pointer_outside, EXT2DAX_EUCLEAN},
              {pointer_to_metadata, EXT2DAX_EUCLEAN},
              {odd_extra, EXT2DAX_EUCLEAN},
              {large_extra, EXT2DAX_EUCLEAN},
              {inode_name, EXT2DAX_EUCLEAN},
              {inode_value, EXT2DAX_EUCLEAN},
              {inode_value_low, EXT2DAX_EUCLEAN},
              {value_inode, EXT2DAX_EOPNOTSUPP},
              {value_inode_in_inode, EXT2DAX_EOPNOTSUPP}};

START_TEST(test_fields)
{
    unsigned char *before = malloc(f.size);
    struct ext2dax_inode *inode;

    ck_assert_ptr_nonnull(before);
    fixture_mount(&f);
    inode = find(&f, "/file");
    for (enum call call = GET_A; call < CALLS; call++)
        ck_assert_int_ge(perform(inode, call), 0);
    ext2dax_inode_put(inode);
    fixture_unmount(&f);
    for (enum call call = GET_A; call < CALLS; call++) {
        memcpy(f.base, pristine, f.size);
        fixture_mount(&f);
        inode = find(&f, "/file");
        fields[_i].damage();
        memcpy(before, f.base, f.size);
        f.reports = 0;
        ck_assert_int_eq(perform(inode, call), -fields[_i].error);
        ck_assert_uint_ge(f.reports, 1);
        ck_assert(unchanged(before));
        ck_assert_uint_eq((f.base[1024 + 58] & EXT2DAX_STATE_ERROR) != 0, fields[_i].error == EXT2DAX_EUCLEAN);
        ext2dax_inode_put(inode);
        (void)ext2dax_unmount(f.mount);
        f.mount = NULL;
        ext2dax_lock_order_close(f.order);
    }
    free(before);
}
END_TEST

/* A block marked free is noticed before the attributes change. */
static bool noticed(void)
{
    unsigned char *before = malloc(f.size);
    struct ext2dax_inode *inode;
    bool good;
    int rc;

    ck_assert_ptr_nonnull(before);
    memcpy(f.base, pristine, f.size);
    /* The counts agree with the bitmap, else the group is not used at all. */
    set_bit(block, false);
    put16(f.base + 2048 + 12, (unsigned)(f.base[2048 + 12] | f.base[2048 + 13] << 8) + 1u);
    fixture_mount(&f);
    inode = find(&f, "/file");
    memcpy(before, f.base, f.size);
    rc = set(inode, "user.block", "x", 1);
    good = rc == -EXT2DAX_EUCLEAN && unchanged(before);
    ext2dax_inode_put(inode);
    (void)ext2dax_unmount(f.mount);
    f.mount = NULL;
    ext2dax_lock_order_close(f.order);
    free(before);
    return good;
}

START_TEST(test_marked_free)
{
    ck_assert(noticed());
    ck_assert_int_eq(ext2dax_mutant_activate("XATTR_UNCHECKED"), 0);
    ck_assert(!noticed());
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
}
END_TEST

/* A damaged ACL does not hide the other attributes, and can be replaced or removed. */
START_TEST(test_bad_acl)
{
    struct ext2dax_inode *inode;
    unsigned char *at = block_bytes() + 32;
    char list[256];

    while (at[1] != 2)
        at += 16 + ((at[0] + 3u) & ~3u);
    block_bytes()[at[2] | at[3] << 8] = 7;
    fixture_mount(&f);
    inode = find(&f, "/file");
    ck_assert_int_eq(perform(inode, GET_ACL), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(perform(inode, GET_BLOCK), 200);
    ck_assert_int_eq(ext2dax_listxattr(inode, list, sizeof(list)), 7 + 12 + 11 + 14 + 15 + 24);
    ck_assert_int_eq(ext2dax_removexattr(inode, "system.posix_acl_access", 23), 0);
    ck_assert_int_eq(perform(inode, GET_ACL), -EXT2DAX_ENODATA);
    ext2dax_inode_put(inode);
}
END_TEST

/* ---- each byte ---- */

static void all_calls(void)
{
    unsigned char *before = malloc(f.size);
    struct ext2dax_inode *inode;

    ck_assert_ptr_nonnull(before);
    fixture_mount(&f);
    if (ext2dax_inode_get(f.mount, number, &inode) == 0) {
        for (enum call call = GET_A; call < CALLS; call++) {
            int64_t rc;

            memcpy(before, f.base, f.size);
            f.reports = 0;
            rc = perform(inode, call);
            if (rc == -EXT2DAX_EUCLEAN || rc == -EXT2DAX_EOPNOTSUPP)
                ck_assert_uint_ge(f.reports, 1);
            else
                ck_assert(rc >= 0 || rc == -EXT2DAX_ENODATA || rc == -EXT2DAX_ENOSPC || rc == -EXT2DAX_ERANGE);
            if (rc < 0)
                ck_assert(unchanged(before));
        }
        ext2dax_inode_put(inode);
    }
    (void)ext2dax_unmount(f.mount);
    f.mount = NULL;
    ext2dax_lock_order_close(f.order);
    free(before);
}

/* Returns how many names the attributes in the inode and the attributes in the block share. */
static unsigned names_in_both(void)
{
    unsigned shared = 0;

    for (const unsigned char *here = inode_bytes() + AREA; here[0] | here[1]; here += 16 + ((here[0] + 3u) & ~3u)) {
        const unsigned char *there = f.base + (size_t)raw32(raw_inode(&f, number)->file_acl) * BLOCK + 32;

        for (; there[0] | there[1]; there += 16 + ((there[0] + 3u) & ~3u))
            shared += memcmp(here, there, 2) == 0 && memcmp(here + 16, there + 16, here[0]) == 0;
    }
    return shared;
}

/*
 * A crash between the pointer to a new block and the cut of the entries in the inode leaves
 * attributes in both places. The next change of any attribute drops the values in the block. A
 * driver that removes an attribute from the inode alone would bring them back.
 */
START_TEST(test_hidden)
{
    static const char *const next[] = {"user.a", "user.second", "user.new", "trusted.block"};
    unsigned char tail[INODE - 128];
    struct ext2dax_inode *inode;
    char value[64];

    fixture_mount(&f);
    ck_assert_int_eq(ext2dax_inode_get(f.mount, number, &inode), 0);
    memcpy(tail, inode_bytes() + 128, sizeof(tail));
    ck_assert_int_eq(set(inode, "user.a", "a longer value", 14), 0);
    memcpy(inode_bytes() + 128, tail, sizeof(tail));
    ck_assert_uint_eq(names_in_both(), 3);
    ck_assert_int_eq(ext2dax_getxattr(inode, "user.a", 6, value, sizeof(value)), 5);
    ck_assert_mem_eq(value, "value", 5);
    if (_i < 4)
        ck_assert_int_eq(set(inode, next[_i], "other", 5), 0);
    else
        ck_assert_int_eq(ext2dax_removexattr(inode, "user.block", 10), 0);
    ck_assert_int_eq(ext2dax_getxattr(inode, "user.a", 6, value, sizeof(value)), 5);
    ck_assert_mem_eq(value, _i == 0 ? "other" : "value", 5);
    ck_assert_int_eq(ext2dax_getxattr(inode, "user.second", 11, value, sizeof(value)), _i == 1 ? 5 : 9);
    ck_assert_mem_eq(value, _i == 1 ? "other" : "value two", 5);
    ck_assert_uint_eq(names_in_both(), 0);
    ext2dax_inode_put(inode);
    fixture_unmount(&f);
    check_clean(&f);
}
END_TEST

START_TEST(test_bytes)
{
    static const unsigned char values[] = {0, 1, 2, 3, 0x10, 0x7F, 0x80, 0xC0, 0xFE, 0xFF};

    for (unsigned at = 0; at < 200 + (INODE - 128); at += slowed() ? 7 : 1) {
        for (size_t i = 0; i < sizeof(values); i++) {
            memcpy(f.base, pristine, f.size);
            if (at < 200)
                block_bytes()[at] = values[i];
            else
                inode_bytes()[128 + at - 200] = values[i];
            all_calls();
        }
    }
}
END_TEST

START_TEST(test_noise)
{
    uint32_t state = 77;

    for (unsigned turn = 0; turn < (slowed() ? 150 : 1500); turn++) {
        memcpy(f.base, pristine, f.size);
        for (unsigned i = 0; i < 1 + turn % 4; i++) {
            if (noise(&state) % 2 == 0)
                block_bytes()[noise(&state) % 160] = (unsigned char)noise(&state);
            else
                inode_bytes()[128 + noise(&state) % 128] = (unsigned char)noise(&state);
        }
        all_calls();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile attributes");
    TCase *damage = add_case(suite, "damage", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(damage, open_fixture, close_fixture);
    tcase_add_loop_test(damage, test_fields, 0, (int)(sizeof(fields) / sizeof(fields[0])));
    tcase_add_test(damage, test_marked_free);
    tcase_add_test(damage, test_bad_acl);
    tcase_add_loop_test(damage, test_hidden, 0, 5);
    tcase_add_test(damage, test_bytes);
    tcase_add_test(damage, test_noise);
    return run_suite(suite);
}
