/* SPDX-License-Identifier: MIT */
/* Durability: what is not a dirty window, and everything. */
#ifndef E2D_SYNC_H
#define E2D_SYNC_H

#include "incore.h"

/* What is not a dirty window: ordered, one fence; unordered, the whole image is written back. */
int e2d_sync_rest(struct ext2dax_mount *m);

/* That, and the dirty windows of every inode in core. */
int e2d_sync_all(struct ext2dax_mount *m);

#endif
