/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing an image.
 *
 * A mount is made read-only first and turns read-write as its last step, when everything was checked, what a crash left
 * is settled, and the image is durably marked as in use: so that whatever is refused on the way has changed nothing, and
 * corruption met meanwhile is reported without being recorded in the image.
 */
#include "ext2dax/mount.h"

#include "cache.h"
#include "freeze.h"
#include "group.h"
#include "inode.h"
#include "lock.h"
#include "persist.h"
#include "recover.h"
#include "region.h"
#include "sized.h"
#include "super.h"
#include "verify.h"
#include "zone.h"

#define PAGE_SHIFT_MIN     10u
#define PAGE_SHIFT_MAX     16u
#define PAGE_SHIFT_DEFAULT 12u
#define HUGE_ORDER_MIN     3u /* a window's bits are whole bytes of a bitmap */

/* ---- what the caller handed in ---- */

static int bad_argument(const struct ext2dax_host_ops *ops, void *ctx, const char *what, const char *field,
                        uint64_t value, const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR, -EXT2DAX_EINVAL, what, 0, field, value, reason};

    return e2d_report(ops, ctx, &report);
}

static int check_options(const struct ext2dax_mount_options *options, const struct ext2dax_host_ops *ops, void *ctx)
{
    static const char what[] = "mount option";

    if (options->flags & ~(EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_NO_RECOVERY))
        return bad_argument(ops, ctx, what, "flags", options->flags, "unknown among them");
    if ((unsigned)options->order > EXT2DAX_UNORDERED)
        return bad_argument(ops, ctx, what, "order", (unsigned)options->order, "unknown");
    if (options->page_shift < PAGE_SHIFT_MIN || options->page_shift > PAGE_SHIFT_MAX)
        return bad_argument(ops, ctx, what, "page_shift", options->page_shift, "not 10 … 16");
    if (options->huge_order < HUGE_ORDER_MIN || options->huge_order > options->page_shift - 2)
        return bad_argument(ops, ctx, what, "huge_order", options->huge_order, "not 3 … page_shift - 2");
    return 0;
}

/* Which required op is missing; NULL for none. */
static const char *missing_op(const struct ext2dax_lock_ops *locks, const struct ext2dax_host_ops *host,
                              const struct ext2dax_address_space_ops *space)
{
    if (!locks->init)
        return "lock init";
    if (!locks->read_lock || !locks->read_unlock)
        return "lock read_lock and read_unlock";
    if (!locks->write_lock || !locks->write_unlock)
        return "lock write_lock and write_unlock";
    if (!locks->try_read_lock || !locks->try_write_lock)
        return "lock try_read_lock and try_write_lock";
    if (!host->alloc || !host->release)
        return "host alloc and release";
    /* Of an address space all or nothing: a mapping that could not be taken away again would outlive its blocks. */
    if ((space->map || space->unmap || space->protect) && !(space->map && space->unmap && space->protect))
        return "address space map, unmap and protect";
    return NULL;
}

static int check_memory(const struct ext2dax_memory *memory, const struct ext2dax_host_ops *ops, void *ctx)
{
    if (!memory->base)
        return bad_argument(ops, ctx, "memory", "base", 0, "is missing");
    if ((uintptr_t)memory->base & 7)
        return bad_argument(ops, ctx, "memory", "base", (uintptr_t)memory->base, "not aligned to 8 bytes");
    if (memory->size > UINTPTR_MAX - (uintptr_t)memory->base)
        return bad_argument(ops, ctx, "memory", "size", memory->size, "passes the end of the address space");
    return 0;
}

/* The mount object with its plugs, or why not. */
E2D_APART static int make(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                          struct ext2dax_mount **mount)
{
    struct ext2dax_lock_ops lock_ops;
    struct ext2dax_host_ops host_ops;
    struct ext2dax_address_space_ops space_ops;
    struct ext2dax_mount *m;
    const char *missing;
    int error;

    e2d_copy_sized(&lock_ops, sizeof(lock_ops), plugs->locks.ops);
    e2d_copy_sized(&host_ops, sizeof(host_ops), plugs->host.ops);
    e2d_copy_sized(&space_ops, sizeof(space_ops), plugs->address_space.ops);
    missing = missing_op(&lock_ops, &host_ops, &space_ops);
    if (missing)
        return bad_argument(&host_ops, plugs->host.ctx, "plug", "required op", 0, missing);
    error = check_options(options, &host_ops, plugs->host.ctx);
    if (!error)
        error = check_memory(&plugs->memory, &host_ops, plugs->host.ctx);
    if (error)
        return error;

    m = host_ops.alloc(plugs->host.ctx, sizeof(*m));
    if (!m)
        return -EXT2DAX_ENOMEM;
    memset(m, 0, sizeof(*m));
    m->lock_ops = lock_ops;
    m->host_ops = host_ops;
    m->space_ops = space_ops;
    e2d_copy_sized(&m->memory_ops, sizeof(m->memory_ops), plugs->memory.ops);
    m->lock_ctx = plugs->locks.ctx;
    m->memory_ctx = plugs->memory.ctx;
    m->space_ctx = plugs->address_space.ctx;
    m->host_ctx = plugs->host.ctx;
    m->base = plugs->memory.base;
    m->size = plugs->memory.size;
    m->memory_read_only = (plugs->memory.flags & EXT2DAX_MEMORY_READ_ONLY) != 0;
    m->ordered = options->order == EXT2DAX_ORDERED ||
                 (options->order == EXT2DAX_ORDER_AUTO && (plugs->memory.flags & EXT2DAX_MEMORY_PERSISTENT) != 0);
    m->page_shift = options->page_shift;
    m->page_size = (uint32_t)1 << m->page_shift;
    m->read_only = true;
    *mount = m;
    return 0;
}

/*
 * Windows and regions, from the geometry and the size of a huge page. Where blocks are pages a window is a huge page;
 * else it only groups blocks, and is bounded by what one pointer block maps.
 */
static void lay_out_windows(struct ext2dax_mount *m, unsigned huge_order)
{
    uint32_t huge_shift = m->page_shift + huge_order;
    uint32_t in_window;

    m->faultable = m->block_size == m->page_size;
    m->window_shift = huge_shift > m->block_shift + HUGE_ORDER_MIN ? huge_shift - m->block_shift : HUGE_ORDER_MIN;
    m->window_shift = e2d_min32(m->window_shift, m->pointer_shift);
    m->window_blocks = (uint32_t)1 << m->window_shift;
    m->huge_aligned = m->faultable && ((uintptr_t)m->base & (((uintptr_t)1 << huge_shift) - 1)) == 0;

    /* Region starts are aligned in the image; where groups are not whole windows apart, no two groups look alike. */
    in_window = m->window_blocks - 1;
    m->region_skew = (m->window_blocks - (m->first_data_block & in_window)) & in_window;
    if ((m->blocks_per_group & in_window) == 0 || (m->groups == 1 && m->blocks_per_group > in_window))
        m->regions_per_group = (m->blocks_per_group - m->region_skew) >> m->window_shift;
}

/* ---- locks ---- */

#define FIXED_LOCKS 6u

static size_t lock_count(const struct ext2dax_mount *m)
{
    return FIXED_LOCKS + E2D_ENTRY_LOCKS + (size_t)m->groups;
}

/* Every lock of a mount under one number, so that making and unmaking are loops. */
static struct ext2dax_lock *lock_at(struct ext2dax_mount *m, size_t n, enum ext2dax_lock_class *lock_class,
                                    uint64_t *number)
{
    struct ext2dax_lock *const fixed[FIXED_LOCKS] = {&m->freeze_write, &m->rename, &m->thaw_gate,
                                                     &m->freeze_fault, &m->fs,     &m->cache_lock};
    static const enum ext2dax_lock_class fixed_class[FIXED_LOCKS] = {
        EXT2DAX_LOCK_FREEZE_WRITE, EXT2DAX_LOCK_RENAME, EXT2DAX_LOCK_FREEZE_FAULT,
        EXT2DAX_LOCK_FREEZE_FAULT, EXT2DAX_LOCK_FS,     EXT2DAX_LOCK_CACHE};

    *number = 0;
    if (n < FIXED_LOCKS) {
        *number = fixed[n] == &m->freeze_fault;
        *lock_class = fixed_class[n];
        return fixed[n];
    }
    *number = n - FIXED_LOCKS;
    if (*number < E2D_ENTRY_LOCKS) {
        *lock_class = EXT2DAX_LOCK_ENTRY;
        return &m->entry[*number];
    }
    *number -= E2D_ENTRY_LOCKS;
    *lock_class = EXT2DAX_LOCK_GROUP;
    return &m->group[*number].lock;
}

static void destroy_locks(struct ext2dax_mount *m, size_t made)
{
    enum ext2dax_lock_class lock_class;
    uint64_t number;

    while (made > 0)
        e2d_lock_destroy(m, lock_at(m, --made, &lock_class, &number));
}

static int init_locks(struct ext2dax_mount *m)
{
    enum ext2dax_lock_class lock_class;
    uint64_t number;
    size_t n;

    for (n = 0; n < lock_count(m); n++) {
        struct ext2dax_lock *lock = lock_at(m, n, &lock_class, &number);

        if (e2d_lock_init(m, lock, lock_class, number) != 0) {
            destroy_locks(m, n);
            return -EXT2DAX_ENOMEM;
        }
    }
    return 0;
}

/* ---- mount and unmount ---- */

static int make_groups(struct ext2dax_mount *m)
{
    /* Fits: a validated group has 3 KiB of memory at least, far more than this. */
    size_t bytes = m->groups * sizeof(*m->group);

    m->group = e2d_alloc(m, bytes);
    if (!m->group)
        return -EXT2DAX_ENOMEM;
    memset(m->group, 0, bytes);
    e2d_zone_prepare(m);
    return 0;
}

static void release_groups(struct ext2dax_mount *m)
{
    e2d_release(m, m->group, m->groups * sizeof(*m->group));
}

static int check_root(struct ext2dax_mount *m)
{
    static const char what[] = "inode";
    struct ext2dax_inode root;
    uint64_t size;
    uint32_t first;
    int error;

    memset(&root, 0, sizeof(root));
    error = e2d_inode_load(m, EXT2DAX_ROOT_INODE, &root);
    if (error == -EXT2DAX_ENOENT)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, what, EXT2DAX_ROOT_INODE, "mode", root.mode, "the root is missing");
    if (error)
        return error;
    if (!e2d_is_directory(&root))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, what, EXT2DAX_ROOT_INODE, "mode", root.mode,
                            "the root is not a directory");
    if (e2d_get16(root.disk->links) == 0)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, what, EXT2DAX_ROOT_INODE, "link count", 0, "the root is deleted");
    size = e2d_size(&root);
    if (size == 0 || (size & (m->block_size - 1)) != 0)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, what, EXT2DAX_ROOT_INODE, "size", size,
                            "of the root is not a number of whole blocks");
    first = e2d_get32(root.disk->block[0]);
    if (!e2d_is_data(m, first))
        return e2d_complain(m, -EXT2DAX_EUCLEAN, what, EXT2DAX_ROOT_INODE, "block pointer", first,
                            "of the root is not a data block");
    return 0;
}

static void set_read_only(struct ext2dax_mount *m, bool read_only)
{
    e2d_write_lock(m, &m->fs);
    m->read_only = read_only;
    e2d_write_unlock(m, &m->fs);
}

/*
 * The last steps on the way to read-write, from a mount that is complete or a remount. `recover`: an image that was not
 * cleanly unmounted is settled first; nobody has looked at it yet.
 */
static int open_for_writing(struct ext2dax_mount *m, bool recover)
{
    int error;

    if (m->memory_read_only)
        return e2d_complain(m, -EXT2DAX_EROFS, "memory", 0, "size", m->size, "bytes, may not be written to");
    error = e2d_super_writable(m);
    if (!error && !e2d_super_clean(m))
        error = recover ? e2d_recover(m) : e2d_super_unclean(m);
    if (!error)
        error = e2d_super_sums(m);
    if (!error && !E2D_MUTANT(ORDER_DIRTY_LATE))
        error = e2d_super_mark(m, false);
    if (!error)
        set_read_only(m, false);
    return error;
}

static void parse_options(const struct ext2dax_mount_options *from, struct ext2dax_mount_options *to)
{
    e2d_copy_sized(to, sizeof(*to), from);
    if (to->page_shift == 0)
        to->page_shift = PAGE_SHIFT_DEFAULT;
    if (to->huge_order == 0)
        to->huge_order = to->page_shift - HUGE_ORDER_MIN;
}

int ext2dax_mount(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                  struct ext2dax_mount **mount)
{
    struct ext2dax_mount_options wanted;
    struct ext2dax_mount *m = NULL;
    bool read_only;
    int error;

    *mount = NULL;
    parse_options(options, &wanted);
    read_only = (wanted.flags & EXT2DAX_MOUNT_READ_ONLY) != 0;
    error = make(plugs, &wanted, &m);
    if (error)
        return error;
    error = e2d_super_read(m, read_only);
    if (error)
        goto out_mount;
    lay_out_windows(m, wanted.huge_order);
    error = e2d_groups_validate(m);
    if (error)
        goto out_mount;
    error = make_groups(m);
    if (error)
        goto out_mount;
    error = init_locks(m);
    if (error)
        goto out_groups;
    error = check_root(m);
    if (!error && (wanted.flags & EXT2DAX_MOUNT_VERIFY))
        error = e2d_verify(m);
    if (!error && !read_only)
        error = open_for_writing(m, (wanted.flags & EXT2DAX_MOUNT_NO_RECOVERY) == 0);
    if (error)
        goto out_locks;
    *mount = m;
    return 0;

out_locks:
    destroy_locks(m, lock_count(m));
out_groups:
    release_groups(m);
out_mount:
    e2d_release(m, m, sizeof(*m));
    return error;
}

static bool in_use(struct ext2dax_mount *m)
{
    bool held;

    e2d_write_lock(m, &m->cache_lock);
    held = m->held != 0;
    e2d_write_unlock(m, &m->cache_lock);
    return held;
}

int ext2dax_unmount(struct ext2dax_mount *m)
{
    int error = 0;

    if (e2d_load32(&m->frozen) != 0 || in_use(m))
        return -EXT2DAX_EBUSY;
    e2d_cache_drain(m);
    if (!m->read_only) {
        if (E2D_MUTANT(ORDER_CLEAN_EARLY))
            (void)e2d_super_mark(m, true);
        error = ext2dax_sync(m);
        if (!error)
            error = e2d_super_mark(m, true);
    }
    e2d_region_close(m);
    destroy_locks(m, lock_count(m));
    release_groups(m);
    e2d_release(m, m, sizeof(*m));
    return error;
}

/* Both freeze locks are held exclusively. */
static int close_for_writing(struct ext2dax_mount *m)
{
    int error;

    if (e2d_cache_unlinked(m))
        return -EXT2DAX_EBUSY;
    error = e2d_quiesce(m);
    if (!error)
        error = e2d_super_mark(m, true);
    if (!error)
        set_read_only(m, true);
    return error;
}

int ext2dax_remount(struct ext2dax_mount *m, unsigned flags)
{
    bool read_only = (flags & EXT2DAX_MOUNT_READ_ONLY) != 0;
    int error = 0;

    if (flags & ~EXT2DAX_MOUNT_READ_ONLY)
        return -EXT2DAX_EINVAL;
    e2d_freeze_locks(m);
    if (read_only != m->read_only) {
        error = e2d_failed(m);
        if (!error)
            error = read_only ? close_for_writing(m) : open_for_writing(m, false);
    }
    e2d_thaw_locks(m);
    return error;
}

/* ---- figures ---- */

void ext2dax_statfs(struct ext2dax_mount *m, struct ext2dax_statfs *figures)
{
    uint32_t reserved;

    memset(figures, 0, sizeof(*figures));
    figures->block_size = m->block_size;
    figures->page_size = m->page_size;
    figures->window_pages = m->faultable ? m->window_blocks : 0;
    figures->blocks = m->blocks;
    figures->inodes = m->inodes;
    figures->max_file_size = m->max_size;
    figures->ordered = m->ordered;

    e2d_write_lock(m, &m->fs);
    figures->free_blocks = e2d_get32(m->super->free_blocks);
    figures->free_inodes = e2d_get32(m->super->free_inodes);
    reserved = e2d_get32(m->super->reserved_blocks);
    figures->read_only = m->read_only || e2d_has_failed(m);
    e2d_write_unlock(m, &m->fs);
    figures->available_blocks = figures->free_blocks > reserved ? figures->free_blocks - reserved : 0;
}

void ext2dax_count(struct ext2dax_mount *m, struct ext2dax_counters *counters)
{
    const struct ext2dax_counters *from = &m->counters;
    unsigned reason;

    counters->fences = e2d_counted(&from->fences);
    counters->faults = e2d_counted(&from->faults);
    counters->sigbus = e2d_counted(&from->sigbus);
    counters->huge_mapped = e2d_counted(&from->huge_mapped);
    for (reason = 0; reason < sizeof(from->fallback) / sizeof(from->fallback[0]); reason++)
        counters->fallback[reason] = e2d_counted(&from->fallback[reason]);
    counters->blocks_allocated = e2d_counted(&from->blocks_allocated);
    counters->blocks_freed = e2d_counted(&from->blocks_freed);
    counters->regions_claimed = e2d_counted(&from->regions_claimed);
    counters->regions_missed = e2d_counted(&from->regions_missed);
}
