/* SPDX-License-Identifier: MIT */
/*
 * Landing place of a copy ended by a fault in the caller's buffer. guarded_copy.c has the reasons.
 */
#ifndef E2DH_HOSTED_GUARD_H
#define E2DH_HOSTED_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#define LEAST_PAGE ((size_t)4096) /* no architecture has smaller pages */

struct e2dh_copy {
    unsigned char *to;
    const unsigned char *from;
    const unsigned char *callers; /* either `to` or `from` */
    size_t bytes;
    volatile size_t done;
};

/* Runs the copy to its end or to a fault in the caller's buffer. Returns false after a fault. */
bool e2dh_guard_run(void (*run)(struct e2dh_copy *), struct e2dh_copy *copy);

/*
 * Ends the interrupted copy if a copy of the interrupted thread raised the fault in the caller's
 * buffer, and then does not return. Otherwise does nothing. Called by the handler of SIGSEGV and
 * SIGBUS, with all signals but SIGBUS blocked.
 */
void e2dh_guard_land(const siginfo_t *info, const void *context);

#endif
