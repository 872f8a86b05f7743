/* SPDX-License-Identifier: MIT */
/*
 * Pins. A pin is recorded while dax_sem is held shared and the size is known to cover the pin.
 * Truncate and punch look for pins while holding dax_sem exclusively. So a pin is either recorded
 * before the check, and truncate or punch returns EBUSY, or the pin follows and sees the result.
 */
#include "ext2dax/pin.h"

#include "ext2dax/file.h"

#include "tree/lookup.h"
#include "file/block_plan.h"
#include "base/lock.h"
#include "tree/map.h"
#include "file/write_access.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "file/dirty.h"
#include "file/pin_list.h"
#include "file/range_lock.h"
#include "base/skips.h"

/*
 * Ensures that every block of the pin exists. A writable pin fills holes and marks all its PMD
 * ranges dirty. A read-only pin over a hole returns ENXIO.
 */
static int back(const struct ext2dax_pin *pin)
{
    struct ext2dax_inode *inode = pin->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t at = pin->first, end = pin->first + pin->count, met = 0;
    struct e2d_extent filled = {0, 0};
    struct ext2dax_run run;
    int rc = 0;

    while (rc == 0 && at < end) {
        uint64_t range = e2d_pmd_range_of(m, at);
        uint64_t in_range = m->pmd_blocks - (at & (m->pmd_blocks - 1));

        e2d_range_lock(inode, range);
        rc = e2d_map(inode, at, e2d_min64(in_range, end - at), &run);
        if (rc == 0 && run.physical == 0) {
            rc = pin->writable ? e2d_fill_hole(inode, at, (uint32_t)run.length, false, &filled) : -EXT2DAX_ENXIO;
            run.length = filled.count;
        }
        if (rc == 0)
            rc = e2d_blocks_possible(inode, met += run.length);
        if (rc == 0 && pin->writable)
            e2d_dirty_mark(inode, range);
        e2d_range_unlock(inode, range);
        at += run.length;
    }
    return rc;
}

/*
 * Excludes truncate during the lookup of blocks, through dax_sem shared. A build without faults has
 * no dax_sem and uses io.
 */
static void hold_tree(struct ext2dax_inode *inode)
{
    if (!E2D_FAULTS)
        e2d_read_lock(inode->mount, &inode->io);
    e2d_dax_read_lock(inode);
}

static void release_tree(struct ext2dax_inode *inode)
{
    e2d_dax_read_unlock(inode);
    if (!E2D_FAULTS)
        e2d_read_unlock(inode->mount, &inode->io);
}

/*
 * Returns 0 if a writable pin may be taken. Stores through a pin are not limited to the end of the
 * file, so append-only files refuse too. The caller holds freeze_write shared. Without io the call
 * may come before or after a change of the flags.
 */
static int may_pin_writable(const struct ext2dax_inode *inode)
{
    uint32_t flags = e2d_load_le32(&inode->disk->flags);
    int rc = e2d_may_write(inode->mount);

    return rc == 0 && (flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0 ? -EXT2DAX_EPERM : rc;
}

int ext2dax_pin(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool writable, struct ext2dax_pin *pin)
{
    struct ext2dax_mount *m = inode->mount;
    int rc = 0;

    if (!e2d_is_regular(inode) || length == 0)
        return -EXT2DAX_EINVAL;
    if (offset > UINT64_MAX - length)
        return -EXT2DAX_EOVERFLOW;
    pin->inode = inode;
    pin->first = offset >> m->block_shift;
    pin->count = e2d_blocks_for(m, offset + length) - pin->first;
    pin->writable = writable;

    rc = e2d_usable(m);
    if (rc != 0)
        return rc;
    ext2dax_inode_hold(inode);
    if (writable) {
        e2d_read_lock(m, &m->freeze_write);
        rc = may_pin_writable(inode);
    }
    if (rc == 0) {
        hold_tree(inode);
        if (pin->first + pin->count > e2d_blocks_for(m, e2d_size(inode))) {
            rc = -EXT2DAX_EINVAL;
        } else {
            e2d_pin_record(pin);
            rc = back(pin);
            if (rc != 0)
                e2d_pin_forget(pin);
        }
        release_tree(inode);
        if (E2D_MUTANT(PIN_RECORDED_LATE) && rc == 0)
            (e2d_pin_record)(pin);
    }
    if (writable)
        e2d_read_unlock(m, &m->freeze_write);
    if (rc != 0)
        ext2dax_inode_put(inode);
    return rc;
}

int ext2dax_pin_pointer(const struct ext2dax_pin *pin, uint64_t offset, void **pointer, size_t *length)
{
    struct ext2dax_inode *inode = pin->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t logical = offset >> m->block_shift, into = offset & (m->block_size - 1);
    struct ext2dax_run run;
    int rc;

    if (logical < pin->first || logical - pin->first >= pin->count)
        return -EXT2DAX_EINVAL;
    /* The pin itself prevents the removal of the pointers, so no lock is needed. */
    rc = e2d_map(inode, logical, pin->first + pin->count - logical, &run);
    if (rc != 0)
        return rc;
    /* A hole is still possible if the pointer block is also a data block of another file. */
    if (run.physical == 0)
        return e2d_inode_corrupt(inode, "block", logical, "is a hole although pinned");
    *pointer = (unsigned char *)e2d_block(m, (uint32_t)run.physical) + into;
    *length = (size_t)((run.length << m->block_shift) - into);
    return 0;
}

void ext2dax_unpin(struct ext2dax_pin *pin)
{
    if (!e2d_is_usable(pin->inode->mount))
        return;
    e2d_pin_forget(pin);
    ext2dax_inode_put(pin->inode);
}
