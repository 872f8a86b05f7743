/* SPDX-License-Identifier: MIT */
/*
 * The commands chmod, chown and touch. Each sets attributes by a single call for each inode. An
 * image has users of its own, so owners are numbers. A change of the owner keeps setuid and
 * setgid.
 */
#include "tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The change of a chmod or chown. */
struct change {
    const char *mode; /* NULL for chown */
    unsigned set;     /* of the owner */
    uint32_t uid, gid;
};

static int change_inode(struct ext2dax_inode *inode, const struct change *change)
{
    struct ext2dax_attributes attributes = {
        .size = sizeof(attributes), .set = change->set, .uid = change->uid, .gid = change->gid};
    struct ext2dax_stat figures;
    unsigned mode;

    if (change->mode) {
        ext2dax_stat(inode, &figures, sizeof(figures));
        mode_change(change->mode, figures.mode & 07777u, (figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR, &mode);
        attributes.set = EXT2DAX_SET_MODE;
        attributes.mode = (uint16_t)mode;
    }
    return ext2dax_setattr(inode, &attributes);
}

/* Changes an entry of a tree. The permissions of a symbolic link mean nothing and stay. */
static int change_entry(struct walk *walk, const struct walk_entry *entry)
{
    const struct change *change = walk->arg;

    if (change->mode && (entry->figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK)
        return WALK_ON;
    int error = change_inode(entry->inode, change);
    if (!error)
        return WALK_ON;
    image_failed(walk->image, error, "%s %s", walk->verb, walk->path.text);
    return WALK_FAILED;
}

static int change_path(struct image *image, const struct request *request, const char *path, struct change *change)
{
    struct walk walk = {.image = image, .verb = change->mode ? "chmod" : "chown", .enter = change_entry, .arg = change};
    struct ext2dax_inode *inode;
    int code = 0;

    /* A tree is changed without a look through symbolic links, as every link in the tree is. */
    int error = path_inode(image, path, !request->no_follow && !request->recursive, &inode);
    if (error)
        return image_failed(image, error, "%s %s", walk.verb, path);
    if (request->recursive)
        code = walk_image(&walk, NULL, "", inode, path);
    else if ((error = change_inode(inode, change)) != 0)
        code = image_failed(image, error, "%s %s", walk.verb, path);
    ext2dax_inode_put(inode);
    return code;
}

static int chmod_path(struct image *image, const struct request *request, const char *path)
{
    struct change change = {.mode = request->args[0]};

    return change_path(image, request, path, &change);
}

int command_chmod(const struct request *request)
{
    unsigned mode;

    if (!mode_change(request->args[0], 0, false, &mode))
        return usage("chmod", "MODE is not a mode, as 755 or u=rwx,go=rx");
    return paths_each(request, 1, true, chmod_path);
}

static bool id_parse(const char *text, size_t length, uint32_t *id)
{
    char digits[16];
    uint64_t value;

    if (!length || length >= sizeof(digits) || strspn(text, "0123456789") < length)
        return false;
    memcpy(digits, text, length);
    digits[length] = 0;
    if (number_parse(digits, &value) || value > UINT32_MAX)
        return false;
    *id = (uint32_t)value;
    return true;
}

/* Parses "OWNER", "OWNER:GROUP" or ":GROUP". */
static bool owner_parse(const char *text, struct change *change)
{
    size_t length = strcspn(text, ":");
    const char *group = text[length] ? text + length + 1 : NULL;

    if (length && !id_parse(text, length, &change->uid))
        return false;
    if (group && !id_parse(group, strlen(group), &change->gid))
        return false;
    change->set = (length ? EXT2DAX_SET_UID : 0) | (group ? EXT2DAX_SET_GID : 0);
    return change->set != 0;
}

static int chown_path(struct image *image, const struct request *request, const char *path)
{
    struct change change = {.mode = NULL};

    owner_parse(request->args[0], &change);
    return change_path(image, request, path, &change);
}

int command_chown(const struct request *request)
{
    struct change change;

    if (!owner_parse(request->args[0], &change))
        return usage("chown", "OWNER is a number, with :GROUP or alone, or :GROUP");
    return paths_each(request, 1, true, chown_path);
}

static struct ext2dax_attributes times_of(const struct request *request)
{
    struct ext2dax_attributes attributes = {.size = sizeof(attributes), .set = EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME};

    if (request->has_time)
        attributes.atime = attributes.mtime = request->time;
    else
        attributes.set |= EXT2DAX_SET_ATIME_NOW | EXT2DAX_SET_MTIME_NOW;
    return attributes;
}

/* Creates an empty file with the permissions of the umask. */
static int touch_new(struct image *image, const struct request *request, const char *path)
{
    struct ext2dax_creation creation = {.size = sizeof(creation)};
    struct ext2dax_inode *directory;
    const char *name;
    unsigned mode = 0666;
    size_t length;

    int error = image_parent(image, path, &directory, &name, &length);
    if (error)
        return error;
    mode_change("=rw", 0, false, &mode);
    creation.attributes = times_of(request);
    creation.attributes.set &= EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME;
    if (!request->has_time)
        creation.attributes.set = 0;
    creation.attributes.mode = (uint16_t)(EXT2DAX_S_IFREG | mode);
    creation.attributes.uid = geteuid();
    creation.attributes.gid = getegid();
    error = ext2dax_create_as(directory, name, length, &creation, NULL);
    ext2dax_inode_put(directory);
    return error;
}

static int touch_path(struct image *image, const struct request *request, const char *path)
{
    struct ext2dax_attributes attributes = times_of(request);
    struct ext2dax_inode *inode;

    int error = path_inode(image, path, !request->no_follow, &inode);
    if (!error) {
        error = ext2dax_setattr(inode, &attributes);
        ext2dax_inode_put(inode);
    } else if (error == -EXT2DAX_ENOENT && request->no_create) {
        error = 0;
    } else if (error == -EXT2DAX_ENOENT) {
        error = touch_new(image, request, path);
    }
    return error ? image_failed(image, error, "touch %s", path) : 0;
}

int command_touch(const struct request *request)
{
    return paths_each(request, 0, true, touch_path);
}
