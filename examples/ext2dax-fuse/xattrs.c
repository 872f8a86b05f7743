/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes. The kernel checks the permission for each prefix, except that names of
 * "trusted." are listed for the superuser only.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRUSTED "trusted."

/* Replies with `length` bytes, or with the length if the request has no room. */
static void reply_bytes(fuse_req_t req, size_t size, const char *bytes, int64_t length)
{
    if (length < 0)
        request_end(req, (int)length);
    else if (!size)
        fuse_reply_xattr(req, (size_t)length);
    else if ((uint64_t)length > size)
        request_end(req, -ERANGE);
    else
        fuse_reply_buf(req, bytes, (size_t)length);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_GETXATTR, ino, &server);

    if (!inode)
        return;
    char *bytes = size ? malloc(size) : NULL;
    if (size && !bytes)
        request_end(req, -ENOMEM);
    else
        reply_bytes(req, size, bytes, ext2dax_getxattr(inode, name, strlen(name), bytes, size));
    free(bytes);
}

/* Takes the names of "trusted." out of a list. Returns the length of the rest. */
static size_t without_trusted(char *names, size_t length)
{
    size_t kept = 0;

    for (size_t at = 0; at < length;) {
        size_t one = strlen(names + at) + 1;
        if (strncmp(names + at, TRUSTED, strlen(TRUSTED)) != 0) {
            memmove(names + kept, names + at, one);
            kept += one;
        }
        at += one;
    }
    return kept;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_LISTXATTR, ino, &server);
    char *names = NULL;

    if (!inode)
        return;
    int64_t length = ext2dax_listxattr(inode, NULL, 0);
    if (length > 0) {
        names = malloc((size_t)length);
        length = names ? ext2dax_listxattr(inode, names, (size_t)length) : -ENOMEM;
    }
    if (length > 0 && fuse_req_ctx(req)->uid != 0)
        length = (int64_t)without_trusted(names, (size_t)length);
    reply_bytes(req, size, names, length);
    free(names);
}

/* Sets an access ACL and the permission bits. A list that says no more than the bits is removed. */
static int set_access_acl(fuse_req_t req, struct ext2dax_inode *inode, const char *value, size_t size, unsigned flags)
{
    struct ext2dax_stat figures;
    bool minimal = false;
    int error, mode = acl_mode((const uint8_t *)value, size, &minimal);

    if (mode < 0)
        return mode;
    if (minimal) {
        error = ext2dax_removexattr(inode, ACL_ACCESS, strlen(ACL_ACCESS));
        if (error == -EXT2DAX_ENODATA)
            error = 0;
    } else {
        error = ext2dax_setxattr(inode, ACL_ACCESS, strlen(ACL_ACCESS), value, size, flags);
    }
    if (error)
        return error;
    ext2dax_stat(inode, &figures, sizeof(figures));
    unsigned bits = setgid_mode(req, (figures.mode & 07000u) | (unsigned)mode, figures.gid);
    struct ext2dax_attributes attributes = {
        .size = sizeof(attributes), .set = EXT2DAX_SET_MODE, .mode = (uint16_t)bits};
    return ext2dax_setattr(inode, &attributes);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    /* The values of setxattr() of Linux. */
    enum { CREATE = 1, REPLACE = 2 };
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_SETXATTR, ino, &server);
    int error;

    if (!inode)
        return;
    unsigned how = (flags & CREATE ? EXT2DAX_XATTR_CREATE : 0) | (flags & REPLACE ? EXT2DAX_XATTR_REPLACE : 0);
    change_begin(server);
    if (!strcmp(name, ACL_ACCESS))
        error = set_access_acl(req, inode, value, size, how);
    else
        error = ext2dax_setxattr(inode, name, strlen(name), value, size, how);
    change_end(server);
    request_end(req, error);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_REMOVEXATTR, ino, &server);

    if (!inode)
        return;
    change_begin(server);
    int error = ext2dax_removexattr(inode, name, strlen(name));
    change_end(server);
    /* The removal of an ACL from an inode without one succeeds. */
    if (error == -EXT2DAX_ENODATA && (!strcmp(name, ACL_ACCESS) || !strcmp(name, ACL_DEFAULT)))
        error = 0;
    request_end(req, error);
}
