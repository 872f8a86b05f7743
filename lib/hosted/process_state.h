/* SPDX-License-Identifier: MIT */
/*
 * Inside the address space of a process: what the files process_….c share, each standing on those behind it.
 *
 * Two locks. `space` (the mmap lock) guards which windows exist: the fault handler holds it shared while it resolves, who
 * adds or removes a window holds it exclusively. `table` (the page-table lock) guards what a window's pages show: every
 * change of a kernel mapping inside a window happens under it together with the change of the page's recorded state, so
 * that the record is what the kernel has. The array of windows changes under both, so either is enough to read it.
 *
 * Glossary: window: a range of addresses that shows part of a file; slab: one aligned huge page of a file within
 * a window, the unit of eviction; armed: mapped without any permission, so that a touch traps.
 */
#ifndef E2D_HOSTED_PROCESS_STATE_H
#define E2D_HOSTED_PROCESS_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/fault.h"
#include "ext2dax/hosted/process.h"
#include "ext2dax/lock.h"
#include "ext2dax/memory.h"

/*
 * Tells Valgrind, where its headers were there to build with and know the processor, that a touch of an armed page is meant. In any other
 * program this is a few instructions without effect.
 */
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#if defined(VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE) && !defined(NVALGRIND)
static inline void e2d_touches_are_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(at, bytes);
}
static inline void e2d_touches_are_not_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_ENABLE_ADDR_ERROR_REPORTING_IN_RANGE(at, bytes);
}
/* For system calls that are handed one. */
static inline void e2d_touch_is_meant(const void *at, size_t bytes)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(at, bytes);
}
static inline bool e2d_under_valgrind(void)
{
    return RUNNING_ON_VALGRIND;
}
#else
static inline void e2d_touches_are_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline void e2d_touches_are_not_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline void e2d_touch_is_meant(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}
static inline bool e2d_under_valgrind(void)
{
    return false;
}
#endif

#if defined(__SANITIZE_THREAD__)
#define E2D_RACE_DETECTOR 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define E2D_RACE_DETECTOR 1
#endif
#endif
#if !defined(E2D_RACE_DETECTOR)
#define E2D_RACE_DETECTOR 0
#endif

/* What a page of a window shows. From ZERO to COPY each is stronger than the one before and never replaced by it. */
enum e2d_page {
    E2D_PAGE_NONE,  /* armed */
    E2D_PAGE_ZERO,  /* zeroes, read-only */
    E2D_PAGE_READ,  /* the file's block, read-only */
    E2D_PAGE_WRITE, /* the file's block, writable */
    E2D_PAGE_COPY,  /* a private copy, which lies in the window's `copies` at the page's place */
    E2D_PAGE_ASIDE  /* likewise, but armed: evicted; a touch shows it again without asking the file */
};
#define E2D_PAGE_MASK  0x07u
#define E2D_PAGE_START 0x80u /* a kernel mapping begins at this page, as far as we know: an upper bound */

struct e2d_process_window;
struct e2d_way;
struct e2d_userfaults;
struct e2d_touches;

struct e2d_slab {
    struct e2d_slab *older, *newer; /* in the order in which slabs were first entered, while `queued` */
    struct e2d_process_window *window;
    uint32_t entered;  /* pages that are not NONE */
    uint32_t zeroes;   /* … ZERO */
    uint32_t writable; /* … WRITE */
    uint32_t starts;   /* pages with START */
    bool queued;
    bool huge;      /* entered as one, and all alike since */
    bool loose;     /* … and not yet collapsed */
    uint64_t image; /* bytes from the image's start, where loose */
};

struct e2d_process_window {
    struct ext2dax_process *process;
    struct ext2dax_inode *inode;
    unsigned flags; /* EXT2DAX_MAP_… */
    unsigned page_shift, huge_order;
    uint64_t first; /* page of the file that the window's page 0 shows */
    uint64_t count; /* pages */
    char *address;
    size_t reserved; /* bytes from `address`: the pages and a guard that stays armed */
    int copies;      /* memfd of private copies; -1: none can be made */
    /* By userfaultfd: what armed pages are mapped from, the same once more to move from, and how long it is. */
    int armed;
    char *donor;
    bool donor_hidden; /* it has no permission, for the moment */
    uint64_t limit;    /* pages */
    size_t record;     /* bytes of the two arrays below, one mapping */
    struct e2d_slab *slabs;
    uint8_t *pages; /* enum e2d_page and START */
};

struct ext2dax_process {
    struct ext2dax_locks locks;       /* the caller's ctx, and */
    struct ext2dax_lock_ops lock_ops; /* their table */
    struct ext2dax_lock space, table;
    struct ext2dax_memory memory;
    int descriptor;
    int shared_flags; /* of mmap for the image */
    bool advise;      /* the image's file makes huge pages for those who ask */
    /* With `collapse`, a bit for each 2 MiB of the image: set once they are one huge page; else NULL. */
    _Atomic uintptr_t *gathered;
    long owner; /* process id: a child that inherits this object may not resolve with it */
    const struct e2d_way *way;
    struct e2d_userfaults *userfaults; /* by userfaultfd */
    struct e2d_touches *touches;       /* likewise */

    struct e2d_process_window **windows; /* by address */
    size_t window_count, window_room;
    _Atomic uintptr_t low, high; /* no window ever lay outside: looked at without a lock */

    /* guarded by table */
    size_t mappings, max_mappings; /* kernel mappings that our windows may have; the most they should */
    size_t own_mappings;           /* … that they have before any page is shown */
    struct e2d_slab *oldest, *newest;

    _Atomic uintptr_t traps, mapped, revoked, protections, sigbus, evicted, huge, collapsed;
};

static inline void e2d_space_share(struct ext2dax_process *process)
{
    process->locks.ops->read_lock(process->locks.ctx, &process->space);
}
static inline void e2d_space_unshare(struct ext2dax_process *process)
{
    process->locks.ops->read_unlock(process->locks.ctx, &process->space);
}
static inline void e2d_space_lock(struct ext2dax_process *process)
{
    process->locks.ops->write_lock(process->locks.ctx, &process->space);
}
static inline void e2d_space_unlock(struct ext2dax_process *process)
{
    process->locks.ops->write_unlock(process->locks.ctx, &process->space);
}
static inline void e2d_table_lock(struct ext2dax_process *process)
{
    process->locks.ops->write_lock(process->locks.ctx, &process->table);
}
static inline void e2d_table_unlock(struct ext2dax_process *process)
{
    process->locks.ops->write_unlock(process->locks.ctx, &process->table);
}

/* ---- process_registry.c ---- */

/* The window that shows the address, or NULL. The caller holds space. */
struct e2d_process_window *e2d_process_find(const struct ext2dax_process *process, uintptr_t address);

/*
 * As ext2dax_process_map(), in pages and for an inode that need not be mounted: takes no reference and asks the core
 * nothing. ENOMEM, EOVERFLOW, or the system's error.
 */
int e2d_process_add(struct ext2dax_process *process, struct ext2dax_inode *inode, unsigned page_shift,
                    unsigned huge_order, uint64_t first, uint64_t count, unsigned flags, void **address);
/* Its counterpart; *inode is whose window it was. EINVAL. */
int e2d_process_remove(struct ext2dax_process *process, void *address, struct ext2dax_inode **inode);

/* ---- process_window.c ---- */

extern const struct ext2dax_address_space_ops e2d_process_ops;

/* Reserves the addresses, armed, and makes the record. The window is in no list yet. ENOMEM, EOVERFLOW, system's. */
int e2d_window_open(struct e2d_process_window *window);
/* Takes everything away again; the caller holds table. */
void e2d_window_close(struct e2d_process_window *window);
/* The file may have another size now, or soon, of `least` pages at least. The caller holds table. */
void e2d_window_resize(struct e2d_process_window *window, uint64_t least, bool shrinks);

/* What a page shows, and whether a fault of the whole slab around it is worth trying. Takes table. */
enum e2d_page e2d_window_look(struct e2d_process_window *window, uint64_t page, bool *try_huge);
/* Shows an ASIDE page again. Takes table. */
enum ext2dax_fault_result e2d_window_restore(struct e2d_process_window *window, uint64_t page);

/* The first page of [low, high), counted from the window's start, that is not shown as wanted; else `high`. Takes table. */
uint64_t e2d_window_missing(struct e2d_process_window *window, uint64_t low, uint64_t high, bool write);
/* Is the slab around the page of the file to be collapsed? Answers so once, and where in the image it lies. Takes table. */
bool e2d_window_is_loose(struct e2d_process_window *window, uint64_t page, uint64_t *image);

/* ---- process_resolve.c ---- */

enum e2d_access { E2D_ACCESS_READ, E2D_ACCESS_WRITE, E2D_ACCESS_UNKNOWN };
enum e2d_outcome {
    E2D_OUTCOME_FOREIGN, /* no window's, or not what the window allows: the program's own mistake */
    E2D_OUTCOME_DONE,    /* the access may be tried again */
    E2D_OUTCOME_SIGBUS,  /* it cannot succeed */
    E2D_OUTCOME_FROZEN   /* ext2dax_wait_thaw(*frozen), then once more */
};

/*
 * Shows a page as an access wants it, by the fault family; *error: why SIGBUS, a negative EXT2DAX_E…. Takes space, and
 * collapses when it has given it back.
 */
enum e2d_outcome e2d_process_show(struct ext2dax_process *process, uintptr_t address, enum e2d_access access,
                                  struct ext2dax_mount **frozen, int *error);
/* Answers one touch of a window's page so, and counts it. */
enum e2d_outcome e2d_process_resolve(struct ext2dax_process *process, uintptr_t address, enum e2d_access access,
                                     struct ext2dax_mount **frozen);

/* ---- process_signal.c ---- */

/* Makes the handler serve this process object; the first one installs the handler. ENOMEM, or the system's error. */
int e2d_signal_add(struct ext2dax_process *process);
/* Returns when no handler looks at the object any more; the last one restores the handler before. */
void e2d_signal_remove(struct ext2dax_process *process);

#endif
