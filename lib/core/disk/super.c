/* SPDX-License-Identifier: MIT */
/*
 * The superblock.
 *
 * Reading. Every field used later as a divisor, shift count or summand is bounded here, before the
 * first use. The rest of the core can use 32-bit arithmetic on the geometry without further checks.
 * A problem that only forbids writing (unknown read-only features, a later revision, an unclean
 * state) is a warning for a read-only mount. e2d_super_writable() refuses such an image for a
 * read-write mount.
 *
 * Counters and state are kept in the image and stored under fs. The counters come from the image
 * and are not trusted. Taking and giving keep a counter between 0 and the maximum given by the
 * geometry.
 */
#include "disk/super.h"

#include "base/divide.h"
#include "disk/group.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/system_zone.h"
#include "base/skips.h"

#define SUPER_BYTES  ((uint32_t)sizeof(struct ext2dax_disk_super))
#define SECTOR_SHIFT 9
#define COUNT16_MAX  0xFFFFu /* the counters of a group have 16 bits */

#define EXTRA_ISIZE_LEAST 4u  /* i_extra_isize and i_checksum_hi */
#define EXTRA_ISIZE_USUAL 32u /* as ext4, fits every inode of more than 128 bytes */

_Static_assert(sizeof(struct ext2dax_disk_super) == 1024, "the superblock is 1024 bytes");
_Static_assert(offsetof(struct ext2dax_disk_super, error_count) == 0x194, "the record of errors is Linux's");
_Static_assert(offsetof(struct ext2dax_disk_super, last_error_function) == 0x1E0, "the record of errors is Linux's");
_Static_assert(offsetof(struct ext2dax_disk_super, backup_groups) == 0x24C, "the record of errors ends before");
_Static_assert(sizeof(struct ext2dax_disk_group) == 32, "a group descriptor is 32 bytes");

static const char too_many[] = "more than the blocks";

static int refuse(struct ext2dax_mount *m, int error, const char *field, uint64_t value, const char *reason)
{
    return e2d_complain(m, error, "superblock", 0, field, value, reason);
}

int(e2d_super_refuse)(struct ext2dax_mount *m, const char *field, uint64_t value E2D_REASON(const char *reason))
{
    return refuse(m, -EXT2DAX_EUCLEAN, field, value, E2D_REASON_OR_NULL(reason));
}

/* ---- the largest file ---- */

/* Returns the number of pointer blocks of a file of `blocks` blocks without holes. */
static uint64_t tree_overhead(uint32_t pointer_shift, uint64_t blocks)
{
    uint64_t rest = blocks > EXT2DAX_DIRECT ? blocks - EXT2DAX_DIRECT : 0;
    uint64_t overhead = 0;
    unsigned depth, level;

    for (depth = 1; depth <= E2D_DEPTH_MAX && rest > 0; depth++) {
        uint64_t here = e2d_min64(rest, (uint64_t)1 << (depth * pointer_shift));

        for (level = 1; level <= depth; level++)
            overhead += ((here - 1) >> (level * pointer_shift)) + 1;
        rest -= here;
    }
    return overhead;
}

static E2D_OUT_OF_LINE uint64_t tree_reach(uint32_t pointer_shift)
{
    uint64_t pointers = (uint64_t)1 << pointer_shift;

    return EXT2DAX_DIRECT + pointers + (pointers << pointer_shift) + (pointers << 2 * pointer_shift);
}

/*
 * The largest file is the reach of the block tree, if the sectors of all data and pointer blocks
 * fit the 32 bits of i_blocks. Otherwise the limit is the number of data blocks which alone use up
 * the 32 bits (at most the reach of the tree), minus the pointer blocks of a file of such a size.
 * Linux computes the limit in the same way, although a few more blocks would fit.
 */
uint64_t e2d_super_max_size(uint32_t block_shift)
{
    uint32_t pointer_shift = block_shift - 2;
    uint64_t countable = UINT32_MAX >> (block_shift - SECTOR_SHIFT);
    uint64_t blocks = tree_reach(pointer_shift);

    if (blocks + tree_overhead(pointer_shift, blocks) > countable) {
        blocks = e2d_min64(blocks, countable);
        blocks -= tree_overhead(pointer_shift, blocks);
    }
    return blocks << block_shift;
}

/* ---- reading ---- */

static const char *feature_reason(uint32_t unknown)
{
    if (unknown & 0x4)
        return E2D_TEXT("the journal must be replayed first");
    if (unknown & 0x8)
        return E2D_TEXT("is a journal device");
    return "are not supported";
}

static int read_features(struct ext2dax_mount *m, bool read_only)
{
    uint32_t compat = e2d_get32(m->super->compat);
    uint32_t unknown = e2d_get32(m->super->incompat) & ~EXT2DAX_INCOMPAT_KNOWN;
    uint32_t unknown_ro = e2d_get32(m->super->ro_compat) & ~EXT2DAX_RO_COMPAT_KNOWN;

    if (unknown)
        return refuse(m, -EXT2DAX_EOPNOTSUPP, e2d_incompat_field, unknown, feature_reason(unknown));
    if (unknown_ro && read_only)
        e2d_warn(m, "superblock", 0, e2d_ro_compat_field, unknown_ro, "unknown, so the mount stays read-only");
    if (compat & EXT2DAX_COMPAT_HAS_JOURNAL)
        e2d_warn(m, "superblock", 0, e2d_compat_field, compat & EXT2DAX_COMPAT_HAS_JOURNAL, "the journal is ignored");
    m->sparse_super = (e2d_get32(m->super->ro_compat) & EXT2DAX_RO_COMPAT_SPARSE_SUPER) != 0;
    m->sparse_super2 = (compat & EXT2DAX_COMPAT_SPARSE_SUPER2) != 0;
    m->backup_groups[0] = e2d_get32(m->super->backup_groups[0]);
    m->backup_groups[1] = e2d_get32(m->super->backup_groups[1]);
    m->dir_nlink = (e2d_get32(m->super->ro_compat) & EXT2DAX_RO_COMPAT_DIR_NLINK) != 0;
    m->huge_file = (e2d_get32(m->super->ro_compat) & EXT2DAX_RO_COMPAT_HUGE_FILE) != 0;
    m->filetype = (e2d_get32(m->super->incompat) & EXT2DAX_INCOMPAT_FILETYPE) != 0;
    m->hurd = e2d_get32(m->super->creator_os) == EXT2DAX_CREATOR_HURD;
    return 0;
}

static int read_block_size(struct ext2dax_mount *m)
{
    uint32_t log_block = e2d_get32(m->super->log_block_size);
    uint32_t log_fragment = e2d_get32(m->super->log_frag_size);
    uint32_t first = e2d_get32(m->super->first_data_block);

    if (log_block > EXT2DAX_MAX_LOG_BLOCK)
        return e2d_super_refuse(m, "block size (log2, KiB)", log_block, "larger than 64 KiB");
    if (log_fragment != log_block)
        return e2d_super_refuse(m, "fragment size (log2, KiB)", log_fragment, "differs from the block size");
    if (first != (log_block == 0 ? 1u : 0u))
        return e2d_super_refuse(m, "first data block", first, "must be 1 with blocks of 1 KiB, else 0");

    m->first_data_block = first;
    m->block_shift = 10 + log_block;
    m->block_size = (uint32_t)1 << m->block_shift;
    m->pointer_shift = m->block_shift - 2;
    m->pointers = m->block_size >> 2;
    m->max_size = e2d_super_max_size(m->block_shift);
    m->tree_blocks = tree_reach(m->pointer_shift);
    return 0;
}

static int read_blocks(struct ext2dax_mount *m)
{
    uint32_t blocks = e2d_get32(m->super->blocks_count);
    uint32_t per_group = e2d_get32(m->super->blocks_per_group);
    uint32_t fragments = e2d_get32(m->super->frags_per_group);
    uint64_t bytes = (uint64_t)blocks << m->block_shift;

    if (blocks <= m->first_data_block)
        return e2d_super_refuse(m, "block count", blocks, "no block after the first data block");
    if (per_group == 0 || per_group > e2d_min32(m->block_size * 8, COUNT16_MAX))
        return e2d_super_refuse(m, "blocks per group", per_group, "is 0, or too large for a bitmap or 16 bits");
    if (fragments != per_group)
        return e2d_super_refuse(m, "fragments per group", fragments, "differs from the blocks per group");
    if (bytes > SIZE_MAX)
        return refuse(m, -EXT2DAX_EOVERFLOW, "image size", bytes, "bytes, more than the address space");
    if (bytes > m->size) {
        e2d_warn(m, "memory", 0, "size", m->size, "bytes, smaller than the image");
        return e2d_super_refuse(m, "image size", bytes, "bytes, the image is truncated");
    }
    m->blocks = blocks;
    m->blocks_per_group = per_group;
    m->group_reciprocal = (per_group & (per_group - 1)) ? e2d_reciprocal(per_group) : 0;
    for (m->group_shift = 0; per_group >> m->group_shift > 1;)
        m->group_shift++;
    m->groups = e2d_group_of(m, blocks - 1) + 1;
    return 0;
}

/*
 * Returns i_extra_isize for new inodes. A size which no inode can have is ignored, and the size
 * used by ext4 applies. mke2fs records the sizes in every image of large inodes, and ext4 uses them
 * with or without the feature. The feature only promises that every inode has the bytes.
 */
static uint32_t new_extra_isize(const struct ext2dax_mount *m, uint32_t inode_size)
{
    uint32_t want = e2d_get16(m->super->want_extra_isize), least = e2d_get16(m->super->min_extra_isize);
    uint32_t room = inode_size - EXT2DAX_INODE_SIZE_REV0, extra = want > least ? want : least;

    if (room == 0 || (extra == 0 && (e2d_get32(m->super->ro_compat) & EXT2DAX_RO_COMPAT_EXTRA_ISIZE) == 0))
        return 0;
    return extra < EXTRA_ISIZE_LEAST || extra > room || (extra & 3) != 0 ? EXTRA_ISIZE_USUAL : extra;
}

static int read_inodes(struct ext2dax_mount *m)
{
    uint32_t revision = e2d_get32(m->super->revision);
    uint32_t inodes = e2d_get32(m->super->inodes_count);
    uint32_t per_group = e2d_get32(m->super->inodes_per_group);
    uint32_t size = revision == 0 ? EXT2DAX_INODE_SIZE_REV0 : e2d_get16(m->super->inode_size);
    uint32_t first = revision == 0 ? EXT2DAX_FIRST_INODE_REV0 : e2d_get32(m->super->first_inode);

    if (size < EXT2DAX_INODE_SIZE_REV0 || size > m->block_size || (size & (size - 1)) != 0)
        return e2d_super_refuse(m, "inode size", size, "no power of two from 128 to the block size");
    if (per_group == 0 || per_group > e2d_min32(m->block_size * 8, COUNT16_MAX))
        return e2d_super_refuse(m, "inodes per group", per_group, "is 0, or too large for a bitmap or 16 bits");
    if (per_group * size < m->block_size)
        return e2d_super_refuse(m, "inodes per group", per_group, "do not fill a block of the inode table");
    if (inodes != (uint64_t)m->groups * per_group)
        return e2d_super_refuse(m, "inode count", inodes, "differs from groups times inodes per group");
    if (first < EXT2DAX_FIRST_INODE_REV0 || first > inodes)
        return e2d_super_refuse(m, "first inode", first, "not 11 … inode count");

    m->inodes = inodes;
    m->inodes_per_group = per_group;
    m->inode_reciprocal = e2d_reciprocal(per_group);
    m->inode_size = size;
    m->extra_isize = new_extra_isize(m, size);
    m->first_inode = first;
    return 0;
}

static int read_descriptors(struct ext2dax_mount *m)
{
    bool meta_bg = (e2d_get32(m->super->incompat) & EXT2DAX_INCOMPAT_META_BG) != 0;
    bool resize = (e2d_get32(m->super->compat) & EXT2DAX_COMPAT_RESIZE_INODE) != 0;
    uint32_t reserved = e2d_get16(m->super->reserved_gdt_blocks);
    uint32_t first_meta = e2d_get32(m->super->first_meta_bg);

    m->descriptors_shift = m->block_shift - 5;
    m->descriptor_blocks = ((m->groups - 1) >> m->descriptors_shift) + 1;
    if (reserved != 0 && !resize)
        return e2d_super_refuse(m, "reserved descriptor blocks", reserved, "without the feature resize_inode");
    if (reserved > m->pointers)
        return e2d_super_refuse(m, "reserved descriptor blocks", reserved, "more than the resize inode holds");
    if (meta_bg && first_meta > m->descriptor_blocks)
        return e2d_super_refuse(m, "first meta group", first_meta, "is past the last descriptor block");
    m->reserved_descriptors = meta_bg ? 0 : reserved;
    m->first_meta_group = meta_bg ? first_meta : UINT32_MAX;
    return 0;
}

/* Returns whether the reserved block count is possible. No read depends on the count. */
static bool reserve_is_possible(const struct ext2dax_mount *m)
{
    return e2d_get32(m->super->reserved_blocks) <= m->blocks;
}

int e2d_super_read(struct ext2dax_mount *m, bool read_only)
{
    uint32_t magic, revision;
    int error;

    if (m->size < EXT2DAX_SUPER_OFFSET + SUPER_BYTES)
        return e2d_complain(m, -EXT2DAX_EINVAL, "memory", 0, "size", m->size, "bytes, smaller than a superblock");
    m->super = (struct ext2dax_disk_super *)(void *)(m->base + EXT2DAX_SUPER_OFFSET);
    error = e2d_check(m, m->super, SUPER_BYTES);
    if (error)
        return error;
    magic = e2d_get16(m->super->magic);
    if (magic != EXT2DAX_SUPER_MAGIC)
        return refuse(m, -EXT2DAX_EINVAL, "magic number", magic, "is not ext2");
    revision = e2d_get32(m->super->revision);
    if (revision > 1 && read_only)
        e2d_warn(m, "superblock", 0, "revision", revision, "unknown, so the mount stays read-only");

    error = read_features(m, read_only);
    if (!error)
        error = read_block_size(m);
    if (!error)
        error = read_blocks(m);
    if (!error)
        error = read_inodes(m);
    if (!error)
        error = read_descriptors(m);
    if (!error && read_only && !reserve_is_possible(m))
        e2d_warn(m, "superblock", 0, "reserved block count", e2d_get32(m->super->reserved_blocks), too_many);
    return error;
}

int e2d_super_writable(struct ext2dax_mount *m)
{
    uint32_t revision = e2d_get32(m->super->revision);
    uint32_t unknown = e2d_get32(m->super->ro_compat) & ~EXT2DAX_RO_COMPAT_KNOWN;
    uint32_t state = e2d_get16(m->super->state);

    if (revision > 1)
        return refuse(m, -EXT2DAX_EOPNOTSUPP, "revision", revision, "unknown, mount read-only");
    if (unknown)
        return refuse(m, -EXT2DAX_EOPNOTSUPP, e2d_ro_compat_field, unknown, "unknown, mount read-only");
    if (state & EXT2DAX_STATE_ERROR)
        return e2d_super_refuse(m, "state", state, "has errors, run e2fsck first");
    if (!reserve_is_possible(m))
        return e2d_super_refuse(m, "reserved block count", e2d_get32(m->super->reserved_blocks), too_many);
    if (m->errors == EXT2DAX_ERRORS_IMAGE) {
        m->errors = e2d_get16(m->super->errors);
        if (m->errors != EXT2DAX_ERRORS_READ_ONLY && m->errors != EXT2DAX_ERRORS_REFUSE)
            m->errors = EXT2DAX_ERRORS_CONTINUE; /* or no action that exists */
    }
    return 0;
}

bool e2d_super_clean(const struct ext2dax_mount *m)
{
    return (e2d_get16(m->super->state) & EXT2DAX_STATE_VALID) != 0;
}

int e2d_super_unclean(struct ext2dax_mount *m)
{
    return e2d_super_refuse(m, "state", e2d_get16(m->super->state),
                            "not cleanly unmounted, mount with `recover` or run e2fsck");
}

/*
 * Compares a counter of the superblock with the sum over the groups, which is authoritative. Warns
 * of a difference. Takes fs.
 */
static void use_sum(struct ext2dax_mount *m, struct ext2dax_le32 *at, uint32_t sum, const char *field,
                    const char *of_sum, bool store)
{
    uint32_t was;

    e2d_write_lock(m, &m->fs);
    was = e2d_get32(*at);
    if (was != sum && store)
        e2d_store32(m, at, sum);
    m->drifted |= was != sum && !store;
    e2d_write_unlock(m, &m->fs);
    if (was == sum)
        return;
    e2d_warn(m, "groups", m->groups, of_sum, sum, "differs from the superblock");
    e2d_warn(m, "superblock", 0, field, was,
             store ? "set to the sum over the groups" : "differs from the sum over the groups");
}

void e2d_super_sums(struct ext2dax_mount *m, bool store)
{
    struct ext2dax_disk_super *super = m->super;
    uint32_t free_blocks, free_inodes;

    e2d_groups_sums(m, &free_blocks, &free_inodes);
    e2d_write_lock(m, &m->fs);
    m->drifted = false;
    m->free_blocks = free_blocks;
    m->free_inodes = free_inodes;
    e2d_write_unlock(m, &m->fs);
    use_sum(m, &super->free_blocks, free_blocks, "free block count", "sum of free block counts", store);
    use_sum(m, &super->free_inodes, free_inodes, "free inode count", "sum of free inode counts", store);
}

/* ---- state ---- */

int(e2d_super_mark)(struct ext2dax_mount *m, bool clean)
{
    struct ext2dax_le16 *at = &m->super->state;
    uint32_t state;
    int error;

    e2d_write_lock(m, &m->fs);
    state = e2d_get16(*at);
    state = clean ? state | EXT2DAX_STATE_VALID : state & ~EXT2DAX_STATE_VALID;
    e2d_store16(m, at, state);
    e2d_write_unlock(m, &m->fs);

    error = e2d_order(m, clean ? E2D_FENCE_MARK_CLEAN : E2D_FENCE_MARK_DIRTY);
    /*
     * The mark must be durable in every order mode, because the mark decides whether the rest of
     * the image can be trusted.
     */
    if (!error && !m->ordered)
        error = e2d_flush(m, at, sizeof(*at));
    if (error && clean) {
        e2d_write_lock(m, &m->fs);
        e2d_store16(m, at, e2d_get16(*at) & ~EXT2DAX_STATE_VALID);
        e2d_write_unlock(m, &m->fs);
    }
    return error;
}

/*
 * Records an error as the last, and as the first in an empty record. No other word of the record
 * has ever a value from this library. The caller holds fs.
 */
static void record_error(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
                         uint64_t value)
{
    struct ext2dax_disk_super *super = m->super;
    uint32_t inode = 0, block = 0;

    if (structure[0] == 'b') {
        block = (uint32_t)number;
    } else if (structure[0] == 'i' || structure[0] == 'd') {
        inode = (uint32_t)number;
        block = field[0] == 'b' ? (uint32_t)value : 0;
    }
    super->last_error_time = e2d_le32(e2d_load32_relaxed(&m->clock));
    super->last_error_inode = e2d_le32(inode);
    super->last_error_block[0] = e2d_le32(block);
    for (unsigned i = 0; i < sizeof(super->last_error_function) - 1; i++) {
        super->last_error_function[i] = (uint8_t)*field;
        field += *field != 0;
    }
    if (e2d_get32(super->error_count) == 0) {
        /* The inode follows the time, and the function the block. */
        memcpy(&super->first_error_time, &super->last_error_time, 8);
        memcpy(super->first_error_block, super->last_error_block, 40);
    }
    super->error_count = e2d_le32(e2d_get32(super->error_count) + 1);
    e2d_written(m, &super->error_count,
                offsetof(struct ext2dax_disk_super, rest_late) - offsetof(struct ext2dax_disk_super, error_count));
}

void e2d_super_error(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field, uint64_t value)
{
    struct ext2dax_le16 *at = &m->super->state;

    if (!e2d_is_usable(m))
        return;
    e2d_write_lock(m, &m->fs);
    if (!m->read_only) {
        e2d_set32(&m->stopped, m->errors);
        if (e2d_load32(&m->frozen) == 0 && !e2d_has_failed(m)) {
            e2d_store16(m, at, e2d_get16(*at) | EXT2DAX_STATE_ERROR);
            record_error(m, structure, number, field, value);
        }
    }
    e2d_write_unlock(m, &m->fs);
}

int(e2d_corrupt)(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
                 uint64_t value E2D_REASON(const char *reason))
{
    e2d_super_error(m, structure, number, field, value);
    return e2d_complain(m, -EXT2DAX_EUCLEAN, structure, number, field, value, E2D_REASON_OR_NULL(reason));
}

/* ---- counters ---- */

int e2d_super_take_blocks(struct ext2dax_mount *m, uint32_t count)
{
    struct ext2dax_le32 *at = &m->super->free_blocks;
    bool entitled = false, enough, unreserved;

    for (;;) {
        uint32_t available, reserved;

        e2d_write_lock(m, &m->fs);
        available = e2d_get32(*at);
        reserved = e2d_get32(m->super->reserved_blocks);
        enough = available >= count;
        unreserved = enough && available - count >= reserved;
        if (enough && (unreserved || entitled))
            e2d_store32(m, at, available - count);
        e2d_write_unlock(m, &m->fs);
        if (!enough || unreserved || entitled)
            break;
        /*
         * The host is asked without fs, and only if the result matters. Then everything is checked
         * again.
         */
        if (!m->host_ops.may_use_reserved || !m->host_ops.may_use_reserved(m->host_ctx))
            return -EXT2DAX_ENOSPC;
        entitled = true;
    }
    return enough ? 0 : -EXT2DAX_ENOSPC;
}

void(e2d_super_give_blocks)(struct ext2dax_mount *m, uint32_t count)
{
    struct ext2dax_le32 *at = &m->super->free_blocks;
    uint32_t available;

    e2d_write_lock(m, &m->fs);
    available = e2d_min32(e2d_get32(*at), m->blocks);
    e2d_store32(m, at, available + e2d_min32(count, m->blocks - available));
    e2d_write_unlock(m, &m->fs);
}

int e2d_super_take_inode(struct ext2dax_mount *m)
{
    struct ext2dax_le32 *at = &m->super->free_inodes;
    uint32_t available;

    e2d_write_lock(m, &m->fs);
    available = e2d_get32(*at);
    if (available > 0)
        e2d_store32(m, at, available - 1);
    e2d_write_unlock(m, &m->fs);
    return available > 0 ? 0 : -EXT2DAX_ENOSPC;
}

void e2d_super_give_inode(struct ext2dax_mount *m)
{
    struct ext2dax_le32 *at = &m->super->free_inodes;

    e2d_write_lock(m, &m->fs);
    if (e2d_get32(*at) < m->inodes)
        e2d_store32(m, at, e2d_get32(*at) + 1);
    e2d_write_unlock(m, &m->fs);
}

/*
 * A feature has no meaning in revision 0, so revision 0 is converted to revision 1 before a feature
 * is set. The revision brings the inode size field into force. If the revision were durable before
 * that field, the image would be unreadable, so each is flushed before the next store. The caller
 * holds fs.
 */
static void need_revision1(struct ext2dax_mount *m)
{
    struct ext2dax_disk_super *super = m->super;

    if (e2d_get32(super->revision) != 0)
        return;
    e2d_store32(m, &super->first_inode, m->first_inode);
    e2d_store16(m, &super->inode_size, m->inode_size);
    (void)e2d_flush(m, &super->first_inode, 8);
    e2d_store32(m, &super->revision, 1);
    (void)e2d_flush(m, &super->revision, sizeof(super->revision));
}

void e2d_super_large_file(struct ext2dax_mount *m)
{
    struct ext2dax_disk_super *super = m->super;
    uint32_t features;

    e2d_write_lock(m, &m->fs);
    features = e2d_get32(super->ro_compat);
    if (!(features & EXT2DAX_RO_COMPAT_LARGE_FILE)) {
        need_revision1(m);
        e2d_store32(m, &super->ro_compat, features | EXT2DAX_RO_COMPAT_LARGE_FILE);
    }
    e2d_write_unlock(m, &m->fs);
}

void e2d_super_ext_attr(struct ext2dax_mount *m)
{
    struct ext2dax_disk_super *super = m->super;
    uint32_t features;

    e2d_write_lock(m, &m->fs);
    features = e2d_get32(super->compat);
    if (!(features & EXT2DAX_COMPAT_EXT_ATTR)) {
        need_revision1(m);
        e2d_store32(m, &super->compat, features | EXT2DAX_COMPAT_EXT_ATTR);
    }
    e2d_write_unlock(m, &m->fs);
}
