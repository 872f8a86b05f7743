/* SPDX-License-Identifier: MIT */
/*
 * Opening an image, and what concerns all of it: mount, sync, freeze, figures.
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

/* The four plugs. The structs are copied; their tables are copied too, so that only the ctx pointers must stay. */
struct ext2dax_plugs {
    struct ext2dax_locks locks;                 /* who waits */
    struct ext2dax_memory memory;               /* where the bytes live */
    struct ext2dax_address_space address_space; /* who has it mapped */
    struct ext2dax_host host;                   /* the rest */
};

/* What is durable before what. */
enum ext2dax_order {
    EXT2DAX_ORDER_AUTO, /* ORDERED where the memory says it is persistent, else UNORDERED */
    EXT2DAX_ORDERED,    /* a crash at any store leaves an image that e2fsck -p mends by itself */
    EXT2DAX_UNORDERED   /* the same program order, no write-back and no fence but in fsync and sync */
};

/* Change nothing: not a byte of the image is stored to. */
#define EXT2DAX_MOUNT_READ_ONLY 0x1u
/*
 * Walk every inode first and refuse an image in which a block has two owners (EUCLEAN, both named). Needs one bit a
 * block from the host while it runs, and time linear in the image's metadata.
 */
#define EXT2DAX_MOUNT_VERIFY 0x2u

/*
 * Refuse an image that was not cleanly unmounted (EUCLEAN) and leave it to e2fsck, instead of recovering it. Means nothing
 * beside READ_ONLY: what may not be written to is never recovered, and can be read as it is.
 */
#define EXT2DAX_MOUNT_NO_RECOVERY 0x4u

/* All-zero is a good default: 4 KiB pages, 2 MiB windows, read-write, recovery, order by the memory's kind. */
struct ext2dax_mount_options {
    size_t size;              /* sizeof of whoever filled it; what lies past it counts as zero */
    unsigned flags;           /* EXT2DAX_MOUNT_… */
    enum ext2dax_order order; /* of stores */
    unsigned page_shift;      /* log2 of the page size in bytes, 10 … 16; 0: 12 */
    unsigned huge_order;      /* log2 of the pages of a window; 0: page_shift - 3 */
};

/*
 * Opens the image in plugs->memory. Every structure read here is checked; nothing is changed but, for a read-write
 * mount, the superblock's valid bit, which is cleared durably before the call returns, and what recovery mends.
 *
 * Recovery: a read-write mount of an image that was not cleanly unmounted first settles what a crash of an ordered mount
 * leaves: blocks and inodes that are marked used and nobody's are freed; names of inodes that were being created or
 * deleted are cleared; link counts, i_blocks, directory sizes, missing file types in entries, times of deletion, reference
 * counts of attribute blocks and free counts are set to what the rest of the image says. It reads all metadata first, in
 * time linear in it, and holds one bit a block and seven bytes an inode (39 where it has extended attributes) from the
 * host meanwhile. What no crash leaves (a block with two owners, one in use but marked free, a file with data but no name,
 * …) is damage: EUCLEAN, reported by inode or block, nothing changed, and the image left to e2fsck; READ_ONLY still opens
 * it. A crash in recovery leaves an image to recover, and e2fsck -p mends it too. ENOMEM: nothing changed.
 *
 * Recovery tells the log, with EXT2DAX_LEVEL_INFO: how far it is (structure "recovery step", number: steps done, value:
 * steps in all as far as is known; about a hundred reports at most) and, when all is durable, what it mended (structure
 * "recovery", number: 1, 2 …, or 0 where there was nothing; field: what, value: how many, reason: what became of them).
 *
 * Errors: EINVAL (not an ext2 image, or a plug lacks a required op), EUCLEAN (structures that contradict themselves or
 * the image's size; errors recorded in the superblock; damage met by recovery, or NO_RECOVERY and not cleanly unmounted; the
 * last three not with READ_ONLY), EOPNOTSUPP (incompatible features, or unknown read-only features without READ_ONLY),
 * EROFS (read-only memory), EOVERFLOW (more than this target can address), ENOMEM, EIO. The log has the particulars. On
 * failure *mount is NULL and everything is given back. May block.
 */
EXT2DAX_API int ext2dax_mount(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                              struct ext2dax_mount **mount);

/*
 * Makes everything durable, marks the image clean, frees the mount. EBUSY while inode references exist or the
 * filesystem is frozen: nothing has changed then. EIO: the image could not be made durable and stays marked unclean;
 * the mount is freed all the same. No other call on the mount may run or follow.
 */
EXT2DAX_API int ext2dax_unmount(struct ext2dax_mount *mount);

/*
 * Turns a read-write mount read-only (flags EXT2DAX_MOUNT_READ_ONLY) or back (0). To read-only: EBUSY while an
 * unlinked inode or a writable pin is held; all mappings are write-protected, the image is durable and marked clean.
 * Blocks while modifying calls run. EROFS, EUCLEAN or EOPNOTSUPP where a read-write mount would be refused; EUCLEAN too
 * where it would recover: others may be looking at the image already.
 */
EXT2DAX_API int ext2dax_remount(struct ext2dax_mount *mount, unsigned flags);

/*
 * Makes durable all that was done before the call, in every file. Takes dax_sem shared and entry locks, so may be
 * called beside anything. EIO: the mount has gone read-only.
 */
EXT2DAX_API int ext2dax_sync(struct ext2dax_mount *mount);

/*
 * Stops every change: waits for modifying calls, then write faults, write-protects and persists every mapping, and
 * marks the image clean unless an unlinked inode is still held. Until thaw, modifying calls wait, and write faults
 * answer RETRY. EBUSY: already frozen, or a writable pin exists; EROFS; EIO. Thaw may come from any thread.
 */
EXT2DAX_API int ext2dax_freeze(struct ext2dax_mount *mount);
/* Lets go on what waits for it, and frees what was put for the last time meanwhile. EINVAL when not frozen; EIO. */
EXT2DAX_API int ext2dax_thaw(struct ext2dax_mount *mount);

/* Waits until a write fault that answered RETRY may be tried again. Call without the address-space lock. */
EXT2DAX_API void ext2dax_wait_thaw(struct ext2dax_mount *mount);

/* What the image holds, and has left. */
struct ext2dax_statfs {
    uint32_t block_size;       /* bytes */
    uint32_t page_size;        /* bytes */
    uint32_t window_pages;     /* of a huge page; 0 where block and page differ, so that nothing can be mapped */
    uint64_t blocks;           /* of the image, all metadata included */
    uint64_t free_blocks;      /* those reserved for the superuser included */
    uint64_t available_blocks; /* without those reserved for the superuser */
    uint64_t inodes;           /* of the image */
    uint64_t free_inodes;      /* of these */
    /* Bytes, of a file that is there. Growing one stops at 16 GiB with 1 KiB blocks and at 256 GiB with 2 KiB: on the way
     * past, the image would hold a size that e2fsck takes for damage. */
    uint64_t max_file_size;
    bool read_only; /* mounted so, or for good since a write-back failed */
    bool ordered;   /* EXT2DAX_ORDERED */
};

/* Figures of the moment; takes nothing but the fs lock. Cannot fail. */
EXT2DAX_API void ext2dax_statfs(struct ext2dax_mount *mount, struct ext2dax_statfs *figures);

/* What has happened since mount; each counter wraps. */
struct ext2dax_counters {
    uintptr_t fences;           /* calls of the memory plug's fence */
    uintptr_t faults;           /* entries of the fault family */
    uintptr_t sigbus;           /* … answered SIGBUS */
    uintptr_t huge_mapped;      /* windows entered as one huge mapping */
    uintptr_t fallback[8];      /* PMD faults answered FALLBACK, by enum ext2dax_fallback */
    uintptr_t blocks_allocated; /* indirect blocks included */
    uintptr_t blocks_freed;     /* likewise */
    uintptr_t regions_claimed;  /* eligible windows that got a whole free region */
    uintptr_t regions_missed;   /* eligible windows that found none */
};
/* The counters of the moment, each read by itself. Takes no lock. Cannot fail. */
EXT2DAX_API void ext2dax_count(struct ext2dax_mount *mount, struct ext2dax_counters *counters);

#ifdef __cplusplus
}
#endif
#endif
