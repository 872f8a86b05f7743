/* SPDX-License-Identifier: MIT */
/*
 * Stores into a mapped file by real faults until no block is free. A store may fail only if no
 * block is free, for every size of group and image. The first round stores once into each PMD range
 * of 2 MiB, the second into the blocks left.
 *
 * Images are sparse. Zeroing a block frees its memory, so only pages with a store take memory.
 * Another file takes the blocks meant for no store, by a call which accesses none of the blocks.
 */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mounted.h"
#include "fault_method.h"
#include "../emulated.h"
#include "../runner.h"

#include "ext2dax/hosted/memory.h"

#define MIB        ((uint64_t)1 << 20)
#define PMD_RANGE  (HUGE / PAGE) /* pages */
#define LEFT       1024u         /* blocks free for the second round, at most */
#define MOST_EXTRA 3u            /* pointer blocks a store may need in addition to its own block */
#define REFUSED    8u            /* stores tried after all blocks are taken */

struct shape {
    uint32_t blocks_per_group;
    uint32_t size;  /* MiB */
    size_t reserve; /* of the host */
    bool is_long;
    bool is_default; /* the default format of 12 GiB */
};

/* The short shapes have a reserve too small for any allocation in the first fault on a group. */
static const struct shape shapes[] = {
    {.blocks_per_group = 64, .size = 32, .reserve = 1},
    {.blocks_per_group = 256, .size = 96, .reserve = 1},
    {.blocks_per_group = 1024, .size = 320, .reserve = 1},
    {.blocks_per_group = 8192, .size = 2200, .reserve = 1},
    {.blocks_per_group = 32768, .size = 2304, .reserve = 1},
    {.blocks_per_group = 64, .size = 1024, .is_long = true},
    {.blocks_per_group = 256, .size = 12288, .is_long = true},
    {.blocks_per_group = 1024, .size = 12288, .is_long = true},
    {.blocks_per_group = 8192, .size = 12288, .is_long = true},
    {.blocks_per_group = 32768, .size = 12288, .is_long = true, .is_default = true},
    {.blocks_per_group = 1024, .size = 65536, .is_long = true},
    {.blocks_per_group = 8192, .size = 65536, .is_long = true},
    {.blocks_per_group = 32768, .size = 65536, .is_long = true},
};
#define SHAPES (int)(sizeof(shapes) / sizeof(shapes[0]))

static struct mounted m;
static struct ext2dax_inode *file, *rest;
static uint8_t *shown;
static uint64_t pages; /* of the file, as many as the image has blocks */
static bool all, on_disk;

/* Punches holes into whole pages of the image's file, which then read as zeroes. */
static int give_back(void *ctx, void *at, size_t length)
{
    const struct mounted *mounted = ctx;
    uintptr_t from = (uintptr_t)at, to = from + length;
    uintptr_t first = (from + PAGE - 1) & ~(uintptr_t)(PAGE - 1), end = to & ~(uintptr_t)(PAGE - 1);
    off_t offset = (off_t)(first - (uintptr_t)mounted->memory.base);

    if (end <= first || fallocate(ext2dax_memory_descriptor(&mounted->memory),
                                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)(end - first)) != 0)
        first = end = to;
    memset(at, 0, first - from);
    memset((void *)end, 0, to - end);
    return 0;
}

static const struct ext2dax_memory_ops sparse_ops = {.size = sizeof(sparse_ops), .zero = give_back};

static uint64_t free_blocks(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(m.mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

static void open_files(void)
{
    ck_assert_int_eq(ext2dax_lookup(m.root, "file", 4, &file), 0);
    ck_assert_int_eq(ext2dax_lookup(m.root, "rest", 4, &rest), 0);
    shown = map_file(&m, file, 0, pages * PAGE, EXT2DAX_MAP_WRITE);
}

static void close_files(void)
{
    unmap_file(&m, shown);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
}

/* Opens the image. Returns false if the shape is left out. */
static bool open_shape(const struct shape *shape)
{
    char path[] = "/tmp/ext2dax-full-XXXXXX";
    struct mounted_options options = {.size = shape->size * MIB,
                                      .blocks_per_group = shape->blocks_per_group,
                                      .reserve = shape->reserve,
                                      .memory_ops = &sparse_ops};
    bool slow = emulated() || getenv("EXT2DAX_UNDER_VALGRIND");

    if (shape->is_long != all || (options.size > 512 * MIB && (slow || SIZE_MAX <= UINT32_MAX)) ||
        (on_disk && !shape->is_default))
        return false;
    if (on_disk) {
        int descriptor = mkstemp(path);

        ck_assert_int_ge(descriptor, 0);
        close(descriptor);
        unlink(path);
        options.path = path;
    }
    catch_signals();
    mounted_open(&m, &options);
    if (on_disk)
        unlink(path);
    pages = options.size / PAGE;
    ext2dax_inode_put(make_file(&m, "file", pages * PAGE));
    ext2dax_inode_put(make_file(&m, "rest", 0));
    open_files();
    return true;
}

static void close_shape(void)
{
    close_files();
    mounted_close(&m);
}

static bool stored(uint64_t page)
{
    int end = access_byte(shown + page * PAGE, true);

    ck_assert(end == 0 || end == SIGBUS);
    return end == 0;
}

/* Allocates blocks to the other file, from its end on, until at most `left` blocks are free. */
static void take_all_but(uint64_t left, uint64_t *end)
{
    for (uint64_t part = 16384; part != 0; part /= 2) {
        while (free_blocks() >= left + part && ext2dax_allocate(rest, *end * PAGE, part * PAGE, false) == 0)
            *end += part;
    }
}

/* Returns the first page from `page` on without a block. */
static uint64_t next_hole(uint64_t page)
{
    struct ext2dax_run run = {.physical = 1};

    for (;; page += run.length) {
        ck_assert_int_eq(ext2dax_map(file, page, pages - page, &run), 0);
        if (run.physical == 0)
            return page;
    }
}

/* Checks that no block is free and every further store fails. */
static void refuses(uint64_t page)
{
    ck_assert_uint_eq(free_blocks(), 0);
    for (unsigned i = 0; i < REFUSED; i++) {
        page = next_hole(page + 1);
        ck_assert(!stored(page));
    }
}

START_TEST(one_store_in_each_pmd_range_then_all_the_others)
{
    uint64_t range = 0, end = 0, page, before, stores = 0;

    if (!open_shape(&shapes[_i]))
        return;
    while (range * PMD_RANGE < pages && stored(range * PMD_RANGE))
        range++;
    before = free_blocks();
    ck_assert_msg(range * PMD_RANGE == pages || before <= MOST_EXTRA,
                  "SIGBUS at range %" PRIu64 " with %" PRIu64 " blocks free", range, before);

    /* The pointer blocks for these pages exist, so each store takes a single block. */
    take_all_but(LEFT, &end);
    ck_assert_uint_gt(range, 1);
    for (page = next_hole(0); free_blocks() != 0 && page < (range - 1) * PMD_RANGE;
         page = next_hole(page + 1), stores++)
        ck_assert_msg(stored(page), "SIGBUS at page %" PRIu64 " with %" PRIu64 " blocks free", page, free_blocks());
    printf("%6" PRIu32 " blocks a group, %5" PRIu32 " MiB: %" PRIu64 " ranges, %" PRIu64 " blocks free; %" PRIu64
           " more stores\n",
           shapes[_i].blocks_per_group, shapes[_i].size, range, before, stores);
    refuses(page);
    close_shape();
}
END_TEST

/* Faults find the single free blocks in each group after a remount which has scanned no group. */
START_TEST(the_last_blocks_of_every_group)
{
    uint32_t stride = shapes[_i].blocks_per_group / 8;
    uint64_t end = 0, page, holes = 0;

    if (!open_shape(&shapes[_i]))
        return;
    /*
     * Allocates the pointer blocks for the later stores. A pointer block covers 1024 pages. Each
     * store here may also allocate a whole PMD range.
     */
    for (page = 12; page < pages / stride + 1024; page += 1024)
        ck_assert(stored(page));
    take_all_but(0, &end);
    ck_assert_uint_le(free_blocks(), MOST_EXTRA);
    for (page = stride / 2; page < end; page += stride, holes++)
        ck_assert_int_eq(ext2dax_punch(rest, page * PAGE, PAGE), 0);
    close_files();
    mounted_again(&m);
    open_files();

    for (page = 0; free_blocks() != 0; page++)
        ck_assert_msg(stored(page), "SIGBUS at page %" PRIu64 " with %" PRIu64 " blocks free", page, free_blocks());
    printf("%6" PRIu32 " blocks a group, %5" PRIu32 " MiB: %" PRIu64 " holes, %" PRIu64 " pages stored to\n",
           shapes[_i].blocks_per_group, shapes[_i].size, holes, page);
    ck_assert_uint_ge(page, holes);
    refuses(page);
    close_shape();
}
END_TEST

/*
 * The argument "all" selects large images in memory, and "disk" a single large image in a file in
 * /tmp.
 */
int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tests;

    if (left_out_method())
        return SKIPPED;
    if (left_out_emulated("page faults of this process, which it resolves in its own way"))
        return SKIPPED;
    suite = suite_create("address space: full");
    on_disk = argc > 1 && strcmp(argv[1], "disk") == 0;
    all = argc > 1;
    tests = add_case(suite, "stores until nothing is free", all ? 600 : 120);
    tcase_add_loop_test(tests, one_store_in_each_pmd_range_then_all_the_others, 0, SHAPES);
    tcase_add_loop_test(tests, the_last_blocks_of_every_group, 0, SHAPES);
    return run_suite(suite);
}
