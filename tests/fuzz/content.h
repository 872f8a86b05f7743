/* SPDX-License-Identifier: MIT */
/* The expected content of a file, as a plain copy per block. Blocks never written are zeroes. */
#ifndef TESTS_FUZZ_CONTENT_H
#define TESTS_FUZZ_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content_block {
    uint64_t logical;
    bool seen; /* for the comparison */
    unsigned char *bytes;
};

struct content {
    uint64_t size;
    uint32_t block_size;
    size_t count, room;
    struct content_block *blocks; /* sorted by logical block */
};

void content_open(struct content *content, uint32_t block_size);
void content_close(struct content *content);

/* Stores bytes and extends the size to cover the bytes. */
void content_write(struct content *content, uint64_t offset, const unsigned char *bytes, size_t length);
/* Zeroes [offset, end). The size is unchanged. */
void content_zero(struct content *content, uint64_t offset, uint64_t end);
/* Sets the size. A smaller size discards the bytes past the new end. */
void content_resize(struct content *content, uint64_t size);

/* Copies bytes out. Bytes past the end are zeroes. */
void content_read(const struct content *content, uint64_t offset, unsigned char *to, size_t length);
/* Finds a block. Returns NULL for an all-zero block never stored. */
struct content_block *content_find(const struct content *content, uint64_t logical);

#endif
