/* SPDX-License-Identifier: MIT */
/* An opened image file, as shared by the code which opens the file and by the ops of the memory. */
#ifndef E2DH_HOSTED_MEMORY_FILE_H
#define E2DH_HOSTED_MEMORY_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/hosted/memory.h"

#include "memory_owner.h"
#include "writeback.h"

struct e2dh_file {
    int fd;
    enum ext2dax_memory_kind kind;
    struct e2dh_write_back how; /* DAX only */
    size_t page;                /* host page size in bytes */
    uint64_t offset;            /* bytes of the file before the image */
    uint64_t from;              /* file offset in bytes where the mapping begins */
    void *base;                 /* base of the mapping, the image may begin inside the first page */
    size_t mapped;              /* length of the mapping in bytes, whole pages */
    uintptr_t process;          /* number of the opening process */
    bool reserved;              /* all blocks of the file were allocated by this opening */
    atomic_uint scans;          /* in progress. Several only of mounts that do not store */
    const char *first, *end;    /* during the scan of recovery, range for the next fence */
    uint64_t data, hole;        /* file offsets of the data found last, empty if equal */
    e2dh_claims claims;
};

/* The ops for each kind of memory. */
extern const struct ext2dax_memory_ops e2dh_file_ops[EXT2DAX_FILE_DAX + 1];

/* Returns the file of memory with these ops, NULL for other memory. */
struct e2dh_file *e2dh_file_of(const struct ext2dax_memory *memory);

#endif
