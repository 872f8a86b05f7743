/* SPDX-License-Identifier: MIT */
/*
 * A mount of a small image under the model address space, and the invariants of a hostile image.
 * Each invariant is checked after each call.
 *   - no lock is held, and at the end all memory and locks are given back
 *   - a call that fails has changed nothing except the record of errors and the content
 *     of free blocks
 *   - a mapping, a run and a pin lie in the image and refer to no metadata
 *   - after a mount which verified owners, a mapping refers to no block of another file, and to the
 *     block that the tree of the file names
 */
#ifndef TESTS_HOSTILE_SESSION_H
#define TESTS_HOSTILE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/model.h"

#include "../fuzz/reports.h"
#include "../fuzz/tree.h"
#include "small.h"

struct session {
    const struct small *small;
    unsigned char *base;
    struct ext2dax_mount *mount; /* NULL if the mount was refused */
    struct ext2dax_model *model;
    bool verified; /* the mount verified owners */
    bool frozen;   /* the freeze locks are held */
};
extern struct session session;

/* Copies the image to the memory of the session. */
void session_load(const struct small *small);
/* Mounts. Returns the result. */
int session_open(unsigned flags);
/* Unmounts, with nothing in use. */
void session_close(void);
/* Copies the image before a call that may change the image, if the copy is out of date. */
void session_before(void);
/* Checks the invariants after such a call. Returns the result of the call. */
int64_t session_after(int64_t result);
/* Checks the invariants after a call that only reads. Returns the result of the call. */
int64_t session_read(int64_t result);
/* Checks blocks that a call returned. */
void session_data(uint64_t block, uint64_t count);
/* Returns true if the image may be damaged at the start, else an unmounted image must be valid. */
bool session_is_whole(void);

#define CALL(call)       (session_before(), (int)session_after(REPORTED(call)))
#define CALL_COUNT(call) (session_before(), session_after(REPORTED_COUNT(call)))
#define READ(call)       ((int)session_read(REPORTED(call)))
#define READ_COUNT(call) session_read(REPORTED_COUNT(call))

#endif
