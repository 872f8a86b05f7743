/* SPDX-License-Identifier: MIT */
/*
 * Recovery, one thing at a time: what a crash leaves is mended, as e2fsck -p mends it; everything else is refused, and no
 * byte changed. The checker, which shares nothing with the core, says which of the two an image is.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../image/broken.h"
#include "../image/outside.h"
#include "crashed.h"

static struct outside_image made;
static uint8_t *before;

static void open_image(void)
{
    plug_reset();
    made = tree_image();
    before = malloc(image_size);
    ck_assert_ptr_nonnull(before);
}

static void close_image(void)
{
    ck_assert_int_eq(plug.held, 0);
    free(before);
    outside_close(&made);
}

static void crash(void)
{
    set16(&super()->state, 0);
    memcpy(before, image, image_size);
}

static int findings(const uint8_t *at, unsigned flags, const char *what)
{
    return ext2dax_check_image(at, image_size, flags, what ? say_finding : NULL, (void *)(uintptr_t)what, NULL);
}

/* The image is mended by a mount, and by e2fsck -p to the same effect. */
static void mended(const char *what)
{
    struct outside_image other = outside_open(image_size);
    const char *difference;
    int error, status;

    memcpy(other.base, image, image_size);
    error = plug_recover(image, image_size);
    if (error != 0) {
        char text[256];

        (void)ext2dax_report_text(&plug.error, text, sizeof(text));
        ck_abort_msg("%s: %d: %s", what, error, text);
    }
    ck_assert_msg(plug.kinds != 0, "%s: nothing told", what);
    ck_assert_int_eq(findings(image, 0, what), 0);
    ck_assert_msg(outside_e2fsck(&made, true) == 0, "%s: e2fsck -fn", what);
    status = outside_run("e2fsck -p %s >/dev/null 2>&1", other.path);
    ck_assert_msg(status == 0 || status == 1, "%s: e2fsck -p exits with %d", what, status);
    difference = differs(image, other.base, image_size);
    ck_assert_msg(!difference, "%s: %s differs from what e2fsck -p makes of it", what, difference);
    outside_close(&other);
    ck_assert_msg(!plug.backwards && plug.progresses != 0 && plug.steps == plug.all, "%s: progress", what);

    /* Once more there is nothing left to do. */
    set16(&super()->state, 0);
    plug.kinds = plug.fences = 0;
    plug.steps = plug.all = 0;
    memcpy(before, image, image_size);
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_msg(plug.kinds == 1 && plug.recovered[0].value == 0, "%s: mended twice", what);
    set16(&super()->state, 0);
    ck_assert_msg(memcmp(image, before, image_size) == 0, "%s: changed though there was nothing to mend", what);
}

/* Refused, unchanged, and open to readers as long as that much can be believed. */
static void refused(const char *what)
{
    struct ext2dax_mount *mount;
    int error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);

    ck_assert_msg(error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_EINVAL, "%s: answers %d", what, error);
    ck_assert_msg(plug.error.structure && plug.error.error == error, "%s: not reported", what);
    ck_assert_msg(memcmp(image, before, image_size) == 0, "%s: changed", what);
    ck_assert_msg(plug.kinds == 0, "%s: tells of recovery", what);
    ck_assert_int_eq(plug.fences, 0);
}

/* ---- everything that the checker's own test breaks ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

START_TEST(test_breakages)
{
    /* Not looked for: it would take a sorted copy of every directory; nor copies, which nothing reads. */
    static const char *const passed_over[] = {"name_twice", "copy_without_magic", "copy_of_descriptors", NULL};
    /* Milder than a crash of ours allows: e2fsck -p gives up at the one; the other is more than the group can count. */
    static const char *const stricter[] = {"entry_type", "group_free_blocks", NULL};
    const struct breakage *breakage = &breakages[_i];

    breakage->make();
    if (strcmp(breakage->name, "has_errors") == 0)
        set16(&super()->state, EXT2DAX_STATE_ERROR);
    else
        set16(&super()->state, 0);
    memcpy(before, image, image_size);
    if (findings(image, EXT2DAX_CHECK_LEAKS_OK, NULL) == 0 && !is_one_of(breakage->name, stricter)) {
        mended(breakage->name);
    } else if (!is_one_of(breakage->name, passed_over)) {
        refused(breakage->name);
    } else {
        ck_assert_int_eq(plug_recover(image, image_size), 0);
    }
}
END_TEST

/* ---- what a crash leaves ---- */

static void dying(void)
{
    /* Nameless, links 0, blocks marked; one of them in another epoch. */
    struct ext2dax_disk_inode *big = file("big");

    set16(&big->links, 0);
    set32(&entry(EXT2DAX_ROOT_INODE, "big")->inode, 0);
    mark_block(get32(big->block[2]), false);
}
static void dying_named(void)
{
    set16(&file("big")->links, 0);
}
static void dying_and_reused(void)
{
    /* A block that the dead inode still names belongs to a live one: given back, and given out again. */
    uint32_t block = get32(file("big")->block[0]);

    set16(&file("big")->links, 0);
    set32(&entry(EXT2DAX_ROOT_INODE, "big")->inode, 0);
    mark_block(get32(file("small")->block[0]), false);
    set32(&file("small")->block[0], block);
}
static void dying_with_rubbish(void)
{
    set16(&file("big")->links, 0);
    set32(&file("big")->block[0], 0xFFFFFFFF);
    set32(&file("big")->block[EXT2DAX_IND], 1);
    set32(&entry(EXT2DAX_ROOT_INODE, "big")->inode, 0);
}
static void created_body(void)
{
    uint32_t number = free_inode();

    set16(&inode_at(number)->mode, EXT2DAX_S_IFREG | 0600);
    set32(&inode_at(number)->ctime, 1700000000);
    mark_inode(number, true);
}
static void created_entry(void)
{
    created_body();
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, free_inode());
}
static void empty_without_a_name(void)
{
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, 0);
}
static void two_names_counted_once(void)
{
    set16(&file("hard")->links, 1);
}
static void one_name_counted_often(void)
{
    set16(&file("small")->links, 5);
}
static void type_unknown(void)
{
    entry(EXT2DAX_ROOT_INODE, "dir")->type = EXT2DAX_FT_UNKNOWN;
    entry(EXT2DAX_ROOT_INODE, "fast")->type = EXT2DAX_FT_UNKNOWN;
}
static void directory_was_growing(void)
{
    add32(&file("dir")->size, 1024);
    (void)take_block();
}
static void directory_being_made(void)
{
    /* mkdir: the directory has no links yet, its parent does not count its "..". */
    uint32_t number = free_inode(), block = take_block();
    struct ext2dax_disk_inode *made_inode = inode_at(number);
    struct ext2dax_disk_dirent *at = block_at(block);

    mark_inode(number, true);
    set16(&made_inode->mode, EXT2DAX_S_IFDIR | 0755);
    set32(&made_inode->size, 1024);
    set32(&made_inode->sectors, 2);
    set32(&made_inode->block[0], block);
    set32(&at->inode, number);
    set16(&at->length, 1024);
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, number);
}
static void links_of_a_parent(void)
{
    add16(&file("dir")->links, 1);
    add16(&inode_at(EXT2DAX_ROOT_INODE)->links, -1);
}
static void everything(void)
{
    dying();
    created_entry();
    type_unknown();
    links_of_a_parent();
    two_names_counted_once();
    add32(&file("sparse")->sectors, 6);
    add16(&group(1)->free_blocks, -7);
    add16(&group(2)->used_dirs, 7);
    add32(&super()->free_inodes, -3);
    add32(&file("full")->size, 1024);
    mark_inode(number_of("hard"), true);
}

static const struct {
    void (*make)(void);
    const char *name;
    const char *told;
    uint64_t count;
} states[] = {
    {dying, "dying", "inodes without links", 1},
    {dying_named, "dying_named", "entries of dead inodes", 1},
    {dying_and_reused, "dying_and_reused", "inodes without links", 1},
    {dying_with_rubbish, "dying_with_rubbish", "inodes without links", 1},
    {created_body, "created_body", "missing times of deletion", 1},
    {created_entry, "created_entry", "entries of dead inodes", 1},
    {empty_without_a_name, "empty_without_a_name", "empty files without a name", 1},
    {two_names_counted_once, "two_names_counted_once", "wrong link counts", 1},
    {one_name_counted_often, "one_name_counted_often", "wrong link counts", 1},
    {type_unknown, "type_unknown", "entries without a file type", 2},
    {directory_was_growing, "directory_was_growing", "wrong sizes of directories", 1},
    {directory_being_made, "directory_being_made", "leaked blocks", 1},
    {links_of_a_parent, "links_of_a_parent", "wrong link counts", 2},
    {everything, "everything", "wrong sizes of directories", 1},
};
#define STATES (int)(sizeof(states) / sizeof(states[0]))

START_TEST(test_states)
{
    states[_i].make();
    crash();
    ck_assert_int_eq(findings(image, EXT2DAX_CHECK_LEAKS_OK, states[_i].name), 0);
    {
        uint64_t count;

        struct outside_image other = outside_open(image_size);
        memcpy(other.base, image, image_size);
        ck_assert_int_eq(plug_recover(other.base, image_size), 0);
        count = plug_recovered(states[_i].told);
        ck_assert_msg(count == states[_i].count, "%s: told of %lu %s", states[_i].name, (unsigned long)count,
                      states[_i].told);
        outside_close(&other);
    }
    plug_reset();
    mended(states[_i].name);
}
END_TEST

/* ---- extended attributes ---- */

/* "small" and "hard" share a block of attributes, which counts `count` inodes. */
static uint32_t share_attributes(uint32_t count)
{
    uint32_t block;

    ck_assert_int_eq(outside_run("debugfs -w -R 'ea_set /small user.key value' %s >/dev/null 2>&1", made.path), 0);
    block = get32(file("small")->file_acl);
    ck_assert_uint_ne(block, 0);
    set32(&file("hard")->file_acl, block);
    add32(&file("hard")->sectors, 2);
    set32((struct ext2dax_le32 *)block_at(block) + 1, count);
    return block;
}

static uint32_t references(uint32_t block)
{
    return get32(((const struct ext2dax_le32 *)block_at(block))[1]);
}

START_TEST(test_attributes)
{
    uint32_t block = share_attributes(2);

    /* One of the two dies: its share goes. e2fsck -p cannot, and gives up. */
    set16(&file("small")->links, 0);
    crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(plug_recovered("wrong reference counts of attribute blocks"), 1);
    ck_assert_uint_eq(references(block), 1);
    ck_assert_int_eq(findings(image, 0, "shared"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);

    /* The other too: nobody's any more. */
    set16(&file("hard")->links, 0);
    crash();
    plug_reset();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_ge(plug_recovered("leaked blocks"), 2);
    ck_assert_int_eq(findings(image, 0, "nobody's"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
}
END_TEST

START_TEST(test_attributes_damaged)
{
    uint32_t block = share_attributes(1);

    switch (_i) {
    case 0: /* fewer counted than there are: no order of ours leaves that */
        break;
    case 1:
        set32(block_at(block), 0);
        break;
    case 2:
        set32((struct ext2dax_le32 *)block_at(block) + 1, 0);
        break;
    case 3:
        set32(&file("big")->block[5], block);
        break;
    case 4:
        set32(&file("hard")->file_acl, get32(file("big")->block[2]));
        break;
    case 5:
        set32(&file("hard")->file_acl, get32(group(1)->inode_table));
        break;
    default:
        set32(&file("hard")->file_acl, 0xFFFFFFF0);
    }
    crash();
    refused("attributes");
}
END_TEST

/* ---- what a crash of ours does not leave ---- */

static void other_drivers_orphans(void)
{
    set32(&super()->last_orphan, number_of("small"));
}
static void unknown_compatible_feature(void)
{
    set32(&super()->compat, get32(super()->compat) | 0x200);
}
static void magic_inodes(void)
{
    /* An empty file that needs no name: e2fsck keeps it. */
    set32(&super()->compat, get32(super()->compat) | 0x2);
    set32(&file("empty")->flags, 0x2000);
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, 0);
}
static void translator_of_the_hurd(void)
{
    /* A block of the file's that no pointer names. */
    set32(&super()->creator_os, 1);
    set32(&file("small")->os1, take_block());
    add32(&file("small")->sectors, 2);
}
static void reserved_directory(void)
{
    set16(&inode_at(5)->mode, EXT2DAX_S_IFDIR | 0755);
    set16(&inode_at(5)->links, 1);
    set32(&inode_at(5)->block[0], take_block());
}
static void directory_with_pointers_past_its_size(void)
{
    set32(&file("dir")->block[1], take_block());
    add32(&file("dir")->sectors, 2);
}
static void directory_without_two_blocks(void)
{
    add32(&file("dir")->size, 2048);
}
static void file_with_data_and_no_name(void)
{
    set32(&entry(EXT2DAX_ROOT_INODE, "small")->inode, 0);
}
static void sparse_file_without_a_name(void)
{
    set32(&file("empty")->size, 5);
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, 0);
}
static void symlink_sectors(void)
{
    add32(&file("slow")->sectors, 2);
}
static void fast_symlink_sectors(void)
{
    add32(&file("fast")->sectors, 2);
}
static void dead_parent(void)
{
    /* A live directory inside one without links. */
    set16(&file("dir")->links, 0);
}
static void root_in_a_directory(void)
{
    struct ext2dax_disk_dirent *e = entry(EXT2DAX_ROOT_INODE, "empty");

    set32(&e->inode, EXT2DAX_ROOT_INODE);
    e->type = EXT2DAX_FT_DIR;
    add16(&inode_at(EXT2DAX_ROOT_INODE)->links, 1);
}

static const struct {
    void (*make)(void);
    const char *name;
} damages[] = {
    {other_drivers_orphans, "other_drivers_orphans"},
    {unknown_compatible_feature, "unknown_compatible_feature"},
    {magic_inodes, "magic_inodes"},
    {translator_of_the_hurd, "translator_of_the_hurd"},
    {reserved_directory, "reserved_directory"},
    {directory_with_pointers_past_its_size, "directory_with_pointers_past_its_size"},
    {directory_without_two_blocks, "directory_without_two_blocks"},
    {file_with_data_and_no_name, "file_with_data_and_no_name"},
    {sparse_file_without_a_name, "sparse_file_without_a_name"},
    {symlink_sectors, "symlink_sectors"},
    {fast_symlink_sectors, "fast_symlink_sectors"},
    {dead_parent, "dead_parent"},
    {root_in_a_directory, "root_in_a_directory"},
};

START_TEST(test_damages)
{
    struct ext2dax_mount *mount;

    damages[_i].make();
    crash();
    refused(damages[_i].name);
    /* Read-only it opens all the same. */
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(memcmp(image, before, image_size) == 0);
}
END_TEST

/* ---- on request, and when plugs fail ---- */

START_TEST(test_left_to_e2fsck)
{
    struct ext2dax_mount *mount;

    everything();
    crash();
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_NO_RECOVERY, EXT2DAX_ORDERED, &mount),
                     -EXT2DAX_EUCLEAN);
    ck_assert_str_eq(plug.error.field, "state");
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(memcmp(image, before, image_size) == 0);
    ck_assert_uint_eq(plug.kinds + plug.progresses, 0);

    /* A clean image does not mind. */
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_NO_RECOVERY, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

START_TEST(test_no_memory)
{
    struct ext2dax_mount *mount;
    long n;
    int error;

    everything();
    crash();
    for (n = 0;; n++) {
        plug.allocs_left = n;
        error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);
        if (error == 0)
            break;
        ck_assert_int_eq(error, -EXT2DAX_ENOMEM);
        ck_assert(memcmp(image, before, image_size) == 0);
        ck_assert_int_eq(plug.held, 0);
    }
    ck_assert_int_ge(n, 3);
    plug.allocs_left = -1;
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(findings(image, 0, "memory again"), 0);
}
END_TEST

/* Bounded: a bit a block and what the header says an inode takes, beside what any mount takes. */
START_TEST(test_memory)
{
    size_t most, plain;

    crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    most = plug.most;
    plug_reset();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    plain = plug.most;
    ck_assert_uint_le(most - plain, image_size / 1024 / 8 + 7 * get32(super()->inodes_count) + 64);
    ck_assert_uint_gt(most, plain);
}
END_TEST

/* What cannot be read is not read, and what was not all read is not mended. */
START_TEST(test_poison)
{
    struct ext2dax_mount *mount;
    uint32_t *owners = malloc(image_size / 1024 * sizeof(*owners));
    unsigned refusals = 0;
    int error;

    ck_assert_ptr_nonnull(owners);
    everything();
    crash();
    ck_assert_int_eq(ext2dax_check_image(image, image_size, EXT2DAX_CHECK_LEAKS_OK, NULL, NULL, owners), 0);
    for (uint32_t block = 1; block < image_size / 1024; block++) {
        if (owners[block] == EXT2DAX_OWNER_FREE && block % 64 != 0)
            continue;
        plug_reset();
        plug.poison = image + (size_t)block * 1024;
        plug.poison_size = 1024;
        error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);
        ck_assert_msg(error == 0 || error == -EXT2DAX_EIO, "block %u: %d", block, error);
        if (error == 0) {
            plug.poison = NULL;
            ck_assert_int_eq(ext2dax_unmount(mount), 0);
            memcpy(image, before, image_size);
        } else {
            ck_assert_msg(memcmp(image, before, image_size) == 0, "block %u: changed", block);
            refusals++;
        }
    }
    ck_assert_uint_gt(refusals, 100);
    free(owners);
}
END_TEST

/* A fence that fails: the mount fails, and the image recovers when memory is well again. */
START_TEST(test_failed_fence)
{
    long n;
    int error;

    everything();
    crash();
    for (n = 0;; n++) {
        struct ext2dax_mount *mount;

        memcpy(image, before, image_size);
        plug_reset();
        plug.fences_left = n;
        error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);
        plug.fences_left = -1;
        if (error == 0) {
            ck_assert_int_eq(ext2dax_unmount(mount), 0);
            break;
        }
        ck_assert_int_eq(error, -EXT2DAX_EIO);
        ck_assert_int_eq(plug.held, 0);
        ck_assert_int_eq(plug.kinds == 0, n < 2);
        ck_assert_int_eq(findings(image, EXT2DAX_CHECK_LEAKS_OK, "after a failed fence"), 0);
        ck_assert_int_eq(plug_recover(image, image_size), 0);
        ck_assert_int_eq(findings(image, 0, "after that"), 0);
    }
    ck_assert_int_eq(n, 3); /* two of recovery, one of the mark */
}
END_TEST

START_TEST(test_unordered)
{
    struct ext2dax_mount *mount;

    everything();
    crash();
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_UNORDERED, &mount), 0);
    ck_assert_uint_eq(plug.fences, 1); /* the mark's */
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(findings(image, 0, "unordered"), 0);
}
END_TEST

/* An index goes with an entry of its directory. */
START_TEST(test_index)
{
    uint32_t many;

    ck_assert_int_eq(outside_run("tune2fs -O dir_index %s >/dev/null 2>&1", made.path), 0);
    ck_assert_int_le(outside_run("e2fsck -fyD %s >/dev/null 2>&1", made.path), 1);
    many = number_of("many");
    ck_assert_uint_ne(get32(inode_at(many)->flags) & EXT2DAX_FL_INDEX, 0);
    for (uint32_t number = many; number < many + 20; number++) {
        struct ext2dax_disk_inode *inode = inode_at(number);

        if ((get16(inode->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG && get16(inode->links) == 1 &&
            get32(inode->size) == 0)
            set16(&inode->links, 0);
    }
    crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_ge(plug_recovered("entries of dead inodes"), 1);
    ck_assert_uint_eq(plug_recovered("indexes of directories"), 1);
    ck_assert_uint_eq(get32(inode_at(many)->flags) & EXT2DAX_FL_INDEX, 0);
    ck_assert_int_eq(findings(image, 0, "index"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recovery");
    TCase *tests = tcase_create("recovery");
    SRunner *runner;
    int failures;

    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs")) {
        puts("skipped: e2fsprogs is not installed, which makes and judges the images");
        return OUTSIDE_SKIPPED;
    }
    if (!tree_make()) {
        puts("no tree of files to fill images with");
        return 2;
    }
    tcase_add_checked_fixture(tests, open_image, close_image);
    tcase_add_loop_test(tests, test_breakages, 0, breakages_count);
    tcase_add_loop_test(tests, test_states, 0, STATES);
    tcase_add_test(tests, test_attributes);
    tcase_add_loop_test(tests, test_attributes_damaged, 0, 7);
    tcase_add_loop_test(tests, test_damages, 0, (int)(sizeof(damages) / sizeof(damages[0])));
    tcase_add_test(tests, test_left_to_e2fsck);
    tcase_add_test(tests, test_no_memory);
    tcase_add_test(tests, test_memory);
    tcase_add_test(tests, test_poison);
    tcase_add_test(tests, test_failed_fence);
    tcase_add_test(tests, test_unordered);
    tcase_add_test(tests, test_index);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    tree_remove();
    return failures == 0 ? 0 : 1;
}
