/* SPDX-License-Identifier: MIT */
/*
 * Pointer chains. Each pointer is checked before anything is read through it, so a hostile tree can at worst name the
 * wrong data blocks, never lead outside the image or into metadata; and a chain has at most E2D_DEPTH_MAX links, so it
 * cannot loop.
 */
#include "branch.h"

#include "balloc.h"
#include "persist.h"
#include "super.h"
#include "zone.h"

int e2d_pointer_check(struct ext2dax_inode *inode, uint32_t block, uint32_t count)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t offender;

    if (E2D_MUTANT(POINTER_UNCHECKED))
        return 0;
    offender = e2d_zone_offender(m, block, count);
    if (offender == 0 && block != 0)
        return 0;
    return e2d_corrupt(m, "inode", inode->number, "block pointer", block != 0 ? offender : block,
                       offender >= m->blocks ? "lies outside the image" : "lies in a metadata zone");
}

int e2d_blocks_possible(struct ext2dax_inode *inode, uint64_t met)
{
    struct ext2dax_mount *m = inode->mount;

    if (met <= m->blocks)
        return 0;
    return e2d_corrupt(m, "inode", inode->number, "block tree", met, "has more blocks than the image");
}

int e2d_leaf(struct ext2dax_inode *inode, uint64_t logical, struct e2d_leaf *leaf)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_le32 *slots = inode->disk->block;
    struct e2d_path path;
    uint32_t at;
    int rc;

    if (!e2d_path(m, logical, &path))
        return -EXT2DAX_EFBIG;
    leaf->slots = NULL;
    at = path.slot;
    for (unsigned i = 0; i < path.depth; i++) {
        uint32_t block = e2d_load_le32(&slots[at]);
        uint64_t span = e2d_path_span(m, path.depth - i);

        if (block == 0) {
            leaf->first = e2d_path_base(m, path.slot);
            leaf->first += (logical - leaf->first) & ~(span - 1);
            leaf->count = span;
            return 0;
        }
        rc = e2d_pointer_check(inode, block, 1);
        if (rc != 0)
            return rc;
        slots = e2d_block(m, block);
        rc = e2d_check(m, slots, m->block_size);
        if (rc != 0)
            return rc;
        at = path.index[i];
    }
    leaf->slots = slots;
    leaf->first = path.leaf_first;
    leaf->count = path.leaf_count;
    return 0;
}
