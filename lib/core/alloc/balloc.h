/* SPDX-License-Identifier: MIT */
/*
 * Block allocator. Data of an eligible PMD range is allocated from a whole aligned extent, in
 * place. All other blocks are packed into the fullest partly used aligned extent, so that whole
 * extents stay whole. Equal calls produce equal images.
 *
 * Bits and group counters are stored without a fence, and become durable with the caller's next
 * fence. The functions below change groups only. The caller adjusts the free count of the
 * superblock, with e2d_super_take_blocks() before an allocation and e2d_super_give_blocks() after
 * blocks were freed.
 */
#ifndef E2D_ALLOC_BALLOC_H
#define E2D_ALLOC_BALLOC_H

#include "base/internal.h"

struct e2d_extent {
    uint32_t block;
    uint32_t count;
};

/*
 * Packed allocation. Marks 1 … count contiguous blocks used, near `goal` (a block number, or 0 for
 * anywhere). Never breaks a whole aligned extent while any usable group has a loose block. Takes
 * group locks, a single one at a time.
 * Returns 0 or a negative errno
 *   ENOSPC   every group is full, so the counts were wrong
 *   EUCLEAN  every group is full or unusable, bitmap and counts of a group disagree (reported)
 *   EIO      every group is full or unusable, the bitmap of a group cannot be read (reported)
 */
int e2d_balloc(struct ext2dax_mount *m, uint32_t goal, uint32_t count, struct e2d_extent *extent);

/*
 * In-place allocation. Marks 1 … count contiguous blocks used, from `block` on, inside the aligned
 * extent which is reserved for the PMD range of the inode. Reserves the extent if unreserved.
 * `block` may be past the end of the image. Takes the group lock.
 * Returns 0 or a negative errno
 *   ENOSPC  `block` is not free, or in no whole aligned extent, or in an extent reserved for
 *           another PMD range, or in an unusable group (reported when found). Other blocks may be
 *           free.
 */
int e2d_balloc_at(struct ext2dax_mount *m, uint32_t owner, uint32_t range, uint32_t block, uint32_t count,
                  struct e2d_extent *extent);

/*
 * Reserves a free aligned extent for a PMD range, in group `near` or the next group with such an
 * extent, and stores the first block in *block. Returns 0, or -ENOSPC if no usable group has a free
 * aligned extent. Takes group locks, a single one at a time.
 */
int e2d_balloc_aligned(struct ext2dax_mount *m, uint32_t owner, uint32_t range, uint32_t near, uint32_t *block);

/*
 * Marks blocks free. Blocks marked free already (claimed and freed by another file) are reported
 * and skipped. Returns the number of blocks changed. The blocks must not be metadata. Takes group
 * locks, a single one at a time.
 */
uint32_t e2d_bfree(struct ext2dax_mount *m, uint32_t block, uint32_t count);

/*
 * Allocate a single block near the start of the group, taken off the free count of the superblock
 * first, and free a run and add the run to this count. Take fs and group locks, one after the
 * other. e2d_balloc_one() fails as e2d_super_take_blocks() and e2d_balloc(), and then changes
 * nothing.
 */
int e2d_balloc_one(struct ext2dax_mount *m, uint32_t group, struct e2d_extent *extent);
void e2d_give_back(struct ext2dax_mount *m, uint32_t block, uint32_t count);

/*
 * Drops a reference to a block shared by several inodes. The count, `references`, is inside the
 * block. If the count was 1, marks the block free, and no inode can share the block any more. The
 * count is guarded by the lock of the block's group, which this function takes. The caller has
 * checked with e2d_ballocated() that the bitmap can be read, before the change that needs the drop.
 * Returns 1 if the block was marked free, 0 if still shared, or a negative errno with nothing
 * changed
 *   EUCLEAN  the count is 0, or the block is marked free (not reported)
 */
int e2d_bunshare(struct ext2dax_mount *m, uint32_t block, struct ext2dax_le32 *references);

/*
 * Checks whether a run of a file can be freed. The groups must be sound and all bits set. Takes
 * group locks, a single one at a time. Returns 0, 1 if a bit is clear, or a negative errno
 *   EUCLEAN  bitmap and free count of a group disagree (reported)
 *   EIO      a bitmap cannot be read (reported)
 */
int e2d_ballocated(struct ext2dax_mount *m, uint32_t block, uint32_t count);

#endif
