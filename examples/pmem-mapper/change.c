/* SPDX-License-Identifier: MIT */
/* format, truncate, punch: one call of the library each, and what has to be checked before it. */
#include "mapper.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Below this size an image may be too small for its own metadata; found out on anonymous memory, so that a file that is
 * there already is not touched in vain. */
#define REHEARSED ((uint64_t)16 << 20)

static int format_memory(const struct image *image, const struct ext2dax_memory *memory, uint32_t block_size)
{
    struct ext2dax_format_options options = {
        .size = sizeof(options), .block_size = block_size, .time = (int64_t)time(NULL)};

    return ext2dax_format(memory, &options, &image->host);
}

static int rehearse(const struct image *image, uint64_t size, uint32_t block_size)
{
    struct ext2dax_memory memory;

    if (size / block_size > UINT32_MAX)
        return -EXT2DAX_EOVERFLOW;
    if (size >= REHEARSED)
        return 0;
    if (!size)
        return -EXT2DAX_ENOSPC;
    int error = ext2dax_heap_open((size_t)size, &memory);
    if (error)
        return error;
    error = format_memory(image, &memory, block_size);
    ext2dax_heap_close(&memory);
    return error;
}

/* A file that did not exist before is removed again where formatting it fails. */
static int format_file(struct image *image, const char *size_text, uint64_t size, uint32_t block_size, bool reserve)
{
    struct stat before;
    bool existed = !stat(image->path, &before);

    int error = rehearse(image, size, block_size);
    if (error)
        return image_failed(image, error, "format to %s", size_text);
    error = ext2dax_file_open(image->path, EXT2DAX_FILE_CREATE | (reserve ? EXT2DAX_FILE_RESERVE : 0), size,
                              &image->memory);
    if (error)
        return system_failed(image->path, -error, "format to %s", size_text);
    unfinished = existed ? NULL : image->path;
    error = format_memory(image, &image->memory, block_size);
    unfinished = NULL;
    ext2dax_file_close(&image->memory);
    if (!error)
        return 0;
    if (!existed)
        unlink(image->path);
    return image_failed(image, error, "format to %s", size_text);
}

int command_format(const struct request *request)
{
    struct image image = {.path = request->image, .report_busy = ATOMIC_FLAG_INIT};
    struct ext2dax_host_options options = {.size = sizeof(options), .log = image_keep_report, .log_arg = &image};
    uint64_t size;

    int code = number_argument(request, "SIZE", request->args[0], &size);
    if (code)
        return code;
    int error = ext2dax_host_open(&options, &image.host);
    if (error)
        return image_failed(&image, error, "format");
    code = format_file(&image, request->args[0], size, request->block_size, request->reserve);
    ext2dax_host_close(&image.host);
    return code;
}

int command_truncate(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    uint64_t size;
    const char *path = request->args[0];

    int code = number_argument(request, "SIZE", request->args[1], &size);
    if (code)
        return code;
    code = image_open(&image, request, true);
    if (!code)
        code = image_file(&image, "truncate", path, &inode);
    if (!code) {
        int error = ext2dax_truncate(inode, size);
        if (error)
            code = image_failed(&image, error, "truncate %s to %s", path, request->args[1]);
        ext2dax_inode_put(inode);
    }
    return image_close(&image, code);
}

int command_punch(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    uint64_t offset, length;
    const char *path = request->args[0];

    int code = number_argument(request, "OFFSET", request->args[1], &offset);
    if (!code)
        code = number_argument(request, "LENGTH", request->args[2], &length);
    if (code)
        return code;
    code = image_open(&image, request, true);
    if (!code)
        code = image_file(&image, "punch", path, &inode);
    if (!code) {
        int error = ext2dax_punch(inode, offset, length);
        if (error)
            code = image_failed(&image, error, "punch %s at %s for %s", path, request->args[1], request->args[2]);
        ext2dax_inode_put(inode);
    }
    return image_close(&image, code);
}
