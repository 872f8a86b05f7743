/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <string.h>

#include "failing.h"

#include "../fuzz/reports.h"

struct round round_now;
#define r round_now

int round_mount(unsigned flags)
{
    const struct tree *tree = r.tree;
    struct ext2dax_plugs plugs = failing_open(r.base, r.size, tree->page_shift, tree->huge_order);
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = tree->order,
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify};
    int error = REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &r.mount));

    MUST((error == 0) == (r.mount != NULL));
    if (error != 0)
        failing_close();
    return error;
}

void round_put(struct ext2dax_inode **inode)
{
    if (*inode)
        ext2dax_inode_put(*inode);
    *inode = NULL;
}

void round_release(void)
{
    if (r.frozen)
        (void)ext2dax_thaw(r.mount);
    r.frozen = false;
    if (r.pinned)
        ext2dax_unpin(&r.pin);
    r.pinned = false;
    if (r.map)
        ext2dax_model_unmap(r.map);
    r.map = NULL;
    round_put(&r.made);
    round_put(&r.other);
    round_put(&r.inode);
    round_put(&r.directory);
    round_put(&r.root);
}

/* ---- states ---- */

uint64_t block_size(void)
{
    return r.tree->block_size;
}

static struct ext2dax_inode *find(struct ext2dax_inode *directory, const char *name)
{
    struct ext2dax_inode *inode;

    MUST(ext2dax_lookup(directory, name, strlen(name), &inode) == 0);
    return inode;
}

void at_root(void)
{
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &r.root) == 0);
}

static void on_file(const char *name)
{
    at_root();
    r.inode = find(r.root, name);
    r.map = ext2dax_model_map(failing_model(), r.inode, 0, 20, true, true);
    MUST(r.map);
}
void on_single(void)
{
    on_file("single");
}
void on_direct(void)
{
    on_file("direct");
}
void on_twice(void)
{
    on_file("twice");
}
void on_thrice(void)
{
    on_file(r.tree->block_size == 65536 ? "twice" : "thrice");
}
void on_empty(void)
{
    on_file("empty");
}
void on_slow(void)
{
    on_file("slow");
}

void in_directories(void)
{
    at_root();
    r.directory = find(r.root, "d");
}

void in_full_directory(void)
{
    at_root();
    MUST(ext2dax_mkdir(r.root, "full", 4, 0755, 0, 0, &r.directory) == 0);
    for (unsigned i = 0; i < 40; i++) {
        char name[120];

        memset(name, 'a' + (int)(i % 26), sizeof(name));
        name[0] = (char)('A' + (int)(i / 26));
        MUST(ext2dax_link(r.inode ? r.inode : (r.inode = find(r.root, "single")), r.directory, name, sizeof(name)) ==
             0);
    }
}

/* The last reference takes the name table away. */
void in_full_directory_without_table(void)
{
    in_full_directory();
    round_put(&r.directory);
    r.directory = find(r.root, "full");
}

void with_empty_directory(void)
{
    in_directories();
    MUST(ext2dax_mkdir(r.root, "hollow", 6, 0755, 0, 0, NULL) == 0);
}

void with_attributes(void)
{
    char value[100] = "value";

    on_single();
    MUST(ext2dax_setxattr(r.inode, "user.first", 10, value, sizeof(value), 0) == 0);
    MUST(ext2dax_setxattr(r.inode, "user.second", 11, value, 7, 0) == 0);
}

/* Two inodes with equal attributes share a block. */
void with_shared_attributes(void)
{
    char value[100] = "value";

    with_attributes();
    r.other = find(r.root, "direct");
    MUST(ext2dax_setxattr(r.other, "user.first", 10, value, sizeof(value), 0) == 0);
    MUST(ext2dax_setxattr(r.other, "user.second", 11, value, 7, 0) == 0);
}

/* A dirty file, with a page written through a mapping. */
void dirty(void)
{
    on_single();
    (void)ext2dax_model_write(r.map, 1, "a", 1, false, false);
    MUST(ext2dax_write(r.inode, 2, "b", 1) == 1);
}

void unlinked(void)
{
    at_root();
    r.inode = find(r.root, "twice");
    MUST(ext2dax_unlink(r.root, "twice", 5) == 0);
}

void unlinked_attributes(void)
{
    at_root();
    r.inode = find(r.root, "one");
    MUST(ext2dax_unlink(r.root, "one", 3) == 0);
}

void pinned(void)
{
    on_twice();
    MUST(ext2dax_pin(r.inode, (12 + block_size() / 4) * block_size(), 1, true, &r.pin) == 0);
    r.pinned = true;
}

void frozen(void)
{
    dirty();
    MUST(ext2dax_freeze(r.mount) == 0);
    r.frozen = true;
}

void read_only(void)
{
    at_root();
    MUST(ext2dax_remount(r.mount, EXT2DAX_MOUNT_READ_ONLY) == 0);
}

/* The first page is mapped read-only, or the zero page. */
void mapped_read_only(void)
{
    char byte;

    on_single();
    (void)ext2dax_model_read(r.map, 1, &byte, 1, false, false);
}

void zero_mapped(void)
{
    char byte;

    on_single();
    (void)ext2dax_model_read(r.map, (uint64_t)3 << r.tree->page_shift, &byte, 1, false, false);
}
