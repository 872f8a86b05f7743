/* SPDX-License-Identifier: MIT */
/* The texts and bytes that the numbers of a call stand for. */
#include "call.h"

#include <stdio.h>
#include <string.h>

#include "ext2dax/name.h"
#include "ext2dax/ondisk.h"

uint8_t call_counted(const struct call *call)
{
    bool is_other = call->kind == CALL_RENAME && (call->flags & EXT2DAX_RENAME_EXCHANGE) == 0;

    return is_other ? call->other : call->slot;
}

const char *call_name(enum call_kind kind)
{
    static const char *const names[] = {
#define CALL_TEXT(name, text) text,
        CALLS(CALL_TEXT)
#undef CALL_TEXT
    };

    return names[kind];
}

static size_t repeated(char *text, char byte, size_t length)
{
    memset(text, byte, length);
    text[length] = '\0';
    return length;
}

size_t name_text(unsigned number, char text[NAME_ROOM])
{
    static const char *const fixed[] = {"", ".", "..", "a/b", "", "", "lost+found"};
    size_t length;

    if (number == NAME_NUL) {
        memcpy(text, "a\0b", 4);
        return 3;
    }
    if (number == NAME_TOO_LONG)
        return repeated(text, 't', EXT2DAX_NAME_MAX + 1);
    if (number >= NAME_LONGEST && number < NAME_ORDINARY)
        return repeated(text, (char)('A' + (int)(number - NAME_LONGEST)), EXT2DAX_NAME_MAX);
    if (number < NAME_LONGEST)
        return (size_t)snprintf(text, NAME_ROOM, "%s", fixed[number]);
    length = (size_t)snprintf(text, NAME_ROOM, "n%u", number - NAME_ORDINARY);
    /* Lengths differ, so that a name removed does not always leave room for the next name. */
    if (number % 3 == 0)
        length += repeated(text + length, '-', (size_t)(number * 7 % 60));
    return length;
}

size_t path_text(const struct call_path *path, char text[PATH_ROOM])
{
    size_t length = 0;

    if (path->absolute)
        text[length++] = '/';
    for (unsigned i = 0; i < path->dots; i++) {
        text[length++] = '.';
        text[length++] = '/';
    }
    for (unsigned i = 0; i < path->count; i++) {
        if (i != 0)
            text[length++] = '/';
        if (i != 0 && path->slashes)
            text[length++] = '/';
        length += name_text(path->name[i], text + length);
    }
    if (path->slashes)
        text[length++] = '/';
    text[length] = '\0';
    return length;
}

size_t xattr_text(unsigned number, char text[NAME_ROOM])
{
    static const char *const prefixes[] = {"user.", "trusted.", "security."};

    switch (number) {
    case XATTR_EMPTY:
        text[0] = '\0';
        return 0;
    case XATTR_NUL:
        memcpy(text, "user.a\0b", 9);
        return 8;
    case XATTR_NO_PREFIX:
        return (size_t)snprintf(text, NAME_ROOM, "nonsense.x");
    case XATTR_PREFIX_ONLY:
        return (size_t)snprintf(text, NAME_ROOM, "user.");
    case XATTR_TOO_LONG:
        (void)snprintf(text, NAME_ROOM, "user.");
        return 5 + repeated(text + 5, 't', 256);
    case XATTR_ACL_ACCESS:
        return (size_t)snprintf(text, NAME_ROOM, "system.posix_acl_access");
    case XATTR_ACL_DEFAULT:
        return (size_t)snprintf(text, NAME_ROOM, "system.posix_acl_default");
    case XATTR_LONGEST:
        (void)snprintf(text, NAME_ROOM, "user.");
        return 5 + repeated(text + 5, 'L', 250);
    default:
        return (size_t)snprintf(text, NAME_ROOM, "%sx%u", prefixes[number % 3], number - XATTR_ORDINARY);
    }
}

static unsigned char *put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
    return at + 2;
}

static unsigned char *acl_entry(unsigned char *at, unsigned tag, unsigned permissions, uint32_t id)
{
    at = put16(at, tag);
    at = put16(at, permissions);
    at = put16(at, id & 0xFFFFu);
    return put16(at, id >> 16);
}

/* An ACL in the form of getxattr(). An odd `fill` adds a named user, and the mask for this user. */
static size_t acl_value(uint32_t fill, unsigned char *value)
{
    unsigned char *at = put16(put16(value, 2), 0);

    at = acl_entry(at, 0x01, fill >> 1 & 7, UINT32_MAX);
    if (fill & 1)
        at = acl_entry(at, 0x02, fill >> 4 & 7, 1000 + (fill >> 8 & 0xFF));
    at = acl_entry(at, 0x04, fill >> 7 & 7, UINT32_MAX);
    if (fill & 1)
        at = acl_entry(at, 0x10, 7, UINT32_MAX);
    at = acl_entry(at, 0x20, fill >> 3 & 7, UINT32_MAX);
    return (size_t)(at - value);
}

void call_bytes(const struct call *call, unsigned char *bytes, size_t length)
{
    uint32_t state = call->fill * 2654435761u + 1;

    /* Every tenth contents are zeroes. A zero written is a byte in a block, and no hole. */
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = call->fill % 10 == 0 ? 0 : (unsigned char)(state >> 24);
    }
}

size_t xattr_value(const struct call *call, unsigned char value[VALUE_ROOM])
{
    size_t length = call->length < VALUE_ROOM ? (size_t)call->length : VALUE_ROOM;

    if (call->name == XATTR_ACL_ACCESS || call->name == XATTR_ACL_DEFAULT)
        return acl_value(call->fill, value);
    call_bytes(call, value, length);
    return length;
}
