/* SPDX-License-Identifier: MIT */
/*
 * A mapping never outlives its right. For every right a page is mapped, the right ends, and the
 * page-table entry is gone or write-protected before the call returns.
 *   - truncate and punch unmap the blocks they free, in every mapping
 *   - a write into a hole removes zero pages
 *   - the last put of an unlinked file frees blocks which no mapping shows
 *   - freeze, remount read-only and fsync write-protect
 *
 * With --mutants each protection is left out in turn, and the test must fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/model.h"
#include "ext2dax/testkit/mutant.h"

#include "../fuzz/plugs.h"
#include "../fuzz/reports.h"
#include "../fuzz/tree.h"

#define PAGES 20u

static unsigned char *image;
static uint32_t *owners;
static const struct tree *tree;
static struct ext2dax_mount *mount;
static struct ext2dax_model *model;
static struct ext2dax_inode *root, *inode;
static struct ext2dax_model_map *shared, *second, *private;
static unsigned ended; /* rights seen to end */

static void begin(const char *name)
{
    struct ext2dax_plugs plugs = {.locks = fuzz_locks(), .host = fuzz_host()};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .page_shift = tree->page_shift, .huge_order = tree->huge_order};

    memcpy(image, tree->image, tree->size);
    plugs.memory = (struct ext2dax_memory){&(struct ext2dax_memory_ops){.size = sizeof(struct ext2dax_memory_ops)},
                                           NULL, image, tree->size, 0};
    model = ext2dax_model_open(&plugs.memory, fuzz_locks(), (uint32_t)1 << tree->page_shift, tree->huge_order);
    MUST(model);
    plugs.address_space = ext2dax_model_address_space(model);
    MUST(ext2dax_mount(&plugs, &options, &mount) == 0);
    MUST(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0);
    MUST(ext2dax_lookup(root, name, strlen(name), &inode) == 0);
    shared = ext2dax_model_map(model, inode, 0, PAGES, true, true);
    second = ext2dax_model_map(model, inode, 0, PAGES, true, true);
    private = ext2dax_model_map(model, inode, 0, PAGES, false, true);
    MUST(shared && second && private);
}

static void end(void)
{
    MUST(ext2dax_model_check(model, NULL, NULL) == 0 && ext2dax_model_complaints(model) == 0);
    ext2dax_model_unmap(shared);
    ext2dax_model_unmap(second);
    ext2dax_model_unmap(private);
    if (inode)
        ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
    MUST(ext2dax_check_image(image, tree->size, 0, NULL, NULL, NULL) == 0);
    MUST(fuzz_counts.made == 0 && fuzz_counts.given == 0);
    ended++;
}

static uint64_t at(uint64_t page)
{
    return page << tree->page_shift;
}

static void store(struct ext2dax_model_map *map, uint64_t page)
{
    MUST(ext2dax_model_write(map, at(page), "s", 1, false, false) == EXT2DAX_FAULT_NOPAGE);
}

static void load(struct ext2dax_model_map *map, uint64_t page)
{
    char byte;

    MUST(ext2dax_model_read(map, at(page), &byte, 1, false, false) == EXT2DAX_FAULT_NOPAGE);
}

static bool is_gone(const struct ext2dax_model_map *map, uint64_t page)
{
    return ext2dax_model_entry(map, page).kind == EXT2DAX_MODEL_NONE;
}

static bool is_writable(const struct ext2dax_model_map *map, uint64_t page)
{
    return ext2dax_model_entry(map, page).writable;
}

/* Maps the page in all three mappings, as a block and as a private copy. */
static void map_everywhere(uint64_t page)
{
    store(shared, page);
    load(second, page);
    store(private, page);
    MUST(is_writable(shared, page) && !is_gone(second, page));
    MUST(ext2dax_model_entry(private, page).kind == EXT2DAX_MODEL_COPY);
}

static void truncate_unmaps(void)
{
    begin("single");
    map_everywhere(11);
    MUST(ext2dax_truncate(inode, at(11)) == 0);
    MUST(is_gone(shared, 11) && is_gone(second, 11) && is_gone(private, 11));
    MUST(ext2dax_model_write(shared, at(11), "s", 1, false, false) == EXT2DAX_FAULT_SIGBUS);
    end();
}

static void punch_unmaps(void)
{
    begin("single");
    map_everywhere(11);
    MUST(ext2dax_punch(inode, at(11), at(1)) == 0);
    MUST(is_gone(shared, 11) && is_gone(second, 11));
    MUST(ext2dax_model_entry(private, 11).kind == EXT2DAX_MODEL_COPY);
    end();
}

static void write_removes_zero_pages(void)
{
    begin("single");
    load(shared, 3);
    load(second, 3);
    MUST(ext2dax_model_entry(shared, 3).kind == EXT2DAX_MODEL_ZERO);
    MUST(ext2dax_write(inode, at(3), "w", 1) == 1);
    MUST(is_gone(shared, 3) && is_gone(second, 3));
    load(shared, 3);
    store(second, 4);
    MUST(ext2dax_model_entry(shared, 3).kind == EXT2DAX_MODEL_DATA);
    end();
}

/* The embedder unmaps before the last put, because each mapping holds a reference. */
static void last_put_frees_unmapped_blocks(void)
{
    uint32_t block;
    struct ext2dax_run run;

    begin("single");
    map_everywhere(0);
    MUST(ext2dax_map(inode, 0, 1, &run) == 0);
    block = (uint32_t)run.physical;
    MUST(ext2dax_unlink(root, "single", 6) == 0);
    MUST(ext2dax_check_image(image, tree->size, EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK, NULL, NULL,
                             owners) == 0);
    MUST(owners[block] == inode->number && is_writable(shared, 0));
    ext2dax_model_unmap(shared);
    ext2dax_model_unmap(second);
    ext2dax_model_unmap(private);
    ext2dax_inode_put(inode);
    MUST(ext2dax_check_image(image, tree->size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, owners) == 0);
    MUST(owners[block] == EXT2DAX_OWNER_FREE);
    MUST(ext2dax_lookup(root, "direct", 6, &inode) == 0);
    shared = ext2dax_model_map(model, inode, 0, PAGES, true, true);
    second = ext2dax_model_map(model, inode, 0, PAGES, true, true);
    private = ext2dax_model_map(model, inode, 0, PAGES, false, true);
    end();
}

static void freeze_protects(void)
{
    begin("single");
    map_everywhere(0);
    MUST(ext2dax_freeze(mount) == 0);
    MUST(!is_writable(shared, 0) && !is_writable(second, 0));
    MUST(ext2dax_model_write(shared, at(0), "s", 1, false, false) == EXT2DAX_FAULT_RETRY);
    store(private, 1);
    MUST(ext2dax_thaw(mount) == 0);
    store(shared, 0);
    end();
}

static void remount_protects(void)
{
    begin("single");
    map_everywhere(0);
    MUST(ext2dax_remount(mount, EXT2DAX_MOUNT_READ_ONLY) == 0);
    MUST(!is_writable(shared, 0) && !is_writable(second, 0));
    MUST(ext2dax_model_write(shared, at(0), "s", 1, false, false) == EXT2DAX_FAULT_SIGBUS);
    store(private, 1);
    MUST(ext2dax_remount(mount, 0) == 0);
    store(shared, 0);
    end();
}

static void fsync_protects(void)
{
    begin("single");
    map_everywhere(0);
    MUST(ext2dax_fsync(inode) == 0);
    MUST(!is_writable(shared, 0) && !is_gone(second, 0));
    store(shared, 0);
    MUST(ext2dax_fsync_range(inode, 0, 1) == 0);
    MUST(!is_writable(shared, 0));
    end();
}

/* A huge entry loses its right as a whole. */
static void huge_entries_too(void)
{
    begin("empty");
    MUST(ext2dax_truncate(inode, at((uint64_t)1 << tree->huge_order)) == 0);
    MUST(ext2dax_model_write(shared, 0, "s", 1, true, false) == EXT2DAX_FAULT_NOPAGE);
    MUST(ext2dax_model_entry(shared, 1).huge);
    MUST(ext2dax_punch(inode, at(2), at(1)) == 0);
    MUST(is_gone(shared, 2));
    store(shared, 2);
    MUST(ext2dax_freeze(mount) == 0);
    for (uint64_t page = 0; page < (uint64_t)1 << tree->huge_order; page++)
        MUST(!is_writable(shared, page));
    MUST(ext2dax_thaw(mount) == 0);
    end();
}

static void try_all(void)
{
    static const unsigned numbers[] = {0, 2}; /* blocks as large as pages */

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        tree = tree_get(numbers[i]);
        image = aligned_alloc(65536, (tree->size + 65535) & ~(size_t)65535);
        owners = calloc(tree->blocks, sizeof(*owners));
        MUST(image && owners);
        truncate_unmaps();
        punch_unmaps();
        write_removes_zero_pages();
        last_put_frees_unmapped_blocks();
        freeze_protects();
        remount_protects();
        fsync_protects();
        huge_entries_too();
        free(owners);
        free(image);
    }
}

static int try_mutants(void)
{
    static const char *const names[] = {"COPIES_STAY", "ZERO_PAGE_STAYS_WRITE", "FREEZE_UNPROTECTED",
                                        "FSYNC_UNPROTECTED"};
    unsigned missed = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            (void)!freopen("/dev/null", "w", stderr);
            if (ext2dax_mutant_activate(names[i]) == 0)
                try_all();
            _exit(EXIT_SUCCESS);
        }
        MUST(child > 0 && waitpid(child, &status, 0) == child);
        (void)fprintf(stderr, "%s %s\n", names[i], status != 0 ? "noticed" : "NOT NOTICED");
        missed += status == 0;
    }
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--mutants") == 0)
        return try_mutants();
    try_all();
    (void)printf("%u rights seen to end\n", ended);
    return EXIT_SUCCESS;
}
