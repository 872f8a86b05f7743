/* SPDX-License-Identifier: MIT */
/*
 * Recovery, a single defect at a time. Damage possible after a crash is repaired with the same
 * result as by e2fsck -p. All other damage is refused, and no byte changes. The checker, which
 * shares no code with the core, decides between the two.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "../image/broken.h"
#include "../image/outside.h"
#include "../runner.h"
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

/*
 * Checks the repair of the image by a mount. e2fsck -p must have the same result, except for blocks
 * past the end of a file, which e2fsck leaves.
 */
static void repaired(const char *what)
{
    bool ends = findings(image, EXT2DAX_CHECK_LEAKS_OK, NULL) != 0;
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
    ck_assert_msg(plug.kinds != 0, "%s: nothing reported", what);
    ck_assert_int_eq(findings(image, 0, what), 0);
    ck_assert_msg(outside_e2fsck(&made, true) == 0, "%s: e2fsck -fn", what);
    status = outside_run("e2fsck -p %s >/dev/null 2>&1", other.path);
    ck_assert_msg(status == 0 || status == 1, "%s: e2fsck -p exits with %d", what, status);
    difference = differs(image, other.base, image_size);
    ck_assert_msg(!difference || ends, "%s: %s differs from what e2fsck -p makes of it", what, difference);
    outside_close(&other);
    ck_assert_msg(!plug.backwards && plug.progresses != 0 && plug.steps == plug.all, "%s: progress", what);

    /* A second recovery finds nothing to do. */
    set16(&super()->state, 0);
    plug.kinds = plug.fences = 0;
    plug.steps = plug.all = 0;
    memcpy(before, image, image_size);
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_msg(plug.kinds == 1 && plug.recovered[0].value == 0, "%s: repaired twice", what);
    set16(&super()->state, 0);
    ck_assert_msg(memcmp(image, before, image_size) == 0, "%s: changed though there was nothing to repair", what);
}

/* Checks a mount for refusal with a report and without any change. */
static void refused(const char *what)
{
    struct ext2dax_mount *mount;
    int error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);

    ck_assert_msg(error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_EINVAL, "%s: returned %d", what, error);
    ck_assert_msg(plug.error.structure && plug.error.error == error, "%s: not reported", what);
    ck_assert_msg(memcmp(image, before, image_size) == 0, "%s: changed", what);
    ck_assert_msg(plug.kinds == 0, "%s: reports a recovery", what);
    ck_assert_int_eq(plug.fences, 0);
}

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
    if (findings(image, EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_ENDS_OK, NULL) == 0 &&
        !is_one_of(breakage->name, stricter)) {
        repaired(breakage->name);
    } else if (!is_one_of(breakage->name, passed_over)) {
        refused(breakage->name);
    } else {
        ck_assert_int_eq(plug_recover(image, image_size), 0);
    }
}
END_TEST

/* ---- damage possible after a crash ---- */

static void dying(void)
{
    /* No name, 0 links, blocks still marked used. A single block was freed in another epoch. */
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
    /*
     * A block still named by the dead inode belongs to a live inode, because the block was freed
     * and allocated again.
     */
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
    /*
     * An interrupted mkdir. The directory has no links yet, and its parent does not count the "..".
     */
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
static void block_at_the_end(void)
{
    break_it("at_the_end");
}
/* Writes a block reached through pointer blocks of its own, then cuts the size to exclude it. */
static void end_in_a_pointer_block(uint64_t logical)
{
    struct ext2dax_inode *root, *inode;
    struct ext2dax_mount *mount;

    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_lookup(root, "empty", 5, &inode), 0);
    ck_assert_int_eq(ext2dax_write(inode, logical * 1024, "x", 1), 1);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    set32(&file("empty")->size, (uint32_t)logical * 1024);
    plug_reset();
}
static void end_behind_a_hole(void)
{
    end_in_a_pointer_block(13);
}
static void end_in_the_second_tree(void)
{
    end_in_a_pointer_block(268);
}
static void pointers_for_nothing(void)
{
    break_it("pointer_block_past_the_end");
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
    {dying_named, "dying_named", "dirents of dead inodes", 1},
    {dying_and_reused, "dying_and_reused", "inodes without links", 1},
    {dying_with_rubbish, "dying_with_rubbish", "inodes without links", 1},
    {created_body, "created_body", "missing times of deletion", 1},
    {created_entry, "created_entry", "dirents of dead inodes", 1},
    {empty_without_a_name, "empty_without_a_name", "empty files without a name", 1},
    {two_names_counted_once, "two_names_counted_once", "wrong link counts", 1},
    {one_name_counted_often, "one_name_counted_often", "wrong link counts", 1},
    {type_unknown, "type_unknown", "dirents without a file type", 2},
    {directory_was_growing, "directory_was_growing", "wrong sizes of directories", 1},
    {directory_being_made, "directory_being_made", "leaked blocks", 1},
    {links_of_a_parent, "links_of_a_parent", "wrong link counts", 2},
    {block_at_the_end, "block_at_the_end", "files with blocks past their end", 1},
    {end_behind_a_hole, "end_behind_a_hole", "leaked blocks", 2},
    {end_in_the_second_tree, "end_in_the_second_tree", "leaked blocks", 3},
    {pointers_for_nothing, "pointers_for_nothing", "files with blocks past their end", 1},
    {everything, "everything", "wrong sizes of directories", 1},
};
#define STATES (int)(sizeof(states) / sizeof(states[0]))

START_TEST(test_states)
{
    states[_i].make();
    crash();
    ck_assert_int_eq(findings(image, EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_ENDS_OK, states[_i].name), 0);
    {
        uint64_t count;

        struct outside_image other = outside_open(image_size);
        memcpy(other.base, image, image_size);
        ck_assert_int_eq(plug_recover(other.base, image_size), 0);
        count = plug_recovered(states[_i].told);
        ck_assert_msg(count == states[_i].count, "%s: reported %lu %s", states[_i].name, (unsigned long)count,
                      states[_i].told);
        outside_close(&other);
    }
    plug_reset();
    repaired(states[_i].name);
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
    crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(plug_recovered("wrong reference counts of xattr blocks"), 1);
    ck_assert_uint_eq(references(block), 1);
    ck_assert_int_eq(findings(image, 0, "shared"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);

    /* The second is deleted too, and the block is leaked. */
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
    crash();
    refused("attributes");
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
    crash();
    refused(damages[_i].name);
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

/* ---- refusal on request, and failing plugs ---- */

START_TEST(test_left_to_e2fsck)
{
    struct ext2dax_mount *mount;

    everything();
    crash();
    ck_assert_int_eq(plug_mount(image, image_size, WITHOUT_RECOVERY, EXT2DAX_ORDERED, &mount), -EXT2DAX_EUCLEAN);
    ck_assert_str_eq(plug.error.field, "state");
    ck_assert_int_eq(plug_mount(image, image_size, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(memcmp(image, before, image_size) == 0);
    ck_assert_uint_eq(plug.kinds + plug.progresses, 0);

    /* A clean image mounts without recovery. */
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_int_eq(plug_mount(image, image_size, WITHOUT_RECOVERY, EXT2DAX_ORDERED, &mount), 0);
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

/*
 * Shows the bound of recovery's memory. Recovery adds 1 bit per block and the header's bytes per
 * inode to the memory of an ordinary mount.
 */
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

/* Shows unreadable blocks never read, and an image not fully read left unchanged. */
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

/* Shows failing fences. The mount fails, and the image is recovered once the memory works again. */
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
    ck_assert_int_eq(n, 3); /* two of recovery, and the fence of the mark */
}
END_TEST

/* Mounts with interruption at the n-th check of the host. */
static int interrupted_mount(unsigned flags, long n, struct ext2dax_mount **mount)
{
    int error;

    plug_reset();
    plug.asks_left = n;
    error = plug_mount(image, image_size, flags, EXT2DAX_ORDERED, mount);
    plug.asks_left = -1;
    ck_assert(!plug.scanning);
    return error;
}

/*
 * Shows interruption at every check of the host. Nothing stays allocated, the image still needs
 * recovery, and the next mount recovers the image.
 */
START_TEST(test_interrupted)
{
    struct ext2dax_mount *mount;
    unsigned changed = 0;
    long n;
    int error;

    everything();
    crash();
    for (n = 0; (error = interrupted_mount(0, n, &mount)) != 0; n++) {
        ck_assert_int_eq(error, -EXT2DAX_EINTR);
        ck_assert_ptr_null(mount);
        ck_assert_int_eq(plug.held, 0);
        ck_assert_uint_eq(plug.kinds, 0);
        ck_assert_uint_eq(get16(super()->state) & EXT2DAX_STATE_VALID, 0);
        changed += memcmp(image, before, image_size) != 0;
        ck_assert_int_eq(plug_recover(image, image_size), 0);
        ck_assert_int_eq(findings(image, 0, "after that"), 0);
        memcpy(image, before, image_size);
    }
    ck_assert_uint_eq(plug.scans, 1);
    ck_assert_uint_gt(plug.fetched, 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(findings(image, 0, "in the end"), 0);
    ck_assert_int_ge(n, 5); /* once per group in each pass */
    ck_assert_uint_gt(changed, 0);

    /* A mount with VERIFY is interruptible too, with nothing to recover. */
    for (n = 0; (error = interrupted_mount(EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY, n, &mount)) != 0; n++) {
        ck_assert_int_eq(error, -EXT2DAX_EINTR);
        ck_assert_int_eq(plug.held, 0);
    }
    ck_assert_int_ge(n, 2);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);

    memcpy(image, before, image_size);
    ck_assert_int_eq(ext2dax_mutant_activate("INTERRUPTION_IGNORED"), 0);
    error = interrupted_mount(0, 0, &mount);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    ck_assert_int_eq(error, 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

/* Returns the last inode of the image, after many inodes never used. */
static uint32_t last_inode(void)
{
    return get32(super()->inodes_count);
}

/*
 * Shows an inode table in a hole of the image. The table is not read, and errors in its bitmap are
 * still repaired.
 */
START_TEST(test_holes)
{
    uint32_t inodes = get32(super()->inodes_per_group), groups = last_inode() / inodes, number = last_inode();
    uint32_t table = inodes * 128;

    ck_assert_uint_ge(groups, 4);
    for (uint32_t i = 0; i < 3; i++)
        mark_inode(number - i * 5, true);
    crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(plug_recovered("inodes without links"), 3);
    ck_assert_uint_ge(plug.holes, table);
    ck_assert_uint_lt(plug.checked, (uint64_t)(groups - 1) * table);
    memcpy(image, before, image_size);
    plug_reset();
    repaired("holes");
}
END_TEST

/* Shows an inode table of data, a hole and data. The data after the hole is scanned. */
START_TEST(test_behind_a_hole)
{
    struct ext2dax_disk_inode *inode = inode_at(last_inode());
    struct ext2dax_mount *mount;

    if (_i == 1) /* the table starts with data */
        set32(&inode_at(last_inode() - get32(super()->inodes_per_group) + 1)->dtime, 1600000000);
    set16(&inode->mode, EXT2DAX_S_IFREG | 0644);
    set16(&inode->links, 1);
    crash();
    refused("an inode with links that is marked free");

    ck_assert_int_eq(ext2dax_mutant_activate("HOLE_ENDS_TABLE"), 0);
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

START_TEST(test_unordered)
{
    struct ext2dax_mount *mount;

    everything();
    crash();
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_UNORDERED, &mount), 0);
    ck_assert_uint_eq(plug.fences, 1); /* the fence of the mark */
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(findings(image, 0, "unordered"), 0);
}
END_TEST

/* Shows the index of a directory dropped with a removed dirent. */
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
    ck_assert_uint_ge(plug_recovered("dirents of dead inodes"), 1);
    ck_assert_uint_eq(plug_recovered("indexes of directories"), 1);
    ck_assert_uint_eq(get32(inode_at(many)->flags) & EXT2DAX_FL_INDEX, 0);
    ck_assert_int_eq(findings(image, 0, "index"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recovery");
    TCase *tests = add_case(suite, "recovery", 60);
    int status;

    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs"))
        return skip("e2fsprogs is not installed, which makes and checks the images");
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
    tcase_add_loop_test(tests, test_ends, 0, 4);
    tcase_add_test(tests, test_left_to_e2fsck);
    tcase_add_test(tests, test_no_memory);
    tcase_add_test(tests, test_memory);
    tcase_add_test(tests, test_poison);
    tcase_add_test(tests, test_failed_fence);
    tcase_add_test(tests, test_interrupted);
    tcase_add_test(tests, test_holes);
    tcase_add_loop_test(tests, test_behind_a_hole, 0, 2);
    tcase_add_test(tests, test_unordered);
    tcase_add_test(tests, test_index);
    status = run_suite(suite);
    tree_remove();
    return status;
}
