/* SPDX-License-Identifier: MIT */
/*
 * Regions: the aligned huge pages of the image, and how full each is. What is known of a group is made from its bitmap
 * when the group is first needed, and kept in step from then on. Everything here is guarded by the group's lock.
 */
#ifndef E2D_REGION_H
#define E2D_REGION_H

#include "incore.h"

/*
 * Takes the group's lock, with its regions known. ENOMEM; EUCLEAN: bitmap and counters disagree (reported). On failure
 * the lock is not held.
 */
int e2d_region_lock_group(struct ext2dax_mount *m, uint32_t group);

/* How many whole regions the group has (the last, short group fewer), and the bits of one. */
uint32_t e2d_region_count(const struct ext2dax_mount *m, uint32_t group);
static inline uint32_t e2d_region_bit(const struct ext2dax_mount *m, uint32_t region)
{
    return m->region_skew + region * m->window_blocks;
}
/* The region a bit lies in; e2d_region_count() or more: none, it is loose. */
static inline uint32_t e2d_region_of(const struct ext2dax_mount *m, uint32_t bit)
{
    return bit < m->region_skew || m->regions_per_group == 0 ? UINT32_MAX : (bit - m->region_skew) >> m->window_shift;
}

/* The bits [from, end) were just set, or cleared: brings regions, hints and the descriptor's counter in step. */
void e2d_region_changed(struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end, bool set);

/* Reserves a region for a window, or gives it to nobody (owner 0). */
void e2d_region_reserve(struct ext2dax_mount *m, uint32_t group, uint32_t region, uint32_t owner, uint32_t window);

/* The unreserved, partly used region with the fewest free blocks; UINT32_MAX: none. */
uint32_t e2d_region_fullest(const struct ext2dax_mount *m, uint32_t group);
/* The first that is wholly free and not reserved, and the first reserved one with a free block. */
uint32_t e2d_region_whole(const struct ext2dax_mount *m, uint32_t group);
uint32_t e2d_region_reserved(const struct ext2dax_mount *m, uint32_t group);

/* Gives back what knowing the groups took. At unmount. */
void e2d_region_close(struct ext2dax_mount *m);

#endif
