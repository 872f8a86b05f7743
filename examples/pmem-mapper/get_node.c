/* SPDX-License-Identifier: MIT */
/*
 * A single file of get -r, of any type except directory, and the attributes of every file. The
 * image may be hostile. Each name is made in a directory by descriptor, as a new file, and no
 * symbolic link is followed. A file that replaces another is made under a name in passing, and
 * renamed over the old name when complete.
 *
 * A new file belongs to the user alone until the owner is set. Permissions come after the owner,
 * because a change of the owner clears setuid and setgid, and extended attributes come after both,
 * because a change of the owner clears file capabilities. Times come last.
 */
#include "tree.h"

#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A node on the way out of the image. */
struct node {
    struct get_out *get;
    const struct walk_entry *entry;
    const char *path; /* in the image, for messages */
    int directory;
    const char *name; /* the name made, which may be a name in passing */
    int host;         /* descriptor of a regular file, otherwise -1 */
    bool made;        /* the name exists because of this node */
};

static int host_failed(const struct get_out *get, int number, const char *path)
{
    system_failed(get->image->path, number, "get %s: write", path);
    return WALK_FAILED;
}

static int library_failed(const struct get_out *get, int error, const char *path)
{
    image_failed(get->image, error, "get %s", path);
    return WALK_FAILED;
}

static int set_owner(struct get_out *get, const struct walk_entry *entry, int descriptor, int directory,
                     const char *name, const char *path, unsigned *mode)
{
    uid_t uid = entry->figures.uid;
    gid_t gid = entry->figures.gid;

    if (!(descriptor >= 0 ? fchown(descriptor, uid, gid) : fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW)))
        return 0;
    if (errno != EPERM || !geteuid())
        return host_failed(get, errno, path);
    if (!get->owners_noted)
        say_failed(get->image->path, "warning: owners are left out: %s", strerror(EPERM));
    get->owners_noted = true;
    /* A program must not run with the rights of an owner the image does not name. */
    *mode &= ~06000u;
    return 0;
}

int get_attributes(struct get_out *get, const struct walk_entry *entry, int descriptor, int directory, const char *name,
                   const char *path)
{
    const struct ext2dax_stat *figures = &entry->figures;
    const struct xattr_host host = {
        .image = get->image, .descriptor = descriptor, .directory = directory, .name = name, .noted = &get->noted};
    const struct timespec times[2] = {
        {.tv_sec = (time_t)figures->atime.seconds, .tv_nsec = (long)figures->atime.nanoseconds},
        {.tv_sec = (time_t)figures->mtime.seconds, .tv_nsec = (long)figures->mtime.nanoseconds}};
    unsigned mode = figures->mode & 07777u;
    bool is_link = (figures->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK;

    int code = set_owner(get, entry, descriptor, directory, name, path, &mode);
    if (!is_link && (descriptor >= 0 ? fchmod(descriptor, mode) : fchmodat(directory, name, mode, AT_SYMLINK_NOFOLLOW)))
        code = host_failed(get, errno, path);
    if (xattrs_get(&host, entry->inode, path))
        code = WALK_FAILED;
    if (descriptor >= 0 ? futimens(descriptor, times) : utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW))
        code = host_failed(get, errno, path);
    return code ? EXIT_FAILED : 0;
}

static int write_host(const struct node *node, const unsigned char *from, size_t bytes, uint64_t offset)
{
    while (bytes) {
        ssize_t wrote = pwrite(node->host, from, bytes, (off_t)offset);
        if (wrote < 0 && errno == EINTR && !interrupted)
            continue;
        if (wrote < 0)
            return host_failed(node->get, errno, node->path);
        from += wrote;
        offset += (uint64_t)wrote;
        bytes -= (size_t)wrote;
    }
    return 0;
}

static int copy_range(struct node *node, uint64_t from, uint64_t to)
{
    struct get_out *get = node->get;

    while (from < to) {
        size_t part = to - from < COPY_BUFFER ? (size_t)(to - from) : COPY_BUFFER;
        if (interrupted)
            return say_failed(get->image->path, "get %s: interrupted", node->path);
        int64_t got = ext2dax_read(node->entry->inode, from, get->buffer, part);
        if (got <= 0)
            return library_failed(get, got ? (int)got : -EXT2DAX_EIO, node->path);
        int code = write_host(node, get->buffer, (size_t)got, from);
        if (code)
            return code;
        from += (uint64_t)got;
        get->done += (uint64_t)got;
        progress_step(&get->progress, get->done);
    }
    return 0;
}

/* Copies the data of a regular file, and nothing where the file has a hole. */
static int copy_data(struct node *node)
{
    struct ext2dax_inode *inode = node->entry->inode;
    uint64_t size = node->entry->figures.size, at = 0;

    if (size > INT64_MAX || ftruncate(node->host, (off_t)size))
        return host_failed(node->get, size > INT64_MAX ? EFBIG : errno, node->path);
    while (at < size) {
        int64_t data = ext2dax_seek(inode, at, EXT2DAX_SEEK_DATA);
        if (data == -EXT2DAX_ENXIO)
            break;
        int64_t hole = data < 0 ? data : ext2dax_seek(inode, (uint64_t)data, EXT2DAX_SEEK_HOLE);
        if (hole < 0)
            return library_failed(node->get, (int)hole, node->path);
        int code = copy_range(node, (uint64_t)data, (uint64_t)hole < size ? (uint64_t)hole : size);
        if (code)
            return code;
        at = (uint64_t)hole;
    }
    return 0;
}

/*
 * Opens the directory of a path below the root of the copy, a component at a time, without a look
 * through symbolic links. Returns a descriptor, or -1 with errno set.
 */
static int open_below(int root, const char *path, const char **name)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    char part[EXT2DAX_NAME_MAX + 1];

    for (;;) {
        size_t length = strcspn(path, "/");
        if (at < 0 || !path[length]) {
            *name = path;
            return at;
        }
        memcpy(part, path, length);
        part[length] = 0;
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int number = errno;
        close(at);
        errno = number;
        at = next;
        path += length + 1;
    }
}

/* Makes a further name of a file already copied. Returns 0 or a positive errno. */
static int link_node(const struct node *node, const char *first)
{
    const char *name;
    int number = 0, directory = open_below(node->get->root, first, &name);

    if (directory < 0)
        return errno;
    if (linkat(directory, name, node->directory, node->name, 0))
        number = errno;
    close(directory);
    return number;
}

static int make_symlink(const struct node *node, int *number)
{
    char *target;
    size_t length;

    int error = link_target(node->entry->inode, &target, &length);
    if (error)
        return library_failed(node->get, error, node->path);
    /* A NUL would cut the target short. */
    *number = strlen(target) < length ? EINVAL : symlinkat(target, node->directory, node->name) ? errno : 0;
    free(target);
    return 0;
}

/*
 * Makes an empty file under node->name. Returns a result of a callback, after a failure of the
 * creation itself 0 with a positive errno in *number.
 */
static int make_empty(struct node *node, int *number)
{
    const struct ext2dax_stat *figures = &node->entry->figures;
    int code = 0;

    switch (figures->mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
        node->host = openat(node->directory, node->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        *number = node->host < 0 ? errno : 0;
        break;
    case EXT2DAX_S_IFLNK:
        code = make_symlink(node, number);
        break;
    case EXT2DAX_S_IFIFO:
    case EXT2DAX_S_IFSOCK:
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
        *number = mknodat(node->directory, node->name, (figures->mode & EXT2DAX_S_IFMT) | 0600u,
                          makedev(figures->device_major, figures->device_minor))
                      ? errno
                      : 0;
        break;
    default:
        say_failed(node->get->image->path, "get %s: an unknown type of file", node->path);
        return WALK_FAILED;
    }
    node->made = !code && !*number;
    return code;
}

/*
 * Makes the whole file under node->name, and removes the file again after a failure of the data.
 * Returns as make_empty().
 */
static int make_whole(struct node *node, const char *copy, int *number)
{
    struct get_out *get = node->get;
    const struct ext2dax_stat *figures = &node->entry->figures;
    const uintptr_t *first = table_find(&get->links, figures->number, 0);

    *number = 0;
    if (first) {
        *number = link_node(node, (const char *)*first);
        node->made = !*number;
        return 0;
    }
    int code = make_empty(node, number);
    if (code || *number)
        return code;
    if (node->host >= 0)
        code = copy_data(node);
    bool complete = !code;
    if (complete && get_attributes(get, node->entry, node->host, node->directory, node->name, node->path))
        code = WALK_FAILED;
    if (node->host >= 0 && close(node->host) && complete) {
        code = host_failed(get, errno, node->path);
        complete = false;
    }
    node->host = -1;
    if (complete && figures->links > 1 && copy) {
        char *kept = strdup(copy);
        if (!kept || !table_add(&get->links, figures->number, 0, (uintptr_t)kept)) {
            free(kept);
            return system_failed(get->image->path, ENOMEM, "get %s", node->path);
        }
    }
    if (!complete) {
        unlinkat(node->directory, node->name, 0);
        node->made = false;
    }
    return code;
}

/* Refuses to replace the image being read, and a directory. */
static int may_replace(const struct node *node, const char *name)
{
    struct stat there;

    if (fstatat(node->directory, name, &there, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (S_ISDIR(there.st_mode))
        return host_failed(node->get, EISDIR, node->path);
    if (!image_is(node->get->image, &there))
        return 0;
    say_failed(node->get->image->path, "get %s: write: is the image itself", node->path);
    return WALK_FAILED;
}

/*
 * Makes the file under a name in passing, and renames the file over the old name. A rename leaves
 * two names of the same file as they are, so the name in passing is removed in any case.
 */
static int replace(struct node *node, const char *copy)
{
    const char *name = node->name;
    char passing[64];
    int number;

    int code = may_replace(node, name);
    if (code)
        return code;
    do {
        snprintf(passing, sizeof(passing), ".pmem-mapper-%ld-%u", (long)getpid(), node->get->serial++);
        node->name = passing;
        code = make_whole(node, copy, &number);
    } while (!code && number == EEXIST);
    if (!number && node->made && renameat(node->directory, passing, node->directory, name))
        number = errno;
    if (node->made)
        unlinkat(node->directory, passing, 0);
    return number ? host_failed(node->get, number, node->path) : code;
}

int get_node(struct get_out *get, const struct walk_entry *entry, int directory, const char *name, const char *copy,
             const char *path)
{
    struct node node = {.get = get, .entry = entry, .path = path, .directory = directory, .name = name, .host = -1};
    int number;

    int code = make_whole(&node, copy, &number);
    if (number == EEXIST)
        code = replace(&node, copy);
    else if (number)
        code = host_failed(get, number, path);
    get->done += WORK_OF_AN_INODE;
    progress_step(&get->progress, get->done);
    return code;
}
