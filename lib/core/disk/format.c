/* SPDX-License-Identifier: MIT */
/*
 * mkfs for ext2. The layout is computed first (layout.h). So a refused call changes nothing, and
 * equal calls produce equal bytes. Then every metadata block and the two directories are written,
 * and no other block.
 *
 * Crash safety. The primary magic number is cleared before all other stores and set after all other
 * stores, each with its own fence. No state in between is accepted as a file system, neither a
 * partially written new file system nor a partially overwritten old file system.
 *
 * Without a mount, persist.h is not usable. struct maker replaces the mount, with the same
 * discipline of store, write-back, a fence named by a step, and the first failure recorded.
 */
#include "ext2dax/format.h"

#include <stddef.h>

#include "base/bitmap.h"
#include "base/endian.h"
#include "base/internal.h"
#include "base/persist.h"
#include "base/copy_struct.h"
#include "disk/layout.h"

#define LOST_FOUND EXT2DAX_FIRST_INODE_REV0
/* Bytes of an inode used after the first 128, up to the time of creation. */
#define EXTRA_ISIZE 32u

/* State of an ext2dax_format() call. */
struct maker {
    struct e2d_layout layout;
    unsigned char *base;
    int failed; /* first error of the memory plug */

    struct ext2dax_memory_ops ops;
    void *ctx;
    struct ext2dax_host_ops host_ops;
    void *host_ctx;
};

/* ---- the memory plug ---- */

static int refuse(struct maker *mk, int error, const char *structure, const char *field, uint64_t value,
                  const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR, -error, structure, 0, field, value, E2D_OWN_REASON(reason)};

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

/* Zeroes a run that may hold anything. Poison in a discarded run is no failure. */
static void zero_run(struct maker *mk, void *at, size_t length)
{
    if (mk->ops.discard && mk->ops.discard(mk->ctx, at, length) == 0)
        return;
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

/*
 * Makes a range zeroes. Zeroes known to the memory plug are not stored, so that a new sparse file
 * stays sparse.
 */
static void zero(struct maker *mk, void *at, size_t length)
{
    unsigned char *from = at, *end = from + length;

    while (from < end && mk->failed == 0) {
        size_t skip = 0, run = (size_t)(end - from);

        if (mk->ops.next_data)
            run = mk->ops.next_data(mk->ctx, from, run, &skip);
        if (run == 0)
            return;
        zero_run(mk, from + skip, run);
        from += skip + run;
    }
}

static int order(struct maker *mk, enum e2d_fence step)
{
    int error = mk->ops.fence && !E2D_FENCE_LOST(step) ? mk->ops.fence(mk->ctx) : 0;

    if (error != 0 && mk->failed == 0) {
        mk->failed = error;
        (void)refuse(mk, -error, "memory", "fence", (uint64_t)step, "failed");
    }
    return mk->failed;
}

static uint32_t group_first(const struct maker *mk, uint32_t group)
{
    return e2d_layout_first(&mk->layout, group);
}

static E2D_OUT_OF_LINE void *block(const struct maker *mk, uint32_t number)
{
    return mk->base + ((size_t)number << mk->layout.block_shift);
}

/* ---- the blocks ---- */

static E2D_OUT_OF_LINE void make_group(struct maker *mk, uint32_t group)
{
    uint32_t start = group_first(mk, group);
    uint32_t used = e2d_layout_overhead(&mk->layout, group);
    uint32_t bitmap = start + e2d_layout_head(&mk->layout, group);
    struct ext2dax_disk_group *descriptor = (struct ext2dax_disk_group *)block(mk, mk->layout.first + 1) + group;
    uint8_t *map;

    /*
     * Group 0 is zeroed from the first byte of the image, because an old boot sector would identify
     * another file system.
     */
    if (group == 0)
        zero(mk, mk->base, (size_t)(start + used) << mk->layout.block_shift);
    else
        zero(mk, block(mk, start), (size_t)used << mk->layout.block_shift);
    if (mk->failed != 0)
        return;

    map = block(mk, bitmap);
    e2d_set_bits(map, 0, used);
    if (e2d_layout_blocks(&mk->layout, group) < 8 * mk->layout.block_size)
        e2d_set_bits(map, e2d_layout_blocks(&mk->layout, group), 8 * mk->layout.block_size);
    map = block(mk, bitmap + 1);
    if (group == 0)
        e2d_set_bits(map, 0, LOST_FOUND);
    if (mk->layout.inodes_per_group < 8 * mk->layout.block_size)
        e2d_set_bits(map, mk->layout.inodes_per_group, 8 * mk->layout.block_size);
    written(mk, block(mk, bitmap), (size_t)E2D_LAYOUT_BITMAPS << mk->layout.block_shift);

    descriptor->block_bitmap = e2d_le32(bitmap);
    descriptor->inode_bitmap = e2d_le32(bitmap + 1);
    descriptor->inode_table = e2d_le32(bitmap + E2D_LAYOUT_BITMAPS);
    descriptor->free_blocks = e2d_le16(e2d_layout_blocks(&mk->layout, group) - used);
    descriptor->free_inodes = e2d_le16(mk->layout.inodes_per_group - (group == 0 ? LOST_FOUND : 0));
    descriptor->used_dirs = e2d_le16(group == 0 ? E2D_LAYOUT_DIRECTORIES : 0);
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

/* The owner and the permissions of a directory. */
struct owner {
    uint32_t mode, uid, gid;
};

/*
 * Writes a directory of a single block and its inode. `child` is the inode of the only subdirectory
 * (lost+found), or 0 for an empty directory.
 */
static void make_directory(struct maker *mk, uint32_t number, uint32_t at, const struct owner *owner, uint32_t time,
                           uint32_t child)
{
    unsigned char *table = block(mk, group_first(mk, 0) + e2d_layout_head(&mk->layout, 0) + E2D_LAYOUT_BITMAPS);
    struct ext2dax_disk_inode *inode = (void *)(table + (size_t)(number - 1) * mk->layout.inode_size);
    struct ext2dax_disk_dirent *entry = block(mk, at);

    entry = put_entry(entry, number, ".", 1, 12);
    if (child != 0) {
        entry = put_entry(entry, EXT2DAX_ROOT_INODE, "..", 2, 12);
        (void)put_entry(entry, child, "lost+found", 10, mk->layout.block_size - 24);
    } else {
        (void)put_entry(entry, EXT2DAX_ROOT_INODE, "..", 2, mk->layout.block_size - 12);
    }
    written(mk, block(mk, at), mk->layout.block_size);

    inode->mode = e2d_le16(EXT2DAX_S_IFDIR | owner->mode);
    inode->uid = e2d_le16(owner->uid & 0xFFFFu);
    inode->uid_high = e2d_le16(owner->uid >> 16);
    inode->gid = e2d_le16(owner->gid & 0xFFFFu);
    inode->gid_high = e2d_le16(owner->gid >> 16);
    inode->size = e2d_le32(mk->layout.block_size);
    inode->atime = inode->ctime = inode->mtime = e2d_le32(time);
    inode->links = e2d_le16(child != 0 ? 3 : 2);
    inode->sectors = e2d_le32(mk->layout.block_size >> 9);
    inode->block[0] = e2d_le32(at);
    if (mk->layout.inode_size > EXT2DAX_INODE_SIZE_REV0)
        *(struct ext2dax_le16 *)(void *)(inode + 1) = e2d_le16(EXTRA_ISIZE);
    written(mk, inode, mk->layout.inode_size);
}

static bool is_zero(const uint8_t bytes[16])
{
    static const uint8_t zeroes[16];

    return memcmp(bytes, zeroes, sizeof(zeroes)) == 0;
}

/*
 * Fills in the identity of the image, and the hash of directory indexes. A derived seed differs
 * from the UUID in every word, so that images with similar UUIDs hash names differently.
 */
static void fill_identity(const struct ext2dax_format_options *o, struct ext2dax_disk_super *super)
{
    static const uint8_t fixed_uuid[16] = {0xe2, 0xda, 0x78, 0x00, 0x6c, 0x69, 0x42, 0x65,
                                           0x97, 0x32, 0x64, 0x61, 0x78, 0x69, 0x6d, 0x67};
    uint32_t mixed = 0, i;

    memcpy(super->uuid, is_zero(o->uuid) ? fixed_uuid : o->uuid, sizeof(super->uuid));
    memcpy(super->volume_name, o->label, sizeof(super->volume_name));
    memcpy(super->hash_seed, o->hash_seed, sizeof(super->hash_seed));
    for (i = 0; i < 2 * sizeof(super->uuid) && is_zero(o->hash_seed); i++) {
        /* The multiplier of FNV, here without any claim of secrecy. */
        mixed = (mixed ^ super->uuid[i & 15]) * 16777619u;
        mixed ^= mixed >> 15;
        super->hash_seed[i >> 2 & 3] = e2d_le32(mixed);
    }
    super->hash_version = EXT2DAX_HASH_HALF_MD4;
    super->flags = e2d_le32(EXT2DAX_SUPER_SIGNED_HASH);
}

static E2D_OUT_OF_LINE void fill_super(struct maker *mk, const struct ext2dax_format_options *o,
                                       struct ext2dax_disk_super *super)
{
    uint32_t free = mk->layout.blocks - mk->layout.first;
    uint32_t group;

    for (group = 0; group < mk->layout.groups; group++)
        free -= e2d_layout_overhead(&mk->layout, group);

    super->inodes_count = e2d_le32(mk->layout.groups * mk->layout.inodes_per_group);
    super->blocks_count = e2d_le32(mk->layout.blocks);
    super->reserved_blocks = e2d_le32(e2d_layout_reserved(&mk->layout, o));
    super->free_blocks = e2d_le32(free);
    super->free_inodes = e2d_le32(mk->layout.groups * mk->layout.inodes_per_group - LOST_FOUND);
    super->first_data_block = e2d_le32(mk->layout.first);
    super->log_block_size = super->log_frag_size = e2d_le32(mk->layout.block_shift - 10);
    super->blocks_per_group = super->frags_per_group = e2d_le32(mk->layout.blocks_per_group);
    super->inodes_per_group = e2d_le32(mk->layout.inodes_per_group);
    super->write_time = super->last_check = super->mkfs_time = e2d_le32((uint32_t)o->time);
    super->max_mount_count = e2d_le16(0xFFFF); /* no check due to the mount count */
    super->state = e2d_le16(EXT2DAX_STATE_VALID);
    super->errors = e2d_le16(1); /* continue on errors */
    super->revision = e2d_le32(1);
    super->first_inode = e2d_le32(EXT2DAX_FIRST_INODE_REV0);
    super->inode_size = e2d_le16(mk->layout.inode_size);
    super->compat = e2d_le32((EXT2DAX_COMPAT_DIR_INDEX | EXT2DAX_COMPAT_EXT_ATTR) & ~o->without);
    super->incompat = e2d_le32(EXT2DAX_INCOMPAT_FILETYPE);
    super->ro_compat = e2d_le32(EXT2DAX_RO_COMPAT_SPARSE_SUPER | EXT2DAX_RO_COMPAT_LARGE_FILE);
    if (mk->layout.inode_size > EXT2DAX_INODE_SIZE_REV0)
        super->min_extra_isize = super->want_extra_isize = e2d_le16(EXTRA_ISIZE);
    fill_identity(o, super);
}

static E2D_OUT_OF_LINE void put_magic(struct maker *mk, struct ext2dax_disk_super *super, uint32_t magic)
{
    super->magic = e2d_le16(magic);
    written(mk, &super->magic, sizeof(super->magic));
}

/*
 * Writes the copies of the descriptors, which are complete, and of the superblock, which has no
 * magic number yet.
 */
static void make_copies(struct maker *mk, const struct ext2dax_disk_super *super)
{
    uint32_t group;

    for (group = 1; group < mk->layout.groups && mk->failed == 0; group++) {
        struct ext2dax_disk_super *copy = block(mk, group_first(mk, group));

        if (!e2d_layout_has_copy(group))
            continue;
        memcpy(copy, super, sizeof(*copy));
        copy->this_group = e2d_le16(group);
        memcpy(block(mk, group_first(mk, group) + 1), block(mk, mk->layout.first + 1),
               (size_t)mk->layout.descriptor_blocks << mk->layout.block_shift);
        written(mk, copy, (size_t)e2d_layout_head(&mk->layout, group) << mk->layout.block_shift);
    }
}

static E2D_OUT_OF_LINE int make(struct maker *mk, const struct ext2dax_format_options *o)
{
    struct ext2dax_disk_super *super = (void *)(mk->base + EXT2DAX_SUPER_OFFSET);
    uint32_t directory = group_first(mk, 0) + e2d_layout_overhead(&mk->layout, 0) - E2D_LAYOUT_DIRECTORIES;
    const struct owner root = {o->root_mode != 0 ? o->root_mode : 0755, o->root_uid, o->root_gid};
    const struct owner lost_found = {0700, 0, 0};
    uint32_t time = (uint32_t)o->time;
    uint32_t group;

    put_magic(mk, super, 0);
    if (order(mk, E2D_FENCE_FORMAT) != 0)
        return mk->failed;

    for (group = 0; group < mk->layout.groups && mk->failed == 0; group++)
        make_group(mk, group);
    if (mk->failed != 0)
        return mk->failed;
    written(mk, block(mk, mk->layout.first + 1), (size_t)mk->layout.descriptor_blocks << mk->layout.block_shift);
    make_directory(mk, EXT2DAX_ROOT_INODE, directory, &root, time, LOST_FOUND);
    make_directory(mk, LOST_FOUND, directory + 1, &lost_found, time, 0);
    fill_super(mk, o, super);
    written(mk, super, sizeof(*super));
    make_copies(mk, super);
    if (order(mk, E2D_FENCE_FORMAT) != 0)
        return mk->failed;

    for (group = 1; group < mk->layout.groups; group++)
        if (e2d_layout_has_copy(group))
            put_magic(mk, block(mk, group_first(mk, group)), EXT2DAX_SUPER_MAGIC);
    put_magic(mk, super, EXT2DAX_SUPER_MAGIC);
    return order(mk, E2D_FENCE_FORMAT_MAGIC);
}

int ext2dax_format(const struct ext2dax_memory *memory, const struct ext2dax_format_options *options,
                   const struct ext2dax_host *host)
{
    struct maker mk;
    struct ext2dax_format_options o;
    struct ext2dax_report why;
    int error;

    memset(&mk, 0, sizeof(mk));
    if (host) {
        e2d_copy_struct(&mk.host_ops, sizeof(mk.host_ops), host->ops);
        mk.host_ctx = host->ctx;
    }
    e2d_copy_struct(&o, sizeof(o), options);
    if (!memory || !memory->ops || !memory->base || ((uintptr_t)memory->base & 7) != 0)
        return refuse(&mk, EXT2DAX_EINVAL, "memory", "base", memory ? (uintptr_t)memory->base : 0,
                      "missing, not aligned to 8 bytes, or without ops");
    if ((memory->flags & EXT2DAX_MEMORY_READ_ONLY) != 0)
        return refuse(&mk, EXT2DAX_EROFS, "memory", "flags", memory->flags, "read-only");
    e2d_copy_struct(&mk.ops, sizeof(mk.ops), memory->ops);
    mk.ctx = memory->ctx;
    mk.base = memory->base;

    error = e2d_layout_plan(&mk.layout, &o, memory->size, &why);
    if (error != 0)
        return e2d_report(&mk.host_ops, mk.host_ctx, &why);
    if (mk.ops.usable && mk.ops.usable(mk.ctx) != 0)
        return refuse(&mk, EXT2DAX_EINVAL, "memory", "size", memory->size, "bytes, opened by another process");
    if (error == 0 && mk.ops.claim)
        error = mk.ops.claim(mk.ctx, EXT2DAX_CLAIM_NONE, EXT2DAX_CLAIM_WRITE);
    if (error != 0)
        return error;
    if (mk.ops.scan)
        mk.ops.scan(mk.ctx, true);
    error = make(&mk, &o);
    if (mk.ops.scan)
        mk.ops.scan(mk.ctx, false);
    if (mk.ops.claim)
        (void)mk.ops.claim(mk.ctx, EXT2DAX_CLAIM_WRITE, EXT2DAX_CLAIM_NONE);
    return error;
}
