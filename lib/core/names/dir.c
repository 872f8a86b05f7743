/* SPDX-License-Identifier: MIT */
/*
 * Directories as blocks of dirents.
 *
 * The dirents of a block tile it without a gap. So a dirent's length alone determines where the
 * next dirent begins, and a single aligned store of a length (or of an inode number, for an unused
 * dirent) adds or removes a name. Dirents never move. The offset of a dirent stays the same for its
 * whole life, so an offset can serve readdir as a cookie.
 *
 * The name table of a directory, if any, says where a name is and where a new name fits. Without a
 * table a walk reads all blocks. Both choose the lowest block with room, and so leave equal images.
 */
#include "names/dir.h"

#include "file/block_plan.h"
#include "names/dir_index.h"
#include "names/name_cache.h"
#include "disk/inode.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "base/skips.h"

/* Dirents with the hash of a name, compared before a walk. */
#define SAME_HASH_MAX 16u

/* ---- looking ---- */

/* Maps and checks block number `logical`. Returns 0, EUCLEAN or EIO. */
static int checked_block(struct ext2dax_inode *directory, uint64_t logical, unsigned char **block)
{
    struct e2d_dir_walk walk;
    int step = e2d_dir_walk(directory, logical << directory->mount->block_shift, &walk);

    if (step == 0)
        step = e2d_dir_step(&walk, block);
    if (step < 0)
        return step;
    return step > 0 ? 0 : e2d_dir_corrupt(directory, "block", logical, "is past the end of the directory");
}

/* Looks for a name in block number `logical`. Returns whether the block has the name. */
static E2D_OUT_OF_LINE bool found_in(struct ext2dax_inode *directory, uint64_t logical, unsigned char *block,
                                     const char *name, size_t length, struct e2d_dirent *found)
{
    const struct ext2dax_mount *m = directory->mount;

    found->dirent = e2d_dir_find_in(m, block, name, length, &found->before);
    if (!found->dirent)
        return false;
    found->offset = (uint32_t)(logical << m->block_shift) + (uint32_t)((unsigned char *)found->dirent - block);
    return true;
}

/*
 * Finds a name by the table. Returns EAGAIN if so many dirents have the hash of the name that a
 * search block by block is no slower.
 */
static int find_by_table(struct ext2dax_inode *directory, const struct e2d_name_table *table, const char *name,
                         size_t length, struct e2d_dirent *found)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t hash = e2d_names_hash(m, name, length), cursor = hash, offset;
    unsigned char *block;
    unsigned attempts;
    int error;

    for (attempts = 0; attempts < SAME_HASH_MAX; attempts++) {
        offset = e2d_names_next(table, hash, &cursor);
        if (offset == E2D_NAMES_NO_OFFSET)
            return -EXT2DAX_ENOENT;
        error = checked_block(directory, offset >> m->block_shift, &block);
        if (error != 0)
            return error;
        if (found_in(directory, offset >> m->block_shift, block, name, length, found))
            return 0;
    }
    return -EXT2DAX_EAGAIN;
}

static int find_by_walk(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found)
{
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_walk(directory, 0, &walk);

    if (step != 0)
        return step;
    while ((step = e2d_dir_step(&walk, &block)) > 0) {
        if (found_in(directory, walk.next - 1, block, name, length, found))
            break;
    }
    e2d_names_scanned(directory, walk.next);
    return step > 0 ? 0 : step < 0 ? step : -EXT2DAX_ENOENT;
}

int e2d_dir_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found)
{
    const struct e2d_name_table *table = e2d_names_of(directory);
    struct e2d_index_leaf leaf;
    int error = table ? find_by_table(directory, table, name, length, found) : -EXT2DAX_EAGAIN;

    if (error == -EXT2DAX_EAGAIN)
        error = e2d_index_find(directory, name, length, found, &leaf);
    return error != -EXT2DAX_EAGAIN ? error : find_by_walk(directory, name, length, found);
}

/* Selects the first dirent of a checked block with room for `need` more bytes as the slot. */
static void room_in_block(const struct ext2dax_mount *m, unsigned char *block, uint64_t logical, uint32_t need,
                          struct e2d_dir_slot *slot)
{
    uint32_t offset, length, used;

    for (offset = 0; offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *dirent = e2d_dirent(block, offset);

        length = e2d_dirent_length(m, dirent);
        used = e2d_dirent_used(dirent);
        if (length < used || length - used < need)
            continue;
        slot->before = used != 0 ? dirent : NULL;
        slot->before_length = used;
        slot->dirent = e2d_dirent(block, offset + used);
        slot->length = length - used;
        slot->offset = (uint32_t)(logical << m->block_shift) + offset + used;
        return;
    }
}

/* Finds a place by the table. Returns EAGAIN if the block of the table has no room. */
static int room_by_table(struct ext2dax_inode *directory, const struct e2d_name_table *table, uint32_t need,
                         struct e2d_dir_slot *slot)
{
    uint32_t logical = e2d_names_room(table, need);
    unsigned char *block;
    int error;

    if (logical == E2D_NAMES_NO_BLOCK)
        return 0;
    error = checked_block(directory, logical, &block);
    if (error != 0)
        return error;
    room_in_block(directory->mount, block, logical, need, slot);
    return slot->dirent ? 0 : -EXT2DAX_EAGAIN;
}

/* Finds a place by a walk, which also sees whether the name exists. */
static int room_by_walk(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *before;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_walk(directory, 0, &walk);

    if (step != 0)
        return step;
    while ((step = e2d_dir_step(&walk, &block)) > 0) {
        if (e2d_dir_find_in(m, block, name, length, &before))
            return -EXT2DAX_EEXIST;
        if (!slot->dirent)
            room_in_block(m, block, walk.next - 1, e2d_dirent_filled(length), slot);
    }
    e2d_names_scanned(directory, walk.next);
    return step;
}

/*
 * Finds a place in the leaf of the index where the name belongs. Returns 0, EEXIST, EAGAIN if the
 * index has no such place, EUCLEAN or EIO.
 */
static int room_by_index(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot)
{
    struct e2d_index_leaf leaf;
    struct e2d_dirent found;
    int error = e2d_index_find(directory, name, length, &found, &leaf);

    if (error == 0)
        return -EXT2DAX_EEXIST;
    if (error != -EXT2DAX_ENOENT)
        return error;
    room_in_block(directory->mount, leaf.block, leaf.logical, e2d_dirent_filled(length), slot);
    slot->in_leaf = slot->dirent != NULL;
    return slot->in_leaf ? 0 : -EXT2DAX_EAGAIN;
}

int e2d_dir_room(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot)
{
    const struct e2d_name_table *table = e2d_names_of(directory);
    struct e2d_dirent found;
    int error = table ? find_by_table(directory, table, name, length, &found) : -EXT2DAX_EAGAIN;
    bool absent = error == -EXT2DAX_ENOENT;

    memset(slot, 0, sizeof(*slot));
    if (error == 0)
        return -EXT2DAX_EEXIST;
    if (absent || error == -EXT2DAX_EAGAIN)
        error = room_by_index(directory, name, length, slot);
    if (absent && error == -EXT2DAX_EAGAIN)
        error = room_by_table(directory, table, e2d_dirent_filled(length), slot);
    return error != -EXT2DAX_EAGAIN ? error : room_by_walk(directory, name, length, slot);
}

/* ---- changing ---- */

int(e2d_dir_unindex)(struct ext2dax_inode *directory)
{
    uint32_t flags = e2d_get32(directory->disk->flags);

    if ((flags & EXT2DAX_FL_INDEX) == 0)
        return 0;
    e2d_store32(directory->mount, &directory->disk->flags, flags & ~EXT2DAX_FL_INDEX);
    return e2d_order(directory->mount, E2D_FENCE_INODE);
}

/* Writes a whole dirent, that is header, name and padding. */
static void write_dirent(struct ext2dax_mount *m, void *at, uint32_t number, uint32_t entry_length, const char *name,
                         size_t length, uint8_t type)
{
    struct {
        struct ext2dax_disk_dirent head;
        char name[EXT2DAX_NAME_MAX + 1];
    } body;

    memset(&body, 0, sizeof(body));
    body.head.inode = e2d_le32(number);
    body.head.length = e2d_le16(entry_length == 0x10000u ? 0xFFFFu : entry_length);
    body.head.name_length = (uint8_t)length;
    body.head.type = type;
    memcpy(body.name, name, length);
    e2d_copy(m, at, &body, e2d_dirent_filled(length));
}

/* Adds a block that holds only the new dirent, which is unused if `number` is 0. */
static int extend(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t number, uint8_t type)
{
    struct ext2dax_mount *m = directory->mount;
    uint64_t size = e2d_size(directory);
    uint64_t first = size >> m->block_shift;
    uint32_t flags = e2d_get32(directory->disk->flags);
    struct e2d_plan plan;
    void *dirent;
    size_t contiguous;
    int error;

    if (size + m->block_size > E2D_DIR_SIZE_MAX)
        return -EXT2DAX_ENOSPC;
    error = e2d_plan_blocks(&plan, directory, first, 1, size + m->block_size, false);
    if (error != 0)
        return error;
    e2d_plan_zero(&plan, size, size);
    dirent = e2d_plan_at(&plan, size, &contiguous);
    write_dirent(m, dirent, number, m->block_size, name, length, type);

    error = e2d_dir_unindex(directory);
    if (error == 0)
        error = e2d_plan_publish_extending(&plan, size + m->block_size, UINT64_MAX);
    if (error == 0) {
        e2d_names_added(directory, dirent, (uint32_t)size);
        if (number == 0)
            e2d_names_removed(directory, dirent, (uint32_t)size);
        return 0;
    }
    e2d_plan_drop(&plan);
    /* After a failed fence the new block may belong to the directory already. */
    if (e2d_has_failed(m))
        e2d_names_drop(directory);
    /* No dirent has changed, so an index dropped above is still valid. */
    if (!e2d_has_failed(m) && flags != e2d_get32(directory->disk->flags))
        e2d_store32(m, &directory->disk->flags, flags);
    if (error == -EXT2DAX_EAGAIN)
        error = e2d_dir_corrupt(directory, "block", first, "is past the end of the directory");
    return error;
}

int e2d_dir_grow(struct ext2dax_inode *directory)
{
    E2D_MUST_HOLD(directory->mount, &directory->io);
    return extend(directory, "", 0, 0, EXT2DAX_FT_UNKNOWN);
}

int e2d_dir_prepare(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t number, uint8_t type,
                    struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    E2D_MUST_HOLD(m, &directory->io);
    if (!m->filetype)
        type = EXT2DAX_FT_UNKNOWN;
    slot->number = number;
    if (!slot->dirent) {
        error = extend(directory, name, length, number, type);
        slot->published = error == 0;
        return error;
    }
    /*
     * An index keeps its own data in apparent slack, so the index is dropped before the slack is
     * written. A leaf has real slack, and a name in the leaf of its hash keeps the index valid.
     */
    error = slot->in_leaf ? 0 : e2d_dir_unindex(directory);
    if (error != 0)
        return error;
    write_dirent(m, slot->dirent, slot->before ? number : 0, slot->length, name, length, type);
    return 0;
}

void e2d_dir_publish(struct ext2dax_inode *directory, const struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;

    if (slot->published)
        return;
    if (slot->before)
        e2d_store16(m, &slot->before->length, slot->before_length);
    else
        e2d_store32(m, &slot->dirent->inode, slot->number);
    e2d_names_added(directory, slot->dirent, slot->offset);
}

void(e2d_dir_remove)(struct ext2dax_inode *directory, const struct e2d_dirent *found)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t length;

    E2D_MUST_HOLD(m, &directory->io);
    if (!found->before) {
        e2d_store32(m, &found->dirent->inode, 0);
    } else {
        length = (uint32_t)((unsigned char *)found->dirent - (unsigned char *)found->before);
        length += e2d_dirent_length(m, found->dirent);
        e2d_store16(m, &found->before->length, length == 0x10000u ? 0xFFFFu : length);
    }
    e2d_names_removed(directory, found->dirent, found->offset);
}
