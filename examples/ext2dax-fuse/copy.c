/* SPDX-License-Identifier: MIT */
/*
 * Copies of file data between requests and the image.
 *
 * A store to a page of the image that is not yet mapped costs a page fault, and a large write meets
 * such pages more often than not. pwrite() to the file of the image fills the same pages of the
 * page cache without faults, in less than half the time. A read meets such pages too, because the
 * kernel keeps pages read before. A small copy is a plain one, and so is a copy of memory accessed
 * directly (DAX).
 *
 * A store to a page for which the host filesystem has no space ends the program by SIGBUS.
 * pwrite() fails instead, and so does the write to the file.
 */
#include "server.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_BY_CALL = 8 << 10, LEAST_READ_BY_CALL = 4 << 10 };

static struct {
    const char *base; /* of the image in memory */
    size_t size;
    off_t offset; /* of the image in the file */
    int file;
} image;

static _Thread_local int error_of_thread;

/* Is the range in the image? The library also copies to memory of its own. */
static bool in_image(const char *at, size_t bytes)
{
    uintptr_t from = (uintptr_t)at - (uintptr_t)image.base;

    return from < image.size && bytes <= image.size - from;
}

/* Does the error say that the host filesystem cannot hold the bytes? */
static bool is_final(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EIO;
}

static size_t copy_in(void *ctx, void *to_image, const void *from_caller, size_t bytes)
{
    const char *from = from_caller;
    char *to = to_image;
    size_t done = 0;

    (void)ctx;
    while (bytes >= LEAST_BY_CALL && done < bytes && in_image(to, bytes)) {
        ssize_t put = pwrite(image.file, from + done, bytes - done, image.offset + (to - image.base) + (off_t)done);
        if (put > 0) {
            done += (size_t)put;
        } else if (put < 0 && is_final(errno)) {
            error_of_thread = errno;
            return done;
        } else if (put == 0 || errno != EINTR) {
            break;
        }
    }
    memcpy(to + done, from + done, bytes - done);
    return bytes;
}

static size_t copy_out(void *ctx, void *to_caller, const void *from_image, size_t bytes)
{
    const char *from = from_image;
    ssize_t got = 0;

    (void)ctx;
    if (bytes >= LEAST_READ_BY_CALL && in_image(from, bytes))
        got = pread(image.file, to_caller, bytes, image.offset + (from - image.base));
    size_t done = got > 0 ? (size_t)got : 0;
    memcpy((char *)to_caller + done, from + done, bytes - done);
    return bytes;
}

void copy_open(struct server *server)
{
    if (ext2dax_memory_kind(&server->memory) == EXT2DAX_FILE_DAX)
        return;
    image.base = server->memory.base;
    image.size = server->memory.size;
    image.offset = (off_t)server->options->offset;
    image.file = ext2dax_memory_descriptor(&server->memory);
    server->host_ops.copy_in = copy_in;
    server->host_ops.copy_out = copy_out;
}

int64_t copy_result(int64_t put)
{
    return put == -EXT2DAX_EFAULT && error_of_thread ? -error_of_thread : put;
}
