/* SPDX-License-Identifier: MIT */
#include "expect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ondisk.h"

/* ---- images, read by the on-disk format ---- */

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

/* Every image of these tests has a single group. */
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

bool image_wide(const unsigned char *image)
{
    return image_get16(&image_super(image)->inode_size) > sizeof(struct ext2dax_disk_inode);
}

void image_attributes(const unsigned char *image, const struct ext2dax_disk_inode *inode,
                      uint32_t attributes[EXPECT_ATTRIBUTES])
{
    const struct ext2dax_disk_inode_tail *tail = (const void *)(inode + 1);

    memset(attributes, 0, EXPECT_ATTRIBUTES * sizeof attributes[0]);
    attributes[EXPECT_MODE] = image_get16(&inode->mode);
    attributes[EXPECT_UID] = image_get16(&inode->uid);
    attributes[EXPECT_UID_HIGH] = image_get16(&inode->uid_high);
    attributes[EXPECT_GID] = image_get16(&inode->gid);
    attributes[EXPECT_GID_HIGH] = image_get16(&inode->gid_high);
    attributes[EXPECT_FLAGS] = image_get32(&inode->flags);
    attributes[EXPECT_ATIME] = image_get32(&inode->atime);
    attributes[EXPECT_CTIME] = image_get32(&inode->ctime);
    attributes[EXPECT_MTIME] = image_get32(&inode->mtime);
    if (!image_wide(image))
        return;
    attributes[EXPECT_ATIME_EXTRA] = image_get32(&tail->atime_extra);
    attributes[EXPECT_CTIME_EXTRA] = image_get32(&tail->ctime_extra);
    attributes[EXPECT_MTIME_EXTRA] = image_get32(&tail->mtime_extra);
    attributes[EXPECT_CREATED] = image_get32(&tail->created);
    attributes[EXPECT_CREATED_EXTRA] = image_get32(&tail->created_extra);
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

/* ---- updating the expectations ---- */

void expect_open(struct expect *expect, uint32_t block_size)
{
    static const char letters[] = "abcdslmnx";

    expect->block_size = block_size;
    expect->inside = expect->indexed = expect->xattrs = false;
    for (int i = 0; i < EXPECT_FILES; i++) {
        struct expect_file *f = &expect->file[i];

        f->letter = letters[i];
        f->name_length = i < FILE_L ? 1 : 240;
        f->was = f->is = f->any_size = f->attributes_known = false;
        f->size_was = f->size = f->first = 0;
        f->name_only = i == FILE_D || i == FILE_S;
        for (int k = 0; k < EXPECT_XATTRS; k++)
            f->xattr[k].length_was = f->xattr[k].length = -1;
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
    to->xattrs = from->xattrs;
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

void expect_synced_range(struct expect *expect, int file, uint64_t from, uint64_t to)
{
    struct expect_file *f = &expect->file[file];
    uint32_t first, end;

    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        struct expect_block *b = &f->block[i];

        if (!overlap(expect, f, i, from, to, &first, &end))
            continue;
        if (b->versions > 1)
            memcpy(b->version[0], b->version[b->versions - 1], expect->block_size);
        b->versions = 1;
    }
}

void expect_synced(struct expect *expect, int file)
{
    expect_synced_range(expect, file, 0, UINT64_MAX);
}

void expect_xattr(struct expect *expect, int file, int which, const void *bytes, int length)
{
    struct expect_xattr *xattr = &expect->file[file].xattr[which];

    xattr->length = length;
    if (length > 0)
        memcpy(xattr->is, bytes, (size_t)length);
}

void expect_returned(struct expect *expect)
{
    expect->inside = false;
    for (int i = 0; i < EXPECT_FILES; i++) {
        struct expect_file *f = &expect->file[i];

        f->was = f->is;
        f->size_was = f->size;
        f->any_size = false;
        memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
        for (int k = 0; k < EXPECT_XATTRS && expect->xattrs; k++) {
            f->xattr[k].length_was = f->xattr[k].length;
            f->xattr[k].rewritten = false;
            memcpy(f->xattr[k].was, f->xattr[k].is, sizeof f->xattr[k].is);
        }
    }
}

/* ---- checking an image ---- */

static uint64_t word_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* Returns a mask of the first `bytes` bytes of a word in memory. */
static uint64_t image_mask(uint32_t bytes)
{
    static const unsigned char ones[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint64_t mask = 0;

    memcpy(&mask, ones, bytes);
    return mask;
}

/* Checks the first `length` bytes of a block, or of a hole where `data` is NULL. */
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
        /*
         * Bytes past the end of file may have any value. Only the bytes before the end are
         * compared.
         */
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
    /*
     * Between the stores of its two words, a size has the high word of the larger size and the low
     * word of the smaller.
     */
    return size == f->size_was || (size <= most && (f->any_size || size % expect->block_size == 0)) ||
           (most >> 32 != least >> 32 && size == (most >> 32 << 32 | (least & UINT32_MAX)));
}

/*
 * Inode of each file with a name and links, else NULL. `named` is true for each file with a name.
 */
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

static bool attributes_good(const struct expect *expect, const unsigned char *image, const struct expect_file *f,
                            const struct ext2dax_disk_inode *inode)
{
    uint32_t found[EXPECT_ATTRIBUTES];

    image_attributes(image, inode, found);
    for (int i = 0; i < (expect->inside ? EXPECT_ATIME : EXPECT_ATTRIBUTES); i++) {
        if (found[i] != f->attributes[i] && !(expect->inside && found[i] == f->attributes_was[i]))
            return false;
    }
    return true;
}

/* An area of attributes. Values are counted from `first`, or from `base` in a block. */
struct area {
    const unsigned char *base, *first, *end;
};

#define XATTR_MAGIC 0xEA020000u

/*
 * Finds the attribute "user.x" with the name of a letter. Returns the length of the value, -1 if
 * there is none, or -2 if the area is broken.
 */
static int find_xattr(const struct area *area, char letter, const unsigned char **value)
{
    const unsigned char *at = area->first;

    while (area->end - at >= 20 && image_get32(at) != 0) {
        uint32_t offset = image_get16(at + 2), size = image_get32(at + 8), room = (uint32_t)(area->end - area->base);

        if (size > room || offset > room - size)
            return -2;
        *value = area->base + offset;
        if (at[0] == 1 && at[1] == 1 && at[16] == (unsigned char)letter)
            return (int)size;
        at += 16 + ((at[0] + 3u) & ~3u);
    }
    return area->end - at < 4 || image_get32(at) != 0 ? -2 : -1;
}

/* Reads an attribute of an inode. The inode comes before the block. */
static int read_xattr(const struct expect *expect, const unsigned char *image, const struct ext2dax_disk_inode *inode,
                      char letter, const unsigned char **value)
{
    uint32_t size = image_get16(&image_super(image)->inode_size), block = image_get32(&inode->file_acl);
    const unsigned char *raw = (const unsigned char *)inode;
    struct area area;
    int length = -1;

    if (size > 128 && image_get16(raw + 128) != 0 && image_get32(raw + 128 + image_get16(raw + 128)) == XATTR_MAGIC) {
        area.base = area.first = raw + 128 + image_get16(raw + 128) + 4;
        area.end = raw + size;
        length = find_xattr(&area, letter, value);
    }
    if (length != -1 || block == 0)
        return length;
    area.base = image + (size_t)block * expect->block_size;
    area.first = area.base + 32;
    area.end = area.base + expect->block_size;
    return image_get32(area.base) == XATTR_MAGIC ? find_xattr(&area, letter, value) : -2;
}

static const char *check_xattrs(const struct expect *expect, const unsigned char *image, const struct expect_file *f,
                                const struct ext2dax_disk_inode *inode)
{
    for (int i = 0; i < EXPECT_XATTRS; i++) {
        const struct expect_xattr *a = &f->xattr[i];
        const unsigned char *value = NULL;
        int length = read_xattr(expect, image, inode, (char)('x' + i), &value);
        bool is = length == a->length && (length <= 0 || memcmp(value, a->is, (size_t)length) == 0);
        bool was = length == a->length_was && (length <= 0 || memcmp(value, a->was, (size_t)length) == 0);

        if (!is && !((was || (a->rewritten && length == -1)) && expect->inside))
            return "has an attribute it never had, or lost one";
        if (length >= 0 && (image_get32(&image_super(image)->compat) & EXT2DAX_COMPAT_EXT_ATTR) == 0)
            return "has attributes without the feature";
    }
    return NULL;
}

static const char *check_file(const struct expect *expect, const unsigned char *image, const struct expect_file *f,
                              const struct ext2dax_disk_inode *inode)
{
    const char *wrong;
    uint64_t size;

    if (!inode)
        return f->is && (!expect->inside || f->was) ? "is lost" : NULL;
    if (!f->is && !(expect->inside && f->was))
        return "is there";
    if (expect->xattrs && f->letter != 'd' && (wrong = check_xattrs(expect, image, f, inode)) != NULL)
        return wrong;
    if (f->name_only)
        return NULL;
    size = image_get32(&inode->size) | (uint64_t)image_get32(&inode->dir_acl) << 32;
    if (!size_good(expect, f, size))
        return "has a size it never had";
    if (f->attributes_known && !attributes_good(expect, image, f, inode))
        return "has attributes that it never had, or lost synced ones";
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
 * Checks more than e2fsck does, justified by the store order. Every inode with links has a name,
 * even if the file is empty. A new inode starts with zeroes after its fixed part, or after the
 * fields that i_extra_isize covers.
 */
static const char *check_inodes(const struct expect *expect, const unsigned char *image, const struct found *found)
{
    uint32_t count = image_get32(&image_super(image)->inodes_count), named = 0, linked = 0;
    uint32_t size = image_get16(&image_super(image)->inode_size), at;
    const unsigned char *inode = (const void *)image_inode(image, expect->block_size, EXT2DAX_FIRST_INODE_REV0 + 1);

    for (int i = 0; i < EXPECT_FILES; i++)
        named += found->inode[i] && (i != FILE_D || found->inode[FILE_B] != found->inode[FILE_D]);
    for (uint32_t number = EXT2DAX_FIRST_INODE_REV0 + 1; number <= count; number++, inode += size) {
        if (image_get16(&((const struct ext2dax_disk_inode *)(const void *)inode)->links) == 0)
            continue;
        linked++;
        at = sizeof(struct ext2dax_disk_inode);
        if (image_wide(image) && image_get16(inode + at) == sizeof(struct ext2dax_disk_inode_tail))
            at += sizeof(struct ext2dax_disk_inode_tail);
        for (; at < size && !expect->xattrs; at++)
            if (inode[at] != 0)
                return "holds an inode with another's bytes behind its fixed part";
    }
    return linked > named ? "holds an inode with links, and without a name" : NULL;
}

/*
 * Checks that nothing of a name added by a call is in the root before the index flag is cleared.
 * Not even the slack may hold the dirent, because the index keeps its own data in apparent slack.
 * The index of the root leads nowhere, so no name belongs to a leaf.
 */
static const char *check_index(const struct expect *expect, const unsigned char *image)
{
    const struct ext2dax_disk_inode *root = image_inode(image, expect->block_size, EXT2DAX_ROOT_INODE);

    if ((image_get32(&root->flags) & EXT2DAX_FL_INDEX) == 0)
        return NULL;
    for (uint32_t logical = 0; logical < EXT2DAX_DIRECT && image_get32(&root->block[logical]) != 0; logical++) {
        const unsigned char *block = image + (size_t)image_get32(&root->block[logical]) * expect->block_size;

        for (uint32_t at = 0; at + 12 <= expect->block_size; at += 4) {
            const struct ext2dax_disk_dirent *entry = (const void *)(block + at);
            int file = entry->name_length != 0 && at + 8u + entry->name_length <= expect->block_size
                           ? file_of(expect, entry)
                           : -1;

            if (file >= 0 && !expect->file[file].was && expect->file[file].is)
                return "has a new name beside an index that nobody keeps up";
        }
    }
    return NULL;
}

const char *expect_check(const struct expect *expect, const unsigned char *image, char *file)
{
    struct found found;
    const char *wrong;

    find_files(expect, image, &found);
    for (int i = 0; i < EXPECT_FILES; i++) {
        wrong = check_file(expect, image, &expect->file[i], found.inode[i]);
        *file = expect->file[i].letter;
        if (wrong)
            return wrong;
    }
    *file = '/';
    wrong = check_inodes(expect, image, &found);
    return !wrong && expect->indexed ? check_index(expect, image) : wrong;
}
