/* SPDX-License-Identifier: MIT */
/*
 * The blocks of extended attributes of an image, counted in a scratch image in memory.
 *
 * Inodes with equal attributes share a block, but the library remembers a few blocks only, by a
 * hash that some different attributes have in common. So the count follows from all attributes and
 * their order. The scratch image has an inode for each inode whose attributes need a block, gets
 * the attributes in the order of the image, and nothing else. The image shares the same blocks.
 */
#include "dax-image.h"

#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>

#include <stdio.h>
#include <string.h>

#define NAME_LENGTH 8 /* of the names in the scratch image, which are numbers */

static uint64_t attribute_bytes(const struct attribute *attribute)
{
    const char *dot = strchr(attribute->name, '.');

    /* The two names of ACLs take no bytes, and an ACL is shorter on the medium. */
    if (!strncmp(attribute->name, "system.", 7))
        return EXT2DAX_TALLY_ATTRIBUTE(0, attribute->size);
    return EXT2DAX_TALLY_ATTRIBUTE(dot ? strlen(dot + 1) : 0, attribute->size);
}

static bool needs_block(const struct ext2dax_tally *tally, const struct inode *inode)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < inode->attribute_count; i++)
        bytes += attribute_bytes(&inode->attributes[i]);
    return bytes > tally->in_inode;
}

/* The scratch image. */
struct scratch {
    struct ext2dax_plugs plugs;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    uint64_t before; /* free blocks at the start */
    uint64_t most;   /* blocks of attributes at any time */
};

/* Formats memory with room for a block of attributes per inode. */
static int scratch_open(struct scratch *scratch, const struct ext2dax_format_options *options, uint64_t inodes)
{
    struct ext2dax_format_options format = {
        .size = sizeof(format), .block_size = options->block_size, .inode_size = options->inode_size};
    struct ext2dax_tally_directory directory;
    struct ext2dax_image_plan plan;
    struct ext2dax_tally tally;

    int error = ext2dax_tally_begin(&tally, &format, HUGE_SIZE);
    if (error)
        return error;
    ext2dax_tally_root(&tally, &directory);
    for (uint64_t i = 0; i < inodes; i++) {
        ext2dax_tally_node(&tally);
        ext2dax_tally_name(&tally, &directory, NAME_LENGTH);
        ext2dax_tally_attributes(&tally, UINT64_MAX);
    }
    /* A further block is taken for a moment, when an attribute replaces a block by another. */
    error = ext2dax_tally_plan(&tally, tally.block_size, &plan);
    if (error)
        return error;
    scratch->plugs.locks = ext2dax_locks_none();
    scratch->plugs.host = ext2dax_host_default();
    error = ext2dax_memory_open_heap((size_t)plan.size, &scratch->plugs.memory);
    return error ? error : ext2dax_build_begin(&scratch->plugs, &format, &plan, &scratch->mount, &scratch->root);
}

static void scratch_close(struct scratch *scratch)
{
    if (scratch->root)
        ext2dax_inode_put(scratch->root);
    if (scratch->mount)
        ext2dax_unmount(scratch->mount);
    if (scratch->plugs.memory.base)
        ext2dax_memory_close_heap(&scratch->plugs.memory);
}

static uint64_t free_blocks(const struct scratch *scratch)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(scratch->mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

/* Gives a new inode the attributes of a node, as fill.c does. */
static int add(struct scratch *scratch, const struct node *node, uint64_t number)
{
    const struct inode *from = node->inode;
    struct ext2dax_inode *inode;
    char name[NAME_LENGTH + 1];
    uint64_t names;
    int code = 0;

    snprintf(name, sizeof(name), "%08llx", (unsigned long long)number & 0xffffffffu);
    names = free_blocks(scratch);
    int error = ext2dax_create(scratch->root, name, NAME_LENGTH, 0600, 0, 0, &inode);
    if (error)
        return library_failed(node_path(node), error, "count attributes");
    scratch->before -= names - free_blocks(scratch);
    for (size_t i = 0; !code && i < from->attribute_count; i++) {
        const struct attribute *a = &from->attributes[i];
        uint64_t used = scratch->before - free_blocks(scratch);
        error = ext2dax_setxattr(inode, a->name, strlen(a->name), a->value, a->size, 0);
        if (error == -EXT2DAX_ENOSPC)
            code = failed(node_path(node), "%s: the attributes do not fit a block", a->name);
        else if (error)
            code = library_failed(node_path(node), error, a->name);
        /* A new block is taken before the block replaced is free. */
        scratch->most = used + 1 > scratch->most ? used + 1 : scratch->most;
    }
    ext2dax_inode_put(inode);
    return code;
}

int tally_attributes(struct building *building)
{
    struct node *root = building->tree->root;
    struct scratch scratch = {.most = 0};
    uint64_t inodes = 0;
    int code = 0;

    for (const struct node *node = root; node; node = node_next(node, root))
        inodes += needs_block(&building->tally, node->inode);
    if (!inodes)
        return 0;
    int error = scratch_open(&scratch, &building->format, inodes);
    if (error)
        code = library_failed(building->path, error, "count attributes");
    else
        scratch.before = free_blocks(&scratch);
    inodes = 0;
    for (struct node *node = root; !code && node; node = node_next(node, root))
        if (node->inode->made++ == 0 && needs_block(&building->tally, node->inode))
            code = add(&scratch, node, inodes++);
    for (struct node *node = root; node; node = node_next(node, root))
        node->inode->made = 0;
    for (uint64_t i = 0; i < scratch.most; i++)
        ext2dax_tally_attributes(&building->tally, UINT64_MAX);
    scratch_close(&scratch);
    return code;
}
