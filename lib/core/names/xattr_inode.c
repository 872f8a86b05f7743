/* SPDX-License-Identifier: MIT */
/*
 * Attributes in the inode, after the used part and the magic number.
 *
 * Each change is published by a single aligned store of 4 bytes, so a crash leaves the old or the
 * new attributes. A new entry is written after the zero bytes which end the entries. The store of
 * the first 4 bytes of the new entry replaces the zero bytes. A value of the same size is written
 * to free space, and the store of the offset, in the same 4 bytes, switches to the new value. Zero
 * bytes in place of the first 4 bytes of an entry remove the entry and all entries after.
 *
 * The magic number is stored over zero bytes at the first entry, and stays when the last attribute
 * is gone, because Linux takes an area without the number for zeroed.
 *
 * No single store can publish a value of another size, or remove an entry before the last. For such
 * a change, the entries after move to the block first. An entry which has to go without space in a
 * block gets an index without meaning, which Linux and e2fsck skip. A value of another size without
 * space in a block is stored while the entry has such an index, so a crash can lose the attribute.
 */
#include "names/xattr.h"

#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "base/skips.h"

static struct ext2dax_le32 *magic_of(const struct e2d_xattrs *x)
{
    return (void *)(x->in_inode.base - 4);
}

int e2d_xattr_inode_open(struct ext2dax_inode *inode, struct e2d_xattrs *x)
{
    static const char field[] = "attributes in the inode";
    struct ext2dax_mount *m = inode->mount;
    struct e2d_xattr_area *area = &x->in_inode;
    uint32_t extra, fixed = sizeof(*inode->disk);
    const char *why;
    int rc;

    memset(area, 0, sizeof(*area));
    x->used = false;
    rc = e2d_check(m, inode->disk, m->inode_size);
    if (rc != 0 || m->inode_size <= fixed)
        return rc;
    extra = e2d_load_le16(&((struct ext2dax_disk_inode_tail *)(void *)(inode->disk + 1))->extra_isize);
    if (extra == 0)
        return 0;
    if (extra < 4 || (extra & 3) != 0 || extra > m->inode_size - fixed)
        return e2d_inode_corrupt(inode, "i_extra_isize", extra, "is impossible");
    if (m->inode_size - fixed - extra < 8)
        return 0;
    area->base = (unsigned char *)(inode->disk + 1) + extra + 4;
    area->size = m->inode_size - fixed - extra - 4;
    area->low = area->size;
    x->used = e2d_get32(*magic_of(x)) == E2D_XATTR_MAGIC;
    if (!x->used)
        return 0;
    rc = e2d_xattr_check(area, &why);
    if (rc == -EXT2DAX_EUCLEAN)
        return e2d_inode_corrupt(inode, field, area->end, why);
    return rc != 0 ? e2d_complain(m, rc, "inode", inode->number, field, area->end, why) : 0;
}

/* Stores bytes in free space, with zeroes up to a multiple of 4 bytes. */
static void put_padded(struct ext2dax_mount *m, unsigned char *to, const void *bytes, uint32_t size)
{
    uint32_t whole = size & ~3u;
    unsigned char rest[4] = {0};

    if (whole != 0)
        e2d_copy(m, to, bytes, whole);
    if (whole == size)
        return;
    memcpy(rest, (const unsigned char *)bytes + whole, size - whole);
    e2d_copy(m, to + whole, rest, sizeof(rest));
}

/* Returns the first 4 bytes of an entry as a number. */
static uint32_t first_word(uint8_t name_length, uint8_t index, uint32_t offset)
{
    return name_length | (uint32_t)index << 8 | offset << 16;
}

static int publish_word(struct ext2dax_inode *inode, struct ext2dax_le32 *word, uint32_t value, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_store32(m, word, value);
    e2d_store_times(inode, now, false);
    return e2d_order(m, E2D_FENCE_XATTR_ENTRY);
}

/*
 * Makes an unused area an area without entries. The zero bytes which end the entries are durable
 * before the magic number.
 */
static int begin_area(struct ext2dax_mount *m, struct e2d_xattrs *x)
{
    struct ext2dax_le32 *first = (void *)x->in_inode.base;
    int rc = 0;

    if (e2d_get32(*first) != 0) {
        e2d_store32(m, first, 0);
        rc = e2d_order(m, E2D_FENCE_XATTR_BODY);
    }
    if (rc == 0)
        e2d_store32(m, magic_of(x), E2D_XATTR_MAGIC);
    return rc;
}

int e2d_xattr_inode_add(struct ext2dax_inode *inode, struct e2d_xattrs *x, const struct e2d_xattr_name *name,
                        const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_xattr_area *area = &x->in_inode;
    struct e2d_xattr_entry *entry = e2d_xattr_at(area, area->end);
    struct e2d_xattr_entry fresh = {.value_size = e2d_le32(value->size)};
    uint32_t length = e2d_xattr_length(name->length);
    struct ext2dax_le32 *first = (void *)entry, *after = (void *)(area->base + area->end + length);
    int rc = 0;

    e2d_super_ext_attr(m);
    if (!x->used)
        rc = begin_area(m, x);
    if (rc != 0)
        return rc;
    put_padded(m, area->base + offset, value->bytes, value->size);
    e2d_copy(m, first + 1, &fresh.value_inode, sizeof(fresh) - sizeof(*first));
    put_padded(m, (unsigned char *)(entry + 1), name->name, name->length);
    e2d_store32(m, after, 0);
    rc = e2d_order(m, E2D_FENCE_XATTR_BODY);
    if (rc != 0)
        return rc;
    x->used = true;
    area->last = area->end;
    area->end += length;
    return publish_word(inode, first, first_word(name->length, name->index, offset), now);
}

int e2d_xattr_inode_change(struct ext2dax_inode *inode, struct e2d_xattrs *x, struct e2d_xattr_entry *entry,
                           const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now)
{
    int rc;

    put_padded(inode->mount, x->in_inode.base + offset, value->bytes, value->size);
    rc = e2d_order(inode->mount, E2D_FENCE_XATTR_BODY);
    if (rc != 0)
        return rc;
    return publish_word(inode, (void *)entry, first_word(entry->name_length, entry->index, offset), now);
}

int e2d_xattr_inode_cut(struct ext2dax_inode *inode, struct e2d_xattrs *x, uint32_t at, struct e2d_time now)
{
    const struct e2d_xattr_area *area = &x->in_inode;
    const struct e2d_xattr_entry *entry;
    uint32_t end = area->first;

    for (uint32_t each = area->first; each < at;) {
        entry = e2d_xattr_at(area, each);
        each += e2d_xattr_length(entry->name_length);
        if (entry->index != E2D_XATTR_NONE)
            end = each;
    }
    return publish_word(inode, (void *)(area->base + end), 0, now);
}

int(e2d_xattr_inode_bury)(struct ext2dax_inode *inode, struct e2d_xattr_entry *entry, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    /* The offset stays valid until the size is 0. */
    int rc = publish_word(inode, (void *)entry,
                          first_word(entry->name_length, E2D_XATTR_NONE, e2d_get16(entry->value_offset)), now);

    if (rc != 0)
        return rc;
    e2d_store32(m, &entry->value_size, 0);
    return e2d_order(m, E2D_FENCE_XATTR_BODY);
}

int e2d_xattr_inode_rewrite(struct ext2dax_inode *inode, struct e2d_xattrs *x, struct e2d_xattr_entry *entry,
                            const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_le32 *first = (void *)entry;
    const uint8_t index = entry->index;
    int rc = e2d_xattr_inode_bury(inode, entry, now);

    if (rc != 0)
        return rc;
    put_padded(m, x->in_inode.base + offset, value->bytes, value->size);
    e2d_store32(m, first, first_word(entry->name_length, E2D_XATTR_NONE, offset));
    e2d_store32(m, &entry->hash, 0);
    rc = e2d_order(m, E2D_FENCE_XATTR_BODY);
    /* The size comes after the offset. From the old offset the size may reach past the area. */
    if (rc == 0) {
        e2d_store32(m, &entry->value_size, value->size);
        rc = e2d_order(m, E2D_FENCE_XATTR_BODY);
    }
    return rc == 0 ? publish_word(inode, first, first_word(entry->name_length, index, offset), now) : rc;
}
