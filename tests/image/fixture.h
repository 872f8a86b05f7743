/* SPDX-License-Identifier: MIT */
/*
 * Images that mke2fs made, in memory, and plugs that count what is taken and given back and fail when told.
 *
 * An image ends where a page without access begins, and begins behind one: a read outside it ends the test.
 */
#ifndef TESTS_IMAGE_FIXTURE_H
#define TESTS_IMAGE_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#include "bitmap.h"
#include "group.h"
#include "zone.h"

/* Check writes a record at each of its assertions: too slow for millions of them. */
#define EXPECT(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg(__VA_ARGS__);                                                                                 \
    } while (0)

#define GUARD ((size_t)65536)

struct kind {
    const char *name;
    const char *arguments; /* of mke2fs */
    unsigned blocks, block_size;
};

#define KINDS       29
#define SMALL_KINDS 5
extern const struct kind kinds[KINDS];
extern const struct kind small_kinds[SMALL_KINDS]; /* with few blocks: for thousands of rounds */
const struct kind *kind_named(const char *name);

/*
 * Runs a suite over images made in a folder of its own; `small`: only those. The answer is main's: 77 where there is no
 * mke2fs.
 */
int run(Suite *suite, bool small);

/* What a command of e2fsprogs prints about an image; to be freed. */
char *output_of(const char *command, const struct kind *kind);

/* An image in memory, and how it was. */
struct image {
    unsigned char *base, *before, *area;
    size_t size, area_size;
};
struct image load(const struct kind *kind);
void unload(struct image *image);
bool unchanged(const struct image *image);
unsigned char *copy_of(const struct image *image);

struct ext2dax_disk_super *super_of(const struct image *image);
/* Where things lie, asked of a mount of the image as it is. Offsets are bytes; 0: no such group. */
size_t descriptor_at(const struct image *image, uint32_t group);
struct ext2dax_disk_inode *inode_at(const struct image *image, uint32_t number);
void put_number(unsigned char *at, unsigned width, uint32_t value);

#define REPORTS 32u

/* What the plugs have seen, and what they are told to do. plugs_for() sets it to zero. */
struct plug_state {
    long blocks, bytes;        /* of the host's memory that are out */
    long allocations, fail_at; /* the allocation that fails, counted from 1; 0: none */
    long locks, inits, fail_init_at;
    unsigned errors, warnings, reports;
    struct ext2dax_report report[REPORTS];
    bool entitled; /* to reserved blocks */
    long asked;
    const unsigned char *poison;
    size_t poison_size;
    bool persist_fails, fence_fails;
    long persists, fences;
    bool state_pending, state_durable; /* the superblock's state was written back; and fenced */
    const unsigned char *state_at;
};
extern struct plug_state plug;
extern const struct ext2dax_lock_ops lock_ops;
extern const struct ext2dax_host_ops host_ops;

struct ext2dax_plugs plugs_for(const struct image *image);
int try_mount(const struct image *image, unsigned flags, struct ext2dax_mount **mount);
void everything_given_back(void);
/* A mount that must be refused with `error` and a report of `field`, and leaves nothing behind. */
void refused(const struct image *image, unsigned flags, int error, const char *field);
void accepted(const struct image *image, unsigned flags);

#endif
