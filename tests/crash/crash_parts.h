/* SPDX-License-Identifier: MIT */
/*
 * The parts of the crash fixture. The base comes first, then the calls on it, then the runs. The
 * checks of an image stand on none of them.
 */
#ifndef TESTS_CRASH_CRASH_PARTS_H
#define TESTS_CRASH_CRASH_PARTS_H

#include "crash_fixture.h"

#define FREE_MARKER 0xA5 /* content of free blocks */
#define SMALL_CLOCK 3
#define HUGE_ORDER  3

struct crash_fixture {
    const struct base *base;
    struct crash_options options;
    size_t size;
    unsigned char *image;    /* the base */
    unsigned char *repaired; /* copy of an image for e2fsck to repair */
    struct expect *expect, *start;
    struct ext2dax_memory memory;
    struct ext2dax_crash *crash;
    struct ext2dax_model *model;
    struct ext2dax_model_map *map;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *inode[EXPECT_FILES];
    int64_t clock;
    bool frozen, unlinked; /* `unlinked` is true while a file without a name is held */
    bool closed;           /* the image must be marked clean */
    bool strict;           /* leaks are no longer allowed */
    bool settled;          /* blocks past the end of a file are no longer allowed */
    bool formatting;
    bool keeping; /* keep an image for crash_fixture_recover(), with its expectations */
    unsigned char *kept;
    struct expect *kept_expect;
    bool kept_any, recovering;
    struct tally tally;
    const struct call *const *calls;
    unsigned count;
    char finding[512];
};

/* ---- crash_checks.c ---- */

/*
 * Exits with 2 if `rc` is an error. For calls which must succeed before a test result means
 * anything.
 */
void crash_must(struct crash_fixture *fixture, int rc, const char *what);
/* Records a finding of `checker`. `file` is the letter of a file, or 0. */
void crash_report(struct crash_fixture *fixture, const char *checker, char file, const char *what);
/* Runs the checker of the testkit. Reports the first finding. */
bool crash_passes_check(struct crash_fixture *fixture, const unsigned char *image, unsigned flags);
/* Compares names and contents with the expected ones. */
bool crash_passes_contents(struct crash_fixture *fixture, const unsigned char *image, const char *checker);
/* Callbacks for ext2dax_crash_check(), for calls and for a format. */
int crash_check_state(void *arg, const struct ext2dax_crash_state *state);
int crash_check_format(void *arg, const struct ext2dax_crash_state *state);

/* ---- crash_base.c ---- */

void crash_open_mount(struct crash_fixture *fixture);
/* Puts every inode and unmounts. Returns the result of the unmount. */
int crash_close_mount(struct crash_fixture *fixture);
/* Puts an inode. Unmaps the file if it is mapped. */
void crash_put(struct crash_fixture *fixture, int file);
/* Writes the name of a file to `name`, and returns `name`. */
const char *crash_name(const struct expect_file *f, char *name);
int crash_create(struct crash_fixture *fixture, int file);
void crash_fill(unsigned char *to, size_t length, unsigned kind);
/* Returns the offset in the file from which calls count. */
uint64_t crash_edge(const struct crash_fixture *fixture, int file);
struct ext2dax_format_options crash_format_options(const struct crash_fixture *fixture);
/* Formats the memory and makes the files of the base, with their expectations. */
void crash_make_base(struct crash_fixture *fixture);

/* ---- crash_calls.c ---- */

/*
 * Runs a single call.
 *
 * Returns
 *   0    done
 *   1    done in part, for lack of space
 *   2    the call does not fit the state of the filesystem
 *   < 0  an error the call must not return
 */
int crash_perform(struct crash_fixture *fixture, const struct call *call);

#endif
