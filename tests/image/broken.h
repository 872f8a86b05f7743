/* SPDX-License-Identifier: MIT */
/*
 * Images broken by hand, one thing at a time, and the small tools to do it with. All work on `image`, which has blocks
 * of 1K and inodes of 128 bytes. Written for the checker's test; shares nothing with the checker.
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

extern uint8_t *image; /* of the test that runs */
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
 * `what`: the finding it must lead to. `tool`: e2fsck -fn sees it too. It does not: for a block exactly at the end of
 * the file (and then also for one in an empty file, and for an empty pointer block), for the superblock's own counters
 * and state, for copies, and for a descriptor that cannot be, where it goes by a copy of the descriptors instead.
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
