/* SPDX-License-Identifier: MIT */
#include "damage.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../image/broken.h"

struct outside_image made;
uint8_t *before;

void damage_open(void)
{
    plug_reset();
    made = tree_image();
    before = malloc(image_size);
    ck_assert_ptr_nonnull(before);
}

void damage_close(void)
{
    ck_assert_int_eq(plug.held, 0);
    free(before);
    outside_close(&made);
}

void damage_crash(void)
{
    set16(&super()->state, 0);
    memcpy(before, image, image_size);
}

int damage_findings(const uint8_t *at, unsigned flags, const char *what)
{
    return ext2dax_check_image(at, image_size, flags, what ? say_finding : NULL, (void *)(uintptr_t)what, NULL);
}

/*
 * Checks the repair of the image by a mount. e2fsck -p must have the same result, except for blocks
 * past the end of a file, which e2fsck leaves.
 */
void damage_repaired(const char *what)
{
    bool ends = damage_findings(image, EXT2DAX_CHECK_LEAKS_OK, NULL) != 0;
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
    ck_assert_int_eq(damage_findings(image, 0, what), 0);
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
void damage_refused(const char *what)
{
    struct ext2dax_mount *mount;
    int error = plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount);

    ck_assert_msg(error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_EINVAL, "%s: returned %d", what, error);
    ck_assert_msg(plug.error.structure && plug.error.error == error, "%s: not reported", what);
    ck_assert_msg(memcmp(image, before, image_size) == 0, "%s: changed", what);
    ck_assert_msg(plug.kinds == 0, "%s: reports a recovery", what);
    ck_assert_int_eq(plug.fences, 0);
}

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
void damage_everything(void)
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

const struct damage_state damage_states[] = {
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
    {damage_everything, "everything", "wrong sizes of directories", 1},
};
const int damage_state_count = (int)(sizeof(damage_states) / sizeof(damage_states[0]));
