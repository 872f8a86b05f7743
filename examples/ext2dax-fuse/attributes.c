/* SPDX-License-Identifier: MIT */
/* Attributes of inodes, and figures of the filesystem. */
#include "server.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/sysmacros.h>

static struct timespec timespec_of(const struct ext2dax_time *time)
{
    return (struct timespec){.tv_sec = time->seconds, .tv_nsec = (long)time->nanoseconds};
}

static struct ext2dax_time time_of(const struct timespec *time)
{
    return (struct ext2dax_time){.seconds = time->tv_sec, .nanoseconds = (uint32_t)time->tv_nsec};
}

void attributes_fill(const struct server *server, const struct ext2dax_inode *inode, struct stat *to)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    memset(to, 0, sizeof(*to));
    to->st_ino = figures.number;
    to->st_mode = figures.mode;
    to->st_nlink = figures.links;
    to->st_uid = figures.uid;
    to->st_gid = figures.gid;
    to->st_rdev = makedev(figures.device_major, figures.device_minor);
    to->st_size = (off_t)figures.size;
    to->st_blocks = (blkcnt_t)figures.sectors;
    to->st_blksize = (blksize_t)server->figures.block_size;
    to->st_atim = timespec_of(&figures.atime);
    to->st_mtim = timespec_of(&figures.mtime);
    to->st_ctim = timespec_of(&figures.ctime);
}

int entry_fill(struct server *server, struct ext2dax_inode *inode, struct fuse_entry_param *entry)
{
    struct ext2dax_stat figures;

    memset(entry, 0, sizeof(*entry));
    ext2dax_stat(inode, &figures, sizeof(figures));
    attributes_fill(server, inode, &entry->attr);
    entry->ino = node_ino(figures.number);
    entry->generation = figures.generation;
    entry->attr_timeout = CACHE_SECONDS;
    entry->entry_timeout = CACHE_SECONDS;
    return node_add(server, inode, figures.number);
}

static void reply_attributes(fuse_req_t req, const struct server *server, const struct ext2dax_inode *inode)
{
    struct stat attributes;

    attributes_fill(server, inode, &attributes);
    fuse_reply_attr(req, &attributes, CACHE_SECONDS);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_GETATTR, ino, &server);

    (void)file;
    if (inode)
        reply_attributes(req, server, inode);
}

/* Converts the attributes of a setattr request. A change of the size also changes mtime. */
static struct ext2dax_attributes wanted_attributes(const struct stat *wanted, int set)
{
    static const struct {
        int from;
        unsigned to;
    } bits[] = {
        {FUSE_SET_ATTR_MODE, EXT2DAX_SET_MODE},
        {FUSE_SET_ATTR_UID, EXT2DAX_SET_UID},
        {FUSE_SET_ATTR_GID, EXT2DAX_SET_GID},
        {FUSE_SET_ATTR_ATIME, EXT2DAX_SET_ATIME},
        {FUSE_SET_ATTR_MTIME, EXT2DAX_SET_MTIME},
        {FUSE_SET_ATTR_CTIME, EXT2DAX_SET_CTIME},
        {FUSE_SET_ATTR_ATIME_NOW, EXT2DAX_SET_ATIME | EXT2DAX_SET_ATIME_NOW},
        {FUSE_SET_ATTR_MTIME_NOW, EXT2DAX_SET_MTIME | EXT2DAX_SET_MTIME_NOW},
    };
    struct ext2dax_attributes attributes = {.size = sizeof(attributes)};

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (set & bits[i].from)
            attributes.set |= bits[i].to;
    if (set & FUSE_SET_ATTR_SIZE && !(set & FUSE_SET_ATTR_MTIME))
        attributes.set |= EXT2DAX_SET_MTIME | EXT2DAX_SET_MTIME_NOW;
    attributes.mode = (uint16_t)(wanted->st_mode & 07777);
    attributes.uid = wanted->st_uid;
    attributes.gid = wanted->st_gid;
    attributes.atime = time_of(&wanted->st_atim);
    attributes.mtime = time_of(&wanted->st_mtim);
    attributes.ctime = time_of(&wanted->st_ctim);
    if (!(attributes.set & EXT2DAX_SET_ATIME) || attributes.set & EXT2DAX_SET_ATIME_NOW)
        attributes.atime = (struct ext2dax_time){0};
    if (!(attributes.set & EXT2DAX_SET_MTIME) || attributes.set & EXT2DAX_SET_MTIME_NOW)
        attributes.mtime = (struct ext2dax_time){0};
    if (!(attributes.set & EXT2DAX_SET_CTIME))
        attributes.ctime = (struct ext2dax_time){0};
    return attributes;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int set, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_SETATTR, ino, &server);
    int error = 0;

    (void)file;
    if (!inode)
        return;
    struct ext2dax_attributes attributes = wanted_attributes(wanted, set);
    if (!attributes.set || set & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        error = setid_change(req, inode, &attributes);
    change_begin(server);
    if (!error && set & FUSE_SET_ATTR_SIZE) {
        pthread_rwlock_wrlock(read_gate(server, ino));
        error = ext2dax_truncate(inode, (uint64_t)wanted->st_size);
        pthread_rwlock_unlock(read_gate(server, ino));
    }
    if (!error && set & FUSE_SET_ATTR_MODE)
        error = acl_follow(inode, wanted->st_mode);
    if (!error)
        error = ext2dax_setattr(inode, &attributes);
    change_end(server);
    if (error)
        request_end(req, error);
    else
        reply_attributes(req, server, inode);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct server *server = request_begin(req, REQUEST_STATFS);
    struct ext2dax_statfs figures;
    struct statvfs reply;

    (void)ino;
    ext2dax_statfs(server->mount, &figures, sizeof(figures));
    memset(&reply, 0, sizeof(reply));
    reply.f_bsize = figures.block_size;
    reply.f_frsize = figures.block_size;
    reply.f_blocks = figures.blocks;
    reply.f_bfree = figures.free_blocks;
    reply.f_bavail = figures.available_blocks;
    reply.f_files = figures.inodes;
    reply.f_ffree = figures.free_inodes;
    reply.f_favail = figures.free_inodes;
    reply.f_namemax = 255;
    fuse_reply_statfs(req, &reply);
}

/* The flags of the library and of FS_IOC_FSGETXATTR. */
static const struct {
    uint32_t flag, extended;
} flag_pairs[] = {
    {EXT2DAX_FL_SYNC, FS_XFLAG_SYNC},       {EXT2DAX_FL_IMMUTABLE, FS_XFLAG_IMMUTABLE},
    {EXT2DAX_FL_APPEND, FS_XFLAG_APPEND},   {EXT2DAX_FL_NODUMP, FS_XFLAG_NODUMP},
    {EXT2DAX_FL_NOATIME, FS_XFLAG_NOATIME},
};

/* Replies with the flags, in either form. */
static void reply_flags(fuse_req_t req, const struct ext2dax_inode *inode, bool extended)
{
    struct ext2dax_stat figures;
    struct fsxattr form = {0};

    ext2dax_stat(inode, &figures, sizeof(figures));
    for (size_t i = 0; i < sizeof(flag_pairs) / sizeof(flag_pairs[0]); i++)
        if (figures.flags & flag_pairs[i].flag)
            form.fsx_xflags |= flag_pairs[i].extended;
    unsigned plain = figures.flags;
    if (extended)
        fuse_reply_ioctl(req, 0, &form, sizeof(form));
    else
        fuse_reply_ioctl(req, 0, &plain, sizeof(plain));
}

/* Sets the flags, given in either form. */
static int set_flags(struct server *server, struct ext2dax_inode *inode, const void *in, bool extended)
{
    struct ext2dax_attributes attributes = {.size = sizeof(attributes), .set = EXT2DAX_SET_FLAGS};
    struct ext2dax_stat figures;
    struct fsxattr form;
    unsigned plain;

    ext2dax_stat(inode, &figures, sizeof(figures));
    if (extended) {
        memcpy(&form, in, sizeof(form));
        attributes.flags = figures.flags & ~EXT2DAX_FL_SETTABLE;
        for (size_t i = 0; i < sizeof(flag_pairs) / sizeof(flag_pairs[0]); i++)
            if (form.fsx_xflags & flag_pairs[i].extended)
                attributes.flags |= flag_pairs[i].flag;
    } else {
        memcpy(&plain, in, sizeof(plain));
        attributes.flags = plain;
    }
    change_begin(server);
    int error = ext2dax_setattr(inode, &attributes);
    change_end(server);
    return error;
}

/*
 * Serves lsattr and chattr. The kernel has checked the owner and the privilege. Before a change the
 * kernel asks for the flags in the extended form.
 */
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *argument, struct fuse_file_info *file,
              unsigned flags, const void *in, size_t in_size, size_t out_size)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_IOCTL, ino, &server);
    bool extended = command == (unsigned)FS_IOC_FSGETXATTR || command == (unsigned)FS_IOC_FSSETXATTR;
    size_t size = extended ? sizeof(struct fsxattr) : sizeof(unsigned);
    int error = -ENOTTY;

    (void)argument;
    (void)file;
    (void)flags;
    if (!inode)
        return;
    if ((command == (unsigned)FS_IOC_GETFLAGS || command == (unsigned)FS_IOC_FSGETXATTR) && out_size >= size) {
        reply_flags(req, inode, extended);
        return;
    }
    if ((command == (unsigned)FS_IOC_SETFLAGS || command == (unsigned)FS_IOC_FSSETXATTR) && in_size >= size)
        error = set_flags(server, inode, in, extended);
    if (error)
        request_end(req, error);
    else
        fuse_reply_ioctl(req, 0, NULL, 0);
}
