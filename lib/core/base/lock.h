/* SPDX-License-Identifier: MIT */
/* Wrappers for the ops of the lock plug, and assertions on held locks. */
#ifndef E2D_BASE_LOCK_H
#define E2D_BASE_LOCK_H

#include "base/internal.h"

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
    m->lock_calls.read_lock(m->lock_ctx, lock);
}
static inline void e2d_read_unlock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    m->lock_calls.read_unlock(m->lock_ctx, lock);
}
static inline void e2d_write_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    m->lock_calls.write_lock(m->lock_ctx, lock);
}
static inline void e2d_write_unlock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    m->lock_calls.write_unlock(m->lock_ctx, lock);
}
static inline bool e2d_try_read_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    return m->lock_calls.try_read_lock(m->lock_ctx, lock);
}
static inline bool e2d_try_write_lock(struct ext2dax_mount *m, struct ext2dax_lock *lock)
{
    E2D_YIELD(E2D_YIELD_LOCK, lock);
    return m->lock_calls.try_write_lock(m->lock_ctx, lock);
}
/* Reports a broken contract if the lock plug knows that the lock is not held exclusively. */
void e2d_must_hold(const struct ext2dax_mount *m, const struct ext2dax_lock *lock, const char *file, int line);
#define E2D_MUST_HOLD(m, lock) e2d_must_hold((m), (lock), E2D_FILE, __LINE__)

/* Reasons to take dax_sem exclusively, in the order of the mutants that leave dax_sem out. */
enum e2d_dax_for { E2D_DAX_TRUNCATE, E2D_DAX_PUNCH, E2D_DAX_EXTEND, E2D_DAX_ZERO, E2D_DAX_FREE };

/*
 * dax_sem. The fault family holds dax_sem shared, calls which remove blocks or zero an old tail
 * hold dax_sem exclusively. A build without faults has no dax_sem, and the functions generate no
 * code.
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
/*
 * Return true if the active mutant leaves dax_sem out (skipped), or takes dax_sem shared instead of
 * exclusively (shared).
 */
static inline bool e2d_dax_skipped(enum e2d_dax_for what)
{
    return what != E2D_DAX_FREE && E2D_MUTANT_FROM(DAX_SEM_TRUNCATE, what);
}
static inline bool e2d_dax_shared(enum e2d_dax_for what)
{
    return what != E2D_DAX_FREE && E2D_MUTANT_FROM(DAX_SEM_SHARED_TRUNCATE, what);
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
