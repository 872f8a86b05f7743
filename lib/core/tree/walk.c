/* SPDX-License-Identifier: MIT */
/*
 * Walk over a block tree without recursion. The only state is the list of pointer blocks being
 * read, with the index in each.
 */
#include "tree/walk.h"

#include "tree/block_path.h"
#include "base/persist.h"

/*
 * Walks all blocks below a pointer of the inode. The pointer leads to `depth` levels of pointer
 * blocks. `first` is the first logical block.
 */
static int below(struct ext2dax_mount *m, uint32_t top, unsigned depth, uint64_t first, e2d_visit visit, void *arg)
{
    const struct ext2dax_le32 *level[E2D_DEPTH_MAX];
    uint32_t index[E2D_DEPTH_MAX];
    uint32_t block = top;
    uint64_t logical = first;
    unsigned at = 0; /* pointer blocks being read */

    for (;;) {
        int answer = block ? visit(arg, block, logical, depth - at) : 0;

        if (answer < 0)
            return answer;
        if (answer > 0 && at < depth) {
            level[at] = e2d_block(m, block);
            answer = e2d_check(m, level[at], m->block_size);
            if (answer != 0)
                return answer;
            index[at++] = 0;
        } else {
            /* Next pointer of the lowest level which has another pointer. */
            while (at > 0 && ++index[at - 1] == m->pointers)
                at--;
            if (at == 0)
                return 0;
        }
        block = e2d_get32(level[at - 1][index[at - 1]]);
        logical = first;
        for (unsigned i = 0; i < at; i++)
            logical += (uint64_t)index[i] << ((depth - 1 - i) * m->pointer_shift);
    }
}

int e2d_walk_tree(struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode, e2d_visit visit, void *arg)
{
    uint64_t first = 0;
    int answer = 0;

    for (uint32_t slot = 0; slot < EXT2DAX_SLOTS && answer == 0; slot++) {
        unsigned depth = slot < EXT2DAX_IND ? 0 : slot - EXT2DAX_IND + 1;

        if (e2d_get32(inode->block[slot]) != 0)
            answer = below(m, e2d_get32(inode->block[slot]), depth, first, visit, arg);
        first += e2d_path_span(m, depth);
    }
    return answer;
}
