/* SPDX-License-Identifier: MIT */
/*
 * Lock backends of this build. Only this file knows which backends were left out, so callers need
 * no #ifdef.
 */
#include "ext2dax/hosted/lock.h"

#include <string.h>

#if !defined(E2D_HAVE_ATOMIC_OPS) || !defined(E2D_HAVE_PTHREAD)
static const struct ext2dax_locks left_out = {NULL, NULL};
#endif

#if !defined(E2D_HAVE_ATOMIC_OPS)
struct ext2dax_locks ext2dax_locks_atomic_ops(void)
{
    return left_out;
}
#endif

#if !defined(E2D_HAVE_PTHREAD)
struct ext2dax_locks ext2dax_locks_pthread(void)
{
    return left_out;
}
#endif

struct ext2dax_locks ext2dax_locks_by_name(const char *name)
{
    static const struct {
        const char *name;
        struct ext2dax_locks (*make)(void);
    } known[] = {
        {"none", ext2dax_locks_none},
        {"atomic_ops", ext2dax_locks_atomic_ops},
        {"pthread", ext2dax_locks_pthread},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(name, known[i].name) == 0)
            return known[i].make();
    }
    return (struct ext2dax_locks){NULL, NULL};
}

struct ext2dax_locks ext2dax_locks_default(void)
{
    struct ext2dax_locks locks = ext2dax_locks_atomic_ops();

    if (!locks.ops)
        locks = ext2dax_locks_pthread();
    if (!locks.ops)
        locks = ext2dax_locks_none();
    return locks;
}
