/* SPDX-License-Identifier: MIT */
/*
 * Images in memory accessible by path, and the system's programs for such images. For tests only.
 */
#ifndef TESTS_IMAGE_OUTSIDE_H
#define TESTS_IMAGE_OUTSIDE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../skip.h"

struct outside_image {
    uint8_t *base;
    size_t size;
    int descriptor;
    char path[64];
};

/* Opens an image of `size` zero bytes. Ends the test program on failure. */
static inline struct outside_image outside_open(size_t size)
{
    struct outside_image opened = {.size = size};

    opened.descriptor = memfd_create("image", 0);
    if (opened.descriptor < 0 || ftruncate(opened.descriptor, (off_t)size) != 0) {
        perror("memfd");
        exit(2);
    }
    opened.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, opened.descriptor, 0);
    if (opened.base == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    (void)snprintf(opened.path, sizeof(opened.path), "/proc/%ld/fd/%d", (long)getpid(), opened.descriptor);
    return opened;
}

static inline void outside_close(struct outside_image *opened)
{
    (void)munmap(opened->base, opened->size);
    (void)close(opened->descriptor);
}

/*
 * Runs a shell command with the administrator's programs in PATH. Returns the exit status, or -1.
 */
__attribute__((format(printf, 1, 2))) static inline int outside_run(const char *format, ...)
{
    char command[4096] = "PATH=\"$PATH:/usr/sbin:/sbin\"; ";
    size_t start = 0;
    va_list arguments;
    int status;

    while (command[start] != '\0')
        start++;
    va_start(arguments, format);
    (void)vsnprintf(command + start, sizeof(command) - start, format, arguments);
    va_end(arguments);
    (void)fflush(NULL);
    status = system(command);
    return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline bool outside_has(const char *program)
{
    return outside_run("command -v %s >/dev/null", program) == 0;
}

/*
 * Runs e2fsck -fn. Returns 0 for a clean image. Prints the findings if a clean image was expected.
 */
static inline int outside_e2fsck(const struct outside_image *opened, bool expect_clean)
{
    int status = outside_run("e2fsck -fn %s >/dev/null 2>&1", opened->path);

    if (expect_clean && status != 0)
        (void)outside_run("e2fsck -fn %s 2>&1", opened->path);
    return status;
}

#endif
