/* SPDX-License-Identifier: MIT */
/* What a bench of this project hangs into the instrumented core. */
#ifndef E2D_TESTKIT_INSTRUMENT_H
#define E2D_TESTKIT_INSTRUMENT_H

#include "yield.h"

#define E2D_DATA_UNIT                                                                                                  \
    1024u /* bytes: the smallest block. Its bytes are told of at its start + 1, where no field begins */

/*
 * Called at every yield point of the core, with whatever locks the core holds there: a schedule explorer runs another
 * thread from it. `at` is what is about to be touched, for telling apart steps that cannot matter to each other. NULL, as
 * it is at first: nothing. Set while nothing runs in the core.
 */
extern void (*e2d_yield_hook)(enum e2d_yield_kind kind, const volatile void *at);

/* Called at every call that stores through persist.h: where it stands, and what it says it stores to. NULL: nothing. */
extern void (*e2d_site_hook)(const char *function, const char *what);

#endif
