/* SPDX-License-Identifier: MIT */
/*
 * The lock plug.
 *
 * The core needs a single primitive, a reader/writer lock in one machine word of the object it
 * protects. A backend uses the word in place, or keeps in the word a pointer to a lock of its
 * system. Every lock is initialised with its class and a number, so that a backend which checks the
 * lock order can identify the lock.
 *
 * A backend must be fair to both sides. A waiting reader gets in although writers keep coming, and
 * a waiting writer although readers keep coming. The core never takes a lock twice in the same
 * thread and never upgrades a lock. The thread that takes a lock shared releases the lock. Only the
 * locks of FREEZE_WRITE and FREEZE_FAULT, held exclusively, may be released by another thread.
 */
#ifndef EXT2DAX_LOCK_H
#define EXT2DAX_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A lock, embedded in the object it protects. */
struct ext2dax_lock {
    uintptr_t word; /* owned by the backend, the core only passes the address */
};

/* Lock classes in the order of acquisition. A thread that holds a lock takes only later classes. */
enum ext2dax_lock_class {
    EXT2DAX_LOCK_FREEZE_WRITE,  /* per mount. Shared by modifying calls except faults. Exclusive in
                                 * freeze and remount */
    EXT2DAX_LOCK_RENAME,        /* per mount, for renames of directories, taken by no call yet */
    EXT2DAX_LOCK_IO,            /* per inode, numbered by inode. Several are taken parents first,
                                 * directories before files, then by number */
    EXT2DAX_LOCK_ADDRESS_SPACE, /* the embedder's own (mmap lock), never taken by the core */
    EXT2DAX_LOCK_FREEZE_FAULT,  /* two per mount. Number 0 is taken shared to wait for thaw. Number
                                 * 1 is tried shared by write faults and last puts. Freeze and
                                 * remount take 0, then 1, exclusively */
    EXT2DAX_LOCK_DAX_SEM,       /* per inode. Shared by faults, fsync and pins. Exclusive in calls
                                 * that remove blocks, and in some growth of a file */
    EXT2DAX_LOCK_RANGE,         /* the range lock, per inode and PMD range, hashed to a fixed number
                                 * per mount. A thread never holds two */
    EXT2DAX_LOCK_TRUNCATE,      /* per inode. The block tree changes only under this lock */
    EXT2DAX_LOCK_GROUP,         /* per block group, numbered by group. Never two in a thread */
    EXT2DAX_LOCK_FS,            /* per mount, for superblock counters and pins */
    EXT2DAX_LOCK_ICACHE,        /* per mount, for the table of in-core inodes, never with FS */
    EXT2DAX_LOCK_PAGE_TABLE,    /* the embedder's leaf lock, taken inside map, unmap and protect */
    EXT2DAX_LOCK_CLASSES        /* number of classes */
};

/* The mode in which a lock is held. */
enum ext2dax_lock_mode {
    EXT2DAX_LOCK_SHARED,   /* by any number of readers */
    EXT2DAX_LOCK_EXCLUSIVE /* by a single writer */
};

/*
 * Operations on locks. `ctx` is the pointer the embedder stored beside the table. read_lock and
 * write_lock may block and cannot fail. The other ops do not block, and only `init` may fail.
 */
struct ext2dax_lock_ops {
    size_t size; /* sizeof as known to the embedder, ops past this size count as NULL */

    /* Makes *lock an unlocked lock. Required. After -EXT2DAX_ENOMEM nothing needs a destroy. */
    int (*init)(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number);
    /* Releases the resources of an unlocked lock no longer used. NULL where a lock has none. */
    void (*destroy)(void *ctx, struct ext2dax_lock *lock);

    void (*read_lock)(void *ctx, struct ext2dax_lock *lock);    /* required, acquire ordering */
    void (*read_unlock)(void *ctx, struct ext2dax_lock *lock);  /* required, release ordering */
    void (*write_lock)(void *ctx, struct ext2dax_lock *lock);   /* required, acquire ordering */
    void (*write_unlock)(void *ctx, struct ext2dax_lock *lock); /* required, release ordering */

    /*
     * Returns true if the lock was taken at once. Required, because a fault on a frozen filesystem
     * and a last put must not wait.
     */
    bool (*try_read_lock)(void *ctx, struct ext2dax_lock *lock);
    bool (*try_write_lock)(void *ctx, struct ext2dax_lock *lock);

    /*
     * Returns true if any thread holds the lock in this mode. A lock held exclusively also counts
     * as held shared. A backend unable to know returns true, and NULL means true. The core asserts
     * on the result where a caller must hold the lock.
     */
    bool (*held)(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode);
};

/* The lock plug. The table is copied at mount. */
struct ext2dax_locks {
    const struct ext2dax_lock_ops *ops; /* required */
    void *ctx;                          /* passed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
