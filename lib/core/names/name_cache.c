/* SPDX-License-Identifier: MIT */
/*
 * Name tables of directories.
 *
 * A table is complete or does not exist. So the absence of a name from the table proves the absence
 * from the directory. A hit is compared with the dirent by the caller.
 *
 * Building a table costs some scans of the directory. So the first searches run block by block, and
 * the table follows when these searches have read as many blocks as the directory has. A directory
 * that leaves core after a single lookup never pays for a table. A table refused for lack of memory
 * doubles the number of blocks until the next attempt.
 *
 * Building only reads the directory, so io held shared is enough. Two threads may build, and the
 * first to publish wins. Evicting a table requires io exclusively, so no thread uses the table.
 */
#include "names/name_cache.h"

#include "names/dir.h"
#include "file/icache.h"
#include "base/lock.h"
#include "base/skips.h"

#define SMALL       4u  /* blocks of a directory that needs no table */
#define REFUSED_MAX 10u /* doublings */
#define EVICTED_MAX 64u /* attempts per call */

uint32_t e2d_names_hash(const struct ext2dax_mount *m, const char *name, size_t length)
{
    uint32_t hash = e2d_get32(m->super->hash_seed[0]) ^ (uint32_t)length;
    size_t i;

    for (i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)name[i]) * 0x01000193u;
        hash ^= hash >> 15;
    }
    hash *= 0x9E3779B1u;
    return hash ^ hash >> 16;
}

/* ---- building ---- */

/* Records the largest gap of a checked block. */
static bool note_gap(struct e2d_name_table *table, struct ext2dax_mount *m, unsigned char *block, uint64_t logical)
{
    uint32_t offset, length, used, gap = 0;

    for (offset = 0; offset < m->block_size; offset += length) {
        const struct ext2dax_disk_dirent *dirent = e2d_dirent(block, offset);

        length = e2d_dirent_length(m, dirent);
        used = e2d_dirent_used(dirent);
        if (length > used && length - used > gap)
            gap = length - used;
    }
    return e2d_names_set_gap(m, table, (uint32_t)logical, gap);
}

static bool note_names(struct e2d_name_table *table, struct ext2dax_mount *m, unsigned char *block, uint64_t logical)
{
    struct ext2dax_disk_dirent *dirent;
    uint32_t offset, start = (uint32_t)(logical << m->block_shift);
    bool good = true;

    for (offset = 0; offset < m->block_size && good; offset += e2d_dirent_length(m, dirent)) {
        dirent = e2d_dirent(block, offset);
        if (e2d_get32(dirent->inode) != 0)
            good =
                e2d_names_add(m, table, e2d_names_hash(m, e2d_dirent_name(dirent), e2d_dirent_name_length(m, dirent)),
                              start + offset);
    }
    return good;
}

/* Builds and publishes the table. A damaged directory gets none. */
static void build(struct ext2dax_inode *directory, uint32_t blocks)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_name_table *table = e2d_names_open(m, blocks);
    struct e2d_dir_walk walk;
    unsigned char *block;
    bool good = table && e2d_dir_walk(directory, 0, &walk) == 0;
    int step = 0;

    while (good && (step = e2d_dir_step(&walk, &block)) > 0)
        good = note_names(table, m, block, walk.next - 1) && note_gap(table, m, block, walk.next - 1);
    good = good && step == 0;
    e2d_set32(&directory->scanned, 0);
    e2d_set32(&directory->names_refused, good ? 0 : e2d_min32(e2d_load32(&directory->names_refused) + 1, REFUSED_MAX));
    if (table && !(good && e2d_names_publish(directory, table)))
        e2d_names_close(m, table);
}

struct e2d_name_table *e2d_names_of(struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t blocks = (uint32_t)(e2d_size(directory) >> m->block_shift);
    struct e2d_name_table *table;

    if (m->name_budget == 0 || blocks <= SMALL)
        return NULL;
    table = (struct e2d_name_table *)e2d_load_word(&directory->names);
    if (!table && e2d_load32(&directory->scanned) >> e2d_load32(&directory->names_refused) >= blocks) {
        build(directory, blocks);
        table = (struct e2d_name_table *)e2d_load_word(&directory->names);
    }
    if (table && e2d_load32_relaxed(&table->used) == 0)
        e2d_set32_relaxed(&table->used, 1);
    return table;
}

void e2d_names_scanned(struct ext2dax_inode *directory, uint64_t blocks)
{
    if (e2d_size(directory) >> directory->mount->block_shift <= SMALL)
        return;
    if (e2d_load32_relaxed(&directory->scanned) < UINT32_MAX / 2)
        (void)e2d_add32(&directory->scanned, (uint32_t)blocks);
}

/* ---- following changes, with io held exclusively, so no other thread publishes a table ---- */

static unsigned char *block_of(struct ext2dax_mount *m, struct ext2dax_disk_dirent *dirent)
{
    return (unsigned char *)dirent - (m->block_size - e2d_dirent_left(m, dirent));
}

void(e2d_names_added)(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t offset)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_name_table *table = (struct e2d_name_table *)directory->names;
    uint32_t hash;

    if (!table)
        return;
    E2D_MUST_HOLD(m, &directory->io);
    hash = e2d_names_hash(m, e2d_dirent_name(dirent), e2d_dirent_name_length(m, dirent));
    /* A new block may hold a single unused dirent. */
    if ((e2d_get32(dirent->inode) != 0 && !e2d_names_add(m, table, hash, offset)) ||
        !note_gap(table, m, block_of(m, dirent), offset >> m->block_shift))
        e2d_names_drop(directory);
}

void(e2d_names_removed)(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t offset)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_name_table *table = (struct e2d_name_table *)directory->names;

    if (!table)
        return;
    E2D_MUST_HOLD(m, &directory->io);
    e2d_names_remove(table, e2d_names_hash(m, e2d_dirent_name(dirent), e2d_dirent_name_length(m, dirent)), offset);
    (void)note_gap(table, m, block_of(m, dirent), offset >> m->block_shift);
}

/* ---- evicting ---- */

/* Evicts the table of a directory without users, and returns the bytes released. */
static size_t evict(struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;
    const struct e2d_name_table *table;
    size_t bytes = 0;

    if (!e2d_try_write_lock(m, &directory->io))
        return 0;
    table = (const struct e2d_name_table *)e2d_load_word(&directory->names);
    if (table)
        bytes = sizeof(*table) + table->slots * sizeof(*table->slot) + (size_t)2 * table->blocks;
    e2d_names_drop(directory);
    e2d_write_unlock(m, &directory->io);
    return bytes;
}

void e2d_names_trim(struct ext2dax_mount *m)
{
    uintptr_t shortage = e2d_counted(&m->name_shortage);
    struct ext2dax_inode *directory;
    unsigned attempts;
    size_t bytes;

    if (shortage == 0)
        return;
    e2d_set_word(&m->name_shortage, 0);
    for (attempts = 0; shortage != 0 && attempts < EVICTED_MAX; attempts++) {
        directory = e2d_icache_victim(m);
        if (!directory)
            break;
        bytes = evict(directory);
        shortage -= bytes < shortage ? bytes : shortage;
        ext2dax_inode_put(directory);
    }
}
