/* SPDX-License-Identifier: MIT */
/*
 * Times. Conversion from and to the form of the image, and the present from the host.
 *
 * The caller of e2d_now() holds no lock below the freeze locks, as the `time` op of the host
 * requires.
 */
#include "base/time.h"

#include "base/internal.h"

#define EPOCH_BITS 3u
#define EARLIEST   (-(int64_t)1 - INT32_MAX)
#define LATEST     (((int64_t)EPOCH_BITS << 32) + INT32_MAX)

struct e2d_time e2d_time_encode(struct ext2dax_time time)
{
    uint32_t low, epoch;

    if (time.seconds < EARLIEST)
        return (struct e2d_time){(uint32_t)EARLIEST, 0};
    if (time.seconds > LATEST)
        return (struct e2d_time){(uint32_t)INT32_MAX, EPOCH_BITS | (E2D_SECOND_NANOSECONDS - 1) << 2};
    low = (uint32_t)time.seconds;
    epoch = (uint32_t)((uint64_t)(time.seconds - (int32_t)low) >> 32);
    return (struct e2d_time){low, epoch | e2d_min32(time.nanoseconds, E2D_SECOND_NANOSECONDS - 1) << 2};
}

struct ext2dax_time e2d_time_decode(struct e2d_time time)
{
    uint32_t nanoseconds = time.extra >> 2;
    struct ext2dax_time decoded = {.seconds = (int32_t)time.seconds};

    decoded.seconds += (int64_t)(time.extra & EPOCH_BITS) << 32;
    decoded.nanoseconds = nanoseconds < E2D_SECOND_NANOSECONDS ? nanoseconds : 0;
    return decoded;
}

struct e2d_time e2d_now(struct ext2dax_mount *m)
{
    struct ext2dax_time now = {0};
    struct e2d_time encoded;

    if (m->host_ops.time)
        m->host_ops.time(m->host_ctx, &now);
    else if (m->host_ops.now)
        now.seconds = m->host_ops.now(m->host_ctx);
    encoded = e2d_time_encode(now);
    e2d_set32_relaxed(&m->clock, encoded.seconds);
    return encoded;
}

uint32_t e2d_dtime(const struct ext2dax_mount *m, struct e2d_time now)
{
    int64_t seconds = e2d_time_decode(now).seconds;

    if (seconds > UINT32_MAX)
        seconds = UINT32_MAX;
    if (E2D_MUTANT(ORDER_SMALL_DTIME) && seconds > 0)
        return (uint32_t)seconds;
    return seconds > (int64_t)m->inodes ? (uint32_t)seconds : m->inodes;
}
