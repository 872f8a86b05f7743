/* SPDX-License-Identifier: MIT */
/*
 * Detection of qemu's user-mode emulation. The runner sets EXT2DAX_UNDER_QEMU in the environment.
 * Emulation is about ten times slower, so tests with many inputs try fewer under qemu.
 *
 * qemu-user 7.2 also differs from the kernel. MADV_DONTFORK, MADV_POPULATE_READ and MAP_SYNC
 * succeed without any effect. The signal of a page fault carries the address of the page, not of
 * the byte. When two threads fault at once, the emulator fails an assertion of its own and exits.
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

/* Returns true under emulation or Valgrind, both about ten times slower. */
static inline bool slowed(void)
{
    return emulated() || getenv("EXT2DAX_UNDER_VALGRIND");
}

/* Returns true under emulation, after printing which part of the test is skipped. */
static inline bool left_out_emulated(const char *what)
{
    if (emulated())
        printf("left out under qemu-user: %s\n", what);
    return emulated();
}

#endif
