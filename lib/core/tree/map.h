/* SPDX-License-Identifier: MIT */
/* Mapping of a run of logical blocks to a run of physical blocks. */
#ifndef E2D_TREE_MAP_H
#define E2D_TREE_MAP_H

#include "ext2dax/file.h"

#include "base/internal.h"

/*
 * As ext2dax_map(), without taking io. The caller holds io, or dax_sem shared, so that no pointer
 * is removed during the call. The pointers of a returned run have been checked. A bad pointer after
 * the first ends the run and is not reported, because a call which gets the requested blocks has
 * not met corruption.
 * Returns 0 or a negative errno
 *   EINVAL   `max` is 0
 *   EFBIG    the tree does not reach `logical`
 *   EUCLEAN  the first pointer, or the chain to the first pointer, is bad, or the run has more
 *            leaves than the image has blocks (reported)
 *   EIO      a pointer block in the chain to the first pointer cannot be read (reported)
 */
int e2d_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run);

/* As e2d_map(), for a result the caller can do without. EUCLEAN and EIO are not reported. */
int e2d_map_hint(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run);

/*
 * Checks the blocks [from, end) before the file is extended over the blocks without filling them.
 * Returns 0 if the tree has none of the blocks yet, else -EUCLEAN (reported), because the larger
 * size would expose the contents. Returns the errors of e2d_map() as well. The caller holds io
 * exclusively.
 */
int e2d_map_past_end(struct ext2dax_inode *inode, uint64_t from, uint64_t end);

#endif
