/* SPDX-License-Identifier: MIT */
/*
 * Read and write. The caller's buffer may be a mapping of this very file. So the buffer is accessed
 * under freeze_write and io only, because a fault on the buffer takes neither. If the buffer
 * aliases the bytes being moved, the call uses an intermediate copy in the host's memory, as if
 * this copy had been made first. These rules shape write:
 *
 *   into an existing block
 *       Copies in place, then marks the PMD range dirty. The mark comes after the copy, or a
 *       concurrent fsync would clear and lose the mark.
 *   into a hole, or past the end
 *       Copies into unreachable blocks, then publishes. If a fault has filled the place in between,
 *       frees the blocks and copies again, in place.
 *   past the end, but inside the last block
 *       Extends the size first (the rest of the block zeroed), then copies in place. A write that
 *       continues into new blocks copies in place first, because no size covers the bytes yet.
 *
 * A failed write removes the remains. The size ends as the old size, or as the end of the copied
 * bytes if larger.
 */
#include "ext2dax/file.h"

#include "base/caller.h"
#include "file/alias.h"
#include "tree/lookup.h"
#include "file/block_plan.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "tree/map.h"
#include "file/write_access.h"
#include "base/persist.h"
#include "disk/super.h"
#include "file/truncate.h"
#include "file/range_lock.h"
#include "file/dirty.h"
#include "file/extend.h"
#include "base/skips.h"

/*
 * As large as a single step of the host's copy, because each step costs more than zeroing. A core
 * compiled for size has less.
 */
static const unsigned char zeroes[E2D_FOR_SPEED ? 2048 : 64];

static size_t copy_out(struct ext2dax_mount *m, void *to, const void *from, size_t bytes)
{
    E2D_DATA(E2D_YIELD_LOAD, from, bytes);
    return e2d_to_caller(m, to, from, bytes);
}

static size_t copy_in(struct ext2dax_mount *m, void *to, const void *from, size_t bytes)
{
    E2D_DATA(E2D_YIELD_STORE, to, bytes);
    return e2d_from_caller(m, to, from, bytes);
}

static size_t zero_out(struct ext2dax_mount *m, unsigned char *to, size_t bytes)
{
    size_t done = 0, step, got;

    while (done < bytes) {
        step = (size_t)e2d_min64(sizeof zeroes, bytes - done);
        got = copy_out(m, to + done, zeroes, step);
        done += got;
        if (got < step)
            break;
    }
    return done;
}

/*
 * Returns true if no offset can express the end of the range, or no return value the length. Uses
 * 64 bits for any width of size_t.
 */
static bool too_far(uint64_t offset, uint64_t length)
{
    return offset > UINT64_MAX - length || length > INT64_MAX;
}

/* ---- read ---- */

/*
 * Reads bytes below the end of the file. Returns the number of bytes read. *error receives the
 * reason for a short read.
 */
static size_t read_some(struct ext2dax_inode *inode, uint64_t offset, void *buffer, size_t left, int *error)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_run run;
    size_t done = 0;
    int rc = 0;

    while (left != 0) {
        uint32_t into = (uint32_t)(offset & (m->block_size - 1));
        size_t step, got;

        rc = e2d_map(inode, offset >> m->block_shift, e2d_blocks_for(m, into + left), &run);
        if (rc != 0)
            break;
        step = (size_t)e2d_min64(left, (run.length << m->block_shift) - into);
        if (run.physical == 0) {
            got = zero_out(m, (unsigned char *)buffer + done, step);
        } else {
            unsigned char *from = (unsigned char *)e2d_block(m, (uint32_t)run.physical) + into;

            rc = e2d_check(m, from, step);
            if (rc != 0)
                break;
            got = copy_out(m, (unsigned char *)buffer + done, from, step);
        }
        done += got;
        offset += got;
        left -= got;
        if (got < step) {
            rc = -EXT2DAX_EFAULT;
            break;
        }
    }
    *error = rc;
    return done;
}

/* As read_some(), for a buffer in which stores change bytes still to be read. */
static size_t read_aside(struct ext2dax_inode *inode, uint64_t offset, void *buffer, size_t left, int *error)
{
    struct ext2dax_mount *m = inode->mount;
    void *aside = e2d_alloc(m, left);
    size_t got, done;

    *error = -EXT2DAX_ENOMEM;
    if (!aside)
        return 0;
    got = read_some(inode, offset, aside, left, error);
    done = copy_out(m, buffer, aside, got);
    if (done < got)
        *error = -EXT2DAX_EFAULT;
    e2d_release(m, aside, left);
    return done;
}

int64_t ext2dax_read(struct ext2dax_inode *inode, uint64_t offset, void *buffer, size_t length)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t size;
    size_t left, done;
    int rc;

    if (e2d_is_directory(inode))
        return -EXT2DAX_EISDIR;
    if (!e2d_is_regular(inode))
        return -EXT2DAX_EINVAL;
    if (too_far(offset, length))
        return -EXT2DAX_EOVERFLOW;
    e2d_read_lock(m, &inode->io);
    size = e2d_size(inode);
    left = offset < size ? (size_t)e2d_min64(length, size - offset) : 0;
    if (e2d_aliases(inode, offset, offset + left, buffer, left))
        done = read_aside(inode, offset, buffer, left, &rc);
    else
        done = read_some(inode, offset, buffer, left, &rc);
    e2d_read_unlock(m, &inode->io);
    return done != 0 ? (int64_t)done : rc;
}

int64_t ext2dax_seek(struct ext2dax_inode *inode, uint64_t offset, enum ext2dax_whence whence)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_run run;
    uint64_t size, at, met = 0;
    int64_t found = -EXT2DAX_ENXIO;
    int rc;

    if (!e2d_is_regular(inode) || (unsigned)whence > EXT2DAX_SEEK_HOLE)
        return -EXT2DAX_EINVAL;
    e2d_read_lock(m, &inode->io);
    size = e2d_size(inode);
    for (at = offset; at < size; at = (run.logical + run.length) << m->block_shift) {
        rc = e2d_map(inode, at >> m->block_shift, e2d_blocks_for(m, size) - (at >> m->block_shift), &run);
        if (rc == 0 && run.physical != 0)
            rc = e2d_blocks_possible(inode, met += run.length);
        if (rc != 0) {
            found = rc;
            goto out;
        }
        if ((run.physical != 0) == (whence == EXT2DAX_SEEK_DATA)) {
            found = (int64_t)at;
            goto out;
        }
    }
    if (offset < size && whence == EXT2DAX_SEEK_HOLE)
        found = (int64_t)size;
out:
    e2d_read_unlock(m, &inode->io);
    return found;
}

/* ---- write ---- */

struct write {
    struct ext2dax_inode *inode;
    const unsigned char *from; /* the caller's bytes, or a copy */
    uint64_t at, end;          /* bytes of the file still to be written */
};

static void(mark_dirty)(struct ext2dax_inode *inode, uint64_t from, uint64_t to)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t range = e2d_pmd_range_of(m, from >> m->block_shift),
             last = e2d_pmd_range_of(m, (to - 1) >> m->block_shift);

    for (; range <= last; range++) {
        e2d_range_lock(inode, range);
        e2d_dirty_mark(inode, range);
        e2d_range_unlock(inode, range);
    }
}

/* Copies over existing blocks below the size. */
static E2D_OUT_OF_LINE int overwrite(struct write *write, const struct ext2dax_run *run)
{
    struct ext2dax_mount *m = write->inode->mount;
    uint32_t into = (uint32_t)(write->at & (m->block_size - 1));
    size_t step, got;

    step = (size_t)e2d_min64(e2d_min64(write->end, e2d_size(write->inode)) - write->at,
                             (run->length << m->block_shift) - into);
    if (E2D_MUTANT(WRITE_DIRTY_EARLY))
        (mark_dirty)(write->inode, write->at, write->at + step);
    got = copy_in(m, (unsigned char *)e2d_block(m, (uint32_t)run->physical) + into, write->from, step);
    if (got != 0)
        mark_dirty(write->inode, write->at, write->at + got);
    write->at += got;
    write->from += got;
    return got < step ? -EXT2DAX_EFAULT : 0;
}

/* Copies the caller's bytes into the plan. Returns the number of bytes copied. */
static uint64_t copy_into(const struct write *write, const struct e2d_plan *plan, uint64_t to)
{
    uint64_t at = write->at;

    while (at < to) {
        size_t length, got;
        void *block = e2d_plan_at(plan, at, &length);

        length = (size_t)e2d_min64(length, to - at);
        got = copy_in(plan->inode->mount, block, write->from + (at - write->at), length);
        e2d_written(plan->inode->mount, block, got);
        at += got;
        if (got < length)
            break;
    }
    return at - write->at;
}

/*
 * Fills (the start of) a hole of at most `blocks` blocks, below or past the end. `size` decides
 * from where the blocks are allocated. From byte `data` on, the old last block already has the
 * final content. `data` is UINT64_MAX if the old last block has none.
 */
static int fill(struct write *write, uint64_t blocks, uint64_t size, uint64_t data)
{
    struct ext2dax_inode *inode = write->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t first = write->at >> m->block_shift, to, copied;
    struct e2d_plan plan;
    int rc;

    blocks = e2d_min64(blocks, e2d_blocks_for(m, write->end) - first);
    rc = e2d_plan_blocks(&plan, inode, first, (uint32_t)e2d_min64(blocks, m->pmd_blocks), size, false);
    while (rc == 0) {
        to = e2d_min64(write->end, (plan.first + plan.count) << m->block_shift);
        copied = copy_into(write, &plan, to);
        if (copied == 0) {
            e2d_plan_drop(&plan);
            return -EXT2DAX_EFAULT;
        }
        e2d_plan_shorten(&plan, (uint32_t)(e2d_blocks_for(m, write->at + copied) - first));
        e2d_plan_zero(&plan, write->at, write->at + copied);
        rc = e2d_plan_publish_extending(&plan, e2d_max64(write->at + copied, e2d_size(inode)), data);
        if (rc == 0) {
            write->from += copied;
            write->at += copied;
            return write->at < to ? -EXT2DAX_EFAULT : 0;
        }
        /*
         * The data blocks may have used up the blocks needed for pointers. Fewer data blocks leave
         * room.
         */
        if (rc != -EXT2DAX_ENOSPC || plan.count == 1)
            e2d_plan_drop(&plan);
        if (rc == -EXT2DAX_EAGAIN)
            return 0;
        if (rc == -EXT2DAX_ENOSPC && plan.count > 1) {
            e2d_plan_shorten(&plan, plan.count >> 1);
            rc = 0;
        }
    }
    return rc;
}

/*
 * Continues a write past the end, from inside the last block (`block`) into new blocks, in a single
 * step. The bytes for the old block are stored before a size covers them. If `write` has not
 * advanced, the caller continues without this function.
 */
static E2D_OUT_OF_LINE int fill_behind(struct write *write, uint32_t block)
{
    struct ext2dax_inode *inode = write->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t next = (write->at >> m->block_shift) + 1, start = next << m->block_shift;
    size_t head = (size_t)(start - write->at), got;
    unsigned char *at = (unsigned char *)e2d_block(m, block) + (m->block_size - head);
    struct write rest = {inode, write->from + head, start, write->end};
    int rc;

    got = copy_in(m, at, write->from, head);
    e2d_written(m, at, got);
    if (got < head)
        return 0;
    rc = fill(&rest, m->pmd_blocks - (next & (m->pmd_blocks - 1)), start, write->at);
    if (rest.at != start)
        *write = rest;
    return rc;
}

static E2D_OUT_OF_LINE int write_some(struct write *write)
{
    struct ext2dax_inode *inode = write->inode;
    struct ext2dax_mount *m = inode->mount;
    uint64_t logical = write->at >> m->block_shift, size = e2d_size(inode), at = write->at;
    uint64_t blocks = e2d_blocks_for(m, size);
    uint64_t in_range = m->pmd_blocks - (logical & (m->pmd_blocks - 1));
    struct ext2dax_run run;
    int rc;

    rc = e2d_map(inode, logical, in_range, &run);
    if (rc != 0)
        return rc;
    if (run.physical == 0)
        return fill(write, run.length, size, UINT64_MAX);
    if (logical >= blocks) {
        return e2d_inode_corrupt(inode, "block pointer", run.physical, "is past the end of the file");
    }
    run.length = e2d_min64(run.length, blocks - logical);
    if (at >= size && write->end > blocks << m->block_shift) {
        rc = fill_behind(write, (uint32_t)run.physical);
        if (write->at != at)
            return rc;
    }
    if (at >= size) {
        rc = e2d_extend_size(inode, e2d_min64(write->end, blocks << m->block_shift));
        if (rc != 0)
            return rc;
    }
    return overwrite(write, &run);
}

/*
 * Redirects the write to a copy of the buffer if the stores of the write would change bytes still
 * to be copied.
 */
static E2D_OUT_OF_LINE int set_aside(struct write *write, void **aside)
{
    struct ext2dax_mount *m = write->inode->mount;
    size_t length = (size_t)(write->end - write->at), got;

    if (!e2d_aliases(write->inode, write->at, write->end, write->from, length))
        return 0;
    *aside = e2d_alloc(m, length);
    if (!*aside)
        return -EXT2DAX_ENOMEM;
    got = copy_in(m, *aside, write->from, length);
    write->from = *aside;
    write->end = write->at + got;
    return got != 0 ? 0 : -EXT2DAX_EFAULT;
}

int64_t ext2dax_write(struct ext2dax_inode *inode, uint64_t offset, const void *buffer, size_t length)
{
    struct write write = {inode, buffer, offset, 0};
    bool without_io = E2D_MUTANT(IO_SKIPPED_WRITE), synchronous;
    size_t asked;
    void *aside = NULL;
    uint64_t old, keep;
    struct e2d_time now;
    int rc;

    if (too_far(offset, length))
        return -EXT2DAX_EOVERFLOW;
    rc = e2d_write_access_begin(inode, E2D_MODIFY_DATA, &now);
    if (rc != 0)
        return rc;
    old = e2d_size(inode);
    synchronous = (e2d_load_le32(&inode->disk->flags) & EXT2DAX_FL_SYNC) != 0;
    /* A write of no bytes succeeds at any offset, even past the largest size. */
    if (length == 0)
        goto out;
    if ((e2d_load_le32(&inode->disk->flags) & EXT2DAX_FL_APPEND) != 0 && offset != old)
        rc = -EXT2DAX_EPERM;
    /* The write is short if it crosses the largest size. */
    write.end = e2d_min64(offset + length, e2d_extend_limit(inode));
    if (rc == 0 && offset >= write.end)
        rc = -EXT2DAX_EFBIG;
    if (without_io)
        e2d_write_unlock(inode->mount, &inode->io);
    if (rc == 0 && write.end > old)
        rc = e2d_settle_end(inode, now);
    if (rc == 0)
        rc = e2d_map_past_end(inode, e2d_blocks_for(inode->mount, old), offset >> inode->mount->block_shift);
    asked = (size_t)(write.end - offset);
    if (rc == 0)
        rc = set_aside(&write, &aside);
    while (rc == 0 && write.at < write.end)
        rc = write_some(&write);
    e2d_release(inode->mount, aside, asked);
    keep = write.at == offset ? old : e2d_max64(old, write.at);
    if (e2d_size(inode) > keep)
        (void)e2d_shrink(inode, keep, now); /* blocks kept below `keep` are zeroed, never stale */
    if (write.at != offset)
        e2d_store_times(inode, now, true);
    if (without_io)
        e2d_write_lock(inode->mount, &inode->io);
out:
    e2d_change_end(inode);
    if (write.at == offset)
        return rc;
    rc = synchronous ? ext2dax_fsync_range(inode, offset, write.at - offset) : 0;
    return rc != 0 ? rc : (int64_t)(write.at - offset);
}

/* ---- preallocation ---- */

static int back_hole(struct ext2dax_inode *inode, uint64_t first, uint64_t blocks, uint64_t end)
{
    struct ext2dax_mount *m = inode->mount;
    struct e2d_plan plan;
    int rc;

    rc = e2d_plan_blocks(&plan, inode, first, (uint32_t)e2d_min64(blocks, m->pmd_blocks),
                         e2d_max64(end, e2d_size(inode)), false);
    if (rc != 0)
        return rc;
    e2d_plan_zero(&plan, 0, 0);
    rc = e2d_plan_publish_extending(
        &plan, e2d_max64(e2d_size(inode), e2d_min64(end, (plan.first + plan.count) << m->block_shift)), UINT64_MAX);
    if (rc != 0)
        e2d_plan_drop(&plan);
    return rc == -EXT2DAX_EAGAIN ? 0 : rc;
}

int ext2dax_allocate(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool keep_size)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_run run;
    uint64_t at, end, in_range, met = 0;
    bool changed = false;
    struct e2d_time now;
    int rc;

    if (length == 0 || offset > UINT64_MAX - length)
        return length == 0 ? -EXT2DAX_EINVAL : -EXT2DAX_EOVERFLOW;
    end = offset + length;
    rc = e2d_write_access_begin(inode, E2D_MODIFY_DATA, &now);
    if (rc != 0)
        return rc;
    if (end > e2d_size(inode))
        rc = keep_size ? -EXT2DAX_EOPNOTSUPP : e2d_may_extend(inode, end);
    if (rc == 0 && end > e2d_size(inode))
        rc = e2d_settle_end(inode, now);
    if (rc == 0)
        rc = e2d_map_past_end(inode, e2d_blocks_for(m, e2d_size(inode)), e2d_blocks_for(m, end));
    for (at = offset >> m->block_shift; rc == 0 && at < e2d_blocks_for(m, end);) {
        in_range = m->pmd_blocks - (at & (m->pmd_blocks - 1));
        rc = e2d_map(inode, at, e2d_min64(in_range, e2d_blocks_for(m, end) - at), &run);
        if (rc == 0 && run.physical == 0) {
            rc = back_hole(inode, at, run.length, end);
            changed |= rc == 0;
        } else if (rc == 0) {
            at += run.length;
            met += run.length;
            rc = e2d_blocks_possible(inode, met);
        }
    }
    if (rc == 0 && end > e2d_size(inode)) {
        rc = e2d_extend_size(inode, end);
        changed |= rc == 0;
    }
    if (rc == 0 || changed)
        e2d_store_times(inode, now, true);
    e2d_change_end(inode);
    return rc;
}
