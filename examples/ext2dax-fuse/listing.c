/* SPDX-License-Identifier: MIT */
/*
 * Listing of directories. The kernel holds its lock of the directory, so no name changes between
 * the listing and the lookup of the inodes listed.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns the mode of a file type of a directory entry, 0 if not recorded. */
static mode_t type_mode(unsigned type)
{
    static const mode_t modes[] = {
        [EXT2DAX_FT_REG] = S_IFREG, [EXT2DAX_FT_DIR] = S_IFDIR,  [EXT2DAX_FT_CHR] = S_IFCHR,
        [EXT2DAX_FT_BLK] = S_IFBLK, [EXT2DAX_FT_FIFO] = S_IFIFO, [EXT2DAX_FT_SOCK] = S_IFSOCK,
        [EXT2DAX_FT_LNK] = S_IFLNK};

    return type < sizeof(modes) / sizeof(modes[0]) ? modes[type] : 0;
}

/* A listing being built. `plus` lists attributes too. */
struct listing {
    fuse_req_t req;
    char *buffer;
    size_t size, used;
    bool plus;
    struct row {
        uint32_t number;
        uint8_t type;
        bool held; /* added to the lookup count */
        uint64_t cookie;
        char name[256];
    } * rows; /* for `plus` */
    size_t count, room, planned;
};

static int add_plain(struct listing *listing, const char *name, const struct ext2dax_entry *entry)
{
    struct stat attributes = {.st_ino = entry->number, .st_mode = type_mode(entry->type)};
    size_t left = listing->size - listing->used;
    size_t needed =
        fuse_add_direntry(listing->req, listing->buffer + listing->used, left, name, &attributes, (off_t)entry->cookie);

    if (needed > left)
        return 1;
    listing->used += needed;
    return 0;
}

/* Keeps an entry for later, since the callback of a listing must not call the library. */
static int add_row(struct listing *listing, const char *name, const struct ext2dax_entry *entry)
{
    size_t needed = fuse_add_direntry_plus(listing->req, NULL, 0, name, NULL, 0);

    if (listing->planned + needed > listing->size)
        return 1;
    if (listing->count == listing->room) {
        size_t room = listing->room ? 2 * listing->room : 32;
        struct row *rows = realloc(listing->rows, room * sizeof(*rows));
        if (!rows)
            return listing->count ? 1 : -ENOMEM;
        listing->rows = rows;
        listing->room = room;
    }
    struct row *row = &listing->rows[listing->count++];
    row->number = entry->number;
    row->type = entry->type;
    row->held = false;
    row->cookie = entry->cookie;
    memcpy(row->name, name, entry->name_length + 1);
    listing->planned += needed;
    return 0;
}

static int each_entry(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;
    char name[256];

    if (entry->name_length >= sizeof(name))
        return -EUCLEAN;
    memcpy(name, entry->name, entry->name_length);
    name[entry->name_length] = 0;
    return listing->plus ? add_row(listing, name, entry) : add_plain(listing, name, entry);
}

static bool is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/*
 * Adds an entry with attributes. An entry without attributes, for "." and ".." and an inode that
 * cannot be read, has the inode number 0 of FUSE, and leaves the lookup count alone.
 */
static void add_plus(struct server *server, struct listing *listing, struct row *row)
{
    struct fuse_entry_param entry;
    struct ext2dax_inode *inode;

    if (!is_dots(row->name) && !ext2dax_inode_get(server->mount, row->number, &inode))
        row->held = !entry_fill(server, inode, &entry);
    if (!row->held) {
        memset(&entry, 0, sizeof(entry));
        entry.attr.st_ino = row->number;
        entry.attr.st_mode = type_mode(row->type);
    }
    listing->used += fuse_add_direntry_plus(listing->req, listing->buffer + listing->used,
                                            listing->size - listing->used, row->name, &entry, (off_t)row->cookie);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, bool plus)
{
    struct server *server;
    struct ext2dax_inode *directory = request_inode(req, REQUEST_READDIR, ino, &server);
    struct listing listing = {.req = req, .size = size, .plus = plus};

    if (!directory)
        return;
    listing.buffer = malloc(size ? size : 1);
    int error = listing.buffer ? ext2dax_readdir(directory, (uint64_t)cookie, each_entry, &listing) : -ENOMEM;
    if (error >= 0) {
        for (size_t i = 0; i < listing.count; i++)
            add_plus(server, &listing, &listing.rows[i]);
        access_note(server, directory);
        if (fuse_reply_buf(req, listing.buffer, listing.used))
            for (size_t i = 0; i < listing.count; i++)
                if (listing.rows[i].held)
                    node_forget(server, listing.rows[i].number, 1);
    } else {
        request_end(req, error);
    }
    free(listing.rows);
    free(listing.buffer);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    fuse_reply_open(req, file);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, struct fuse_file_info *file)
{
    (void)file;
    list(req, ino, size, cookie, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, struct fuse_file_info *file)
{
    (void)file;
    list(req, ino, size, cookie, true);
}
