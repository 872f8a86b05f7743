/* SPDX-License-Identifier: MIT */
/*
 * Mount. Images of every kind made by mke2fs are mounted and compared with dumpe2fs, block by
 * block. A read-write mount changes a single bit. A failure of any plug at any call releases
 * everything and changes nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"

/* ---- against dumpe2fs ---- */

static uint64_t number_behind(const char *text, const char *label)
{
    const char *at = strstr(text, label);

    ck_assert_msg(at, "dumpe2fs does not say %s", label);
    return strtoull(at + strlen(label), NULL, 10);
}

static void mark_range(const char *line, const char *label, uint8_t *metadata, unsigned blocks)
{
    const char *at = strstr(line, label);
    char *end;

    if (!at)
        return;
    unsigned long first = strtoul(at + strlen(label), &end, 10), last = first;

    if (*end == '-')
        last = strtoul(end + 1, NULL, 10);
    EXPECT(first <= last && last < blocks, "dumpe2fs says %s", line);
    memset(metadata + first, 1, last - first + 1);
}

START_TEST(described_as_dumpe2fs_does)
{
    const struct kind *kind = &kinds[_i];
    struct image image = load(kind);
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;
    char *text = output_of("dumpe2fs", kind);
    uint8_t *metadata = calloc(kind->blocks + 1, 1);
    uint32_t blocks; /* mke2fs may omit a short last group */
    uint64_t reserved = number_behind(text, "Reserved block count:");

    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    ck_assert_uint_eq(plug.errors, 0);
    blocks = mount->blocks;
    ext2dax_statfs(mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.block_size, number_behind(text, "Block size:"));
    ck_assert_uint_eq(figures.blocks, number_behind(text, "Block count:"));
    ck_assert_uint_eq(figures.free_blocks, number_behind(text, "Free blocks:"));
    ck_assert_uint_eq(figures.available_blocks, figures.free_blocks - reserved);
    ck_assert_uint_eq(figures.inodes, number_behind(text, "Inode count:"));
    ck_assert_uint_eq(figures.free_inodes, number_behind(text, "Free inodes:"));
    ck_assert(figures.read_only);
    ck_assert(figures.ordered);

    /* Every block is metadata for dumpe2fs exactly if it is metadata for the core. */
    EXPECT(metadata, "no memory");
    for (char *line = strtok(strstr(text, "\nGroup 0:"), "\n"); line; line = strtok(NULL, "\n")) {
        static const char *const labels[] = {"superblock at ",          "Group descriptors at ", "Group descriptor at ",
                                             "Reserved GDT blocks at ", "Block bitmap at ",      "Inode bitmap at ",
                                             "Inode table at "};

        for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
            mark_range(line, labels[i], metadata, blocks);
    }
    for (uint32_t block = 1; block < blocks; block++)
        EXPECT(e2d_zone_offender(mount, block, 1) == (metadata[block] ? block : 0), "block %u of %s: zone %d", block,
               kind->name, metadata[block]);
    /* Runs report their first metadata block, across groups and past the end of the image. */
    metadata[blocks] = 1;
    for (uint32_t block = 1, next = 1; block < blocks; block += 1 + block % 7) {
        for (next = next < block ? block : next; !metadata[next]; next++)
            continue;
        for (uint32_t count = 1; count < 3000; count += count < 4 ? 1 : count / 2)
            EXPECT(e2d_zone_offender(mount, block, count) == (next - block < count ? next : 0), "run %u + %u of %s",
                   block, count, kind->name);
    }
    ck_assert_uint_eq(e2d_zone_offender(mount, blocks, 1), blocks);
    ck_assert_uint_eq(e2d_zone_offender(mount, UINT32_MAX, UINT32_MAX), UINT32_MAX);
    ck_assert_uint_eq(e2d_zone_offender(mount, 1, 0), 0);
    ck_assert(!e2d_is_data(mount, 0));

    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    ck_assert(unchanged(&image));
    free(metadata);
    free(text);
    unload(&image);
}
END_TEST

START_TEST(geometry_of_pmd_ranges_and_aligned_extents)
{
    const struct kind *kind = &kinds[_i];
    struct image image = load(kind);
    struct ext2dax_mount *mount;

    for (unsigned page_shift = 10; page_shift <= 16; page_shift++) {
        for (unsigned order = 3; order <= page_shift - 2; order++) {
            struct ext2dax_plugs plugs = plugs_for(&image);
            struct ext2dax_mount_options options = {.size = sizeof(options),
                                                    .flags = EXT2DAX_MOUNT_READ_ONLY,
                                                    .page_shift = page_shift,
                                                    .huge_order = order};
            uint32_t blocks, last = 0;

            ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
            blocks = mount->pmd_blocks;
            EXPECT(blocks == 1u << mount->pmd_shift && blocks >= 8 && blocks <= mount->pointers, "range");
            EXPECT(mount->faultable == (kind->block_size == 1u << page_shift &&
                                        ((uintptr_t)image.base & ((1u << page_shift) - 1)) == 0),
                   "faultable");
            EXPECT(!mount->faultable || blocks == 1u << order, "a PMD range is a huge page");
            for (uint32_t k = 0; k < mount->aligned_per_group; k++) {
                uint32_t from_group = mount->aligned_skew + k * blocks;

                EXPECT((mount->first_data_block + from_group) % blocks == 0, "region start");
                EXPECT(mount->blocks_per_group % blocks == 0 || mount->groups == 1,
                       "regions look alike in every group");
                last = from_group + blocks;
                EXPECT(last <= mount->blocks_per_group, "region crosses its group's end");
            }
            EXPECT(mount->blocks_per_group % blocks || mount->blocks_per_group - last < blocks ||
                       mount->aligned_per_group == 0,
                   "a region was not counted");
            EXPECT((mount->blocks_per_group % blocks && mount->groups > 1) || blocks >= mount->blocks_per_group ||
                       mount->aligned_per_group,
                   "no region");
            ck_assert_int_eq(ext2dax_unmount(mount), 0);
        }
    }
    unload(&image);
}
END_TEST

/* ---- changes made by a mount ---- */

START_TEST(writing_changes_the_valid_bit_alone)
{
    const struct kind *kind = &kinds[_i];
    struct image image = load(kind);
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;

    for (unsigned flags = 0; flags <= EXT2DAX_MOUNT_VERIFY; flags += EXT2DAX_MOUNT_VERIFY) {
        ck_assert_int_eq(try_mount(&image, flags, &mount), 0);
        ck_assert(plug.state_durable);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert(!figures.read_only);
        ck_assert_uint_eq(e2d_get16(super_of(&image)->state), 0);
        super_of(&image)->state = e2d_le16(EXT2DAX_STATE_VALID);
        ck_assert(unchanged(&image));
        super_of(&image)->state = e2d_le16(0);

        plug.state_pending = plug.state_durable = false;
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
        ck_assert(plug.state_durable);
        everything_given_back();
        ck_assert(unchanged(&image));
    }
    unload(&image);
}
END_TEST

START_TEST(mark_is_durable_without_order_too)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount_options options = {.size = sizeof(options), .order = EXT2DAX_UNORDERED};
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;

    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert(plug.state_durable);
    ext2dax_statfs(mount, &figures, sizeof(figures));
    ck_assert(!figures.ordered);
    plug.state_pending = plug.state_durable = false;
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert(plug.state_durable);
    everything_given_back();
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

START_TEST(default_options)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount_options zero = {0};
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;

    for (int i = 0; i < 3; i++) {
        plugs.memory.flags = i == 2 ? 0 : EXT2DAX_MEMORY_PERSISTENT;
        ck_assert_int_eq(ext2dax_mount(&plugs, i == 0 ? NULL : &zero, &mount), 0);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert_uint_eq(figures.page_size, 4096);
        ck_assert_uint_eq(figures.pmd_pages, 512);
        ck_assert(!figures.read_only);
        ck_assert_int_eq(figures.ordered, i != 2);
        ck_assert_uint_eq(figures.max_file_size, 2196873666560);
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    }
    unload(&image);
}
END_TEST

/* ---- refusals of the caller's arguments ---- */

static void bad_plugs(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options)
{
    struct ext2dax_mount *mount = (void *)&plug;

    ck_assert_int_eq(ext2dax_mount(plugs, options, &mount), -EXT2DAX_EINVAL);
    ck_assert_ptr_null(mount);
    everything_given_back();
}

START_TEST(bad_arguments)
{
    struct image image = load(kind_named("1K"));
    struct ext2dax_plugs good = plugs_for(&image), plugs = good;
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_lock_ops locks;
    struct ext2dax_host_ops host;
    struct ext2dax_mount *mount;

    /* Each required op is missing, first as NULL, then by a table too short for the op. */
    plugs.locks.ops = &locks;
    for (size_t at = offsetof(struct ext2dax_lock_ops, init); at < sizeof(locks); at += sizeof(void *)) {
        bool optional =
            at == offsetof(struct ext2dax_lock_ops, destroy) || at == offsetof(struct ext2dax_lock_ops, held);

        locks = lock_ops;
        memset((char *)&locks + at, 0, sizeof(void *));
        if (!optional)
            bad_plugs(&plugs, NULL);
        locks = lock_ops;
        locks.size = at + sizeof(void *) - 1;
        if (at < offsetof(struct ext2dax_lock_ops, held))
            bad_plugs(&plugs, NULL);
    }
    ck_assert_uint_ge(plug.errors, 14);
    plugs.locks.ops = NULL;
    bad_plugs(&plugs, NULL);

    plugs = good;
    plugs.host.ops = &host;
    host = host_ops;
    host.alloc = NULL;
    bad_plugs(&plugs, NULL);
    host = host_ops;
    host.release = NULL;
    bad_plugs(&plugs, NULL);
    host = host_ops;
    host.size = offsetof(struct ext2dax_host_ops, release);
    bad_plugs(&plugs, NULL);
    plugs.host.ops = NULL;
    bad_plugs(&plugs, NULL);

    /* Ops missing from a short table are not called. */
    host = host_ops;
    host.size = offsetof(struct ext2dax_host_ops, now);
    plugs.host.ops = &host;
    locks = lock_ops;
    locks.size = offsetof(struct ext2dax_lock_ops, held);
    plugs.locks.ops = &locks;
    plugs.memory.ops = NULL;
    ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), 0);
    plug.errors = plug.warnings = 0;
    e2d_warn(mount, "test", 0, "field", 0, "not to be heard");
    ck_assert_uint_eq(plug.warnings, 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);

    /* Ops past the known end of a longer table are not copied. */
    {
        static struct {
            struct ext2dax_lock_ops known;
            char more[65536];
        } longer;

        memset(&longer, 0xA5, sizeof(longer));
        longer.known = lock_ops;
        longer.known.size = sizeof(longer);
        plugs = good;
        plugs.locks.ops = &longer.known;
        ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), 0);
        ck_assert_uint_eq(mount->lock_ops.size, sizeof(lock_ops));
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    }

    plugs = good;
    plugs.memory.base = NULL;
    bad_plugs(&plugs, NULL);
    plugs.memory.base = image.base + 4;
    plugs.memory.size = image.size - 8;
    bad_plugs(&plugs, NULL);
    plugs.memory.base = image.base;
    plugs.memory.size = SIZE_MAX;
    bad_plugs(&plugs, NULL);

    options.flags = 0x10;
    bad_plugs(&good, &options);
    options.flags = EXT2DAX_MOUNT_VERIFY;
    bad_plugs(&good, &options);
    ck_assert_str_eq(plug.report[(plug.reports - 1) % REPORTS].field, "verify");
    options.flags = 0;
    options.order = (enum ext2dax_order)3;
    bad_plugs(&good, &options);
    options.order = EXT2DAX_ORDER_AUTO;
    for (unsigned shift = 1; shift < 40; shift++) {
        options.page_shift = shift;
        options.huge_order = 3;
        if (shift < 10 || shift > 16)
            bad_plugs(&good, &options);
    }
    options.page_shift = 12;
    for (unsigned order = 1; order < 40; order++) {
        options.huge_order = order;
        if (order < 3 || order > 10)
            bad_plugs(&good, &options);
    }
    /* the invalid order is not read */
    options.size = offsetof(struct ext2dax_mount_options, page_shift);
    ck_assert_int_eq(ext2dax_mount(&good, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);

    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

START_TEST(read_only_memory)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount_options options = {.size = sizeof(options), .verify = ext2dax_verify};
    struct ext2dax_mount *mount;

    plugs.memory.flags = EXT2DAX_MEMORY_READ_ONLY;
    ck_assert_int_eq(mprotect(image.area + GUARD, image.area_size - 2 * GUARD, PROT_READ), 0);
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), -EXT2DAX_EROFS);
    everything_given_back();
    options.flags = EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY;
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EROFS);
    e2d_complain(mount, -EXT2DAX_EUCLEAN, "test", 0, "field", 0, "a report changes nothing");
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    unload(&image);
}
END_TEST

/* ---- failures of the plugs ---- */

START_TEST(no_memory_at_any_call)
{
    struct image image = load(kind_named("small-groups"));
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = EXT2DAX_MOUNT_VERIFY, .verify = ext2dax_verify};
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount *mount;
    long n = 0;
    int rc;

    do {
        plugs = plugs_for(&image);
        plug.fail_at = ++n;
        mount = (void *)&plug;
        rc = ext2dax_mount(&plugs, &options, &mount);
        if (rc != 0) {
            ck_assert_int_eq(rc, -EXT2DAX_ENOMEM);
            ck_assert_ptr_null(mount);
            everything_given_back();
            ck_assert(unchanged(&image));
        }
    } while (rc != 0);
    /* three allocations can fail, of the mount, the groups and the scan's bits */
    ck_assert_int_eq(n, 4);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    unload(&image);
}
END_TEST

START_TEST(no_lock_at_any_call)
{
    struct image image = load(kind_named("1K"));
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount *mount;
    long n = 0;
    int rc;

    do {
        plugs = plugs_for(&image);
        plug.fail_init_at = ++n;
        mount = (void *)&plug;
        rc = ext2dax_mount(&plugs, NULL, &mount);
        if (rc != 0) {
            EXPECT(rc == -EXT2DAX_ENOMEM && mount == NULL, "lock %ld: %d", n, rc);
            everything_given_back();
            EXPECT(unchanged(&image), "lock %ld: changed", n);
        }
    } while (rc != 0);
    ck_assert_int_gt(n, 60);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    unload(&image);
}
END_TEST

START_TEST(poison_is_an_error)
{
    struct image image = load(kind_named("small-groups"));
    struct ext2dax_plugs plugs = plugs_for(&image);
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = EXT2DAX_MOUNT_VERIFY, .verify = ext2dax_verify};
    struct ext2dax_mount *mount;
    const struct ext2dax_disk_inode *lost = inode_at(&image, 11);
    const size_t places[] = {1024, 2047, descriptor_at(&image, 0), descriptor_at(&image, 33),
                             (size_t)((const unsigned char *)lost - image.base)};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        plugs = plugs_for(&image);
        plug.poison = image.base + places[i];
        plug.poison_size = 1;
        ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), -EXT2DAX_EIO);
        ck_assert_uint_gt(plug.errors, 0);
        everything_given_back();
        ck_assert(unchanged(&image));
    }
    unload(&image);
}
END_TEST

START_TEST(write_back_that_fails)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_plugs plugs;
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;

    for (int fence = 0; fence < 2; fence++) {
        plugs = plugs_for(&image);
        plug.persist_fails = !fence;
        plug.fence_fails = fence;
        ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), -EXT2DAX_EIO);
        everything_given_back();
        super_of(&image)->state = e2d_le16(EXT2DAX_STATE_VALID);

        plugs = plugs_for(&image);
        ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), 0);
        plug.persist_fails = !fence;
        plug.fence_fails = fence;
        ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), -EXT2DAX_EIO);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert(figures.read_only);
        ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EIO);
        everything_given_back();
        super_of(&image)->state = e2d_le16(EXT2DAX_STATE_VALID);
    }
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

/* ---- remount, references ---- */

START_TEST(remount_there_and_back)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;

    ck_assert_int_eq(try_mount(&image, 0, &mount), 0);
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert(figures.read_only);
        ck_assert(unchanged(&image));
        ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
        ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_VERIFY), -EXT2DAX_EINVAL);

        plug.state_pending = plug.state_durable = false;
        ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
        ck_assert(plug.state_durable);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert(!figures.read_only);
        ck_assert_uint_eq(e2d_get16(super_of(&image)->state), 0);
        ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
    }
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

/*
 * Shows the allocator's records allocated once, when a mount first turns read-write, before
 * anything changes.
 */
START_TEST(remount_without_memory_changes_nothing)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;
    long before;

    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    before = plug.bytes;
    plug.fail_at = plug.allocations + 1;
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_ENOMEM);
    ck_assert_int_eq(plug.bytes, before);
    ck_assert(unchanged(&image));
    ext2dax_statfs(mount, &figures, sizeof(figures));
    ck_assert(figures.read_only);

    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(ext2dax_remount(mount, 0), 0);
        ck_assert_int_eq(plug.allocations, plug.fail_at + 1);
        ck_assert_int_eq(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    }
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

START_TEST(unmount_waits_for_references)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *again;

    for (unsigned flags = 0; flags <= EXT2DAX_MOUNT_READ_ONLY; flags++) {
        ck_assert_int_eq(try_mount(&image, flags, &mount), 0);
        ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
        ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &again), 0);
        ck_assert_ptr_eq(root, again);
        ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EBUSY);
        ext2dax_inode_put(root);
        ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EBUSY);
        ext2dax_inode_put(again);
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
        everything_given_back();
    }
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

START_TEST(unmount_of_a_frozen_filesystem)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount;

    ck_assert_int_eq(try_mount(&image, 0, &mount), 0);
    ck_assert_int_eq(ext2dax_freeze(mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_thaw(mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mount");
    TCase *tcase = add_case(suite, "mount", 60);

    tcase_add_loop_test(tcase, described_as_dumpe2fs_does, 0, KINDS);
    tcase_add_loop_test(tcase, geometry_of_pmd_ranges_and_aligned_extents, 0, KINDS);
    tcase_add_loop_test(tcase, writing_changes_the_valid_bit_alone, 0, KINDS);
    tcase_add_test(tcase, mark_is_durable_without_order_too);
    tcase_add_test(tcase, default_options);
    tcase_add_test(tcase, bad_arguments);
    tcase_add_test(tcase, read_only_memory);
    tcase_add_test(tcase, no_memory_at_any_call);
    tcase_add_test(tcase, no_lock_at_any_call);
    tcase_add_test(tcase, poison_is_an_error);
    tcase_add_test(tcase, write_back_that_fails);
    tcase_add_test(tcase, remount_there_and_back);
    tcase_add_test(tcase, remount_without_memory_changes_nothing);
    tcase_add_test(tcase, unmount_waits_for_references);
    tcase_add_test(tcase, unmount_of_a_frozen_filesystem);
    return run_on_images(suite, false);
}
