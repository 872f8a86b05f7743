/* SPDX-License-Identifier: MIT */
/*
 * Images made by mke2fs, in memory, and plugs counting allocations and releases and failing on
 * request.
 *
 * A guard page without access follows the end of the image, and another precedes its start. A read
 * outside the image ends the test.
 */
#ifndef TESTS_IMAGE_FIXTURE_H
#define TESTS_IMAGE_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#include "base/bitmap.h"
#include "disk/group.h"
#include "disk/system_zone.h"
#include "../runner.h"

/* Check writes a record for each of its assertions, too slow for millions of assertions. */
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

#define KINDS       35
#define SMALL_KINDS 5
extern const struct kind kinds[KINDS];
extern const struct kind small_kinds[SMALL_KINDS]; /* with few blocks, for thousands of rounds */
const struct kind *kind_named(const char *name);

/*
 * Runs a suite over images in a temporary directory. With `small` only the small kinds are made.
 * Returns the exit status of main, SKIPPED without mke2fs.
 */
int run_on_images(Suite *suite, bool small);

/* Returns the output of a command of e2fsprogs for an image. The caller frees the text. */
char *output_of(const char *command, const struct kind *kind);

/* An image in memory, and a copy of its original content. */
struct image {
    unsigned char *base, *before, *area;
    size_t size, area_size;
};
struct image load(const struct kind *kind);
void unload(struct image *image);
bool unchanged(const struct image *image);
unsigned char *copy_of(const struct image *image);

struct ext2dax_disk_super *super_of(const struct image *image);
/*
 * Return locations found by mounting the image in its current state. Offsets are bytes. 0 means the
 * group does not exist.
 */
size_t descriptor_at(const struct image *image, uint32_t group);
struct ext2dax_disk_inode *inode_at(const struct image *image, uint32_t number);
void put_number(unsigned char *at, unsigned width, uint32_t value);

#define REPORTS 32u

/* The calls counted by the plugs, and the failures requested. plugs_for() zeroes the struct. */
struct plug_state {
    long blocks, bytes;        /* of the host's memory, currently allocated */
    long allocations, fail_at; /* the failing allocation, counted from 1, and 0 for none */
    long locks, inits, fail_init_at;
    unsigned errors, warnings, reports;
    struct ext2dax_report report[REPORTS];
    bool entitled; /* the caller may use reserved blocks */
    long asked;
    const unsigned char *poison;
    size_t poison_size;
    bool persist_fails, fence_fails;
    long persists, fences;
    bool state_pending, state_durable; /* the superblock's state was written back, then fenced */
    const unsigned char *state_at;
};
extern struct plug_state plug;
extern const struct ext2dax_lock_ops lock_ops;
extern const struct ext2dax_host_ops host_ops;

struct ext2dax_plugs plugs_for(const struct image *image);
/* Flag of try_mount() and its callers. Mounts without the option `recover`. */
#define WITHOUT_RECOVERY 0x80000000u
int try_mount(const struct image *image, unsigned flags, struct ext2dax_mount **mount);
void everything_given_back(void);
/* Checks a mount for the given error, a report of `field`, and nothing left allocated. */
void refused(const struct image *image, unsigned flags, int error, const char *field);
void accepted(const struct image *image, unsigned flags);

#endif
