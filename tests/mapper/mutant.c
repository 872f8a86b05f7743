/* SPDX-License-Identifier: MIT */
/*
 * Linked into pmem-mapper-broken: leaves out the protection that EXT2DAX_MUTANT names, before main begins. Every eighth
 * time a fault is about to install its answer, or a truncate to revoke mappings, it dwells there: with every protection
 * in place nothing may come of it, and without one the race is lost in seconds on any machine.
 */
#include <ext2dax/testkit/mutant.h>

#include "instrument.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void dwell(enum e2d_yield_kind kind, const volatile void *at)
{
    static _Thread_local unsigned times;
    static const struct timespec while_others_run = {.tv_nsec = 300000};

    (void)at;
    if (kind == E2D_YIELD_CALLBACK && ++times % 8 == 0)
        nanosleep(&while_others_run, NULL);
}

__attribute__((constructor)) static void break_it(void)
{
    const char *name = getenv("EXT2DAX_MUTANT");

    if (!name || !ext2dax_mutant_activate(name)) {
        e2d_yield_hook = dwell;
        return;
    }
    fprintf(stderr, "EXT2DAX_MUTANT=%s: no such mutant\n", name);
    exit(99);
}
