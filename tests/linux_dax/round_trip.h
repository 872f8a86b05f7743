/* SPDX-License-Identifier: MIT */
/*
 * The operations on an image on its round trip between two kernels, in three alternating phases.
 * The number of a phase and its actor determine its operations. Each side therefore knows every
 * byte written by the other without communication.
 */
#ifndef ROUND_TRIP_H
#define ROUND_TRIP_H

#include <stdbool.h>

#include "actor.h"
#include "model.h"

#define ROUND_TRIP_PHASES 3u

struct round_trip {
    struct model model;
    bool linux_first; /* Linux runs phases 1 and 3 and the library phase 2, or the reverse */
};

/*
 * Runs a phase, in the model alone if `actor` is NULL. Returns false, after a printed failure, if
 * the actor failed.
 */
bool round_trip_phase(struct round_trip *trip, unsigned phase, const struct actor *actor);

/*
 * Checks every name, size and byte, by read and through a mapping, with a line per file. `when`
 * names the point of the round trip.
 */
void round_trip_check(struct round_trip *trip, const struct actor *actor, const char *when);

/* Returns the files with PMD ranges to count, by number. Returns NULL after the last. */
const char *round_trip_ranges(unsigned number);

#endif
