/* SPDX-License-Identifier: MIT */
/* Output of the programs of both kernels. Prints a line per check and counts the passed checks. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>

/* Prints "ok" or "FAILED" with the text, and counts the check. Returns `good`. */
__attribute__((format(printf, 2, 3))) bool report(bool good, const char *format, ...);

/* Returns the number of failed checks. */
unsigned report_failures(void);

/*
 * Prints "N passed, N failed". Returns true if all checks passed and at least a single check was
 * made.
 */
bool report_sum(void);

#endif
