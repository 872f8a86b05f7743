/* SPDX-License-Identifier: MIT */
/* Walking a whole block tree from the image, for scans of everything: no in-core inode, no lock. */
#ifndef E2D_DESCEND_H
#define E2D_DESCEND_H

#include "incore.h"

/*
 * Told of each block that an inode's pointers lead to, a pointer block before what is below it, in the file's order.
 * `logical`: the block of the file, or the first one below a pointer block. `level`: 0 for data, else how many levels of
 * blocks lie below. Answers a negative error, which ends the walk; 0: what the block holds is not to be read; 1: it is.
 * Whoever answers 1 has seen to it that the block lies in the image, and that loops end.
 */
typedef int (*e2d_visit)(void *arg, uint32_t block, uint64_t logical, unsigned level);

/* 0, what a visit answered, or EIO (poison in a pointer block). */
int e2d_descend(struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode, e2d_visit visit, void *arg);

#endif
