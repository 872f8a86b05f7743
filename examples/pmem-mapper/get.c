/* SPDX-License-Identifier: MIT */
/*
 * The command get. Copies a file out of the image. A host file keeps the holes, a pipe receives
 * zeroes. The bytes are copied to a buffer first. A write from the mapping itself would meet
 * pages not present yet, and only userfaultfd resolves such pages for a system call. --mapped
 * writes from the mapping all the same.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)

struct get {
    struct image *image;
    struct ext2dax_inode *inode;
    const char *path;
    const char *host_path; /* for messages */
    int host;
    bool stream; /* not seekable, so holes are written as zeroes */
    bool mapped; /* write from the mapping itself */
    bool populate;
};

static int host_write(const struct get *get, const void *buffer, size_t bytes, uint64_t offset)
{
    size_t done = 0;

    while (done < bytes) {
        const char *from = (const char *)buffer + done;
        ssize_t put = get->stream ? write(get->host, from, bytes - done)
                                  : pwrite(get->host, from, bytes - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR && !interrupted)
            continue;
        if (put < 0)
            return system_failed(get->image->path, errno, "get %s: write to %s", get->path, get->host_path);
        done += (size_t)put;
    }
    return 0;
}

/* Writes the bytes [from, to), which are all data, or all hole and written as zeroes. */
static int get_stretch(struct get *get, struct view *view, unsigned char *buffer, uint64_t from, uint64_t to, bool hole,
                       struct progress *progress)
{
    if (hole)
        memset(buffer, 0, BUFFER);
    while (from < to) {
        size_t part = to - from < BUFFER ? (size_t)(to - from) : BUFFER;
        if (interrupted)
            return say_failed(get->image->path, "get %s: interrupted", get->path);
        const void *bytes = buffer;
        int error = 0;
        if (!hole)
            error = get->mapped ? view_bytes(view, from, &bytes, &part) : view_read(view, from, buffer, part);
        if (error)
            return image_failed(get->image, error, "get %s: at byte %llu", get->path, (unsigned long long)from);
        int code = host_write(get, bytes, part, from);
        if (code)
            return code;
        from += part;
        progress_step(progress, from);
    }
    return 0;
}

static int get_data(struct get *get)
{
    struct ext2dax_stat figures;
    struct view view;
    struct progress progress;
    uint64_t at = 0;
    int code = 0;
    unsigned char *buffer = malloc(BUFFER);

    if (!buffer)
        return image_failed(get->image, -EXT2DAX_ENOMEM, "get %s", get->path);
    ext2dax_stat(get->inode, &figures, sizeof(figures));
    view_open(&view, get->image, get->inode, get->path, false);
    get->mapped = get->mapped && view.mapped;
    view.populate = get->populate;
    progress_start(&progress, get->path, figures.size);
    while (!code && at < figures.size) {
        int64_t data = ext2dax_seek(get->inode, at, EXT2DAX_SEEK_DATA);
        if (data == -EXT2DAX_ENXIO)
            data = (int64_t)figures.size;
        int64_t hole = data;
        if (data >= 0 && (uint64_t)data < figures.size)
            hole = ext2dax_seek(get->inode, (uint64_t)data, EXT2DAX_SEEK_HOLE);
        if (data < 0 || hole < 0) {
            code = image_failed(get->image, (int)(data < 0 ? data : hole), "get %s", get->path);
            break;
        }
        if (get->stream)
            code = get_stretch(get, &view, buffer, at, (uint64_t)data, true, &progress);
        if (!code)
            code = get_stretch(get, &view, buffer, (uint64_t)data, (uint64_t)hole, false, &progress);
        at = (uint64_t)hole;
    }
    if (!code && !get->stream && ftruncate(get->host, (off_t)figures.size))
        code = system_failed(get->image->path, errno, "get %s: write to %s", get->path, get->host_path);
    progress_end(&progress);
    view_close(&view);
    free(buffer);
    return code;
}

/* Opens the host file. Truncates the file only after a check that the file is not the image. */
static int get_target(struct get *get, bool *created)
{
    struct stat host;

    *created = false;
    get->host = open(get->host_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (get->host >= 0)
        *created = true;
    else if (errno == EEXIST)
        get->host = open(get->host_path, O_WRONLY | O_CLOEXEC);
    if (get->host < 0 || fstat(get->host, &host))
        return system_failed(get->image->path, errno, "get %s: write to %s", get->path, get->host_path);
    if (image_is(get->image, &host))
        return say_failed(get->image->path, "get %s: write to %s: is the image itself", get->path, get->host_path);
    get->stream = !S_ISREG(host.st_mode);
    if (!get->stream && ftruncate(get->host, 0))
        return system_failed(get->image->path, errno, "get %s: write to %s", get->path, get->host_path);
    return 0;
}

int command_get(const struct request *request)
{
    struct image image;
    struct get get = {.image = &image,
                      .path = request->args[0],
                      .host_path = request->args[1],
                      .host = -1,
                      .mapped = request->mapped,
                      .populate = request->populate};
    bool to_stdout = !get.host_path || !strcmp(get.host_path, "-");
    bool created = false;
    struct stat host;

    if (request->recursive)
        return get_tree(request);
    int code = image_open(&image, request, false);
    if (!code)
        code = image_file(&image, "get", get.path, &get.inode);
    if (!code && to_stdout) {
        get.host = STDOUT_FILENO;
        get.host_path = "standard output";
        get.stream = true;
        if (!fstat(get.host, &host) && image_is(&image, &host))
            code = say_failed(image.path, "get %s: write to %s: is the image itself", get.path, get.host_path);
    } else if (!code) {
        code = get_target(&get, &created);
    }
    if (!code)
        code = get_data(&get);
    if (get.inode)
        ext2dax_inode_put(get.inode);
    if (!to_stdout && get.host >= 0 && close(get.host) && !code)
        code = system_failed(image.path, errno, "get %s: write to %s", get.path, get.host_path);
    if (code && created)
        unlink(get.host_path);
    return image_close(&image, code);
}
