/* SPDX-License-Identifier: MIT */
/*
 * Conversion of ACLs. getxattr and setxattr use version 2 of a form with 8 bytes per entry. The
 * image has version 1, in which only entries of a named user or group have an id. All fields are
 * little-endian in both forms, and may be unaligned in the buffer of a caller.
 */
#include "names/xattr.h"

#include "base/caller.h"

#define CALL_VERSION 2u
#define DISK_VERSION 1u
#define HEADER       4u /* bytes of the version */
#define SHORT_ENTRY  4u /* tag and permissions */
#define LONG_ENTRY   8u /* tag, permissions and id */
#define PERMISSIONS  7u
#define NO_ID        UINT32_MAX

/* Tags of entries, in the order of the entries. */
#define USER_OBJ  0x01u
#define USER      0x02u
#define GROUP_OBJ 0x04u
#define GROUP     0x08u
#define MASK      0x10u
#define OTHER     0x20u

static uint32_t get16(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}
static uint32_t get32(const unsigned char *at)
{
    return get16(at) | get16(at + 2) << 16;
}
static void put16(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}
static void put32(unsigned char *at, uint32_t value)
{
    put16(at, value & 0xFFFFu);
    put16(at + 2, value >> 16);
}

static bool has_id(uint32_t tag)
{
    return tag == USER || tag == GROUP;
}

/*
 * Checks an entry after entries with the tags in `seen`. Entries are in the order of tags. Only
 * USER and GROUP may repeat.
 */
static bool entry_good(uint32_t seen, uint32_t tag, uint32_t permissions, uint32_t id)
{
    if (tag == 0 || tag > OTHER || (tag & (tag - 1)) != 0 || (permissions & ~PERMISSIONS) != 0)
        return false;
    if (has_id(tag))
        return seen < tag << 1 && id != NO_ID;
    return seen < tag;
}

/* Returns whether the tags are a whole ACL. Entries with an id need a mask. */
static bool whole(uint32_t seen)
{
    const uint32_t required = USER_OBJ | GROUP_OBJ | OTHER;

    return (seen & required) == required && ((seen & (USER | GROUP)) == 0 || (seen & MASK) != 0);
}

int64_t e2d_acl_to_disk(void *at, size_t size)
{
    unsigned char *acl = at;
    uint32_t seen = 0;
    int64_t length = HEADER;

    if (size < HEADER || (size - HEADER) % LONG_ENTRY != 0 || get32(acl) != CALL_VERSION)
        return -EXT2DAX_EINVAL;
    put32(acl, DISK_VERSION);
    for (const unsigned char *entry = acl + HEADER; entry < acl + size; entry += LONG_ENTRY) {
        uint32_t tag = get16(entry), bytes = has_id(tag) ? LONG_ENTRY : SHORT_ENTRY;

        if (!entry_good(seen, tag, get16(entry + 2), get32(entry + 4)))
            return -EXT2DAX_EINVAL;
        seen |= tag;
        memmove(acl + length, entry, bytes);
        length += bytes;
    }
    return whole(seen) ? length : -EXT2DAX_EINVAL;
}

int64_t e2d_acl_from_disk(struct ext2dax_mount *m, const void *from, size_t size, void *to_caller)
{
    const unsigned char *in = from;
    unsigned char *out = to_caller, piece[LONG_ENTRY];
    int64_t length = HEADER;

    if (size < HEADER || get32(in) != DISK_VERSION)
        return -EXT2DAX_EUCLEAN;
    put32(piece, CALL_VERSION);
    if (out && e2d_to_caller(m, out, piece, HEADER) != HEADER)
        return -EXT2DAX_EFAULT;
    for (size_t at = HEADER; at < size; length += LONG_ENTRY) {
        uint32_t bytes = SHORT_ENTRY;

        if (size - at >= SHORT_ENTRY && has_id(get16(in + at)))
            bytes = LONG_ENTRY;
        if (size - at < bytes)
            return -EXT2DAX_EUCLEAN;
        put32(piece + SHORT_ENTRY, NO_ID);
        memcpy(piece, in + at, bytes);
        if (out && e2d_to_caller(m, out + length, piece, LONG_ENTRY) != LONG_ENTRY)
            return -EXT2DAX_EFAULT;
        at += bytes;
    }
    return length;
}
