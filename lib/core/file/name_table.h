/* SPDX-License-Identifier: MIT */
/*
 * Name tables. The table of a directory maps the hash of each name to the offset of the dirent, and
 * records the largest gap of each block. The table knows nothing of dirents. names/name_cache.c
 * builds the tables and keeps the contents equal to the directory.
 *
 * The io lock of the directory guards the contents, shared to look and exclusively to change. The
 * cache lock guards the list of all tables and the count of their bytes. A table is published in
 * ext2dax_inode.names by an atomic store. So a thread with io held shared may publish a table, and
 * only a thread with io held exclusively, or without any other reference to the inode, may take the
 * table away.
 */
#ifndef E2D_FILE_NAME_TABLE_H
#define E2D_FILE_NAME_TABLE_H

#include "base/internal.h"

#define E2D_NAMES_DEFAULT   ((size_t)16 << 20) /* bytes of all tables of a mount */
#define E2D_NAMES_NO_OFFSET UINT32_MAX
#define E2D_NAMES_NO_BLOCK  UINT32_MAX
#define E2D_NAMES_GAP_UNIT  4u   /* bytes, gaps are counted in this unit */
#define E2D_NAMES_GAP_MAX   255u /* a larger gap counts as this gap, larger than any dirent needs */

/* A name. Offsets of dirents are multiples of 4 and below 2^31. */
struct e2d_name_slot {
    uint32_t hash;
    uint32_t place; /* 1 + offset / 4, 0 in an unused slot */
};

struct e2d_name_table {
    struct ext2dax_inode *directory;
    struct e2d_name_table *older, *newer; /* in the list of the mount, guarded by the cache lock */
    uint32_t used;                        /* atomic, 1 if used since eviction last met the table */
    uint32_t names;                       /* slots in use */
    uint32_t slots;                       /* a power of two */
    struct e2d_name_slot *slot;           /* open addressing, linear probing */
    uint32_t blocks;                      /* a power of two, at least the blocks of the directory */
    /* Tree of the largest gaps. The gap of block b is gap[blocks + b], and gap[i] is the larger of
     * gap[2 * i] and gap[2 * i + 1]. */
    uint8_t *gap;
};

/*
 * Returns an empty table for a directory of `blocks` blocks, or NULL without memory or over the
 * budget. Takes the cache lock. e2d_names_close() releases a table never published.
 */
struct e2d_name_table *e2d_names_open(struct ext2dax_mount *m, uint32_t blocks);
void e2d_names_close(struct ext2dax_mount *m, struct e2d_name_table *table);

/*
 * Publishes a complete table. Returns false if another thread has published a table before. The
 * caller holds io, and then still owns the table. Takes the cache lock.
 */
bool e2d_names_publish(struct ext2dax_inode *directory, struct e2d_name_table *table);

/*
 * Takes the table of a directory away, if any, and releases the memory. The caller holds io
 * exclusively or has the only reference. Takes the cache lock.
 */
void e2d_names_drop(struct ext2dax_inode *directory);

/*
 * Returns the table which eviction takes next, of a directory with references, or NULL for none.
 * Tables used lately get a second chance. The caller holds the cache lock.
 */
struct e2d_name_table *e2d_names_oldest(struct ext2dax_mount *m);

/* Adds a name. Returns false without memory, and the table is then incomplete. */
bool e2d_names_add(struct ext2dax_mount *m, struct e2d_name_table *table, uint32_t hash, uint32_t offset);
/* Removes a name. */
void e2d_names_remove(struct e2d_name_table *table, uint32_t hash, uint32_t offset);

/*
 * Returns the offset of the next dirent with this hash, or E2D_NAMES_NO_OFFSET. *cursor is the hash
 * at first.
 */
uint32_t e2d_names_next(const struct e2d_name_table *table, uint32_t hash, uint32_t *cursor);

/* Records the largest gap of a block, in bytes. Returns false without memory. */
bool e2d_names_set_gap(struct ext2dax_mount *m, struct e2d_name_table *table, uint32_t block, uint32_t bytes);
/* Returns the lowest block with a gap of at least `bytes` bytes, or E2D_NAMES_NO_BLOCK. */
uint32_t e2d_names_room(const struct e2d_name_table *table, uint32_t bytes);

#endif
