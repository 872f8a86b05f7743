/* SPDX-License-Identifier: MIT */
/*
 * Dirty marks: the PMD ranges of a file with stores possibly not durable yet.
 *
 * A large file has a bit for each PMD range, in a list of maps in memory of the host. A fault must
 * not allocate, so calls which extend a file, take a reference or flush allocate the maps
 * beforehand. For PMD ranges without a bit an inode has a few slots, each with the number of a PMD
 * range. An "all" flag is for the case that no slot is free, because the host had no memory.
 *
 * A PMD range is marked and cleared under the range lock, so no two threads work on the same PMD
 * range. Threads with different PMD ranges meet in the slots and in the words of a map, through
 * compare-and-swap.
 *
 * A flush of "all" first clears the flag and counts itself as a walker, then visits every PMD range
 * with blocks under the range lock. A thread that sees the flag still set while marking keeps the
 * range lock until the page is mapped, so the walk visits the PMD range afterwards. A thread that
 * sees the flag cleared marks a slot, or sets the flag again. While a walk runs, any other flush
 * walks too, because no flush may return success before a visit of its own.
 *
 * A flush of a part of the file visits only the PMD ranges of the part. Under "all" the flag stays
 * set, because PMD ranges outside of the part were not visited.
 */
#include "file/dirty.h"

#include "base/lock.h"
#include "base/persist.h"
#include "file/range_lock.h"
#include "file/mappings.h"
#include "file/pin_list.h"
#include "tree/lookup.h"
#include "tree/map.h"
#include "base/skips.h"

#define DIRTY_ALL    1u
#define DIRTY_WALKER 2u

/* Bits of the PMD ranges [first, first + ranges). Maps of a file follow each other without gaps. */
struct map {
    uintptr_t next; /* atomic, stored under icache_lock */
    uint32_t first, ranges;
    uint32_t marked; /* bits set, atomic */
    uint32_t bits[];
};

/* Returns the map at a link. A core for size has no maps. */
static struct map *map_at(const uintptr_t *link)
{
    return E2D_FOR_SPEED ? (struct map *)e2d_load_word(link) : NULL;
}

static struct map *map_of(const struct ext2dax_inode *inode, uint64_t range)
{
    struct map *map = map_at(&inode->dirty_maps);

    while (map && range - map->first >= map->ranges)
        map = map_at(&map->next);
    return map;
}

/* Sets or clears the bit of a PMD range. Returns false if no map has the PMD range. */
static bool set_bit(struct ext2dax_inode *inode, uint64_t range, bool set)
{
    struct map *map = map_of(inode, range);
    uint32_t was, bit, *word;

    if (!map)
        return false;
    word = &map->bits[(range - map->first) >> 5];
    bit = 1u << ((range - map->first) & 31);
    do {
        was = e2d_load32(word);
        if (((was & bit) != 0) == set)
            return true;
    } while (!e2d_swap32(word, was, was ^ bit));
    (void)e2d_add32(&map->marked, set ? 1u : UINT32_MAX);
    return true;
}

#if E2D_FOR_SPEED

static size_t map_bytes(const struct map *map)
{
    return sizeof *map + map->ranges / 8;
}

/* Links a map for the PMD ranges up to `end`, or releases the map if another thread was faster. */
static void add_map(struct ext2dax_inode *inode, uint32_t first, struct map *map)
{
    struct ext2dax_mount *m = inode->mount;
    uintptr_t *link = &inode->dirty_maps;
    struct map *last;

    e2d_write_lock(m, &m->icache_lock);
    for (; (last = map_at(link)) != NULL; link = &last->next)
        first = last->first + last->ranges;
    if (first == map->first)
        e2d_set_word(link, (uintptr_t)map);
    e2d_write_unlock(m, &m->icache_lock);
    if (first != map->first)
        e2d_release(m, map, map_bytes(map));
}

void e2d_dirty_map(struct ext2dax_inode *inode, uint64_t size)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t end = e2d_pmd_range_of(m, e2d_blocks_for(m, size) + m->pmd_blocks - 1);
    uint32_t first = 0, ranges;
    struct map *map, *last;

    for (last = map_at(&inode->dirty_maps); last; last = map_at(&last->next))
        first = last->first + last->ranges;
    if (end <= first)
        return;
    /* At least doubles the bits, so that a file which grows has few maps. */
    ranges = ((uint32_t)e2d_max64(end - first, first) + 31) & ~31u;
    map = e2d_alloc(m, sizeof *map + ranges / 8);
    if (!map)
        return;
    memset(map, 0, sizeof *map + ranges / 8);
    map->first = first;
    map->ranges = ranges;
    add_map(inode, 0, map);
}

void e2d_dirty_unmap(struct ext2dax_inode *inode)
{
    struct map *map = map_at(&inode->dirty_maps), *next;

    for (; map; map = next) {
        next = map_at(&map->next);
        e2d_release(inode->mount, map, map_bytes(map));
    }
}

#endif

static void raise_all(struct ext2dax_inode *inode)
{
    uint32_t was;

    do {
        was = e2d_load32(&inode->dirty_all);
    } while ((was & DIRTY_ALL) == 0 && !e2d_swap32(&inode->dirty_all, was, was | DIRTY_ALL));
}

void(e2d_dirty_mark)(struct ext2dax_inode *inode, uint64_t range)
{
    uint32_t mark = (uint32_t)range + 1;

    /*
     * Orders the pointer just stored before the load of the flag. A walker must see the pointer
     * when clearing "all" afterwards.
     */
    e2d_barrier_full();
    if ((e2d_load32(&inode->dirty_all) & DIRTY_ALL) != 0 || set_bit(inode, range, true))
        return;
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++) {
        if (e2d_load32(&inode->dirty[i]) == mark)
            return;
    }
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++) {
        if (e2d_load32(&inode->dirty[i]) == 0 && e2d_swap32(&inode->dirty[i], 0, mark))
            return;
    }
    raise_all(inode);
}

static void clear_mark(struct ext2dax_inode *inode, uint64_t range)
{
    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS; i++)
        (void)e2d_swap32(&inode->dirty[i], (uint32_t)range + 1, 0);
    (void)set_bit(inode, range, false);
}

bool e2d_dirty(const struct ext2dax_inode *inode)
{
    bool any = e2d_load32(&inode->dirty_all) != 0;
    const struct map *map;

    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS && !any; i++)
        any = e2d_load32(&inode->dirty[i]) != 0;
    for (map = map_at(&inode->dirty_maps); map && !any; map = map_at(&map->next))
        any = e2d_load32(&map->marked) != 0;
    return any;
}

/*
 * Writes back the blocks of a PMD range and the inode in a single epoch, and clears the mark unless
 * a writable pin covers the range. Adds the number of blocks to *met. *next receives the first
 * later PMD range with possible blocks.
 */
static int flush_pmd_range(struct ext2dax_inode *inode, uint64_t range, uint64_t *next, uint64_t *met)
{
    struct ext2dax_mount *m = inode->mount;
    uint64_t first = range << m->pmd_shift, limit = e2d_blocks_for(m, e2d_size(inode));
    uint64_t last = first + m->pmd_blocks, end = e2d_min64(last, limit), at = first;
    struct ext2dax_run run;
    bool hole = false;
    int rc = 0;

    *next = range + 1;
    if (E2D_MUTANT(FSYNC_CLEAR_FIRST))
        clear_mark(inode, range);
    e2d_write_protect(inode, first, m->pmd_blocks);
    while (rc == 0 && at < end) {
        rc = e2d_map(inode, at, end - at, &run);
        if (rc != 0)
            break;
        if (run.physical != 0) {
            e2d_write_back(m, e2d_block(m, (uint32_t)run.physical), (size_t)run.length << m->block_shift);
            *met += run.length;
        }
        at += run.length;
        hole = run.physical == 0;
    }
    /* A hole at the end may be long, and PMD ranges inside need no write-back. */
    if (rc == 0 && hole && at < limit && e2d_map_hint(inode, at, limit - at, &run) == 0 && run.physical == 0)
        *next = e2d_max64(range + 1, e2d_pmd_range_of(m, at + run.length));
    if (rc == 0)
        rc = e2d_flush(m, inode->disk, sizeof *inode->disk);
    if (rc == 0 && !e2d_pinned(inode, first, last, true))
        clear_mark(inode, range);
    return rc;
}

static int visit(struct ext2dax_inode *inode, uint64_t range, uint64_t *next, uint64_t *met)
{
    int rc;

    e2d_dax_read_lock(inode);
    e2d_range_lock(inode, range);
    rc = flush_pmd_range(inode, range, next, met);
    e2d_range_unlock(inode, range);
    e2d_dax_read_unlock(inode);
    return rc;
}

/* Visits the PMD ranges [first, last] with possible blocks, dirty or not. */
static int walk(struct ext2dax_inode *inode, uint64_t first, uint64_t last, bool *fenced)
{
    struct ext2dax_mount *m = inode->mount;
    uintptr_t allocated = e2d_counted_all(&m->counters[0].blocks_allocated);
    uint64_t range = first, met = 0;
    int rc = 0;

    while (rc == 0 && range <= last && range << m->pmd_shift < e2d_blocks_for(m, e2d_size(inode))) {
        rc = visit(inode, range, &range, &met);
        *fenced = true;
        /* The file may change during the walk, but a block met twice was allocated in between. */
        if (rc == 0 && met > (uint64_t)m->blocks + (e2d_counted_all(&m->counters[0].blocks_allocated) - allocated))
            rc = e2d_blocks_possible(inode, met);
    }
    return rc;
}

static int flush_all(struct ext2dax_inode *inode, bool *fenced)
{
    uint32_t was;
    int rc;

    e2d_dirty_room(inode, e2d_size(inode));
    do {
        was = e2d_load32(&inode->dirty_all);
    } while (!e2d_swap32(&inode->dirty_all, was, (was & ~DIRTY_ALL) + DIRTY_WALKER));
    rc = walk(inode, 0, UINT64_MAX, fenced);
    if (rc != 0 || e2d_pinned(inode, 0, UINT64_MAX, true))
        raise_all(inode);
    (void)e2d_add32(&inode->dirty_all, 0u - DIRTY_WALKER);
    return rc;
}

/* Visits the PMD ranges [first, last] with a bit in a map. */
static int flush_map(struct ext2dax_inode *inode, const struct map *map, uint64_t first, uint64_t last, bool *fenced)
{
    uint64_t range = e2d_max64(first, map->first), next, met = 0;
    uint64_t end = last - map->first < map->ranges ? last + 1 : (uint64_t)map->first + map->ranges;
    int rc = 0;

    if (last < map->first || e2d_load32(&map->marked) == 0)
        return 0;
    while (range < end && rc == 0) {
        uint32_t at = (uint32_t)(range - map->first), bits = e2d_load32(&map->bits[at >> 5]) >> (at & 31);

        if (bits == 0) {
            range += 32 - (at & 31);
        } else if ((bits & 1) == 0) {
            range++;
        } else {
            rc = visit(inode, range++, &next, &met);
            *fenced = true;
        }
    }
    return rc;
}

/* Visits the PMD ranges [first, last] with a mark in a slot or in a map. */
static int flush_marked(struct ext2dax_inode *inode, uint64_t first, uint64_t last, bool *fenced)
{
    const struct map *map;
    uint64_t next, met = 0;
    uint32_t mark;
    int rc = 0;

    for (unsigned i = 0; i < EXT2DAX_DIRTY_SLOTS && rc == 0; i++) {
        mark = e2d_load32(&inode->dirty[i]);
        if (mark == 0 || mark - 1 < first || mark - 1 > last)
            continue;
        rc = visit(inode, mark - 1, &next, &met);
        *fenced = true;
    }
    for (map = map_at(&inode->dirty_maps); map && rc == 0; map = map_at(&map->next))
        rc = flush_map(inode, map, first, last, fenced);
    return rc;
}

int e2d_dirty_flush(struct ext2dax_inode *inode, bool *fenced)
{
    *fenced = false;
    if (e2d_load32(&inode->dirty_all) != 0)
        return flush_all(inode, fenced);
    return flush_marked(inode, 0, UINT64_MAX, fenced);
}

/* As e2d_dirty_flush(), for the PMD ranges [first, last] only. */
static int flush_range(struct ext2dax_inode *inode, uint64_t first, uint64_t last, bool *fenced)
{
    *fenced = false;
    if (e2d_load32(&inode->dirty_all) != 0)
        return walk(inode, first, last, fenced);
    return flush_marked(inode, first, last, fenced);
}

/* Excludes truncate. See e2d_dirty_sync(). */
static void hold_tree(struct ext2dax_inode *inode)
{
    if (!E2D_FAULTS)
        e2d_read_lock(inode->mount, &inode->io);
}

static void release_tree(struct ext2dax_inode *inode)
{
    if (!E2D_FAULTS)
        e2d_read_unlock(inode->mount, &inode->io);
}

int e2d_dirty_sync(struct ext2dax_inode *inode, bool *fenced)
{
    int rc;

    hold_tree(inode);
    rc = e2d_dirty_flush(inode, fenced);
    release_tree(inode);
    return rc;
}

int e2d_dirty_sync_range(struct ext2dax_inode *inode, uint64_t first, uint64_t last, bool *fenced)
{
    int rc;

    hold_tree(inode);
    rc = flush_range(inode, first, last, fenced);
    release_tree(inode);
    return rc;
}
