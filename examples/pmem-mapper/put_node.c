/* SPDX-License-Identifier: MIT */
/*
 * A single file of put -r, of any type except directory. A new file gets the name at once. A file
 * that replaces another is made under a name in passing, and renamed over the old name when
 * complete. So a name in the image is the old file or the whole new file. A file is written by
 * calls instead of a mapping, because most files of a tree are smaller than the mapping of a
 * mapping.
 */
#include "tree.h"

#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A smaller file (bytes) contains no whole PMD range, and the size need not be set first. */
#define LARGE ((off_t)2 << 20)

/* A node on the way into the image. */
struct node {
    struct put_into *put;
    const struct host_entry *entry;
    const char *path;
    struct ext2dax_inode *directory;
    const char *name; /* the name made, which may be a name in passing */
    size_t length;
    struct ext2dax_inode *inode;
    int host;        /* descriptor of a regular file, otherwise -1 */
    bool made;       /* the name exists because of this node */
    bool incomplete; /* the file is to be removed again */
};

struct ext2dax_attributes put_attributes(const struct stat *status)
{
    return (struct ext2dax_attributes){
        .size = sizeof(struct ext2dax_attributes),
        .set = EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID | EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME,
        .mode = (uint16_t)status->st_mode,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .atime = {.seconds = status->st_atim.tv_sec, .nanoseconds = (uint32_t)status->st_atim.tv_nsec},
        .mtime = {.seconds = status->st_mtim.tv_sec, .nanoseconds = (uint32_t)status->st_mtim.tv_nsec}};
}

int put_failed(const struct put_into *put, int error, const char *path)
{
    static const int lasting[] = {EXT2DAX_ENOSPC, EXT2DAX_EIO, EXT2DAX_EUCLEAN, EXT2DAX_EROFS, EXT2DAX_ENOMEM};

    image_failed(put->image, error, "put %s", path);
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
        if (error == -lasting[i])
            return EXIT_FAILED;
    return WALK_FAILED;
}

static int host_failed(const struct node *node, int number)
{
    system_failed(node->put->image->path, number, "put %s", node->path);
    return WALK_FAILED;
}

/* Opens a regular file, and checks that the name still leads to the file seen before. */
static int open_host(struct node *node)
{
    const struct host_entry *entry = node->entry;
    struct stat now;
    char byte;

    node->host = open_quietly(entry->directory, entry->name, O_NONBLOCK);
    if (node->host < 0 || fstat(node->host, &now))
        return host_failed(node, errno);
    if (!S_ISREG(now.st_mode) || now.st_dev != entry->status.st_dev || now.st_ino != entry->status.st_ino) {
        say_failed(node->put->image->path, "put %s: was replaced during the copy", node->path);
        return WALK_FAILED;
    }
    if (!now.st_size && pread(node->host, &byte, 1, 0) > 0) {
        /* Files of /proc have size 0 and content. */
        say_failed(node->put->image->path, "put %s: has no known size", node->path);
        return WALK_FAILED;
    }
    return 0;
}

/* Reads the target of a symbolic link, for free(). Returns NULL with errno set on a failure. */
static char *host_target(const struct host_entry *entry, size_t *length)
{
    for (size_t room = 256;; room *= 2) {
        char *target = malloc(room);
        ssize_t got = target ? readlinkat(entry->directory, entry->name, target, room) : -1;
        if (got >= 0 && (size_t)got < room) {
            *length = (size_t)got;
            return target;
        }
        free(target);
        if (got < 0)
            return NULL;
    }
}

/* Gives an inode already in the image the name. Returns 0 or a negative EXT2DAX_E…. */
static int link_node(const struct node *node, uint32_t number)
{
    struct ext2dax_inode *inode;
    int error = ext2dax_inode_get(node->put->image->mount, number, &inode);

    if (error)
        return error;
    error = ext2dax_link(inode, node->directory, node->name, node->length);
    ext2dax_inode_put(inode);
    return error;
}

/* Creates the inode under the name. Returns 0 or a negative EXT2DAX_E…. */
static int make_node(struct node *node, const char *target, size_t target_length)
{
    const struct stat *status = &node->entry->status;
    struct ext2dax_creation creation = {
        .size = sizeof(creation),
        .attributes = put_attributes(status),
        .device_major = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode) ? major(status->st_rdev) : 0,
        .device_minor = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode) ? minor(status->st_rdev) : 0,
        .target = target,
        .target_length = target_length};

    return ext2dax_create_as(node->directory, node->name, node->length, &creation, &node->inode);
}

static int copy_range(struct node *node, uint64_t from, uint64_t to)
{
    struct put_into *put = node->put;

    while (from < to) {
        size_t part = to - from < COPY_BUFFER ? (size_t)(to - from) : COPY_BUFFER;
        if (interrupted)
            return say_failed(put->image->path, "put %s: interrupted", node->path);
        ssize_t got = pread(node->host, put->buffer, part, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return host_failed(node, errno);
        if (!got) {
            say_failed(put->image->path, "put %s: the file has become shorter", node->path);
            return WALK_FAILED;
        }
        for (ssize_t done = 0; done < got;) {
            int64_t wrote = ext2dax_write(node->inode, from, put->buffer + done, (size_t)(got - done));
            if (wrote <= 0)
                return put_failed(put, wrote ? (int)wrote : -EXT2DAX_ENOSPC, node->path);
            done += (ssize_t)wrote;
            from += (uint64_t)wrote;
        }
        put->done += (uint64_t)got;
        progress_step(&put->progress, put->done);
    }
    return 0;
}

/* Copies the data of a regular file, and nothing where the host file has a hole. */
static int copy_data(struct node *node)
{
    uint64_t size = (uint64_t)node->entry->status.st_size, from = 0, to, end = 0;
    int error = 0;

    /* The allocator gives an aligned extent to each PMD range wholly below the size. */
    if (node->entry->status.st_size >= LARGE) {
        error = ext2dax_truncate(node->inode, size);
        end = size;
    }
    if (error)
        return put_failed(node->put, error, node->path);
    while (host_data(node->host, size, &from, &to)) {
        int code = copy_range(node, from, to);
        if (code)
            return code;
        end = end > to ? end : to;
        from = to;
    }
    if (errno)
        return host_failed(node, errno);
    if (end < size)
        error = ext2dax_truncate(node->inode, size);
    return error ? put_failed(node->put, error, node->path) : 0;
}

/* Fills a new inode with data, extended attributes, and the times last. */
static int fill_node(struct node *node)
{
    struct put_into *put = node->put;
    const struct host_entry *entry = node->entry;
    struct xattr_host host = {.image = put->image,
                              .descriptor = node->host,
                              .directory = entry->directory,
                              .name = entry->name,
                              .noted = &put->noted};

    if (node->host >= 0 && entry->status.st_size) {
        struct ext2dax_attributes attributes = put_attributes(&entry->status);
        int code = copy_data(node);
        int error = code ? 0 : ext2dax_setattr(node->inode, &attributes);
        node->incomplete = code || error;
        if (node->incomplete)
            return code ? code : put_failed(put, error, node->path);
    }
    /* A file whose attributes do not fit stays, without the attributes named in the failure. */
    return xattrs_put(&host, node->inode, node->path) ? WALK_FAILED : 0;
}

/*
 * Makes the node under node->name. Returns a result of a callback, after a failure of the creation
 * itself 0 with a negative EXT2DAX_E… in *error.
 */
static int make_whole(struct node *node, int *error)
{
    const struct stat *status = &node->entry->status;
    const uintptr_t *number = table_find(&node->put->links, status->st_dev, status->st_ino);
    struct ext2dax_stat figures;
    char *target = NULL;
    size_t length = 0;

    *error = 0;
    if (number) {
        *error = link_node(node, (uint32_t)*number);
        node->made = !*error;
        return 0;
    }
    if (S_ISLNK(status->st_mode)) {
        target = host_target(node->entry, &length);
        if (!target)
            return host_failed(node, errno);
    }
    *error = make_node(node, target, length);
    free(target);
    if (*error)
        return 0;
    node->made = true;
    int code = fill_node(node);
    ext2dax_stat(node->inode, &figures, sizeof(figures));
    ext2dax_inode_put(node->inode);
    if (status->st_nlink > 1 && !node->incomplete &&
        !table_add(&node->put->links, status->st_dev, status->st_ino, figures.number))
        return put_failed(node->put, -EXT2DAX_ENOMEM, node->path);
    return code;
}

static void drop(const struct node *node)
{
    int error = ext2dax_unlink(node->directory, node->name, node->length);

    if (error && error != -EXT2DAX_ENOENT)
        image_failed(node->put->image, error, "remove the copied part of %s", node->path);
}

/*
 * Makes the node under a name in passing, and renames the node over the old name. Two names of the
 * same inode are left as they are by a rename, so the name in passing is removed in any case.
 */
static int replace(struct node *node)
{
    const char *name = node->name;
    size_t length = node->length;
    char passing[48];
    int error;

    int code = 0;
    do {
        node->length = (size_t)snprintf(passing, sizeof(passing), ".pmem-mapper-%u", node->put->serial++);
        node->name = passing;
        code = make_whole(node, &error);
    } while (!code && error == -EXT2DAX_EEXIST);
    bool whole = node->made && !node->incomplete;
    if (!error && whole)
        error = ext2dax_rename(node->directory, passing, node->length, node->directory, name, length, 0);
    if (node->made)
        drop(node);
    node->made = false;
    return error ? put_failed(node->put, error, node->path) : code;
}

int put_node(struct put_into *put, const struct host_entry *entry, struct ext2dax_inode *directory, const char *name,
             size_t length, const char *path)
{
    struct node node = {
        .put = put, .entry = entry, .path = path, .directory = directory, .name = name, .length = length, .host = -1};
    int error = 0;

    if (image_is(put->image, &entry->status)) {
        say_failed(put->image->path, "put %s: is the image itself", path);
        return WALK_FAILED;
    }
    int code = S_ISREG(entry->status.st_mode) ? open_host(&node) : 0;
    if (!code)
        code = make_whole(&node, &error);
    if (error == -EXT2DAX_EEXIST)
        code = replace(&node);
    else if (error)
        code = put_failed(put, error, path);
    if (node.made && node.incomplete)
        drop(&node);
    if (node.host >= 0)
        close(node.host);
    put->done += WORK_OF_AN_INODE;
    progress_step(&put->progress, put->done);
    return code;
}
