/* SPDX-License-Identifier: MIT */
/*
 * Tests names and the store order. Checks the number of fences of each call, the repair by e2fsck
 * -p after a crash at or between the fences, and the state in memory after a failed fence.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext2dax/testkit/checker.h"

#define INDEXED 800 /* more 1 KiB blocks than a single index block can name */

static struct fixture f, original;

/*
 * Makes an image with room in the root, a directory whose only block is full, hard links, and an
 * indexed directory of 800 long names.
 */
static void make_original(void)
{
    struct fixture tree;

    fixture_name(&tree);
    ck_assert_int_eq(
        run(&tree,
            "set -e; mkdir -p %s.d/full %s.d/indexed; cd %s.d; : >one; ln one two; echo data >big; cd full; "
            "seq -f '%%0180.0f' 0 4 | xargs touch; cd ../indexed; seq -f '%%0180.0f' 0 %d | xargs touch",
            tree.path, tree.path, tree.path, INDEXED - 1),
        0);
    fixture_open(&original, 1024, "-b 1024 -N 1200 -O dir_index -d %s.d", tree.path);
    /* e2fsck -D makes the index. Its exit status 1 reports a change. */
    ck_assert_int_le(run(&original, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fyD %s", original.path), 1);
    fixture_close(&tree);
}

static void close_original(void)
{
    fixture_close(&original);
}

static void open_fixture(void)
{
    fixture_open_copy(&f, &original);
    fixture_mount(&f);
}

static void close_fixture(void)
{
    fixture_close(&f);
}

static const char *full_name(char *name, unsigned i)
{
    snprintf(name, 200, "%0180u", i);
    return name;
}

static bool has_index(const struct ext2dax_inode *directory)
{
    return (raw32(directory->disk->flags) & EXT2DAX_FL_INDEX) != 0;
}

/* ---- number of fences ---- */

#define COSTS(count, call)                                                                                             \
    do {                                                                                                               \
        uintptr_t before = fences(&f);                                                                                 \
        call;                                                                                                          \
        ck_assert_uint_eq(fences(&f) - before, (count));                                                               \
    } while (0)

START_TEST(test_fences)
{
    struct ext2dax_inode *root = find(&f, "/"), *full = find(&f, "/full"), *indexed = find(&f, "/indexed"), *held;
    char name[256];
    unsigned i;

    COSTS(0, exists(root, "one"));
    COSTS(0, count_entries(indexed));
    COSTS(0, ck_assert_int_eq(try_create(root, "one"), -EXT2DAX_EEXIST));
    COSTS(0, ck_assert_int_eq(try_unlink(root, "none"), -EXT2DAX_ENOENT));
    COSTS(3, create(root, "new"));
    COSTS(3, ck_assert_int_eq(try_unlink(root, "new"), 0));
    COSTS(2, ck_assert_int_eq(try_unlink(root, "one"), 0));
    held = find(&f, "/two");
    COSTS(2, ck_assert_int_eq(try_unlink(root, "two"), 0));
    COSTS(1, ext2dax_inode_put(held));
    COSTS(4, create(full, full_name(name, 5)));
    COSTS(3, create(full, full_name(name, 6)));
    COSTS(3, create(indexed, "in its leaf"));
    COSTS(3, ck_assert_int_eq(try_unlink(indexed, "in its leaf"), 0));
    ck_assert(has_index(indexed));
    for (i = INDEXED; has_index(indexed); i++) {
        uintptr_t before = fences(&f);

        create(indexed, full_name(name, i));
        ck_assert_uint_eq(fences(&f) - before, has_index(indexed) ? 3 : 1 + 3);
    }
    COSTS(3, create(indexed, "without an index"));
    ext2dax_inode_put(root);
    ext2dax_inode_put(full);
    ext2dax_inode_put(indexed);
    check_clean(&f);
}
END_TEST

START_TEST(test_index_is_given_up)
{
    struct ext2dax_inode *indexed = find(&f, "/indexed");
    char name[256];
    unsigned i;

    ck_assert(has_index(indexed));
    ck_assert_uint_eq(count_entries(indexed), INDEXED);
    /*
     * The index root, after "..", holds the depth of the index. At least one level is below the
     * root.
     */
    ck_assert_uint_ge(raw_block(&f, indexed->number, 0)[30], 1);
    for (i = INDEXED; _i == 0 && has_index(indexed); i++)
        create(indexed, full_name(name, i));
    if (_i == 1) {
        ck_assert_int_eq(try_unlink(indexed, full_name(name, 300)), 0);
        ck_assert(has_index(indexed));
    }
    check_clean(&f);
    for (i = 0; i < INDEXED; i += 7)
        (void)try_unlink(indexed, full_name(name, i));
    for (i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "replacement %u", i);
        create(indexed, name);
    }
    ext2dax_inode_put(indexed);
    check_clean(&f);
}
END_TEST

/* ---- crashes ---- */

#define EPOCHS_MAX 16

struct recording {
    unsigned char *at[EPOCHS_MAX]; /* the image at each fence, with [0] before the call */
    unsigned count;
};

static void record(struct fixture *fixture)
{
    struct recording *recording = fixture->fenced_arg;

    ck_assert_uint_lt(recording->count, EPOCHS_MAX);
    recording->at[recording->count] = malloc(fixture->size);
    memcpy(recording->at[recording->count++], fixture->base, fixture->size);
}

/*
 * Checks that e2fsck -p repairs the image without help, and that files not named by the call
 * still exist. `there` is a name which must exist after the call returned, and `gone` one which
 * must not. Either may be NULL.
 */
static void repairs(const unsigned char *image, const char *what, unsigned epoch, const char *there, const char *gone)
{
    char name[128];
    FILE *out;
    int status;

    snprintf(name, sizeof(name), "%s.crash", f.path);
    out = fopen(name, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(image, 1, f.size, out), f.size);
    fclose(out);
    status =
        run(&f,
            "PATH=$PATH:/usr/sbin:/sbin; e2fsck -p %s; [ $? -le 1 ] || exit 11; e2fsck -fn %s || exit 12; for i in "
            "big two full full/%0180d indexed indexed/%0180d %s; do echo stat /$i; done | debugfs -f - %s | grep -c "
            "Links: | grep -qx %d || exit 13",
            name, name, 0, 5, there ? there : "", name, there ? 7 : 6);
    ck_assert_msg(status != 11, "%s, epoch %u: e2fsck -p gives up", what, epoch);
    ck_assert_msg(status != 12, "%s, epoch %u: e2fsck -fn finds more than e2fsck -p", what, epoch);
    ck_assert_msg(status == 0, "%s, epoch %u: a file is missing", what, epoch);
    if (gone) {
        status = run(&f, "PATH=$PATH:/usr/sbin:/sbin; debugfs -R \"stat %s\" %s | grep -q Links:", gone, name);
        ck_assert_msg(status == 1, "%s: the name is there again", what);
    }
}

/*
 * Checks random states between two fences. In each of the `mixtures` states, every changed 8-byte
 * word has either reached memory or not. Checks the complete state last.
 */
static void crash_between(const unsigned char *from, const unsigned char *to, unsigned mixtures, uint32_t *state,
                          const char *what, unsigned epoch)
{
    unsigned char *mixed = malloc(f.size);
    unsigned i;

    ck_assert_ptr_nonnull(mixed);
    for (i = 0; i < mixtures; i++) {
        memcpy(mixed, from, f.size);
        for (size_t at = 0; at < f.size; at += 8) {
            if (memcmp(from + at, to + at, 8) != 0 && noise(state) % 2 == 0)
                memcpy(mixed + at, to + at, 8);
        }
        repairs(mixed, what, epoch, NULL, NULL);
    }
    repairs(to, what, epoch, NULL, NULL);
    free(mixed);
}

static void do_create(void)
{
    struct ext2dax_inode *root = find(&f, "/");

    create(root, "new");
    ext2dax_inode_put(root);
}

static void do_create_growing(void)
{
    struct ext2dax_inode *full = find(&f, "/full");
    char name[256];

    create(full, full_name(name, 5));
    ext2dax_inode_put(full);
}

/*
 * Reuses an unused dirent. Removing the name which extended the directory leaves its block with a
 * single unused dirent, and the next name takes it.
 */
static void do_create_in_unused(void)
{
    struct ext2dax_inode *full = find(&f, "/full");
    char name[256];

    create(full, full_name(name, 5));
    ck_assert_int_eq(try_unlink(full, name), 0);
    create(full, full_name(name, 6));
    ck_assert_uint_eq(ext2dax_check_size(f.base, f.size, full->number), 2 * 1024);
    ext2dax_inode_put(full);
}

static void do_create_indexed(void)
{
    struct ext2dax_inode *indexed = find(&f, "/indexed");

    create(indexed, "new");
    ext2dax_inode_put(indexed);
}

static void do_unlink_last(void)
{
    struct ext2dax_inode *full = find(&f, "/full");
    char name[256];

    ck_assert_int_eq(try_unlink(full, full_name(name, 2)), 0);
    ext2dax_inode_put(full);
}

static void do_unlink_data(void)
{
    struct ext2dax_inode *root = find(&f, "/");

    create(root, "kept");
    ck_assert_int_eq(try_unlink(root, "kept"), 0);
    ck_assert_int_eq(try_unlink(root, "one"), 0);
    ext2dax_inode_put(root);
}

static void do_unlink_indexed(void)
{
    struct ext2dax_inode *indexed = find(&f, "/indexed");
    char name[256];

    ck_assert_int_eq(try_unlink(indexed, full_name(name, 77)), 0);
    ext2dax_inode_put(indexed);
}

static const struct {
    const char *name;
    void (*call)(void);
    const char *there, *gone;
} calls[] = {{"create", do_create, "new", NULL},
             {"create in a full directory", do_create_growing, "full/$(printf %0180d 5)", NULL},
             {"create, unlink, create in an unused entry", do_create_in_unused, "full/$(printf %0180d 6)",
              "full/$(printf %0180d 5)"},
             {"create in an indexed directory", do_create_indexed, "indexed/new", NULL},
             {"unlink of the last name", do_unlink_last, NULL, "full/$(printf %0180d 2)"},
             {"create, unlink, unlink of one of two names", do_unlink_data, NULL, "one"},
             {"unlink in an indexed directory", do_unlink_indexed, NULL, "indexed/$(printf %0180d 77)"}};

START_TEST(test_crashes)
{
    struct recording recording = {.count = 0};
    uint32_t state = 0xC0FFEE;
    unsigned i;

    f.fenced_arg = &recording;
    record(&f);
    f.fenced = record;
    calls[_i].call();
    f.fenced = NULL;
    record(&f);
    for (i = 1; i < recording.count; i++)
        crash_between(recording.at[i - 1], recording.at[i], 3, &state, calls[_i].name, i);
    repairs(recording.at[recording.count - 2], calls[_i].name, recording.count - 2, calls[_i].there, calls[_i].gone);
    for (i = 0; i < recording.count; i++)
        free(recording.at[i]);
}
END_TEST

/* ---- failed fences ---- */

/*
 * A create failed by a fence leaves no name in memory, and a failed unlink keeps its name. Later
 * changes fail.
 */
START_TEST(test_failed_fence)
{
    struct ext2dax_inode *root = find(&f, "/"), *full = find(&f, "/full");
    char name[256];
    int error;

    f.fences_left = _i % 5;
    if (_i < 5)
        error = try_create(_i < 3 ? root : full, full_name(name, 9));
    else
        error = try_unlink(full, full_name(name, 1));
    f.fences_left = -1;
    if (error == 0) {
        ck_assert_int_ge(_i % 5, 2);
    } else {
        ck_assert_int_eq(error, -EXT2DAX_EIO);
        ck_assert_uint_ge(f.reports, 1);
        if (_i < 5) {
            ck_assert(!exists(root, name));
            ck_assert(!exists(full, name));
        }
        ck_assert_int_lt(try_create(root, "other"), 0);
        ck_assert_int_lt(try_unlink(root, "big"), 0);
    }
    ck_assert(exists(root, "big"));
    if (_i == 5)
        ck_assert(exists(full, name));
    ext2dax_inode_put(root);
    ext2dax_inode_put(full);
    (void)ext2dax_unmount(f.mount);
    f.mount = NULL;
    ext2dax_lock_order_close(f.order);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names and the order of stores");
    TCase *order = add_case(suite, "order", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_unchecked_fixture(order, make_original, close_original);
    tcase_add_checked_fixture(order, open_fixture, close_fixture);
    tcase_add_test(order, test_fences);
    tcase_add_loop_test(order, test_index_is_given_up, 0, 2);
    tcase_add_loop_test(order, test_crashes, 0, (int)(sizeof(calls) / sizeof(calls[0])));
    tcase_add_loop_test(order, test_failed_fence, 0, 8);
    return run_suite(suite);
}
