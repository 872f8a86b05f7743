/* SPDX-License-Identifier: MIT */
/*
 * Paths: from the root down, name by name, through symbolic links.
 *
 * A symbolic link is replaced by its target in front of the rest of the path, in a newly allocated
 * buffer. So a path is always a single string and the walk a single loop. At most 40 replacements,
 * each adding less than a block, bound both.
 */
#include "ext2dax/name.h"

#include "base/caller.h"
#include "base/internal.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/map.h"
#include "base/persist.h"
#include "disk/super.h"

#define LINKS_MAX 40u

static bool is_link(const struct ext2dax_inode *inode)
{
    return (inode->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK;
}

static int corrupt(struct ext2dax_inode *inode, const char *field, uint64_t value, const char *reason)
{
    return e2d_inode_corrupt(inode, field, value, reason);
}

/*
 * Finds a link's target in the image, and the length of the target. The caller holds the link's io.
 */
static int target(struct ext2dax_inode *inode, const char **at, size_t *length)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t size = e2d_size(inode);
    bool slow = e2d_has_tree(inode);
    struct ext2dax_run run;
    int error;

    if (size == 0 || size >= (slow ? m->block_size : sizeof(inode->disk->block)))
        return corrupt(inode, "size", size, "is no length of a symbolic link");
    *length = (size_t)size;
    *at = (const char *)inode->disk->block;
    if (slow) {
        error = e2d_map(inode, 0, 1, &run);
        if (error != 0)
            return error;
        if (run.physical == 0)
            return corrupt(inode, "block pointer", 0, "is a hole in a symbolic link");
        *at = e2d_block(m, (uint32_t)run.physical);
    }
    return e2d_check(m, *at, *length);
}

int64_t ext2dax_readlink(struct ext2dax_inode *inode, char *buffer, size_t size)
{
    const char *at;
    size_t length;
    int error;

    if (!is_link(inode))
        return -EXT2DAX_EINVAL;
    e2d_read_lock(inode->mount, &inode->io);
    error = target(inode, &at, &length);
    if (error == 0 && size != 0) {
        size = length < size ? length : size;
        if (e2d_to_caller(inode->mount, buffer, at, size) != size)
            error = -EXT2DAX_EFAULT;
    }
    e2d_read_unlock(inode->mount, &inode->io);
    return error != 0 ? error : (int64_t)length;
}

/* The rest of a path, in the caller's string or in a buffer of this file. */
struct rest {
    const char *at;
    size_t length;
    char *buffer; /* NULL for the caller's string */
    size_t size;
    unsigned links; /* followed so far */
};

static void skip_slashes(struct rest *rest)
{
    while (rest->length != 0 && rest->at[0] == '/') {
        rest->at++;
        rest->length--;
    }
}

/* Puts a link's target in front of the rest. Sets *absolute if the target begins at the root. */
static int follow(struct rest *rest, struct ext2dax_inode *link, bool *absolute)
{
    struct ext2dax_mount *m = link->mount;
    const char *at;
    size_t length;
    char *joined = NULL;
    int error;

    if (++rest->links > LINKS_MAX)
        return -EXT2DAX_ELOOP;
    e2d_read_lock(m, &link->io);
    error = target(link, &at, &length);
    if (error == 0) {
        joined = e2d_alloc(m, length + 1 + rest->length);
        if (joined)
            memcpy(joined, at, length);
        else
            error = -EXT2DAX_ENOMEM;
    }
    e2d_read_unlock(m, &link->io);
    if (error != 0)
        return error;

    joined[length] = '/';
    memcpy(joined + length + 1, rest->at, rest->length);
    e2d_release(m, rest->buffer, rest->size);
    rest->at = rest->buffer = joined;
    rest->length = rest->size = length + 1 + rest->length;
    *absolute = joined[0] == '/';
    return 0;
}

/*
 * Walks a single name. *at becomes the inode of the name. For a link to follow, *at stays, or
 * becomes the root if the target is absolute.
 */
static E2D_OUT_OF_LINE int step(struct rest *rest, unsigned flags, struct ext2dax_inode **at)
{
    struct ext2dax_mount *m = (*at)->mount;
    struct ext2dax_inode *found, *root, *drop;
    const char *name = rest->at;
    size_t length = 0;
    bool absolute = false;
    int error;

    while (length < rest->length && name[length] != '/')
        length++;
    error = ext2dax_lookup(*at, name, length, &found);
    if (error != 0)
        return error;
    rest->at += length;
    rest->length -= length;
    skip_slashes(rest);

    drop = *at;
    if (!is_link(found) || (rest->length == 0 && (flags & EXT2DAX_NO_FOLLOW) != 0)) {
        *at = found;
    } else {
        error = follow(rest, found, &absolute);
        ext2dax_inode_put(found);
        if (error != 0 || !absolute)
            return error;
        error = ext2dax_inode_get(m, EXT2DAX_ROOT_INODE, &root);
        if (error != 0)
            return error;
        *at = root;
    }
    ext2dax_inode_put(drop);
    return 0;
}

int ext2dax_lookup_path(struct ext2dax_mount *mount, const char *path, size_t length, unsigned flags,
                        struct ext2dax_inode **inode)
{
    struct rest rest = {path, length, NULL, 0, 0};
    struct ext2dax_inode *at;
    int error;

    *inode = NULL;
    if ((flags & ~EXT2DAX_NO_FOLLOW) != 0)
        return -EXT2DAX_EINVAL;
    error = ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &at);
    if (error != 0)
        return error;
    for (skip_slashes(&rest); rest.length != 0 && error == 0; skip_slashes(&rest))
        error = step(&rest, flags, &at);
    e2d_release(mount, rest.buffer, rest.size);
    if (error == 0)
        *inode = at;
    else
        ext2dax_inode_put(at);
    return error;
}
