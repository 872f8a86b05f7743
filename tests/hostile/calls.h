/* SPDX-License-Identifier: MIT */
/*
 * Every public call that reaches a plug, as a row of a table. A row prepares a state, makes the
 * call, and says which traces a failure may leave.
 */
#ifndef TESTS_HOSTILE_CALLS_H
#define TESTS_HOSTILE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/model.h"

#include "../fuzz/tree.h"

/* Results of faults which are no errors of a call. */
#define RESULT_FALLBACK (-1001)
#define RESULT_RETRY    (-1002)

/* Traces that a failed call may leave. */
#define PARTIAL  0x1u /* a part of the effect, or a short count */
#define LEAKS    0x2u /* blocks marked used by nobody, where the call cannot return an error */
#define UNMOUNTS 0x4u /* the call itself mounts or unmounts, or needs no mount */
#define CRASHED  0x8u /* the image at the start is not clean */
/* After a failed store, both names of a rename, or zeroes in place of removed bytes. */
#define HALFWAY 0x10u
#define MAKES   0x20u /* a new inode, which cannot be given back where no bitmap can be read */
#define READS   0x40u /* goes on in a child process, which owns no part of the mount */

struct call {
    const char *title;
    const char *function;  /* the public function */
    void (*prepare)(void); /* NULL for nothing */
    int64_t (*run)(void);
    unsigned traces;
};

extern const struct call calls[];
extern const unsigned calls_count;

/* The state of a round. Handles that are not NULL are given back by the end of the round. */
struct round {
    const struct tree *tree;
    unsigned char *base;
    size_t size;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *inode, *other, *directory, *made;
    struct ext2dax_model_map *map;
    struct ext2dax_pin pin;
    bool pinned, frozen;
    unsigned mount_flags;
};
extern struct round round_now;

/* Mounts the image of the round. Returns the result of the mount. */
int round_mount(unsigned flags);
/* Gives back every handle except the mount. */
void round_release(void);

#endif
