/* SPDX-License-Identifier: MIT */
/*
 * What a whole image says of itself, read once: who owns each block, how often each inode is named, and from that what a
 * crash has left to mend. Only reads. Anything that no crash of ours leaves is EUCLEAN, reported with what it is.
 *
 * Memory: one bit a block, six bytes and three bits an inode, 32 bytes at most for an inode with extended attributes.
 */
#ifndef E2D_SURVEY_H
#define E2D_SURVEY_H

#include "incore.h"

/* What there is to mend, counted. */
struct e2d_mending {
    uint64_t blocks;     /* marked used, nobody's */
    uint64_t inodes;     /* marked used, without links */
    uint64_t unnamed;    /* empty files without a name */
    uint64_t entries;    /* that name inodes without links */
    uint64_t types;      /* entries without a type */
    uint64_t links;      /* wrong link counts */
    uint64_t sectors;    /* wrong i_blocks */
    uint64_t sizes;      /* directories whose last block never came */
    uint64_t indexes;    /* indexed directories that lose an entry, and with it the index */
    uint64_t times;      /* deleted inodes without a time of deletion */
    uint64_t references; /* xattr blocks that count more inodes than have them */
    uint64_t counts;     /* wrong free and directory counts, of groups and the superblock */
};

struct e2d_survey_xattr {
    uint32_t block; /* 0: a free slot */
    uint32_t references;
};

struct e2d_survey {
    struct ext2dax_mount *m;
    void *memory;
    size_t bytes;

    /* Arrays indexed by inode number, and bitmaps by inode or block number. */
    uint32_t *parent;               /* of a directory: the one with its entry */
    struct e2d_survey_xattr *xattr; /* open addressing */
    uint32_t xattr_mask;
    uint16_t *names;  /* entries, "." and ".." included */
    uint8_t *owned;   /* a block: by an inode, or metadata */
    uint8_t *named;   /* a directory: by one that is not itself or below it */
    uint8_t *reached; /* a directory: its ancestors lead to the root */
    uint8_t *differs; /* an inode: i_blocks, a directory's size or one of its entries is to be mended */

    struct e2d_mending found;
    uint64_t free_blocks, free_inodes; /* as they shall be */

    /* The inode that is looked at. */
    struct ext2dax_inode inode;
    bool claims;      /* its blocks are entered as owned and its entries as names: the first time */
    uint64_t end;     /* blocks that its size covers */
    uint64_t next;    /* of a directory: the block that must come next */
    uint64_t blocks;  /* met so far, pointer blocks included */
    uint64_t dead;    /* of a directory: entries that name inodes without links */
    uint64_t renamed; /* entries without a type */
    int (*each_block)(struct e2d_survey *s, unsigned char *block); /* of a directory, checked; NULL: none */
};

/* What one group shall count. */
struct e2d_group_counts {
    uint32_t free_blocks, free_inodes, directories;
};

/* ENOMEM: nothing is held. Whatever else goes wrong later, e2d_survey_close() is due. */
int e2d_survey_open(struct e2d_survey *s, struct ext2dax_mount *m);
void e2d_survey_close(struct e2d_survey *s);

/* First for every group: its metadata, inodes, their trees and entries. EUCLEAN, EIO. */
int e2d_survey_look(struct e2d_survey *s, uint32_t group);

/* Then, for every group: what follows for its inodes, bitmaps and counters. EUCLEAN, EIO. */
int e2d_survey_judge(struct e2d_survey *s, uint32_t group);

/* And last: shared blocks of attributes, and the superblock's counters. EUCLEAN. */
int e2d_survey_finish(struct e2d_survey *s);

/*
 * Once more over an inode with its `differs` bit, which fills blocks, next, dead and renamed, and calls each_block. EIO.
 */
int e2d_survey_again(struct e2d_survey *s, uint32_t number,
                     int (*each_block)(struct e2d_survey *s, unsigned char *block));

/* A file in use once all is mended: one of the reserved, or with links and with a name. */
bool e2d_survey_stays(const struct e2d_survey *s, uint32_t number, const struct ext2dax_disk_inode *disk);

/* i_blocks of the inode that was just looked at. */
uint64_t e2d_survey_sectors(const struct e2d_survey *s);

/* Calls `each` for every run of bits of a group that are set for blocks nobody owns. */
void e2d_survey_leaks(struct e2d_survey *s, uint32_t group,
                      void (*each)(struct e2d_survey *s, uint32_t group, uint32_t bit, uint32_t count, void *arg),
                      void *arg);

/* ---- survey_dir.c ---- */

/* The EXT2DAX_FT_… that an entry for the inode shall have. */
uint8_t e2d_survey_type(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk);

/* One block of the directory that is looked at, its entries checked and counted. EUCLEAN. */
int e2d_survey_entries(struct e2d_survey *s, uint64_t logical, unsigned char *block);
/* Whether a directory, all entries counted, has its one place below the root. EUCLEAN. */
int e2d_survey_place(struct e2d_survey *s, uint32_t number);

/* Reports what no crash explains; -EUCLEAN. */
int e2d_survey_damage(const struct e2d_survey *s, uint32_t number, const char *field, uint64_t value,
                      const char *reason);

#endif
