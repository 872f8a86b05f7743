/* SPDX-License-Identifier: MIT */
/*
 * Tests attributes and times. Covers inodes of 128 bytes, of 256 bytes, and of 256 bytes with every
 * i_extra_isize.
 */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "base/endian.h"
#include "fixture.h"

#define MIB (1024ull * 1024)

#define YEAR_1901 INT64_C(-2147483648)
#define YEAR_2038 INT64_C(2147483647) /* 03:14:07 on January 19 */
#define YEAR_2040 INT64_C(2208988800)
#define YEAR_2106 INT64_C(4294967296)
#define YEAR_2446 INT64_C(15032385535)
#define YEAR_2026 INT64_C(1767225600)

static struct core_fixture fixture;
static struct ext2dax_inode *file;

static struct ext2dax_disk_inode_tail *tail_of(const struct ext2dax_inode *inode)
{
    return (void *)(inode->disk + 1);
}

/* The ways an inode keeps times, with the i_extra_isize of an inode of 256 bytes. */
static const struct layout {
    uint32_t block_size, extra_isize;
    bool wide;
} layouts[] = {{1024, 0, false}, {4096, 0, false}, {4096, 32, true}};
#define LAYOUTS ((int)(sizeof(layouts) / sizeof(layouts[0])))

/*
 * Opens a filesystem on which new inodes have the i_extra_isize of the layout, and creates a file.
 */
static void open_layout(const struct layout *layout, bool durable)
{
    struct core_fixture_options options = {
        .size = 8 * MIB, .block_size = layout->block_size, .order = EXT2DAX_ORDERED, .durable = durable};
    struct ext2dax_disk_super *super;

    core_fixture_open(&fixture, &options);
    super = (void *)((char *)fixture.memory.base + EXT2DAX_SUPER_OFFSET);
    if (layout->extra_isize != 0)
        super->ro_compat = e2d_le32(e2d_get32(super->ro_compat) | EXT2DAX_RO_COMPAT_EXTRA_ISIZE);
    else
        super->ro_compat = e2d_le32(e2d_get32(super->ro_compat) & ~EXT2DAX_RO_COMPAT_EXTRA_ISIZE);
    super->want_extra_isize = super->min_extra_isize = e2d_le16(layout->extra_isize);
    core_fixture_remount(&fixture);
    file = core_fixture_create(&fixture, "file");
}

static void close_all(void)
{
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}

static struct ext2dax_stat stat_of(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures;
}

static int set(struct ext2dax_inode *inode, struct ext2dax_attributes attributes)
{
    attributes.size = sizeof(attributes);
    return ext2dax_setattr(inode, &attributes);
}

static void same_time(struct ext2dax_time time, int64_t seconds, uint32_t nanoseconds)
{
    ck_assert_int_eq(time.seconds, seconds);
    ck_assert_uint_eq(time.nanoseconds, nanoseconds);
}

/* ---- what a new inode has ---- */

START_TEST(a_new_inode)
{
    const struct layout *layout = &layouts[_i];
    uint32_t nanoseconds = layout->wide ? 5 : 0;
    struct ext2dax_inode *fresh;
    struct ext2dax_stat figures;

    open_layout(layout, false);
    fixture.present = (struct ext2dax_time){.seconds = YEAR_2026, .nanoseconds = 5};
    ck_assert_int_eq(ext2dax_create(fixture.root, "fresh", 5, 07777, 0x12345678, 0x9ABCDEF0, &fresh), 0);
    figures = stat_of(fresh);
    ck_assert_uint_eq(figures.mode, EXT2DAX_S_IFREG | 07777);
    ck_assert_uint_eq(figures.uid, 0x12345678);
    ck_assert_uint_eq(figures.gid, 0x9ABCDEF0);
    ck_assert_uint_eq(figures.device_major | figures.device_minor, 0);
    same_time(figures.mtime, YEAR_2026, nanoseconds);
    same_time(figures.ctime, YEAR_2026, nanoseconds);
    same_time(figures.atime, YEAR_2026, nanoseconds);
    same_time(figures.created, layout->wide ? YEAR_2026 : 0, nanoseconds);
    ck_assert_int_eq(figures.has_nanoseconds, layout->wide);
    ck_assert_int_eq(figures.has_created, layout->wide);
    ext2dax_inode_put(fresh);
    close_all();
}
END_TEST

START_TEST(a_new_inode_after_2038)
{
    const struct layout *layout = &layouts[_i];
    int64_t expected = layout->wide ? YEAR_2106 : YEAR_2038;
    struct ext2dax_inode *fresh;
    struct ext2dax_stat figures;

    open_layout(layout, false);
    fixture.present.seconds = YEAR_2106;
    fresh = core_fixture_create(&fixture, "fresh");
    figures = stat_of(fresh);
    same_time(figures.mtime, expected, 0);
    same_time(figures.ctime, expected, 0);
    same_time(figures.atime, expected, 0);
    same_time(figures.created, layout->wide ? expected : 0, 0);
    same_time(stat_of(fixture.root).mtime,
              e2d_get16(tail_of(fixture.root)->extra_isize) >= 12 && fixture.block_size == 4096 ? YEAR_2106 : YEAR_2038,
              0);
    ext2dax_inode_put(fresh);
    close_all();
}
END_TEST

/* ---- each attribute ---- */

static const struct ext2dax_attributes wanted = {.mode = 0xFFFF,
                                                 .uid = 0xFEDCBA98,
                                                 .gid = 0x01234567,
                                                 .flags = EXT2DAX_FL_NODUMP | EXT2DAX_FL_NOATIME,
                                                 .mtime = {.seconds = YEAR_2026 + 1, .nanoseconds = 11},
                                                 .ctime = {.seconds = YEAR_2026 + 2, .nanoseconds = 12},
                                                 .atime = {.seconds = YEAR_2026 + 3, .nanoseconds = 13},
                                                 .created = {.seconds = YEAR_2026 + 4, .nanoseconds = 14}};

/* Returns the figures with the attributes of `bits` as they must be after a call. */
static struct ext2dax_stat expected(struct ext2dax_stat figures, unsigned bits, bool wide)
{
    struct ext2dax_time present = fixture.present;

    figures.ctime = (bits & EXT2DAX_SET_CTIME) != 0 ? wanted.ctime : present;
    if ((bits & EXT2DAX_SET_MODE) != 0)
        figures.mode = (uint16_t)((figures.mode & EXT2DAX_S_IFMT) | 07777);
    if ((bits & EXT2DAX_SET_UID) != 0)
        figures.uid = wanted.uid;
    if ((bits & EXT2DAX_SET_GID) != 0)
        figures.gid = wanted.gid;
    if ((bits & EXT2DAX_SET_FLAGS) != 0)
        figures.flags = wanted.flags;
    if ((bits & EXT2DAX_SET_MTIME) != 0)
        figures.mtime = (bits & EXT2DAX_SET_MTIME_NOW) != 0 ? present : wanted.mtime;
    if ((bits & EXT2DAX_SET_ATIME) != 0)
        figures.atime = (bits & EXT2DAX_SET_ATIME_NOW) != 0 ? present : wanted.atime;
    if ((bits & EXT2DAX_SET_CREATED) != 0 && wide) {
        figures.created = wanted.created;
        figures.has_created = true;
    }
    if (!wide)
        figures.mtime.nanoseconds = figures.ctime.nanoseconds = figures.atime.nanoseconds = 0;
    return figures;
}

static void same_figures(struct ext2dax_stat a, struct ext2dax_stat b)
{
    ck_assert_uint_eq(a.number, b.number);
    ck_assert_uint_eq(a.mode, b.mode);
    ck_assert_uint_eq(a.links, b.links);
    ck_assert_uint_eq(a.uid, b.uid);
    ck_assert_uint_eq(a.gid, b.gid);
    ck_assert_uint_eq(a.flags, b.flags);
    ck_assert_uint_eq(a.generation, b.generation);
    ck_assert_uint_eq(a.size, b.size);
    ck_assert_uint_eq(a.sectors, b.sectors);
    same_time(a.mtime, b.mtime.seconds, b.mtime.nanoseconds);
    same_time(a.ctime, b.ctime.seconds, b.ctime.nanoseconds);
    same_time(a.atime, b.atime.seconds, b.atime.nanoseconds);
    same_time(a.created, b.created.seconds, b.created.nanoseconds);
    ck_assert_int_eq(a.has_nanoseconds, b.has_nanoseconds);
    ck_assert_int_eq(a.has_created, b.has_created);
}

/*
 * Sets every combination of attributes with a single fence, also after the image is mounted again.
 */
START_TEST(every_attribute)
{
    const struct layout *layout = &layouts[_i];
    uint32_t number;
    uintptr_t fences;

    open_layout(layout, true);
    fixture.present = (struct ext2dax_time){.seconds = YEAR_2026, .nanoseconds = 77};
    for (unsigned bits = 0; bits < 0x400; bits++) {
        struct ext2dax_attributes attributes = wanted;
        struct ext2dax_stat before;

        attributes.set = bits;
        if (((bits & EXT2DAX_SET_ATIME_NOW) != 0 && (bits & EXT2DAX_SET_ATIME) == 0) ||
            ((bits & EXT2DAX_SET_MTIME_NOW) != 0 && (bits & EXT2DAX_SET_MTIME) == 0)) {
            ck_assert_int_eq(set(file, attributes), -EXT2DAX_EINVAL);
            continue;
        }
        before = stat_of(file);
        fences = core_fixture_fences(&fixture);
        ck_assert_int_eq(set(file, attributes), 0);
        ck_assert_uint_eq(core_fixture_fences(&fixture), fences + 1);
        same_figures(stat_of(file), expected(before, bits, layout->wide));
        ck_assert_int_eq(memcmp(fixture.durable + ((char *)file->disk - (char *)fixture.memory.base), file->disk,
                                layout->block_size == 4096 ? 256 : 128),
                         0);
        before.mode = EXT2DAX_S_IFREG;
        ck_assert_int_eq(set(file, (struct ext2dax_attributes){.set = 0xFF,
                                                               .atime = {.seconds = 1, .nanoseconds = 0},
                                                               .mtime = {.seconds = 2, .nanoseconds = 0}}),
                         0);
    }
    number = file->number;
    ck_assert_int_eq(set(file, (struct ext2dax_attributes){.set = EXT2DAX_SET_MODE, .mode = 04751}), 0);
    ext2dax_inode_put(file);
    core_fixture_remount(&fixture);
    ck_assert_int_eq(ext2dax_inode_get(fixture.mount, number, &file), 0);
    ck_assert_uint_eq(stat_of(file).mode, EXT2DAX_S_IFREG | 04751);
    close_all();
}
END_TEST

START_TEST(other_types)
{
    static const uint16_t types[] = {EXT2DAX_S_IFIFO, EXT2DAX_S_IFSOCK, EXT2DAX_S_IFCHR, EXT2DAX_S_IFBLK,
                                     EXT2DAX_S_IFLNK};
    struct ext2dax_attributes attributes = wanted;
    uint32_t number;

    open_layout(&layouts[2], false);
    number = file->number;
    attributes.set = EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID | EXT2DAX_SET_FLAGS;
    ck_assert_int_eq(set(fixture.root, attributes), 0);
    ck_assert_uint_eq(stat_of(fixture.root).mode, EXT2DAX_S_IFDIR | 07777);
    ck_assert_uint_eq(stat_of(fixture.root).uid, wanted.uid);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        bool node = types[i] == EXT2DAX_S_IFCHR || types[i] == EXT2DAX_S_IFBLK;

        file->disk->mode = e2d_le16(types[i] | 0600);
        file->disk->block[0] = e2d_le32(node ? 0 : 0x203);
        file->disk->block[1] = e2d_le32(node ? 0x12300845 : 0);
        ext2dax_inode_put(file);
        ck_assert_int_eq(ext2dax_inode_get(fixture.mount, number, &file), 0);
        ck_assert_int_eq(set(file, attributes), 0);
        ck_assert_uint_eq(stat_of(file).mode, types[i] | 07777);
        ck_assert_uint_eq(stat_of(file).gid, wanted.gid);
        ck_assert_uint_eq(stat_of(file).device_major, node ? 8 : 0);
        ck_assert_uint_eq(stat_of(file).device_minor, node ? 0x12345 : 0);
    }
    file->disk->mode = e2d_le16(EXT2DAX_S_IFREG | 0600);
    file->disk->block[0] = file->disk->block[1] = e2d_le32(0);
    close_all();
}
END_TEST

/* ---- the range of times ---- */

/* Sets every time to each limit. The nearest end of the range is stored. */
START_TEST(limits_of_times)
{
    static const struct {
        int64_t seconds, narrow, wide;
    } rows[] = {
        {YEAR_1901, YEAR_1901, YEAR_1901},
        {YEAR_1901 - 1, YEAR_1901, YEAR_1901},
        {INT64_MIN, YEAR_1901, YEAR_1901},
        {-1, -1, -1}, /* 1969 */
        {0, 0, 0},    /* 1970 */
        {YEAR_2038, YEAR_2038, YEAR_2038},
        {YEAR_2038 + 1, YEAR_2038, YEAR_2038 + 1},
        {YEAR_2106 - 1, YEAR_2038, YEAR_2106 - 1},
        {YEAR_2106, YEAR_2038, YEAR_2106},
        {YEAR_2446, YEAR_2038, YEAR_2446},
        {YEAR_2446 + 1, YEAR_2038, YEAR_2446},
        {INT64_MAX, YEAR_2038, YEAR_2446},
    };
    const struct layout *layout = &layouts[_i];

    open_layout(layout, false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds = layout->wide ? rows[i].wide : rows[i].narrow;
        struct ext2dax_time time = {.seconds = rows[i].seconds, .nanoseconds = 999999999};
        uint32_t nanoseconds = !layout->wide || (seconds != rows[i].seconds && seconds < 0) ? 0 : 999999999;
        struct ext2dax_stat figures;

        ck_assert_int_eq(set(file, (struct ext2dax_attributes){.set = EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME |
                                                                      EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED,
                                                               .atime = time,
                                                               .mtime = time,
                                                               .ctime = time,
                                                               .created = time}),
                         0);
        figures = stat_of(file);
        same_time(figures.atime, seconds, nanoseconds);
        same_time(figures.mtime, seconds, nanoseconds);
        same_time(figures.ctime, seconds, nanoseconds);
        same_time(figures.created, layout->wide ? seconds : 0, nanoseconds);
        /* The present has the same range. */
        fixture.present = time;
        ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), 1);
        same_time(stat_of(file).mtime, seconds, nanoseconds);
    }
    close_all();
}
END_TEST

/*
 * A file that another driver dated 2040 has the time of a later write, epoch and nanoseconds too.
 */
START_TEST(dated_2040_and_written_in_2026)
{
    struct ext2dax_disk_inode_tail *tail;
    struct ext2dax_stat figures;

    open_layout(&layouts[2], false);
    tail = tail_of(file);
    file->disk->mtime = file->disk->ctime = file->disk->atime = tail->created = e2d_le32((uint32_t)YEAR_2040);
    tail->mtime_extra = tail->ctime_extra = tail->atime_extra = tail->created_extra = e2d_le32(1 | 123456789u << 2);
    figures = stat_of(file);
    same_time(figures.mtime, YEAR_2040, 123456789);
    same_time(figures.ctime, YEAR_2040, 123456789);
    same_time(figures.atime, YEAR_2040, 123456789);
    same_time(figures.created, YEAR_2040, 123456789);
    fixture.present = (struct ext2dax_time){.seconds = YEAR_2026, .nanoseconds = 987654321};
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), 1);
    figures = stat_of(file);
    same_time(figures.mtime, YEAR_2026, 987654321);
    same_time(figures.ctime, YEAR_2026, 987654321);
    same_time(figures.atime, YEAR_2040, 123456789);
    same_time(figures.created, YEAR_2040, 123456789);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    /* Nanoseconds that no driver stores never reach a caller. */
    tail->mtime_extra = e2d_le32(1 | 1000000000u << 2);
    same_time(stat_of(file).mtime, YEAR_2026 + (INT64_C(1) << 32), 0);
    close_all();
}
END_TEST

/*
 * Every i_extra_isize, impossible values included. Fields not covered are neither read nor stored,
 * because attributes may lie there.
 */
START_TEST(every_extra_isize)
{
    static const unsigned bits = EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME | EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED;
    struct ext2dax_time time = {.seconds = YEAR_2106 + 5, .nanoseconds = 123};
    unsigned char *bytes, before[128];

    open_layout(&layouts[2], false);
    bytes = (void *)tail_of(file);
    for (uint32_t extra = 0; extra <= 140; extra++) {
        uint32_t used = extra > 128 || extra % 4 != 0 ? 0 : extra;
        struct ext2dax_stat figures;

        memset(bytes, 0x11, sizeof(before));
        tail_of(file)->extra_isize = e2d_le16(extra);
        memcpy(before, bytes, sizeof(before));
        ck_assert_int_eq(
            set(file,
                (struct ext2dax_attributes){.set = bits, .atime = time, .mtime = time, .ctime = time, .created = time}),
            0);
        figures = stat_of(file);
        same_time(figures.ctime, used >= 8 ? time.seconds : YEAR_2038, used >= 8 ? 123 : 0);
        same_time(figures.mtime, used >= 12 ? time.seconds : YEAR_2038, used >= 12 ? 123 : 0);
        same_time(figures.atime, used >= 16 ? time.seconds : YEAR_2038, used >= 16 ? 123 : 0);
        same_time(figures.created, used >= 24 ? time.seconds : used >= 20 ? YEAR_2038 : 0, used >= 24 ? 123 : 0);
        ck_assert_int_eq(figures.has_nanoseconds, used >= 16);
        ck_assert_int_eq(figures.has_created, used >= 20);
        ck_assert_int_eq(memcmp(bytes, before, 4), 0);
        used = used < 4 ? 4 : used > 24 ? 24 : used;
        ck_assert_int_eq(memcmp(bytes + used, before + used, sizeof(before) - used), 0);
    }
    memset(bytes, 0, sizeof(before));
    tail_of(file)->extra_isize = e2d_le16(32);
    close_all();
}
END_TEST

/* A time that does not change is not written back again, word by word. */
START_TEST(equal_times_are_not_stored)
{
    struct ext2dax_disk_inode *durable;
    struct ext2dax_disk_inode_tail *tail;

    open_layout(&layouts[2], true);
    durable = (void *)(fixture.durable + ((char *)file->disk - (char *)fixture.memory.base));
    tail = (void *)(durable + 1);
    fixture.present = (struct ext2dax_time){.seconds = YEAR_2026, .nanoseconds = 5};
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), 1);
    durable->ctime = durable->mtime = tail->ctime_extra = tail->mtime_extra = e2d_le32(0x5A5A5A5A);
    ck_assert_int_eq(ext2dax_write(file, 0, "y", 1), 1);
    ck_assert_uint_eq(e2d_get32(durable->ctime) & e2d_get32(durable->mtime), 0x5A5A5A5A);
    fixture.present.nanoseconds++;
    ck_assert_int_eq(ext2dax_write(file, 0, "z", 1), 1);
    ck_assert_uint_eq(e2d_get32(durable->ctime) & e2d_get32(durable->mtime), 0x5A5A5A5A);
    ck_assert_uint_eq(e2d_get32(tail->ctime_extra), 6 << 2);
    ck_assert_uint_eq(e2d_get32(tail->mtime_extra), 6 << 2);
    fixture.present.seconds++;
    ck_assert_int_eq(ext2dax_write(file, 0, "z", 1), 1);
    ck_assert_uint_eq(e2d_get32(durable->ctime), YEAR_2026 + 1);
    ck_assert_uint_eq(e2d_get32(durable->mtime), YEAR_2026 + 1);
    close_all();
}
END_TEST

/* ---- refusals ---- */

/* Expects an error of a call that changes nothing. */
static void refused(int error, struct ext2dax_attributes attributes)
{
    unsigned char before[256];

    memcpy(before, file->disk, sizeof(before));
    ck_assert_int_eq(set(file, attributes), -error);
    ck_assert_int_eq(memcmp(before, file->disk, sizeof(before)), 0);
}

/*
 * A result has no undefined byte, also between its members. A kernel hands the bytes of a result to
 * a program, and undefined bytes are bytes of its stack.
 */
START_TEST(no_undefined_byte)
{
    struct ext2dax_stat figures, expected;

    open_layout(&layouts[_i], false);
    memset(&figures, 0xA5, sizeof(figures));
    memset(&expected, 0, sizeof(expected));
    ext2dax_stat(file, &figures, sizeof(figures));
#define MEMBER(name) expected.name = figures.name
    MEMBER(number), MEMBER(mode), MEMBER(links), MEMBER(uid), MEMBER(gid), MEMBER(flags), MEMBER(generation);
    MEMBER(device_major), MEMBER(device_minor), MEMBER(size), MEMBER(sectors);
#define TIME(name) MEMBER(name.seconds), MEMBER(name.nanoseconds)
    TIME(mtime), TIME(ctime), TIME(atime), TIME(created);
    MEMBER(has_nanoseconds), MEMBER(has_created);
    ck_assert_mem_eq(&figures, &expected, sizeof(figures));
    close_all();
}
END_TEST

START_TEST(bad_requests)
{
    open_layout(&layouts[_i], false);
    fixture.present.nanoseconds = 1;
    for (unsigned bit = 0x400; bit != 0; bit <<= 1)
        refused(EXT2DAX_EINVAL, (struct ext2dax_attributes){.set = bit | EXT2DAX_SET_UID, .uid = 5});
    for (unsigned which = 0; which < 4; which++) {
        static const unsigned bits[] = {EXT2DAX_SET_ATIME, EXT2DAX_SET_MTIME, EXT2DAX_SET_CTIME, EXT2DAX_SET_CREATED};
        struct ext2dax_attributes attributes = {.set = bits[which] | EXT2DAX_SET_UID, .uid = 5};
        struct ext2dax_time *times[] = {&attributes.atime, &attributes.mtime, &attributes.ctime, &attributes.created};

        times[which]->nanoseconds = 1000000000;
        refused(EXT2DAX_EINVAL, attributes);
        times[which]->nanoseconds = UINT32_MAX;
        refused(EXT2DAX_EINVAL, attributes);
        /* A time that does not count may have any nanoseconds. */
        attributes.set = EXT2DAX_SET_UID;
        ck_assert_int_eq(set(file, attributes), 0);
    }
    for (uint32_t flag = 1; flag != 0; flag <<= 1) {
        if ((flag & EXT2DAX_FL_SETTABLE) == 0)
            refused(EXT2DAX_EOPNOTSUPP, (struct ext2dax_attributes){.set = EXT2DAX_SET_FLAGS | EXT2DAX_SET_UID,
                                                                    .flags = flag | EXT2DAX_FL_NODUMP,
                                                                    .uid = 9});
    }
    /* A flag that the call cannot change must be passed as it is. */
    file->disk->flags = e2d_le32(0x2);
    refused(EXT2DAX_EOPNOTSUPP, (struct ext2dax_attributes){.set = EXT2DAX_SET_FLAGS, .flags = EXT2DAX_FL_NODUMP});
    ck_assert_int_eq(set(file, (struct ext2dax_attributes){.set = EXT2DAX_SET_FLAGS, .flags = EXT2DAX_FL_NODUMP | 0x2}),
                     0);
    ck_assert_uint_eq(stat_of(file).flags, EXT2DAX_FL_NODUMP | 0x2);
    close_all();
}
END_TEST

static int set_flags(uint32_t flags)
{
    return set(file, (struct ext2dax_attributes){.set = EXT2DAX_SET_FLAGS, .flags = flags});
}

START_TEST(immutable_and_append_only)
{
    static const uint32_t flags[] = {EXT2DAX_FL_IMMUTABLE, EXT2DAX_FL_APPEND, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND};
    struct ext2dax_pin pin, before;

    open_layout(&layouts[2], false);
    ck_assert_int_eq(ext2dax_write(file, 0, "old", 3), 3);
    ck_assert_int_eq(ext2dax_pin(file, 0, 3, true, &before), 0);
    for (int i = 0; i < 3; i++) {
        bool grows = flags[i] == EXT2DAX_FL_APPEND;

        ck_assert_int_eq(set_flags(flags[i]), 0);
        for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
            if (bit != EXT2DAX_SET_FLAGS)
                refused(EXT2DAX_EPERM, (struct ext2dax_attributes){.set = bit});
            if (bit != EXT2DAX_SET_FLAGS)
                refused(EXT2DAX_EPERM, (struct ext2dax_attributes){.set = bit | EXT2DAX_SET_FLAGS});
        }
        ck_assert_int_eq(ext2dax_write(file, 0, "new", 3), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_write(file, core_fixture_size(file), "new", 3), grows ? 3 : -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_truncate(file, 0), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_punch(file, 0, 1), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_zero_range(file, 0, 1), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_unlink(fixture.root, "file", 4), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_pin(file, 0, 3, true, &pin), -EXT2DAX_EPERM);
        ck_assert_int_eq(ext2dax_pin(file, 0, 3, false, &pin), 0);
        ext2dax_unpin(&pin);
        ck_assert_int_eq(set_flags(0), 0);
        ck_assert_int_eq(ext2dax_write(file, 0, "new", 3), 3);
    }
    ext2dax_unpin(&before);
    ck_assert_int_eq(ext2dax_pin(file, 0, 3, true, &pin), 0);
    ext2dax_unpin(&pin);
    close_all();
}
END_TEST

START_TEST(a_mount_that_may_not_change)
{
    open_layout(&layouts[_i], false);
    ck_assert_int_eq(ext2dax_remount(fixture.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    refused(EXT2DAX_EROFS, (struct ext2dax_attributes){.set = EXT2DAX_SET_UID, .uid = 5});
    refused(EXT2DAX_EROFS, (struct ext2dax_attributes){.set = EXT2DAX_SET_FLAGS});
    ck_assert_int_eq(ext2dax_remount(fixture.mount, 0), 0);
    ck_assert_int_eq(set(file, (struct ext2dax_attributes){.set = EXT2DAX_SET_UID, .uid = 5}), 0);
    close_all();
}
END_TEST

/* ---- synchronous files ---- */

START_TEST(synchronous_writes)
{
    uint64_t block;
    char *stored;

    open_layout(&layouts[2], true);
    ck_assert_int_eq(ext2dax_write(file, 0, "old", 3), 3);
    block = core_fixture_physical(file, 0) * fixture.block_size;
    stored = (char *)fixture.durable + block;
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, "new", 3), 3);
    ck_assert_int_eq(memcmp(stored, "old", 3), 0);
    ck_assert_int_eq(set_flags(EXT2DAX_FL_SYNC), 0);
    ck_assert_int_eq(ext2dax_write(file, 1, "EW", 2), 2);
    ck_assert_int_eq(memcmp(stored, "nEW", 3), 0);
    ck_assert_int_eq(ext2dax_zero_range(file, 0, 2), 0);
    ck_assert_int_eq(memcmp(stored, "\0\0W", 3), 0);
    ck_assert_int_eq(set_flags(0), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, "xyz", 3), 3);
    ck_assert_int_eq(memcmp(stored, "\0\0W", 3), 0);
    close_all();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attributes");
    TCase *all = add_case(suite, "attributes", 60);

    tcase_add_loop_test(all, a_new_inode, 0, LAYOUTS);
    tcase_add_loop_test(all, a_new_inode_after_2038, 0, LAYOUTS);
    tcase_add_loop_test(all, every_attribute, 0, LAYOUTS);
    tcase_add_test(all, other_types);
    tcase_add_loop_test(all, limits_of_times, 0, LAYOUTS);
    tcase_add_test(all, dated_2040_and_written_in_2026);
    tcase_add_test(all, every_extra_isize);
    tcase_add_test(all, equal_times_are_not_stored);
    tcase_add_loop_test(all, no_undefined_byte, 0, LAYOUTS);
    tcase_add_loop_test(all, bad_requests, 0, LAYOUTS);
    tcase_add_test(all, immutable_and_append_only);
    tcase_add_loop_test(all, a_mount_that_may_not_change, 0, LAYOUTS);
    tcase_add_test(all, synchronous_writes);
    return run_suite(suite);
}
