/* SPDX-License-Identifier: MIT */
/*
 * The ext2 on-disk format: the structures as they lie in an image, little-endian, and the numbers in them.
 * Integers are wrapped in structs, so that using one without converting it does not compile.
 */
#ifndef EXT2DAX_ONDISK_H
#define EXT2DAX_ONDISK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 16 bits, the lowest first. */
struct ext2dax_le16 {
    uint16_t le; /* as it lies in the image */
};

/* 32 bits, the lowest first. */
struct ext2dax_le32 {
    uint32_t le; /* as it lies in the image */
};

#define EXT2DAX_SUPER_OFFSET     1024u   /* bytes from the start of the image, whatever the block size */
#define EXT2DAX_SUPER_MAGIC      0xEF53u /* what the superblock has in `magic` */
#define EXT2DAX_STATE_VALID      0x1u    /* in `state`: cleanly unmounted */
#define EXT2DAX_BAD_BLOCKS_INODE 1u      /* owns the blocks that cannot be used */
#define EXT2DAX_STATE_ERROR      0x2u    /* in `state`: something was found to be wrong */
#define EXT2DAX_ROOT_INODE       2u      /* the root directory */
#define EXT2DAX_RESIZE_INODE     7u      /* owns the blocks reserved for descriptors */
#define EXT2DAX_FIRST_INODE_REV0 11u     /* the first that is not reserved, in revision 0 */
#define EXT2DAX_INODE_SIZE_REV0  128u    /* bytes of an inode in revision 0 */
#define EXT2DAX_MAX_LOG_BLOCK    6u      /* 64 KiB */

#define EXT2DAX_COMPAT_HAS_JOURNAL     0x4u  /* a journal, as ext3 has */
#define EXT2DAX_COMPAT_EXT_ATTR        0x8u  /* extended attributes */
#define EXT2DAX_COMPAT_RESIZE_INODE    0x10u /* blocks reserved for descriptors */
#define EXT2DAX_COMPAT_DIR_INDEX       0x20u /* directories with hash trees */
#define EXT2DAX_RO_COMPAT_SPARSE_SUPER 0x1u  /* superblock copies in some groups only */
#define EXT2DAX_RO_COMPAT_LARGE_FILE   0x2u  /* files of 2 GiB and more */
#define EXT2DAX_RO_COMPAT_BTREE_DIR    0x4u  /* never used */
#define EXT2DAX_RO_COMPAT_KNOWN        0x7u  /* those this library writes to */
#define EXT2DAX_INCOMPAT_FILETYPE      0x2u  /* directory entries have the file's type */
#define EXT2DAX_INCOMPAT_META_BG       0x10u /* descriptors lie in the groups they describe */
#define EXT2DAX_INCOMPAT_KNOWN         0x12u /* those this library reads */

/* The superblock, 1024 bytes from the start of the image, with copies at the start of some groups. */
struct ext2dax_disk_super {
    struct ext2dax_le32 inodes_count;     /* of the image */
    struct ext2dax_le32 blocks_count;     /* of the image */
    struct ext2dax_le32 reserved_blocks;  /* for the superuser */
    struct ext2dax_le32 free_blocks;      /* those reserved included */
    struct ext2dax_le32 free_inodes;      /* of the image */
    struct ext2dax_le32 first_data_block; /* of group 0: 1 with blocks of 1 KiB, else 0 */
    struct ext2dax_le32 log_block_size;   /* block size = 1024 << this */
    struct ext2dax_le32 log_frag_size;    /* the same as log_block_size */
    struct ext2dax_le32 blocks_per_group; /* but in the last one */
    struct ext2dax_le32 frags_per_group;  /* the same as blocks_per_group */
    struct ext2dax_le32 inodes_per_group; /* in every one */
    struct ext2dax_le32 mount_time;       /* seconds since 1970 */
    struct ext2dax_le32 write_time;       /* seconds since 1970 */
    struct ext2dax_le16 mount_count;      /* since it was last checked */
    struct ext2dax_le16 max_mount_count;  /* then it wants to be checked */
    struct ext2dax_le16 magic;            /* EXT2DAX_SUPER_MAGIC */
    struct ext2dax_le16 state;            /* EXT2DAX_STATE_… */
    struct ext2dax_le16 errors;           /* what a driver is to do that meets one */
    struct ext2dax_le16 minor_revision;   /* of the format */
    struct ext2dax_le32 last_check;       /* seconds since 1970 */
    struct ext2dax_le32 check_interval;   /* seconds, then it wants to be checked */
    struct ext2dax_le32 creator_os;       /* whose meaning some fields have; 0: Linux */
    struct ext2dax_le32 revision;         /* 0, or 1 with what follows below */
    struct ext2dax_le16 reserved_uid;     /* who may use reserved blocks */
    struct ext2dax_le16 reserved_gid;     /* likewise */

    /* from here on revision 1 */

    struct ext2dax_le32 first_inode;           /* the first that is not reserved */
    struct ext2dax_le16 inode_size;            /* bytes */
    struct ext2dax_le16 this_group;            /* whose copy this is */
    struct ext2dax_le32 compat;                /* EXT2DAX_COMPAT_…: features that need not be known */
    struct ext2dax_le32 incompat;              /* EXT2DAX_INCOMPAT_…: … must be, to read */
    struct ext2dax_le32 ro_compat;             /* EXT2DAX_RO_COMPAT_…: … must be, to write */
    uint8_t uuid[16];                          /* the name nobody else has */
    uint8_t volume_name[16];                   /* the label, not necessarily terminated */
    uint8_t last_mounted[64];                  /* where, for information */
    struct ext2dax_le32 algorithm_bitmap;      /* not used */
    uint8_t prealloc_blocks;                   /* a hint for files */
    uint8_t prealloc_dir_blocks;               /* a hint for directories */
    struct ext2dax_le16 reserved_gdt_blocks;   /* with resize_inode: blocks behind each descriptor table */
    uint8_t journal_uuid[16];                  /* of the journal, if it is elsewhere */
    struct ext2dax_le32 journal_inode;         /* of the journal */
    struct ext2dax_le32 journal_device;        /* of the journal, if it is elsewhere */
    struct ext2dax_le32 last_orphan;           /* the first of a list of unlinked inodes; 0: none */
    struct ext2dax_le32 hash_seed[4];          /* of directory indexes */
    uint8_t hash_version;                      /* of directory indexes */
    uint8_t journal_backup_type;               /* whether the journal's inode is copied below */
    struct ext2dax_le16 descriptor_size;       /* of a group; 0: 32 bytes */
    struct ext2dax_le32 default_mount_options; /* for information */
    struct ext2dax_le32 first_meta_bg; /* with meta_bg: the first descriptor block that lies in its own meta group */
    struct ext2dax_le32 mkfs_time;     /* seconds since 1970 */
    uint8_t rest[756];                 /* not this library's: kept as it is */
};

/* A group's descriptor. */
struct ext2dax_disk_group {
    struct ext2dax_le32 block_bitmap; /* the block it lies in */
    struct ext2dax_le32 inode_bitmap; /* the block it lies in */
    struct ext2dax_le32 inode_table;  /* the first block of it */
    struct ext2dax_le16 free_blocks;  /* of the group */
    struct ext2dax_le16 free_inodes;  /* of the group */
    struct ext2dax_le16 used_dirs;    /* directories in it */
    uint8_t preserved[14];            /* not this library's: kept as it is */
};

#define EXT2DAX_DIRECT 12u /* pointers in the inode that lead to data */
#define EXT2DAX_IND    12u /* slot of the single indirect pointer */
#define EXT2DAX_DIND   13u /* of the double */
#define EXT2DAX_TIND   14u /* of the triple */
#define EXT2DAX_SLOTS  15u /* pointers in the inode */

#define EXT2DAX_FL_SYNC      0x8u    /* every write is durable when it returns */
#define EXT2DAX_FL_IMMUTABLE 0x10u   /* nothing of it may change */
#define EXT2DAX_FL_APPEND    0x20u   /* it may only grow */
#define EXT2DAX_FL_INDEX     0x1000u /* the directory has a hash-tree index */

#define EXT2DAX_S_IFMT   0xF000u /* the bits of a mode that say the type */
#define EXT2DAX_S_IFIFO  0x1000u /* a pipe */
#define EXT2DAX_S_IFCHR  0x2000u /* a character device */
#define EXT2DAX_S_IFDIR  0x4000u /* a directory */
#define EXT2DAX_S_IFBLK  0x6000u /* a block device */
#define EXT2DAX_S_IFREG  0x8000u /* a regular file */
#define EXT2DAX_S_IFLNK  0xA000u /* a symbolic link */
#define EXT2DAX_S_IFSOCK 0xC000u /* a socket */

/* An inode, or the first 128 bytes of a larger one. */
struct ext2dax_disk_inode {
    struct ext2dax_le16 mode;    /* type and permissions */
    struct ext2dax_le16 uid;     /* owner, low half */
    struct ext2dax_le32 size;    /* low word; the high one is dir_acl, for regular files only */
    struct ext2dax_le32 atime;   /* last access: seconds since 1970 */
    struct ext2dax_le32 ctime;   /* last change of the inode */
    struct ext2dax_le32 mtime;   /* last change of data */
    struct ext2dax_le32 dtime;   /* deletion; on an orphan list, the next inode */
    struct ext2dax_le16 gid;     /* group, low half */
    struct ext2dax_le16 links;   /* names; 0: free, or unlinked and held */
    struct ext2dax_le32 sectors; /* i_blocks: 512-byte units, indirect blocks and the xattr block included */
    struct ext2dax_le32 flags;   /* EXT2DAX_FL_… */
    struct ext2dax_le32 os1;     /* not this library's */
    struct ext2dax_le32 block[EXT2DAX_SLOTS]; /* pointers; the target of a short symbolic link */
    struct ext2dax_le32 generation;           /* which file of this number it is */
    struct ext2dax_le32 file_acl;             /* the xattr block */
    struct ext2dax_le32 dir_acl;              /* size, high word, of a regular file */
    struct ext2dax_le32 fragment;             /* not used */
    uint8_t frag_number;                      /* not used */
    uint8_t frag_size;                        /* not used */
    uint8_t pad[2];                           /* not used */
    struct ext2dax_le16 uid_high;             /* owner, high half */
    struct ext2dax_le16 gid_high;             /* group, high half */
    struct ext2dax_le32 os2;                  /* not this library's */
};

#define EXT2DAX_NAME_MAX      255u /* bytes of a name */
#define EXT2DAX_DIRENT_HEADER 8u   /* bytes of an entry before its name */

/* A directory entry: this, the name, and what is left of `length`. */
struct ext2dax_disk_dirent {
    struct ext2dax_le32 inode;  /* 0: an unused entry */
    struct ext2dax_le16 length; /* of the whole entry, a multiple of 4; with 64 KiB blocks 65535 means 65536 */
    uint8_t name_length;        /* bytes */
    uint8_t type;               /* EXT2DAX_FT_… with the filetype feature, else the name length's high byte */
    /* the name follows, not terminated */
};

#define EXT2DAX_FT_UNKNOWN 0u /* the image does not say */
#define EXT2DAX_FT_REG     1u /* a regular file */
#define EXT2DAX_FT_DIR     2u /* a directory */
#define EXT2DAX_FT_CHR     3u /* a character device */
#define EXT2DAX_FT_BLK     4u /* a block device */
#define EXT2DAX_FT_FIFO    5u /* a pipe */
#define EXT2DAX_FT_SOCK    6u /* a socket */
#define EXT2DAX_FT_LNK     7u /* a symbolic link */

#ifdef __cplusplus
}
#endif
#endif
