/* SPDX-License-Identifier: MIT */
/*
 * What callers hand in by size, so that a struct can grow at its end: an older caller's is shorter, a newer one's longer.
 * Everything behind this copy is of the one size that the core was compiled with, and an op that is not there is NULL.
 */
#include "sized.h"

#include "mem.h"

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "ops tables are cut at a whole pointer");

void e2d_copy_sized(void *to, size_t to_size, const void *from)
{
    size_t from_size = 0;

    memset(to, 0, to_size);
    if (from)
        memcpy(&from_size, from, sizeof(from_size));
    if (from_size > to_size)
        from_size = to_size;
    memcpy(to, from ? from : to, from_size & ~(sizeof(void *) - 1));
    memcpy(to, &to_size, sizeof(to_size));
}
