/* SPDX-License-Identifier: MIT */
/*
 * The extended attributes and ACLs of an entry of an archive, in the form in which Linux passes
 * both to getxattr().
 */
#include "archive_attributes.h"
#include "dax-image.h"

#include <archive.h>
#include <archive_entry.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static void put16(unsigned char *to, unsigned value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
}

static void put32(unsigned char *to, uint32_t value)
{
    put16(to, value & 0xffff);
    put16(to + 2, value >> 16);
}

/* An entry of an ACL in the form of Linux has a tag, permissions and an id. */
struct acl_entry {
    unsigned tag, permissions;
    uint32_t id;
};

#define ACL_USER_TAG  2u
#define ACL_GROUP_TAG 8u
#define ACL_MASK_TAG  16u

static int by_tag(const void *a, const void *b)
{
    const struct acl_entry *x = a, *y = b;

    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static unsigned linux_tag(int tag)
{
    switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
        return 1;
    case ARCHIVE_ENTRY_ACL_USER:
        return ACL_USER_TAG;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
        return 4;
    case ARCHIVE_ENTRY_ACL_GROUP:
        return ACL_GROUP_TAG;
    case ARCHIVE_ENTRY_ACL_MASK:
        return ACL_MASK_TAG;
    default:
        return 32;
    }
}

/*
 * Finds the id of an entry for a user or a group. GNU tar stores a name without a number, unless
 * --numeric-owner is given. The number of such a name comes from the user database of the host.
 */
static bool acl_id(unsigned tag, int qualifier, const char *name, uint32_t *id)
{
    const struct passwd *user;
    const struct group *group;
    char *end;

    *id = UINT32_MAX;
    if (tag != ACL_USER_TAG && tag != ACL_GROUP_TAG)
        return true;
    *id = (uint32_t)qualifier;
    if (qualifier != -1)
        return true;
    if (!name || !*name)
        return false;
    *id = (uint32_t)strtoul(name, &end, 10);
    if (!*end)
        return true;
    if (tag == ACL_USER_TAG && (user = getpwnam(name)))
        *id = user->pw_uid;
    else if (tag == ACL_GROUP_TAG && (group = getgrnam(name)))
        *id = group->gr_gid;
    else
        return false;
    return true;
}

/* Copies the ACL of a type. The group bits of the mode become the mask, as on Linux. */
static int copy_acl(const char *source, struct archive_entry *entry, int kind, const char *name, struct inode *inode,
                    const char *path)
{
    int count = archive_entry_acl_reset(entry, kind), type, permissions, tag, qualifier;
    struct acl_entry *list = count > 0 ? calloc((size_t)count, sizeof(*list)) : NULL;
    unsigned char *value = count > 0 ? malloc(4 + (size_t)count * 8) : NULL;
    bool known = inode_has(inode, name); /* stored as an attribute, too, and with numbers */
    const char *who;
    size_t used = 0;
    int code = 0;

    if (count > 0 && (!list || !value))
        code = out_of_memory();
    while (!code && count > 0 && (int)used < count &&
           archive_entry_acl_next(entry, kind, &type, &permissions, &tag, &qualifier, &who) == ARCHIVE_OK) {
        struct acl_entry *each = &list[used++];
        each->tag = linux_tag(tag);
        each->permissions = (unsigned)permissions & 7;
        if (!known && !acl_id(each->tag, qualifier, who, &each->id))
            code =
                failed(source, "%s: the ACL names %s, unknown here and without a number", path, who ? who : "nobody");
        if (each->tag == ACL_MASK_TAG && kind == ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
            inode->mode = (uint16_t)((inode->mode & ~070u) | each->permissions << 3);
    }
    if (!code && !known && used > (kind == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? 3 : 0)) {
        qsort(list, used, sizeof(*list), by_tag);
        put32(value, 2);
        for (size_t i = 0; i < used; i++) {
            put16(value + 4 + 8 * i, list[i].tag);
            put16(value + 6 + 8 * i, list[i].permissions);
            put32(value + 8 + 8 * i, list[i].id);
        }
        if (!inode_attribute(inode, name, value, 4 + 8 * used))
            code = out_of_memory();
    }
    free(list);
    free(value);
    return code;
}

int archive_attributes(const char *source, struct archive_entry *entry, struct inode *inode, const char *path)
{
    const char *name;
    const void *value;
    size_t size;

    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        /* GNU tar stores ACLs as text, and libarchive offers them as ACLs. */
        if (!strncmp(name, "system.", 7) && strncmp(name, "system.posix_acl_", 17) != 0)
            continue;
        if (strncmp(name, "system.", 7) != 0 && strncmp(name, "user.", 5) != 0 && strncmp(name, "trusted.", 8) != 0 &&
            strncmp(name, "security.", 9) != 0)
            continue;
        if (!inode_attribute(inode, name, value, size))
            return out_of_memory();
    }
    int types = archive_entry_acl_types(entry);
    int code = 0;
    if (types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
        code = copy_acl(source, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", inode, path);
    if (!code && types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT)
        code = copy_acl(source, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", inode, path);
    return code;
}
