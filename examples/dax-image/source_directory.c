/* SPDX-License-Identifier: MIT */
/*
 * A directory as a source. Only names and attributes are read here, and the places of holes. The
 * data of a file is read later, when the file is made in the image, and a change in between is a
 * failure.
 */
#include "dax-image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A walk of a source. The directories not read yet lie on a stack. */
struct walk {
    struct tree *tree;
    const char *source;
    int root;
    struct node **stack;
    size_t count, room;
    struct inode **links; /* table of inodes with several names */
    size_t link_count, link_room;
};

static int walk_failed(const struct walk *walk, const char *path)
{
    int number = errno;

    return failed(walk->source, "%s: %s", *path ? path : ".", strerror(number));
}

/* ---- attributes ---- */

static bool is_kept(const char *name)
{
    static const char *const prefixes[] = {"user.", "trusted.", "security.", "system.posix_acl_"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

static int read_attribute(const struct walk *walk, struct inode *inode, const char *where, const char *name)
{
    ssize_t size = lgetxattr(where, name, NULL, 0);
    char *value = size >= 0 ? malloc((size_t)size + 1) : NULL;
    int code = 0;

    if (value && size)
        size = lgetxattr(where, name, value, (size_t)size);
    if (size < 0)
        code = walk_failed(walk, inode->path);
    else if (!value || !inode_attribute(inode, name, value, (size_t)size))
        code = out_of_memory();
    free(value);
    return code;
}

static int read_attributes(const struct walk *walk, struct inode *inode)
{
    char where[PATH_MAX + 64];
    char list[65536];
    int code = 0;

    snprintf(where, sizeof(where), "/proc/self/fd/%d/%s", walk->root, inode->path);
    ssize_t length = llistxattr(where, list, sizeof(list));
    if (length < 0)
        return errno == ENOTSUP ? 0 : walk_failed(walk, inode->path);
    for (ssize_t at = 0; !code && at < length; at += (ssize_t)strlen(list + at) + 1)
        if (is_kept(list + at))
            code = read_attribute(walk, inode, where, list + at);
    return code;
}

/* ---- inodes ---- */

/* Finds the runs of data. A file with as many blocks as bytes has no holes. */
static int read_runs(const struct walk *walk, struct inode *inode, const struct stat *status)
{
    const struct options *options = walk->tree->options;
    uint64_t at = 0;

    if ((uint64_t)status->st_blocks * 512 >= inode->size)
        return inode_run(inode, options, 0, inode->size) ? 0 : out_of_memory();
    int descriptor = openat(walk->root, inode->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return walk_failed(walk, inode->path);
    int code = 0;
    while (!code && at < inode->size) {
        off_t data = lseek(descriptor, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        /* A filesystem without holes has only data. */
        off_t hole = data < 0 ? (off_t)inode->size : lseek(descriptor, data, SEEK_HOLE);
        data = data < 0 ? (off_t)at : data;
        at = hole < 0 ? inode->size : (uint64_t)hole;
        if (!inode_run(inode, options, (uint64_t)data, at))
            code = out_of_memory();
    }
    close(descriptor);
    return code;
}

static int read_target(const struct walk *walk, struct inode *inode)
{
    char target[PATH_MAX + 1];
    ssize_t length = readlinkat(walk->root, inode->path, target, sizeof(target));

    if (length < 0 || length == (ssize_t)sizeof(target))
        return walk_failed(walk, inode->path);
    inode->target = strndup(target, (size_t)length);
    inode->size = (uint64_t)length;
    return inode->target ? 0 : out_of_memory();
}

/* Makes an inode of a host file. *inode is NULL after a failure. */
static int read_inode(const struct walk *walk, const char *path, const struct stat *status, struct inode **inode)
{
    struct inode *made = inode_new();
    int code = 0;

    *inode = NULL;
    if (!made || !(made->path = strdup(path))) {
        free(made);
        return out_of_memory();
    }
    made->mode = (uint16_t)status->st_mode;
    made->uid = status->st_uid;
    made->gid = status->st_gid;
    made->mtime =
        (struct ext2dax_time){.seconds = status->st_mtim.tv_sec, .nanoseconds = (uint32_t)status->st_mtim.tv_nsec};
    made->host_ctime =
        (struct ext2dax_time){.seconds = status->st_ctim.tv_sec, .nanoseconds = (uint32_t)status->st_ctim.tv_nsec};
    made->root = walk->root;
    made->device = status->st_dev;
    made->number = status->st_ino;
    if (S_ISREG(status->st_mode)) {
        made->size = (uint64_t)status->st_size;
        code = read_runs(walk, made, status);
    } else if (S_ISLNK(status->st_mode)) {
        code = read_target(walk, made);
    } else if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode)) {
        made->device_major = major(status->st_rdev);
        made->device_minor = minor(status->st_rdev);
    }
    if (!code)
        code = read_attributes(walk, made);
    if (code)
        inode_free(made);
    else
        *inode = made;
    return code;
}

/* ---- hard links ---- */

static struct inode **link_slot(const struct walk *walk, uint64_t device, uint64_t number)
{
    size_t slot = (size_t)((number ^ device << 32) * 0x9e3779b97f4a7c15u >> 20) & (walk->link_room - 1);

    while (walk->links[slot] && (walk->links[slot]->number != number || walk->links[slot]->device != device))
        slot = (slot + 1) & (walk->link_room - 1);
    return &walk->links[slot];
}

static bool link_add(struct walk *walk, struct inode *inode)
{
    if (2 * walk->link_count >= walk->link_room) {
        struct inode **old = walk->links;
        size_t room = walk->link_room;
        walk->link_room = room ? room * 2 : 64;
        walk->links = calloc(walk->link_room, sizeof(struct inode *));
        if (!walk->links) {
            walk->links = old;
            walk->link_room = room;
            return false;
        }
        for (size_t i = 0; i < room; i++)
            if (old[i])
                *link_slot(walk, old[i]->device, old[i]->number) = old[i];
        free(old);
    }
    *link_slot(walk, inode->device, inode->number) = inode;
    walk->link_count++;
    return true;
}

/* ---- the walk ---- */

static int push(struct walk *walk, struct node *node)
{
    if (walk->count == walk->room) {
        size_t room = walk->room ? walk->room * 2 : 64;
        struct node **stack = realloc(walk->stack, room * sizeof(struct node *));
        if (!stack)
            return out_of_memory();
        walk->stack = stack;
        walk->room = room;
    }
    walk->stack[walk->count++] = node;
    return 0;
}

static int add_name(struct walk *walk, struct node *directory, const char *name, const char *path)
{
    struct inode *inode = NULL;
    struct stat status;
    int code = 0;

    if (fstatat(walk->root, path, &status, AT_SYMLINK_NOFOLLOW))
        return walk_failed(walk, path);
    bool linked = !S_ISDIR(status.st_mode) && status.st_nlink > 1;
    if (linked && walk->link_count)
        inode = *link_slot(walk, status.st_dev, status.st_ino);
    if (!inode) {
        code = read_inode(walk, path, &status, &inode);
        if (!code && linked && !link_add(walk, inode))
            code = out_of_memory();
    }
    if (code)
        return code;
    struct node *node = tree_add(walk->tree, directory, name, strlen(name), inode);
    if (!node)
        return out_of_memory();
    return S_ISDIR(status.st_mode) ? push(walk, node) : 0;
}

static int add_entry(struct walk *walk, struct node *directory, const char *parent, const char *name)
{
    char *path;

    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return 0;
    if (interrupted)
        return failed(walk->source, "interrupted");
    if (asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", name) < 0)
        return out_of_memory();
    int code = 0;
    if (strlen(path) >= PATH_MAX)
        code = failed(walk->source, "%s: %s", path, strerror(ENAMETOOLONG));
    else if (!is_excluded(walk->tree->options, path) && !tree_whiteout(walk->tree, directory, name))
        code = add_name(walk, directory, name, path);
    free(path);
    return code;
}

/* Reads the names of a directory, and checks that the directory is the one seen before. */
static int read_directory(struct walk *walk, struct node *node)
{
    const char *path = node->inode->path;
    struct stat before, after;
    const struct dirent *entry;
    int code = 0;

    int descriptor = openat(walk->root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    if (!stream) {
        code = walk_failed(walk, path);
        if (descriptor >= 0)
            close(descriptor);
        return code;
    }
    if (fstat(descriptor, &before))
        code = walk_failed(walk, path);
    for (errno = 0; !code && (entry = readdir(stream)); errno = 0)
        code = add_entry(walk, node, path, entry->d_name);
    if (!code && (errno || fstat(descriptor, &after)))
        code = walk_failed(walk, path);
    if (!code && (before.st_ino != node->inode->number || after.st_mtim.tv_sec != node->inode->mtime.seconds ||
                  after.st_mtim.tv_nsec != (long)node->inode->mtime.nanoseconds))
        code = failed(walk->source, "%s: the directory changed while being read", *path ? path : ".");
    closedir(stream);
    return code;
}

int source_directory(struct tree *tree, const char *source, int descriptor)
{
    struct walk walk = {.tree = tree, .source = source, .root = descriptor};
    struct inode *inode;
    struct stat status;

    if (fstat(descriptor, &status))
        return walk_failed(&walk, "");
    int code = read_inode(&walk, "", &status, &inode);
    if (!code) {
        tree_set_root(tree, inode);
        code = push(&walk, tree->root);
    }
    while (!code && walk.count)
        code = read_directory(&walk, walk.stack[--walk.count]);
    free(walk.stack);
    free(walk.links);
    return code;
}
