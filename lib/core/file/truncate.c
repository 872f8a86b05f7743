/* SPDX-License-Identifier: MIT */
/*
 * Truncate and punch. One exclusive hold of dax_sem covers all of it: no fault looks at the tree, or has looked and not
 * yet installed its answer, from the change of the size to the freed bits. Within it: everything is validated and every
 * byte of scratch obtained before the first change; then the size in core, so that a fault which waits is refused; then
 * the mappings go; then pointers | size and bits |.
 */
#include "truncate.h"

#include "ext2dax/file.h"

#include "balloc.h"
#include "branch.h"
#include "cut.h"
#include "grow.h"
#include "ialloc.h"
#include "inode.h"
#include "lock.h"
#include "map.h"
#include "modify.h"
#include "persist.h"
#include "super.h"
#include "window.h"

static void cut_lock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    e2d_dax_write_lock(inode, what);
    e2d_write_lock(inode->mount, &inode->truncate);
}

static void cut_unlock(struct ext2dax_inode *inode, enum e2d_dax_for what)
{
    e2d_write_unlock(inode->mount, &inode->truncate);
    e2d_dax_write_unlock(inode, what);
}

/*
 * Zeroes the bytes [from, to) of the file, which lie in one block, if that block is there; true: it is. Reading it was
 * validated.
 */
static bool zero_in_block(struct ext2dax_inode *inode, uint64_t from, uint64_t to)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_run run;

    if (from >= to || e2d_map(inode, from >> m->block_shift, 1, &run) != 0 || run.physical == 0)
        return false;
    e2d_zero(m, (unsigned char *)e2d_block(m, (uint32_t)run.physical) + (from & (m->block_size - 1)),
             (size_t)(to - from));
    return true;
}

/* A surviving edge block that is about to be zeroed must be one that may be: 0 or its error. */
static int edge_check(struct ext2dax_inode *inode, uint64_t offset)
{
    struct ext2dax_run run;

    if ((offset & (inode->mount->block_size - 1)) == 0)
        return 0;
    return e2d_map(inode, offset >> inode->mount->block_shift, 1, &run);
}

static int free_bits(struct e2d_cut *cut, uint32_t now)
{
    e2d_cut_free(cut);
    e2d_store_times(cut->inode, now, true);
    return e2d_order(cut->inode->mount, E2D_STEP_CUT_BITS);
}

static void publish_shrunk(struct ext2dax_inode *inode, uint64_t size)
{
    uint64_t first_page = e2d_pages_for(inode->mount, size);

    E2D_UNLESS(SIZE_AFTER_UNMAP, e2d_set64(&inode->size, size));
    if (!E2D_MUTANT(FREE_BEFORE_UNMAP) && !E2D_MUTANT(UNMAP_EARLY))
        e2d_unmap(inode, first_page, UINT64_MAX - first_page, !E2D_MUTANT(COPIES_STAY));
}

int e2d_shrink(struct ext2dax_inode *inode, uint64_t size, uint32_t now)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t keep = e2d_blocks_for(m, size);
    struct e2d_cut cut;
    int rc;

    if (E2D_MUTANT(UNMAP_EARLY))
        e2d_unmap(inode, e2d_pages_for(m, size), UINT64_MAX - e2d_pages_for(m, size), true);
    cut_lock(inode, E2D_DAX_TRUNCATE);
    rc = e2d_cut_find(&cut, inode, keep, m->tree_blocks);
    if (rc == 0 && !E2D_MUTANT(PINS_IGNORED) && e2d_pinned(inode, keep, UINT64_MAX, false))
        rc = -EXT2DAX_EBUSY;
    if (rc == 0)
        rc = edge_check(inode, size);
    if (rc == 0)
        rc = e2d_cut_prepare(&cut);
    if (rc != 0)
        goto out;

    publish_shrunk(inode, size);
    if (E2D_MUTANT(ORDER_CUT_SIZE_FIRST)) {
        (void)e2d_store_size(inode, size);
        (void)e2d_order(m, E2D_STEP_CUT_BITS);
    }
    if (E2D_MUTANT(ORDER_CUT_BITS_FIRST))
        (void)free_bits(&cut, now);
    e2d_cut_detach(&cut);
    if (!E2D_MUTANT(SHRINK_TAIL_NOT_ZEROED))
        (void)zero_in_block(inode, size, keep << m->block_shift);
    rc = e2d_order(m, E2D_STEP_CUT_POINTERS);
    if (rc == 0)
        rc = e2d_store_size(inode, size);
    if (rc == 0 && !E2D_MUTANT(ORDER_CUT_BITS_FIRST))
        rc = free_bits(&cut, now);
    if (E2D_MUTANT(FREE_BEFORE_UNMAP))
        e2d_unmap(inode, keep, UINT64_MAX - keep, true);
    e2d_cut_close(&cut);
out:
    cut_unlock(inode, E2D_DAX_TRUNCATE);
    if (E2D_MUTANT(SIZE_AFTER_UNMAP) && rc == 0)
        e2d_set64(&inode->size, size);
    return rc;
}

static int grow(struct ext2dax_inode *inode, uint64_t size, uint32_t now)
{
    int rc = e2d_map_past_end(inode, e2d_blocks_for(inode->mount, size));

    if (rc == 0)
        rc = e2d_grow_size(inode, size);
    if (rc == 0)
        e2d_store_times(inode, now, true);
    return rc;
}

int ext2dax_truncate(struct ext2dax_inode *inode, uint64_t size)
{
    uint32_t now;
    int rc;

    rc = e2d_modify_begin(inode, E2D_MODIFY_SIZE, &now);
    if (rc != 0)
        return rc;
    if (size > inode->mount->max_size)
        rc = -EXT2DAX_EFBIG;
    else if (size < e2d_size(inode))
        rc = e2d_shrink(inode, size, now);
    else if (size > e2d_size(inode))
        rc = grow(inode, size, now);
    e2d_modify_end(inode);
    return rc;
}

/* [from, to) in bytes, below the end of the last block. */
static int punch(struct ext2dax_inode *inode, uint64_t from, uint64_t to, uint32_t now)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t first = e2d_blocks_for(m, from), end = to >> m->block_shift, edge_to, page, pages;
    struct e2d_cut cut;
    bool changed;
    int rc;

    cut_lock(inode, E2D_DAX_PUNCH);
    rc = e2d_cut_find(&cut, inode, first, end);
    if (rc == 0 && first < end && !E2D_MUTANT(PINS_IGNORED_PUNCH) && e2d_pinned(inode, first, end, false))
        rc = -EXT2DAX_EBUSY;
    if (rc == 0)
        rc = edge_check(inode, from);
    if (rc == 0)
        rc = edge_check(inode, to);
    if (rc == 0)
        rc = e2d_cut_prepare(&cut);
    if (rc != 0)
        goto out;

    page = first << m->block_shift >> m->page_shift;
    pages = first < end ? e2d_pages_for(m, end << m->block_shift) - page : 0;
    E2D_UNLESS(FREE_BEFORE_UNMAP_PUNCH, e2d_unmap(inode, page, pages, false));
    edge_to = e2d_min64(to, first << m->block_shift);
    changed = zero_in_block(inode, from, edge_to);
    changed = zero_in_block(inode, e2d_max64(end << m->block_shift, edge_to), to) || changed || cut.runs != 0;
    if (E2D_MUTANT(ORDER_PUNCH_BITS_FIRST))
        (void)free_bits(&cut, now);
    e2d_cut_detach(&cut);
    if (changed)
        rc = e2d_order(m, E2D_STEP_CUT_POINTERS);
    if (changed && rc == 0 && !E2D_MUTANT(ORDER_PUNCH_BITS_FIRST))
        rc = free_bits(&cut, now);
    else
        e2d_store_times(inode, now, true);
    if (E2D_MUTANT(FREE_BEFORE_UNMAP_PUNCH))
        e2d_unmap(inode, page, pages, false);
    e2d_cut_close(&cut);
out:
    cut_unlock(inode, E2D_DAX_PUNCH);
    return rc;
}

int ext2dax_punch(struct ext2dax_inode *inode, uint64_t offset, uint64_t length)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t size, to;
    uint32_t now;
    int rc;

    if (length == 0 || offset > UINT64_MAX - length)
        return length == 0 ? -EXT2DAX_EINVAL : -EXT2DAX_EOVERFLOW;
    rc = e2d_modify_begin(inode, E2D_MODIFY_SIZE, &now);
    if (rc != 0)
        return rc;
    size = e2d_size(inode);
    to = offset + length;
    /* A range that reaches the end takes the last block whole: nothing of it is left to keep. */
    if (to >= size)
        to = e2d_blocks_for(m, size) << m->block_shift;
    if (offset < size)
        rc = punch(inode, offset, to, now);
    e2d_modify_end(inode);
    return rc;
}

/* ---- the end of a file ---- */

static int free_xattr(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    uint32_t block = e2d_load_le32(&inode->disk->file_acl), references;
    struct e2d_xattr_header *header;
    int rc;

    if (block == 0)
        return 0;
    rc = e2d_pointer_check(inode, block, 1);
    if (rc != 0)
        return rc;
    header = e2d_block(m, block);
    rc = e2d_check(m, header, m->block_size);
    if (rc == 0 && e2d_ballocated(m, block, 1) == -EXT2DAX_EIO)
        rc = -EXT2DAX_EIO;
    if (rc != 0)
        return rc;
    references = e2d_get32(header->references);
    if (e2d_get32(header->magic) != E2D_XATTR_MAGIC || references == 0)
        return e2d_corrupt(m, "inode", inode->number, "xattr block", block, "is not an extended attribute block");
    if (references > 1)
        e2d_store32(m, &header->references, references - 1);
    else
        e2d_super_give_blocks(m, e2d_bfree(m, block, 1));
    return 0;
}

int e2d_inode_free(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_cut cut;
    int rc = e2d_failed(m), xattr_rc;

    if (rc != 0)
        return rc;
    cut_lock(inode, E2D_DAX_FREE);
    /* The pointers stay in the dead inode: links 0 and dtime are durable, so nobody reads them again. */
    if (e2d_has_tree(inode)) {
        rc = e2d_cut_find(&cut, inode, 0, m->tree_blocks);
        if (rc == 0)
            e2d_cut_free(&cut);
    }
    xattr_rc = free_xattr(inode);
    cut_unlock(inode, E2D_DAX_FREE);
    e2d_ifree(m, inode->number, e2d_is_directory(inode));
    if (rc == 0)
        rc = xattr_rc;
    xattr_rc = e2d_order(m, E2D_STEP_UNLINK_BITS);
    return rc != 0 ? rc : xattr_rc;
}
