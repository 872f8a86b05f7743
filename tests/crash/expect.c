/* SPDX-License-Identifier: MIT */
#include "expect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ondisk.h"

/* ---- images, by the format ---- */

uint32_t image_get16(const void *at)
{
    const unsigned char *p = at;

    return (uint32_t)(p[0] | p[1] << 8);
}

uint32_t image_get32(const void *at)
{
    const unsigned char *p = at;

    return image_get16(p) | image_get16(p + 2) << 16;
}

void image_put16(void *at, uint32_t value)
{
    unsigned char *p = at;

    p[0] = (unsigned char)value;
    p[1] = (unsigned char)(value >> 8);
}

void image_put32(void *at, uint32_t value)
{
    image_put16(at, value);
    image_put16((unsigned char *)at + 2, value >> 16);
}

struct ext2dax_disk_super *image_super(const unsigned char *image)
{
    return (void *)(uintptr_t)(image + EXT2DAX_SUPER_OFFSET);
}

bool image_valid(const unsigned char *image)
{
    return (image_get16(&image_super(image)->state) & EXT2DAX_STATE_VALID) != 0;
}

/* All of the images here have one group. */
static const struct ext2dax_disk_group *group_of(const unsigned char *image, uint32_t block_size)
{
    return (const void *)(image + (size_t)block_size * (block_size == 1024 ? 2 : 1));
}

struct ext2dax_disk_inode *image_inode(const unsigned char *image, uint32_t block_size, uint32_t number)
{
    size_t table = (size_t)image_get32(&group_of(image, block_size)->inode_table) * block_size;

    return (void *)(uintptr_t)(image + table + (number - 1) * image_get16(&image_super(image)->inode_size));
}

static uint32_t block_of(const unsigned char *image, uint32_t block_size, const struct ext2dax_disk_inode *inode,
                         uint64_t logical)
{
    uint32_t pointers = block_size / 4, at;
    uint64_t place = logical - EXT2DAX_DIRECT;

    if (logical < EXT2DAX_DIRECT)
        return image_get32(&inode->block[logical]);
    if (place < pointers) {
        at = image_get32(&inode->block[EXT2DAX_IND]);
    } else {
        place -= pointers;
        at = image_get32(&inode->block[EXT2DAX_DIND]);
        if (at != 0)
            at = image_get32(image + (size_t)at * block_size + place / pointers * 4);
        place %= pointers;
    }
    return at != 0 ? image_get32(image + (size_t)at * block_size + place * 4) : 0;
}

struct ext2dax_disk_dirent *image_entry(const unsigned char *image, uint32_t block_size, char letter, uint8_t length)
{
    const struct ext2dax_disk_inode *root = image_inode(image, block_size, EXT2DAX_ROOT_INODE);

    for (uint32_t logical = 0; logical < EXT2DAX_DIRECT && image_get32(&root->block[logical]) != 0; logical++) {
        const unsigned char *block = image + (size_t)image_get32(&root->block[logical]) * block_size;
        uint32_t at = 0;

        while (at + EXT2DAX_DIRENT_HEADER < block_size) {
            const struct ext2dax_disk_dirent *entry = (const void *)(block + at);

            if (entry->name_length == length && block[at + EXT2DAX_DIRENT_HEADER] == (unsigned char)letter &&
                image_get32(&entry->inode) != 0)
                return (void *)(uintptr_t)entry;
            at += image_get16(&entry->length);
        }
    }
    return NULL;
}

/* ---- keeping ---- */

void expect_open(struct expect *expect, uint32_t block_size)
{
    static const char letters[] = "abcdlmnx";

    expect->block_size = block_size;
    expect->inside = expect->indexed = false;
    for (int i = 0; i < EXPECT_FILES; i++) {
        struct expect_file *f = &expect->file[i];

        f->letter = letters[i];
        f->name_length = i < FILE_L ? 1 : 240;
        f->was = f->is = f->any_size = f->times_known = false;
        f->size_was = f->size = f->first = 0;
        f->name_only = i == FILE_D;
        for (int k = 0; k < EXPECT_BLOCKS; k++) {
            f->block[k].versions = 1;
            f->block[k].untouched = true;
            memset(f->block[k].version[0], 0, block_size);
        }
    }
}

void expect_copy(struct expect *to, const struct expect *from)
{
    to->block_size = from->block_size;
    to->inside = from->inside;
    to->indexed = from->indexed;
    for (int i = 0; i < EXPECT_FILES; i++) {
        memcpy(&to->file[i], &from->file[i], offsetof(struct expect_file, block));
        for (int k = 0; k < EXPECT_BLOCKS; k++) {
            to->file[i].block[k].versions = from->file[i].block[k].versions;
            to->file[i].block[k].untouched = from->file[i].block[k].untouched;
            for (unsigned v = 0; v < from->file[i].block[k].versions; v++)
                memcpy(to->file[i].block[k].version[v], from->file[i].block[k].version[v], from->block_size);
        }
    }
}

static bool overlap(const struct expect *expect, const struct expect_file *f, int block, uint64_t from, uint64_t to,
                    uint32_t *first, uint32_t *end)
{
    uint64_t start = (f->first + (uint64_t)block) * expect->block_size, stop = start + expect->block_size;

    if (from >= stop || to <= start)
        return false;
    *first = from > start ? (uint32_t)(from - start) : 0;
    *end = to < stop ? (uint32_t)(to - start) : expect->block_size;
    return true;
}

void expect_store(struct expect *expect, int file, uint64_t at, const void *bytes, uint64_t length)
{
    struct expect_file *f = &expect->file[file];
    uint32_t from, end;

    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        struct expect_block *b = &f->block[i];
        uint64_t start = (f->first + (uint64_t)i) * expect->block_size;

        if (!overlap(expect, f, i, at, at + length, &from, &end))
            continue;
        if (b->versions == EXPECT_VERSIONS)
            abort();
        memcpy(b->version[b->versions], b->version[b->versions - 1], expect->block_size);
        if (bytes)
            memcpy(b->version[b->versions] + from, (const char *)bytes + (start + from - at), end - from);
        else
            memset(b->version[b->versions] + from, 0, end - from);
        b->versions++;
        b->untouched = false;
    }
}

void expect_undo(struct expect *expect, int file, uint64_t at, uint64_t length)
{
    struct expect_file *f = &expect->file[file];
    uint32_t from, end;

    for (int i = 0; i < EXPECT_BLOCKS; i++)
        f->block[i].versions -= overlap(expect, f, i, at, at + length, &from, &end);
}

void expect_zero(struct expect *expect, int file, uint64_t from, uint64_t to)
{
    struct expect_file *f = &expect->file[file];
    uint32_t first, end;

    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        if (!overlap(expect, f, i, from, to, &first, &end))
            continue;
        for (unsigned v = 0; v < f->block[i].versions; v++)
            memset(f->block[i].version[v] + first, 0, end - first);
    }
}

void expect_synced(struct expect *expect, int file)
{
    struct expect_file *f = &expect->file[file];

    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        struct expect_block *b = &f->block[i];

        if (b->versions > 1)
            memcpy(b->version[0], b->version[b->versions - 1], expect->block_size);
        b->versions = 1;
    }
}

void expect_returned(struct expect *expect)
{
    expect->inside = false;
    for (int i = 0; i < EXPECT_FILES; i++) {
        struct expect_file *f = &expect->file[i];

        f->was = f->is;
        f->size_was = f->size;
        f->any_size = false;
    }
}

/* ---- judging ---- */

static uint64_t word_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* Of a word in memory: all bits of its first `bytes` bytes. */
static uint64_t image_mask(uint32_t bytes)
{
    static const unsigned char ones[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint64_t mask = 0;

    memcpy(&mask, ones, bytes);
    return mask;
}

/* The first `length` bytes of a block, or of a hole (NULL). */
static bool block_good(const struct expect_block *b, const unsigned char *data, uint32_t length)
{
    static const unsigned char nothing[EXPECT_MOST];

    if (!data && b->untouched)
        return true;
    if (!data)
        data = nothing;
    for (unsigned v = 0; v < b->versions; v++) {
        if (memcmp(data, b->version[v], length) == 0)
            return true;
    }
    for (uint32_t at = 0; at < length; at += 8) {
        /* What lies past the end is nobody's: the bytes in front of it decide. */
        uint64_t mask = length - at >= 8 ? UINT64_MAX : image_mask(length - at), found = word_at(data + at) & mask;
        unsigned v = 0;

        while (v < b->versions && found != (word_at(b->version[v] + at) & mask))
            v++;
        if (v == b->versions)
            return false;
    }
    return true;
}

static bool size_good(const struct expect *expect, const struct expect_file *f, uint64_t size)
{
    uint64_t least = f->size_was < f->size ? f->size_was : f->size, most = f->size_was + f->size - least;

    if (size == f->size)
        return true;
    if (!expect->inside || size < least)
        return false;
    /* Between the two words of a size, the high one is the larger's. */
    return size == f->size_was || (size <= most && (f->any_size || size % expect->block_size == 0)) ||
           (most >> 32 != least >> 32 && size == (most >> 32 << 32 | (least & UINT32_MAX)));
}

/* Which files have a name, and links: the inodes, by file; NULL for those that have not. */
struct found {
    const struct ext2dax_disk_inode *inode[EXPECT_FILES];
    bool named[EXPECT_FILES];
};

static int file_of(const struct expect *expect, const struct ext2dax_disk_dirent *entry)
{
    char letter = *(const char *)(entry + 1);

    for (int i = entry->name_length == 1 ? 0 : FILE_L; i < EXPECT_FILES; i++) {
        if (expect->file[i].letter == letter && expect->file[i].name_length == entry->name_length)
            return i;
    }
    return -1; /* a directory */
}

static void find_files(const struct expect *expect, const unsigned char *image, struct found *found)
{
    const struct ext2dax_disk_inode *root = image_inode(image, expect->block_size, EXT2DAX_ROOT_INODE);

    memset(found, 0, sizeof *found);
    for (uint32_t logical = 0; logical < EXT2DAX_DIRECT && image_get32(&root->block[logical]) != 0; logical++) {
        const unsigned char *block = image + (size_t)image_get32(&root->block[logical]) * expect->block_size;
        const struct ext2dax_disk_inode *inode;
        const struct ext2dax_disk_dirent *entry;
        int file;

        for (uint32_t at = 0; at < expect->block_size; at += image_get16(&entry->length)) {
            entry = (const void *)(block + at);
            if (image_get32(&entry->inode) == 0 || (file = file_of(expect, entry)) < 0)
                continue;
            inode = image_inode(image, expect->block_size, image_get32(&entry->inode));
            found->named[file] = true;
            found->inode[file] = image_get16(&inode->links) != 0 ? inode : NULL;
        }
    }
}

static const char *judge_file(const struct expect *expect, const unsigned char *image, const struct expect_file *f,
                              const struct ext2dax_disk_inode *inode)
{
    uint64_t size;

    if (!inode)
        return f->is && (!expect->inside || f->was) ? "is lost" : NULL;
    if (!f->is && !(expect->inside && f->was))
        return "is there";
    if (f->name_only)
        return NULL;
    size = image_get32(&inode->size) | (uint64_t)image_get32(&inode->dir_acl) << 32;
    if (!size_good(expect, f, size))
        return "has a size it never had";
    if (f->times_known && (image_get32(&inode->ctime) != f->ctime || image_get32(&inode->mtime) != f->mtime))
        return "has times that were not synced";
    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        uint64_t logical = f->first + (uint64_t)i, start = logical * expect->block_size;
        uint32_t block, length;

        if (start >= size)
            break;
        block = block_of(image, expect->block_size, inode, logical);
        length = size - start < expect->block_size ? (uint32_t)(size - start) : expect->block_size;
        if (!block_good(&f->block[i], block != 0 ? image + (size_t)block * expect->block_size : NULL, length))
            return "holds bytes that were never stored there, or lost synced ones";
    }
    return NULL;
}

/*
 * Stricter than e2fsck, by the order of stores alone: whatever has links has a name, an empty file too; and a new inode
 * begins its life with nothing behind its fixed part.
 */
static const char *judge_inodes(const struct expect *expect, const unsigned char *image, const struct found *found)
{
    uint32_t count = image_get32(&image_super(image)->inodes_count), named = 0, linked = 0;
    uint32_t size = image_get16(&image_super(image)->inode_size);
    const unsigned char *inode = (const void *)image_inode(image, expect->block_size, EXT2DAX_FIRST_INODE_REV0 + 1);

    for (int i = 0; i < EXPECT_FILES; i++)
        named += found->inode[i] && (i != FILE_D || found->inode[FILE_B] != found->inode[FILE_D]);
    for (uint32_t number = EXT2DAX_FIRST_INODE_REV0 + 1; number <= count; number++, inode += size) {
        if (image_get16(&((const struct ext2dax_disk_inode *)(const void *)inode)->links) == 0)
            continue;
        linked++;
        for (uint32_t at = sizeof(struct ext2dax_disk_inode); at < size; at++)
            if (inode[at] != 0)
                return "holds an inode with another's bytes behind its fixed part";
    }
    return linked > named ? "holds an inode with links, and without a name" : NULL;
}

/* A name that a call adds or takes away has changed only where the index is gone. */
static const char *judge_index(const struct expect *expect, const unsigned char *image, const struct found *found)
{
    const struct ext2dax_disk_inode *root = image_inode(image, expect->block_size, EXT2DAX_ROOT_INODE);

    if ((image_get32(&root->flags) & EXT2DAX_FL_INDEX) == 0)
        return NULL;
    for (int i = 0; i < EXPECT_FILES; i++) {
        if (expect->file[i].was != expect->file[i].is && found->named[i] == expect->file[i].is)
            return "has changed beside an index that nobody keeps up";
    }
    return NULL;
}

const char *expect_judge(const struct expect *expect, const unsigned char *image, char *file)
{
    struct found found;
    const char *wrong;

    find_files(expect, image, &found);
    for (int i = 0; i < EXPECT_FILES; i++) {
        wrong = judge_file(expect, image, &expect->file[i], found.inode[i]);
        *file = expect->file[i].letter;
        if (wrong)
            return wrong;
    }
    *file = '/';
    wrong = judge_inodes(expect, image, &found);
    return !wrong && expect->indexed ? judge_index(expect, image, &found) : wrong;
}
