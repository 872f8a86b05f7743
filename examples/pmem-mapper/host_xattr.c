/* SPDX-License-Identifier: MIT */
/*
 * Copies of extended attributes between the host and an image. ACLs and file capabilities are
 * attributes, too. A file without a descriptor, such as a symbolic link or a device, is named by
 * the descriptor of its directory in /proc, so the name is looked up in this directory alone.
 */
#include "tree.h"

#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAME_ROOM 300

static const char *const namespaces[] = {"user.", "trusted.", "security.", "system.posix_acl_"};
enum { OTHERS = sizeof(namespaces) / sizeof(namespaces[0]), FORBIDDEN = 8, UNSUPPORTED = 16 };

static unsigned namespace_of(const char *name)
{
    unsigned i = 0;

    while (i < OTHERS && strncmp(name, namespaces[i], strlen(namespaces[i])) != 0)
        i++;
    return i;
}

/* Prints a remark about a namespace once. `kind` is 0, FORBIDDEN or UNSUPPORTED. */
static void note(const struct xattr_host *host, const char *name, unsigned kind, const char *why)
{
    unsigned space = namespace_of(name), bit = 1u << (space + kind);

    if (*host->noted & bit)
        return;
    *host->noted |= bit;
    say_failed(host->image->path, "warning: attributes %s%s are left out: %s",
               space < OTHERS ? namespaces[space] : name, space < OTHERS ? "*" : "", why);
}

/* Writes the path of a file without a descriptor. The root of a walk may have a long path. */
static const char *path_of(const struct xattr_host *host, char *buffer, size_t size)
{
    if (host->directory == AT_FDCWD)
        return host->name;
    snprintf(buffer, size, "/proc/self/fd/%d/%s", host->directory, host->name);
    return buffer;
}

static ssize_t host_list(const struct xattr_host *host, char *names, size_t size)
{
    char buffer[NAME_ROOM];

    if (host->descriptor >= 0)
        return flistxattr(host->descriptor, names, size);
    return llistxattr(path_of(host, buffer, sizeof(buffer)), names, size);
}

static ssize_t host_value(const struct xattr_host *host, const char *name, void *value, size_t size)
{
    char buffer[NAME_ROOM];

    if (host->descriptor >= 0)
        return fgetxattr(host->descriptor, name, value, size);
    return lgetxattr(path_of(host, buffer, sizeof(buffer)), name, value, size);
}

static int host_set(const struct xattr_host *host, const char *name, const void *value, size_t size)
{
    char buffer[NAME_ROOM];

    if (host->descriptor >= 0)
        return fsetxattr(host->descriptor, name, value, size, 0);
    return lsetxattr(path_of(host, buffer, sizeof(buffer)), name, value, size, 0);
}

/*
 * Reads the names, or the value of `name`, of a host file, for free(). Returns the length, or -1
 * with errno set. The length may change between the two calls.
 */
static ssize_t host_read(const struct xattr_host *host, const char *name, char **bytes)
{
    *bytes = NULL;
    for (;;) {
        ssize_t size = name ? host_value(host, name, NULL, 0) : host_list(host, NULL, 0);
        if (size < 0)
            return -1;
        free(*bytes);
        *bytes = malloc((size_t)size + 1);
        if (!*bytes)
            return -1;
        /* A size of 0 asks for the length again. */
        if (!size)
            return 0;
        size = name ? host_value(host, name, *bytes, (size_t)size) : host_list(host, *bytes, (size_t)size);
        if (size >= 0 || errno != ERANGE)
            return size;
    }
}

static int put_value(const struct xattr_host *host, struct ext2dax_inode *inode, const char *name, const char *path)
{
    char *value;

    if (namespace_of(name) == OTHERS) {
        note(host, name, 0, "ext2 has no place for the namespace");
        return 0;
    }
    ssize_t size = host_read(host, name, &value);
    int code = 0;
    if (size >= 0) {
        int error = ext2dax_setxattr(inode, name, strlen(name), value, (size_t)size, 0);
        code = error ? image_failed(host->image, error, "put %s: attribute %s", path, name) : 0;
    } else if ((errno == EPERM || errno == EACCES) && geteuid()) {
        note(host, name, FORBIDDEN, strerror(errno));
    } else if (errno != ENODATA) {
        code = system_failed(host->image->path, errno, "put %s: attribute %s", path, name);
    }
    free(value);
    return code;
}

int xattrs_put(const struct xattr_host *host, struct ext2dax_inode *inode, const char *path)
{
    char *names;
    int code = 0;

    ssize_t length = host_read(host, NULL, &names);
    if (length < 0 && errno != ENOTSUP)
        code = system_failed(host->image->path, errno, "put %s: attributes", path);
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
        if (put_value(host, inode, names + at, path))
            code = EXIT_FAILED;
    free(names);
    return code;
}

static int get_value(const struct xattr_host *host, struct ext2dax_inode *inode, const char *name, const char *path)
{
    void *value;
    size_t length;
    int code = 0;

    int error = xattr_value(inode, name, &value, &length);
    if (error) {
        code = image_failed(host->image, error, "get %s: attribute %s", path, name);
    } else if (host_set(host, name, value, length)) {
        unsigned space = namespace_of(name);
        bool privileged = space == 1 || space == 2;
        if (errno == EPERM && geteuid() && privileged) {
            note(host, name, FORBIDDEN, strerror(errno));
        } else if (errno == ENOTSUP) {
            note(host, name, UNSUPPORTED, strerror(errno));
            code = EXIT_FAILED;
        } else {
            code = system_failed(host->image->path, errno, "get %s: attribute %s", path, name);
        }
    }
    free(value);
    return code;
}

static bool is_listed(const char *names, size_t length, const char *name)
{
    for (size_t at = 0; at < length; at += strlen(names + at) + 1)
        if (!strcmp(names + at, name))
            return true;
    return false;
}

/* Removes an ACL that a new file of the host has inherited, unless the image has the ACL, too. */
static int drop_inherited(const struct xattr_host *host, const char *names, size_t length, const char *name,
                          const char *path)
{
    char buffer[NAME_ROOM];

    if (is_listed(names, length, name))
        return 0;
    if (!(host->descriptor >= 0 ? fremovexattr(host->descriptor, name)
                                : lremovexattr(path_of(host, buffer, sizeof(buffer)), name)) ||
        errno == ENODATA || errno == ENOTSUP)
        return 0;
    return system_failed(host->image->path, errno, "get %s: attribute %s", path, name);
}

int xattrs_get(const struct xattr_host *host, struct ext2dax_inode *inode, const char *path)
{
    char *names;
    size_t length;
    int code = 0;

    int error = xattr_names(inode, &names, &length);
    if (error)
        code = image_failed(host->image, error, "get %s: attributes", path);
    for (size_t at = 0; at < length; at += strlen(names + at) + 1)
        if (get_value(host, inode, names + at, path))
            code = EXIT_FAILED;
    unsigned type = inode_type(inode);
    if (!error && type != EXT2DAX_S_IFLNK && drop_inherited(host, names, length, "system.posix_acl_access", path))
        code = EXIT_FAILED;
    if (!error && type == EXT2DAX_S_IFDIR && drop_inherited(host, names, length, "system.posix_acl_default", path))
        code = EXIT_FAILED;
    free(names);
    return code;
}
