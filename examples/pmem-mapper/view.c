/* SPDX-License-Identifier: MIT */
/*
 * A file as bytes. Where the image's block is the processor's page, bytes are loaded and stored through a window mapped
 * into this process, and the library resolves the page faults. A window shows WINDOW bytes and moves along: the largest
 * file is 2 TiB, and page tables for what has been passed are memory too. With any other block size: read and write.
 */
#include "mapper.h"

#include <stdio.h>

#define WINDOW ((uint64_t)64 << 20)

void view_open(struct view *view, struct image *image, struct ext2dax_inode *inode, const char *path, bool writable)
{
    const struct ext2dax_statfs *figures = &image->figures;

    *view = (struct view){.image = image, .inode = inode, .writable = writable};
    if (!image->process)
        fprintf(stderr, "pmem-mapper: %s: %s: by read/write: this build serves no page faults\n", image->path, path);
    else if (figures->block_size != figures->page_size)
        fprintf(stderr, "pmem-mapper: %s: %s: by read/write: blocks of %u bytes, pages of %u\n", image->path, path,
                figures->block_size, figures->page_size);
    else
        view->mapped = true;
}

void view_close(struct view *view)
{
    if (view->window)
        ext2dax_process_unmap(view->image->process, view->window);
    view->window = NULL;
}

/* Where `offset` shows, and how many bytes follow it in the window. */
static int window_at(struct view *view, uint64_t offset, unsigned char **at, uint64_t *left)
{
    if (!view->window || offset < view->offset || offset - view->offset >= view->length) {
        void *address;
        view_close(view);
        view->offset = offset & ~(WINDOW - 1);
        view->length = WINDOW;
        int error = ext2dax_process_map(view->image->process, view->inode, view->offset, view->length,
                                        view->writable ? EXT2DAX_MAP_WRITE : 0, &address);
        if (error)
            return error;
        view->window = address;
    }
    *at = view->window + (offset - view->offset);
    *left = view->length - (offset - view->offset);
    return 0;
}

int view_read(struct view *view, uint64_t offset, void *buffer, size_t bytes)
{
    unsigned char *to = buffer;

    while (bytes) {
        size_t part = bytes;
        if (view->mapped) {
            unsigned char *at;
            uint64_t left;
            int error = window_at(view, offset, &at, &left);
            if (error)
                return error;
            part = left < part ? (size_t)left : part;
            if (!guarded_copy(to, at, part))
                return touch_refused(-EXT2DAX_EIO);
        } else {
            int64_t got = ext2dax_read(view->inode, offset, to, part);
            if (got <= 0)
                return got ? (int)got : -EXT2DAX_EIO;
            part = (size_t)got;
        }
        to += part;
        offset += part;
        bytes -= part;
    }
    return 0;
}

int view_bytes(struct view *view, uint64_t offset, const void **at, size_t *bytes)
{
    unsigned char *window;
    uint64_t left;
    int error = window_at(view, offset, &window, &left);

    if (error)
        return error;
    *at = window;
    *bytes = left < *bytes ? (size_t)left : *bytes;
    return view->populate ? ext2dax_process_populate(view->image->process, window, *bytes, false) : 0;
}

int view_write(struct view *view, uint64_t offset, const void *buffer, size_t bytes)
{
    const unsigned char *from = buffer;

    while (bytes) {
        size_t part = bytes;
        if (view->mapped) {
            unsigned char *at;
            uint64_t left;
            int error = window_at(view, offset, &at, &left);
            if (error)
                return error;
            part = left < part ? (size_t)left : part;
            if (!guarded_copy(at, from, part))
                return touch_refused(-EXT2DAX_EIO);
        } else {
            int64_t done = ext2dax_write(view->inode, offset, from, part);
            if (done <= 0)
                return done ? (int)done : -EXT2DAX_ENOSPC;
            part = (size_t)done;
        }
        from += part;
        offset += part;
        bytes -= part;
    }
    return 0;
}
