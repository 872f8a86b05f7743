/* SPDX-License-Identifier: MIT */
/*
 * The core's mkfs, with checks of sizes, refusals, and the order of stores. test_format_outside.c
 * has the checks by e2fsck and by Linux.
 */
#include <check.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ext2dax/error.h"
#include "ext2dax/format.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

#include "../emulated.h"
#include "../runner.h"
#include "formatted.h"
#include "outside.h"

static uint32_t get32(struct ext2dax_le32 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint32_t get16(struct ext2dax_le16 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return (uint32_t)(p[0] | p[1] << 8);
}

static const struct ext2dax_disk_super *super_of(const void *base)
{
    return (const void *)((const uint8_t *)base + EXT2DAX_SUPER_OFFSET);
}

/* ---- memory with a record of stores ---- */

/*
 * Memory ops with a record. `durable` holds the bytes written back, `base` the bytes stored.
 * Operation number `fail_at`, counted from 1, returns EIO, and nothing may reach the memory
 * afterwards.
 */
struct watch {
    uint8_t *base, *durable;
    size_t size;
    unsigned ops, fences, fail_at;
    uint64_t stored;     /* bytes zeroed or written back */
    bool magic_too_soon; /* seen in the primary superblock before the last epoch */
    uint8_t *before_magic;
};

static bool has_magic(const void *base)
{
    return get16(super_of(base)->magic) == EXT2DAX_SUPER_MAGIC;
}

static int op(struct watch *w)
{
    w->ops++;
    if (w->fences == 1 && has_magic(w->base))
        w->magic_too_soon = true;
    return w->ops == w->fail_at ? -EXT2DAX_EIO : 0;
}
static int watch_zero(void *ctx, void *at, size_t length)
{
    struct watch *w = ctx;
    size_t offset = (size_t)((uint8_t *)at - w->base);

    ck_assert_uint_le(offset, w->size);
    ck_assert_uint_le(length, w->size - offset);
    memset(at, 0, length);
    if (w->durable)
        memset(w->durable + offset, 0, length);
    w->stored += length;
    return op(w);
}
static int watch_persist(void *ctx, const void *at, size_t length)
{
    struct watch *w = ctx;
    size_t offset = (size_t)((const uint8_t *)at - w->base);

    ck_assert_uint_le(offset, w->size);
    ck_assert_uint_le(length, w->size - offset);
    if (w->durable)
        memcpy(w->durable + offset, at, length);
    w->stored += length;
    return op(w);
}
static int watch_fence(void *ctx)
{
    struct watch *w = ctx;
    int error = op(w);

    w->fences++;
    if (w->fences == 2 && w->before_magic)
        memcpy(w->before_magic, w->durable, w->size);
    return error;
}
static int watch_check(void *ctx, const void *at, size_t length)
{
    (void)at;
    (void)length;
    return op(ctx);
}

static const struct ext2dax_memory_ops watch_ops = {.size = sizeof(watch_ops),
                                                    .zero = watch_zero,
                                                    .persist = watch_persist,
                                                    .fence = watch_fence,
                                                    .check = watch_check};

static void *filled(size_t size, int byte)
{
    void *memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);

    ck_assert_ptr_nonnull(memory);
    memset(memory, byte, size);
    return memory;
}

static bool all_are(const uint8_t *at, size_t length, uint8_t byte)
{
    return length == 0 || (at[0] == byte && memcmp(at, at + 1, length - 1) == 0);
}

/* ---- checks of this file ---- */

START_TEST(the_smallest_image_holds_just_its_metadata)
{
    uint32_t block_size = block_sizes[_i];
    /*
     * Boot block, superblock, descriptors, bitmaps, inode table, two directories. A table of 16
     * inodes is 2 KiB.
     */
    uint32_t smallest = block_size == 1024 ? 9 : 7;
    size_t size = (size_t)smallest * block_size;
    uint8_t *image = filled(size, 0x5A);

    ck_assert_int_eq(make(image, size - 1, block_size, 0, 0), -EXT2DAX_ENOSPC);
    ck_assert(all_are(image, size, 0x5A));
    ck_assert_int_eq(make(image, size, block_size, 0, 0), 0);
    ck_assert_int_eq(ext2dax_check_image(image, size, 0, show, NULL, NULL), 0);
    ck_assert_uint_eq(get32(super_of(image)->free_blocks), 0);
    free(image);
}
END_TEST

START_TEST(the_same_call_makes_the_same_bytes_and_free_blocks_stay_unchanged)
{
    static const size_t shapes[][4] = {{1024, 9000, 0, 0}, {1024, 300, 64, 0},  {2048, 777, 256, 40},
                                       {4096, 500, 0, 0},  {4096, 500, 128, 0}, {65536, 40, 16, 0}};
    uint32_t block_size = (uint32_t)shapes[_i][0];
    size_t size = shapes[_i][1] * block_size + 99;
    uint8_t *one = filled(size, 0x11);
    uint8_t *two = filled(size, 0xEE);
    uint32_t *owners = calloc(shapes[_i][1], sizeof(*owners));
    uint32_t block, free_blocks = 0;

    ck_assert_int_eq(make(one, size, block_size, (uint32_t)shapes[_i][2], (uint32_t)shapes[_i][3]), 0);
    ck_assert_int_eq(make(two, size, block_size, (uint32_t)shapes[_i][2], (uint32_t)shapes[_i][3]), 0);
    ck_assert_int_eq(ext2dax_check_image(one, size, 0, show, NULL, owners), 0);
    for (block = 0; block < get32(super_of(one)->blocks_count); block++) {
        const uint8_t *a = one + (size_t)block * block_size;
        const uint8_t *b = two + (size_t)block * block_size;

        if (owners[block] != EXT2DAX_OWNER_FREE) {
            ck_assert_msg(memcmp(a, b, block_size) == 0, "block %u differs", block);
            continue;
        }
        free_blocks++;
        ck_assert_msg(all_are(a, block_size, 0x11) && all_are(b, block_size, 0xEE), "free block %u was written", block);
    }
    ck_assert_uint_eq(free_blocks, get32(super_of(one)->free_blocks));
    ck_assert(all_are(one + (size_t)block * block_size, size - (size_t)block * block_size, 0x11));
    free(owners);
    free(one);
    free(two);
}
END_TEST

START_TEST(options_stand_in_the_superblock)
{
    size_t size = 4096 * 1000 + 4095;
    uint8_t *image = filled(size, 0);
    struct ext2dax_memory memory = plain(image, size);
    struct ext2dax_format_options options = {.size = sizeof(options),
                                             .block_size = 1024,
                                             .blocks_per_group = 1024,
                                             .inodes = 333,
                                             .reserved_percent = 7,
                                             .uuid = {1, 2, 3, 4},
                                             .label = "sixteen letters",
                                             .time = 0xFFFFFFFF};
    const struct ext2dax_disk_super *super = super_of(image);
    uint32_t blocks;

    options.label[15] = '!';
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_int_eq(ext2dax_check_image(image, size, 0, show, NULL, NULL), 0);
    blocks = get32(super->blocks_count);
    /* the last group of 930 blocks is kept, the partial block is dropped */
    ck_assert_uint_eq(blocks, 4003);
    ck_assert_uint_eq(get32(super->log_block_size), 0);
    ck_assert_uint_eq(get32(super->blocks_per_group), 1024);
    ck_assert_uint_ge(get32(super->inodes_count), 333);
    ck_assert_uint_lt(get32(super->inodes_count), 333 + 4 * 8);
    ck_assert_uint_eq(get32(super->reserved_blocks), blocks * 7 / 100);
    ck_assert_int_eq(memcmp(super->uuid, options.uuid, 16), 0);
    ck_assert_int_eq(memcmp(super->volume_name, "sixteen letters!", 16), 0);
    ck_assert_uint_eq(get32(super->mkfs_time), 0xFFFFFFFF);
    ck_assert_uint_eq(get32(super->revision), 1);
    ck_assert_uint_eq(get16(super->state), EXT2DAX_STATE_VALID);
    ck_assert_uint_eq(get32(super->incompat), EXT2DAX_INCOMPAT_FILETYPE);
    ck_assert_uint_eq(get32(super->ro_compat), EXT2DAX_RO_COMPAT_SPARSE_SUPER | EXT2DAX_RO_COMPAT_LARGE_FILE);

    /*
     * A caller compiled against a shorter options struct, or passing none, gets the defaults and a
     * generated UUID.
     */
    options.size = offsetof(struct ext2dax_format_options, inodes);
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_uint_eq(get32(super->blocks_per_group), 1024);
    ck_assert_uint_eq(get32(super->reserved_blocks), 0);
    ck_assert_int_eq(ext2dax_format(&memory, NULL, NULL), 0);
    ck_assert_uint_eq(get32(super->log_block_size), 2);
    ck_assert_int_ne(super->uuid[0], 0);
    free(image);
}
END_TEST

static const struct ext2dax_disk_inode *root_of(const void *base)
{
    const struct ext2dax_disk_super *super = super_of(base);
    size_t block_size = (size_t)1024 << get32(super->log_block_size);
    const struct ext2dax_disk_group *group =
        (const void *)((const uint8_t *)base + (get32(super->first_data_block) + 1) * block_size);

    return (const void *)((const uint8_t *)base + get32(group->inode_table) * block_size + get16(super->inode_size));
}

START_TEST(inodes_features_and_root_as_asked)
{
    size_t size = 4096 * 1000;
    uint8_t *image = filled(size, 0);
    struct ext2dax_memory memory = plain(image, size);
    struct ext2dax_format_options options = {.size = sizeof(options), .uuid = {1}};
    const struct ext2dax_disk_super *super = super_of(image);
    struct ext2dax_le32 seed[4];

    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_uint_eq(get32(super->compat), EXT2DAX_COMPAT_DIR_INDEX | EXT2DAX_COMPAT_EXT_ATTR);
    ck_assert_uint_eq(super->hash_version, EXT2DAX_HASH_HALF_MD4);
    ck_assert_uint_eq(get32(super->flags), EXT2DAX_SUPER_SIGNED_HASH);
    ck_assert_uint_eq(get16(super->inode_size), 256);
    ck_assert_uint_eq(get16(root_of(image)->mode), 040755);
    ck_assert_uint_eq(get16(*(const struct ext2dax_le16 *)(const void *)(root_of(image) + 1)), 32);
    memcpy(seed, super->hash_seed, sizeof(seed));
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_ne(get32(seed[i]), 0);

    /* A similar UUID changes every word of the seed. */
    options.uuid[15] = 1;
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_ne(get32(super->hash_seed[i]), get32(seed[i]));

    options.hash_seed[3] = 0x80;
    options.without = EXT2DAX_COMPAT_DIR_INDEX;
    options.inode_size = 1024;
    options.root_mode = 01777;
    options.root_uid = 0x12345678;
    options.root_gid = 0x9ABCDEF0;
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_int_eq(ext2dax_check_image(image, size, 0, show, NULL, NULL), 0);
    ck_assert_uint_eq(get32(super->compat), EXT2DAX_COMPAT_EXT_ATTR);
    ck_assert_int_eq(memcmp(super->hash_seed, options.hash_seed, 16), 0);
    ck_assert_uint_eq(get16(super->inode_size), 1024);
    ck_assert_uint_eq(get32(super->inodes_count) * 64 * 1024, size / 65536 * 65536 + 65536 * 2);
    ck_assert_uint_eq(get16(root_of(image)->mode), 041777);
    ck_assert_uint_eq(get16(root_of(image)->uid), 0x5678);
    ck_assert_uint_eq(get16(root_of(image)->uid_high), 0x1234);
    ck_assert_uint_eq(get16(root_of(image)->gid), 0xDEF0);
    ck_assert_uint_eq(get16(root_of(image)->gid_high), 0x9ABC);
    free(image);
}
END_TEST

/*
 * Shows groups a whole number of aligned extents apart, for every page size and huge page order.
 * Otherwise huge pages would be impossible.
 */
START_TEST(groups_are_as_long_as_huge_pages_let_them_be)
{
    static const uint32_t longest[] = {8192, 16384, 32768, 63488, 61440, 57344, 49152};
    uint32_t block_size = block_sizes[_i], range = block_size / 4;
    size_t size = (size_t)100 * block_size;
    uint8_t *image = filled(size, 0);

    ck_assert_int_eq(make(image, size, block_size, 0, 0), 0);
    ck_assert_uint_eq(get32(super_of(image)->blocks_per_group), longest[_i]);
    ck_assert_uint_eq(longest[_i] % range, 0);
    ck_assert(longest[_i] == 8 * block_size || longest[_i] + range > 65528);
    free(image);
}
END_TEST

START_TEST(a_last_group_too_small_for_its_metadata_is_left_out)
{
    /* 1 KiB blocks, groups of 256. Group 1 has a superblock copy, group 2 none. */
    static const struct {
        uint32_t blocks, kept;
    } shapes[] = {{257, 257}, {258, 257}, {262, 257}, {263, 263}, {513, 513}, {514, 513}, {516, 513}, {517, 517}};
    unsigned i;

    for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        size_t size = (size_t)shapes[i].blocks * 1024;
        uint8_t *image = filled(size, 0x77);

        ck_assert_int_eq(make(image, size, 1024, 256, 16), 0);
        ck_assert_msg(get32(super_of(image)->blocks_count) == shapes[i].kept, "of %u blocks %u were kept",
                      shapes[i].blocks, get32(super_of(image)->blocks_count));
        ck_assert_int_eq(ext2dax_check_image(image, size, 0, show, NULL, NULL), 0);
        free(image);
    }
}
END_TEST

static int reports;
static char report_line[256];
static void take_report(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    reports++;
    (void)ext2dax_report_text(report, report_line, sizeof(report_line));
}

START_TEST(what_cannot_be_is_refused_by_name_and_changes_nothing)
{
    static const struct ext2dax_host_ops host_ops = {.size = sizeof(host_ops), .log = take_report};
    struct ext2dax_host host = {&host_ops, NULL};
    size_t size = 1 << 20, i;
    uint8_t *image = filled(size, 0x33);
    static const struct {
        struct ext2dax_format_options options;
        int error;
    } cases[] = {
        {{.block_size = 512}, EXT2DAX_EINVAL},
        {{.block_size = 131072}, EXT2DAX_EINVAL},
        {{.block_size = 3072}, EXT2DAX_EINVAL},
        {{.block_size = UINT32_MAX}, EXT2DAX_EINVAL},
        {{.blocks_per_group = 100}, EXT2DAX_EINVAL},
        {{.block_size = 1024, .blocks_per_group = 8200}, EXT2DAX_EINVAL},
        {{.block_size = 65536, .blocks_per_group = 65536}, EXT2DAX_EINVAL},
        {{.block_size = 1024, .blocks_per_group = 8}, EXT2DAX_EINVAL},
        {{.reserved_percent = 51}, EXT2DAX_EINVAL},
        {{.time = -1}, EXT2DAX_EINVAL},
        {{.time = 0x100000000}, EXT2DAX_EINVAL},
        {{.inodes = UINT32_MAX}, EXT2DAX_EINVAL},
        {{.inode_size = 64}, EXT2DAX_EINVAL},
        {{.inode_size = 192}, EXT2DAX_EINVAL},
        {{.inode_size = 8192}, EXT2DAX_EINVAL},
        {{.inode_size = UINT32_MAX}, EXT2DAX_EINVAL},
        {{.block_size = 65536, .inode_size = 65536}, EXT2DAX_EINVAL},
        {{.without = EXT2DAX_COMPAT_RESIZE_INODE}, EXT2DAX_EINVAL},
        {{.root_mode = 010000}, EXT2DAX_EINVAL},
        {{.block_size = 1024, .inodes = 8192}, EXT2DAX_ENOSPC},
    };
    struct ext2dax_memory memory = plain(image, size);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ext2dax_format_options options = cases[i].options;

        options.size = sizeof(options);
        reports = 0;
        ck_assert_msg(ext2dax_format(&memory, &options, &host) == -cases[i].error, "case %zu", i);
        ck_assert_msg(reports == 1, "case %zu: %d reports", i, reports);
    }
    memory.flags = EXT2DAX_MEMORY_READ_ONLY;
    ck_assert_int_eq(ext2dax_format(&memory, NULL, &host), -EXT2DAX_EROFS);
    memory = plain(image + 4, size - 4);
    ck_assert_int_eq(ext2dax_format(&memory, NULL, &host), -EXT2DAX_EINVAL);
    memory = plain(NULL, size);
    ck_assert_int_eq(ext2dax_format(&memory, NULL, &host), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_format(NULL, NULL, NULL), -EXT2DAX_EINVAL);
    memory = plain(image, 0);
    ck_assert_int_eq(ext2dax_format(&memory, NULL, &host), -EXT2DAX_ENOSPC);
#if SIZE_MAX > 0xFFFFFFFFu
    /* Refused before any access to the memory, which is smaller than these sizes. */
    {
        struct ext2dax_format_options options = {.size = sizeof(options), .block_size = 1024};

        memory = plain(image, (size_t)1 << 42);
        ck_assert_int_eq(ext2dax_format(&memory, &options, &host), -EXT2DAX_EOVERFLOW);
        /* block numbers suffice, but the descriptors exceed a group */
        memory = plain(image, ((size_t)1 << 42) - 1024);
        ck_assert_int_eq(ext2dax_format(&memory, &options, &host), -EXT2DAX_EOVERFLOW);
        ck_assert_str_ne(report_line, "");
    }
#endif
    ck_assert(all_are(image, size, 0x33));
    free(image);
}
END_TEST

START_TEST(the_magic_number_comes_last_and_everything_is_written_back)
{
    size_t size = 2000 * 1024, i;
    struct watch w = {.base = filled(size, 0x44), .durable = filled(size, 0x44), .size = size};
    struct ext2dax_memory memory = {&watch_ops, &w, w.base, size, 0};
    struct ext2dax_format_options options = {.size = sizeof(options), .block_size = 1024, .blocks_per_group = 512};
    unsigned changed = 0;

    /* Formats over an older filesystem, so an early magic number would be visible. */
    ck_assert_int_eq(make(w.base, size, 1024, 0, 0), 0);
    memcpy(w.durable, w.base, size);
    w.before_magic = filled(size, 0);
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_uint_eq(w.fences, 3);
    ck_assert(!w.magic_too_soon);
    ck_assert_int_eq(memcmp(w.base, w.durable, size), 0);
    ck_assert(!has_magic(w.before_magic));
    for (i = 0; i < size; i++)
        changed += w.before_magic[i] != w.durable[i];
    ck_assert_uint_eq(changed, 2 * 3); /* in groups 0, 1 and 3 */
    ck_assert_int_eq(ext2dax_check_image(w.base, size, 0, show, NULL, NULL), 0);
    free(w.base);
    free(w.durable);
    free(w.before_magic);
}
END_TEST

START_TEST(failing_memory_leaves_no_filesystem)
{
    size_t size = 1100 * 1024;
    struct watch w = {.base = filled(size, 0), .size = size};
    struct ext2dax_memory memory = {&watch_ops, &w, w.base, size, 0};
    struct ext2dax_format_options options = {.size = sizeof(options), .block_size = 1024, .blocks_per_group = 512};
    unsigned n, all;

    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    all = w.ops;
    ck_assert_uint_gt(all, 15);
    for (n = 1; n <= all; n++) {
        w.ops = w.fences = 0;
        w.fail_at = n;
        ck_assert_int_eq(make(w.base, size, 1024, 0, 0), 0);
        ck_assert_msg(ext2dax_format(&memory, &options, NULL) == -EXT2DAX_EIO, "operation %u failed unnoticed", n);
        /*
         * The last two operations are the magic number's own write-back and fence. The magic number
         * is stored then, but not durable.
         */
        if (n > 1 && n + 3 < all)
            ck_assert_msg(!has_magic(w.base), "operation %u failed, but the image looks like a filesystem", n);
    }
    free(w.base);
}
END_TEST

/* ---- sparse memory ---- */

#define PIECE 1024u

/* Memory that knows the zeroes in it, by pieces, as a sparse file does. */
struct sparse {
    uint8_t *base;
    size_t zeroed, discarded; /* bytes */
    bool refuses;             /* to discard, after damage to the range */
};

static bool piece_is_zero(const uint8_t *at, size_t length)
{
    return all_are(at, length < PIECE ? length : PIECE, 0);
}

static size_t sparse_next_data(void *ctx, const void *at, size_t length, size_t *from)
{
    const uint8_t *bytes = at;
    size_t first = 0, end;

    (void)ctx;
    while (first < length && piece_is_zero(bytes + first, length - first))
        first += PIECE;
    if (first >= length)
        return 0;
    for (end = first; end < length && !piece_is_zero(bytes + end, length - end);)
        end += PIECE;
    *from = first;
    return (end < length ? end : length) - first;
}

static int sparse_zero(void *ctx, void *at, size_t length)
{
    struct sparse *sparse = ctx;

    memset(at, 0, length);
    sparse->zeroed += length;
    return 0;
}

static int sparse_discard(void *ctx, void *at, size_t length)
{
    struct sparse *sparse = ctx;

    memset(at, sparse->refuses ? 0xBB : 0, length);
    sparse->discarded += sparse->refuses ? 0 : length;
    return sparse->refuses ? -EXT2DAX_EOPNOTSUPP : 0;
}

/*
 * Formats memory of three kinds. New memory is not zeroed at all, and old content is discarded, or
 * zeroed where discarding fails. The three images are equal in every block in use.
 */
START_TEST(zeroes_are_not_stored_and_old_content_is_discarded)
{
    static const struct ext2dax_memory_ops ops = {
        .size = sizeof(ops), .zero = sparse_zero, .next_data = sparse_next_data, .discard = sparse_discard};
    struct ext2dax_format_options options = {.size = sizeof(options), .block_size = 1024, .blocks_per_group = 1024};
    size_t size = 5000 * 1024, i;
    struct sparse fresh = {.base = filled(size, 0)}, old = {.base = filled(size, 0x5A)},
                  broken = {.base = filled(size, 0x5A), .refuses = true};
    struct sparse *all[] = {&fresh, &old, &broken};
    uint32_t *owners = calloc(size / 1024, sizeof(*owners)), block, used = 0;

    for (i = 0; i < size; i += 3 * PIECE) /* holes between */
        memset(old.base + i, 0, PIECE);
    for (i = 0; i < 3; i++) {
        struct ext2dax_memory memory = {&ops, all[i], all[i]->base, size, 0};

        ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
        ck_assert_int_eq(ext2dax_check_image(all[i]->base, size, 0, show, NULL, owners), 0);
    }
    for (block = 0; block < get32(super_of(fresh.base)->blocks_count); block++) {
        size_t at = (size_t)block * 1024;

        if (owners[block] == EXT2DAX_OWNER_FREE)
            continue;
        used++;
        ck_assert_msg(memcmp(fresh.base + at, old.base + at, 1024) == 0, "block %u", block);
        ck_assert_msg(memcmp(fresh.base + at, broken.base + at, 1024) == 0, "block %u", block);
    }
    ck_assert_uint_eq(fresh.zeroed + fresh.discarded, 0);
    ck_assert_uint_eq(old.zeroed, 0);
    ck_assert_uint_gt(old.discarded, (size_t)used * 1024 / 2);
    ck_assert_uint_lt(old.discarded, (size_t)used * 1024 * 3 / 4);
    ck_assert_uint_eq(broken.zeroed, (size_t)used * 1024);
    for (i = 0; i < 3; i++)
        free(all[i]->base);
    free(owners);
}
END_TEST

/* Shows 20 GiB in at most 6 MB, new and after every inode table was written to. */
START_TEST(a_sparse_file_stays_sparse)
{
    struct ext2dax_memory memory;
    struct stat st;
    unsigned round;

    if (sizeof(size_t) <= 4 || left_out_emulated("holes of a sparse file, because MAP_SYNC succeeds without effect"))
        return;
    ck_assert_int_eq(ext2dax_memory_open_anonymous("format", (uint64_t)20 << 30, &memory), 0);
    for (round = 0; round < 2; round++) {
        const struct ext2dax_disk_super *super = super_of(memory.base);
        size_t group = (size_t)32768 << 12, at;

        ck_assert_int_eq(ext2dax_format(&memory, NULL, NULL), 0);
        ck_assert_int_eq(fstat(ext2dax_memory_descriptor(&memory), &st), 0);
        ck_assert_msg((uint64_t)st.st_blocks * 512 <= 6000000, "%llu KiB", (unsigned long long)st.st_blocks / 2);
        ck_assert_uint_eq(get32(super->blocks_per_group), 32768);
        for (at = 0; at < memory.size; at += 10 * group) /* the middle of the tables, and more */
            memset((uint8_t *)memory.base + at + (1 << 20), 0x77, 1 << 19);
    }
    ext2dax_memory_close_file(&memory);
}
END_TEST

START_TEST(a_large_image_costs_its_metadata_alone)
{
    size_t size = ((size_t)17 << 30) + 12345;
    uint8_t *image = sizeof(size_t) > 4
                         ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                         : MAP_FAILED;
    struct watch w = {.base = image, .size = size};
    struct ext2dax_memory memory = {&watch_ops, &w, image, size, 0};
    struct ext2dax_format_options options = {.size = sizeof(options), .block_size = 16384, .inodes = 4096};
    uint64_t metadata;

    if (image == MAP_FAILED) {
        puts("no 17 GiB of address space: not tried");
        return;
    }
    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
    ck_assert_int_eq(ext2dax_check_image(image, size, 0, show, NULL, NULL), 0);
    metadata = get32(super_of(image)->blocks_count) - get32(super_of(image)->free_blocks);
    ck_assert_uint_le(w.stored, 2 * metadata * 16384);
    ck_assert_uint_lt(w.stored, 4 << 20);
    (void)munmap(image, size);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tests = add_case(suite, "core", 120);

    tcase_add_loop_test(tests, the_smallest_image_holds_just_its_metadata, 0, BLOCK_SIZES);
    tcase_add_loop_test(tests, the_same_call_makes_the_same_bytes_and_free_blocks_stay_unchanged, 0, 6);
    tcase_add_test(tests, options_stand_in_the_superblock);
    tcase_add_test(tests, inodes_features_and_root_as_asked);
    tcase_add_loop_test(tests, groups_are_as_long_as_huge_pages_let_them_be, 0, BLOCK_SIZES);
    tcase_add_test(tests, a_last_group_too_small_for_its_metadata_is_left_out);
    tcase_add_test(tests, what_cannot_be_is_refused_by_name_and_changes_nothing);
    tcase_add_test(tests, the_magic_number_comes_last_and_everything_is_written_back);
    tcase_add_test(tests, failing_memory_leaves_no_filesystem);
    tcase_add_test(tests, zeroes_are_not_stored_and_old_content_is_discarded);
    tcase_add_test(tests, a_sparse_file_stays_sparse);
    tcase_add_test(tests, a_large_image_costs_its_metadata_alone);
    return run_suite(suite);
}
