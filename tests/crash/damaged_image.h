/* SPDX-License-Identifier: MIT */
/*
 * Recovery of an image with every kind of damage at once, crashed at every point. The calls of
 * plan.h leave little to repair. The damaged image has an error of each kind recovery repairs, made
 * by editing bytes, including errors only another driver leaves. A second image is clean except for
 * wrong superblock counts, which a mount corrects.
 */
#ifndef TESTS_CRASH_DAMAGED_IMAGE_H
#define TESTS_CRASH_DAMAGED_IMAGE_H

#include "crash_fixture.h"

struct wreck;

#define WRECK_NAME "wrecked-1k" /* listed beside the names of the bases */

/*
 * Makes the damaged image. Of `options`, uses all_up_to, sample, line, remember_log, seed and
 * quiet.
 */
struct wreck *wreck_open(const struct bed_options *options);
void wreck_close(struct wreck *wreck);

/*
 * Recovers the damaged images and crashes the recovery at every point. Every crash image must
 * recover to the same bytes as an undisturbed recovery. After the mount has returned, these bytes
 * must be durable. Returns false if a check fails.
 */
bool wreck_recover(struct wreck *wreck);

const struct tally *wreck_tally(const struct wreck *wreck);
/* Returns the text of the last finding. */
const char *wreck_finding(const struct wreck *wreck);

#endif
