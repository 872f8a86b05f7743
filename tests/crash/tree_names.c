/* SPDX-License-Identifier: MIT */
#include "tree_names.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/ondisk.h"
#include "expect.h"

#define BLOCK_SIZE 1024u
#define PRIME      0x100000001B3u

static uint64_t mix(uint64_t hash, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * PRIME;
    return hash;
}

static const unsigned char *block_of(const unsigned char *image, const struct ext2dax_disk_inode *inode, uint32_t n)
{
    return image + (size_t)image_get32(&inode->block[n]) * BLOCK_SIZE;
}

static uint64_t content_of(const unsigned char *image, const struct ext2dax_disk_inode *inode, uint32_t type)
{
    uint32_t size = image_get32(&inode->size);
    uint64_t hash = mix(1, &size, sizeof(size));
    bool fast = type == EXT2DAX_S_IFLNK && image_get32(&inode->sectors) == 0;

    if (type == EXT2DAX_S_IFDIR)
        return image_get32(block_of(image, inode, 0) + 12);
    if (fast || (type != EXT2DAX_S_IFREG && type != EXT2DAX_S_IFLNK))
        return mix(hash, inode->block, sizeof(inode->block));
    for (uint32_t at = 0; at < size && at < EXT2DAX_DIRECT * BLOCK_SIZE; at += BLOCK_SIZE)
        hash = mix(hash, block_of(image, inode, at / BLOCK_SIZE), size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE);
    return hash;
}

static bool is_dots(const struct ext2dax_disk_dirent *entry)
{
    return entry->name_length <= 2 && memcmp(entry + 1, "..", entry->name_length) == 0;
}

static void add_block(struct tree_names *names, const unsigned char *image, const unsigned char *block, uint64_t path)
{
    const struct ext2dax_disk_dirent *entry;

    for (uint32_t at = 0; at < BLOCK_SIZE; at += image_get16(&entry->length)) {
        const struct ext2dax_disk_inode *inode;
        struct tree_name *name = &names->name[names->count];

        entry = (const void *)(block + at);
        if (image_get32(&entry->inode) == 0 || is_dots(entry))
            continue;
        if (names->count == TREE_NAMES || image_get16(&entry->length) < 12) {
            names->overflow = true;
            return;
        }
        name->inode = image_get32(&entry->inode);
        inode = image_inode(image, BLOCK_SIZE, name->inode);
        name->mode = (uint16_t)image_get16(&inode->mode);
        name->path = mix((path ^ '/') * PRIME, entry + 1, entry->name_length);
        name->content = content_of(image, inode, name->mode & EXT2DAX_S_IFMT);
        names->count++;
    }
}

static void add_directory(struct tree_names *names, const unsigned char *image, uint32_t number, uint64_t path)
{
    const struct ext2dax_disk_inode *inode = image_inode(image, BLOCK_SIZE, number);

    for (uint32_t at = 0; at < image_get32(&inode->size) && !names->overflow; at += BLOCK_SIZE)
        add_block(names, image, block_of(image, inode, at / BLOCK_SIZE), path);
}

static int by_path(const void *a, const void *b)
{
    const struct tree_name *of_a = a, *of_b = b;

    return of_a->path < of_b->path ? -1 : of_a->path > of_b->path;
}

void tree_names_read(struct tree_names *names, const unsigned char *image)
{
    memset(names, 0, sizeof(*names));
    add_directory(names, image, EXT2DAX_ROOT_INODE, 0);
    /* The list is also the queue of directories to read. */
    for (unsigned i = 0; i < names->count && !names->overflow; i++) {
        if ((names->name[i].mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR)
            add_directory(names, image, names->name[i].inode, names->name[i].path);
    }
    qsort(names->name, names->count, sizeof(names->name[0]), by_path);
}

static bool same_name(const struct tree_name *a, const struct tree_name *b)
{
    return a->path == b->path && a->inode == b->inode && a->mode == b->mode && a->content == b->content;
}

bool tree_names_same(const struct tree_names *a, const struct tree_names *b)
{
    bool same = a->count == b->count && !a->overflow && !b->overflow;

    for (unsigned i = 0; i < a->count && same; i++)
        same = same_name(&a->name[i], &b->name[i]);
    return same;
}

void tree_names_join(struct tree_names *both, const struct tree_names *old, const struct tree_names *new)
{
    *both = *new;
    for (unsigned i = 0; i < old->count; i++) {
        bool there = false;

        for (unsigned k = 0; k < new->count && !there; k++)
            there = new->name[k].path == old->name[i].path;
        if (!there && both->count < TREE_NAMES)
            both->name[both->count++] = old->name[i];
    }
    qsort(both->name, both->count, sizeof(both->name[0]), by_path);
}
