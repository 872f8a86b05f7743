/* SPDX-License-Identifier: MIT */
/*
 * In-core inodes: one object for each inode in use, reference-counted.
 *
 * The object lives in the core's cache (ext2dax_inode_get) or in the embedder's own storage, as part of a kernel's
 * inode (ext2dax_inode_get_in). Whoever holds a mapping or a pin holds a reference.
 */
#ifndef EXT2DAX_INODE_H
#define EXT2DAX_INODE_H

#include <stdbool.h>
#include <stdint.h>

#include "export.h"
#include "lock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_mount;
struct ext2dax_pin;
struct ext2dax_disk_inode;

#define EXT2DAX_DIRTY_SLOTS 8 /* dirty windows of an inode that are remembered one by one; more count as all */

/* A 64-bit value read without a lock; two words and a sequence count, because some targets have no 8-byte atomics. */
struct ext2dax_word64 {
    uintptr_t low;      /* the low half, or all of it where a word has 64 bits */
    uintptr_t high;     /* the high half where it has 32 */
    uintptr_t sequence; /* odd while the two are being changed */
};

/* Visible so that it can be embedded; every member but `cookie` belongs to the core. At most 256 bytes. */
struct ext2dax_inode {
    void *cookie; /* the embedder's; the core never reads it and sets it to NULL when the object is made */

    struct ext2dax_mount *mount;     /* whose inode it is */
    struct ext2dax_disk_inode *disk; /* where it lies in the image */
    struct ext2dax_inode *next;      /* in the cache's chain */
    struct ext2dax_inode *next_put;  /* in the list of last puts that wait for thaw */
    struct ext2dax_pin *pins;        /* those that are held */

    struct ext2dax_lock io;       /* of class EXT2DAX_LOCK_IO */
    struct ext2dax_lock dax_sem;  /* of class EXT2DAX_LOCK_DAX_SEM */
    struct ext2dax_lock truncate; /* of class EXT2DAX_LOCK_TRUNCATE */

    struct ext2dax_word64 size; /* bytes */

    uint32_t number;                     /* of the inode, from 1 */
    uint32_t references;                 /* how many there are */
    uint32_t state;                      /* what becomes of the object at its last put */
    uint32_t dirty[EXT2DAX_DIRTY_SLOTS]; /* windows + 1 that may hold stores not yet durable */
    uint32_t dirty_all;                  /* not 0: any window may */
    uint32_t goal;                       /* block after the last one allocated for this inode */
    uint16_t mode;                       /* as in the image: type and permissions */
};

/*
 * The inode `number`, with a reference that ext2dax_inode_put() gives back. ENOENT: the inode is free, or its last name
 * is gone and it is being freed; EINVAL: no such number; EUCLEAN: what the image says of it cannot be; ENOMEM. Takes the
 * cache lock; may be called under any lock above it.
 */
EXT2DAX_API int ext2dax_inode_get(struct ext2dax_mount *mount, uint32_t number, struct ext2dax_inode **inode);

/*
 * The same, in the caller's storage. If the inode is in core already, *inode is that object and the storage is not
 * used. Otherwise the storage must stay until host->inode_released() is called for it.
 */
EXT2DAX_API int ext2dax_inode_get_in(struct ext2dax_mount *mount, uint32_t number, struct ext2dax_inode *storage,
                                     struct ext2dax_inode **inode);

/* One more reference to an inode that the caller has a reference to. */
EXT2DAX_API void ext2dax_inode_hold(struct ext2dax_inode *inode);

/*
 * Gives a reference back. The last one writes back what is dirty and, when no name is left, frees the file's blocks;
 * on a frozen filesystem thaw does that instead. May be called under the address-space lock, under nothing below.
 */
EXT2DAX_API void ext2dax_inode_put(struct ext2dax_inode *inode);

/* What the image says of an inode. */
struct ext2dax_stat {
    uint32_t number;  /* of the inode */
    uint16_t mode;    /* type (EXT2DAX_S_IF…) and permissions */
    uint16_t links;   /* names; 0: unlinked, and still held */
    uint32_t uid;     /* owner */
    uint32_t gid;     /* group */
    uint32_t flags;   /* EXT2DAX_FL_… */
    uint64_t size;    /* bytes */
    uint64_t sectors; /* 512-byte units, indirect blocks included */
    int64_t mtime;    /* of the last change of data: seconds since 1970 */
    int64_t ctime;    /* … of the inode */
    int64_t atime;    /* of the last access */
};

/* Figures of the moment. Takes no lock. Cannot fail. */
EXT2DAX_API void ext2dax_stat(const struct ext2dax_inode *inode, struct ext2dax_stat *figures);

#ifdef __cplusplus
}
#endif
#endif
