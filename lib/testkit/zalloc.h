/* SPDX-License-Identifier: MIT */
/*
 * Zeroed memory for the testkit's own objects, allocated from the host plug of the test harness.
 * Returns NULL if the host is out of memory or has no allocator.
 */
#ifndef E2DT_ZALLOC_H
#define E2DT_ZALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ext2dax/host.h"

static inline void *e2dt_zalloc(const struct ext2dax_host *host, size_t bytes)
{
    bool gives = host->ops->size >= offsetof(struct ext2dax_host_ops, now) && host->ops->alloc && host->ops->release;
    void *at = gives ? host->ops->alloc(host->ctx, bytes) : NULL;

    return at ? memset(at, 0, bytes) : NULL;
}

static inline void e2dt_free(const struct ext2dax_host *host, void *at, size_t bytes)
{
    if (at)
        host->ops->release(host->ctx, at, bytes);
}

#endif
