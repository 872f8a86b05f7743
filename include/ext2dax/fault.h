/* SPDX-License-Identifier: MIT */
/*
 * The fault family: what an embedder's page-fault handler calls. Absent from a library built with -Dfaults=disabled.
 *
 * May be called under the embedder's address-space lock; take nothing below it first. Each holds dax_sem shared from the
 * check of the size to the moment the address space's `map` has installed the answer. A shared write fault first
 * takes freeze_fault, and answers RETRY where it cannot at once.
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

/* Why a PMD fault (or, for the first, any fault) answered FALLBACK. */
enum ext2dax_fallback {
    EXT2DAX_FALLBACK_NONE,       /* it did not */
    EXT2DAX_FALLBACK_BLOCK_SIZE, /* block size and page size differ: the file can be read and written only */
    EXT2DAX_FALLBACK_ALIGNMENT,  /* window, mapping or memory not aligned to a huge page */
    EXT2DAX_FALLBACK_RANGE,      /* the window leaves the mapping or the file */
    EXT2DAX_FALLBACK_HOLE,       /* a hole is what the window begins with, or what ends its first run of blocks */
    EXT2DAX_FALLBACK_SCATTERED,  /* the window's blocks are not one aligned region */
    EXT2DAX_FALLBACK_NO_REGION,  /* an empty window, and no whole free region is left */
    EXT2DAX_FALLBACK_PRIVATE     /* a private write, or the address space would not take it */
};

/* One access that trapped: filled by the embedder, in its own storage, for the length of the call. */
struct ext2dax_fault {
    struct ext2dax_inode *inode; /* of the file that the mapping shows; the caller holds a reference */
    uint64_t page;               /* the faulting page of the file */
    uint64_t mapping_first;      /* first page of the file that the faulting mapping shows */
    uint64_t mapping_count;      /* how many it shows */
    uintptr_t address;           /* of the access; PMD faults want it congruent to the page modulo a huge page */
    bool write;                  /* a store */
    bool shared;                 /* false: a private (copy-on-write) mapping */
    void *cookie;                /* the embedder's, for its `map` */

    enum ext2dax_fallback reason; /* answer: why FALLBACK */
    int error;                    /* answer: why SIGBUS or OOM, a negative EXT2DAX_E…; EFAULT: past the end */
};

/*
 * Read: enters the block, as part of a read-only run, or the zero page over a hole. Write: allocates where there is a
 * hole (zeroed, durable, then published), tears down zero pages, marks dirty, enters writable. A private write gets
 * COPY. A page at or past ceil(size / page): SIGBUS.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_fault(struct ext2dax_fault *fault);

/*
 * The same for the whole aligned window that holds `page`, as one huge entry; a write to an empty window claims a
 * whole region in one step. Else FALLBACK with a reason, and nothing has changed.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_pmd_fault(struct ext2dax_fault *fault);

/* A page entered read-only is stored to: as a write fault, a zero page is replaced. */
EXT2DAX_API enum ext2dax_fault_result ext2dax_mkwrite(struct ext2dax_fault *fault);

/*
 * A block already entered becomes writable: times, size checked again (SIGBUS), marked dirty and entered writable under
 * the entry lock. Where the block has gone meanwhile nothing is entered: NOPAGE, and the access faults again.
 */
EXT2DAX_API enum ext2dax_fault_result ext2dax_pfn_mkwrite(struct ext2dax_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
