/* SPDX-License-Identifier: MIT */
/*
 * Refused images, with the reason. Covered are no image, a truncated image, unknown features, an
 * image not marked clean, each check of superblock, descriptors and root, and blocks with two
 * owners. A refusal names the field and changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "../reasons.h"

/* ---- refusals of the image ---- */

START_TEST(not_an_image)
{
    struct image image = load(kind_named("1K")), part = image;
    struct ext2dax_mount *mount;

    for (size_t size = 0; size < 2048; size += 8) {
        part.size = size;
        part.base = image.base + image.size - size;
        EXPECT(try_mount(&part, 0, &mount) == -EXT2DAX_EINVAL && plug.errors > 0, "%zu bytes", size);
        everything_given_back();
    }
    part = image;
    super_of(&image)->magic = e2d_le16(0xEF54);
    refused(&image, 0, EXT2DAX_EINVAL, "magic number");
    memset(image.base, 0, image.size);
    refused(&image, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EINVAL, "magic number");
    memset(image.base, 0xFF, image.size);
    refused(&image, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EINVAL, "magic number");
    unload(&image);
}
END_TEST

START_TEST(cut_short)
{
    struct image image = load(kind_named("1K")), part = image;

    /* The end of the image is missing. Nothing is accessed. */
    for (size_t missing = 1; missing <= 512; missing *= 2) {
        part.size = image.size - 1024 * missing;
        refused(&part, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, "image size");
        ck_assert_uint_eq(plug.report[0].value, part.size);
        ck_assert_uint_eq(plug.report[1].value, image.size);
    }
    part.size = image.size - 1;
    refused(&part, 0, EXT2DAX_EUCLEAN, "image size");
    accepted(&image, 0);
    unload(&image);
}
END_TEST

/*
 * Shows a last group of a single block. Its superblock copy fits, but the descriptors after the
 * copy would lie past the end of the image.
 */
START_TEST(group_too_short_for_its_metadata)
{
    struct image image = load(kind_named("meta-groups-every-super")), part = image;
    struct ext2dax_disk_super *super;
    uint32_t blocks = 1 + 32 * 256 + 1;

    part.size = (size_t)blocks * 1024;
    part.base = image.base + image.size - part.size;
    memmove(part.base, image.base, part.size);
    super = super_of(&part);
    ck_assert_uint_eq(e2d_get32(super->blocks_per_group), 256);
    super->blocks_count = e2d_le32(blocks);
    super->inodes_count = e2d_le32(33 * e2d_get32(super->inodes_per_group));
    super->free_blocks = super->free_inodes = super->reserved_blocks = e2d_le32(0);
    refused(&part, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, "block count");
    ck_assert_str_eq(plug.report[0].structure, "group");
    ck_assert_uint_eq(plug.report[0].number, 32);
    unload(&image);
}
END_TEST

START_TEST(unknown_features_by_class)
{
    struct image image = load(kind_named("1K"));
    struct ext2dax_disk_super *super = super_of(&image), good = *super;

    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t mask = (uint32_t)1 << bit;

        *super = good;
        super->compat = e2d_le32(e2d_get32(good.compat) | mask);
        accepted(&image, 0);
        ck_assert_uint_eq(plug.warnings, mask == EXT2DAX_COMPAT_HAS_JOURNAL);

        *super = good;
        super->ro_compat = e2d_le32(e2d_get32(good.ro_compat) | mask);
        if (mask & EXT2DAX_RO_COMPAT_KNOWN) {
            accepted(&image, 0);
        } else {
            refused(&image, 0, EXT2DAX_EOPNOTSUPP, "read-only features");
            accepted(&image, EXT2DAX_MOUNT_READ_ONLY);
            ck_assert_uint_eq(plug.warnings, 1);
        }

        *super = good;
        super->incompat = e2d_le32(e2d_get32(good.incompat) | mask);
        if (!(mask & EXT2DAX_INCOMPAT_KNOWN)) {
            refused(&image, 0, EXT2DAX_EOPNOTSUPP, "incompatible features");
            refused(&image, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EOPNOTSUPP, "incompatible features");
            super->revision = e2d_le32(0);
            refused(&image, 0, EXT2DAX_EOPNOTSUPP, "incompatible features");
        }
    }
    for (uint32_t revision = 2; revision != 0; revision <<= 1) {
        *super = good;
        super->revision = e2d_le32(revision);
        refused(&image, 0, EXT2DAX_EOPNOTSUPP, "revision");
        accepted(&image, EXT2DAX_MOUNT_READ_ONLY);
    }
    *super = good;
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

START_TEST(unclean_is_for_reading)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_disk_super *super = super_of(&image), good = *super;
    static const unsigned states[] = {0, 2, 3, 4, 0xFFFF};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct ext2dax_mount *mount;

        super->state = e2d_le16(states[i]);
        refused(&image, WITHOUT_RECOVERY, EXT2DAX_EUCLEAN, "state");
        if ((states[i] & EXT2DAX_STATE_ERROR) == 0 && REASONS)
            ck_assert_ptr_nonnull(strstr(plug.report[(plug.reports - 1) % REPORTS].reason, "`recover`"));
        refused(&image, EXT2DAX_MOUNT_VERIFY | WITHOUT_RECOVERY, EXT2DAX_EUCLEAN, "state");
        if ((states[i] & EXT2DAX_STATE_ERROR) != 0)
            refused(&image, 0, EXT2DAX_EUCLEAN, "state");
        ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
        ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
        ck_assert_uint_eq(e2d_get16(super->state), states[i]);
    }
    *super = good;
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

/* Checks a read-only mount for success with a warning of this field and value. Nothing changes. */
static void told(const struct image *image, const char *field, uint64_t value)
{
    bool named = false;

    accepted(image, EXT2DAX_MOUNT_READ_ONLY);
    ck_assert_uint_eq(plug.errors, 0);
    for (unsigned i = 0; i < plug.reports && i < REPORTS; i++) {
        named |= plug.report[i].level == EXT2DAX_LEVEL_WARNING && strcmp(plug.report[i].field, field) == 0 &&
                 plug.report[i].value == value;
    }
    ck_assert_msg(named, "no warning of %s %llu", field, (unsigned long long)value);
}

struct refusal {
    size_t offset;
    unsigned width;
    uint32_t value;
    const char *field;
};
#define FIELD(member) offsetof(struct ext2dax_disk_super, member), sizeof(((struct ext2dax_disk_super *)0)->member)

START_TEST(superblock_checks)
{
    static const struct refusal list[] = {
        {FIELD(log_block_size), 7, "block size (log2, KiB)"},
        {FIELD(log_block_size), 0xFFFFFFFF, "block size (log2, KiB)"},
        {FIELD(log_block_size), 1, "fragment size (log2, KiB)"},
        {FIELD(log_frag_size), 1, "fragment size (log2, KiB)"},
        {FIELD(first_data_block), 0, "first data block"},
        {FIELD(first_data_block), 2, "first data block"},
        {FIELD(blocks_count), 0, "block count"},
        {FIELD(blocks_count), 1, "block count"},
        {FIELD(blocks_count), 8194, "image size"},
        {FIELD(blocks_count), 0xFFFFFFFF, "image size"},
        {FIELD(blocks_per_group), 0, "blocks per group"},
        {FIELD(blocks_per_group), 8193, "blocks per group"},
        {FIELD(blocks_per_group), 0xFFFFFFFF, "blocks per group"},
        {FIELD(frags_per_group), 8191, "fragments per group"},
        {FIELD(inode_size), 0, "inode size"},
        {FIELD(inode_size), 64, "inode size"},
        {FIELD(inode_size), 192, "inode size"},
        {FIELD(inode_size), 2048, "inode size"},
        {FIELD(inode_size), 0x8000, "inode size"},
        {FIELD(inodes_per_group), 0, "inodes per group"},
        {FIELD(inodes_per_group), 1, "inodes per group"},
        {FIELD(inodes_per_group), 8193, "inodes per group"},
        {FIELD(inodes_per_group), 0x80000000, "inodes per group"},
        {FIELD(inodes_count), 0, "inode count"},
        {FIELD(inodes_count), 2049, "inode count"},
        {FIELD(first_inode), 10, "first inode"},
        {FIELD(first_inode), 0x7FFFFFFF, "first inode"},
        {FIELD(reserved_gdt_blocks), 257, "reserved descriptor blocks"},
        {FIELD(compat), 0, "reserved descriptor blocks"},
    };
    struct image image = load(kind_named("1K"));
    struct ext2dax_disk_super good = *super_of(&image);
    int error;

    ck_assert_uint_eq(e2d_get32(good.inodes_count), 2048);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        put_number(image.base + 1024 + list[i].offset, list[i].width, list[i].value);
        /* A size beyond a 32-bit address space is EOVERFLOW, a truncated image EUCLEAN. */
        error = strcmp(list[i].field, "image size") == 0 && (uint64_t)list[i].value << 10 > SIZE_MAX ? EXT2DAX_EOVERFLOW
                                                                                                     : EXT2DAX_EUCLEAN;
        refused(&image, 0, error, list[i].field);
        refused(&image, EXT2DAX_MOUNT_READ_ONLY, error, list[i].field);
        *super_of(&image) = good;
    }
    super_of(&image)->reserved_blocks = e2d_le32(8193);
    refused(&image, 0, EXT2DAX_EUCLEAN, "reserved block count");
    told(&image, "reserved block count", 8193);
    super_of(&image)->reserved_blocks = good.reserved_blocks;
    ck_assert(unchanged(&image));
    unload(&image);

    image = load(kind_named("64K"));
    put_number(image.base + 1024 + offsetof(struct ext2dax_disk_super, blocks_per_group), 4, 65536);
    put_number(image.base + 1024 + offsetof(struct ext2dax_disk_super, frags_per_group), 4, 65536);
    refused(&image, 0, EXT2DAX_EUCLEAN, "blocks per group");
    unload(&image);
    image = load(kind_named("meta-groups"));
    put_number(image.base + 1024 + offsetof(struct ext2dax_disk_super, first_meta_bg), 4, 4);
    refused(&image, 0, EXT2DAX_EUCLEAN, "first meta group");
    unload(&image);
}
END_TEST

START_TEST(descriptor_checks)
{
    struct image image = load(kind_named("small-groups"));
    struct ext2dax_mount *mount;
    struct ext2dax_disk_group *descriptor, good;
    uint32_t first, blocks, table_blocks, head;

    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    descriptor = e2d_descriptor(mount, 3);
    first = e2d_group_first(mount, 3);
    blocks = e2d_group_blocks(mount, 3);
    table_blocks = e2d_table_blocks(mount);
    head = e2d_group_head(mount, 3);
    ck_assert_uint_gt(head, 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    good = *descriptor;

#define BAD(member, convert, value, field)                                                                             \
    do {                                                                                                               \
        descriptor->member = convert(value);                                                                           \
        refused(&image, 0, EXT2DAX_EUCLEAN, field);                                                                    \
        refused(&image, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, field);                                              \
        ck_assert_str_eq(plug.report[0].structure, "group");                                                           \
        ck_assert_uint_eq(plug.report[0].number, 3);                                                                   \
        *descriptor = good;                                                                                            \
    } while (0)

    BAD(block_bitmap, e2d_le32, first - 1, "block bitmap");
    BAD(block_bitmap, e2d_le32, first, "block bitmap"); /* a copy of the superblock */
    BAD(block_bitmap, e2d_le32, first + head - 1, "block bitmap");
    BAD(block_bitmap, e2d_le32, first + blocks, "block bitmap");
    BAD(block_bitmap, e2d_le32, 0, "block bitmap");
    BAD(block_bitmap, e2d_le32, UINT32_MAX, "block bitmap");
    BAD(block_bitmap, e2d_le32, e2d_get32(good.inode_bitmap), "inode bitmap");
    BAD(block_bitmap, e2d_le32, e2d_get32(good.inode_table), "block bitmap");
    BAD(block_bitmap, e2d_le32, e2d_get32(good.inode_table) + table_blocks - 1, "block bitmap");
    BAD(inode_bitmap, e2d_le32, first - 1, "inode bitmap");
    BAD(inode_bitmap, e2d_le32, first + blocks, "inode bitmap");
    BAD(inode_bitmap, e2d_le32, e2d_get32(good.inode_table), "inode bitmap");
    BAD(inode_bitmap, e2d_le32, e2d_get32(good.inode_table) + table_blocks - 1, "inode bitmap");
    BAD(inode_table, e2d_le32, first + blocks - table_blocks + 1, "inode table");
    BAD(inode_table, e2d_le32, first + blocks - 1, "inode table");
    BAD(inode_table, e2d_le32, first, "inode table");
    BAD(inode_table, e2d_le32, UINT32_MAX, "inode table");
#undef BAD

/* Wrong counters do not prevent a read-only mount. */
#define BAD(member, value, field)                                                                                      \
    do {                                                                                                               \
        descriptor->member = e2d_le16(value);                                                                          \
        refused(&image, 0, EXT2DAX_EUCLEAN, field);                                                                    \
        ck_assert_str_eq(plug.report[0].structure, "group");                                                           \
        ck_assert_uint_eq(plug.report[0].number, 3);                                                                   \
        told(&image, field, value);                                                                                    \
        *descriptor = good;                                                                                            \
    } while (0)

    BAD(free_blocks, e2d_get16(good.free_blocks) + 1u, "free block count");
    BAD(free_blocks, 0xFFFF, "free block count");
    BAD(free_inodes, e2d_get16(good.free_inodes) + 1u, "free inode count");
    BAD(used_dirs, 0xFFFF, "directory count");
#undef BAD
    /* A read-only mount with wrong counters cannot be remounted read-write either. */
    descriptor->free_blocks = e2d_le16(0xFFFF);
    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    ck_assert_int_eq(ext2dax_remount(mount, 0), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    *descriptor = good;
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

/* ---- the root ---- */

START_TEST(root_must_be_a_directory)
{
    struct image image = load(kind_named("1K"));
    struct ext2dax_disk_inode *root = inode_at(&image, EXT2DAX_ROOT_INODE), good = *root;

    root->mode = e2d_le16(0);
    refused(&image, 0, EXT2DAX_EUCLEAN, "mode");
    root->mode = e2d_le16(EXT2DAX_S_IFREG | 0755);
    refused(&image, 0, EXT2DAX_EUCLEAN, "mode");
    root->mode = e2d_le16(0xF000);
    refused(&image, EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, "mode");
    *root = good;
    root->links = e2d_le16(0);
    refused(&image, 0, EXT2DAX_EUCLEAN, "link count");
    *root = good;
    root->size = e2d_le32(0);
    refused(&image, 0, EXT2DAX_EUCLEAN, "size");
    root->size = e2d_le32(1025);
    refused(&image, 0, EXT2DAX_EUCLEAN, "size");
    *root = good;
    root->block[0] = e2d_le32(0);
    refused(&image, 0, EXT2DAX_EUCLEAN, "block pointer");
    root->block[0] = e2d_le32(1);
    refused(&image, 0, EXT2DAX_EUCLEAN, "block pointer");
    root->block[0] = e2d_le32(8192);
    refused(&image, 0, EXT2DAX_EUCLEAN, "block pointer");
    *root = good;
    ck_assert(unchanged(&image));
    unload(&image);
}
END_TEST

/* ---- the ownership scan ---- */

static bool reported(uint64_t number, uint32_t block)
{
    for (unsigned i = 0; i < plug.reports && i < REPORTS; i++) {
        if (plug.report[i].number == number && plug.report[i].value == block &&
            strcmp(plug.report[i].field, "block pointer") == 0)
            return true;
    }
    return false;
}

static void scan_refuses(const struct image *image, uint32_t owner, uint32_t other, uint32_t block)
{
    refused(image, EXT2DAX_MOUNT_VERIFY, EXT2DAX_EUCLEAN, "block pointer");
    ck_assert(reported(owner, block));
    ck_assert(other == 0 || reported(other, block));
    refused(image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, "block pointer");
    accepted(image, EXT2DAX_MOUNT_READ_ONLY); /* not detected without the scan */
}

/* An inode in use and marked free can be reached by name, so the scan must visit the inode. */
START_TEST(scan_of_unmarked_inodes)
{
    struct image image = load(kind_named("4K"));
    struct ext2dax_mount *mount;
    uint8_t *map;

    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    map = e2d_inode_bitmap(mount, 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    accepted(&image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY);
    map[10 / 8] &= (uint8_t) ~(1u << 10 % 8); /* inode 11 */
    refused(&image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY, EXT2DAX_EUCLEAN, "link count");
    refused(&image, EXT2DAX_MOUNT_VERIFY, EXT2DAX_EUCLEAN, "link count");
    accepted(&image, EXT2DAX_MOUNT_READ_ONLY); /* not detected without the scan */
    unload(&image);
}
END_TEST

START_TEST(scan_of_owners)
{
    static const char *const names[] = {"1K", "4K", "64K", "revision-0"};
    struct image image = load(kind_named(names[_i]));
    struct ext2dax_disk_inode *root = inode_at(&image, EXT2DAX_ROOT_INODE);
    struct ext2dax_disk_inode *lost = inode_at(&image, 11), good = *lost, good_root = *root;
    uint32_t block_size = 1024u << e2d_get32(super_of(&image)->log_block_size);
    uint32_t blocks = e2d_get32(super_of(&image)->blocks_count), own = e2d_get32(lost->block[0]);
    uint32_t mine = e2d_get32(root->block[0]), table, spare, slot = EXT2DAX_DIRECT - 1;
    struct ext2dax_mount *mount;
    struct ext2dax_le32 *pointers;
    uint8_t *bitmap;

    accepted(&image, EXT2DAX_MOUNT_VERIFY);
    ck_assert_int_eq(try_mount(&image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    table = e2d_get32(e2d_descriptor(mount, 0)->inode_table);
    bitmap = e2d_block_bitmap(mount, 0);
    for (spare = blocks - 2; e2d_bit(bitmap, (spare - mount->first_data_block) % mount->blocks_per_group); spare--)
        continue;
    bitmap += (spare - mount->first_data_block) / 8;
    ck_assert_uint_lt(spare - mount->first_data_block, mount->blocks_per_group);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    pointers = (struct ext2dax_le32 *)(void *)(image.base + (size_t)spare * block_size);

    /*
     * Two inodes with the same block, the same inode twice, both in reverse order, metadata, a
     * block outside, a block marked free.
     */
    lost->block[slot] = e2d_le32(mine);
    scan_refuses(&image, 11, 2, mine);
    lost->block[slot] = e2d_le32(own);
    scan_refuses(&image, 11, 11, own);
    *lost = good;
    root->block[slot] = e2d_le32(own);
    scan_refuses(&image, 2, 0, own); /* past the end of the root, which is scanned first */
    root->size = e2d_le32(EXT2DAX_DIRECT * block_size);
    scan_refuses(&image, 11, 2, own);
    *root = good_root;
    lost->block[slot] = e2d_le32(table);
    scan_refuses(&image, 11, 0, table);
    lost->block[slot] = e2d_le32(blocks);
    scan_refuses(&image, 11, 0, blocks);
    lost->block[slot] = e2d_le32(spare);
    scan_refuses(&image, 11, 0, spare);
    *lost = good;

    /*
     * The other cases need a pointer block, here the spare block, marked used. The counts no longer
     * match, so only read-only mounts succeed.
     */
    *bitmap |= (uint8_t)(1u << ((spare - (block_size == 1024)) % 8));
    for (unsigned depth = 1; depth <= 3; depth++) {
        lost->block[EXT2DAX_DIRECT + depth - 1] = e2d_le32(spare);
        accepted(&image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY);
        pointers[block_size / 4 - 1] = e2d_le32(spare); /* a loop */
        scan_refuses(&image, 11, 11, spare);
        pointers[block_size / 4 - 1] = e2d_le32(mine);
        scan_refuses(&image, 11, 2, mine);
        pointers[block_size / 4 - 1] = e2d_le32(UINT32_MAX);
        scan_refuses(&image, 11, 0, UINT32_MAX);
        pointers[block_size / 4 - 1] = e2d_le32(0);
        *lost = good;
    }

    /* An attribute block may be shared between inodes, but not with a block tree. */
    lost->file_acl = root->file_acl = e2d_le32(spare);
    accepted(&image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY);
    root->file_acl = e2d_le32(0);
    lost->file_acl = e2d_le32(mine);
    scan_refuses(&image, 11, 2, mine);
    lost->file_acl = e2d_le32(table);
    scan_refuses(&image, 11, 0, table);
    *lost = good;

    /*
     * The resize inode may own metadata. Its pointers are not followed, though each pointer of this
     * block leads back to the block.
     */
    if (e2d_get32(super_of(&image)->compat) & EXT2DAX_COMPAT_RESIZE_INODE) {
        struct ext2dax_disk_inode *resize = inode_at(&image, EXT2DAX_RESIZE_INODE);
        struct ext2dax_le32 *last;

        table +=
            e2d_get32(super_of(&image)->inodes_per_group) * e2d_get16(super_of(&image)->inode_size) / block_size - 1;
        last = (struct ext2dax_le32 *)(void *)(image.base + (size_t)table * block_size);
        for (uint32_t i = 0; i < block_size / 4; i++)
            last[i] = e2d_le32(table);
        resize->block[EXT2DAX_TIND] = e2d_le32(table);
        accepted(&image, EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_READ_ONLY);
    }

    /* A fast symlink has no block pointers, nor has a device. */
    lost->block[slot] = e2d_le32(mine);
    lost->mode = e2d_le16(EXT2DAX_S_IFLNK | 0777);
    lost->sectors = e2d_le32(0);
    accepted(&image, EXT2DAX_MOUNT_VERIFY);
    lost->mode = e2d_le16(EXT2DAX_S_IFBLK | 0777);
    accepted(&image, EXT2DAX_MOUNT_VERIFY);
    lost->mode = e2d_le16(EXT2DAX_S_IFLNK | 0777);
    lost->sectors = e2d_le32(block_size / 512);
    scan_refuses(&image, 11, 2, mine);
    unload(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refuse");
    TCase *tcase = add_case(suite, "refuse", 60);

    tcase_add_test(tcase, not_an_image);
    tcase_add_test(tcase, cut_short);
    tcase_add_test(tcase, group_too_short_for_its_metadata);
    tcase_add_test(tcase, unknown_features_by_class);
    tcase_add_test(tcase, unclean_is_for_reading);
    tcase_add_test(tcase, superblock_checks);
    tcase_add_test(tcase, descriptor_checks);
    tcase_add_test(tcase, root_must_be_a_directory);
    tcase_add_loop_test(tcase, scan_of_owners, 0, 4);
    tcase_add_test(tcase, scan_of_unmarked_inodes);
    return run_on_images(suite, false);
}
