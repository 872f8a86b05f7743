/* SPDX-License-Identifier: MIT */
/*
 * Valid images of a few dozen KiB, so that a fuzzer copies and compares a whole image in
 * microseconds. Each image has a file with holes and a pointer block, a packed file, a directory
 * of two blocks, an empty directory, symbolic links of both kinds, a device, extended attributes,
 * and a PMD range backed by an aligned extent.
 */
#ifndef TESTS_HOSTILE_SMALL_H
#define TESTS_HOSTILE_SMALL_H

#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#define SMALL_IMAGES 4u
#define SMALL_LIST   16u
#define SMALL_MOST   ((size_t)81920) /* bytes of the largest image */

struct small {
    uint32_t block_size, blocks, blocks_per_group, inodes, inode_size;
    unsigned page_shift, huge_order;
    enum ext2dax_order order;

    /* filled when made */
    unsigned char *image;
    size_t size;
    uint32_t groups, descriptors; /* the number of groups, and the block of the descriptors */
    unsigned pointer_blocks, entry_blocks, attribute_blocks;
    uint32_t pointer_block[SMALL_LIST], entry_block[SMALL_LIST], attribute_block[SMALL_LIST];
};

/* Returns the image, made at the first call. */
const struct small *small_get(unsigned number);
/* Returns the byte offset of an inode. */
size_t small_inode(const struct small *small, uint32_t number);
/* Returns the block of the block bitmap (0), the inode bitmap (1) or the inode table (2). */
uint32_t small_bitmap(const struct small *small, uint32_t group, unsigned which);

#endif
