/* SPDX-License-Identifier: MIT */
/*
 * Copy of extensible structs. Fields are only added at the end, so the struct of an older caller is
 * shorter and the struct of a newer caller is longer. The copy has the size known to the core, with
 * NULL for missing ops.
 */
#include "base/copy_struct.h"

#include "base/mem.h"

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "ops tables are cut at a whole pointer");

void e2d_copy_struct(void *to, size_t to_size, const void *from)
{
    const size_t *from_size = from;

    memset(to, 0, to_size);
    if (from)
        memcpy(to, from, (*from_size < to_size ? *from_size : to_size) & ~(sizeof(void *) - 1));
    *(size_t *)to = to_size;
}

void e2d_copy_results(void *to, size_t to_size, const void *from, size_t from_size)
{
    memcpy(to, from, to_size < from_size ? to_size : from_size);
    if (to_size > from_size)
        memset((unsigned char *)to + from_size, 0, to_size - from_size);
}
