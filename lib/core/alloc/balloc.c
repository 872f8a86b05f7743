/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are given out. Packed allocation looks for room in this order: behind the goal; loose blocks; the fullest
 * partly used region of the goal's group, then of the groups after it; only when no group has any of these a whole region
 * is broken, and last of all a window's reservation. So whole regions last as long as anything else does.
 *
 * Nothing but the image, the reservations and the arguments enters a decision: the same calls give the same image.
 */
#include "balloc.h"

#include "bitmap.h"
#include "group.h"
#include "lock.h"
#include "persist.h"
#include "region.h"
#include "super.h"
#include "zone.h"

enum pass { LOOSE, WHOLE, RESERVED, PASSES };

static void unlock_group(struct ext2dax_mount *m, uint32_t group)
{
    E2D_UNLESS(GROUP_LOCK_SKIPPED, e2d_write_unlock(m, &m->group[group].lock));
}

/* Without the lock, so only a hint: may the group have what the pass looks for? */
static bool promising(const struct ext2dax_mount *m, uint32_t group, enum pass pass)
{
    const struct e2d_group *g = &m->group[group];

    if (e2d_load_le16(&e2d_descriptor(m, group)->free_blocks) == 0)
        return false;
    if (pass == RESERVED || e2d_load32(&g->known) == 0)
        return true;
    return e2d_load32_relaxed(pass == LOOSE ? &g->loose : &g->whole) != 0;
}

/* Marks the run used; the group's lock is held and the bits are clear. False: it would hand out metadata. */
static bool mark(struct ext2dax_mount *m, uint32_t group, uint32_t bit, uint32_t count, struct e2d_extent *extent)
{
    uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t block = e2d_group_first(m, group) + bit;

    if (e2d_zone_offender(m, block, count) != 0) {
        m->group[group].bad = true;
        (void)e2d_corrupt(m, "group", group, "block bitmap", block, "calls metadata free");
        return false;
    }
    E2D_GUARDED_STORE(map + (bit >> 3));
    e2d_set_bits(map, bit, bit + count);
    e2d_written(m, map + (bit >> 3), ((bit + count - 1) >> 3) - (bit >> 3) + 1);
    e2d_region_changed(m, group, bit, bit + count, true);
    e2d_count(&m->counters.blocks_allocated, count);
    extent->block = block;
    extent->count = count;
    return true;
}

/* What was wrong with the group was told when it was met. */
static int bad_group(struct ext2dax_mount *m, uint32_t group)
{
    return e2d_tell(m, -EXT2DAX_EUCLEAN, "group", group, "free block count",
                    e2d_load_le16(&e2d_descriptor(m, group)->free_blocks), "nothing is taken, its bitmap is bad");
}

struct room {
    uint32_t bit;
    uint32_t end; /* first bit that may not be taken; bit == end: there is no room */
};

/* Is the goal itself free, and in a place where packed blocks may lie? */
static struct room room_at_goal(const struct ext2dax_mount *m, uint32_t group, uint32_t bit, bool break_whole)
{
    const struct e2d_region *regions = m->group[group].regions;
    uint32_t count = e2d_region_count(m, group), region = e2d_region_of(m, bit), blocks = e2d_group_blocks(m, group);
    struct room room = {bit, bit};

    if (bit >= blocks || e2d_bit(e2d_block_bitmap(m, group), bit))
        return room;
    if (region >= count)
        room.end = count != 0 && bit < m->region_skew ? m->region_skew : blocks;
    else if (regions[region].owner == 0 && (regions[region].free < m->window_blocks) != break_whole)
        room.end = e2d_region_bit(m, region) + m->window_blocks;
    return room;
}

static struct room first_clear(const struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end)
{
    struct room room = {e2d_next_clear(e2d_block_bitmap(m, group), from, end), end};

    return room;
}

static struct room room_loose(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t count = e2d_region_count(m, group), blocks = e2d_group_blocks(m, group), region;
    uint32_t head = count != 0 ? m->region_skew : blocks;
    struct room room = first_clear(m, group, 0, head);

    if (room.bit < room.end || count == 0)
        return room;
    room = first_clear(m, group, e2d_region_bit(m, count), blocks);
    if (room.bit < room.end)
        return room;
    region = e2d_region_fullest(m, group);
    if (region == UINT32_MAX)
        return room;
    return first_clear(m, group, e2d_region_bit(m, region), e2d_region_bit(m, region) + m->window_blocks);
}

/* From the end of the region, which its window comes to last. */
static struct room room_reserved(const struct ext2dax_mount *m, uint32_t group, uint32_t want)
{
    const uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t region = e2d_region_reserved(m, group), start;
    struct room room = {0, 0};

    if (region == UINT32_MAX)
        return room;
    start = e2d_region_bit(m, region);
    room.end = start + m->window_blocks;
    while (e2d_bit(map, room.end - 1))
        room.end--;
    room.bit = room.end;
    while (room.bit > start && room.end - room.bit < want && !e2d_bit(map, room.bit - 1))
        room.bit--;
    return room;
}

static bool take_packed(struct ext2dax_mount *m, uint32_t group, enum pass pass, uint32_t goal_bit, uint32_t count,
                        struct e2d_extent *extent)
{
    struct room room = {0, 0};
    uint32_t region, end;

    if (pass != RESERVED)
        room = room_at_goal(m, group, goal_bit, pass == WHOLE);
    if (room.bit == room.end && pass == LOOSE)
        room = room_loose(m, group);
    if (room.bit == room.end && pass == WHOLE) {
        region = e2d_region_whole(m, group);
        if (region != UINT32_MAX)
            room = first_clear(m, group, e2d_region_bit(m, region), e2d_region_bit(m, region) + m->window_blocks);
    }
    if (pass == RESERVED)
        room = room_reserved(m, group, count);
    if (room.bit == room.end)
        return false;
    end = e2d_next_set(e2d_block_bitmap(m, group), room.bit, e2d_min32(room.end, room.bit + count));
    return mark(m, group, room.bit, end - room.bit, extent);
}

int e2d_balloc(struct ext2dax_mount *m, uint32_t goal, uint32_t count, struct e2d_extent *extent)
{
    bool usable = goal >= m->first_data_block && goal < m->blocks;
    uint32_t start = usable ? e2d_group_of(m, goal) : 0;
    uint32_t goal_bit = usable ? goal - e2d_group_first(m, start) : UINT32_MAX;
    uint32_t bad = UINT32_MAX;
    bool taken;

    /* Twice: what was counted free may be freed in a group that is passed already while another caller takes the rest. */
    for (unsigned turn = 0; turn < 2 * PASSES; turn++) {
        enum pass pass = (enum pass)(turn < PASSES ? turn : turn - PASSES);

        for (uint32_t i = 0, group = start; i < m->groups; i++, group = group + 1 < m->groups ? group + 1 : 0) {
            int rc;

            if (!promising(m, group, pass))
                continue;
            rc = e2d_region_lock_group(m, group);
            if (rc == -EXT2DAX_EUCLEAN) {
                bad = group;
                continue;
            }
            if (rc != 0)
                return rc;
            taken = take_packed(m, group, pass, group == start ? goal_bit : UINT32_MAX, count, extent);
            unlock_group(m, group);
            if (taken)
                return 0;
        }
    }
    return bad != UINT32_MAX ? bad_group(m, bad) : -EXT2DAX_ENOSPC;
}

int e2d_balloc_at(struct ext2dax_mount *m, uint32_t owner, uint32_t window, uint32_t block, uint32_t count,
                  struct e2d_extent *extent)
{
    uint32_t group = e2d_group_of(m, block), bit = block - e2d_group_first(m, group);
    uint32_t at = e2d_region_of(m, bit), end;
    const uint8_t *map;
    int rc;

    if (at >= e2d_region_count(m, group))
        return -EXT2DAX_ENOSPC;
    rc = e2d_region_lock_group(m, group);
    if (rc != 0)
        return rc == -EXT2DAX_EUCLEAN ? bad_group(m, group) : rc;
    map = e2d_block_bitmap(m, group);
    rc = -EXT2DAX_ENOSPC;
    if (e2d_bit(map, bit))
        goto out;
    if (m->group[group].regions[at].owner == 0)
        e2d_region_reserve(m, group, at, owner, window);
    if (m->group[group].regions[at].owner != owner || m->group[group].regions[at].window != window)
        goto out;
    end = e2d_region_bit(m, at) + m->window_blocks;
    end = e2d_next_set(map, bit, e2d_min32(end, bit + count));
    rc = mark(m, group, bit, end - bit, extent) ? 0 : -EXT2DAX_EUCLEAN;
out:
    unlock_group(m, group);
    return rc;
}

int e2d_balloc_region(struct ext2dax_mount *m, uint32_t owner, uint32_t window, uint32_t near, uint32_t *block)
{
    for (uint32_t i = 0, group = near; i < m->groups; i++, group = group + 1 < m->groups ? group + 1 : 0) {
        uint32_t region;
        int rc;

        if (!promising(m, group, WHOLE))
            continue;
        rc = e2d_region_lock_group(m, group);
        if (rc == -EXT2DAX_EUCLEAN)
            continue;
        if (rc != 0)
            return rc;
        region = e2d_region_whole(m, group);
        if (region != UINT32_MAX) {
            e2d_region_reserve(m, group, region, owner, window);
            *block = e2d_group_first(m, group) + e2d_region_bit(m, region);
        }
        unlock_group(m, group);
        if (region != UINT32_MAX)
            return 0;
    }
    return -EXT2DAX_ENOSPC;
}

/* The part of a run that lies in the group of its first block. */
static uint32_t part_in_group(const struct ext2dax_mount *m, uint32_t block, uint32_t count, uint32_t *group,
                              uint32_t *bit)
{
    *group = e2d_group_of(m, block);
    *bit = block - e2d_group_first(m, *group);
    return e2d_min32(count, e2d_group_blocks(m, *group) - *bit);
}

uint32_t e2d_bfree(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    uint32_t freed = 0, group, start;

    while (count != 0) {
        uint32_t part = part_in_group(m, block, count, &group, &start), end = start + part, stop;
        uint8_t *map = e2d_block_bitmap(m, group);

        E2D_UNLESS(GROUP_LOCK_SKIPPED, e2d_write_lock(m, &m->group[group].lock));
        for (uint32_t bit = start; bit < end; bit = stop) {
            if (!e2d_bit(map, bit)) {
                stop = e2d_next_set(map, bit, end);
                (void)e2d_corrupt(m, "block", e2d_group_first(m, group) + bit, "owner", stop - bit,
                                  "is free already: another file had claimed it");
                continue;
            }
            stop = e2d_next_clear(map, bit, end);
            E2D_GUARDED_STORE(map + (bit >> 3));
            e2d_clear_bits(map, bit, stop);
            e2d_written(m, map + (bit >> 3), ((stop - 1) >> 3) - (bit >> 3) + 1);
            e2d_region_changed(m, group, bit, stop, false);
            freed += stop - bit;
        }
        unlock_group(m, group);
        block += part;
        count -= part;
    }
    e2d_count(&m->counters.blocks_freed, freed);
    return freed;
}

int e2d_ballocated(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    uint32_t group, bit;
    int rc = 0;

    while (count != 0 && rc == 0) {
        uint32_t part = part_in_group(m, block, count, &group, &bit);
        const uint8_t *map = e2d_block_bitmap(m, group);

        e2d_read_lock(m, &m->group[group].lock);
        rc = e2d_check(m, map, m->block_size);
        if (rc == 0 && e2d_next_clear(map, bit, bit + part) != bit + part)
            rc = -EXT2DAX_EUCLEAN;
        e2d_read_unlock(m, &m->group[group].lock);
        block += part;
        count -= part;
    }
    return rc;
}
