/* SPDX-License-Identifier: MIT */
/*
 * An own mkfs. The layout is worked out first, from the options and the image's size alone, so that a refusal changes
 * nothing and the same call always makes the same bytes; then every metadata block is written, and no other.
 *
 * Each group begins with its metadata in one run: superblock copy and descriptors where it has them, block bitmap,
 * inode bitmap, inode table. The two directories follow in group 0. Behind that everything is free, in one run, which
 * is what an allocator of whole regions wants.
 *
 * Crash safety: the primary magic number is cleared before anything else and set after everything else, each under its
 * own fence, so no state in between is taken for a filesystem, neither a new one half made nor an old one half gone.
 *
 * There is no mount yet, so the stores do not go through persist.h; struct maker stands in for it, with the same
 * discipline: store, write back, fence by the name of a step, remember the first failure.
 */
#include "ext2dax/format.h"

#include <stddef.h>

#include "bitmap.h"
#include "endian.h"
#include "incore.h"
#include "path.h"
#include "persist.h"
#include "sized.h"

#define BOTH_BITMAPS    2u
#define DIRECTORIES     2u /* root and lost+found, one block each */
#define LOST_FOUND      EXT2DAX_FIRST_INODE_REV0
#define MIN_INODES      16u    /* a group: the reserved ones lie in group 0 alone, and a few are left */
#define MAX_COUNT       65528u /* of blocks or inodes in a group: a multiple of 8 whose free count fits 16 bits */
#define INODE_RATIO_LOG 14     /* one inode for every 16 KiB */

struct maker {
    struct ext2dax_memory_ops ops;
    void *ctx;
    unsigned char *base;
    struct ext2dax_host_ops host_ops;
    void *host_ctx;
    int failed; /* the memory's first error */

    uint32_t block_size, block_shift;
    uint32_t first, blocks;
    uint32_t blocks_per_group, groups;
    uint32_t descriptor_blocks;
    uint32_t inode_size, inodes_per_group, table_blocks;
};

/* ---- the memory plug ---- */

static int refuse(struct maker *mk, int error, const char *structure, const char *field, uint64_t value,
                  const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR, -error, structure, 0, field, value, reason};

    return e2d_report(&mk->host_ops, mk->host_ctx, &report);
}

static void failed(struct maker *mk, int error, const void *at, const char *reason)
{
    if (error == 0 || mk->failed != 0)
        return;
    mk->failed = error;
    (void)refuse(mk, -error, "memory", "offset", (uint64_t)((const unsigned char *)at - mk->base), reason);
}

static void written(struct maker *mk, const void *at, size_t length)
{
    E2D_SITE("written", "at");
    if (mk->ops.persist && !E2D_WRITE_BACK_LOST)
        failed(mk, mk->ops.persist(mk->ctx, at, length), at, "cannot be written back");
}

static void zero(struct maker *mk, void *at, size_t length)
{
    if (mk->ops.check)
        failed(mk, mk->ops.check(mk->ctx, at, length), at, "cannot be read");
    if (mk->failed != 0)
        return;
    if (mk->ops.zero) {
        failed(mk, mk->ops.zero(mk->ctx, at, length), at, "cannot be zeroed");
    } else {
        memset(at, 0, length);
        written(mk, at, length);
    }
}

static int order(struct maker *mk, enum e2d_step step)
{
    int error = mk->ops.fence && !E2D_FENCE_LOST(step) ? mk->ops.fence(mk->ctx) : 0;

    if (error != 0 && mk->failed == 0) {
        mk->failed = error;
        (void)refuse(mk, -error, "memory", "fence", (uint64_t)step, "failed");
    }
    return mk->failed;
}

/* ---- the layout ---- */

static uint32_t quotient(uint32_t n, uint32_t d)
{
    return e2d_divide(n, d, e2d_reciprocal(d));
}

static uint32_t quotient_up(uint32_t n, uint32_t d)
{
    uint32_t q = quotient(n, d);

    return q + (q * d != n);
}

static bool has_copy(uint32_t group)
{
    static const uint8_t bases[] = {3, 5, 7};
    uint64_t power;
    unsigned i;

    if (group <= 1)
        return true;
    for (i = 0; i < sizeof(bases); i++) {
        for (power = bases[i]; power < group;)
            power *= bases[i];
        if (power == group)
            return true;
    }
    return false;
}

/* Blocks at the group's start that are not free. */
static uint32_t head(const struct maker *mk, uint32_t group)
{
    return has_copy(group) ? 1 + mk->descriptor_blocks : 0;
}

static uint32_t overhead(const struct maker *mk, uint32_t group)
{
    return head(mk, group) + BOTH_BITMAPS + mk->table_blocks + (group == 0 ? DIRECTORIES : 0);
}

static uint32_t group_first(const struct maker *mk, uint32_t group)
{
    return mk->first + group * mk->blocks_per_group;
}

static uint32_t group_blocks(const struct maker *mk, uint32_t group)
{
    return e2d_min32(mk->blocks_per_group, mk->blocks - group_first(mk, group));
}

static void *block(const struct maker *mk, uint32_t number)
{
    return mk->base + ((size_t)number << mk->block_shift);
}

static int plan_options(struct maker *mk, const struct ext2dax_format_options *o)
{
    uint32_t most;

    mk->block_size = o->block_size != 0 ? o->block_size : 4096;
    for (mk->block_shift = 10; mk->block_shift < 10 + EXT2DAX_MAX_LOG_BLOCK; mk->block_shift++)
        if (mk->block_size >> mk->block_shift <= 1)
            break;
    if (mk->block_size != (uint32_t)1 << mk->block_shift)
        return refuse(mk, EXT2DAX_EINVAL, "options", "block size", mk->block_size,
                      "not a power of two from 1024 to 65536");
    mk->first = mk->block_size == 1024;

    most = e2d_min32(8 * mk->block_size, MAX_COUNT);
    /* By itself a group is whole windows long, which have no more blocks than a pointer block has pointers. */
    mk->blocks_per_group = o->blocks_per_group != 0 ? o->blocks_per_group : most & ~(mk->block_size / 4 - 1);
    if ((mk->blocks_per_group & 7) != 0 || mk->blocks_per_group > most)
        return refuse(mk, EXT2DAX_EINVAL, "options", "blocks per group", mk->blocks_per_group,
                      "not a multiple of 8, or more than a bitmap block and a free count hold");
    if (o->reserved_percent > 50)
        return refuse(mk, EXT2DAX_EINVAL, "options", "reserved percent", o->reserved_percent, "more than 50");
    if (o->time < 0 || o->time > (int64_t)UINT32_MAX)
        return refuse(mk, EXT2DAX_EINVAL, "options", "time", (uint64_t)o->time, "does not fit 32 bits");

    /*
     * Room behind the classic 128 bytes lets Linux keep nanoseconds and small attributes in the inode. Images of small
     * blocks are small themselves, and there half the table is worth more.
     */
    mk->inode_size = mk->block_size < 4096 ? 128 : 256;
    return 0;
}

/* Inodes in each group, for `groups` of them: whole table blocks, whole bitmap bytes. */
static int plan_inodes(struct maker *mk, uint32_t asked, uint64_t bytes)
{
    uint32_t in_block = mk->block_size >> (mk->inode_size == 128 ? 7 : 8);
    uint32_t grain = in_block > 8 ? in_block : 8;
    uint32_t most = e2d_min32(e2d_min32(8 * mk->block_size, MAX_COUNT), quotient(UINT32_MAX, mk->groups));
    uint32_t wanted = asked != 0 ? asked : (uint32_t)e2d_min64(bytes >> INODE_RATIO_LOG, UINT32_MAX);
    uint32_t count = quotient_up(wanted, mk->groups);

    most &= ~(grain - 1);
    if (count < MIN_INODES)
        count = MIN_INODES;
    count = e2d_min32(count, MAX_COUNT + 1); /* so that rounding up cannot overflow */
    count = (count + grain - 1) & ~(grain - 1);
    if (count > most && asked != 0)
        return refuse(mk, EXT2DAX_EINVAL, "options", "inodes", asked,
                      "more than the groups' bitmaps and counters hold");
    mk->inodes_per_group = e2d_min32(count, most);
    mk->table_blocks = (mk->inodes_per_group * mk->inode_size) >> mk->block_shift;
    return 0;
}

/* Everything that can be refused is refused here, before the first store. */
static int plan(struct maker *mk, const struct ext2dax_format_options *o, size_t size)
{
    uint64_t blocks;
    uint32_t last;
    int error = plan_options(mk, o);

    if (error != 0)
        return error;
    blocks = (uint64_t)size >> mk->block_shift;
    if (blocks > UINT32_MAX)
        return refuse(mk, EXT2DAX_EOVERFLOW, "image", "blocks", blocks, "block numbers have 32 bits");
    mk->blocks = (uint32_t)blocks;

    for (;; mk->blocks -= last) {
        if (mk->blocks <= mk->first)
            return refuse(mk, EXT2DAX_ENOSPC, "image", "size", size, "too small for a filesystem");
        mk->groups = quotient_up(mk->blocks - mk->first, mk->blocks_per_group);
        mk->descriptor_blocks =
            (uint32_t)(((uint64_t)mk->groups * sizeof(struct ext2dax_disk_group) + mk->block_size - 1) >>
                       mk->block_shift);
        error = plan_inodes(mk, o->inodes, size);
        if (error != 0)
            return error;
        last = group_blocks(mk, mk->groups - 1);
        if (mk->groups == 1) {
            if (last >= overhead(mk, 0))
                return 0;
            return refuse(mk, EXT2DAX_ENOSPC, "image", "size", size, "too small for a filesystem");
        }
        /* Group 0 needs the most of all. */
        if (mk->blocks_per_group < overhead(mk, 0))
            return refuse(mk, o->blocks_per_group != 0 || o->inodes != 0 ? EXT2DAX_EINVAL : EXT2DAX_EOVERFLOW, "image",
                          "metadata blocks of a group", overhead(mk, 0), "do not fit a group");
        if (last >= overhead(mk, mk->groups - 1))
            return 0;
    }
}

/* ---- the blocks ---- */

static void make_group(struct maker *mk, uint32_t group)
{
    uint32_t start = group_first(mk, group);
    uint32_t used = overhead(mk, group);
    uint32_t bitmap = start + head(mk, group);
    struct ext2dax_disk_group *descriptor = (struct ext2dax_disk_group *)block(mk, mk->first + 1) + group;
    uint8_t *map;

    /* Of group 0 from the image's first byte on: a boot sector left over would name another filesystem. */
    if (group == 0)
        zero(mk, mk->base, (size_t)(start + used) << mk->block_shift);
    else
        zero(mk, block(mk, start), (size_t)used << mk->block_shift);
    if (mk->failed != 0)
        return;

    map = block(mk, bitmap);
    e2d_set_bits(map, 0, used);
    if (group_blocks(mk, group) < 8 * mk->block_size)
        e2d_set_bits(map, group_blocks(mk, group), 8 * mk->block_size);
    map = block(mk, bitmap + 1);
    if (group == 0)
        e2d_set_bits(map, 0, LOST_FOUND);
    if (mk->inodes_per_group < 8 * mk->block_size)
        e2d_set_bits(map, mk->inodes_per_group, 8 * mk->block_size);
    written(mk, block(mk, bitmap), (size_t)BOTH_BITMAPS << mk->block_shift);

    descriptor->block_bitmap = e2d_le32(bitmap);
    descriptor->inode_bitmap = e2d_le32(bitmap + 1);
    descriptor->inode_table = e2d_le32(bitmap + BOTH_BITMAPS);
    descriptor->free_blocks = e2d_le16(group_blocks(mk, group) - used);
    descriptor->free_inodes = e2d_le16(mk->inodes_per_group - (group == 0 ? LOST_FOUND : 0));
    descriptor->used_dirs = e2d_le16(group == 0 ? DIRECTORIES : 0);
}

static struct ext2dax_disk_dirent *put_entry(void *at, uint32_t inode, const char *name, size_t name_length,
                                             uint32_t length)
{
    struct ext2dax_disk_dirent *entry = at;

    entry->inode = e2d_le32(inode);
    entry->length = e2d_le16(length);
    entry->name_length = (uint8_t)name_length;
    entry->type = EXT2DAX_FT_DIR;
    memcpy(entry + 1, name, name_length);
    return (struct ext2dax_disk_dirent *)((unsigned char *)at + length);
}

/* A directory of one block, with its inode; `child` 0: an empty one. */
static void make_directory(struct maker *mk, uint32_t number, uint32_t at, uint32_t mode, uint32_t time, uint32_t child)
{
    unsigned char *table = block(mk, group_first(mk, 0) + head(mk, 0) + BOTH_BITMAPS);
    struct ext2dax_disk_inode *inode = (void *)(table + (size_t)(number - 1) * mk->inode_size);
    struct ext2dax_disk_dirent *entry = block(mk, at);

    entry = put_entry(entry, number, ".", 1, 12);
    if (child != 0) {
        entry = put_entry(entry, EXT2DAX_ROOT_INODE, "..", 2, 12);
        (void)put_entry(entry, child, "lost+found", 10, mk->block_size - 24);
    } else {
        (void)put_entry(entry, EXT2DAX_ROOT_INODE, "..", 2, mk->block_size - 12);
    }
    written(mk, block(mk, at), mk->block_size);

    inode->mode = e2d_le16(EXT2DAX_S_IFDIR | mode);
    inode->size = e2d_le32(mk->block_size);
    inode->atime = inode->ctime = inode->mtime = e2d_le32(time);
    inode->links = e2d_le16(child != 0 ? 3 : 2);
    inode->sectors = e2d_le32(mk->block_size >> 9);
    inode->block[0] = e2d_le32(at);
    written(mk, inode, mk->inode_size);
}

static void fill_super(struct maker *mk, const struct ext2dax_format_options *o, struct ext2dax_disk_super *super)
{
    static const uint8_t fixed_uuid[16] = {0xe2, 0xda, 0x78, 0x00, 0x6c, 0x69, 0x42, 0x65,
                                           0x97, 0x32, 0x64, 0x61, 0x78, 0x69, 0x6d, 0x67};
    static const uint8_t no_uuid[16];
    uint32_t free = mk->blocks - mk->first;
    uint32_t hundredth = quotient(mk->blocks, 100);
    uint32_t group;

    for (group = 0; group < mk->groups; group++)
        free -= overhead(mk, group);

    super->inodes_count = e2d_le32(mk->groups * mk->inodes_per_group);
    super->blocks_count = e2d_le32(mk->blocks);
    super->reserved_blocks =
        e2d_le32(hundredth * o->reserved_percent + quotient((mk->blocks - hundredth * 100) * o->reserved_percent, 100));
    super->free_blocks = e2d_le32(free);
    super->free_inodes = e2d_le32(mk->groups * mk->inodes_per_group - LOST_FOUND);
    super->first_data_block = e2d_le32(mk->first);
    super->log_block_size = super->log_frag_size = e2d_le32(mk->block_shift - 10);
    super->blocks_per_group = super->frags_per_group = e2d_le32(mk->blocks_per_group);
    super->inodes_per_group = e2d_le32(mk->inodes_per_group);
    super->write_time = super->last_check = super->mkfs_time = e2d_le32((uint32_t)o->time);
    super->max_mount_count = e2d_le16(0xFFFF); /* never check because of mounts alone */
    super->state = e2d_le16(EXT2DAX_STATE_VALID);
    super->errors = e2d_le16(1); /* on errors: continue */
    super->revision = e2d_le32(1);
    super->first_inode = e2d_le32(EXT2DAX_FIRST_INODE_REV0);
    super->inode_size = e2d_le16(mk->inode_size);
    super->incompat = e2d_le32(EXT2DAX_INCOMPAT_FILETYPE);
    super->ro_compat = e2d_le32(EXT2DAX_RO_COMPAT_SPARSE_SUPER | EXT2DAX_RO_COMPAT_LARGE_FILE);
    memcpy(super->uuid, memcmp(o->uuid, no_uuid, sizeof(no_uuid)) != 0 ? o->uuid : fixed_uuid, sizeof(super->uuid));
    memcpy(super->volume_name, o->label, sizeof(super->volume_name));
}

static void put_magic(struct maker *mk, struct ext2dax_disk_super *super, uint32_t magic)
{
    super->magic = e2d_le16(magic);
    written(mk, &super->magic, sizeof(super->magic));
}

/* The copies, of the finished descriptors and of the superblock as yet without its magic number. */
static void make_copies(struct maker *mk, const struct ext2dax_disk_super *super)
{
    uint32_t group;

    for (group = 1; group < mk->groups && mk->failed == 0; group++) {
        struct ext2dax_disk_super *copy = block(mk, group_first(mk, group));

        if (!has_copy(group))
            continue;
        memcpy(copy, super, sizeof(*copy));
        copy->this_group = e2d_le16(group);
        memcpy(block(mk, group_first(mk, group) + 1), block(mk, mk->first + 1),
               (size_t)mk->descriptor_blocks << mk->block_shift);
        written(mk, copy, (size_t)head(mk, group) << mk->block_shift);
    }
}

static int make(struct maker *mk, const struct ext2dax_format_options *o)
{
    struct ext2dax_disk_super *super = (void *)(mk->base + EXT2DAX_SUPER_OFFSET);
    uint32_t directory = group_first(mk, 0) + overhead(mk, 0) - DIRECTORIES;
    uint32_t time = (uint32_t)o->time;
    uint32_t group;

    put_magic(mk, super, 0);
    if (order(mk, E2D_STEP_FORMAT) != 0)
        return mk->failed;

    for (group = 0; group < mk->groups && mk->failed == 0; group++)
        make_group(mk, group);
    if (mk->failed != 0)
        return mk->failed;
    written(mk, block(mk, mk->first + 1), (size_t)mk->descriptor_blocks << mk->block_shift);
    make_directory(mk, EXT2DAX_ROOT_INODE, directory, 0755, time, LOST_FOUND);
    make_directory(mk, LOST_FOUND, directory + 1, 0700, time, 0);
    fill_super(mk, o, super);
    written(mk, super, sizeof(*super));
    make_copies(mk, super);
    if (order(mk, E2D_STEP_FORMAT) != 0)
        return mk->failed;

    for (group = 1; group < mk->groups; group++)
        if (has_copy(group))
            put_magic(mk, block(mk, group_first(mk, group)), EXT2DAX_SUPER_MAGIC);
    put_magic(mk, super, EXT2DAX_SUPER_MAGIC);
    return order(mk, E2D_STEP_FORMAT_MAGIC);
}

int ext2dax_format(const struct ext2dax_memory *memory, const struct ext2dax_format_options *options,
                   const struct ext2dax_host *host)
{
    struct maker mk;
    struct ext2dax_format_options o;
    int error;

    memset(&mk, 0, sizeof(mk));
    if (host) {
        e2d_copy_sized(&mk.host_ops, sizeof(mk.host_ops), host->ops);
        mk.host_ctx = host->ctx;
    }
    e2d_copy_sized(&o, sizeof(o), options);
    if (!memory || !memory->ops || !memory->base || ((uintptr_t)memory->base & 7) != 0)
        return refuse(&mk, EXT2DAX_EINVAL, "memory", "base", memory ? (uintptr_t)memory->base : 0,
                      "missing, not aligned to 8 bytes, or without a table");
    if ((memory->flags & EXT2DAX_MEMORY_READ_ONLY) != 0)
        return refuse(&mk, EXT2DAX_EROFS, "memory", "flags", memory->flags, "read-only");
    e2d_copy_sized(&mk.ops, sizeof(mk.ops), memory->ops);
    mk.ctx = memory->ctx;
    mk.base = memory->base;

    error = plan(&mk, &o, memory->size);
    return error != 0 ? error : make(&mk, &o);
}
