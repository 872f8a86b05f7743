/* SPDX-License-Identifier: MIT */
/*
 * Trees that cannot be, one at a time: pointer blocks that name themselves or each other, empty ones hung in everywhere,
 * blocks past the end, sizes that no such image can hold. Every call ends soon, and says so where it met one.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/model.h"

#include "tree.h"

#define SECONDS 10u /* for each; nearly all of it slack */

static const struct tree *tree;
static unsigned char *image;
static struct ext2dax_mount *mount;
static struct ext2dax_model *model;
static struct ext2dax_inode *inode;
static unsigned reports;

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}
static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(at);
}
static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    reports += report->error == -EXT2DAX_EUCLEAN;
}
static int64_t host_now(void *ctx)
{
    static int64_t now = 1800000000;

    (void)ctx;
    return now++;
}

struct ext2dax_host fuzz_host(void)
{
    static const struct ext2dax_host_ops ops = {
        .size = sizeof(ops), .alloc = host_alloc, .release = host_release, .log = host_log, .now = host_now};

    return (struct ext2dax_host){&ops, NULL};
}

/* ---- a spoiled image, mounted ---- */

static uint32_t number_of(const char *name)
{
    struct ext2dax_inode *found;
    uint32_t number;

    MUST(ext2dax_lookup_path(mount, name, strlen(name), EXT2DAX_NO_FOLLOW, &found) == 0);
    number = found->number;
    ext2dax_inode_put(found);
    return number;
}

static void open_mount(void)
{
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_none(), .memory = {NULL, NULL, image, tree->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .page_shift = tree->page_shift, .huge_order = tree->huge_order};

    model = ext2dax_model_open(&plugs.memory, plugs.locks, (uint32_t)1 << tree->page_shift, tree->huge_order);
    MUST(model);
    plugs.address_space = ext2dax_model_address_space(model);
    MUST(ext2dax_mount(&plugs, &options, &mount) == 0);
}

static void close_mount(void)
{
    ext2dax_inode_put(inode);
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
}

static void put(size_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        image[at + i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get(size_t at)
{
    return image[at] | (uint32_t)image[at + 1] << 8 | (uint32_t)image[at + 2] << 16 | (uint32_t)image[at + 3] << 24;
}

/* The image, at rest, where `name` is about to be spoiled; returns where its inode lies. */
static size_t spoil(const char *name)
{
    size_t at;

    (void)alarm(SECONDS);
    memcpy(image, tree->image, tree->size);
    open_mount();
    at = tree_inode(tree, number_of(name));
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
    return at;
}

static void use(const char *name)
{
    open_mount();
    MUST(ext2dax_lookup_path(mount, name, strlen(name), EXT2DAX_NO_FOLLOW, &inode) == 0);
    reports = 0;
}

static void set_size(size_t at, uint64_t size)
{
    put(at + offsetof(struct ext2dax_disk_inode, size), (uint32_t)size);
    put(at + offsetof(struct ext2dax_disk_inode, dir_acl), (uint32_t)(size >> 32));
}

static size_t slot(size_t at, unsigned n)
{
    return at + offsetof(struct ext2dax_disk_inode, block) + 4 * (size_t)n;
}

static uint64_t largest(void)
{
    struct ext2dax_statfs figures;
    uint64_t size;

    open_mount();
    ext2dax_statfs(mount, &figures);
    size = figures.max_file_size;
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
    return size;
}

/* Comparable byte by byte. */
static void figures_of(struct ext2dax_stat *figures)
{
    memset(figures, 0, sizeof(*figures));
    ext2dax_stat(inode, figures);
}

/* ---- the cases ---- */

static void fill(uint32_t block, uint32_t value)
{
    for (size_t i = 0; i < tree->block_size; i += 4)
        put((size_t)block * tree->block_size + i, value);
}

/* One pointer block names itself, all over, and is the file's at every place. */
static void loop_through(void)
{
    struct ext2dax_model_map *map;
    struct ext2dax_pin pin;
    struct ext2dax_stat figures;
    unsigned char byte = 0;

    size_t at = spoil("single");
    uint32_t block = get(slot(at, EXT2DAX_IND));

    fill(block, block);
    for (unsigned n = 0; n < EXT2DAX_SLOTS; n++)
        put(slot(at, n), block);
    set_size(at, largest());
    use("single");
    ext2dax_stat(inode, &figures);
    MUST(ext2dax_seek(inode, 0, EXT2DAX_SEEK_HOLE) == -EXT2DAX_EUCLEAN && reports > 0);
    MUST(ext2dax_seek(inode, 0, EXT2DAX_SEEK_DATA) == 0);
    MUST(ext2dax_pin(inode, 0, figures.size, false, &pin) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_pin(inode, 0, figures.size, true, &pin) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_allocate(inode, 0, figures.size, true) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_truncate(inode, 1) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_punch(inode, 1, figures.size) == -EXT2DAX_EUCLEAN);
    map = ext2dax_model_map(model, inode, 0, 64, true, true);
    MUST(map);
    for (unsigned page = 0; page < 64; page++)
        (void)ext2dax_model_read(map, (uint64_t)page << tree->page_shift, &byte, 1, true, false);
    ext2dax_model_unmap(map);
    close_mount();
}

/* The tree names one empty pointer block at every place: a hole, and a long way to its end. */
static void long_hole(void)
{
    bool three = tree->block_size != 65536; /* else no file reaches the third level */
    size_t at = spoil(three ? "thrice" : "twice");
    uint32_t top = get(slot(at, three ? EXT2DAX_TIND : EXT2DAX_DIND)), below;
    uint64_t p = tree->block_size / 4, first = EXT2DAX_DIRECT + p + (three ? p * p : 0);
    struct ext2dax_run run;

    below = get((size_t)top * tree->block_size);
    fill(top, below);
    if (three) {
        uint32_t lowest = get((size_t)below * tree->block_size);

        fill(below, lowest);
        below = lowest;
    }
    fill(below, 0);
    set_size(at, largest());
    use(three ? "thrice" : "twice");
    MUST(ext2dax_map(inode, first, UINT64_MAX, &run) == -EXT2DAX_EUCLEAN && reports > 0);
    MUST(ext2dax_map(inode, first, 5, &run) == 0 && run.physical == 0 && run.length == 5);
    MUST(ext2dax_seek(inode, first * tree->block_size, EXT2DAX_SEEK_DATA) == -EXT2DAX_EUCLEAN);
    (void)ext2dax_fsync(inode);
    close_mount();
}

/* What lies past the end is not the file's: not shown, and not given to it by growing over it. */
static void past_the_end(void)
{
    uint64_t bs = tree->block_size;
    size_t at = spoil("direct");
    struct ext2dax_stat before, after;
    struct ext2dax_run run;

    put(slot(at, 7), get(slot(at, 2)) + 1);
    use("direct");
    figures_of(&before);
    MUST(ext2dax_map(inode, 7, 5, &run) == 0 && run.physical == 0 && run.length == 5);
    MUST(ext2dax_map(inode, 3, UINT64_MAX, &run) == 0 && run.physical == 0 && run.length > 100);
    MUST(ext2dax_truncate(inode, 9 * bs) == -EXT2DAX_EUCLEAN && reports > 0);
    MUST(ext2dax_write(inode, 9 * bs, "x", 1) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_write(inode, 7 * bs, "x", 1) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_allocate(inode, 6 * bs, 3 * bs, false) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_allocate(inode, 0, 9 * bs, true) == -EXT2DAX_EOPNOTSUPP);
    figures_of(&after);
    MUST(memcmp(&before, &after, sizeof(before)) == 0);
    MUST(ext2dax_truncate(inode, 7 * bs) == 0);
    close_mount();
}

/* A file's block that anybody may be given: found before the first change, whatever takes it away. */
static void marked_free(void)
{
    size_t at = spoil("single"), map = (size_t)tree_bitmap(tree, 0, 0) * tree->block_size;
    uint32_t bit = get(slot(at, 11)) - (tree->block_size == 1024);
    unsigned char *before = malloc(tree->size);

    MUST(before && (image[map + bit / 8] >> bit % 8 & 1) != 0);
    image[map + bit / 8] ^= (unsigned char)(1u << bit % 8);
    use("single");
    memcpy(before, image, tree->size);
    MUST(ext2dax_truncate(inode, 1) == -EXT2DAX_EUCLEAN && reports > 0);
    MUST(ext2dax_punch(inode, 0, UINT64_MAX) == -EXT2DAX_EUCLEAN);
    before[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] |= EXT2DAX_STATE_ERROR;
    MUST(memcmp(before, image, tree->size) == 0);
    free(before);
    close_mount();
}

/* A directory has no holes, so it is no larger than the image. */
static void endless_directory(void)
{
    size_t at = spoil("d");
    uint32_t first = get(slot(at, 0));
    size_t pointers = (size_t)get(slot(at, 1)) * tree->block_size;
    struct ext2dax_inode *found;

    for (size_t i = 0; i < tree->block_size; i += 4)
        put(pointers + i, first);
    put(slot(at, 1), first);
    for (unsigned n = 2; n < EXT2DAX_IND; n++)
        put(slot(at, n), first);
    put(slot(at, EXT2DAX_IND), (uint32_t)(pointers / tree->block_size));
    put(at + offsetof(struct ext2dax_disk_inode, size), (tree->blocks + 1) * tree->block_size);
    use("d");
    MUST(ext2dax_lookup(inode, "none", 4, &found) == -EXT2DAX_EUCLEAN && reports > 0);
    close_mount();
}

/* Nothing of a file that is not one can be mapped, and trying leaves no trace. */
static void fault_on_directory(void)
{
    struct ext2dax_stat before, after;
    struct ext2dax_model_map *map;
    struct ext2dax_fault fault;

    (void)spoil("d");
    use("d");
    figures_of(&before);
    map = ext2dax_model_map(model, inode, 0, 4, true, true);
    MUST(map);
    ext2dax_model_fault(map, 0, true, &fault);
    MUST(ext2dax_fault(&fault) != EXT2DAX_FAULT_NOPAGE && ext2dax_mkwrite(&fault) != EXT2DAX_FAULT_NOPAGE);
    MUST(ext2dax_pfn_mkwrite(&fault) != EXT2DAX_FAULT_NOPAGE && ext2dax_pmd_fault(&fault) != EXT2DAX_FAULT_NOPAGE);
    ext2dax_model_unmap(map);
    figures_of(&after);
    MUST(memcmp(&before, &after, sizeof(before)) == 0);
    close_mount();
}

/* Where a pointer block is another file's data too, a store there takes a pinned block away: block 0 is no answer. */
static void pinned_block_lost(void)
{
    uint32_t block = get(slot(spoil("single"), EXT2DAX_IND));
    struct ext2dax_pin pin;
    size_t length;
    void *pointer;

    use("single");
    MUST(ext2dax_pin(inode, (uint64_t)EXT2DAX_DIRECT * tree->block_size, tree->block_size, false, &pin) == 0);
    MUST(ext2dax_pin_pointer(&pin, (uint64_t)EXT2DAX_DIRECT * tree->block_size, &pointer, &length) == 0);
    memset(image + (size_t)block * tree->block_size, 0, tree->block_size);
    reports = 0;
    MUST(ext2dax_pin_pointer(&pin, (uint64_t)EXT2DAX_DIRECT * tree->block_size, &pointer, &length) == -EXT2DAX_EUCLEAN);
    MUST(reports == 1);
    ext2dax_unpin(&pin);
    close_mount();
}

static char case_name[64];

static void tell(int number)
{
    (void)!write(STDERR_FILENO, case_name, strlen(case_name));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"a tree of itself", loop_through},          {"a long hole", long_hole},
                 {"blocks past the end", past_the_end},       {"a block marked free", marked_free},
                 {"an endless directory", endless_directory}, {"a fault on a directory", fault_on_directory},
                 {"a pinned block lost", pinned_block_lost}};

    (void)signal(SIGABRT, tell);
    (void)signal(SIGALRM, tell);
    for (unsigned number = 0; number < TREES; number++) {
        tree = tree_get(number);
        image = calloc(1, tree->size);
        MUST(image);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            (void)snprintf(case_name, sizeof(case_name), "%s, tree %u\n", cases[i].name, number);
            cases[i].run();
        }
        free(image);
    }
    return EXIT_SUCCESS;
}
