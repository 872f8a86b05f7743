/* SPDX-License-Identifier: MIT */
/*
 * Recovery, a single defect at a time. Damage possible after a crash is repaired with the same
 * result as by e2fsck -p. All other damage is refused, and no byte changes. The checker, which
 * shares no code with the core, decides between the two.
 */
#include <check.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "../image/broken.h"
#include "../runner.h"
#include "damage.h"
/* ---- every breakage of the checker's test ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

START_TEST(test_breakages)
{
    /*
     * Not detected by recovery. Duplicate names would need a sorted copy of every directory, and
     * nothing reads the copies of superblock and descriptors.
     */
    static const char *const passed_over[] = {"name_twice", "copy_without_magic", "copy_of_descriptors", NULL};
    /*
     * Refused by recovery, though accepted by the checker as crash states. e2fsck -p gives up at
     * `entry_type`. `group_free_blocks` is more than the group can hold.
     */
    static const char *const stricter[] = {"entry_type", "group_free_blocks", NULL};
    const struct breakage *breakage = &breakages[_i];

    breakage->make();
    if (strcmp(breakage->name, "has_errors") == 0)
        set16(&super()->state, EXT2DAX_STATE_ERROR);
    else
        set16(&super()->state, 0);
    memcpy(before, image, image_size);
    if (damage_findings(image, EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_ENDS_OK, NULL) == 0 &&
        !is_one_of(breakage->name, stricter)) {
        damage_repaired(breakage->name);
    } else if (!is_one_of(breakage->name, passed_over)) {
        damage_refused(breakage->name);
    } else {
        ck_assert_int_eq(plug_recover(image, image_size), 0);
    }
}
END_TEST

START_TEST(test_states)
{
    damage_states[_i].make();
    damage_crash();
    ck_assert_int_eq(damage_findings(image, EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_ENDS_OK, damage_states[_i].name), 0);
    {
        uint64_t count;

        struct outside_image other = outside_open(image_size);
        memcpy(other.base, image, image_size);
        ck_assert_int_eq(plug_recover(other.base, image_size), 0);
        count = plug_recovered(damage_states[_i].report);
        ck_assert_msg(count == damage_states[_i].count, "%s: reported %lu %s", damage_states[_i].name,
                      (unsigned long)count, damage_states[_i].report);
        outside_close(&other);
    }
    plug_reset();
    damage_repaired(damage_states[_i].name);
}
END_TEST

/* ---- extended attributes ---- */

/* Makes "small" and "hard" share an attribute block with a reference count of `count`. */
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

    /*
     * The first of the two files is deleted, and its reference is dropped. e2fsck -p gives up here.
     */
    set16(&file("small")->links, 0);
    damage_crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(plug_recovered("wrong xattr reference counts"), 1);
    ck_assert_uint_eq(references(block), 1);
    ck_assert_int_eq(damage_findings(image, 0, "shared"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);

    /* The second is deleted too, and the block is leaked. */
    set16(&file("hard")->links, 0);
    damage_crash();
    plug_reset();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_ge(plug_recovered("leaked blocks"), 2);
    ck_assert_int_eq(damage_findings(image, 0, "nobody's"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
}
END_TEST

START_TEST(test_attributes_damaged)
{
    uint32_t block = share_attributes(1);

    switch (_i) {
    case 0: /* the count is too low, which the library's store order never leaves */
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
    damage_crash();
    damage_refused("attributes");
}
END_TEST

/* ---- damage impossible after a crash of this library ---- */

static void other_drivers_orphans(void)
{
    set32(&super()->last_orphan, number_of("small"));
}
static void unknown_compatible_feature(void)
{
    set32(&super()->compat, get32(super()->compat) | 0x400);
}
static void magic_inodes(void)
{
    /* An empty file with no need for a name. e2fsck keeps the file. */
    set32(&super()->compat, get32(super()->compat) | 0x2);
    set32(&file("empty")->flags, 0x2000);
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, 0);
}
static void translator_of_the_hurd(void)
{
    /* A block of the file without a pointer. */
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
    add32(&file("slow")->sectors, 4);
}
static void fast_symlink_sectors(void)
{
    add32(&file("fast")->sectors, 4);
}
static void dead_parent(void)
{
    /* A live directory inside a directory without links. */
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
    damage_crash();
    damage_refused(damages[_i].name);
    /* A read-only mount succeeds nevertheless. */
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(memcmp(image, before, image_size) == 0);
}
END_TEST

/* ---- blocks past the end of file in clean images ---- */

/* Shows blocks past the end of a file in a clean image. A mount with VERIFY reports the blocks. */
START_TEST(test_ends)
{
    static const char *const names[] = {"at_the_end", "past_the_end_of_empty", "pointer_block_past_the_end",
                                        "past_the_end"};
    bool further = strcmp(names[_i], "past_the_end") == 0;
    struct ext2dax_inode *root, *inode;
    struct ext2dax_mount *mount;
    struct ext2dax_run run;
    char bytes[8];

    break_it(names[_i]);
    memcpy(before, image, image_size);
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY, 0, &mount),
                     further ? -EXT2DAX_EUCLEAN : 0);
    ck_assert_str_eq(further ? plug.error.field : plug.warning.field, "block pointer");
    if (!further)
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    plug_reset();

    /* Reads never reach the block. */
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY, 0, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_lookup(root, "small", 5, &inode), 0);
    ck_assert_int_eq(ext2dax_read(inode, 0, bytes, 6), 6);
    ck_assert_int_eq(ext2dax_map(inode, 0, 9, &run), 0);
    ck_assert_uint_eq(run.length, 1);
    ck_assert_int_eq(ext2dax_map(inode, 1, 9, &run), 0);
    ck_assert(run.physical == 0 && run.length == 9);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_ptr_null(plug.error.structure);
    ck_assert(memcmp(image, before, image_size) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recovery");
    TCase *tests = add_case(suite, "recovery", 60);
    int status = crashed_begin();

    if (status != 0)
        return status;
    tcase_add_checked_fixture(tests, damage_open, damage_close);
    tcase_add_loop_test(tests, test_breakages, 0, breakages_count);
    tcase_add_loop_test(tests, test_states, 0, damage_state_count);
    tcase_add_test(tests, test_attributes);
    tcase_add_loop_test(tests, test_attributes_damaged, 0, 7);
    tcase_add_loop_test(tests, test_damages, 0, (int)(sizeof(damages) / sizeof(damages[0])));
    tcase_add_loop_test(tests, test_ends, 0, 4);
    status = run_suite(suite);
    tree_remove();
    return status;
}
