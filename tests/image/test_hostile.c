/* SPDX-License-Identifier: MIT */
/*
 * Hostile superblocks and descriptors. Every field takes every awkward value, and random bytes
 * follow. Mount accepts or refuses the image without harm. No access is outside the image, no loop
 * is endless, and nothing kept by a valid image is changed.
 */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "../emulated.h"

/* ---- hostile values everywhere ---- */

/* Compares the start of the image, where metadata lies, and occasionally the whole image. */
static bool same(const struct image *image, const unsigned char *as_is)
{
    static unsigned calls;
    size_t size = ++calls % 64 == 0 || image->size < 131072 ? image->size : 131072;

    return memcmp(image->base, as_is, size) == 0;
}

/* Uses each value derived from the geometry all over the image. */
static void look_around(struct ext2dax_mount *mount)
{
    uint32_t last = mount->blocks - 1;
    struct ext2dax_statfs figures;
    struct ext2dax_inode *inode;

    ext2dax_statfs(mount, &figures, sizeof(figures));
    for (uint32_t block = 1; block <= last; block += 1 + block / 16)
        (void)e2d_zone_offender(mount, block, e2d_min32(1 + block % 300, UINT32_MAX - block));
    (void)e2d_zone_offender(mount, last, UINT32_MAX);
    for (uint32_t group = 0; group < mount->groups; group += 1 + group / 4) {
        (void)e2d_bit(e2d_block_bitmap(mount, group), mount->blocks_per_group - 1);
        (void)e2d_bit(e2d_inode_bitmap(mount, group), mount->inodes_per_group - 1);
        if (ext2dax_inode_get(mount, group * mount->inodes_per_group + 1, &inode) == 0)
            ext2dax_inode_put(inode);
    }
}

/* The superblock's counts of free blocks and inodes. */
#define COUNTERS      (EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, free_blocks))
#define COUNTER_BYTES 8u

/*
 * Mounts read-only and read-write, with the ownership scan at every second call. Checks for no harm
 * and no lasting change. Two changes are legitimate, and undone here. Recovery changes an image
 * marked not clean, and a mount corrects the superblock's counters from the groups.
 */
static void harmless(const struct image *image, const unsigned char *as_is, const char *what, size_t at, uint32_t value)
{
    static unsigned calls;
    unsigned scan = calls++ % 2 ? EXT2DAX_MOUNT_VERIFY : 0;

    for (unsigned flags = 0; flags <= EXT2DAX_MOUNT_READ_ONLY; flags++) {
        bool clean = (e2d_get16(super_of(image)->state) & EXT2DAX_STATE_VALID) != 0;
        struct ext2dax_mount *mount;
        int rc = try_mount(image, flags | scan, &mount);

        if (rc != 0) {
            EXPECT(plug.errors > 0, "%s at %zu = %u: refused without a word", what, at, value);
        } else {
            look_around(mount);
            EXPECT(ext2dax_unmount(mount) == 0, "%s at %zu = %u: not unmounted", what, at, value);
        }
        everything_given_back();
        if (rc == 0 && flags == 0 && !clean)
            memcpy(image->base, as_is, image->size);
        if (rc == 0 && flags == 0)
            memcpy(image->base + COUNTERS, as_is + COUNTERS, COUNTER_BYTES);
        EXPECT(same(image, as_is), "%s at %zu = %u: returned %d and changed the image", what, at, value, rc);
    }
}

static void hostile_field(struct image *image, unsigned char *as_is, const char *what, size_t at, unsigned width)
{
    static const uint32_t values[] = {0,          1,      2,          3,          7,          8,         11,
                                      31,         32,     127,        255,        256,        1023,      1024,
                                      8191,       8192,   0x7FFF,     0x8000,     0xFFFE,     0xFFFF,    0x10000,
                                      0x7FFFFFFF, 0xEF53, 0xFFFF0000, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    unsigned char good[4];
    uint32_t was = 0;

    memcpy(good, image->base + at, width);
    for (unsigned i = 0; i < width; i++)
        was |= (uint32_t)good[i] << (8 * i);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) + 6; i++) {
        size_t special = i - sizeof(values) / sizeof(values[0]);
        uint32_t near[] = {was + 1, was - 1, was * 2, was / 2, was ^ 0x100, ~was};
        uint32_t value = i < sizeof(values) / sizeof(values[0]) ? values[i] : near[special];

        put_number(image->base + at, width, value);
        memcpy(as_is + at, image->base + at, width);
        harmless(image, as_is, what, at, value);
        memcpy(image->base + at, good, width);
        memcpy(as_is + at, good, width);
    }
}

START_TEST(hostile_superblock)
{
    struct image image = load(&small_kinds[_i]);
    unsigned char *as_is = copy_of(&image);

    for (size_t at = 0; at < 0x110; at += emulated() ? 20 : 4)
        hostile_field(&image, as_is, "superblock", 1024 + at, 4);
    for (size_t at = 0x34; at < 0x60; at += emulated() ? 10 : 2)
        hostile_field(&image, as_is, "superblock", 1024 + at, 2);
    hostile_field(&image, as_is, "superblock", 1024 + offsetof(struct ext2dax_disk_super, reserved_gdt_blocks), 2);
    free(as_is);
    unload(&image);
}
END_TEST

START_TEST(hostile_descriptors)
{
    static const unsigned widths[] = {4, 4, 4, 2, 2, 2, 2};
    static const uint32_t groups[] = {0, 1, 2, 31, 32};
    struct image image = load(&small_kinds[_i]);
    unsigned char *as_is = copy_of(&image);

    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        size_t at = descriptor_at(&image, groups[g]);

        for (size_t field = 0; at != 0 && field < sizeof(widths) / sizeof(widths[0]); at += widths[field++])
            hostile_field(&image, as_is, "descriptor", at, widths[field]);
    }
    free(as_is);
    unload(&image);
}
END_TEST

START_TEST(random_bytes)
{
    struct image image = load(&small_kinds[_i]);
    unsigned char *as_is = copy_of(&image), *good = copy_of(&image);
    size_t table = descriptor_at(&image, 0), around = table > 2048 ? table : 2048;
    uint64_t seed = 0x1234567 + (uint64_t)_i;

    for (int round = 0; round < (emulated() ? 200 : 2000); round++) {
        for (unsigned flips = 1 + (unsigned)round % 5; flips > 0; flips--) {
            size_t at;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at = (size_t)(seed >> 33) % (round % 2 ? 260 : 96);
            at = seed >> 20 & 1 ? 1024 + at : around + at;
            image.base[at] = (unsigned char)(seed >> 50);
            as_is[at] = image.base[at];
        }
        harmless(&image, as_is, "random bytes, round", (size_t)round, 0);
        memcpy(image.base + 1024, good + 1024, around + 128 - 1024);
        memcpy(as_is + 1024, good + 1024, around + 128 - 1024);
    }
    free(good);
    free(as_is);
    unload(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tcase = add_case(suite, "hostile", 60);

    tcase_add_loop_test(tcase, hostile_superblock, 0, SMALL_KINDS);
    tcase_add_loop_test(tcase, hostile_descriptors, 0, SMALL_KINDS);
    tcase_add_loop_test(tcase, random_bytes, 0, SMALL_KINDS);
    return run_on_images(suite, true);
}
