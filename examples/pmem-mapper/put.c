/* SPDX-License-Identifier: MIT */
/*
 * The command put. Copies a host file into the image and keeps holes. Only the data of the host
 * file (SEEK_DATA) is written. The blocks are allocated before, so no store through the mapping
 * can run out of space.
 *
 * put counts the required blocks, pointer blocks included, before any change. If put fails all
 * the same, a created file is removed. A replaced file is left empty, because the old blocks
 * may already be reused.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)

struct put {
    struct image *image;
    struct ext2dax_inode *inode;
    const char *path;
    const char *host_path;
    int host;
    uint64_t size;  /* of the host file */
    uint64_t bytes; /* of data in it */
};

static int host_read(const struct put *put, uint64_t offset, void *buffer, size_t bytes)
{
    size_t have = 0;

    while (have < bytes) {
        ssize_t got = pread(put->host, (char *)buffer + have, bytes - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_failed(put->image->path, errno, "put %s", put->host_path);
        if (!got)
            return say_failed(put->image->path, "put %s: the file has become shorter", put->host_path);
        have += (size_t)got;
    }
    return 0;
}

static int put_stretch(struct put *put, struct view *view, unsigned char *buffer, uint64_t from, uint64_t to,
                       struct progress *progress, uint64_t *done)
{
    if (view->mapped) {
        int error = ext2dax_allocate(put->inode, from, to - from, false);
        if (error)
            return image_failed(put->image, error, "put %s", put->path);
    }
    while (from < to) {
        size_t part = to - from < BUFFER ? (size_t)(to - from) : BUFFER;
        if (interrupted)
            return say_failed(put->image->path, "put %s: interrupted", put->path);
        int code = host_read(put, from, buffer, part);
        if (code)
            return code;
        int error = view_write(view, from, buffer, part);
        if (error)
            return image_failed(put->image, error, "put %s", put->path);
        from += part;
        *done += part;
        progress_step(progress, *done);
    }
    return 0;
}

/*
 * Fills a file without blocks. Sets the size first, because the allocator gives an aligned
 * extent to each PMD range wholly below the size.
 */
static int put_data(struct put *put)
{
    struct view view;
    struct progress progress;
    uint64_t from = 0, to, done = 0;
    unsigned char *buffer = malloc(BUFFER);

    if (!buffer)
        return image_failed(put->image, -EXT2DAX_ENOMEM, "put %s", put->path);
    view_open(&view, put->image, put->inode, put->path, true);
    progress_start(&progress, put->path, put->bytes);
    int error = ext2dax_truncate(put->inode, put->size);
    int code = error ? image_failed(put->image, error, "put %s", put->path) : 0;
    while (!code && host_data(put->host, put->size, &from, &to)) {
        code = put_stretch(put, &view, buffer, from, to, &progress, &done);
        from = to;
    }
    if (!code && errno)
        code = system_failed(put->image->path, errno, "put %s", put->host_path);
    progress_end(&progress);
    view_close(&view);
    if (!code) {
        error = ext2dax_fsync(put->inode);
        code = error ? image_failed(put->image, error, "put %s", put->path) : 0;
    }
    free(buffer);
    return code;
}

static int put_fits(struct put *put, const struct ext2dax_stat *replaced)
{
    uint64_t block = put->image->figures.block_size, needed;
    uint64_t available = geteuid() == 0 ? put->image->figures.free_blocks : put->image->figures.available_blocks;
    uint64_t largest = put->image->figures.max_grow_size;

    if (replaced && replaced->size > largest)
        largest = replaced->size;
    if (put->size > largest)
        return image_failed(put->image, -EXT2DAX_EFBIG, "put %s", put->path);
    int error = host_blocks(put->host, put->size, block, &needed, &put->bytes);
    if (error)
        return system_failed(put->image->path, error, "put %s", put->host_path);
    if (replaced)
        available += replaced->sectors / (block / 512);
    if (needed > available)
        return say_failed(put->image->path, "put %s: %s: %llu blocks needed, %llu free", put->path,
                          ext2dax_strerror(-EXT2DAX_ENOSPC), (unsigned long long)needed, (unsigned long long)available);
    return 0;
}

static int put_new(struct put *put, const struct stat *host)
{
    struct ext2dax_inode *directory = NULL;
    const char *name;
    size_t length;

    int code = put_fits(put, NULL);
    if (code)
        return code;
    int error = image_parent(put->image, put->path, &directory, &name, &length);
    if (!error)
        error = ext2dax_create(directory, name, length, (uint16_t)(host->st_mode & 0777), geteuid(), getegid(),
                               &put->inode);
    if (error) {
        code = image_failed(put->image, error, "put %s", put->path);
    } else {
        code = put_data(put);
        ext2dax_inode_put(put->inode);
        if (code) {
            error = ext2dax_unlink(directory, name, length);
            if (error)
                image_failed(put->image, error, "remove the copied part of %s", put->path);
        }
    }
    if (directory)
        ext2dax_inode_put(directory);
    return code;
}

static int put_over(struct put *put)
{
    struct ext2dax_stat figures;

    int code = image_file(put->image, "put", put->path, &put->inode);
    if (code)
        return code;
    ext2dax_stat(put->inode, &figures, sizeof(figures));
    code = put_fits(put, &figures);
    if (!code) {
        /*
         * Sets a larger size first, so that a failure happens while the old data still exists.
         * Then punches the whole file in a single step, which succeeds or fails as a whole.
         */
        bool larger = put->size > figures.size;
        int error = larger ? ext2dax_truncate(put->inode, put->size) : 0;
        if (!error && (larger || figures.size))
            error = ext2dax_punch(put->inode, 0, larger ? put->size : figures.size);
        if (!error && !larger)
            error = ext2dax_truncate(put->inode, put->size);
        if (error)
            code = image_failed(put->image, error, "put %s", put->path);
        if (error && larger)
            ext2dax_truncate(put->inode, figures.size);
        if (!error)
            code = put_data(put);
        if (!error && code)
            ext2dax_truncate(put->inode, 0);
    }
    ext2dax_inode_put(put->inode);
    return code;
}

int command_put(const struct request *request)
{
    struct image image;
    struct stat host;
    struct put put = {.image = &image, .host_path = request->args[0], .path = request->args[1]};
    char byte;

    if (request->recursive)
        return put_tree(request);
    put.host = open(put.host_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (put.host < 0)
        return system_failed(request->image, errno, "put %s", put.host_path);
    int code = 0;
    if (fstat(put.host, &host))
        code = system_failed(request->image, errno, "put %s", put.host_path);
    else if (S_ISDIR(host.st_mode))
        code = system_failed(request->image, EISDIR, "put %s", put.host_path);
    else if (!S_ISREG(host.st_mode))
        code = say_failed(request->image, "put %s: not a regular file", put.host_path);
    else if (!host.st_size && pread(put.host, &byte, 1, 0))
        /* Files of /proc have size 0 and content. */
        code = say_failed(request->image, "put %s: has no known size", put.host_path);
    if (code) {
        close(put.host);
        return code;
    }
    put.size = (uint64_t)host.st_size;

    code = image_open(&image, request, true);
    if (!code && image_is(&image, &host))
        code = say_failed(image.path, "put %s: is the image itself", put.host_path);
    if (!code) {
        struct ext2dax_inode *there;
        int error = ext2dax_lookup_path(image.mount, put.path, strlen(put.path), 0, &there);
        if (!error)
            ext2dax_inode_put(there);
        if (!error)
            code = put_over(&put);
        else if (error == -EXT2DAX_ENOENT)
            code = put_new(&put, &host);
        else
            code = image_failed(&image, error, "put %s", put.path);
    }
    close(put.host);
    return image_close(&image, code);
}
