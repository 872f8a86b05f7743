/* SPDX-License-Identifier: MIT */
/*
 * Mount and unmount of an image.
 *
 * A mount is made read-only first and turns read-write as the last step, after every check, after
 * recovery from a crash, and after the image is durably marked as in use. So a mount refused on the
 * way has changed nothing, and corruption met on the way is reported without being recorded in the
 * image.
 */
#include "ext2dax/mount.h"

#include "file/icache.h"
#include "file/extend.h"
#include "file/freeze.h"
#include "file/name_table.h"
#include "disk/group.h"
#include "disk/layout.h"
#include "disk/inode.h"
#include "disk/redo.h"
#include "base/lock.h"
#include "base/persist.h"
#include "alloc/aligned_extent.h"
#include "base/copy_struct.h"
#include "disk/super.h"
#include "disk/system_zone.h"
#include "base/skips.h"

#define PAGE_SHIFT_MIN     10u
#define PAGE_SHIFT_MAX     16u
#define PAGE_SHIFT_DEFAULT 12u
#define HUGE_ORDER_MIN     3u /* the bits of a PMD range are whole bytes of a bitmap */

/* ---- the caller's arguments ---- */

static int bad_argument(struct ext2dax_mount *m, const char *what, const char *field, uint64_t value,
                        const char *reason)
{
    return e2d_complain(m, -EXT2DAX_EINVAL, what, 0, field, value, reason);
}

static int check_options(struct ext2dax_mount *m, const struct ext2dax_mount_options *options)
{
    static const char what[] = "mount option";

    if (options->flags &
        ~(EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY | EXT2DAX_MOUNT_FULL_RANGES | EXT2DAX_MOUNT_DISCARD))
        return bad_argument(m, what, "flags", options->flags, "unknown flags");
    if ((unsigned)options->errors > EXT2DAX_ERRORS_REFUSE)
        return bad_argument(m, what, "errors", (unsigned)options->errors, "unknown");
    if ((options->flags & EXT2DAX_MOUNT_VERIFY) && !options->verify)
        return bad_argument(m, what, "verify", 0, "NULL, with EXT2DAX_MOUNT_VERIFY");
    if ((unsigned)options->order > EXT2DAX_UNORDERED)
        return bad_argument(m, what, "order", (unsigned)options->order, "unknown");
    if (options->page_shift < PAGE_SHIFT_MIN || options->page_shift > PAGE_SHIFT_MAX)
        return bad_argument(m, what, "page_shift", options->page_shift, "not 10 … 16");
    if (options->huge_order < HUGE_ORDER_MIN || options->huge_order > options->page_shift - 2)
        return bad_argument(m, what, "huge_order", options->huge_order, "not 3 … page_shift - 2");
    return 0;
}

/* Returns the name of a missing required op, or NULL for none. */
static const char *missing_op(const struct ext2dax_mount *m)
{
    const struct ext2dax_address_space_ops *space = &m->space_ops;

    if (!m->lock_ops.init)
        return E2D_TEXT("lock init");
    if (!m->lock_calls.read_lock || !m->lock_calls.read_unlock)
        return E2D_TEXT("lock read_lock and read_unlock");
    if (!m->lock_calls.write_lock || !m->lock_calls.write_unlock)
        return E2D_TEXT("lock write_lock and write_unlock");
    if (!m->lock_calls.try_read_lock || !m->lock_calls.try_write_lock)
        return E2D_TEXT("lock try_read_lock and try_write_lock");
    /* An address space has all ops or none. A mapping without an unmap would outlive its blocks. */
    if ((space->map || space->unmap || space->protect) && !(space->map && space->unmap && space->protect))
        return E2D_TEXT("address space map, unmap and protect");
    return NULL;
}

static int check_memory(struct ext2dax_mount *m)
{
    static const char what[] = "memory";

    if (!m->base)
        return bad_argument(m, what, "base", 0, "is missing");
    if ((uintptr_t)m->base & 7)
        return bad_argument(m, what, "base", (uintptr_t)m->base, "not aligned to 8 bytes");
    if (m->size > UINTPTR_MAX - (uintptr_t)m->base)
        return bad_argument(m, what, "size", m->size, "bytes, past the end of the address space");
    return 0;
}

static int check_arguments(struct ext2dax_mount *m, const struct ext2dax_mount_options *options)
{
    const char *missing = missing_op(m);
    int error;

    if (missing)
        return bad_argument(m, "plug", "required op", 0, missing);
    error = check_options(m, options);
    return error ? error : check_memory(m);
}

_Static_assert(offsetof(struct ext2dax_lock_ops, held) - offsetof(struct ext2dax_lock_ops, read_lock) ==
                   sizeof(struct e2d_lock_calls),
               "the ops for every call are adjacent");

static void copy_plugs(struct ext2dax_mount *m, const struct ext2dax_plugs *plugs, bool discard)
{
    e2d_copy_struct(&m->lock_ops, sizeof(m->lock_ops), plugs->locks.ops);
    memcpy(&m->lock_calls, &m->lock_ops.read_lock, sizeof(m->lock_calls));
    e2d_copy_struct(&m->space_ops, sizeof(m->space_ops), plugs->address_space.ops);
    e2d_copy_struct(&m->memory_ops, sizeof(m->memory_ops), plugs->memory.ops);
    if (!discard)
        m->memory_ops.discard = NULL;
    m->lock_ctx = plugs->locks.ctx;
    m->memory_ctx = plugs->memory.ctx;
    m->space_ctx = plugs->address_space.ctx;
    m->host_ctx = plugs->host.ctx;
    m->base = plugs->memory.base;
    m->size = plugs->memory.size;
    m->memory_read_only = (plugs->memory.flags & EXT2DAX_MEMORY_READ_ONLY) != 0;
}

/*
 * Returns memory for the mount object with the ops of the host alone, which report any other wrong
 * argument, or NULL after storing an error.
 */
E2D_APART static struct ext2dax_mount *obtain(const struct ext2dax_plugs *plugs, int *error)
{
    struct ext2dax_host_ops host_ops;
    struct ext2dax_report report = {
        EXT2DAX_LEVEL_ERROR, -EXT2DAX_EINVAL, "plug", 0, "required op", 0, E2D_TEXT("host alloc and release")};
    struct ext2dax_mount *m;

    e2d_copy_struct(&host_ops, sizeof(host_ops), plugs->host.ops);
    if (!host_ops.alloc || !host_ops.release) {
        *error = e2d_report(&host_ops, plugs->host.ctx, &report);
        return NULL;
    }
    *error = -EXT2DAX_ENOMEM;
    m = host_ops.alloc(plugs->host.ctx, sizeof(*m));
    if (m) {
        memset(m, 0, sizeof(*m));
        if (E2D_FOR_SPEED) {
            m->cache = m->first_cache;
            m->cache_chains = E2D_CACHE_CHAINS;
        }
        m->host_ops = host_ops;
    }
    return m;
}

/* Makes the mount object with its plugs, or returns an error. */
static int make(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                struct ext2dax_mount **mount)
{
    int error;
    struct ext2dax_mount *m = obtain(plugs, &error);

    if (!m)
        return error;
    copy_plugs(m, plugs, (options->flags & EXT2DAX_MOUNT_DISCARD) != 0);
    error = check_arguments(m, options);
    if (error) {
        e2d_release(m, m, sizeof(*m));
        return error;
    }
    m->ordered = options->order == EXT2DAX_ORDERED ||
                 (options->order == EXT2DAX_ORDER_AUTO && (plugs->memory.flags & EXT2DAX_MEMORY_PERSISTENT) != 0);
    m->page_shift = options->page_shift;
    m->page_size = (uint32_t)1 << m->page_shift;
    m->full_ranges = (options->flags & EXT2DAX_MOUNT_FULL_RANGES) != 0;
    m->read_only = true;
    m->errors = options->errors;
    m->name_budget = options->name_table_bytes;
    *mount = m;
    return 0;
}

/*
 * Computes PMD ranges and aligned extents from the geometry and the size of a huge page. If the
 * distance of two groups is no multiple of a PMD range, no two groups have the same layout, and the
 * mount has no aligned extents.
 */
static void lay_out_pmd_ranges(struct ext2dax_mount *m, unsigned huge_order)
{
    uint32_t huge_shift = m->page_shift + huge_order;
    uint32_t in_range;

    m->faultable = m->block_size == m->page_size && ((uintptr_t)m->base & (m->page_size - 1)) == 0;
    m->pmd_shift = e2d_layout_pmd_shift(m->block_shift, huge_shift);
    m->pmd_blocks = (uint32_t)1 << m->pmd_shift;
    m->huge_aligned = m->faultable && ((uintptr_t)m->base & (((uintptr_t)1 << huge_shift) - 1)) == 0;

    in_range = m->pmd_blocks - 1;
    m->aligned_skew = e2d_layout_skew(m->first_data_block, m->pmd_shift);
    if ((m->blocks_per_group & in_range) == 0 || (m->groups == 1 && m->blocks_per_group > in_range))
        m->aligned_per_group = (m->blocks_per_group - m->aligned_skew) >> m->pmd_shift;
}

/* ---- locks ---- */

#define FIXED_LOCKS 6u

static size_t lock_count(const struct ext2dax_mount *m)
{
    return FIXED_LOCKS + E2D_RANGE_LOCKS + (size_t)m->groups;
}

/*
 * Returns lock `n` of the mount, of a numbering over all locks that makes init and destroy simple
 * loops.
 */
static struct ext2dax_lock *lock_at(struct ext2dax_mount *m, size_t n, enum ext2dax_lock_class *lock_class,
                                    uint64_t *number)
{
    static const struct {
        uint16_t at;
        uint8_t lock_class, number;
    } fixed[FIXED_LOCKS] = {
        {offsetof(struct ext2dax_mount, freeze_write), EXT2DAX_LOCK_FREEZE_WRITE, 0},
        {offsetof(struct ext2dax_mount, rename), EXT2DAX_LOCK_RENAME, 0},
        {offsetof(struct ext2dax_mount, thaw_gate), EXT2DAX_LOCK_FREEZE_FAULT, 0},
        {offsetof(struct ext2dax_mount, freeze_fault), EXT2DAX_LOCK_FREEZE_FAULT, 1},
        {offsetof(struct ext2dax_mount, fs), EXT2DAX_LOCK_FS, 0},
        {offsetof(struct ext2dax_mount, icache_lock), EXT2DAX_LOCK_ICACHE, 0},
    };

    if (n < FIXED_LOCKS) {
        *number = fixed[n].number;
        *lock_class = (enum ext2dax_lock_class)fixed[n].lock_class;
        return (struct ext2dax_lock *)(void *)((unsigned char *)m + fixed[n].at);
    }
    *number = n - FIXED_LOCKS;
    if (*number < E2D_RANGE_LOCKS) {
        *lock_class = EXT2DAX_LOCK_RANGE;
        return &m->range_lock[*number].lock;
    }
    *number -= E2D_RANGE_LOCKS;
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

static int(change_claim)(struct ext2dax_mount *m, enum ext2dax_claim wanted)
{
    int error = 0;

    if (m->memory_ops.claim)
        error = m->memory_ops.claim(m->memory_ctx, m->claim, wanted);
    if (!error)
        m->claim = wanted;
    return error;
}

/* Cannot overflow. A validated group has at least 3 KiB of memory, far more than this. */
static size_t group_bytes(const struct ext2dax_mount *m)
{
    return m->groups * sizeof(*m->group) + e2d_zone_table_bytes(m);
}

static int make_groups(struct ext2dax_mount *m)
{
    size_t bytes = group_bytes(m);

    m->group = e2d_alloc(m, bytes);
    if (!m->group)
        return -EXT2DAX_ENOMEM;
    memset(m->group, 0, bytes);
    m->data_chunks = (uint32_t *)(void *)(m->group + m->groups);
    e2d_zone_prepare(m);
    return 0;
}

static void release_groups(struct ext2dax_mount *m)
{
    e2d_aligned_close(m);
    e2d_release(m, m->group, group_bytes(m));
}

static int bad_root(struct ext2dax_mount *m, const char *field, uint64_t value, const char *reason)
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "inode", EXT2DAX_ROOT_INODE, field, value, reason);
}

static int check_root(struct ext2dax_mount *m)
{
    struct ext2dax_inode root;
    uint64_t size;
    uint32_t first;
    int error;

    memset(&root, 0, sizeof(root));
    error = e2d_inode_load(m, EXT2DAX_ROOT_INODE, false, &root);
    if (error == -EXT2DAX_ENOENT)
        return bad_root(m, "mode", root.mode, "the root is missing");
    if (error)
        return error;
    if (!e2d_is_directory(&root))
        return bad_root(m, "mode", root.mode, "the root is not a directory");
    if (e2d_get16(root.disk->links) == 0)
        return bad_root(m, "link count", 0, "the root is deleted");
    size = e2d_size(&root);
    if (size == 0 || (size & (m->block_size - 1)) != 0)
        return bad_root(m, "size", size, "of the root is no multiple of the block size");
    first = e2d_get32(root.disk->block[0]);
    if (!e2d_is_data(m, first))
        return bad_root(m, "block pointer", first, "of the root is no data block");
    return 0;
}

static E2D_OUT_OF_LINE void set_read_only(struct ext2dax_mount *m, bool read_only)
{
    e2d_write_lock(m, &m->fs);
    m->read_only = read_only;
    e2d_write_unlock(m, &m->fs);
}

/*
 * Runs the last steps to read-write, for a mount that is otherwise complete or for a remount. With
 * `recover`, an image not cleanly unmounted is recovered first, which requires that no other thread
 * has looked at the image yet. With NULL such an image is EUCLEAN.
 */
static int open_for_writing(struct ext2dax_mount *m, int (*recover)(struct ext2dax_mounting *mounting))
{
    struct ext2dax_mounting mounting = {m};
    int error;

    if (m->memory_read_only)
        return e2d_complain(m, -EXT2DAX_EROFS, "memory", 0, "size", m->size, "bytes, read-only");
    error = e2d_super_writable(m);
    if (!error)
        error = e2d_aligned_open(m);
    if (!error)
        error = e2d_groups_counters(m, false);
    if (!error && !e2d_super_clean(m))
        error = recover ? recover(&mounting) : e2d_super_unclean(m);
    if (error)
        return error;
    /*
     * The counts are stored in the epoch of the mark. A crash in between may leave corrected counts
     * in an image marked clean, which is a valid state.
     */
    e2d_super_sums(m, true);
    /* e2fsck has settled the rename of a record left in a clean image. */
    if (e2d_redo_any(m))
        e2d_redo_clear(m);
    (void)e2d_now(m); /* for a record of errors before the first change */
    error = e2d_super_mark(m, false);
    if (!error)
        set_read_only(m, false);
    return error;
}

/* Reports wrong counts, which alone prevent no reading. */
static void open_for_reading(struct ext2dax_mount *m)
{
    (void)e2d_groups_counters(m, true);
    e2d_super_sums(m, false);
}

static void parse_options(const struct ext2dax_mount_options *from, struct ext2dax_mount_options *to)
{
    e2d_copy_struct(to, sizeof(*to), from);
    if (to->page_shift == 0)
        to->page_shift = PAGE_SHIFT_DEFAULT;
    if (to->huge_order == 0)
        to->huge_order = to->page_shift - HUGE_ORDER_MIN;
    if (to->name_table_bytes == 0)
        to->name_table_bytes = E2D_NAMES_DEFAULT;
    else if (to->name_table_bytes == SIZE_MAX)
        to->name_table_bytes = 0;
}

int ext2dax_mount(const struct ext2dax_plugs *plugs, const struct ext2dax_mount_options *options,
                  struct ext2dax_mount **mount)
{
    struct ext2dax_mount_options wanted;
    struct ext2dax_mounting mounting;
    struct ext2dax_mount *m = NULL;
    bool read_only;
    int error;

    *mount = NULL;
    parse_options(options, &wanted);
    read_only = (wanted.flags & EXT2DAX_MOUNT_READ_ONLY) != 0;
    error = make(plugs, &wanted, &m);
    if (error)
        return error;
    error = e2d_usable(m);
    if (error)
        goto out_mount;
    error = change_claim(m, read_only ? EXT2DAX_CLAIM_READ : EXT2DAX_CLAIM_WRITE);
    if (error)
        goto out_mount;
    error = e2d_super_read(m, read_only);
    if (error)
        goto out_claim;
    lay_out_pmd_ranges(m, wanted.huge_order);
    error = e2d_groups_validate(m);
    if (error)
        goto out_claim;
    error = make_groups(m);
    if (error)
        goto out_claim;
    error = init_locks(m);
    if (error)
        goto out_groups;
    error = check_root(m);
    mounting.mount = m;
    if (!error && (wanted.flags & EXT2DAX_MOUNT_VERIFY))
        error = wanted.verify(&mounting);
    if (!error && read_only)
        open_for_reading(m);
    else if (!error)
        error = open_for_writing(m, wanted.recover);
    if (error)
        goto out_locks;
    *mount = m;
    return 0;

out_locks:
    destroy_locks(m, lock_count(m));
out_groups:
    release_groups(m);
out_claim:
    (void)change_claim(m, EXT2DAX_CLAIM_NONE);
out_mount:
    e2d_release(m, m, sizeof(*m));
    return error;
}

static bool in_use(struct ext2dax_mount *m)
{
    bool held;

    e2d_write_lock(m, &m->icache_lock);
    held = m->held != 0;
    e2d_write_unlock(m, &m->icache_lock);
    return held;
}

int ext2dax_unmount(struct ext2dax_mount *m)
{
    int error = e2d_usable(m);

    if (error)
        return error;
    if (e2d_load32(&m->frozen) != 0 || in_use(m))
        return -EXT2DAX_EBUSY;
    e2d_icache_drain(m);
    /* A mount is still read-only after a remount which failed to mark the image unclean. */
    error = e2d_failed(m);
    if (!m->read_only) {
        if (E2D_MUTANT(ORDER_CLEAN_EARLY))
            (void)e2d_super_mark(m, true);
        error = ext2dax_sync(m);
        if (!error)
            error = e2d_super_mark(m, true);
    }
    if (E2D_FOR_SPEED)
        e2d_icache_close(m);
    destroy_locks(m, lock_count(m));
    release_groups(m);
    (void)change_claim(m, EXT2DAX_CLAIM_NONE);
    e2d_release(m, m, sizeof(*m));
    return error;
}

/* Turns the mount read-only. The caller holds both freeze locks exclusively. */
static int close_for_writing(struct ext2dax_mount *m)
{
    int error;

    if (e2d_icache_unlinked(m))
        return -EXT2DAX_EBUSY;
    error = e2d_quiesce(m);
    if (!error)
        error = e2d_super_mark(m, true);
    if (!error) {
        set_read_only(m, true);
        (void)change_claim(m, EXT2DAX_CLAIM_READ);
    }
    return error;
}

static int reopen_for_writing(struct ext2dax_mount *m)
{
    int error = m->memory_read_only ? 0 : change_claim(m, EXT2DAX_CLAIM_WRITE);

    if (error)
        return error;
    error = open_for_writing(m, NULL);
    if (error)
        (void)change_claim(m, EXT2DAX_CLAIM_READ);
    return error;
}

int ext2dax_remount(struct ext2dax_mount *m, unsigned flags)
{
    bool read_only = (flags & EXT2DAX_MOUNT_READ_ONLY) != 0;
    int error;

    if (flags & ~EXT2DAX_MOUNT_READ_ONLY)
        return -EXT2DAX_EINVAL;
    error = e2d_usable(m);
    if (error)
        return error;
    e2d_freeze_locks(m);
    if (read_only != m->read_only) {
        error = e2d_failed(m);
        if (!error)
            error = read_only ? close_for_writing(m) : reopen_for_writing(m);
    }
    e2d_thaw_locks(m);
    return error;
}

/* ---- statistics ---- */

void ext2dax_statfs(struct ext2dax_mount *m, struct ext2dax_statfs *to, size_t size)
{
    struct ext2dax_statfs own, *figures = &own;
    uint32_t reserved;

    memset(figures, 0, sizeof(*figures));
    figures->block_size = m->block_size;
    figures->page_size = m->page_size;
    figures->pmd_pages = m->faultable ? m->pmd_blocks : 0;
    figures->blocks = m->blocks;
    figures->inodes = m->inodes;
    figures->max_file_size = m->max_size;
    figures->max_grow_size = e2d_growth_line(m);
    figures->ordered = m->ordered;

    e2d_write_lock(m, &m->fs);
    figures->free_blocks = m->drifted ? m->free_blocks : e2d_get32(m->super->free_blocks);
    figures->free_inodes = m->drifted ? m->free_inodes : e2d_get32(m->super->free_inodes);
    reserved = e2d_get32(m->super->reserved_blocks);
    figures->read_only = m->read_only || e2d_has_failed(m) || e2d_load32(&m->stopped) > EXT2DAX_ERRORS_CONTINUE;
    e2d_write_unlock(m, &m->fs);
    figures->available_blocks = figures->free_blocks > reserved ? figures->free_blocks - reserved : 0;
    e2d_copy_results(to, size, figures, sizeof(*figures));
}

void ext2dax_count(struct ext2dax_mount *m, struct ext2dax_counters *to, size_t size)
{
    const uintptr_t *first = (const uintptr_t *)&m->counters[0];
    struct ext2dax_counters sums;

    for (unsigned i = 0; i < sizeof(sums) / sizeof(uintptr_t); i++)
        ((uintptr_t *)&sums)[i] = e2d_counted_all(&first[i]);
    e2d_copy_results(to, size, &sums, sizeof(sums));
}
