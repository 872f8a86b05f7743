/* SPDX-License-Identifier: MIT */
/* The layout of a file as a list of runs, which are extents and holes in file order. */
#include "mapper.h"

#include <stdlib.h>

static bool joins(const struct ext2dax_run *a, const struct ext2dax_run *b)
{
    if (!a->physical || !b->physical)
        return !a->physical && !b->physical;
    return a->physical + a->length == b->physical;
}

int runs_collect(struct runs *runs, struct ext2dax_inode *inode, uint64_t first, uint64_t end)
{
    runs->list = NULL;
    runs->count = 0;
    runs->room = 0;
    while (first < end) {
        struct ext2dax_run run;
        int error = ext2dax_map(inode, first, end - first, &run);
        if (error)
            return error;
        first = run.logical + run.length;
        if (runs->count && joins(&runs->list[runs->count - 1], &run)) {
            runs->list[runs->count - 1].length += run.length;
            continue;
        }
        if (runs->count == runs->room) {
            size_t room = runs->room ? runs->room * 2 : 64;
            struct ext2dax_run *list = realloc(runs->list, room * sizeof(*list));
            if (!list)
                return -EXT2DAX_ENOMEM;
            runs->list = list;
            runs->room = room;
        }
        runs->list[runs->count++] = run;
    }
    return 0;
}

void runs_free(struct runs *runs)
{
    free(runs->list);
    runs->list = NULL;
    runs->count = 0;
}
