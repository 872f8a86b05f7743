/* SPDX-License-Identifier: MIT */
/*
 * The superblock's counters and state while mounted. A request is granted in full or not at all,
 * reserved blocks are kept from callers without the right to use the blocks, no counter wraps for
 * any content of the image, and features and flags are stored as needed.
 */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"

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
    ext2dax_statfs(mount, &figures, sizeof(figures));
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
    ext2dax_statfs(mount, &figures, sizeof(figures));
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
    e2d_super_error(mount, "inode", 11, "block pointer", 5);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_VALID);
    ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
    ck_assert_int_eq(ext2dax_freeze(mount), 0);
    e2d_super_error(mount, "inode", 11, "block pointer", 5);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_VALID);
    ck_assert_int_eq(ext2dax_thaw(mount), 0);
    ck_assert_uint_eq(e2d_get16(super->state), 0);
    e2d_super_error(mount, "inode", 11, "block pointer", 5);
    ck_assert_uint_eq(e2d_get16(super->state), EXT2DAX_STATE_ERROR);

    /* The error bit persists, and prevents another read-write mount of the image. */
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
    e2d_super_error(mount, "inode", 11, "block pointer", 5);
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
    /*
     * A revision update fences the inode sizes, then the revision. The caller's fence covers the
     * feature flag.
     */
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

/*
 * Superblock counters different from the sums over the groups, by small amounts and beyond the
 * totals.
 */
static const struct {
    uint32_t blocks, inodes;
} drifts[] = {{77, 0}, {UINT32_MAX, UINT32_MAX}, {0, 1}, {100000, 0}};

static bool reported(const char *field, uint32_t value)
{
    for (unsigned i = 0; i < plug.reports && i < REPORTS; i++) {
        if (strcmp(plug.report[i].field, field) == 0 && plug.report[i].value == value &&
            plug.report[i].level == EXT2DAX_LEVEL_WARNING)
            return true;
    }
    return false;
}

/* Both numbers are in the log. */
static void both_told(uint32_t was_blocks, uint32_t blocks, uint32_t was_inodes, uint32_t inodes)
{
    ck_assert(reported("free block count", was_blocks) && reported("sum of free block counts", blocks));
    ck_assert(reported("free inode count", was_inodes) && reported("sum of free inode counts", inodes));
}

/*
 * Shows the groups' counters as authoritative. A read-only mount warns and reports the sums. A
 * read-write mount or remount corrects the superblock.
 */
START_TEST(drifted_sums_are_made_anew)
{
    static const char *const names[] = {"4K", "odd-groups", "every-super"};
    struct image image = load(kind_named(names[_i % 3]));
    struct ext2dax_disk_super *super = super_of(&image);
    uint32_t blocks = e2d_get32(super->free_blocks), inodes = e2d_get32(super->free_inodes);
    struct ext2dax_statfs figures;
    struct ext2dax_mount *mount;
    unsigned char *before;

    super->free_blocks = e2d_le32(drifts[_i / 3].blocks);
    super->free_inodes = e2d_le32(drifts[_i / 3].inodes);
    before = copy_of(&image);
    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    both_told(drifts[_i / 3].blocks, blocks, drifts[_i / 3].inodes, inodes);
    ext2dax_statfs(mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.free_blocks, blocks);
    ck_assert_uint_eq(figures.free_inodes, inodes);
    ck_assert_uint_eq(figures.available_blocks, blocks - e2d_get32(super->reserved_blocks));
    ck_assert_int_eq(memcmp(image.base, before, image.size), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
    ck_assert_uint_eq(free_blocks(&image), blocks);
    ck_assert_int_eq(e2d_super_take_blocks(mount, 3), 0);
    ext2dax_statfs(mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.free_blocks, blocks - 3);
    e2d_super_give_blocks(mount, 3);
    ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(unchanged(&image));

    super->free_blocks = e2d_le32(drifts[_i / 3].blocks);
    super->free_inodes = e2d_le32(drifts[_i / 3].inodes);
    plug.state_at = NULL;
    ck_assert_int_eq(try_mount(&image, 0, &mount), 0);
    both_told(drifts[_i / 3].blocks, blocks, drifts[_i / 3].inodes, inodes);
    ck_assert_uint_eq(free_blocks(&image), blocks);
    ck_assert_uint_eq(e2d_get32(super->free_inodes), inodes);
    ck_assert_int_eq(ext2dax_sync(mount), 0);
    ck_assert_int_eq(ext2dax_freeze(mount), 0);
    ck_assert_int_eq(ext2dax_thaw(mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(unchanged(&image));
    accepted(&image, 0);
    ck_assert_uint_eq(plug.warnings, 0);
    free(before);
    unload(&image);
}
END_TEST

START_TEST(counters_since_mount)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount = mounted(&image);
    struct ext2dax_counters counters;
    uintptr_t *words = (uintptr_t *)mount->counters, *sums = (uintptr_t *)&counters;
    size_t count = sizeof(counters) / sizeof(*sums);

    /* Each counter is the sum over the slots, in its own field. */
    for (size_t i = 0; i < E2D_COUNTER_SLOTS * count; i++)
        words[i] = i % count + (i < count ? 1 : 0);
    ext2dax_count(mount, &counters, sizeof(counters));
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(sums[i], E2D_COUNTER_SLOTS * i + 1);
    close_all(&image, mount);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counters");
    TCase *tcase = add_case(suite, "counters", USUAL_LIMIT);

    tcase_add_test(tcase, blocks_are_taken_whole);
    tcase_add_test(tcase, reserved_blocks_are_for_the_entitled);
    tcase_add_test(tcase, counts_do_not_wrap);
    tcase_add_test(tcase, counters_are_written_back);
    tcase_add_test(tcase, errors_are_recorded_where_the_image_may_change);
    tcase_add_test(tcase, nothing_is_recorded_after_a_failed_write_back);
    tcase_add_loop_test(tcase, large_file_brings_revision_1, 0, 3);
    tcase_add_loop_test(tcase, drifted_sums_are_made_anew, 0, 3 * (int)(sizeof(drifts) / sizeof(drifts[0])));
    tcase_add_test(tcase, counters_since_mount);
    return run_on_images(suite, false);
}
