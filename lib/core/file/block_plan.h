/* SPDX-License-Identifier: MIT */
/*
 * What adds blocks: plan, then publish. One mechanism for write, fault, append and preallocation.
 *
 *   struct e2d_plan plan;
 *   e2d_plan_blocks()    marks data blocks used, for (the start of) one hole of one window
 *   …                    the caller fills them, reachable from nowhere: e2d_plan_zero(), or copies data
 *   e2d_plan_publish()   looks at the place again, builds the pointer blocks, | grows the size, | stores the pointers |
 *   e2d_plan_drop()      instead, or after it failed: returns every block
 *
 * A plan that was published or dropped holds nothing.
 */
#ifndef E2D_GROW_H
#define E2D_GROW_H

#include "balloc.h"
#include "incore.h"

#define E2D_PLAN_EXTENTS 8
#define E2D_PLAN_TREE    6 /* new pointer blocks that one window can need: two chains, sharing their top */
#define E2D_PLAN_PARTS   2 /* pointer arrays that one window can touch */

struct e2d_plan {
    struct ext2dax_inode *inode;
    uint64_t first; /* logical block */
    uint32_t count; /* blocks planned: at most what was asked for */
    unsigned extents;
    struct e2d_extent extent[E2D_PLAN_EXTENTS]; /* in logical order, without gaps */
    unsigned tree_blocks;
    uint32_t tree[E2D_PLAN_TREE];
    unsigned attaches; /* new chains, each hung in with one store */
    struct {
        struct ext2dax_le32 *slot;
        uint32_t block;
    } attach[E2D_PLAN_PARTS];
    unsigned parts; /* arrays that are reachable already, whose pointers are stored last */
    struct {
        struct ext2dax_le32 *slots;
        uint64_t first; /* logical block of slots[0] */
        uint32_t count;
    } part[E2D_PLAN_PARTS];
};

/*
 * Allocates for [first, first + count), a hole inside one window as far as the caller could see, as much as fits the
 * plan and is free. `size`: the size that decides whether the window is eligible for a region of its own. `whole`: all
 * of it in one aligned region, or ENOSPC. ENOSPC, EUCLEAN, ENOMEM: nothing is held. Takes group and fs locks.
 */
int e2d_plan_blocks(struct e2d_plan *plan, struct ext2dax_inode *inode, uint64_t first, uint32_t count, uint64_t size,
                    bool whole);

/* Zeroes the planned bytes outside [from, to) (bytes of the file), which the caller fills. from = to: all. */
void e2d_plan_zero(struct e2d_plan *plan, uint64_t from, uint64_t to);

/* The memory that backs a byte of the file inside the plan, and how many bytes from there on are contiguous. */
void *e2d_plan_at(const struct e2d_plan *plan, uint64_t offset, size_t *contiguous);

/* Gives back the planned blocks behind the first `count`. */
void e2d_plan_shorten(struct e2d_plan *plan, uint32_t count);

/*
 * The caller holds entry; takes truncate, until the pointers are durable. `new_size`: 0, or the size to grow to between
 * content and pointers. Zero pages mapped over the place are torn down. EAGAIN: some of it is filled now. ENOSPC, EFBIG,
 * EUCLEAN, EIO, ENOMEM. After any failure the plan is still the caller's to drop.
 */
int e2d_plan_publish(struct e2d_plan *plan, uint64_t new_size);

/*
 * Publishes what grows the file: takes dax_sem exclusively where an old tail must be zeroed first, then entry. The caller
 * holds io and none of these. `data`: from this byte of the file on, the old last block holds what the file shall have
 * there, written back; UINT64_MAX where nothing was put there.
 */
int e2d_plan_publish_growing(struct e2d_plan *plan, uint64_t new_size, uint64_t data);

void e2d_plan_drop(struct e2d_plan *plan);

/*
 * Fills (the start of) a hole with zeroed blocks, all three steps: *filled blocks from `first` on have them. The caller
 * holds the window's entry, and dax_sem shared or io. EAGAIN cannot happen then.
 */
int e2d_fill_hole(struct ext2dax_inode *inode, uint64_t first, uint32_t count, bool whole, struct e2d_extent *filled);

/*
 * Grows the size without adding blocks: the old tail zeroed | size |. The caller holds io exclusively; takes dax_sem
 * exclusively and truncate. EFBIG, EIO.
 */
int e2d_grow_size(struct ext2dax_inode *inode, uint64_t size);

/* May the file grow from its size to this one? EFBIG: past the largest size, or across a line where the image would
 * between two stores hold a size that e2fsck calls impossible (16 GiB with 1 KiB blocks, 256 GiB with 2 KiB). */
int e2d_may_grow(const struct ext2dax_inode *inode, uint64_t size);

#endif
