/* SPDX-License-Identifier: MIT */
/*
 * The tree made in a mounted image. Names are made in the order of bytes, each directory with the
 * whole subtree before the next name, so the sources decide nothing about placement. Every time in
 * the image is the time of the last change of data, because archives know no others.
 */
#include "dax-image.h"

#include <stdlib.h>
#include <string.h>

/* ---- the identity ---- */

static void checksum_begin(struct checksum *sum)
{
    for (unsigned i = 0; i < 4; i++)
        sum->lane[i] = i + 1;
}

/* Adds the bytes, as if followed by zeroes up to a multiple of 32 bytes. */
static void checksum_add(struct checksum *sum, unsigned char *bytes, size_t length)
{
    uint64_t a = sum->lane[0], b = sum->lane[1], c = sum->lane[2], d = sum->lane[3], word[4];
    const uint64_t factor = 0x9fb21c651e98df25u;

    memset(bytes + length, 0, 32);
    for (size_t at = 0; at < length; at += 32) {
        memcpy(word, bytes + at, 32);
        a = (a ^ word[0]) * factor;
        b = (b ^ word[1]) * factor;
        c = (c ^ word[2]) * factor;
        d = (d ^ word[3]) * factor;
        a ^= a >> 29;
        b ^= b >> 29;
        c ^= c >> 29;
        d ^= d >> 29;
    }
    sum->lane[0] = a;
    sum->lane[1] = b;
    sum->lane[2] = c;
    sum->lane[3] = d;
}

static void add_number(struct ext2dax_digest *digest, uint64_t number)
{
    unsigned char bytes[8];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    ext2dax_digest_add(digest, bytes, sizeof(bytes));
}

static void add_bytes(struct ext2dax_digest *digest, const void *bytes, size_t length)
{
    add_number(digest, length);
    ext2dax_digest_add(digest, bytes, length);
}

/* Adds everything of a node except data. The depth distinguishes a name from a name beside. */
static void add_node(struct ext2dax_digest *digest, const struct node *node)
{
    const struct inode *inode = node->inode;

    add_bytes(digest, node->name ? node->name : "", node->name ? strlen(node->name) : 0);
    add_number(digest, node->count);
    add_number(digest, inode->mode);
    add_number(digest, (uint64_t)inode->uid << 32 | inode->gid);
    add_number(digest, (uint64_t)inode->mtime.seconds);
    add_number(digest, inode->mtime.nanoseconds);
    add_number(digest, (uint64_t)inode->device_major << 32 | inode->device_minor);
    add_number(digest, inode->image_number);
    add_number(digest, inode->size);
    if (inode->target)
        add_bytes(digest, inode->target, inode->size);
    add_number(digest, inode->attribute_count);
    for (size_t i = 0; i < inode->attribute_count; i++) {
        add_bytes(digest, inode->attributes[i].name, strlen(inode->attributes[i].name));
        add_bytes(digest, inode->attributes[i].value, inode->attributes[i].size);
    }
}

/* ---- files ---- */

static int copy_run(struct building *building, const struct reader *reader, const struct data_run *run,
                    struct ext2dax_inode *inode, struct checksum *sum)
{
    uint64_t end = run->offset + run->length;

    for (uint64_t at = run->offset; at < end;) {
        size_t part = end - at < COPY_BUFFER ? (size_t)(end - at) : COPY_BUFFER;
        if (interrupted)
            return failed(building->path, "interrupted");
        int code = reader_read(reader, at, building->buffer, part);
        if (code)
            return code;
        int64_t wrote = ext2dax_write(inode, at, building->buffer, part);
        if (store_error)
            return failed(building->path, "%s", strerror(store_error));
        if (wrote != (int64_t)part)
            return library_failed(reader->path, wrote < 0 ? (int)wrote : -EXT2DAX_ENOSPC, "write");
        checksum_add(sum, building->buffer, part);
        at += part;
        building->done += part;
        progress("building", building->done, building->tree->data);
    }
    return 0;
}

static int copy_data(struct building *building, const struct node *node, struct ext2dax_inode *inode)
{
    const struct inode *from = node->inode;
    bool sized = from->size >= HUGE_SIZE && !building->options->packed;
    struct checksum sum;
    struct reader reader;
    struct shape shape;
    uint64_t end = 0;
    int code, error = 0;

    if (from->size == 0)
        return 0;
    code = reader_open(&reader, node);
    if (code)
        return code;
    checksum_begin(&sum);
    /* The size comes first, so that full ranges get aligned extents. */
    if (sized)
        error = ext2dax_truncate(inode, from->size);
    for (size_t i = 0; !code && !error && i < from->run_count; i++) {
        code = copy_run(building, &reader, &from->runs[i], inode, &sum);
        end = from->runs[i].offset + from->runs[i].length;
        add_number(&building->digest, from->runs[i].offset);
        add_number(&building->digest, from->runs[i].length);
    }
    for (unsigned i = 0; i < 4; i++)
        add_number(&building->digest, sum.lane[i]);
    if (!code && !error && end < from->size && !sized)
        error = ext2dax_truncate(inode, from->size);
    if (!code && !error)
        error = shape_read(&shape, inode, &building->figures, NULL, NULL);
    if (!code && error)
        code = library_failed(reader.path, error, "write");
    if (!code) {
        building->shape.ranges += shape.ranges;
        building->shape.huge += shape.huge;
        building->shape.extents += shape.extents;
        building->shape.faults += shape.faults;
    }
    int closed = reader_close(&reader);
    return code ? code : closed;
}

/* ---- all kinds ---- */

static struct ext2dax_attributes attributes_of(const struct inode *inode)
{
    return (struct ext2dax_attributes){.size = sizeof(struct ext2dax_attributes),
                                       .set = EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID | EXT2DAX_SET_ATIME |
                                              EXT2DAX_SET_MTIME | EXT2DAX_SET_CTIME | EXT2DAX_SET_CREATED,
                                       .mode = inode->mode,
                                       .uid = inode->uid,
                                       .gid = inode->gid,
                                       .atime = inode->mtime,
                                       .mtime = inode->mtime,
                                       .ctime = inode->mtime,
                                       .created = inode->mtime};
}

static int set_attributes(const struct node *node, struct ext2dax_inode *inode)
{
    const struct inode *from = node->inode;

    for (size_t i = 0; i < from->attribute_count; i++) {
        const struct attribute *a = &from->attributes[i];
        int error = ext2dax_setxattr(inode, a->name, strlen(a->name), a->value, a->size, 0);
        if (error)
            return library_failed(node_path(node), error, a->name);
    }
    return 0;
}

/* Sets the times after every change. Further names would change ctime. */
static int finish(const struct node *node, struct ext2dax_inode *inode)
{
    struct ext2dax_attributes attributes = attributes_of(node->inode);
    int error = ext2dax_setattr(inode, &attributes);

    return error ? library_failed(node_path(node), error, "attributes") : 0;
}

static int leave(struct node *directory)
{
    int code = finish(directory, directory->handle);

    ext2dax_inode_put(directory->handle);
    directory->handle = NULL;
    return code;
}

static int link_node(struct building *building, const struct node *node)
{
    struct ext2dax_inode *inode;

    int error = ext2dax_inode_get(building->mount, node->inode->image_number, &inode);
    if (error)
        return library_failed(node_path(node), error, "link");
    error = ext2dax_link(inode, node->parent->handle, node->name, strlen(node->name));
    int code = error ? library_failed(node_path(node), error, "link") : 0;
    if (!code && node->inode->made == node->inode->references)
        code = finish(node, inode);
    ext2dax_inode_put(inode);
    return code;
}

/* Opens the root and lost+found, which exist already, and creates everything else. */
static int open_node(const struct building *building, const struct node *node, struct ext2dax_inode **inode)
{
    const struct inode *from = node->inode;
    struct ext2dax_creation creation = {.size = sizeof(creation),
                                        .attributes = attributes_of(from),
                                        .device_major = from->device_major,
                                        .device_minor = from->device_minor,
                                        .target = from->target,
                                        .target_length = from->target ? (size_t)from->size : 0};

    if (!node->parent)
        return ext2dax_lookup_path(building->mount, "/", 1, 0, inode);
    if (is_lost_and_found(node))
        return ext2dax_lookup(node->parent->handle, node->name, strlen(node->name), inode);
    return ext2dax_create_as(node->parent->handle, node->name, strlen(node->name), &creation, inode);
}

static int make_node(struct building *building, struct node *node)
{
    struct inode *from = node->inode;
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;

    building->files++;
    if (from->made++) {
        add_node(&building->digest, node);
        return link_node(building, node);
    }
    int error = open_node(building, node, &inode);
    if (error)
        return library_failed(node_path(node), error, "create");
    ext2dax_stat(inode, &figures, sizeof(figures));
    from->image_number = figures.number;
    add_node(&building->digest, node);
    int code = inode_type(from) == EXT2DAX_S_IFREG ? copy_data(building, node, inode) : 0;
    if (!code)
        code = set_attributes(node, inode);
    if (inode_type(from) == EXT2DAX_S_IFDIR) {
        node->handle = inode;
        return code;
    }
    if (!code && from->made == from->references)
        code = finish(node, inode);
    ext2dax_inode_put(inode);
    return code;
}

int fill_image(struct building *building)
{
    struct node *directory = NULL;
    int code = 0;

    building->buffer = malloc(COPY_BUFFER + 32);
    if (!building->buffer)
        return out_of_memory();
    ext2dax_digest_begin(&building->digest);
    for (struct node *node = building->tree->root; !code && node; node = node_next(node, building->tree->root)) {
        if (interrupted)
            code = failed(building->path, "interrupted");
        for (; !code && directory != node->parent; directory = directory->parent)
            code = leave(directory);
        if (!code)
            code = make_node(building, node);
        if (node->handle)
            directory = node;
    }
    for (; directory; directory = directory->parent) {
        if (!code)
            code = leave(directory);
        else if (directory->handle)
            ext2dax_inode_put(directory->handle);
    }
    free(building->buffer);
    progress_end();
    return code;
}
