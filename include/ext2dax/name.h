/* SPDX-License-Identifier: MIT */
/*
 * Names: lookup, listing, create and unlink of regular files. Names are bytes, 1 to 255 of them, without '/' and NUL;
 * a name that is not: EINVAL or ENAMETOOLONG. All take the directory's io lock; none may be called under the
 * address-space lock.
 */
#ifndef EXT2DAX_NAME_H
#define EXT2DAX_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The inode `name` stands for in `directory`, with a reference. ENOENT, ENOTDIR, EUCLEAN, ENOMEM. Shared io. */
EXT2DAX_API int ext2dax_lookup(struct ext2dax_inode *directory, const char *name, size_t length,
                               struct ext2dax_inode **inode);

/* A symbolic link at the end of a path is what is wanted, not what it names. */
#define EXT2DAX_NO_FOLLOW 0x1u

/*
 * Walks a path of `length` bytes from the root; leading, doubled and trailing slashes are passed over, "" and "/" are
 * the root. Symbolic links on the way are followed, the last one too unless `flags` say NO_FOLLOW; ELOOP after 40.
 */
EXT2DAX_API int ext2dax_lookup_path(struct ext2dax_mount *mount, const char *path, size_t length, unsigned flags,
                                    struct ext2dax_inode **inode);

/* Copies a symbolic link's target, not terminated; returns its whole length, which may be more than `size`. EINVAL: not
 * a symbolic link. */
EXT2DAX_API int64_t ext2dax_readlink(struct ext2dax_inode *inode, char *buffer, size_t size);

/* One name of a directory. */
struct ext2dax_entry {
    const char *name;   /* not terminated; valid during the call only */
    size_t name_length; /* bytes */
    uint32_t number;    /* of the inode */
    uint8_t type;       /* EXT2DAX_FT_…; UNKNOWN where the image does not record types */
    uint64_t cookie;    /* continue behind this entry by handing it to the next ext2dax_readdir() */
};

/*
 * Calls `each` for every entry behind `cookie` (0: from the start), "." and ".." included, until it answers non-zero,
 * which is then returned. The directory's io lock is held shared meanwhile: `each` may not call into the library.
 */
EXT2DAX_API int ext2dax_readdir(struct ext2dax_inode *directory, uint64_t cookie,
                                int (*each)(void *arg, const struct ext2dax_entry *entry), void *arg);

/* A new, empty regular file with one name; *inode has a reference. `mode` gives the permission bits. EEXIST, ENOSPC,
 * ENOENT (the directory is gone), EROFS, EPERM. On failure nothing has changed. */
EXT2DAX_API int ext2dax_create(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode,
                               uint32_t uid, uint32_t gid, struct ext2dax_inode **inode);

/*
 * Removes a name of a file that is not a directory (EISDIR). The last name gone, the file lives until its last put. ENOENT,
 * EROFS; EPERM: the directory or the file is immutable or append-only; EUCLEAN, ENOMEM: nothing has changed. EIO: the name
 * may be gone.
 */
EXT2DAX_API int ext2dax_unlink(struct ext2dax_inode *directory, const char *name, size_t length);

#ifdef __cplusplus
}
#endif
#endif
