/* SPDX-License-Identifier: MIT */
/* One line a check, and how many held: what both kernels' programs print. */
#ifndef TELL_H
#define TELL_H

#include <stdbool.h>

/* Prints "ok: …" or "FAILED: …" and counts; answers `good`. */
__attribute__((format(printf, 2, 3))) bool tell(bool good, const char *format, ...);

/* How many did not hold. */
unsigned tell_failures(void);

/* Prints "N passed, N failed"; true where all held and there was something to hold. */
bool tell_sum(void);

#endif
