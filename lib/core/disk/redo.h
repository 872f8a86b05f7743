/* SPDX-License-Identifier: MIT */
/*
 * The redo record, a list of the stores of a rename.
 *
 * Some renames need several stores, and no order of these stores leaves the old or the new tree
 * after every crash. Such a rename first stores the list of its stores in the superblock, durably.
 * After a crash recovery makes all of the stores again. So the result is the old tree if the list
 * was not durable, and else the new tree.
 *
 * A checksum over the list makes a list stored in part no list. The checksum covers the times of
 * the last mount, write and check in the superblock. So the list means nothing once another driver
 * has mounted or e2fsck has repaired the image.
 *
 * The rename lock guards the record.
 */
#ifndef E2D_DISK_REDO_H
#define E2D_DISK_REDO_H

#include "base/internal.h"

#define E2D_REDO_STORES 6 /* those of an exchange of two directories across directories */

/* A store of 1, 2 or 4 bytes into a block that is no metadata. */
struct e2d_redo_store {
    uint32_t block, offset, bytes, value;
};

struct e2d_redo {
    unsigned count;
    struct e2d_redo_store store[E2D_REDO_STORES];
    uint32_t victim; /* inode with a link count to store, or 0 */
    uint32_t links;  /* the link count to store, 0 in a record */
};

/* Adds a store to the list. `at` is the address of the field in the image. */
void e2d_redo_add(const struct ext2dax_mount *m, struct e2d_redo *redo, const void *at, uint32_t bytes, uint32_t value);

/* Stores the record, or zeroes instead of a record, as stores of the caller's epoch. */
void e2d_redo_write(struct ext2dax_mount *m, const struct e2d_redo *redo);
void e2d_redo_clear(struct ext2dax_mount *m);

/* Does the superblock hold anything in place of the record? */
bool e2d_redo_any(const struct ext2dax_mount *m);

/*
 * Reads the record. Returns 1, 0 for none, or -EUCLEAN (reported) for a record with a store that no
 * rename makes.
 */
int e2d_redo_read(struct ext2dax_mount *m, struct e2d_redo *redo);

/*
 * Makes the stores of the list, unfenced, and replaces the values of the list by the former values.
 * A second call makes the first call undone.
 */
void e2d_redo_swap(struct ext2dax_mount *m, struct e2d_redo *redo);

#endif
