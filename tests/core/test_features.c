/* SPDX-License-Identifier: MIT */
/*
 * Tests features which only need a rule to be kept. An image with such a feature is clean after
 * writes, even if it needed recovery. Inodes which use the feature keep their special fields.
 * mke2fs makes the images. e2fsck and the checker check the result.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

#define BLOCK 1024u

static struct fixture f, tree, crashed;

static struct ext2dax_disk_super *super(void)
{
    return (void *)(f.base + EXT2DAX_SUPER_OFFSET);
}

static uint32_t raw16(struct ext2dax_le16 v)
{
    const unsigned char *p = (const unsigned char *)&v;

    return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t number_of(const char *path)
{
    struct ext2dax_inode *inode = find(&f, path);
    uint32_t number = inode->number;

    ext2dax_inode_put(inode);
    return number;
}

static void open_tree(void)
{
    memset(&f, 0, sizeof f);
    memset(&crashed, 0, sizeof crashed);
    f.fd = crashed.fd = -1;
    fixture_name(&tree);
    ck_assert_int_eq(run(&tree,
                         "set -e; mkdir -p %s.d/d/one %s.d/d/two; head -c 300000 /dev/zero | tr '\\0' x >%s.d/big; "
                         "echo small >%s.d/small; ln -s small %s.d/link",
                         tree.path, tree.path, tree.path, tree.path, tree.path),
                     0);
}

static void close_tree(void)
{
    fixture_close(&tree);
}

static void write_at(struct ext2dax_inode *inode, uint64_t offset, size_t length)
{
    static const char bytes[40000] = "written";

    ck_assert_int_eq((int)ext2dax_write(inode, offset, bytes, length), (int)length);
}

/* Runs a sample of all modifying calls. */
static void write_something(void)
{
    struct ext2dax_inode *root = find(&f, "/"), *d = find(&f, "/d"), *big = find(&f, "/big"), *fresh;

    create(d, "fresh");
    create(root, "short-lived");
    fresh = find(&f, "/d/fresh");
    for (uint64_t at = 0; at < 30; at++)
        write_at(fresh, at * 40000, 40000);
    write_at(fresh, 3000000, 10);
    ck_assert_int_eq(ext2dax_punch(big, 20000, 100000), 0);
    write_at(big, 50000, 20000);
    ck_assert_int_eq(ext2dax_truncate(big, 250000), 0);
    ck_assert_int_eq(try_unlink(root, "small"), 0);
    ck_assert_int_eq(try_unlink(root, "short-lived"), 0);
    ext2dax_inode_put(fresh);
    ext2dax_inode_put(big);
    ext2dax_inode_put(d);
    ext2dax_inode_put(root);
}

static const char *const options[] = {
    "-O sparse_super2",
    "-O sparse_super2 -E num_backup_sb=1",
    "-O sparse_super2 -E num_backup_sb=0",
    "-O sparse_super2,^resize_inode",
    "-O sparse_super2,^sparse_super,^resize_inode",
    "-O sparse_super2,meta_bg,^resize_inode",
    "-O extra_isize,dir_nlink,huge_file -I 256",
    "-O sparse_super2,extra_isize,dir_nlink,huge_file -I 512",
};
#define OPTIONS ((int)(sizeof options / sizeof options[0]))

START_TEST(test_written_to_and_clean)
{
    fixture_open(&f, 12 << 10, "-b 1024 -g 256 -N 1500 %s -d %s.d", options[_i], tree.path);
    check_clean(&f);
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_default(), EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY), 0);
    fixture_unmount(&f);
    fixture_mount(&f);
    ck_assert_uint_eq(f.reports, 0);
    write_something();
    check_clean(&f);
    /* The copy of the mounted image was not cleanly unmounted. */
    fixture_open_copy(&crashed, &f);
    crashed.allocs_left = crashed.fences_left = -1;
    fixture_mount(&crashed);
    fixture_unmount(&crashed);
    check_clean(&crashed);
    fixture_close(&crashed);
    fixture_unmount(&f);
    check_clean(&f);
    fixture_close(&f);
}
END_TEST

/*
 * New inodes use as many extra bytes as the superblock wants, or the usual 32 if the value is
 * impossible. An inode reused after unlink does the same. Without the feature the superblock may
 * want none.
 */
START_TEST(test_extra_isize)
{
    static const struct {
        uint32_t inode_size, want, least, is;
        bool feature;
    } wanted[] = {{256, 32, 32, 32, true},   {256, 28, 24, 28, true},  {256, 0, 0, 32, true},
                  {256, 4, 20, 20, true},    {256, 30, 0, 32, true},   {256, 132, 0, 32, true},
                  {256, 128, 32, 128, true}, {512, 132, 0, 132, true}, {256, 65532, 0, 32, true},
                  {128, 32, 32, 0, true},    {256, 32, 32, 32, false}, {256, 0, 28, 28, false},
                  {256, 30, 0, 32, false},   {256, 0, 0, 0, false}};
    struct ext2dax_inode *root;
    struct ext2dax_le16 *extra;

    fixture_open(&f, 1024, "-b 1024 -I %u -O %sextra_isize", wanted[_i].inode_size, wanted[_i].feature ? "" : "^");
    super()->want_extra_isize = raw_le16((uint16_t)wanted[_i].want);
    super()->min_extra_isize = raw_le16((uint16_t)wanted[_i].least);
    for (unsigned turn = 0; turn < 2; turn++) {
        fixture_mount(&f);
        root = find(&f, "/");
        create(root, "new");
        extra = (void *)(raw_inode(&f, number_of("/new")) + 1);
        if (wanted[_i].inode_size > 128)
            ck_assert_uint_eq(raw16(*extra), wanted[_i].is);
        check_clean(&f);
        ck_assert_int_eq(try_unlink(root, "new"), 0);
        if (wanted[_i].inode_size > 128)
            ck_assert_uint_eq(raw16(*extra), wanted[_i].is);
        ext2dax_inode_put(root);
        fixture_unmount(&f);
        check_clean(&f);
    }
    fixture_close(&f);
}
END_TEST

/*
 * Recovery keeps the link count 1 of a directory which does not count its subdirectories. Other
 * wrong link counts are repaired.
 */
START_TEST(test_dir_nlink)
{
    uint32_t d, one;

    fixture_open(&f, 4096, "-b 1024 %s -d %s.d", _i == 0 ? "-O dir_nlink" : "", tree.path);
    fixture_mount(&f);
    d = number_of("/d");
    one = number_of("/d/one");
    fixture_unmount(&f);
    raw_inode(&f, d)->links = raw_le16(1);
    raw_inode(&f, one)->links = raw_le16(7);
    ck_assert_int_eq(ext2dax_check_image(f.base, f.size, 0, NULL, NULL, NULL), _i == 0 ? 1 : 2);
    super()->state = raw_le16(0);
    fixture_mount(&f);
    fixture_unmount(&f);
    ck_assert_uint_eq(raw16(raw_inode(&f, d)->links), _i == 0 ? 1 : 4);
    ck_assert_uint_eq(raw16(raw_inode(&f, one)->links), 2);
    ck_assert_int_eq(ext2dax_check_image(f.base, f.size, 0, NULL, NULL, NULL), 0);
    fixture_mount(&f);
    write_something();
    fixture_unmount(&f);
    ck_assert_uint_eq(raw16(raw_inode(&f, d)->links), _i == 0 ? 1 : 4);
    ck_assert_int_eq(ext2dax_check_image(f.base, f.size, 0, NULL, NULL, NULL), 0);
    if (_i == 1)
        check_clean(&f);
    fixture_close(&f);
}
END_TEST

static int cannot_write(struct ext2dax_inode *inode)
{
    ck_assert_int_eq((int)ext2dax_write(inode, 0, "no", 2), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_truncate(inode, 0), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_truncate(inode, 1000000), -EXT2DAX_EOPNOTSUPP);
    ck_assert_int_eq(ext2dax_punch(inode, 0, 5000), -EXT2DAX_EOPNOTSUPP);
    return ext2dax_allocate(inode, 0, 400000, false);
}

/*
 * A file which counts i_blocks in filesystem blocks can be read and removed, and recovery keeps its
 * count. Changes of its size or blocks fail with EOPNOTSUPP. The library itself makes no such file.
 */
START_TEST(test_huge_file)
{
    struct ext2dax_inode *root, *big;
    struct ext2dax_disk_inode *disk;
    struct ext2dax_stat figures;
    uint64_t sectors;
    char bytes[10];

    fixture_open(&f, 2048, "-b 1024 -O huge_file -d %s.d", tree.path);
    fixture_mount(&f);
    big = find(&f, "/big");
    ext2dax_stat(big, &figures, sizeof(figures));
    sectors = figures.sectors;
    disk = raw_inode(&f, big->number);
    ext2dax_inode_put(big);
    fixture_unmount(&f);
    disk->flags = raw_le32(raw32(disk->flags) | EXT2DAX_FL_HUGE_FILE);
    disk->sectors = raw_le32((uint32_t)sectors / 2);
    check_clean(&f);
    super()->state = raw_le16(0);
    fixture_mount(&f);
    root = find(&f, "/");
    big = find(&f, "/big");
    ext2dax_stat(big, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.sectors, sectors);
    ck_assert_int_eq((int)ext2dax_read(big, 299990, bytes, 100), 10);
    f.reports = 0;
    ck_assert_int_eq(cannot_write(big), -EXT2DAX_EOPNOTSUPP);
    ck_assert_uint_eq(f.reports, 5);
    ck_assert_str_eq(f.last.structure, "inode");
    ck_assert_uint_eq(f.last.number, big->number);
    ext2dax_inode_put(big);
    check_clean(&f);
    ck_assert_int_eq(try_unlink(root, "big"), 0);
    check_clean(&f);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    check_clean(&f);

    /*
     * An i_blocks count of more than 32 bits is wrong for every file of this image. Recovery does
     * not guess a value and refuses the mount.
     */
    fixture_mount(&f);
    disk = raw_inode(&f, number_of("/small"));
    fixture_unmount(&f);
    disk->frag_number = 1;
    ck_assert_int_eq(ext2dax_check_image(f.base, f.size, 0, NULL, NULL, NULL), 1);
    super()->state = raw_le16(0);
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_default(), 0), -EXT2DAX_EUCLEAN);
    fixture_close(&f);
}
END_TEST

/* Marks a free block as used and returns its number. */
static uint32_t take_block(void)
{
    struct ext2dax_disk_group *group = (void *)(f.base + 2 * (size_t)BLOCK);
    unsigned char *map = f.base + (size_t)raw32(group->block_bitmap) * BLOCK;
    uint32_t bit = 0;

    while ((map[bit / 8] >> bit % 8 & 1) != 0)
        bit++;
    map[bit / 8] = (unsigned char)(map[bit / 8] | 1u << bit % 8);
    group->free_blocks = raw_le16((uint16_t)(raw16(group->free_blocks) - 1));
    super()->free_blocks = raw_le32(raw32(super()->free_blocks) - 1);
    return bit + 1;
}

/*
 * Removes a Hurd file with a translator. The translator block is freed too, although no pointer of
 * the block tree names it.
 */
START_TEST(test_translator)
{
    static const char *const names[] = {"big", "small", "slow"};
    struct ext2dax_disk_inode *disk;
    struct ext2dax_inode *root, *inode;
    uint32_t block;

    ck_assert_int_eq(run(&tree, "ln -s $(printf '%%0100d' 0) %s.d/slow", tree.path), 0);
    fixture_open(&f, 2048, "-b 1024 -o hurd -I 128 -d %s.d", tree.path);
    fixture_mount(&f);
    root = find(&f, "/");
    ck_assert_int_eq(ext2dax_lookup(root, names[_i], strlen(names[_i]), &inode), 0);
    disk = raw_inode(&f, inode->number);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    block = take_block();
    disk->os1 = raw_le32(block);
    disk->sectors = raw_le32(raw32(disk->sectors) + 2);
    check_clean(&f);
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_default(), EXT2DAX_MOUNT_VERIFY), 0);
    root = find(&f, "/");
    ck_assert_int_eq(ext2dax_lookup(root, names[_i], strlen(names[_i]), &inode), 0);
    if (_i < 2)
        write_at(inode, 0, 10);
    ext2dax_inode_put(inode);
    check_clean(&f);
    ck_assert_int_eq(try_unlink(root, names[_i]), 0);
    check_clean(&f);

    /* Unlink detects an invalid translator block before the name is removed. */
    create(root, "new");
    disk = raw_inode(&f, number_of("/new"));
    ck_assert_uint_eq(raw32(disk->os1), 0);
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t bad[] = {1, UINT32_MAX, 2000};

        disk->os1 = raw_le32(bad[i]);
        ck_assert_int_eq(try_unlink(root, "new"), -EXT2DAX_EUCLEAN);
        ck_assert(exists(root, "new"));
    }
    disk->os1 = raw_le32(0);
    ck_assert_int_eq(try_unlink(root, "new"), 0);
    ext2dax_inode_put(root);
    fixture_unmount(&f);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("features");
    TCase *tests = add_case(suite, "features", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(tests, open_tree, close_tree);
    tcase_add_loop_test(tests, test_written_to_and_clean, 0, OPTIONS);
    tcase_add_loop_test(tests, test_extra_isize, 0, 14);
    tcase_add_loop_test(tests, test_dir_nlink, 0, 2);
    tcase_add_test(tests, test_huge_file);
    tcase_add_loop_test(tests, test_translator, 0, 3);
    return run_suite(suite);
}
