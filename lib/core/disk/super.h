/* SPDX-License-Identifier: MIT */
/* The superblock. Validation, geometry, counters and state. */
#ifndef E2D_DISK_SUPER_H
#define E2D_DISK_SUPER_H

#include "base/internal.h"

/*
 * Reads and checks the superblock and fills the geometry of the mount. With `read_only`, a problem
 * that only forbids writing is a warning. Stores nothing in the image.
 * Returns 0 or a negative errno (reported)
 *   EINVAL      memory too small, or not an ext2 image
 *   EUCLEAN     impossible fields, or the image is larger than the memory
 *   EOPNOTSUPP  incompatible features
 *   EOVERFLOW   the image is larger than the address space
 *   EIO         the superblock cannot be read
 */
int e2d_super_read(struct ext2dax_mount *m, bool read_only);

/*
 * e2d_super_writable() returns 0 or the reason why the image must not be mounted read-write
 * (reported)
 *   EUCLEAN     errors recorded in the state, or an impossible count of reserved blocks
 *   EOPNOTSUPP  unknown read-only features or unknown revision
 *
 * e2d_super_clean() returns whether the image was cleanly unmounted. e2d_super_unclean() reports an
 * image not cleanly unmounted and returns -EUCLEAN.
 */
int e2d_super_writable(struct ext2dax_mount *m);
bool e2d_super_clean(const struct ext2dax_mount *m);
int e2d_super_unclean(struct ext2dax_mount *m);

/*
 * Compares the counters of the superblock with the sums over the groups. The sums are
 * authoritative, and a difference is a warning. With `store`, replaces different counters by the
 * sums, without a fence. Otherwise ext2dax_statfs() returns the sums. Call after
 * e2d_groups_validate(). Takes fs.
 */
void e2d_super_sums(struct ext2dax_mount *m, bool store);

/*
 * Sets or clears the valid bit and makes the store durable, with its own fence, in every order
 * mode. Cleared before the first change to the image, set after the last. If setting fails, clears
 * the bit again. Takes fs for the store. Returns 0, or -EIO after a failed write-back or fence.
 */
int e2d_super_mark(struct ext2dax_mount *m, bool clean);

/*
 * Sets the error bit in the state of the superblock, and records the error, given as in a report.
 * Stops the mount if the mount does not continue after errors. Records nothing while the mount is
 * read-only, frozen or not complete, after a failed write-back, or in a process which may not use
 * the memory.
 *
 * Takes fs. Callers need no freeze lock, so readers may call this function. An image at rest does
 * not change, because read_only is stored under fs, and because a freeze sets `frozen` before
 * taking fs for the clean mark.
 */
void e2d_super_error(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
                     uint64_t value);

/*
 * Reports corruption and calls e2d_super_error(). Returns -EUCLEAN, so that callers can return the
 * result.
 */
int e2d_corrupt(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
                uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_corrupt(m, structure, number, field, value, reason)                                                        \
    E2D_WITHOUT_REASON(reason, e2d_corrupt((m), (structure), (number), (field), (value)))
#endif

/* Reports that the superblock has to be checked, and returns -EUCLEAN. Changes nothing. */
int e2d_super_refuse(struct ext2dax_mount *m, const char *field, uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_super_refuse(m, field, value, reason) E2D_WITHOUT_REASON(reason, e2d_super_refuse((m), (field), (value)))
#endif

/*
 * Take blocks (or an inode) off the free count of the superblock before a group is searched, and
 * give blocks (or an inode) back. Take fs. e2d_super_take_blocks() and e2d_super_take_inode()
 * return 0 or a negative errno
 *   ENOSPC  fewer are free than requested, or the rest is reserved and the host does not entitle
 *           the caller
 */
int e2d_super_take_blocks(struct ext2dax_mount *m, uint32_t count);
void e2d_super_give_blocks(struct ext2dax_mount *m, uint32_t count);
int e2d_super_take_inode(struct ext2dax_mount *m);
void e2d_super_give_inode(struct ext2dax_mount *m);

/*
 * Sets the large_file or ext_attr feature if not set. The store is not fenced, and becomes durable
 * with the caller's next fence. Converts a revision 0 superblock to revision 1 first, with fences.
 * Takes fs.
 */
void e2d_super_large_file(struct ext2dax_mount *m);
void e2d_super_ext_attr(struct ext2dax_mount *m);

/* Returns the largest size of a file in bytes. Depends on the block size alone. */
uint64_t e2d_super_max_size(uint32_t block_shift);

#endif
