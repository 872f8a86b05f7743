/* SPDX-License-Identifier: MIT */
/* Inodes of the model as sorted arrays. */
#include "node.h"

#include <stdlib.h>
#include <string.h>

/* Makes room for one more element at `at`, and returns the room, zeroed. */
static void *insert(void **array, size_t *count, size_t at, size_t size)
{
    unsigned char *moved;

    *array = realloc(*array, (*count + 1) * size);
    if (!*array)
        abort();
    moved = (unsigned char *)*array + at * size;
    memmove(moved + size, moved, (*count - at) * size);
    memset(moved, 0, size);
    ++*count;
    return moved;
}

static void erase(void *array, size_t *count, size_t at, size_t size)
{
    unsigned char *moved = (unsigned char *)array + at * size;

    memmove(moved, moved + size, (*count - at - 1) * size);
    --*count;
}

struct node *node_new(void)
{
    struct node *node = calloc(1, sizeof(*node));

    if (!node)
        abort();
    return node;
}

void node_free(struct node *node)
{
    node_drop_blocks(node, 0, UINT64_MAX);
    for (size_t i = 0; i < node->attribute_count; i++)
        free(node->attributes[i].value);
    free(node->blocks);
    free(node->target);
    free(node->entries);
    free(node->attributes);
    free(node);
}

/* ---- blocks ---- */

static size_t block_place(const struct node *node, uint64_t index)
{
    size_t low = 0, high = node->block_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (node->blocks[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t node_next_block(const struct node *node, uint64_t index)
{
    size_t at = block_place(node, index);

    return at < node->block_count ? node->blocks[at].index : UINT64_MAX;
}

struct node_block *node_block(const struct node *node, uint64_t index)
{
    size_t at = block_place(node, index);

    return at < node->block_count && node->blocks[at].index == index ? &node->blocks[at] : NULL;
}

struct node_block *node_add_block(struct node *node, uint64_t index, uint32_t block_size)
{
    struct node_block *block = node_block(node, index);
    void *array = node->blocks;

    if (block)
        return block;
    block = insert(&array, &node->block_count, block_place(node, index), sizeof(*block));
    node->blocks = array;
    block->index = index;
    block->bytes = calloc(1, block_size);
    if (!block->bytes)
        abort();
    return block;
}

void node_drop_blocks(struct node *node, uint64_t first, uint64_t end)
{
    size_t from = block_place(node, first), to = block_place(node, end);

    for (size_t i = from; i < to; i++)
        free(node->blocks[i].bytes);
    if (to > from)
        memmove(&node->blocks[from], &node->blocks[to], (node->block_count - to) * sizeof(node->blocks[0]));
    node->block_count -= to - from;
}

/* Returns the bytes of [at, end) that lie in the block of `at`. */
static size_t in_block(uint64_t at, uint64_t end, uint32_t block_size)
{
    uint64_t left = block_size - at % block_size;

    return (size_t)(end - at < left ? end - at : left);
}

void node_zero(struct node *node, uint64_t from, uint64_t to, uint32_t block_size)
{
    for (size_t i = block_place(node, from / block_size); i < node->block_count; i++) {
        uint64_t start = node->blocks[i].index * block_size, first = from > start ? from : start;

        if (first >= to)
            break;
        memset(node->blocks[i].bytes + (first - start), 0, in_block(first, to, block_size));
    }
}

void node_read(const struct node *node, uint64_t offset, unsigned char *bytes, size_t length, uint32_t block_size)
{
    uint64_t at = offset, end = offset + length;

    for (size_t step; at < end; at += step) {
        const struct node_block *block = node_block(node, at / block_size);

        step = in_block(at, end, block_size);
        if (block)
            memcpy(bytes + (at - offset), block->bytes + at % block_size, step);
        else
            memset(bytes + (at - offset), 0, step);
    }
}

void node_write(struct node *node, uint64_t offset, const unsigned char *bytes, size_t length, uint32_t block_size)
{
    uint64_t at = offset, end = offset + length;

    for (size_t step; at < end; at += step) {
        step = in_block(at, end, block_size);
        memcpy(node_add_block(node, at / block_size, block_size)->bytes + at % block_size, bytes + (at - offset), step);
    }
}

/*
 * Counts changes of the pointer block from each block to the next, per level. Blocks are sorted, so
 * blocks below the same pointer block follow each other.
 */
uint64_t node_pointer_blocks(const struct node *node, uint32_t block_size)
{
    uint64_t p = block_size / 4, count = 0, seen[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    unsigned seen_depth = 0;

    for (size_t i = 0; i < node->block_count; i++) {
        uint64_t index = node->blocks[i].index;
        unsigned depth;

        if (index < EXT2DAX_DIRECT)
            continue;
        index -= EXT2DAX_DIRECT;
        depth = index < p ? 1 : index < p + p * p ? 2 : 3;
        index -= depth == 1 ? 0 : depth == 2 ? p : p + p * p;
        for (unsigned level = 0; level < depth; level++) {
            index /= p;
            count += depth != seen_depth || seen[level] != index;
            seen[level] = index;
        }
        seen_depth = depth;
    }
    return count;
}

/* ---- names ---- */

static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

struct node_entry *node_find(const struct node *directory, const char *name, size_t length)
{
    for (size_t i = 0; i < directory->entry_count; i++) {
        struct node_entry *entry = &directory->entries[i];

        if (entry->length == length && memcmp(entry->name, name, length) == 0)
            return entry;
    }
    return NULL;
}

void node_add_entry(struct node *directory, const char *name, size_t length, struct node *node, uint64_t birth)
{
    void *array = directory->entries;
    struct node_entry *entry;
    size_t at = 0;

    while (at < directory->entry_count &&
           compare(directory->entries[at].name, directory->entries[at].length, name, length) < 0)
        at++;
    entry = insert(&array, &directory->entry_count, at, sizeof(*entry));
    directory->entries = array;
    memcpy(entry->name, name, length);
    entry->length = length;
    entry->node = node;
    entry->birth = birth;
}

void node_drop_entry(struct node *directory, struct node_entry *entry)
{
    erase(directory->entries, &directory->entry_count, (size_t)(entry - directory->entries), sizeof(*entry));
}

/* ---- extended attributes ---- */

struct node_attribute *node_attribute(const struct node *node, const char *name, size_t length)
{
    for (size_t i = 0; i < node->attribute_count; i++) {
        struct node_attribute *attribute = &node->attributes[i];

        if (attribute->length == length && memcmp(attribute->name, name, length) == 0)
            return attribute;
    }
    return NULL;
}

void node_set_attribute(struct node *node, const char *name, size_t length, const unsigned char *value, size_t size)
{
    struct node_attribute *attribute = node_attribute(node, name, length);
    void *array = node->attributes;
    size_t at = 0;

    if (!attribute) {
        while (at < node->attribute_count &&
               compare(node->attributes[at].name, node->attributes[at].length, name, length) < 0)
            at++;
        attribute = insert(&array, &node->attribute_count, at, sizeof(*attribute));
        node->attributes = array;
        memcpy(attribute->name, name, length);
        attribute->length = length;
    }
    free(attribute->value);
    attribute->value = malloc(size + 1);
    if (!attribute->value)
        abort();
    memcpy(attribute->value, value, size);
    attribute->size = size;
}

void node_drop_attribute(struct node *node, struct node_attribute *attribute)
{
    free(attribute->value);
    erase(node->attributes, &node->attribute_count, (size_t)(attribute - node->attributes), sizeof(*attribute));
}
