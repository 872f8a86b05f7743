/* SPDX-License-Identifier: MIT */
/*
 * The commands getfattr and setfattr. A value may be any bytes. The command line gives a value as
 * text, or as "0x" with hexadecimal digits, or as "0s" with base64, as the commands of a host do.
 */
#include "mapper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int xattr_names(struct ext2dax_inode *inode, char **names, size_t *length)
{
    *names = NULL;
    *length = 0;
    int64_t size = ext2dax_listxattr(inode, NULL, 0);
    if (size <= 0)
        return (int)size;
    *names = malloc((size_t)size);
    if (!*names)
        return -EXT2DAX_ENOMEM;
    size = ext2dax_listxattr(inode, *names, (size_t)size);
    if (size < 0) {
        free(*names);
        *names = NULL;
        return (int)size;
    }
    *length = (size_t)size;
    return 0;
}

int xattr_value(struct ext2dax_inode *inode, const char *name, void **value, size_t *length)
{
    *value = NULL;
    *length = 0;
    int64_t size = ext2dax_getxattr(inode, name, strlen(name), NULL, 0);
    if (size < 0)
        return (int)size;
    *value = malloc((size_t)size + 1);
    if (!*value)
        return -EXT2DAX_ENOMEM;
    if (size)
        size = ext2dax_getxattr(inode, name, strlen(name), *value, (size_t)size);
    if (size < 0) {
        free(*value);
        *value = NULL;
        return (int)size;
    }
    *length = (size_t)size;
    return 0;
}

static int print_names(struct ext2dax_inode *inode)
{
    char *names;
    size_t length;

    int error = xattr_names(inode, &names, &length);
    for (size_t at = 0; !error && at < length; at += strlen(names + at) + 1) {
        print_text(stdout, names + at, strlen(names + at));
        putchar('\n');
    }
    free(names);
    return error;
}

static int print_value(struct ext2dax_inode *inode, const char *name)
{
    void *value;
    size_t length;

    int error = xattr_value(inode, name, &value, &length);
    if (!error)
        print_text(stdout, value, length);
    free(value);
    return error;
}

int command_getfattr(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    const char *path = request->args[0], *name = request->args[1];

    int code = image_open(&image, request, false);
    if (!code) {
        int error = path_inode(&image, path, !request->no_follow, &inode);
        if (!error) {
            error = name ? print_value(inode, name) : print_names(inode);
            ext2dax_inode_put(inode);
        }
        if (error)
            code = image_failed(&image, error, name ? "getfattr %s %s" : "getfattr %s", path, name);
    }
    return image_close(&image, code);
}

static int digit_of(const char *digits, char digit)
{
    const char *at = digit ? strchr(digits, digit) : NULL;

    return at ? (int)(at - digits) : -1;
}

static bool from_hex(const char *text, unsigned char *value, size_t *length)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    size_t count = strlen(text);

    for (size_t i = 0; i < count; i++) {
        int digit = digit_of(digits, text[i]);
        if (digit < 0)
            return false;
        value[i / 2] = (unsigned char)(i % 2 ? value[i / 2] | (digit & 15) : (digit & 15) << 4);
    }
    *length = count / 2;
    return count % 2 == 0;
}

static bool from_base64(const char *text, unsigned char *value, size_t *length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = strlen(text), done = 0;
    uint32_t bits = 0;

    while (count && text[count - 1] == '=' && strlen(text) - count < 2)
        count--;
    for (size_t i = 0; i < count; i++) {
        int digit = digit_of(digits, text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        /* A group of four digits has three bytes. The first digit completes none. */
        if (i % 4)
            value[done++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    *length = done;
    return count % 4 != 1;
}

/* Returns the value for a text in *value, for free(). Returns 0 or an exit code. */
static int value_parse(const struct request *request, const char *text, unsigned char **value, size_t *length)
{
    bool valid = true;

    /* Every form is at least as long as the value. */
    *length = strlen(text);
    *value = malloc(*length + 1);
    if (!*value)
        return system_failed(request->image, ENOMEM, "setfattr");
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        valid = from_hex(text + 2, *value, length);
    else if (text[0] == '0' && (text[1] == 's' || text[1] == 'S'))
        valid = from_base64(text + 2, *value, length);
    else
        memcpy(*value, text, *length);
    return valid ? 0 : usage("setfattr", "the value is neither text, 0x with hexadecimal digits, nor 0s with base64");
}

int command_setfattr(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    const char *path = request->args[0], *name = request->args[1], *text = request->args[2];
    unsigned char *value = NULL;
    size_t length = 0;

    if (request->remove == (text != NULL))
        return usage("setfattr", "takes a value or --remove");
    int code = text ? value_parse(request, text, &value, &length) : 0;
    if (code) {
        free(value);
        return code;
    }
    code = image_open(&image, request, true);
    if (!code) {
        int error = path_inode(&image, path, !request->no_follow, &inode);
        if (!error) {
            error = request->remove ? ext2dax_removexattr(inode, name, strlen(name))
                                    : ext2dax_setxattr(inode, name, strlen(name), value, length, 0);
            ext2dax_inode_put(inode);
        }
        if (error)
            code = image_failed(&image, error, "setfattr %s %s", path, name);
    }
    free(value);
    return image_close(&image, code);
}
