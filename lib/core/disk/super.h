/* SPDX-License-Identifier: MIT */
/* The superblock: whether it can be, the geometry that follows from it, its counters and its state. */
#ifndef E2D_SUPER_H
#define E2D_SUPER_H

#include "incore.h"

/*
 * Reads and checks the superblock and fills the mount's geometry. `read_only`: what only forbids writing is a warning.
 * EINVAL: not an image. EUCLEAN, EOPNOTSUPP, EOVERFLOW, EIO. Nothing is stored in the image.
 */
int e2d_super_read(struct ext2dax_mount *m, bool read_only);

/*
 * Why the image may not be mounted for writing: 0, EUCLEAN (errors recorded) or EOPNOTSUPP (features, revision). Then
 * whether it was cleanly unmounted, and the report where that is asked for (EUCLEAN). Last, whether the superblock's
 * counters are the sums of the groups' (EUCLEAN). All reported; descriptors must have been validated.
 */
int e2d_super_writable(struct ext2dax_mount *m);
bool e2d_super_clean(const struct ext2dax_mount *m);
int e2d_super_unclean(struct ext2dax_mount *m);
int e2d_super_sums(struct ext2dax_mount *m);

/* The valid bit, durably, with its own fence. Clearing comes before the first change, setting after the last. Takes the
 * fs lock for the store. EIO. */
int e2d_super_mark(struct ext2dax_mount *m, bool clean);

/*
 * Records that corruption was met. Does nothing while read-only, frozen or mounting, nor after a failed write-back. Takes
 * the fs lock, under which read_only is stored too, and which the clean mark of a freeze takes after `frozen` was set: so
 * whoever reads without a freeze lock may call it, and nothing changes in an image at rest.
 */
void e2d_super_error(struct ext2dax_mount *m);

/* Tells the host of corruption, and records it as above. -EUCLEAN, so that `return e2d_corrupt(…)` reads well. */
int e2d_corrupt(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field, uint64_t value,
                const char *reason);

/*
 * Takes `count` blocks (or one inode) off the free count before they are looked for, or gives them back. ENOSPC: fewer
 * are free than asked for, or the rest is reserved and the caller is not entitled. Takes the fs lock.
 */
int e2d_super_take_blocks(struct ext2dax_mount *m, uint32_t count);
void e2d_super_give_blocks(struct ext2dax_mount *m, uint32_t count);
int e2d_super_take_inode(struct ext2dax_mount *m);
void e2d_super_give_inode(struct ext2dax_mount *m);

/* Sets the large_file feature if it is not set: the stores join the caller's epoch. Takes the fs lock. */
void e2d_super_large_file(struct ext2dax_mount *m);

/* The largest size of a file in bytes, from the block size alone. */
uint64_t e2d_super_max_size(uint32_t block_shift);

#endif
