/* SPDX-License-Identifier: MIT */
/* Abort on misuse of a lock. */
#include "lock_misuse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"

void e2dh_lock_misuse(const char *what)
{
    static const char prefix[] = "ext2dax: lock misused: ";
    ssize_t ignored;

    /* A failed write to stderr has no remedy. */
    ignored = e2dh_write(STDERR_FILENO, prefix, sizeof(prefix) - 1);
    ignored = e2dh_write(STDERR_FILENO, what, strlen(what));
    ignored = e2dh_write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    abort();
}
