/* SPDX-License-Identifier: MIT */
/*
 * Truncate and punch. A single exclusive hold of dax_sem covers the whole operation. So from the
 * change of the size to the cleared bits, no fault looks at the tree, and no fault has looked and
 * not yet installed the result. The order under dax_sem is
 *
 *   validate everything and allocate all scratch memory, before the first change
 *   store the size in core (truncate only), so that a waiting fault is refused
 *   unmap
 *   clear pointers | store the size (truncate only), discard, clear bits |
 *
 * where | is a fence. The functions of file/truncate_mutants.h, which take a step early or late, do
 * nothing in the shipped core.
 */
#include "file/truncate.h"

#include "ext2dax/file.h"

#include "alloc/balloc.h"
#include "tree/lookup.h"
#include "tree/remove.h"
#include "alloc/ialloc.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/map.h"
#include "file/write_access.h"
#include "base/persist.h"
#include "disk/super.h"
#include "file/mappings.h"
#include "file/pin_list.h"
#include "file/extend.h"
#include "file/truncate_mutants.h"
#include "base/skips.h"

static void removal_lock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    e2d_dax_write_lock(inode, what);
    e2d_write_lock(inode->mount, &inode->truncate);
}

static void removal_unlock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    e2d_write_unlock(inode->mount, &inode->truncate);
    e2d_dax_write_unlock(inode, what);
}

/*
 * Zeroes the bytes [from, to) of the file, which lie in a single block, if the block exists.
 * Returns true if the block exists.
 */
static bool(zero_in_block)(struct ext2dax_mount *m, unsigned char *block, uint64_t from, uint64_t to)
{
    if (!block || from >= to)
        return false;
    e2d_zero(m, block + (from & (m->block_size - 1)), (size_t)(to - from));
    return true;
}

/*
 * Finds the edge block about to be zeroed in part, before the first change. Stores NULL for a hole,
 * or if `offset` is no edge. The block stays in the tree. Returns 0 or the error of the lookup.
 */
static int find_edge(struct ext2dax_inode *inode, uint64_t offset, unsigned char **block)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_run run;
    int rc;

    *block = NULL;
    if ((offset & (m->block_size - 1)) == 0)
        return 0;
    rc = e2d_map(inode, offset >> m->block_shift, 1, &run);
    if (rc == 0 && run.physical != 0)
        *block = e2d_block(m, (uint32_t)run.physical);
    return rc;
}

static int(free_bits)(struct e2d_removal *removal, struct e2d_time now)
{
    e2d_remove_free(removal);
    e2d_store_times(removal->inode, now, true);
    return e2d_order(removal->inode->mount, E2D_FENCE_REMOVE_BITS);
}

static void publish_shrunk(struct ext2dax_inode *inode, uint64_t size)
{
    uint64_t first_page = e2d_pages_for(inode->mount, size);

    e2d_set64(&inode->size, size);
    e2d_unmap(inode, first_page, UINT64_MAX - first_page, true);
}

int e2d_shrink(struct ext2dax_inode *inode, uint64_t size, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t keep = e2d_blocks_for(m, size);
    struct e2d_removal removal;
    unsigned char *edge;
    int rc;

    e2d_unmap_early(inode, size);
    removal_lock(inode, E2D_DAX_TRUNCATE);
    rc = e2d_remove_find(&removal, inode, keep, m->tree_blocks);
    if (rc == 0 && e2d_pinned(inode, keep, UINT64_MAX, false))
        rc = -EXT2DAX_EBUSY;
    if (rc == 0)
        rc = find_edge(inode, size, &edge);
    if (rc == 0)
        rc = e2d_remove_prepare(&removal);
    if (rc != 0)
        goto out;

    publish_shrunk(inode, size);
    e2d_size_early(inode, size, E2D_SIZE_BEFORE_POINTERS);
    e2d_free_early(&removal, now, E2D_CUT_TRUNCATE);
    e2d_remove_detach(&removal);
    (void)zero_in_block(m, edge, size, keep << m->block_shift);
    rc = e2d_order(m, E2D_FENCE_REMOVE_POINTERS);
    if (rc == 0)
        rc = e2d_store_size(inode, size);
    if (rc == 0)
        rc = free_bits(&removal, now);
    e2d_unmap_late(inode, keep, UINT64_MAX - keep, E2D_CUT_TRUNCATE);
    e2d_remove_close(&removal);
    inode->settled = rc == 0;
out:
    removal_unlock(inode, E2D_DAX_TRUNCATE);
    e2d_size_late(inode, size, rc);
    return rc;
}

/*
 * Does the tree hold anything past the end? The answer stays valid, because io is held exclusively.
 */
static int find_past_end(struct ext2dax_inode *inode, bool *any)
{
    const struct ext2dax_mount *m = inode->mount;
    struct e2d_removal removal;
    int rc = 0;

    *any = false;
    if (inode->settled)
        return 0;
    rc = e2d_remove_look(&removal, inode, e2d_blocks_for(m, e2d_size(inode)), m->tree_blocks);
    *any = rc == 0 && removal.runs != 0;
    inode->settled = rc == 0 && removal.runs == 0;
    return rc;
}

/*
 * Is everything past the end a remnant left in place by e2fsck? Returns true if no data block
 * follows the block of offset `size`, which begins at the end of file if the size is aligned.
 */
static bool may_lie_there(struct ext2dax_inode *inode)
{
    const struct ext2dax_mount *m = inode->mount;
    uint64_t at = (e2d_size(inode) >> m->block_shift) + 1;
    struct ext2dax_run run;

    for (; at < m->tree_blocks; at += run.length) {
        if (e2d_map_hint(inode, at, m->tree_blocks - at, &run) != 0 || run.physical != 0)
            return false;
    }
    return true;
}

int(e2d_settle_end)(struct ext2dax_inode *inode, struct e2d_time now)
{
    bool any;
    int rc = find_past_end(inode, &any);

    return rc == 0 && any && may_lie_there(inode) ? e2d_shrink(inode, e2d_size(inode), now) : rc;
}

static int same(struct ext2dax_inode *inode, struct e2d_time now)
{
    bool any;
    int rc = find_past_end(inode, &any);

    return rc == 0 && any ? e2d_shrink(inode, e2d_size(inode), now) : rc;
}

static int extend(struct ext2dax_inode *inode, uint64_t size, struct e2d_time now)
{
    const struct ext2dax_mount *m = inode->mount;
    int rc = e2d_may_extend(inode, size);

    if (rc == 0)
        e2d_size_early(inode, size, E2D_SIZE_BEFORE_END);
    if (rc == 0)
        rc = e2d_settle_end(inode, now);
    if (rc == 0)
        rc = e2d_map_past_end(inode, e2d_blocks_for(m, e2d_size(inode)), e2d_blocks_for(m, size));
    if (rc == 0)
        rc = e2d_extend_size(inode, size);
    if (rc == 0)
        e2d_store_times(inode, now, true);
    return rc;
}

int ext2dax_truncate(struct ext2dax_inode *inode, uint64_t size)
{
    struct e2d_time now;
    int rc;

    rc = e2d_write_access_begin(inode, E2D_MODIFY_SIZE, &now);
    if (rc != 0)
        return rc;
    if (size > inode->mount->max_size)
        rc = -EXT2DAX_EFBIG;
    else if (size < e2d_size(inode))
        rc = e2d_shrink(inode, size, now);
    else if (size > e2d_size(inode))
        rc = extend(inode, size, now);
    else
        rc = same(inode, now);
    e2d_change_end(inode);
    return rc;
}

/* Punches [from, to), in bytes, below the end of the last block. */
static int punch(struct ext2dax_inode *inode, uint64_t from, uint64_t to, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t first = e2d_blocks_for(m, from), end = to >> m->block_shift, edge_to, page, pages;
    unsigned char *first_edge, *last_edge;
    struct e2d_removal removal;
    bool changed;
    int rc;

    removal_lock(inode, E2D_DAX_PUNCH);
    rc = e2d_remove_find(&removal, inode, first, end);
    if (rc == 0 && first < end && e2d_pinned(inode, first, end, false))
        rc = -EXT2DAX_EBUSY;
    if (rc == 0)
        rc = find_edge(inode, from, &first_edge);
    if (rc == 0)
        rc = find_edge(inode, to, &last_edge);
    if (rc == 0)
        rc = e2d_remove_prepare(&removal);
    if (rc != 0)
        goto out;

    page = first << m->block_shift >> m->page_shift;
    pages = first < end ? e2d_pages_for(m, end << m->block_shift) - page : 0;
    e2d_unmap(inode, page, pages, false);
    edge_to = e2d_min64(to, first << m->block_shift);
    changed = zero_in_block(m, first_edge, from, edge_to);
    changed =
        zero_in_block(m, last_edge, e2d_max64(end << m->block_shift, edge_to), to) || changed || removal.runs != 0;
    e2d_free_early(&removal, now, E2D_CUT_PUNCH);
    e2d_remove_detach(&removal);
    if (changed)
        rc = e2d_order(m, E2D_FENCE_REMOVE_POINTERS);
    if (changed && rc == 0)
        rc = free_bits(&removal, now);
    else
        e2d_store_times(inode, now, true);
    e2d_unmap_late(inode, page, pages, E2D_CUT_PUNCH);
    e2d_remove_close(&removal);
out:
    removal_unlock(inode, E2D_DAX_PUNCH);
    return rc;
}

int ext2dax_punch(struct ext2dax_inode *inode, uint64_t offset, uint64_t length)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t size, to;
    struct e2d_time now;
    int rc;

    if (length == 0 || offset > UINT64_MAX - length)
        return length == 0 ? -EXT2DAX_EINVAL : -EXT2DAX_EOVERFLOW;
    rc = e2d_write_access_begin(inode, E2D_MODIFY_SIZE, &now);
    if (rc != 0)
        return rc;
    size = e2d_size(inode);
    to = offset + length;
    /*
     * A range that reaches the end includes the whole last block, because no byte of the block is
     * left to keep.
     */
    if (to >= size)
        to = e2d_blocks_for(m, size) << m->block_shift;
    if (offset < size)
        rc = punch(inode, offset, to, now);
    e2d_change_end(inode);
    return rc;
}

/* ---- freeing an inode ---- */

/* Validates the freeing of a block the inode owns outside its tree. */
static int check_block(struct ext2dax_inode *inode, const char *field, uint32_t block)
{
    int rc = e2d_pointer_check(inode, block, 1);

    if (rc == 0)
        rc = e2d_ballocated(inode->mount, block, 1);
    if (rc > 0)
        return e2d_inode_corrupt(inode, field, block, "is marked free");
    return rc;
}

/*
 * Returns the translator block, or 0 for none. Only an inode with a tree has a translator, and
 * e2fsck counts no other.
 */
static uint32_t translator_of(const struct ext2dax_inode *inode)
{
    return e2d_has_tree(inode) ? e2d_translator(inode->mount, inode->disk) : 0;
}

static E2D_OUT_OF_LINE int check_translator(struct ext2dax_inode *inode, uint32_t block)
{
    return block != 0 ? check_block(inode, "translator", block) : 0;
}

static int free_translator(struct ext2dax_inode *inode, uint32_t block)
{
    struct ext2dax_mount *m = inode->mount;
    int rc = check_translator(inode, block);

    if (rc == 0 && block != 0)
        e2d_give_back(m, block, 1);
    return rc;
}

/* Validates the inode's xattr block, which is not 0, before it is freed or loses a reference. */
static int check_xattr(struct ext2dax_inode *inode, uint32_t block)
{
    struct ext2dax_mount *m = inode->mount;
    const struct e2d_xattr_header *header;
    int rc = check_block(inode, "xattr block", block);

    if (rc != 0)
        return rc;
    header = e2d_block(m, block);
    rc = e2d_check(m, header, m->block_size);
    if (rc == 0 && (e2d_get32(header->magic) != E2D_XATTR_MAGIC || e2d_load_le32(&header->references) == 0))
        return e2d_inode_corrupt(inode, "xattr block", block, "is no xattr block");
    return rc;
}

int e2d_xattr_unshare(struct ext2dax_inode *inode, uint32_t block)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_xattr_header *header = e2d_block(m, block);
    int rc = e2d_bunshare(m, block, &header->references);

    if (rc == -EXT2DAX_EUCLEAN)
        return e2d_inode_corrupt(inode, "xattr block", block, "is no xattr block in use");
    if (rc <= 0)
        return rc;
    e2d_super_give_blocks(m, 1);
    return 0;
}

static int free_xattr(struct ext2dax_inode *inode)
{
    uint32_t block = e2d_load_le32(&inode->disk->file_acl);
    int rc = block != 0 ? check_xattr(inode, block) : 0;

    return rc == 0 && block != 0 ? e2d_xattr_unshare(inode, block) : rc;
}

int(e2d_inode_freeable)(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t xattr = e2d_load_le32(&inode->disk->file_acl);
    struct e2d_removal removal;
    int rc = 0;

    E2D_MUST_HOLD(m, &inode->io);
    /* Faults that fill holes wait at truncate. Calls that shrink the file need io. */
    e2d_write_lock(m, &inode->truncate);
    if (e2d_has_tree(inode))
        rc = e2d_remove_find(&removal, inode, 0, m->tree_blocks);
    if (rc == 0 && xattr != 0)
        rc = check_xattr(inode, xattr);
    if (rc == 0)
        rc = check_translator(inode, translator_of(inode));
    e2d_write_unlock(m, &inode->truncate);
    return rc != 0 ? rc : e2d_ifreeable(m, inode->number);
}

int(e2d_inode_free)(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    /*
     * Read before the tree is freed. Freeing changes i_blocks, which decides the kind of a symbolic
     * link and so whether the link has a translator.
     */
    uint32_t translator = translator_of(inode);
    struct e2d_removal removal;
    int rc = e2d_may_write(m), xattr_rc;

    if (rc != 0)
        return rc;
    removal_lock(inode, E2D_DAX_FREE);
    /*
     * The pointers stay in the dead inode. Link count 0 and dtime are durable, so no code reads the
     * pointers again.
     */
    if (e2d_has_tree(inode)) {
        rc = e2d_remove_find(&removal, inode, 0, m->tree_blocks);
        if (rc == 0)
            e2d_remove_free(&removal);
    }
    xattr_rc = free_translator(inode, translator);
    if (rc == 0)
        rc = xattr_rc;
    xattr_rc = free_xattr(inode);
    removal_unlock(inode, E2D_DAX_FREE);
    e2d_ifree(m, inode->number, e2d_is_directory(inode));
    if (rc == 0)
        rc = xattr_rc;
    xattr_rc = e2d_order(m, E2D_FENCE_UNLINK_BITS);
    return rc != 0 ? rc : xattr_rc;
}
