/* SPDX-License-Identifier: MIT */
/*
 * What lives in core, and what only in the image.
 *
 * Only in the image: bitmaps, group and superblock counters, block pointers, i_blocks, links, times, flags. They are
 * read and stored in place; the lock that guards each stands in its room's header. Times are single 4-byte stores.
 * In core: an inode's size (it must shrink before its mappings go and grow after the image's), who holds it, what is
 * dirty or pinned; per group its lock, where its metadata ends, and how full each region is.
 *
 * Glossary: block — a file system block; page — what a fault asks for; window — one aligned huge page of a file;
 * region — one aligned huge page of the image; group — a block group; zone — blocks that hold no file's data.
 */
#ifndef E2D_INCORE_H
#define E2D_INCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/address_space.h"
#include "ext2dax/error.h"
#include "ext2dax/host.h"
#include "ext2dax/inode.h"
#include "ext2dax/lock.h"
#include "ext2dax/memory.h"
#include "ext2dax/mount.h"
#include "ext2dax/ondisk.h"

#include "atomic.h"
#include "endian.h"
#include "mem.h"

#define E2D_ENTRY_LOCKS  64  /* a power of two */
#define E2D_CACHE_CHAINS 256 /* a power of two */
#define E2D_THAWED       0u
#define E2D_FREEZING     1u /* a freeze waits for the locks, or a thaw is on its way */
#define E2D_FROZEN       2u
#define E2D_STEP_SLOTS   32 /* room for every enum e2d_step */

/* One aligned region of the image, as the allocator sees it. Guarded by its group's lock. */
struct e2d_region {
    uint32_t owner;  /* inode number whose window reserved it; 0: nobody */
    uint32_t window; /* of the owner */
    uint16_t free;   /* free blocks */
};

struct e2d_group {
    struct ext2dax_lock lock;
    struct e2d_region *regions; /* NULL until the group's bitmap was first scanned; guarded by lock */
    uint32_t whole;             /* regions wholly free and not reserved; guarded by lock, read without it as a hint */
    uint32_t loose;             /* free blocks of no region or of a partly used, unreserved one; likewise */
    uint32_t known;             /* 1 once the two above mean something; likewise */
    bool bad;                   /* bitmap and counters disagree: nothing more is given out; guarded by lock */
    uint32_t metadata_end;      /* blocks from the group's start that are metadata; all that is, where `compact` */
    bool compact;               /* the group's metadata is one run at its start */
};

struct ext2dax_mount {
    /* copies of the plugs; fields that a shorter table lacks are NULL */
    struct ext2dax_lock_ops lock_ops;
    struct ext2dax_memory_ops memory_ops;
    struct ext2dax_address_space_ops space_ops;
    struct ext2dax_host_ops host_ops;
    void *lock_ctx, *memory_ctx, *space_ctx, *host_ctx;
    unsigned char *base;
    size_t size; /* bytes of memory */

    /* geometry: constant from mount on */
    struct ext2dax_disk_super *super;
    uint32_t block_size, block_shift; /* bytes; log2 */
    uint32_t pointers, pointer_shift; /* a block */
    uint32_t first_data_block;
    uint32_t blocks; /* of the image */
    uint32_t blocks_per_group, groups;
    uint32_t group_reciprocal; /* of blocks_per_group, for dividing by multiplication; 0: it is 1 << group_shift */
    uint32_t group_shift;
    uint32_t inodes, inodes_per_group, inode_reciprocal; /* of inodes_per_group */
    uint32_t inode_size, first_inode;
    uint32_t descriptor_blocks;    /* without meta_bg: of each descriptor table */
    uint32_t descriptors_shift;    /* log2 of the descriptors in a block */
    uint32_t reserved_descriptors; /* blocks kept behind each table for its growth */
    uint32_t first_meta_group;     /* with meta_bg: first meta group, counted in descriptor blocks; else UINT32_MAX */
    uint64_t max_size;             /* bytes, of a file */
    uint64_t tree_blocks;          /* that block pointers can reach */
    bool sparse_super, filetype;

    uint32_t page_size, page_shift;
    uint32_t window_blocks, window_shift; /* of an allocation window: a huge page where block = page */
    uint32_t regions_per_group;           /* whole ones; region k of group g starts at e2d_region_block() */
    uint32_t region_skew;                 /* blocks from a group's first block to its first region */
    bool faultable;                       /* block size = page size: pages can be mapped */
    bool huge_aligned;                    /* region addresses in memory are aligned: huge mappings are possible */
    bool ordered;
    bool memory_read_only; /* the plug said so: never mounted for writing */

    /* guarded by freeze_write and freeze_fault: stored under both exclusively, read under either */
    bool read_only;
    uint32_t frozen; /* atomic: E2D_THAWED, … */
    uint32_t failed; /* atomic: 1 + the block whose write-back failed; from then on as read-only */

    struct ext2dax_lock freeze_write, freeze_fault, rename;
    struct ext2dax_lock thaw_gate; /* held with the freeze locks; waiting for thaw is done here, not where faults try */
    struct ext2dax_lock fs, cache_lock;
    struct ext2dax_lock entry[E2D_ENTRY_LOCKS];

    struct e2d_group *group; /* of all groups */

    /* guarded by cache_lock */
    struct ext2dax_inode *cache[E2D_CACHE_CHAINS];
    struct ext2dax_inode *put_queue; /* last puts that found the filesystem frozen */
    uint32_t held;                   /* references, over all inodes */

    /* guarded by fs */
    uint32_t writable_pins;

    struct ext2dax_counters counters;      /* each atomic */
    uintptr_t step_fences[E2D_STEP_SLOTS]; /* fences by enum e2d_step; each atomic */
};

/* ---- blocks and pages ---- */

static inline void *e2d_block(const struct ext2dax_mount *m, uint32_t block)
{
    return m->base + ((size_t)block << m->block_shift);
}

static inline uint32_t e2d_min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
static inline uint64_t e2d_min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t e2d_max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Blocks that hold `bytes` bytes: the ceiling. */
static inline uint64_t e2d_blocks_for(const struct ext2dax_mount *m, uint64_t bytes)
{
    return (bytes >> m->block_shift) + ((bytes & (m->block_size - 1)) != 0);
}
static inline uint64_t e2d_pages_for(const struct ext2dax_mount *m, uint64_t bytes)
{
    return (bytes >> m->page_shift) + ((bytes & (m->page_size - 1)) != 0);
}

static inline uint64_t e2d_size(const struct ext2dax_inode *inode)
{
    return e2d_load64(&inode->size);
}

static inline bool e2d_is_regular(const struct ext2dax_inode *inode)
{
    return (inode->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG;
}
static inline bool e2d_is_directory(const struct ext2dax_inode *inode)
{
    return (inode->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

/* ---- the host ---- */

static inline void *e2d_alloc(struct ext2dax_mount *m, size_t bytes)
{
    return m->host_ops.alloc(m->host_ctx, bytes);
}
static inline void e2d_release(struct ext2dax_mount *m, void *at, size_t bytes)
{
    if (at)
        m->host_ops.release(m->host_ctx, at, bytes);
}

/* The time to store in an image: seconds, never small enough to be taken for an inode number. No lock below freeze. */
uint32_t e2d_now(struct ext2dax_mount *m);

/* Tells the host, whose table is a copy of full size; returns `error`, so that `return e2d_complain(…)` reads well. */
int e2d_report(const struct ext2dax_host_ops *ops, void *ctx, const struct ext2dax_report *report);
int e2d_complain(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
                 uint64_t value, const char *reason);
/* For information: progress, or the reason for an error that an earlier call has complained of already. */
int e2d_tell(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
             uint64_t value, const char *reason);
void e2d_warn(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field, uint64_t value,
              const char *reason);

/* A broken promise of the caller's or of our own: tells the host and does not return. */
_Noreturn void e2d_panic(const struct ext2dax_mount *m, const char *file, int line, const char *what);

/* A function whose frame is large and not to be part of its caller's, which stays while others are called. */
#ifdef __GNUC__
#define E2D_APART __attribute__((noinline))
#else
#define E2D_APART
#endif

/* The name alone where the compiler knows it: a kernel need not carry the paths of its build. */
#ifdef __FILE_NAME__
#define E2D_FILE __FILE_NAME__
#else
#define E2D_FILE __FILE__
#endif

#define E2D_ASSERT(m, condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition) && !E2D_ASSERTIONS_OFF)                                                                       \
            e2d_panic((m), E2D_FILE, __LINE__, #condition);                                                            \
    } while (0)

#endif
