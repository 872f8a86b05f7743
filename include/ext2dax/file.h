/* SPDX-License-Identifier: MIT */
/*
 * A file's blocks and bytes. Offsets and lengths are bytes, unless a declaration says blocks. All calls take the inode's
 * io lock, so none may be made under the address-space lock; the caller's buffer may be a mapped window of the same
 * file. Calls that modify wait while the filesystem is frozen; they answer EROFS on a read-only mount and EPERM on an
 * immutable file.
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
    uint64_t physical; /* first block in the image; 0: a hole */
    uint64_t length;   /* blocks, at least 1 */
};

/*
 * The run that begins at block `logical`, at most `max` blocks long: contiguous blocks, or a hole with its length,
 * whatever pointer blocks it crosses. Blocks past the end of file are a hole. EINVAL: max is 0, or not a regular file
 * or directory; EFBIG: past what the block tree reaches; EUCLEAN: a pointer that cannot be, named in the log.
 * Shared io; reads only.
 */
EXT2DAX_API int ext2dax_map(struct ext2dax_inode *inode, uint64_t logical, uint64_t max, struct ext2dax_run *run);

/* Reads; returns the bytes read (0 at or past the end; short where the buffer could not be touched or a later block
 * failed) or an error when not one byte could be read: EISDIR, EINVAL, EOVERFLOW, EFAULT, EIO, EUCLEAN. Shared io. */
EXT2DAX_API int64_t ext2dax_read(struct ext2dax_inode *inode, uint64_t offset, void *buffer, size_t length);

/*
 * Writes, filling holes and growing the file; returns the bytes written, short after an error or a buffer that could
 * not be touched, or an error when nothing was: EFBIG, ENOSPC, EFAULT, EPERM (append-only, and not at the end) and
 * those above. What it counts as written is in the file; nothing past that changed.
 */
EXT2DAX_API int64_t ext2dax_write(struct ext2dax_inode *inode, uint64_t offset, const void *buffer, size_t length);

/* What ext2dax_seek() looks for. */
enum ext2dax_whence {
    EXT2DAX_SEEK_DATA, /* a block */
    EXT2DAX_SEEK_HOLE  /* a hole, or the end of the file */
};

/* The next offset at or behind `offset` that lies in data, or in a hole (the end of file counts as one). ENXIO: at or
 * past the end, or no data follows. Shared io. */
EXT2DAX_API int64_t ext2dax_seek(struct ext2dax_inode *inode, uint64_t offset, enum ext2dax_whence whence);

/*
 * Sets the size. Down: frees every block past it, in every mapping first. Up: a hole, which reads as zeroes. EFBIG,
 * EPERM (append-only too), EBUSY (pinned blocks past the new end), ENOMEM, EUCLEAN (found before anything changed): the
 * file is as it was. EIO: the size may be the new one.
 */
EXT2DAX_API int ext2dax_truncate(struct ext2dax_inode *inode, uint64_t size);

/*
 * Backs [offset, offset + length) with zeroed blocks, whole regions first, and grows the file to cover it. ENOSPC,
 * EUCLEAN, EIO: what was allocated before stays, the size covers it. EOPNOTSUPP: keep_size, where the range passes the
 * end of file.
 */
EXT2DAX_API int ext2dax_allocate(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool keep_size);

/* Makes [offset, offset + length) read as zeroes, freeing the blocks that lie wholly inside. The size stays. Errors as
 * truncate's; ranges past the end are clipped. */
EXT2DAX_API int ext2dax_punch(struct ext2dax_inode *inode, uint64_t offset, uint64_t length);

/*
 * Makes durable every store made to the file before the call, through mappings too: write-protects, writes back, and
 * clears the dirty marks, window by window. Takes dax_sem shared and entry; no io and no freeze lock. EIO: marks stay.
 */
EXT2DAX_API int ext2dax_fsync(struct ext2dax_inode *inode);

#ifdef __cplusplus
}
#endif
#endif
