/* SPDX-License-Identifier: MIT */
/*
 * Directories as blocks of entries. All take a directory whose io the caller holds (shared to look, exclusively to
 * change). A whole block is checked before its first entry is used: a length that cannot be is EUCLEAN, reported, never
 * a hang. So are a hole, and a size that is not whole blocks.
 */
#ifndef E2D_DIR_H
#define E2D_DIR_H

#include "ext2dax/file.h"

#include "incore.h"

/* Reports corruption of a directory, sets the superblock's error bit, returns -EUCLEAN. */
int e2d_dir_corrupt(struct ext2dax_inode *directory, const char *field, uint64_t value, const char *reason);

/* ---- walking: block by block, then entry by entry ---- */

struct e2d_dir_walk {
    struct ext2dax_inode *directory;
    struct ext2dax_run run; /* the blocks mapped last */
    uint64_t next, end;     /* blocks */
};

/* From the block that holds byte `offset`. EUCLEAN: the directory's size cannot be. */
int e2d_dir_walk(struct ext2dax_inode *directory, uint64_t offset, struct e2d_dir_walk *walk);

/* The next block, every entry of it checked: 1; 0 past the last one; or EUCLEAN, EIO. */
int e2d_dir_step(struct e2d_dir_walk *walk, unsigned char **block);

/* One block, the directory's `logical`th: every entry of it can be. EUCLEAN, EIO. */
int e2d_dir_check(struct ext2dax_inode *directory, uint64_t logical, unsigned char *block);

static inline struct ext2dax_disk_dirent *e2d_entry(unsigned char *block, uint32_t offset)
{
    return (struct ext2dax_disk_dirent *)(void *)(block + offset);
}
static inline char *e2d_entry_name(struct ext2dax_disk_dirent *entry)
{
    return (char *)(entry + 1);
}
/* Bytes from an entry to its block's end. */
static inline uint32_t e2d_entry_left(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *entry)
{
    return m->block_size - ((uint32_t)((const unsigned char *)entry - m->base) & (m->block_size - 1));
}
/*
 * Of an entry in a checked block: bytes to the next one. Only 64 KiB blocks can hold an odd length, the one that means
 * 65536. Where another file claims the block too, a store through a mapping of that file may change it after the check:
 * so a length that cannot be leads to the block's end, here as everywhere.
 */
static inline uint32_t e2d_entry_length(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *entry)
{
    uint32_t length = e2d_load_le16(&entry->length), left = e2d_entry_left(m, entry);

    if (length == 0xFFFFu)
        length = 0x10000u;
    return length < EXT2DAX_DIRENT_HEADER || (length & 3) != 0 || left < length + EXT2DAX_DIRENT_HEADER ? left : length;
}
/* Likewise: bytes of its name that lie in the block. */
static inline uint32_t e2d_entry_name_length(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *entry)
{
    return e2d_min32(entry->name_length, e2d_entry_left(m, entry) - EXT2DAX_DIRENT_HEADER);
}

/* ---- looking ---- */

/* An entry found, and what is needed to remove it. */
struct e2d_dirent {
    struct ext2dax_disk_dirent *entry;
    struct ext2dax_disk_dirent *before; /* the entry in front of it in the same block; NULL: it is the block's first */
};

/* ENOENT: no such name. */
int e2d_dir_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found);

/* ---- changing: a hash-tree index is given up, durably, before the first change ---- */

/*
 * A place for a new entry. e2d_dir_room() looks for one; e2d_dir_prepare() writes the body where no reader sees it
 * (stores of the caller's epoch), or adds a block to the directory; e2d_dir_publish() makes it visible with one aligned
 * store, unfenced.
 */
struct e2d_dir_slot {
    struct ext2dax_disk_dirent *entry;  /* NULL: the directory must grow */
    struct ext2dax_disk_dirent *before; /* shortened to publish; NULL: the inode number is stored instead */
    uint32_t length;                    /* of the new entry */
    uint32_t before_length;             /* what publishing leaves of `before` */
    uint32_t number;
    bool published; /* the entry came with a new block and is visible, and durable, already */
};

/* EEXIST: the name is there. Reads only. */
int e2d_dir_room(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot);

/*
 * ENOSPC, ENOMEM, EUCLEAN: nothing has changed. EIO: the entry may be there. A directory that grows takes its entry and
 * truncate locks, and what the caller stored before is durable before the entry is.
 */
int e2d_dir_prepare(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t number, uint8_t type,
                    struct e2d_dir_slot *slot);
void e2d_dir_publish(struct ext2dax_inode *directory, const struct e2d_dir_slot *slot);

/* Before e2d_dir_remove(): gives up the directory's hash-tree index, if it has one, with a fence of its own. EIO. */
int e2d_dir_unindex(struct ext2dax_inode *directory);

/* Clears an entry; unfenced. Its space joins the entry before it. */
void e2d_dir_remove(struct ext2dax_inode *directory, const struct e2d_dirent *found);

#endif
