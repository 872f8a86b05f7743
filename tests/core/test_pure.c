/* SPDX-License-Identifier: MIT */
/*
 * Compares the pure helpers with the simplest equivalent. Bits one by one, division by the
 * operator, and trees by counting.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/version.h"

#include "base/bitmap.h"
#include "base/divide.h"
#include "base/time.h"
#include "base/endian.h"
#include "disk/attributes.h"
#include "disk/group.h"
#include "tree/block_path.h"
#include "disk/super.h"

#include "../runner.h"

/* Check records each of its assertions, too slow for millions of assertions. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg("%s", #condition);                                                                            \
    } while (0)

static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* ---- bitmap ---- */

#define MAP_BYTES 96u

static bool plain_bit(const uint8_t *map, uint32_t n)
{
    return (map[n / 8] >> (n % 8)) % 2 == 1;
}

static uint32_t plain_next(const uint8_t *map, uint32_t from, uint32_t end, bool set)
{
    while (from < end && plain_bit(map, from) != set)
        from++;
    return from < end ? from : end;
}

/*
 * Returns a random bitmap of `bits` bits. The bitmap ends at a page without access, so a load past
 * its end aborts the test, and starts at any alignment. The bits are mostly ones, mostly zeroes, or
 * mixed.
 */
static uint8_t *random_map(uint32_t bits)
{
    static uint8_t *area;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint32_t bytes = (bits + 7) / 8, kind = random32() % 4, i;
    uint8_t *map;

    if (!area) {
        area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT(area != MAP_FAILED && mprotect(area + page, page, PROT_NONE) == 0);
    }
    map = area + page - bytes;
    for (i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)random32();

        if (kind == 0)
            byte = 0xFF;
        else if (kind == 1)
            byte = 0;
        if (kind < 2 && random32() % 32 == 0)
            byte ^= (uint8_t)(1u << (random32() % 8));
        map[i] = byte;
    }
    return map;
}

START_TEST(bitmap_reads_as_one_bit_at_a_time)
{
    for (int round = 0; round < 20000; round++) {
        uint32_t bits = 1 + random32() % (MAP_BYTES * 8);
        uint32_t from = random32() % (bits + 1), end = from + random32() % (bits - from + 1), clear = 0;
        uint8_t *map = random_map(bits);

        for (uint32_t i = from; i < end; i++) {
            EXPECT(e2d_bit(map, i) == plain_bit(map, i));
            clear += !plain_bit(map, i);
        }
        EXPECT(e2d_next_clear(map, from, end) == plain_next(map, from, end, false));
        EXPECT(e2d_next_set(map, from, end) == plain_next(map, from, end, true));
        EXPECT(e2d_count_clear(map, from, end) == clear);
    }
}
END_TEST

START_TEST(bitmap_empty_ranges)
{
    uint8_t map[4] = {0x0F, 0xF0, 0xFF, 0};
    uint8_t before[4];

    memcpy(before, map, sizeof(map));
    for (uint32_t at = 0; at < 32; at++) {
        ck_assert_uint_eq(e2d_next_set(map, at, at), at);
        ck_assert_uint_eq(e2d_next_clear(map, at, at), at);
        ck_assert_uint_eq(e2d_count_clear(map, at, at), 0);
        e2d_set_bits(map, at, at);
        e2d_clear_bits(map, at, at);
        ck_assert_mem_eq(map, before, sizeof(map));
    }
}
END_TEST

START_TEST(bitmap_stores_as_one_bit_at_a_time)
{
    for (int round = 0; round < 20000; round++) {
        uint32_t bits = 1 + random32() % (MAP_BYTES * 8);
        uint32_t from = random32() % (bits + 1), end = from + random32() % (bits - from + 1);
        bool set = random32() % 2;
        uint8_t expected[MAP_BYTES];
        uint8_t *map = random_map(bits);

        memcpy(expected, map, (bits + 7) / 8);
        for (uint32_t i = from; i < end; i++) {
            if (set)
                expected[i / 8] |= (uint8_t)(1u << (i % 8));
            else
                expected[i / 8] &= (uint8_t) ~(1u << (i % 8));
        }
        if (set)
            e2d_set_bits(map, from, end);
        else
            e2d_clear_bits(map, from, end);
        EXPECT(memcmp(map, expected, (bits + 7) / 8) == 0);
    }
}
END_TEST

/* ---- division ---- */

static void divides(uint32_t n, uint32_t d)
{
    if (e2d_divide(n, d, e2d_reciprocal(d)) != n / d)
        ck_abort_msg("%u / %u", n, d);
}

/* Sets the bit with the largest number, in a bitmap of 512 MiB of which few pages are accessed. */
START_TEST(the_largest_bit)
{
    uint8_t *map = sizeof(size_t) > 4 ? calloc(1, (size_t)1 << 29) : NULL;

    if (!map)
        return;
    e2d_set_bit(map, UINT32_MAX);
    e2d_set_bit(map, UINT32_MAX);
    e2d_set_bit(map, 9);
    ck_assert(e2d_bit(map, UINT32_MAX) && !e2d_bit(map, UINT32_MAX - 1));
    ck_assert_uint_eq(map[0], 0);
    ck_assert_uint_eq(map[1], 2);
    ck_assert_uint_eq(map[((size_t)1 << 29) - 1], 0x80);
    free(map);
}
END_TEST

START_TEST(division_is_exact)
{
    for (uint32_t d = 1; d < 2000; d++) {
        EXPECT(e2d_reciprocal(d) == (d == 1 ? UINT32_MAX : (uint32_t)(((uint64_t)1 << 32) / d)));
        for (uint32_t n = 0; n < 400; n++) {
            divides(n, d);
            divides(UINT32_MAX - n, d);
        }
    }
    /* Values around every power of two, as numerator and as divisor. */
    for (unsigned k = 0; k < 32; k++) {
        for (uint32_t j = 0; j < 5; j++) {
            uint32_t d = ((uint32_t)1 << k) + j - 2;

            if (d == 0 || (k < 2 && d > 8))
                continue;
            for (unsigned i = 0; i < 32; i++) {
                for (uint32_t off = 0; off < 5; off++)
                    divides(((uint32_t)1 << i) + off - 2, d);
            }
            divides(UINT32_MAX, d);
            divides(UINT32_MAX - UINT32_MAX % d, d);
            divides(UINT32_MAX - UINT32_MAX % d - 1, d);
        }
    }
    for (int round = 0; round < 300000; round++) {
        uint32_t d = random32() >> random32() % 32, n = random32() >> random32() % 32;

        if (d == 0)
            d = 1;
        divides(n, d);
        divides(n - n % d, d);
        divides(n - n % d - 1, d);
    }
}
END_TEST

/* ---- path ---- */

static struct ext2dax_mount *geometry(unsigned block_shift)
{
    static struct ext2dax_mount m;
    uint64_t p;

    m.block_shift = block_shift;
    m.block_size = (uint32_t)1 << block_shift;
    m.pointer_shift = block_shift - 2;
    m.pointers = m.block_size / 4;
    p = m.pointers;
    m.tree_blocks = 12 + p + p * p + p * p * p;
    return &m;
}

/*
 * Checks the path of a logical block. Computes the block number again from depth, slot and indices
 * by multiplication.
 */
static void path_is_right(const struct ext2dax_mount *m, uint64_t logical)
{
    uint64_t p = m->pointers, base[4] = {0, 12, 12 + p, 12 + p + p * p}, again = 0;
    unsigned depth = logical < 12 ? 0 : logical < base[2] ? 1 : logical < base[3] ? 2 : 3;
    struct e2d_path path;

    EXPECT(e2d_path(m, logical, &path));
    EXPECT(path.depth == depth);
    if (depth == 0) {
        EXPECT(path.slot == logical);
        EXPECT(path.leaf_first == 0);
        EXPECT(path.leaf_count == 12);
        return;
    }
    EXPECT(path.slot == 11 + depth);
    for (unsigned i = 0; i < depth; i++) {
        EXPECT(path.index[i] < p);
        again = again * p + path.index[i];
    }
    EXPECT(base[depth] + again == logical);
    EXPECT(path.leaf_count == p);
    EXPECT((path.leaf_first - base[depth]) % p == 0);
    EXPECT(path.leaf_first + path.index[depth - 1] == logical);
}

START_TEST(path_at_every_boundary)
{
    const struct ext2dax_mount *m = geometry((unsigned)_i);
    uint64_t p = m->pointers, spans[] = {1, p, p * p};
    uint64_t starts[] = {0, 12, 12 + p, 12 + p + p * p, m->tree_blocks};
    struct e2d_path path;

    for (unsigned s = 0; s < 5; s++) {
        for (unsigned k = 0; k < 3; k++) {
            for (uint64_t multiple = 0; multiple < 4; multiple++) {
                for (uint64_t off = 0; off < 3; off++) {
                    uint64_t up = starts[s] + multiple * spans[k] + off - 1;
                    uint64_t down = starts[s] - multiple * spans[k] + off - 1;

                    if (up < m->tree_blocks)
                        path_is_right(m, up);
                    if (down < m->tree_blocks)
                        path_is_right(m, down);
                }
            }
        }
    }
    for (int round = 0; round < 20000; round++)
        path_is_right(m, (((uint64_t)random32() << 32) | random32()) % m->tree_blocks);

    ck_assert(!e2d_path(m, m->tree_blocks, &path));
    ck_assert(!e2d_path(m, m->tree_blocks + 1, &path));
    ck_assert(!e2d_path(m, (uint64_t)1 << 43, &path));
    ck_assert(!e2d_path(m, UINT64_MAX, &path));

    ck_assert_uint_eq(e2d_path_base(m, EXT2DAX_IND), 12);
    ck_assert_uint_eq(e2d_path_base(m, EXT2DAX_DIND), 12 + p);
    ck_assert_uint_eq(e2d_path_base(m, EXT2DAX_TIND), 12 + p + p * p);
    ck_assert_uint_eq(e2d_path_span(m, 0), 1);
    ck_assert_uint_eq(e2d_path_span(m, 3), p * p * p);
}
END_TEST

/* ---- groups ---- */

/*
 * Descriptor blocks follow every superblock copy below the first meta group. From the first meta
 * group on, each meta group has a single descriptor block, with copies in three of its groups.
 */
START_TEST(heads_around_the_first_meta_group)
{
    struct ext2dax_mount *m = geometry(10);

    m->first_data_block = 1;
    m->blocks_per_group = 256;
    m->groups = 100;
    m->blocks = 1 + 100 * 256;
    m->descriptors_shift = 5;
    m->descriptor_blocks = 4;
    m->sparse_super = true;
    for (m->first_meta_group = 0; m->first_meta_group <= 4; m->first_meta_group++) {
        static const uint32_t copies[] = {0, 1, 3, 5, 7, 9, 25, 27, 49, 81};

        for (uint32_t group = 0, next = 0; group < m->groups; group++) {
            bool copy = next < sizeof(copies) / sizeof(copies[0]) && group == copies[next];
            bool before = group / 32 < m->first_meta_group;
            bool own = !before && (group % 32 == 0 || group % 32 == 1 || group % 32 == 31);
            uint32_t home = group / 32 * 32;

            next += copy;
            EXPECT(e2d_has_super(m, group) == copy);
            EXPECT(e2d_group_head(m, group) == copy + own + (copy && before ? m->first_meta_group : 0));
            EXPECT(e2d_descriptor_block(m, group) ==
                   (before ? 2 + group / 32 : 1 + home * 256 + (home == 0 ? 1u : 0u)));
        }
    }
    m->first_meta_group = UINT32_MAX;
    m->reserved_descriptors = 9;
    ck_assert_uint_eq(e2d_group_head(m, 0), 1 + 4 + 9);
    ck_assert_uint_eq(e2d_group_head(m, 2), 0);
    ck_assert_uint_eq(e2d_group_head(m, 49), 1 + 4 + 9);
    ck_assert_uint_eq(e2d_descriptor_block(m, 99), 2 + 3);
    m->sparse_super = false;
    ck_assert_uint_eq(e2d_group_head(m, 2), 1 + 4 + 9);
}
END_TEST

START_TEST(copies_of_the_superblock)
{
    struct ext2dax_mount *m = geometry(10);
    uint32_t group = 0;

    m->sparse_super = true;
    for (group = 0; group < 200000; group++) {
        uint32_t rest = group;

        for (unsigned base = 3; base <= 7 && rest > 1; base += 2) {
            for (rest = group; rest % base == 0 && rest > 1;)
                rest /= base;
        }
        EXPECT(e2d_has_super(m, group) == (group <= 1 || rest == 1));
    }
    ck_assert(e2d_has_super(m, 3486784401u)); /* 3^20, the largest power of 3 below 2^32 */
    ck_assert(!e2d_has_super(m, 3486784402u));
    ck_assert(!e2d_has_super(m, UINT32_MAX));
}
END_TEST

/* ---- limits ---- */

START_TEST(largest_file_of_each_block_size)
{
    static const uint64_t linux_says[] = {17247252480,   275415851008,  2196873666560, 2197948973056,
                                          2198486220800, 2198754754560, 2198888906752};

    for (uint32_t i = 0; i < 7; i++)
        ck_assert_uint_eq(e2d_super_max_size(10 + i), linux_says[i]);
}
END_TEST

/* ---- messages ---- */

START_TEST(errors_in_words)
{
    static const int known[] = {1,  2,  5,  6,  11, 12, 14, 16, 17, 18, 20, 21, 22,
                                27, 28, 30, 31, 34, 36, 39, 40, 61, 75, 95, 117};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        ck_assert_str_ne(ext2dax_strerror(known[i]), "unknown error");
        ck_assert_str_eq(ext2dax_strerror(-known[i]), ext2dax_strerror(known[i]));
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(ext2dax_strerror(known[i]), ext2dax_strerror(known[j]));
    }
    ck_assert_str_eq(ext2dax_strerror(3), "unknown error");
    ck_assert_str_eq(ext2dax_strerror(INT32_MIN), "unknown error");
    ck_assert_str_eq(ext2dax_strerror(INT32_MAX), "unknown error");
    ck_assert_str_eq(ext2dax_strerror(0), "success");
}
END_TEST

START_TEST(reports_as_text)
{
    static const char whole[] = "inode 12: block pointer 4096: is metadata";
    struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, "inode", 12, "block pointer", 4096,
                                    "is metadata"};
    char buffer[sizeof(whole) + 8];

    for (size_t size = 0; size <= sizeof(whole) + 4; size++) {
        memset(buffer, '#', sizeof(buffer));
        ck_assert_uint_eq(ext2dax_report_text(&report, buffer, size), sizeof(whole) - 1);
        if (size > 0) {
            size_t kept = size <= sizeof(whole) - 1 ? size - 1 : sizeof(whole) - 1;

            ck_assert_mem_eq(buffer, whole, kept);
            ck_assert_int_eq(buffer[kept], '\0');
        }
        ck_assert_int_eq(buffer[size > sizeof(whole) ? sizeof(whole) : size], '#');
    }
    ck_assert_uint_eq(ext2dax_report_text(&report, NULL, 0), sizeof(whole) - 1);

    report = (struct ext2dax_report){EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, "block", UINT64_MAX, NULL, 0, NULL};
    ck_assert_uint_eq(ext2dax_report_text(&report, buffer, sizeof(buffer)), 6 + 20 + 2 + 18);
    ck_assert_str_eq(buffer, "block 18446744073709551615: input/output error");
    report.number = 0;
    (void)ext2dax_report_text(&report, buffer, sizeof(buffer));
    ck_assert_str_eq(buffer, "block 0: input/output error");
}
END_TEST

START_TEST(version_is_the_headers)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "%d.%d.%d", EXT2DAX_VERSION_MAJOR, EXT2DAX_VERSION_MINOR,
             EXT2DAX_VERSION_PATCH);
    ck_assert_str_eq(ext2dax_version(), expected);
}
END_TEST

static int64_t clock_value;
static int64_t clock_of_test(void *ctx)
{
    (void)ctx;
    return clock_value;
}

START_TEST(time_is_never_an_inode_number)
{
    struct ext2dax_mount *m = geometry(12);

    m->inodes = 5000;
    m->host_ops.now = NULL;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 5000);
    m->host_ops.now = clock_of_test;
    clock_value = -1;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 5000);
    clock_value = 4999;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 5000);
    clock_value = 5001;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 5001);
    clock_value = 0x80000000;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 0x80000000u);
    clock_value = (int64_t)1 << 40;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 0xFFFFFFFFu);
    m->inodes = 0xF0000000u;
    clock_value = 5001;
    ck_assert_uint_eq(e2d_dtime(m, e2d_now(m)), 0xF0000000u);
}
END_TEST

/* Each row has a device number and the first two block pointers. */
START_TEST(device_numbers_as_in_the_image)
{
    static const struct {
        uint32_t major, minor, old, new;
    } rows[] = {
        {1, 3, 0x103, 0},
        {255, 255, 0xFFFF, 0},
        {0, 0, 0, 0},
        {0, 1, 1, 0},
        {256, 0, 0, 0x10000},
        {0, 256, 0, 0x100000},
        {8, 0x12345, 0, 0x12300845},
        {4095, 1048575, 0, 0xFFFFFFFF},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ext2dax_disk_inode disk = {.mode = e2d_le16(EXT2DAX_S_IFCHR)};
        struct ext2dax_inode inode = {.mount = geometry(12), .disk = &disk, .mode = EXT2DAX_S_IFCHR};
        struct ext2dax_stat figures;

        inode.mount->inode_size = sizeof(disk);
        e2d_fill_device(&disk, rows[i].major, rows[i].minor);
        ck_assert_uint_eq(e2d_get32(disk.block[0]), rows[i].old);
        ck_assert_uint_eq(e2d_get32(disk.block[1]), rows[i].new);
        ext2dax_stat(&inode, &figures, sizeof(figures));
        ck_assert_uint_eq(figures.device_major, rows[i].major);
        ck_assert_uint_eq(figures.device_minor, rows[i].minor);
    }
}
END_TEST

static struct ext2dax_time time_value;
static void fine_clock_of_test(void *ctx, struct ext2dax_time *now)
{
    (void)ctx;
    *now = time_value;
}

START_TEST(present_of_the_host)
{
    struct ext2dax_mount *m = geometry(12);
    struct ext2dax_time now;

    m->host_ops.now = NULL;
    now = e2d_time_decode(e2d_now(m));
    ck_assert_int_eq(now.seconds, 0);
    ck_assert_uint_eq(now.nanoseconds, 0);
    m->host_ops.now = clock_of_test;
    clock_value = 1800000000;
    now = e2d_time_decode(e2d_now(m));
    ck_assert_int_eq(now.seconds, 1800000000);
    ck_assert_uint_eq(now.nanoseconds, 0);
    m->host_ops.time = fine_clock_of_test;
    time_value = (struct ext2dax_time){.seconds = 1900000000, .nanoseconds = 123456789};
    now = e2d_time_decode(e2d_now(m));
    ck_assert_int_eq(now.seconds, 1900000000);
    ck_assert_uint_eq(now.nanoseconds, 123456789);
    time_value.nanoseconds = UINT32_MAX;
    now = e2d_time_decode(e2d_now(m));
    ck_assert_uint_eq(now.nanoseconds, 999999999);
}
END_TEST

/* Each row has a time, the seconds and extra words, and the seconds word without an extra word. */
START_TEST(times_as_in_the_image)
{
    static const struct {
        int64_t seconds;
        uint32_t word, epoch, narrow;
    } rows[] = {
        {INT64_C(-2147483648), 0x80000000, 0, 0x80000000}, /* 1901 */
        {-1, 0xFFFFFFFF, 0, 0xFFFFFFFF},                   /* 1969 */
        {0, 0, 0, 0},
        {INT64_C(2147483647), 0x7FFFFFFF, 0, 0x7FFFFFFF}, /* 2038-01-19 03:14:07 */
        {INT64_C(2147483648), 0x80000000, 1, 0x7FFFFFFF}, /* 2038-01-19 03:14:08 */
        {INT64_C(4294967295), 0xFFFFFFFF, 1, 0x7FFFFFFF}, /* 2106 */
        {INT64_C(4294967296), 0, 1, 0x7FFFFFFF},
        {INT64_C(6442450943), 0x7FFFFFFF, 1, 0x7FFFFFFF}, /* 2174 */
        {INT64_C(6442450944), 0x80000000, 2, 0x7FFFFFFF},
        {INT64_C(10737418240), 0x80000000, 3, 0x7FFFFFFF},
        {INT64_C(15032385535), 0x7FFFFFFF, 3, 0x7FFFFFFF}, /* 2446 */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct e2d_time time =
            e2d_time_encode((struct ext2dax_time){.seconds = rows[i].seconds, .nanoseconds = 999999999});
        struct ext2dax_time back = e2d_time_decode(time);

        ck_assert_uint_eq(time.seconds, rows[i].word);
        ck_assert_uint_eq(time.extra, rows[i].epoch | 999999999u << 2);
        ck_assert_uint_eq(e2d_time_narrow(time), rows[i].narrow);
        ck_assert_int_eq(back.seconds, rows[i].seconds);
        ck_assert_uint_eq(back.nanoseconds, 999999999);
    }
}
END_TEST

START_TEST(times_out_of_range)
{
    static const int64_t early[] = {INT64_MIN, INT64_C(-2147483649)};
    static const int64_t late[] = {INT64_C(15032385536), INT64_MAX};

    for (int i = 0; i < 2; i++) {
        struct ext2dax_time first =
            e2d_time_decode(e2d_time_encode((struct ext2dax_time){.seconds = early[i], .nanoseconds = 5}));
        struct ext2dax_time last =
            e2d_time_decode(e2d_time_encode((struct ext2dax_time){.seconds = late[i], .nanoseconds = 5}));

        ck_assert_int_eq(first.seconds, INT64_C(-2147483648));
        ck_assert_uint_eq(first.nanoseconds, 0);
        ck_assert_int_eq(last.seconds, INT64_C(15032385535));
        ck_assert_uint_eq(last.nanoseconds, 999999999);
    }
    ck_assert_uint_eq(e2d_time_decode((struct e2d_time){7, 1000000000u << 2}).nanoseconds, 0);
    ck_assert_uint_eq(e2d_time_decode((struct e2d_time){7, 999999999u << 2}).nanoseconds, 999999999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pure");
    TCase *one = add_case(suite, "helpers", 60);

    tcase_add_test(one, the_largest_bit);
    tcase_add_test(one, bitmap_reads_as_one_bit_at_a_time);
    tcase_add_test(one, bitmap_empty_ranges);
    tcase_add_test(one, bitmap_stores_as_one_bit_at_a_time);
    tcase_add_test(one, division_is_exact);
    tcase_add_loop_test(one, path_at_every_boundary, 10, 17);
    tcase_add_test(one, heads_around_the_first_meta_group);
    tcase_add_test(one, copies_of_the_superblock);
    tcase_add_test(one, largest_file_of_each_block_size);
    tcase_add_test(one, errors_in_words);
    tcase_add_test(one, reports_as_text);
    tcase_add_test(one, version_is_the_headers);
    tcase_add_test(one, time_is_never_an_inode_number);
    tcase_add_test(one, device_numbers_as_in_the_image);
    tcase_add_test(one, present_of_the_host);
    tcase_add_test(one, times_as_in_the_image);
    tcase_add_test(one, times_out_of_range);
    return run_suite(suite);
}
