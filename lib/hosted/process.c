/* SPDX-License-Identifier: MIT */
/* The address space of a process: opened and closed, and files of a mounted image shown in it. */
#include "process_state.h"
#include "process_touch.h"
#include "process_way.h"

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

#define DEFAULT_MAP_COUNT 65530u
#define LEAST_MAPPINGS    16u /* one instruction may need several slabs at once */

/* Half of what the kernel grants: the program has mappings of its own. */
static size_t default_mappings(void)
{
    char text[32];
    ssize_t length;
    unsigned long value = 0;
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        length = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (length > 0) {
            text[length] = '\0';
            value = strtoul(text, NULL, 10);
        }
    }
    return (value ? value : DEFAULT_MAP_COUNT) / 2;
}

/* NULL: this build has none. */
static const struct e2d_way *way_of(enum ext2dax_process_way way)
{
    return way == EXT2DAX_PROCESS_SIGSEGV ? &e2d_way_sigsegv : e2d_way_userfaultfd;
}

int ext2dax_process_may(enum ext2dax_process_way way, const char **why)
{
    *why = NULL;
    if (way > EXT2DAX_PROCESS_USERFAULTFD)
        return -EXT2DAX_EINVAL;
    return way == EXT2DAX_PROCESS_SIGSEGV ? 0 : e2d_userfaultfd_may(why);
}

int ext2dax_process_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                         const struct ext2dax_process_options *options, struct ext2dax_process **process)
{
    struct ext2dax_process_options chosen;
    const struct e2d_way *way;
    struct ext2dax_process *made;
    int error;

    *process = NULL;
    memset(&chosen, 0, sizeof(chosen));
    if (options)
        memcpy(&chosen, options, options->size < sizeof(chosen) ? options->size : sizeof(chosen));
    way = way_of(chosen.way);
    if (ext2dax_file_descriptor(memory) < 0 || chosen.way > EXT2DAX_PROCESS_USERFAULTFD)
        return -EXT2DAX_EINVAL;
    if (!way)
        return -EXT2DAX_EOPNOTSUPP;
    if (chosen.way == EXT2DAX_PROCESS_USERFAULTFD && locks.ops == ext2dax_locks_none().ops)
        return -EXT2DAX_EINVAL;

    made = calloc(1, sizeof(*made));
    if (!made)
        return -EXT2DAX_ENOMEM;
    error = e2d_copy_lock_table(&made->lock_ops, locks.ops) ? 0 : -EXT2DAX_EINVAL;
    if (error)
        goto free_made;
    locks.ops = &made->lock_ops;
    made->locks = locks;
    made->memory = *memory;
    made->descriptor = ext2dax_file_descriptor(memory);
    made->shared_flags = MAP_SHARED;
    if (ext2dax_file_kind(memory) == EXT2DAX_FILE_DAX)
        made->shared_flags = MAP_SHARED_VALIDATE | MAP_SYNC;
    made->advise = ext2dax_file_kind(memory) == EXT2DAX_FILE_VOLATILE;
    if (chosen.collapse) {
        made->gathered = calloc(memory->size / E2D_HUGE / (8 * sizeof(uintptr_t)) + 1, sizeof(*made->gathered));
        if (!made->gathered) {
            free(made);
            return -EXT2DAX_ENOMEM;
        }
    }
    made->owner = getpid();
    made->max_mappings = chosen.max_mappings ? chosen.max_mappings : default_mappings();
    if (made->max_mappings < LEAST_MAPPINGS)
        made->max_mappings = LEAST_MAPPINGS;
    atomic_init(&made->low, UINTPTR_MAX);
    made->way = way;

    error = locks.ops->init(locks.ctx, &made->space, EXT2DAX_LOCK_ADDRESS_SPACE, 0);
    if (error)
        goto free_made;
    error = locks.ops->init(locks.ctx, &made->table, EXT2DAX_LOCK_PAGE_TABLE, 0);
    if (error)
        goto destroy_space;
    error = way->open(made);
    if (error)
        goto destroy_table;
    error = way->asks ? e2d_touches_begin(made) : 0;
    if (error)
        goto close_way;
    error = e2d_signal_add(made);
    if (error)
        goto end_touches;
    *process = made;
    return 0;

end_touches:
    if (way->asks)
        e2d_touches_end(made);
close_way:
    way->close(made);
destroy_table:
    if (locks.ops->destroy)
        locks.ops->destroy(locks.ctx, &made->table);
destroy_space:
    if (locks.ops->destroy)
        locks.ops->destroy(locks.ctx, &made->space);
free_made:
    free(made->gathered);
    free(made);
    return error;
}

struct ext2dax_address_space ext2dax_process_address_space(struct ext2dax_process *process)
{
    struct ext2dax_address_space space = {&e2d_process_ops, process};

    return space;
}

int ext2dax_process_close(struct ext2dax_process *process)
{
    const struct ext2dax_lock_ops *ops = process->locks.ops;
    size_t windows;

    e2d_space_share(process);
    windows = process->window_count;
    e2d_space_unshare(process);
    if (windows)
        return -EXT2DAX_EBUSY;
    e2d_signal_remove(process);
    if (process->way->asks)
        e2d_touches_end(process);
    process->way->close(process);
    if (ops->destroy) {
        ops->destroy(process->locks.ctx, &process->table);
        ops->destroy(process->locks.ctx, &process->space);
    }
    free(process->windows);
    free(process->gathered);
    free(process);
    return 0;
}

static unsigned log2_of(uint32_t power)
{
    unsigned shift = 0;

    while (power >> shift > 1)
        shift++;
    return shift;
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
    int error;

    *address = NULL;
    if (flags & ~(EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE | EXT2DAX_MAP_POPULATE) || disk < base ||
        disk >= base + process->memory.size || process->owner != getpid())
        return -EXT2DAX_EINVAL;
    ext2dax_statfs(inode->mount, &figures);
    if (figures.block_size != figures.page_size || figures.page_size % (unsigned long)sysconf(_SC_PAGESIZE) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    if (length == 0 || offset % figures.page_size != 0 || (inode->mode & EXT2DAX_S_IFMT) != EXT2DAX_S_IFREG)
        return -EXT2DAX_EINVAL;
    if (length > UINT64_MAX - offset)
        return -EXT2DAX_EOVERFLOW;
    if (stores) {
        if (figures.read_only)
            return -EXT2DAX_EROFS;
        ext2dax_stat(inode, &stat);
        if (stat.flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND))
            return -EXT2DAX_EPERM;
    }

    pages = length / figures.page_size + (length % figures.page_size != 0);
    ext2dax_inode_hold(inode);
    error = e2d_process_add(process, inode, log2_of(figures.page_size), log2_of(figures.window_pages),
                            offset / figures.page_size, pages, flags, address);
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
    int error;

    /* What lies there in a child is the child's. */
    if (process->owner != getpid())
        return -EXT2DAX_EINVAL;
    error = e2d_process_remove(process, address, &inode);

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
