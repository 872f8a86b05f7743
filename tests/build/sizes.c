/* SPDX-License-Identifier: MIT */
/*
 * Checks two sizes. An in-core inode is small enough to be embedded in every inode of a kernel, and
 * a lock is a single machine word.
 */
#include <stdio.h>

#include "ext2dax/ext2dax.h"

#define INODE_LIMIT 256

int main(void)
{
    printf("in-core inode: %zu bytes, at most %d\n", sizeof(struct ext2dax_inode), INODE_LIMIT);
    printf("lock: %zu bytes, a pointer: %zu\n", sizeof(struct ext2dax_lock), sizeof(void *));
    return sizeof(struct ext2dax_inode) > INODE_LIMIT || sizeof(struct ext2dax_lock) != sizeof(void *);
}
