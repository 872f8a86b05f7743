/* SPDX-License-Identifier: MIT */
/*
 * The whole-image checker. Its files build on each other in this order.
 *
 *     check_geometry.c    geometry, location of descriptors and inodes
 *     check_dir.c         dirents, names, links
 *     check_inode.c       inodes and their block trees
 *     check_super.c       groups and counters
 *     check_image.c       public calls
 *
 * No file includes any core header, so that a misunderstanding of the format in the core is not
 * repeated in the checker.
 *
 * Robustness. No value from the image is used as an offset before a comparison with the image size.
 * Only the first claim of a block descends into the block, so every walk visits a block once, even
 * with loops in the image.
 */
#ifndef E2DT_TESTKIT_CHECK_IMAGE_H
#define E2DT_TESTKIT_CHECK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

/*
 * Owner of a block reserved for descriptor growth, while the inodes are walked. The resize inode
 * may claim the block.
 */
#define E2DT_CHECK_RESERVED (UINT32_MAX - 2)

/* References to an inode found in directories. */
struct e2dt_check_inode {
    uint32_t entries; /* dirents naming the inode, including "." and ".." */
    uint32_t parent;  /* for a directory, the directory with its dirent, 0 if none was found */
    uint32_t dotdot;  /* for a directory, the target of "..", later the mark of the loop search */
};

/* A set of (directory, name) pairs, for detecting duplicate names in a directory. */
struct e2dt_check_name {
    uint32_t directory; /* 0 for a free slot */
    uint32_t hash;
    const struct ext2dax_disk_dirent *entry;
};

struct e2dt_check {
    const uint8_t *base;
    size_t size;
    unsigned flags;
    void (*found)(void *arg, const struct ext2dax_finding *finding);
    void *arg;
    int findings;

    const struct ext2dax_disk_super *super;
    uint32_t block_size, block_shift;
    uint32_t pointers_shift; /* log2 of the pointers per block */
    uint32_t first, blocks;
    uint32_t blocks_per_group, groups;
    uint32_t inodes, inodes_per_group, inode_size, first_inode;
    uint32_t table_blocks;
    uint32_t descriptors; /* per block */
    uint32_t descriptor_blocks;
    /* descriptor blocks after the superblock, all others lie in their meta groups */
    uint32_t old_descriptor_blocks;
    uint32_t reserved_descriptors;
    bool sparse, filetype, meta_groups;
    /* superblock copies only in the first group and in two groups named by the superblock */
    bool sparse2;
    bool dir_nlink, huge_file, hurd;
    /*
     * Inode table and inode bitmap of the first group, set after both were found inside the group.
     * A small image has all inodes in its first group, and small images are checked often.
     */
    const uint8_t *first_table, *first_inode_bitmap;

    uint32_t *owner;            /* per block, 0, METADATA, RESERVED or an inode number */
    uint32_t *xattr_references; /* per block, inodes naming the block as their xattr block */
    struct e2dt_check_inode *inode;
    struct e2dt_check_name *names;
    uint32_t names_mask, names_used;
    bool names_own; /* allocated by grow_names(), not part of the scratch memory */
    bool no_memory;
};

static inline uint16_t e2dt_check_get16(struct ext2dax_le16 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t e2dt_check_get32(struct ext2dax_le32 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline const void *e2dt_check_block(const struct e2dt_check *a, uint32_t block)
{
    return a->base + ((size_t)block << a->block_shift);
}
static inline bool e2dt_check_in_image(const struct e2dt_check *a, uint32_t block)
{
    return block >= a->first && block < a->blocks;
}
static inline bool e2dt_check_bit(const uint8_t *map, uint32_t n)
{
    return (map[n >> 3] >> (n & 7) & 1) != 0;
}
/*
 * Advances *number to the next inode number, starting from 0. Returns false at the last number,
 * which may be UINT32_MAX.
 */
static inline bool e2dt_check_next_inode(const struct e2dt_check *a, uint32_t *number)
{
    if (*number >= a->inodes)
        return false;
    ++*number;
    return true;
}
static inline uint32_t e2dt_check_group_first(const struct e2dt_check *a, uint32_t group)
{
    return a->first + group * a->blocks_per_group;
}
static inline uint32_t e2dt_check_group_blocks(const struct e2dt_check *a, uint32_t group)
{
    uint32_t left = a->blocks - e2dt_check_group_first(a, group);

    return left < a->blocks_per_group ? left : a->blocks_per_group;
}

/* ---- check_geometry.c ---- */

void e2dt_check_report(struct e2dt_check *a, const char *what, uint32_t inode, uint64_t block, uint64_t expected,
                       uint64_t found);

/*
 * Reads the geometry. Returns 0 if usable, 1 if contradictory and reported, or a negative errno
 *   EINVAL      not an ext2 image
 *   EOPNOTSUPP  unknown incompatible features
 */
int e2dt_check_geometry(struct e2dt_check *a);
/* Returns NULL if the descriptor block of a meta group would lie outside the image. */
const struct ext2dax_disk_group *e2dt_check_descriptor(const struct e2dt_check *a, uint32_t group);
/* Does the group have a copy of the superblock? */
bool e2dt_check_has_super(const struct e2dt_check *a, uint32_t group);
/*
 * Returns the block with a copy of a meta group's descriptors. `which` is 0, 1 or 2 for the copy in
 * the first, second or last group of the meta group.
 */
uint32_t e2dt_check_meta_descriptor(const struct e2dt_check *a, uint32_t table, uint32_t which);
/*
 * Returns an inode, or NULL if the number or the location of its inode table is invalid. Needs only
 * the geometry.
 */
const struct ext2dax_disk_inode *e2dt_check_inode_at(const struct e2dt_check *a, uint32_t number);
uint64_t e2dt_check_inode_size(const struct ext2dax_disk_inode *inode);
/* Returns i_blocks in units of 512 bytes. */
uint64_t e2dt_check_inode_sectors(const struct e2dt_check *a, const struct ext2dax_disk_inode *inode);
bool e2dt_check_inode_marked(const struct e2dt_check *a, uint32_t number);
/*
 * Does the inode count as a file? True for an inode with links. With UNLINKED_OK and without
 * LEAKS_OK also true for an inode without links, if marked used and with a mode.
 */
bool e2dt_check_in_use(const struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode);

/* ---- check_super.c ---- */

/*
 * Claims every metadata block. Returns false after a report if the descriptors do not permit
 * reading the inodes.
 */
bool e2dt_check_metadata(struct e2dt_check *a);
/*
 * Compares bitmaps with owners, and checks bitmap padding, counters, xattr reference counts and the
 * superblock state. Completes the owner map.
 */
void e2dt_check_totals(struct e2dt_check *a);

/* ---- check_inode.c ---- */

/* Checks every inode and every block of its tree. Parses directories on the way. */
void e2dt_check_inodes(struct e2dt_check *a);

/* ---- check_dir.c ---- */

void e2dt_check_directory_block(struct e2dt_check *a, uint32_t number, uint64_t logical, uint32_t block);
/* Checks link counts, names and connectivity after all directories were parsed. */
void e2dt_check_links(struct e2dt_check *a);

#endif
