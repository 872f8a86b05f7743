/* SPDX-License-Identifier: MIT */
/*
 * Images damaged by hand, a single defect at a time, and the helpers for damaging. All helpers work
 * on `image`, with 1 KiB blocks and 128-byte inodes. Written for the checker's test, the code
 * shares nothing with the checker.
 */
#ifndef TESTS_IMAGE_BROKEN_H
#define TESTS_IMAGE_BROKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ext2dax/ondisk.h"

static inline uint32_t get32(struct ext2dax_le32 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t get16(struct ext2dax_le16 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return (uint32_t)(p[0] | p[1] << 8);
}
static inline void set32(struct ext2dax_le32 *at, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};

    memcpy(at, bytes, sizeof(bytes));
}
static inline void set16(struct ext2dax_le16 *at, uint32_t v)
{
    const uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

    memcpy(at, bytes, sizeof(bytes));
}
static inline void add32(struct ext2dax_le32 *at, int by)
{
    set32(at, get32(*at) + (uint32_t)by);
}
static inline void add16(struct ext2dax_le16 *at, int by)
{
    set16(at, get16(*at) + (uint32_t)by);
}

extern uint8_t *image; /* the image of the current test */
extern size_t image_size;

void *block_at(uint32_t block);
struct ext2dax_disk_super *super(void);
struct ext2dax_disk_group *group(uint32_t number);
struct ext2dax_disk_inode *inode_at(uint32_t number);
struct ext2dax_disk_dirent *entry(uint32_t directory, const char *name);
uint32_t number_of(const char *path);
struct ext2dax_disk_inode *file(const char *path);
void mark_block(uint32_t block, bool used);
void mark_inode(uint32_t number, bool used);
uint32_t take_block(void);
uint32_t free_inode(void);

/*
 * A breakage. `what` is the finding required from the checker. `tool` is true if e2fsck -fn also
 * detects the breakage. e2fsck does not detect a block exactly at the end of the file, a block in
 * an empty file, a pointer block without blocks, errors in the superblock's own counters and state,
 * or errors in copies. For an invalid group descriptor e2fsck silently uses a copy of the
 * descriptors.
 */
struct breakage {
    void (*make)(void);
    const char *name;
    const char *what;
    bool tool;
};
extern const struct breakage breakages[];
extern const int breakages_count;
void break_it(const char *name);

#endif
