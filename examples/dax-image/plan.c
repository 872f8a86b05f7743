/* SPDX-License-Identifier: MIT */
/* The size of the image, by arithmetic. */
#include "dax-image.h"

#include <stdlib.h>
#include <string.h>

#define INODE_SIZE            256u   /* with nanoseconds, unless --inode-size is given */
#define BYTES_PER_SPARE_INODE 16384u /* of free room, unless --inodes is given */

static int tally_data(struct ext2dax_tally *tally, const struct inode *inode, bool packed)
{
    struct ext2dax_tally_run *runs = calloc(inode->run_count + 1, sizeof(*runs));

    if (!runs)
        return -EXT2DAX_ENOMEM;
    for (size_t i = 0; i < inode->run_count; i++)
        runs[i] = (struct ext2dax_tally_run){.offset = inode->runs[i].offset, .length = inode->runs[i].length};
    int error = ext2dax_tally_file(tally, inode->size, runs, inode->run_count, packed);
    free(runs);
    return error;
}

static int tally_inode(struct ext2dax_tally *tally, struct node *node, bool packed,
                       struct ext2dax_tally_directory *directory)
{
    const struct inode *inode = node->inode;
    int error = 0;

    if (is_lost_and_found(node) && inode_type(inode) != EXT2DAX_S_IFDIR)
        return failed(node_path(node), "has to be a directory, because every image has it for e2fsck");
    switch (inode_type(inode)) {
    case EXT2DAX_S_IFREG:
        error = tally_data(tally, inode, packed);
        break;
    case EXT2DAX_S_IFDIR:
        if (node->parent)
            ext2dax_tally_directory(tally, directory);
        else
            ext2dax_tally_root(tally, directory);
        break;
    case EXT2DAX_S_IFLNK:
        ext2dax_tally_symlink(tally, inode->size);
        if (inode->size == 0 || inode->size >= tally->block_size)
            return failed(node_path(node), "the target of the symbolic link does not fit a block");
        break;
    default:
        if (inode->device_major >= 1u << 12 || inode->device_minor >= 1u << 20)
            return failed(node_path(node), "the device number does not fit an inode");
        ext2dax_tally_node(tally);
    }
    if (error)
        return library_failed(node_path(node), error, "does not fit the image");
    return 0;
}

/* Adds the whole tree. A directory is followed by its names, in the order of their creation. */
static int tally_tree(struct ext2dax_tally *tally, const struct tree *tree, bool packed)
{
    struct ext2dax_tally_directory directory;

    for (struct node *node = tree->root; node; node = node_next(node, tree->root)) {
        bool first = node->inode->made++ == 0;
        int code = first ? tally_inode(tally, node, packed, &directory) : 0;
        if (code)
            return code;
        for (size_t i = 0; i < node->count; i++)
            ext2dax_tally_name(tally, &directory, strlen(node->children[i]->name));
    }
    for (struct node *node = tree->root; node; node = node_next(node, tree->root))
        node->inode->made = 0;
    return 0;
}

static int plan(struct building *building, uint64_t inodes)
{
    const struct options *o = building->options;

    building->format.size = sizeof(building->format);
    if (!o->format.inode_size)
        building->format.inode_size = INODE_SIZE;
    building->format.inodes = (uint32_t)inodes;
    int error = ext2dax_tally_begin(&building->tally, &building->format, HUGE_SIZE);
    if (error)
        return library_failed(building->path, error, "the options of the image");
    int code = tally_tree(&building->tally, building->tree, o->packed);
    if (!code)
        code = tally_attributes(building);
    if (code)
        return code;
    error = ext2dax_tally_plan(&building->tally, o->free_bytes, &building->plan);
    return error ? library_failed(building->path, error, "the size of the image") : 0;
}

/*
 * Plans again with smaller groups, as long as that makes a smaller image. A group holds a bounded
 * number of inodes. So many empty files take many groups, which would be mostly empty too.
 */
static int plan_smaller_groups(struct building *building, uint64_t inodes)
{
    uint32_t kept = building->format.blocks_per_group;
    uint32_t blocks = building->tally.group_blocks / 2;

    while (blocks >> building->tally.pmd_shift >= 2) {
        struct ext2dax_image_plan least = building->plan;
        building->format.blocks_per_group = blocks;
        int code = plan(building, inodes);
        if (code)
            return code;
        if (building->plan.size >= least.size)
            break;
        kept = blocks;
        blocks /= 2;
    }
    building->format.blocks_per_group = kept;
    return plan(building, inodes);
}

int plan_image(struct building *building)
{
    const struct options *o = building->options;
    uint64_t block, room;

    int code = plan(building, o->inodes);
    /* Larger groups break fewer aligned extents, and stay where they cost little. */
    if (!code && building->plan.groups > 1 && (!o->size || o->size < building->plan.size) &&
        building->plan.free - o->free_bytes > building->plan.size / 4)
        code = plan_smaller_groups(building, o->inodes);
    if (code)
        return code;
    if (o->size && o->size < building->plan.size)
        return failed(building->path, "%llu bytes are too little room, and %llu bytes are needed",
                      (unsigned long long)o->size, (unsigned long long)building->plan.size);
    /* Free room without inodes is of little use. */
    room = o->size ? o->size - building->plan.size + o->free_bytes : o->free_bytes;
    if (!o->has_inodes && room >= BYTES_PER_SPARE_INODE) {
        struct ext2dax_image_plan least = building->plan;
        code = plan(building, building->tally.inodes + room / BYTES_PER_SPARE_INODE);
        if (!code && o->size && o->size < building->plan.size)
            building->plan = least;
    }
    block = building->tally.block_size;
    building->format.inodes = building->plan.inodes;
    building->size = o->size ? o->size / block * block : building->plan.size;
    return code;
}
