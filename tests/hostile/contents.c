/* SPDX-License-Identifier: MIT */
#include "contents.h"

#include <stdlib.h>
#include <string.h>

#include "../fuzz/tree.h"

#define NAMES_MOST 512u
#define DEEPEST    8u
#define CHUNK      4096u

struct names {
    unsigned count;
    struct {
        char text[256];
        size_t length;
        uint8_t type;
    } name[NAMES_MOST];
};

static uint64_t mix(uint64_t sum, uint64_t with)
{
    sum = (sum ^ with) * 0x9E3779B97F4A7C15u;
    return sum ^ sum >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        sum = mix(sum, at[i]);
    return mix(sum, length);
}

static int note(void *arg, const struct ext2dax_entry *entry)
{
    struct names *names = arg;

    MUST(names->count < NAMES_MOST);
    memcpy(names->name[names->count].text, entry->name, entry->name_length);
    names->name[names->count].length = entry->name_length;
    names->name[names->count++].type = entry->type;
    return 0;
}

/* Adds every byte that is not zero, with its place, in any order. */
static uint64_t bytes_of(struct ext2dax_inode *inode)
{
    static unsigned char bytes[CHUNK];
    uint64_t sum = 0;
    int64_t at = 0;

    while ((at = ext2dax_seek(inode, (uint64_t)at, EXT2DAX_SEEK_DATA)) >= 0) {
        int64_t end = ext2dax_seek(inode, (uint64_t)at, EXT2DAX_SEEK_HOLE);

        MUST(end > at);
        while (at < end) {
            size_t length = end - at < (int64_t)CHUNK ? (size_t)(end - at) : CHUNK;

            MUST(ext2dax_read(inode, (uint64_t)at, bytes, length) == (int64_t)length);
            for (size_t i = 0; i < length; i++) {
                if (bytes[i] != 0)
                    sum += mix((uint64_t)at + i, bytes[i]);
            }
            at += (int64_t)length;
        }
    }
    MUST(at == -EXT2DAX_ENXIO);
    return sum;
}

static uint64_t attributes_of(struct ext2dax_inode *inode)
{
    static char list[65536], value[65536];
    int64_t length = ext2dax_listxattr(inode, list, sizeof(list));
    uint64_t sum = 0;

    MUST(length >= 0);
    for (const char *name = list; name < list + length; name += strlen(name) + 1) {
        int64_t size = ext2dax_getxattr(inode, name, strlen(name), value, sizeof(value));

        MUST(size >= 0);
        sum += mix_bytes(mix_bytes(1, name, strlen(name)), value, (size_t)size);
    }
    return sum;
}

static uint64_t inode_of(struct ext2dax_inode *inode, unsigned depth)
{
    struct ext2dax_stat stat;
    uint64_t sum = 7;

    ext2dax_stat(inode, &stat, sizeof(stat));
    sum = mix(mix(mix(sum, stat.mode), stat.links), stat.uid);
    sum = mix(mix(mix(sum, stat.gid), stat.device_major), stat.device_minor);
    sum = mix(sum, attributes_of(inode));
    if ((stat.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG)
        return mix(mix(sum, stat.size), bytes_of(inode));
    if ((stat.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK) {
        char target[CHUNK];
        int64_t length = ext2dax_readlink(inode, target, sizeof(target));

        MUST(length > 0 && length <= (int64_t)sizeof(target));
        return mix_bytes(sum, target, (size_t)length);
    }
    if ((stat.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR) {
        struct names *names = calloc(1, sizeof(*names));

        MUST(names && depth < DEEPEST && ext2dax_readdir(inode, 0, note, names) == 0);
        for (unsigned i = 0; i < names->count; i++) {
            const char *text = names->name[i].text;
            size_t length = names->name[i].length;
            struct ext2dax_inode *child;
            uint64_t below = mix_bytes(names->name[i].type, text, length);

            if (!(length == 1 && text[0] == '.') && !(length == 2 && memcmp(text, "..", 2) == 0)) {
                MUST(ext2dax_lookup(inode, text, length, &child) == 0);
                below = mix(below, inode_of(child, depth + 1));
                ext2dax_inode_put(child);
            }
            sum += below; /* dirents may be in any order */
        }
        free(names);
    }
    return sum;
}

uint64_t contents_of(struct ext2dax_mount *mount)
{
    struct ext2dax_inode *root;
    uint64_t sum;

    MUST(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0);
    sum = inode_of(root, 0);
    ext2dax_inode_put(root);
    return sum;
}
