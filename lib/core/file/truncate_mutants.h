/* SPDX-License-Identifier: MIT */
/*
 * Mutants of truncate, punch and extension which take a step too early or too late. In the shipped
 * core the functions generate no code. If the repeated step would hide the mutant or do harm, the
 * mutant also leaves out the step in the right place (E2D_SKIPS in base/mutants.h).
 */
#ifndef E2D_FILE_TRUNCATE_MUTANTS_H
#define E2D_FILE_TRUNCATE_MUTANTS_H

#include "base/persist.h"
#include "disk/inode.h"
#include "file/mappings.h"
#include "tree/remove.h"

/* The step after the early store of the size, in the order of the mutants ORDER_TAIL_LAST, … */
enum e2d_size_before { E2D_SIZE_BEFORE_TAIL, E2D_SIZE_BEFORE_END, E2D_SIZE_BEFORE_POINTERS };

/* The operation, in the order of the mutants of each family. */
enum e2d_cut_kind { E2D_CUT_TRUNCATE, E2D_CUT_PUNCH };

/* Stores the size in the image too early. */
static inline void e2d_size_early(struct ext2dax_inode *inode, uint64_t size, enum e2d_size_before step)
{
    if (E2D_MUTANT_FROM(ORDER_TAIL_LAST, step)) {
        (void)e2d_store_size(inode, size);
        (void)e2d_order(inode->mount, step == E2D_SIZE_BEFORE_POINTERS ? E2D_FENCE_REMOVE_BITS : E2D_FENCE_EXTEND_SIZE);
    }
}

/* Stores the size in core too late, after a successful truncate. */
static inline void e2d_size_late(struct ext2dax_inode *inode, uint64_t size, int error)
{
    if (E2D_MUTANT(SIZE_AFTER_UNMAP) && error == 0)
        e2d_set64(&inode->size, size);
}

/* Discards the data blocks of the runs while the pointers are durable. */
static inline void e2d_discard_runs(const struct e2d_removal *removal)
{
    struct ext2dax_mount *m = removal->inode->mount;

    for (unsigned i = 0; i < removal->runs; i++) {
        for (uint32_t k = 0; removal->run[i].level == 0 && k < removal->run[i].count; k++) {
            uint32_t block = e2d_load_le32(&removal->run[i].slots[k]);

            if (block != 0)
                e2d_discard(m, e2d_block(m, block), m->block_size);
        }
    }
}

/* Clears the bits, or discards the blocks, before the pointers are cleared. */
static inline void e2d_free_early(struct e2d_removal *removal, struct e2d_time now, enum e2d_cut_kind kind)
{
    bool bits = E2D_MUTANT_FROM(ORDER_REMOVE_BITS_FIRST, kind), blocks = E2D_MUTANT(ORDER_DISCARD_FIRST);

    if (bits) {
        e2d_remove_free(removal);
        e2d_store_times(removal->inode, now, true);
        (void)e2d_order(removal->inode->mount, E2D_FENCE_REMOVE_BITS);
    }
    if (blocks)
        e2d_discard_runs(removal);
}

/* Unmaps before dax_sem is taken. */
static inline void e2d_unmap_early(struct ext2dax_inode *inode, uint64_t size)
{
    uint64_t first = e2d_pages_for(inode->mount, size);

    if (E2D_MUTANT(UNMAP_EARLY))
        e2d_unmap(inode, first, UINT64_MAX - first, true);
}

/* Unmaps after the blocks are free. The range is in pages. */
static inline void e2d_unmap_late(struct ext2dax_inode *inode, uint64_t first, uint64_t count, enum e2d_cut_kind kind)
{
    if (E2D_MUTANT_FROM(FREE_BEFORE_UNMAP, kind))
        e2d_unmap(inode, first, count, kind == E2D_CUT_TRUNCATE);
}

/* Calls of static functions which a mutant can leave out, as in base/skips.h. */
#if defined(E2D_INSTRUMENT)
#define free_bits(...)     E2D_SKIPPABLE("free_bits(" #__VA_ARGS__ ")", 0, free_bits(__VA_ARGS__))
#define zero_in_block(...) E2D_SKIPPABLE("zero_in_block(" #__VA_ARGS__ ")", false, zero_in_block(__VA_ARGS__))
#endif

#endif
