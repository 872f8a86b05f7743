/* SPDX-License-Identifier: MIT */
/* The tree of the operations on names (name_operations.h), and hashes of results and the tree. */
#ifndef NAME_TREE_H
#define NAME_TREE_H

#include "pair.h"

/* The inodes held while the threads run. */
struct name_tree {
    struct ext2dax_inode *a, *b, *sub, *x, *g;
    struct ext2dax_inode *d; /* after start_chain(), else NULL */
    uint32_t number_of_x;
    bool victim_put; /* the last put of the other file is done */
};
extern struct name_tree tree;

uint64_t mix(uint64_t hash, uint64_t value);
uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t length);
/* Returns an error or a length as a result. */
uint64_t result_of(int64_t rc);

#define ENTRIES_MAX 16u

/* The short names of a directory. */
struct listing {
    unsigned count;
    struct {
        char name[8];
        size_t length;
        uint32_t number;
        uint8_t type;
    } entry[ENTRIES_MAX];
};
/* A callback of ext2dax_readdir() which adds a short name to the listing `arg`. */
int list_entry(void *arg, const struct ext2dax_entry *entry);

#endif
