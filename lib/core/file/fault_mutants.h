/* SPDX-License-Identifier: MIT */
/*
 * Locks of a page fault, and the mutants of page faults which do more than leave out a call. In the
 * shipped core e2d_fault_lock() and e2d_fault_unlock() take and release dax_sem, and the other
 * functions generate no code.
 */
#ifndef E2D_FILE_FAULT_MUTANTS_H
#define E2D_FILE_FAULT_MUTANTS_H

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "tree/map.h"

/* In the order of the mutants DAX_SEM_READ_FAULT, … */
enum e2d_fault_kind {
    E2D_FAULT_READ,
    E2D_FAULT_WRITE,
    E2D_FAULT_PMD_READ,
    E2D_FAULT_PMD_WRITE,
    E2D_FAULT_MKWRITE,
    E2D_FAULT_PFN_MKWRITE
};

/* Does the fault go without dax_sem? */
static inline bool e2d_fault_unlocked(enum e2d_fault_kind kind)
{
    return E2D_MUTANT(DAX_SEM_FAULT) || E2D_MUTANT_FROM(DAX_SEM_READ_FAULT, kind);
}

/* Does the fault check the size before dax_sem is taken? Both huge faults have the same mutant. */
static inline bool e2d_fault_sees_size_early(enum e2d_fault_kind kind)
{
    return E2D_MUTANT_FROM(READ_NO_RECHECK, (int)kind - (kind > E2D_FAULT_PMD_READ));
}

/* Does a shared write take freeze_fault under dax_sem? */
static inline bool e2d_fault_freezes_late(bool write)
{
    return write && E2D_MUTANT(FREEZE_FAULT_LATE);
}

/* The size check of resolve(), in another place. */
static inline void e2d_fault_check_size(struct ext2dax_fault *fault)
{
    if (fault->page >= e2d_pages_for(fault->inode->mount, e2d_size(fault->inode)))
        fault->error = -EXT2DAX_EFAULT;
}

/* Takes dax_sem shared. `write` means a write to a shared mapping. */
static inline void e2d_fault_lock(struct ext2dax_fault *fault, enum e2d_fault_kind kind, bool write)
{
    struct ext2dax_inode *inode = fault->inode;
    struct ext2dax_mount *m = inode->mount;
    bool early = e2d_fault_sees_size_early(kind);

    if (write && E2D_MUTANT(FREEZE_FAULT_SHORT))
        e2d_read_unlock(m, &m->freeze_fault);
    if (early)
        e2d_fault_check_size(fault);
    if (!e2d_fault_unlocked(kind))
        e2d_dax_read_lock(inode);
    if (!early && E2D_SKIPPED_IN("resolve", "past_end(fault)"))
        e2d_fault_check_size(fault);
    if (e2d_fault_freezes_late(write))
        e2d_read_lock(m, &m->freeze_fault);
    if (write && E2D_MUTANT(CLOCK_UNDER_DAX_SEM))
        e2d_store_times(inode, e2d_now(m), true);
}

static inline void e2d_fault_unlock(struct ext2dax_fault *fault, enum e2d_fault_kind kind, bool write)
{
    struct ext2dax_inode *inode = fault->inode;

    if (e2d_fault_freezes_late(write))
        e2d_read_unlock(inode->mount, &inode->mount->freeze_fault);
    if (!e2d_fault_unlocked(kind))
        e2d_dax_read_unlock(inode);
}

/* Looks up the block of the page. A failed lookup counts as a hole. */
static inline void e2d_fault_look(struct ext2dax_fault *fault, struct ext2dax_run *run)
{
    if (e2d_map(fault->inode, fault->page, 1, run) != 0)
        run->physical = 0;
}

/* Looks up the block before dax_sem is held for good. */
static inline void e2d_look_early(struct ext2dax_fault *fault, struct ext2dax_run *run)
{
    if (E2D_MUTANT(PFN_NO_RECHECK)) {
        e2d_fault_look(fault, run);
        e2d_dax_read_unlock(fault->inode);
        e2d_dax_read_lock(fault->inode);
    }
}

/* Looks up the block before the range lock is held. */
static inline void e2d_look_unlocked(struct ext2dax_fault *fault, struct ext2dax_run *run)
{
    if (E2D_MUTANT(ZEROED_BY_LOSER) || E2D_MUTANT(FAULT_NOT_RECHECKED))
        e2d_fault_look(fault, run);
}

/* Zeroes a block where e2d_look_unlocked() saw a hole. */
static inline void e2d_zero_again(struct ext2dax_fault *fault, struct ext2dax_run *run)
{
    struct ext2dax_mount *m = fault->inode->mount;

    if (E2D_MUTANT(ZEROED_BY_LOSER) && run->physical == 0) {
        e2d_fault_look(fault, run);
        if (run->physical != 0)
            e2d_zero(m, e2d_block(m, (uint32_t)run->physical), m->block_size);
    }
}

/* Calls of static functions which a mutant can leave out, as in base/skips.h. */
#if defined(E2D_INSTRUMENT)
#define ends_before(...) E2D_SKIPPABLE("ends_before(" #__VA_ARGS__ ")", false, ends_before(__VA_ARGS__))
/* Left out by mutants which have made the check before, in e2d_fault_lock(). */
#define past_end(fault) E2D_SKIPPABLE("past_end(" #fault ")", (fault)->error != 0, past_end(fault))
#endif

#endif
