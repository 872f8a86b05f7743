/* SPDX-License-Identifier: MIT */
/*
 * Directories as blocks of dirents. All functions take a directory with io held by the caller,
 * shared to look and exclusively to change. A whole block is checked before its first dirent is
 * used. An impossible length is EUCLEAN (reported), never an endless loop. A hole, and a size that
 * is no multiple of the block size, are EUCLEAN too.
 */
#ifndef E2D_NAMES_DIR_H
#define E2D_NAMES_DIR_H

#include "ext2dax/file.h"

#include "base/internal.h"

#define E2D_DIR_SIZE_MAX 0x7FFFFFFFu /* bytes, because the size of a directory has 31 bits */

/* Reports corruption of a directory, sets the superblock's error bit, returns -EUCLEAN. */
int e2d_dir_corrupt(struct ext2dax_inode *directory, const char *field, uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_dir_corrupt(directory, field, value, reason)                                                               \
    E2D_WITHOUT_REASON(reason, e2d_dir_corrupt((directory), (field), (value)))
#endif

/* ---- walking: block by block, then dirent by dirent ---- */

struct e2d_dir_walk {
    struct ext2dax_inode *directory;
    struct ext2dax_run run; /* the run of blocks mapped last */
    uint64_t next, end;     /* in blocks */
};

/*
 * Starts a walk at the block of byte `offset`. Returns EUCLEAN if the directory's size is
 * impossible.
 */
int e2d_dir_walk(struct ext2dax_inode *directory, uint64_t offset, struct e2d_dir_walk *walk);

/*
 * Moves to the next block and checks all its dirents. Returns 1, 0 past the last block, EUCLEAN or
 * EIO.
 */
int e2d_dir_step(struct e2d_dir_walk *walk, unsigned char **block);

/* Checks all dirents of block number `logical` of the directory. Returns 0, EUCLEAN or EIO. */
int e2d_dir_check(struct ext2dax_inode *directory, uint64_t logical, unsigned char *block);

static inline struct ext2dax_disk_dirent *e2d_dirent(unsigned char *block, uint32_t offset)
{
    return (struct ext2dax_disk_dirent *)(void *)(block + offset);
}
static inline char *e2d_dirent_name(struct ext2dax_disk_dirent *dirent)
{
    return (char *)(dirent + 1);
}
/* Returns the bytes from a dirent to the end of its block. */
static inline uint32_t e2d_dirent_left(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *dirent)
{
    return m->block_size - ((uint32_t)((const unsigned char *)dirent - m->base) & (m->block_size - 1));
}
/*
 * Returns the bytes from a dirent in a checked block to the next dirent. Only 64 KiB blocks can
 * hold an odd length, namely 0xFFFF, which means 65536. If another file claims the block too, a
 * store through a mapping of that file may change the length after the check. So an impossible
 * length leads to the end of the block, here as everywhere.
 */
uint32_t e2d_dirent_length(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *dirent);
/* Likewise returns the bytes of a dirent's name inside the block. */
static inline uint32_t e2d_dirent_name_length(const struct ext2dax_mount *m, const struct ext2dax_disk_dirent *dirent)
{
    return e2d_min32(dirent->name_length, e2d_dirent_left(m, dirent) - EXT2DAX_DIRENT_HEADER);
}

/* Returns the bytes used by a dirent with a name of `length` bytes. */
static inline uint32_t e2d_dirent_filled(size_t length)
{
    return (EXT2DAX_DIRENT_HEADER + (uint32_t)length + 3) & ~3u;
}
/* Returns the bytes used by a dirent in a checked block, 0 for an unused dirent. */
static inline uint32_t e2d_dirent_used(const struct ext2dax_disk_dirent *dirent)
{
    return e2d_get32(dirent->inode) != 0 ? e2d_dirent_filled(dirent->name_length) : 0;
}

/* ---- looking ---- */

/*
 * Looks for a name in a checked block. *before receives the dirent in front of the returned dirent,
 * or NULL.
 */
struct ext2dax_disk_dirent *e2d_dir_find_in(const struct ext2dax_mount *m, unsigned char *block, const char *name,
                                            size_t length, struct ext2dax_disk_dirent **before);

/* A dirent found, and the data needed for its removal. */
struct e2d_dirent {
    struct ext2dax_disk_dirent *dirent;
    /* the preceding dirent of the block, or NULL for the first */
    struct ext2dax_disk_dirent *before;
    uint32_t offset; /* of the dirent in the directory, in bytes */
};

/* Finds a name. Returns 0, ENOENT if the directory has no such name, EUCLEAN or EIO. */
int e2d_dir_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found);

/* ---- changing: a hash-tree index stays valid, or is dropped, durably, before the change ---- */

/*
 * A place for a new dirent. e2d_dir_room() finds the place. e2d_dir_prepare() writes the body where
 * no reader sees it, as stores of the caller's epoch, or adds a block to the directory.
 * e2d_dir_publish() makes the dirent visible with a single aligned store, unfenced.
 */
struct e2d_dir_slot {
    struct ext2dax_disk_dirent *dirent; /* NULL if the directory must be extended */
    /* shortened to publish, or NULL if the inode number is stored instead */
    struct ext2dax_disk_dirent *before;
    uint32_t length;        /* of the new dirent */
    uint32_t before_length; /* length of `before` after publishing */
    uint32_t number;
    uint32_t offset; /* of the dirent in the directory, in bytes */
    bool in_leaf;    /* of the index, in the leaf of the hash */
    /* the dirent came with a new block, already visible and durable */
    bool published;
};

/*
 * Finds a place for a new name. Only reads. Returns 0, EEXIST if the name exists, EUCLEAN or EIO.
 */
int e2d_dir_room(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dir_slot *slot);

/*
 * Prepares the dirent in its slot. To extend the directory, takes a range lock and truncate, and
 * then all earlier stores of the caller are durable before the dirent is.
 *
 * Returns 0 or a negative errno. Except after EIO nothing has changed
 *   ENOSPC      no free block, or the directory has its largest size
 *   EFBIG       i_blocks does not fit 32 bits
 *   EOPNOTSUPP  the directory counts blocks as only huge_file allows (reported)
 *   EUCLEAN     a block pointer or a group is damaged (reported)
 *   EIO         the dirent may be visible
 */
int e2d_dir_prepare(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t number, uint8_t type,
                    struct e2d_dir_slot *slot);
void e2d_dir_publish(struct ext2dax_inode *directory, const struct e2d_dir_slot *slot);

/*
 * Adds a block with a single unused dirent, visible and durable. Locks and errors as
 * e2d_dir_prepare().
 */
int e2d_dir_grow(struct ext2dax_inode *directory);

/*
 * Drops the directory's hash-tree index, if any, with a fence of its own. Returns 0 or EIO. A
 * removal, and a new name in the leaf of its hash, need no call.
 */
int e2d_dir_unindex(struct ext2dax_inode *directory);

/*
 * Removes a dirent, unfenced. The space joins the preceding dirent of the block. The first dirent
 * of a block becomes unused.
 */
void e2d_dir_remove(struct ext2dax_inode *directory, const struct e2d_dirent *found);

/* ---- dir_change.c ---- */

/* Returns the type recorded in a dirent of an inode with this mode. UNKNOWN without filetype. */
uint8_t e2d_dirent_type(const struct ext2dax_mount *m, uint32_t mode);

/*
 * Finds the dirent "..", the second of the directory. Returns 0, EIO, or EUCLEAN if the directory
 * does not begin with "." and "..".
 */
int e2d_dir_dotdot(struct ext2dax_inode *directory, struct ext2dax_disk_dirent **dotdot);

/*
 * Checks that a directory holds no names but "." and "..", and that ".." is the inode `parent`.
 * Returns 0, ENOTEMPTY, EUCLEAN or EIO.
 */
int e2d_dir_empty(struct ext2dax_inode *directory, uint32_t parent);

/*
 * Returns the inode number in "..", or 0 for an unlinked directory, in *parent. Takes io shared.
 * Returns 0, EUCLEAN or EIO.
 */
int e2d_dir_parent(struct ext2dax_inode *directory, uint32_t *parent);

/* The single store which publishes or removes a dirent. */
struct e2d_dir_store {
    void *at;
    uint32_t bytes, value;
};

/* Returns the store of e2d_dir_publish(). */
struct e2d_dir_store e2d_dir_publish_store(const struct e2d_dir_slot *slot);
/*
 * Returns the store of e2d_dir_remove(), once the dirent of `slot` in the same directory is
 * published. `slot` may be NULL.
 */
struct e2d_dir_store e2d_dir_remove_store(const struct ext2dax_mount *m, const struct e2d_dirent *found,
                                          const struct e2d_dir_slot *slot);
/* Finds the preceding dirent again, after another dirent of the block was published. */
void e2d_dir_refind(const struct ext2dax_mount *m, struct e2d_dirent *found);

/* Store the inode number or the type of a dirent, unfenced. */
void e2d_dir_set_inode(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t number);
void e2d_dir_set_type(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint8_t type);

#endif
