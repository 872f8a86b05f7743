/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Opens and closes process objects, and maps files of a mounted
 * image.
 */
#include "process_vmas.h"
#include "process_uffd_handler.h"
#include "process_backend.h"

#include "calls.h"
#include "memory_reserve.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/mount.h"
#include "ext2dax/ondisk.h"

#include "lock_table.h"

/* Pages per trap where a page is read from a disk first. 128 KiB of 4 KiB pages. */
#define DISK_PAGES_WANTED 32u

/* Returns NULL if the build does not have the fault method. */
static const struct e2dh_backend *backend_of(enum ext2dax_fault_method backend)
{
    return backend == EXT2DAX_FAULT_METHOD_SIGSEGV ? &e2dh_backend_sigsegv : e2dh_backend_userfaultfd;
}

int ext2dax_process_may(enum ext2dax_fault_method backend, const char **why)
{
    int cancel, error;

    *why = NULL;
    if (backend > EXT2DAX_FAULT_METHOD_USERFAULTFD)
        return -EXT2DAX_EINVAL;
    cancel = e2dh_cancel_not();
    error = backend == EXT2DAX_FAULT_METHOD_SIGSEGV ? 0 : e2dh_userfaultfd_may(why);
    e2dh_cancel_again(cancel);
    return error;
}

static int open_process(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                        const struct ext2dax_process_options *options, struct ext2dax_process **process)
{
    struct ext2dax_process_options chosen;
    const struct e2dh_backend *backend;
    struct ext2dax_process *made;
    int error;

    *process = NULL;
    memset(&chosen, 0, sizeof(chosen));
    if (options)
        memcpy(&chosen, options, options->size < sizeof(chosen) ? options->size : sizeof(chosen));
    backend = backend_of(chosen.method);
    if (ext2dax_memory_descriptor(memory) < 0 || chosen.method > EXT2DAX_FAULT_METHOD_USERFAULTFD)
        return -EXT2DAX_EINVAL;
    if (!backend)
        return -EXT2DAX_EOPNOTSUPP;
    if (chosen.method == EXT2DAX_FAULT_METHOD_USERFAULTFD && locks.ops == ext2dax_locks_none().ops)
        return -EXT2DAX_EINVAL;

    error = e2dh_signal_may_be_used();
    if (error)
        return error;
    made = calloc(1, sizeof(*made));
    if (!made)
        return -EXT2DAX_ENOMEM;
    error = e2dh_copy_lock_table(&made->lock_ops, locks.ops) ? 0 : -EXT2DAX_EINVAL;
    if (error)
        goto free_made;
    locks.ops = &made->lock_ops;
    made->locks = locks;
    made->memory = *memory;
    made->descriptor = ext2dax_memory_descriptor(memory);
    made->offset = e2dh_file_offset(memory);
    made->shared_flags = MAP_SHARED;
    if (ext2dax_memory_kind(memory) == EXT2DAX_FILE_DAX)
        made->shared_flags = MAP_SHARED_VALIDATE | MAP_SYNC;
    /*
     * A trap costs a thousand times as much as an entry, so a run is mapped whole. But a page of a
     * file on a disk is read before it is mapped. There a trap brings in as much as the kernel
     * reads ahead.
     */
    made->pages_wanted = ext2dax_memory_kind(memory) == EXT2DAX_FILE_PAGE_CACHE ? DISK_PAGES_WANTED : UINT64_MAX;
    made->advise = ext2dax_memory_kind(memory) == EXT2DAX_FILE_VOLATILE;
    if (chosen.collapse) {
        made->collapse_done = calloc((size_t)(made->offset + memory->size) / E2DH_HUGE / (8 * sizeof(uintptr_t)) + 1,
                                     sizeof(*made->collapse_done));
        if (!made->collapse_done) {
            free(made);
            return -EXT2DAX_ENOMEM;
        }
    }
    made->owner = getpid();
    atomic_init(&made->low, UINTPTR_MAX);
    made->backend = backend;
    made->max_mappings = e2dh_vmas_limit(made, chosen.max_mappings);

    error = locks.ops->init(locks.ctx, &made->space, EXT2DAX_LOCK_ADDRESS_SPACE, 0);
    if (error)
        goto free_made;
    error = locks.ops->init(locks.ctx, &made->table, EXT2DAX_LOCK_PAGE_TABLE, 0);
    if (error)
        goto destroy_space;
    error = backend->open(made);
    if (error)
        goto destroy_table;
    error = backend->asks ? e2dh_accesses_begin(made) : 0;
    if (error)
        goto close_backend;
    error = e2dh_signal_add(made);
    if (error)
        goto end_accesses;
    *process = made;
    return 0;

end_accesses:
    if (backend->asks)
        e2dh_accesses_end(made);
close_backend:
    backend->close(made);
destroy_table:
    if (locks.ops->destroy)
        locks.ops->destroy(locks.ctx, &made->table);
destroy_space:
    if (locks.ops->destroy)
        locks.ops->destroy(locks.ctx, &made->space);
free_made:
    free(made->collapse_done);
    free(made);
    return error;
}

int ext2dax_process_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                         const struct ext2dax_process_options *options, struct ext2dax_process **process)
{
    int cancel = e2dh_cancel_not(), error = open_process(memory, locks, options, process);

    e2dh_cancel_again(cancel);
    return error;
}

struct ext2dax_address_space ext2dax_process_address_space(struct ext2dax_process *process)
{
    struct ext2dax_address_space space = {&e2dh_process_ops, process};

    return space;
}

int ext2dax_process_close(struct ext2dax_process *process)
{
    const struct ext2dax_lock_ops *ops = process->locks.ops;
    size_t mappings;
    /* Before the locks, because the assertion reads a file, which is a cancellation point. */
    int cancel = e2dh_cancel_not(), error = 0;

    e2dh_space_lock(process);
    mappings = process->mapping_count;
    if (mappings == 0 && process->owner == getpid()) {
        e2dh_table_lock(process);
        e2dh_vmas_assert(process);
        e2dh_table_unlock(process);
    }
    e2dh_space_unlock(process);
    if (mappings) {
        error = -EXT2DAX_EBUSY;
        goto out;
    }
    e2dh_signal_remove(process);
    if (process->backend->asks)
        e2dh_accesses_end(process);
    process->backend->close(process);
    if (ops->destroy) {
        ops->destroy(process->locks.ctx, &process->table);
        ops->destroy(process->locks.ctx, &process->space);
    }
    e2dh_addresses_free(process);
    free(process->mappings);
    free(process->collapse_done);
    free(process);
out:
    e2dh_cancel_again(cancel);
    return error;
}

static unsigned log2_of(uint32_t power)
{
    unsigned shift = 0;

    while (power >> shift > 1)
        shift++;
    return shift;
}

/*
 * Tests whether the image's file may be mapped executable. A filesystem mounted noexec or the
 * policy of the system may refuse.
 */
static bool may_execute(const struct ext2dax_process *process)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *at = mmap(NULL, page, PROT_READ | PROT_EXEC, process->shared_flags, process->descriptor, 0);

    if (at == MAP_FAILED)
        return false;
    munmap(at, page);
    return true;
}

int ext2dax_process_map(struct ext2dax_process *process, struct ext2dax_inode *inode, uint64_t offset, uint64_t length,
                        unsigned flags, void **address)
{
    const char *disk = (const char *)(const void *)inode->disk;
    const char *base = process->memory.base;
    struct ext2dax_statfs figures;
    struct ext2dax_stat stat;
    bool stores = (flags & (EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE)) == EXT2DAX_MAP_WRITE;
    uint64_t pages;
    int cancel, error;

    *address = NULL;
    if (flags & ~(EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE | EXT2DAX_MAP_POPULATE | EXT2DAX_MAP_EXEC) || disk < base ||
        disk >= base + process->memory.size || process->owner != getpid())
        return -EXT2DAX_EINVAL;
    ext2dax_statfs(inode->mount, &figures, sizeof(figures));
    if (figures.pmd_pages == 0 || figures.page_size % (unsigned long)sysconf(_SC_PAGESIZE) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    if (length == 0 || offset % figures.page_size != 0 || (inode->mode & EXT2DAX_S_IFMT) != EXT2DAX_S_IFREG)
        return -EXT2DAX_EINVAL;
    if (length > UINT64_MAX - offset)
        return -EXT2DAX_EOVERFLOW;
    if (stores) {
        if (figures.read_only)
            return -EXT2DAX_EROFS;
        ext2dax_stat(inode, &stat, sizeof(stat));
        if (stat.flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND))
            return -EXT2DAX_EPERM;
    }
    if (flags & EXT2DAX_MAP_EXEC && !may_execute(process))
        return -EXT2DAX_EPERM;

    pages = length / figures.page_size + (length % figures.page_size != 0);
    ext2dax_inode_hold(inode);
    cancel = e2dh_cancel_not();
    error = e2dh_process_add(process, inode, log2_of(figures.page_size), log2_of(figures.pmd_pages),
                             offset / figures.page_size, pages, flags, address);
    e2dh_cancel_again(cancel);
    if (error) {
        ext2dax_inode_put(inode);
        return error;
    }
    if (flags & EXT2DAX_MAP_POPULATE)
        (void)ext2dax_process_populate(process, *address, (size_t)length, false);
    return 0;
}

int ext2dax_process_unmap(struct ext2dax_process *process, void *address)
{
    struct ext2dax_inode *inode;
    int cancel, error;

    /* In a child, memory at the address belongs to the child. */
    if (process->owner != getpid())
        return -EXT2DAX_EINVAL;
    cancel = e2dh_cancel_not();
    error = e2dh_process_remove(process, address, &inode);
    e2dh_cancel_again(cancel);
    if (!error)
        ext2dax_inode_put(inode);
    return error;
}

void ext2dax_process_count(const struct ext2dax_process *process, struct ext2dax_process_counters *counters)
{
    const struct ext2dax_process_counters now = {
        .size = counters->size,
        .traps = atomic_load(&process->traps),
        .mapped = atomic_load(&process->mapped),
        .revoked = atomic_load(&process->revoked),
        .protections = atomic_load(&process->protections),
        .sigbus = atomic_load(&process->sigbus),
        .evicted = atomic_load(&process->evicted),
        .huge = atomic_load(&process->huge),
        .collapsed = atomic_load(&process->collapsed),
    };

    memcpy(counters, &now, now.size < sizeof(now) ? now.size : sizeof(now));
}
