/* SPDX-License-Identifier: MIT */
/*
 * Block plans: plan, then publish. This is the only mechanism that adds blocks, shared by write,
 * fault, pin, append, preallocation and directories.
 *
 *   struct e2d_plan plan;
 *   e2d_plan_blocks()   marks data blocks used, for (the start of) a single hole of a PMD range
 *   …                   the caller fills the unreachable blocks, e2d_plan_zero() or a copy of data
 *   e2d_plan_publish()  looks at the place again, builds the pointer blocks, | extends the size, |
 *                       stores the pointers |
 *   e2d_plan_drop()     instead, or after a failure of publish, frees every block
 *
 * A | is a fence. A plan holds no blocks after it was published or dropped.
 */
#ifndef E2D_FILE_BLOCK_PLAN_H
#define E2D_FILE_BLOCK_PLAN_H

#include "alloc/balloc.h"
#include "base/internal.h"

#define E2D_PLAN_EXTENTS 8
#define E2D_PLAN_TREE    6 /* new pointer blocks a PMD range can need: two chains sharing the top */
#define E2D_PLAN_PARTS   2 /* pointer arrays a PMD range can span */

struct e2d_plan {
    struct ext2dax_inode *inode;
    uint64_t first; /* logical block */
    uint32_t count; /* blocks planned, at most as many as requested */
    unsigned extents;
    struct e2d_extent extent[E2D_PLAN_EXTENTS]; /* in logical order, without gaps */
    unsigned tree_blocks;
    uint32_t tree[E2D_PLAN_TREE];
    unsigned attaches; /* new chains, each attached with a single store */
    struct {
        struct ext2dax_le32 *slot;
        uint32_t block;
    } attach[E2D_PLAN_PARTS];
    /* arrays already reachable, in which the pointers are stored last */
    unsigned parts;
    struct {
        struct ext2dax_le32 *slots;
        uint64_t first; /* logical block of slots[0] */
        uint32_t count;
    } part[E2D_PLAN_PARTS];
};

/*
 * Allocates blocks for [first, first + count), which lies in a single PMD range and is a hole as
 * far as the caller could see. Allocates as many blocks as fit the plan and are free. `size`
 * decides whether the PMD range is eligible for an aligned extent of its own. With `whole`, all
 * blocks come from a single aligned extent, or the call fails. Takes group and fs locks.
 *
 * Returns 0 or a negative errno, and holds no block after a failure
 *   ENOSPC   no free block, or with `whole` no suitable aligned extent
 *   EUCLEAN  no free block outside of damaged groups (reported)
 *   EIO      no free block outside of groups with an unreadable bitmap (reported)
 */
int e2d_plan_blocks(struct e2d_plan *plan, struct ext2dax_inode *inode, uint64_t first, uint32_t count, uint64_t size,
                    bool whole);

/*
 * Zeroes the planned bytes outside [from, to), a range in bytes of the file, filled by the caller.
 * Zeroes all planned bytes if from = to.
 */
void e2d_plan_zero(struct e2d_plan *plan, uint64_t from, uint64_t to);

/*
 * Returns the memory backing a byte of the file inside the plan. *contiguous receives the number of
 * contiguous bytes from this byte on.
 */
void *e2d_plan_at(const struct e2d_plan *plan, uint64_t offset, size_t *contiguous);

/* Frees the planned blocks after the first `count`. */
void e2d_plan_shorten(struct e2d_plan *plan, uint32_t count);

/*
 * Publishes the plan. The caller holds the range lock. Takes truncate, until the pointers are
 * durable. `new_size` is 0, or the size to extend to between content and pointers. Unmaps zero
 * pages mapped over the place. After any failure the caller still has to drop the plan. If only the
 * last fence fails, the blocks belong to the file already and the plan is empty.
 *
 * Returns 0 or a negative errno
 *   EAGAIN      some of the place has blocks by now
 *   ENOSPC      no free block for a pointer block
 *   EFBIG       the tree does not reach the place, or i_blocks does not fit 32 bits
 *   EOPNOTSUPP  the inode counts blocks as only huge_file allows (reported)
 *   EUCLEAN     a pointer or a group is damaged (reported)
 *   EIO         a bitmap cannot be read, or a write-back failed
 */
int e2d_plan_publish(struct e2d_plan *plan, uint64_t new_size);

/*
 * Publishes a plan that extends the file. Takes dax_sem exclusively if an old tail must be zeroed
 * first, then the range lock. The caller holds io exclusively and neither dax_sem nor the range
 * lock. From byte `data` of the file on, the old last block already has its final content, written
 * back. `data` is UINT64_MAX if nothing was stored there. Errors as e2d_plan_publish(), and those
 * of the lookup of the old tail.
 */
int e2d_plan_publish_extending(struct e2d_plan *plan, uint64_t new_size, uint64_t data);

void e2d_plan_drop(struct e2d_plan *plan);

/*
 * Fills (the start of) a hole with zeroed blocks, in all three steps. On return *filled has the
 * blocks mapped from `first` on. The caller holds the range lock, and dax_sem shared or io, so
 * EAGAIN cannot happen. Other errors as e2d_plan_blocks() and e2d_plan_publish().
 */
int e2d_fill_hole(struct ext2dax_inode *inode, uint64_t first, uint32_t count, bool whole, struct e2d_extent *filled);

#endif
