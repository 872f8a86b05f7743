/* SPDX-License-Identifier: MIT */
/*
 * Walks over directories, block by block, and the check of a block.
 *
 * No part of a block is trusted until the whole block has been checked, so a walk ends after at
 * most block size / 12 steps.
 */
#include "names/dir.h"

#include "base/persist.h"
#include "disk/inode.h"
#include "tree/map.h"
#include "disk/super.h"

uint32_t e2d_dirent_length(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *dirent)
{
    uint32_t length = e2d_load_le16(&dirent->length), left = e2d_dirent_left(m, dirent);

    if (length == 0xFFFFu)
        length = 0x10000u;
    return length < EXT2DAX_DIRENT_HEADER || (length & 3) != 0 || left < length + EXT2DAX_DIRENT_HEADER ? left : length;
}

#define SHORTEST 12u /* a header and 1 to 4 bytes of name */

int(e2d_dir_corrupt)(struct ext2dax_inode *directory, const char *field, uint64_t value E2D_REASON(const char *reason))
{
    return e2d_corrupt(directory->mount, "directory", directory->number, field, value, E2D_REASON_OR_NULL(reason));
}

/* ---- walking ---- */

int e2d_dir_walk(struct ext2dax_inode *directory, uint64_t offset, struct e2d_dir_walk *walk)
{
    struct ext2dax_mount *m = directory->mount;
    uint64_t size = e2d_size(directory);

    /*
     * Directories have no holes. A directory with more blocks than the image has would contain some
     * blocks many times, and a walk would practically never end.
     */
    if (size == 0 || size > E2D_DIR_SIZE_MAX || (size & (m->block_size - 1)) != 0 || size >> m->block_shift > m->blocks)
        return e2d_dir_corrupt(directory, "size", size, "is no size of a directory");
    walk->directory = directory;
    walk->run.logical = walk->run.length = 0;
    walk->end = size >> m->block_shift;
    walk->next = e2d_min64(offset >> m->block_shift, walk->end);
    return 0;
}

/*
 * Returns the defect of a dirent at `offset` of a block, with a recorded length of `length` bytes,
 * or NULL for none.
 */
static const char *fault_by_kind(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *dirent,
                                 uint32_t offset, uint32_t length)
{
    uint32_t number = e2d_get32(dirent->inode);

    if (length < SHORTEST || length > m->block_size - offset)
        return E2D_TEXT("too short, or past the end of the block");
    if ((length & 3) != 0)
        return E2D_TEXT("length is no multiple of 4");
    if (e2d_dirent_filled(dirent->name_length) > length)
        return E2D_TEXT("name is longer than the dirent");
    if (!m->filetype && dirent->type != 0)
        return E2D_TEXT("name is longer than 255 bytes");
    if (number > m->inodes)
        return E2D_TEXT("inode is past the last inode");
    if (number != 0 && e2d_is_reserved(m, number))
        return E2D_TEXT("names a reserved inode");
    if (number != 0 && dirent->name_length == 0)
        return E2D_TEXT("has no name");
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
        const struct ext2dax_disk_dirent *dirent = e2d_dirent(block, offset);

        if (m->block_size - offset < SHORTEST) {
            fault = E2D_TEXT("ends within the block, without room for a dirent");
        } else {
            length = e2d_get16(dirent->length);
            if (length == 0xFFFFu && m->block_size == 0x10000u)
                length = 0x10000u;
            fault = fault_by_kind(m, dirent, offset, length);
        }
        if (fault)
            return e2d_dir_corrupt(directory, "dirent at byte", (logical << m->block_shift) + offset, fault);
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

struct ext2dax_disk_dirent *e2d_dir_find_in(const struct ext2dax_mount *m, unsigned char *block, const char *name,
                                            size_t length, struct ext2dax_disk_dirent **before)
{
    struct ext2dax_disk_dirent *dirent;
    uint32_t offset;

    *before = NULL;
    for (offset = 0; offset < m->block_size; offset += e2d_dirent_length(m, dirent)) {
        dirent = e2d_dirent(block, offset);
        if (e2d_dirent_name_length(m, dirent) == length && e2d_get32(dirent->inode) != 0 &&
            memcmp(e2d_dirent_name(dirent), name, length) == 0)
            return dirent;
        *before = dirent;
    }
    return NULL;
}
