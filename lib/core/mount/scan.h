/* SPDX-License-Identifier: MIT */
/*
 * Scan of a whole image. Reads all metadata once, and finds the owner of each block, the number of
 * names of each inode, and from both the repairs needed after a crash. Only reads. A state that no
 * crash of this library leaves is EUCLEAN, reported with its kind.
 *
 * Memory is 1 bit per block, 6 bytes and 3 bits per inode, and at most 32 bytes per inode with
 * extended attributes.
 */
#ifndef E2D_MOUNT_SCAN_H
#define E2D_MOUNT_SCAN_H

#include "base/internal.h"

/* Number of repairs, by kind. */
struct e2d_repairs {
    uint64_t blocks;     /* marked used, without an owner */
    uint64_t inodes;     /* marked used, without links */
    uint64_t unnamed;    /* empty files without a name */
    uint64_t entries;    /* dirents of inodes without links */
    uint64_t types;      /* dirents without a file type */
    uint64_t links;      /* wrong link counts */
    uint64_t sectors;    /* wrong i_blocks */
    uint64_t sizes;      /* directories without the last block their size covers */
    uint64_t ends;       /* files with a block at the end of file, or pointer blocks for none */
    uint64_t indexes;    /* indexed directories that lose a dirent, and so the index */
    uint64_t times;      /* deleted inodes without a time of deletion */
    uint64_t references; /* xattr blocks with a reference count above the number of inodes */
    uint64_t renames;    /* interrupted renames */
    uint64_t counts;     /* wrong free and directory counts, of groups and the superblock */
};

/* Counts of a group. */
struct e2d_group_counts {
    uint32_t free_blocks, free_inodes, directories;
};

struct e2d_scan_xattr {
    uint32_t block; /* 0 for a free slot */
    uint32_t references;
};

struct e2d_scan {
    struct ext2dax_mount *m;

    /*
     * Arrays indexed by inode number, and bitmaps indexed by inode or block number. Elements for
     * the inodes after the filled inodes of a group are never used.
     */
    uint32_t *parent; /* of a directory, the directory with its dirent */
    /* hash table with open addressing, and the end of the table */
    struct e2d_scan_xattr *xattr, *xattr_end;
    uint32_t xattr_mask;
    uint16_t *names; /* number of dirents, "." and ".." included */
    /* per group, inodes at the start of the table, after which all is zeros and is not read */
    uint32_t *filled;
    uint8_t *owned; /* block owned by an inode, or metadata */
    /* directory with a dirent other than its own "." and the ".." of its subdirectories */
    uint8_t *named;
    uint8_t *reached; /* directory with a known path of ancestors to the root */
    uint8_t *differs; /* inode with i_blocks, end, directory size or a dirent to be repaired */

    /* Of the inode being scanned, below. */
    /* scanned for the first time, with blocks entered as owned and dirents as names */
    bool claims;
    uint64_t end;     /* blocks covered by the size */
    uint64_t next;    /* of a directory, the block that must follow */
    uint64_t blocks;  /* blocks so far, pointer blocks included */
    uint64_t slack;   /* of a file, tolerated blocks past its end */
    uint64_t dead;    /* of a directory, dirents of inodes without links */
    uint64_t renamed; /* dirents without a file type */
    /* called for each checked block of a directory, or NULL */
    int (*each_block)(struct e2d_scan *s, unsigned char *block);

    /* Of the group being scanned. */
    uint8_t *marks;                 /* the inode bitmap */
    struct e2d_group_counts counts; /* correct once each inode and block is counted */
    uint32_t dtime;                 /* which recovery stores where a time of deletion is missing */

    struct ext2dax_inode inode; /* being scanned */
    struct e2d_repairs found;
    uint64_t free_blocks, free_inodes; /* after the repair */
    void *memory;
    size_t bytes;
};

/*
 * Opens a scan, all zeros but for `m`, and checks that every inode table can be read. Holds nothing
 * after a failure. After success e2d_scan_close() is always due.
 *
 * Returns 0 or a negative errno
 *   ENOMEM  the host has no memory
 *   EIO     an inode table cannot be read
 *   EINTR   the host asked to stop
 */
int e2d_scan_open(struct e2d_scan *s);
void e2d_scan_close(struct e2d_scan *s);

/* Pass 1, for every group. Scans metadata, inodes, trees and dirents. Returns 0, EUCLEAN or EIO. */
int e2d_scan_pass1(struct e2d_scan *s, uint32_t group);

/*
 * Then, if any file has blocks at or past its end, for every group. Removes the ownership of blocks
 * past the ends. Returns 0, EUCLEAN or EIO.
 */
int e2d_scan_ends(struct e2d_scan *s, uint32_t group);

/*
 * Pass 2, for every group. Derives the repairs of inodes, bitmaps and counters. Returns 0 or
 * EUCLEAN.
 */
int e2d_scan_pass2(struct e2d_scan *s, uint32_t group);

/* Last step. Checks shared xattr blocks and the superblock's counters. Returns 0 or EUCLEAN. */
int e2d_scan_finish(struct e2d_scan *s);

/*
 * Scans an inode with a `differs` bit again, fills blocks, next, dead and renamed, and calls
 * each_block. Returns 0 or EIO, because pass 1 has validated the rest.
 */
int e2d_scan_again(struct e2d_scan *s, uint32_t number, int (*each_block)(struct e2d_scan *s, unsigned char *block));

/*
 * Removes everything past the end from the tree of an inode with a `differs` bit, as stores of the
 * caller's epoch. Returns 0, EUCLEAN or EIO.
 */
int e2d_scan_remove_end(struct e2d_scan *s, uint32_t number);

/*
 * Is the inode in use after the repair? True for a reserved inode, and for an inode with links and
 * a name. Such an inode is entered in `counts`.
 */
bool e2d_scan_stays(struct e2d_scan *s, uint32_t number, const struct ext2dax_disk_inode *disk);

/*
 * Returns the correct link count of an inode in use, once all names are counted. This is the number
 * of names, or 1 for a directory with uncounted links.
 */
uint32_t e2d_scan_links(const struct e2d_scan *s, uint32_t number, const struct ext2dax_disk_inode *disk);

/* Returns i_blocks, in sectors, of the inode scanned last. */
uint64_t e2d_scan_sectors(const struct e2d_scan *s);

/* Calls `each` for every run of bits of a group that are set for blocks without an owner. */
void e2d_scan_leaks(struct e2d_scan *s, uint32_t group,
                    void (*each)(struct e2d_scan *s, uint32_t group, uint32_t bit, uint32_t count));

/* Begins `counts` of a group without any inode in use. */
void e2d_scan_begin_counts(struct e2d_scan *s);

/* ---- scan_ahead.c ---- */

/* The groups being fetched. Begins as zeros. */
struct e2d_scan_ahead {
    uint64_t bytes; /* of the groups from the group being scanned on */
    uint32_t groups;
};

/*
 * Determines `filled` of the group, and perhaps of later groups, and asks the memory plug to fetch
 * their bitmaps and tables. Called for each group in turn.
 */
void e2d_scan_ahead(struct e2d_scan *s, uint32_t group, struct e2d_scan_ahead *ahead);

/* Called for an inode, with bit `bit` in the bitmap `marks`. Returns 0 or a negative errno. */
typedef int (*e2d_scan_inode)(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit);

/* Calls `each` for the filled inodes of a group. Returns the first error, or 0. */
int e2d_scan_each(struct e2d_scan *s, uint32_t group, e2d_scan_inode each);

/* Returns the blocks of a group's inode table up to the last filled inode. */
static inline uint32_t e2d_scan_filled_blocks(const struct e2d_scan *s, uint32_t group)
{
    uint64_t bytes = (uint64_t)s->filled[group] * s->m->inode_size;

    return (uint32_t)((bytes + s->m->block_size - 1) >> s->m->block_shift);
}

/* ---- scan_dir.c ---- */

/*
 * Checks and counts the dirents of a block of the directory being scanned. Returns 0, EUCLEAN or
 * EIO.
 */
int e2d_scan_dirents(struct e2d_scan *s, uint64_t logical, unsigned char *block);
/*
 * Checks that a directory, once all dirents are counted, has a single place below the root. Returns
 * 0 or EUCLEAN.
 */
int e2d_scan_place(struct e2d_scan *s, uint32_t number);

/* Reports damage not explained by a crash. Returns -EUCLEAN. */
int e2d_scan_damage(const struct e2d_scan *s, uint32_t number, const char *field,
                    uint64_t value E2D_REASON(const char *reason));
#ifdef E2D_NO_REPORTS
#define e2d_scan_damage(s, number, field, value, reason)                                                               \
    E2D_WITHOUT_REASON(reason, e2d_scan_damage((s), (number), (field), (value)))
#endif

#endif
