/* SPDX-License-Identifier: MIT */
/*
 * Times in the form of the image. A large inode stores a time in two words. The first word is the
 * low 32 bits of the seconds, read as a signed number. The low 2 bits of the second word count
 * multiples of 2^32 seconds to add, and the other 30 bits are the nanoseconds.
 */
#ifndef E2D_BASE_TIME_H
#define E2D_BASE_TIME_H

#include <stdint.h>

#include "ext2dax/time.h"

struct ext2dax_mount;

#define E2D_SECOND_NANOSECONDS 1000000000u /* nanoseconds per second */

/* A time as in the image, with native integers. */
struct e2d_time {
    uint32_t seconds; /* the word of a 128-byte inode */
    uint32_t extra;   /* the extra word of a larger inode, 0 if the inode has none */
};

/*
 * Converts a time to the form of the image. A time out of range becomes the nearest end of the
 * range.
 */
struct e2d_time e2d_time_encode(struct ext2dax_time time);
/* Converts a time from the form of the image. Nanoseconds out of range read as 0. */
struct ext2dax_time e2d_time_decode(struct e2d_time time);

/*
 * Returns the seconds word for an inode without extra words. A time out of range becomes the end of
 * the range, in 2038.
 */
static inline uint32_t e2d_time_narrow(struct e2d_time time)
{
    return (time.extra & 3) != 0 ? (uint32_t)INT32_MAX : time.seconds;
}

/*
 * Returns the present, as known to the host. The caller holds no lock below the freeze locks in the
 * lock order.
 */
struct e2d_time e2d_now(struct ext2dax_mount *m);

/*
 * Returns the time of deletion to store. The value is at least the inode count, because a smaller
 * dtime in a deleted inode would be read as a link of the orphan list.
 */
uint32_t e2d_dtime(const struct ext2dax_mount *m, struct e2d_time now);

#endif
