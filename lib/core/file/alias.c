/* SPDX-License-Identifier: MIT */
/* Aliasing between a caller's buffer and the bytes of a file. */
#include "file/alias.h"

#include "tree/lookup.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/map.h"

/*
 * Returns false on a bad block pointer. The read or write stops at the same pointer and returns the
 * error, so no byte after the pointer is moved.
 */
static bool in_image(struct ext2dax_inode *inode, uint64_t from, uint64_t to, const void *buffer, size_t length)
{
    struct ext2dax_mount *m = inode->mount;
    uintptr_t at = (uintptr_t)buffer - (uintptr_t)m->base;
    uint64_t end = e2d_blocks_for(m, e2d_min64(to, e2d_size(inode))), logical = from >> m->block_shift, met = 0;
    uint64_t first = at >> m->block_shift, last = ((uint64_t)at + length - 1) >> m->block_shift;
    struct ext2dax_run run;

    if (at >= m->size)
        return false;
    for (; logical < end; logical += run.length) {
        if (e2d_map(inode, logical, end - logical, &run) != 0)
            return false;
        if (run.physical == 0)
            continue;
        if (run.physical <= last && run.physical + run.length > first)
            return true;
        if (e2d_blocks_possible(inode, met += run.length) != 0)
            return false;
    }
    return false;
}

bool e2d_aliases(struct ext2dax_inode *inode, uint64_t from, uint64_t to, const void *buffer, size_t length)
{
    struct ext2dax_mount *m = inode->mount;

    if (length == 0)
        return false;
    if (in_image(inode, from, to, buffer, length))
        return true;
    return m->faultable && m->space_ops.aliases &&
           m->space_ops.aliases(m->space_ctx, inode, from, to - from, buffer, length);
}
