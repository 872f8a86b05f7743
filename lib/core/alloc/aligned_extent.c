/* SPDX-License-Identifier: MIT */
/*
 * Records of the aligned extents. For each aligned extent of a group, the number of free blocks and
 * the owner of the reservation. Per group, two hints which searches read without the lock. These
 * are the number of free unreserved extents, and the number of loose blocks (outside all extents,
 * or in an extent which is partly used and not reserved).
 *
 * The records of all extents are a single array, allocated on the way to read-write and kept until
 * unmount. No fault and no write allocates records, so a host without free memory never prevents
 * the allocation of a free block. If the host cannot allocate the records, the mount fails before
 * any change to the image.
 *
 * Rejected: allocating the records of a group at first use. The host may have no memory at that
 * moment, a signal handler has only a small reserve, and a failing search would report a full image
 * although blocks are free. Also rejected: a small cache of records with eviction of the oldest. An
 * extent with an evicted reservation would be filled with other data, so the image would depend on
 * the memory of the host. Large images would lose huge pages first, although large images need huge
 * pages most.
 *
 * The cost is 12 bytes per extent, which is 6 MiB for 1 TiB and 96 MiB for 16 TiB (4 KiB blocks, 2
 * MiB extents). The smallest extent, of 8 blocks of 1 KiB, costs 0.15 % of its size. Mount stores
 * nothing in the array and reads no bitmap. The records of a group are filled in at first use, so a
 * host which backs memory on first access pays only for groups in use.
 */
#include "alloc/aligned_extent.h"

#include "base/bitmap.h"
#include "disk/group.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "disk/system_zone.h"
#include "base/skips.h"

uint32_t e2d_aligned_count(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t blocks = e2d_group_blocks(m, group);
    uint32_t whole;

    if (m->aligned_per_group == 0 || blocks < m->aligned_skew)
        return 0;
    whole = (blocks - m->aligned_skew) >> m->pmd_shift;
    return e2d_min32(whole, m->aligned_per_group);
}

bool e2d_aligned_find(const struct ext2dax_mount *m, uint64_t block, uint32_t *group, uint32_t *aligned)
{
    bool unbounded = E2D_MUTANT(ALIGNED_UNBOUNDED);

    if (block < m->first_data_block || (block >= m->blocks && !unbounded))
        return false;
    *group = e2d_group_of(m, (uint32_t)block);
    *aligned = e2d_aligned_of(m, (uint32_t)block - e2d_group_first(m, *group));
    return *aligned < (unbounded ? m->aligned_per_group + 1 : e2d_aligned_count(m, *group));
}

/* Returns the size of the array. The last group has fewer aligned extents, or none. */
static E2D_OUT_OF_LINE size_t record_bytes(const struct ext2dax_mount *m)
{
    size_t aligned_count = (size_t)(m->groups - 1) * m->aligned_per_group + e2d_aligned_count(m, m->groups - 1);

    return aligned_count * sizeof *m->aligned;
}

int e2d_aligned_open(struct ext2dax_mount *m)
{
    size_t bytes = record_bytes(m);

    if (bytes != 0 && !m->aligned)
        m->aligned = e2d_alloc(m, bytes);
    return bytes == 0 || m->aligned ? 0 : -EXT2DAX_ENOMEM;
}

void e2d_aligned_close(struct ext2dax_mount *m)
{
    e2d_release(m, m->aligned, record_bytes(m));
    m->aligned = NULL;
}

static bool is_known(const struct e2d_group *group)
{
    return e2d_load32_relaxed(&group->known) != 0;
}

/*
 * Adds the contribution of an extent to the hints of the group, or subtracts the contribution. A
 * free unreserved extent counts as whole. The free blocks of a partly used unreserved extent count
 * as loose. A reserved extent contributes to neither hint.
 */
static void hint(struct ext2dax_mount *m, struct e2d_group *group, const struct e2d_aligned_extent *aligned, bool add)
{
    uint32_t sign = add ? 1u : UINT32_MAX;

    if (aligned->owner != 0)
        return;
    if (aligned->free == m->pmd_blocks)
        e2d_set32_relaxed(&group->whole, group->whole + sign);
    else
        e2d_set32_relaxed(&group->loose, group->loose + sign * aligned->free);
}

/*
 * Returns whether all metadata of the group is marked used. Otherwise the allocator would allocate
 * metadata.
 */
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

/*
 * Checks bitmap, free count and metadata. Reports a bad group only when found first. The caller
 * holds the lock of the group.
 */
static int check(struct ext2dax_mount *m, uint32_t group)
{
    struct e2d_group *g = &m->group[group];
    const uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t counted = e2d_load_le16(&e2d_descriptor(m, group)->free_blocks), free;
    int rc;

    if (g->checked)
        return g->bad ? -EXT2DAX_EUCLEAN : 0;
    rc = e2d_check(m, map, m->block_size);
    if (rc != 0)
        return rc;
    free = e2d_count_clear(map, 0, e2d_group_blocks(m, group));
    g->bad = free != counted || !metadata_is_marked(m, group, map);
    g->checked = true;
    if (!g->bad)
        return 0;
    return e2d_corrupt(m, "group", group, "block bitmap", free,
                       free != counted ? "differs from the free block count" : "marks metadata free");
}

/* Builds the records of the group. The caller holds the lock of the group. */
static int scan(struct ext2dax_mount *m, uint32_t group)
{
    struct e2d_group *g = &m->group[group];
    const uint8_t *map = e2d_block_bitmap(m, group);
    uint32_t free, in_aligned = 0;
    int rc = check(m, group);

    g->unreadable = rc == -EXT2DAX_EIO;
    if (rc != 0)
        return rc;
    free = e2d_load_le16(&e2d_descriptor(m, group)->free_blocks);
    for (uint32_t i = 0; i < e2d_aligned_count(m, group); i++) {
        struct e2d_aligned_extent *aligned = e2d_aligned_at(m, group, i);
        uint32_t bit = e2d_aligned_bit(m, i);

        aligned->owner = 0;
        aligned->range = 0;
        aligned->free = (uint16_t)e2d_count_clear(map, bit, bit + m->pmd_blocks);
        in_aligned += aligned->free;
        hint(m, g, aligned, true);
    }
    e2d_set32_relaxed(&g->loose, g->loose + free - in_aligned);
    e2d_set32(&g->known, 1);
    return 0;
}

static void lock_group(struct ext2dax_mount *m, uint32_t group)
{
    e2d_write_lock(m, &m->group[group].lock);
}

static void unlock_group(struct ext2dax_mount *m, uint32_t group)
{
    e2d_write_unlock(m, &m->group[group].lock);
}

int(e2d_aligned_check_group)(struct ext2dax_mount *m, uint32_t group)
{
    bool known_bad;
    int rc;

    lock_group(m, group);
    known_bad = m->group[group].checked && m->group[group].bad;
    rc = check(m, group);
    unlock_group(m, group);
    if (!known_bad)
        return rc;
    return e2d_tell(m, -EXT2DAX_EUCLEAN, "group", group, "free block count",
                    e2d_load_le16(&e2d_descriptor(m, group)->free_blocks), "bad bitmap, so nothing is freed here");
}

/* Mutant. Allocates memory from the host as if the records were allocated at first use. */
static int obtain_late(struct ext2dax_mount *m)
{
    size_t bytes = ((size_t)m->aligned_per_group + 1) * sizeof *m->aligned;
    void *late = e2d_alloc(m, bytes);

    e2d_release(m, late, bytes);
    return late ? 0 : -EXT2DAX_ENOMEM;
}

int e2d_aligned_lock_group(struct ext2dax_mount *m, uint32_t group)
{
    struct e2d_group *g = &m->group[group];
    int rc = E2D_MUTANT(ALIGNED_ALLOCATED_LATE) ? obtain_late(m) : 0;

    if (rc != 0)
        return rc;
    lock_group(m, group);
    if (g->bad)
        rc = -EXT2DAX_EUCLEAN;
    else if (g->unreadable && !e2d_readable(m, e2d_block_bitmap(m, group), m->block_size))
        rc = -EXT2DAX_EIO; /* reported when found first, and checked until poison is cleared */
    else if (!is_known(g))
        rc = scan(m, group);
    if (rc != 0)
        unlock_group(m, group);
    return rc;
}

void e2d_aligned_changed(struct ext2dax_mount *m, uint32_t group, uint32_t from, uint32_t end, bool set)
{
    struct e2d_group *g = &m->group[group];
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t free = e2d_load_le16(&descriptor->free_blocks), count = end - from,
             aligned_count = e2d_aligned_count(m, group);

    /* The count comes from the image, and must neither wrap nor exceed the size of the group. */
    free = set ? free - e2d_min32(free, count) : e2d_min32(free + count, e2d_group_blocks(m, group));
    e2d_store16(m, &descriptor->free_blocks, free);
    if (!is_known(g))
        return;
    for (uint32_t bit = from; bit < end;) {
        uint32_t at = e2d_aligned_of(m, bit);
        uint32_t stop = end;

        if (at < aligned_count) {
            struct e2d_aligned_extent *aligned = e2d_aligned_at(m, group, at);

            stop = e2d_min32(end, e2d_aligned_bit(m, at) + m->pmd_blocks);
            hint(m, g, aligned, false);
            E2D_GUARDED_STORE(aligned);
            aligned->free = (uint16_t)(set ? aligned->free - (stop - bit) : aligned->free + (stop - bit));
            if (!set && aligned->free == m->pmd_blocks)
                aligned->owner = 0;
            hint(m, g, aligned, true);
        } else {
            if (bit < m->aligned_skew && aligned_count != 0)
                stop = e2d_min32(end, m->aligned_skew);
            e2d_set32_relaxed(&g->loose, set ? g->loose - (stop - bit) : g->loose + (stop - bit));
        }
        bit = stop;
    }
}

void e2d_aligned_reserve(struct ext2dax_mount *m, uint32_t group, uint32_t aligned, uint32_t owner, uint32_t range)
{
    struct e2d_group *g = &m->group[group];
    struct e2d_aligned_extent *at = e2d_aligned_at(m, group, aligned);

    hint(m, g, at, false);
    at->owner = owner;
    at->range = range;
    hint(m, g, at, true);
}

uint32_t e2d_aligned_fullest(const struct ext2dax_mount *m, uint32_t group)
{
    uint32_t best = UINT32_MAX, least = m->pmd_blocks;

    for (uint32_t i = 0; i < e2d_aligned_count(m, group); i++) {
        const struct e2d_aligned_extent *aligned = e2d_aligned_at(m, group, i);

        if (aligned->owner == 0 && aligned->free != 0 && aligned->free < least) {
            best = i;
            least = aligned->free;
        }
    }
    return best;
}

uint32_t e2d_aligned_whole(const struct ext2dax_mount *m, uint32_t group)
{
    for (uint32_t i = 0; i < e2d_aligned_count(m, group); i++) {
        const struct e2d_aligned_extent *aligned = e2d_aligned_at(m, group, i);

        if (aligned->owner == 0 && aligned->free == m->pmd_blocks)
            return i;
    }
    return UINT32_MAX;
}

uint32_t e2d_aligned_reserved(const struct ext2dax_mount *m, uint32_t group)
{
    for (uint32_t i = 0; i < e2d_aligned_count(m, group); i++) {
        const struct e2d_aligned_extent *aligned = e2d_aligned_at(m, group, i);

        if (aligned->owner != 0 && aligned->free != 0)
            return i;
    }
    return UINT32_MAX;
}
