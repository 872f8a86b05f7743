/* SPDX-License-Identifier: MIT */
/*
 * Calls on names and attributes as operations of schedules, and the tree for the calls (pair.h).
 *
 * start_tree() makes the tree
 *
 *   /file  /a/x  /a/g  /a/sub/  /b/y  /b/h  /b/e/
 *
 * where g and h are names of a single file. The other file of pair.h has data and no name. The
 * directories a, b and sub are held until check_tree().
 *
 * An operation is a single call of the library. The result of an operation is the error of the call
 * and the content found. check_tree() reports the results of all threads and the tree at the end as
 * the outcome of the schedule.
 */
#ifndef NAME_OPERATIONS_H
#define NAME_OPERATIONS_H

#include "pair.h"

struct name_operation {
    const char *name;
    uint64_t (*run)(void);
};

/* The last operations make several calls each. */
extern const struct name_operation name_operations[];
#define NAME_OPERATIONS_OF_CALLS 3u
extern const unsigned name_operation_count;
/* Returns the operation of a name. Aborts without one. */
const struct name_operation *name_operation(const char *name);

/* The result of the operation of each thread, set by the caller of `run`. */
extern uint64_t name_result[3];

void start_tree(void);
/* Likewise with a block of b without space, so a new name there adds a block. */
void start_full(void);
/* Likewise with /c/d/x. The directory d is held, and c is not. */
void start_chain(void);
/* Puts all inodes, and checks the tree, the counts and the outcome. */
void check_tree(void);

/*
 * Operations of several calls, with checks of their own. The first looks for x under the old name
 * and then under the names of the renames. The others freeze, and store by a mapping of /file.
 */
uint64_t look_for_moved(void);
uint64_t look_for_nameless(void);
uint64_t freeze_and_look(void);
/* After start_chain(). The second removes d and c, and creates a file with the number of c. */
uint64_t rename_from_d(void);
uint64_t remove_chain(void);
/* The second moves the attribute of x to a block, removes the attribute, and reuses the block. */
uint64_t read_attribute(void);
uint64_t remove_attribute_and_reuse(void);

#endif
