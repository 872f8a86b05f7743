/* SPDX-License-Identifier: MIT */
/*
 * Removal of the logical blocks [first, end) from a block tree (truncate, punch, freeing an inode).
 *
 * The topmost pointers to remove form few runs of slots. In each pointer block which is partly
 * inside the range, a run has the slots entirely inside the range. Clearing the runs detaches all
 * blocks of the range. The old pointers are saved, and the bits of the blocks are cleared only
 * after the cleared pointers are durable. A pointer block which becomes empty is removed too.
 */
#ifndef E2D_TREE_REMOVE_H
#define E2D_TREE_REMOVE_H

#include "base/internal.h"

/*
 * Maximum of runs. The direct slots of the inode, three trees, and three levels at each of two
 * edges.
 */
#define E2D_REMOVAL_RUNS 10

/* A removal in progress. */
struct e2d_removal {
    struct ext2dax_inode *inode;
    uint64_t first, end; /* logical blocks */
    unsigned runs;
    struct {
        struct ext2dax_le32 *slots;
        uint32_t count;
        unsigned level; /* pointer blocks between a slot and the data, 0 … 3 */
    } run[E2D_REMOVAL_RUNS];
    uint32_t blocks;            /* data and pointer blocks below the runs */
    uint32_t slots;             /* sum over all runs */
    struct ext2dax_le32 *saved; /* old pointers of the runs, NULL before e2d_remove_prepare() */
};

/*
 * Finds the runs and validates everything below. Each pointer must be valid, each block must be
 * marked used, and the number of blocks must not exceed the blocks of the image. Changes nothing.
 * The caller holds truncate, and dax_sem or io exclusively, so the tree does not change afterwards.
 * Recovery holds no lock, because no other thread can use the mount.
 * Returns 0 or a negative errno (reported)
 *   EUCLEAN  a check failed, or the bitmap of a group is bad
 *   EIO      a pointer block or a bitmap cannot be read
 */
int e2d_remove_find(struct e2d_removal *removal, struct ext2dax_inode *inode, uint64_t first, uint64_t end);

/*
 * Finds the runs only, which is fast, to see whether the range has any blocks. For blocks past the
 * end of the file io held exclusively is sufficient, because no other call changes these blocks.
 * Returns 0 or a negative errno (reported)
 *   EUCLEAN  the pointer to a pointer block partly inside the range is bad
 *   EIO      such a pointer block cannot be read
 */
int e2d_remove_look(struct e2d_removal *removal, struct ext2dax_inode *inode, uint64_t first, uint64_t end);

/*
 * Allocates the memory for e2d_remove_detach() and saves the pointers, so that detaching cannot
 * fail. The memory has the size of up to about three pointer blocks, or six for punch. Returns 0 or
 * -ENOMEM.
 */
int e2d_remove_prepare(struct e2d_removal *removal);

/* Clears the topmost pointers, and makes hints of ext2dax_map_block() stale. Does not fence. */
void e2d_remove_detach(struct e2d_removal *removal);

/*
 * Clears the bits of all blocks below the runs, detached or not. Lowers i_blocks and raises the
 * free counts. Does not fence.
 */
void e2d_remove_free(struct e2d_removal *removal);

/*
 * Calls `each` for every run of blocks below the runs of slots. The blocks must not be detached.
 * Validates and returns errors as e2d_remove_find().
 */
int e2d_remove_each(struct e2d_removal *removal, void (*each)(void *arg, uint32_t block, uint32_t count), void *arg);

/* Frees the memory. May be called at any point after e2d_remove_find(). */
void e2d_remove_close(struct e2d_removal *removal);

#endif
