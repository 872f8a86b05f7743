/* SPDX-License-Identifier: MIT */
/*
 * An actor modifies the image, Linux by system calls or the library by its own calls. The round
 * trip and its checks use only this interface. Paths are relative to the image's root. Every call
 * returns a negative errno on failure.
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
    int (*make_directory)(void *ctx, const char *path); /* called for Linux only */
    int (*unlink)(void *ctx, const char *path);
    /* names in the directory, without "." and ".." */
    int (*count)(void *ctx, const char *directory);
    int64_t (*size)(void *ctx, const char *path);
    int64_t (*read)(void *ctx, const char *path, uint64_t offset, void *bytes, size_t length);
    int64_t (*write)(void *ctx, const char *path, uint64_t offset, const void *bytes, size_t length);
    int (*truncate)(void *ctx, const char *path, uint64_t size);
    int (*punch)(void *ctx, const char *path, uint64_t offset, uint64_t length);
    /* the next offset with data, or -ENXIO */
    int64_t (*data)(void *ctx, const char *path, uint64_t offset);
    int (*map)(void *ctx, const char *path, uint64_t length, bool writable, struct view *view);
    int (*unmap)(void *ctx, struct view *view); /* makes stores durable if the view was writable */
};

/* Returns the actor for Linux, below the directory `root`. */
struct actor actor_linux(const char *root);

/* Reads or stores a byte of a view. Returns false after a SIGBUS. Not for several threads. */
bool view_access(volatile uint8_t *at, bool store);
void view_catch_sigbus(void);

#endif
