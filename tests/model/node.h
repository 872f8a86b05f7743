/* SPDX-License-Identifier: MIT */
/*
 * Inodes of the model. An inode has attributes, blocks with holes, names sorted by bytes if a
 * directory, and extended attributes. Plain arrays, searched from the start, because the model
 * shall be obviously right.
 */
#ifndef TESTS_MODEL_NODE_H
#define TESTS_MODEL_NODE_H

#include "ext2dax/ext2dax.h"

#include "call.h"

/* A block of a file. A file has a hole where no block has the index. */
struct node_block {
    uint64_t index;
    unsigned char *bytes;
};

struct node_entry {
    char name[NAME_ROOM];
    size_t length;
    struct node *node;
    uint64_t birth; /* number of the entry, never used again */
};

struct node_attribute {
    char name[NAME_ROOM];
    size_t length;
    unsigned char *value;
    size_t size;
};

struct node {
    struct node *next; /* in the list of all inodes */
    unsigned holds;    /* slots */
    uint32_t number;   /* 0 until the first stat */
    uint32_t links;
    uint16_t mode;
    uint32_t uid, gid, flags;
    uint32_t major, minor;
    struct ext2dax_time mtime, ctime, atime, created;
    bool is_large;     /* has room for nanoseconds and the time of creation */
    bool is_new_image; /* made by mke2fs. The first stat returns attributes and times. */

    uint64_t size; /* of a directory as returned by the last stat */
    uint64_t sectors;
    struct node_block *blocks; /* sorted by index */
    size_t block_count;
    char *target;

    struct node *parent;
    struct node_entry *entries; /* sorted by name, without "." and ".." */
    size_t entry_count;

    struct node_attribute *attributes; /* sorted by name */
    size_t attribute_count;
};

static inline bool node_is(const struct node *node, unsigned type)
{
    return (node->mode & EXT2DAX_S_IFMT) == type;
}

struct node *node_new(void);
void node_free(struct node *node);

/* ---- blocks ---- */

struct node_block *node_block(const struct node *node, uint64_t index);
/* Returns the block, after adding a zeroed block where the file has a hole. */
struct node_block *node_add_block(struct node *node, uint64_t index, uint32_t block_size);
/* Removes the blocks [first, end). */
void node_drop_blocks(struct node *node, uint64_t first, uint64_t end);
/* Returns the index of the first block at or after `index`, or UINT64_MAX. */
uint64_t node_next_block(const struct node *node, uint64_t index);
/* Zeroes the bytes [from, to) of the blocks that exist. */
void node_zero(struct node *node, uint64_t from, uint64_t to, uint32_t block_size);
void node_read(const struct node *node, uint64_t offset, unsigned char *bytes, size_t length, uint32_t block_size);
void node_write(struct node *node, uint64_t offset, const unsigned char *bytes, size_t length, uint32_t block_size);
/* Returns the pointer blocks needed by the blocks of a file, none of which is empty. */
uint64_t node_pointer_blocks(const struct node *node, uint32_t block_size);

/* ---- names ---- */

struct node_entry *node_find(const struct node *directory, const char *name, size_t length);
void node_add_entry(struct node *directory, const char *name, size_t length, struct node *node, uint64_t birth);
void node_drop_entry(struct node *directory, struct node_entry *entry);

/* ---- extended attributes ---- */

struct node_attribute *node_attribute(const struct node *node, const char *name, size_t length);
void node_set_attribute(struct node *node, const char *name, size_t length, const unsigned char *value, size_t size);
void node_drop_attribute(struct node *node, struct node_attribute *attribute);

#endif
