/* SPDX-License-Identifier: MIT */
/* Memory allocated by a scenario, part of the state saved and restored by the explorer. */
#include "explorer_internal.h"

void *ext2dax_explorer_alloc(struct ext2dax_explorer *explorer, size_t bytes)
{
    return e2dt_state_alloc(&explorer->state, bytes, 0);
}

void ext2dax_explorer_release(struct ext2dax_explorer *explorer, void *at, size_t bytes)
{
    e2dt_state_release(&explorer->state, at, bytes);
}
