/* SPDX-License-Identifier: MIT */
/*
 * The invariant checker: is a whole image, with every mapping of it, as it must be? Written apart from the core, on the
 * on-disk format alone, so that the two cannot share a mistake.
 */
#ifndef EXT2DAX_TESTKIT_CHECKER_H
#define EXT2DAX_TESTKIT_CHECKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EXT2DAX_CHECK_MOUNTED 0x1u /* the image is in use: the superblock's valid bit may be clear */
/*
 * After a crash: what e2fsck -p mends by itself is allowed, and the valid bit may be clear. Leaked blocks and inodes;
 * stale free counts, link counts, i_blocks (but a symlink's); entries that name an inode without links; an empty file
 * without a name; a wrong type in an entry; a directory's size that does not end where its blocks do; an xattr block with too high a
 * reference count. Never: a block in use that is marked free, owned twice, or past the end of a file.
 */
#define EXT2DAX_CHECK_LEAKS_OK 0x2u
/* Inodes without a name that are still held; their blocks must be owned as any file's. Not beside LEAKS_OK. */
#define EXT2DAX_CHECK_UNLINKED_OK 0x4u

/* Who owns a block, as the checker found it. */
#define EXT2DAX_OWNER_FREE     0u
#define EXT2DAX_OWNER_METADATA UINT32_MAX
#define EXT2DAX_OWNER_LEAKED   (UINT32_MAX - 1) /* marked used, and nobody's */

/* One thing that is wrong. */
struct ext2dax_finding {
    const char *what;  /* static text: "block owned twice", "group: free block count", … */
    uint32_t inode;    /* 0: none concerned */
    uint64_t block;    /* block or group number concerned */
    uint64_t expected; /* the value there should be */
    uint64_t found;    /* the value there is */
};

/*
 * Checks the image in [base, base + size): every block owned once, owned means marked, none past the end of its file
 * (one exactly at the end included), no pointer into metadata, i_blocks, free counts of groups and superblock, link
 * counts, directory entries, their names and types, sizes, bitmap padding, superblock copies. Calls `found` for each thing wrong (NULL: only count).
 * `owners`, where not NULL, has room for one number a block of the image and receives the owner: an inode number or
 * EXT2DAX_OWNER_…. Returns how many findings there were, or a negative EXT2DAX_E…: EINVAL (not an image), EOPNOTSUPP
 * (unknown incompatible features), ENOMEM.
 *
 * `base` is aligned to 8 bytes and the image at rest. Any bytes will do: no image makes it crash or loop, and it reads
 * nothing outside the range. Where the superblock or a descriptor contradicts itself, that alone is reported and the
 * owners are not filled. Linear in blocks and inodes, one allocation, no lock; 2 µs for a small image.
 */
int ext2dax_check_image(const void *base, size_t size, unsigned flags,
                        void (*found)(void *arg, const struct ext2dax_finding *finding), void *arg, uint32_t *owners);

/* The physical block behind a logical block of an inode, by walking the image: 0 for a hole, or past the tree. */
uint32_t ext2dax_check_block(const void *base, size_t size, uint32_t inode, uint64_t logical);
/* The size the image records. */
uint64_t ext2dax_check_size(const void *base, size_t size, uint32_t inode);

/* Prints a finding as one line into buffer; returns the whole length, as snprintf. */
int ext2dax_finding_text(const struct ext2dax_finding *finding, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
