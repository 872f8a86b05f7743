/* SPDX-License-Identifier: MIT */
/* The model of xattr.h. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_HEADER 16u /* bytes of an entry before the name */
#define BLOCK_HEADER 32u /* bytes of a block before the first entry */
#define LAST_ENTRY   4u  /* bytes that end the entries */
#define XATTR_BLOCKS 4u  /* blocks that an attribute may need */

/* Returns the bytes of the prefix of a name, or 0 for a name without a known prefix. */
static size_t prefix_of(const char *name, size_t length)
{
    static const char *const prefixes[] = {"user.", "trusted.", "security."};
    static const char *const whole[] = {"system.posix_acl_access", "system.posix_acl_default"};

    for (unsigned i = 0; i < 2; i++) {
        if (length == strlen(whole[i]) && memcmp(name, whole[i], length) == 0)
            return length;
    }
    for (unsigned i = 0; i < 3; i++) {
        size_t bytes = strlen(prefixes[i]);

        if (length >= bytes && memcmp(name, prefixes[i], bytes) == 0)
            return bytes;
    }
    return 0;
}

static int check_name(const char *name, size_t length)
{
    size_t prefix = prefix_of(name, length);

    if (length == 0 || memchr(name, '\0', length))
        return -EXT2DAX_EINVAL;
    if (prefix == 0)
        return -EXT2DAX_EOPNOTSUPP;
    if (length - prefix > EXT2DAX_NAME_MAX)
        return -EXT2DAX_EINVAL;
    return length == prefix && strncmp(name, "system.", 7) != 0 ? -EXT2DAX_EINVAL : 0;
}

static size_t padded(size_t bytes)
{
    return (bytes + 3) & ~(size_t)3;
}

static size_t bytes_of(const struct node_attribute *attribute)
{
    return ENTRY_HEADER + padded(attribute->length - prefix_of(attribute->name, attribute->length)) +
           padded(attribute->size);
}

/*
 * Judges ENOSPC for a node whose attributes after the change are those of `node`. Attributes that
 * fit a single block fit always, wherever the others lie.
 */
static void check_full(struct model *model, const struct node *node, const char *name, size_t length, size_t size,
                       const struct outcome *seen)
{
    struct node_attribute added = {.length = length, .size = size};
    size_t bytes = BLOCK_HEADER + LAST_ENTRY;

    memcpy(added.name, name, length);
    bytes += bytes_of(&added);
    for (size_t i = 0; i < node->attribute_count; i++) {
        const struct node_attribute *attribute = &node->attributes[i];

        if (attribute->length != length || memcmp(attribute->name, name, length) != 0)
            bytes += bytes_of(attribute);
    }
    if (bytes <= model->kind->block_size)
        (void)model_full(model, seen, XATTR_BLOCKS);
}

/* The checks of a change, in the order of the library. */
static int may_change(const struct model *model, const struct node *node)
{
    if (model->read_only)
        return -EXT2DAX_EROFS;
    return (node->flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0 ? -EXT2DAX_EPERM : 0;
}

static int64_t get(struct model *model, const struct call *call, struct outcome *expected)
{
    const struct node *node = model->slot[call->slot];
    const struct node_attribute *attribute;
    char name[NAME_ROOM];
    size_t length = xattr_text(call->name, name);
    int error = check_name(name, length);

    if (error != 0)
        return error;
    attribute = node_attribute(node, name, length);
    if (!attribute)
        return -EXT2DAX_ENODATA;
    if (call->length == 0)
        return (int64_t)attribute->size;
    if (call->length < attribute->size)
        return -EXT2DAX_ERANGE;
    expected->count = attribute->size;
    memcpy(expected->bytes, attribute->value, attribute->size);
    return (int64_t)attribute->size;
}

static int64_t set(struct model *model, const struct call *call, const struct outcome *seen)
{
    static unsigned char value[VALUE_ROOM];
    struct node *node = model->slot[call->slot];
    const unsigned known = EXT2DAX_XATTR_CREATE | EXT2DAX_XATTR_REPLACE;
    char name[NAME_ROOM];
    size_t length = xattr_text(call->name, name), size = xattr_value(call, value);
    int error = (call->flags & ~known) != 0 ? -EXT2DAX_EINVAL : check_name(name, length);

    if (error == 0)
        error = may_change(model, node);
    if (error != 0)
        return error;
    if ((call->flags & EXT2DAX_XATTR_CREATE) != 0 && node_attribute(node, name, length) &&
        !mistaken(MISTAKE_CREATE_ERASES_XATTR))
        return -EXT2DAX_EEXIST;
    if ((call->flags & EXT2DAX_XATTR_REPLACE) != 0 && !node_attribute(node, name, length))
        return -EXT2DAX_ENODATA;
    if (seen->result == -EXT2DAX_ENOSPC) {
        check_full(model, node, name, length, size, seen);
        return -EXT2DAX_ENOSPC;
    }
    node_set_attribute(node, name, length, value, size);
    model_set_times(model, node, false);
    return 0;
}

static int64_t list(struct model *model, const struct call *call, struct outcome *expected)
{
    const struct node *node = model->slot[call->slot];
    size_t length = 0;

    for (size_t i = 0; i < node->attribute_count; i++)
        length += node->attributes[i].length + 1;
    if (call->length == 0)
        return (int64_t)length;
    if (call->length < length)
        return -EXT2DAX_ERANGE;
    /* The order is a choice of the library, so the names are compared as a listing. */
    for (size_t i = 0; i < node->attribute_count; i++) {
        struct listed *listed = &expected->list[expected->listed++];

        memset(listed, 0, sizeof(*listed));
        memcpy(listed->name, node->attributes[i].name, node->attributes[i].length);
        listed->length = node->attributes[i].length;
    }
    return (int64_t)length;
}

static int64_t remove_attribute(struct model *model, const struct call *call, const struct outcome *seen)
{
    struct node *node = model->slot[call->slot];
    struct node_attribute *attribute;
    char name[NAME_ROOM];
    size_t length = xattr_text(call->name, name);
    int error = check_name(name, length);

    if (error == 0)
        error = may_change(model, node);
    if (error != 0)
        return error;
    attribute = node_attribute(node, name, length);
    if (!attribute)
        return -EXT2DAX_ENODATA;
    /* The attributes which remain in a block go to a new block. */
    if (seen->result == -EXT2DAX_ENOSPC && node->attribute_count > 1) {
        (void)model_full(model, seen, XATTR_BLOCKS);
        return -EXT2DAX_ENOSPC;
    }
    node_drop_attribute(node, attribute);
    model_set_times(model, node, false);
    return 0;
}

int64_t model_play_xattr(struct model *model, const struct call *call, const struct outcome *seen,
                         struct outcome *expected)
{
    switch (call->kind) {
    case CALL_GETXATTR:
        return get(model, call, expected);
    case CALL_SETXATTR:
        return set(model, call, seen);
    case CALL_LISTXATTR:
        return list(model, call, expected);
    default:
        return remove_attribute(model, call, seen);
    }
}
