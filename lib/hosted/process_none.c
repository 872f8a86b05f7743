/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process in a build without the fault family. Provides the same functions,
 * without mappings.
 */
#include "ext2dax/hosted/process.h"

#include <string.h>

#include "ext2dax/error.h"

int ext2dax_process_may(enum ext2dax_fault_method backend, const char **why)
{
    (void)backend;
    *why = "this build serves no page faults";
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                         const struct ext2dax_process_options *options, struct ext2dax_process **process)
{
    (void)memory;
    (void)locks;
    (void)options;
    *process = NULL;
    return -EXT2DAX_EOPNOTSUPP;
}

struct ext2dax_address_space ext2dax_process_address_space(struct ext2dax_process *process)
{
    struct ext2dax_address_space space = {NULL, NULL};

    (void)process;
    return space;
}

size_t ext2dax_process_alternate_stack(void)
{
    return 0;
}

int ext2dax_process_close(struct ext2dax_process *process)
{
    (void)process;
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_map(struct ext2dax_process *process, struct ext2dax_inode *inode, uint64_t offset, uint64_t length,
                        unsigned flags, void **address)
{
    (void)process;
    (void)inode;
    (void)offset;
    (void)length;
    (void)flags;
    *address = NULL;
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_populate(struct ext2dax_process *process, void *address, size_t length, bool write)
{
    (void)process;
    (void)address;
    (void)length;
    (void)write;
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_find(struct ext2dax_process *process, const void *address, struct ext2dax_inode **inode,
                         uint64_t *offset, uint64_t *length)
{
    (void)process;
    (void)address;
    *inode = NULL;
    *offset = *length = 0;
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_sync(struct ext2dax_process *process, const void *address, size_t length)
{
    (void)process;
    (void)address;
    (void)length;
    return -EXT2DAX_EOPNOTSUPP;
}

int ext2dax_process_unmap(struct ext2dax_process *process, void *address)
{
    (void)process;
    (void)address;
    return -EXT2DAX_EOPNOTSUPP;
}

void ext2dax_process_count(const struct ext2dax_process *process, struct ext2dax_process_counters *counters)
{
    size_t size = counters->size < sizeof(*counters) ? counters->size : sizeof(*counters);

    (void)process;
    if (size > sizeof(size_t))
        memset((char *)counters + sizeof(size_t), 0, size - sizeof(size_t));
}
