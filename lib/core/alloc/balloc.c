/* SPDX-License-Identifier: MIT */
/*
 * Block allocator.
 *
 * Packed allocation searches in three passes, each from the goal's group on over all groups. The
 * first pass takes the goal, then a free block outside all aligned extents, then a block in the
 * fullest partly used extent. The second pass breaks a whole free extent. The third pass takes from
 * an extent reserved for a PMD range. So whole extents last as long as any loose block exists.
 *
 * A group which cannot be used, because the bitmap is bad or unreadable, is skipped and never ends
 * a search. The error is returned only if no other group has a block.
 *
 * A decision depends only on the image, the reservations and the arguments. Equal calls produce
 * equal images.
 */
#include "alloc/balloc.h"

#include "base/bitmap.h"
#include "disk/group.h"
#include "base/lock.h"
#include "base/persist.h"
#include "alloc/aligned_extent.h"
#include "alloc/shared.h"
#include "disk/super.h"
#include "disk/system_zone.h"
#include "base/skips.h"

enum pass { LOOSE, WHOLE, RESERVED, PASSES };

static void unlock_group(struct ext2dax_mount *m, uint32_t group)
{
    e2d_write_unlock(m, &m->group[group].lock);
}

/*
 * Returns whether the group may have blocks for the pass. Called without the lock, so only a hint.
 */
static bool promising(const struct ext2dax_mount *m, uint32_t group, enum pass pass)
{
    const struct e2d_group *g = &m->group[group];

    if (e2d_load_le16(&e2d_descriptor(m, group)->free_blocks) == 0)
        return false;
    if (pass == RESERVED || e2d_load32(&g->known) == 0)
        return true;
    return e2d_load32_relaxed(pass == LOOSE ? &g->loose : &g->whole) != 0;
}

/*
 * Marks the run used. The caller holds the lock of the group, and the bits are clear. Returns
 * false, and marks the group bad, if the run contains metadata.
 */
static bool mark(struct ext2dax_mount *m, uint32_t group, uint32_t bit, uint32_t count, struct e2d_extent *extent)
{
    uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t block = e2d_group_first(m, group) + bit;

    if (e2d_zone_offender(m, block, count) != 0) {
        m->group[group].bad = true;
        (void)e2d_corrupt(m, "group", group, "block bitmap", block, "marks metadata free");
        return false;
    }
    E2D_GUARDED_STORE(map + (bit >> 3));
    e2d_set_bits(map, bit, bit + count);
    e2d_written_bits(m, map, bit, bit + count);
    e2d_aligned_changed(m, group, bit, bit + count, true);
    e2d_count(&e2d_counters(m)->blocks_allocated, count);
    extent->block = block;
    extent->count = count;
    return true;
}

/*
 * The problem was reported when found, perhaps in an earlier call. Reports EUCLEAN and EIO at info
 * level, so that the failing call has a report.
 */
static int bad_group(struct ext2dax_mount *m, uint32_t group, int error)
{
    if (error == -EXT2DAX_EIO)
        return e2d_tell(m, error, "group", group, "block bitmap", e2d_get32(e2d_descriptor(m, group)->block_bitmap),
                        "cannot be read, so nothing is allocated here");
    if (error != -EXT2DAX_EUCLEAN)
        return error;
    return e2d_tell(m, -EXT2DAX_EUCLEAN, "group", group, "free block count",
                    e2d_load_le16(&e2d_descriptor(m, group)->free_blocks), "bad bitmap, so nothing is allocated here");
}

struct room {
    uint32_t bit;
    uint32_t end; /* first bit not available. bit == end if no room */
};

/*
 * Returns the room at the goal, if the goal is free and packed blocks may use the place. With
 * `break_whole` only a whole free extent qualifies, otherwise only a partly used extent. In both
 * cases blocks outside all extents qualify.
 */
static E2D_OUT_OF_LINE struct room room_at_goal(const struct ext2dax_mount *m, uint32_t group, uint32_t bit,
                                                bool break_whole)
{
    uint32_t count = e2d_aligned_count(m, group), at = e2d_aligned_of(m, bit), blocks = e2d_group_blocks(m, group);
    const struct e2d_aligned_extent *aligned;
    struct room room = {bit, bit};

    if (bit >= blocks || e2d_bit(e2d_block_bitmap(m, group), bit))
        return room;
    if (at >= count) {
        room.end = count != 0 && bit < m->aligned_skew ? m->aligned_skew : blocks;
        return room;
    }
    aligned = e2d_aligned_at(m, group, at);
    if (aligned->owner == 0 && (aligned->free < m->pmd_blocks) != break_whole)
        room.end = e2d_aligned_bit(m, at) + m->pmd_blocks;
    return room;
}

static struct room first_clear(const struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end)
{
    struct room room = {e2d_next_clear(e2d_block_bitmap(m, group), from, end), end};

    return room;
}

static struct room room_loose(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t count = e2d_aligned_count(m, group), blocks = e2d_group_blocks(m, group), aligned;
    uint32_t head = count != 0 ? m->aligned_skew : blocks;
    struct room room = first_clear(m, group, 0, head);

    if (room.bit < room.end || count == 0)
        return room;
    room = first_clear(m, group, e2d_aligned_bit(m, count), blocks);
    if (room.bit < room.end)
        return room;
    aligned = e2d_aligned_fullest(m, group);
    if (aligned == UINT32_MAX)
        return room;
    return first_clear(m, group, e2d_aligned_bit(m, aligned), e2d_aligned_bit(m, aligned) + m->pmd_blocks);
}

/* Takes from the end of the extent, because the PMD range fills the extent from the start. */
static struct room room_reserved(const struct ext2dax_mount *m, uint32_t group, uint32_t want)
{
    const uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t aligned = e2d_aligned_reserved(m, group), start;
    struct room room = {0, 0};

    if (aligned == UINT32_MAX)
        return room;
    start = e2d_aligned_bit(m, aligned);
    room.end = start + m->pmd_blocks;
    while (e2d_bit(map, room.end - 1))
        room.end--;
    room.bit = room.end;
    while (room.bit > start && room.end - room.bit < want && !e2d_bit(map, room.bit - 1))
        room.bit--;
    return room;
}

static E2D_OUT_OF_LINE bool take_packed(struct ext2dax_mount *m, uint32_t group, enum pass pass, uint32_t goal_bit,
                                        uint32_t count, struct e2d_extent *extent)
{
    struct room room = {0, 0};
    uint32_t aligned, end;

    if (pass != RESERVED)
        room = room_at_goal(m, group, goal_bit, pass == WHOLE);
    if (room.bit == room.end && pass == LOOSE)
        room = room_loose(m, group);
    if (room.bit == room.end && pass == WHOLE) {
        aligned = e2d_aligned_whole(m, group);
        if (aligned != UINT32_MAX)
            room = first_clear(m, group, e2d_aligned_bit(m, aligned), e2d_aligned_bit(m, aligned) + m->pmd_blocks);
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
    uint32_t bad = 0;
    int error = -EXT2DAX_ENOSPC;
    bool taken;

    /*
     * Two rounds. Another thread may free blocks in a group already passed while a third thread
     * takes the remaining blocks.
     */
    for (unsigned turn = 0; turn < 2 * PASSES; turn++) {
        enum pass pass = (enum pass)(turn < PASSES ? turn : turn - PASSES);

        for (uint32_t i = 0, group = start; i < m->groups; i++, group = group + 1 < m->groups ? group + 1 : 0) {
            int rc;

            if (!promising(m, group, pass))
                continue;
            rc = e2d_aligned_lock_group(m, group);
            if (rc != 0) {
                bad = group;
                error = rc;
                continue;
            }
            taken = take_packed(m, group, pass, group == start ? goal_bit : UINT32_MAX, count, extent);
            unlock_group(m, group);
            if (taken)
                return 0;
        }
    }
    return error != -EXT2DAX_ENOSPC ? bad_group(m, bad, error) : error;
}

int e2d_balloc_at(struct ext2dax_mount *m, uint32_t owner, uint32_t range, uint32_t block, uint32_t count,
                  struct e2d_extent *extent)
{
    uint32_t group, bit, at, end;
    const struct e2d_aligned_extent *aligned;
    const uint8_t *map;
    int rc = -EXT2DAX_ENOSPC;

    if (!e2d_aligned_find(m, block, &group, &at))
        return rc;
    bit = block - e2d_group_first(m, group);
    if (e2d_aligned_lock_group(m, group) != 0)
        return rc;
    map = e2d_block_bitmap(m, group);
    if (e2d_bit(map, bit))
        goto out;
    aligned = e2d_aligned_at(m, group, at);
    if (aligned->owner == 0)
        e2d_aligned_reserve(m, group, at, owner, range);
    if (aligned->owner != owner || aligned->range != range)
        goto out;
    end = e2d_aligned_bit(m, at) + m->pmd_blocks;
    end = e2d_next_set(map, bit, e2d_min32(end, bit + count));
    if (mark(m, group, bit, end - bit, extent))
        rc = 0;
out:
    unlock_group(m, group);
    return rc;
}

int e2d_balloc_aligned(struct ext2dax_mount *m, uint32_t owner, uint32_t range, uint32_t near, uint32_t *block)
{
    for (uint32_t i = 0, group = near; i < m->groups; i++, group = group + 1 < m->groups ? group + 1 : 0) {
        uint32_t aligned;

        if (!promising(m, group, WHOLE) || e2d_aligned_lock_group(m, group) != 0)
            continue;
        aligned = e2d_aligned_whole(m, group);
        if (aligned != UINT32_MAX) {
            e2d_aligned_reserve(m, group, aligned, owner, range);
            *block = e2d_group_first(m, group) + e2d_aligned_bit(m, aligned);
        }
        unlock_group(m, group);
        if (aligned != UINT32_MAX)
            return 0;
    }
    return -EXT2DAX_ENOSPC;
}

/* Returns the part of a run inside the group of the first block. */
static uint32_t part_in_group(const struct ext2dax_mount *m, uint32_t block, uint32_t count, uint32_t *group,
                              uint32_t *bit)
{
    *group = e2d_group_of(m, block);
    *bit = block - e2d_group_first(m, *group);
    return e2d_min32(count, e2d_group_blocks(m, *group) - *bit);
}

/* Clears a run of set bits. The caller holds the lock of the group. */
static void clear_run(struct ext2dax_mount *m, uint32_t group, uint32_t bit, uint32_t end)
{
    uint8_t *map = e2d_block_bitmap(m, group);

    E2D_GUARDED_STORE(map + (bit >> 3));
    e2d_clear_bits(map, bit, end);
    e2d_written_bits(m, map, bit, end);
    e2d_aligned_changed(m, group, bit, end, false);
    e2d_count(&e2d_counters(m)->blocks_freed, end - bit);
}

uint32_t e2d_bfree(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    uint32_t freed = 0, group, start;

    while (count != 0) {
        uint32_t part = part_in_group(m, block, count, &group, &start), end = start + part, stop;
        const uint8_t *map = e2d_block_bitmap(m, group);

        e2d_write_lock(m, &m->group[group].lock);
        for (uint32_t bit = start; bit < end; bit = stop) {
            if (!e2d_bit(map, bit)) {
                stop = e2d_next_set(map, bit, end);
                (void)e2d_corrupt(m, "block", e2d_group_first(m, group) + bit, "blocks", stop - bit,
                                  "are free already, so two files claimed these");
                continue;
            }
            stop = e2d_next_clear(map, bit, end);
            clear_run(m, group, bit, stop);
            freed += stop - bit;
        }
        unlock_group(m, group);
        block += part;
        count -= part;
    }
    return freed;
}

int e2d_balloc_one(struct ext2dax_mount *m, uint32_t group, struct e2d_extent *extent)
{
    int rc = e2d_super_take_blocks(m, 1);

    if (rc != 0)
        return rc;
    rc = e2d_balloc(m, e2d_group_first(m, group), 1, extent);
    if (rc != 0)
        e2d_super_give_blocks(m, 1);
    return rc;
}

void(e2d_give_back)(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    e2d_super_give_blocks(m, e2d_bfree(m, block, count));
}

int e2d_bunshare(struct ext2dax_mount *m, uint32_t block, struct ext2dax_le32 *references)
{
    uint32_t group = e2d_group_of(m, block), bit = block - e2d_group_first(m, group), count;
    int rc = 0;

    e2d_write_lock(m, &m->group[group].lock);
    E2D_GUARDED_LOAD(references);
    count = e2d_get32(*references);
    if (count == 0 || !e2d_bit(e2d_block_bitmap(m, group), bit)) {
        rc = -EXT2DAX_EUCLEAN;
    } else if (count == 1) {
        clear_run(m, group, bit, bit + 1);
        e2d_share_forget(m, block);
        rc = 1;
    } else {
        E2D_GUARDED_STORE(references);
        e2d_store32(m, references, count - 1);
    }
    e2d_write_unlock(m, &m->group[group].lock);
    return rc;
}

int e2d_ballocated(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    uint32_t group, bit;
    int rc = 0;

    while (count != 0 && rc == 0) {
        uint32_t part = part_in_group(m, block, count, &group, &bit);
        const uint8_t *map = e2d_block_bitmap(m, group);

        e2d_read_lock(m, &m->group[group].lock);
        /*
         * Not needed during recovery, which has seen every bit and corrects the counts at the end.
         */
        if ((!m->group[group].checked || m->group[group].bad) && !m->recovering) {
            e2d_read_unlock(m, &m->group[group].lock);
            rc = e2d_aligned_check_group(m, group);
            if (rc != 0)
                return rc;
            e2d_read_lock(m, &m->group[group].lock);
        }
        rc = e2d_check(m, map, m->block_size);
        if (rc == 0 && e2d_next_clear(map, bit, bit + part) != bit + part)
            rc = 1;
        e2d_read_unlock(m, &m->group[group].lock);
        block += part;
        count -= part;
    }
    return rc;
}
