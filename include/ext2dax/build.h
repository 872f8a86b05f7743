/* SPDX-License-Identifier: MIT */
/*
 * Calls for builders of images: the size of the smallest image for a tree of files, the image with
 * its files, and an identity derived from content.
 *
 * A builder adds every file, directory and name to a tally, and has the size of the image computed.
 * The size is found by arithmetic. No image is made and no memory is allocated. Then the builder
 * begins an image in memory of this size, and makes the tree in any order of files. A file whose
 * size is set by ext2dax_truncate() before the first write has an aligned extent for every full PMD
 * range, and ext2dax_build_file() does so. A file that grows by its writes is packed, and has none.
 *
 * The calls on tallies and digests take no lock, call no plug and never block. Several threads may
 * use different objects.
 */
#ifndef EXT2DAX_BUILD_H
#define EXT2DAX_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "format.h"
#include "inode.h"
#include "mount.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the size ---- */

/*
 * The needs of a tree. Visible so that the caller provides the memory. The members belong to the
 * library. `ranges`, `packed`, `blocks` and `inodes` may be read.
 */
struct ext2dax_tally {
    uint64_t ranges;          /* PMD ranges that need an aligned extent of their own */
    uint64_t packed;          /* all other blocks, pointer blocks and directories included */
    uint64_t blocks;          /* all blocks with data, pointers or names */
    uint64_t inodes;          /* inodes added */
    uint32_t block_shift;     /* log2 of the block size */
    uint32_t pmd_shift;       /* log2 of the blocks of a PMD range */
    uint32_t in_inode;        /* bytes of an inode for attributes */
    uint32_t block_size;      /* of the format options, as are the following members */
    uint32_t group_blocks;    /* blocks per group */
    uint32_t inode_size;      /* bytes */
    uint32_t least_inodes;    /* inodes asked for, 0 for as few as needed */
    uint32_t reserved;        /* percent of the blocks */
    uint64_t not_used_yet[4]; /* 0 */
};

/* A directory being added to a tally. The members belong to the library. */
struct ext2dax_tally_directory {
    uint64_t blocks; /* of the directory */
    uint32_t used;   /* bytes of the last block */
};

/*
 * Begins a tally for images of `format`. The block size, the blocks per group, the inode size, the
 * least number of inodes and the reserved percent count, and the rest is ignored. NULL means all
 * defaults. `huge_size` is the size of a huge page in bytes, a power of two, and 0 means 2 MiB. The
 * mount must have the same (page_shift, huge_order).
 *
 * With `inodes` 0 the image gets as many inodes as the tree needs, and not the default number.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL   an option out of range, a `huge_size` which is no power of two of at least 8 KiB, or
 *            blocks per group which are no multiple of a PMD range
 */
EXT2DAX_API int ext2dax_tally_begin(struct ext2dax_tally *tally, const struct ext2dax_format_options *format,
                                    uint64_t huge_size);

/* A run of bytes of a file which holds data. */
struct ext2dax_tally_run {
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes, not 0 */
};

/*
 * Adds a regular file of `size` bytes. `runs` are the data, in ascending order, and the rest are
 * holes. NULL means all is data, and then `count` is ignored. A PMD range with data that lies
 * wholly below `size` counts as an aligned extent, unless `packed` is set. A file with several
 * names is added once, and its names by ext2dax_tally_name().
 *
 * Returns 0 or a negative errno, with the tally unchanged
 *
 *   EFBIG    the file is larger than files of this block size can be
 *   EINVAL   runs that overlap, are not in order, are empty or go past the end
 */
EXT2DAX_API int ext2dax_tally_file(struct ext2dax_tally *tally, uint64_t size, const struct ext2dax_tally_run *runs,
                                   size_t count, bool packed);

/* Adds a symbolic link with a target of `length` bytes. A long target takes a block. */
EXT2DAX_API void ext2dax_tally_symlink(struct ext2dax_tally *tally, size_t length);

/* Adds a device, a pipe or a socket. */
EXT2DAX_API void ext2dax_tally_node(struct ext2dax_tally *tally);

/* Adds an empty directory. *directory is for ext2dax_tally_name(). */
EXT2DAX_API void ext2dax_tally_directory(struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory);

/* Begins the root directory, which every image has. *directory is for ext2dax_tally_name(). */
EXT2DAX_API void ext2dax_tally_root(const struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory);

/*
 * Adds a name of `length` bytes to a directory, in the order in which the names will be created.
 * The library fills gaps of earlier blocks too, which are left out here. So a directory of many
 * blocks may take a few blocks less than the tally.
 */
EXT2DAX_API void ext2dax_tally_name(struct ext2dax_tally *tally, struct ext2dax_tally_directory *directory,
                                    size_t length);

/* The bytes taken by an attribute, given the length of the name without prefix and of the value. */
#define EXT2DAX_TALLY_ATTRIBUTE(name_length, value_length)                                                             \
    (16 + (((uint64_t)(name_length) + 3) & ~(uint64_t)3) + (((uint64_t)(value_length) + 3) & ~(uint64_t)3))

/*
 * Adds the attributes of an inode added before. `bytes` is the sum of EXT2DAX_TALLY_ATTRIBUTE()
 * over all attributes. A block is added unless the attributes fit in the inode.
 *
 * Inodes with equal attributes share a block while the mount remembers the block. A mount remembers
 * a few dozen blocks, so a tally with each inode is never too small, and a tally with each set of
 * attributes may be. A setxattr that replaces a block holds both blocks for a moment.
 */
EXT2DAX_API void ext2dax_tally_attributes(struct ext2dax_tally *tally, uint64_t bytes);

/* The image for a tally. */
struct ext2dax_image_plan {
    uint64_t size;         /* bytes of memory to format, a multiple of the block size */
    uint64_t content;      /* bytes of all blocks of files and directories */
    uint64_t free;         /* bytes of free blocks once the tree is made */
    uint32_t inodes;       /* `inodes` of the format options */
    uint32_t extents;      /* free aligned extents of the empty image */
    uint32_t groups;       /* block groups */
    uint32_t not_used_yet; /* 0 */
};

/*
 * Computes the smallest image that holds the tree of the tally and gives every counted PMD range an
 * aligned extent, in every order of calls. At least `room` bytes stay free, besides the blocks
 * reserved for the superuser. The image is formatted with the options of ext2dax_tally_begin(), but
 * with the inodes of the plan.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL      aligned extents in groups of a single PMD range, which the metadata breaks
 *   EOVERFLOW   more than 2^32 - 1 blocks or inodes, or descriptors that do not fit a group
 */
EXT2DAX_API int ext2dax_tally_plan(const struct ext2dax_tally *tally, uint64_t room, struct ext2dax_image_plan *plan);

/* ---- the image ---- */

/*
 * Formats the memory for a plan, mounts with EXT2DAX_MOUNT_FULL_RANGES, and opens the root
 * directory in *root, with a reference. `format` has the options of ext2dax_tally_begin(), and the
 * inodes come from the plan. NULL means all defaults. The memory has the size of the plan, or more.
 * Pages have 4 KiB, and a PMD range 2 MiB.
 *
 * For equal images at any time the clock of the host stands still, as with the option `clock` of
 * hosted/host.h, and `time` of the format options is given. A builder ends with
 * ext2dax_inode_put(root) and ext2dax_unmount().
 *
 * Takes the locks of ext2dax_mount(). On failure *mount and *root are NULL, and the content of the
 * memory is undefined. Returns 0 or a negative errno
 *
 *   EINVAL      an option out of range, memory without a base, misaligned or opened by a parent
 *               process, or a required op missing
 *   ENOSPC      the memory is too small
 *   EOVERFLOW   more than 2^32 - 1 blocks, descriptors that do not fit a group, or an image larger
 *               than this target can address
 *   EROFS       read-only memory
 *   EBUSY       the memory is mounted
 *   ENOMEM      the host has no memory
 *   EIO         the memory holds poison, or a write-back or fence failed
 *
 * `claim` and `usable` of the memory plug may return other errors, which are passed on.
 */
EXT2DAX_API int ext2dax_build_begin(const struct ext2dax_plugs *plugs, const struct ext2dax_format_options *format,
                                    const struct ext2dax_image_plan *plan, struct ext2dax_mount **mount,
                                    struct ext2dax_inode **root);

/*
 * Creates a regular file of `size` bytes. The size is set before the bytes are stored, so that
 * every full PMD range gets an aligned extent. `attributes` has the permissions, the owner and the
 * times, as for ext2dax_create_as(). NULL means permissions 0644, user 0, and times of the clock.
 * `content` may be NULL if `size` is 0.
 *
 * Takes the locks of ext2dax_create_as() and of ext2dax_write(). After a failure of a later step
 * the file stays, with a part of the content. Returns 0 or a negative errno
 *
 *   EEXIST         the name exists, or is "." or ".."
 *   EINVAL         an empty name, a name with '/' or NUL, impossible attributes, or a mount of a
 *                  parent process (the error of `usable` is passed on)
 *   ENAMETOOLONG   a name longer than 255 bytes
 *   ENOTDIR        `directory` is not a directory
 *   ENOENT         the directory itself is unlinked
 *   EPERM          the directory is immutable
 *   EROFS          mounted read-only
 *   ENOSPC         no free inode or block, or only reserved blocks that the caller may not use
 *   EFBIG          the size, or the directory, is past its limit
 *   EFAULT         the content is not accessible
 *   ENOMEM         the host has no memory
 *   EOPNOTSUPP     the image counts blocks of an inode as only huge_file allows
 *   EUCLEAN        a structure of the image is corrupt
 *   EIO            metadata holds poison, or a write-back or fence failed, now or earlier
 */
EXT2DAX_API int ext2dax_build_file(struct ext2dax_inode *directory, const char *name, size_t length,
                                   const struct ext2dax_attributes *attributes, const void *content, size_t size);

/* ---- the identity ---- */

/* A digest being computed (BLAKE2b of 256 bits). The members belong to the library. */
struct ext2dax_digest {
    uint64_t state[8];  /* chain value */
    uint64_t length;    /* bytes compressed */
    uint32_t used;      /* bytes of `block` */
    uint8_t block[128]; /* bytes not compressed yet */
};

/* Begins a digest. */
EXT2DAX_API void ext2dax_digest_begin(struct ext2dax_digest *digest);

/*
 * Adds bytes. How the bytes are cut into calls has no effect. Where two fields of variable length
 * meet, add the lengths too, so that different trees give different bytes.
 */
EXT2DAX_API void ext2dax_digest_add(struct ext2dax_digest *digest, const void *bytes, size_t length);

/*
 * Ends a digest and derives a UUID (version 8) and the seed of directory indexes from the digest.
 * Both have the form of the members of struct ext2dax_format_options. Equal bytes give an equal
 * identity on every machine. `hash_seed` may be NULL.
 */
EXT2DAX_API void ext2dax_digest_identity(struct ext2dax_digest *digest, uint8_t uuid[16], uint8_t hash_seed[16]);

#ifdef __cplusplus
}
#endif
#endif
