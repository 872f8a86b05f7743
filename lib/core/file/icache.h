/* SPDX-License-Identifier: MIT */
/* Inode cache: the in-core objects of inodes, and their references. */
#ifndef E2D_FILE_ICACHE_H
#define E2D_FILE_ICACHE_H

#include "base/internal.h"

/* allocated by the cache, released at the last put */
#define E2D_INODE_OWNED 0x1u
/* no name and no reference, being freed or queued */
#define E2D_INODE_DYING 0x2u
/* no name, ENOENT to ext2dax_inode_get(), freed at the last put */
#define E2D_INODE_NAMELESS 0x4u

/*
 * Returns the object of a newly allocated inode, as ext2dax_inode_get(). The link count is still 0,
 * and the inode is NAMELESS until e2d_inode_named(). The last put of a NAMELESS inode frees the
 * inode again.
 */
int e2d_inode_new(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode);

/*
 * Records the publication of the first name, or the removal of the last name. Takes the cache lock.
 */
void e2d_inode_named(struct ext2dax_inode *inode);
void e2d_inode_nameless(struct ext2dax_inode *inode);

/*
 * Calls `each` for every inode in core, with a reference and without the cache lock. Stops at the
 * first error.
 */
int e2d_icache_each(struct ext2dax_mount *m, int (*each)(struct ext2dax_inode *inode, void *arg), void *arg);

/*
 * Returns the directory whose name table eviction takes next, with a reference, or NULL for none.
 * Takes the cache lock.
 */
struct ext2dax_inode *e2d_icache_victim(struct ext2dax_mount *m);

/* Is an inode without a name still in core? Takes the cache lock. */
bool e2d_icache_unlinked(struct ext2dax_mount *m);

/* Releases the memory of the chains. No inode is in core. */
void e2d_icache_close(struct ext2dax_mount *m);

/* Frees the inodes of last puts queued while frozen. The caller holds no freeze lock. */
void e2d_icache_drain(struct ext2dax_mount *m);

#endif
