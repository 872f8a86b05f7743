/* SPDX-License-Identifier: MIT */
/*
 * Images planned by arithmetic, and then built by the library. The planned image holds the tree and
 * gives every full PMD range an aligned extent, in random orders of calls and for every block size.
 * An image with a block less does not.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"

#include "../runner.h"

#define MOST_FILES 1200

/* A tree of files in the root, and the geometry of the image. */
struct tree {
    struct ext2dax_format_options format;
    unsigned page_shift, huge_order;
    unsigned files;
    struct {
        uint64_t size;
        unsigned holes; /* in 16ths of the blocks, not written */
        bool packed;
    } file[MOST_FILES];
    uint64_t random;
};

static uint32_t draw(struct tree *tree, uint32_t below)
{
    tree->random = tree->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((tree->random >> 33) % below);
}

static uint64_t block_size_of(const struct tree *tree)
{
    return tree->format.block_size;
}

/*
 * Is the block of the file a hole? A function of the numbers alone, for the tally and the writes.
 */
static bool is_hole(const struct tree *tree, unsigned file, uint64_t block)
{
    uint64_t mixed = (block / 3 + file) * 0x9E3779B97F4A7C15u;

    return (mixed >> 60) < tree->file[file].holes;
}

/* Calls `each` for every run of data of the file. */
static void each_run(const struct tree *tree, unsigned file, void (*each)(void *arg, uint64_t from, uint64_t to),
                     void *arg)
{
    uint64_t size = tree->file[file].size, unit = block_size_of(tree), from = 0, to;

    for (uint64_t block = 0; block * unit < size; block++) {
        to = (block + 1) * unit < size ? (block + 1) * unit : size;
        if (is_hole(tree, file, block)) {
            if (from < block * unit)
                each(arg, from, block * unit);
            from = to;
        } else if (to == size) {
            each(arg, from, size);
        }
    }
}

struct runs {
    struct ext2dax_tally_run *run;
    size_t count;
};

static void add_run(void *arg, uint64_t from, uint64_t to)
{
    struct runs *runs = arg;

    runs->run = realloc(runs->run, (runs->count + 1) * sizeof(*runs->run));
    runs->run[runs->count++] = (struct ext2dax_tally_run){from, to - from};
}

static void tally_of(const struct tree *tree, struct ext2dax_tally *tally)
{
    struct ext2dax_tally_directory root;

    ck_assert_int_eq(ext2dax_tally_begin(tally, &tree->format, (uint64_t)1 << (tree->page_shift + tree->huge_order)),
                     0);
    ext2dax_tally_root(tally, &root);
    for (unsigned i = 0; i < tree->files; i++) {
        struct runs runs = {malloc(1), 0};

        if (tree->file[i].holes != 0)
            each_run(tree, i, add_run, &runs);
        ck_assert_int_eq(ext2dax_tally_file(tally, tree->file[i].size, tree->file[i].holes != 0 ? runs.run : NULL,
                                            runs.count, tree->file[i].packed),
                         0);
        free(runs.run);
        ext2dax_tally_name(tally, &root, 8);
    }
}

struct writing {
    struct tree *tree;
    struct ext2dax_inode *inode;
    bool failed;
};

static void write_run(void *arg, uint64_t from, uint64_t to)
{
    static uint8_t bytes[1 << 16];
    struct writing *w = arg;

    while (from < to && !w->failed) {
        uint32_t most = to - from < sizeof(bytes) ? (uint32_t)(to - from) : (uint32_t)sizeof(bytes);
        size_t part = 1 + draw(w->tree, most);

        memset(bytes, (int)(from >> 8) | 1, part);
        w->failed = ext2dax_write(w->inode, from, bytes, part) != (int64_t)part;
        from += part;
    }
}

/* Counts the full PMD ranges of a file with data, and the ranges that a huge page could map. */
static void count_ranges(const struct tree *tree, unsigned file, struct ext2dax_inode *inode, unsigned *full,
                         unsigned *huge)
{
    uint64_t unit = block_size_of(tree), bytes = (uint64_t)1 << (tree->page_shift + tree->huge_order), blocks;

    blocks = bytes / unit < unit / 4 ? bytes / unit : unit / 4;
    for (uint64_t first = 0; (first + blocks) * unit <= tree->file[file].size; first += blocks) {
        bool any = false, aligned = true;
        struct ext2dax_run run;

        for (uint64_t at = first; at < first + blocks; at = run.logical + run.length) {
            ck_assert_int_eq(ext2dax_map(inode, at, first + blocks - at, &run), 0);
            any = any || run.physical != 0;
            aligned = aligned && (run.physical == 0 || (run.physical - (run.logical - first)) % blocks == 0);
        }
        *full += any && !tree->file[file].packed;
        *huge += any && aligned && !tree->file[file].packed;
    }
}

/* Writes file number `i`. Returns false if the image is full. */
static bool make_file(struct tree *tree, struct ext2dax_inode *root, unsigned i, unsigned *full, unsigned *huge)
{
    struct writing w = {.tree = tree};
    char name[16];

    (void)snprintf(name, sizeof(name), "file%04u", i);
    if (ext2dax_create(root, name, 8, 0644, 0, 0, &w.inode) != 0)
        return false;
    if (!tree->file[i].packed && ext2dax_truncate(w.inode, tree->file[i].size) != 0)
        w.failed = true;
    each_run(tree, i, write_run, &w);
    if (!w.failed)
        count_ranges(tree, i, w.inode, full, huge);
    ext2dax_inode_put(w.inode);
    return !w.failed;
}

static void show(void *arg, const struct ext2dax_finding *finding)
{
    char line[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, line, sizeof(line));
    puts(line);
}

/*
 * Builds the tree in an image of `size` bytes. Returns whether every file fits and every full PMD
 * range could be mapped by a huge page.
 */
static bool build(struct tree *tree, uint64_t size, uint32_t inodes, unsigned *full, struct ext2dax_statfs *figures)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none(), .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = EXT2DAX_MOUNT_FULL_RANGES,
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order};
    struct ext2dax_format_options format = tree->format;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    unsigned huge = 0, i;
    bool fits = true;

    format.inodes = inodes;
    ck_assert_int_eq(ext2dax_memory_open_heap((size_t)size, &plugs.memory), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, &format, NULL), 0);
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_lookup_path(mount, "/", 1, 0, &root), 0);
    *full = 0;
    for (i = 0; i < tree->files && fits; i++)
        fits = make_file(tree, root, i, full, &huge);
    ext2dax_inode_put(root);
    ext2dax_statfs(mount, figures, sizeof(*figures));
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(ext2dax_check_image(plugs.memory.base, plugs.memory.size, 0, show, NULL, NULL), 0);
    ext2dax_memory_close_heap(&plugs.memory);
    return fits && huge == *full;
}

static struct tree tree;

static bool has_holes(void)
{
    for (unsigned i = 0; i < tree.files; i++) {
        if (tree.file[i].holes != 0)
            return true;
    }
    return false;
}

static unsigned exact; /* plans found to be the smallest */

/* Plans, builds, and builds again with a block less. */
static void plan_is_exact(struct ext2dax_image_plan *plan, uint64_t room)
{
    uint64_t unit = block_size_of(&tree), seed = tree.random;
    struct ext2dax_statfs figures;
    struct ext2dax_tally tally;
    unsigned full;

    tally_of(&tree, &tally);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, room, plan), 0);
    ck_assert_msg(build(&tree, plan->size, plan->inodes, &full, &figures), "%llu bytes do not suffice",
                  (unsigned long long)plan->size);
    ck_assert_uint_eq(full, tally.ranges);
    ck_assert_uint_eq(figures.free_blocks * unit, plan->free);
    ck_assert_uint_ge(plan->free, room);
    ck_assert_uint_ge(figures.free_inodes + 11 + tally.inodes, plan->inodes);
    /*
     * An aligned extent with holes may serve the last files, in a lucky order of calls. The plan is
     * for every order.
     */
    if (room != 0 || tree.format.reserved_percent != 0 || has_holes())
        return;
    exact++;
    tree.random = seed;
    ck_assert_msg(!build(&tree, plan->size - unit, plan->inodes, &full, &figures), "%llu bytes suffice, too",
                  (unsigned long long)(plan->size - unit));
}

/* The block size, log2 of the page size, log2 of the pages of a PMD range, and blocks per group. */
static const unsigned geometry[][4] = {{4096, 12, 5, 0},  {4096, 12, 5, 1024}, {4096, 12, 9, 0}, {1024, 12, 9, 0},
                                       {1024, 10, 3, 64}, {2048, 12, 4, 256},  {1024, 12, 6, 0}, {16384, 14, 4, 128}};
#define GEOMETRIES (sizeof(geometry) / sizeof(geometry[0]))

static void draw_tree(unsigned number, unsigned round)
{
    const unsigned *g = geometry[number];
    uint64_t range;

    memset(&tree, 0, sizeof(tree));
    tree.random = number * 1000 + round;
    tree.format.size = sizeof(tree.format);
    tree.format.block_size = g[0];
    tree.format.blocks_per_group = g[3];
    tree.page_shift = g[1];
    tree.huge_order = g[2];
    range = (uint64_t)1 << (g[1] + g[2]);
    range = range < (uint64_t)g[0] * g[0] / 4 ? range : (uint64_t)g[0] * g[0] / 4;
    tree.files = 1 + draw(&tree, 60);
    for (unsigned i = 0; i < tree.files; i++) {
        uint64_t small = draw(&tree, (uint32_t)range);

        tree.file[i].size = draw(&tree, 3) == 0 ? draw(&tree, 5) * range + (draw(&tree, 2) ? small : 0) : small;
        tree.file[i].holes = round % 2 != 0 && draw(&tree, 4) == 0 ? draw(&tree, 16) : 0;
        tree.file[i].packed = draw(&tree, 6) == 0;
        if (tree.file[i].packed)
            tree.file[i].holes = 0; /* written in order from the start, as by an append */
    }
}

START_TEST(a_planned_image_suffices_and_one_block_less_does_not)
{
    struct ext2dax_image_plan plan;

    exact = 0;
    for (unsigned round = 0; round < 12; round++) {
        draw_tree((unsigned)_i, round);
        plan_is_exact(&plan, 0);
    }
    ck_assert_uint_ge(exact, 4);
}
END_TEST

START_TEST(room_and_reserved_blocks_stay_free)
{
    struct ext2dax_image_plan plan, without;
    struct ext2dax_tally tally;

    draw_tree((unsigned)_i, 100);
    tally_of(&tree, &tally);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &without), 0);
    plan_is_exact(&plan, 3000000);
    ck_assert_uint_ge(plan.size, without.size + 3000000 - without.free);
    tree.format.reserved_percent = 10;
    plan_is_exact(&plan, 3000000);
    ck_assert_uint_ge(plan.free, 3000000 + plan.size / 10 - block_size_of(&tree));
}
END_TEST

/*
 * A tree as in a root file system, with PMD ranges of 128 KiB. All full ranges are huge, in an
 * image at most 3 % larger than its content.
 */
START_TEST(a_thousand_files_with_five_hundred_ranges)
{
    uint64_t range = 128 << 10;
    struct ext2dax_image_plan plan;
    struct ext2dax_tally tally;

    memset(&tree, 0, sizeof(tree));
    tree.random = 14;
    tree.format.size = sizeof(tree.format);
    tree.format.block_size = 4096;
    tree.page_shift = 12;
    tree.huge_order = 5;
    tree.files = 1161;
    for (unsigned i = 0; i < tree.files; i++)
        tree.file[i].size = i % 12 == 0 ? draw(&tree, 12) * range + draw(&tree, (uint32_t)range) : draw(&tree, 30000);
    tally_of(&tree, &tally);
    ck_assert_uint_ge(tally.ranges, 500);
    plan_is_exact(&plan, 0);
    printf("%u ranges huge, content %llu KiB, image %llu KiB, %.2f %% larger\n", (unsigned)tally.ranges,
           (unsigned long long)plan.content >> 10, (unsigned long long)plan.size >> 10,
           100.0 * (double)(plan.size - plan.content) / (double)plan.content);
    ck_assert_uint_le(plan.size * 100, plan.content * 103);
}
END_TEST

/*
 * Pointer blocks of a file with holes, below every kind of pointer. Runs end and begin in the same
 * block. All ranges with data are partly holes. With the tally's extents free, the blocks used are
 * those of the tally.
 */
START_TEST(pointer_blocks_of_files_with_holes)
{
    static const struct ext2dax_tally_run all[] = {{5, 10},
                                                   {100, 200},
                                                   {1023, 1},
                                                   {1024, 3000},
                                                   {12 << 10, 1},
                                                   {(12 << 10) + 5, 1},
                                                   {267 << 10, 1},
                                                   {268 << 10, 1},
                                                   {300 << 10, 700000},
                                                   {65803 << 10, 1},
                                                   {65804 << 10, 1},
                                                   {(65804 + 255) << 10, 1025},
                                                   {131000 << 10, 70000},
                                                   {131340 << 10, 2000},
                                                   {200000 << 10, 300000},
                                                   {(uint64_t)9000000 << 10, 5}};
    const size_t runs = sizeof(all) / sizeof(all[0]);
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none(), .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .flags = EXT2DAX_MOUNT_FULL_RANGES};
    struct ext2dax_format_options format = {.size = sizeof(format), .block_size = 1024};
    struct ext2dax_inode *root, *file;
    struct ext2dax_statfs before, after;
    struct ext2dax_mount *mount;

    for (size_t first = 0; first < runs; first++) {
        uint64_t size = all[runs - 1].offset + 6;
        struct ext2dax_image_plan plan;
        struct ext2dax_tally tally;

        ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 0), 0);
        ck_assert_int_eq(ext2dax_tally_file(&tally, size, all + first, runs - first, false), 0);
        ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &plan), 0);
        format.inodes = plan.inodes;
        ck_assert_int_eq(ext2dax_memory_open_heap((size_t)plan.size, &plugs.memory), 0);
        ck_assert_int_eq(ext2dax_format(&plugs.memory, &format, NULL), 0);
        ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
        ck_assert_int_eq(ext2dax_lookup_path(mount, "/", 1, 0, &root), 0);
        ext2dax_statfs(mount, &before, sizeof(before));
        ck_assert_int_eq(ext2dax_create(root, "f", 1, 0644, 0, 0, &file), 0);
        ck_assert_int_eq(ext2dax_truncate(file, size), 0);
        for (size_t i = runs; i-- > first;) {
            struct writing w = {.tree = &tree, .inode = file};

            write_run(&w, all[i].offset, all[i].offset + all[i].length);
            ck_assert(!w.failed);
        }
        ext2dax_inode_put(file);
        ext2dax_inode_put(root);
        ext2dax_statfs(mount, &after, sizeof(after));
        ck_assert_uint_eq(before.free_blocks - after.free_blocks, tally.blocks);
        ck_assert_uint_eq(after.free_blocks * 1024, plan.free);
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
        ext2dax_memory_close_heap(&plugs.memory);
        format.inodes = 0;
    }
}
END_TEST

/* ---- directories, links, nodes and attributes ---- */

#define TOP_NAMES 700

/* Makes a name of a length that depends on its number. */
static size_t name_of(char name[256], unsigned number)
{
    size_t length = 6 + number * 37 % 200;

    memset(name, 'n', length);
    for (size_t i = 0; i < 5; i++, number /= 10)
        name[i] = (char)('0' + number % 10);
    return length;
}

static void tally_every_type(struct ext2dax_tally *tally, const struct ext2dax_format_options *format)
{
    struct ext2dax_tally_directory top, below;
    char name[256];

    ck_assert_int_eq(ext2dax_tally_begin(tally, format, 0), 0);
    ext2dax_tally_root(tally, &top);
    for (unsigned i = 0; i < TOP_NAMES; i++) {
        ext2dax_tally_name(tally, &top, name_of(name, i));
        if (i % 7 == 0) {
            ext2dax_tally_directory(tally, &below);
            for (unsigned k = 0; k < i; k++)
                ext2dax_tally_name(tally, &below, name_of(name, k));
            for (unsigned k = 0; k < i; k++)
                ext2dax_tally_node(tally);
        } else if (i % 7 == 1) {
            ext2dax_tally_symlink(tally, 55 + i % 10);
        } else if (i % 7 == 2) {
            ext2dax_tally_node(tally);
        } else if (i % 7 == 3) {
            ext2dax_tally_node(tally);
            ext2dax_tally_attributes(tally, EXT2DAX_TALLY_ATTRIBUTE(1, i % 200));
        } else if (i % 7 != 4) { /* a further name of the node before */
            ck_assert_int_eq(ext2dax_tally_file(tally, i * 1000, NULL, 0, true), 0);
        }
    }
}

static void make_every_type(struct ext2dax_inode *root)
{
    static unsigned char content[TOP_NAMES * 1000];
    struct ext2dax_inode *inode = NULL, *node = NULL;
    char name[256];

    for (unsigned i = 0; i < TOP_NAMES; i++) {
        size_t length = name_of(name, i);
        int error = 0;

        if (i % 7 == 0) {
            error = ext2dax_mkdir(root, name, length, 0755, 0, 0, &inode);
            for (unsigned k = 0; k < i && error == 0; k++) {
                size_t below = name_of(name, k);

                error = ext2dax_mknod(inode, name, below, EXT2DAX_S_IFIFO | 0600, 0, 0, 0, 0, NULL);
            }
        } else if (i % 7 == 1) {
            error =
                ext2dax_symlink(root, name, length, (const char *)memset(content, 't', 100), 55 + i % 10, 0, 0, &inode);
        } else if (i % 7 == 2 || i % 7 == 3) {
            error = ext2dax_mknod(root, name, length, EXT2DAX_S_IFCHR | 0600, 1, i, 0, 0, &inode);
            /* Equal attributes would share a block. */
            memset(content, (int)i, 200);
            memcpy(content, &i, sizeof(i));
            if (i % 7 == 3 && error == 0)
                error = ext2dax_setxattr(inode, "trusted.a", 9, content, i % 200, 0);
        } else if (i % 7 == 4) {
            error = ext2dax_link(node, root, name, length);
        } else {
            error = ext2dax_create(root, name, length, 0644, 0, 0, &inode);
            if (error == 0 && ext2dax_write(inode, 0, content, (size_t)i * 1000) != (int64_t)i * 1000)
                error = -EXT2DAX_ENOSPC;
        }
        ck_assert_int_eq(error, 0);
        if (node)
            ext2dax_inode_put(node);
        node = inode;
        inode = NULL;
    }
    if (node)
        ext2dax_inode_put(node);
}

/*
 * Builds a tree with every type of inode. The blocks used are those of the tally, except that
 * directories of several blocks may use less.
 */
START_TEST(every_type_fits)
{
    static const uint32_t block_sizes[] = {1024, 4096, 4096, 16384}, inode_sizes[] = {128, 256, 128, 512};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none(), .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .flags = EXT2DAX_MOUNT_FULL_RANGES};
    struct ext2dax_format_options format = {
        .size = sizeof(format), .block_size = block_sizes[_i], .inode_size = inode_sizes[_i]};
    struct ext2dax_statfs before, after;
    struct ext2dax_image_plan plan;
    struct ext2dax_mount *mount;
    struct ext2dax_tally tally;
    struct ext2dax_inode *root;
    uint64_t used;

    tally_every_type(&tally, &format);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &plan), 0);
    format.inodes = plan.inodes;
    ck_assert_int_eq(ext2dax_memory_open_heap((size_t)plan.size, &plugs.memory), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, &format, NULL), 0);
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_lookup_path(mount, "/", 1, 0, &root), 0);
    ext2dax_statfs(mount, &before, sizeof(before));
    make_every_type(root);
    ext2dax_inode_put(root);
    ext2dax_statfs(mount, &after, sizeof(after));
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(ext2dax_check_image(plugs.memory.base, plugs.memory.size, 0, show, NULL, NULL), 0);
    ext2dax_memory_close_heap(&plugs.memory);
    used = before.free_blocks - after.free_blocks;
    printf("blocks of %u: used %u, tally %u\n", format.block_size, (unsigned)used, (unsigned)tally.blocks);
    ck_assert_uint_le(used, tally.blocks);
    ck_assert_uint_ge(used * 50, tally.blocks * 49);
    ck_assert_uint_eq(before.free_inodes - after.free_inodes, tally.inodes);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    struct ext2dax_format_options format = {.size = sizeof(format), .block_size = 1024};
    struct ext2dax_tally_run runs[2] = {{0, 100}, {50, 100}};
    struct ext2dax_image_plan plan;
    struct ext2dax_tally tally;

    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 4096), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 3 << 20), -EXT2DAX_EINVAL);
    format.blocks_per_group = 1000;
    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 0), -EXT2DAX_EINVAL);
    format.blocks_per_group = 0;
    format.block_size = 1000;
    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 0), -EXT2DAX_EINVAL);
    format.block_size = 1024;
    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 0), 0);
    ck_assert_int_eq(ext2dax_tally_file(&tally, (uint64_t)17 << 30, NULL, 0, false), -EXT2DAX_EFBIG);
    ck_assert_int_eq(ext2dax_tally_file(&tally, 200, runs, 2, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_tally_file(&tally, 99, runs, 1, false), -EXT2DAX_EINVAL);
    runs[0].length = 0;
    ck_assert_int_eq(ext2dax_tally_file(&tally, 99, runs, 1, false), -EXT2DAX_EINVAL);
    ck_assert_uint_eq(tally.ranges + tally.packed + tally.inodes, 0);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, UINT64_MAX, &plan), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, (uint64_t)1 << 42, &plan), -EXT2DAX_EOVERFLOW);
    tally.inodes = UINT32_MAX;
    ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &plan), -EXT2DAX_EOVERFLOW);
    /* An image of almost the largest size is planned, too. */
    tally.inodes = 1000000;
    ck_assert_int_eq(ext2dax_tally_plan(&tally, (uint64_t)1000 << 30, &plan), 0);
    ck_assert_uint_ge(plan.free, (uint64_t)1000 << 30);
    ck_assert_uint_le(plan.free, ((uint64_t)1000 << 30) + (8 << 20));
    /* Groups of a single range suffice for packed blocks alone. */
    format.blocks_per_group = 256;
    ck_assert_int_eq(ext2dax_tally_begin(&tally, &format, 0), 0);
    ck_assert_int_eq(ext2dax_tally_file(&tally, 3 << 20, NULL, 0, true), 0);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &plan), 0);
    ck_assert_int_eq(ext2dax_tally_file(&tally, 3 << 20, NULL, 0, false), 0);
    ck_assert_int_eq(ext2dax_tally_plan(&tally, 0, &plan), -EXT2DAX_EINVAL);
}
END_TEST

/* ---- the image ---- */

static struct ext2dax_plugs plugs_for_build(size_t size)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_by_name("none"), .host = ext2dax_host_default()};

    ck_assert_int_eq(ext2dax_memory_open_heap(size, &plugs.memory), 0);
    return plugs;
}

/* A file gets its content, aligned extents, and all attributes, or 0644 and the present. */
START_TEST(files_of_a_builder)
{
    static const struct ext2dax_attributes attributes = {.size = sizeof attributes,
                                                         .set = EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME |
                                                                EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED,
                                                         .mode = 04751,
                                                         .uid = 70000,
                                                         .gid = 7,
                                                         .atime = {.seconds = 1, .nanoseconds = 2},
                                                         .mtime = {.seconds = 3, .nanoseconds = 4},
                                                         .ctime = {.seconds = 5, .nanoseconds = 6},
                                                         .created = {.seconds = 7, .nanoseconds = 8}};
    static unsigned char content[(5 << 20) + 77], back[sizeof content];
    struct ext2dax_plugs plugs = plugs_for_build(32 << 20);
    const struct ext2dax_image_plan plan = {.inodes = 64};
    struct ext2dax_inode *root, *file;
    struct ext2dax_mount *mount;
    struct ext2dax_stat stat;
    struct ext2dax_run run;

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (unsigned char)(i * 31 >> 3);
    ck_assert_int_eq(ext2dax_build_begin(&plugs, NULL, &plan, &mount, &root), 0);
    ck_assert_int_eq(ext2dax_build_file(root, "a", 1, &attributes, content, sizeof content), 0);
    ck_assert_int_eq(ext2dax_build_file(root, "b", 1, NULL, NULL, 0), 0);
    ck_assert_int_eq(ext2dax_build_file(root, "b", 1, NULL, NULL, 0), -EXT2DAX_EEXIST);
    ck_assert_int_eq(ext2dax_lookup(root, "a", 1, &file), 0);
    ext2dax_stat(file, &stat, sizeof stat);
    ck_assert_uint_eq(stat.mode, EXT2DAX_S_IFREG | 04751);
    ck_assert(stat.uid == 70000 && stat.gid == 7 && stat.size == sizeof content);
    ck_assert(stat.atime.seconds == 1 && stat.atime.nanoseconds == 2 && stat.mtime.seconds == 3);
    ck_assert(stat.mtime.nanoseconds == 4 && stat.ctime.seconds == 5 && stat.created.seconds == 7);
    ck_assert_int_eq(ext2dax_read(file, 0, back, sizeof back), sizeof back);
    ck_assert_int_eq(memcmp(content, back, sizeof back), 0);
    for (uint64_t block = 0; block < 1024; block += 512) {
        ck_assert_int_eq(ext2dax_map(file, block, 512, &run), 0);
        ck_assert(run.length == 512 && run.physical % 512 == 0);
    }
    ext2dax_inode_put(file);
    ck_assert_int_eq(ext2dax_lookup(root, "b", 1, &file), 0);
    ext2dax_stat(file, &stat, sizeof stat);
    ck_assert(stat.mode == (EXT2DAX_S_IFREG | 0644) && stat.uid == 0 && stat.mtime.seconds > 1700000000);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ck_assert_int_eq(ext2dax_check_image(plugs.memory.base, plugs.memory.size, 0, show, NULL, NULL), 0);
    ext2dax_memory_close_heap(&plugs.memory);
}
END_TEST

/* A failure of a step leaves no mount, and a file without room is no success. */
START_TEST(failures_of_a_builder)
{
    static const unsigned char content[4 << 20];
    struct ext2dax_format_options format = {.size = sizeof format, .block_size = 3000};
    struct ext2dax_plugs plugs = plugs_for_build(2 << 20);
    const struct ext2dax_image_plan plan = {.inodes = 16};
    struct ext2dax_inode *root = (void *)&plugs;
    struct ext2dax_mount *mount = (void *)&plugs;

    ck_assert_int_eq(ext2dax_build_begin(&plugs, &format, &plan, &mount, &root), -EXT2DAX_EINVAL);
    ck_assert(!mount && !root);
    format.block_size = 0;
    ck_assert_int_eq(ext2dax_build_begin(&plugs, &format, &plan, &mount, &root), 0);
    ck_assert_int_eq(ext2dax_build_file(root, "large", 5, NULL, content, sizeof content), -EXT2DAX_ENOSPC);
    ck_assert_int_eq(ext2dax_build_file(root, "", 0, NULL, content, 1), -EXT2DAX_EINVAL);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ext2dax_memory_close_heap(&plugs.memory);
}
END_TEST

/* ---- the identity ---- */

/* Compares with digests of another implementation. The marks of version and variant are set. */
START_TEST(an_identity_is_the_digest)
{
    static const struct {
        size_t length;
        uint8_t digest[32];
    } known[] = {
        {0, {0x0e, 0x57, 0x51, 0xc0, 0x26, 0xe5, 0x43, 0xb2, 0xe8, 0xab, 0x2e, 0xb0, 0x60, 0x99, 0xda, 0xa1,
             0xd1, 0xe5, 0xdf, 0x47, 0x77, 0x8f, 0x77, 0x87, 0xfa, 0xab, 0x45, 0xcd, 0xf1, 0x2f, 0xe3, 0xa8}},
        {1, {0x03, 0x17, 0x0a, 0x2e, 0x75, 0x97, 0xb7, 0xb7, 0xe3, 0xd8, 0x4c, 0x05, 0x39, 0x1d, 0x13, 0x9a,
             0x62, 0xb1, 0x57, 0xe7, 0x87, 0x86, 0xd8, 0xc0, 0x82, 0xf2, 0x9d, 0xcf, 0x4c, 0x11, 0x13, 0x14}},
        {127, {0x4f, 0xf6, 0x2e, 0x7c, 0x4c, 0x43, 0xfe, 0x10, 0x1a, 0x07, 0x84, 0x79, 0xc4, 0x88, 0x36, 0xbe,
               0x49, 0x07, 0xd9, 0xd4, 0x98, 0xdc, 0xc5, 0x77, 0xca, 0x89, 0xd6, 0x94, 0xb2, 0xc1, 0x1f, 0x9b}},
        {128, {0x14, 0x69, 0x6d, 0x2a, 0x98, 0xd9, 0xf8, 0xa2, 0x80, 0xda, 0x8b, 0x13, 0x2b, 0x10, 0x45, 0xb3,
               0x45, 0xe1, 0x03, 0x37, 0x59, 0xc6, 0xb0, 0x2f, 0xcc, 0x4e, 0xe8, 0x85, 0xc8, 0xae, 0x7c, 0x37}},
        {129, {0x39, 0x34, 0x21, 0x52, 0x60, 0xb1, 0x03, 0x9b, 0xe9, 0xd9, 0xd2, 0xb0, 0x73, 0xb0, 0x59, 0xbc,
               0xd5, 0x01, 0x20, 0xc3, 0x27, 0xa2, 0x2a, 0xf9, 0x3e, 0xb4, 0xd9, 0x8c, 0xf8, 0x21, 0xc1, 0x4c}},
        {255, {0x2d, 0x10, 0x6b, 0x5e, 0xfe, 0xa5, 0x19, 0xe4, 0x56, 0x4d, 0x2b, 0xd5, 0x6b, 0xcf, 0xd2, 0x24,
               0x5f, 0x30, 0x78, 0x79, 0x86, 0xad, 0x95, 0xa7, 0x34, 0xc2, 0x48, 0xf0, 0x01, 0xae, 0xe3, 0xc4}},
        {256, {0x7b, 0x43, 0x37, 0x13, 0x5e, 0x0b, 0x11, 0x2b, 0x7e, 0xc8, 0x52, 0x8f, 0x22, 0xdd, 0x05, 0xaf,
               0x22, 0x6c, 0xca, 0x2a, 0x35, 0x8c, 0xca, 0x73, 0x16, 0x96, 0xb6, 0x71, 0x3f, 0x93, 0x83, 0xcb}},
        {257, {0x36, 0xaf, 0x0b, 0xbc, 0xe3, 0xec, 0xc7, 0x95, 0xd8, 0xd3, 0x39, 0xec, 0xc7, 0xa2, 0x2b, 0xad,
               0xfd, 0x16, 0xbf, 0xa1, 0x30, 0xfc, 0x27, 0x48, 0xc9, 0xb2, 0xd0, 0xf3, 0x1c, 0xe0, 0x0d, 0xd3}},
        {1000, {0x21, 0x5b, 0xbd, 0xb5, 0xd5, 0x6e, 0x01, 0x53, 0xec, 0xa4, 0x8c, 0xbf, 0x15, 0x74, 0x7f, 0x1d,
                0xaf, 0x9a, 0x35, 0x9f, 0x05, 0x04, 0x2c, 0x17, 0xc8, 0x75, 0x63, 0x01, 0x0a, 0xf5, 0xb9, 0x2e}},
    };
    uint8_t bytes[1000], uuid[16], seed[16];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
        for (size_t step = 1; step < 300; step += 1 + step / 3) {
            struct ext2dax_digest digest;

            ext2dax_digest_begin(&digest);
            for (size_t at = 0; at < known[k].length; at += step)
                ext2dax_digest_add(&digest, bytes + at, known[k].length - at < step ? known[k].length - at : step);
            ext2dax_digest_identity(&digest, uuid, seed);
            for (unsigned i = 0; i < 16; i++) {
                uint8_t mask = i == 6 ? 0x0F : i == 8 ? 0x3F : 0xFF;

                ck_assert_uint_eq(uuid[i] & mask, known[k].digest[i] & mask);
                ck_assert_uint_eq(seed[i], known[k].digest[16 + i]);
            }
            ck_assert_uint_eq(uuid[6] >> 4, 8);
            ck_assert_uint_eq(uuid[8] >> 6, 2);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("build");
    TCase *tests = add_case(suite, "plans", 240);

    tcase_add_loop_test(tests, a_planned_image_suffices_and_one_block_less_does_not, 0, (int)GEOMETRIES);
    tcase_add_loop_test(tests, room_and_reserved_blocks_stay_free, 0, (int)GEOMETRIES);
    tcase_add_test(tests, a_thousand_files_with_five_hundred_ranges);
    tcase_add_test(tests, pointer_blocks_of_files_with_holes);
    tcase_add_loop_test(tests, every_type_fits, 0, 4);
    tcase_add_test(tests, what_cannot_be_is_refused);
    tcase_add_test(tests, files_of_a_builder);
    tcase_add_test(tests, failures_of_a_builder);
    tcase_add_test(tests, an_identity_is_the_digest);
    return run_suite(suite);
}
