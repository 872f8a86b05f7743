/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a filesystem that needs all of it at once, crashed everywhere. The calls of plan.h leave little to mend; the
 * wreck has one thing of every kind that recovery knows, by hand, those included that another driver leaves and that
 * no call here does.
 */
#ifndef TESTS_CRASH_WRECK_H
#define TESTS_CRASH_WRECK_H

#include "bed.h"

struct wreck;

#define WRECK_NAME "wrecked-1k" /* beside the names of the bases */

/* `options`: all_up_to, sample, line, remember_log, seed and quiet. */
struct wreck *wreck_open(const struct bed_options *options);
void wreck_close(struct wreck *wreck);

/*
 * Recovers the wreck. Whatever a crash on the way leaves must recover to the same bytes as what was not disturbed, and
 * when the mount has returned these are durable. False: it is not so.
 */
bool wreck_recover(struct wreck *wreck);

const struct tally *wreck_tally(const struct wreck *wreck);
/* The last finding. */
const char *wreck_finding(const struct wreck *wreck);

#endif
