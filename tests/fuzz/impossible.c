/* SPDX-License-Identifier: MIT */
/*
 * Impossible block trees. Pointer blocks name themselves or each other, a single empty pointer
 * block is linked everywhere, pointers lie past the end of the image, and sizes exceed any possible
 * image. Every call finishes soon, and a call reaching such damage reports it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/model.h"
#include "../error_record.h"
#include "../host_ops.h"

#include "tree.h"

#define SECONDS 10u /* for each case, far longer than needed */

static const struct tree *tree;
static unsigned char *image;
static struct ext2dax_mount *mount;
static struct ext2dax_model *model;
static struct ext2dax_inode *inode;
static unsigned reports;

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
        .size = sizeof(ops), .alloc = heap_alloc, .release = heap_release, .log = host_log, .now = host_now};

    return (struct ext2dax_host){&ops, NULL};
}

/* ---- a damaged image, mounted ---- */

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
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order,
                                            .recover = ext2dax_recover};

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

/*
 * Restores the undamaged image, unmounted, and returns the offset of the inode of `name`. The
 * caller damages the inode next.
 */
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
    ext2dax_statfs(mount, &figures, sizeof(figures));
    size = figures.max_file_size;
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
    return size;
}

/* Returns figures comparable with memcmp. */
static void figures_of(struct ext2dax_stat *figures)
{
    memset(figures, 0, sizeof(*figures));
    ext2dax_stat(inode, figures, sizeof(*figures));
}

/* ---- the cases ---- */

static void fill(uint32_t block, uint32_t value)
{
    for (size_t i = 0; i < tree->block_size; i += 4)
        put((size_t)block * tree->block_size + i, value);
}

/* Shows a pointer block full of pointers to itself, linked at every place of the inode. */
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
    ext2dax_stat(inode, &figures, sizeof(figures));
    MUST(ext2dax_seek(inode, 0, EXT2DAX_SEEK_HOLE) == -EXT2DAX_EUCLEAN && reports > 0);
    MUST(ext2dax_seek(inode, 0, EXT2DAX_SEEK_DATA) == 0);
    MUST(ext2dax_pin(inode, 0, figures.size, false, &pin) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_pin(inode, 0, figures.size, true, &pin) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_allocate(inode, 0, figures.size, true) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_truncate(inode, 1) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_punch(inode, 1, figures.size) == -EXT2DAX_EUCLEAN);
    MUST(ext2dax_zero_range(inode, 1, figures.size) == -EXT2DAX_EUCLEAN);
    /* The pin has marked as many PMD ranges dirty as the image has blocks for, few or many. */
    (void)ext2dax_fsync_range(inode, 0, figures.size);
    MUST(ext2dax_fsync_range(inode, 0, 1) == 0);
    map = ext2dax_model_map(model, inode, 0, 64, true, true);
    MUST(map);
    for (unsigned page = 0; page < 64; page++)
        (void)ext2dax_model_read(map, (uint64_t)page << tree->page_shift, &byte, 1, true, false);
    ext2dax_model_unmap(map);
    close_mount();
}

/*
 * Shows a tree with a single empty pointer block at every place. The file is a hole of extreme
 * length.
 */
static void long_hole(void)
{
    bool three = tree->block_size != 65536; /* with 64 KiB blocks no file reaches the third level */
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
    (void)ext2dax_fsync_range(inode, first * tree->block_size, tree->block_size);
    MUST(ext2dax_zero_range(inode, first * tree->block_size, UINT64_MAX / 2) == -EXT2DAX_EUCLEAN);
    close_mount();
}

/*
 * Shows a block allocated past the end of the file. The block is never mapped, and extending the
 * file over the block fails with EUCLEAN.
 */
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

/*
 * Shows a file's block marked free in the bitmap. Truncate and punch detect the block before their
 * first change, whichever call would free it.
 */
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
    copy_error_record(before, image);
    MUST(memcmp(before, image, tree->size) == 0);
    free(before);
    close_mount();
}

/* Shows a directory larger than the image. A directory has no holes, so the size is impossible. */
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

/*
 * Shows a fault on a directory. Only regular files can be mapped, and the attempt changes nothing.
 */
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

/*
 * Shows a pointer block also used as the data of another file. A store to the data removes a pinned
 * block from the tree. The pin then fails with EUCLEAN instead of returning block 0.
 */
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

/* Checks for no report and no error bit since use(). */
static void nothing_reported(void)
{
    MUST(reports == 0);
    MUST((image[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] & EXT2DAX_STATE_ERROR) == 0);
}

static int first_only(void *arg, const struct ext2dax_entry *entry)
{
    (void)arg;
    (void)entry;
    return 1;
}

/*
 * Shows a file with two blocks at the end of the image and a third pointer past it. A call
 * satisfied by the good blocks succeeds without a report.
 */
static void bad_pointer_behind(void)
{
    uint64_t bs = tree->block_size;
    size_t at = spoil("direct");
    unsigned char byte = 'x';
    struct ext2dax_model_map *map;
    struct ext2dax_inode *found;
    struct ext2dax_pin pin;
    struct ext2dax_run run;
    size_t length;
    void *pointer;

    for (uint32_t n = 0; n < 3; n++)
        put(slot(at, n), (uint32_t)tree->blocks - 2 + n);
    put(slot(at, EXT2DAX_IND), (uint32_t)tree->blocks);
    set_size(at, 30 * bs);
    use("direct");
    MUST(ext2dax_map(inode, 0, UINT64_MAX, &run) == 0 && run.length == 2 && run.physical == tree->blocks - 2);
    MUST(ext2dax_map(inode, 3, UINT64_MAX, &run) == 0 && run.length == EXT2DAX_DIRECT - 3 && run.physical == 0);
    MUST(ext2dax_seek(inode, bs, EXT2DAX_SEEK_DATA) == (int64_t)bs);
    MUST(ext2dax_read(inode, bs, &byte, 1) == 1 && ext2dax_write(inode, bs, &byte, 1) == 1);
    MUST(ext2dax_pin(inode, 0, 2 * bs, false, &pin) == 0);
    MUST(ext2dax_pin_pointer(&pin, bs, &pointer, &length) == 0 && length == bs);
    ext2dax_unpin(&pin);
    map = ext2dax_model_map(model, inode, 0, 30, true, true);
    MUST(map);
    (void)ext2dax_model_read(map, 0, &byte, 1, false, false);
    (void)ext2dax_model_write(map, 0, &byte, 1, true, false);
    ext2dax_model_unmap(map);
    nothing_reported();
    MUST(ext2dax_map(inode, 2, 1, &run) == -EXT2DAX_EUCLEAN && reports == 1);
    MUST(ext2dax_map(inode, EXT2DAX_DIRECT, 1, &run) == -EXT2DAX_EUCLEAN && reports == 2);
    close_mount();

    at = spoil("d");
    memcpy(image + (tree->blocks - 1) * bs, image + get(slot(at, 0)) * bs, bs);
    for (uint32_t n = 0; n < 2; n++)
        put(slot(at, n), (uint32_t)tree->blocks - 1 + n);
    set_size(at, 2 * bs);
    use("d");
    MUST(ext2dax_lookup(inode, ".", 1, &found) == 0);
    ext2dax_inode_put(found);
    MUST(ext2dax_readdir(inode, 0, first_only, NULL) == 1);
    nothing_reported();
    MUST(ext2dax_lookup(inode, "none", 4, &found) == -EXT2DAX_EUCLEAN && reports > 0);
    close_mount();
}

/*
 * Shows bad pointers used only as an allocation hint or to skip a hole. Calls succeed without a
 * report.
 */
static void bad_pointer_beside(void)
{
    uint64_t bs = tree->block_size, range = (uint64_t)1 << tree->huge_order;
    size_t at = spoil("single");

    put(slot(at, 2), (uint32_t)tree->blocks);
    use("single");
    MUST(ext2dax_write(inode, 3 * bs, "x", 1) == 1);
    nothing_reported();
    close_mount();

    if (range > 10 || (uint64_t)1 << tree->page_shift != bs)
        return;
    at = spoil("single");
    put(slot(at, (unsigned)range), (uint32_t)tree->blocks);
    use("single");
    MUST(ext2dax_write(inode, 0, "x", 1) == 1 && ext2dax_fsync(inode) == 0);
    nothing_reported();
    close_mount();
}

/*
 * Shows invalid inode numbers. Of the reserved inodes only the root can be obtained. A free inode
 * is ENOENT with any content.
 */
static void no_such_inode(void)
{
    struct ext2dax_inode *found;
    size_t at;

    (void)spoil("direct");
    for (uint32_t number = 1; number < EXT2DAX_FIRST_INODE_REV0; number++)
        memcpy(image + tree_inode(tree, number), image + tree_inode(tree, number == 2 ? 2 : 12), 128);
    at = tree_inode(tree, tree_inodes(tree));
    put(at, EXT2DAX_S_IFREG | 0xF000);
    set_size(at, UINT64_MAX);
    use("direct");
    for (uint32_t number = 0; number < EXT2DAX_FIRST_INODE_REV0; number++) {
        if (number != EXT2DAX_ROOT_INODE)
            MUST(ext2dax_inode_get(mount, number, &found) == -EXT2DAX_EINVAL && !found);
    }
    MUST(ext2dax_inode_get(mount, tree_inodes(tree) + 1, &found) == -EXT2DAX_EINVAL);
    MUST(ext2dax_inode_get(mount, tree_inodes(tree), &found) == -EXT2DAX_ENOENT);
    nothing_reported();
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
    } cases[] = {{"a tree of itself", loop_through},           {"a long hole", long_hole},
                 {"blocks past the end", past_the_end},        {"a block marked free", marked_free},
                 {"an endless directory", endless_directory},  {"a fault on a directory", fault_on_directory},
                 {"a pinned block lost", pinned_block_lost},   {"a bad pointer behind", bad_pointer_behind},
                 {"a bad pointer beside", bad_pointer_beside}, {"no such inode", no_such_inode}};

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
