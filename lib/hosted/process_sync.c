/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Leads from addresses to parts of files, and makes the parts
 * durable.
 *
 * A part is found under space shared, as in the fault handler. The core is called with no lock
 * held, because a write-back may take long, and faults would queue behind a thread waiting for
 * space exclusively. A reference taken under space keeps the inode, so another thread may remove
 * the mapping during the write-back.
 */
#include "process_state.h"

#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/file.h"

/* Returns the byte after the last page of a mapping. */
static uintptr_t end_of(const struct e2dh_mapping *mapping)
{
    return (uintptr_t)mapping->address + (uintptr_t)(mapping->count << mapping->page_shift);
}

/* Returns the byte of the file mapped at an address of the mapping. */
static uint64_t offset_of(const struct e2dh_mapping *mapping, uintptr_t address)
{
    return (mapping->first << mapping->page_shift) + (address - (uintptr_t)mapping->address);
}

int ext2dax_process_find(struct ext2dax_process *process, const void *address, struct ext2dax_inode **inode,
                         uint64_t *offset, uint64_t *length)
{
    const struct e2dh_mapping *mapping;

    *inode = NULL;
    *offset = *length = 0;
    /* A child inherits the record, but not the mappings. */
    if (process->owner != getpid())
        return -EXT2DAX_EINVAL;
    e2dh_space_share(process);
    mapping = e2dh_process_find(process, (uintptr_t)address);
    if (mapping) {
        *inode = mapping->inode;
        *offset = offset_of(mapping, (uintptr_t)address);
        *length = end_of(mapping) - (uintptr_t)address;
    }
    e2dh_space_unshare(process);
    return mapping ? 0 : -EXT2DAX_ENOENT;
}

/* The part of a file mapped by the next mapping of a range of addresses. */
struct part {
    struct ext2dax_inode *inode; /* with a reference, NULL without a further shared mapping */
    uint64_t offset, length;     /* bytes of the file */
};

/*
 * Finds the next part of a shared mapping in [*at, end), and advances *at past the part. Sets *hole
 * if addresses before the part, or without a further part up to `end`, belong to no mapping.
 */
static void next_part(struct ext2dax_process *process, uintptr_t *at, uintptr_t end, struct part *part, bool *hole)
{
    part->inode = NULL;
    e2dh_space_share(process);
    while (!part->inode && *at < end) {
        const struct e2dh_mapping *mapping = e2dh_process_find_from(process, *at);
        uintptr_t from = mapping && (uintptr_t)mapping->address < end ? (uintptr_t)mapping->address : end, to = end;

        if (from > *at) {
            *hole = true;
            *at = from;
            continue;
        }
        if (end_of(mapping) < end)
            to = end_of(mapping);
        if (!(mapping->flags & EXT2DAX_MAP_PRIVATE)) {
            part->inode = mapping->inode;
            part->offset = offset_of(mapping, *at);
            part->length = to - *at;
            ext2dax_inode_hold(part->inode);
        }
        *at = to;
    }
    e2dh_space_unshare(process);
}

int ext2dax_process_sync(struct ext2dax_process *process, const void *address, size_t length)
{
    uintptr_t at = (uintptr_t)address, end = at + length;
    struct part part;
    bool hole = false;
    int error = 0;

    if (process->owner != getpid())
        return -EXT2DAX_EINVAL;
    if (end < at)
        return -EXT2DAX_ENOMEM;
    while (error == 0) {
        next_part(process, &at, end, &part, &hole);
        if (!part.inode)
            break;
        error = ext2dax_fsync_range(part.inode, part.offset, part.length);
        ext2dax_inode_put(part.inode);
    }
    return error == 0 && hole ? -EXT2DAX_ENOMEM : error;
}
