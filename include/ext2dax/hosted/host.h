/* SPDX-License-Identifier: MIT */
/* Default host hooks: malloc, the system's clock, reports to stderr, abort. */
#ifndef EXT2DAX_HOSTED_HOST_H
#define EXT2DAX_HOSTED_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "../export.h"
#include "../host.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Reports of level WARNING and worse go to stderr, one line each. Uid 0, as it is when first asked, may use reserved
 * blocks. All default hosts of a process share one small reserve (64 KiB) for allocations from a fault handler.
 */
EXT2DAX_API struct ext2dax_host ext2dax_host_default(void);

/* All-zero is a good default. */
struct ext2dax_host_options {
    size_t size; /* sizeof of whoever filled it; what lies past it counts as zero */
    /* Gets every report, of any level; NULL: as the default. Called in a fault handler too, so async-signal-safe. */
    void (*log)(void *arg, const struct ext2dax_report *report);
    void *log_arg;
    size_t reserve; /* bytes kept ready for allocations from a fault handler; 0: 256 KiB */
};

/* Default hooks with a log of the caller's and a reserve of their own. `options` may be NULL. ENOMEM. */
EXT2DAX_API int ext2dax_host_open(const struct ext2dax_host_options *options, struct ext2dax_host *host);
/* Everything allocated through the host has been released. Empties *host. */
EXT2DAX_API void ext2dax_host_close(struct ext2dax_host *host);

/*
 * True on entering a fault handler, false on leaving; pairs nest. In between, the calling thread's allocations come
 * from the reserve, NULL when it is used up, and what it releases goes back to malloc at a later call outside a
 * handler. What came from the reserve may be released anywhere. Async-signal-safe.
 */
EXT2DAX_API void ext2dax_host_in_handler(bool in_handler);

#ifdef __cplusplus
}
#endif
#endif
