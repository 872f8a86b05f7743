/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are given out. Data of an eligible window gets a whole region and fills it in place; everything else is
 * packed into the fullest partly used region, so that whole ones stay whole. Same calls, same image.
 *
 * Bits and group counters are stored in the caller's epoch, without a fence. Superblock counts were taken before
 * (e2d_super_take_blocks); balloc works on groups alone.
 */
#ifndef E2D_BALLOC_H
#define E2D_BALLOC_H

#include "incore.h"

struct e2d_extent {
    uint32_t block;
    uint32_t count;
};

/*
 * Packed: marks 1 … count blocks used, contiguous, near `goal` (a block number, or 0 for anywhere) and never out of a
 * whole region while a partly used one has room. ENOSPC: every group is full (the counts were wrong); EUCLEAN; ENOMEM.
 * Takes group locks, one at a time.
 */
int e2d_balloc(struct ext2dax_mount *m, uint32_t goal, uint32_t count, struct e2d_extent *extent);

/*
 * In place: marks 1 … count blocks used from `block` on, in the region that is (or is hereby) reserved for the inode's
 * window. ENOSPC: the first of them is not free.
 */
int e2d_balloc_at(struct ext2dax_mount *m, uint32_t owner, uint32_t window, uint32_t block, uint32_t count,
                  struct e2d_extent *extent);

/* Reserves a whole free region for a window, near group `near`: its first block in *block. ENOSPC: none is left. */
int e2d_balloc_region(struct ext2dax_mount *m, uint32_t owner, uint32_t window, uint32_t near, uint32_t *block);

/*
 * Marks blocks free again. Blocks that are free already (another file claimed and freed them) are left alone, reported,
 * and not counted: returns how many changed. They may not be metadata.
 */
uint32_t e2d_bfree(struct ext2dax_mount *m, uint32_t block, uint32_t count);

/* Are all bits of the run set, as the bits of a file's blocks must be? 0, EUCLEAN (not reported), EIO. Takes the group
 * locks. */
int e2d_ballocated(struct ext2dax_mount *m, uint32_t block, uint32_t count);

#endif
