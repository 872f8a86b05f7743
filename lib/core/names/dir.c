/* SPDX-License-Identifier: MIT */
/*
 * Directories as blocks of entries.
 *
 * The entries of a block tile it without a gap, so an entry's length alone says where the next one begins, and one
 * aligned store of a length (or of an inode number, for an unused entry) adds or removes a name. Entries never move: the
 * offset of one is the same for its whole life, which is what makes an offset a cookie for readdir. Nothing is believed
 * of a block until all of it has been checked, so a walk ends after at most a block's size / 12 steps.
 */
#include "dir.h"

#include "grow.h"
#include "lock.h"
#include "map.h"
#include "persist.h"
#include "super.h"

#define SHORTEST   12u         /* a header and one to four bytes of name */
#define SIZE_LIMIT 0x7FFFFFFFu /* bytes: a directory's size has 31 bits */

/* Bytes that an entry with a name of `length` bytes fills. */
static uint32_t filled(size_t length)
{
    return (EXT2DAX_DIRENT_HEADER + (uint32_t)length + 3) & ~3u;
}

int e2d_dir_corrupt(struct ext2dax_inode *directory, const char *field, uint64_t value, const char *reason)
{
    return e2d_corrupt(directory->mount, "directory", directory->number, field, value, reason);
}

/* ---- walking ---- */

int e2d_dir_walk(struct ext2dax_inode *directory, uint64_t offset, struct e2d_dir_walk *walk)
{
    struct ext2dax_mount *m = directory->mount;
    uint64_t size = e2d_size(directory);

    /* No holes: one with more blocks than the image has would be read for ever, some of them again and again. */
    if (size == 0 || size > SIZE_LIMIT || (size & (m->block_size - 1)) != 0 || size >> m->block_shift > m->blocks)
        return e2d_dir_corrupt(directory, "size", size, "not a number of whole blocks that a directory can have");
    walk->directory = directory;
    walk->run.logical = walk->run.length = 0;
    walk->end = size >> m->block_shift;
    walk->next = e2d_min64(offset >> m->block_shift, walk->end);
    return 0;
}

/* What is wrong with an entry at `offset` of a block, `length` bytes long as far as it says; NULL: nothing. */
static const char *entry_fault(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *entry, uint32_t offset,
                               uint32_t length)
{
    uint32_t number = e2d_get32(entry->inode);

    if (length < SHORTEST || length > m->block_size - offset)
        return "entry shorter than can be, or past its block's end";
    if ((length & 3) != 0)
        return "entry length not a multiple of 4";
    if (filled(entry->name_length) > length)
        return "name longer than its entry";
    if (!m->filetype && entry->type != 0)
        return "name longer than 255 bytes";
    if (number > m->inodes)
        return "inode number past the last inode";
    if (number != 0 && number < m->first_inode && number != EXT2DAX_ROOT_INODE)
        return "entry names a reserved inode";
    if (number != 0 && entry->name_length == 0)
        return "entry without a name";
    return NULL;
}

int e2d_dir_check(struct ext2dax_inode *directory, uint64_t logical, unsigned char *block)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t offset, length;
    const char *fault;
    int error = e2d_check(m, block, m->block_size);

    if (error != 0)
        return error;
    for (offset = 0; offset < m->block_size; offset += length) {
        const struct ext2dax_disk_dirent *entry = e2d_entry(block, offset);

        if (m->block_size - offset < SHORTEST) {
            fault = "no room for an entry at the block's end";
        } else {
            length = e2d_get16(entry->length);
            if (length == 0xFFFFu && m->block_size == 0x10000u)
                length = 0x10000u;
            fault = entry_fault(m, entry, offset, length);
        }
        if (fault)
            return e2d_dir_corrupt(directory, "entry at byte", (logical << m->block_shift) + offset, fault);
    }
    return 0;
}

int e2d_dir_step(struct e2d_dir_walk *walk, unsigned char **block)
{
    struct ext2dax_inode *directory = walk->directory;
    struct ext2dax_run *run = &walk->run;
    uint64_t logical = walk->next;
    int error;

    if (logical == walk->end)
        return 0;
    if (logical - run->logical >= run->length) {
        error = e2d_map(directory, logical, walk->end - logical, run);
        if (error != 0)
            return error;
        if (run->physical == 0)
            return e2d_dir_corrupt(directory, "block", logical, "is a hole");
    }
    *block = e2d_block(directory->mount, (uint32_t)(run->physical + (logical - run->logical)));
    error = e2d_dir_check(directory, logical, *block);
    if (error != 0)
        return error;
    walk->next++;
    return 1;
}

/* ---- looking ---- */

/* Looks for a name in a checked block; `before` becomes the entry in front of the one returned. */
static struct ext2dax_disk_dirent *find_in_block(const struct ext2dax_mount *m, unsigned char *block, const char *name,
                                                 size_t length, struct ext2dax_disk_dirent **before)
{
    struct ext2dax_disk_dirent *entry;
    uint32_t offset;

    *before = NULL;
    for (offset = 0; offset < m->block_size; offset += e2d_entry_length(m, entry)) {
        entry = e2d_entry(block, offset);
        if (e2d_entry_name_length(m, entry) == length && e2d_get32(entry->inode) != 0 &&
            memcmp(e2d_entry_name(entry), name, length) == 0)
            return entry;
        *before = entry;
    }
    return NULL;
}

int e2d_dir_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found)
{
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_walk(directory, 0, &walk);

    if (step != 0)
        return step;
    while ((step = e2d_dir_step(&walk, &block)) > 0) {
        found->entry = find_in_block(directory->mount, block, name, length, &found->before);
        if (found->entry)
            return 0;
    }
    return step != 0 ? step : -EXT2DAX_ENOENT;
}

/* The first entry of a checked block with room for `need` more bytes becomes the slot. */
static void room_in_block(const struct ext2dax_mount *m, unsigned char *block, uint32_t need, struct e2d_dir_slot *slot)
{
    uint32_t offset, length, used;

    for (offset = 0; offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *entry = e2d_entry(block, offset);

        length = e2d_entry_length(m, entry);
        used = e2d_get32(entry->inode) != 0 ? filled(entry->name_length) : 0;
        if (length < used || length - used < need)
            continue;
        slot->before = used != 0 ? entry : NULL;
        slot->before_length = used;
        slot->entry = e2d_entry(block, offset + used);
        slot->length = length - used;
        return;
    }
}

int e2d_dir_room(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *before;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_walk(directory, 0, &walk);

    memset(slot, 0, sizeof(*slot));
    if (step != 0)
        return step;
    while ((step = e2d_dir_step(&walk, &block)) > 0) {
        if (find_in_block(m, block, name, length, &before))
            return -EXT2DAX_EEXIST;
        if (!slot->entry)
            room_in_block(m, block, filled(length), slot);
    }
    return step;
}

/* ---- changing ---- */

int e2d_dir_unindex(struct ext2dax_inode *directory)
{
    uint32_t flags = e2d_get32(directory->disk->flags);

    if ((flags & EXT2DAX_FL_INDEX) == 0)
        return 0;
    e2d_store32(directory->mount, &directory->disk->flags, flags & ~EXT2DAX_FL_INDEX);
    return e2d_order(directory->mount, E2D_STEP_INODE);
}

/* Writes an entry in one piece: header, name and the padding behind it. */
static void write_entry(struct ext2dax_mount *m, void *at, uint32_t number, uint32_t entry_length, const char *name,
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
    e2d_copy(m, at, &body, filled(length));
}

/* Adds a block that holds the new entry alone. */
static int grow(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t number, uint8_t type)
{
    struct ext2dax_mount *m = directory->mount;
    uint64_t size = e2d_size(directory);
    uint64_t first = size >> m->block_shift;
    uint32_t flags = e2d_get32(directory->disk->flags);
    struct e2d_plan plan;
    size_t contiguous;
    int error;

    if (size + m->block_size > SIZE_LIMIT)
        return -EXT2DAX_ENOSPC;
    error = e2d_plan_blocks(&plan, directory, first, 1, size + m->block_size, false);
    if (error != 0)
        return error;
    e2d_plan_zero(&plan, size, size);
    write_entry(m, e2d_plan_at(&plan, size, &contiguous), number, m->block_size, name, length, type);

    error = e2d_dir_unindex(directory);
    if (error == 0)
        error = e2d_plan_publish_growing(&plan, size + m->block_size, UINT64_MAX);
    if (error == 0)
        return 0;
    e2d_plan_drop(&plan);
    /* No entry has changed, so an index that was given up is still right. */
    if (!e2d_has_failed(m) && flags != e2d_get32(directory->disk->flags))
        e2d_store32(m, &directory->disk->flags, flags);
    if (error == -EXT2DAX_EAGAIN)
        error = e2d_dir_corrupt(directory, "block", first, "allocated past the end of the directory");
    return error;
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
    if (!slot->entry) {
        error = grow(directory, name, length, number, type);
        slot->published = error == 0;
        return error;
    }
    /* An index keeps its own data in what looks like slack, so it goes before the slack is written. */
    error = e2d_dir_unindex(directory);
    if (error != 0)
        return error;
    write_entry(m, slot->entry, slot->before ? number : 0, slot->length, name, length, type);
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
        e2d_store32(m, &slot->entry->inode, slot->number);
}

void e2d_dir_remove(struct ext2dax_inode *directory, const struct e2d_dirent *found)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t length;

    E2D_MUST_HOLD(m, &directory->io);
    if (!found->before) {
        e2d_store32(m, &found->entry->inode, 0);
        return;
    }
    length = (uint32_t)((unsigned char *)found->entry - (unsigned char *)found->before);
    length += e2d_entry_length(m, found->entry);
    e2d_store16(m, &found->before->length, length == 0x10000u ? 0xFFFFu : length);
}
