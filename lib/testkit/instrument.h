/* SPDX-License-Identifier: MIT */
/* Hooks of this project's test harnesses in the instrumented core. */
#ifndef E2DT_TESTKIT_INSTRUMENT_H
#define E2DT_TESTKIT_INSTRUMENT_H

#include "base/instrument.h"

/*
 * Size of the smallest block in bytes. An access to the bytes of a unit is reported at the start of
 * the unit + 1, where no field begins.
 */
#define E2DT_DATA_UNIT 1024u

/*
 * Called at every yield point of the core, with any locks held by the core at the point. A schedule
 * explorer runs another thread from the hook. `at` is the address about to be accessed, from which
 * the hook can recognise steps that cannot affect each other. NULL, the initial value, disables the
 * hook. Set while no thread runs in the core.
 */
extern void (*e2dt_yield_hook)(enum e2d_yield_kind kind, const volatile void *at);

/*
 * Called at every call storing through persist.h, with the calling function and the name of the
 * object stored to. NULL disables the hook.
 */
extern void (*e2dt_site_hook)(const char *function, const char *what);

#endif
