/* SPDX-License-Identifier: MIT */
/*
 * Durability. In ordered mode, everything except overwritten data and times is durable when the
 * modifying call returns. So fsync only writes back the dirty PMD ranges and issues a fence. In
 * unordered mode nothing was written back, so fsync writes back the whole image. The mappings are
 * write-protected first in this mode too, or later stores would remain unnoticed.
 */
#include "file/sync.h"

#include "ext2dax/file.h"

#include "file/icache.h"
#include "base/lock.h"
#include "base/persist.h"
#include "file/dirty.h"
#include "file/range_lock.h"

int e2d_sync_rest(struct ext2dax_mount *m)
{
    return m->ordered ? e2d_order(m, E2D_FENCE_SYNC) : e2d_flush(m, m->base, (size_t)m->blocks << m->block_shift);
}

/* Flushes the dirty PMD ranges [first, last], and the rest a file needs. */
static int sync_range(struct ext2dax_inode *inode, uint64_t first, uint64_t last)
{
    struct ext2dax_mount *m = inode->mount;
    bool all = first == 0 && last == UINT64_MAX, fenced;
    int rc = e2d_usable(m);

    if (rc == 0)
        rc = e2d_failed(m);
    if (rc != 0)
        return rc;
    rc = all ? e2d_dirty_sync(inode, &fenced) : e2d_dirty_sync_range(inode, first, last, &fenced);
    /*
     * The fence of each PMD range orders the times too. A file without dirty PMD ranges needs a
     * fence for its times.
     */
    if (rc == 0 && (!fenced || !m->ordered))
        rc = e2d_sync_rest(m);
    return rc;
}

int ext2dax_fsync(struct ext2dax_inode *inode)
{
    return sync_range(inode, 0, UINT64_MAX);
}

int ext2dax_fsync_range(struct ext2dax_inode *inode, uint64_t offset, uint64_t length)
{
    const struct ext2dax_mount *m = inode->mount;

    if (length == 0 || offset > UINT64_MAX - length)
        return length == 0 ? -EXT2DAX_EINVAL : -EXT2DAX_EOVERFLOW;
    return sync_range(inode, e2d_pmd_range_of(m, offset >> m->block_shift),
                      e2d_pmd_range_of(m, (offset + length - 1) >> m->block_shift));
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
        rc = e2d_icache_each(m, sync_one, NULL);
    return rc == 0 ? e2d_sync_rest(m) : rc;
}

int ext2dax_sync(struct ext2dax_mount *m)
{
    int rc = e2d_usable(m);

    return rc == 0 ? e2d_sync_all(m) : rc;
}
