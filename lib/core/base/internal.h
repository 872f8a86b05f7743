/* SPDX-License-Identifier: MIT */
/*
 * The mount object of the core, and helpers used by all of core.
 *
 * Kept only in the image: bitmaps, group and superblock counters, block pointers, i_blocks, link
 * counts, times, flags. The core reads and stores these fields in place. The header of the
 * directory that owns a field names the lock which guards the field. Each time is a single 4-byte
 * store.
 *
 * Kept in core: the size of an inode (must shrink before the mappings are removed, and grow after
 * the size in the image), references to inodes, dirty state, pins. Per group: the lock, the end of
 * the metadata, and the number of free blocks of each aligned extent.
 *
 * Glossary
 *   block           a file system block
 *   page            the unit of a page fault
 *   PMD range       an aligned range of a file, by default 2 MiB with 4 KiB pages.
 *   aligned extent  an aligned range of blocks of the image, of the size of a PMD range.
 *   loose block     a free block outside all aligned extents, or in a partly used aligned extent
 *                   without a reservation
 *   group           a block group
 *   system zone     blocks of metadata, which never hold file data
 */
#ifndef E2D_BASE_INTERNAL_H
#define E2D_BASE_INTERNAL_H

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

#include "base/atomic.h"
#include "base/endian.h"
#include "base/mem.h"

/*
 * Short ways that only gain time. A core compiled for size leaves out each such way, so each way
 * needs a general way beside it.
 */
#ifdef __OPTIMIZE_SIZE__
#define E2D_FOR_SPEED 0
#else
#define E2D_FOR_SPEED 1
#endif

#define E2D_RANGE_LOCKS   64  /* a power of two */
#define E2D_CHUNK_SHIFT   5   /* log2 of the blocks per bit of data_chunks */
#define E2D_CACHE_CHAINS  256 /* at first, a power of two */
#define E2D_COUNTER_SLOTS 8   /* a power of two */
#define E2D_LINE          64  /* bytes of a cache line */
#define E2D_THAWED        0u
#define E2D_FREEZING      1u /* a freeze waits for the locks, or a thaw is in progress */
#define E2D_FROZEN        2u
#define E2D_FENCE_SLOTS   48 /* room for every enum e2d_fence */
#define E2D_DEPTH_MAX     3  /* levels of pointer blocks in a block tree */
#define E2D_SHARED_SLOTS  64 /* a power of two */

/*
 * State of an aligned extent of the image, for the block allocator. Guarded by the lock of the
 * group.
 */
struct e2d_aligned_extent {
    uint32_t owner; /* inode whose PMD range reserved the extent, 0 if none */
    uint32_t range; /* PMD range of the owner */
    uint16_t free;  /* free blocks */
};

/*
 * In-core state of a block group.
 *
 * The lock guards all fields down to `inodes_bad`. Searches also read `whole`, `loose` and `known`
 * without the lock, as a hint. `whole`, `loose` and the e2d_aligned_extent records of the group are
 * valid when `known` is 1.
 *
 * A group with `bad` set neither allocates nor frees blocks. A group with `unreadable` set
 * allocates no blocks until the bitmap can be read. A group with `inodes_bad` set neither allocates
 * nor frees inodes.
 *
 * `compact` is set if all metadata of the group is a single run at the start of the group.
 * `metadata_end` is then the length of the run. Otherwise `metadata_end` covers only the superblock
 * copy, the descriptors and the reserved descriptor blocks.
 */
struct e2d_group {
    struct ext2dax_lock lock;
    uint32_t whole;        /* free unreserved aligned extents */
    uint32_t loose;        /* loose blocks */
    uint32_t known;        /* 1 after the bitmap scan */
    bool checked;          /* block bitmap compared with the free count */
    bool bad;              /* bitmap and count differ */
    bool unreadable;       /* block bitmap could not be read */
    bool inodes_checked;   /* inode bitmap compared with its count */
    bool inodes_bad;       /* inode bitmap and count differ */
    uint32_t metadata_end; /* blocks, see above */
    bool compact;          /* see above */
};

/* A known xattr block, which another inode may share (alloc/shared.h). */
struct e2d_shared {
    uint32_t hash;
    uint32_t block; /* 0 in an unused slot */
};

/* Argument of the mount options `recover` and `verify`. */
struct ext2dax_mounting {
    struct ext2dax_mount *mount; /* not yet seen by another thread */
};

/* A lock with a cache line of its own. */
struct e2d_apart_lock {
    struct ext2dax_lock lock;
    unsigned char apart[E2D_LINE - sizeof(struct ext2dax_lock)];
};

/* The ops of the lock plug for every call, apart from the ops for mount and unmount alone. */
struct e2d_lock_calls {
    void (*read_lock)(void *ctx, struct ext2dax_lock *lock);
    void (*read_unlock)(void *ctx, struct ext2dax_lock *lock);
    void (*write_lock)(void *ctx, struct ext2dax_lock *lock);
    void (*write_unlock)(void *ctx, struct ext2dax_lock *lock);
    bool (*try_read_lock)(void *ctx, struct ext2dax_lock *lock);
    bool (*try_write_lock)(void *ctx, struct ext2dax_lock *lock);
};

/*
 * The locks, each written by every thread that takes one, lie in cache lines apart from each other
 * and from the fields that no thread writes.
 */
struct ext2dax_mount {
    struct e2d_lock_calls lock_calls;
    void *lock_ctx, *host_ctx;
    unsigned char *base;
    struct ext2dax_disk_super *super;
    struct e2d_group *group;          /* array, per group */
    uint32_t block_size, block_shift; /* bytes, and log2 of the bytes */
    /*
     * Size of a PMD range. A PMD range is a huge page if block size = page size. Otherwise a PMD
     * range only groups blocks.
     */
    uint32_t pmd_blocks, pmd_shift;
    uint32_t blocks; /* of the image */
    uint32_t first_data_block;
    uint32_t groups, inodes_per_group;
    /*
     * Aligned extents per group, only whole extents counted. Extent k of a group starts at bit
     * e2d_aligned_bit(m, k) of the block bitmap.
     */
    uint32_t aligned_per_group;
    uint32_t aligned_skew; /* blocks from the first block of a group to the first extent */
    /* The fields above fit in 128 bytes, as offsets of one byte in the code of x86. */

    /* copies of the ops tables, NULL for fields missing in the table of the caller */
    struct ext2dax_lock_ops lock_ops;
    struct ext2dax_memory_ops memory_ops;
    struct ext2dax_address_space_ops space_ops;
    struct ext2dax_host_ops host_ops;
    void *memory_ctx, *space_ctx;
    size_t size; /* bytes of memory */

    /* geometry, constant after mount */
    uint32_t pointers, pointer_shift; /* per block */
    uint32_t blocks_per_group;
    /*
     * Reciprocal of blocks_per_group for e2d_divide(), or 0 for a power of two, 1 << group_shift.
     */
    uint32_t group_reciprocal;
    uint32_t group_shift;
    uint32_t inodes, inode_reciprocal; /* last: of inodes_per_group */
    uint32_t inode_size, first_inode;
    uint32_t descriptor_blocks;    /* per descriptor table, without meta_bg */
    uint32_t descriptors_shift;    /* log2 of the descriptors per block */
    uint32_t reserved_descriptors; /* kept after each table for growth */
    /* With meta_bg the first meta group, counted in descriptor blocks, else UINT32_MAX. */
    uint32_t first_meta_group;
    uint64_t max_size;    /* bytes, of a file */
    uint64_t tree_blocks; /* blocks per file that block pointers can reach */
    bool sparse_super, filetype;
    bool sparse_super2;        /* superblock copies only in group 0 and backup_groups */
    uint32_t backup_groups[2]; /* 0 if none */
    bool dir_nlink, huge_file; /* features */
    bool hurd;                 /* creator OS is Hurd, so files may have translators */
    /*
     * i_extra_isize of a new inode, which is the number of bytes used after the first 128. Includes
     * the 2 bytes of the field itself. 0 if none.
     */
    uint32_t extra_isize;

    uint32_t page_size, page_shift;
    bool full_ranges;  /* EXT2DAX_MOUNT_FULL_RANGES */
    bool faultable;    /* pages can be mapped (block size = page size, base page-aligned) */
    bool huge_aligned; /* aligned extents are aligned in memory, so huge pages can be mapped */
    bool ordered;
    bool memory_read_only; /* reported by the memory plug, never mounted read-write */
    size_t name_budget;    /* bytes of all name tables, 0 for no tables */
    /* Bitmaps are valid, counts not yet. Set only while no other thread can use the mount. */
    bool recovering;
    /*
     * Claimed use of the memory. Changed during mount and unmount, else under both freeze locks
     * held exclusively.
     */
    enum ext2dax_claim claim;

    /*
     * read_only is stored under freeze_write and freeze_fault held exclusively, and under fs. Any
     * of the three locks is sufficient to read. Mount stores read_only before other threads can see
     * the mount.
     */
    bool read_only;
    uint32_t frozen; /* atomic, E2D_THAWED, … */
    /*
     * Atomic. 1 + the first block whose write-back failed, or 0. From a failure on the mount
     * behaves as read-only.
     */
    uint32_t failed;
    uint32_t errors;  /* enum ext2dax_errors, never IMAGE after mount */
    uint32_t stopped; /* atomic. `errors` from the first error on, before 0 */
    uint32_t clock;   /* atomic. Seconds of the last call of the clock, in the form of the image */

    unsigned char apart_first[E2D_LINE];
    struct ext2dax_lock freeze_write, rename;
    unsigned char apart_fault[E2D_LINE];
    struct ext2dax_lock freeze_fault;
    unsigned char apart_gate[E2D_LINE];
    /*
     * Held together with the freeze locks. Waiters for thaw queue here and not at freeze_fault,
     * where write faults try the lock.
     */
    struct ext2dax_lock thaw_gate;
    struct ext2dax_lock fs;
    unsigned char apart_cache[E2D_LINE];
    struct ext2dax_lock icache_lock;
    struct e2d_apart_lock range_lock[E2D_RANGE_LOCKS];

    /*
     * Bitmap, a bit per chunk of 1 << E2D_CHUNK_SHIFT blocks, set if each block of the chunk may
     * hold file data. Constant after mount.
     */
    uint32_t *data_chunks;
    /*
     * Array in group order. NULL if the mount was never read-write, or if no group has an aligned
     * extent.
     */
    struct e2d_aligned_extent *aligned;

    /* guarded by icache_lock */
    struct ext2dax_inode **cache; /* chains of objects, first_cache or memory of the host */
    struct ext2dax_inode *first_cache[E2D_CACHE_CHAINS];
    uint32_t cache_chains, cached;   /* chains, and objects in all chains */
    uint32_t cache_walks;            /* walks over all chains, which keep the chains in place */
    struct ext2dax_inode *put_queue; /* last puts that found the filesystem frozen */
    uint32_t held;                   /* references, sum over all inodes */
    uint32_t inodes_made;            /* objects made since mount */
    /* both ends of the list of name tables */
    struct e2d_name_table *newest_names, *oldest_names;
    size_t name_bytes; /* of all name tables, at most name_budget */
    /* Bytes which eviction shall release. Atomic, stored under icache_lock. */
    uintptr_t name_shortage;
    /*
     * Frees a nameless inode. Set before the first inode is nameless, so a program without create
     * and unlink does not link the code.
     */
    void (*free_nameless)(struct ext2dax_inode *inode);
    /* Drops the table of a directory. Set before the first table is published, as above. */
    void (*drop_names)(struct ext2dax_inode *directory);

    /* guarded by fs */
    uint32_t writable_pins;
    /*
     * Set if the mount is read-only and the counters in the superblock differ from the sums over
     * the groups. ext2dax_statfs() then returns the sums.
     */
    bool drifted;
    uint32_t free_blocks, free_inodes; /* sums over the groups */
    struct e2d_shared shared[E2D_SHARED_SLOTS];

    struct ext2dax_counters counters[E2D_COUNTER_SLOTS]; /* each word atomic, see e2d_counters() */
    uintptr_t fences_by_name[E2D_FENCE_SLOTS];           /* by enum e2d_fence, each atomic */
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

/* Returns the number of blocks (pages) that hold `bytes` bytes, rounded up. */
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

/*
 * Returns the counters for the calling thread to raise. Threads with stacks far apart mostly get
 * different slots, so they do not write one cache line. The sum over the slots counts. Compiled for
 * size, all threads share slot 0.
 */
static inline struct ext2dax_counters *e2d_counters(struct ext2dax_mount *m)
{
#if E2D_FOR_SPEED
    const char here = 0;
    uintptr_t mixed = ((uintptr_t)&here >> 14) * (uintptr_t)0x9E3779B1u;

    return &m->counters[mixed >> 16 & (E2D_COUNTER_SLOTS - 1)];
#else
    return &m->counters[0];
#endif
}

/* Returns the sum of a counter over the slots. `first` is the counter in slot 0. */
static inline uintptr_t e2d_counted_all(const uintptr_t *first)
{
    uintptr_t sum = 0;

    for (unsigned slot = 0; slot < E2D_COUNTER_SLOTS; slot++)
        sum += e2d_counted(first + slot * (sizeof(struct ext2dax_counters) / sizeof(uintptr_t)));
    return sum;
}

/* ---- the host ---- */

/* Returns memory of the host, or NULL. e2d_release() accepts NULL. */
void *e2d_alloc(struct ext2dax_mount *m, size_t bytes);
void e2d_release(struct ext2dax_mount *m, void *at, size_t bytes);

/*
 * Returns 0, or -EINTR if the host requests the end of a long operation. Called with no lock held.
 */
int e2d_interrupted(struct ext2dax_mount *m);

/*
 * Passes hints to the memory plug. e2d_scan_hint() marks the begin and end of a pass over
 * structures all over the image, each read once. e2d_fetch() announces that the blocks are read
 * soon.
 */
static inline void e2d_scan_hint(struct ext2dax_mount *m, bool begins)
{
    if (m->memory_ops.scan)
        m->memory_ops.scan(m->memory_ctx, begins);
}
static inline void e2d_fetch(struct ext2dax_mount *m, uint32_t block, uint32_t count)
{
    if (m->memory_ops.fetch)
        m->memory_ops.fetch(m->memory_ctx, e2d_block(m, block), (size_t)count << m->block_shift);
}

/*
 * Last parameter and argument of the functions which report. A build without reports drops both,
 * and the texts. A report then has a structure, number, field, value and error, and no reason.
 * E2D_OWN_REASON() is for the reason of a static function, which keeps the parameter, and
 * E2D_TEXT() for the texts which a compiler cannot drop by itself.
 */
#ifdef E2D_NO_REPORTS
#define E2D_REASON(reason)
#define E2D_REASON_OR_NULL(reason)       NULL
#define E2D_WITHOUT_REASON(reason, call) ((void)(reason), call)
#define E2D_OWN_REASON(reason)           E2D_WITHOUT_REASON(reason, NULL)
#define E2D_TEXT(text)                   ""
#else
#define E2D_REASON(reason)         , reason
#define E2D_REASON_OR_NULL(reason) reason
#define E2D_OWN_REASON(reason)     reason
#define E2D_TEXT(text)             text
#endif

/* Report fields with a set of features as value. Recognized by address. */
extern const char e2d_incompat_field[], e2d_ro_compat_field[], e2d_compat_field[];

/*
 * Pass a report to the log of the host and return `error`, so that callers can return the result.
 * e2d_report() takes an ops table of full size. e2d_complain() reports EXT2DAX_LEVEL_ERROR, or with
 * E2D_AT_INFO added to the error EXT2DAX_LEVEL_INFO. e2d_warn() has no error.
 */
int e2d_report(const struct ext2dax_host_ops *ops, void *ctx, const struct ext2dax_report *report);
int e2d_complain(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
                 uint64_t value E2D_REASON(const char *reason));
#define E2D_AT_INFO 0x1000 /* larger than every error */
/*
 * Reports EXT2DAX_LEVEL_INFO and returns `error`. For progress, or for an error which an earlier
 * call has reported with EXT2DAX_LEVEL_ERROR.
 */
#define e2d_tell(m, error, structure, number, field, value, reason)                                                    \
    e2d_complain((m), (error) + E2D_AT_INFO, (structure), (number), (field), (value), reason)
void e2d_warn(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
              uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_complain(m, error, structure, number, field, value, reason)                                                \
    E2D_WITHOUT_REASON(reason, e2d_complain((m), (error), (structure), (number), (field), (value)))
#define e2d_warn(m, structure, number, field, value, reason)                                                           \
    E2D_WITHOUT_REASON(reason, e2d_warn((m), (structure), (number), (field), (value)))
#endif

/* Reports a broken contract, of the caller or of the core, to the host. Does not return. */
_Noreturn void e2d_panic(const struct ext2dax_mount *m, const char *file, int line, const char *what);

/*
 * Keeps a function with a large stack frame out of line. Inlined, the frame would occupy the stack
 * while the caller calls other functions.
 */
#ifdef __GNUC__
#define E2D_APART __attribute__((noinline))
#else
#define E2D_APART
#endif

/*
 * Keeps a function out of line in a core compiled for size, where the code inlined would be larger.
 * Measured with gcc for x86-64. Compiled for speed, the compiler decides.
 */
#if defined(__GNUC__) && !E2D_FOR_SPEED
#define E2D_OUT_OF_LINE __attribute__((noinline))
#else
#define E2D_OUT_OF_LINE
#endif

/*
 * Keep a general way from slowing down the short way beside it. Inlined, the general way would make
 * the short way save registers. E2D_RARELY marks a condition for the general way.
 */
#ifdef __GNUC__
#define E2D_APART             __attribute__((noinline))
#define E2D_RARELY(condition) __builtin_expect((condition), 0)
#else
#define E2D_APART
#define E2D_RARELY(condition) (condition)
#endif

/*
 * The file name without directories, if the compiler provides the macro. A kernel then does not
 * contain build paths.
 */
#ifdef __FILE_NAME__
#define E2D_FILE __FILE_NAME__
#else
#define E2D_FILE __FILE__
#endif

#define E2D_ASSERT(m, condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition) && !E2D_ASSERTIONS_OFF)                                                                       \
            e2d_panic((m), E2D_FILE, __LINE__, E2D_TEXT(#condition));                                                  \
    } while (0)

#endif
