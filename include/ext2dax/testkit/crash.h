/* SPDX-License-Identifier: MIT */
/*
 * Crashing memory, a memory plug which knows all images a power failure could leave at any moment,
 * and passes the images to a callback.
 *
 * The medium takes aligned words of 8 bytes, each whole or not at all. A store may reach the medium
 * at any time after the store, as cache lines are evicted, or never. After write-back and a fence
 * the store has reached the medium. So each stored word has, independently of all other words, any
 * value it had since its last durable value. This is a superset of the images left by a processor
 * which keeps the stores to a cache line in order. Only bytes passed to persist count as written
 * back, rounded to `line`.
 *
 * Stores are found by comparison at every persist, zero and fence, and in the instrumented core
 * also before every atomic store. A value stored without such a point, and overwritten before the
 * next, is missed.
 *
 * Not thread-safe. A single thread uses the library and the crashing memory. Only the crashing
 * memory opened last learns of atomic stores. The threads of a walk (explorer.h) count as a single
 * thread, and no explorer may be exploring otherwise. The program aborts when bookkeeping has no
 * memory.
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

/* An image left by a crash. */
struct ext2dax_crash_state {
    const void *image; /* of the memory's size, aligned to 8 bytes, valid during the callback */
    uint64_t hash;     /* of the image. Equal images have equal hashes. */
    bool before;       /* the image was passed before, since the memory was opened */
    bool whole;        /* every store has reached the medium */
    unsigned pending;  /* words with a value chosen by the crash */
};

/* Options of ext2dax_crash_open(). All-zero is a good default, except for `bytes`. */
struct ext2dax_crash_options {
    size_t size;           /* sizeof this struct at the caller. Members beyond count as 0. */
    size_t bytes;          /* of the memory, a multiple of 64 */
    unsigned line;         /* bytes written back together, a power of 2 from 8 to 4096, 0 for 64 */
    unsigned all_up_to;    /* log2 of the most images enumerated fully, at most 24, 0 for 12 */
    unsigned sample;       /* random images at a point with more, 0 for 1024 */
    uint64_t seed;         /* of the random images */
    unsigned remember_log; /* log2 of the images kept for `before`, at most 30, 0 for 20 */
    /* Has the `discard` op. Up to the next fence a discarded word may be old, 0, or 0xDB bytes. */
    bool discard;
};

/*
 * Opens a crashing memory. The memory is persistent, zeroed, and durable. On failure *opened is
 * NULL.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL   an option is out of range
 *   ENOMEM   no memory
 */
int ext2dax_crash_open(const struct ext2dax_crash_options *options, struct ext2dax_memory *memory,
                       struct ext2dax_crash **opened);
/* Closes the crashing memory and frees its bytes. The memory must not be mounted any more. */
void ext2dax_crash_close(struct ext2dax_crash *crash);

/*
 * Sets the memory to `image`, all of it durable. For a state saved earlier, or the state after a
 * crash and a restart. `image` has the size of the memory. Poison stays.
 */
void ext2dax_crash_load(struct ext2dax_crash *crash, const void *image);

/*
 * Sets the callback for images, from the next fence on. At every fence, before the fence takes
 * effect, the callback gets the images of this moment. A return value other than 0 skips the
 * remaining images of this fence. With NULL fences are only counted. The callback must not call
 * into the library with this memory.
 */
void ext2dax_crash_check(struct ext2dax_crash *crash,
                         int (*callback)(void *arg, const struct ext2dax_crash_state *state), void *arg);

/*
 * Passes the images of a crash at this moment to the callback, as a fence does. Returns the value
 * by which the callback stopped, or 0.
 */
int ext2dax_crash_point(struct ext2dax_crash *crash);

/* Notes all stores made so far, so that no value is missed when overwritten later. */
void ext2dax_crash_look(struct ext2dax_crash *crash);

/*
 * Destroys the bytes at once and durably, like a bad block. The `check` op returns EIO for every
 * range with such a byte. Words covered in part become durable with their present value.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM   no memory, and nothing has changed
 */
int ext2dax_crash_poison(struct ext2dax_crash *crash, size_t offset, size_t length);
/* Removes all poison. The bytes stay destroyed. */
void ext2dax_crash_cure(struct ext2dax_crash *crash);
/* Makes the `check` op return EIO a single time, after `after` more calls. Negative cancels. */
void ext2dax_crash_fail_check(struct ext2dax_crash *crash, long after);

/* Counters since the memory was opened. */
struct ext2dax_crash_figures {
    uint64_t points;       /* points with images passed to the callback */
    uint64_t points_whole; /* points with all possible images passed */
    uint64_t images;       /* images passed */
    uint64_t distinct;     /* images passed which were not `before` */
    uint64_t unremembered; /* distinct images not kept for want of room, perhaps passed before */
    uint64_t fences;       /* calls of the fence op */
    uint64_t most_pending; /* largest number of pending words at a point */
};
/* Reads the counters. Cannot fail. */
void ext2dax_crash_count(const struct ext2dax_crash *crash, struct ext2dax_crash_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
