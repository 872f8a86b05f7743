/* SPDX-License-Identifier: MIT */
/*
 * Expected contents of an image after a crash, updated beside the calls which change the image.
 * Holds the existing names, the file sizes, and for every block of interest each version its words
 * may come from. Reads images with its own code, from the on-disk format alone.
 */
#ifndef TESTS_CRASH_EXPECT_H
#define TESTS_CRASH_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPECT_BLOCKS   8 /* blocks of interest in a file */
#define EXPECT_VERSIONS 8
#define EXPECT_MOST     4096 /* bytes in a block */

#define EXPECT_XATTRS 3

/*
 * Fields of an inode with attributes. The times come after the other fields. A call with a fence of
 * its own makes the other fields durable, and times become durable with any later fence.
 */
enum {
    EXPECT_MODE,
    EXPECT_UID,
    EXPECT_UID_HIGH,
    EXPECT_GID,
    EXPECT_GID_HIGH,
    EXPECT_FLAGS,
    EXPECT_ATIME,
    EXPECT_CTIME,
    EXPECT_MTIME,
    EXPECT_ATIME_EXTRA,
    EXPECT_CTIME_EXTRA,
    EXPECT_MTIME_EXTRA,
    EXPECT_CREATED,
    EXPECT_CREATED_EXTRA,
    EXPECT_ATTRIBUTES
};

/*
 * A block of interest. Each word of the block equals the same word in any of the versions. The
 * program sees the last version.
 */
struct expect_block {
    unsigned versions;
    bool untouched; /* a single version, all zeroes, so the block may be a hole */
    unsigned char version[EXPECT_VERSIONS][EXPECT_MOST];
};

/* An extended attribute before and after the call. */
struct expect_xattr {
    int length_was, length; /* bytes, or -1 for none */
    bool rewritten;         /* a crash inside the call may leave no value */
    unsigned char was[EXPECT_MOST], is[EXPECT_MOST];
};

struct expect_file {
    char letter; /* the name is this letter, `name_length` times */
    uint8_t name_length;
    bool was, is; /* the file exists before the call, and after the call */
    uint64_t size_was, size;
    bool any_size;  /* any size between the two is allowed while the call runs */
    bool name_only; /* another name of a file listed above, so nothing else is checked */
    bool attributes_known;
    uint32_t attributes_was[EXPECT_ATTRIBUTES], attributes[EXPECT_ATTRIBUTES];
    struct expect_xattr xattr[EXPECT_XATTRS]; /* "user.x", then "user.y", … */
    uint64_t first;                           /* first block of interest */
    struct expect_block block[EXPECT_BLOCKS];
};

enum { FILE_A, FILE_B, FILE_C, FILE_D, FILE_S, FILE_L, FILE_M, FILE_N, FILE_X, EXPECT_FILES };

struct expect {
    uint32_t block_size;
    bool inside;  /* a call is running, so each of its changes may be present or not */
    bool xattrs;  /* inodes may hold extended attributes */
    bool indexed; /* the root had a hash tree, whose flag must be cleared before the root changes */
    struct expect_file file[EXPECT_FILES];
};

void expect_open(struct expect *expect, uint32_t block_size);
void expect_copy(struct expect *to, const struct expect *from);

/*
 * Records a store of `bytes`, or of zeroes where `bytes` is NULL. Ignores blocks outside the blocks
 * of interest.
 */
void expect_store(struct expect *expect, int file, uint64_t at, const void *bytes, uint64_t length);
/* Drops the version added by the last expect_store() of this range, for a store not done. */
void expect_undo(struct expect *expect, int file, uint64_t at, uint64_t length);
/* Records zeroes for [from, to) in every version. */
void expect_zero(struct expect *expect, int file, uint64_t from, uint64_t to);
/* Drops every version but the last, which the program sees. */
void expect_synced(struct expect *expect, int file);
/* Drops the same of the blocks which lie in the bytes [from, to), in whole or in part. */
void expect_synced_range(struct expect *expect, int file, uint64_t from, uint64_t to);
/* Records a change of an attribute. A negative length removes the attribute. */
void expect_xattr(struct expect *expect, int file, int which, const void *bytes, int length);
/* Records the return of a call, after which its changes must be present. */
void expect_returned(struct expect *expect);

/*
 * Checks the image. Returns NULL, or a static description of the error. Stores the letter of the
 * file in *file, or '/' for the root directory.
 */
const char *expect_check(const struct expect *expect, const unsigned char *image, char *file);

/* ---- images, read by the on-disk format ---- */

uint32_t image_get16(const void *at);
uint32_t image_get32(const void *at);
void image_put16(void *at, uint32_t value);
void image_put32(void *at, uint32_t value);

struct ext2dax_disk_super;
struct ext2dax_disk_inode;
struct ext2dax_disk_dirent;

struct ext2dax_disk_super *image_super(const unsigned char *image);
bool image_valid(const unsigned char *image); /* is the image marked clean? */
struct ext2dax_disk_inode *image_inode(const unsigned char *image, uint32_t block_size, uint32_t number);
/* Reads all fields with attributes, 0 for fields for which the inode has no room. */
void image_attributes(const unsigned char *image, const struct ext2dax_disk_inode *inode,
                      uint32_t attributes[EXPECT_ATTRIBUTES]);
/* Returns whether the inodes have the fields after the first 128 bytes. */
bool image_wide(const unsigned char *image);
struct ext2dax_disk_dirent *image_entry(const unsigned char *image, uint32_t block_size, char letter, uint8_t length);

#endif
