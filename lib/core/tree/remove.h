/* SPDX-License-Identifier: MIT */
/*
 * A cut: the part of a block tree that holds the logical blocks [first, end).
 *
 * Its topmost pointers are few runs of slots: at each pointer block that is only partly inside, the slots that are wholly
 * inside. Clearing those runs detaches everything; what they pointed to is remembered, and its bits are cleared only
 * when the cleared pointers are durable. A pointer block that the cut leaves empty is cut off with the rest.
 */
#ifndef E2D_CUT_H
#define E2D_CUT_H

#include "incore.h"

/* Runs a cut can have: the inode's direct slots and three trees, and three levels at each of two edges. */
#define E2D_CUT_RUNS 10

struct e2d_cut {
    struct ext2dax_inode *inode;
    uint64_t first, end; /* logical blocks */
    unsigned runs;
    struct {
        struct ext2dax_le32 *slots;
        uint32_t count;
        unsigned level; /* pointer blocks between a slot and its data: 0 … 3 */
    } run[E2D_CUT_RUNS];
    uint32_t blocks;            /* data and pointer blocks below the runs */
    uint32_t slots;             /* in all runs together */
    struct ext2dax_le32 *saved; /* what the runs pointed to; NULL until detached */
};

/*
 * Finds the runs and validates everything below them: every pointer, that its block is marked used, and that there are
 * no more blocks than the image has. Changes nothing. EUCLEAN (reported), EIO. The caller holds dax_sem exclusively and
 * truncate, so that the tree stays as it is found.
 */
int e2d_cut_find(struct e2d_cut *cut, struct ext2dax_inode *inode, uint64_t first, uint64_t end);

/* Gets the memory that e2d_cut_detach() needs, so that it cannot fail: about three pointer blocks, six for a punch. ENOMEM. */
int e2d_cut_prepare(struct e2d_cut *cut);

/* Clears the topmost pointers; unfenced. */
void e2d_cut_detach(struct e2d_cut *cut);

/* Clears the bits of everything below, detached or not, and lowers i_blocks and the counts; unfenced. */
void e2d_cut_free(struct e2d_cut *cut);

/* Gives the memory back, at any point. */
void e2d_cut_close(struct e2d_cut *cut);

#endif
