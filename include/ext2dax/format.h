/* SPDX-License-Identifier: MIT */
/*
 * The formatter, a mkfs of this library. The same parameters give the same bytes.
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

/* Format options. All zero selects the defaults. */
struct ext2dax_format_options {
    size_t size;         /* sizeof as known to the caller, fields past this size count as 0 */
    uint32_t block_size; /* bytes, a power of two in 1024 … 65536, 0 means 4096 */
    /*
     * A multiple of 8, at most 65528 and at most the number of bits in a bitmap block. 0 selects
     * the largest such multiple of a quarter of the block size, so that a group consists of whole
     * aligned extents.
     */
    uint32_t blocks_per_group;
    /*
     * The least number of inodes, rounded up. 0 selects an inode per 16 KiB of the image, or per 64
     * times the size of an inode if larger, as far as the groups can hold them. A group never has
     * fewer than 16 inodes.
     */
    uint32_t inodes;
    uint32_t reserved_percent; /* of the blocks, reserved for the superuser, 0 … 50 */
    uint8_t uuid[16];          /* all zero selects a fixed UUID of this library */
    char label[16];            /* not necessarily terminated */
    int64_t time;              /* recorded as creation time, seconds, 0 … 2^32 - 1 */
    /*
     * Bytes per inode, a power of two from 128 to the block size, at most 32768. 0 selects 128 if
     * blocks are smaller than 4 KiB, else 256. Only inodes of 256 bytes and more hold nanoseconds,
     * and attributes without a block of their own.
     */
    uint32_t inode_size;
    /* EXT2DAX_COMPAT_DIR_INDEX and EXT2DAX_COMPAT_EXT_ATTR, features the image shall not have. */
    uint32_t without;
    uint32_t root_mode; /* permissions of the root (12 bits), 0 means 0755 */
    uint32_t root_uid;  /* owner of the root */
    uint32_t root_gid;  /* group of the root */
    /* Secret of the directory indexes. All zero selects a seed derived from the UUID. */
    uint8_t hash_seed[16];
};

/*
 * Makes an empty ext2 filesystem (revision 1, sparse_super, filetype, large_file, ext_attr,
 * dir_index, with root and lost+found) over the whole of `memory`, except for a last partial block
 * or a last group too small for its own metadata. With the default inodes the smallest image has 9
 * blocks of 1 KiB, or 7 blocks of any other size.
 *
 * Writes inode tables, bitmaps and directories, and leaves free blocks unchanged. Zeroes known to
 * the memory plug (`next_data`) are not stored, so a new sparse file stays sparse, and old content
 * is discarded where the plug can (`discard`). The magic number is cleared first and written last,
 * each under a fence, so a crash never leaves a half-made filesystem that mounts. The filesystem
 * is durable on return.
 *
 * `options` may be NULL (all defaults). `host` may be NULL and is used only for its log. Takes no
 * lock. May block. Claims the memory for the duration of the call.
 *
 * Returns 0 or a negative errno. After every error except a failure of the memory nothing has
 * changed. After a failure of the memory the image is not a filesystem.
 *
 *   EINVAL      an option out of range, a group too small for its metadata with the given options,
 *               memory without a base or a table or not aligned to 8 bytes, or memory opened by a
 *               parent process
 *   ENOSPC      the memory is too small
 *   EOVERFLOW   more than 2^32 - 1 blocks, or so many groups that their descriptors do not fit a
 *               group
 *   EROFS       read-only memory
 *   EBUSY       the memory is mounted
 *   EIO         the memory holds poison, or a write-back or fence failed
 *
 * The memory plug may return other errors, which are passed on, except those of `usable`.
 */
EXT2DAX_API int ext2dax_format(const struct ext2dax_memory *memory, const struct ext2dax_format_options *options,
                               const struct ext2dax_host *host);

#ifdef __cplusplus
}
#endif
#endif
