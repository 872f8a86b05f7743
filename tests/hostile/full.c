/* SPDX-License-Identifier: MIT */
/*
 * Full and tiny images. Every public call runs with every number of free blocks up to the number
 * the call needs. A call without room returns ENOSPC, or a short count, leaks nothing, and does the
 * same as with room once blocks are free again. The smallest image of every block size is filled
 * and emptied. Read-only memory is never stored to. Prints a table of the free blocks each call
 * needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"

#include "../fuzz/reports.h"
#include "calls.h"
#include "contents.h"
#include "failing.h"

#define MOST_FREE 80u /* more than any call needs */
#define r         round_now

static unsigned rounds, refusals;

static void check_image(unsigned flags)
{
    MUST(ext2dax_check_image(r.base, r.size, flags, NULL, NULL, NULL) == 0);
}

static uint64_t free_blocks(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(r.mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

static void begin(const struct call *call)
{
    memcpy(r.base, r.tree->image, r.size);
    MUST(round_mount(0) == 0);
    if (call->prepare)
        call->prepare();
}

static void end(void)
{
    if (r.mount) {
        round_release();
        MUST(ext2dax_unmount(r.mount) == 0);
        r.mount = NULL;
        failing_close();
    }
    check_image(0);
}

/* Returns a file that leaves this number of free blocks, or NULL if no file does. */
static struct ext2dax_inode *fill_to(uint64_t left)
{
    struct ext2dax_inode *root, *filler;
    uint64_t at = 0;

    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    MUST(ext2dax_create(root, "filler", 6, 0600, 0, 0, &filler) == 0);
    ext2dax_inode_put(root);
    while (free_blocks() > left && ext2dax_write(filler, at++ * r.tree->block_size, "x", 1) == 1)
        continue;
    if (free_blocks() == left)
        return filler;
    ext2dax_inode_put(filler);
    return NULL;
}

static void remove_filler(struct ext2dax_inode *filler)
{
    struct ext2dax_inode *root;

    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    MUST(ext2dax_unlink(root, "filler", 6) == 0);
    ext2dax_inode_put(root);
    ext2dax_inode_put(filler);
}

/* Returns whether the call needed more blocks than were free. */
static bool lacks_room(const struct call *call, uint64_t left, int64_t good, uint64_t before, uint64_t after)
{
    struct ext2dax_inode *filler;
    int64_t result;

    begin(call);
    filler = fill_to(left);
    if (!filler) {
        end();
        return true; /* a pointer block of the filler is in the way of this number */
    }
    result = call->run();
    rounds++;
    MUST(failing_held() == 0);
    check_image(EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK);
    MUST(ext2dax_model_check(failing_model(), NULL, NULL) == 0);
    if (result != good) {
        MUST(result == -EXT2DAX_ENOSPC || (result >= 0 && result < good) || result == RESULT_FALLBACK);
        refusals++;
    }
    remove_filler(filler);
    if (result != good) {
        MUST((call->traces & PARTIAL) != 0 || contents_of(r.mount) == before);
        MUST(call->run() == good);
    }
    MUST(contents_of(r.mount) == after);
    end();
    return result != good;
}

static void try_call(const struct call *call)
{
    uint64_t before, after, left = 0;
    int64_t good;

    begin(call);
    before = contents_of(r.mount);
    end();
    begin(call);
    good = call->run();
    after = contents_of(r.mount);
    end();
    if (good == -EXT2DAX_ENOSPC) {
        (void)printf("%-24s more than this image has\n", call->title);
        return;
    }
    while (lacks_room(call, left, good, before, after))
        MUST(++left < MOST_FREE);
    if (left > 0)
        (void)printf("%-24s %u\n", call->title, (unsigned)left);
}

/* ---- no free inode ---- */

static void without_inodes(void)
{
    struct ext2dax_inode *root, *inode;
    char name[8];
    unsigned made = 0;
    uint64_t sum;

    memcpy(r.base, r.tree->image, r.size);
    MUST(round_mount(0) == 0);
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    for (;; made++) {
        int error;

        (void)snprintf(name, sizeof(name), "i%u", made);
        error = ext2dax_create(root, name, strlen(name), 0600, 0, 0, NULL);
        if (error != 0) {
            MUST(error == -EXT2DAX_ENOSPC);
            break;
        }
    }
    MUST(made > 0);
    sum = contents_of(r.mount);
    MUST(ext2dax_mkdir(root, "more", 4, 0700, 0, 0, &inode) == -EXT2DAX_ENOSPC && !inode);
    MUST(ext2dax_symlink(root, "more", 4, "x", 1, 0, 0, NULL) == -EXT2DAX_ENOSPC);
    MUST(ext2dax_mknod(root, "more", 4, EXT2DAX_S_IFIFO | 0600, 0, 0, 0, 0, NULL) == -EXT2DAX_ENOSPC);
    MUST(contents_of(r.mount) == sum);
    MUST(ext2dax_unlink(root, "i0", 2) == 0 && ext2dax_mkdir(root, "more", 4, 0700, 0, 0, NULL) == 0);
    ext2dax_inode_put(root);
    end();
}

/* ---- the smallest images ---- */

/* Formats as few blocks as possible, and fills and empties the image. Returns the blocks. */
static uint32_t smallest(uint32_t block_size)
{
    const struct ext2dax_format_options options = {
        .size = sizeof(options), .block_size = block_size, .time = 1700000000};
    const struct tree geometry = {.block_size = block_size, .page_shift = 12, .huge_order = 9};
    struct ext2dax_inode *root, *inode;
    uint32_t blocks = 2;
    uint64_t room, at = 0;

    r.tree = &geometry;
    r.base = aligned_alloc(65536, 65536u * 64);
    MUST(r.base);
    for (;; blocks++) {
        struct ext2dax_memory memory = failing_memory(r.base, (size_t)blocks * block_size);

        memset(r.base, 0, memory.size);
        r.size = memory.size;
        if (ext2dax_format(&memory, &options, NULL) == 0)
            break;
        MUST(blocks < 32);
    }
    check_image(0);
    MUST(round_mount(0) == 0);
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    room = free_blocks();
    MUST(ext2dax_create(root, "f", 1, 0600, 0, 0, &inode) == 0);
    while (ext2dax_write(inode, at * block_size, "x", 1) == 1)
        at++;
    MUST(free_blocks() == 0 && ext2dax_mkdir(root, "d", 1, 0700, 0, 0, NULL) == -EXT2DAX_ENOSPC);
    check_image(EXT2DAX_CHECK_MOUNTED);
    MUST(ext2dax_unlink(root, "f", 1) == 0);
    ext2dax_inode_put(inode);
    MUST(free_blocks() == room);
    ext2dax_inode_put(root);
    end();
    free(r.base);
    return blocks;
}

/* ---- read-only memory ---- */

static void on_read_only_memory(void)
{
    struct ext2dax_plugs plugs;
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .page_shift = r.tree->page_shift, .huge_order = r.tree->huge_order};
    struct ext2dax_inode *root, *inode;
    char byte;

    memcpy(r.base, r.tree->image, r.size);
    plugs = failing_open(r.base, r.size, r.tree->page_shift, r.tree->huge_order);
    plugs.memory.flags = EXT2DAX_MEMORY_READ_ONLY;
    MUST(REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &r.mount)) == -EXT2DAX_EROFS);
    options.flags = EXT2DAX_MOUNT_READ_ONLY;
    MUST(ext2dax_mount(&plugs, &options, &r.mount) == 0);
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    MUST(ext2dax_lookup(root, "single", 6, &inode) == 0);
    MUST(ext2dax_read(inode, 0, &byte, 1) == 1 && ext2dax_write(inode, 0, &byte, 1) == -EXT2DAX_EROFS);
    MUST(ext2dax_truncate(inode, 0) == -EXT2DAX_EROFS && ext2dax_unlink(root, "single", 6) == -EXT2DAX_EROFS);
    MUST(ext2dax_create(root, "new", 3, 0600, 0, 0, NULL) == -EXT2DAX_EROFS);
    MUST(REPORTED_MOUNT(ext2dax_remount(r.mount, 0)) == -EXT2DAX_EROFS);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    end();
    MUST(memcmp(r.base, r.tree->image, r.size) == 0);
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "all") == 0;

    for (unsigned number = 0; number < (all ? 4 : 1); number++) {
        r.tree = tree_get(number);
        r.size = r.tree->size;
        r.base = aligned_alloc(65536, (r.size + 65535) & ~(size_t)65535);
        MUST(r.base);
        (void)printf("blocks of %u bytes, free blocks needed\n", (unsigned)r.tree->block_size);
        for (unsigned i = 0; i < calls_count; i++) {
            /* A frozen image cannot be filled, and these calls allocate nothing. */
            if ((calls[i].traces & UNMOUNTS) == 0 && strcmp(calls[i].title, "thaw") != 0 &&
                strcmp(calls[i].title, "freeze") != 0 && strcmp(calls[i].title, "unmount") != 0 &&
                strncmp(calls[i].title, "remount", 7) != 0)
                try_call(&calls[i]);
        }
        without_inodes();
        on_read_only_memory();
        free(r.base);
    }
    for (uint32_t block_size = 1024; block_size <= 65536; block_size *= 2)
        (void)printf("blocks of %u bytes: the smallest image has %u\n", (unsigned)block_size,
                     (unsigned)smallest(block_size));
    (void)printf("%u rounds, %u without room\n", rounds, refusals);
    return EXIT_SUCCESS;
}
