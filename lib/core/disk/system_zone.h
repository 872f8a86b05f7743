/* SPDX-License-Identifier: MIT */
/* Which blocks are never a file's data, and which numbers are blocks at all. Constant from mount on; no lock. */
#ifndef E2D_ZONE_H
#define E2D_ZONE_H

#include "group.h"
#include "incore.h"

/*
 * Is any block of [block, block + count) outside the image or in a metadata zone: superblocks, descriptors and the
 * blocks reserved for their growth, bitmaps, inode tables? Returns the lowest offender's number, or 0 for none: so a
 * run that begins at block 0, which no pointer means, is not for asking.
 */
uint32_t e2d_zone_offender(const struct ext2dax_mount *m, uint32_t block, uint32_t count);
static inline bool e2d_is_data(const struct ext2dax_mount *m, uint32_t block)
{
    return block != 0 && e2d_zone_offender(m, block, 1) == 0;
}

/* Fills group[].metadata_end and compact. Call once, when descriptors were validated. */
void e2d_zone_prepare(struct ext2dax_mount *m);

#endif
