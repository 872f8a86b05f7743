/* SPDX-License-Identifier: MIT */
/*
 * Reader of the kernel's list of this process's mappings. Reads line by line without allocating
 * memory. Assertions of Check do allocate memory, and at the limit of mappings an allocator may get
 * none.
 */
#ifndef MAPS_H
#define MAPS_H

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct maps {
    int file;
    size_t at, end; /* the text not yet parsed */
    char text[1 << 14];
    /* the last mapping found */
    uintptr_t low, high;
    bool readable, writable, shared;
    bool absent; /* a userfaultfd mapping of pages which are not present */
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

/* Reads the next mapping. Closes the file and returns false at the end of the list. */
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
    maps->absent = strstr(at, "ext2dax absent") != NULL;
    maps->at = (size_t)(end + 1 - maps->text);
    return true;
}

/* Takes every mapping the kernel still grants. Returns NULL if no limit is reached. */
static inline void *use_up(size_t *bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at;

    *bytes = 300000 * page;
    at = mmap(NULL, *bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    for (size_t i = 1; i < 300000; i += 2)
        if (mprotect(at + i * page, page, PROT_READ) != 0)
            return at;
    munmap(at, *bytes);
    return NULL;
}

/*
 * Also takes the mapping above its limit which the kernel grants to an mmap() splitting no other
 * mapping. The protections alternate, so the new mappings do not merge with each other.
 */
static inline void go_beyond(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int protection = PROT_READ;

    while (mmap(NULL, page, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        protection = protection == PROT_READ ? PROT_NONE : PROT_READ;
}

#endif
