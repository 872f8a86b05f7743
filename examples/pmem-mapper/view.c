/* SPDX-License-Identifier: MIT */
/*
 * Access to the bytes of a file. If the block size equals the page size, bytes are loaded and
 * stored through a mapping, and the library resolves the page faults. A mapping covers VIEW_SIZE
 * bytes and moves along the file, because the largest file is 2 TiB and page tables of the
 * passed part also use memory. With any other block size the bytes are read and written by
 * calls.
 */
#include "mapper.h"

#define VIEW_SIZE ((uint64_t)64 << 20)

void view_open(struct view *view, struct image *image, struct ext2dax_inode *inode, const char *path, bool writable)
{
    char text[128];

    *view = (struct view){.image = image, .inode = inode, .writable = writable};
    if (!image->process)
        say_failed(image->path, "%s: by read/write: this build serves no page faults", path);
    else if (image_unmappable(image, text, sizeof(text)))
        say_failed(image->path, "%s: by read/write: %s", path, text);
    else
        view->mapped = true;
}

void view_close(struct view *view)
{
    if (view->mapping)
        ext2dax_process_unmap(view->image->process, view->mapping);
    view->mapping = NULL;
}

/*
 * Returns the address of file offset `offset` in *at, and the bytes from this address to the
 * end of the mapping in *left. Moves the mapping if needed. Returns 0 or a negative EXT2DAX_E….
 */
static int view_map(struct view *view, uint64_t offset, unsigned char **at, uint64_t *left)
{
    if (!view->mapping || offset < view->offset || offset - view->offset >= view->length) {
        void *address;
        view_close(view);
        view->offset = offset & ~(VIEW_SIZE - 1);
        view->length = VIEW_SIZE;
        int error = ext2dax_process_map(view->image->process, view->inode, view->offset, view->length,
                                        view->writable ? EXT2DAX_MAP_WRITE : 0, &address);
        if (error)
            return error;
        view->mapping = address;
    }
    *at = view->mapping + (offset - view->offset);
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
            int error = view_map(view, offset, &at, &left);
            if (error)
                return error;
            part = left < part ? (size_t)left : part;
            if (!guarded_copy(to, at, part))
                return access_refused(-EXT2DAX_EIO);
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
    unsigned char *mapping;
    uint64_t left;
    int error = view_map(view, offset, &mapping, &left);

    if (error)
        return error;
    *at = mapping;
    *bytes = left < *bytes ? (size_t)left : *bytes;
    return view->populate ? ext2dax_process_populate(view->image->process, mapping, *bytes, false) : 0;
}

int view_write(struct view *view, uint64_t offset, const void *buffer, size_t bytes)
{
    const unsigned char *from = buffer;

    while (bytes) {
        size_t part = bytes;
        if (view->mapped) {
            unsigned char *at;
            uint64_t left;
            int error = view_map(view, offset, &at, &left);
            if (error)
                return error;
            part = left < part ? (size_t)left : part;
            if (!guarded_copy(at, from, part))
                return access_refused(-EXT2DAX_EIO);
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
