/* SPDX-License-Identifier: MIT */
/* Which way in a run of these tests takes: EXT2DAX_WAY=userfaultfd, or by default SIGSEGV. */
#ifndef WAY_H
#define WAY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/process.h"

static inline enum ext2dax_process_way way_in(void)
{
    const char *name = getenv("EXT2DAX_WAY");

    return name && strcmp(name, "userfaultfd") == 0 ? EXT2DAX_PROCESS_USERFAULTFD : EXT2DAX_PROCESS_SIGSEGV;
}

static inline bool by_userfaultfd(void)
{
    return way_in() == EXT2DAX_PROCESS_USERFAULTFD;
}

/* Says so where it is not to be had here, and the tests are left out. */
static inline bool left_out_way(void)
{
    const char *why;

    if (ext2dax_process_may(way_in(), &why) == 0)
        return false;
    printf("skipped: userfaultfd: %s\n", why);
    return true;
}

#endif
