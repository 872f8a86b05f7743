/* SPDX-License-Identifier: MIT */
/* Inodes given out and taken back. Bits and counters are stored in the caller's epoch, without a fence. */
#ifndef E2D_IALLOC_H
#define E2D_IALLOC_H

#include "incore.h"

/*
 * Marks a free inode used, in `near_group` or the next group that has one; never a reserved one. ENOSPC; EUCLEAN: a
 * group's count and bitmap disagree (reported); EIO (poison): nothing is held. Takes fs and group locks, one at a time.
 */
int e2d_ialloc(struct ext2dax_mount *m, uint32_t near_group, uint32_t *number);

/*
 * Marks it free again; `directory`: the group's directory count drops too. A reserved inode, or one that is free
 * already, is left alone and reported. Takes the group's lock, then fs.
 */
void e2d_ifree(struct ext2dax_mount *m, uint32_t number, bool directory);

#endif
