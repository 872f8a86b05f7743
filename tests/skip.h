/* SPDX-License-Identifier: MIT */
/* The exit of a program unable to run here. Meson counts such a program as skipped. */
#ifndef TESTS_SKIP_H
#define TESTS_SKIP_H

#include <stdio.h>

#define SKIPPED 77 /* the exit status, as defined by Meson */

/* Prints the reason. Returns the exit status of the program. */
static inline int skip(const char *reason)
{
    printf("skipped: %s\n", reason);
    return SKIPPED;
}

#endif
