/* SPDX-License-Identifier: MIT */
/*
 * Mount, sync, freeze and statistics, the calls that concern a whole image.
 */
#ifndef EXT2DAX_MOUNT_H
#define EXT2DAX_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address_space.h"
#include "export.h"
#include "host.h"
#include "lock.h"
#include "memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_mount;
struct ext2dax_mounting; /* a mount being opened, passed from ext2dax_mount() to its options */

/*
 * The four plugs. Mount copies the structs and the tables. Only the `ctx` pointers must stay valid.
 */
struct ext2dax_plugs {
    struct ext2dax_locks locks;                 /* reader/writer locks */
    struct ext2dax_memory memory;               /* the bytes of the image */
    struct ext2dax_address_space address_space; /* the page tables */
    struct ext2dax_host host;                   /* memory, time, log and the like */
};

/* The order in which stores become durable. */
enum ext2dax_order {
    EXT2DAX_ORDER_AUTO, /* ORDERED if the memory is flagged persistent, else UNORDERED */
    EXT2DAX_ORDERED,    /* e2fsck -p repairs the image by itself after a crash at any store */
    EXT2DAX_UNORDERED   /* same program order, without write-backs and fences except in fsync, sync
                         * and the like, and for the clean mark */
};

/* The behaviour after an error in the image, that is after a call returned EUCLEAN. */
enum ext2dax_errors {
    EXT2DAX_ERRORS_IMAGE,     /* the action recorded in the superblock, or CONTINUE without one */
    EXT2DAX_ERRORS_CONTINUE,  /* calls continue */
    EXT2DAX_ERRORS_READ_ONLY, /* calls that modify return EROFS, and write faults SIGBUS */
    EXT2DAX_ERRORS_REFUSE     /* as READ_ONLY, and no inode can be obtained any more (EUCLEAN).
                               * In the superblock the action is called panic */
};

/*
 * Mounts without storing a byte to the image. Free counts that are impossible, or whose sums differ
 * from the superblock, are then only warnings, since nothing that is read depends on these counts.
 */
#define EXT2DAX_MOUNT_READ_ONLY 0x1u
/*
 * Walks every inode first, by the mount option `verify`, which must be set. Refuses an image in
 * which a block has two owners (EUCLEAN, both reported) or lies past the end of its file. A block
 * exactly at the end is only a warning, because e2fsck accepts such a block and a growing file
 * frees the block first. Also refuses an inode in use that its bitmap says is free.
 *
 * Allocates 1 bit per block from the host while the walk runs. Takes time linear in the metadata of
 * the image.
 */
#define EXT2DAX_MOUNT_VERIFY 0x2u

/*
 * Gives an aligned extent only to a PMD range that lies wholly below the size of its file. Without
 * the flag the end of a file gets an extent too, where the PMD range before is full, because the
 * file may grow. For builders of images, whose files do not grow. See build.h.
 */
#define EXT2DAX_MOUNT_FULL_RANGES 0x4u

/*
 * Returns the memory of blocks freed by truncate, punch and the last put to the host, by the
 * `discard` op of the memory plug. An image file becomes a hole there, and memory of the heap is
 * free for other use. Without the op the flag has no effect.
 *
 * Each run of contiguous blocks is a single call of the op, after the pointers to the blocks are
 * durably cleared, and before another file can allocate the blocks. The call takes place under
 * dax_sem of the file, held exclusively. A later use of the blocks takes memory from the host
 * again, so a mount that soon reuses its blocks is faster without the flag.
 */
#define EXT2DAX_MOUNT_DISCARD 0x8u

/*
 * Mount options. All zero selects 4 KiB pages, 2 MiB PMD ranges, read-write, the order by the kind
 * of memory, 16 MiB of name tables, and no recovery.
 *
 * Nothing in the library refers to recovery and verification except the values of `recover` and
 * `verify`. A static link with --gc-sections leaves out the code not named by the program.
 */
struct ext2dax_mount_options {
    size_t size;              /* sizeof as known to the caller, fields past this size count as 0 */
    unsigned flags;           /* EXT2DAX_MOUNT_… */
    enum ext2dax_order order; /* of stores */
    unsigned page_shift;      /* log2 of the page size in bytes, 10 … 16, 0 means 12 */
    unsigned huge_order;      /* log2 of pages per PMD range, 3 … page_shift - 2.
                               * 0 means page_shift - 3 */
    /*
     * ext2dax_recover, or NULL. With NULL a read-write mount refuses an image that was not cleanly
     * unmounted (EUCLEAN), and leaves the repair to e2fsck. A read-only mount never recovers and
     * reads the image as found.
     */
    int (*recover)(struct ext2dax_mounting *mounting);
    /* ext2dax_verify, or NULL, which is EINVAL with EXT2DAX_MOUNT_VERIFY. Else not called. */
    int (*verify)(struct ext2dax_mounting *mounting);
    /*
     * Most bytes of memory from the host for the name tables of all directories in core. 0 means
     * 16 MiB, (size_t)-1 means no tables. A name takes about 16 bytes. A directory of more than 4
     * blocks gets a table after enough searches, and loses the table with the last reference, or
     * if other directories need the bytes. Without a table each search reads the directory block by
     * block, or follows the index of the directory on the medium. A lookup, or a call that changes
     * names, may take a table away from another directory, and then holds a reference to this
     * directory for a moment. So the last put of the directory may happen in this call.
     */
    size_t name_table_bytes;
    /*
     * The behaviour of a read-write mount after an error in the image. A page mapped writable
     * before the error stays writable until the embedder unmaps the page, or remounts read-only.
     * An unlinked file is not freed by its last put any more. error.h describes the record of
     * errors.
     */
    enum ext2dax_errors errors;
};

/*
 * The value of the mount option `recover`. Called by ext2dax_mount() only, with an argument that a
 * program cannot make. ext2dax_mount() describes recovery, and returns these errors.
 *
 * Returns 0 or a negative errno
 *
 *   EUCLEAN   damage that no crash causes, or an orphan list, Hurd as creator, or compatible
 *             features unknown to recovery. Nothing is changed
 *   ENOMEM    the host has no memory. Nothing is changed
 *   EINTR     the host asked to stop
 *   EIO       metadata holds poison, or a write-back or fence failed
 */
EXT2DAX_API int ext2dax_recover(struct ext2dax_mounting *mounting);

/*
 * The value of the mount option `verify`. Called by ext2dax_mount() only, with an argument that a
 * program cannot make. EXT2DAX_MOUNT_VERIFY describes verification.
 *
 * Returns 0 or a negative errno
 *
 *   EUCLEAN  a block has two owners, is metadata, lies outside the image, is marked free, or lies
 *            past the end of its file
 *   ENOMEM   the host has no memory
 *   EINTR    the host asked to stop
 *   EIO      some metadata cannot be read
 */
EXT2DAX_API int ext2dax_verify(struct ext2dax_mounting *mounting);

/*
 * Opens the image in plugs->memory. Checks every structure read on the way. `options` may be NULL,
 * which means all zero, and so no recovery. A program that opens images for writing again after a
 * crash passes `.recover = ext2dax_recover`.
 *
 * A read-write mount changes only three things. It clears the valid bit of the superblock, durably
 * and before the call returns. It sets the free block and free inode counts of the superblock where
 * they differ from the sums over the groups (a warning reports both numbers). It stores the repairs
 * of recovery.
 *
 * Recovery. With the option `recover`, a read-write mount of an image that was not cleanly
 * unmounted first repairs the traces of a crash of an ordered mount.
 * - Blocks and inodes marked used but not in use are freed.
 * - Names of inodes that were being created or deleted are cleared.
 * - Empty files without a name are removed.
 * - Blocks left exactly at the end of a file are freed.
 * - The hash-tree index of a directory that loses a name is dropped.
 * - Link counts, i_blocks, directory sizes, missing file types in directory entries, deletion
 *   times, reference counts of xattr blocks and free counts are set to the values implied by the
 *   rest of the image.
 *
 * Recovery first reads all metadata, in time linear in the metadata. While recovery runs, it holds
 * from the host 1 bit per block and 7 bytes per inode (39 bytes for an inode with extended
 * attributes). A crash during recovery leaves an image which the next mount recovers and e2fsck -p
 * repairs.
 *
 * Damage that no crash causes (a block with two owners, a block in use but marked free, a file with
 * data and no name, …) is refused with EUCLEAN and reported by inode or block. Nothing is changed,
 * and the repair is left to e2fsck. The same holds for an image with a list of orphans of another
 * driver, with Hurd as creator, or with compatible features unknown to recovery. A read-only mount
 * still opens such an image. Recovery without memory (ENOMEM) changes nothing.
 *
 * Recovery reports to the log at EXT2DAX_LEVEL_INFO. Progress has structure "recovery step", number
 * = steps done, value = steps known so far, in about a hundred reports at most. After the repairs
 * are durable, each kind of repair has structure "recovery", number = 1, 2 …, field = the kind,
 * value = how many, reason = the treatment. If nothing needed repair, a single report has number 0.
 *
 * The host can stop recovery (EINTR) at any time until the end. The image is then as after a crash
 * during recovery.
 *
 * Memory from the host. A mount takes a few KiB and some 40 bytes per group. A read-write mount
 * also takes 12 bytes per aligned extent in a single piece, which is 6 MiB for 1 TiB of 4 KiB
 * blocks and 2 MiB PMD ranges. The core stores to this piece only when the group of an aligned
 * extent is first needed.
 *
 * Exclusion. The mount claims its memory. EBUSY means another mount of the same memory conflicts. A
 * mount that may store never shares memory, read-only mounts share. Memory of hosted/ detects
 * conflicts, and a file opened twice is refused at the second opening in the same way. For other
 * memory the embedder must exclude conflicts.
 *
 * Fork. A child process must not use the mounts of its parent, because both processes would share
 * the image. In a child, calls on such a mount that may store, ext2dax_sync() and ext2dax_unmount()
 * included, are refused before any effect (EINVAL, for a fault SIGBUS with this error). In a child
 * ext2dax_inode_put() and ext2dax_unpin() do nothing. Calls that only read continue, but locks do
 * not exclude the parent, so the results are valid only while the parent changes nothing. Mount or
 * format of memory opened by the parent is refused too. The child may open the file by itself after
 * the parent has closed the file. Memory of hosted/ implements all this through `usable`. Heap
 * memory is copied by fork and belongs to the child.
 *
 * Locks. The caller holds no lock. May block for as long as recovery or verification takes.
 *
 * Returns 0 or a negative errno. On failure *mount is NULL, everything allocated is freed, and the
 * claim is dropped. The log has the details.
 *
 *   EINVAL       not an ext2 image, too little memory for a superblock, an invalid option, memory
 *                misaligned or without a base, a required op missing, or memory opened by a parent
 *                process
 *   EBUSY        another mount of the same memory is in the way
 *   EINTR        the host stopped recovery or verification
 *   EUCLEAN      structures contradict each other or the size of the memory. Also, except with
 *                READ_ONLY, errors recorded in the superblock, impossible counts, damage met by
 *                recovery, or an unclean image without the option `recover`
 *   EOPNOTSUPP   unknown incompatible features, or without READ_ONLY unknown read-only features or
 *                an unknown revision
 *   EROFS        read-only memory without READ_ONLY
 *   EOVERFLOW    the image is larger than this target can address
 *   ENOMEM       the host has no memory
 *   EIO          the memory holds poison, or a write-back or fence failed
 *
 * `claim` and `usable` of the memory plug may return other errors, which are passed on.
 */
EXT2DAX_API int ext2dax_mount(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                              struct ext2dax_mount **mount);

/*
 * Makes everything durable, marks the image clean and frees the mount. The caller holds no lock,
 * and no other call on the mount may run at the same time or follow. May block.
 *
 * Returns 0 or a negative errno
 *
 *   EBUSY    references to inodes (pins included) exist, or the filesystem is frozen. The mount
 *            continues unchanged
 *   EINVAL   the mount belongs to a parent process. The mount continues unchanged (the error of
 *            `usable` is passed on)
 *   EIO      the image could not be made durable, now or earlier, and stays marked unclean. The
 *            mount is freed nevertheless
 */
EXT2DAX_API int ext2dax_unmount(struct ext2dax_mount *mount);

/*
 * Changes a read-write mount to read-only (flags EXT2DAX_MOUNT_READ_ONLY) or back (flags 0). Does
 * nothing if the mount already has this state.
 *
 * To read-only. On return all shared mappings are write-protected, the image is durable and marked
 * clean. A later store through a mapping faults, and the fault returns SIGBUS with EROFS. Modifying
 * calls return EROFS. Reads and private writes continue.
 *
 * To read-write. The image must be clean. An unclean image is refused, because other mounts may
 * already be reading the image and recovery would change it. Clears the valid bit durably, and
 * corrects the free counts of the superblock as mount does.
 *
 * Takes both freeze locks exclusively, and to read-only dax_sem shared and range locks of every
 * file in core. Blocks while modifying calls or write faults run, and while the filesystem is
 * frozen. The caller holds no lock, the address-space lock included. On failure the mount keeps its
 * state.
 *
 * Returns 0 or a negative errno
 *
 *   EBUSY        to read-only, an unlinked inode is still held or a writable pin exists. To
 *                read-write, another mount reads the same memory
 *   EINVAL       an unknown flag, or a mount of a parent process (the error of `usable` is passed
 *                on)
 *   EIO          a write-back or fence failed, now or earlier on this mount, or a pointer block
 *                holds poison
 *   EROFS        to read-write, read-only memory
 *   EUCLEAN      to read-write, the image is not clean, records errors, or has impossible counts.
 *                To read-only, a block pointer is corrupt
 *   EOPNOTSUPP   to read-write, unknown read-only features or an unknown revision
 *   ENOMEM       to read-write, the host has no memory
 */
EXT2DAX_API int ext2dax_remount(struct ext2dax_mount *mount, unsigned flags);

/*
 * Makes durable everything done before the call, in every file and directory, through mappings too.
 * Stops at the first file with an error.
 *
 * Takes dax_sem shared and the range lock per dirty PMD range. Takes no freeze lock and (except in
 * a build without faults) no io lock, so may run beside any other call, on a frozen filesystem too,
 * and under the address-space lock. May block.
 *
 * Returns 0 or a negative errno
 *
 *   EIO       a write-back or fence failed, now or earlier. The mount no longer changes the image,
 *             dirty marks stay. Also a pointer block with poison
 *   EUCLEAN   a block pointer of a dirty file is corrupt
 *   EINVAL    the mount belongs to a parent process (the error of `usable` is passed on)
 */
EXT2DAX_API int ext2dax_sync(struct ext2dax_mount *mount);

/*
 * Stops every change. Waits for modifying calls, then for write faults, quiesces every mapping, and
 * marks the image clean unless an unlinked inode is still held. Until thaw, modifying calls wait,
 * write faults return RETRY, and last puts of unlinked files are queued.
 *
 * Both freeze locks stay held exclusively until thaw. The caller holds no lock, the address-space
 * lock included. On failure the filesystem is not frozen.
 *
 * Returns 0 or a negative errno
 *
 *   EBUSY     already frozen, another freeze or thaw is running, or a writable pin exists
 *   EROFS     mounted read-only
 *   EIO       a write-back or fence failed, now or earlier, or a pointer block holds poison
 *   EUCLEAN   a block pointer of a dirty file is corrupt
 *   EINVAL    the mount belongs to a parent process (the error of `usable` is passed on)
 */
EXT2DAX_API int ext2dax_freeze(struct ext2dax_mount *mount);
/*
 * Ends a freeze. Clears the valid bit, releases every waiter, and frees the files whose last put
 * was queued. May be called from any thread, not only from the thread that froze. The caller holds
 * no lock. May block on the release of files.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL   not frozen, or the mount belongs to a parent process (the error of `usable` is passed
 *            on)
 *   EIO      clearing the valid bit failed. The filesystem is thawed nevertheless and no longer
 *            changes
 */
EXT2DAX_API int ext2dax_thaw(struct ext2dax_mount *mount);

/*
 * Waits until a write fault that returned RETRY may be retried. Returns at once if not frozen.
 * Takes and releases a lock of class EXT2DAX_LOCK_FREEZE_FAULT. Call without the address-space lock
 * or any later lock.
 */
EXT2DAX_API void ext2dax_wait_thaw(struct ext2dax_mount *mount);

/* Size and free space of an image. */
struct ext2dax_statfs {
    uint32_t block_size; /* bytes */
    uint32_t page_size;  /* bytes */
    /*
     * Pages per PMD range. 0 if nothing can be mapped (block size and page size differ, or the base
     * of the memory is not page-aligned).
     */
    uint32_t pmd_pages;
    uint64_t blocks;           /* of the image, metadata included */
    uint64_t free_blocks;      /* blocks reserved for the superuser included */
    uint64_t available_blocks; /* blocks reserved for the superuser excluded */
    uint64_t inodes;           /* of the image */
    uint64_t free_inodes;      /* of the image */
    uint64_t max_file_size;    /* bytes of the largest file that may exist */
    bool read_only;            /* mounted read-only, or a write-back failed */
    bool ordered;              /* EXT2DAX_ORDERED */
    /*
     * Bytes of the largest size a file reaches by growing from size 0. Write, truncate and allocate
     * return EFBIG past it. At most `max_file_size`. Growth stops at 16 GiB with 1 KiB blocks and
     * at 256 GiB with 2 KiB blocks, because a crash while a size crosses this line would leave a
     * size that e2fsck takes for damage. A larger file made by another driver keeps its size, and
     * cannot grow further.
     */
    uint64_t max_grow_size;
};

/*
 * Reads the statistics of the moment. `size` is sizeof(struct ext2dax_statfs) as known to the
 * caller. Members past this size are not stored. Takes the fs lock. Cannot fail.
 */
EXT2DAX_API void ext2dax_statfs(struct ext2dax_mount *mount, struct ext2dax_statfs *figures, size_t size);

/*
 * Events since mount. Each counter wraps. A PMD range is eligible for an aligned extent of its own
 * if the size of the file at the allocation reaches the end of the range, or for any range except
 * the first, its start.
 */
struct ext2dax_counters {
    uintptr_t fences;           /* calls of the fence op of the memory plug */
    uintptr_t faults;           /* calls of the fault family, PMD faults refused at once excluded */
    uintptr_t sigbus;           /* faults that returned SIGBUS */
    uintptr_t huge_mapped;      /* PMD ranges mapped by a single huge entry */
    uintptr_t fallback[8];      /* faults that returned FALLBACK, by enum ext2dax_fallback */
    uintptr_t blocks_allocated; /* indirect blocks included */
    uintptr_t blocks_freed;     /* indirect blocks included */
    /* eligible PMD ranges that received a whole free aligned extent */
    uintptr_t aligned_extents_claimed;
    uintptr_t aligned_extents_missed; /* eligible PMD ranges that found no free aligned extent */
};
/*
 * Reads the counters, each by itself and not as a snapshot. `size` is sizeof(struct
 * ext2dax_counters) as known to the caller. Members past this size are not stored. Takes no lock.
 * Cannot fail.
 */
EXT2DAX_API void ext2dax_count(struct ext2dax_mount *mount, struct ext2dax_counters *counters, size_t size);

#ifdef __cplusplus
}
#endif
#endif
