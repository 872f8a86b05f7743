/* SPDX-License-Identifier: MIT */
/* The end of a program that misuses a lock. */
#include "lock_misuse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void e2d_lock_misuse(const char *what)
{
    static const char prefix[] = "ext2dax: lock misused: ";
    ssize_t ignored;

    /* Nothing is left to do where stderr does not take it. */
    ignored = write(STDERR_FILENO, prefix, sizeof(prefix) - 1);
    ignored = write(STDERR_FILENO, what, strlen(what));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    abort();
}
