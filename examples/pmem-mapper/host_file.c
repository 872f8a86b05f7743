/* SPDX-License-Identifier: MIT */
/*
 * The data of a host file, by SEEK_DATA and SEEK_HOLE, and the number of blocks of an image that a
 * copy of the data takes.
 */
#include "mapper.h"

#include <errno.h>
#include <unistd.h>

bool host_data(int descriptor, uint64_t size, uint64_t *from, uint64_t *to)
{
    errno = 0;
    if (*from >= size)
        return false;
    off_t data = lseek(descriptor, (off_t)*from, SEEK_DATA);
    if (data < 0 && errno == EINVAL) {
        /* The filesystem does not support holes. */
        errno = 0;
        *to = size;
        return true;
    }
    if (data < 0) {
        if (errno == ENXIO)
            errno = 0;
        return false;
    }
    off_t hole = lseek(descriptor, data, SEEK_HOLE);
    if (hole < 0)
        return false;
    *from = (uint64_t)data;
    *to = (uint64_t)hole < size ? (uint64_t)hole : size;
    return *from < *to;
}

/*
 * Counts the blocks of a single level of the block tree needed by a run and not counted before.
 * A block of the level covers `span` file blocks, beginning at file block `start`. *next is the
 * first block of the level not counted yet.
 */
static uint64_t pointers_of(uint64_t first, uint64_t last, uint64_t start, uint64_t span, uint64_t *next)
{
    if (last < start)
        return 0;
    uint64_t low = first < start ? 0 : (first - start) / span;
    uint64_t high = (last - start) / span;
    low = low < *next ? *next : low;
    if (high < low)
        return 0;
    *next = high + 1;
    return high - low + 1;
}

int host_blocks(int descriptor, uint64_t size, uint64_t block, uint64_t *needed, uint64_t *bytes)
{
    uint64_t p = block / 4, from = 0, to;
    uint64_t next[4] = {0, 0, 0, 0};

    *needed = 0;
    *bytes = 0;
    while (host_data(descriptor, size, &from, &to)) {
        uint64_t first = from / block, last = (to - 1) / block;
        *needed += pointers_of(first, last, 0, 1, &next[0]);
        *needed += pointers_of(first, last, EXT2DAX_DIRECT, p, &next[1]);
        *needed += pointers_of(first, last, EXT2DAX_DIRECT + p, p * p, &next[2]);
        *needed += pointers_of(first, last, EXT2DAX_DIRECT + p + p * p, p * p * p, &next[3]);
        *bytes += to - from;
        from = to;
    }
    return errno;
}
