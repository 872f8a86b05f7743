/* SPDX-License-Identifier: MIT */
/*
 * Reads.
 *
 * A large read is answered straight from the memory of the image, without a copy in this program.
 * Meanwhile nothing may free the blocks, because a freed block may become a block of another file.
 * The gate of the inode is held shared by such a read, and exclusively by truncate, punch and zero
 * range. A small read, and a read that meets an unreadable block, is answered by a copy.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

/* Below this size a copy costs less than the lookup of the blocks. */
enum { LEAST_IN_PLACE = 16 << 10, MOST_PARTS = 64, ZERO_BYTES = 128 << 10 };

static const char zeroes[ZERO_BYTES]; /* the bytes of holes */

/* The buffer of a thread, which grows to the largest read. */
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;
static pthread_key_t buffer_key;
struct buffer {
    size_t size;
    char bytes[];
};

static void buffer_make_key(void)
{
    pthread_key_create(&buffer_key, free);
}

char *buffer_of_thread(size_t size)
{
    pthread_once(&buffer_once, buffer_make_key);
    struct buffer *buffer = pthread_getspecific(buffer_key);
    if (!buffer || buffer->size < size) {
        free(buffer);
        buffer = malloc(sizeof(*buffer) + size);
        if (buffer)
            buffer->size = size;
        pthread_setspecific(buffer_key, buffer);
    }
    return buffer ? buffer->bytes : NULL;
}

pthread_rwlock_t *read_gate(struct server *server, fuse_ino_t ino)
{
    return &server->gates[node_number(ino) % READ_GATES];
}

/* The parts of a reply. */
struct parts {
    struct iovec part[MOST_PARTS];
    int count;
    size_t bytes;
};

static bool add_part(struct parts *parts, const char *at, size_t length)
{
    if (parts->count == MOST_PARTS)
        return false;
    parts->part[parts->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = length};
    parts->bytes += length;
    return true;
}

static bool add_zeroes(struct parts *parts, size_t length)
{
    for (size_t step; length; length -= step) {
        step = length < ZERO_BYTES ? length : ZERO_BYTES;
        if (!add_part(parts, zeroes, step))
            return false;
    }
    return true;
}

/* Adds bytes of the image, unless they cannot be read. */
static bool add_image(const struct server *server, struct parts *parts, const char *at, size_t length)
{
    if (server->memory_ops.check && server->memory_ops.check(server->memory.ctx, at, length))
        return false;
    return add_part(parts, at, length);
}

/*
 * Finds the memory of [offset, end) of a file. Returns false if the range has too many parts, or if
 * a block cannot be read.
 */
static bool find_parts(const struct server *server, struct ext2dax_inode *inode, uint64_t offset, uint64_t end,
                       struct parts *parts)
{
    const uint64_t block_size = server->figures.block_size;
    const char *image = server->memory.base;
    struct ext2dax_run run;

    while (offset < end) {
        uint64_t block = offset / block_size, into = offset % block_size;
        if (ext2dax_map(inode, block, (end - 1) / block_size - block + 1, &run))
            return false;
        uint64_t length = run.length * block_size - into;
        if (length > end - offset)
            length = end - offset;
        if (run.physical ? !add_image(server, parts, image + run.physical * block_size + into, (size_t)length)
                         : !add_zeroes(parts, (size_t)length))
            return false;
        offset += length;
    }
    return true;
}

static void count_read(struct server *server, size_t bytes)
{
    atomic_fetch_add_explicit(&server->bytes_read, (uint_fast64_t)bytes, memory_order_relaxed);
}

/*
 * Answers a read from the memory of the image. Returns false, without an answer, where the read has
 * to be copied.
 */
static bool read_in_place(fuse_req_t req, struct server *server, struct ext2dax_inode *inode, size_t size,
                          uint64_t offset)
{
    struct ext2dax_stat figures;
    struct parts parts = {.count = 0};

    ext2dax_stat(inode, &figures, sizeof(figures));
    if ((figures.mode & EXT2DAX_S_IFMT) != EXT2DAX_S_IFREG || offset >= figures.size)
        return false;
    uint64_t end = size < figures.size - offset ? offset + size : figures.size;
    if (!find_parts(server, inode, offset, end, &parts))
        return false;
    count_read(server, parts.bytes);
    fuse_reply_iov(req, parts.part, parts.count);
    return true;
}

static void read_by_copy(fuse_req_t req, struct server *server, struct ext2dax_inode *inode, size_t size,
                         uint64_t offset)
{
    char *bytes = buffer_of_thread(size);
    int64_t got = bytes ? ext2dax_read(inode, offset, bytes, size) : -ENOMEM;
    if (got < 0) {
        request_end(req, (int)got);
        return;
    }
    count_read(server, (size_t)got);
    fuse_reply_buf(req, bytes, (size_t)got);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file)
{
    struct server *server;
    struct ext2dax_inode *inode = request_inode(req, REQUEST_READ, ino, &server);
    bool answered = false;

    if (!inode)
        return;
    /* Before the gate, because a change of the size takes the two locks in this order. */
    if (!file || !(file->flags & O_NOATIME))
        access_note(server, inode);
    if (size >= LEAST_IN_PLACE) {
        pthread_rwlock_rdlock(read_gate(server, ino));
        answered = read_in_place(req, server, inode, size, (uint64_t)offset);
        pthread_rwlock_unlock(read_gate(server, ino));
    }
    if (!answered)
        read_by_copy(req, server, inode, size, (uint64_t)offset);
}
