/* SPDX-License-Identifier: MIT */
/*
 * Linked into pmem-mapper-broken. A constructor activates the mutant named by EXT2DAX_MUTANT before
 * main. A hook also sleeps at every eighth callback of the core, where a fault is about to install
 * a mapping or a truncate to revoke mappings. With every protection in place the delay must have no
 * effect. With a mutant the race is lost within seconds on any machine.
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
        e2dt_yield_hook = dwell;
        return;
    }
    fprintf(stderr, "EXT2DAX_MUTANT=%s: no such mutant\n", name);
    exit(99);
}
