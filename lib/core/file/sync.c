/* SPDX-License-Identifier: MIT */
/*
 * Durability. Ordered, everything but overwritten data and times is durable when the call that did it returns, so fsync
 * has the dirty windows to write back and one fence to give. Unordered, nothing was written back, and the whole image is;
 * the mappings are write-protected first all the same, or later stores would go unnoticed.
 */
#include "sync.h"

#include "ext2dax/file.h"

#include "cache.h"
#include "lock.h"
#include "persist.h"
#include "window.h"

int e2d_sync_rest(struct ext2dax_mount *m)
{
    return m->ordered ? e2d_order(m, E2D_STEP_SYNC) : e2d_flush(m, m->base, (size_t)m->blocks << m->block_shift);
}

int ext2dax_fsync(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    int rc = e2d_failed(m);
    bool fenced;

    if (rc != 0)
        return rc;
    rc = e2d_dirty_sync(inode, &fenced);
    /* Each window's fence has ordered the times too; a file without dirty windows needs one for them. */
    if (rc == 0 && (!fenced || !m->ordered))
        rc = e2d_sync_rest(m);
    return rc;
}

static int sync_one(struct ext2dax_inode *inode, void *arg)
{
    bool fenced;

    (void)arg;
    return e2d_dirty_sync(inode, &fenced);
}

int e2d_sync_all(struct ext2dax_mount *m)
{
    int rc = e2d_failed(m);

    if (rc == 0)
        rc = e2d_cache_each(m, sync_one, NULL);
    return rc == 0 ? e2d_sync_rest(m) : rc;
}

int ext2dax_sync(struct ext2dax_mount *m)
{
    return e2d_sync_all(m);
}
