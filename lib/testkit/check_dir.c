/* SPDX-License-Identifier: MIT */
/*
 * Directories. Checks every dirent of every block. Then checks the facts following from all dirents
 * together, namely link counts, a single name per directory, "..", and a path from the root. Every
 * dirent looks up its inode in the inode table, so directories may be parsed in any order.
 */
#include "check_image.h"

#include <stdlib.h>
#include <string.h>

#define get16 e2dt_check_get16
#define get32 e2dt_check_get32

/*
 * Doubles the set of names, used for detecting duplicates within a directory. Without memory the
 * whole check fails with ENOMEM.
 */
static bool grow_names(struct e2dt_check *a)
{
    uint32_t mask = a->names_mask * 2 + 1;
    struct e2dt_check_name *wider = calloc((size_t)mask + 1, sizeof(*wider));
    uint32_t i;

    if (!wider) {
        a->no_memory = true;
        return false;
    }
    for (i = 0; i <= a->names_mask; i++) {
        uint32_t at = a->names[i].hash & mask;

        if (a->names[i].directory == 0)
            continue;
        while (wider[at].directory != 0)
            at = (at + 1) & mask;
        wider[at] = a->names[i];
    }
    if (a->names_own)
        free(a->names);
    a->names = wider;
    a->names_mask = mask;
    a->names_own = true;
    return true;
}

static void remember_name(struct e2dt_check *a, uint32_t directory, const struct ext2dax_disk_dirent *entry)
{
    const uint8_t *name = (const uint8_t *)(entry + 1);
    uint32_t hash = directory * 2654435761u;
    uint32_t at, i;

    if (a->no_memory || (a->names_used >= a->names_mask / 2 && !grow_names(a)))
        return;
    for (i = 0; i < entry->name_length; i++)
        hash = (hash ^ name[i]) * 16777619u;
    hash ^= hash >> 15;
    for (at = hash & a->names_mask; a->names[at].directory != 0; at = (at + 1) & a->names_mask) {
        const struct e2dt_check_name *other = &a->names[at];

        if (other->directory == directory && other->hash == hash && other->entry->name_length == entry->name_length &&
            memcmp(other->entry + 1, name, entry->name_length) == 0) {
            e2dt_check_report(a, "name stands twice in a directory", directory, 0, get32(other->entry->inode),
                              get32(entry->inode));
            return;
        }
    }
    a->names[at] = (struct e2dt_check_name){directory, hash, entry};
    a->names_used++;
}

static bool is_dots(const struct ext2dax_disk_dirent *entry, uint8_t dots)
{
    return entry->name_length == dots && memcmp(entry + 1, "..", dots) == 0;
}

static uint8_t type_of(const struct ext2dax_disk_inode *inode)
{
    switch (get16(inode->mode) & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
        return EXT2DAX_FT_REG;
    case EXT2DAX_S_IFDIR:
        return EXT2DAX_FT_DIR;
    case EXT2DAX_S_IFLNK:
        return EXT2DAX_FT_LNK;
    case EXT2DAX_S_IFCHR:
        return EXT2DAX_FT_CHR;
    case EXT2DAX_S_IFBLK:
        return EXT2DAX_FT_BLK;
    case EXT2DAX_S_IFIFO:
        return EXT2DAX_FT_FIFO;
    case EXT2DAX_S_IFSOCK:
        return EXT2DAX_FT_SOCK;
    default:
        return EXT2DAX_FT_UNKNOWN;
    }
}

/* Checks the first two dirents of a directory, which must be "." and "..". */
static void check_dots(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_dirent *entry, uint8_t dots)
{
    uint32_t target = get32(entry->inode);

    if (!is_dots(entry, dots))
        e2dt_check_report(a, dots == 1 ? "directory does not begin with \".\"" : "directory lacks \"..\"", number, 0,
                          dots, entry->name_length);
    else if (dots == 1 && target != number)
        e2dt_check_report(a, "\".\" names another inode", number, 0, number, target);
    else if (dots == 2)
        a->inode[number].dotdot = target;
}

static void check_name(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_dirent *entry)
{
    const char *name = (const char *)(entry + 1);

    if (entry->name_length == 0)
        e2dt_check_report(a, "entry without a name", number, 0, 1, 0);
    else if (memchr(name, '/', entry->name_length) || memchr(name, '\0', entry->name_length))
        e2dt_check_report(a, "character that no name may have", number, 0, 0, get32(entry->inode));
    else if (is_dots(entry, 1) || is_dots(entry, 2))
        e2dt_check_report(a, "\".\" or \"..\" as a name", number, 0, 0, get32(entry->inode));
    else
        remember_name(a, number, entry);
}

static void check_target(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_dirent *entry, bool dots)
{
    uint32_t target = get32(entry->inode);
    const struct ext2dax_disk_inode *inode = e2dt_check_inode_at(a, target);
    bool leaks_ok = (a->flags & EXT2DAX_CHECK_LEAKS_OK) != 0;
    uint8_t type;

    if (!inode || (target < a->first_inode && target != EXT2DAX_ROOT_INODE)) {
        e2dt_check_report(a, "entry names an impossible inode", number, 0, a->inodes, target);
        return;
    }
    if (get16(inode->links) == 0) {
        if (!leaks_ok)
            e2dt_check_report(a, "entry names an inode without links", number, 0, 1, target);
        return;
    }
    type = type_of(inode);
    a->inode[target].entries++;
    /*
     * Without the filetype feature the byte is the high half of the name length, and no name is
     * longer than 255 bytes.
     */
    if (entry->type != (a->filetype ? type : 0) && !(a->filetype && leaks_ok))
        e2dt_check_report(a, "type in a directory entry", number, target, a->filetype ? type : 0, entry->type);
    if (dots || type != EXT2DAX_FT_DIR)
        return;
    if (a->inode[target].parent != 0 || target == EXT2DAX_ROOT_INODE)
        e2dt_check_report(a, "directory with two names", target, 0, a->inode[target].parent, number);
    a->inode[target].parent = number;
}

void e2dt_check_directory_block(struct e2dt_check *a, uint32_t number, uint64_t logical, uint32_t block)
{
    const uint8_t *start = e2dt_check_block(a, block);
    uint32_t at = 0, length, place = 0;

    for (; at < a->block_size; at += length, place++) {
        const struct ext2dax_disk_dirent *entry = (const void *)(start + at);
        uint32_t name_room;
        bool dots = logical == 0 && place < 2;

        if (a->block_size - at < 12) {
            e2dt_check_report(a, "space left after the last directory entry", number, block, 0, a->block_size - at);
            return;
        }
        length = get16(entry->length);
        if (length == 65535 && a->block_size == 65536)
            length = 65536;
        if (length < 12 || (length & 3) != 0 || length > a->block_size - at) {
            e2dt_check_report(a, "length of a directory entry", number, block, a->block_size - at, length);
            return;
        }
        name_room = length - EXT2DAX_DIRENT_HEADER;
        if (entry->name_length > name_room && (get32(entry->inode) != 0 || dots)) {
            e2dt_check_report(a, "name longer than its entry", number, block, name_room, entry->name_length);
            return;
        }
        if (dots)
            check_dots(a, number, entry, (uint8_t)(place + 1));
        if (get32(entry->inode) == 0)
            continue;
        if (!dots)
            check_name(a, number, entry);
        check_target(a, number, entry, dots);
    }
}

/* ---- after all directories were parsed ---- */

static bool has_entries(const struct e2dt_check *a, uint32_t number)
{
    const struct ext2dax_disk_inode *inode = e2dt_check_inode_at(a, number);

    return get16(inode->links) != 0 && (get16(inode->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

static void check_names_of(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    const struct e2dt_check_inode *known = &a->inode[number];
    bool leaks_ok = (a->flags & EXT2DAX_CHECK_LEAKS_OK) != 0;
    uint32_t links = get16(inode->links);

    if (has_entries(a, number)) {
        uint32_t parent = number == EXT2DAX_ROOT_INODE ? number : known->parent;

        if (parent == 0)
            e2dt_check_report(a, "directory without a name", number, 0, 1, 0);
        else if (known->dotdot != parent)
            e2dt_check_report(a, "\"..\" names another directory", number, 0, parent, known->dotdot);
    } else if (known->entries == 0) {
        /* A crash may leave an empty inode without a name, cleared by e2fsck. */
        if (!leaks_ok || get32(inode->sectors) != 0 || e2dt_check_inode_size(inode) != 0)
            e2dt_check_report(a, "inode without a name", number, 0, 1, 0);
        return;
    }
    if (a->dir_nlink && has_entries(a, number) && links == 1)
        return; /* dir_nlink, too many subdirectories to count */
    if (known->entries != links && !leaks_ok)
        e2dt_check_report(a, "link count", number, 0, known->entries, links);
}

/*
 * Climbs from each directory through its parents up to a marked directory or the root, marking on
 * the way. A mark of the same climb is a loop.
 */
static void check_loops(struct e2dt_check *a)
{
    uint32_t number = 0;

    while (e2dt_check_next_inode(a, &number))
        a->inode[number].dotdot = 0;
    number = 0;
    while (e2dt_check_next_inode(a, &number)) {
        uint32_t at = a->inode[number].parent != 0 ? number : 0;

        while (at != 0 && at != EXT2DAX_ROOT_INODE && a->inode[at].dotdot == 0) {
            a->inode[at].dotdot = number;
            at = a->inode[at].parent;
        }
        if (at != 0 && at != EXT2DAX_ROOT_INODE && a->inode[at].dotdot == number)
            e2dt_check_report(a, "directory inside itself", at, 0, 0, number);
    }
}

void e2dt_check_links(struct e2dt_check *a)
{
    const struct ext2dax_disk_inode *root = e2dt_check_inode_at(a, EXT2DAX_ROOT_INODE);
    uint32_t number = 0;

    if ((get16(root->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        e2dt_check_report(a, "root is not a directory", EXT2DAX_ROOT_INODE, 0, EXT2DAX_S_IFDIR, get16(root->mode));
    while (e2dt_check_next_inode(a, &number)) {
        const struct ext2dax_disk_inode *inode = e2dt_check_inode_at(a, number);

        /* Reserved inodes (journal, resize) have links but no name. */
        if (number != EXT2DAX_ROOT_INODE && number < a->first_inode)
            continue;
        if (get16(inode->links) != 0)
            check_names_of(a, number, inode);
    }
    check_loops(a);
}
