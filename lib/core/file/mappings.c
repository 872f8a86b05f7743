/* SPDX-License-Identifier: MIT */
/*
 * Requests of the core to the address space about the mappings of a file, if an address space
 * exists.
 */
#include "file/mappings.h"

void e2d_write_protect(struct ext2dax_inode *inode, uint64_t first, uint64_t count)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t at = first, end = first + count, run, length;

    if (!m->faultable || !m->space_ops.protect)
        return;
    while (at < end) {
        E2D_YIELD(E2D_YIELD_CALLBACK, inode);
        length = m->space_ops.protect(m->space_ctx, inode, at, end - at, &run);
        if (length == 0)
            break;
        at = run + length;
    }
}

void e2d_unmap(struct ext2dax_inode *inode, uint64_t first_page, uint64_t count, bool private_too)
{
    struct ext2dax_mount *m = inode->mount;

    E2D_YIELD(E2D_YIELD_CALLBACK, inode);
    if (count != 0 && m->faultable && m->space_ops.unmap)
        m->space_ops.unmap(m->space_ctx, inode, first_page, count, private_too);
}

void e2d_extend_mapped(struct ext2dax_inode *inode, uint64_t pages)
{
    struct ext2dax_mount *m = inode->mount;

    if (m->faultable && m->space_ops.extend)
        m->space_ops.extend(m->space_ctx, inode, pages);
}
