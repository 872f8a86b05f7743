/* SPDX-License-Identifier: MIT */
/* The model of inode.h: attributes and references. */
#include "model.h"

#include <string.h>

#define KNOWN_BITS 0x3FFu /* of `set` */

int model_check_set(unsigned set, uint32_t nanoseconds)
{
    unsigned given = set & (EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME | EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED);

    if ((set & ~KNOWN_BITS) != 0)
        return -EXT2DAX_EINVAL;
    if (((set & EXT2DAX_SET_ATIME_NOW) != 0 && (set & EXT2DAX_SET_ATIME) == 0) ||
        ((set & EXT2DAX_SET_MTIME_NOW) != 0 && (set & EXT2DAX_SET_MTIME) == 0))
        return -EXT2DAX_EINVAL;
    if ((set & EXT2DAX_SET_ATIME_NOW) != 0)
        given &= ~EXT2DAX_SET_ATIME;
    if ((set & EXT2DAX_SET_MTIME_NOW) != 0)
        given &= ~EXT2DAX_SET_MTIME;
    return given != 0 && nanoseconds >= 1000000000u ? -EXT2DAX_EINVAL : 0;
}

/* ---- stat ---- */

static void adopt_new_image(struct node *node, const struct ext2dax_stat *seen)
{
    node->is_new_image = false;
    node->mode = seen->mode;
    node->uid = seen->uid;
    node->gid = seen->gid;
    node->flags = seen->flags;
    node->is_large = seen->has_nanoseconds;
    node->mtime = seen->mtime;
    node->ctime = seen->ctime;
    node->atime = seen->atime;
    node->created = seen->created;
}

/* Adopts the inode number. No other inode may have the number. */
static void adopt_number(struct model *model, struct node *node, uint32_t number)
{
    node->number = number;
    for (const struct node *other = model->nodes; other; other = other->next) {
        if (other != node && other->number == number)
            model->objection = "two inodes have the same number";
    }
}

/* A directory grows with its names and never shrinks. */
static void adopt_size(struct model *model, struct node *node, uint64_t size)
{
    if (node->links == 0)
        node->size = size;
    if (model->is_library && (size < node->size || size % model->kind->block_size != 0))
        model->objection = "a directory has an impossible size";
    node->size = size;
}

/* Returns the data blocks and pointer blocks of an inode. */
static uint64_t blocks_of(const struct model *model, const struct node *node)
{
    struct node contiguous = {0};
    struct node_block blocks[1024];

    if (node_is(node, EXT2DAX_S_IFREG))
        return node->block_count + node_pointer_blocks(node, model->kind->block_size);
    if (node_is(node, EXT2DAX_S_IFLNK))
        return node->size >= 60;
    if (!node_is(node, EXT2DAX_S_IFDIR))
        return 0;
    contiguous.blocks = blocks;
    contiguous.block_count = (size_t)(node->size / model->kind->block_size);
    for (size_t i = 0; i < contiguous.block_count && i < 1024; i++)
        blocks[i].index = i;
    return contiguous.block_count + node_pointer_blocks(&contiguous, model->kind->block_size);
}

/* Extended attributes lie in the inode or in a block, by the choice of the library. */
static uint64_t sectors_of(const struct model *model, const struct node *node, uint64_t seen)
{
    uint64_t unit = model->kind->block_size / 512, sectors = blocks_of(model, node) * unit;

    return node->attribute_count != 0 && seen == sectors + unit ? seen : sectors;
}

static int64_t stat_inode(struct model *model, const struct call *call, const struct outcome *seen,
                          struct outcome *expected)
{
    struct node *node = model->slot[call->slot];
    struct ext2dax_stat *stat = &expected->stat;

    if (node->number == 0)
        adopt_number(model, node, seen->stat.number);
    if (node->is_new_image)
        adopt_new_image(node, &seen->stat);
    if (node_is(node, EXT2DAX_S_IFDIR))
        adopt_size(model, node, seen->stat.size);
    memset(stat, 0, sizeof(*stat));
    stat->number = node->number;
    stat->mode = node->mode;
    stat->links = (uint16_t)node->links;
    stat->uid = node->uid;
    stat->gid = node->gid;
    stat->flags = node->flags;
    stat->generation = seen->stat.generation;
    stat->device_major = node->major;
    stat->device_minor = node->minor;
    stat->size = node->size;
    stat->sectors = sectors_of(model, node, seen->stat.sectors);
    node->sectors = stat->sectors;
    stat->mtime = node->mtime;
    stat->ctime = node->ctime;
    stat->atime = node->atime;
    stat->has_nanoseconds = stat->has_created = node->is_large;
    if (node->is_large)
        stat->created = node->created;
    return 0;
}

/* ---- setattr ---- */

static struct ext2dax_time given(const struct node *node, const struct call *call, int64_t after)
{
    const struct ext2dax_time time = {.seconds = call->seconds + after, .nanoseconds = call->nanoseconds};

    return model_stored(node, time);
}

static void set_times(struct model *model, struct node *node, const struct call *call)
{
    unsigned set = call->flags;

    node->ctime = model_now(model, node);
    if (set & EXT2DAX_SET_MTIME)
        node->mtime = given(node, call, 0);
    if (set & EXT2DAX_SET_ATIME)
        node->atime = given(node, call, 1);
    if (set & EXT2DAX_SET_CTIME)
        node->ctime = given(node, call, 2);
    if (set & EXT2DAX_SET_CREATED)
        node->created = given(node, call, 3);
    if (set & EXT2DAX_SET_MTIME_NOW)
        node->mtime = model_now(model, node);
    if (set & EXT2DAX_SET_ATIME_NOW)
        node->atime = model_now(model, node);
}

static int64_t set_attributes(struct model *model, const struct call *call)
{
    struct node *node = model->slot[call->slot];
    unsigned set = call->flags;

    if (model_check_set(set, call->nanoseconds) != 0)
        return -EXT2DAX_EINVAL;
    if (model->read_only)
        return -EXT2DAX_EROFS;
    if ((set & ~EXT2DAX_SET_FLAGS) != 0 && (node->flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0)
        return -EXT2DAX_EPERM;
    if ((set & EXT2DAX_SET_FLAGS) != 0 && ((call->inode_flags ^ node->flags) & ~EXT2DAX_FL_SETTABLE) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    if (set & EXT2DAX_SET_MODE)
        node->mode = (uint16_t)((node->mode & EXT2DAX_S_IFMT) | (call->mode & 07777u));
    if (set & EXT2DAX_SET_UID)
        node->uid = call->uid;
    if (set & EXT2DAX_SET_GID)
        node->gid = call->gid;
    if (set & EXT2DAX_SET_FLAGS)
        node->flags = call->inode_flags;
    set_times(model, node, call);
    return 0;
}

/* ---- references ---- */

static int64_t hold(struct model *model, const struct call *call)
{
    if (call->into != NO_SLOT)
        model_hold(model, call->into, model->slot[call->slot]);
    return 0;
}

static int64_t get(struct model *model, const struct call *call)
{
    if (model->slot[call->slot]->links == 0)
        return -EXT2DAX_ENOENT;
    return hold(model, call);
}

static int64_t put(struct model *model, const struct call *call)
{
    if (call->slot != 0)
        model_drop(model, call->slot);
    return 0;
}

int64_t model_play_attributes(struct model *model, const struct call *call, const struct outcome *seen,
                              struct outcome *expected)
{
    switch (call->kind) {
    case CALL_STAT:
        return stat_inode(model, call, seen, expected);
    case CALL_SETATTR:
        return set_attributes(model, call);
    case CALL_HOLD:
        return hold(model, call);
    case CALL_GET:
        return get(model, call);
    default:
        return put(model, call);
    }
}
