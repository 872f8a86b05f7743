/* SPDX-License-Identifier: MIT */
/*
 * Model address space, a page table in a plain array, so that a check can read every PTE. The model
 * keeps the contract of the address space exactly, and detects violations of the contract by the
 * core.
 */
#ifndef EXT2DAX_TESTKIT_MODEL_H
#define EXT2DAX_TESTKIT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../address_space.h"
#include "../fault.h"
#include "../host.h"
#include "../inode.h"
#include "../lock.h"
#include "../memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_model;

/* Content of a PTE. */
enum ext2dax_model_kind {
    EXT2DAX_MODEL_NONE, /* not present, so an access faults */
    EXT2DAX_MODEL_ZERO, /* zero page, read-only */
    EXT2DAX_MODEL_DATA, /* a block of the file */
    EXT2DAX_MODEL_COPY  /* a private copy of a page */
};

/* A PTE as seen by a check. */
struct ext2dax_model_entry {
    enum ext2dax_model_kind kind; /* content */
    uint64_t memory_offset;       /* offset of the page in the memory, for DATA */
    bool writable;                /* a store does not fault */
    bool huge;                    /* part of a huge PTE */
};

/* A mapping of a range of a file. */
struct ext2dax_model_map;

/*
 * Opens a model. Accesses through the tables read and write `memory`. `locks` serve the page-table
 * lock, and their table of ops is copied. A huge PTE maps 2^huge_order pages of `page_size` bytes.
 * Memory comes from ext2dax_host_default(). Returns NULL without memory, if a required op is
 * missing, or if the init op fails.
 */
struct ext2dax_model *ext2dax_model_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                                         uint32_t page_size, unsigned huge_order);
/* Opens a model as ext2dax_model_open(), with all memory from `host`. */
struct ext2dax_model *ext2dax_model_open_on(const struct ext2dax_host *host, const struct ext2dax_memory *memory,
                                            struct ext2dax_locks locks, uint32_t page_size, unsigned huge_order);
/* Removes all mappings and closes the model. The image must be unmounted. */
void ext2dax_model_close(struct ext2dax_model *model);
/* Returns the address-space plug. */
struct ext2dax_address_space ext2dax_model_address_space(struct ext2dax_model *model);

/*
 * Maps pages [first, first + count) of an inode. Takes no reference, so the caller must hold a
 * reference. Takes the page-table lock. Returns NULL without memory.
 */
struct ext2dax_model_map *ext2dax_model_map(struct ext2dax_model *model, struct ext2dax_inode *inode, uint64_t first,
                                            uint64_t count, bool shared, bool writable);
/* Removes a mapping. Takes the page-table lock. */
void ext2dax_model_unmap(struct ext2dax_model_map *map);

/* Returns the PTE of a page in the mapping. Takes the page-table lock. */
struct ext2dax_model_entry ext2dax_model_entry(const struct ext2dax_model_map *map, uint64_t page);

/* Returns the same without the page-table lock, for a test harness with all threads stopped. */
struct ext2dax_model_entry ext2dax_model_peek(const struct ext2dax_model_map *map, uint64_t page);

/* Fills *fault for an access to `page`, ready for the fault family. */
void ext2dax_model_fault(struct ext2dax_model_map *map, uint64_t page, bool write, struct ext2dax_fault *fault);

/*
 * Reads or writes bytes through the tables as a processor does, with faults until the access
 * succeeds. With `huge` the PMD fault is tried first. A store to a read-only PTE goes through
 * mkwrite or pfn_mkwrite. Offsets are in the file. Returns NOPAGE after success, SIGBUS outside the
 * mapping and for a write to a read-only mapping, or else the result of the failed fault. Waits for
 * a thaw only with `wait`, and otherwise returns RETRY.
 */
enum ext2dax_fault_result ext2dax_model_read(struct ext2dax_model_map *map, uint64_t offset, void *to, size_t length,
                                             bool huge, bool wait);
enum ext2dax_fault_result ext2dax_model_write(struct ext2dax_model_map *map, uint64_t offset, const void *from,
                                              size_t length, bool huge, bool wait);

/*
 * Calls `each` for every PTE of every mapping which is not NONE, under the page-table lock. `each`
 * must not call into the library.
 */
void ext2dax_model_each(struct ext2dax_model *model,
                        void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                     const struct ext2dax_model_entry *entry),
                        void *arg);

/*
 * Does the same without the page-table lock, for a test harness with all threads stopped. A stopped
 * thread may hold the lock.
 */
void ext2dax_model_peek_each(const struct ext2dax_model *model,
                             void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                          const struct ext2dax_model_entry *entry),
                             void *arg);

/*
 * Checks every PTE against the image, while nothing changes the image. A DATA PTE maps the block
 * named by the tree, below the end of the file. A ZERO PTE lies over a hole. A huge PTE is aligned.
 * Takes the page-table lock. Calls `found` (may be NULL) with a static text per violation. Returns
 * the number of violations.
 */
int ext2dax_model_check(struct ext2dax_model *model,
                        void (*found)(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what),
                        void *arg);

/*
 * Returns the number of contract violations by the core so far, such as a requested downgrade, a
 * misaligned huge PTE or a run out of range.
 */
int ext2dax_model_complaints(const struct ext2dax_model *model);

#ifdef __cplusplus
}
#endif
#endif
