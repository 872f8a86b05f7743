/* SPDX-License-Identifier: MIT */
/*
 * In-core inodes, reference-counted objects, at most one per inode of the image.
 *
 * An object lives in the cache of the core (ext2dax_inode_get) or in storage of the embedder, as
 * part of the inode of a kernel (ext2dax_inode_get_in). Every mapping and every pin of a file holds
 * a reference.
 */
#ifndef EXT2DAX_INODE_H
#define EXT2DAX_INODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "lock.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_mount;
struct ext2dax_pin;
struct ext2dax_disk_inode;

/*
 * Dirty PMD ranges recorded in the inode. The ranges of a larger file are recorded in memory of the
 * host. Without this memory, and in a core compiled for size, all PMD ranges count as dirty if more
 * are dirty.
 */
#define EXT2DAX_DIRTY_SLOTS 8

/*
 * A 64-bit value read without a lock. Consists of two words and a sequence count, because some
 * targets have no 8-byte atomics.
 */
struct ext2dax_word64 {
    uintptr_t low;      /* the low half, or the whole value where a word has 64 bits */
    uintptr_t high;     /* the high half where a word has 32 bits */
    uintptr_t sequence; /* odd while the words are being changed */
};

/*
 * An in-core inode. Visible so that an embedder can embed the object. Every member except `cookie`
 * belongs to the core. At most 256 bytes.
 */
struct ext2dax_inode {
    void *cookie; /* the embedder's, never read by the core, NULL in a new object */

    struct ext2dax_mount *mount;     /* the mount of the inode */
    struct ext2dax_disk_inode *disk; /* the inode in the image */
    struct ext2dax_inode *next;      /* in the hash chain of the cache */
    struct ext2dax_inode *next_put;  /* in the list of last puts waiting for thaw */
    struct ext2dax_pin *pins;        /* list of pins, guarded by the fs lock */

    struct ext2dax_lock io;       /* of class EXT2DAX_LOCK_IO */
    struct ext2dax_lock dax_sem;  /* of class EXT2DAX_LOCK_DAX_SEM */
    struct ext2dax_lock truncate; /* of class EXT2DAX_LOCK_TRUNCATE */

    struct ext2dax_word64 size; /* bytes */

    /* The name table of a directory, or 0. Atomic, taken away under the io lock only. */
    uintptr_t names;
    uint32_t number;     /* inode number, from 1 */
    uint32_t references; /* reference count */
    uint32_t state;      /* decides the treatment at the last put */
    uint32_t goal;       /* block after the last allocation for this inode */
    uint16_t mode;       /* type, EXT2DAX_S_IF… without permissions */
    /* Non-zero if the file is known to have no block past its end. Guarded by the io lock. */
    uint16_t settled;
    uint32_t dirty_all; /* non-zero if any PMD range may be dirty */
    /* Each 1 + number of a dirty PMD range, 0 if unused. */
    uint32_t dirty[EXT2DAX_DIRTY_SLOTS];
    uint32_t scanned;       /* blocks of a directory searched since the last name table, atomic */
    uint32_t names_refused; /* name tables without memory since the last name table, atomic */
    /*
     * Changes before blocks of the inode are freed, and differs between objects. Stored under the
     * io lock.
     */
    struct ext2dax_word64 removals;
    /* Maps of dirty PMD ranges, or 0. Atomic, stored under the lock of the cache. */
    uintptr_t dirty_maps;
};

/*
 * Returns in *inode the inode `number`, with a new reference for ext2dax_inode_put().
 *
 * Takes the cache lock, on EUCLEAN also the fs lock, and may be called under any earlier lock, the
 * address-space lock included. Blocks only on these locks and on the host. On failure *inode is
 * NULL. Returns 0 or a negative errno
 *
 *   ENOENT    the inode is free, or has no name left, even if still held or being freed
 *   EINVAL    no such number, or a reserved inode other than the root (the list of bad blocks, a
 *             journal, the resize inode)
 *   EUCLEAN   the type or the size in the image is impossible
 *   EIO       the inode table holds poison
 *   ENOMEM    the host has no memory for the object or its locks
 */
EXT2DAX_API int ext2dax_inode_get(struct ext2dax_mount *mount, uint32_t number, struct ext2dax_inode **inode);

/*
 * Works as ext2dax_inode_get(), in the storage of the caller, with the same locks. If the inode is
 * already in core, *inode is the existing object and `storage` is not used. Otherwise `storage`
 * must stay valid until inode_released() of the host is called for the object. On failure *inode is
 * NULL and `storage` is not used. Returns 0 or a negative errno
 *
 *   ENOENT    the inode is free, or has no name left, even if still held or being freed
 *   EINVAL    no such number, or a reserved inode other than the root
 *   EUCLEAN   the type or the size in the image is impossible
 *   EIO       the inode table holds poison
 *   ENOMEM    the host has no memory for the locks of the object
 */
EXT2DAX_API int ext2dax_inode_get_in(struct ext2dax_mount *mount, uint32_t number, struct ext2dax_inode *storage,
                                     struct ext2dax_inode **inode);

/*
 * Adds a reference to an inode. The caller already has a reference. Takes the cache lock. Cannot
 * fail.
 */
EXT2DAX_API void ext2dax_inode_hold(struct ext2dax_inode *inode);

/*
 * Releases a reference. The last put writes back dirty PMD ranges, and frees the file if no name is
 * left. On a frozen filesystem the freeing is left to thaw.
 *
 * May be called under the address-space lock, but with no later lock held. May block on dax_sem and
 * write-backs, never on a freeze. Takes the cache lock, freeze_fault (tried), dax_sem, range locks,
 * the truncate, group and fs locks.
 *
 * Cannot fail. An error of the write-back or of the freeing goes to the log. A failed write-back
 * also makes the mount read-only, and the stores may be lost. Blocks that cannot be freed are lost
 * until recovery or e2fsck. Does nothing in a child process of the process that mounted.
 */
EXT2DAX_API void ext2dax_inode_put(struct ext2dax_inode *inode);

/* The attributes of an inode. */
struct ext2dax_stat {
    uint32_t number;             /* inode number */
    uint16_t mode;               /* type (EXT2DAX_S_IF…) and permissions */
    uint16_t links;              /* names, 0 if unlinked and still held */
    uint32_t uid;                /* owner */
    uint32_t gid;                /* group */
    uint32_t flags;              /* EXT2DAX_FL_… */
    uint32_t generation;         /* distinguishes files that reuse the inode number */
    uint32_t device_major;       /* of a device node, 0 for other types */
    uint32_t device_minor;       /* of a device node, 0 for other types */
    uint64_t size;               /* bytes */
    uint64_t sectors;            /* 512-byte units, indirect blocks and the xattr block included */
    struct ext2dax_time mtime;   /* last change of data */
    struct ext2dax_time ctime;   /* last change of the inode */
    struct ext2dax_time atime;   /* last access, as set by creation and ext2dax_setattr() */
    struct ext2dax_time created; /* creation, all 0 if not recorded (has_created) */
    bool has_nanoseconds;        /* the inode has room for the extra time fields */
    bool has_created;            /* the inode has room for the time of creation, and a time in it */
};

/*
 * Reads the attributes of the moment, each by itself. `size` is sizeof(struct ext2dax_stat) as
 * known to the caller. Members past this size are not stored. Takes no lock. Cannot fail.
 *
 * The image stores the two halves of uid and gid apart, and the seconds and the nanoseconds of a
 * time apart. A call at the same time as a change may combine both values. A caller that decides
 * permissions by uid and gid excludes ext2dax_setattr() of the inode meanwhile.
 */
EXT2DAX_API void ext2dax_stat(const struct ext2dax_inode *inode, struct ext2dax_stat *figures, size_t size);

/* The attributes selected by `set` of struct ext2dax_attributes. */
#define EXT2DAX_SET_MODE    0x1u  /* permissions, the type of the inode stays */
#define EXT2DAX_SET_UID     0x2u  /* owner */
#define EXT2DAX_SET_GID     0x4u  /* group */
#define EXT2DAX_SET_ATIME   0x8u  /* last access */
#define EXT2DAX_SET_MTIME   0x10u /* last change of data */
#define EXT2DAX_SET_CTIME   0x20u /* last change of the inode, otherwise the present */
#define EXT2DAX_SET_CREATED 0x40u /* creation, ignored where the inode has no room */
#define EXT2DAX_SET_FLAGS   0x80u /* the flags of EXT2DAX_FL_SETTABLE */
/* With the bit of the same time, the present instead of the given time. */
#define EXT2DAX_SET_ATIME_NOW 0x100u
#define EXT2DAX_SET_MTIME_NOW 0x200u

/* Attributes to set, for ext2dax_setattr() and ext2dax_create_as(). */
struct ext2dax_attributes {
    size_t size;                 /* known to the caller, members past this size count as 0 */
    unsigned set;                /* EXT2DAX_SET_…, the members below that count */
    uint16_t mode;               /* the low 12 bits count, a create also reads the type */
    uint32_t uid;                /* owner */
    uint32_t gid;                /* group */
    uint32_t flags;              /* EXT2DAX_FL_… */
    struct ext2dax_time mtime;   /* last change of data */
    struct ext2dax_time ctime;   /* last change of the inode */
    struct ext2dax_time atime;   /* last access */
    struct ext2dax_time created; /* creation */
};

/*
 * Sets the attributes selected by `attributes->set`, all together, and ctime. The size of a file is
 * set by ext2dax_truncate(). No permission of the caller is checked, and no bit of the mode is
 * cleared beyond the request. A time outside the range of the image is stored as the nearest end of
 * the range.
 *
 * While the inode is immutable or append-only, only EXT2DAX_SET_FLAGS is allowed.
 *
 * Takes freeze_write shared and the io lock exclusively. May block. On an ordered mount the
 * attributes are durable when the call returns. Returns 0 or a negative errno. After an error other
 * than EIO of a failed fence nothing has changed.
 *
 *   EINVAL       an unknown bit of `set`, a bit for the present without the bit of the time,
 *                nanoseconds out of range, or a mount of a parent process (the error of `usable` is
 *                passed on)
 *   EOPNOTSUPP   a flag outside EXT2DAX_FL_SETTABLE differs from the flags of the inode
 *   EPERM        the inode is immutable or append-only
 *   EROFS        mounted read-only
 *   EIO          a write-back or fence failed, now or earlier on this mount
 */
EXT2DAX_API int ext2dax_setattr(struct ext2dax_inode *inode, const struct ext2dax_attributes *attributes);

#ifdef __cplusplus
}
#endif
#endif
