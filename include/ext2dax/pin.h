/* SPDX-License-Identifier: MIT */
/*
 * Pins, direct pointers into a file for DMA or long use. While a block is pinned, a call that would
 * free the block fails with EBUSY and changes nothing. Pins cover whole blocks.
 */
#ifndef EXT2DAX_PIN_H
#define EXT2DAX_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pin, in the storage of the caller until unpin. The members belong to the core. */
struct ext2dax_pin {
    struct ext2dax_inode *inode; /* the pin holds a reference */
    struct ext2dax_pin *next;    /* next pin of the inode */
    uint64_t first;              /* first block in the file */
    uint64_t count;              /* blocks */
    bool writable;               /* stores through the pointers are allowed */
};

/*
 * Pins the blocks that hold [offset, offset + length). The range must end at or below ceil(size /
 * block size) blocks.
 *
 * A read-only pin requires every block to exist. A writable pin fills holes with zeroed blocks
 * first, keeps its PMD ranges dirty for its whole life, and makes freeze and remount read-only fail
 * with EBUSY. A pin takes a reference to the inode, so an unlinked file lives until unpin. Truncate
 * and punch fail with EBUSY where a pin covers a block they would free. Punch still zeroes bytes of
 * a pinned block at the edges of its range.
 *
 * Pinning does not change the times, and does not check the blocks for poison. A file that becomes
 * immutable or append-only keeps the writable pins already taken.
 *
 * A read-only pin takes dax_sem shared, range locks, and the fs and cache locks (in a build without
 * faults also the io lock shared), and may be taken under the address-space lock. A writable pin
 * also takes freeze_write shared (and so waits while frozen) and the truncate lock, and must not be
 * taken under the address-space lock. Both may block.
 *
 * Returns 0 or a negative errno. After a failure nothing is pinned. Holes already filled by a
 * writable pin stay filled with zeroes.
 *
 *   EINVAL       not a regular file, `length` is 0, the range passes the end, or a mount of a
 *                parent process (the error of `usable` is passed on)
 *   EOVERFLOW    offset + length overflows
 *   ENXIO        read-only, the range has a hole
 *   EROFS        writable, mounted read-only
 *   EPERM        writable, an immutable or append-only file
 *   ENOSPC       writable, no free block, or only reserved blocks that the caller may not use
 *   EFBIG        writable, i_blocks would overflow
 *   EOPNOTSUPP   writable, a hole in a file whose i_blocks count uses the huge_file feature
 *   EIO          a pointer block or a bitmap holds poison, or writable, a write-back or fence
 *                failed, now or earlier on this mount
 *   EUCLEAN      an impossible pointer, more blocks than the image has, or a bad bitmap
 *   EAGAIN       writable, the hole was filled by another file, possible only if two files share a
 *                pointer block (corruption)
 */
EXT2DAX_API int ext2dax_pin(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool writable,
                            struct ext2dax_pin *pin);

/*
 * Returns in *pointer the memory of the byte `offset` of the file, and in *length the number of
 * bytes from there on that are contiguous in memory and pinned.
 *
 * The pin has block granularity. `offset` may be any byte of the pinned blocks, and *length reaches
 * to the end of the last contiguous pinned block, even past the range given to ext2dax_pin() and
 * past the end of the file. Bytes stored past the end of the file are zeroed when the file grows. A
 * pinned range may need several calls, since its blocks need not be contiguous.
 *
 * Takes no lock, because the pin itself keeps the pointers in place. Never blocks. Returns 0 or a
 * negative errno
 *
 *   EINVAL    `offset` is not in a pinned block
 *   EUCLEAN   the block is no longer in the tree, or a pointer is impossible, as in an image that
 *             gives a pointer block to two owners
 *   EIO       a pointer block holds poison
 */
EXT2DAX_API int ext2dax_pin_pointer(const struct ext2dax_pin *pin, uint64_t offset, void **pointer, size_t *length);

/*
 * Releases the pin and its reference. Stores through a writable pin become durable with the next
 * fsync or sync, or with the last put of the inode. May be the last put, see ext2dax_inode_put().
 * May be called under the address-space lock. May block. Cannot fail. Does nothing in a child
 * process of the process that mounted.
 */
EXT2DAX_API void ext2dax_unpin(struct ext2dax_pin *pin);

#ifdef __cplusplus
}
#endif
#endif
