/* SPDX-License-Identifier: MIT */
/*
 * Making an image: an own mkfs. The same parameters give the same bytes.
 */
#ifndef EXT2DAX_FORMAT_H
#define EXT2DAX_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "host.h"
#include "memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All-zero is a good default. */
struct ext2dax_format_options {
    size_t size;               /* sizeof of whoever filled it; what lies past it counts as zero */
    uint32_t block_size;       /* bytes, 1024 … 65536; 0: 4096 */
    uint32_t blocks_per_group; /* a multiple of 8, at most as many as a bitmap block has bits, and 65528; 0: the most of
                                  these that can be huge pages throughout, a multiple of a quarter of the block size */
    uint32_t inodes;           /* at least; 0: one for every 16 KiB of the image, as far as its groups can hold them.
                                  Never less than 16 a group. */
    uint32_t reserved_percent; /* of the blocks, for the superuser; 0 … 50 */
    uint8_t uuid[16];          /* all zero: a fixed value of this library's */
    char label[16];            /* not necessarily terminated */
    int64_t time;              /* recorded as the time of making: seconds, 0 … 2^32 - 1 */
};

/*
 * Makes an empty ext2 filesystem (revision 1, sparse_super, filetype, large_file; root and lost+found) over the whole
 * of `memory` less a last partial block or a last group too small to hold its own metadata. Inode tables, bitmaps and
 * directories are written, free blocks are not touched. Durable when it returns. The smallest image has 9 blocks of
 * 1 KiB, or 7 of any other size. Inodes have 128 bytes with blocks of less than 4 KiB, else 256.
 *
 * EINVAL: an option out of range, memory without a base or a table; ENOSPC: too small an image; EOVERFLOW: more than
 * 2^32 - 1 blocks, or so many groups that their descriptors do not fit one; EROFS: read-only memory: nothing was changed.
 * EIO: the image is not a filesystem. `options` (all defaults) and `host` (used for its log alone) may be NULL.
 */
EXT2DAX_API int ext2dax_format(const struct ext2dax_memory *memory, const struct ext2dax_format_options *options,
                               const struct ext2dax_host *host);

#ifdef __cplusplus
}
#endif
#endif
