/* SPDX-License-Identifier: MIT */
/*
 * A test program that runs under qemu's user-mode emulation, EXT2DAX_UNDER_QEMU being set. It is about ten times slower,
 * so that what tries many inputs tries fewer. And it is not the kernel: version 7.2 takes MADV_DONTFORK,
 * MADV_POPULATE_READ and MAP_SYNC without a word and does nothing about them; a page fault's signal carries the page's
 * address, not the byte's, and where two threads take them at once the emulator itself breaks an assertion and ends.
 */
#ifndef EMULATED_H
#define EMULATED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline bool emulated(void)
{
    return getenv("EXT2DAX_UNDER_QEMU") != NULL;
}

/* True under it, having said what is left out. */
static inline bool left_out_emulated(const char *what)
{
    if (emulated())
        printf("left out under qemu-user: %s\n", what);
    return emulated();
}

#endif
