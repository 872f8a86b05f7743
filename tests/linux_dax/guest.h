/* SPDX-License-Identifier: MIT */
#ifndef GUEST_H
#define GUEST_H

#include "actor.h"

/* Is this file, and any mapping of it, really the image's memory? */
void guest_check_dax(const char *root);

/* What Linux does under a mapping, on blocks and holes of its own making in our image. Leaves nothing behind. */
void guest_check_faults(const char *root);

/*
 * A pass over a file's windows, to be called with pass 0, 1, … as long as it answers true, each on a fresh mount. In the end it
 * prints "windows FILE TOTAL BACKED COLD WARM": those that are not empty, those that one aligned run of blocks backs, and
 * those that Linux enters as one huge page, if it knows nothing of the file yet and if it has come across its blocks.
 */
bool guest_count_windows(const char *root, const char *path, unsigned pass);

#endif
