/* SPDX-License-Identifier: MIT */
/* Bytes of files. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

/* Without the pages kept, the first read reaches this program and updates the access time. */
bool open_keeps_cache(const struct server *server, const struct ext2dax_inode *inode, int flags)
{
    return (flags & O_ACCMODE) == O_WRONLY || flags & O_NOATIME || !access_due(server, inode);
}

/* The kernel does not know that a file is immutable or append-only, so open checks both here. */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_OPEN, ino, &server);
    struct ext2dax_stat figures;

    if (!inode)
        return;
    ext2dax_stat(inode, &figures, sizeof(figures));
    bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
    if ((figures.flags & EXT2DAX_FL_IMMUTABLE && writes) ||
        (figures.flags & EXT2DAX_FL_APPEND && ((writes && !(file->flags & O_APPEND)) || file->flags & O_TRUNC))) {
        request_end(req, -EPERM);
        return;
    }
    file->keep_cache = open_keeps_cache(server, inode, file->flags);
    fuse_reply_open(req, file);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    (void)file;
    fuse_reply_err(req, 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_WRITE, ino, &server);

    (void)file;
    if (!inode)
        return;
    change_begin(server);
    int64_t put = copy_result(ext2dax_write(inode, (uint64_t)offset, bytes, size));
    if (put > 0)
        setid_drop(req, server, inode, wire_asks_setid());
    change_end(server);
    if (put < 0) {
        request_end(req, (int)put);
        return;
    }
    atomic_fetch_add_explicit(&server->bytes_written, (uint_fast64_t)put, memory_order_relaxed);
    fuse_reply_write(req, (size_t)put);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_LSEEK, ino, &server);

    (void)file;
    if (!inode)
        return;
    int64_t at = -EINVAL;
    if (offset < 0)
        at = -ENXIO;
    else if (whence == SEEK_DATA || whence == SEEK_HOLE)
        at = ext2dax_seek(inode, (uint64_t)offset, whence == SEEK_DATA ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE);
    if (at < 0)
        request_end(req, (int)at);
    else
        fuse_reply_lseek(req, at);
}

/*
 * Zeroes a range. The holes of the range are filled first, because only this step can lack space.
 */
static int zero_range(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool keep_size)
{
    int error = ext2dax_allocate(inode, offset, length, keep_size);

    return error ? error : ext2dax_zero_range(inode, offset, length);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_FALLOCATE, ino, &server);
    uint64_t from = (uint64_t)offset, bytes = (uint64_t)length;
    int error = -EOPNOTSUPP;

    (void)file;
    if (!inode)
        return;
    change_begin(server);
    pthread_rwlock_wrlock(read_gate(server, ino));
    if (offset < 0 || length <= 0)
        error = -EINVAL;
    else if (!(mode & ~FALLOC_FL_KEEP_SIZE))
        error = ext2dax_allocate(inode, from, bytes, mode != 0);
    else if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        error = ext2dax_punch(inode, from, bytes);
    else if (!(mode & ~(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)))
        error = zero_range(inode, from, bytes, (mode & FALLOC_FL_KEEP_SIZE) != 0);
    pthread_rwlock_unlock(read_gate(server, ino));
    if (!error)
        setid_drop(req, server, inode, SETID_ASK_PROC);
    change_end(server);
    request_end(req, error);
}

/* Copies at most COPY_BYTES. Returns the bytes copied or a negative errno. */
static int64_t copy_part(struct server *server, struct ext2dax_inode *from, uint64_t from_offset,
                         struct ext2dax_inode *to, uint64_t to_offset, size_t length)
{
    char *bytes = buffer_of_thread(COPY_BYTES);
    if (!bytes)
        return -ENOMEM;
    int64_t got = ext2dax_read(from, from_offset, bytes, length < COPY_BYTES ? length : COPY_BYTES);
    if (got <= 0)
        return got;
    change_begin(server);
    got = copy_result(ext2dax_write(to, to_offset, bytes, (size_t)got));
    change_end(server);
    return got;
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_file,
                        fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_file, size_t length, int flags)
{
    struct server *server;
    struct ext2dax_inode *source = request_inode(req, REQUEST_COPY, from, &server);

    (void)from_file;
    (void)to_file;
    if (!source)
        return;
    struct ext2dax_inode *target = node_find(server, to);
    /* The reply has 32 bits. */
    const size_t most = 1u << 30;
    size_t copied = 0, wanted = length < most ? length : most;
    int64_t part = target && !flags ? 1 : target ? -EINVAL : -ESTALE;
    while (part > 0 && copied < wanted) {
        part = copy_part(server, source, (uint64_t)from_offset + copied, target, (uint64_t)to_offset + copied,
                         wanted - copied);
        copied += part > 0 ? (size_t)part : 0;
    }
    if (copied) {
        change_begin(server);
        setid_drop(req, server, target, SETID_ASK_PROC);
        change_end(server);
    }
    if (part < 0 && !copied)
        request_end(req, (int)part);
    else
        fuse_reply_write(req, copied);
}

/* Serves fsync of files and of directories. */
void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_FSYNC, ino, &server);

    (void)data_only;
    (void)file;
    if (inode)
        request_end(req, ext2dax_fsync(inode));
}

/* A write is in the image when its reply is sent, so a close has nothing to flush. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    (void)file;
    fuse_reply_err(req, ENOSYS);
}
