/* SPDX-License-Identifier: MIT */
/*
 * Blocks and bytes of a file. Offsets and lengths are bytes, unless a declaration says blocks.
 *
 * Locks. Every call except fsync and fsync_range takes the io lock of the inode, so none of these
 * may be called under the address-space lock or with a lock of the core held. Calls that modify
 * also hold freeze_write shared and so wait while the filesystem is frozen. Every call may block.
 *
 * Buffers. The buffer of a read or write may be a mapping of the same file. If the buffer maps some
 * of the very bytes being moved (a mapping reported by `aliases` of the address space, as in
 * hosted/process.h, or the memory of a pin), the bytes are moved as if through a copy made first.
 * The copy takes `length` bytes of memory from the host. Without this memory the call fails with
 * ENOMEM and changes nothing.
 *
 * Durability. On an ordered mount a call that returns has made durable every block, size and
 * pointer added or removed by the call, and the bytes written to new blocks. Bytes written over
 * existing blocks, and times, become durable with the next fsync or sync. On an unordered mount
 * nothing is durable before fsync or sync. No call of this library changes the access time of an
 * existing file.
 *
 * Read-only mounts. Modifying calls return EROFS from the return of ext2dax_remount() on. Modifying
 * calls on a mount with a failed write-back return EIO.
 */
#ifndef EXT2DAX_FILE_H
#define EXT2DAX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A run of blocks of a file. */
struct ext2dax_run {
    uint64_t logical;  /* first block in the file */
    uint64_t physical; /* first block in the image, 0 for a hole */
    uint64_t length;   /* blocks, at least 1 */
};

/*
 * Finds the run that begins at block `logical`, at most `max` blocks long. The run is a range of
 * contiguous blocks, or a hole with its length, across any number of pointer blocks. Blocks past
 * the end of the file are a hole. Works on regular files and directories. Changes nothing.
 *
 * Takes the io lock shared. Returns 0 or a negative errno
 *
 *   EINVAL    `max` is 0, or neither a regular file nor a directory
 *   EFBIG     `logical` is past the reach of the block tree
 *   EUCLEAN   an impossible pointer, named in the log
 *   EIO       a pointer block holds poison
 */
EXT2DAX_API int ext2dax_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run);

/*
 * Remembers the run found by the last ext2dax_map_block(). In storage of the caller, who zeroes the
 * hint before the first use. A hint may be used with any inode of a mount, and for blocks in any
 * order. Every use checks the hint, so the caller need not know of truncates, and may release and
 * get inodes between two uses. A hint ends with the mount. Only a single thread may use a hint at a
 * time. All members belong to the core.
 */
struct ext2dax_map_hint {
    const struct ext2dax_inode *inode; /* NULL in an empty hint */
    struct ext2dax_run run;            /* the blocks known */
    uint64_t removals;                 /* of the inode when the run was found */
};

/*
 * Returns the block of the image that backs block `logical` of a file, or 0 for a hole. As
 * ext2dax_map() with a `max` of 1, for callers which look up block after block. A block known by
 * the hint needs no lookup and no lock. The answer is the block of the file at some time during the
 * call. Changes nothing but *hint.
 *
 * Takes the io lock shared for a block unknown to the hint. Errors
 *
 *   EINVAL    neither a regular file nor a directory
 *   EFBIG     `logical` is past the reach of the block tree
 *   EUCLEAN   an impossible pointer, named in the log
 *   EIO       a pointer block holds poison
 */
EXT2DAX_API int64_t ext2dax_map_block(struct ext2dax_inode *inode, uint64_t logical, struct ext2dax_map_hint *hint);

/*
 * Reads bytes. Returns the number of bytes read, 0 at or past the end of the file. The number is
 * short at the end of the file, where the buffer is not accessible, or where a later block fails.
 * Returns an error only if not a single byte was read. Never changes the access time.
 *
 * Takes the io lock shared. Does not wait for a thaw. Errors
 *
 *   EISDIR      a directory
 *   EINVAL      not a regular file
 *   EOVERFLOW   offset + length overflows, or `length` is more than 2^63 - 1
 *   EFAULT      the buffer is not accessible
 *   ENOMEM      the buffer maps the bytes to read, and the host has no memory for a copy
 *   EIO         the block, or a pointer block on the way, holds poison
 *   EUCLEAN     an impossible pointer, named in the log
 */
EXT2DAX_API int64_t ext2dax_read(struct ext2dax_inode *inode, uint64_t offset, void *buffer, size_t length);

/*
 * Writes bytes, fills holes and extends the file. Returns the number of bytes written. The number
 * is short after an error, where the buffer is not accessible, or at the largest size of a file.
 * Returns an error only if not a single byte was written, or if the fsync of a file with the flag
 * EXT2DAX_FL_SYNC failed. Bytes counted as written are in the file.
 * No byte after them has changed, except after EIO, where the step that failed may be in the file.
 * A write of 0 bytes checks only the kind of file, the mount and the immutable flag, returns 0 at
 * any offset, and changes nothing.
 *
 * After a failure the size is the larger of the old size and the end of the bytes written. If the
 * trimming fails, the size stays larger, and the bytes after the written bytes are zeroes, never
 * stale data.
 *
 * On an ordered mount the size, the pointers and the bytes in new blocks are durable on return.
 * Bytes over existing blocks are not durable before ext2dax_fsync(). Bytes appended inside the old
 * last block are durable only if the same write continues into a new block. After a crash, bytes
 * not durable may be old or new, and past the old size zero or new. A file with the flag
 * EXT2DAX_FL_SYNC ends each write and each ext2dax_zero_range() with ext2dax_fsync_range() of the
 * changed bytes, also on an unordered mount.
 *
 * Takes freeze_write shared, the io lock exclusively, dax_sem exclusively (to zero the old last
 * block, or to free blocks past the end), range locks and the truncate lock. Errors
 *
 *   EOVERFLOW    offset + length overflows, or `length` is more than 2^63 - 1
 *   EISDIR       a directory
 *   EINVAL       not a regular file, or a mount of a parent process (the error of `usable` is
 *                passed on)
 *   EROFS        mounted read-only
 *   EPERM        an immutable file, or an append-only file and `offset` is not its end
 *   EOPNOTSUPP   the i_blocks count of the file uses the huge_file feature
 *   EFBIG        begins at or past the largest size, or i_blocks would overflow
 *   ENOSPC       no free block, or only reserved blocks that the caller may not use
 *   EFAULT       the buffer is not accessible
 *   ENOMEM       the host has no memory for a copy of the buffer, or to free a block past the end
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 *   EUCLEAN      an impossible pointer, a block past the end of the file, or a bad bitmap
 */
EXT2DAX_API int64_t ext2dax_write(struct ext2dax_inode *inode, uint64_t offset, const void *buffer, size_t length);

/* The target of ext2dax_seek(). */
enum ext2dax_whence {
    EXT2DAX_SEEK_DATA, /* a block */
    EXT2DAX_SEEK_HOLE  /* a hole, or the end of the file */
};

/*
 * Returns the first offset at or after `offset` that lies in a block, or in a hole. The end of the
 * file counts as a hole.
 *
 * Takes the io lock shared. Errors
 *
 *   EINVAL    not a regular file, or an unknown `whence`
 *   ENXIO     `offset` is at or past the end, or no data follows
 *   EUCLEAN   an impossible pointer, named in the log
 *   EIO       a pointer block holds poison
 */
EXT2DAX_API int64_t ext2dax_seek(struct ext2dax_inode *inode, uint64_t offset, enum ext2dax_whence whence);

/*
 * Sets the size of a file.
 *
 * Smaller. Removes the page-table entries of every page past the new end from every mapping,
 * private copies included, and frees every block past the new end. The rest of the last block is
 * zeroed. A private copy of the page that holds the new end stays unchanged.
 *
 * Equal. Frees blocks past the end, if another driver left any. Otherwise changes nothing, times
 * included.
 *
 * Larger. Adds a hole, which reads as zeroes. A block left exactly at the end by another driver is
 * freed first, as in every call that extends a file. Private copies stay.
 *
 * On an ordered mount the size and the freed blocks are durable on return. Takes freeze_write
 * shared, the io lock exclusively, dax_sem exclusively and the truncate lock. Returns 0 or a
 * negative errno. The file is unchanged after every error except EIO of a failed write-back or
 * fence. After such an EIO the size in core may be the new size, the image may hold either size,
 * and blocks may be lost until recovery or e2fsck.
 *
 *   EISDIR       a directory
 *   EINVAL       not a regular file, or a mount of a parent process (the error of `usable` is
 *                passed on)
 *   EROFS        mounted read-only
 *   EPERM        an immutable or append-only file
 *   EOPNOTSUPP   the i_blocks count of the file uses the huge_file feature
 *   EFBIG        past the largest size
 *   EBUSY        a pin covers a block past the new end
 *   ENOMEM       the host has no memory for the list of blocks to free
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 *   EUCLEAN      an impossible pointer, a block marked free, a bad bitmap, or a block past the end
 *                of a growing file
 */
EXT2DAX_API int ext2dax_truncate(struct ext2dax_inode *inode, uint64_t size);

/*
 * Backs [offset, offset + length) with zeroed blocks, whole aligned extents first, and extends the
 * file to cover the range. Existing blocks keep their bytes. An append-only file is allowed.
 *
 * On an ordered mount blocks and size are durable on return. Takes freeze_write shared, the io lock
 * exclusively, dax_sem exclusively (to extend the file, or to free blocks past the end), range
 * locks and the truncate lock. Returns 0 or a negative errno. After a failure, blocks already
 * allocated stay, and the size covers these blocks.
 *
 *   EINVAL       `length` is 0, not a regular file, or a mount of a parent process (the error of
 *                `usable` is passed on)
 *   EOVERFLOW    offset + length overflows
 *   EISDIR       a directory
 *   EROFS        mounted read-only
 *   EPERM        an immutable file
 *   EOPNOTSUPP   `keep_size` with a range past the end of the file, impossible in ext2. Also a file
 *                whose i_blocks count uses the huge_file feature
 *   EFBIG        the range passes the largest size (nothing was allocated), or i_blocks would
 *                overflow
 *   ENOSPC       no free block, or only reserved blocks that the caller may not use
 *   ENOMEM       the host has no memory to free a block past the end
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 *   EUCLEAN      an impossible pointer, a block past the end of the file, or a bad bitmap
 */
EXT2DAX_API int ext2dax_allocate(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool keep_size);

/*
 * Makes [offset, offset + length) read as zeroes and frees the blocks that lie wholly in the range.
 * The size stays. A range that reaches the end of the file frees the last block as well, even if
 * the range ends inside this block, since no byte after the end needs to be kept. A range is
 * clipped to the end of the file, and a range past the end changes nothing.
 *
 * Removes the page-table entries of the freed blocks from every mapping. Bytes of the blocks at
 * both edges are zeroed in place, pinned or not, and shared mappings see the zeroes. Private copies
 * stay, in the whole range.
 *
 * On an ordered mount the zeroes and the freed blocks are durable on return. Takes freeze_write
 * shared, the io lock exclusively, dax_sem exclusively and the truncate lock. Returns 0 or a
 * negative errno. The file is unchanged after every error except EIO of a failed write-back or
 * fence. After such an EIO the range reads as zeroes in memory, and blocks may be lost until
 * recovery or e2fsck.
 *
 *   EINVAL       `length` is 0, not a regular file, or a mount of a parent process (the error of
 *                `usable` is passed on)
 *   EOVERFLOW    offset + length overflows
 *   EISDIR       a directory
 *   EROFS        mounted read-only
 *   EPERM        an immutable or append-only file
 *   EOPNOTSUPP   the i_blocks count of the file uses the huge_file feature
 *   EBUSY        a pin covers a block that would be freed
 *   ENOMEM       the host has no memory for the list of blocks to free
 *   EIO          a write-back or fence failed, now or earlier on this mount, or metadata holds
 *                poison
 *   EUCLEAN      an impossible pointer, a block marked free, or a bad bitmap
 */
EXT2DAX_API int ext2dax_punch(struct ext2dax_inode *inode, uint64_t offset, uint64_t length);

/*
 * Makes [offset, offset + length) read as zeroes without freeing a block, as fallocate() of Linux
 * does with FALLOC_FL_ZERO_RANGE and FALLOC_FL_KEEP_SIZE, as far as ext2 can. Existing blocks are
 * zeroed in place and stay. A hole stays a hole, because ext2 has no allocated block that reads as
 * zeroes without being zeroed. For blocks in the holes call ext2dax_allocate(). The size stays. A
 * range is clipped to the end of the file, and a range past the end changes nothing.
 *
 * Mappings. No page-table entry changes. Shared mappings and pages without a private copy see the
 * zeroes, private copies stay. The whole range is zeroed in a single hold of dax_sem, so a fault
 * finds either none of the range zeroed, or all of it. An access to a page already present is not
 * held back, and may see a part of the range zeroed while the call runs. A store to the range
 * during the call may be zeroed or stay, as with a concurrent write.
 *
 * Pins. A pin of the range, read-only or writable, does not prevent the call and sees the zeroes.
 * Only calls that would free a pinned block return EBUSY, and the blocks stay here.
 *
 * Durability is as for a write over existing blocks. The zeroes become durable with the next
 * fsync, fsync_range or sync. After a crash before then, each aligned word of 8 bytes is old or
 * zero. The call takes no fence.
 *
 * Blocks for the time of zeroing. Every fault on the file waits for as long, so divide a large
 * range into parts where this matters. Takes freeze_write shared, the io lock exclusively, dax_sem
 * exclusively and range locks. Needs no memory from the host. Returns 0 or a negative errno. All
 * pointers of the range are checked first, so the file is unchanged after an error. Only a pointer
 * block that becomes unreadable during the call leaves a part of the range zeroed.
 *
 *   EINVAL       `length` is 0, not a regular file, or a mount of a parent process (the error of
 *                `usable` is passed on)
 *   EOVERFLOW    offset + length overflows
 *   EISDIR       a directory
 *   EROFS        mounted read-only
 *   EPERM        an immutable or append-only file
 *   EOPNOTSUPP   the i_blocks count of the file uses the huge_file feature
 *   EIO          a write-back or fence has failed earlier on this mount, or a pointer block holds
 *                poison
 *   EUCLEAN      an impossible pointer, named in the log
 */
EXT2DAX_API int ext2dax_zero_range(struct ext2dax_inode *inode, uint64_t offset, uint64_t length);

/*
 * Makes durable every store made to the file before the call, through mappings too. Write-protects
 * shared mappings, writes back, and clears the dirty marks, per PMD range. The times of the file
 * become durable as well.
 *
 * Names. No fsync of the directory is needed. On an ordered mount the name, the link count and the
 * size of a file are durable when the call that made the change returns. On an unordered mount
 * fsync writes back the whole image, and so covers the name of the file too. Mappings of other
 * files are not write-protected.
 *
 * A range under a writable pin stays dirty, because stores through the pin are not noticed. Each
 * fsync then writes the range back again. Private copies are never written. Works on any inode, on
 * a read-only mount, and on a frozen filesystem.
 *
 * Takes dax_sem shared and the range lock per dirty PMD range, no io lock (except in a build
 * without faults) and no freeze lock. May be called under the address-space lock. Returns 0 or a
 * negative errno. After an error the dirty marks of unfinished ranges stay.
 *
 *   EIO       a write-back or fence failed, now or earlier on this mount. The mount no longer
 *             changes. Also a pointer block with poison
 *   EUCLEAN   an impossible pointer, named in the log
 *   EINVAL    a mount of a parent process (the error of `usable` is passed on)
 */
EXT2DAX_API int ext2dax_fsync(struct ext2dax_inode *inode);

/*
 * Makes durable every store made to [offset, offset + length) before the call, through mappings
 * too, and the metadata needed to read the bytes after a crash. Does for the PMD ranges covered, in
 * whole or in part, the work of ext2dax_fsync() for the file. Hence stores next to the range in the
 * same PMD range become durable as well. The dirty marks of other PMD ranges stay, and their
 * mappings stay writable. The times of the file become durable. A range past the end of the file is
 * no error, and no limit of the file's size applies.
 *
 * On an ordered mount the call takes a fence per dirty PMD range covered, or a single fence if none
 * is dirty. After stores to more PMD ranges than the file has marks for (EXT2DAX_DIRTY_SLOTS), and
 * until the next ext2dax_fsync(), every covered PMD range with blocks counts as dirty. On an
 * unordered mount the call writes back the whole image, as ext2dax_fsync() does.
 *
 * Writable pins, private copies, kinds of inode, read-only mounts and frozen filesystems are as for
 * ext2dax_fsync().
 *
 * Takes dax_sem shared and the range lock per dirty PMD range, no io lock (except in a build
 * without faults) and no freeze lock. May be called under the address-space lock. Blocks for the
 * write-back. Returns 0 or a negative errno. After an error the dirty marks of unfinished ranges
 * stay.
 *
 *   EINVAL      `length` is 0, or a mount of a parent process (the error of `usable` is passed on)
 *   EOVERFLOW   offset + length overflows
 *   EIO         a write-back or fence failed, now or earlier on this mount. The mount no longer
 *               changes. Also a pointer block with poison
 *   EUCLEAN     an impossible pointer, named in the log
 */
EXT2DAX_API int ext2dax_fsync_range(struct ext2dax_inode *inode, uint64_t offset, uint64_t length);

#ifdef __cplusplus
}
#endif
#endif
