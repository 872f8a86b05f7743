/* SPDX-License-Identifier: MIT */
/*
 * Conversion of a logical block to slot and indices. After the 12 direct blocks come three subtrees
 * of 1, 2 and 3 levels, each with pointers^level blocks. An index is a digit of the position in the
 * subtree, in base `pointers`. The base is a power of two, so digits are extracted by shifts. The
 * largest number is below 2^43.
 */
#include "tree/block_path.h"

bool e2d_path(const struct ext2dax_mount *m, uint64_t logical, struct e2d_path *path)
{
    uint64_t place;
    unsigned depth, level;

    if (logical < EXT2DAX_DIRECT) {
        path->depth = 0;
        path->slot = (uint32_t)logical;
        path->leaf_first = 0;
        path->leaf_count = EXT2DAX_DIRECT;
        return true;
    }
    place = logical - EXT2DAX_DIRECT;
    for (depth = 1; depth <= E2D_DEPTH_MAX; depth++) {
        uint64_t span = e2d_path_span(m, depth);

        if (place < span)
            break;
        place -= span;
    }
    if (depth > E2D_DEPTH_MAX)
        return false;

    path->depth = depth;
    path->slot = EXT2DAX_IND + depth - 1;
    for (level = 0; level < depth; level++)
        path->index[level] = (uint32_t)(place >> ((depth - 1 - level) * m->pointer_shift)) & (m->pointers - 1);
    path->leaf_first = logical - path->index[depth - 1];
    path->leaf_count = m->pointers;
    return true;
}

uint64_t e2d_path_base(const struct ext2dax_mount *m, uint32_t slot)
{
    uint64_t base = EXT2DAX_DIRECT;
    uint32_t before;

    for (before = EXT2DAX_IND; before < slot; before++)
        base += e2d_path_span(m, before - EXT2DAX_IND + 1);
    return base;
}
