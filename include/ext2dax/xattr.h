/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes of an inode, as Linux stores them in ext2.
 *
 * A name is given whole, with its prefix. The prefixes are "user.", "trusted.", "security." and the
 * two names "system.posix_acl_access" and "system.posix_acl_default". A name is 1 to 255 bytes
 * after the prefix, without NUL. Attributes lie in the inode where the inode is large enough, then
 * in a block of the image, which inodes with equal attributes share. The values of the two ACL
 * names have the form which Linux passes to getxattr and setxattr, and are converted to and from
 * the shorter form on the medium.
 *
 * Buffers and values may be mappings, also mappings that cannot be accessed. The memory of a name
 * stays accessible during the call.
 *
 * No call checks the permission of the caller. Every call takes the io lock of the inode, so none
 * may be called under the address-space lock or with a lock of the core held. Every call may block.
 * Calls that modify also hold freeze_write shared and so wait while the filesystem is frozen. On an
 * ordered mount an attribute set or removed is durable when the call returns.
 */
#ifndef EXT2DAX_XATTR_H
#define EXT2DAX_XATTR_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fails with EEXIST if the attribute exists. */
#define EXT2DAX_XATTR_CREATE 0x1u
/* Fails with ENODATA if the attribute does not exist. */
#define EXT2DAX_XATTR_REPLACE 0x2u

/*
 * Copies the value of an attribute to `buffer`. Returns the length of the value in bytes, or a
 * negative errno. With a `size` of 0 nothing is copied and `buffer` may be NULL. Takes the io lock
 * shared.
 *
 *   EINVAL       an empty name, a name longer than 255 bytes, or a name with NUL
 *   EOPNOTSUPP   an unknown prefix, or an attribute of the inode has a value in an inode of its own
 *   ENODATA      no such attribute
 *   ERANGE       `size` is not 0 and smaller than the value. Nothing is copied
 *   EFAULT       the buffer is not accessible
 *   EUCLEAN      the attributes of the inode are corrupt
 *   EIO          the attributes hold poison
 */
EXT2DAX_API int64_t ext2dax_getxattr(struct ext2dax_inode *inode, const char *name, size_t name_length, void *buffer,
                                     size_t size);

/*
 * Copies the names of all attributes to `buffer`, each terminated by NUL. Returns the length of all
 * names in bytes, terminators included, or a negative errno. With a `size` of 0 nothing is copied
 * and `buffer` may be NULL. Attributes with a prefix unknown to this library are left out. Takes
 * the io lock shared.
 *
 *   ERANGE       `size` is not 0 and smaller than all names
 *   EFAULT       the buffer is not accessible
 *   EOPNOTSUPP   an attribute has a value in an inode of its own
 *   EUCLEAN      the attributes of the inode are corrupt
 *   EIO          the attributes hold poison
 */
EXT2DAX_API int64_t ext2dax_listxattr(struct ext2dax_inode *inode, char *buffer, size_t size);

/*
 * Sets an attribute to a value of `size` bytes, which may be 0. Stores ctime. Takes freeze_write
 * shared, the io lock exclusively, then truncate, group and fs locks. `flags` is 0 or any of
 * EXT2DAX_XATTR_… An access ACL does not change the mode of the inode.
 *
 * A crash during the call leaves the old value or the new one. If neither a block nor free space
 * can hold both for a while, a value in the inode is replaced in place, and a crash can leave no
 * value.
 *
 * Returns 0 or a negative errno. After an error other than EIO of a failed fence nothing has
 * changed.
 *
 *   EINVAL       an empty name, a name longer than 255 bytes, a name with NUL, an unknown flag, an
 *                ACL in an impossible form, or a mount of a parent process (the error of `usable`
 *                is passed on)
 *   EOPNOTSUPP   an unknown prefix, a value of the inode in an inode of its own, or a new block is
 *                needed and the image counts blocks of the inode as only huge_file allows
 *   EEXIST       CREATE, and the attribute exists
 *   ENODATA      REPLACE, and the attribute does not exist
 *   ENOSPC       no free block, or the attributes do not fit the inode and a block
 *   EFBIG        i_blocks would overflow
 *   EROFS        mounted read-only
 *   EPERM        the inode is immutable or append-only
 *   EFAULT       the value is not accessible
 *   ENOMEM       the host has no memory
 *   EUCLEAN      the attributes of the inode or a bitmap are corrupt
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 */
EXT2DAX_API int ext2dax_setxattr(struct ext2dax_inode *inode, const char *name, size_t name_length, const void *value,
                                 size_t size, unsigned flags);

/*
 * Removes an attribute. Stores ctime. Locks and the state after a failure are those of
 * ext2dax_setxattr(). Returns 0 or a negative errno
 *
 *   EINVAL       an empty name, a name longer than 255 bytes, a name with NUL, or a mount of a
 *                parent process (the error of `usable` is passed on)
 *   EOPNOTSUPP   an unknown prefix, a value of the inode in an inode of its own, or a new block is
 *                needed and the image counts blocks of the inode as only huge_file allows
 *   ENODATA      no such attribute
 *   ENOSPC       no free block. Attributes which remain in a block go to a new block, so that a
 *                crash leaves all of the old or all of the new
 *   EFBIG        i_blocks would overflow
 *   EROFS        mounted read-only
 *   EPERM        the inode is immutable or append-only
 *   ENOMEM       the host has no memory
 *   EUCLEAN      the attributes of the inode or a bitmap are corrupt
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 */
EXT2DAX_API int ext2dax_removexattr(struct ext2dax_inode *inode, const char *name, size_t name_length);

#ifdef __cplusplus
}
#endif
#endif
