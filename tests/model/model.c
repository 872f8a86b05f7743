/* SPDX-License-Identifier: MIT */
/* Slots, inodes and the mount of the model. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum model_mistake model_mistake;

static const char *const mistake_names[] = {
#define MISTAKE_NAME(name, text) #name,
    MODEL_MISTAKES(MISTAKE_NAME)
#undef MISTAKE_NAME
};
static const char *const mistake_texts[] = {
#define MISTAKE_TEXT(name, text) text,
    MODEL_MISTAKES(MISTAKE_TEXT)
#undef MISTAKE_TEXT
};

const char *model_mistake_name(enum model_mistake mistake)
{
    return mistake_names[mistake];
}

const char *model_mistake_text(enum model_mistake mistake)
{
    return mistake_texts[mistake];
}

static struct node *directory_of_mke2fs(struct model *model, uint32_t links)
{
    struct node *node = node_new();

    node->mode = EXT2DAX_S_IFDIR;
    node->links = links;
    node->is_new_image = true;
    node->next = model->nodes;
    model->nodes = node;
    return node;
}

struct model *model_open(const struct image_kind *kind, bool is_library, const struct ext2dax_statfs *fresh)
{
    struct model *model = calloc(1, sizeof(*model));
    struct node *lost;

    if (!model)
        abort();
    model->kind = kind;
    model->is_library = is_library;
    model->large_inodes = kind->inode_size > EXT2DAX_INODE_SIZE_REV0;
    model->fresh = *fresh;
    model->births = 1;
    model->root = directory_of_mke2fs(model, 3);
    model->root->parent = model->root;
    lost = directory_of_mke2fs(model, 2);
    lost->parent = model->root;
    node_add_entry(model->root, "lost+found", 10, lost, model->births++);
    model_hold(model, 0, model->root);
    return model;
}

void model_close(struct model *model)
{
    while (model->nodes) {
        struct node *node = model->nodes;

        model->nodes = node->next;
        node_free(node);
    }
    for (unsigned i = 0; i < ALL_SLOTS; i++)
        free(model->listing[i].seen);
    free(model);
}

uint32_t model_inodes(const struct model *model)
{
    uint32_t count = 0;

    for (const struct node *node = model->nodes; node; node = node->next)
        count += node->links != 0 || !mistaken(MISTAKE_HOLD_FORGOTTEN);
    return count;
}

/* ---- slots ---- */

bool model_has(const struct model *model, unsigned slot)
{
    return model->slot[slot] != NULL;
}

static void close_listing(struct model *model, unsigned slot)
{
    free(model->listing[slot].seen);
    memset(&model->listing[slot], 0, sizeof(model->listing[slot]));
}

void model_release(struct model *model, struct node *node)
{
    struct node **at = &model->nodes;

    if (node->links != 0)
        return;
    if (node->holds != 0)
        return;
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node_free(node);
}

void model_drop(struct model *model, unsigned slot)
{
    struct node *node = model->slot[slot];

    if (!node)
        return;
    close_listing(model, slot);
    model->slot[slot] = NULL;
    node->holds--;
    model_release(model, node);
}

void model_hold(struct model *model, unsigned slot, struct node *node)
{
    node->holds++;
    model_drop(model, slot);
    model->slot[slot] = node;
}

/* ---- times ---- */

struct ext2dax_time model_now(const struct model *model, const struct node *node)
{
    const struct ext2dax_time now = {.seconds = model->now};

    return model_stored(node, now);
}

struct ext2dax_time model_stored(const struct node *node, struct ext2dax_time time)
{
    const int64_t least = -((int64_t)1 << 31), small = ((int64_t)1 << 31) - 1, large = ((int64_t)3 << 32) + small;
    const int64_t most = node->is_large ? large : small;

    if (mistaken(MISTAKE_CLAMP_WRAPS) && !node->is_large)
        time.seconds = (int32_t)time.seconds;
    if (time.seconds < least) {
        time.seconds = least;
        time.nanoseconds = 0;
    } else if (time.seconds > most) {
        time.seconds = most;
        time.nanoseconds = 999999999;
    }
    if (!node->is_large)
        time.nanoseconds = 0;
    return time;
}

void model_set_times(struct model *model, struct node *node, bool mtime)
{
    node->ctime = model_now(model, node);
    if (mtime)
        node->mtime = node->ctime;
}

/* ---- a full image ---- */

bool model_full(struct model *model, const struct outcome *seen, uint64_t blocks)
{
    /* The host does not report the free blocks at the moment of the call. */
    if (model->is_library && seen->statfs.free_inodes != 0 && seen->statfs.free_blocks >= blocks)
        model->objection = "ENOSPC with blocks and inodes left";
    return true;
}

/* ---- the mount ---- */

static bool has_nameless(const struct model *model)
{
    for (const struct node *node = model->nodes; node; node = node->next) {
        if (node->links == 0)
            return true;
    }
    return false;
}

static int64_t remount(struct model *model, unsigned flags)
{
    bool read_only = (flags & EXT2DAX_MOUNT_READ_ONLY) != 0;

    if ((flags & ~EXT2DAX_MOUNT_READ_ONLY) != 0)
        return -EXT2DAX_EINVAL;
    if (read_only && !model->read_only && has_nameless(model))
        return -EXT2DAX_EBUSY;
    model->read_only = read_only;
    return 0;
}

static int64_t cycle(struct model *model)
{
    for (unsigned i = 1; i < ALL_SLOTS; i++)
        model_drop(model, i);
    close_listing(model, 0);
    model->read_only = false;
    return 0;
}

static int64_t play_mount(struct model *model, const struct call *call, struct outcome *expected)
{
    switch (call->kind) {
    case CALL_REMOUNT:
        return remount(model, call->flags);
    case CALL_UNMOUNT:
        return -EXT2DAX_EBUSY;
    case CALL_CYCLE:
        return cycle(model);
    case CALL_STATFS:
        expected->statfs = model->fresh;
        expected->statfs.free_inodes = model->fresh.free_inodes + 2 - model_inodes(model);
        expected->statfs.read_only = model->read_only;
        return 0;
    default:
        return 0;
    }
}

static bool has_slots(const struct model *model, const struct call *call)
{
    if (!model_has(model, call->slot))
        return false;
    return (call->kind != CALL_RENAME && call->kind != CALL_LINK) || model_has(model, call->other);
}

void model_play(struct model *model, const struct call *call, const struct outcome *seen, struct outcome *expected)
{
    model->objection = NULL;
    expected->nothing = !has_slots(model, call);
    expected->result = 0;
    expected->listed = 0;
    expected->count = 0;
    expected->ended = false;
    if (expected->nothing)
        return;
    switch ((enum call_kind)call->kind) {
    case CALL_CREATE:
    case CALL_CREATE_AS:
    case CALL_MKDIR:
    case CALL_MKNOD:
    case CALL_SYMLINK:
    case CALL_LINK:
    case CALL_UNLINK:
    case CALL_RMDIR:
    case CALL_RENAME:
        expected->result = model_play_names(model, call, seen, expected);
        break;
    case CALL_LOOKUP:
    case CALL_LOOKUP_PATH:
    case CALL_READDIR:
    case CALL_READDIR_PART:
    case CALL_READLINK:
        expected->result = model_play_lookups(model, call, seen, expected);
        break;
    case CALL_STAT:
    case CALL_SETATTR:
    case CALL_HOLD:
    case CALL_GET:
    case CALL_PUT:
        expected->result = model_play_attributes(model, call, seen, expected);
        break;
    case CALL_GETXATTR:
    case CALL_SETXATTR:
    case CALL_LISTXATTR:
    case CALL_REMOVEXATTR:
        expected->result = model_play_xattr(model, call, seen, expected);
        break;
    case CALL_READ:
    case CALL_WRITE:
    case CALL_TRUNCATE:
    case CALL_PUNCH:
    case CALL_ZERO_RANGE:
    case CALL_ALLOCATE:
    case CALL_SEEK:
    case CALL_MAP:
    case CALL_FSYNC:
    case CALL_FSYNC_RANGE:
        expected->result = model_play_file(model, call, seen, expected);
        break;
    case CALL_SYNC:
    case CALL_STATFS:
    case CALL_REMOUNT:
    case CALL_UNMOUNT:
    case CALL_CYCLE:
    case CALL_KINDS:
        expected->result = play_mount(model, call, expected);
        break;
    }
}
