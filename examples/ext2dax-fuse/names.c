/* SPDX-License-Identifier: MIT */
/*
 * Names. The kernel holds its lock of the directory during a change of a name, and so caches names
 * and missing names for any time.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Replies with an inode. Takes over the reference of the caller. */
static void reply_inode(fuse_req_t req, struct server *server, struct ext2dax_inode *inode)
{
    struct fuse_entry_param entry;
    int error = entry_fill(server, inode, &entry);

    if (error)
        request_end(req, error);
    else if (fuse_reply_entry(req, &entry))
        node_forget(server, node_number(entry.ino), 1);
}

/* Replies that a name does not exist, which the kernel keeps. */
static void reply_missing(fuse_req_t req)
{
    struct fuse_entry_param entry;

    memset(&entry, 0, sizeof(entry));
    entry.entry_timeout = CACHE_SECONDS;
    fuse_reply_entry(req, &entry);
}

/* Looks up a name. An NFS server also asks for "." of an inode forgotten by the kernel. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct server *server = request_begin(req, REQUEST_LOOKUP);
    struct ext2dax_inode *directory = node_find(server, parent), *inode;
    int error;

    if (directory && strcmp(name, ".") != 0) {
        error = ext2dax_lookup(directory, name, strlen(name), &inode);
    } else {
        error = strcmp(name, ".") ? -ESTALE : ext2dax_inode_get(server->mount, node_number(parent), &inode);
        if (error == -EXT2DAX_ENOENT || error == -EXT2DAX_EINVAL)
            error = -ESTALE;
    }
    if (!error)
        reply_inode(req, server, inode);
    else if (error == -EXT2DAX_ENOENT)
        reply_missing(req);
    else
        request_end(req, error);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    struct server *server = request_begin(req, REQUEST_FORGET);

    node_forget(server, node_number(ino), count);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct server *server = request_begin(req, REQUEST_FORGET);

    for (size_t i = 0; i < count; i++)
        node_forget(server, node_number(forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_READLINK, ino, &server);
    struct ext2dax_stat figures;
    int64_t length = 0;

    if (!inode)
        return;
    ext2dax_stat(inode, &figures, sizeof(figures));
    char *target = malloc((size_t)figures.size + 1);
    if (target)
        length = ext2dax_readlink(inode, target, (size_t)figures.size);
    if (!target || length < 0 || (uint64_t)length > figures.size) {
        request_end(req, !target ? -ENOMEM : length < 0 ? (int)length : -EIO);
    } else {
        target[length] = 0;
        access_note(server, inode);
        fuse_reply_readlink(req, target);
    }
    free(target);
}

/* Gives a new inode the ACLs inherited from the directory. */
static int give_acls(struct ext2dax_inode *inode, bool directory, const struct acl *access, const struct acl *inherited)
{
    int error = 0;

    if (access->size)
        error = ext2dax_setxattr(inode, ACL_ACCESS, strlen(ACL_ACCESS), access->bytes, access->size, 0);
    if (!error && directory && inherited->size)
        error = ext2dax_setxattr(inode, ACL_DEFAULT, strlen(ACL_DEFAULT), inherited->bytes, inherited->size, 0);
    return error;
}

/*
 * Creates an inode of the type and permissions `mode`, for the user of the request. A directory
 * with setgid gives its group to the new inode, and setgid to a new directory. If the ACLs cannot
 * be stored, the name is removed again.
 */
static int make(fuse_req_t req, struct server *server, struct ext2dax_inode *directory, const char *name, mode_t mode,
                struct ext2dax_creation *creation, struct ext2dax_inode **inode)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    struct ext2dax_stat parent;
    struct acl access = {0}, inherited = {0};
    unsigned bits = (unsigned)mode;
    int error = 0;

    ext2dax_stat(directory, &parent, sizeof(parent));
    *inode = NULL;
    creation->size = sizeof(*creation);
    creation->attributes.size = sizeof(creation->attributes);
    creation->attributes.uid = context->uid;
    creation->attributes.gid = parent.mode & S_ISGID ? parent.gid : context->gid;
    if (parent.mode & S_ISGID && S_ISDIR(mode))
        bits |= S_ISGID;
    if (!S_ISLNK(mode))
        error = acl_inherit(directory, (unsigned)context->umask, &bits, &access, &inherited);
    creation->attributes.mode = (uint16_t)bits;
    change_begin(server);
    if (!error)
        error = ext2dax_create_as(directory, name, strlen(name), creation, inode);
    if (!error) {
        error = give_acls(*inode, S_ISDIR(mode), &access, &inherited);
        if (error) {
            (void)(S_ISDIR(mode) ? ext2dax_rmdir(directory, name, strlen(name))
                                 : ext2dax_unlink(directory, name, strlen(name)));
            ext2dax_inode_put(*inode);
            *inode = NULL;
        }
    }
    change_end(server);
    free(access.bytes);
    free(inherited.bytes);
    return error;
}

/* Creates an inode and replies. */
static void make_and_reply(fuse_req_t req, enum request request, fuse_ino_t parent, const char *name, mode_t mode,
                           struct ext2dax_creation *creation)
{
    struct server *server;
    struct ext2dax_inode *directory = request_inode(req, request, parent, &server), *inode;

    if (!directory)
        return;
    int error = make(req, server, directory, name, mode, creation, &inode);
    if (error)
        request_end(req, error);
    else
        reply_inode(req, server, inode);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    struct ext2dax_creation creation = {0};

    if (S_ISCHR(mode) || S_ISBLK(mode)) {
        creation.device_major = major(device);
        creation.device_minor = minor(device);
    }
    make_and_reply(req, REQUEST_MKNOD, parent, name, mode, &creation);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct ext2dax_creation creation = {0};

    make_and_reply(req, REQUEST_MKDIR, parent, name, S_IFDIR | (mode & 07777), &creation);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct ext2dax_creation creation = {.target = target, .target_length = strlen(target)};

    make_and_reply(req, REQUEST_SYMLINK, parent, name, S_IFLNK | 0777, &creation);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *directory = request_inode(req, REQUEST_CREATE, parent, &server), *inode;
    struct ext2dax_creation creation = {0};
    struct fuse_entry_param entry;

    if (!directory)
        return;
    int error = make(req, server, directory, name, S_IFREG | (mode & 07777), &creation, &inode);
    if (!error)
        error = entry_fill(server, inode, &entry);
    if (error) {
        request_end(req, error);
        return;
    }
    file->keep_cache = open_keeps_cache(server, inode, file->flags);
    if (fuse_reply_create(req, &entry, file))
        node_forget(server, node_number(entry.ino), 1);
}

/* Removes a name by unlink or rmdir of the library. */
static void remove_name(fuse_req_t req, enum request request, fuse_ino_t parent, const char *name,
                        int (*remove_it)(struct ext2dax_inode *directory, const char *name, size_t length))
{
    struct server *server;
    struct ext2dax_inode *directory = request_inode(req, request, parent, &server);

    if (!directory)
        return;
    change_begin(server);
    int error = remove_it(directory, name, strlen(name));
    change_end(server);
    request_end(req, error);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, REQUEST_UNLINK, parent, name, ext2dax_unlink);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, REQUEST_RMDIR, parent, name, ext2dax_rmdir);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
               unsigned flags)
{
    /* The values of renameat2() of Linux, which are those of FUSE. */
    enum { NOREPLACE = 1, EXCHANGE = 2 };
    struct server *server;
    struct ext2dax_inode *from = request_inode(req, REQUEST_RENAME, parent, &server);

    if (!from)
        return;
    struct ext2dax_inode *to = node_find(server, new_parent);
    if (!to || flags & ~(unsigned)(NOREPLACE | EXCHANGE)) {
        request_end(req, to ? -EINVAL : -ESTALE);
        return;
    }
    unsigned how =
        (flags & NOREPLACE ? EXT2DAX_RENAME_NOREPLACE : 0) | (flags & EXCHANGE ? EXT2DAX_RENAME_EXCHANGE : 0);
    change_begin(server);
    int error = ext2dax_rename(from, name, strlen(name), to, new_name, strlen(new_name), how);
    change_end(server);
    request_end(req, error);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_LINK, ino, &server);

    if (!inode)
        return;
    struct ext2dax_inode *directory = node_find(server, parent);
    if (!directory) {
        request_end(req, -ESTALE);
        return;
    }
    change_begin(server);
    int error = ext2dax_link(inode, directory, name, strlen(name));
    change_end(server);
    if (error) {
        request_end(req, error);
    } else {
        ext2dax_inode_hold(inode);
        reply_inode(req, server, inode);
    }
}
