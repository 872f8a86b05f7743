/* SPDX-License-Identifier: MIT */
/* Who holds an inode: the cache of in-core objects and their references. */
#ifndef E2D_CACHE_H
#define E2D_CACHE_H

#include "incore.h"

#define E2D_INODE_OWNED    0x1u /* the object is the cache's own and is released at the last put */
#define E2D_INODE_DYING    0x2u /* no name and no reference left: being freed, or queued for it */
#define E2D_INODE_NAMELESS 0x4u /* no name: ENOENT to ext2dax_inode_get(), freed at the last put */

/*
 * The object of an inode that was just allocated: as ext2dax_inode_get(), but its link count is still 0, and it is
 * NAMELESS until e2d_inode_named(). Putting it while it is frees the inode again.
 */
int e2d_inode_new(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode);

/* The first name was published, or the last one is gone. Takes the cache lock. */
void e2d_inode_named(struct ext2dax_inode *inode);
void e2d_inode_nameless(struct ext2dax_inode *inode);

/* Calls `each` for every in-core inode, with a reference and without the cache lock; stops at the first error. */
int e2d_cache_each(struct ext2dax_mount *m, int (*each)(struct ext2dax_inode *inode, void *arg), void *arg);

/* Does an inode without a name still have references? Takes the cache lock. */
bool e2d_cache_unlinked(struct ext2dax_mount *m);

/* Frees what last puts had to queue while frozen. Freeze locks are not held. */
void e2d_cache_drain(struct ext2dax_mount *m);

#endif
