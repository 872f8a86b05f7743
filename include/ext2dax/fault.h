/* SPDX-License-Identifier: MIT */
/*
 * The fault family, called by the page-fault handler of an embedder. Absent from a library built
 * with -Dfaults=disabled.
 *
 * Locks. May be called under the address-space lock of the embedder, but with no later lock held.
 * Each call holds dax_sem shared from the check of the size until `map` of the address space has
 * returned. A shared write fault first tries freeze_fault shared and returns RETRY if the lock is
 * not free at once. A fault that sees a hole, makes a page writable or marks a PMD range dirty also
 * holds the range lock. A fault that fills a hole also takes the truncate lock and group and fs
 * locks. A fault waits for these locks and for write-backs, never for a thaw.
 *
 * Effects. A shared write fault stores the modification and change times before the check of the
 * size. The access time never changes. A fault never truncates, and calls neither `alloc` nor
 * `release` of the host. On an ordered mount a block filled by a fault is zeroed and durable before
 * the block is mapped.
 *
 * A fault does not check the immutable and append-only flags. As in Linux, these flags forbid a new
 * writable shared mapping, which the embedder refuses, and leave existing mappings writable.
 *
 * Errors. With SIGBUS fault->error is
 *
 *   EFAULT       the page is past the end of the file
 *   EINVAL       not a regular file, or a shared write in a mount of a parent process (the error of
 *                `usable` is passed on)
 *   EROFS        a shared write on a read-only mount, as after a remount read-only
 *   ENOSPC       no free block, or only reserved blocks that the caller may not use
 *   EFBIG        i_blocks would overflow
 *   EOPNOTSUPP   a hole in a file whose i_blocks count uses the huge_file feature
 *   EIO          poison in the page or in metadata, or a write-back or fence failed, now or earlier
 *                on this mount
 *   EUCLEAN      an impossible pointer or a bad bitmap
 *   EAGAIN       the hole was filled by another file, possible only if two files share a pointer
 *                block (corruption)
 *
 * With OOM fault->error is the error stored by `map`, else ENOMEM. After a failure the bytes of the
 * file are unchanged. The times may be stored, and a hole may be filled with zeroes (after OOM,
 * FALLBACK of `map`, or EIO).
 */
#ifndef EXT2DAX_FAULT_H
#define EXT2DAX_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "address_space.h"
#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The reason of a FALLBACK. BLOCK_SIZE and PRIVATE may come from any fault, the others from PMD
 * faults.
 */
enum ext2dax_fallback {
    EXT2DAX_FALLBACK_NONE,       /* no FALLBACK */
    EXT2DAX_FALLBACK_BLOCK_SIZE, /* no fault of this mount can be resolved. Block and page size
                                  * differ, the memory is not page-aligned, or `map` is missing */
    EXT2DAX_FALLBACK_ALIGNMENT,  /* PMD range, mapping or memory not aligned to a huge page */
    EXT2DAX_FALLBACK_RANGE,      /* the PMD range leaves the mapping or the file */
    EXT2DAX_FALLBACK_HOLE,       /* the PMD range starts with a hole, or a hole follows its first
                                  * run of blocks */
    EXT2DAX_FALLBACK_SCATTERED,  /* the blocks are not one aligned extent, or hold poison */
    EXT2DAX_FALLBACK_NO_EXTENT,  /* an empty PMD range, and no aligned extent is available */
    EXT2DAX_FALLBACK_PRIVATE     /* a private PMD write, or `map` returned FALLBACK (any fault) */
};

/* An access that faulted. Filled by the embedder, in storage that lasts for the call. */
struct ext2dax_fault {
    struct ext2dax_inode *inode; /* the mapped file, the caller holds a reference */
    uint64_t page;               /* the faulting page of the file */
    uint64_t mapping_first;      /* first page of the file in the faulting mapping */
    uint64_t mapping_count;      /* pages in the faulting mapping */
    uintptr_t address;           /* of the access. A PMD fault requires it congruent to the page
                                  * modulo a huge page */
    bool write;                  /* a store */
    bool shared;                 /* false in a private (copy-on-write) mapping */
    void *cookie;                /* for the `map` of the embedder */
    /*
     * The most pages for `map` to install, from the faulting page on. 0 means 16. A fault costs as
     * much more as it installs more, so a number pays where a fault is much dearer than an entry.
     * At most 8 PMD ranges count in a read, and the rest of the PMD range in a write.
     */
    uint64_t pages_wanted;

    enum ext2dax_fallback reason; /* result, the reason of FALLBACK */
    int error;                    /* result, the cause of SIGBUS or OOM, a negative EXT2DAX_E… */
};

/*
 * Resolves a fault on a small page.
 *
 * Read. Maps the block as part of a read-only run, or maps the zero page over a hole. Shared write.
 * Fills a hole (zeroed, durable, then published), removes zero pages, marks the PMD range dirty and
 * maps the page writable. Private write. Maps a copy (EXT2DAX_MAPPING_COPY).
 *
 * Returns NOPAGE, SIGBUS, OOM, RETRY or FALLBACK. A page at or past ceil(size / page size) is
 * SIGBUS.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_fault(struct ext2dax_fault *fault);

/*
 * Resolves a fault on the whole PMD range that holds `page`, by a single huge entry. A write to an
 * empty PMD range claims a whole aligned extent in a single step.
 *
 * Returns NOPAGE, SIGBUS, OOM, RETRY or FALLBACK with a reason. After FALLBACK nothing is mapped. A
 * shared write may have stored the times, and an aligned extent already claimed stays if `map` then
 * returns FALLBACK.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_pmd_fault(struct ext2dax_fault *fault);

/*
 * Resolves a write fault on a page mapped read-only, the zero page included. In a shared mapping
 * works as a write fault, in a private mapping as ext2dax_fault().
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_mkwrite(struct ext2dax_fault *fault);

/*
 * Makes a block already mapped read-only writable. Stores the times, checks the size again
 * (SIGBUS), marks the PMD range dirty and maps the page writable under the range lock. In a private
 * mapping works as ext2dax_fault(). If the block was removed since, maps nothing and returns
 * NOPAGE, and the access faults again.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_pfn_mkwrite(struct ext2dax_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
