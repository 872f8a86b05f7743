/* SPDX-License-Identifier: MIT */
/*
 * Copy of an embedder's lock table, for components of the library with locks of their own. The core
 * copies every table itself.
 */
#ifndef E2DH_LOCK_TABLE_H
#define E2DH_LOCK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ext2dax/lock.h"

/*
 * Copies a table in whole pointers, up to the size given in the table. Ops past the size become
 * NULL. Returns false if a required op is missing. `from` may be NULL.
 */
static inline bool e2dh_copy_lock_table(struct ext2dax_lock_ops *to, const struct ext2dax_lock_ops *from)
{
    size_t size = from ? from->size : 0;

    memset(to, 0, sizeof(*to));
    if (size > sizeof(*to))
        size = sizeof(*to);
    size &= ~(sizeof(void *) - 1);
    if (from)
        memcpy(to, from, size);
    to->size = sizeof(*to);
    return to->init && to->read_lock && to->read_unlock && to->write_lock && to->write_unlock && to->try_read_lock &&
           to->try_write_lock;
}

#endif
