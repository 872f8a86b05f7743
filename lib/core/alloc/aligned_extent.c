/* SPDX-License-Identifier: MIT */
/*
 * How full each region of a group is, who reserved it, and two hints a group that searches read without the lock: how
 * many regions are whole, how many free blocks are loose (in no region, or in one partly used and not reserved).
 */
#include "region.h"

#include "bitmap.h"
#include "group.h"
#include "lock.h"
#include "persist.h"
#include "super.h"
#include "zone.h"

uint32_t e2d_region_count(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t blocks = e2d_group_blocks(m, group);
    uint32_t whole;

    if (m->regions_per_group == 0 || blocks < m->region_skew)
        return 0;
    whole = (blocks - m->region_skew) >> m->window_shift;
    return e2d_min32(whole, m->regions_per_group);
}

/* What a region adds to the group's hints: it counts as whole, or its free blocks as loose, or neither. */
static void hint(struct ext2dax_mount *m, struct e2d_group *group, const struct e2d_region *region, bool add)
{
    uint32_t sign = add ? 1u : UINT32_MAX;

    if (region->owner != 0)
        return;
    if (region->free == m->window_blocks)
        e2d_set32_relaxed(&group->whole, group->whole + sign);
    else
        e2d_set32_relaxed(&group->loose, group->loose + sign * region->free);
}

/* All the group's metadata must be marked used, or the allocator would hand it out. */
static bool metadata_is_marked(const struct ext2dax_mount *m, uint32_t group, const uint8_t *map)
{
    uint32_t first = e2d_group_first(m, group), blocks = e2d_group_blocks(m, group);

    if (m->group[group].compact)
        return e2d_next_clear(map, 0, m->group[group].metadata_end) == m->group[group].metadata_end;
    for (uint32_t bit = e2d_next_clear(map, 0, blocks); bit < blocks; bit = e2d_next_clear(map, bit + 1, blocks)) {
        if (!e2d_is_data(m, first + bit))
            return false;
    }
    return true;
}

static int scan(struct ext2dax_mount *m, uint32_t group)
{
    struct e2d_group *g = &m->group[group];
    const uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t blocks = e2d_group_blocks(m, group), counted = e2d_load_le16(&e2d_descriptor(m, group)->free_blocks);
    uint32_t free, in_regions = 0;
    int rc = e2d_check(m, map, m->block_size);

    if (rc != 0) {
        g->bad = true;
        return rc;
    }
    free = e2d_count_clear(map, 0, blocks);
    g->bad = free != counted || !metadata_is_marked(m, group, map);
    if (g->bad) {
        return e2d_corrupt(m, "group", group, "block bitmap", free,
                           free != counted ? "disagrees with the free block count" : "calls metadata free");
    }
    for (uint32_t i = 0; i < e2d_region_count(m, group); i++) {
        struct e2d_region *region = &g->regions[i];
        uint32_t bit = e2d_region_bit(m, i);

        region->owner = 0;
        region->window = 0;
        region->free = (uint16_t)e2d_count_clear(map, bit, bit + m->window_blocks);
        in_regions += region->free;
        hint(m, g, region, true);
    }
    e2d_set32_relaxed(&g->loose, g->loose + free - in_regions);
    e2d_set32(&g->known, 1);
    return 0;
}

static void lock_group(struct ext2dax_mount *m, uint32_t group)
{
    E2D_UNLESS(GROUP_LOCK_SKIPPED, e2d_write_lock(m, &m->group[group].lock));
}

static void unlock_group(struct ext2dax_mount *m, uint32_t group)
{
    E2D_UNLESS(GROUP_LOCK_SKIPPED, e2d_write_unlock(m, &m->group[group].lock));
}

int e2d_region_lock_group(struct ext2dax_mount *m, uint32_t group)
{
    struct e2d_group *g = &m->group[group];
    /* One more than there are: a group without regions is known by a pointer too. */
    size_t bytes = ((size_t)m->regions_per_group + 1) * sizeof *g->regions;
    struct e2d_region *fresh;
    int rc = 0;

    lock_group(m, group);
    while (!g->regions && !g->bad) {
        /* The host is not called under a lock of this level; another thread may be faster meanwhile. */
        unlock_group(m, group);
        fresh = e2d_alloc(m, bytes);
        if (!fresh)
            return -EXT2DAX_ENOMEM;
        lock_group(m, group);
        if (!g->regions && !g->bad) {
            g->regions = fresh;
            rc = scan(m, group);
            if (rc == 0)
                return 0;
            g->regions = NULL;
        }
        unlock_group(m, group);
        e2d_release(m, fresh, bytes);
        if (rc != 0)
            return rc;
        lock_group(m, group);
    }
    if (!g->bad)
        return 0;
    unlock_group(m, group);
    return -EXT2DAX_EUCLEAN;
}

void e2d_region_changed(struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end, bool set)
{
    struct e2d_group *g = &m->group[group];
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t free = e2d_load_le16(&descriptor->free_blocks), count = end - from, regions = e2d_region_count(m, group);

    /* The count came from the image: it may neither wrap nor pass what the group has. */
    free = set ? free - e2d_min32(free, count) : e2d_min32(free + count, e2d_group_blocks(m, group));
    e2d_store16(m, &descriptor->free_blocks, free);
    if (!g->regions)
        return;
    for (uint32_t bit = from; bit < end;) {
        uint32_t at = e2d_region_of(m, bit);
        uint32_t stop = end;

        if (at < regions) {
            struct e2d_region *region = &g->regions[at];

            stop = e2d_min32(end, e2d_region_bit(m, at) + m->window_blocks);
            hint(m, g, region, false);
            E2D_GUARDED_STORE(region);
            region->free = (uint16_t)(set ? region->free - (stop - bit) : region->free + (stop - bit));
            if (!set && region->free == m->window_blocks)
                region->owner = 0;
            hint(m, g, region, true);
        } else {
            if (bit < m->region_skew && regions != 0)
                stop = e2d_min32(end, m->region_skew);
            e2d_set32_relaxed(&g->loose, set ? g->loose - (stop - bit) : g->loose + (stop - bit));
        }
        bit = stop;
    }
}

void e2d_region_reserve(struct ext2dax_mount *m, uint32_t group, uint32_t region, uint32_t owner, uint32_t window)
{
    struct e2d_group *g = &m->group[group];
    struct e2d_region *at = &g->regions[region];

    hint(m, g, at, false);
    at->owner = owner;
    at->window = window;
    hint(m, g, at, true);
}

uint32_t e2d_region_fullest(const struct ext2dax_mount *m, uint32_t group)
{
    const struct e2d_region *regions = m->group[group].regions;
    uint32_t best = UINT32_MAX, least = m->window_blocks;

    for (uint32_t i = 0; i < e2d_region_count(m, group); i++) {
        if (regions[i].owner == 0 && regions[i].free != 0 && regions[i].free < least) {
            best = i;
            least = regions[i].free;
        }
    }
    return best;
}

uint32_t e2d_region_whole(const struct ext2dax_mount *m, uint32_t group)
{
    const struct e2d_region *regions = m->group[group].regions;

    for (uint32_t i = 0; i < e2d_region_count(m, group); i++) {
        if (regions[i].owner == 0 && regions[i].free == m->window_blocks)
            return i;
    }
    return UINT32_MAX;
}

uint32_t e2d_region_reserved(const struct ext2dax_mount *m, uint32_t group)
{
    const struct e2d_region *regions = m->group[group].regions;

    for (uint32_t i = 0; i < e2d_region_count(m, group); i++) {
        if (regions[i].owner != 0 && regions[i].free != 0)
            return i;
    }
    return UINT32_MAX;
}

void e2d_region_close(struct ext2dax_mount *m)
{
    for (uint32_t i = 0; i < m->groups; i++) {
        e2d_release(m, m->group[i].regions, ((size_t)m->regions_per_group + 1) * sizeof *m->group[i].regions);
        m->group[i].regions = NULL;
    }
}
