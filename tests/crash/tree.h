/* SPDX-License-Identifier: MIT */
/*
 * Calls which change a tree of names, crashed at every point. The calls of plan.h work on names of
 * the root directory. Here are the calls on directories, links and renames.
 *
 * Every crash image must recover to the names before the call or after the call, with the same
 * inodes and contents. A rename of a file may leave both names. Images of calls which e2fsck -p
 * settles too must pass the checker without recovery, and a sample goes through e2fsck.
 */
#ifndef TESTS_CRASH_TREE_H
#define TESTS_CRASH_TREE_H

#include "crash_fixture.h"

struct tree_fixture;

#define TREE_BASES 2u
/* Returns the name of a base, listed beside the names of the bases of crash_fixture.h. */
const char *tree_name(unsigned base);

/*
 * Makes a base. Of `options`, uses all_up_to, sample, line, remember_log, seed, fsck_one_in,
 * fsck_most and quiet.
 */
struct tree_fixture *tree_open(unsigned base, const struct crash_options *options);
void tree_close(struct tree_fixture *fixture);

/*
 * Runs every call, then the recovery of an image left by the call, and with `twos` every pair of
 * calls. Crashes the last call of each workload at every point. Stops at the first finding if
 * `until_found` is set. Returns false if a check fails.
 */
bool tree_run(struct tree_fixture *fixture, bool twos, bool until_found);

const struct tally *tree_tally(const struct tree_fixture *fixture);
/* Returns the text of the last finding. */
const char *tree_finding(const struct tree_fixture *fixture);

#endif
