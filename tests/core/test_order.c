/* SPDX-License-Identifier: MIT */
/*
 * Measures the fences of each call and compares them with the table of the store order. Prints each
 * row as measured. A call takes the fences of a row once per PMD range to which the call adds
 * blocks, and one more fence where the high word of the size changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"
#include "base/endian.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#define B          1024ull /* a block and a page */
#define W          (8 * B) /* a PMD range */
#define IND        (12 * B)
#define DIND       (268 * B)
#define TIND       (65804 * B)
#define GIB4       ((uint64_t)1 << 32)
#define MOST       0x7FFFFFFFull
#define LARGEST_4K 2196873666560ull

static struct core_fixture fixture;
static struct ext2dax_inode *file; /* NULL after the file is gone */
static char buffer[4 * W];

static void nothing(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
}

static void write_at(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_write(file, at, buffer, length), (int64_t)length);
}

static void read_at(uint64_t at, size_t length)
{
    struct ext2dax_run run;

    ck_assert_int_ge(ext2dax_read(file, at, buffer, length), 0);
    ck_assert_int_eq(ext2dax_map(file, at / B, 1, &run), 0);
    ck_assert_int_ge(ext2dax_seek(file, 0, EXT2DAX_SEEK_HOLE), 0);
}

static void truncate_to(uint64_t at, size_t length)
{
    (void)length;
    ck_assert_int_eq(ext2dax_truncate(file, at), 0);
}

static void punch(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_punch(file, at, length), 0);
}

static void allocate(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_allocate(file, at, length, false), 0);
}

static void fsync_file(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    ck_assert_int_eq(ext2dax_fsync(file), 0);
}

static void fsync_part(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_fsync_range(file, at, length), 0);
}

static void zero(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_zero_range(file, at, length), 0);
}

static void write_in_place(uint64_t at, size_t length)
{
    write_at(at, length);
    fsync_file(at, length);
    write_at(at, length);
}

static void zero_in_place(uint64_t at, size_t length)
{
    write_at(at, length);
    fsync_file(at, length);
    zero(at, length);
}

static void set_attributes(uint64_t at, size_t length)
{
    struct ext2dax_attributes wanted = {.size = sizeof wanted,
                                        .set = EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_FLAGS,
                                        .uid = (uint32_t)at,
                                        .flags = (uint32_t)length};

    ck_assert_int_eq(ext2dax_setattr(file, &wanted), 0);
}

static void write_synchronously(uint64_t at, size_t length)
{
    set_attributes(0, EXT2DAX_FL_SYNC);
    write_at(at, length);
}

/* ---- names ---- */

/* Creates `length` names of 200 bytes. Four of them fill a block. */
static void create_names(uint64_t at, size_t length)
{
    struct ext2dax_inode *inode;
    char name[201];

    for (uint64_t i = at; i < at + length; i++) {
        snprintf(name, sizeof name, "%0200u", (unsigned)i);
        ck_assert_int_eq(ext2dax_create(fixture.root, name, 200, 0644, 0, 0, &inode), 0);
        ext2dax_inode_put(inode);
    }
}

static void create_again(uint64_t at, size_t length)
{
    struct ext2dax_inode *inode;

    (void)at;
    (void)length;
    ck_assert_int_eq(ext2dax_create(fixture.root, "file", 4, 0644, 0, 0, &inode), -EXT2DAX_EEXIST);
    ck_assert_int_eq(ext2dax_lookup(fixture.root, "none", 4, &inode), -EXT2DAX_ENOENT);
    ck_assert_int_eq(ext2dax_unlink(fixture.root, "none", 4), -EXT2DAX_ENOENT);
}

static void put_file(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    ext2dax_inode_put(file);
    file = NULL;
}

static void write_and_put(uint64_t at, size_t length)
{
    write_at(at, length);
    put_file(at, length);
}

static void unlink_file(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    core_fixture_unlink(&fixture, "file");
}

static void write_and_unlink(uint64_t at, size_t length)
{
    write_at(at, length);
    unlink_file(at, length);
}

/* ---- the whole filesystem ---- */

static void sync_all(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    ck_assert_int_eq(ext2dax_sync(fixture.mount), 0);
}

static void freeze(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), 0);
}

static void thaw(uint64_t at, size_t length)
{
    (void)at;
    (void)length;
    ck_assert_int_eq(ext2dax_thaw(fixture.mount), 0);
}

static void freeze_and_thaw(uint64_t at, size_t length)
{
    freeze(at, length);
    thaw(at, length);
}

static void pin(uint64_t at, size_t length)
{
    struct ext2dax_pin held;

    ck_assert_int_eq(ext2dax_pin(file, at, length, true, &held), 0);
    ext2dax_unpin(&held);
}

/* ---- faults ---- */

#if BENCH_FAULTS
static struct ext2dax_model_map *map;

static void load(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_model_read(map, at, buffer, length, false, false), EXT2DAX_FAULT_NOPAGE);
}

static void store(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_model_write(map, at, buffer, length, false, false), EXT2DAX_FAULT_NOPAGE);
}

static void store_huge(uint64_t at, size_t length)
{
    ck_assert_int_eq(ext2dax_model_write(map, at, buffer, length, true, false), EXT2DAX_FAULT_NOPAGE);
    ck_assert(ext2dax_model_entry(map, at / B).huge);
}

/* Makes a hole below the size and maps its zero page. */
static void load_hole(uint64_t at, size_t length)
{
    truncate_to(at + length, 0);
    load(at, length);
}

static void write_and_load(uint64_t at, size_t length)
{
    write_at(at, length);
    load(at, length);
}
#endif

/* ---- the table ---- */

static const struct row {
    const char *name;
    unsigned fences;
    void (*before)(uint64_t at, size_t length);
    uint64_t before_at;
    size_t before_length;
    void (*call)(uint64_t at, size_t length);
    uint64_t at;
    size_t length;
    bool always; /* costs its fences when unordered too */
} rows[] = {
    {"read, map, seek", 0, write_at, 0, W, read_at, 0, W, false},

    {"fill a hole below the size", 2, write_at, W, B, write_at, 0, B, false},
    {"  a part of one block", 2, write_at, W, B, write_at, 10, 20, false},
    {"  with a new pointer block", 2, truncate_to, DIND, 0, write_at, IND + B, B, false},
    {"  with two, over a boundary", 2, truncate_to, 2 * DIND, 0, write_at, DIND - B, 2 * B, false},
    {"  in two ranges", 2 * 2, truncate_to, 4 * W, 0, write_at, W, 2 * W, false},
    {"  that is allocated", 2, truncate_to, W, 0, allocate, 0, W, false},
    {"  that is pinned for writing", 2, truncate_to, W, 0, pin, 0, B, false},

    {"append, to nothing", 3, nothing, 0, 0, write_at, 0, 3 * B, false},
    {"  from the end of a block", 3, write_at, 0, B, write_at, B, 2 * B + 1, false},
    {"  from inside the last block into new ones", 3, write_at, 0, 100, write_at, 100, 2 * B, false},
    {"  leaving a gap inside the last block", 3, write_at, 0, 100, write_at, 200, 2 * B, false},
    {"  over the last block's contents too", 3, write_at, 0, B + 100, write_at, 50, 3 * B, false},
    {"  over the direct pointers", 3, write_at, IND - B, B, write_at, IND, B, false},
    {"  from inside the last direct block", 3, write_at, IND - B, 10, write_at, IND - B + 10, 2 * B, false},
    {"  over the first pointer block", 3, write_at, DIND - B, 10, write_at, DIND - B + 10, 2 * B, false},
    {"  over the double one", 3, write_at, TIND - B, 10, write_at, TIND - B + 10, 2 * B, false},
    {"  far behind the end", 3, write_at, 0, 100, write_at, 100 * B, B, false},
    {"  in two ranges", 2 * 3, nothing, 0, 0, write_at, 0, 2 * W, false},
    {"  past 2 GiB", 3, write_at, 0, 100, write_at, MOST, 1, false},
    {"  past 4 GiB", 3 + 1, write_at, GIB4 - 600, 100, write_at, GIB4 - 500, B, false},
    {"  allocated", 3, write_at, 0, 100, allocate, B, 4 * B, false},

    {"grow inside the last block", 2, write_at, 0, 100, write_at, 100, 100, false},
    {"  with a gap", 2, write_at, 0, 100, write_at, 200, B - 200, false},
    {"  by truncate", 2, write_at, 0, 100, truncate_to, 200, 0, false},
    {"  by allocate", 2, write_at, 0, 100, allocate, 50, 100, false},
    {"truncate up", 2, write_at, 0, 100, truncate_to, DIND, 0, false},
    {"  from the end of a block", 2, write_at, 0, B, truncate_to, DIND, 0, false},
    {"  past 4 GiB", 2 + 1, write_at, 0, 100, truncate_to, GIB4, 0, false},

    {"truncate down, inside a block", 2, write_at, 0, 2 * B, truncate_to, B + 10, 0, false},
    {"  to nothing", 2, write_at, 0, 2 * W, truncate_to, 0, 0, false},
    {"  a long file", 2, allocate, 0, 600 * B, truncate_to, 5 * B + 1, 0, false},
    {"  in a hole", 2, truncate_to, DIND, 0, truncate_to, 5, 0, false},
    {"  below 4 GiB", 2 + 1, write_at, GIB4, 100, truncate_to, 100, 0, false},

    {"punch inside a block", 2, write_at, 0, 2 * B, punch, 10, 20, false},
    {"  both edges and the blocks between", 2, write_at, 0, W, punch, 10, 5 * B, false},
    {"  a long file", 2, allocate, 0, 600 * B, punch, B, 500 * B, false},
    {"  to the end", 2, write_at, 0, W, punch, B, MOST, false},

    {"overwrite in place", 0, write_at, 0, W, write_at, 5, 3 * B, false},
    {"  fsync", 1, write_in_place, 0, W, fsync_file, 0, 0, false},
    {"  the last put, which writes back", 1, write_in_place, 0, B, put_file, 0, 0, false},
    {"zero in place", 0, write_at, 0, 2 * W, zero, 5, W, false},
    {"  fsync", 2, zero_in_place, 0, 2 * W, fsync_file, 0, 0, true},
    {"fsync of a part, in one dirty range", 1, write_in_place, 0, 4 * W, fsync_part, W, B, true},
    {"  in two", 2, write_in_place, 0, 4 * W, fsync_part, 2 * W - 1, 2, true},
    {"  in a clean one (the times)", 1, write_in_place, 0, W, fsync_part, W, B, true},

    {"setattr", 1, nothing, 0, 0, set_attributes, 65536, EXT2DAX_FL_NODUMP, false},
    {"  of equal attributes", 1, set_attributes, 1, 0, set_attributes, 1, 0, false},
    {"overwrite of a synchronous file", 1, write_synchronously, 0, B, write_at, 0, 10, true},
    {"  zeroed", 1, write_synchronously, 0, B, zero, 0, 10, true},

    {"create", 3, nothing, 0, 0, create_names, 0, 1, false},
    {"  in a directory that must grow", 3 + 1, create_names, 0, 4, create_names, 4, 1, false},
    {"unlink of the last name, closed", 3, write_and_put, 0, W, unlink_file, 0, 0, false},
    {"  open", 2, write_at, 0, W, unlink_file, 0, 0, false},
    {"  its last put", 1, write_and_unlink, 0, W, put_file, 0, 0, false},

    {"nothing to change: truncate", 0, write_at, 0, 100, truncate_to, 100, 0, false},
    {"  allocate", 0, write_at, 0, W, allocate, 10, 2 * B, false},
    {"  zeroing of a hole", 0, write_at, W, B, zero, 10, 3 * B, false},
    {"  punch of a hole", 0, write_at, W, B, punch, 10, 3 * B, false},
    {"  punch past the end", 0, write_at, 0, 100, punch, B, B, false},
    {"  a pin of blocks that are there", 0, write_at, 0, W, pin, 0, W, false},
    {"  names that are there, or not", 0, nothing, 0, 0, create_again, 0, 0, false},
    {"  the last put of a clean file", 0, nothing, 0, 0, put_file, 0, 0, false},

    {"fsync of a clean file (its times)", 1, nothing, 0, 0, fsync_file, 0, 0, true},
    {"sync", 1, nothing, 0, 0, sync_all, 0, 0, true},
    {"freeze", 2, freeze_and_thaw, 0, 0, freeze, 0, 0, true},
    {"thaw", 1, freeze, 0, 0, thaw, 0, 0, true},
#if BENCH_FAULTS
    {"write fault on a hole", 2, truncate_to, W, 0, store, B, 1, false},
    {"  with its zero page entered", 2, load_hole, 0, B, store, 0, 1, false},
    {"  with a new pointer block", 2, truncate_to, 2 * IND, 0, store, IND, 1, false},
    {"  of a whole range", 2, truncate_to, 2 * W, 0, store_huge, W, 1, false},
    {"write fault on a block", 0, write_at, 0, W, store, 0, W, false},
    {"  entered read-only", 0, write_and_load, 0, W, store, 0, W, false},
    {"read fault on a block", 0, write_at, 0, W, load, 0, W, false},
    {"  on a hole", 0, truncate_to, W, 0, load, 0, W, false},
#endif
};

#define ROWS (sizeof rows / sizeof rows[0])

static void open_file(enum ext2dax_order order)
{
    struct core_fixture_options options = {
        .size = 2 << 20, .block_size = B, .page_shift = 10, .huge_order = 3, .order = order, .blocks_per_group = 2048};

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
#if BENCH_FAULTS
    map = ext2dax_model_map(fixture.model, file, 0, 4 * W / B, true, true);
#endif
}

static void close_file(void)
{
#if BENCH_FAULTS
    ext2dax_model_unmap(map);
#endif
    if (file)
        ext2dax_inode_put(file);
    core_fixture_close(&fixture);
}

static uintptr_t cost(const struct row *row, enum ext2dax_order order)
{
    uintptr_t before, after;

    open_file(order);
    row->before(row->before_at, row->before_length);
    before = core_fixture_fences(&fixture);
    row->call(row->at, row->length);
    after = core_fixture_fences(&fixture);
    if (row->call == freeze)
        thaw(0, 0);
    core_fixture_check(&fixture);
    close_file();
    return after - before;
}

START_TEST(every_call_costs_what_its_row_says)
{
    uintptr_t fences;
    int wrong = 0;

    for (unsigned i = 0; i < ROWS; i++) {
        fences = cost(&rows[i], EXT2DAX_ORDERED);
        printf("%s %-48s %" PRIuPTR "\n", fences == rows[i].fences ? " " : "!", rows[i].name, fences);
        if (fences != rows[i].fences)
            wrong++;
    }
    ck_assert_msg(wrong == 0, "%d rows cost something else", wrong);
}
END_TEST

/*
 * Truncate and punch take 2 fences for any length and position, or 0 where a punch has nothing to
 * free.
 */
START_TEST(no_length_costs_more)
{
    uint64_t state = 1;
    unsigned costly = 0;

    for (unsigned turn = 0; turn < 200; turn++) {
        uint64_t most = turn % 3 == 0 ? 40 * B : turn % 3 == 1 ? 2 * DIND : TIND + 9 * B, from, to;
        struct ext2dax_stat before, after;
        uintptr_t fences;

        open_file(EXT2DAX_ORDERED);
        ck_assert_int_eq(ext2dax_truncate(file, most), 0);
        for (unsigned i = 0; i < 12; i++)
            write_at(core_fixture_noise(&state) % (most - W), 1 + core_fixture_noise(&state) % W);
        from = core_fixture_noise(&state) % most;
        to = from + 1 + core_fixture_noise(&state) % (most - from);
        ext2dax_stat(file, &before, sizeof(before));
        fences = core_fixture_fences(&fixture);
        if (turn % 2 == 0)
            truncate_to(from, 0);
        else
            punch(from, (size_t)(to - from));
        fences = core_fixture_fences(&fixture) - fences;
        ext2dax_stat(file, &after, sizeof(after));
        ck_assert_msg(fences == 2 || (fences == 0 && turn % 2 == 1 && before.sectors == after.sectors),
                      "turn %u: %" PRIuPTR " fences", turn, fences);
        costly += before.sectors - after.sectors > 100;
        core_fixture_check(&fixture);
        close_file();
    }
    ck_assert_uint_gt(costly, 10);
}
END_TEST

START_TEST(without_an_order_only_what_syncs_costs_anything)
{
    for (unsigned i = 0; i < ROWS; i++) {
        uintptr_t fences = cost(&rows[i], EXT2DAX_UNORDERED);
        bool syncs = rows[i].always || rows[i].before == write_in_place;

        ck_assert_msg((fences != 0) == syncs, "%s: %" PRIuPTR, rows[i].name, fences);
    }
}
END_TEST

/* ---- large_file ---- */

/* An image without the feature, in memory with a fence op which checks the image. */
static struct {
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *file;
    bool had_feature; /* at the last fence */
    void *between;    /* copy of the image at a fence with a size above the largest, or NULL */
} large;

static bool has_feature(void)
{
    const struct ext2dax_disk_super *super = (const void *)((const char *)large.memory.base + EXT2DAX_SUPER_OFFSET);

    return (super->ro_compat.le & e2d_le32(EXT2DAX_RO_COMPAT_LARGE_FILE).le) != 0;
}

static int look(void *ctx)
{
    (void)ctx;
    if (large.file && ext2dax_check_size(large.memory.base, large.memory.size, large.file->number) > MOST)
        ck_assert_msg(large.had_feature, "the size is stored beside the feature, not after it");
    large.had_feature = has_feature();
    if (large.between && ext2dax_check_size(large.memory.base, large.memory.size, large.file->number) > LARGEST_4K)
        memcpy(large.between, large.memory.base, large.memory.size);
    return 0;
}

static void open_large(void)
{
    static const struct ext2dax_memory_ops looking = {.size = sizeof looking, .fence = look};
    struct ext2dax_mount_options options = {
        .size = sizeof options, .order = EXT2DAX_ORDERED, .recover = ext2dax_recover};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default()};
    struct ext2dax_disk_super *super;

    memset(&large, 0, sizeof large);
    ck_assert_int_eq(ext2dax_memory_open_heap(1 << 20, &large.memory), 0);
    ck_assert_int_eq(ext2dax_format(&large.memory, NULL, NULL), 0);
    super = (void *)((char *)large.memory.base + EXT2DAX_SUPER_OFFSET);
    super->ro_compat.le &= ~e2d_le32(EXT2DAX_RO_COMPAT_LARGE_FILE).le;
    ck_assert_int_eq(ext2dax_host_open(NULL, &large.host), 0);
    plugs.host = large.host;
    plugs.memory = large.memory;
    plugs.memory.ops = &looking;
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &large.mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(large.mount, EXT2DAX_ROOT_INODE, &large.root), 0);
    ck_assert_int_eq(ext2dax_create(large.root, "large", 5, 0644, 0, 0, &large.file), 0);
}

static void close_large(void)
{
    ext2dax_inode_put(large.file);
    large.file = NULL;
    ext2dax_inode_put(large.root);
    ck_assert_int_eq(ext2dax_unmount(large.mount), 0);
    ck_assert_int_eq(ext2dax_check_image(large.memory.base, large.memory.size, 0, NULL, NULL, NULL), 0);
    ext2dax_host_close(&large.host);
    ext2dax_memory_close_heap(&large.memory);
}

START_TEST(the_feature_comes_before_the_size)
{
    static const uint64_t sizes[] = {MOST + 1, GIB4 + 1};
    uint64_t size = sizes[_i % 2];

    open_large();
    ck_assert_int_eq(ext2dax_truncate(large.file, 100), 0);
    ck_assert(!has_feature());
    if (_i / 2 == 0)
        ck_assert_int_eq(ext2dax_write(large.file, size - 1, "x", 1), 1);
    else if (_i / 2 == 1)
        ck_assert_int_eq(ext2dax_truncate(large.file, size), 0);
    else
        ck_assert_int_eq(ext2dax_allocate(large.file, size - 1, 1, false), 0);
    ck_assert_uint_eq(core_fixture_size(large.file), size);
    ck_assert(large.had_feature);
    close_large();
}
END_TEST

/*
 * A size which increases is stored high word first. With the old low word the size may exceed the
 * largest file size. A mount of such an image must still give access to the file.
 */
START_TEST(the_size_between_its_words_is_no_reason_to_refuse)
{
    struct ext2dax_mount_options options = {.size = sizeof options, .flags = EXT2DAX_MOUNT_READ_ONLY};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default()};
    struct ext2dax_inode *file_between;
    struct ext2dax_mount *mount;
    uint32_t number;

    open_large();
    number = large.file->number;
    ck_assert_int_eq(ext2dax_truncate(large.file, 510 * GIB4 + 0xFFFFF000), 0);
    ck_assert_int_eq(ext2dax_memory_open_heap(1 << 20, &plugs.memory), 0);
    large.between = plugs.memory.base;
    ck_assert_int_eq(ext2dax_truncate(large.file, 511 * GIB4), 0);
    large.between = NULL;
    ck_assert_uint_eq(ext2dax_check_size(plugs.memory.base, plugs.memory.size, number), 511 * GIB4 + 0xFFFFF000);
    plugs.host = large.host;
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, number, &file_between), 0);
    ck_assert_int_eq(ext2dax_read(file_between, 511 * GIB4, buffer, 1), 1);
    ext2dax_inode_put(file_between);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ext2dax_memory_close_heap(&plugs.memory);
    close_large();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order");
    TCase *all = add_case(suite, "order", 60);

    tcase_add_test(all, every_call_costs_what_its_row_says);
    tcase_add_test(all, no_length_costs_more);
    tcase_add_test(all, without_an_order_only_what_syncs_costs_anything);
    tcase_add_loop_test(all, the_feature_comes_before_the_size, 0, 6);
    tcase_add_test(all, the_size_between_its_words_is_no_reason_to_refuse);
    return run_suite(suite);
}
