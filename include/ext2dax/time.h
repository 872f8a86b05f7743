/* SPDX-License-Identifier: MIT */
/*
 * A time stamp.
 *
 * Where an inode of the image has room for the extra time fields, a time has nanoseconds, and the
 * seconds reach from 1901-12-13 to 2446-05-10. An inode without these fields stores whole seconds
 * from 1901-12-13 to 2038-01-19. A time outside the range is stored as the nearest end of the
 * range.
 */
#ifndef EXT2DAX_TIME_H
#define EXT2DAX_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A point in time. */
struct ext2dax_time {
    int64_t seconds;      /* since 1970-01-01 UTC, negative before */
    uint32_t nanoseconds; /* 0 … 999,999,999, added to the seconds */
    uint32_t reserved;    /* 0 in results, so that no byte of a result is undefined */
};

#ifdef __cplusplus
}
#endif
#endif
