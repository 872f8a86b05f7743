/* SPDX-License-Identifier: MIT */
/*
 * Small valid images for fuzzers to damage, with every kind of object. The images contain files of
 * every tree depth, holes, a directory of two blocks, symbolic links of both kinds, a device, an
 * extended attribute block shared by two inodes, and a file with an aligned extent.
 */
#ifndef TESTS_FUZZ_TREE_H
#define TESTS_FUZZ_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#define TREES           5u
#define TREE_LIST       32u
#define TREE_INODES_MAX 64u

struct tree {
    uint32_t block_size, blocks, blocks_per_group, inodes;
    unsigned page_shift, huge_order;
    enum ext2dax_order order;

    /* filled by tree_make() */
    unsigned char *image;
    size_t size;
    unsigned pointer_blocks, entry_blocks;
    uint32_t pointer_block[TREE_LIST], entry_block[TREE_LIST];
};

/* The host of a deterministic program, defined by the program. */
struct ext2dax_host fuzz_host(void);

/* Returns the tree, made at the first call. Ends the program on failure. */
const struct tree *tree_get(unsigned number);

/* Return positions in the tree's image, in bytes. */
size_t tree_descriptors(const struct tree *tree);
size_t tree_inode(const struct tree *tree, uint32_t number);
uint32_t tree_groups(const struct tree *tree);
/* Returns a block, of the block bitmap for `which` 0 and the inode bitmap for 1. */
uint32_t tree_bitmap(const struct tree *tree, uint32_t group, unsigned which);
uint32_t tree_inodes(const struct tree *tree);

/* Prints the failure with its location, and ends the program. */
_Noreturn void fuzz_fail(const char *file, int line, const char *what);
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fuzz_fail(__FILE__, __LINE__, #condition);                                                                 \
    } while (0)

#endif
