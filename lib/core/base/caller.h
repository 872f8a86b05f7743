/* SPDX-License-Identifier: MIT */
/*
 * Copies between the core and the buffer of a caller. The buffer may be memory that cannot be
 * accessed, such as a mapping past the end of a file or without space. The ops of the host then
 * copy fewer bytes. Without the ops an inaccessible buffer is a fault of the caller.
 *
 * A fault of a buffer that is a mapping takes locks of the core below io. So a copy runs under at
 * most freeze_write and io.
 */
#ifndef E2D_BASE_CALLER_H
#define E2D_BASE_CALLER_H

#include "base/internal.h"
#include "base/mem.h"

/* Return the number of bytes copied. */
static inline size_t e2d_to_caller(struct ext2dax_mount *m, void *to, const void *from, size_t bytes)
{
    if (m->host_ops.copy_out)
        return m->host_ops.copy_out(m->host_ctx, to, from, bytes);
    memcpy(to, from, bytes);
    return bytes;
}
static inline size_t e2d_from_caller(struct ext2dax_mount *m, void *to, const void *from, size_t bytes)
{
    if (m->host_ops.copy_in)
        return m->host_ops.copy_in(m->host_ctx, to, from, bytes);
    memcpy(to, from, bytes);
    return bytes;
}

#endif
