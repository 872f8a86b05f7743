/* SPDX-License-Identifier: MIT */
/*
 * Error numbers and reports.
 *
 * A call returns 0 or a non-negative count on success and a negative EXT2DAX_E… on failure, for
 * example -EXT2DAX_ENOSPC. The numbers are those of Linux on every target, even where the <errno.h>
 * of the target differs.
 *
 * EUCLEAN on a mount that may store also sets EXT2DAX_STATE_ERROR in the superblock, and records
 * the error there as Linux does. The record holds the first and the last error, each with the time,
 * the inode or the block, and the field of the report in place of a function. The time is that of
 * the last call of the clock of the host. The next read-write mount is then refused until e2fsck
 * has checked the image. Nothing is recorded while the filesystem is frozen or after a failed
 * write-back. The mount option `errors` decides the behaviour of the present mount.
 *
 * EIO from a write-back or a fence is permanent for the mount. From then on modifying calls, fsync,
 * sync, freeze and remount return EIO, write faults return SIGBUS with this error, reads continue,
 * and the image keeps its unclean state.
 */
#ifndef EXT2DAX_ERROR_H
#define EXT2DAX_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EXT2DAX_EPERM  1 /* append-only or immutable file */
#define EXT2DAX_ENOENT 2 /* no such name or mapping, or an inode that is free or being freed */
#define EXT2DAX_EINTR  4 /* the `interrupted` op of the host stopped a mount */
/* The memory plug failed or found poison, or an earlier write-back failed on this mount. */
#define EXT2DAX_EIO   5
#define EXT2DAX_ENXIO 6 /* seek past the last data, or a read-only pin over a hole */
/*
 * Another call filled the hole first, possible only in an image that gives a pointer block to two
 * owners. The number is reserved for calls that refuse to wait while the filesystem is frozen. No
 * such call exists yet.
 */
#define EXT2DAX_EAGAIN 11
/*
 * The host has no memory, and nothing changed. ext2dax_process_sync() returns the number for a
 * range not wholly mapped, as msync() does.
 */
#define EXT2DAX_ENOMEM       12
#define EXT2DAX_EFAULT       14  /* no byte of the buffer is accessible, or a fault past the end */
#define EXT2DAX_EBUSY        16  /* pinned, still referenced, frozen, or open elsewhere */
#define EXT2DAX_EEXIST       17  /* the name exists */
#define EXT2DAX_EXDEV        18  /* both names of a link or rename are not on one mount */
#define EXT2DAX_ENOTDIR      20  /* a path leads through a file that is not a directory */
#define EXT2DAX_EISDIR       21  /* a directory where a file is required */
#define EXT2DAX_EINVAL       22  /* invalid argument, no ext2 image, or mount of a parent process */
#define EXT2DAX_EFBIG        27  /* past the largest size this image can hold */
#define EXT2DAX_ENOSPC       28  /* no free block or inode */
#define EXT2DAX_EROFS        30  /* mounted read-only */
#define EXT2DAX_EMLINK       31  /* the inode has 32,000 links */
#define EXT2DAX_ERANGE       34  /* the buffer is smaller than the attribute */
#define EXT2DAX_ENAMETOOLONG 36  /* a name longer than 255 bytes */
#define EXT2DAX_ENOTEMPTY    39  /* the directory to be removed or replaced holds names */
#define EXT2DAX_ELOOP        40  /* too many symbolic links in a path */
#define EXT2DAX_ENODATA      61  /* no such extended attribute */
#define EXT2DAX_EOVERFLOW    75  /* offset + length overflows, or image too large to address */
#define EXT2DAX_EOPNOTSUPP   95  /* impossible in ext2, or a feature this library lacks */
#define EXT2DAX_EUCLEAN      117 /* the image is corrupt, or unclean and not recovered */

/*
 * Returns a short English phrase for an error, negative or positive. Never returns NULL. Returns
 * "unknown error" for a number not listed above. Takes no lock.
 */
EXT2DAX_API const char *ext2dax_strerror(int error);

/* Severity of a report. */
enum ext2dax_level {
    EXT2DAX_LEVEL_ERROR,   /* the image, the memory or an argument is at fault */
    EXT2DAX_LEVEL_WARNING, /* worth a log line, the call continued */
    EXT2DAX_LEVEL_INFO     /* progress, or with an error, the cause that an earlier call reported */
};

/*
 * A report to the log of the host. A report carries facts instead of text, so that a kernel can
 * print without a formatter and a tool can find the number. All strings are static.
 *
 * A call that fails because of the image or its memory makes at least one report with the returned
 * error, in the thread of the call and before the call returns. The errors concerned are
 *
 *   EUCLEAN, EIO                            of every call
 *   EINVAL, EOPNOTSUPP, EOVERFLOW, EROFS    of ext2dax_mount()
 *   EOPNOTSUPP, EROFS                       of ext2dax_remount()
 *   EINVAL, ENOSPC, EOVERFLOW, EROFS        of ext2dax_format()
 *   EOPNOTSUPP                              of a change to a file of the huge_file feature
 *   EINVAL                                  of memory that the caller may not use, as in a child
 *                                           process
 *
 * Other errors (ENOENT, ENOSPC, ENOMEM, EBUSY, an invalid argument) come without a report. A call
 * that succeeds may also have made reports, about faults of the image that did not stop the call.
 *
 * To match a report with the error of a call, supply a `log` op as host.h describes, or use the
 * default host of hosted/host.h.
 */
struct ext2dax_report {
    enum ext2dax_level level; /* severity */
    int error;                /* negative EXT2DAX_E…, or 0 */
    const char *structure;    /* "superblock", "group", "inode", "block", "directory", … */
    uint64_t number;          /* number of the group, inode or block */
    const char *field;        /* field of the structure, "magic number", "free block count", … */
    uint64_t value;           /* the value found in the field */
    /*
     * Why the value is refused or reported. NULL in reports of a core built without reasons (the
     * option `reports` of the build). ext2dax_report_text() then writes the error, if any.
     */
    const char *reason;
};

/*
 * Formats a report, for example "inode 12: block pointer 4096: is metadata". Features
 * are written by name instead of number, as in "incompatible features extent, 64bit". The text is
 * always terminated when size > 0. Returns the length of the complete text, as snprintf does. Needs
 * no lock and no memory.
 */
EXT2DAX_API size_t ext2dax_report_text(const struct ext2dax_report *report, char *buffer, size_t size);

/* The three sets of feature flags in the superblock. */
enum ext2dax_feature_set {
    EXT2DAX_FEATURES_COMPAT,   /* may be unknown to a driver */
    EXT2DAX_FEATURES_INCOMPAT, /* must be known to read the image */
    EXT2DAX_FEATURES_RO_COMPAT /* must be known to write to the image */
};

/*
 * Formats the names of the set features as dumpe2fs prints the names, for example "extent, 64bit,
 * FEATURE_I17", where bit 17 has no name (FEATURE_C… and FEATURE_R… in the other sets). The text is
 * terminated when size > 0. Returns the length of the complete text. Needs no lock and no memory.
 */
EXT2DAX_API size_t ext2dax_feature_text(enum ext2dax_feature_set set, uint32_t flags, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
