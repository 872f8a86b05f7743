/* SPDX-License-Identifier: MIT */
/* Durability of everything outside of dirty PMD ranges, and of the whole mount. */
#ifndef E2D_FILE_SYNC_H
#define E2D_FILE_SYNC_H

#include "base/internal.h"

/*
 * Makes durable everything outside of dirty PMD ranges. Issues a fence if ordered, or writes back
 * the whole image if unordered.
 */
int e2d_sync_rest(struct ext2dax_mount *m);

/* Flushes the dirty PMD ranges of every inode in core, then calls e2d_sync_rest(). */
int e2d_sync_all(struct ext2dax_mount *m);

#endif
