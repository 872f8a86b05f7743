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

struct ext2dax_le16 {
    uint16_t le;
};
struct ext2dax_le32 {
    uint32_t le;
};

#define EXT2DAX_SUPER_OFFSET     1024u /* bytes from the start of the image, whatever the block size */
#define EXT2DAX_SUPER_MAGIC      0xEF53u
#define EXT2DAX_STATE_VALID      0x1u
#define EXT2DAX_BAD_BLOCKS_INODE 1u
#define EXT2DAX_STATE_ERROR      0x2u
#define EXT2DAX_ROOT_INODE       2u
#define EXT2DAX_RESIZE_INODE     7u
#define EXT2DAX_FIRST_INODE_REV0 11u
#define EXT2DAX_INODE_SIZE_REV0  128u
#define EXT2DAX_MAX_LOG_BLOCK    6u /* 64 KiB */

#define EXT2DAX_COMPAT_HAS_JOURNAL     0x4u
#define EXT2DAX_COMPAT_EXT_ATTR        0x8u
#define EXT2DAX_COMPAT_RESIZE_INODE    0x10u
#define EXT2DAX_COMPAT_DIR_INDEX       0x20u
#define EXT2DAX_RO_COMPAT_SPARSE_SUPER 0x1u
#define EXT2DAX_RO_COMPAT_LARGE_FILE   0x2u
#define EXT2DAX_RO_COMPAT_BTREE_DIR    0x4u
#define EXT2DAX_RO_COMPAT_KNOWN        0x7u
#define EXT2DAX_INCOMPAT_FILETYPE      0x2u
#define EXT2DAX_INCOMPAT_META_BG       0x10u
#define EXT2DAX_INCOMPAT_KNOWN         0x12u

struct ext2dax_disk_super {
    struct ext2dax_le32 inodes_count;
    struct ext2dax_le32 blocks_count;
    struct ext2dax_le32 reserved_blocks;
    struct ext2dax_le32 free_blocks;
    struct ext2dax_le32 free_inodes;
    struct ext2dax_le32 first_data_block;
    struct ext2dax_le32 log_block_size; /* block size = 1024 << this */
    struct ext2dax_le32 log_frag_size;
    struct ext2dax_le32 blocks_per_group;
    struct ext2dax_le32 frags_per_group;
    struct ext2dax_le32 inodes_per_group;
    struct ext2dax_le32 mount_time;
    struct ext2dax_le32 write_time;
    struct ext2dax_le16 mount_count;
    struct ext2dax_le16 max_mount_count;
    struct ext2dax_le16 magic;
    struct ext2dax_le16 state;
    struct ext2dax_le16 errors;
    struct ext2dax_le16 minor_revision;
    struct ext2dax_le32 last_check;
    struct ext2dax_le32 check_interval;
    struct ext2dax_le32 creator_os;
    struct ext2dax_le32 revision;
    struct ext2dax_le16 reserved_uid;
    struct ext2dax_le16 reserved_gid;
    /* from here on revision 1 */
    struct ext2dax_le32 first_inode;
    struct ext2dax_le16 inode_size;
    struct ext2dax_le16 this_group;
    struct ext2dax_le32 compat;
    struct ext2dax_le32 incompat;
    struct ext2dax_le32 ro_compat;
    uint8_t uuid[16];
    uint8_t volume_name[16];
    uint8_t last_mounted[64];
    struct ext2dax_le32 algorithm_bitmap;
    uint8_t prealloc_blocks;
    uint8_t prealloc_dir_blocks;
    struct ext2dax_le16 reserved_gdt_blocks; /* with resize_inode: blocks behind each descriptor table */
    uint8_t journal_uuid[16];
    struct ext2dax_le32 journal_inode;
    struct ext2dax_le32 journal_device;
    struct ext2dax_le32 last_orphan;
    struct ext2dax_le32 hash_seed[4];
    uint8_t hash_version;
    uint8_t journal_backup_type;
    struct ext2dax_le16 descriptor_size;
    struct ext2dax_le32 default_mount_options;
    struct ext2dax_le32 first_meta_bg; /* with meta_bg: the first descriptor block that lies in its own meta group */
    struct ext2dax_le32 mkfs_time;
    uint8_t rest[756];
};

struct ext2dax_disk_group {
    struct ext2dax_le32 block_bitmap;
    struct ext2dax_le32 inode_bitmap;
    struct ext2dax_le32 inode_table;
    struct ext2dax_le16 free_blocks;
    struct ext2dax_le16 free_inodes;
    struct ext2dax_le16 used_dirs;
    uint8_t preserved[14];
};

#define EXT2DAX_DIRECT 12u
#define EXT2DAX_IND    12u /* slot of the single indirect pointer */
#define EXT2DAX_DIND   13u /* of the double */
#define EXT2DAX_TIND   14u /* of the triple */
#define EXT2DAX_SLOTS  15u

#define EXT2DAX_FL_SYNC      0x8u
#define EXT2DAX_FL_IMMUTABLE 0x10u
#define EXT2DAX_FL_APPEND    0x20u
#define EXT2DAX_FL_INDEX     0x1000u /* the directory has a hash-tree index */

#define EXT2DAX_S_IFMT   0xF000u
#define EXT2DAX_S_IFIFO  0x1000u
#define EXT2DAX_S_IFCHR  0x2000u
#define EXT2DAX_S_IFDIR  0x4000u
#define EXT2DAX_S_IFBLK  0x6000u
#define EXT2DAX_S_IFREG  0x8000u
#define EXT2DAX_S_IFLNK  0xA000u
#define EXT2DAX_S_IFSOCK 0xC000u

struct ext2dax_disk_inode {
    struct ext2dax_le16 mode;
    struct ext2dax_le16 uid;
    struct ext2dax_le32 size; /* low word; the high one is dir_acl, for regular files only */
    struct ext2dax_le32 atime;
    struct ext2dax_le32 ctime;
    struct ext2dax_le32 mtime;
    struct ext2dax_le32 dtime;
    struct ext2dax_le16 gid;
    struct ext2dax_le16 links;
    struct ext2dax_le32 sectors; /* i_blocks: 512-byte units, indirect blocks and the xattr block included */
    struct ext2dax_le32 flags;
    struct ext2dax_le32 os1;
    struct ext2dax_le32 block[EXT2DAX_SLOTS];
    struct ext2dax_le32 generation;
    struct ext2dax_le32 file_acl; /* the xattr block */
    struct ext2dax_le32 dir_acl;  /* size, high word, of a regular file */
    struct ext2dax_le32 fragment;
    uint8_t frag_number;
    uint8_t frag_size;
    uint8_t pad[2];
    struct ext2dax_le16 uid_high;
    struct ext2dax_le16 gid_high;
    struct ext2dax_le32 os2;
};

#define EXT2DAX_NAME_MAX      255u
#define EXT2DAX_DIRENT_HEADER 8u

struct ext2dax_disk_dirent {
    struct ext2dax_le32 inode;  /* 0: an unused entry */
    struct ext2dax_le16 length; /* of the whole entry, a multiple of 4; with 64 KiB blocks 65535 means 65536 */
    uint8_t name_length;
    uint8_t type; /* EXT2DAX_FT_… with the filetype feature, else the name length's high byte */
    /* the name follows, not terminated */
};

#define EXT2DAX_FT_UNKNOWN 0u
#define EXT2DAX_FT_REG     1u
#define EXT2DAX_FT_DIR     2u
#define EXT2DAX_FT_CHR     3u
#define EXT2DAX_FT_BLK     4u
#define EXT2DAX_FT_FIFO    5u
#define EXT2DAX_FT_SOCK    6u
#define EXT2DAX_FT_LNK     7u

#ifdef __cplusplus
}
#endif
#endif
