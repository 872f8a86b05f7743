/* SPDX-License-Identifier: MIT */
#ifndef GUEST_H
#define GUEST_H

#include "actor.h"

/* Checks the file and its mapping for being the image's memory itself. */
void guest_check_dax(const char *root);

/* Checks Linux's faults on a mapping of blocks and holes made by Linux. Leaves no files behind. */
void guest_check_faults(const char *root);

/*
 * Counts a file's PMD ranges in a pass. Called with pass 0, 1, … while the result is true, each
 * pass on a fresh mount. The last pass prints "ranges FILE TOTAL BACKED COLD WARM". TOTAL counts
 * the ranges with data, BACKED the ranges in an aligned extent, and COLD and WARM the ranges mapped
 * by Linux as a huge page, before and after Linux has seen the file's blocks.
 */
bool guest_count_ranges(const char *root, const char *path, unsigned pass);

#endif
