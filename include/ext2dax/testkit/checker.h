/* SPDX-License-Identifier: MIT */
/*
 * Invariant checker of whole images, with every mapping in the block trees. The checker shares no
 * code with the core. Both are written separately from the on-disk format, so that a mistake in one
 * is not repeated in the other.
 */
#ifndef EXT2DAX_TESTKIT_CHECKER_H
#define EXT2DAX_TESTKIT_CHECKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The image is in use. The valid bit of the superblock may be clear. */
#define EXT2DAX_CHECK_MOUNTED 0x1u
/*
 * The image is from a crash. Allows damage repaired by e2fsck -p on its own, and a clear valid bit.
 * Allowed are
 * - leaked blocks and inodes
 * - stale free counts and directory counts, link counts, and i_blocks (except of a symlink)
 * - a dirent with the number of an inode without links, and a wrong type in a dirent
 * - an empty file without a name
 * - a directory size not ending where the directory's blocks end
 * - a too high reference count of an xattr block
 *
 * Never allowed is a block in use marked free, owned twice, or past the end of a file.
 */
#define EXT2DAX_CHECK_LEAKS_OK 0x2u
/*
 * Allows inodes without a name which are still held. Their blocks must be owned as of any file. Has
 * no effect with LEAKS_OK.
 */
#define EXT2DAX_CHECK_UNLINKED_OK 0x4u
/*
 * Allows blocks past the end of a regular file as left by other drivers and accepted by e2fsck. A
 * single block may begin exactly at the end, and pointer blocks may lead to this block or to no
 * block. This library leaves neither after changing a size.
 */
#define EXT2DAX_CHECK_ENDS_OK 0x8u

/* Owners of a block, besides inode numbers. */
#define EXT2DAX_OWNER_FREE     0u
#define EXT2DAX_OWNER_METADATA UINT32_MAX
#define EXT2DAX_OWNER_LEAKED   (UINT32_MAX - 1) /* marked used and owned by no inode */

/* A violated invariant. */
struct ext2dax_finding {
    const char *what;  /* static text, as "block owned twice" or "group: free block count" */
    uint32_t inode;    /* number, or 0 without an inode */
    uint64_t block;    /* number of the block or group */
    uint64_t expected; /* correct value */
    uint64_t found;    /* value in the image */
};

/*
 * Checks the image in [base, base + size). The invariants are
 * - every block has a single owner, and an owned block is marked used
 * - no block lies past the end of its file, or begins exactly at the end
 * - no pointer leads into metadata
 * - i_blocks, the free counts of groups and superblock, and link counts are exact
 * - dirents, their names and types, and sizes are valid
 * - bitmap padding and superblock copies are valid
 *
 * Calls `found` per violation (NULL only counts). `owners` is NULL or an array of a number per
 * block of the image, and receives the owner, an inode number or EXT2DAX_OWNER_…. If the superblock
 * or a descriptor contradicts itself, only this contradiction is reported, and `owners` is
 * undefined.
 *
 * `base` is aligned to 8 bytes, and nothing changes the image meanwhile. The bytes may be
 * arbitrary. No image causes a crash or an endless loop, and no byte outside the range is read. The
 * time is linear in blocks and inodes, 2 µs for a small image. Takes no lock. Allocates once, and
 * again for directories with very many names.
 *
 * Returns the number of findings or a negative errno
 *
 *   EINVAL       not an ext2 image
 *   EOPNOTSUPP   unknown incompatible features
 *   ENOMEM       no memory, after any number of calls of `found`
 */
int ext2dax_check_image(const void *base, size_t size, unsigned flags,
                        void (*found)(void *arg, const struct ext2dax_finding *finding), void *arg, uint32_t *owners);

/*
 * Returns the physical block of a logical block of an inode, found by a walk through the image.
 * Returns 0 for a hole, past the tree, and without a valid image or inode.
 */
uint32_t ext2dax_check_block(const void *base, size_t size, uint32_t inode, uint64_t logical);
/* Returns the size of an inode in bytes as recorded in the image, or 0 without a valid inode. */
uint64_t ext2dax_check_size(const void *base, size_t size, uint32_t inode);

/* Writes a finding as a line into `buffer`. Returns the length of the whole line, as snprintf(). */
int ext2dax_finding_text(const struct ext2dax_finding *finding, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
