/* SPDX-License-Identifier: MIT */
/*
 * The block of attributes of an inode. A block never changes while an inode names the block, except
 * for the reference count. New attributes go to another block, and the pointer in the inode
 * switches by a single store.
 *
 * i_blocks decides the kind of a symbolic link, together with the pointer. An inode with a block
 * tree has i_blocks raised before the pointer, and lowered after. An inode without a tree has
 * i_blocks raised after the pointer, and lowered before. So a crash never changes the kind.
 */
#include "names/xattr.h"

#include "alloc/balloc.h"
#include "alloc/shared.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "disk/system_zone.h"
#include "file/truncate.h"
#include "base/skips.h"

static const char field[] = "xattr block";

int e2d_xattr_block_open(struct ext2dax_inode *inode, struct e2d_xattrs *x)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_xattr_area *area = &x->in_block;
    uint32_t block = e2d_load_le32(&inode->disk->file_acl);
    const struct e2d_xattr_header *header;
    const char *why;
    int rc;

    memset(area, 0, sizeof(*area));
    if (block == 0)
        return 0;
    if (!e2d_is_data(m, block))
        return e2d_inode_corrupt(inode, field, block, "is outside the image, or metadata");
    header = e2d_block(m, block);
    rc = e2d_check(m, header, m->block_size);
    if (rc != 0)
        return rc;
    if (e2d_get32(header->magic) != E2D_XATTR_MAGIC || e2d_load_le32(&header->references) == 0 ||
        e2d_get32(header->blocks) != 1)
        return e2d_inode_corrupt(inode, field, block, "is no xattr block");
    area->base = e2d_block(m, block);
    area->first = sizeof(*header);
    area->size = m->block_size;
    rc = e2d_xattr_check(area, &why);
    if (rc == -EXT2DAX_EUCLEAN)
        return e2d_corrupt(m, "block", block, "extended attributes", area->end, why);
    return rc != 0 ? e2d_complain(m, rc, "block", block, "extended attributes", area->end, why) : 0;
}

int(e2d_xattr_block_freeable)(struct ext2dax_inode *inode)
{
    uint32_t block = e2d_load_le32(&inode->disk->file_acl);
    int rc = block != 0 ? e2d_ballocated(inode->mount, block, 1) : 0;

    if (rc <= 0)
        return rc;
    return e2d_inode_corrupt(inode, field, block, "is marked free");
}

/* Returns whether a block has this content, apart from the header. */
static bool same(const struct ext2dax_mount *m, uint32_t block, const void *content)
{
    const struct e2d_xattr_header *old = e2d_block(m, block);

    return memcmp(old + 1, (const struct e2d_xattr_header *)content + 1, m->block_size - sizeof(*old)) == 0;
}

/* Finds or makes a block with this content and a reference for the inode. Not fenced. */
static int obtain(struct ext2dax_inode *inode, const void *content, uint32_t *block)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t hash = e2d_get32(((const struct e2d_xattr_header *)content)->hash);
    struct e2d_extent extent;
    int rc;

    *block = e2d_bshare(m, content);
    if (*block != 0)
        return 0;
    rc = e2d_balloc_one(m, e2d_inode_group(inode), &extent);
    if (rc != 0)
        return rc;
    *block = extent.block;
    e2d_copy(m, e2d_block(m, extent.block), content, m->block_size);
    e2d_share_remember(m, hash, extent.block);
    return 0;
}

/* Gives up the reference to a block to which the inode does not point any more. */
static E2D_OUT_OF_LINE int give_up(struct ext2dax_inode *inode, uint32_t block)
{
    int rc = e2d_xattr_unshare(inode, block), fence = e2d_order(inode->mount, E2D_FENCE_XATTR_BITS);

    return rc != 0 ? rc : fence;
}

/* Stores the pointer. Everything the pointer depends on is durable. */
static E2D_OUT_OF_LINE int point_to(struct ext2dax_inode *inode, uint32_t block, struct e2d_time now)
{
    e2d_store32(inode->mount, &inode->disk->file_acl, block);
    e2d_store_times(inode, now, false);
    return e2d_order(inode->mount, E2D_FENCE_XATTR_POINTER);
}

static int attach(struct ext2dax_inode *inode, uint32_t old, const void *content, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    bool tree = e2d_has_tree(inode);
    uint32_t block;
    int rc = old == 0 ? e2d_can_add_blocks(inode, 1) : 0;

    if (rc == 0)
        rc = obtain(inode, content, &block);
    if (rc != 0)
        return rc;
    e2d_super_ext_attr(m);
    if (old == 0 && tree)
        (void)e2d_add_blocks(inode, 1);
    rc = e2d_order(m, E2D_FENCE_XATTR_BLOCK);
    if (rc == 0)
        rc = point_to(inode, block, now);
    if (rc == 0 && old == 0 && !tree) {
        (void)e2d_add_blocks(inode, 1);
        rc = e2d_order(m, E2D_FENCE_XATTR_SECTORS);
    }
    return rc == 0 && old != 0 ? give_up(inode, old) : rc;
}

static int detach(struct ext2dax_inode *inode, uint32_t old, struct e2d_time now)
{
    bool tree = e2d_has_tree(inode);
    int rc = 0;

    if (!tree) {
        e2d_drop_blocks(inode, 1);
        rc = e2d_order(inode->mount, E2D_FENCE_XATTR_SECTORS);
    }
    if (rc == 0)
        rc = point_to(inode, 0, now);
    if (rc != 0)
        return rc;
    if (tree)
        e2d_drop_blocks(inode, 1);
    return give_up(inode, old);
}

int e2d_xattr_block_set(struct ext2dax_inode *inode, const void *content, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t old = e2d_load_le32(&inode->disk->file_acl);
    int rc = 0;

    E2D_MUST_HOLD(m, &inode->io);
    e2d_write_lock(m, &inode->truncate);
    if (content && (old == 0 || !same(m, old, content)))
        rc = attach(inode, old, content, now);
    else if (!content && old != 0)
        rc = detach(inode, old, now);
    e2d_write_unlock(m, &inode->truncate);
    return rc;
}
