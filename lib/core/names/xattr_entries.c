/* SPDX-License-Identifier: MIT */
/*
 * The form of an area of extended attributes. Checks an area before use, finds an attribute, and
 * builds the content of a new block.
 *
 * A check accepts every area whose entries can be read without leaving the area. The hashes and the
 * order of entries are not checked. Nothing in the core depends on hashes and order of an existing
 * area, and a new block has its own. Values which overlap other values are read as found. A value
 * among the entries is corruption, because a new entry would overwrite the value.
 */
#include "names/xattr.h"

#include "base/mem.h"
#include "disk/inode.h"

#define NAME_SHIFT  5u  /* of the hash of an entry, per byte of the name */
#define VALUE_SHIFT 16u /* of the hash of an entry, per 4 bytes of the value */
#define BLOCK_SHIFT 16u /* of the hash of a block, per entry */

static bool is_end(const struct e2d_xattr_area *area, uint32_t at)
{
    static const unsigned char zeroes[4];

    return memcmp(area->base + at, zeroes, sizeof(zeroes)) == 0;
}

/* Checks the entry at `at`, followed by at least 4 bytes. Returns NULL or the reason. */
static const char *check_entry(struct e2d_xattr_area *area, uint32_t at)
{
    const struct e2d_xattr_entry *entry = e2d_xattr_at(area, at);
    uint32_t size, offset;

    if (area->size - at < sizeof(*entry) + 4 || area->size - at - 4 < e2d_xattr_length(entry->name_length))
        return E2D_TEXT("pass the end of their space");
    for (uint32_t i = 0; i < entry->name_length; i++) {
        if (e2d_xattr_name(entry)[i] == '\0')
            return E2D_TEXT("have a NUL in a name");
    }
    size = e2d_get32(entry->value_size);
    offset = e2d_get16(entry->value_offset);
    if (size == 0)
        return NULL;
    if (offset > area->size || size > area->size - offset)
        return E2D_TEXT("have a value past the end of their space");
    area->low = e2d_min32(area->low, offset);
    return NULL;
}

int e2d_xattr_check(struct e2d_xattr_area *area, const char **why)
{
    uint32_t at = area->first;

    area->low = area->size;
    area->last = area->first;
    *why = area->size < at + 4 ? "have no space" : NULL;
    while (!*why && !is_end(area, at)) {
        *why = check_entry(area, at);
        if (*why)
            break;
        if (e2d_get32(e2d_xattr_at(area, at)->value_inode) != 0) {
            *why = "have a value in an inode (ea_inode)";
            return -EXT2DAX_EOPNOTSUPP;
        }
        area->last = at;
        at += e2d_xattr_length(e2d_xattr_at(area, at)->name_length);
        if (area->size - at < 4)
            *why = "pass the end of their space";
    }
    area->end = at;
    if (!*why && area->low < at + 4)
        *why = "have a value among the names";
    return *why ? -EXT2DAX_EUCLEAN : 0;
}

/* Orders names as in a block, by index, then length, then bytes. */
static int compare(const struct e2d_xattr_entry *entry, const struct e2d_xattr_name *name)
{
    if (entry->index != name->index)
        return entry->index < name->index ? -1 : 1;
    if (entry->name_length != name->length)
        return entry->name_length < name->length ? -1 : 1;
    return memcmp(e2d_xattr_name(entry), name->name, name->length);
}

struct e2d_xattr_entry *e2d_xattr_find(const struct e2d_xattr_area *area, const struct e2d_xattr_name *name)
{
    struct e2d_xattr_entry *entry;

    if (!area->base)
        return NULL;
    for (uint32_t at = area->first; at < area->end; at += e2d_xattr_length(entry->name_length)) {
        entry = e2d_xattr_at(area, at);
        if (compare(entry, name) == 0)
            return entry;
    }
    return NULL;
}

/* Returns the lowest offset of a value in [from, to), or `to` if the range holds none. */
static uint32_t value_in(const struct e2d_xattr_area *area, uint32_t from, uint32_t to)
{
    const struct e2d_xattr_entry *entry;
    uint32_t lowest = to;

    for (uint32_t at = area->first; at < area->end; at += e2d_xattr_length(entry->name_length)) {
        uint32_t offset, size;

        entry = e2d_xattr_at(area, at);
        offset = e2d_get16(entry->value_offset);
        size = e2d_get32(entry->value_size);
        if (size != 0 && offset < to && offset + size > from)
            lowest = e2d_min32(lowest, offset);
    }
    return lowest;
}

bool e2d_xattr_room(const struct e2d_xattr_area *area, uint32_t length, uint32_t size, uint32_t *offset)
{
    uint32_t from = area->end + length + 4, top = area->size & ~3u, lowest;

    *offset = 0;
    if (!area->base || from > area->low || from > top || size > top - from)
        return false;
    if (size == 0)
        return true;
    size = e2d_xattr_padded(size);
    /* Each turn ends at or below the value that was in the way. */
    while (top >= from && top - from >= size) {
        lowest = value_in(area, top - size, top);
        if (lowest == top) {
            *offset = top - size;
            return true;
        }
        top = lowest & ~3u;
    }
    return false;
}

/* ---- a new block ---- */

void e2d_xattr_begin(struct e2d_xattr_area *area, void *buffer, uint32_t block_size)
{
    memset(buffer, 0, block_size);
    area->base = buffer;
    area->first = area->last = area->end = sizeof(struct e2d_xattr_header);
    area->low = area->size = block_size;
}

/*
 * Returns the place of a name among the entries. *top receives the end of the space for values at
 * or after this place.
 */
static uint32_t place_of(const struct e2d_xattr_area *area, const struct e2d_xattr_name *name, uint32_t *top)
{
    uint32_t at = area->first;

    *top = area->low;
    /* Names usually arrive in order. */
    if (area->end > area->first && compare(e2d_xattr_at(area, area->last), name) < 0)
        return area->end;
    *top = area->size;
    while (at < area->end && compare(e2d_xattr_at(area, at), name) < 0) {
        *top -= e2d_xattr_padded(e2d_get32(e2d_xattr_at(area, at)->value_size));
        at += e2d_xattr_length(e2d_xattr_at(area, at)->name_length);
    }
    return at;
}

/* Moves the values of the entries from `at` on down by `by` bytes. The values end at `top`. */
static void move_values(struct e2d_xattr_area *area, uint32_t at, uint32_t top, uint32_t by)
{
    memmove(area->base + area->low - by, area->base + area->low, top - area->low);
    area->low -= by;
    while (at < area->end) {
        struct e2d_xattr_entry *entry = e2d_xattr_at(area, at);

        if (e2d_get32(entry->value_size) != 0)
            entry->value_offset = e2d_le16(e2d_get16(entry->value_offset) - by);
        at += e2d_xattr_length(entry->name_length);
    }
}

bool e2d_xattr_insert(struct e2d_xattr_area *to, const struct e2d_xattr_name *name, const void *value, uint32_t size)
{
    uint32_t length = e2d_xattr_length(name->length), padded = e2d_xattr_padded(size), at, top;
    struct e2d_xattr_entry *entry;

    at = place_of(to, name, &top);
    entry = e2d_xattr_at(to, at);
    if (at < to->end && compare(entry, name) == 0)
        return true;
    if (size > to->size || to->low - to->end - 4 < length + padded)
        return false;
    move_values(to, at, top, padded);
    memmove(to->base + at + length, entry, to->end - at);
    to->last = at == to->end ? at : to->last + length;
    to->end += length;
    memset(entry, 0, length);
    entry->name_length = name->length;
    entry->index = name->index;
    entry->value_size = e2d_le32(size);
    memcpy(entry + 1, name->name, name->length);
    if (size == 0)
        return true;
    top -= padded;
    entry->value_offset = e2d_le16(top);
    memset(to->base + top + padded - 4, 0, 4);
    memcpy(to->base + top, value, size);
    return true;
}

bool e2d_xattr_insert_all(struct e2d_xattr_area *to, const struct e2d_xattr_area *from,
                          const struct e2d_xattr_name *but)
{
    const struct e2d_xattr_entry *entry;

    if (!from->base)
        return true;
    for (uint32_t at = from->first; at < from->end; at += e2d_xattr_length(entry->name_length)) {
        struct e2d_xattr_name name;

        entry = e2d_xattr_at(from, at);
        name = (struct e2d_xattr_name){e2d_xattr_name(entry), entry->name_length, entry->index};
        if (entry->index != E2D_XATTR_NONE && compare(entry, but) != 0 &&
            !e2d_xattr_insert(to, &name, from->base + e2d_get16(entry->value_offset), e2d_get32(entry->value_size)))
            return false;
    }
    return true;
}

/* Bytes of the name count as unsigned. e2fsck accepts either. */
static uint32_t hash_entry(const struct e2d_xattr_area *area, const struct e2d_xattr_entry *entry)
{
    const struct ext2dax_le32 *word = (const void *)(area->base + e2d_get16(entry->value_offset));
    const unsigned char *name = (const unsigned char *)(entry + 1);
    uint32_t hash = 0;

    for (uint32_t i = 0; i < entry->name_length; i++)
        hash = (hash << NAME_SHIFT | hash >> (32 - NAME_SHIFT)) ^ name[i];
    for (uint32_t size = e2d_xattr_padded(e2d_get32(entry->value_size)); size != 0; size -= 4)
        hash = (hash << VALUE_SHIFT | hash >> (32 - VALUE_SHIFT)) ^ e2d_get32(*word++);
    return hash;
}

void e2d_xattr_seal(struct e2d_xattr_area *area)
{
    struct e2d_xattr_header *header = (void *)area->base;
    uint32_t hash = 0, each = 1;

    for (uint32_t at = area->first; at < area->end;) {
        struct e2d_xattr_entry *entry = e2d_xattr_at(area, at);

        each = hash_entry(area, entry);
        entry->hash = e2d_le32(each);
        if (each == 0)
            break;
        hash = (hash << BLOCK_SHIFT | hash >> (32 - BLOCK_SHIFT)) ^ each;
        at += e2d_xattr_length(entry->name_length);
    }
    header->magic = e2d_le32(E2D_XATTR_MAGIC);
    header->references = header->blocks = e2d_le32(1);
    header->hash = e2d_le32(each != 0 ? hash : 0);
}
