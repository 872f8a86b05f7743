/* SPDX-License-Identifier: MIT */
/*
 * Errors and reports.
 *
 * A call answers 0 (or a count that is not negative) when it succeeded and a negative EXT2DAX_E… when it did not:
 * `return -EXT2DAX_ENOSPC;`. The numbers are Linux's on every target, whatever the target's own <errno.h> says.
 */
#ifndef EXT2DAX_ERROR_H
#define EXT2DAX_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EXT2DAX_EPERM        1 /* append-only or immutable file */
#define EXT2DAX_ENOENT       2 /* no such name, or an inode that is free or being freed */
#define EXT2DAX_EIO          5 /* the memory backend failed: poison; or a write-back has failed, and nothing may change */
#define EXT2DAX_ENXIO        6   /* seek past the last data; a read-only pin over a hole */
#define EXT2DAX_EAGAIN       11  /* the filesystem is frozen and the caller may not wait here */
#define EXT2DAX_ENOMEM       12  /* the host had no memory; nothing changed */
#define EXT2DAX_EFAULT       14  /* the caller's buffer could not be read or written at all */
#define EXT2DAX_EBUSY        16  /* pinned, still referenced, or already open elsewhere */
#define EXT2DAX_EEXIST       17  /* the name exists */
#define EXT2DAX_ENOTDIR      20  /* a path leads through something that is not a directory */
#define EXT2DAX_EISDIR       21  /* a directory where a file was wanted */
#define EXT2DAX_EINVAL       22  /* an argument no caller should pass; not an ext2 image */
#define EXT2DAX_EFBIG        27  /* past the largest size this image can hold */
#define EXT2DAX_ENOSPC       28  /* no free block or inode */
#define EXT2DAX_EROFS        30  /* mounted read-only */
#define EXT2DAX_EMLINK       31  /* no further link fits the link count */
#define EXT2DAX_ENAMETOOLONG 36  /* a name of more than 255 bytes */
#define EXT2DAX_ENOTEMPTY    39  /* a directory that still has names in it */
#define EXT2DAX_ELOOP        40  /* too many symbolic links in a path */
#define EXT2DAX_EOVERFLOW    75  /* offset + length does not fit, or an image larger than this target addresses */
#define EXT2DAX_EOPNOTSUPP   95  /* not something ext2 can hold, or a feature this build leaves out */
#define EXT2DAX_EUCLEAN      117 /* the image contradicts itself (corruption), or is not clean and not recovered */

/* A short English phrase for an error, negative or positive; never NULL, "unknown error" for a number not above. */
EXT2DAX_API const char *ext2dax_strerror(int error);

/* How bad what is reported is. */
enum ext2dax_level {
    EXT2DAX_LEVEL_ERROR,   /* something is wrong with the image or its memory */
    EXT2DAX_LEVEL_WARNING, /* worth a line; the call went on */
    EXT2DAX_LEVEL_INFO /* progress; or, where it has an error, why a call failed by what an earlier one was told of */
};

/*
 * One thing worth telling, as the core hands it to the host's log: facts instead of text, so that a kernel can print
 * without a formatter and a tool can point at the number. All strings are static.
 *
 * A call that fails because of the image or its memory (EUCLEAN, EIO; of ext2dax_mount() and ext2dax_remount() also EINVAL,
 * EOPNOTSUPP, EOVERFLOW, EROFS) makes at least one report with that `error`, in its own thread and before it returns. Errors that
 * name no fault of the image (ENOENT, ENOSPC, ENOMEM, EBUSY, an argument no caller should pass, …) come without. A call
 * that succeeds may have made reports of what it could do without. How to hold the report of a call against its error: with
 * a log op of your own, see host.h; with the default host, hosted/host.h has it done.
 */
struct ext2dax_report {
    enum ext2dax_level level; /* how bad it is */
    int error;                /* negative EXT2DAX_E…, or 0 */
    const char *structure;    /* "superblock", "group", "inode", "block", "directory", … */
    uint64_t number;          /* which of them: group, inode or block number */
    const char *field;        /* what of it is meant: "magic number", "free block count", … */
    uint64_t value;           /* the value found there */
    const char *reason;       /* why it is refused or worth telling */
};

/*
 * Writes "inode 12: block pointer 4096: lies in a metadata zone" into buffer, always terminated when size > 0.
 * Returns the length the whole text has, as snprintf does. Needs no lock and no memory.
 */
EXT2DAX_API size_t ext2dax_report_text(const struct ext2dax_report *report, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
