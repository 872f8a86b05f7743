/* SPDX-License-Identifier: MIT */
/*
 * Pins. A pin is recorded while dax_sem is held shared and the size is known to cover it; truncate and punch look for
 * pins while they hold it exclusively. So a pin is either there before they look, and they answer EBUSY, or comes
 * after them, and finds their result.
 */
#include "ext2dax/pin.h"

#include "ext2dax/file.h"

#include "branch.h"
#include "grow.h"
#include "lock.h"
#include "map.h"
#include "modify.h"
#include "super.h"
#include "window.h"

static void record(struct ext2dax_pin *pin)
{
    struct ext2dax_inode *inode = pin->inode;
    struct ext2dax_mount *m = inode->mount;

    E2D_UNLESS(FS_LOCK_SKIPPED_PINS, e2d_write_lock(m, &m->fs));
    pin->next = inode->pins;
    E2D_GUARDED_STORE(&inode->pins);
    inode->pins = pin;
    m->writable_pins += pin->writable;
    E2D_UNLESS(FS_LOCK_SKIPPED_PINS, e2d_write_unlock(m, &m->fs));
}

static void forget(struct ext2dax_pin *pin)
{
    struct ext2dax_inode *inode = pin->inode;
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_pin **at = &inode->pins;

    e2d_write_lock(m, &m->fs);
    while (*at && *at != pin)
        at = &(*at)->next;
    E2D_ASSERT(m, *at == pin);
    *at = pin->next;
    m->writable_pins -= pin->writable;
    e2d_write_unlock(m, &m->fs);
}

/* Every block of the pin must be there; a writable pin fills holes, and its windows count as dirty. */
static int back(const struct ext2dax_pin *pin)
{
    struct ext2dax_inode *inode = pin->inode;
    const struct ext2dax_mount *m = inode->mount;
    uint64_t at = pin->first, end = pin->first + pin->count, met = 0;
    struct e2d_extent filled = {0, 0};
    struct ext2dax_run run;
    int rc = 0;

    while (rc == 0 && at < end) {
        uint64_t window = e2d_window_of(m, at);
        uint64_t in_window = m->window_blocks - (at & (m->window_blocks - 1));

        e2d_entry_lock(inode, window);
        rc = e2d_map(inode, at, e2d_min64(in_window, end - at), &run);
        if (rc == 0 && run.physical == 0) {
            rc = pin->writable ? e2d_fill_hole(inode, at, (uint32_t)run.length, false, &filled) : -EXT2DAX_ENXIO;
            run.length = filled.count;
        }
        if (rc == 0)
            rc = e2d_blocks_possible(inode, met += run.length);
        if (rc == 0 && pin->writable)
            e2d_dirty_mark(inode, window);
        e2d_entry_unlock(inode, window);
        at += run.length;
    }
    return rc;
}

/* Looking blocks up wants dax_sem shared; a build without it excludes truncate by io. */
static void hold_tree(struct ext2dax_inode *inode)
{
    if (!E2D_FAULTS)
        e2d_read_lock(inode->mount, &inode->io);
    E2D_UNLESS(DAX_SEM_PIN, e2d_dax_read_lock(inode));
}

static void release_tree(struct ext2dax_inode *inode)
{
    E2D_UNLESS(DAX_SEM_PIN, e2d_dax_read_unlock(inode));
    if (!E2D_FAULTS)
        e2d_read_unlock(inode->mount, &inode->io);
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

    ext2dax_inode_hold(inode);
    if (writable) {
        e2d_read_lock(m, &m->freeze_write);
        rc = e2d_may_modify(m);
    }
    if (rc == 0) {
        hold_tree(inode);
        if (pin->first + pin->count > e2d_blocks_for(m, e2d_size(inode))) {
            rc = -EXT2DAX_EINVAL;
        } else {
            E2D_UNLESS(PIN_RECORDED_LATE, record(pin));
            rc = back(pin);
            if (rc != 0)
                E2D_UNLESS(PIN_RECORDED_LATE, forget(pin));
        }
        release_tree(inode);
        if (E2D_MUTANT(PIN_RECORDED_LATE) && rc == 0)
            record(pin);
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
    /* The pin itself keeps these pointers from being taken away; no lock is needed. */
    rc = e2d_map(inode, logical, pin->first + pin->count - logical, &run);
    if (rc != 0)
        return rc;
    /* Unless the block that holds them is somebody's data too. */
    if (run.physical == 0)
        return e2d_corrupt(m, "inode", inode->number, "block", logical, "was pinned and is a hole now");
    *pointer = (unsigned char *)e2d_block(m, (uint32_t)run.physical) + into;
    *length = (size_t)((run.length << m->block_shift) - into);
    return 0;
}

void ext2dax_unpin(struct ext2dax_pin *pin)
{
    forget(pin);
    ext2dax_inode_put(pin->inode);
}
