/* SPDX-License-Identifier: MIT */
/* Default host hooks: malloc, the system's clock, reports to stderr, abort. */
#ifndef EXT2DAX_HOSTED_HOST_H
#define EXT2DAX_HOSTED_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/*
 * Error detail: which structure, number and value made a call fail. The hosts above keep the last reports for each thread,
 * whatever their log does:
 *
 *     uint64_t mark = ext2dax_host_mark();
 *     int error = ext2dax_mount(&plugs, &options, &mount);
 *     if (error) {
 *         char why[256];
 *         ext2dax_host_describe(mark, error, why, sizeof(why));
 *         fprintf(stderr, "%s: mount: %s\n", path, why);
 *     }
 *
 * A report belongs to a call if it was made in the thread of the call, since a mark taken before it, with the error that it
 * returned. So take the mark right before the call: then what an earlier call or another thread was told is never
 * mistaken for its reason. Which errors have a report is said in error.h; the functions in hosted/ that open and close
 * something make none. Four reports are kept, of a call that makes more the last four. Looking changes nothing: marks
 * nest, and several may look for the same report. Async-signal-safe, no locks, no memory; a report outlives its mount and host.
 */

/* A mark in what the calling thread has been told; of use in this thread alone. 0 stands for when it began. */
EXT2DAX_API uint64_t ext2dax_host_mark(void);

/*
 * The report of a call that the calling thread has made since the mark, and that returned `error` (negative; 0: any); of several
 * the last. False, and *report as it was, where there is none: nothing of the image was wrong.
 */
EXT2DAX_API bool ext2dax_host_report(uint64_t mark, int error, struct ext2dax_report *report);

/*
 * The same as text: what ext2dax_report_text() makes of that report, else what ext2dax_strerror() says of the error.
 * Terminated when size > 0; returns the length the whole text has.
 */
EXT2DAX_API size_t ext2dax_host_describe(uint64_t mark, int error, char *buffer, size_t size);

/*
 * Why a touch was refused: for whoever gets the SIGBUS of a touched window, in its handler or after a jump out of it. The
 * report of the last fault that was served in the calling thread, if it was made since the mark; take that right before
 * the touch. False: nothing of the image was wrong (the page lies past the end, no block was free). What is
 * reported between ext2dax_host_in_handler(true) and (false) is found here and only here, so a fault that interrupts a call
 * leaves that call's reports alone. A host whose faults are resolved by another thread lets its log tell; of the ways in
 * hosted/process.h, either serves in the thread that touched what it is going to refuse.
 */
EXT2DAX_API bool ext2dax_host_fault_report(uint64_t mark, struct ext2dax_report *report);

#ifdef __cplusplus
}
#endif
#endif
