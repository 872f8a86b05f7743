/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of recovery. Provides images with every kind of object, plugs reporting every
 * fence, failing on request and recording the log, and a comparison of two images.
 */
#ifndef TESTS_RECOVER_CRASHED_H
#define TESTS_RECOVER_CRASHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/checker.h"

#include "../image/outside.h"

#define KINDS_TOLD 32

/*
 * The record of the plugs, and the failures requested. plug_reset() zeroes the struct and sets the
 * countdowns to never.
 */
struct plug {
    long allocs_left; /* allocations before a single failure, negative for never */
    long fences_left; /* fences before all later fences fail, negative for never */
    /* interruption checks before all later checks return true, negative for never */
    long asks_left;
    long held;   /* bytes of the host's memory currently allocated */
    size_t most; /* the maximum of `held` */
    const unsigned char *poison;
    size_t poison_size;
    bool scanning; /* a scan has been announced to the memory and has not ended */
    unsigned scans;
    uint64_t fetched;          /* bytes announced for prefetch during a scan */
    uint64_t checked;          /* bytes checked for readability during a scan */
    uint64_t holes;            /* bytes reported to be zeros */
    void (*fenced)(void *arg); /* called before a fence is counted */
    void *arg;
    unsigned fences;

    struct ext2dax_report error;                 /* the last error */
    struct ext2dax_report warning;               /* the last warning */
    struct ext2dax_report recovered[KINDS_TOLD]; /* summaries */
    unsigned kinds;
    uint64_t steps, all; /* the last progress */
    unsigned progresses;
    bool backwards; /* progress decreased, or exceeded its total */
};
extern struct plug plug;
void plug_reset(void);

/* Flag of plug_mount(). Mounts without the option `recover`. */
#define WITHOUT_RECOVERY 0x80000000u
/* Mounts `base` without resetting the plugs. */
int plug_mount(unsigned char *base, size_t size, unsigned flags, enum ext2dax_order order,
               struct ext2dax_mount **mount);
/* Mounts read-write and unmounts. */
int plug_recover(unsigned char *base, size_t size);
/* Returns the number of recovered items of kind `what` in the log. */
uint64_t plug_recovered(const char *what);

/*
 * Makes an image of a directory tree with mke2fs. Returns false on failure. tree_remove() removes
 * the image.
 */
bool tree_make(void);
void tree_remove(void);

/*
 * Opens a copy of the image, 8 MiB in 1 KiB blocks, in a file of its own. Sets `image` and
 * `image_size` of broken.h to the copy.
 */
struct outside_image tree_image(void);

void say_finding(void *arg, const struct ext2dax_finding *finding);

/*
 * Compares two images by files, names, links, sizes, sectors, blocks, owners of blocks, bitmaps and
 * counts. Returns NULL, or the name of the first difference.
 */
const char *differs(const unsigned char *a, const unsigned char *b, size_t size);

/* Do two images have the same names, with the same inodes, types and link counts? */
bool same_names(const unsigned char *a, const unsigned char *b, size_t size);

/* Returns deterministic random numbers. */
uint32_t noise(uint32_t *state);

/*
 * Builds a state between two images. words_between() counts the differing 8-byte words. mix() takes
 * from `to` the differing words with a set bit in `pattern`, or a random subset if `state` is not
 * NULL.
 */
unsigned words_between(const unsigned char *from, const unsigned char *to, size_t size);
void mix(unsigned char *mixed, const unsigned char *from, const unsigned char *to, size_t size, uint64_t pattern,
         uint32_t *state);

/*
 * Makes the tree of files for images. Returns 0, or the exit status of a program which cannot run,
 * after printing the reason.
 */
int crashed_begin(void);

#endif
