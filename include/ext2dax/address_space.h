/* SPDX-License-Identifier: MIT */
/*
 * The address-space plug.
 *
 * An address space holds page-table entries. Examples are the page tables of a kernel, the mappings
 * of a process, or a plain array. The fault family calls `map` while holding the locks that keep
 * the result valid. Truncate, punch, fsync and freeze call `unmap` and `protect`. An address space
 * finds its mappings of an inode by the address of the inode, or by the `cookie` of the inode.
 *
 * Rules for `map`, `unmap`, `protect` and `extend`
 * - locks of the core are held, up to the truncate lock of the inode, so an op may take only the
 *   page-table lock (EXT2DAX_LOCK_PAGE_TABLE), never the address-space lock, and must not call the
 *   library
 * - pages are counted from the start of the file, in the page size of the mount
 * - an op applies to every mapping of the inode, except `map`, which applies to the faulting
 *   mapping
 *
 * The ops map, unmap and protect are required together. A mount with only some of the three fails
 * with EINVAL.
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

/* The result of a page fault, and of `map`. */
enum ext2dax_fault_result {
    EXT2DAX_FAULT_NOPAGE,   /* done, retry the access */
    EXT2DAX_FAULT_SIGBUS,   /* the access cannot succeed, fault->error says why */
    EXT2DAX_FAULT_OOM,      /* the address space has no memory for the page-table entry */
    EXT2DAX_FAULT_FALLBACK, /* not mapped as requested, fault->reason says why. Retry a PMD fault as
                             * a small fault */
    EXT2DAX_FAULT_RETRY     /* frozen. Drop the address-space lock, call ext2dax_wait_thaw(), and
                             * fault again */
};

/* The content a page-table entry maps. */
enum ext2dax_mapping_kind {
    EXT2DAX_MAPPING_DATA, /* the blocks of the file, at memory_offset */
    EXT2DAX_MAPPING_ZERO, /* the shared zero page, read-only, for every page of the run */
    EXT2DAX_MAPPING_COPY  /* a private write. Copy the page at memory_offset (or zeroes) before
                           * returning, and map the copy */
};

/* A memory_offset without memory, meaning zeroes. */
#define EXT2DAX_NO_OFFSET UINT64_MAX

/*
 * A run of pages to map. `page` is the faulting page if the run has a single page. The faulting
 * page lies in every longer run.
 */
struct ext2dax_mapping {
    enum ext2dax_mapping_kind kind; /* the content to map */
    uint64_t page;                  /* first page of the run in the file */
    uint64_t count;                 /* pages, 1 for COPY, a whole PMD range if huge */
    /* Bytes from the base of the memory, contiguous for DATA. EXT2DAX_NO_OFFSET for zeroes. */
    uint64_t memory_offset;
    bool writable; /* DATA only */
    bool huge;     /* a single PMD entry, aligned in file and memory, DATA only */
};

/* Operations on an address space. `ctx` is the pointer the embedder stored beside the table. */
struct ext2dax_address_space_ops {
    size_t size; /* sizeof as known to the embedder, ops past this size count as NULL */

    /*
     * Installs entries for the run, clipped to the faulting mapping. Only the faulting page must be
     * installed. Called with dax_sem held shared.
     *
     * Never downgrades an existing entry (data to zero page, writable to read-only, a private copy
     * to anything). Installing an entry already present succeeds. With `huge`, replaces the small
     * and zero-page entries of the PMD range in a single step or returns FALLBACK.
     *
     * Returns NOPAGE, OOM or FALLBACK. With OOM the op may store the cause in fault->error, which
     * is 0 before the call. The core stores ENOMEM if the op stores nothing. Required where faults
     * are used.
     */
    enum ext2dax_fault_result (*map)(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping);

    /*
     * Removes every entry of the pages [first, first + count) from every mapping of the inode. No
     * access passes through such an entry after the return. Cannot fail. A `count` as large as
     * UINT64_MAX means to the end.
     *
     * With `private_too`, removes private copies as well. Truncate sets `private_too`. Punch and
     * the removal of zero pages do not.
     *
     * Also called for the new pages of a file that has grown, because an address space may have
     * recorded these pages as past the end.
     */
    void (*unmap)(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too);

    /*
     * Write-protects shared entries from page `first` on, at most up to first + count, and finds
     * the first run of pages that were writable. Returns the length of this run and stores its
     * first page in *run. Returns 0 if no page was writable.
     *
     * After the return no store passes through a page of the run or before the run. Pages after the
     * run may still be writable, and the core calls again for the rest. An op may remove an entry
     * instead of protecting the entry. Cannot fail.
     */
    uint64_t (*protect)(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run);

    /*
     * Announces that the file is about to have `pages` pages, more than before. Once the new size
     * is visible, other threads may access the new pages. For an address space that refuses
     * accesses past the end by itself, without a fault. Cannot fail. Optional.
     */
    void (*extend)(void *ctx, struct ext2dax_inode *inode, uint64_t pages);

    /*
     * Returns true if any of the `bytes` bytes at `buffer` (the buffer of a read or write) may be
     * mapped to the bytes [offset, offset + length) of the inode. A false positive (whole pages,
     * private copies) is allowed, a false negative is not. On true the call goes through memory of
     * the host.
     *
     * Called with at most freeze_write and the io lock held. Optional. Without this op, a read or
     * write between a file and a mapping of the same bytes may move bytes already changed by the
     * same call.
     */
    bool (*aliases)(void *ctx, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, const void *buffer,
                    size_t bytes);
};

/*
 * The address-space plug. With a NULL table nothing is ever mapped. Read, write and truncate need
 * no address space.
 */
struct ext2dax_address_space {
    const struct ext2dax_address_space_ops *ops; /* copied at mount */
    void *ctx;                                   /* passed to every op */
};

#ifdef __cplusplus
}
#endif
#endif
