/* SPDX-License-Identifier: MIT */
/*
 * The commands format, truncate and punch. Each checks the arguments and makes a single library
 * call.
 */
#include "mapper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * An image below this size (bytes) may be too small for the metadata. Such an image is
 * formatted on anonymous memory first, so that a failure leaves an existing file unchanged.
 */
#define REHEARSED ((uint64_t)16 << 20)

static int format_memory(const struct image *image, const struct ext2dax_memory *memory, const struct request *request)
{
    struct ext2dax_format_options options = {
        .size = sizeof(options), .block_size = request->block_size, .time = request->epoch};

    memcpy(options.uuid, request->uuid, sizeof(options.uuid));
    memcpy(options.label, request->label, sizeof(options.label));
    return ext2dax_format(memory, &options, &image->host);
}

static int rehearse(const struct image *image, uint64_t size, const struct request *request)
{
    struct ext2dax_memory memory;

    if (size / request->block_size > UINT32_MAX)
        return -EXT2DAX_EOVERFLOW;
    if (size >= REHEARSED)
        return 0;
    if (!size)
        return -EXT2DAX_ENOSPC;
    int error = ext2dax_memory_open_heap((size_t)size, &memory);
    if (error)
        return error;
    error = format_memory(image, &memory, request);
    ext2dax_memory_close_heap(&memory);
    return error;
}

/* Formats a file. If the format fails, removes a file created by this call. */
static int format_file(struct image *image, const char *size_text, uint64_t size, const struct request *request)
{
    unsigned flags = EXT2DAX_FILE_CREATE | (request->reserve ? EXT2DAX_FILE_RESERVE : 0);
    char what[64];
    struct stat before;
    bool existed = !stat(image->path, &before);

    int error = rehearse(image, size, request);
    if (error)
        return image_failed(image, error, "format to %s", size_text);
    if (request->partition && size > image->where.length)
        return say_failed(image->path, "format to %s: partition %u has %llu bytes", size_text, request->partition,
                          (unsigned long long)image->where.length);
    image->where.length = size;
    snprintf(what, sizeof(what), "format to %.40s", size_text);
    int code = image_memory_open(image, what, flags);
    if (code)
        return code;
    unfinished = existed ? NULL : image->path;
    error = format_memory(image, &image->memory, request);
    unfinished = NULL;
    ext2dax_memory_close_file(&image->memory);
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

    struct request chosen = *request;

    int code = number_argument(request, "SIZE", request->args[0], &size);
    if (!code)
        code = identity_choose(&chosen, size);
    if (code)
        return code;
    int error = ext2dax_host_open(&options, &image.host);
    if (error)
        return image_failed(&image, error, "format");
    code = image_where(request, &image.where);
    if (!code)
        code = format_file(&image, request->args[0], size, &chosen);
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
