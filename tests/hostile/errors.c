/* SPDX-License-Identifier: MIT */
/*
 * Errors in an image, recorded as Linux records them, and the behaviour afterwards. Each behaviour
 * is chosen by the mount option and by the superblock. dumpe2fs reads the record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/model.h"

#include "../fuzz/plugs.h"
#include "../fuzz/reports.h"
#include "../fuzz/tree.h"
#include "../image/outside.h"

#define NOW 1800000000u /* of the clock of fuzz_host() */

static struct outside_image image;
static struct ext2dax_mount *mount;
static struct ext2dax_model *model;

static struct ext2dax_disk_super *super(void)
{
    return (struct ext2dax_disk_super *)(void *)(image.base + EXT2DAX_SUPER_OFFSET);
}

static uint32_t get(struct ext2dax_le32 field)
{
    unsigned char bytes[4];

    memcpy(bytes, &field, sizeof(bytes));
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Loads the tree, with an action in the superblock, and mounts. */
static void begin(unsigned action, enum ext2dax_errors errors)
{
    const struct tree *tree = tree_get(2);
    struct ext2dax_plugs plugs = {.locks = fuzz_locks(), .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .huge_order = tree->huge_order, .errors = errors};

    memcpy(image.base, tree->image, tree->size);
    memcpy(&super()->errors, &(uint8_t[2]){(uint8_t)action, 0}, 2);
    plugs.memory = (struct ext2dax_memory){&(struct ext2dax_memory_ops){.size = sizeof(struct ext2dax_memory_ops)},
                                           NULL, image.base, tree->size, 0};
    model = ext2dax_model_open(&plugs.memory, fuzz_locks(), 4096, tree->huge_order);
    MUST(model);
    plugs.address_space = ext2dax_model_address_space(model);
    MUST(ext2dax_mount(&plugs, &options, &mount) == 0);
}

static void end(void)
{
    MUST(ext2dax_unmount(mount) == 0);
    ext2dax_model_close(model);
    MUST(fuzz_counts.made == 0 && fuzz_counts.given == 0);
}

static struct ext2dax_inode *file(const char *name)
{
    struct ext2dax_inode *inode;

    MUST(ext2dax_lookup_path(mount, name, strlen(name), 0, &inode) == 0);
    return inode;
}

/* Reads through a pointer outside the image. Returns the number of the inode. */
static uint32_t meet_error(const char *name, uint32_t pointer)
{
    const struct tree *tree = tree_get(2);
    struct ext2dax_inode *inode = file(name);
    size_t at = tree_inode(tree, inode->number) + offsetof(struct ext2dax_disk_inode, block);
    const unsigned char bytes[4] = {(uint8_t)pointer, (uint8_t)(pointer >> 8)};
    uint32_t number = inode->number;
    char byte;

    memcpy(image.base + at, bytes, sizeof(bytes));
    MUST(ext2dax_read(inode, 0, &byte, 1) == -EXT2DAX_EUCLEAN);
    memcpy(image.base + at, tree->image + at, sizeof(bytes));
    ext2dax_inode_put(inode);
    return number;
}

/* ---- the record ---- */

static void errors_are_recorded(void)
{
    uint32_t first, last;

    begin(1, EXT2DAX_ERRORS_IMAGE);
    MUST(get(super()->error_count) == 0);
    first = meet_error("single", 4000);
    MUST((((const unsigned char *)&super()->state)[0] & EXT2DAX_STATE_ERROR) != 0);
    MUST(get(super()->error_count) == 1);
    MUST(get(super()->first_error_inode) == first && get(super()->last_error_inode) == first);
    MUST(get(super()->first_error_time) == NOW && get(super()->last_error_time) == NOW);
    MUST(get(super()->first_error_block[0]) == 4000 && get(super()->first_error_block[1]) == 0);
    MUST(strcmp((const char *)super()->first_error_function, "block pointer") == 0);
    last = meet_error("direct", 5000);
    MUST(get(super()->error_count) == 2);
    MUST(get(super()->first_error_inode) == first && get(super()->last_error_inode) == last && first != last);
    MUST(get(super()->first_error_block[0]) == 4000 && get(super()->last_error_block[0]) == 5000);
    end();
}

/* Compares the record with the words of dumpe2fs. */
static void dumpe2fs_reads_the_record(void)
{
    static const char *const lines[] = {
        "^Filesystem state: .*with errors", "^FS Error count: *2$",        "^First error function: *block pointer$",
        "^First error block #: *4000$",     "^Last error block #: *5000$", "^Last error inode #: *[1-9]"};

    if (!outside_has("dumpe2fs")) {
        puts("dumpe2fs is not installed, so the record is read by this test alone");
        return;
    }
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int status = outside_run("dumpe2fs -h %s 2>/dev/null | grep -q '%s'", image.path, lines[i]);

        if (status != 0)
            (void)fprintf(stderr, "dumpe2fs prints no line '%s'\n", lines[i]);
        MUST(status == 0);
    }
    /* e2fsck empties the record, and the image can be mounted again. */
    MUST(outside_run("e2fsck -fy %s >/dev/null 2>&1", image.path) <= 1);
    MUST(get(super()->error_count) == 0 && (((const unsigned char *)&super()->state)[0] & EXT2DAX_STATE_ERROR) == 0);
}

/* Nothing is recorded in an image at rest. */
static void frozen_image_stays(void)
{
    begin(2, EXT2DAX_ERRORS_IMAGE);
    MUST(ext2dax_freeze(mount) == 0);
    (void)meet_error("single", 4000);
    MUST(get(super()->error_count) == 0);
    MUST(ext2dax_thaw(mount) == 0);
    end();
}

/* ---- the behaviour ---- */

static void behaves(unsigned action, enum ext2dax_errors errors, enum ext2dax_errors expected)
{
    bool stopped = expected != EXT2DAX_ERRORS_CONTINUE, refused = expected == EXT2DAX_ERRORS_REFUSE;
    struct ext2dax_inode *root, *held, *inode;
    struct ext2dax_model_map *map;
    struct ext2dax_statfs figures;
    char byte = 'x';

    begin(action, errors);
    root = file("/");
    held = file("direct");
    map = ext2dax_model_map(model, held, 0, 4, true, true);
    MUST(map && ext2dax_unlink(root, "twice", 5) == 0);
    (void)meet_error("single", 4000);
    ext2dax_statfs(mount, &figures, sizeof(figures));
    MUST(figures.read_only == stopped);
    MUST(ext2dax_write(held, 0, &byte, 1) == (stopped ? -EXT2DAX_EROFS : 1));
    MUST(ext2dax_truncate(held, 1) == (stopped ? -EXT2DAX_EROFS : 0));
    MUST(ext2dax_unlink(root, "empty", 5) == (stopped ? -EXT2DAX_EROFS : 0));
    MUST(ext2dax_setxattr(held, "user.a", 6, "x", 1, 0) == (stopped ? -EXT2DAX_EROFS : 0));
    MUST(ext2dax_model_write(map, 0, &byte, 1, false, false) ==
         (stopped ? EXT2DAX_FAULT_SIGBUS : EXT2DAX_FAULT_NOPAGE));
    MUST(ext2dax_read(held, 0, &byte, 1) == 1);
    MUST(ext2dax_model_read(map, 0, &byte, 1, false, false) == EXT2DAX_FAULT_NOPAGE);
    MUST(REPORTED(ext2dax_lookup(root, "single", 6, &inode)) == (refused ? -EXT2DAX_EUCLEAN : 0));
    if (inode)
        ext2dax_inode_put(inode);
    MUST(ext2dax_sync(mount) == 0);
    ext2dax_model_unmap(map);
    ext2dax_inode_put(held);
    ext2dax_inode_put(root);
    end();
}

int main(void)
{
    struct ext2dax_plugs plugs = {.locks = fuzz_locks(), .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .errors = (enum ext2dax_errors)4};

    image = outside_open(tree_get(2)->size);
    errors_are_recorded();
    dumpe2fs_reads_the_record();
    frozen_image_stays();
    behaves(1, EXT2DAX_ERRORS_IMAGE, EXT2DAX_ERRORS_CONTINUE);
    behaves(2, EXT2DAX_ERRORS_IMAGE, EXT2DAX_ERRORS_READ_ONLY);
    behaves(3, EXT2DAX_ERRORS_IMAGE, EXT2DAX_ERRORS_REFUSE);
    behaves(0, EXT2DAX_ERRORS_IMAGE, EXT2DAX_ERRORS_CONTINUE);
    behaves(77, EXT2DAX_ERRORS_IMAGE, EXT2DAX_ERRORS_CONTINUE);
    for (unsigned action = 1; action <= 3; action++) {
        behaves(action, EXT2DAX_ERRORS_CONTINUE, EXT2DAX_ERRORS_CONTINUE);
        behaves(action, EXT2DAX_ERRORS_READ_ONLY, EXT2DAX_ERRORS_READ_ONLY);
        behaves(action, EXT2DAX_ERRORS_REFUSE, EXT2DAX_ERRORS_REFUSE);
    }
    plugs.memory = (struct ext2dax_memory){&(struct ext2dax_memory_ops){.size = sizeof(struct ext2dax_memory_ops)},
                                           NULL, image.base, image.size, 0};
    MUST(REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &mount)) == -EXT2DAX_EINVAL);
    outside_close(&image);
    return EXIT_SUCCESS;
}
