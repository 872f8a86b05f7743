/* SPDX-License-Identifier: MIT */
/*
 * Pointer chains. Each pointer is checked before the block is read. So a hostile tree can only name
 * wrong data blocks, and cannot lead outside the image or into metadata. A chain has at most
 * E2D_DEPTH_MAX links, so a chain cannot loop.
 */
#include "tree/lookup.h"

#include "alloc/balloc.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "disk/system_zone.h"
#include "base/skips.h"

int e2d_pointer_check(struct ext2dax_inode *inode, uint32_t block, uint32_t count)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t offender = e2d_zone_offender(m, block, count);

    if (offender == 0 && block != 0)
        return 0;
    return e2d_inode_corrupt(inode, "block pointer", block != 0 ? offender : block,
                             offender >= m->blocks ? "is outside the image" : "is metadata");
}

uint32_t e2d_pointers_good(const struct ext2dax_inode *inode, uint32_t block, uint32_t count)
{
    uint32_t offender = e2d_zone_offender(inode->mount, block, count);

    return block == 0 ? 0 : offender == 0 ? count : offender - block;
}

/*
 * Checks a pointer block before the block is read. Returns 0, -EUCLEAN or -EIO, reported if
 * `needed`.
 */
static int enter(struct ext2dax_inode *inode, uint32_t block, bool needed)
{
    struct ext2dax_mount *m = inode->mount;
    int rc;

    if (needed) {
        rc = e2d_pointer_check(inode, block, 1);
        return rc != 0 ? rc : e2d_check(m, e2d_block(m, block), m->block_size);
    }
    if (e2d_pointers_good(inode, block, 1) == 0)
        return -EXT2DAX_EUCLEAN;
    return e2d_readable(m, e2d_block(m, block), m->block_size) ? 0 : -EXT2DAX_EIO;
}

int e2d_blocks_possible(struct ext2dax_inode *inode, uint64_t met)
{
    struct ext2dax_mount *m = inode->mount;

    if (met <= m->blocks)
        return 0;
    return e2d_inode_corrupt(inode, "block tree", met, "is larger than the image");
}

int e2d_leaf(struct ext2dax_inode *inode, uint64_t logical, bool needed, struct e2d_leaf *leaf)
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
        rc = enter(inode, block, needed);
        if (rc != 0)
            return rc;
        slots = e2d_block(m, block);
        at = path.index[i];
    }
    leaf->slots = slots;
    leaf->first = path.leaf_first;
    leaf->count = path.leaf_count;
    return 0;
}
