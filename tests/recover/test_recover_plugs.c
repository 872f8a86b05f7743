/* SPDX-License-Identifier: MIT */
/*
 * Recovery refused by the options, recovery with failing plugs, and recovery of images with holes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "../image/broken.h"
#include "../runner.h"
#include "damage.h"
/* ---- refusal on request, and failing plugs ---- */

START_TEST(test_left_to_e2fsck)
{
    struct ext2dax_mount *mount;

    damage_everything();
    damage_crash();
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

    damage_everything();
    damage_crash();
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
    ck_assert_int_eq(damage_findings(image, 0, "memory again"), 0);
}
END_TEST

/*
 * Shows the bound of recovery's memory. Recovery adds 1 bit per block and the header's bytes per
 * inode to the memory of an ordinary mount.
 */
START_TEST(test_memory)
{
    size_t most, plain;

    damage_crash();
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
    damage_everything();
    damage_crash();
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

    damage_everything();
    damage_crash();
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
        ck_assert_int_eq(damage_findings(image, EXT2DAX_CHECK_LEAKS_OK, "after a failed fence"), 0);
        ck_assert_int_eq(plug_recover(image, image_size), 0);
        ck_assert_int_eq(damage_findings(image, 0, "after that"), 0);
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

    damage_everything();
    damage_crash();
    for (n = 0; (error = interrupted_mount(0, n, &mount)) != 0; n++) {
        ck_assert_int_eq(error, -EXT2DAX_EINTR);
        ck_assert_ptr_null(mount);
        ck_assert_int_eq(plug.held, 0);
        ck_assert_uint_eq(plug.kinds, 0);
        ck_assert_uint_eq(get16(super()->state) & EXT2DAX_STATE_VALID, 0);
        changed += memcmp(image, before, image_size) != 0;
        ck_assert_int_eq(plug_recover(image, image_size), 0);
        ck_assert_int_eq(damage_findings(image, 0, "after that"), 0);
        memcpy(image, before, image_size);
    }
    ck_assert_uint_eq(plug.scans, 1);
#ifdef __OPTIMIZE_SIZE__
    ck_assert_uint_eq(plug.fetched, 0); /* compiled for size, nothing is fetched ahead */
#else
    ck_assert_uint_gt(plug.fetched, 0);
#endif
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(damage_findings(image, 0, "in the end"), 0);
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
    damage_crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(plug_recovered("inodes without links"), 3);
    ck_assert_uint_ge(plug.holes, table);
    ck_assert_uint_lt(plug.checked, (uint64_t)(groups - 1) * table);
    memcpy(image, before, image_size);
    plug_reset();
    damage_repaired("holes");
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
    damage_crash();
    damage_refused("an inode with links that is marked free");

    ck_assert_int_eq(ext2dax_mutant_activate("HOLE_ENDS_TABLE"), 0);
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

START_TEST(test_unordered)
{
    struct ext2dax_mount *mount;

    damage_everything();
    damage_crash();
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_UNORDERED, &mount), 0);
    ck_assert_uint_eq(plug.fences, 1); /* the fence of the mark */
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(damage_findings(image, 0, "unordered"), 0);
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
    damage_crash();
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_ge(plug_recovered("dirents of dead inodes"), 1);
    ck_assert_uint_eq(plug_recovered("indexes of directories"), 1);
    ck_assert_uint_eq(get32(inode_at(many)->flags) & EXT2DAX_FL_INDEX, 0);
    ck_assert_int_eq(damage_findings(image, 0, "index"), 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recovery with failing plugs");
    TCase *tests = add_case(suite, "recovery", 60);
    int status = crashed_begin();

    if (status != 0)
        return status;
    tcase_add_checked_fixture(tests, damage_open, damage_close);
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
