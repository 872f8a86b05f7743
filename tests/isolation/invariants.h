/* SPDX-License-Identifier: MIT */
/* What has to hold in every state of every schedule, and at every end. What fails is the schedule's finding. */
#ifndef JUDGE_H
#define JUDGE_H

#include <stdint.h>

#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/model.h"

/* Whatever free blocks hold, and what the other file's bytes are: nobody but their owner may ever see them. */
#define FREE    0xA5
#define FOREIGN 0xBB

struct judge {
    struct ext2dax_explorer *explorer;
    const struct ext2dax_memory *memory; /* of at most JUDGE_BLOCKS blocks of 1 KiB */
    struct ext2dax_model *model;
    const uint32_t *others; /* an inode whose mappings may show FOREIGN; NULL: none */
    bool unlinked;          /* an inode without a name may still be mapped */
    bool frozen;            /* nothing may be writable */
    bool hostile;           /* the image was not whole to begin with */
};

#define JUDGE_BLOCKS 256u

/*
 * Threads stand at yield points. The image is one that a crash could have left and e2fsck could mend; what is mapped is a
 * block in use, of the file that shows it, with bytes that nobody else wrote.
 */
void judge_state(const struct judge *judge);

/* All threads are done: the whole image, every counter of it and every mapping. */
void judge_end(const struct judge *judge);

#endif
