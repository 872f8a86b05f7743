/* SPDX-License-Identifier: MIT */
/* Logical run to physical run. */
#ifndef E2D_MAP_H
#define E2D_MAP_H

#include "ext2dax/file.h"

#include "incore.h"

/*
 * As ext2dax_map(), without io: the caller holds io, or dax_sem shared, so that no pointer goes away meanwhile. Pointers
 * returned have been checked.
 */
int e2d_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run);

/*
 * Before the file grows to `end` blocks without filling them: 0 where the tree has nothing behind the end of file yet,
 * or EUCLEAN (reported), since growing would show what lies there. The caller holds io exclusively.
 */
int e2d_map_past_end(struct ext2dax_inode *inode, uint64_t end);

#endif
