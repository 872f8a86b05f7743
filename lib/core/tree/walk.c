/* SPDX-License-Identifier: MIT */
/*
 * A block tree walked without recursion: the pointer blocks entered, and how far each has been read, are all its state.
 */
#include "descend.h"

#include "path.h"
#include "persist.h"

/* Everything below one pointer of the inode: `depth` levels of pointer blocks, the file's blocks from `first` on. */
static int below(struct ext2dax_mount *m, uint32_t top, unsigned depth, uint64_t first, e2d_visit visit, void *arg)
{
    const struct ext2dax_le32 *level[E2D_DEPTH_MAX];
    uint32_t index[E2D_DEPTH_MAX];
    uint32_t block = top;
    uint64_t logical = first;
    unsigned at = 0; /* levels entered */

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
            /* The next pointer of the lowest level that has one. */
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

int e2d_descend(struct ext2dax_mount *m, const struct ext2dax_disk_inode *inode, e2d_visit visit, void *arg)
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
