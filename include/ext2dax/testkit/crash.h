/* SPDX-License-Identifier: MIT */
/*
 * Crashing memory: a memory plug that knows at any moment which images a loss of power could leave, and hands them out.
 *
 * The medium takes aligned words of 8 bytes, each whole or not at all. A store may reach it at any time after it was
 * made, as cache lines are evicted, and need not ever; written back and fenced it has. So each word that was stored to
 * since has, independently of all others, any of the values that it had from its last durable one on: a superset of
 * what a processor does that keeps the stores of one line in order. Only the bytes that persist names count as written
 * back, rounded to `line`.
 *
 * Stores are not announced; they are found by comparing, at every persist, zero and fence, and in the instrumented core
 * before every atomic store too. A value stored by other means, and stored over before any of these, is not seen.
 *
 * One thread at a time, in the library and here; one crashing memory at a time is told of atomic stores, the last opened.
 */
#ifndef EXT2DAX_TESTKIT_CRASH_H
#define EXT2DAX_TESTKIT_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_crash;

/* One image that a crash could leave. */
struct ext2dax_crash_state {
    const void *image; /* as large as the memory, aligned to 8 bytes; the judge's until it returns */
    uint64_t hash;     /* of the image: equal images, equal hashes */
    bool before;       /* handed out before, since the memory was opened */
    bool whole;        /* everything stored has reached the medium */
    unsigned pending;  /* words whose value the crash decided */
};

/* All-zero is a good default, but for `bytes`. */
struct ext2dax_crash_options {
    size_t size;           /* sizeof of whoever filled it; what lies past it counts as zero */
    size_t bytes;          /* of the memory; a multiple of 64 */
    unsigned line;         /* bytes written back together: a power of 2, 8 … 4096; 0: 64 */
    unsigned all_up_to;    /* log2 of the images up to which all are enumerated, at most 24; 0: 12 */
    unsigned sample;       /* images drawn at a point that has more; 0: 1024 */
    uint64_t seed;         /* of what is drawn */
    unsigned remember_log; /* log2 of the images remembered for `before`, at most 30; 0: 20 */
};

/* EINVAL: an option out of range; ENOMEM. The memory is persistent, zeroed, and all of it durable. */
int ext2dax_crash_open(const struct ext2dax_crash_options *options, struct ext2dax_memory *memory,
                       struct ext2dax_crash **opened);
void ext2dax_crash_close(struct ext2dax_crash *crash);

/* The memory becomes this image, all of it durable: the state of another time, or power coming back after a crash. */
void ext2dax_crash_load(struct ext2dax_crash *crash, const void *image);

/*
 * Who judges, from the next fence on: the images of every fence, before it has ended. Not 0: no more of this point.
 * NULL: nobody, and then fences only count. The judge may not call into the library with this memory.
 */
void ext2dax_crash_judge(struct ext2dax_crash *crash, int (*judge)(void *arg, const struct ext2dax_crash_state *state),
                         void *arg);

/* Hands out what a crash right now could leave, as a fence does. Answers what stopped it, or 0. */
int ext2dax_crash_point(struct ext2dax_crash *crash);

/* Notes what was stored, so that a value is not missed that will be stored over. */
void ext2dax_crash_look(struct ext2dax_crash *crash);

/* The bytes are lost, at once and durably, and `check` answers EIO for every range that touches them. ENOMEM. */
int ext2dax_crash_poison(struct ext2dax_crash *crash, size_t offset, size_t length);
/* Takes all poison away; the bytes stay lost. */
void ext2dax_crash_cure(struct ext2dax_crash *crash);
/* `check` answers EIO after this many times more, once. Negative: no longer. */
void ext2dax_crash_fail_check(struct ext2dax_crash *crash, long after);

/* What has been handed out since the memory was opened. */
struct ext2dax_crash_figures {
    uint64_t points;       /* at which images were handed out */
    uint64_t points_whole; /* … all that there were */
    uint64_t images;       /* handed out */
    uint64_t distinct;     /* … not `before` */
    uint64_t unremembered; /* … of these, for want of room: they may have been handed out before */
    uint64_t fences;       /* calls of the plug's fence */
    uint64_t most_pending; /* words */
};
/* The figures of the moment. Cannot fail. */
void ext2dax_crash_count(const struct ext2dax_crash *crash, struct ext2dax_crash_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
