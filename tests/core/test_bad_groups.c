/* SPDX-License-Identifier: MIT */
/*
 * Tests groups whose bitmap and free count disagree. Truncate, punch, unlink and create must not
 * free blocks or an inode of such a group, or allocate an inode from it. The call fails and reports
 * the group's number, and changes no byte of the image except the superblock's error bit. A call
 * which uses several groups fails if any of them is bad.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <stdlib.h>
#include <string.h>
#include "../error_record.h"

#define BLOCK     1024u
#define PER_GROUP 256u
/* of /big, which has blocks in several groups and two levels of pointer blocks */
#define SIZE 300000u

static struct fixture f, tree;
static unsigned char *before;

static struct ext2dax_disk_super *super(void)
{
    return (void *)(f.base + EXT2DAX_SUPER_OFFSET);
}

static struct ext2dax_disk_group *descriptor(uint32_t group)
{
    return (struct ext2dax_disk_group *)(void *)(f.base + 2 * BLOCK) + group;
}

static uint32_t raw16(struct ext2dax_le16 v)
{
    const unsigned char *p = (const unsigned char *)&v;

    return (uint32_t)(p[0] | p[1] << 8);
}

static void open_image(void)
{
    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "mkdir %s.d && head -c %u /dev/zero | tr '\\0' x >%s.d/big && echo small >%s.d/small",
                         tree.path, SIZE, tree.path, tree.path),
                     0);
    fixture_open(&f, 2048, "-b 1024 -g %u -N 256 -d %s.d", PER_GROUP, tree.path);
    before = malloc(f.size);
    ck_assert_ptr_nonnull(before);
}

static void close_image(void)
{
    free(before);
    fixture_close(&f);
    fixture_close(&tree);
}

/*
 * Makes a group's free count one less than its bitmap, or one more where nothing is free. Adjusts
 * the superblock's sum to match.
 */
static void spoil(uint32_t group, bool inodes)
{
    struct ext2dax_le16 *count = inodes ? &descriptor(group)->free_inodes : &descriptor(group)->free_blocks;
    struct ext2dax_le32 *sum = inodes ? &super()->free_inodes : &super()->free_blocks;

    uint32_t by = raw16(*count) != 0 ? UINT32_MAX : 1;

    *count = raw_le16((uint16_t)(raw16(*count) + by));
    *sum = raw_le32(raw32(*sum) + by);
}

/* Returns whether a block or a pointer block of the file lies in the group. */
static bool lies_in(uint32_t group, struct ext2dax_inode *inode)
{
    const struct ext2dax_le32 *slot = inode->disk->block;
    struct ext2dax_run part;
    bool any = false;

    for (uint64_t at = 0; at < (SIZE + BLOCK - 1) / BLOCK; at++) {
        ck_assert_int_eq(ext2dax_map(inode, at, 1, &part), 0);
        any = any || (part.physical - 1) / PER_GROUP == group;
    }
    for (unsigned i = EXT2DAX_IND; i <= EXT2DAX_DIND; i++)
        any = any || (raw32(slot[i]) != 0 && (raw32(slot[i]) - 1) / PER_GROUP == group);
    return any;
}

static int try_truncate(struct ext2dax_inode *root, struct ext2dax_inode *inode)
{
    (void)root;
    return ext2dax_truncate(inode, 1);
}
static int try_punch(struct ext2dax_inode *root, struct ext2dax_inode *inode)
{
    (void)root;
    return ext2dax_punch(inode, 0, SIZE);
}
static int try_unlink_big(struct ext2dax_inode *root, struct ext2dax_inode *inode)
{
    (void)inode;
    return try_unlink(root, "big");
}

static const struct {
    const char *name;
    bool inodes;
    int (*call)(struct ext2dax_inode *root, struct ext2dax_inode *inode);
} calls[] = {{"truncate", false, try_truncate},
             {"punch", false, try_punch},
             {"unlink", false, try_unlink_big},
             {"unlink", true, try_unlink_big}};
#define CALLS ((int)(sizeof calls / sizeof calls[0]))

/*
 * Checks a refused call. The call must return EUCLEAN, report the group, and leave the image
 * unchanged except for the error bit.
 */
static void refused(const char *name, uint32_t group, int error)
{
    struct ext2dax_le16 state = super()->state;

    ck_assert_msg(error == -EXT2DAX_EUCLEAN, "%s, group %u: returned %d", name, group, error);
    ck_assert_msg(f.reports != 0 && strcmp(f.last.structure, "group") == 0 && f.last.number == group &&
                      f.last.error == error,
                  "%s, group %u: not reported by its number", name, group);
    ck_assert_uint_eq(raw16(state), EXT2DAX_STATE_ERROR);
    super()->state = raw_le16(0);
    copy_error_record(f.base, before);
    ck_assert_msg(memcmp(f.base, before, f.size) == 0, "%s, group %u: the image has changed", name, group);
    super()->state = state;
    f.reports = 0;
}

START_TEST(test_refused_before_anything_changes)
{
    uint32_t groups = (uint32_t)((f.size / BLOCK - 1 + PER_GROUP - 1) / PER_GROUP), bad = 0;

    for (uint32_t group = 0; group < groups; group++) {
        struct ext2dax_inode *root, *big;
        bool affected;

        spoil(group, calls[_i].inodes);
        fixture_mount(&f);
        root = find(&f, "/");
        big = find(&f, "/big");
        /* The inodes of the file and its directory are in group 0. */
        affected = calls[_i].inodes ? group == 0 : lies_in(group, big);
        if (affected) {
            bad++;
            memcpy(before, f.base, f.size);
            f.reports = 0;
            refused(calls[_i].name, group, calls[_i].call(root, big));
            refused(calls[_i].name, group, calls[_i].call(root, big));
            ck_assert(exists(root, "big"));
        }
        ext2dax_inode_put(big);
        ext2dax_inode_put(root);
        fixture_unmount(&f);
        fixture_close(&f);
        fixture_open(&f, 2048, "-b 1024 -g %u -N 256 -d %s.d", PER_GROUP, tree.path);
    }
    ck_assert_uint_ge(bad, calls[_i].inodes ? 1 : 2);
}
END_TEST

/*
 * A bad group gives out no inode. A new file gets an inode of another group, and the bad group's
 * bitmap does not change.
 */
START_TEST(test_created_elsewhere)
{
    struct ext2dax_inode *root, *created;
    size_t bitmap;

    spoil(0, true);
    fixture_mount(&f);
    root = find(&f, "/");
    memcpy(before, f.base, f.size);
    f.reports = 0;
    create(root, "new");
    ck_assert_uint_ne(f.reports, 0);
    ck_assert_str_eq(f.last.structure, "group");
    ck_assert_uint_eq(f.last.number, 0);
    created = find(&f, "/new");
    ck_assert_uint_gt(created->number, raw32(super()->inodes_per_group));
    bitmap = raw32(descriptor(0)->inode_bitmap) * (size_t)BLOCK;
    ck_assert_int_eq(memcmp(f.base + bitmap, before + bitmap, BLOCK), 0);
    ext2dax_inode_put(created);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
}
END_TEST

/* A bad group does not affect calls on other groups. */
START_TEST(test_others_go_on)
{
    struct ext2dax_inode *root, *small;
    uint32_t group = 7;

    spoil(group, false);
    spoil(group, true);
    fixture_mount(&f);
    root = find(&f, "/");
    small = find(&f, "/small");
    ck_assert(!lies_in(group, small));
    ck_assert_int_eq(ext2dax_truncate(small, 0), 0);
    ck_assert_int_eq((int)ext2dax_write(small, 0, "new", 3), 3);
    ext2dax_inode_put(small);
    create(root, "new");
    ck_assert_int_eq(try_unlink(root, "small"), 0);
    ck_assert_int_eq(try_unlink(root, "new"), 0);
    ck_assert_uint_eq(f.reports, 0);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bad groups");
    TCase *tests = add_case(suite, "bad groups", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(tests, open_image, close_image);
    tcase_add_loop_test(tests, test_refused_before_anything_changes, 0, CALLS);
    tcase_add_test(tests, test_created_elsewhere);
    tcase_add_test(tests, test_others_go_on);
    return run_suite(suite);
}
