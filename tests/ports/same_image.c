/* SPDX-License-Identifier: MIT */
/*
 * Makes the same calls on any machine. The resulting images must be byte for byte the same, and
 * every machine must be able to read an image of another machine and to continue with it.
 *
 *   same_image make SHAPE FILE    makes an image, works on it, and writes it
 *   same_image on SHAPE FILE      continues with the image in FILE, and writes it
 *   same_image list SHAPE FILE    prints the names, sizes, the location of each block, and
 *                                 a checksum of the bytes
 *   same_image shapes             prints the names of the shapes
 *
 * Every input able to differ between machines is fixed. The clock counts calls, and the data
 * written comes from a seed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/model.h"
#include "../host_ops.h"

#define FILES      6
#define STEPS      400
#define MOST_BYTES ((size_t)768 << 10)

/* Image shapes. Huge pages are small here, so a small image has many. */
static const struct shape {
    const char *name;
    size_t size;
    uint32_t block_size;
    unsigned page_shift, huge_order;
    enum ext2dax_order order;
} shapes[] = {
    {"1K", (size_t)3 << 20, 1024, 10, 3, EXT2DAX_ORDERED},
    {"1K-in-4K-pages", (size_t)3 << 20, 1024, 12, 9, EXT2DAX_UNORDERED},
    {"4K", (size_t)12 << 20, 4096, 12, 4, EXT2DAX_ORDERED},
    {"16K", (size_t)16 << 20, 16384, 14, 3, EXT2DAX_UNORDERED},
    {"64K", (size_t)24 << 20, 65536, 16, 3, EXT2DAX_ORDERED},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static const struct shape *shape;
static struct ext2dax_memory memory;
static struct ext2dax_model *model;
static struct ext2dax_mount *mount;
static struct ext2dax_inode *root, *file[FILES];
static struct ext2dax_model_map *map[FILES];
static unsigned char buffer[MOST_BYTES];
static uint64_t noise;
static int64_t clock_calls;

static void die(const char *what, int64_t result)
{
    fprintf(stderr, "same_image: %s: %s: %s\n", shape->name, what,
            result < 0 ? ext2dax_strerror((int)result) : "not what it should be");
    exit(1);
}

static void must(int64_t result, const char *what)
{
    if (result != 0)
        die(what, result);
}

/* Accepts ENOSPC. A full image is a valid result, and must be the same on every machine. */
static void may_be_full(int64_t result, const char *what)
{
    if (result < 0 && result != -EXT2DAX_ENOSPC)
        die(what, result);
}

static int64_t count_calls(void *ctx)
{
    (void)ctx;
    return 1700000000 + clock_calls++;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops), .alloc = heap_alloc, .release = heap_release, .now = count_calls};

static uint32_t below(uint32_t end)
{
    noise = noise * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(noise >> 33) % end;
}

static void open_mount(void)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .memory = memory, .host = {&host_ops, NULL}};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .order = shape->order,
                                            .page_shift = shape->page_shift,
                                            .huge_order = shape->huge_order};

    model = ext2dax_model_open(&memory, plugs.locks, 1u << shape->page_shift, shape->huge_order);
    if (!model)
        die("the model address space", -EXT2DAX_ENOMEM);
    plugs.address_space = ext2dax_model_address_space(model);
    must(ext2dax_mount(&plugs, &options, &mount), "mount");
    must(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), "the root");
}

static void open_file(unsigned i)
{
    char name = (char)('a' + i);
    int error = ext2dax_lookup(root, &name, 1, &file[i]);

    if (error == -EXT2DAX_ENOENT)
        error = ext2dax_create(root, &name, 1, (uint16_t)(0600 + i), 70000 + i, i, &file[i]);
    must(error, "a file");
    if (1u << shape->page_shift == shape->block_size) {
        map[i] = ext2dax_model_map(model, file[i], 0, MOST_BYTES * 2 >> shape->page_shift, true, true);
        if (!map[i])
            die("a mapping", -EXT2DAX_ENOMEM);
    }
}

static void close_file(unsigned i)
{
    if (map[i])
        ext2dax_model_unmap(map[i]);
    ext2dax_inode_put(file[i]);
    map[i] = NULL;
}

static void unlink_file(unsigned i)
{
    char name = (char)('a' + i);

    must(ext2dax_unlink(root, &name, 1), "unlink");
}

/* Stores through the mapping like a program. The mapping is installed by page or as a huge page. */
static void store(unsigned i, uint64_t offset, size_t length)
{
    struct ext2dax_stat stat;
    enum ext2dax_fault_result result;

    ext2dax_stat(file[i], &stat, sizeof(stat));
    if (!map[i] || stat.size == 0)
        return;
    offset %= stat.size;
    if (length > stat.size - offset)
        length = (size_t)(stat.size - offset);
    result = ext2dax_model_write(map[i], offset, buffer, length, length & 1, false);
    if (result != EXT2DAX_FAULT_NOPAGE && result != EXT2DAX_FAULT_SIGBUS)
        die("a store", 0);
}

static void step(void)
{
    unsigned i = below(FILES), what = below(16);
    size_t length = 1 + below(below(4) ? shape->block_size * 5 : (uint32_t)MOST_BYTES);
    uint64_t offset = below((uint32_t)MOST_BYTES);

    if (length > MOST_BYTES)
        length = MOST_BYTES;
    for (size_t b = 0; b < length; b++)
        buffer[b] = (unsigned char)(what + b * 7 + (b >> 8));
    if (what < 6) {
        may_be_full(ext2dax_write(file[i], offset, buffer, length), "write");
    } else if (what < 9) {
        store(i, offset, length);
    } else if (what < 11) {
        must(ext2dax_truncate(file[i], offset), "truncate");
    } else if (what < 12) {
        may_be_full(ext2dax_allocate(file[i], offset, length, false), "allocate");
    } else if (what < 14) {
        must(ext2dax_punch(file[i], offset, length), "punch");
    } else if (what < 15) {
        must(ext2dax_fsync(file[i]), "fsync");
    } else {
        unlink_file(i);
        close_file(i);
        open_file(i);
    }
}

static void work(uint64_t seed)
{
    noise = seed;
    open_mount();
    for (unsigned i = 0; i < FILES; i++)
        open_file(i);
    for (unsigned i = 0; i < STEPS; i++)
        step();
    for (unsigned i = 0; i < FILES; i++)
        close_file(i);
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount), "unmount");
    ext2dax_model_close(model);
}

static void print_contents(unsigned i, const struct ext2dax_stat *stat)
{
    uint64_t sum = 14695981039346656037u, left = stat->size, at = 0;
    struct ext2dax_run run;

    while (left > 0) {
        int64_t got = ext2dax_read(file[i], at, buffer, sizeof(buffer));

        if (got <= 0)
            die("read", got);
        for (int64_t b = 0; b < got; b++)
            sum = (sum ^ buffer[b]) * 1099511628211u;
        at += (uint64_t)got;
        left -= (uint64_t)got;
    }
    printf("%c: inode %u mode %o uid %u gid %u links %u size %" PRIu64 " sectors %" PRIu64 " mtime %" PRId64
           " ctime %" PRId64 " sum %016" PRIx64 "\n",
           'a' + (int)i, (unsigned)stat->number, (unsigned)stat->mode, (unsigned)stat->uid, (unsigned)stat->gid,
           (unsigned)stat->links, stat->size, stat->sectors, stat->mtime.seconds, stat->ctime.seconds, sum);
    for (uint64_t block = 0; block * shape->block_size < stat->size; block += run.length) {
        must(ext2dax_map(file[i], block, UINT32_MAX, &run), "map");
        printf("  %" PRIu64 "+%" PRIu64 ": %" PRIu64 "\n", block, (uint64_t)run.length, (uint64_t)run.physical);
    }
}

static void list(void)
{
    struct ext2dax_stat stat;
    struct ext2dax_statfs figures;

    open_mount();
    ext2dax_statfs(mount, &figures, sizeof(figures));
    printf("blocks %" PRIu64 " free %" PRIu64 " inodes %" PRIu64 " free %" PRIu64 "\n", figures.blocks,
           figures.free_blocks, figures.inodes, figures.free_inodes);
    for (unsigned i = 0; i < FILES; i++) {
        open_file(i);
        ext2dax_stat(file[i], &stat, sizeof(stat));
        print_contents(i, &stat);
        close_file(i);
    }
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount), "unmount");
    ext2dax_model_close(model);
}

static void load(const char *path)
{
    FILE *from = fopen(path, "rb");

    if (!from || fread(memory.base, 1, memory.size, from) != memory.size || fclose(from) != 0) {
        perror(path);
        exit(1);
    }
}

static void save(const char *path)
{
    FILE *to = fopen(path, "wb");

    if (!to || fwrite(memory.base, 1, memory.size, to) != memory.size || fclose(to) != 0) {
        perror(path);
        exit(1);
    }
}

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    ext2dax_finding_text(finding, text, sizeof(text));
    fprintf(stderr, "same_image: %s: %s\n", shape->name, text);
}

static void check(void)
{
    if (ext2dax_check_image(memory.base, memory.size, 0, print_finding, NULL, NULL) != 0)
        die("the image", 0);
}

static void make(void)
{
    struct ext2dax_format_options format = {
        .size = sizeof(format), .block_size = shape->block_size, .reserved_percent = 5, .time = 1700000000};

    memset(memory.base, 0xA5, memory.size);
    must(ext2dax_format(&memory, &format, NULL), "format");
    work(20261122);
}

static bool act(const char *what, const char *path)
{
    if (strcmp(what, "make") == 0)
        make();
    else
        load(path);
    check();
    if (strcmp(what, "on") == 0)
        work(19930101);
    else if (strcmp(what, "list") == 0)
        list();
    else if (strcmp(what, "make") != 0)
        return false;
    check();
    if (strcmp(what, "list") != 0)
        save(path);
    return true;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "shapes") == 0) {
        for (size_t i = 0; i < SHAPES; i++)
            puts(shapes[i].name);
        return 0;
    }
    for (size_t i = 0; argc == 4 && i < SHAPES; i++) {
        if (strcmp(argv[2], shapes[i].name) == 0)
            shape = &shapes[i];
    }
    if (!shape) {
        fprintf(stderr, "usage: same_image make|on|list SHAPE FILE, or same_image shapes\n");
        return 2;
    }
    must(ext2dax_memory_open_heap(shape->size, &memory), "memory");
    if (!act(argv[1], argv[3])) {
        fprintf(stderr, "same_image: no such command: %s\n", argv[1]);
        return 2;
    }
    ext2dax_memory_close_heap(&memory);
    return 0;
}
