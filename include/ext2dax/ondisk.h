/* SPDX-License-Identifier: MIT */
/*
 * The ext2 on-disk format, the structures of an image in little-endian byte order, and their
 * constants. Integers are wrapped in structs, so that an integer used without conversion does not
 * compile.
 */
#ifndef EXT2DAX_ONDISK_H
#define EXT2DAX_ONDISK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 16 bits, little-endian. */
struct ext2dax_le16 {
    uint16_t le; /* bytes as in the image */
};

/* 32 bits, little-endian. */
struct ext2dax_le32 {
    uint32_t le; /* bytes as in the image */
};

#define EXT2DAX_SUPER_OFFSET     1024u   /* bytes from the start of the image, at any block size */
#define EXT2DAX_SUPER_MAGIC      0xEF53u /* `magic` of the superblock */
#define EXT2DAX_STATE_VALID      0x1u    /* in `state`, cleanly unmounted */
#define EXT2DAX_BAD_BLOCKS_INODE 1u      /* owns the unusable blocks */
#define EXT2DAX_STATE_ERROR      0x2u    /* in `state`, a driver found an error */
#define EXT2DAX_CREATOR_HURD     1u      /* in `creator_os` */
#define EXT2DAX_ROOT_INODE       2u      /* the root directory */
#define EXT2DAX_RESIZE_INODE     7u      /* owns the blocks reserved for group descriptors */
#define EXT2DAX_FIRST_INODE_REV0 11u     /* the first inode not reserved, in revision 0 */
#define EXT2DAX_INODE_SIZE_REV0  128u    /* bytes per inode in revision 0 */
#define EXT2DAX_MAX_LOG_BLOCK    6u      /* blocks of 64 KiB */

#define EXT2DAX_HASH_HALF_MD4     1u   /* in `hash_version`, the usual hash of directory indexes */
#define EXT2DAX_SUPER_SIGNED_HASH 0x1u /* in `flags`, indexes hash the bytes of names as signed */

#define EXT2DAX_COMPAT_HAS_JOURNAL     0x4u   /* has_journal, a journal as in ext3 */
#define EXT2DAX_COMPAT_EXT_ATTR        0x8u   /* ext_attr, extended attributes */
#define EXT2DAX_COMPAT_RESIZE_INODE    0x10u  /* resize_inode, blocks reserved for descriptors */
#define EXT2DAX_COMPAT_DIR_INDEX       0x20u  /* dir_index, directories with hash trees */
#define EXT2DAX_COMPAT_SPARSE_SUPER2   0x200u /* sparse_super2, copies in at most two groups */
#define EXT2DAX_RO_COMPAT_SPARSE_SUPER 0x1u   /* sparse_super, copies in some groups only */
#define EXT2DAX_RO_COMPAT_LARGE_FILE   0x2u   /* large_file, files of 2 GiB and more */
#define EXT2DAX_RO_COMPAT_BTREE_DIR    0x4u   /* btree_dir, never used by any driver */
/* huge_file, i_blocks has 48 bits and may count filesystem blocks. */
#define EXT2DAX_RO_COMPAT_HUGE_FILE 0x8u
/* dir_nlink, a link count of 1 means the links of a directory are not counted. */
#define EXT2DAX_RO_COMPAT_DIR_NLINK   0x20u
#define EXT2DAX_RO_COMPAT_EXTRA_ISIZE 0x40u /* extra_isize, inodes use bytes after the first 128 */
#define EXT2DAX_RO_COMPAT_KNOWN       0x6Fu /* features with which this library writes */
#define EXT2DAX_INCOMPAT_FILETYPE     0x2u  /* filetype, directory entries hold the file type */
#define EXT2DAX_INCOMPAT_META_BG      0x10u /* meta_bg, descriptors lie in their own groups */
#define EXT2DAX_INCOMPAT_KNOWN        0x12u /* features with which this library reads */

/* The hashes of directory indexes were made where char is signed, or unsigned. */
#define EXT2DAX_SUPER_SIGNED_HASH   0x1u
#define EXT2DAX_SUPER_UNSIGNED_HASH 0x2u

/*
 * The superblock, 1024 bytes from the start of the image, with copies at the start of some groups.
 */
struct ext2dax_disk_super {
    struct ext2dax_le32 inodes_count;     /* inodes of the image */
    struct ext2dax_le32 blocks_count;     /* blocks of the image */
    struct ext2dax_le32 reserved_blocks;  /* blocks reserved for the superuser */
    struct ext2dax_le32 free_blocks;      /* free blocks, reserved blocks included */
    struct ext2dax_le32 free_inodes;      /* free inodes of the image */
    struct ext2dax_le32 first_data_block; /* first block of group 0, 1 with 1 KiB blocks, else 0 */
    struct ext2dax_le32 log_block_size;   /* block size = 1024 << log_block_size */
    struct ext2dax_le32 log_frag_size;    /* same as log_block_size */
    struct ext2dax_le32 blocks_per_group; /* fewer in the last group */
    struct ext2dax_le32 frags_per_group;  /* same as blocks_per_group */
    struct ext2dax_le32 inodes_per_group; /* in every group */
    struct ext2dax_le32 mount_time;       /* last mount, seconds since 1970 */
    struct ext2dax_le32 write_time;       /* last write, seconds since 1970 */
    struct ext2dax_le16 mount_count;      /* mounts since the last check */
    struct ext2dax_le16 max_mount_count;  /* mounts after which a check is due */
    struct ext2dax_le16 magic;            /* EXT2DAX_SUPER_MAGIC */
    struct ext2dax_le16 state;            /* EXT2DAX_STATE_… */
    struct ext2dax_le16 errors;           /* action after an error, 1 … 3 as enum ext2dax_errors */
    struct ext2dax_le16 minor_revision;   /* of the format */
    struct ext2dax_le32 last_check;       /* seconds since 1970 */
    struct ext2dax_le32 check_interval;   /* seconds after which a check is due */
    struct ext2dax_le32 creator_os;       /* decides the meaning of some fields, 0 is Linux */
    struct ext2dax_le32 revision;         /* 0, or 1 with the fields of revision 1 below */
    struct ext2dax_le16 reserved_uid;     /* user that may use reserved blocks */
    struct ext2dax_le16 reserved_gid;     /* group that may use reserved blocks */

    /* fields of revision 1 */

    struct ext2dax_le32 first_inode;           /* first inode not reserved */
    struct ext2dax_le16 inode_size;            /* bytes */
    struct ext2dax_le16 this_group;            /* group that holds this copy */
    struct ext2dax_le32 compat;                /* EXT2DAX_COMPAT_…, may be unknown */
    struct ext2dax_le32 incompat;              /* EXT2DAX_INCOMPAT_…, must be known to read */
    struct ext2dax_le32 ro_compat;             /* EXT2DAX_RO_COMPAT_…, must be known to write */
    uint8_t uuid[16];                          /* identifies the filesystem */
    uint8_t volume_name[16];                   /* the label, not necessarily terminated */
    uint8_t last_mounted[64];                  /* last mount point, for information */
    struct ext2dax_le32 algorithm_bitmap;      /* not used */
    uint8_t prealloc_blocks;                   /* preallocation hint for files */
    uint8_t prealloc_dir_blocks;               /* preallocation hint for directories */
    struct ext2dax_le16 reserved_gdt_blocks;   /* blocks reserved after each descriptor table */
    uint8_t journal_uuid[16];                  /* UUID of an external journal */
    struct ext2dax_le32 journal_inode;         /* inode of the journal */
    struct ext2dax_le32 journal_device;        /* device of an external journal */
    struct ext2dax_le32 last_orphan;           /* head of the list of unlinked inodes, 0 if none */
    struct ext2dax_le32 hash_seed[4];          /* of directory indexes */
    uint8_t hash_version;                      /* of directory indexes */
    uint8_t journal_backup_type;               /* whether the journal inode is copied below */
    struct ext2dax_le16 descriptor_size;       /* bytes of a group descriptor, 0 means 32 */
    struct ext2dax_le32 default_mount_options; /* for information */
    /* With meta_bg, the first descriptor block inside its own meta group. */
    struct ext2dax_le32 first_meta_bg;
    struct ext2dax_le32 mkfs_time; /* seconds since 1970 */
    uint8_t rest[80];              /* not used by this library, preserved */
    /* With extra_isize, the bytes after the first 128 used by every inode. */
    struct ext2dax_le16 min_extra_isize;
    /* With extra_isize, the bytes after the first 128 that new inodes shall use. */
    struct ext2dax_le16 want_extra_isize;
    struct ext2dax_le32 flags; /* EXT2DAX_SUPER_… */
    uint8_t rest_middle[48];   /* not used by this library, preserved */
    /* The record of errors. All zero without an error, and after e2fsck has checked the image. */
    struct ext2dax_le32 error_count;          /* errors since the last check */
    struct ext2dax_le32 first_error_time;     /* seconds since 1970 */
    struct ext2dax_le32 first_error_inode;    /* number, or 0 */
    struct ext2dax_le32 first_error_block[2]; /* number, low and high word, or 0 */
    uint8_t first_error_function[32];         /* text, not necessarily terminated */
    struct ext2dax_le32 first_error_line;     /* of the source, 0 from this library */
    struct ext2dax_le32 last_error_time;      /* as first_error_time */
    struct ext2dax_le32 last_error_inode;     /* as first_error_inode */
    struct ext2dax_le32 last_error_line;      /* as first_error_line */
    struct ext2dax_le32 last_error_block[2];  /* as first_error_block */
    uint8_t last_error_function[32];          /* as first_error_function */
    uint8_t rest_late[76];                    /* not used by this library, preserved */
    /* With sparse_super2, the groups with a copy, besides the first group. 0 if none. */
    struct ext2dax_le32 backup_groups[2];
    uint8_t rest_end[300]; /* not used by this library, preserved */
    /*
     * The stores of a rename in progress, completed by recovery of this library. All zero at any
     * other time. No other driver uses these bytes.
     */
    struct ext2dax_le32 redo[22];
    uint8_t rest_last[40]; /* not used by this library, preserved */
};

/* A group descriptor. */
struct ext2dax_disk_group {
    struct ext2dax_le32 block_bitmap; /* block of the block bitmap */
    struct ext2dax_le32 inode_bitmap; /* block of the inode bitmap */
    struct ext2dax_le32 inode_table;  /* first block of the inode table */
    struct ext2dax_le16 free_blocks;  /* free blocks of the group */
    struct ext2dax_le16 free_inodes;  /* free inodes of the group */
    struct ext2dax_le16 used_dirs;    /* directories in the group */
    uint8_t preserved[14];            /* not used by this library, preserved */
};

#define EXT2DAX_DIRECT 12u /* direct pointers in the inode */
#define EXT2DAX_IND    12u /* slot of the single indirect pointer */
#define EXT2DAX_DIND   13u /* slot of the double indirect pointer */
#define EXT2DAX_TIND   14u /* slot of the triple indirect pointer */
#define EXT2DAX_SLOTS  15u /* pointers in the inode */

#define EXT2DAX_FL_SYNC      0x8u     /* a write of the file ends with fsync of the range */
#define EXT2DAX_FL_IMMUTABLE 0x10u    /* the file must not change */
#define EXT2DAX_FL_APPEND    0x20u    /* the file may only grow */
#define EXT2DAX_FL_NODUMP    0x40u    /* backups leave the file out */
#define EXT2DAX_FL_NOATIME   0x80u    /* reading does not change atime */
#define EXT2DAX_FL_INDEX     0x1000u  /* the directory has a hash-tree index */
#define EXT2DAX_FL_HUGE_FILE 0x40000u /* with huge_file, i_blocks counts filesystem blocks */
/* The flags that ext2dax_setattr() changes. */
#define EXT2DAX_FL_SETTABLE                                                                                            \
    (EXT2DAX_FL_SYNC | EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND | EXT2DAX_FL_NODUMP | EXT2DAX_FL_NOATIME)

#define EXT2DAX_S_IFMT   0xF000u /* the type bits of a mode */
#define EXT2DAX_S_IFIFO  0x1000u /* a pipe */
#define EXT2DAX_S_IFCHR  0x2000u /* a character device */
#define EXT2DAX_S_IFDIR  0x4000u /* a directory */
#define EXT2DAX_S_IFBLK  0x6000u /* a block device */
#define EXT2DAX_S_IFREG  0x8000u /* a regular file */
#define EXT2DAX_S_IFLNK  0xA000u /* a symbolic link */
#define EXT2DAX_S_IFSOCK 0xC000u /* a socket */

/* An inode, or the first 128 bytes of a larger inode. */
struct ext2dax_disk_inode {
    struct ext2dax_le16 mode;  /* type and permissions */
    struct ext2dax_le16 uid;   /* owner, low half */
    struct ext2dax_le32 size;  /* low word. The high word is dir_acl, for regular files only */
    struct ext2dax_le32 atime; /* last access, seconds since 1970 */
    struct ext2dax_le32 ctime; /* last change of the inode */
    struct ext2dax_le32 mtime; /* last change of data */
    struct ext2dax_le32 dtime; /* deletion. On an orphan list, the next inode */
    struct ext2dax_le16 gid;   /* group, low half */
    struct ext2dax_le16 links; /* names, 0 if free, or unlinked and held */
    /* i_blocks in 512-byte units, indirect blocks and the xattr block included. */
    struct ext2dax_le32 sectors;
    struct ext2dax_le32 flags; /* EXT2DAX_FL_… */
    /* In an image made by Hurd, the block of the translator. Otherwise preserved. */
    struct ext2dax_le32 os1;
    struct ext2dax_le32 block[EXT2DAX_SLOTS]; /* pointers, or the target of a short symbolic link */
    struct ext2dax_le32 generation;           /* distinguishes files that reuse the inode number */
    struct ext2dax_le32 file_acl;             /* the xattr block */
    struct ext2dax_le32 dir_acl;              /* size, high word, of a regular file */
    struct ext2dax_le32 fragment;             /* not used */
    uint8_t frag_number;                      /* bits 32 … 39 of i_blocks with huge_file */
    uint8_t frag_size;                        /* bits 40 … 47 of i_blocks with huge_file */
    uint8_t pad[2];                           /* not used */
    struct ext2dax_le16 uid_high;             /* owner, high half */
    struct ext2dax_le16 gid_high;             /* group, high half */
    struct ext2dax_le32 os2;                  /* not used by this library, preserved */
};

/*
 * The part of a larger inode after the first 128 bytes. An inode has the fields that end within
 * extra_isize bytes of the part. Extended attributes may follow.
 *
 * The extra word of a time counts multiples of 2^32 seconds to add in the low 2 bits, and
 * nanoseconds in the other bits.
 */
struct ext2dax_disk_inode_tail {
    struct ext2dax_le16 extra_isize;   /* bytes used, this field included */
    struct ext2dax_le16 checksum_high; /* not used by this library, preserved */
    struct ext2dax_le32 ctime_extra;   /* extra word of ctime */
    struct ext2dax_le32 mtime_extra;   /* extra word of mtime */
    struct ext2dax_le32 atime_extra;   /* extra word of atime */
    struct ext2dax_le32 created;       /* creation, seconds since 1970 */
    struct ext2dax_le32 created_extra; /* extra word of `created` */
    struct ext2dax_le32 version_high;  /* not used by this library, preserved */
    struct ext2dax_le32 project;       /* not used by this library, preserved */
};

#define EXT2DAX_NAME_MAX      255u   /* bytes of a name */
#define EXT2DAX_LINKS_MAX     32000u /* links of an inode, of a directory without dir_nlink */
#define EXT2DAX_DIRENT_HEADER 8u     /* bytes of a dirent before the name */

/*
 * A directory entry (dirent). The header is followed by the name and by padding up to `length`.
 */
struct ext2dax_disk_dirent {
    struct ext2dax_le32 inode; /* 0 in an unused dirent */
    /* Bytes of the whole dirent, a multiple of 4. With 64 KiB blocks 65535 means 65536. */
    struct ext2dax_le16 length;
    uint8_t name_length; /* bytes */
    /* EXT2DAX_FT_… with the filetype feature, else the high byte of the name length. */
    uint8_t type;
    /* the name follows, not terminated */
};

#define EXT2DAX_FT_UNKNOWN 0u /* type not recorded */
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
