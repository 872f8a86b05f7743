/* SPDX-License-Identifier: MIT */
/*
 * Names, the calls for lookup, listing, creation, links, removal and renames.
 *
 * A name is 1 to 255 bytes without '/' and NUL. The memory of names, paths and targets given to a
 * call stays accessible during the call. Every call takes the io lock of the directory, so none may
 * be called under the address-space lock or with a lock of the core held. Every call may block.
 * Modifying calls also hold freeze_write shared and so wait while the filesystem is frozen. No call
 * checks the permission of the caller. Immutable and append-only inodes are respected.
 *
 * On an ordered mount a created or removed name is durable when the call returns, with the inode
 * and the link count. No fsync of file or directory is needed. On an unordered mount names become
 * durable with the next sync, or with fsync of any file.
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

/*
 * Returns in *inode the inode of `name` in `directory`, with a reference. On failure *inode is
 * NULL. Takes the io lock shared and the cache lock. Returns 0 or a negative errno
 *
 *   EINVAL         an empty name, or a name with '/' or NUL
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         no such name
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory is corrupt, or the dirent names a reserved, free or impossible
 *                  inode
 *   EIO            a block of the directory, a pointer block or the inode table holds poison
 */
EXT2DAX_API int ext2dax_lookup(struct ext2dax_inode *directory, const char *name, size_t length,
                               struct ext2dax_inode **inode);

/* Selects the symbolic link at the end of a path instead of its target. */
#define EXT2DAX_NO_FOLLOW 0x1u

/*
 * Walks a path of `length` bytes from the root and returns the inode in *inode, with a reference.
 * Leading, doubled and trailing slashes are skipped. "" and "/" are the root. Symbolic links on the
 * way are followed, and the last component too unless `flags` is EXT2DAX_NO_FOLLOW. Paths have no
 * length limit of their own.
 *
 * Takes the io lock of a single directory or link at a time, shared, and the cache lock. Allocates
 * memory from the host for every symbolic link followed. References taken on the way are released,
 * which may be the last put of an inode (see ext2dax_inode_put()). A slash after the last component
 * has no effect. On failure *inode is NULL. Returns 0 or a negative errno
 *
 *   EINVAL         an unknown flag, or a component with NUL
 *   ENAMETOOLONG   a component longer than 255 bytes
 *   ENOTDIR        a component before the last is not a directory
 *   ENOENT         a component does not exist
 *   ELOOP          more than 40 symbolic links
 *   ENOMEM         the host has no memory for an inode or a path
 *   EUCLEAN        a directory, symbolic link or inode is corrupt
 *   EIO            metadata or a symbolic link holds poison
 */
EXT2DAX_API int ext2dax_lookup_path(struct ext2dax_mount *mount, const char *path, size_t length, unsigned flags,
                                    struct ext2dax_inode **inode);

/*
 * Copies the target of a symbolic link to `buffer`, not terminated, at most `size` bytes. Returns
 * the length of the whole target, which may be more than `size`, or a negative errno. Takes the io
 * lock of the link shared.
 *
 *   EINVAL    not a symbolic link
 *   EFAULT    the buffer is not accessible
 *   EUCLEAN   an impossible length, an impossible pointer, or a hole in place of the target
 *   EIO       the target holds poison
 */
EXT2DAX_API int64_t ext2dax_readlink(struct ext2dax_inode *inode, char *buffer, size_t size);

/* A name of a directory. */
struct ext2dax_entry {
    const char *name;   /* not terminated, valid during the callback only */
    size_t name_length; /* bytes */
    uint32_t number;    /* inode number */
    uint8_t type;       /* EXT2DAX_FT_…, UNKNOWN if the image does not record types */
    uint64_t cookie;    /* resumes the listing after this entry, in the next ext2dax_readdir() */
};

/*
 * Calls `each` for every entry at or after `cookie` (0 means from the start), "." and ".."
 * included, until `each` returns non-zero. A cookie stays valid while names are added and removed,
 * because entries never move.
 *
 * The io lock of the directory is held shared during the callbacks, so `each` must not call the
 * library. Returns 0 after the last entry, the non-zero result of `each`, or a negative errno
 *
 *   ENOTDIR   `directory` is not a directory
 *   EUCLEAN   the directory is corrupt, or a name holds a slash or a NUL
 *   EIO       a block of the directory or a pointer block holds poison
 */
EXT2DAX_API int ext2dax_readdir(struct ext2dax_inode *directory, uint64_t cookie,
                                int (*each)(void *arg, const struct ext2dax_entry *entry), void *arg);

/*
 * What a new inode becomes. Members beyond the type, the permissions and the owner are needed only
 * where noted. All zero, with `size` set, is a regular file without permissions, of user 0.
 */
struct ext2dax_creation {
    size_t size; /* sizeof as known to the caller, members past this size count as 0 */
    /*
     * The type, the permissions, the owner, and with their bits of `set` the times and flags. A
     * type of 0 is a regular file. Every bit of `set` for mode and owner counts as set. Times
     * without their bit are the present.
     */
    struct ext2dax_attributes attributes;
    uint32_t device_major; /* of a device node, below 4096 */
    uint32_t device_minor; /* of a device node, below 2^20 */
    const char *target;    /* of a symbolic link, not terminated */
    size_t target_length;  /* bytes, 1 … block size - 1 */
};

/*
 * Creates an inode of any type with a single name, and returns the inode in *inode, with a
 * reference. `inode` may be NULL. A file and a directory are empty. A directory gets "." and "..",
 * and `directory` a link. A target shorter than 60 bytes lies in the inode, a longer target in a
 * block.
 *
 * Takes freeze_write shared, the io lock of the directory exclusively, then range, truncate, group,
 * fs and cache locks. Returns 0 or a negative errno. On failure *inode is NULL and no name is
 * added. After EIO of a failed fence the stored image may hold the name with link count 0, which
 * recovery or e2fsck -p removes.
 *
 *   EINVAL         an empty name, a name with '/' or NUL, an unknown type or bit, a device number
 *                  or nanoseconds out of range, an empty target or a target with NUL, or a mount of
 *                  a parent process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes, or a target that does not fit a block
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EEXIST         the name exists, or is "." or ".."
 *   EMLINK         a directory, and `directory` has 32,000 links and no dir_nlink
 *   EROFS          mounted read-only
 *   EPERM          the directory is immutable
 *   ENOSPC         no free inode, no free block for the directory or the inode, or the directory
 *                  has reached 2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     a flag outside EXT2DAX_FL_SETTABLE, or the directory must grow, and its i_blocks
 *                  count uses the huge_file feature
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, a bitmap or the free inode is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_create_as(struct ext2dax_inode *directory, const char *name, size_t length,
                                  const struct ext2dax_creation *creation, struct ext2dax_inode **inode);

/*
 * Creates an empty regular file. `mode` gives the permission bits (the low 12 bits). Locks,
 * durability and the state after a failure are those of ext2dax_create_as(). Returns 0 or a
 * negative errno
 *
 *   EINVAL         an empty name, a name with '/' or NUL, or a mount of a parent process (the error
 *                  of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EEXIST         the name exists, or is "." or ".."
 *   EROFS          mounted read-only
 *   EPERM          the directory is immutable
 *   ENOSPC         no free inode, no free block for the directory, or the directory has reached
 *                  2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, a bitmap or the free inode is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_create(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode,
                               uint32_t uid, uint32_t gid, struct ext2dax_inode **inode);

/*
 * Creates an empty directory. `mode` gives the permission bits (the low 12 bits). Locks, durability
 * and the state after a failure are those of ext2dax_create_as(). Returns 0 or a negative errno
 *
 *   EINVAL         an empty name, a name with '/' or NUL, or a mount of a parent process (the error
 *                  of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EEXIST         the name exists, or is "." or ".."
 *   EMLINK         `directory` has 32,000 links and no dir_nlink
 *   EROFS          mounted read-only
 *   EPERM          the directory is immutable
 *   ENOSPC         no free inode, no free block for one of both directories, or `directory` has
 *                  reached 2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, a bitmap or the free inode is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_mkdir(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode,
                              uint32_t uid, uint32_t gid, struct ext2dax_inode **inode);

/*
 * Creates a pipe, a socket, a device node or a regular file. `mode` gives the type and the
 * permission bits. The device number counts for device nodes only. Locks, durability and the state
 * after a failure are those of ext2dax_create_as(). Returns 0 or a negative errno
 *
 *   EINVAL         an empty name, a name with '/' or NUL, another type, a device number out of
 *                  range, or a mount of a parent process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EEXIST         the name exists, or is "." or ".."
 *   EROFS          mounted read-only
 *   EPERM          the directory is immutable
 *   ENOSPC         no free inode, no free block for the directory, or the directory has reached
 *                  2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, a bitmap or the free inode is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_mknod(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode,
                              uint32_t device_major, uint32_t device_minor, uint32_t uid, uint32_t gid,
                              struct ext2dax_inode **inode);

/*
 * Creates a symbolic link with permissions 0777. The target is not terminated. Locks, durability
 * and the state after a failure are those of ext2dax_create_as(). Returns 0 or a negative errno
 *
 *   EINVAL         an empty name, a name with '/' or NUL, an empty target, a target with NUL, or a
 *                  mount of a parent process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes, or a target that does not fit a block
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EEXIST         the name exists, or is "." or ".."
 *   EROFS          mounted read-only
 *   EPERM          the directory is immutable
 *   ENOSPC         no free inode, no free block for the directory or the target, or the directory
 *                  has reached 2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, a bitmap or the free inode is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_symlink(struct ext2dax_inode *directory, const char *name, size_t length, const char *target,
                                size_t target_length, uint32_t uid, uint32_t gid, struct ext2dax_inode **inode);

/*
 * Adds a name of an existing inode of any type except directory. Stores ctime of the inode.
 *
 * Takes freeze_write shared, the io locks of the directory and then of the inode exclusively, then
 * range, truncate, group, fs and cache locks. Returns 0 or a negative errno. After an error other
 * than EIO of a failed fence nothing has changed.
 *
 *   EINVAL         an empty name, a name with '/' or NUL, or a mount of a parent process (the error
 *                  of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory is unlinked, or the inode has no name left
 *   EEXIST         the name exists, or is "." or ".."
 *   EXDEV          the inode belongs to another mount
 *   EMLINK         the inode has 32,000 names
 *   EROFS          mounted read-only
 *   EPERM          the inode is a directory, immutable or append-only, or the directory is
 *                  immutable
 *   ENOSPC         no free block for the directory, or the directory has reached 2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   EUCLEAN        the directory or a bitmap is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_link(struct ext2dax_inode *inode, struct ext2dax_inode *directory, const char *name,
                             size_t length);

/*
 * Removes a name of a file, of any type except directory. After the last name is removed the file
 * lives until the last put, which frees the blocks. Before the last name is removed, every block of
 * the file is checked, and EUCLEAN is returned if a block could not be freed later. A name
 * leaves a hash-tree index of the directory valid.
 *
 * Takes freeze_write shared, the io locks of the directory and then of the file exclusively, and
 * truncate, group, fs and cache locks. Returns 0 or a negative errno. After an error other than EIO
 * of a failed fence nothing has changed. After such an EIO the name may be gone.
 *
 *   EINVAL         an empty name, a name with '/' or NUL, or a mount of a parent process (the error
 *                  of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         no such name, or the directory itself is unlinked
 *   EISDIR         the name is a directory, or is "." or ".."
 *   EROFS          mounted read-only
 *   EPERM          the directory or the file is immutable or append-only
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        the directory, the file, its xattr block or a bitmap is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_unlink(struct ext2dax_inode *directory, const char *name, size_t length);

/*
 * Removes an empty directory. The directory lives until the last put and accepts no new name.
 *
 * Takes freeze_write shared, the io locks of `directory` and then of the directory to be removed
 * exclusively, and truncate, group, fs and cache locks. Returns 0 or a negative errno. After an
 * error other than EIO of a failed fence nothing has changed. After such an EIO the name may be
 * gone.
 *
 *   EINVAL         the name is ".", an empty name, a name with '/' or NUL, or a mount of a parent
 *                  process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory, or the name is not a directory
 *   ENOENT         no such name, or `directory` itself is unlinked
 *   ENOTEMPTY      the directory holds names, or the name is ".."
 *   EROFS          mounted read-only
 *   EPERM          one of both directories is immutable or append-only
 *   ENOMEM         the host has no memory for the inode
 *   EUCLEAN        a directory, an xattr block or a bitmap is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_rmdir(struct ext2dax_inode *directory, const char *name, size_t length);

/* Fails with EEXIST if the new name exists. */
#define EXT2DAX_RENAME_NOREPLACE 0x1u
/* Exchanges the two names, both of which must exist, of any types. */
#define EXT2DAX_RENAME_EXCHANGE 0x2u

/*
 * Renames. The name `from` of `from_directory` becomes the name `to` of `to_directory`. An existing
 * inode of the new name is replaced, a directory only by a directory and only if empty, any other
 * type only by a type other than directory. At any time a lookup of the new name finds the old or
 * the new inode. Two names of one inode are left as they are, with success. A directory moved to
 * another directory gets a new "..". Stores ctime of the inode, and the times of both directories.
 *
 * On an ordered mount a crash leaves the old tree or the new tree once recovery has run, or both
 * names of a file moved to a new name or over one of several names. e2fsck -p without recovery
 * completes only these two renames of a file.
 *
 * Takes freeze_write shared, the rename lock, the io locks of the directories and of the inodes
 * exclusively, the io locks of ancestors shared, and range, truncate, group, fs and cache locks.
 * Returns 0 or a negative errno. After an error other than EIO of a failed fence nothing has
 * changed. After such an EIO both names, or the new name only, may exist until the next mount.
 *
 *   EINVAL         an unknown flag, both flags, a directory moved into its own subtree, the name is
 *                  "." or "..", an empty name, a name with '/' or NUL, or a mount of a parent
 *                  process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        a directory argument is not a directory, or a directory would replace another
 *                  type
 *   EISDIR         another type would replace a directory
 *   ENOENT         the old name does not exist, with EXCHANGE the new name does not exist, or a
 *                  directory is unlinked
 *   EEXIST         NOREPLACE, and the new name exists
 *   ENOTEMPTY      the directory to be replaced holds names
 *   EXDEV          the directories belong to different mounts
 *   EMLINK         the new parent of a directory has 32,000 links and no dir_nlink
 *   EROFS          mounted read-only
 *   EPERM          an inode named, or a directory that loses a name, is immutable or append-only,
 *                  or the directory that gains a name is immutable
 *   ENOSPC         no free block for the directory, or the directory has reached 2 GiB
 *   EFBIG          i_blocks of the directory would overflow
 *   EOPNOTSUPP     the directory must grow, and its i_blocks count uses the huge_file feature
 *   ENOMEM         the host has no memory for an inode
 *   EUCLEAN        a directory, a file to be replaced, an xattr block or a bitmap is corrupt
 *   EIO            a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                  poison
 */
EXT2DAX_API int ext2dax_rename(struct ext2dax_inode *from_directory, const char *from, size_t from_length,
                               struct ext2dax_inode *to_directory, const char *to, size_t to_length, unsigned flags);

#ifdef __cplusplus
}
#endif
#endif
