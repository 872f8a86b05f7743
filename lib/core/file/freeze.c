/* SPDX-License-Identifier: MIT */
/*
 * Freeze and thaw. Both freeze locks stay held exclusively from freeze to thaw, and different
 * threads may call the two. Modifying calls wait at the first lock. Write faults find the second
 * lock taken and return RETRY. Mappings are write-protected once the locks are held, or stores
 * through them would continue without a fault.
 *
 * Waiting for thaw uses a third lock. Suppose threads waited at the second lock instead. After
 * thaw, a thread that has got through retries the fault. On a fair lock the try fails while other
 * waiters are still queued, and the thread queues again after them. This cycle could repeat
 * forever, although nothing is frozen.
 */
#include "file/freeze.h"

#include "file/icache.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "file/sync.h"
#include "file/dirty.h"
#include "base/skips.h"

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
    e2d_icache_drain(m);
}

static int flush_one(struct ext2dax_inode *inode, void *arg)
{
    bool fenced;

    (void)arg;
    return e2d_dirty_flush(inode, &fenced); /* io is not needed, because nothing can truncate now */
}

/* Returns whether any file has a writable pin. */
static bool(pinned_writable)(struct ext2dax_mount *m)
{
    bool pinned;

    e2d_read_lock(m, &m->fs);
    pinned = m->writable_pins != 0;
    e2d_read_unlock(m, &m->fs);
    return pinned;
}

int e2d_quiesce(struct ext2dax_mount *m)
{
    int rc;

    E2D_MUST_HOLD(m, &m->freeze_write);
    E2D_MUST_HOLD(m, &m->freeze_fault);
    if (pinned_writable(m))
        return -EXT2DAX_EBUSY;
    rc = e2d_failed(m);
    if (rc == 0)
        rc = e2d_icache_each(m, flush_one, NULL);
    return rc == 0 ? e2d_sync_rest(m) : rc;
}

int ext2dax_freeze(struct ext2dax_mount *m)
{
    int rc = e2d_usable(m);

    if (rc != 0)
        return rc;
    if (!e2d_swap32(&m->frozen, E2D_THAWED, E2D_FREEZING))
        return -EXT2DAX_EBUSY;
    e2d_freeze_locks(m);
    if (m->read_only)
        rc = -EXT2DAX_EROFS;
    if (rc == 0)
        rc = e2d_quiesce(m);
    if (rc == 0 && !e2d_icache_unlinked(m))
        rc = e2d_super_mark(m, true);
    if (rc == 0) {
        e2d_set32(&m->frozen, E2D_FROZEN);
        return 0; /* with the freeze locks held, for thaw to release */
    }
    e2d_set32(&m->frozen, E2D_THAWED);
    e2d_thaw_locks(m);
    return rc;
}

int ext2dax_thaw(struct ext2dax_mount *m)
{
    int rc = e2d_usable(m);

    if (rc != 0)
        return rc;
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
