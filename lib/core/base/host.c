/* SPDX-License-Identifier: MIT */
/* Memory and interruptions of the host. Callers hold the locks allowed by host.h. */
#include "base/internal.h"

void *e2d_alloc(struct ext2dax_mount *m, size_t bytes)
{
    return m->host_ops.alloc(m->host_ctx, bytes);
}

void e2d_release(struct ext2dax_mount *m, void *at, size_t bytes)
{
    if (at)
        m->host_ops.release(m->host_ctx, at, bytes);
}

int e2d_interrupted(struct ext2dax_mount *m)
{
    bool asked = m->host_ops.interrupted && m->host_ops.interrupted(m->host_ctx);

    return asked ? -EXT2DAX_EINTR : 0;
}
