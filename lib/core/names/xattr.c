/* SPDX-License-Identifier: MIT */
/*
 * The calls on extended attributes.
 *
 * A new attribute goes to the inode where the inode has room, else to the block. A replaced
 * attribute stays where the attribute is, if possible. A change in the inode which no single store
 * can publish (a value of another size, or the removal of an entry before the last) moves the
 * attributes from this entry on to a new block. The pointer to the block is durable before the
 * entries are removed from the inode. A crash between the two leaves the old attributes, because an
 * attribute in the inode hides the same name in the block.
 */
#include "ext2dax/xattr.h"

#include "alloc/shared.h"
#include "base/caller.h"
#include "base/internal.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "disk/times.h"
#include "file/write_access.h"
#include "names/xattr.h"
#include "base/skips.h"

#define NAME_MOST 255u /* bytes after the prefix */

struct prefix {
    uint8_t index, length;
    bool whole; /* the name ends here */
    char text[24];
};

static const struct prefix prefixes[] = {
    {E2D_XATTR_USER, 5, false, "user."},
    {E2D_XATTR_TRUSTED, 8, false, "trusted."},
    {E2D_XATTR_SECURITY, 9, false, "security."},
    {E2D_XATTR_ACL_ACCESS, 23, true, "system.posix_acl_access"},
    {E2D_XATTR_ACL_DEFAULT, 24, true, "system.posix_acl_default"},
};
#define PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

/* A modification of the attributes of an inode. */
struct change {
    struct ext2dax_inode *inode;
    struct e2d_xattr_name name;
    struct e2d_xattr_value value;
    struct e2d_xattrs x;
    struct e2d_time now;
    bool hides; /* before the change */
};

static bool is_acl(const struct e2d_xattr_name *name)
{
    return name->index == E2D_XATTR_ACL_ACCESS || name->index == E2D_XATTR_ACL_DEFAULT;
}

static int parse(const char *name, size_t length, struct e2d_xattr_name *parsed)
{
    if (length == 0)
        return -EXT2DAX_EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '\0')
            return -EXT2DAX_EINVAL;
    }
    for (size_t i = 0; i < PREFIXES; i++) {
        const struct prefix *prefix = &prefixes[i];

        if (length < prefix->length || memcmp(name, prefix->text, prefix->length) != 0)
            continue;
        length -= prefix->length;
        if (prefix->whole && length != 0)
            continue;
        if (!prefix->whole && (length == 0 || length > NAME_MOST))
            return -EXT2DAX_EINVAL;
        *parsed = (struct e2d_xattr_name){name + prefix->length, (uint8_t)length, prefix->index};
        return 0;
    }
    return -EXT2DAX_EOPNOTSUPP;
}

/* ---- reading ---- */

static int open_both(struct ext2dax_inode *inode, struct e2d_xattrs *x)
{
    int rc = e2d_xattr_inode_open(inode, x);

    return rc != 0 ? rc : e2d_xattr_block_open(inode, x);
}

static int64_t copy_value(struct ext2dax_inode *inode, const struct e2d_xattr_area *area,
                          const struct e2d_xattr_entry *entry, const struct e2d_xattr_name *name, void *buffer,
                          size_t size)
{
    const unsigned char *from = area->base + e2d_get16(entry->value_offset);
    uint32_t length = e2d_get32(entry->value_size);
    int64_t whole = is_acl(name) ? e2d_acl_from_disk(inode->mount, from, length, NULL) : (int64_t)length;

    if (whole < 0)
        return e2d_inode_corrupt(inode, "ACL", length, "is no ACL of version 1");
    if (size == 0)
        return whole;
    if ((uint64_t)whole > size)
        return -EXT2DAX_ERANGE;
    if (is_acl(name))
        return e2d_acl_from_disk(inode->mount, from, length, buffer);
    if (length != 0 && e2d_to_caller(inode->mount, buffer, from, length) != length)
        return -EXT2DAX_EFAULT;
    return whole;
}

int64_t ext2dax_getxattr(struct ext2dax_inode *inode, const char *name, size_t name_length, void *buffer, size_t size)
{
    struct ext2dax_mount *m = inode->mount;
    const struct e2d_xattr_entry *entry;
    struct e2d_xattr_name wanted;
    struct e2d_xattrs x;
    int64_t answer = parse(name, name_length, &wanted);

    if (answer != 0)
        return answer;
    e2d_read_lock(m, &inode->io);
    answer = open_both(inode, &x);
    if (answer != 0)
        goto out;
    entry = e2d_xattr_find(&x.in_inode, &wanted);
    if (entry) {
        answer = copy_value(inode, &x.in_inode, entry, &wanted, buffer, size);
        goto out;
    }
    entry = e2d_xattr_find(&x.in_block, &wanted);
    answer = entry ? copy_value(inode, &x.in_block, entry, &wanted, buffer, size) : -EXT2DAX_ENODATA;
out:
    e2d_read_unlock(m, &inode->io);
    return answer;
}

/* Returns the prefix of an attribute to be listed, or NULL. */
static const struct prefix *prefix_of(const struct e2d_xattr_entry *entry)
{
    for (size_t i = 0; i < PREFIXES; i++) {
        if (prefixes[i].index == entry->index && prefixes[i].whole == (entry->name_length == 0))
            return &prefixes[i];
    }
    return NULL;
}

/* A list of names in the buffer of a caller. */
struct list {
    struct ext2dax_mount *m;
    char *buffer;
    size_t size;   /* bytes of the buffer to be used */
    size_t length; /* bytes of all names so far */
    bool faulted;  /* the buffer is not accessible */
};

static void put(struct list *list, const void *from, size_t bytes)
{
    if (e2d_to_caller(list->m, list->buffer + list->length, from, bytes) != bytes)
        list->faulted = true;
    list->length += bytes;
}

/*
 * Adds the names of an area to the list, except names in `hiding`. Copies only names which end
 * within the size.
 */
static void list_area(struct list *list, const struct e2d_xattr_area *area, const struct e2d_xattr_area *hiding)
{
    const struct e2d_xattr_entry *entry;

    for (uint32_t at = area->first; at < area->end; at += e2d_xattr_length(entry->name_length)) {
        const struct prefix *prefix;
        struct e2d_xattr_name name;
        size_t ends;

        entry = e2d_xattr_at(area, at);
        prefix = prefix_of(entry);
        name = (struct e2d_xattr_name){e2d_xattr_name(entry), entry->name_length, entry->index};
        if (!prefix || (hiding && e2d_xattr_find(hiding, &name)))
            continue;
        ends = list->length + prefix->length + name.length + 1;
        if (ends <= list->size) {
            put(list, prefix->text, prefix->length);
            put(list, name.name, name.length);
            put(list, "", 1);
        }
        list->length = ends;
    }
}

int64_t ext2dax_listxattr(struct ext2dax_inode *inode, char *buffer, size_t size)
{
    struct ext2dax_mount *m = inode->mount;
    struct list list = {m, buffer, 0, 0, false};
    struct e2d_xattrs x;
    int64_t answer;

    e2d_read_lock(m, &inode->io);
    answer = open_both(inode, &x);
    /* The first turn measures, the second turn copies into a buffer which is large enough. */
    for (unsigned turn = 0; turn < 2 && answer == 0; turn++) {
        list.length = 0;
        list_area(&list, &x.in_inode, NULL);
        list_area(&list, &x.in_block, &x.in_inode);
        list.size = size;
        if (size == 0)
            break;
        if (list.length > size)
            answer = -EXT2DAX_ERANGE;
        else if (list.faulted)
            answer = -EXT2DAX_EFAULT;
    }
    e2d_read_unlock(m, &inode->io);
    return answer != 0 ? answer : (int64_t)list.length;
}

/* ---- changing ---- */

/* Returns whether the area has an attribute of the same name. */
static bool has_name(const struct e2d_xattr_area *area, const struct e2d_xattr_entry *entry)
{
    const struct e2d_xattr_name name = {e2d_xattr_name(entry), entry->name_length, entry->index};

    return entry->index != E2D_XATTR_NONE && e2d_xattr_find(area, &name) != NULL;
}

/*
 * Replaces the block by a block without the attributes which attributes of the inode hide. Without
 * memory, or room for another block, nothing changes.
 */
static void drop_hidden(struct change *c)
{
    struct ext2dax_mount *m = c->inode->mount;
    struct e2d_xattr_area content, *old = &c->x.in_block;
    const struct e2d_xattr_entry *entry;
    void *buffer = e2d_alloc(m, m->block_size);
    bool fits = true;

    if (!buffer)
        return;
    e2d_xattr_begin(&content, buffer, m->block_size);
    for (uint32_t at = old->first; at < old->end && fits; at += e2d_xattr_length(entry->name_length)) {
        struct e2d_xattr_name name;

        entry = e2d_xattr_at(old, at);
        name = (struct e2d_xattr_name){e2d_xattr_name(entry), entry->name_length, entry->index};
        fits =
            has_name(&c->x.in_inode, entry) ||
            e2d_xattr_insert(&content, &name, old->base + e2d_get16(entry->value_offset), e2d_get32(entry->value_size));
    }
    if (fits) {
        e2d_xattr_seal(&content);
        (void)e2d_xattr_block_set(c->inode, content.end > content.first ? buffer : NULL, c->now);
    }
    e2d_release(m, buffer, m->block_size);
}

/* Returns whether an attribute of the inode hides one of the block, as a crash leaves them. */
static bool hides(const struct e2d_xattrs *x)
{
    const struct e2d_xattr_area *area = &x->in_inode;
    const struct e2d_xattr_entry *entry;

    for (uint32_t at = area->first; at < area->end; at += e2d_xattr_length(entry->name_length)) {
        entry = e2d_xattr_at(area, at);
        if (has_name(&x->in_block, entry))
            return true;
    }
    return false;
}

/* Begins the change, and checks what the change relies on. */
static int begin(struct change *c)
{
    struct ext2dax_inode *inode = c->inode;
    struct ext2dax_mount *m = inode->mount;
    int rc = e2d_change_begin(inode, &c->now);

    if (rc != 0)
        return rc;
    if ((e2d_load_le32(&inode->disk->flags) & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0)
        rc = -EXT2DAX_EPERM;
    if (rc == 0)
        rc = open_both(inode, &c->x);
    if (rc == 0)
        rc = e2d_xattr_block_freeable(inode);
    if (rc != 0) {
        e2d_change_end(inode);
        return rc;
    }
    c->hides = hides(&c->x);
    if (c->x.in_block.base)
        e2d_share_remember(m, e2d_get32(((struct e2d_xattr_header *)(void *)c->x.in_block.base)->hash),
                           e2d_load_le32(&inode->disk->file_acl));
    return 0;
}

/*
 * Replaces the block by a block with the change made. The attributes of the inode from `from` on,
 * which may be NULL for none, move to the block and are removed from the inode at the end.
 */
static int change_block(struct change *c, const struct e2d_xattr_entry *from)
{
    struct ext2dax_mount *m = c->inode->mount;
    void *buffer = e2d_alloc(m, m->block_size);
    struct e2d_xattr_area content, moved = c->x.in_inode;
    bool fits = true;
    int rc = -EXT2DAX_ENOSPC;

    if (!buffer)
        return -EXT2DAX_ENOMEM;
    moved.first = from ? (uint32_t)((const unsigned char *)from - moved.base) : moved.end;
    e2d_xattr_begin(&content, buffer, m->block_size);
    fits = e2d_xattr_insert_all(&content, &moved, &c->name);
    if (fits && c->value.bytes)
        fits = e2d_xattr_insert(&content, &c->name, c->value.bytes, c->value.size);
    fits = fits && e2d_xattr_insert_all(&content, &c->x.in_block, &c->name);
    if (fits) {
        e2d_xattr_seal(&content);
        rc = e2d_xattr_block_set(c->inode, content.end > content.first ? buffer : NULL, c->now);
    }
    e2d_release(m, buffer, m->block_size);
    return rc == 0 && from ? e2d_xattr_inode_cut(c->inode, &c->x, moved.first, c->now) : rc;
}

/*
 * Moves an attribute from the block to the inode, for lack of space in the block. On failure
 * nothing has changed, and unused bytes between the attributes have their old content too.
 */
static int move_to_inode(struct change *c, uint32_t offset)
{
    struct ext2dax_mount *m = c->inode->mount;
    const struct e2d_xattr_area *area = &c->x.in_inode;
    const struct e2d_time changed = e2d_time_encode(e2d_load_time(m, c->inode->disk, E2D_CTIME));
    const struct e2d_xattr_value value = c->value;
    const bool used = c->x.used;
    void *saved = e2d_alloc(m, area->size);
    int rc;

    if (!saved)
        return -EXT2DAX_ENOMEM;
    memcpy(saved, area->base, area->size);
    rc = e2d_xattr_inode_add(c->inode, &c->x, &c->name, &value, offset, c->now);
    if (rc == 0) {
        c->value = (struct e2d_xattr_value){NULL, 0};
        rc = change_block(c, NULL);
        /* The cut is durable before the bytes after the end of the entries are stored. */
        if (rc != 0 && e2d_xattr_inode_cut(c->inode, &c->x, area->last, c->now) == 0 && used) {
            e2d_copy(m, area->base, saved, area->size);
            e2d_store_time(c->inode, E2D_CTIME, changed);
        }
    }
    e2d_release(m, saved, area->size);
    return rc;
}

/*
 * Replaces the value of an attribute of the inode, for lack of space in a block. The value goes
 * where the old value is, or to free space at `offset`. A value of the same name in the block would
 * appear after a crash, and is dropped first. Only here a crash can lose the attribute.
 */
static int rewrite(struct change *c, struct e2d_xattr_entry *entry, bool room, uint32_t offset)
{
    const struct e2d_xattr_value value = c->value;
    int rc = 0;

    if (e2d_xattr_padded(value.size) <= e2d_xattr_padded(e2d_get32(entry->value_size)))
        offset = e2d_get16(entry->value_offset);
    else if (!room)
        return -EXT2DAX_ENOSPC;
    if (e2d_xattr_find(&c->x.in_block, &c->name)) {
        c->value = (struct e2d_xattr_value){NULL, 0};
        rc = change_block(c, NULL);
    }
    return rc == 0 ? e2d_xattr_inode_rewrite(c->inode, &c->x, entry, &value, offset, c->now) : rc;
}

/* Returns whether the entry, which may be NULL, has the value already. */
static bool has_value(const struct e2d_xattr_area *area, const struct e2d_xattr_entry *entry,
                      const struct e2d_xattr_value *value)
{
    return entry && e2d_get32(entry->value_size) == value->size &&
           (value->size == 0 || memcmp(area->base + e2d_get16(entry->value_offset), value->bytes, value->size) == 0);
}

static int set(struct change *c, unsigned flags)
{
    struct e2d_xattr_entry *entry = e2d_xattr_find(&c->x.in_inode, &c->name);
    struct e2d_xattr_entry *in_block = entry ? NULL : e2d_xattr_find(&c->x.in_block, &c->name);
    uint32_t offset;
    bool room;
    int rc;

    if ((flags & EXT2DAX_XATTR_CREATE) != 0 && (entry || in_block))
        return -EXT2DAX_EEXIST;
    if ((flags & EXT2DAX_XATTR_REPLACE) != 0 && !entry && !in_block)
        return -EXT2DAX_ENODATA;
    if (has_value(&c->x.in_inode, entry, &c->value) || has_value(&c->x.in_block, in_block, &c->value)) {
        e2d_store_times(c->inode, c->now, false);
        return 0;
    }
    room = e2d_xattr_room(&c->x.in_inode, entry ? 0 : e2d_xattr_length(c->name.length), c->value.size, &offset);
    if (entry && room && e2d_get32(entry->value_size) == c->value.size && e2d_get32(entry->hash) == 0)
        return e2d_xattr_inode_change(c->inode, &c->x, entry, &c->value, offset, c->now);
    if (entry) {
        rc = change_block(c, entry);
        return rc == -EXT2DAX_ENOSPC ? rewrite(c, entry, room, offset) : rc;
    }
    if (room && !in_block)
        return e2d_xattr_inode_add(c->inode, &c->x, &c->name, &c->value, offset, c->now);
    rc = change_block(c, NULL);
    return rc == -EXT2DAX_ENOSPC && room ? move_to_inode(c, offset) : rc;
}

/* Returns whether only removed entries follow the entry. */
static bool is_last(const struct e2d_xattr_area *area, const struct e2d_xattr_entry *entry)
{
    uint32_t at = (uint32_t)((const unsigned char *)entry - area->base);

    while ((at += e2d_xattr_length(entry->name_length)) < area->end) {
        entry = e2d_xattr_at(area, at);
        if (entry->index != E2D_XATTR_NONE)
            return false;
    }
    return true;
}

static int remove_attribute(struct change *c)
{
    const struct e2d_xattr_area *area = &c->x.in_inode;
    struct e2d_xattr_entry *entry = e2d_xattr_find(area, &c->name);
    bool in_block = e2d_xattr_find(&c->x.in_block, &c->name) != NULL;
    int rc = 0;

    if (!entry && !in_block)
        return -EXT2DAX_ENODATA;
    if (entry && !is_last(area, entry)) {
        rc = change_block(c, entry);
        if (rc != -EXT2DAX_ENOSPC)
            return rc;
        rc = in_block ? change_block(c, NULL) : 0;
        return rc == 0 ? e2d_xattr_inode_bury(c->inode, entry, c->now) : rc;
    }
    if (in_block)
        rc = change_block(c, NULL);
    if (rc != 0 || !entry)
        return rc;
    return e2d_xattr_inode_cut(c->inode, &c->x, (uint32_t)((unsigned char *)entry - area->base), c->now);
}

/*
 * Ends the change. A change made also drops the hidden attributes. Otherwise a driver that removes
 * the attribute from the inode alone would bring the hidden value back. The caller's change is
 * durable by then, so a failure leaves the hidden attributes for the next change.
 */
static int finish(struct change *c, int rc)
{
    if (rc == 0 && c->hides && open_both(c->inode, &c->x) == 0 && hides(&c->x))
        drop_hidden(c);
    e2d_change_end(c->inode);
    return rc;
}

/* Sets the value given in the form of the image. */
static int set_value(struct change *c, unsigned flags)
{
    int rc = begin(c);

    if (rc != 0)
        return rc;
    return finish(c, set(c, flags));
}

/*
 * Sets a copy of the value. The memory of the caller is read once and under no lock, because the
 * memory may be a mapping which cannot be accessed, or which another thread is changing.
 */
static int set_copy(struct change *c, const void *value, size_t size, unsigned flags)
{
    struct ext2dax_mount *m = c->inode->mount;
    void *copy = e2d_alloc(m, size);
    int64_t length = (int64_t)size;
    int rc;

    if (!copy)
        return -EXT2DAX_ENOMEM;
    if (e2d_from_caller(m, copy, value, size) != size)
        length = -EXT2DAX_EFAULT;
    else if (is_acl(&c->name))
        length = e2d_acl_to_disk(copy, size);
    rc = (int)length;
    if (length >= 0) {
        c->value = (struct e2d_xattr_value){copy, (uint32_t)e2d_min64((uint64_t)length, m->block_size)};
        rc = set_value(c, flags);
    }
    e2d_release(m, copy, size);
    return rc;
}

int ext2dax_setxattr(struct ext2dax_inode *inode, const char *name, size_t name_length, const void *value, size_t size,
                     unsigned flags)
{
    struct change c = {.inode = inode};
    int rc = parse(name, name_length, &c.name);

    if ((flags & ~(EXT2DAX_XATTR_CREATE | EXT2DAX_XATTR_REPLACE)) != 0)
        rc = -EXT2DAX_EINVAL;
    if (rc != 0)
        return rc;
    if (size == 0 && is_acl(&c.name))
        return -EXT2DAX_EINVAL;
    if (size == 0) {
        c.value = (struct e2d_xattr_value){"", 0};
        return set_value(&c, flags);
    }
    /* A value as long as a block fits nowhere, so a longer value is only cut. */
    if (!is_acl(&c.name))
        size = (size_t)e2d_min64(size, inode->mount->block_size);
    return set_copy(&c, value, size, flags);
}

int ext2dax_removexattr(struct ext2dax_inode *inode, const char *name, size_t name_length)
{
    struct change c = {.inode = inode};
    int rc = parse(name, name_length, &c.name);

    if (rc == 0)
        rc = begin(&c);
    if (rc != 0)
        return rc;
    return finish(&c, remove_attribute(&c));
}
