/* SPDX-License-Identifier: MIT */
/*
 * What must be in an image after a crash, kept beside the calls that change it: which names there are, how large their
 * files, and for every block of interest each version that its words may come from. Reads images on its own, by the
 * format alone.
 */
#ifndef TESTS_CRASH_EXPECT_H
#define TESTS_CRASH_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPECT_BLOCKS   8 /* of interest in a file */
#define EXPECT_VERSIONS 8
#define EXPECT_MOST     4096 /* bytes in a block */

/* Each word of the block holds what it holds in one of the versions; the last is what the program sees. */
struct expect_block {
    unsigned versions;
    bool untouched; /* there is one, and it is zeroes */
    unsigned char version[EXPECT_VERSIONS][EXPECT_MOST];
};

struct expect_file {
    char letter; /* the name is this letter, `name_length` times */
    uint8_t name_length;
    bool was, is; /* there before the call, and after it */
    uint64_t size_was, size;
    bool any_size;  /* while the call runs, any size between the two */
    bool name_only; /* another name of a file above: nothing else of it is looked at */
    bool times_known;
    uint32_t ctime, mtime;
    uint64_t first; /* block of interest */
    struct expect_block block[EXPECT_BLOCKS];
};

enum { FILE_A, FILE_B, FILE_C, FILE_D, FILE_L, FILE_M, FILE_N, FILE_X, EXPECT_FILES };

struct expect {
    uint32_t block_size;
    bool inside;  /* a call runs: what it changes is as before or as after */
    bool indexed; /* the root had a hash tree, which must go before the root changes */
    struct expect_file file[EXPECT_FILES];
};

void expect_open(struct expect *expect, uint32_t block_size);
void expect_copy(struct expect *to, const struct expect *from);

/* The program stores bytes, or zeroes where `bytes` is NULL. Blocks that are not of interest stay holes. */
void expect_store(struct expect *expect, int file, uint64_t at, const void *bytes, uint64_t length);
/* Takes back the last of these: it did not happen. */
void expect_undo(struct expect *expect, int file, uint64_t at, uint64_t length);
/* [from, to) is zero for certain, in every version. */
void expect_zero(struct expect *expect, int file, uint64_t from, uint64_t to);
/* Only what the program sees is left. */
void expect_synced(struct expect *expect, int file);
/* The call has returned: what it did is there. */
void expect_returned(struct expect *expect);

/* NULL, or what is wrong with the image, in static words; *file: whose letter, or 0. */
const char *expect_judge(const struct expect *expect, const unsigned char *image, char *file);

/* ---- images, by the format ---- */

uint32_t image_get16(const void *at);
uint32_t image_get32(const void *at);
void image_put16(void *at, uint32_t value);
void image_put32(void *at, uint32_t value);

struct ext2dax_disk_super;
struct ext2dax_disk_inode;
struct ext2dax_disk_dirent;

struct ext2dax_disk_super *image_super(const unsigned char *image);
bool image_valid(const unsigned char *image); /* marked clean */
struct ext2dax_disk_inode *image_inode(const unsigned char *image, uint32_t block_size, uint32_t number);
struct ext2dax_disk_dirent *image_entry(const unsigned char *image, uint32_t block_size, char letter, uint8_t length);

#endif
