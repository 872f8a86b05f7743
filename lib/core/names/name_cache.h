/* SPDX-License-Identifier: MIT */
/*
 * The name tables of directories (file/name_table.h), built from the dirents and kept equal to the
 * dirents. The caller holds io of the directory, shared to look and exclusively to change, except
 * where noted.
 */
#ifndef E2D_NAMES_NAME_CACHE_H
#define E2D_NAMES_NAME_CACHE_H

#include "ext2dax/ondisk.h"

#include "file/name_table.h"

/*
 * Returns the complete name table of a directory, or NULL if the directory has none. Builds the
 * table if the directory was searched block by block for as many blocks as the directory has. Takes
 * the cache lock.
 */
struct e2d_name_table *e2d_names_of(struct ext2dax_inode *directory);

/* Records that a search without a table read `blocks` blocks. */
void e2d_names_scanned(struct ext2dax_inode *directory, uint64_t blocks);

/* Returns the hash of a name in the tables of a mount. */
uint32_t e2d_names_hash(const struct ext2dax_mount *m, const char *name, size_t length);

/*
 * Follow a change of a dirent at `offset` in the directory. `dirent` still holds the name. Without
 * memory for a new name the table is dropped. Take the cache lock.
 */
void e2d_names_added(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t offset);
void e2d_names_removed(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t offset);

/*
 * Evicts the tables of directories used least lately, if a table lacked memory. Skips directories
 * in use. The caller holds no lock, because a last put may have to free a directory. Takes the
 * cache lock, and tries io of directories.
 */
void e2d_names_trim(struct ext2dax_mount *m);

#endif
