/* SPDX-License-Identifier: MIT */
/*
 * Fault method of a run of these tests. EXT2DAX_FAULT_METHOD=userfaultfd selects userfaultfd. The
 * default is sigsegv.
 */
#ifndef FAULT_METHOD_H
#define FAULT_METHOD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/process.h"

static inline enum ext2dax_fault_method method_in(void)
{
    const char *name = getenv("EXT2DAX_FAULT_METHOD");

    return name && strcmp(name, "userfaultfd") == 0 ? EXT2DAX_FAULT_METHOD_USERFAULTFD : EXT2DAX_FAULT_METHOD_SIGSEGV;
}

static inline bool by_userfaultfd(void)
{
    return method_in() == EXT2DAX_FAULT_METHOD_USERFAULTFD;
}

/* Returns true and prints the reason if the fault method is not available, for a skipped test. */
static inline bool left_out_method(void)
{
    const char *why;

    if (ext2dax_process_may(method_in(), &why) == 0)
        return false;
    printf("skipped: userfaultfd: %s\n", why);
    return true;
}

#endif
