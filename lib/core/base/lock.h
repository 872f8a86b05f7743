/* SPDX-License-Identifier: MIT */
/* The lock plug as the core calls it, and the assertions on what is held. */
#ifndef E2D_LOCK_H
#define E2D_LOCK_H

#include "incore.h"

static inline int e2d_lock_init(struct ext2dax_mount *m, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class,
                                uint64_t number)
{
    return m->lock_ops.init(m->lock_ctx, lock, lock_class, number);
}
static inline void e2d_lock_destroy(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    if (m->lock_ops.destroy)
        m->lock_ops.destroy(m->lock_ctx, lock);
}
static inline void e2d_read_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    m->lock_ops.read_lock(m->lock_ctx, lock);
}
static inline void e2d_read_unlock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    m->lock_ops.read_unlock(m->lock_ctx, lock);
}
static inline void e2d_write_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    m->lock_ops.write_lock(m->lock_ctx, lock);
}
static inline void e2d_write_unlock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    m->lock_ops.write_unlock(m->lock_ctx, lock);
}
static inline bool e2d_try_read_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    return m->lock_ops.try_read_lock(m->lock_ctx, lock);
}
static inline bool e2d_held(const struct ext2dax_mount *m, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    return !m->lock_ops.held || m->lock_ops.held(m->lock_ctx, lock, mode);
}

#define E2D_MUST_HOLD(m, lock)  E2D_ASSERT(m, e2d_held(m, lock, EXT2DAX_LOCK_EXCLUSIVE))
#define E2D_MUST_SHARE(m, lock) E2D_ASSERT(m, e2d_held(m, lock, EXT2DAX_LOCK_SHARED))

/* What dax_sem is taken exclusively for. */
enum e2d_dax_for { E2D_DAX_TRUNCATE, E2D_DAX_PUNCH, E2D_DAX_GROW, E2D_DAX_FREE };

/*
 * dax_sem: the fault family holds it shared, what takes blocks away exclusively. A build without faults has none, and
 * these leave no code.
 */
#if defined(E2D_NO_FAULTS)
#define E2D_FAULTS 0
static inline void e2d_dax_write_lock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    (void)inode;
    (void)what;
}
static inline void e2d_dax_write_unlock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    (void)inode;
    (void)what;
}
static inline void e2d_dax_read_lock(struct ext2dax_inode *inode)
{
    (void)inode;
}
static inline void e2d_dax_read_unlock(struct ext2dax_inode *inode)
{
    (void)inode;
}
#define E2D_MUST_HOLD_DAX(inode) ((void)0)
#else
#define E2D_FAULTS               1
/* Which mutants leave it out, or take it in the wrong mode. */
static inline bool e2d_dax_skipped(enum e2d_dax_for what)
{
    return (what == E2D_DAX_TRUNCATE && E2D_MUTANT(DAX_SEM_TRUNCATE)) ||
           (what == E2D_DAX_PUNCH && E2D_MUTANT(DAX_SEM_PUNCH)) || (what == E2D_DAX_GROW && E2D_MUTANT(DAX_SEM_GROW));
}
static inline bool e2d_dax_shared(enum e2d_dax_for what)
{
    return (what == E2D_DAX_TRUNCATE && E2D_MUTANT(DAX_SEM_SHARED_TRUNCATE)) ||
           (what == E2D_DAX_PUNCH && E2D_MUTANT(DAX_SEM_SHARED_PUNCH)) ||
           (what == E2D_DAX_GROW && E2D_MUTANT(DAX_SEM_SHARED_GROW));
}
static inline void e2d_dax_read_lock(struct ext2dax_inode *inode)
{
    e2d_read_lock(inode->mount, &inode->dax_sem);
}
static inline void e2d_dax_read_unlock(struct ext2dax_inode *inode)
{
    e2d_read_unlock(inode->mount, &inode->dax_sem);
}
static inline void e2d_dax_write_lock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    if (e2d_dax_shared(what))
        e2d_dax_read_lock(inode);
    else if (!e2d_dax_skipped(what))
        e2d_write_lock(inode->mount, &inode->dax_sem);
}
static inline void e2d_dax_write_unlock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    if (e2d_dax_shared(what))
        e2d_dax_read_unlock(inode);
    else if (!e2d_dax_skipped(what))
        e2d_write_unlock(inode->mount, &inode->dax_sem);
}
#define E2D_MUST_HOLD_DAX(inode) E2D_MUST_HOLD((inode)->mount, &(inode)->dax_sem)
#endif

#endif
