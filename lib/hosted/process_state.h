/* SPDX-License-Identifier: MIT */
/*
 * Declarations shared by the files process*.c, which implement the address space of a process.
 *
 * Two locks are used.
 * - `space` (the mmap lock) guards the set of mappings. The fault handler holds `space` shared
 *   while resolving a fault. Adding or removing a mapping holds `space` exclusively.
 * - `table` (the page-table lock) guards the pages of all mappings. A VMA inside a mapping and the
 *   recorded state of the page change in the same hold of `table`, so the record always matches the
 *   kernel.
 *
 * The array of mappings changes under both locks, so either lock is enough to read the array.
 *
 * Terms
 *   mapping      range of addresses of the process mapping part of a file
 *                (struct e2dh_mapping)
 *   VMA          mapping as the kernel counts them, a line of /proc/self/maps
 *   PMD range    aligned huge page of a file within a mapping, the unit of eviction
 *                (struct e2dh_pmd_range)
 *   not present  any access of the page faults. With sigsegv the page has no permission. With
 *                userfaultfd the page is missing from a registered memfd. The code says "absent".
 *   revoke       make a page not present again
 */
#ifndef E2DH_HOSTED_PROCESS_STATE_H
#define E2DH_HOSTED_PROCESS_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/fault.h"
#include "ext2dax/hosted/process.h"
#include "ext2dax/lock.h"
#include "ext2dax/memory.h"

/*
 * Tells Valgrind about intended accesses of pages that are not present. Compiled in where
 * Valgrind's headers were found at build time and support the processor. In a program run without
 * Valgrind, the requests are a few instructions without effect.
 */
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#if defined(VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE) && !defined(NVALGRIND)
static inline void e2dh_accesses_are_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(at, bytes);
}
static inline void e2dh_accesses_are_not_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_ENABLE_ADDR_ERROR_REPORTING_IN_RANGE(at, bytes);
}
/* Marks the range as readable, for system calls passed a mapping. */
static inline void e2dh_access_is_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(at, bytes);
}
static inline bool e2dh_under_valgrind(void)
{
    return RUNNING_ON_VALGRIND;
}
#else
static inline void e2dh_accesses_are_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline void e2dh_accesses_are_not_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline void e2dh_access_is_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline bool e2dh_under_valgrind(void)
{
    return false;
}
#endif

#if defined(__SANITIZE_THREAD__)
#define E2DH_RACE_DETECTOR 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define E2DH_RACE_DETECTOR 1
#endif
#endif
#if !defined(E2DH_RACE_DETECTOR)
#define E2DH_RACE_DETECTOR 0
#endif

/*
 * State of a page of a mapping. From ZERO to COPY each state is stronger than the previous state.
 * Mapping a page never replaces a state by a weaker state.
 */
enum e2dh_page {
    E2DH_PAGE_NONE,  /* not present */
    E2DH_PAGE_ZERO,  /* zeroes, read-only */
    E2DH_PAGE_READ,  /* the file's block, read-only */
    E2DH_PAGE_WRITE, /* the file's block, writable */
    E2DH_PAGE_COPY,  /* private copy, in the memfd `copies` at the offset of the page */
    E2DH_PAGE_ASIDE  /* private copy, evicted and not present. Mapped again without the core. */
};
#define E2DH_PAGE_MASK  0x07u
#define E2DH_PAGE_START 0x80u /* a VMA may begin at this page (upper bound) */
/*
 * The page has fewer permissions than the state says, because an access was refused or because the
 * kernel had no VMA left to revoke the page. A bare NONE or ASIDE page has no permission and does
 * not merge with neighbours that are not present. On a bare READ or ZERO page only stores fail.
 */
#define E2DH_PAGE_BARE 0x40u

struct e2dh_mapping;
struct e2dh_backend;
struct e2dh_uffd;
struct e2dh_accesses;

/*
 * Range of reserved addresses. Mappings lie side by side in a chunk, so their adjacent pages that
 * are not present share a VMA.
 */
struct e2dh_chunk {
    struct e2dh_chunk *next;
    char *at;
    size_t bytes;
    size_t mappings; /* mappings in the chunk */
    char *hint;      /* start of the next search for free addresses */
    size_t refused;  /* smallest failed search since a mapping was removed, in bytes (0 if none) */
    size_t left;     /* VMAs of removed mappings not given back. If > 0, no mapping is added. */
};

struct e2dh_pmd_range {
    /* Eviction queue, in the order of first mapping. Valid while `queued`. */
    struct e2dh_pmd_range *older, *newer;
    struct e2dh_mapping *mapping;
    uint32_t entered;  /* pages not NONE */
    uint32_t zeroes;   /* pages in state ZERO */
    uint32_t writable; /* pages in state WRITE */
    uint32_t starts;   /* pages with START */
    uint32_t bare;     /* pages with BARE */
    bool queued;
    bool huge;        /* mapped from an aligned extent, all pages alike since */
    bool uncollapsed; /* huge and not yet collapsed */
    uint64_t image;   /* byte offset in the image's file, valid where `loose` */
};

struct e2dh_mapping {
    struct ext2dax_process *process;
    struct ext2dax_inode *inode;
    unsigned flags; /* EXT2DAX_MAP_* */
    unsigned page_shift, huge_order;
    uint64_t first; /* page of the file mapped at `address` */
    uint64_t count; /* pages */
    char *address;
    /*
     * Bytes from `address` on. With sigsegv the pages and a guard page, which stays not present.
     * With userfaultfd the pages and the spare mapping, which also serves as the guard.
     */
    size_t reserved;
    struct e2dh_chunk *chunk; /* NULL if the mapping has addresses of its own */
    size_t own;               /* VMAs before any page is mapped, without the chunk */
    size_t starts;            /* VMAs beginning inside (pages with START) */
    size_t queued;            /* PMD ranges in the eviction queue */
    int copies;               /* memfd of private copies, -1 if none can be made */
    /*
     * Userfaultfd only. `absent` is the memfd behind pages not present. `spare` is the spare
     * mapping, a second mapping of `absent` and the source of moves. `limit` is the length of
     * `absent`.
     */
    int absent;
    char *staging;
    bool staging_hidden; /* the spare mapping has no permission for now */
    uint64_t limit;      /* pages */
    size_t record;       /* bytes of the two arrays below, on the heap or (large) in a VMA */
    struct e2dh_pmd_range *ranges;
    /*
     * Holds enum e2dh_page, START and BARE per page. The last element is the guard's and may only
     * have START.
     */
    uint8_t *pages;
};

struct ext2dax_process {
    struct ext2dax_locks locks;       /* the caller's ctx, with `lock_ops` as table */
    struct ext2dax_lock_ops lock_ops; /* copy of the caller's table */
    struct ext2dax_lock space, table;
    struct ext2dax_memory memory;
    int descriptor;
    uint64_t offset;       /* bytes of the image's file before the image */
    int shared_flags;      /* flags of mmap() for the image */
    uint64_t pages_wanted; /* of struct ext2dax_fault */
    bool advise;           /* the image's file has huge pages on request (MADV_HUGEPAGE) */
    /*
     * Bitmap with the option `collapse`, else NULL. Has 1 bit per 2 MiB of the image's file, set
     * once the 2 MiB are a huge page.
     */
    _Atomic uintptr_t *collapse_done;
    long owner; /* process id. A child inheriting this object must not resolve faults. */
    const struct e2dh_backend *backend;
    struct e2dh_uffd *userfaults;   /* userfaultfd only */
    struct e2dh_accesses *accesses; /* userfaultfd only */

    struct e2dh_mapping **mappings; /* sorted by address */
    size_t mapping_count, mapping_room;
    _Atomic uintptr_t low, high; /* bounds of all mappings so far, read without a lock */

    struct e2dh_chunk *chunks; /* guarded by space */

    /* Guarded by table, see process_vmas.c. */
    size_t vmas, max_mappings; /* VMAs in use (upper bound), and the limit */
    size_t own_vmas;           /* VMAs before any page is mapped, without `spare_held` */
    char *spare;               /* page range of the VMA reserve, NULL while no mapping exists */
    size_t spare_held, spare_wanted;
    struct e2dh_pmd_range *oldest, *newest;

    _Atomic uintptr_t traps, mapped, revoked, protections, sigbus, evicted, huge, collapsed;
};

static inline void e2dh_space_share(struct ext2dax_process *process)
{
    process->locks.ops->read_lock(process->locks.ctx, &process->space);
}
static inline void e2dh_space_unshare(struct ext2dax_process *process)
{
    process->locks.ops->read_unlock(process->locks.ctx, &process->space);
}
static inline void e2dh_space_lock(struct ext2dax_process *process)
{
    process->locks.ops->write_lock(process->locks.ctx, &process->space);
}
static inline void e2dh_space_unlock(struct ext2dax_process *process)
{
    process->locks.ops->write_unlock(process->locks.ctx, &process->space);
}
static inline void e2dh_table_lock(struct ext2dax_process *process)
{
    process->locks.ops->write_lock(process->locks.ctx, &process->table);
}
static inline void e2dh_table_unlock(struct ext2dax_process *process)
{
    process->locks.ops->write_unlock(process->locks.ctx, &process->table);
}

/* ---- process_registry.c ---- */

/* Returns the mapping containing the address, or NULL. The caller holds space or table. */
struct e2dh_mapping *e2dh_process_find(const struct ext2dax_process *process, uintptr_t address);
/*
 * Returns the mapping containing the address, or else the first mapping above the address, or NULL.
 * The caller holds space or table.
 */
struct e2dh_mapping *e2dh_process_find_from(const struct ext2dax_process *process, uintptr_t address);

/*
 * Adds a mapping. Works like ext2dax_process_map(), but counts in pages, allows an inode without a
 * mount and takes no reference. Does not call the core, except ext2dax_stat() of an inode with a
 * mount (userfaultfd only). Takes space and table. Returns 0 or a negative errno
 *   ENOMEM     no memory, or no room for the VMAs of the mapping and the reserve
 *   EOVERFLOW  the range exceeds the address space or the largest file offset
 *   others     from a failed system call
 */
int e2dh_process_add(struct ext2dax_process *process, struct ext2dax_inode *inode, unsigned page_shift,
                     unsigned huge_order, uint64_t first, uint64_t count, unsigned flags, void **address);
/*
 * Removes the mapping beginning at `address` and returns the inode in *inode. Takes space and
 * table. Returns 0, or -EINVAL if no mapping begins at the address.
 */
int e2dh_process_remove(struct ext2dax_process *process, void *address, struct ext2dax_inode **inode);

/* ---- address_range.c ---- */

/*
 * Finds `bytes` free addresses in an existing chunk, congruent to `offset` modulo `align` (a power
 * of two). Returns NULL if no chunk has room. Here, in grow and in shrink the caller holds space
 * and table exclusively.
 */
char *e2dh_addresses_find(struct ext2dax_process *process, size_t bytes, uint64_t offset, size_t align,
                          struct e2dh_chunk **chunk);
/*
 * Reserves another chunk with room for such addresses. Takes a VMA, already claimed by the caller.
 * On false, errno has the error of the system.
 */
bool e2dh_addresses_grow(struct ext2dax_process *process, size_t bytes, size_t align);
/*
 * Unmaps the chunk if no mapping is left except the mapping being removed. Returns true if the
 * chunk is gone. On false, the caller has to revoke the addresses of the mapping.
 */
bool e2dh_addresses_shrink(struct ext2dax_process *process, struct e2dh_chunk *chunk);
/*
 * Frees all chunks. In a child no address is unmapped, since chunks are not inherited and the child
 * may use the addresses for other memory.
 */
void e2dh_addresses_free(struct ext2dax_process *process);

/* ---- process_mapping.c ---- */

extern const struct ext2dax_address_space_ops e2dh_process_ops;

/*
 * Computes the number of addresses, the size of the record and the number of VMAs (chunk excluded).
 * Returns 0 or -EOVERFLOW.
 */
int e2dh_mapping_measure(struct e2dh_mapping *mapping);
/*
 * Allocates the record and creates the memfd of private copies. With userfaultfd also reserves the
 * addresses, with all pages not present. The mapping is in no list yet. Returns 0 or a negative
 * errno
 *   ENOMEM      no memory or no addresses
 *   EOPNOTSUPP  the kernel cannot move shared memory (userfaultfd)
 *   others      from a failed system call
 */
int e2dh_mapping_open(struct e2dh_mapping *mapping);
/* Records the address of the mapping in `chunk`. The caller holds space and table. */
void e2dh_mapping_place(struct e2dh_mapping *mapping, char *address, struct e2dh_chunk *chunk);
/*
 * Removes the VMAs of the mapping, also from the count, and frees the record. The caller holds
 * space and table.
 */
void e2dh_mapping_close(struct e2dh_mapping *mapping);
/*
 * Adapts the mapping to the size of the file, which has now, or is about to have, at least `least`
 * pages. Reduces the limit only with `shrinks`. The caller holds table.
 */
void e2dh_mapping_resize(struct e2dh_mapping *mapping, uint64_t least, bool shrinks);

/*
 * Returns the state of a page of the file. Sets *try_huge if a PMD fault of the PMD range around
 * the page may succeed. Takes table.
 */
enum e2dh_page e2dh_mapping_look(struct e2dh_mapping *mapping, uint64_t page, bool *try_huge);
/* Maps an ASIDE page again. Takes table. */
enum ext2dax_fault_result e2dh_mapping_restore(struct e2dh_mapping *mapping, uint64_t page);

/*
 * Returns the first page of [low, high) not mapped for reading or, with `write`, for storing.
 * Returns `high` if every page is. Pages count from the start of the mapping. Takes table.
 */
uint64_t e2dh_mapping_missing(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, bool write);
/* Revokes a page whose record does not match the kernel. Takes table. */
void e2dh_mapping_forget(struct e2dh_mapping *mapping, uint64_t page);
/*
 * Tests whether the PMD range around a page of the file is to be collapsed. Returns true once per
 * mapped huge page, with the byte offset in the image's file in *image. Takes table.
 */
bool e2dh_mapping_is_uncollapsed(struct e2dh_mapping *mapping, uint64_t page, uint64_t *image);

/* ---- process_resolve.c ---- */

enum e2dh_access {
    E2DH_ACCESS_READ,
    E2DH_ACCESS_WRITE,
    E2DH_ACCESS_UNKNOWN, /* a read or a write */
    E2DH_ACCESS_FETCH,   /* instruction fetch */
    E2DH_ACCESS_ANY      /* fetch according to the address, or data access of the code's own page */
};
enum e2dh_outcome {
    /* no mapping, or not permitted by the mapping. The program's own fault. */
    E2DH_OUTCOME_FOREIGN,
    E2DH_OUTCOME_DONE,   /* the access may be tried again */
    E2DH_OUTCOME_SIGBUS, /* the access cannot succeed */
    E2DH_OUTCOME_FROZEN  /* call ext2dax_wait_thaw(*frozen), then try again */
};

/*
 * Maps a page as the access needs by a fault of the core. On SIGBUS, *error has the reason, a
 * negative EXT2DAX_E…. Takes space. Collapses huge pages after releasing space.
 */
enum e2dh_outcome e2dh_process_map_page(struct ext2dax_process *process, uintptr_t address, enum e2dh_access access,
                                        struct ext2dax_mount **frozen, int *error);
/*
 * Resolves a page fault of a process in the same way, and counts the fault if the outcome is DONE
 * or SIGBUS.
 */
enum e2dh_outcome e2dh_process_resolve(struct ext2dax_process *process, uintptr_t address, enum e2dh_access access,
                                       struct ext2dax_mount **frozen);

/* ---- process_signal.c ---- */

/*
 * Checks the alternate stack of the calling thread, if any. Returns 0, or -EINVAL if the stack is
 * too small.
 */
int e2dh_signal_may_be_used(void);
/*
 * Adds the process object to the fault handler. The first call installs the handler. Returns 0 or a
 * negative errno
 *   ENOMEM  no memory
 *   EBUSY   too many handlers of other code lie between those of the library
 *   others  from a failed system call
 */
int e2dh_signal_add(struct ext2dax_process *process);
/*
 * Removes the process object from the fault handler. Returns after the last handler using the
 * object has left. Removing the last object restores the previous handler.
 */
void e2dh_signal_remove(struct ext2dax_process *process);

#endif
