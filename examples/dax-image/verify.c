/* SPDX-License-Identifier: MIT */
/*
 * verify compares an image with its sources, name by name and byte by byte. Differences go to
 * standard output, a line each. The times of last access and change are no part of a source.
 */
#include "dax-image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TIME       (-((int64_t)1 << 31))
#define LAST_TIME        (((int64_t)1 << 34) - ((int64_t)1 << 31) - 1)
#define LAST_COARSE_TIME (((int64_t)1 << 31) - 1)

struct comparison {
    const struct options *options;
    struct tree *tree;
    struct image image;
    uint64_t differences, files, done;
    unsigned char *ours, *theirs;
};

static void differs(struct comparison *c, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void differs(struct comparison *c, const char *path, const char *format, ...)
{
    va_list list;
    char *text = NULL;

    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    progress_end();
    const char *shown = length < 0 ? "differs" : text;
    if (c->options->json) {
        printf("%s\n  {\"path\": ", c->differences ? "," : "");
        print_json_text(path);
        printf(", \"difference\": ");
        print_json_text(shown);
        putchar('}');
    } else {
        print_escaped(stdout, path);
        printf(": %s\n", shown);
    }
    c->differences++;
    free(length < 0 ? NULL : text);
}

/* ---- data ---- */

/* Compares [from, to), which is data of the source, or zeroes if `reader` is NULL. */
static int compare_range(struct comparison *c, const struct reader *reader, const char *path,
                         struct ext2dax_inode *inode, uint64_t from, uint64_t to, bool *same)
{
    for (uint64_t at = from; *same && at < to;) {
        size_t part = to - at < COPY_BUFFER ? (size_t)(to - at) : COPY_BUFFER;
        if (interrupted)
            return failed(c->image.path, "interrupted");
        int code = 0;
        if (reader)
            code = reader_read(reader, at, c->theirs, part);
        else
            memset(c->theirs, 0, part);
        if (code)
            return code;
        int64_t got = ext2dax_read(inode, at, c->ours, part);
        if (got != (int64_t)part)
            return library_failed(path, got < 0 ? (int)got : -EXT2DAX_EIO, "read");
        if (memcmp(c->ours, c->theirs, part) != 0) {
            size_t i = 0;
            while (c->ours[i] == c->theirs[i])
                i++;
            differs(c, path, "byte %llu is %u in the image, %u in the source", (unsigned long long)at + i, c->ours[i],
                    c->theirs[i]);
            *same = false;
        }
        at += part;
        c->done += reader ? part : 0;
        progress("verifying", c->done, c->tree->data);
    }
    return 0;
}

/* Compares a hole of the source with the data that the image has there. */
static int compare_hole(struct comparison *c, const char *path, struct ext2dax_inode *inode, uint64_t from, uint64_t to,
                        bool *same)
{
    int code = 0;

    while (!code && *same && from < to) {
        int64_t data = ext2dax_seek(inode, from, EXT2DAX_SEEK_DATA);
        if (data < 0 || (uint64_t)data >= to)
            return data < 0 && data != -EXT2DAX_ENXIO ? library_failed(path, (int)data, "read") : 0;
        int64_t hole = ext2dax_seek(inode, (uint64_t)data, EXT2DAX_SEEK_HOLE);
        uint64_t end = hole < 0 || (uint64_t)hole > to ? to : (uint64_t)hole;
        code = compare_range(c, NULL, path, inode, (uint64_t)data, end, same);
        from = end;
    }
    return code;
}

static int compare_data(struct comparison *c, const struct node *node, const char *path, struct ext2dax_inode *inode)
{
    const struct inode *from = node->inode;
    struct reader reader;
    bool same = true;
    uint64_t at = 0;

    int code = from->size ? reader_open(&reader, node) : 0;
    if (code || !from->size)
        return code;
    reader.path = path;
    for (size_t i = 0; !code && i < from->run_count; i++) {
        const struct data_run *run = &from->runs[i];
        code = compare_hole(c, path, inode, at, run->offset, &same);
        at = run->offset + run->length;
        if (!code)
            code = compare_range(c, &reader, path, inode, run->offset, at, &same);
    }
    if (!code)
        code = compare_hole(c, path, inode, at, from->size, &same);
    int closed = reader_close(&reader);
    return code ? code : closed;
}

/* ---- attributes ---- */

static int compare_attributes(struct comparison *c, const struct inode *from, const char *path,
                              struct ext2dax_inode *inode)
{
    char list[65536];
    unsigned char value[65536];

    for (size_t i = 0; i < from->attribute_count; i++) {
        const struct attribute *a = &from->attributes[i];
        int64_t size = ext2dax_getxattr(inode, a->name, strlen(a->name), value, sizeof(value));
        if (size == -EXT2DAX_ENODATA)
            differs(c, path, "attribute %s is missing in the image", a->name);
        else if (size < 0)
            return library_failed(path, (int)size, a->name);
        else if ((uint64_t)size != a->size || memcmp(value, a->value, a->size) != 0)
            differs(c, path, "attribute %s differs", a->name);
    }
    int64_t length = ext2dax_listxattr(inode, list, sizeof(list));
    if (length < 0)
        return library_failed(path, (int)length, "attributes");
    for (int64_t at = 0; at < length; at += (int64_t)strlen(list + at) + 1) {
        size_t i = 0;
        while (i < from->attribute_count && strcmp(from->attributes[i].name, list + at) != 0)
            i++;
        if (i == from->attribute_count)
            differs(c, path, "attribute %s is not in the source", list + at);
    }
    return 0;
}

static void compare_time(struct comparison *c, const struct inode *from, const char *path,
                         const struct ext2dax_stat *figures)
{
    int64_t last = figures->has_nanoseconds ? LAST_TIME : LAST_COARSE_TIME, seconds = from->mtime.seconds;
    uint32_t nanoseconds = figures->has_nanoseconds ? from->mtime.nanoseconds : 0;

    /* A time out of range is stored as the end of the range, with any nanoseconds. */
    if (seconds < LEAST_TIME || seconds > last) {
        seconds = seconds < LEAST_TIME ? LEAST_TIME : last;
        nanoseconds = figures->mtime.nanoseconds;
    }
    if (figures->mtime.seconds != seconds || figures->mtime.nanoseconds != nanoseconds)
        differs(c, path, "time %lld.%09u in the image, %lld.%09u in the source", (long long)figures->mtime.seconds,
                figures->mtime.nanoseconds, (long long)seconds, nanoseconds);
}

static int compare_target(struct comparison *c, const struct inode *from, const char *path, struct ext2dax_inode *inode)
{
    char target[65536];
    int64_t length = ext2dax_readlink(inode, target, sizeof(target));

    if (length < 0)
        return library_failed(path, (int)length, "read");
    if ((uint64_t)length != from->size || memcmp(target, from->target, from->size) != 0)
        differs(c, path, "the target of the symbolic link differs");
    return 0;
}

/* Compares everything of an inode except the names of a directory. */
static int compare_inode(struct comparison *c, const struct node *node, const char *path, struct ext2dax_inode *inode)
{
    struct inode *from = node->inode;
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    c->files++;
    if (from->made++) {
        if (from->image_number != figures.number)
            differs(c, path, "is not the hard link of the source");
        return 0;
    }
    from->image_number = figures.number;
    if ((figures.mode & EXT2DAX_S_IFMT) != inode_type(from)) {
        differs(c, path, "type %06o in the image, %06o in the source", figures.mode & EXT2DAX_S_IFMT, inode_type(from));
        return 0;
    }
    if (figures.mode != from->mode)
        differs(c, path, "mode %04o in the image, %04o in the source", figures.mode & 07777u, from->mode & 07777u);
    if (figures.uid != from->uid || figures.gid != from->gid)
        differs(c, path, "owner %u:%u in the image, %u:%u in the source", figures.uid, figures.gid, from->uid,
                from->gid);
    if (figures.device_major != from->device_major || figures.device_minor != from->device_minor)
        differs(c, path, "device %u:%u in the image, %u:%u in the source", figures.device_major, figures.device_minor,
                from->device_major, from->device_minor);
    if (inode_type(from) != EXT2DAX_S_IFDIR && figures.links != from->references)
        differs(c, path, "%u names in the image, %u in the source", figures.links, from->references);
    compare_time(c, from, path, &figures);
    int code = compare_attributes(c, from, path, inode);
    if (code || inode_type(from) == EXT2DAX_S_IFDIR)
        return code;
    if (inode_type(from) == EXT2DAX_S_IFLNK)
        return compare_target(c, from, path, inode);
    if (inode_type(from) != EXT2DAX_S_IFREG)
        return 0;
    if (figures.size == from->size)
        return compare_data(c, node, path, inode);
    differs(c, path, "size %llu in the image, %llu in the source", (unsigned long long)figures.size,
            (unsigned long long)from->size);
    return 0;
}

/* ---- names ---- */

/* Reports names of the image that the source does not have. */
static int compare_names(struct comparison *c, const struct node *node, const char *path, struct ext2dax_inode *inode)
{
    struct names names;
    int code = 0;

    int error = names_read(&names, inode);
    if (error)
        code = library_failed(path, error, "read");
    for (size_t i = 0; !code && i < names.count; i++) {
        bool made_by_format = !node->parent && !strcmp(names.list[i], "lost+found");
        if (!made_by_format && !tree_find(c->tree, node, names.list[i], strlen(names.list[i]))) {
            char *whole;
            if (asprintf(&whole, "%s/%s", node->parent ? path : "", names.list[i]) < 0)
                return out_of_memory();
            differs(c, whole, "is not in the source");
            free(whole);
        }
    }
    names_free(&names);
    return code;
}

/* Sets *skip where the subtree has no counterpart in the image. */
static int compare_node(struct comparison *c, struct node *node, bool *skip)
{
    struct ext2dax_inode *inode;
    int error;

    *skip = false;
    if (node->parent)
        error = ext2dax_lookup(node->parent->handle, node->name, strlen(node->name), &inode);
    else
        error = ext2dax_lookup_path(c->image.mount, "/", 1, 0, &inode);
    char *path = strdup(node_path(node));
    if (!path)
        return out_of_memory();
    int code = 0;
    if (error == -EXT2DAX_ENOENT) {
        differs(c, path, "is missing in the image");
        *skip = true;
    } else if (error) {
        code = library_failed(path, error, "read");
    } else {
        struct ext2dax_stat figures;
        ext2dax_stat(inode, &figures, sizeof(figures));
        bool both = inode_type(node->inode) == EXT2DAX_S_IFDIR && (figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
        code = compare_inode(c, node, path, inode);
        if (!code && both)
            code = compare_names(c, node, path, inode);
        *skip = !both;
        if (both)
            node->handle = inode;
        else
            ext2dax_inode_put(inode);
    }
    free(path);
    return code;
}

/* Returns the node after the subtree of `node`. */
static struct node *node_after(struct node *node)
{
    for (; node->parent; node = node->parent)
        if (node->index + 1 < node->parent->count)
            return node->parent->children[node->index + 1];
    return NULL;
}

static int compare_tree(struct comparison *c)
{
    struct node *root = c->tree->root, *directory = NULL, *node = root;
    int code = 0;

    while (!code && node) {
        bool skip;
        for (; directory != node->parent; directory = directory->parent)
            ext2dax_inode_put(directory->handle);
        code = compare_node(c, node, &skip);
        if (node->handle)
            directory = node;
        node = skip ? node_after(node) : node_next(node, root);
    }
    for (; directory; directory = directory->parent)
        ext2dax_inode_put(directory->handle);
    progress_end();
    return code;
}

static void print_result(const struct comparison *c)
{
    if (c->options->json)
        printf("\n ],\n \"names\": %llu, \"bytes\": %llu, \"differences\": %llu}\n", (unsigned long long)c->files,
               (unsigned long long)c->done, (unsigned long long)c->differences);
    else if (!c->options->quiet)
        printf("%llu names and %llu bytes compared, %llu differences\n", (unsigned long long)c->files,
               (unsigned long long)c->done, (unsigned long long)c->differences);
}

int command_verify(const struct options *options)
{
    struct comparison c = {.options = options, .ours = malloc(COPY_BUFFER), .theirs = malloc(COPY_BUFFER)};
    const char *spool = getenv("TMPDIR");
    struct tree tree;

    if (!c.ours || !c.theirs)
        return out_of_memory();
    int code = image_open(&c.image, options->args[0]);
    if (!code) {
        code = tree_begin(&tree, options);
        c.tree = &tree;
        if (!code)
            code = tree_read(&tree, options->args + 1, options->count - 1, spool && *spool ? spool : "/tmp");
        if (!code && options->json)
            printf("{\"list\": [");
        if (!code)
            code = compare_tree(&c);
        if (!code)
            print_result(&c);
        tree_free(&tree);
        code = image_close(&c.image, code);
    }
    free(c.ours);
    free(c.theirs);
    return code ? code : c.differences ? EXIT_FAILED : 0;
}
