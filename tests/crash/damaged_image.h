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

struct damaged_image;

#define DAMAGED_NAME "damaged-1k" /* listed beside the names of the bases */

/*
 * Makes the damaged image. Of `options`, uses all_up_to, sample, line, remember_log, seed and
 * quiet.
 */
struct damaged_image *damaged_image_open(const struct crash_options *options);
void damaged_image_close(struct damaged_image *damaged);

/*
 * Recovers the damaged images and crashes the recovery at every point. Every crash image must
 * recover to the same bytes as an undisturbed recovery. After the mount has returned, these bytes
 * must be durable. Returns false if a check fails.
 */
bool damaged_image_recover(struct damaged_image *damaged);

const struct tally *damaged_image_tally(const struct damaged_image *damaged);
/* Returns the text of the last finding. */
const char *damaged_image_finding(const struct damaged_image *damaged);

#endif
