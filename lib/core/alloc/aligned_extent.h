/* SPDX-License-Identifier: MIT */
/*
 * Aligned extents of the image, and the number of free blocks in each. The records of a group are
 * built from the block bitmap when the group is first used, and kept up to date from then on. The
 * lock of the group guards all of this. Recording corruption takes fs under the lock of the group.
 */
#ifndef E2D_ALLOC_ALIGNED_EXTENT_H
#define E2D_ALLOC_ALIGNED_EXTENT_H

#include "base/internal.h"

/*
 * Allocates the records of all aligned extents, unless allocated already. Called on the way to
 * read-write, before any change to the image. Returns 0 or -ENOMEM.
 */
int e2d_aligned_open(struct ext2dax_mount *m);
/* Frees the records. Called by unmount, or when a mount fails. */
void e2d_aligned_close(struct ext2dax_mount *m);

/*
 * Returns the record of an aligned extent. Must not be called for a group without aligned extents.
 */
static inline struct e2d_aligned_extent *e2d_aligned_at(const struct ext2dax_mount *m, uint32_t group, uint32_t aligned)
{
    return m->aligned + (size_t)group * m->aligned_per_group + aligned;
}

/*
 * Takes the lock of the group and makes the records of the group valid. Allocates no memory. On
 * failure the lock is not held.
 * Returns 0 or a negative errno (reported by the call which finds the problem, not by later calls)
 *   EIO      the bitmap cannot be read
 *   EUCLEAN  bitmap and free count disagree, or the bitmap marks metadata as free
 */
int e2d_aligned_lock_group(struct ext2dax_mount *m, uint32_t group);

/*
 * Checks the block bitmap of the group against the free count and against the metadata of the
 * group, a single time per group. e2d_ballocated() calls this before blocks are removed. Takes the
 * lock of the group. Allocates no memory.
 * Returns 0 or a negative errno (reported)
 *   EUCLEAN  bitmap and free count disagree, or the bitmap marks metadata as free, at the first
 *            check
 *   EIO      the bitmap cannot be read
 */
int e2d_aligned_check_group(struct ext2dax_mount *m, uint32_t group);

/*
 * Returns the number of whole aligned extents in the group. The last group may be short and have
 * fewer.
 */
uint32_t e2d_aligned_count(const struct ext2dax_mount *m, uint32_t group);
/* Returns the first bit of an aligned extent in the block bitmap of the group. */
static inline uint32_t e2d_aligned_bit(const struct ext2dax_mount *m, uint32_t aligned)
{
    return m->aligned_skew + aligned * m->pmd_blocks;
}
/*
 * Returns the aligned extent of a bit. A result of e2d_aligned_count() or more means that the bit
 * is outside all aligned extents.
 */
static inline uint32_t e2d_aligned_of(const struct ext2dax_mount *m, uint32_t bit)
{
    return bit < m->aligned_skew || m->aligned_per_group == 0 ? UINT32_MAX : (bit - m->aligned_skew) >> m->pmd_shift;
}

/*
 * Finds the whole aligned extent which contains a block. Accepts every block number, also past the
 * end of the image. Returns false for a block outside the image, before the first aligned extent of
 * the group, or in an aligned extent which extends past the end of the group.
 */
bool e2d_aligned_find(const struct ext2dax_mount *m, uint64_t block, uint32_t *group, uint32_t *aligned);

/*
 * Updates the records and hints of the group and the free count in the descriptor, after the bits
 * [from, end) were set or cleared. A reserved extent which becomes free loses the reservation. The
 * caller holds the lock of the group.
 */
void e2d_aligned_changed(struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end, bool set);

/*
 * Reserves an aligned extent for a PMD range of an inode, or drops the reservation (owner 0). The
 * caller holds the lock of the group.
 */
void e2d_aligned_reserve(struct ext2dax_mount *m, uint32_t group, uint32_t aligned, uint32_t owner, uint32_t range);

/*
 * Returns the unreserved, partly used aligned extent with the fewest free blocks, or UINT32_MAX if
 * none.
 */
uint32_t e2d_aligned_fullest(const struct ext2dax_mount *m, uint32_t group);
/*
 * Return the first free unreserved aligned extent, and the first reserved aligned extent with a
 * free block. Return UINT32_MAX if none.
 */
uint32_t e2d_aligned_whole(const struct ext2dax_mount *m, uint32_t group);
uint32_t e2d_aligned_reserved(const struct ext2dax_mount *m, uint32_t group);

#endif
