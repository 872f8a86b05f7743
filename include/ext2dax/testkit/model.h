/* SPDX-License-Identifier: MIT */
/*
 * The model address space: a page table in a plain array, so that a check can look at every entry. It keeps the address
 * space's contract to the letter, and notices when the core breaks its side of it.
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

/* What an entry shows. */
enum ext2dax_model_kind {
    EXT2DAX_MODEL_NONE, /* nothing: an access traps */
    EXT2DAX_MODEL_ZERO, /* zeroes, read-only */
    EXT2DAX_MODEL_DATA, /* a block of the file */
    EXT2DAX_MODEL_COPY  /* a private copy of one */
};

/* One page-table entry, as a check sees it. */
struct ext2dax_model_entry {
    enum ext2dax_model_kind kind; /* what it shows */
    uint64_t memory_offset;       /* DATA: where the page lies */
    bool writable;                /* a store does not trap */
    bool huge;                    /* part of one huge entry */
};

/* A mapping of a range of a file. */
struct ext2dax_model_map;

/* `memory` for reading and writing through the tables; `locks` for the page-table lock. NULL: no memory, or a plug lacks a
 * required op. The lock table is copied. */
struct ext2dax_model *ext2dax_model_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                                         uint32_t page_size, unsigned huge_order);
/* The same, with its memory from `host`. */
struct ext2dax_model *ext2dax_model_open_on(const struct ext2dax_host *host, const struct ext2dax_memory *memory,
                                            struct ext2dax_locks locks, uint32_t page_size, unsigned huge_order);
void ext2dax_model_close(struct ext2dax_model *model);
struct ext2dax_address_space ext2dax_model_address_space(struct ext2dax_model *model);

/* A new mapping of pages [first, first + count) of an inode; holds no reference of its own. NULL on no memory. */
struct ext2dax_model_map *ext2dax_model_map(struct ext2dax_model *model, struct ext2dax_inode *inode, uint64_t first,
                                            uint64_t count, bool shared, bool writable);
void ext2dax_model_unmap(struct ext2dax_model_map *map);

/* The entry of a page that the mapping shows. Takes the page-table lock. */
struct ext2dax_model_entry ext2dax_model_entry(const struct ext2dax_model_map *map, uint64_t page);

/* The same without the page-table lock, for a bench whose threads all stand still. */
struct ext2dax_model_entry ext2dax_model_peek(const struct ext2dax_model_map *map, uint64_t page);

/* Fills a fault for an access to `page`, ready for the fault family. */
void ext2dax_model_fault(struct ext2dax_model_map *map, uint64_t page, bool write, struct ext2dax_fault *fault);

/*
 * Accesses bytes through the tables as a processor would, faulting until the access goes through: tries the huge entry
 * point first where `huge`, mkwrite and pfn_mkwrite where the entry is read-only. Offsets are of the file. Answers the
 * fault's result where it is not NOPAGE; waits through RETRY only if `wait`.
 */
enum ext2dax_fault_result ext2dax_model_read(struct ext2dax_model_map *map, uint64_t offset, void *to, size_t length,
                                             bool huge, bool wait);
enum ext2dax_fault_result ext2dax_model_write(struct ext2dax_model_map *map, uint64_t offset, const void *from,
                                              size_t length, bool huge, bool wait);

/* Calls `each` for every entry of every mapping that is not NONE, under the page-table lock. */
void ext2dax_model_each(struct ext2dax_model *model,
                        void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                     const struct ext2dax_model_entry *entry),
                        void *arg);

/* The same without the page-table lock, for a bench whose threads all stand still: one may be holding it. */
void ext2dax_model_peek_each(const struct ext2dax_model *model,
                             void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                          const struct ext2dax_model_entry *entry),
                             void *arg);

/*
 * Every entry against the image, which must be at rest: DATA is the block that the tree names, below the end of file; ZERO
 * only over a hole; huge only aligned. Counts what is wrong and calls `found` (may be NULL) with a static text.
 */
int ext2dax_model_check(struct ext2dax_model *model,
                        void (*found)(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what),
                        void *arg);

/* Broken promises of the core noticed so far (a downgrade asked for, a misaligned huge entry, a run out of range). */
int ext2dax_model_complaints(const struct ext2dax_model *model);

#ifdef __cplusplus
}
#endif
#endif
