/* SPDX-License-Identifier: MIT */
/* Durability: one inode's dirty windows, everything else, and both. */
#ifndef E2D_SYNC_H
#define E2D_SYNC_H

#include "incore.h"

/* Write-protects, writes back and clears the inode's dirty windows. Takes dax_sem shared and entry, window by window. */
int e2d_sync_inode(struct ext2dax_inode *inode);

/* What is not a dirty window: ordered, one fence; unordered, the whole image is written back. */
int e2d_sync_rest(struct ext2dax_mount *m);

/* Both, for every inode in core. */
int e2d_sync_all(struct ext2dax_mount *m);

#endif
