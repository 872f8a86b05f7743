/* SPDX-License-Identifier: MIT */
/*
 * Name tables, as a hash table with open addressing beside a tree of gaps.
 *
 * A removed name is filled up by the names behind it, so no marks of removed names lengthen the
 * searches. The budget counts every byte before the allocation. So the sum over all tables never
 * exceeds the budget, and a table that does not fit is not built. The shortage is recorded in
 * name_shortage, and e2d_names_trim() evicts other tables later, with no lock held.
 */
#include "file/name_table.h"

#include "base/lock.h"
#include "base/skips.h"

#define SLOTS_MIN 64u
#define SLOTS_MAX (1u << 27) /* 1 GiB, which a target with 32 bits can still count */

/* ---- memory ---- */

/* Returns whether the budget allows `bytes` more. */
static bool reserve(struct ext2dax_mount *m, size_t bytes)
{
    bool fits;

    e2d_write_lock(m, &m->icache_lock);
    fits = bytes <= m->name_budget - m->name_bytes;
    if (fits)
        m->name_bytes += bytes;
    else if (bytes <= m->name_budget)
        e2d_set_word(&m->name_shortage, m->name_bytes + bytes - m->name_budget);
    e2d_write_unlock(m, &m->icache_lock);
    return fits;
}

/* Returns bytes to the budget. An allocation refused by the host counts as a shortage. */
static void unreserve(struct ext2dax_mount *m, size_t bytes, bool refused)
{
    e2d_write_lock(m, &m->icache_lock);
    m->name_bytes -= bytes;
    if (refused)
        e2d_set_word(&m->name_shortage, bytes);
    e2d_write_unlock(m, &m->icache_lock);
}

static void *obtain(struct ext2dax_mount *m, size_t bytes)
{
    void *at;

    if (!reserve(m, bytes))
        return NULL;
    at = e2d_alloc(m, bytes);
    if (at)
        memset(at, 0, bytes);
    else
        unreserve(m, bytes, true);
    return at;
}

static void give_back(struct ext2dax_mount *m, void *at, size_t bytes)
{
    if (!at)
        return;
    e2d_release(m, at, bytes);
    unreserve(m, bytes, false);
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t power = 1;

    while (power < least)
        power <<= 1;
    return power;
}

struct e2d_name_table *e2d_names_open(struct ext2dax_mount *m, uint32_t blocks)
{
    struct e2d_name_table *table = obtain(m, sizeof(*table));

    if (!table)
        return NULL;
    table->used = 1;
    table->slots = SLOTS_MIN;
    table->blocks = power_of_two(blocks);
    table->slot = obtain(m, table->slots * sizeof(*table->slot));
    table->gap = obtain(m, (size_t)2 * table->blocks);
    if (table->slot && table->gap)
        return table;
    e2d_names_close(m, table);
    return NULL;
}

void e2d_names_close(struct ext2dax_mount *m, struct e2d_name_table *table)
{
    give_back(m, table->gap, (size_t)2 * table->blocks);
    give_back(m, table->slot, table->slots * sizeof(*table->slot));
    give_back(m, table, sizeof(*table));
}

/* ---- the list of tables ---- */

/* The caller holds the cache lock. */
static E2D_OUT_OF_LINE void link_newest(struct ext2dax_mount *m, struct e2d_name_table *table)
{
    table->newer = NULL;
    table->older = m->newest_names;
    if (table->older)
        table->older->newer = table;
    else
        m->oldest_names = table;
    m->newest_names = table;
}

static E2D_OUT_OF_LINE void unlink_table(struct ext2dax_mount *m, struct e2d_name_table *table)
{
    if (table->older)
        table->older->newer = table->newer;
    else
        m->oldest_names = table->newer;
    if (table->newer)
        table->newer->older = table->older;
    else
        m->newest_names = table->older;
}

static void drop_names(struct ext2dax_inode *directory)
{
    e2d_names_drop(directory);
}

bool e2d_names_publish(struct ext2dax_inode *directory, struct e2d_name_table *table)
{
    struct ext2dax_mount *m = directory->mount;
    bool first;

    e2d_write_lock(m, &m->icache_lock);
    first = e2d_load_word(&directory->names) == 0;
    if (first) {
        table->directory = directory;
        m->drop_names = drop_names;
        link_newest(m, table);
        e2d_set_word(&directory->names, (uintptr_t)table);
    }
    e2d_write_unlock(m, &m->icache_lock);
    return first;
}

void(e2d_names_drop)(struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;
    /* No other thread stores the pointer now. */
    struct e2d_name_table *table = (struct e2d_name_table *)directory->names;

    if (!table)
        return;
    e2d_write_lock(m, &m->icache_lock);
    unlink_table(m, table);
    e2d_set_word(&directory->names, 0);
    e2d_write_unlock(m, &m->icache_lock);
    e2d_names_close(m, table);
}

struct e2d_name_table *e2d_names_oldest(struct ext2dax_mount *m)
{
    struct e2d_name_table *table, *last = m->newest_names;
    unsigned rounds = 0;

    /* Every table met goes to the new end. In the second round no table has a chance left. */
    while (rounds < 2 && (table = m->oldest_names) != NULL) {
        bool used = e2d_load32(&table->used) != 0;

        unlink_table(m, table);
        link_newest(m, table);
        e2d_set32(&table->used, 0);
        if (!used && table->directory->references != 0)
            return table;
        rounds += table == last;
    }
    return NULL;
}

/* ---- names ---- */

static E2D_OUT_OF_LINE void place(struct e2d_name_slot *slot, uint32_t slots, struct e2d_name_slot name)
{
    uint32_t at = name.hash & (slots - 1);

    while (slot[at].place != 0)
        at = (at + 1) & (slots - 1);
    slot[at] = name;
}

static bool grow(struct ext2dax_mount *m, struct e2d_name_table *table)
{
    uint32_t slots = table->slots * 2, i;
    struct e2d_name_slot *slot;

    if (table->slots >= SLOTS_MAX)
        return false;
    slot = obtain(m, slots * sizeof(*slot));
    if (!slot)
        return false;
    for (i = 0; i < table->slots; i++) {
        if (table->slot[i].place != 0)
            place(slot, slots, table->slot[i]);
    }
    give_back(m, table->slot, table->slots * sizeof(*slot));
    table->slot = slot;
    table->slots = slots;
    return true;
}

bool e2d_names_add(struct ext2dax_mount *m, struct e2d_name_table *table, uint32_t hash, uint32_t offset)
{
    /* A quarter of the slots stays unused, so a search meets an unused slot soon. */
    if (table->names >= table->slots / 4 * 3 && !grow(m, table))
        return false;
    place(table->slot, table->slots, (struct e2d_name_slot){hash, offset / 4 + 1});
    table->names++;
    return true;
}

uint32_t e2d_names_next(const struct e2d_name_table *table, uint32_t hash, uint32_t *cursor)
{
    for (;;) {
        const struct e2d_name_slot *slot = &table->slot[*cursor & (table->slots - 1)];

        if (slot->place == 0)
            return E2D_NAMES_NO_OFFSET;
        ++*cursor;
        if (slot->hash == hash)
            return (slot->place - 1) * 4;
    }
}

void e2d_names_remove(struct e2d_name_table *table, uint32_t hash, uint32_t offset)
{
    uint32_t mask = table->slots - 1, gap = hash & mask, at;
    struct e2d_name_slot *slot = table->slot;

    while (slot[gap].place != 0 && (slot[gap].hash != hash || slot[gap].place != offset / 4 + 1))
        gap = (gap + 1) & mask;
    if (slot[gap].place == 0)
        return;
    /* A name moves into the gap if the search for the name begins at the gap or earlier. */
    for (at = (gap + 1) & mask; slot[at].place != 0; at = (at + 1) & mask) {
        if (((at - slot[at].hash) & mask) >= ((at - gap) & mask)) {
            slot[gap] = slot[at];
            gap = at;
        }
    }
    slot[gap].place = 0;
    table->names--;
}

/* ---- gaps ---- */

/* Sets a node of the tree to the larger of both children. */
static E2D_OUT_OF_LINE void take_larger(uint8_t *gap, uint32_t at)
{
    const uint8_t *children = gap + (size_t)at * 2;

    gap[at] = children[0] > children[1] ? children[0] : children[1];
}

static void raise(uint8_t *gap, uint32_t at)
{
    for (at /= 2; at != 0; at /= 2)
        take_larger(gap, at);
}

static bool widen(struct ext2dax_mount *m, struct e2d_name_table *table, uint32_t block)
{
    uint32_t blocks = power_of_two(block + 1), i;
    uint8_t *gap = obtain(m, (size_t)2 * blocks);

    if (!gap)
        return false;
    memcpy(gap + blocks, table->gap + table->blocks, table->blocks);
    for (i = blocks - 1; i != 0; i--)
        take_larger(gap, i);
    give_back(m, table->gap, (size_t)2 * table->blocks);
    table->gap = gap;
    table->blocks = blocks;
    return true;
}

bool e2d_names_set_gap(struct ext2dax_mount *m, struct e2d_name_table *table, uint32_t block, uint32_t bytes)
{
    if (block >= table->blocks && !widen(m, table, block))
        return false;
    table->gap[table->blocks + block] = (uint8_t)e2d_min32(bytes / E2D_NAMES_GAP_UNIT, E2D_NAMES_GAP_MAX);
    raise(table->gap, table->blocks + block);
    return true;
}

uint32_t e2d_names_room(const struct e2d_name_table *table, uint32_t bytes)
{
    uint32_t need = (bytes + E2D_NAMES_GAP_UNIT - 1) / E2D_NAMES_GAP_UNIT, at = 1;

    if (table->gap[1] < need)
        return E2D_NAMES_NO_BLOCK;
    while (at < table->blocks) {
        at *= 2;
        if (table->gap[at] < need)
            at++;
    }
    return at - table->blocks;
}
