/* SPDX-License-Identifier: MIT */
/* Images to play on, made by mke2fs and checked by e2fsck. */
#ifndef TESTS_MODEL_IMAGE_H
#define TESTS_MODEL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A kind of image. */
struct image_kind {
    const char *name;
    uint32_t block_size; /* bytes */
    uint32_t inode_size; /* bytes */
    uint32_t kilobytes;  /* size of the image */
    uint32_t inodes;
    const char *features; /* of mke2fs */
    bool is_tiny;         /* calls run out of blocks or inodes */
    bool ordered;
};

extern const struct image_kind image_kinds[];
extern const unsigned image_kind_count;

/* Bytes of an image of the kind, aligned to a page. */
size_t image_size(const struct image_kind *kind);

/*
 * Writes a fresh image to `base`. Makes the image only once per kind. Returns false without mke2fs.
 */
bool image_make(const struct image_kind *kind, void *base);

/* Makes the image of the kind for later calls, in child processes too. */
void image_prepare(const struct image_kind *kind);

/* Runs e2fsck -fn on the file. Returns NULL or the output of e2fsck, valid until the next call. */
const char *image_e2fsck(const char *path);

#endif
