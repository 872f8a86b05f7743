/* SPDX-License-Identifier: MIT */
/*
 * Tests a mapping as the buffer of a call, where the mapping cannot be accessed. A read or write
 * returns short or fails with EFAULT, a call on attributes or a symbolic link fails with EFAULT.
 */
#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mounted.h"
#include "../runner.h"

#define PAGES 6u

static struct mounted m;
static struct ext2dax_inode *short_file, *other;
static char *mapping;

static void on_sigbus(int number)
{
    (void)number;
    ck_abort_msg("a SIGBUS has come to the program");
}

/*
 * Maps a file of two pages with a length of PAGES, beside a second file of PAGES. The program's own
 * signal handlers would end the test (see mounted.c). With `on_top`, a SIGBUS handler installed
 * after the library's passes nothing on.
 */
static void open_files(bool on_top)
{
    catch_signals();
    mounted_open(&m, NULL);
    if (on_top)
        (void)signal(SIGBUS, on_sigbus);
    short_file = make_file(&m, "short", 0);
    fill(short_file, 0, 2 * PAGE, 's');
    other = make_file(&m, "other", 0);
    fill(other, 0, PAGES * PAGE, 'o');
    mapping = map_file(&m, short_file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
}

static void close_files(void)
{
    unmap_file(&m, mapping);
    ext2dax_inode_put(short_file);
    ext2dax_inode_put(other);
    mounted_close(&m);
}

static uint64_t size_of(struct ext2dax_inode *inode)
{
    struct ext2dax_stat stat;

    ext2dax_stat(inode, &stat, sizeof(stat));
    return stat.size;
}

START_TEST(a_write_from_past_the_end_is_short)
{
    static char bytes[PAGES * PAGE];
    unsigned wrong = 0;

    open_files(_i != 0);
    for (unsigned into = 0; into < 2 * PAGE; into += PAGE / 2 + 1) {
        int64_t left = 2 * PAGE - into;

        /* A write in place. Bytes after the returned count are unchanged. */
        ck_assert_int_eq(ext2dax_write(other, 10, mapping + into, 3 * PAGE), left);
        ck_assert_int_eq(ext2dax_read(other, 0, bytes, sizeof(bytes)), sizeof(bytes));
        for (int64_t at = 0; at < (int64_t)sizeof(bytes); at++)
            wrong += bytes[at] != (at < 10 || at >= 10 + left ? 'o' : 's');
        ck_assert_uint_eq(wrong, 0);
        /* A write past the end. The returned count extends the file. */
        ck_assert_int_eq(ext2dax_write(other, PAGES * PAGE, mapping + into, 3 * PAGE), left);
        ck_assert_uint_eq(size_of(other), PAGES * PAGE + (uint64_t)left);
        ck_assert_int_eq(ext2dax_truncate(other, PAGES * PAGE), 0);
        fill(other, 0, PAGES * PAGE, 'o');
    }
    ck_assert_int_eq(ext2dax_write(other, 10, mapping + 2 * PAGE, 3 * PAGE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_write(other, PAGES * PAGE, mapping + 2 * PAGE, 3 * PAGE), -EXT2DAX_EFAULT);
    ck_assert_uint_eq(size_of(other), PAGES * PAGE);
    /*
     * No lock is still held. Both files can be written, even with a mapping of the same file as the
     * buffer.
     */
    ck_assert_int_eq(ext2dax_write(short_file, 0, mapping + PAGE, 2 * PAGE), PAGE);
    fill(other, 0, PAGE, 'n');
    close_files();
}
END_TEST

START_TEST(a_read_past_the_end_is_short)
{
    open_files(_i != 0);
    for (unsigned into = 0; into < 2 * PAGE; into += PAGE / 2 + 1) {
        ck_assert_int_eq(ext2dax_read(other, 10, mapping + into, 3 * PAGE), 2 * PAGE - into);
        ck_assert_uint_eq(byte_of(short_file, 2 * PAGE - 1), 'o');
        fill(short_file, 0, 2 * PAGE, 's');
    }
    ck_assert_int_eq(ext2dax_read(other, 10, mapping + 2 * PAGE, 3 * PAGE), -EXT2DAX_EFAULT);
    /* A read of zeroes from a hole is short too. */
    ck_assert_int_eq(ext2dax_truncate(other, 0), 0);
    ck_assert_int_eq(ext2dax_truncate(other, PAGES * PAGE), 0);
    ck_assert_int_eq(ext2dax_read(other, 10, mapping + PAGE, 3 * PAGE), PAGE);
    ck_assert_uint_eq(byte_of(short_file, PAGE), 0);
    fill(other, 0, PAGE, 'n');
    close_files();
}
END_TEST

/*
 * A read into holes without free space, or into a read-only mapping, is short or fails with EFAULT.
 */
START_TEST(a_read_into_what_cannot_be_stored_to_is_short)
{
    struct ext2dax_inode *hog;
    uint64_t size = 0;
    char *read_only;

    open_files(_i != 0);
    hog = make_file(&m, "hog", 0);
    ck_assert_int_eq(ext2dax_truncate(short_file, PAGES * PAGE), 0);
    while (ext2dax_allocate(hog, size, 64 * PAGE, false) == 0)
        size += 64 * PAGE;
    while (ext2dax_allocate(hog, size, PAGE, false) == 0)
        size += PAGE;
    ck_assert_int_eq(ext2dax_read(other, 0, mapping + PAGE, 3 * PAGE), PAGE);
    ck_assert_int_eq(ext2dax_read(other, 0, mapping + 3 * PAGE, PAGE), -EXT2DAX_EFAULT);
    read_only = map_file(&m, other, 0, PAGES * PAGE, 0);
    ck_assert_int_eq(ext2dax_read(other, 0, read_only, PAGE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_write(short_file, 0, read_only, PAGE), PAGE);
    unmap_file(&m, read_only);
    /* Space is free again. */
    ck_assert_int_eq(ext2dax_truncate(hog, 0), 0);
    ck_assert_int_eq(ext2dax_read(other, 0, mapping + PAGE, 3 * PAGE), 3 * PAGE);
    ext2dax_inode_put(hog);
    close_files();
}
END_TEST

/* A buffer in no mapping, or in a mapping already removed, fails with EFAULT. */
START_TEST(no_buffer_at_all)
{
    void *const bad[] = {NULL, (void *)16};

    open_files(_i != 0);
    VALGRIND_DISABLE_ERROR_REPORTING;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(ext2dax_write(other, 0, bad[i], 100), -EXT2DAX_EFAULT);
        ck_assert_int_eq(ext2dax_write(other, 100 * PAGE, bad[i], 100), -EXT2DAX_EFAULT);
        ck_assert_int_eq(ext2dax_read(other, 0, bad[i], 100), -EXT2DAX_EFAULT);
    }
    ck_assert_uint_eq(size_of(other), PAGES * PAGE);
    unmap_file(&m, mapping);
    ck_assert_int_eq(ext2dax_write(other, 0, mapping, 100), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_read(other, 0, mapping, 100), -EXT2DAX_EFAULT);
    VALGRIND_ENABLE_ERROR_REPORTING;
    ck_assert_uint_eq(byte_of(other, 0), 'o');
    mapping = map_file(&m, short_file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
    close_files();
}
END_TEST

/* An access ACL of owner, group and others, as Linux passes it to setxattr. */
static const unsigned char acl[] = {2, 0, 0,   0,   1,   0,   6,    0, 255, 255, 255, 255, 4,   0,
                                    4, 0, 255, 255, 255, 255, 0x20, 0, 4,   0,   255, 255, 255, 255};
#define ACL_NAME "system.posix_acl_access", 23
#define WHOLE    100 /* bytes of an accessible buffer */

/* Tries every call that copies a name, a value or a target to the caller. */
static void ask_all(struct ext2dax_inode *link, char *buffer, size_t size, bool accessible)
{
    int64_t bad = -EXT2DAX_EFAULT;

    ck_assert_int_eq(ext2dax_getxattr(other, "user.name", 9, buffer, size), accessible ? 5 : bad);
    ck_assert_int_eq(ext2dax_getxattr(other, ACL_NAME, buffer, size), accessible ? (int)sizeof(acl) : bad);
    ck_assert_int_eq(ext2dax_listxattr(other, buffer, size), accessible ? 10 + 24 : bad);
    ck_assert_int_eq(ext2dax_readlink(link, buffer, size), accessible ? 6 : bad);
}

START_TEST(attributes_and_links)
{
    static const char *const names[] = {"user.name", "user.more"};
    struct ext2dax_inode *link, *hog;
    char *page, *beyond, value[WHOLE];
    uint64_t size = 0;

    open_files(_i != 0);
    page = mapping + PAGE;
    beyond = mapping + 2 * PAGE;
    ck_assert_int_eq(ext2dax_symlink(m.root, "link", 4, "target", 6, 0, 0, &link), 0);
    memcpy(page, "value", 5);
    ck_assert_int_eq(ext2dax_setxattr(other, "user.name", 9, page, 5, 0), 0);
    memcpy(page, acl, sizeof(acl));
    ck_assert_int_eq(ext2dax_setxattr(other, ACL_NAME, page, sizeof(acl), 0), 0);
    ask_all(link, page, WHOLE, true);
    /* The last byte of every answer but one is the first byte past the end. */
    ask_all(link, beyond, WHOLE, false);
    ck_assert_int_eq(ext2dax_getxattr(other, "user.name", 9, beyond - 4, WHOLE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_getxattr(other, ACL_NAME, beyond - sizeof(acl) + 1, WHOLE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_listxattr(other, beyond - 33, WHOLE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_readlink(link, beyond - 5, WHOLE), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_readlink(link, beyond - 5, 5), 6);
    /* Of a value nothing is stored, in a file or out of the very file. */
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(ext2dax_setxattr(other, names[i], 9, beyond - 3, 5, 0), -EXT2DAX_EFAULT);
        ck_assert_int_eq(ext2dax_setxattr(short_file, names[i], 9, beyond, 5, 0), -EXT2DAX_EFAULT);
        ck_assert_int_eq(ext2dax_setxattr(other, names[i], 9, NULL, 5, 0), -EXT2DAX_EFAULT);
    }
    ck_assert_int_eq(ext2dax_setxattr(other, ACL_NAME, beyond - 8, sizeof(acl), 0), -EXT2DAX_EFAULT);
    ck_assert_int_eq(ext2dax_getxattr(other, "user.name", 9, value, WHOLE), 5);
    ck_assert_mem_eq(value, "value", 5);
    ck_assert_int_eq(ext2dax_getxattr(other, ACL_NAME, value, WHOLE), sizeof(acl));
    ck_assert_mem_eq(value, acl, sizeof(acl));
    ck_assert_int_eq(ext2dax_listxattr(other, NULL, 0), 10 + 24);
    ck_assert_int_eq(ext2dax_listxattr(short_file, NULL, 0), 0);
    /* Without space a hole cannot be stored to. */
    hog = make_file(&m, "hog", 0);
    ck_assert_int_eq(ext2dax_truncate(short_file, PAGES * PAGE), 0);
    while (ext2dax_allocate(hog, size, 64 * PAGE, false) == 0)
        size += 64 * PAGE;
    while (ext2dax_allocate(hog, size, PAGE, false) == 0)
        size += PAGE;
    ask_all(link, beyond, WHOLE, false);
    /* No lock is still held. */
    ck_assert_int_eq(ext2dax_truncate(hog, 0), 0);
    ask_all(link, beyond, WHOLE, true);
    ck_assert_int_eq(ext2dax_removexattr(other, ACL_NAME), 0);
    ck_assert_int_eq(ext2dax_setxattr(link, "trusted.name", 12, "x", 1, 0), 0);
    ext2dax_inode_put(hog);
    ext2dax_inode_put(link);
    close_files();
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: buffers", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_loop_test(tcase, a_write_from_past_the_end_is_short, 0, 2);
    tcase_add_loop_test(tcase, a_read_past_the_end_is_short, 0, 2);
    tcase_add_loop_test(tcase, a_read_into_what_cannot_be_stored_to_is_short, 0, 2);
    tcase_add_loop_test(tcase, no_buffer_at_all, 0, 2);
    tcase_add_loop_test(tcase, attributes_and_links, 0, 2);
    return run_suite(suite);
}
