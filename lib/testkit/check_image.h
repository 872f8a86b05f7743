/* SPDX-License-Identifier: MIT */
/*
 * The whole-image checker's rooms, from the ground up: check_geometry.c (where things lie), check_dir.c (entries, names,
 * links), check_inode.c (inodes and their trees), check_super.c (groups, counters), checker.c (the entry points). None of them includes anything of the core's, so
 * that a misunderstanding of the format in one does not excuse itself in the other.
 *
 * Robustness: nothing from the image is used as an offset before it was compared with the image's size; a block is
 * descended into only by whoever claimed it first, so every walk visits a block once, loops included.
 */
#ifndef E2D_TESTKIT_AUDIT_H
#define E2D_TESTKIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

/* While inodes are walked: a block kept for the descriptors' growth, which the resize inode may claim. */
#define E2D_AUDIT_RESERVED (UINT32_MAX - 2)

/* What directories say of an inode. */
struct e2d_audit_inode {
    uint32_t entries; /* that name it, "." and ".." included */
    uint32_t parent;  /* of a directory: the directory with its entry; 0: none was met */
    uint32_t dotdot;  /* of a directory: what its ".." names; later the stamp of the search for loops */
};

/* A set of (directory, name), to find names that stand twice. */
struct e2d_audit_name {
    uint32_t directory; /* 0: a free slot */
    uint32_t hash;
    const struct ext2dax_disk_dirent *entry;
};

struct e2d_audit {
    const uint8_t *base;
    size_t size;
    unsigned flags;
    void (*found)(void *arg, const struct ext2dax_finding *finding);
    void *arg;
    int findings;

    const struct ext2dax_disk_super *super;
    uint32_t block_size, block_shift;
    uint32_t pointers_shift; /* log2 of the pointers in a block */
    uint32_t first, blocks;
    uint32_t blocks_per_group, groups;
    uint32_t inodes, inodes_per_group, inode_size, first_inode;
    uint32_t table_blocks;
    uint32_t descriptors; /* in a block */
    uint32_t descriptor_blocks;
    uint32_t
        old_descriptor_blocks; /* of those, the ones that follow the superblock; the others lie in their meta group */
    uint32_t reserved_descriptors;
    bool sparse, filetype, meta_groups;
    /* The first group's, once they were found to lie in it: a small image is all in there, and is looked at often. */
    const uint8_t *first_table, *first_inode_bitmap;

    uint32_t *owner;            /* a block: 0, METADATA, RESERVED or an inode */
    uint32_t *xattr_references; /* a block: inodes that name it as their xattr block */
    struct e2d_audit_inode *inode;
    struct e2d_audit_name *names;
    uint32_t names_mask, names_used;
    bool names_own; /* grown out of the scratch */
    bool no_memory;
};

static inline uint16_t e2d_audit_get16(struct ext2dax_le16 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t e2d_audit_get32(struct ext2dax_le32 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline const void *e2d_audit_block(const struct e2d_audit *a, uint32_t block)
{
    return a->base + ((size_t)block << a->block_shift);
}
static inline bool e2d_audit_in_image(const struct e2d_audit *a, uint32_t block)
{
    return block >= a->first && block < a->blocks;
}
static inline bool e2d_audit_bit(const uint8_t *map, uint32_t n)
{
    return (map[n >> 3] >> (n & 7) & 1) != 0;
}
static inline uint32_t e2d_audit_group_first(const struct e2d_audit *a, uint32_t group)
{
    return a->first + group * a->blocks_per_group;
}
static inline uint32_t e2d_audit_group_blocks(const struct e2d_audit *a, uint32_t group)
{
    uint32_t left = a->blocks - e2d_audit_group_first(a, group);

    return left < a->blocks_per_group ? left : a->blocks_per_group;
}

/* ---- check_geometry.c ---- */

void e2d_audit_report(struct e2d_audit *a, const char *what, uint32_t inode, uint64_t block, uint64_t expected,
                      uint64_t found);

/* Reads the geometry. Negative: not an image that can be checked; 1: it contradicts itself, reported; 0: usable. */
int e2d_audit_geometry(struct e2d_audit *a);
/* NULL where a meta group's descriptor block would lie outside the image. */
const struct ext2dax_disk_group *e2d_audit_descriptor(const struct e2d_audit *a, uint32_t group);
/* Has the group a copy of the superblock? */
bool e2d_audit_has_super(const struct e2d_audit *a, uint32_t group);
/* The block with copy `which` (0: the first) of the descriptors of a meta group. */
uint32_t e2d_audit_meta_descriptor(const struct e2d_audit *a, uint32_t table, uint32_t which);
/* Where an inode lies; NULL: no such inode, or its table cannot be. Needs the geometry alone. */
const struct ext2dax_disk_inode *e2d_audit_inode_at(const struct e2d_audit *a, uint32_t number);
uint64_t e2d_audit_inode_size(const struct ext2dax_disk_inode *inode);
bool e2d_audit_inode_marked(const struct e2d_audit *a, uint32_t number);
/* Does it count as a file: links, or held without any where that is allowed? */
bool e2d_audit_in_use(const struct e2d_audit *a, uint32_t number, const struct ext2dax_disk_inode *inode);

/* ---- check_super.c ---- */

/* Claims every metadata block. False: descriptors are such that inodes cannot be looked at, reported. */
bool e2d_audit_metadata(struct e2d_audit *a);
/* Bitmaps against owners, paddings, counters, xattr references, state. Completes the owner map. */
void e2d_audit_totals(struct e2d_audit *a);

/* ---- check_inode.c ---- */

/* Every inode, and every block below it; parses directories on the way. */
void e2d_audit_inodes(struct e2d_audit *a);

/* ---- check_dir.c ---- */

void e2d_audit_directory_block(struct e2d_audit *a, uint32_t number, uint64_t logical, uint32_t block);
/* Links, names and connections, once every directory was parsed. */
void e2d_audit_links(struct e2d_audit *a);

#endif
