/* SPDX-License-Identifier: MIT */
#include "content.h"

#include <stdlib.h>
#include <string.h>

#include "tree.h"

void content_open(struct content *content, uint32_t block_size)
{
    memset(content, 0, sizeof(*content));
    content->block_size = block_size;
}

void content_close(struct content *content)
{
    for (size_t i = 0; i < content->count; i++)
        free(content->blocks[i].bytes);
    free(content->blocks);
    memset(content, 0, sizeof(*content));
}

/* Returns the index of the first block at or after `logical`. */
static size_t place_of(const struct content *content, uint64_t logical)
{
    size_t from = 0, to = content->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (content->blocks[middle].logical < logical)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct content_block *content_find(const struct content *content, uint64_t logical)
{
    size_t at = place_of(content, logical);

    return at < content->count && content->blocks[at].logical == logical ? &content->blocks[at] : NULL;
}

static struct content_block *find_or_add(struct content *content, uint64_t logical)
{
    size_t at = place_of(content, logical);
    struct content_block *block;

    if (at < content->count && content->blocks[at].logical == logical)
        return &content->blocks[at];
    if (content->count == content->room) {
        content->room = content->room * 2 + 8;
        content->blocks = realloc(content->blocks, content->room * sizeof(*content->blocks));
        MUST(content->blocks);
    }
    block = &content->blocks[at];
    memmove(block + 1, block, (content->count++ - at) * sizeof(*block));
    block->logical = logical;
    block->bytes = calloc(1, content->block_size);
    MUST(block->bytes);
    return block;
}

void content_write(struct content *content, uint64_t offset, const unsigned char *bytes, size_t length)
{
    if (length != 0 && offset + length > content->size)
        content->size = offset + length;
    while (length != 0) {
        size_t into = (size_t)(offset % content->block_size), left = content->block_size - into;
        size_t part = length < left ? length : left;

        memcpy(find_or_add(content, offset / content->block_size)->bytes + into, bytes, part);
        offset += part;
        bytes += part;
        length -= part;
    }
}

void content_zero(struct content *content, uint64_t offset, uint64_t end)
{
    size_t first = place_of(content, offset / content->block_size), kept = first;

    for (size_t i = first; i < content->count; i++) {
        struct content_block block = content->blocks[i];
        uint64_t start = block.logical * content->block_size, stop = start + content->block_size;

        if (offset <= start && end >= stop) {
            free(block.bytes);
            continue;
        }
        start = offset > start ? offset : start;
        stop = end < stop ? end : stop;
        if (start < stop)
            memset(block.bytes + start % content->block_size, 0, (size_t)(stop - start));
        content->blocks[kept++] = block;
    }
    content->count = kept;
}

void content_resize(struct content *content, uint64_t size)
{
    if (size < content->size)
        content_zero(content, size, UINT64_MAX);
    content->size = size;
}

void content_read(const struct content *content, uint64_t offset, unsigned char *to, size_t length)
{
    while (length != 0) {
        size_t into = (size_t)(offset % content->block_size), left = content->block_size - into;
        size_t part = length < left ? length : left;
        const struct content_block *block = content_find(content, offset / content->block_size);

        if (block)
            memcpy(to, block->bytes + into, part);
        else
            memset(to, 0, part);
        offset += part;
        to += part;
        length -= part;
    }
}
