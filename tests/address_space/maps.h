/* SPDX-License-Identifier: MIT */
/*
 * The kernel's list of this process's mappings, read line by line without asking for memory, as every assertion of Check
 * does: at the limit of mappings an allocator may get none.
 */
#ifndef MAPS_H
#define MAPS_H

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct maps {
    int file;
    size_t at, end; /* of the text not yet looked at */
    char text[1 << 14];
    /* the mapping found last */
    uintptr_t low, high;
    bool readable, writable, shared;
    bool armed; /* by userfaultfd: pages that nothing is behind */
};

static inline void maps_open(struct maps *maps)
{
    maps->file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(maps->file, 0);
    maps->at = maps->end = 0;
}

static inline uintptr_t maps_number(const char **at)
{
    uintptr_t number = 0;

    for (;; ++*at) {
        char c = **at;

        if (c >= '0' && c <= '9')
            number = number << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            number = number << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return number;
    }
}

/* The next one; false, and closed: there is none. */
static inline bool maps_next(struct maps *maps)
{
    const char *at;
    char *end;

    while (!(end = memchr(maps->text + maps->at, '\n', maps->end - maps->at))) {
        ssize_t got;

        memmove(maps->text, maps->text + maps->at, maps->end - maps->at);
        maps->end -= maps->at;
        maps->at = 0;
        got = read(maps->file, maps->text + maps->end, sizeof(maps->text) - maps->end);
        if (got <= 0) {
            close(maps->file);
            return false;
        }
        maps->end += (size_t)got;
    }
    *end = '\0';
    at = maps->text + maps->at;
    maps->low = maps_number(&at);
    at++;
    maps->high = maps_number(&at);
    if (*at != ' ')
        ck_abort_msg("a line of /proc/self/maps: %s", maps->text + maps->at);
    maps->readable = at[1] == 'r';
    maps->writable = at[2] == 'w';
    maps->shared = at[4] == 's';
    maps->armed = strstr(at, "ext2dax armed") != NULL;
    maps->at = (size_t)(end + 1 - maps->text);
    return true;
}

#endif
