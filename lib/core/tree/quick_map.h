/* SPDX-License-Identifier: MIT */
/*
 * The short way to a mapped block. A lookup of a few blocks of a valid file needs a size check, one
 * to three loads, and a check of each pointer. This header has just these, inlined into the caller.
 * Every other case returns 0 and takes the general way of map.c. Such cases are holes, triple
 * indirect blocks, memory which may hold poison, pointers into groups with scattered metadata, bad
 * pointers, and runs which may continue in the next pointer block. So only the general way reports.
 */
#ifndef E2D_TREE_QUICK_MAP_H
#define E2D_TREE_QUICK_MAP_H

#include "tree/map.h"

#include "disk/system_zone.h"

/* Most blocks requested of the short way. Longer runs gain nothing from it. */
#define E2D_QUICK_MAX 32u

/*
 * Finds the pointers from `logical` to the end of its pointer array. Returns NULL for the general
 * way.
 */
static inline const struct ext2dax_le32 *e2d_quick_slots(const struct ext2dax_inode *inode, uint64_t logical,
                                                         uint32_t *left)
{
    const struct ext2dax_mount *m = inode->mount;
    const struct ext2dax_le32 *slots = inode->disk->block;
    uint32_t block, index;

    if (logical < EXT2DAX_DIRECT) {
        *left = EXT2DAX_DIRECT - (uint32_t)logical;
        return &slots[logical];
    }
    logical -= EXT2DAX_DIRECT;
    if (m->memory_ops.check)
        return NULL;
    index = (uint32_t)logical & (m->pointers - 1);
    if (logical < m->pointers) {
        block = e2d_load_le32(&slots[EXT2DAX_IND]);
    } else {
        logical -= m->pointers;
        if (logical >> (2 * m->pointer_shift) != 0)
            return NULL;
        block = e2d_load_le32(&slots[EXT2DAX_DIND]);
        if (!e2d_zone_data(m, block, 1))
            return NULL;
        slots = e2d_block(m, block);
        block = e2d_load_le32(&slots[logical >> m->pointer_shift]);
    }
    if (!e2d_zone_data(m, block, 1))
        return NULL;
    slots = e2d_block(m, block);
    *left = m->pointers - index;
    return &slots[index];
}

/* Finds the block of `logical`, as e2d_map(). Returns 0 for the general way. */
static inline uint32_t e2d_quick_block(const struct ext2dax_inode *inode, uint64_t logical)
{
    const struct ext2dax_le32 *slots;
    uint32_t left, block;

    slots = e2d_quick_slots(inode, logical, &left);
    if (!slots)
        return 0;
    block = e2d_load_le32(slots);
    return e2d_zone_data(inode->mount, block, 1) ? block : 0;
}

/*
 * Finds a run of at most `max` blocks, as e2d_map(). Returns its length and sets *physical, or
 * returns 0 for the general way.
 */
static inline uint32_t e2d_quick_run(const struct ext2dax_inode *inode, uint64_t logical, uint32_t max,
                                     uint32_t *physical)
{
    const struct ext2dax_le32 *slots;
    uint32_t left, block, n = 1;

    slots = e2d_quick_slots(inode, logical, &left);
    if (!slots)
        return 0;
    block = e2d_load_le32(slots);
    if (max > left)
        max = left + 1; /* a run up to the end of the array may continue in the next */
    while (n < max && n < left && e2d_load_le32(&slots[n]) == block + n)
        n++;
    if ((n == left && n < max) || !e2d_zone_data(inode->mount, block, n))
        return 0;
    *physical = block;
    return n;
}

/* As e2d_map(), by the short way where possible. */
static inline int e2d_map_short(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run)
{
    uint32_t physical, length;

    length = E2D_FOR_SPEED && max - 1 < E2D_QUICK_MAX ? e2d_quick_run(inode, logical, (uint32_t)max, &physical) : 0;
    if (length == 0)
        return e2d_map(inode, logical, max, run);
    run->logical = logical;
    run->physical = physical;
    run->length = length;
    return 0;
}

#endif
