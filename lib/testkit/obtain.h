/* SPDX-License-Identifier: MIT */
/* Zeroed memory for the testkit's own objects, from whatever host a bench gives them. */
#ifndef E2D_OBTAIN_H
#define E2D_OBTAIN_H

#include <string.h>

#include "ext2dax/host.h"

static inline void *e2d_obtain(const struct ext2dax_host *host, size_t bytes)
{
    void *at = host->ops->alloc(host->ctx, bytes);

    return at ? memset(at, 0, bytes) : NULL;
}

static inline void e2d_give_up(const struct ext2dax_host *host, void *at, size_t bytes)
{
    if (at)
        host->ops->release(host->ctx, at, bytes);
}

#endif
