/* SPDX-License-Identifier: MIT */
/* The model of file.h: bytes, sizes and blocks. */
#include "model.h"

#include <string.h>

#define SPARE_BLOCKS 12u /* pointer blocks and blocks in transit that a call may need */

static uint64_t blocks_for(const struct model *model, uint64_t bytes)
{
    uint64_t block_size = model->kind->block_size;

    return bytes / block_size + (bytes % block_size != 0);
}

static uint64_t largest_growth(const struct model *model, const struct node *node)
{
    return node->size > model->fresh.max_grow_size ? node->size : model->fresh.max_grow_size;
}

/* The checks of each call that changes a file. `forbidden` are inode flags. */
static int may_change(const struct model *model, const struct node *node, uint32_t forbidden)
{
    if (node_is(node, EXT2DAX_S_IFDIR))
        return -EXT2DAX_EISDIR;
    if (!node_is(node, EXT2DAX_S_IFREG))
        return -EXT2DAX_EINVAL;
    if (model->read_only)
        return -EXT2DAX_EROFS;
    if (mistaken(MISTAKE_IMMUTABLE_WRITTEN))
        forbidden &= ~EXT2DAX_FL_IMMUTABLE;
    return (node->flags & forbidden) != 0 ? -EXT2DAX_EPERM : 0;
}

static int64_t read_bytes(struct model *model, const struct call *call, struct outcome *expected)
{
    const struct node *node = model->slot[call->slot];
    uint64_t left;

    if (node_is(node, EXT2DAX_S_IFDIR))
        return -EXT2DAX_EISDIR;
    if (!node_is(node, EXT2DAX_S_IFREG))
        return -EXT2DAX_EINVAL;
    if (call->offset > UINT64_MAX - call->length || call->length > INT64_MAX)
        return -EXT2DAX_EOVERFLOW;
    left = call->offset < node->size ? node->size - call->offset : 0;
    expected->count = (size_t)(call->length < left ? call->length : left);
    node_read(node, call->offset, expected->bytes, expected->count, model->kind->block_size);
    return (int64_t)expected->count;
}

static int64_t write_bytes(struct model *model, const struct call *call, const struct outcome *seen,
                           struct outcome *expected)
{
    struct node *node = model->slot[call->slot];
    uint64_t end, length;
    int error;

    if (call->offset > UINT64_MAX - call->length || call->length > INT64_MAX)
        return -EXT2DAX_EOVERFLOW;
    error = may_change(model, node, EXT2DAX_FL_IMMUTABLE);
    if (error != 0 || call->length == 0)
        return error;
    if ((node->flags & EXT2DAX_FL_APPEND) != 0 && call->offset != node->size)
        return -EXT2DAX_EPERM;
    end = call->offset + call->length;
    end = end < largest_growth(model, node) ? end : largest_growth(model, node);
    if (call->offset >= end)
        return -EXT2DAX_EFBIG;
    length = end - call->offset;
    if (seen->result == -EXT2DAX_ENOSPC || (seen->result > 0 && (uint64_t)seen->result < length)) {
        (void)model_full(model, seen, SPARE_BLOCKS);
        if (seen->result < 0)
            return -EXT2DAX_ENOSPC;
        length = (uint64_t)seen->result;
    }
    call_bytes(call, expected->bytes, (size_t)length);
    node_write(node, call->offset, expected->bytes, (size_t)length, model->kind->block_size);
    if (call->offset + length > node->size)
        node->size = call->offset + length;
    model_set_times(model, node, true);
    return (int64_t)length;
}

static int64_t truncate_file(struct model *model, const struct call *call)
{
    struct node *node = model->slot[call->slot];
    uint64_t size = call->offset;
    int error = may_change(model, node, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND);

    if (error != 0)
        return error;
    if (size > model->fresh.max_file_size || (size > node->size && size > largest_growth(model, node)))
        return -EXT2DAX_EFBIG;
    if (size < node->size) {
        node_drop_blocks(node, blocks_for(model, size), UINT64_MAX);
        if (!mistaken(MISTAKE_TAIL_STAYS))
            node_zero(node, size, blocks_for(model, size) * model->kind->block_size, model->kind->block_size);
    }
    if (size != node->size)
        model_set_times(model, node, true);
    node->size = size;
    return 0;
}

static int check_range(const struct call *call)
{
    if (call->length == 0)
        return -EXT2DAX_EINVAL;
    return call->offset > UINT64_MAX - call->length ? -EXT2DAX_EOVERFLOW : 0;
}

static int64_t punch(struct model *model, const struct call *call)
{
    struct node *node = model->slot[call->slot];
    uint64_t end = call->offset + call->length, block_size = model->kind->block_size, first, last;
    int error = check_range(call);

    if (error == 0)
        error = may_change(model, node, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND);
    if (error != 0 || call->offset >= node->size)
        return error;
    /* The last block of the file counts as whole, because no byte after the end is kept. */
    last = end >= node->size ? blocks_for(model, node->size) : end / block_size;
    first = blocks_for(model, call->offset);
    if (first < last)
        node_drop_blocks(node, first, last);
    if (!mistaken(MISTAKE_PUNCH_EDGE_STAYS))
        node_zero(node, call->offset, end < node->size ? end : node->size, model->kind->block_size);
    model_set_times(model, node, true);
    return 0;
}

static int64_t zero_range(struct model *model, const struct call *call)
{
    struct node *node = model->slot[call->slot];
    uint64_t end = call->offset + call->length;
    int error = check_range(call);

    if (error == 0)
        error = may_change(model, node, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND);
    if (error != 0 || call->offset >= node->size)
        return error;
    end = end < node->size ? end : node->size;
    if (mistaken(MISTAKE_ZERO_FREES) && blocks_for(model, call->offset) < end / model->kind->block_size)
        node_drop_blocks(node, blocks_for(model, call->offset), end / model->kind->block_size);
    node_zero(node, call->offset, end, model->kind->block_size);
    model_set_times(model, node, true);
    return 0;
}

/*
 * Adopts the blocks that a full image had left. `seen->bytes` has a byte for each block of the
 * range.
 */
static void adopt_blocks(struct model *model, struct node *node, uint64_t first, const struct outcome *seen)
{
    bool changed = seen->stat.size != node->size;

    for (size_t i = 0; i < seen->count; i++) {
        bool there = node_block(node, first + i) != NULL;

        if (there && !seen->bytes[i])
            model->objection = "allocate removed a block";
        if (!there && seen->bytes[i]) {
            (void)node_add_block(node, first + i, model->kind->block_size);
            changed = true;
        }
    }
    if (changed)
        model_set_times(model, node, true);
}

static int64_t allocate(struct model *model, const struct call *call, const struct outcome *seen)
{
    struct node *node = model->slot[call->slot];
    uint64_t end = call->offset + call->length, first = call->offset / model->kind->block_size;
    int error = check_range(call);

    if (error == 0)
        error = may_change(model, node, EXT2DAX_FL_IMMUTABLE);
    if (error != 0)
        return error;
    if (end > node->size && call->flags != 0)
        return -EXT2DAX_EOPNOTSUPP;
    if (end > node->size && end > largest_growth(model, node))
        return -EXT2DAX_EFBIG;
    if (seen->result == -EXT2DAX_ENOSPC) {
        (void)model_full(model, seen, blocks_for(model, end) - first + SPARE_BLOCKS);
        adopt_blocks(model, node, first, seen);
        if (seen->stat.size < node->size || seen->stat.size > (end > node->size ? end : node->size))
            model->objection = "allocate leaves an impossible size";
        node->size = seen->stat.size;
        return -EXT2DAX_ENOSPC;
    }
    if (blocks_for(model, end) - first > model->fresh.blocks) {
        model->objection = "allocate found more blocks than the image has";
        return -EXT2DAX_ENOSPC;
    }
    for (uint64_t i = first; i < blocks_for(model, end); i++)
        (void)node_add_block(node, i, model->kind->block_size);
    if (end > node->size)
        node->size = end;
    model_set_times(model, node, true);
    return 0;
}

static int64_t seek(struct model *model, const struct call *call)
{
    const struct node *node = model->slot[call->slot];
    uint64_t block_size = model->kind->block_size, at = call->offset;

    if (!node_is(node, EXT2DAX_S_IFREG) || call->flags > EXT2DAX_SEEK_HOLE)
        return -EXT2DAX_EINVAL;
    if (at >= node->size)
        return -EXT2DAX_ENXIO;
    if (call->flags == EXT2DAX_SEEK_DATA) {
        uint64_t next = node_next_block(node, at / block_size);

        if (next == UINT64_MAX || next * block_size >= node->size)
            return -EXT2DAX_ENXIO;
        return (int64_t)(next * block_size > at ? next * block_size : at);
    }
    while (at < node->size && node_block(node, at / block_size))
        at = (at / block_size + 1) * block_size;
    return (int64_t)(at < node->size ? at : node->size);
}

static bool has_block(const struct model *model, const struct node *node, uint64_t index)
{
    if (node_is(node, EXT2DAX_S_IFDIR))
        return index < node->size / model->kind->block_size;
    return node_block(node, index) != NULL;
}

/*
 * The place of blocks in the image is a choice of the library, and so is the end of a run of
 * blocks.
 */
static int64_t map(struct model *model, const struct call *call, const struct outcome *seen, struct outcome *expected)
{
    const struct node *node = model->slot[call->slot];
    uint64_t p = model->kind->block_size / 4, reach = EXT2DAX_DIRECT + p + p * p + p * p * p, next;

    if (call->length == 0 || !(node_is(node, EXT2DAX_S_IFREG) || node_is(node, EXT2DAX_S_IFDIR)))
        return -EXT2DAX_EINVAL;
    if (call->offset >= reach)
        return -EXT2DAX_EFBIG;
    expected->run.logical = call->offset;
    /* A directory may have grown since the last stat. */
    if (node_is(node, EXT2DAX_S_IFDIR) && !has_block(model, node, call->offset) && seen->run.physical != 0) {
        expected->run = seen->run;
        expected->run.logical = call->offset;
        return 0;
    }
    if (has_block(model, node, call->offset)) {
        expected->run.physical =
            seen->run.physical != 0 && seen->run.physical < model->fresh.blocks ? seen->run.physical : 1;
        expected->run.length = seen->run.length;
        if (seen->run.length == 0 || seen->run.length > call->length)
            expected->run.length = 1;
        for (uint64_t i = 0; node_is(node, EXT2DAX_S_IFREG) && i < expected->run.length; i++) {
            if (!has_block(model, node, call->offset + i))
                expected->run.length = i;
        }
        return 0;
    }
    next = node_is(node, EXT2DAX_S_IFDIR) ? UINT64_MAX : node_next_block(node, call->offset);
    next = next < reach ? next : reach;
    expected->run.physical = 0;
    expected->run.length = call->length < next - call->offset ? call->length : next - call->offset;
    return 0;
}

int64_t model_play_file(struct model *model, const struct call *call, const struct outcome *seen,
                        struct outcome *expected)
{
    switch (call->kind) {
    case CALL_READ:
        return read_bytes(model, call, expected);
    case CALL_WRITE:
        return write_bytes(model, call, seen, expected);
    case CALL_TRUNCATE:
        return truncate_file(model, call);
    case CALL_PUNCH:
        return punch(model, call);
    case CALL_ZERO_RANGE:
        return zero_range(model, call);
    case CALL_ALLOCATE:
        return allocate(model, call, seen);
    case CALL_SEEK:
        return seek(model, call);
    case CALL_MAP:
        return map(model, call, seen, expected);
    case CALL_FSYNC_RANGE:
        return check_range(call);
    default:
        return 0;
    }
}
