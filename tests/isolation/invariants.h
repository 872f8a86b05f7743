/* SPDX-License-Identifier: MIT */
/*
 * Invariants of every state of every schedule, and of every end. A violation is the schedule's
 * finding.
 */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include <stdint.h>

#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/model.h"

/*
 * Fill bytes of free blocks and of the other file. Only the owner of a block may ever read its
 * bytes.
 */
#define FREE    0xA5
#define FOREIGN 0xBB

struct invariants {
    struct ext2dax_explorer *explorer;
    const struct ext2dax_memory *memory; /* of at most INVARIANTS_BLOCKS blocks of 1 KiB */
    struct ext2dax_model *model;
    const uint32_t *others; /* an inode with mappings allowed to contain FOREIGN, NULL for none */
    bool unlinked;          /* an inode without a name may still be mapped */
    bool frozen;            /* no page may be writable */
    bool hostile;           /* the image was invalid from the start */
    bool leaked;            /* a failure may have left blocks or inodes to recovery */
};

#define INVARIANTS_BLOCKS 256u

/*
 * Checks a state with all threads at yield points. The image must be a possible result of a crash,
 * repairable by e2fsck. Each mapped block must be in use, belong to the mapped file, and hold no
 * bytes of another file.
 */
void invariants_check_state(const struct invariants *invariants);

/* Checks the whole image, all its counters and all mappings after all threads are done. */
void invariants_check_end(const struct invariants *invariants);

#endif
