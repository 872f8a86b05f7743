/* SPDX-License-Identifier: MIT */
/*
 * Access control lists, as POSIX.1e draft 17 says. The kernel checks access by the lists. This
 * program keeps the list and the permission bits of an inode equal, and lets new inodes inherit.
 *
 * The form of the extended attribute is a version of 4 bytes, then entries of a tag (2 bytes),
 * permissions (2 bytes) and an identity (4 bytes), all little-endian.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 4, ENTRY = 8 };
enum { USER_OWNER = 0x01, USER = 0x02, GROUP_OWNER = 0x04, GROUP = 0x08, MASK = 0x10, OTHER = 0x20 };

static unsigned word(const uint8_t *at)
{
    return (unsigned)at[0] | (unsigned)at[1] << 8;
}

/* The permissions of the three classes. Each points into an ACL, or is NULL. */
struct classes {
    uint8_t *owner, *group, *mask, *other;
    bool extended; /* has entries of further users or groups, or a mask */
};

static int classes_find(uint8_t *bytes, size_t size, struct classes *classes)
{
    memset(classes, 0, sizeof(*classes));
    if (size < HEADER || (size - HEADER) % ENTRY)
        return -EINVAL;
    for (uint8_t *at = bytes + HEADER; at < bytes + size; at += ENTRY) {
        unsigned tag = word(at);
        if (tag == USER_OWNER)
            classes->owner = at + 2;
        else if (tag == GROUP_OWNER)
            classes->group = at + 2;
        else if (tag == MASK)
            classes->mask = at + 2;
        else if (tag == OTHER)
            classes->other = at + 2;
        else if (tag != USER && tag != GROUP)
            return -EINVAL;
        classes->extended |= tag == USER || tag == GROUP || tag == MASK;
    }
    return classes->owner && classes->group && classes->other ? 0 : -EINVAL;
}

/* Returns the entry that limits the group class. */
static uint8_t *group_class(const struct classes *classes)
{
    return classes->mask ? classes->mask : classes->group;
}

static unsigned classes_mode(const struct classes *classes)
{
    return (*classes->owner & 7u) << 6 | (*group_class(classes) & 7u) << 3 | (*classes->other & 7u);
}

/* Reads an ACL. The list is empty if the inode has none. */
static int acl_read(struct ext2dax_inode *inode, const char *name, struct acl *acl)
{
    int64_t size = ext2dax_getxattr(inode, name, strlen(name), NULL, 0);

    acl->bytes = NULL;
    acl->size = 0;
    if (size == -EXT2DAX_ENODATA || size == -EXT2DAX_EOPNOTSUPP || size == 0)
        return 0;
    if (size < 0)
        return (int)size;
    acl->bytes = malloc((size_t)size);
    if (!acl->bytes)
        return -ENOMEM;
    size = ext2dax_getxattr(inode, name, strlen(name), acl->bytes, (size_t)size);
    if (size < 0) {
        free(acl->bytes);
        acl->bytes = NULL;
        return size == -EXT2DAX_ENODATA ? 0 : (int)size;
    }
    acl->size = (size_t)size;
    return 0;
}

int acl_inherit(struct ext2dax_inode *directory, unsigned mask, unsigned *mode, struct acl *access,
                struct acl *inherited)
{
    struct classes classes;
    int error = acl_read(directory, ACL_DEFAULT, inherited);

    access->bytes = NULL;
    access->size = 0;
    if (error || !inherited->size) {
        *mode &= ~(mask & 0777u);
        return error;
    }
    access->bytes = malloc(inherited->size);
    if (!access->bytes)
        return -ENOMEM;
    memcpy(access->bytes, inherited->bytes, inherited->size);
    error = classes_find(access->bytes, inherited->size, &classes);
    if (error)
        return error;
    *classes.owner &= (uint8_t)(*mode >> 6 & 7u);
    *group_class(&classes) &= (uint8_t)(*mode >> 3 & 7u);
    *classes.other &= (uint8_t)(*mode & 7u);
    *mode = (*mode & ~0777u) | classes_mode(&classes);
    access->size = classes.extended ? inherited->size : 0;
    return 0;
}

int acl_follow(struct ext2dax_inode *inode, unsigned mode)
{
    struct acl acl;
    struct classes classes;
    int error = acl_read(inode, ACL_ACCESS, &acl);

    if (error || !acl.size)
        return error;
    error = classes_find(acl.bytes, acl.size, &classes);
    if (!error) {
        *classes.owner = (uint8_t)(mode >> 6 & 7u);
        *group_class(&classes) = (uint8_t)(mode >> 3 & 7u);
        *classes.other = (uint8_t)(mode & 7u);
        error = ext2dax_setxattr(inode, ACL_ACCESS, strlen(ACL_ACCESS), acl.bytes, acl.size, 0);
    }
    free(acl.bytes);
    return error;
}

int acl_mode(const uint8_t *bytes, size_t size, bool *minimal)
{
    struct classes classes;
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, bytes, size);
    int result = classes_find(copy, size, &classes);
    if (!result) {
        *minimal = !classes.extended;
        result = (int)classes_mode(&classes);
    }
    free(copy);
    return result;
}
