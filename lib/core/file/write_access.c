/* SPDX-License-Identifier: MIT */
/* Begin and end of a call modifying an inode. */
#include "file/write_access.h"

#include "disk/inode.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "base/skips.h"

int e2d_may_write(struct ext2dax_mount *m)
{
    return m->read_only || e2d_load32(&m->stopped) > EXT2DAX_ERRORS_CONTINUE ? -EXT2DAX_EROFS : e2d_failed(m);
}

int e2d_change_admitted(struct ext2dax_mount *m, struct e2d_time *now)
{
    int rc = e2d_may_write(m);

    if (rc != 0)
        e2d_read_unlock(m, &m->freeze_write);
    else
        *now = e2d_now(m);
    return rc;
}

int e2d_change_begin(struct ext2dax_inode *inode, struct e2d_time *now)
{
    struct ext2dax_mount *m = inode->mount;
    int rc = e2d_usable(m);

    if (rc != 0)
        return rc;
    e2d_read_lock(m, &m->freeze_write);
    rc = e2d_change_admitted(m, now);
    if (rc == 0)
        e2d_write_lock(m, &inode->io);
    return rc;
}

void e2d_change_end(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    if (E2D_MUTANT(ORDER_DIRTY_LATE))
        (void)e2d_super_mark(m, false);
    e2d_write_unlock(m, &inode->io);
    e2d_read_unlock(m, &m->freeze_write);
}

int e2d_write_access_begin(struct ext2dax_inode *inode, enum e2d_write_access what, struct e2d_time *now)
{
    uint32_t flags;
    int rc;

    if (e2d_is_directory(inode))
        return -EXT2DAX_EISDIR;
    if (!e2d_is_regular(inode))
        return -EXT2DAX_EINVAL;
    rc = e2d_change_begin(inode, now);
    if (rc != 0)
        return rc;
    flags = e2d_load_le32(&inode->disk->flags);
    rc = -EXT2DAX_EPERM;
    if ((flags & EXT2DAX_FL_IMMUTABLE) == 0 && (what == E2D_MODIFY_DATA || (flags & EXT2DAX_FL_APPEND) == 0))
        rc = e2d_huge_check(inode);
    if (rc != 0)
        e2d_change_end(inode);
    return rc;
}
