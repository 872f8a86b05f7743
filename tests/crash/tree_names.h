/* SPDX-License-Identifier: MIT */
/* The names of an image with blocks of 1 KiB, read by the on-disk format alone. */
#ifndef TESTS_CRASH_TREE_NAMES_H
#define TESTS_CRASH_TREE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define TREE_NAMES 64

struct tree_name {
    uint64_t path; /* hash of the path */
    uint32_t inode;
    uint16_t mode;
    /* hash of the size and the bytes, or of the device number, or of a directory the ".." */
    uint64_t content;
};

struct tree_names {
    unsigned count;
    bool overflow; /* more names, or deeper, than expected of any state */
    struct tree_name name[TREE_NAMES];
};

/* Reads all names below the root, sorted by `path`. */
void tree_names_read(struct tree_names *names, const unsigned char *image);

bool tree_names_same(const struct tree_names *a, const struct tree_names *b);

/* Makes `both` the names of `new`, and those of `old` with a path not in `new`. */
void tree_names_join(struct tree_names *both, const struct tree_names *old, const struct tree_names *new);

#endif
