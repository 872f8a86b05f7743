/* SPDX-License-Identifier: MIT */
/*
 * The crash fixture. Holds a small filesystem in crashing memory, the calls which change it, the
 * expected result of each call, and the checks run on every image a crash could leave.
 *
 * A base is the filesystem a workload starts from. A workload is a few calls on a base. Only the
 * last call is crashed. Changes of the earlier calls not yet durable are part of its crash images.
 * The calls and the workloads made of them are in plan.h.
 */
#ifndef TESTS_CRASH_CRASH_FIXTURE_H
#define TESTS_CRASH_CRASH_FIXTURE_H

#include "expect.h"
#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/crash.h"
#include "ext2dax/testkit/model.h"

struct base {
    const char *name;
    uint32_t block_size, blocks; /* of the image */
    /*
     * the last block of file "a" is the block before this one, and the block tree may have a
     * boundary here
     */
    uint32_t edge;
    bool full;        /* only two blocks are free */
    bool small_clock; /* the clock is below the number of inodes */
    bool indexed;     /* the root's index flag is set */
    bool names;       /* a block of the root directory is full */
    bool unused;      /* a second block of the root directory has a single unused dirent */
    bool unordered;   /* only syncing calls promise durability */
    bool at_end;      /* a block of old bytes begins exactly at the end of "a", at the edge */
    /*
     * "a" and "b" share an extended attribute block. e2fsck -p does not repair its reference count
     */
    bool attributes;
    bool xattrs;    /* for calls on attributes. "s" is a symbolic link. Equal values are shared */
    bool distinct;  /* values of different files differ, so no block is shared */
    bool populated; /* "a" has three attributes, which leave no room in its block */
    bool discard;   /* freed blocks are discarded */
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
    CALL_ZERO,
    CALL_ALLOCATE,
    CALL_SETATTR,
    CALL_SET_XATTR,
    CALL_REMOVE_XATTR,
    CALL_FSYNC,
    CALL_FSYNC_RANGE,
    CALL_PUT,
    CALL_SYNC,
    CALL_FREEZE,
    CALL_THAW,
    CALL_REMOUNT,
    CALL_UNMOUNT
};

/*
 * A call of a workload. Its offset is the file's edge plus `blocks` blocks plus `bytes` bytes. A
 * truncate uses `absolute` bytes where `absolute` is not 0, and size 0 where it is UINT64_MAX. A
 * setattr sets ctime and the attributes selected by `absolute`. A call on an extended attribute
 * uses `blocks` as the number of the attribute and `bytes` as the length.
 */
struct call {
    const char *name;
    enum call_kind kind;
    int file;
    int blocks, bytes;
    uint32_t length_blocks, length_bytes;
    uint64_t absolute;
    bool brief; /* used in sequences of three calls */
};

struct tally {
    uint64_t workloads, unfit;
    uint64_t images, checked, known; /* handed out, checked for the first time, handed out before */
    uint64_t contents;               /* images with compared contents */
    uint64_t strict;                 /* images checked with no leak allowed */
    uint64_t fscked, fsck_exit[2], fsck_failed;
    uint64_t findings;
    uint64_t points, points_whole, unremembered;
};

struct crash_fixture;

struct crash_options {
    uint64_t seed;
    unsigned all_up_to, sample; /* both as in ext2dax_crash_options */
    unsigned line;
    unsigned remember_log;
    bool discard;         /* as of the base, set by crash_fixture_open() */
    uint64_t fsck_one_in; /* put 1 in this many images to e2fsck, 0 for no e2fsck */
    uint64_t fsck_most;
    bool only_fsck;    /* skip all checks but e2fsck */
    bool only_checker; /* skip all checks but the checker */
    bool quiet;        /* keep findings without printing */
};

struct crash_fixture *crash_fixture_open(const struct base *base, const struct crash_options *options);
void crash_fixture_close(struct crash_fixture *fixture);

/*
 * Runs a workload of `count` calls and crashes the last call at every point. Returns false if a
 * call does not fit the state of the filesystem, or if the base is unordered and the last call does
 * not sync.
 */
bool crash_fixture_run(struct crash_fixture *fixture, const struct call *const *calls, unsigned count);
/*
 * Recovers an image left by the last workload and crashes the recovery at every point. Does nothing
 * if the workload left no such image.
 */
void crash_fixture_recover(struct crash_fixture *fixture);
/*
 * Formats the memory and crashes the format at every point. Each crash leaves a complete filesystem
 * or none.
 */
void crash_fixture_format(struct crash_fixture *fixture);

const struct tally *crash_fixture_tally(const struct crash_fixture *fixture);
/* Returns the text of the last finding. */
const char *crash_fixture_finding(const struct crash_fixture *fixture);

/* ---- fsck.c ---- */

bool fsck_there(void);
/*
 * Repairs the image with e2fsck -p, then checks the result with e2fsck -fn. e2fsck -p must succeed
 * without help and print only allowed messages. Stores the exit status of e2fsck -p in *status.
 *
 * Returns NULL, or a description of the failure, valid until the next call.
 */
const char *fsck_repair(unsigned char *image, size_t size, int *status);

#endif
