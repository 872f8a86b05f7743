/* SPDX-License-Identifier: MIT */
/* List of pins per inode, under the fs lock. */
#include "file/pin_list.h"

#include "ext2dax/pin.h"

#include "base/lock.h"
#include "base/skips.h"

void(e2d_pin_record)(struct ext2dax_pin *pin)
{
    struct ext2dax_inode *inode = pin->inode;
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->fs);
    pin->next = inode->pins;
    E2D_GUARDED_STORE(&inode->pins);
    inode->pins = pin;
    m->writable_pins += pin->writable;
    e2d_write_unlock(m, &m->fs);
}

void(e2d_pin_forget)(struct ext2dax_pin *pin)
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

bool(e2d_pinned)(struct ext2dax_inode *inode, uint64_t first, uint64_t end, bool writable_only)
{
    struct ext2dax_mount *m = inode->mount;
    const struct ext2dax_pin *pin;

    e2d_read_lock(m, &m->fs);
    for (pin = inode->pins; pin; pin = pin->next) {
        if (pin->first < end && first < pin->first + pin->count && (pin->writable || !writable_only))
            break;
    }
    e2d_read_unlock(m, &m->fs);
    return pin != NULL;
}
