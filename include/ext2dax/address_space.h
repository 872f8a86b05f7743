/* SPDX-License-Identifier: MIT */
/*
 * The address-space plug: who has it mapped.
 *
 * What holds page-table entries: a kernel's page tables, the mappings of a process, a plain array. The fault family
 * calls `map` back *while the locks that make the answer safe are held*; truncate, punch, fsync and freeze call
 * `unmap` and `protect`. An address space finds its mappings of an inode by the inode's address (or by its `cookie`).
 *
 * Rules for all three ops:
 * - they may take only the page-table lock (EXT2DAX_LOCK_PAGE_TABLE), never the address-space lock, and never call
 *   into the library;
 * - pages are counted from the start of the file, in the mount's page size;
 * - they work on every mapping of the inode, `map` on the one that faulted.
 */
#ifndef EXT2DAX_ADDRESS_SPACE_H
#define EXT2DAX_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_inode;
struct ext2dax_fault;

/* What a page fault comes to; of `map`, what became of the entry. */
enum ext2dax_fault_result {
    EXT2DAX_FAULT_NOPAGE,   /* done: the access may be tried again */
    EXT2DAX_FAULT_SIGBUS,   /* past the end, an I/O error, or no space: the access cannot succeed */
    EXT2DAX_FAULT_OOM,      /* the host had no memory */
    EXT2DAX_FAULT_FALLBACK, /* not as asked for; a PMD fault is tried again as a small one. fault->reason says why */
    EXT2DAX_FAULT_RETRY     /* frozen: drop the address-space lock, ext2dax_wait_thaw(), fault again */
};

/* What an entry shows. */
enum ext2dax_mapping_kind {
    EXT2DAX_MAPPING_DATA, /* the file's own blocks, at memory_offset */
    EXT2DAX_MAPPING_ZERO, /* the shared zero page, read-only, for every page of the run */
    EXT2DAX_MAPPING_COPY  /* private write: copy the page at memory_offset (or zeroes) before returning, map the copy */
};

/* A memory_offset that is none: zeroes. */
#define EXT2DAX_NO_OFFSET UINT64_MAX

/* One run of pages to be entered. `page` is the faulting page in every run of one page; else it lies within. */
struct ext2dax_mapping {
    enum ext2dax_mapping_kind kind; /* what is to be entered */
    uint64_t page;                  /* first page of the run in the file */
    uint64_t count;                 /* pages; 1 for COPY, a whole window when huge */
    uint64_t memory_offset; /* bytes from the memory's base, contiguous for DATA; EXT2DAX_NO_OFFSET for zeroes */
    bool writable;          /* DATA only */
    bool huge;              /* one entry of the huge order, aligned in file and memory; DATA only */
};

/* What the core asks of an address space. `ctx` is what the embedder put beside the table. */
struct ext2dax_address_space_ops {
    size_t size; /* sizeof of whoever filled the table; what lies past it counts as NULL */

    /*
     * Enters the run, clipped to the mapping that faulted; the faulting page is the only one that must be entered.
     * Never replaces an entry by a weaker one (data by zero page, writable by read-only, a private copy by anything),
     * and entering what is there already succeeds. With `huge`, replaces the small and zero-page entries of the
     * window in one step or answers FALLBACK. Answers NOPAGE, OOM or FALLBACK. Required where faults are used.
     */
    enum ext2dax_fault_result (*map)(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping);

    /*
     * Removes every entry of the pages [first, first + count), from every mapping of the inode; when it returns no
     * access goes through one. `private_too`: private copies as well (truncate does, punch and the tearing down of
     * zero pages do not). Cannot fail. `count` may be UINT64_MAX: to the end. A file that has grown has its
     * new pages removed, of which an address space may remember that they lay past the end.
     */
    void (*unmap)(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too);

    /*
     * Write-protects shared entries from `first` on, at the furthest up to first + count, and finds the first run
     * among them that was writable: returns its length and stores its first page in *run (0: there was none). When it
     * returns, no store goes through a page of the run or before it; pages behind the run may still be writable, and
     * the core asks again from there. An entry may be removed instead of protected. Cannot fail.
     */
    uint64_t (*protect)(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run);

    /*
     * The file is about to have `pages` pages, more than it had; whoever sees its new size may touch them. For an address
     * space that refuses touches past the end by itself, without a fault. Cannot fail. Optional.
     */
    void (*grow)(void *ctx, struct ext2dax_inode *inode, uint64_t pages);
};

/* A table that is NULL: nothing is ever mapped (read, write and truncate need no address space). */
struct ext2dax_address_space {
    const struct ext2dax_address_space_ops *ops; /* copied at mount */
    void *ctx;                                   /* handed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
