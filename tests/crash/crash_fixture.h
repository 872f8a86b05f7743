/* SPDX-License-Identifier: MIT */
/*
 * The test bed: a small filesystem in crashing memory, the calls that change it with what is expected of each, and the
 * judges of every image that a crash could leave.
 *
 * A base is a filesystem to begin with; a workload is a few calls on it, of which the last is crashed: what the others
 * left not durable is part of that. Which calls there are, and how they are put together, is in plan.h.
 */
#ifndef TESTS_CRASH_BED_H
#define TESTS_CRASH_BED_H

#include "expect.h"
#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/crash.h"
#include "ext2dax/testkit/model.h"

struct base {
    const char *name;
    uint32_t block_size, blocks; /* of the image */
    uint32_t edge;    /* the file "a" ends one block before this block, which a boundary of its tree may lie at */
    bool full;        /* two blocks are free */
    bool small_clock; /* times below the number of inodes */
    bool indexed;     /* the root's index flag is set */
    bool names;       /* one block of the root is full */
    bool unused;      /* … and another has one unused entry */
    bool unordered;   /* nothing is promised but by what syncs */
};

extern const struct base bases[];
extern const unsigned base_count;

enum call_kind {
    CALL_CREATE,
    CALL_UNLINK,
    CALL_UNLINK_OPEN,
    CALL_WRITE,
    CALL_STORE,
    CALL_TRUNCATE,
    CALL_PUNCH,
    CALL_ALLOCATE,
    CALL_FSYNC,
    CALL_PUT,
    CALL_SYNC,
    CALL_FREEZE,
    CALL_THAW,
    CALL_REMOUNT,
    CALL_UNMOUNT
};

/* Offsets are from the file's edge: `blocks` of them and `bytes`; of a truncate, `absolute` bytes where not 0,
 * and nothing where UINT64_MAX. */
struct call {
    const char *name;
    enum call_kind kind;
    int file;
    int blocks, bytes;
    uint32_t length_blocks, length_bytes;
    uint64_t absolute;
    bool brief; /* one of the calls that sequences of three are made of */
};

struct tally {
    uint64_t workloads, unfit;
    uint64_t images, checked, known; /* handed out; of these the checker ran on, and had run on before */
    uint64_t contents;               /* images whose contents were compared */
    uint64_t strict;                 /* of those checked: with nothing allowed, not even a leak */
    uint64_t fscked, fsck_exit[2], fsck_failed;
    uint64_t findings;
    uint64_t points, points_whole, unremembered;
};

struct bed;

struct bed_options {
    uint64_t seed;
    unsigned all_up_to, sample; /* of the crashing memory */
    unsigned line;
    unsigned remember_log;
    uint64_t fsck_one_in; /* images; 0: none is put to e2fsck */
    uint64_t fsck_most;
    bool only_fsck;    /* nothing else judges */
    bool only_checker; /* likewise */
    bool quiet;        /* findings are kept, not printed */
};

struct bed *bed_open(const struct base *base, const struct bed_options *options);
void bed_close(struct bed *bed);

/* Runs a workload; the last of its `count` calls crashes everywhere. False: a call does not fit what is there. */
bool bed_run(struct bed *bed, const struct call *const *calls, unsigned count);
/* Recovery of one of the images that the last workload has left crashes everywhere; nothing, if it left none. */
void bed_recover(struct bed *bed);
/* Making a filesystem crashes everywhere: afterwards there is a whole one, or none. */
void bed_format(struct bed *bed);

const struct tally *bed_tally(const struct bed *bed);
/* Of the last finding. */
const char *bed_finding(const struct bed *bed);

/* ---- fsck.c ---- */

bool fsck_there(void);
/*
 * Mends the image with e2fsck -p, which must do it by itself and say nothing but what it may, and looks again with
 * e2fsck -fn. NULL, or what went wrong, in words that last until the next call. *exit: of e2fsck -p.
 */
const char *fsck_mend(unsigned char *image, size_t size, int *status);

#endif
