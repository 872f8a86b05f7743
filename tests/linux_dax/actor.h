/* SPDX-License-Identifier: MIT */
/*
 * Who changes the image: Linux by its system calls, or the library by its own. The story and the check of every file know
 * only this. Paths are relative to the image's root; every call answers a negative errno where it fails.
 */
#ifndef ACTOR_H
#define ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file's first `length` bytes in memory, shared, at an address aligned to a huge page. */
struct view {
    uint8_t *at;
    uint64_t length;
    void *handle;
};

struct actor {
    void *ctx;
    bool is_linux;
    int (*create)(void *ctx, const char *path);
    int (*make_directory)(void *ctx, const char *path); /* asked of Linux only */
    int (*unlink)(void *ctx, const char *path);
    int (*count)(void *ctx, const char *directory); /* names in it, without "." and ".." */
    int64_t (*size)(void *ctx, const char *path);
    int64_t (*read)(void *ctx, const char *path, uint64_t offset, void *bytes, size_t length);
    int64_t (*write)(void *ctx, const char *path, uint64_t offset, const void *bytes, size_t length);
    int (*truncate)(void *ctx, const char *path, uint64_t size);
    int (*punch)(void *ctx, const char *path, uint64_t offset, uint64_t length);
    int64_t (*data)(void *ctx, const char *path, uint64_t offset); /* the next offset in data; -ENXIO: none */
    int (*map)(void *ctx, const char *path, uint64_t length, bool writable, struct view *view);
    int (*unmap)(void *ctx, struct view *view); /* makes stores durable, where it was writable */
};

/* Linux, below the directory `root`. */
struct actor actor_linux(const char *root);

/* Reads, or stores, one byte of a view; false: it was a SIGBUS. Not for several threads. */
bool view_touch(volatile uint8_t *at, bool store);
void view_catch_sigbus(void);

#endif
