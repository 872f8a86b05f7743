/* SPDX-License-Identifier: MIT */
/* How a call that modifies one file begins and ends. */
#include "modify.h"

#include "lock.h"
#include "persist.h"
#include "super.h"

int e2d_may_modify(struct ext2dax_mount *m)
{
    return m->read_only ? -EXT2DAX_EROFS : e2d_failed(m);
}

int e2d_modify_begin(struct ext2dax_inode *inode, enum e2d_modify what, uint32_t *now)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t flags;
    int rc;

    if (e2d_is_directory(inode))
        return -EXT2DAX_EISDIR;
    if (!e2d_is_regular(inode))
        return -EXT2DAX_EINVAL;
    E2D_UNLESS(FREEZE_WRITE_SKIPPED, e2d_read_lock(m, &m->freeze_write));
    rc = e2d_may_modify(m);
    if (rc != 0)
        goto refuse;
    *now = e2d_now(m);
    e2d_write_lock(m, &inode->io);
    flags = e2d_load_le32(&inode->disk->flags);
    if ((flags & EXT2DAX_FL_IMMUTABLE) == 0 && (what == E2D_MODIFY_DATA || (flags & EXT2DAX_FL_APPEND) == 0))
        return 0;
    rc = -EXT2DAX_EPERM;
    e2d_write_unlock(m, &inode->io);
refuse:
    E2D_UNLESS(FREEZE_WRITE_SKIPPED, e2d_read_unlock(m, &m->freeze_write));
    return rc;
}

void e2d_modify_end(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    if (E2D_MUTANT(ORDER_DIRTY_LATE))
        (void)e2d_super_mark(m, false);
    e2d_write_unlock(m, &inode->io);
    E2D_UNLESS(FREEZE_WRITE_SKIPPED, e2d_read_unlock(m, &m->freeze_write));
}
