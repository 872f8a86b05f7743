/* SPDX-License-Identifier: MIT */
#include "damaged_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/memory.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"
#include "../host_ops.h"
#include "crash_memory.h"

#define BLOCK_SIZE  1024u
#define SIZE        (64 * BLOCK_SIZE)
#define INODES      24
#define XATTR_MAGIC 0xEA020000u
#define IMAGES      2u

struct damaged_image {
    struct crash_options options;
    struct ext2dax_memory memory, other; /* `other` recovers the images left by crashes */
    struct ext2dax_crash *crash;
    /*
     * Before and after the mount, of the damaged image and of a clean image with wrong superblock
     * counts.
     */
    unsigned char image[IMAGES][SIZE], settled[IMAGES][SIZE];
    unsigned at;
    bool returned;
    struct tally tally;
    char finding[256];
};

/* ---- plugs ---- */

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof host_ops, .alloc = heap_alloc, .release = heap_release, .now = fixed_now};

static int mount_at(const struct ext2dax_memory *memory, struct ext2dax_mount **mount)
{
    struct ext2dax_host host = {&host_ops, NULL};

    return crash_memory_mount(memory, &host, mount);
}

/* Exits with 2 unless `works`. For steps which must succeed before a test result means anything. */
static void must(bool works, const char *what)
{
    if (works)
        return;
    fprintf(stderr, "damaged image: %s\n", what);
    exit(2);
}

/* ---- the damaged image ---- */

static void make_files(const struct ext2dax_memory *memory)
{
    static const char bytes[3 * BLOCK_SIZE] = "w";
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *inode;

    must(mount_at(memory, &mount) == 0, "mount");
    must(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0, "root");
    for (const char *name = "abcdef"; *name != '\0'; name++) {
        must(ext2dax_create(root, name, 1, 0644, 0, 0, &inode) == 0, "create");
        must(*name == 'c' || ext2dax_write(inode, 0, bytes, sizeof bytes) == (int64_t)sizeof bytes, "write");
        ext2dax_inode_put(inode);
    }
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount) == 0, "unmount");
}

static struct ext2dax_disk_dirent *entry(unsigned char *image, char letter)
{
    return image_entry(image, BLOCK_SIZE, letter, 1);
}

static struct ext2dax_disk_inode *file(unsigned char *image, char letter)
{
    return image_inode(image, BLOCK_SIZE, image_get32(&entry(image, letter)->inode));
}

static void add16(void *at, uint32_t more)
{
    image_put16(at, image_get16(at) + more);
}

static void add32(void *at, uint32_t more)
{
    image_put32(at, image_get32(at) + more);
}

/* Makes "e" and "f" share the last block for attributes, with a reference count of 5. */
static void share_attributes(unsigned char *image, unsigned char *bitmap)
{
    uint32_t block = SIZE / BLOCK_SIZE - 1, bit = block - 1;
    unsigned char *header = image + (size_t)block * BLOCK_SIZE;

    memset(header, 0, BLOCK_SIZE);
    image_put32(header, XATTR_MAGIC);
    image_put32(header + 4, 5);
    image_put32(header + 8, 1);
    bitmap[bit / 8] |= (unsigned char)(1u << bit % 8);
    for (const char *name = "ef"; *name != '\0'; name++) {
        image_put32(&file(image, *name)->file_acl, block);
        add32(&file(image, *name)->sectors, BLOCK_SIZE / 512);
    }
}

static void break_all(unsigned char *image)
{
    struct ext2dax_disk_super *super = image_super(image);
    struct ext2dax_disk_group *group = (void *)(image + 2 * (size_t)BLOCK_SIZE);
    struct ext2dax_disk_inode *root = image_inode(image, BLOCK_SIZE, EXT2DAX_ROOT_INODE);

    share_attributes(image, image + (size_t)image_get32(&group->block_bitmap) * BLOCK_SIZE);
    add16(&file(image, 'a')->links, 2);
    add32(&file(image, 'a')->sectors, 6);
    /* Ends "e" where its last block begins. */
    add32(&file(image, 'e')->size, (uint32_t) - (int32_t)BLOCK_SIZE);
    /*
     * Sets the root's index flag. Clears the link count of "b", so its dirent is dead and its
     * blocks leak. Clears the dirent of "c", and the type in the dirent of "d".
     */
    image_put32(&root->flags, image_get32(&root->flags) | EXT2DAX_FL_INDEX);
    image_put16(&file(image, 'b')->links, 0);
    image_put32(&entry(image, 'c')->inode, 0);
    entry(image, 'd')->type = EXT2DAX_FT_UNKNOWN;
    add32(&root->size, BLOCK_SIZE);
    add16(&root->links, 1);
    add16(&group->used_dirs, 1);
    add16(&group->free_blocks, 1);
    add16(&group->free_inodes, 1);
    add32(&super->free_blocks, (uint32_t)-5);
    add32(&super->free_inodes, (uint32_t)-2);
    image_put16(&super->state, 0);
}

static void break_sums(unsigned char *image)
{
    struct ext2dax_disk_super *super = image_super(image);

    add32(&super->free_blocks, (uint32_t)-5);
    add32(&super->free_inodes, 1000);
}

/* ---- checking ---- */

static bool recovers(struct damaged_image *damaged, const void *image, int *error)
{
    struct ext2dax_mount *mount;
    bool same;

    memcpy(damaged->other.base, image, SIZE);
    *error = mount_at(&damaged->other, &mount);
    if (*error != 0)
        return false;
    same = memcmp(damaged->other.base, damaged->settled[damaged->at], SIZE) == 0;
    (void)ext2dax_unmount(mount);
    return same;
}

static int report(struct damaged_image *damaged, const char *what)
{
    damaged->tally.findings++;
    snprintf(damaged->finding, sizeof damaged->finding, DAMAGED_NAME ": recovery (%s): %s",
             damaged->returned ? "when it has returned" : "while it runs", what);
    if (!damaged->options.quiet)
        printf("FINDING %s\n", damaged->finding);
    return 1;
}

static int check_state(void *arg, const struct ext2dax_crash_state *state)
{
    struct damaged_image *damaged = arg;
    int error;

    damaged->tally.images++;
    if (damaged->returned) {
        damaged->tally.strict++;
        if (memcmp(state->image, damaged->settled[damaged->at], SIZE) != 0)
            return report(damaged, "what it has repaired is not durable");
    }
    if (state->before) {
        damaged->tally.known++;
        return 0;
    }
    damaged->tally.checked++;
    if (recovers(damaged, state->image, &error))
        return 0;
    return report(damaged, error != 0 ? "a crash leaves an image that recovery refuses"
                                      : "a crash leaves an image that recovers to other bytes");
}

static bool recover(struct damaged_image *damaged, unsigned which)
{
    uint64_t findings = damaged->tally.findings;
    struct ext2dax_mount *mount;

    damaged->at = which;
    damaged->returned = false;
    ext2dax_crash_check(damaged->crash, NULL, NULL);
    ext2dax_crash_load(damaged->crash, damaged->image[which]);
    ext2dax_crash_check(damaged->crash, check_state, damaged);
    must(mount_at(&damaged->memory, &mount) == 0, "recovery of the damaged image");
    damaged->returned = true;
    if (damaged->tally.findings == findings)
        (void)ext2dax_crash_point(damaged->crash);
    ext2dax_crash_check(damaged->crash, NULL, NULL);
    (void)ext2dax_unmount(mount);
    damaged->tally.workloads++;
    return damaged->tally.findings == findings;
}

bool damaged_image_recover(struct damaged_image *damaged)
{
    bool good = true;

    for (unsigned which = 0; which < IMAGES && good; which++)
        good = recover(damaged, which);
    return good;
}

/* ---- opening ---- */

/* Stores the damaged image, and the image a mount makes of it. */
static void keep(struct damaged_image *damaged, unsigned which)
{
    struct ext2dax_mount *mount;

    memcpy(damaged->image[which], damaged->other.base, SIZE);
    must(ext2dax_check_image(damaged->image[which], SIZE, EXT2DAX_CHECK_MOUNTED, NULL, NULL, NULL) > 0,
         "nothing is broken");
    must(mount_at(&damaged->other, &mount) == 0, "recovery");
    memcpy(damaged->settled[which], damaged->other.base, SIZE);
    must(ext2dax_unmount(mount) == 0, "unmount");
    must(ext2dax_check_image(damaged->settled[which], SIZE, EXT2DAX_CHECK_MOUNTED, NULL, NULL, NULL) == 0,
         "the checker finds something once it is recovered");
}

struct damaged_image *damaged_image_open(const struct crash_options *options)
{
    struct ext2dax_format_options format = {
        .size = sizeof format, .block_size = BLOCK_SIZE, .inodes = INODES, .time = FIXED_TIME};
    struct damaged_image *damaged = calloc(1, sizeof *damaged);

    must(damaged != NULL, "no memory");
    damaged->options = *options;
    must(ext2dax_memory_open_heap(SIZE, &damaged->other) == 0, "memory");
    must(ext2dax_format(&damaged->other, &format, NULL) == 0, "format");
    make_files(&damaged->other);
    break_all(damaged->other.base);
    keep(damaged, 0);
    break_sums(damaged->other.base);
    keep(damaged, 1);
    crash_memory_open(options, SIZE, &damaged->memory, &damaged->crash);
    return damaged;
}

void damaged_image_close(struct damaged_image *damaged)
{
    ext2dax_crash_close(damaged->crash);
    ext2dax_memory_close_heap(&damaged->other);
    free(damaged);
}

const struct tally *damaged_image_tally(const struct damaged_image *damaged)
{
    return crash_memory_tally(damaged->crash, &damaged->tally);
}

const char *damaged_image_finding(const struct damaged_image *damaged)
{
    return damaged->finding;
}
