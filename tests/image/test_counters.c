/* SPDX-License-Identifier: MIT */
/*
 * The superblock's counters and state while mounted: whole requests or none, the reserved part kept from those who are not
 * entitled, no wrapping whatever the image says, and the features and flags that are stored on the way.
 */
#include <string.h>

#include "fixture.h"
#include "lock.h"
#include "persist.h"
#include "super.h"

static struct ext2dax_mount *mounted(const struct image *image)
{
    struct ext2dax_mount *mount;

    ck_assert_int_eq(try_mount(image, 0, &mount), 0);
    return mount;
}

static void close_all(struct image *image, struct ext2dax_mount *mount)
{
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    unload(image);
}

static uint32_t free_blocks(const struct image *image)
{
    return e2d_get32(super_of(image)->free_blocks);
}

START_TEST(blocks_are_taken_whole)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_disk_super *super = super_of(&image);

    super->free_blocks = e2d_le32(100);
    super->reserved_blocks = e2d_le32(0);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 101), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(e2d_super_take_blocks(mount, UINT32_MAX), -EXT2DAX_ENOSPC);
    ck_assert_uint_eq(free_blocks(&image), 100);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 60), 0);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 40), 0);
    ck_assert_uint_eq(free_blocks(&image), 0);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 1), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(plug.asked, 0);
    e2d_super_give_blocks(mount, 7);
    ck_assert_uint_eq(free_blocks(&image), 7);
    close_all(&image, mount);
}
END_TEST

START_TEST(reserved_blocks_are_for_the_entitled)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_disk_super *super = super_of(&image);
    struct ext2dax_statfs figures;

    super->free_blocks = e2d_le32(100);
    super->reserved_blocks = e2d_le32(30);
    ext2dax_statfs(mount, &figures);
    ck_assert_uint_eq(figures.available_blocks, 70);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 71), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(plug.asked, 1);
    ck_assert_uint_eq(free_blocks(&image), 100);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 70), 0);
    ck_assert_int_eq(plug.asked, 1);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 1), -EXT2DAX_ENOSPC);
    plug.entitled = true;
    ck_assert_int_eq(e2d_super_take_blocks(mount, 31), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 30), 0);
    ck_assert_uint_eq(free_blocks(&image), 0);
    ext2dax_statfs(mount, &figures);
    ck_assert_uint_eq(figures.free_blocks, 0);
    ck_assert_uint_eq(figures.available_blocks, 0);
    mount->host_ops.may_use_reserved = NULL;
    e2d_super_give_blocks(mount, 10);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 1), -EXT2DAX_ENOSPC);
    close_all(&image, mount);
}
END_TEST

START_TEST(counts_do_not_wrap)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_disk_super *super = super_of(&image);

    super->free_blocks = e2d_le32(mount->blocks - 1);
    e2d_super_give_blocks(mount, 5);
    ck_assert_uint_eq(free_blocks(&image), mount->blocks);
    super->free_blocks = e2d_le32(UINT32_MAX);
    e2d_super_give_blocks(mount, 1);
    ck_assert_uint_eq(free_blocks(&image), mount->blocks);
    e2d_super_give_blocks(mount, UINT32_MAX);
    ck_assert_uint_eq(free_blocks(&image), mount->blocks);

    super->free_inodes = e2d_le32(1);
    ck_assert_int_eq(e2d_super_take_inode(mount), 0);
    ck_assert_int_eq(e2d_super_take_inode(mount), -EXT2DAX_ENOSPC);
    ck_assert_uint_eq(e2d_get32(super->free_inodes), 0);
    e2d_super_give_inode(mount);
    ck_assert_uint_eq(e2d_get32(super->free_inodes), 1);
    super->free_inodes = e2d_le32(mount->inodes);
    e2d_super_give_inode(mount);
    ck_assert_uint_eq(e2d_get32(super->free_inodes), mount->inodes);
    close_all(&image, mount);
}
END_TEST

START_TEST(counters_are_written_back)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    long before = plug.persists;

    plug.state_at = image.base + 1024 + offsetof(struct ext2dax_disk_super, free_blocks);
    plug.state_pending = false;
    ck_assert_int_eq(e2d_super_take_blocks(mount, 1), 0);
    ck_assert(plug.state_pending);
    plug.state_pending = false;
    e2d_super_give_blocks(mount, 1);
    ck_assert(plug.state_pending);
    plug.state_at = image.base + 1024 + offsetof(struct ext2dax_disk_super, free_inodes);
    plug.state_pending = false;
    ck_assert_int_eq(e2d_super_take_inode(mount), 0);
    ck_assert(plug.state_pending);
    plug.state_pending = false;
    e2d_super_give_inode(mount);
    ck_assert(plug.state_pending);
    ck_assert_int_eq(plug.persists, before + 4);
    close_all(&image, mount);
}
END_TEST

START_TEST(errors_are_recorded_where_the_image_may_change)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_disk_super *super = super_of(&image);

    ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    e2d_super_error(mount);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_VALID);
    ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
    ck_assert_int_eq(ext2dax_freeze(mount), 0);
    e2d_super_error(mount);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_VALID);
    ck_assert_int_eq(ext2dax_thaw(mount), 0);
    ck_assert_uint_eq(e2d_get16(super->state), 0);
    e2d_super_error(mount);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_ERROR);

    /* The record stays, and keeps the image from being opened for writing. */
    ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_ERROR | EXT2DAX_STATE_VALID);
    refused(&image, 0, EXT2DAX_EUCLEAN, "state");
    unload(&image);
}
END_TEST

START_TEST(nothing_is_recorded_after_a_failed_write_back)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);

    plug.persist_fails = true;
    e2d_super_give_blocks(mount, 0);
    ck_assert_int_eq(e2d_failed(mount), -EXT2DAX_EIO);
    e2d_super_error(mount);
    ck_assert_uint_eq(e2d_get16(super_of(&image)->state), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EIO);
    ck_assert_uint_eq(e2d_get16(super_of(&image)->state), 0);
    everything_given_back();
    unload(&image);
}
END_TEST

START_TEST(large_file_brings_revision_1)
{
    static const char *const names[] = {"no-features", "revision-0", "revision-0-4K"};
    struct image image = load(kind_named(names[_i]));
    struct ext2dax_mount *mount;
    struct ext2dax_disk_super *super = super_of(&image);
    long fences;

    super->ro_compat = e2d_le32(0);
    mount = mounted(&image);
    fences = plug.fences;
    plug.state_at = image.base + 1024 + offsetof(struct ext2dax_disk_super, ro_compat);
    plug.state_pending = false;
    e2d_super_large_file(mount);
    ck_assert(plug.state_pending);
    /* The sizes | the revision |; the feature belongs to the caller's fence. */
    ck_assert_int_eq(plug.fences - fences, _i == 0 ? 0 : 2);
    ck_assert_uint_eq(e2d_get32(super->ro_compat), EXT2DAX_RO_COMPAT_LARGE_FILE);
    ck_assert_uint_eq(e2d_get32(super->revision), 1);
    ck_assert_uint_eq(e2d_get16(super->inode_size), _i == 0 ? 256 : 128);
    ck_assert_uint_eq(e2d_get32(super->first_inode), 11);

    fences = plug.persists;
    e2d_super_large_file(mount);
    ck_assert_int_eq(plug.persists, fences);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    accepted(&image, 0);
    unload(&image);
}
END_TEST

START_TEST(counters_since_mount)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_counters counters;
    uintptr_t first = 1;

    /* Each counter arrives in its own place. */
    for (size_t i = 0; i < sizeof(counters) / sizeof(uintptr_t); i++)
        memcpy((char *)&mount->counters + i * sizeof(first), &(uintptr_t){first + i}, sizeof(first));
    ext2dax_count(mount, &counters);
    ck_assert_mem_eq(&counters, &mount->counters, sizeof(counters));
    close_all(&image, mount);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counters");
    TCase *tcase = tcase_create("counters");

    tcase_add_test(tcase, blocks_are_taken_whole);
    tcase_add_test(tcase, reserved_blocks_are_for_the_entitled);
    tcase_add_test(tcase, counts_do_not_wrap);
    tcase_add_test(tcase, counters_are_written_back);
    tcase_add_test(tcase, errors_are_recorded_where_the_image_may_change);
    tcase_add_test(tcase, nothing_is_recorded_after_a_failed_write_back);
    tcase_add_loop_test(tcase, large_file_brings_revision_1, 0, 3);
    tcase_add_test(tcase, counters_since_mount);
    suite_add_tcase(suite, tcase);
    return run(suite, false);
}
