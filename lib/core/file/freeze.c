/* SPDX-License-Identifier: MIT */
/*
 * Freeze and thaw. Both freeze locks stay held exclusively from freeze to thaw, whichever threads call them: modifying
 * calls wait at the first, write faults find the second taken and answer RETRY. Mappings are write-protected after the
 * locks are held, or stores through them would go on without a fault.
 *
 * Who waits for thaw does so at a third lock. Queued at the second, those not yet through would make the tries of those
 * who are fail, who would queue behind them again: a fair lock could go round like this for ever, frozen by nobody.
 */
#include "freeze.h"

#include "cache.h"
#include "lock.h"
#include "persist.h"
#include "super.h"
#include "sync.h"
#include "window.h"

void e2d_freeze_locks(struct ext2dax_mount *m)
{
    e2d_write_lock(m, &m->freeze_write);
    e2d_write_lock(m, &m->thaw_gate);
    e2d_write_lock(m, &m->freeze_fault);
}

void e2d_thaw_locks(struct ext2dax_mount *m)
{
    e2d_write_unlock(m, &m->freeze_fault);
    e2d_write_unlock(m, &m->thaw_gate);
    e2d_write_unlock(m, &m->freeze_write);
    E2D_UNLESS(THAW_FORGETS, e2d_cache_drain(m));
}

static int flush_one(struct ext2dax_inode *inode, void *arg)
{
    bool fenced;

    (void)arg;
    return e2d_dirty_flush(inode, &fenced); /* io is not needed: nothing can truncate now */
}

int e2d_quiesce(struct ext2dax_mount *m)
{
    bool pinned;
    int rc;

    E2D_MUST_HOLD(m, &m->freeze_write);
    E2D_MUST_HOLD(m, &m->freeze_fault);
    e2d_read_lock(m, &m->fs);
    pinned = m->writable_pins != 0;
    e2d_read_unlock(m, &m->fs);
    if (pinned && !E2D_MUTANT(PINS_IGNORED_FREEZE))
        return -EXT2DAX_EBUSY;
    rc = e2d_failed(m);
    if (rc == 0 && !E2D_MUTANT(FREEZE_UNPROTECTED))
        rc = e2d_cache_each(m, flush_one, NULL);
    return rc == 0 ? e2d_sync_rest(m) : rc;
}

int ext2dax_freeze(struct ext2dax_mount *m)
{
    int rc = 0;

    if (!e2d_swap32(&m->frozen, E2D_THAWED, E2D_FREEZING))
        return -EXT2DAX_EBUSY;
    e2d_freeze_locks(m);
    if (m->read_only)
        rc = -EXT2DAX_EROFS;
    if (rc == 0)
        rc = e2d_quiesce(m);
    if (rc == 0 && !e2d_cache_unlinked(m))
        rc = e2d_super_mark(m, true);
    if (rc == 0) {
        e2d_set32(&m->frozen, E2D_FROZEN);
        return 0; /* with both locks held, for thaw to release */
    }
    e2d_set32(&m->frozen, E2D_THAWED);
    e2d_thaw_locks(m);
    return rc;
}

int ext2dax_thaw(struct ext2dax_mount *m)
{
    int rc;

    if (!e2d_swap32(&m->frozen, E2D_FROZEN, E2D_FREEZING))
        return -EXT2DAX_EINVAL;
    rc = e2d_super_mark(m, false);
    e2d_set32(&m->frozen, E2D_THAWED);
    e2d_thaw_locks(m);
    return rc;
}

void ext2dax_wait_thaw(struct ext2dax_mount *m)
{
    e2d_read_lock(m, &m->thaw_gate);
    e2d_read_unlock(m, &m->thaw_gate);
}
