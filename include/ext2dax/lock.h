/* SPDX-License-Identifier: MIT */
/*
 * The lock plug: who waits.
 *
 * The core needs one primitive, a reader/writer lock that lives in one machine word of the object it protects. A
 * backend uses the word in place, or keeps a pointer in it to whatever its system calls a lock. Every lock is
 * initialised with its class and a number, so that a backend which checks the order knows what it holds.
 *
 * A backend must be fair to both sides: a reader that waits gets in although writers keep coming, and a writer although
 * readers do. The core never takes one lock twice in one thread, and never upgrades.
 */
#ifndef EXT2DAX_LOCK_H
#define EXT2DAX_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One lock, wherever it lies. */
struct ext2dax_lock {
    uintptr_t word; /* the backend's; the core only gives it an address */
};

/* In the order in which they are taken: a thread that holds one takes only classes further down. */
enum ext2dax_lock_class {
    EXT2DAX_LOCK_FREEZE_WRITE, /* shared: every modifying call but faults; exclusive: freeze. Any thread may release */
    EXT2DAX_LOCK_RENAME,       /* one a mount: renames that move a directory */
    EXT2DAX_LOCK_IO, /* one an inode; number: the inode's. Several: parents first, directories first, by number */
    EXT2DAX_LOCK_ADDRESS_SPACE, /* the embedder's own (mmap lock); the core never takes it */
    EXT2DAX_LOCK_FREEZE_FAULT,  /* 0, shared: waiting for thaw; 1, shared: write faults and last puts, which only try;
                                 * exclusive, in this order: freeze. Any thread may release */
    EXT2DAX_LOCK_DAX_SEM,       /* one an inode. shared: the fault family; exclusive: what takes blocks away */
    EXT2DAX_LOCK_ENTRY,         /* one an inode and window, hashed; never two held */
    EXT2DAX_LOCK_TRUNCATE,      /* one an inode: its block tree changes only under it */
    EXT2DAX_LOCK_GROUP,         /* one a block group; number: the group's; never two held */
    EXT2DAX_LOCK_FS,            /* one a mount: superblock counters, pins */
    EXT2DAX_LOCK_CACHE,         /* one a mount: which inodes are in core; never held together with FS */
    EXT2DAX_LOCK_PAGE_TABLE,    /* the embedder's leaf, taken inside map, unmap and protect */
    EXT2DAX_LOCK_CLASSES        /* how many there are */
};

/* How a lock is held. */
enum ext2dax_lock_mode {
    EXT2DAX_LOCK_SHARED,   /* by readers, any number of them */
    EXT2DAX_LOCK_EXCLUSIVE /* by one writer */
};

/*
 * `ctx` is what the embedder put beside the table. read_lock and write_lock may block and cannot fail; everything else
 * neither blocks nor fails but init.
 */
struct ext2dax_lock_ops {
    size_t size; /* sizeof(struct ext2dax_lock_ops) of whoever filled the table; what lies past it counts as NULL */

    /* Makes an unlocked lock in *lock. May answer -EXT2DAX_ENOMEM; then nothing needs destroying. Required. */
    int (*init)(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number);
    /* The lock is unlocked and nobody will touch it again. NULL: nothing to do. */
    void (*destroy)(void *ctx, struct ext2dax_lock *lock);

    void (*read_lock)(void *ctx, struct ext2dax_lock *lock);    /* required; acquire ordering */
    void (*read_unlock)(void *ctx, struct ext2dax_lock *lock);  /* required; release ordering */
    void (*write_lock)(void *ctx, struct ext2dax_lock *lock);   /* required; acquire ordering */
    void (*write_unlock)(void *ctx, struct ext2dax_lock *lock); /* required; release ordering */

    /* True if taken at once. Required: a fault on a frozen filesystem and a last put may not wait. */
    bool (*try_read_lock)(void *ctx, struct ext2dax_lock *lock);
    bool (*try_write_lock)(void *ctx, struct ext2dax_lock *lock);

    /*
     * Is the lock held by someone in this mode? (Held exclusively counts as held shared too.) A backend that cannot
     * know says yes, and so does NULL. The core asserts on it where a caller must hold the lock.
     */
    bool (*held)(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode);
};

/* The plug: a table, copied at mount, and what is handed to its ops. */
struct ext2dax_locks {
    const struct ext2dax_lock_ops *ops; /* required */
    void *ctx;                          /* handed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
