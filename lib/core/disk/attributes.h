/* SPDX-License-Identifier: MIT */
/* Attributes of on-disk inodes. Mode, owner, flags, times and device numbers. */
#ifndef E2D_DISK_ATTRIBUTES_H
#define E2D_DISK_ATTRIBUTES_H

#include <stdint.h>

#include "base/internal.h"
#include "disk/times.h"

/*
 * Returns 0, or -EINVAL for an unknown bit of `set`, for E2D_…_NOW without the bit of the time, and
 * for nanoseconds out of range in a time that counts.
 */
int e2d_check_attributes(const struct ext2dax_attributes *attributes);

/*
 * Fills mode (with the type), owner, flags and times of an inode about to be created, in memory
 * outside the image. Flags and times without their bits of `set` are 0 and the present. `tail` is
 * filled whole. The caller has checked the attributes.
 */
void e2d_fill_attributes(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                         struct ext2dax_disk_inode_tail *tail, const struct ext2dax_attributes *attributes,
                         struct e2d_time now);

/* The largest numbers of a device. */
#define E2D_DEVICE_MAJOR_MAX 0xFFFu
#define E2D_DEVICE_MINOR_MAX 0xFFFFFu

/*
 * Fills the device number of an inode about to be created, in memory outside the image. The numbers
 * are in range.
 */
void e2d_fill_device(struct ext2dax_disk_inode *fresh, uint32_t major, uint32_t minor);

#endif
