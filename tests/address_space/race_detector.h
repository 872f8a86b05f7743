/* SPDX-License-Identifier: MIT */
/*
 * Tests which cannot run under a race detector. Either the core is made to race, or the race
 * detector needs the mappings for itself.
 */
#ifndef RACE_DETECTOR_H
#define RACE_DETECTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "process_state.h"

/* Returns true under a race detector, and prints the part left out. */
static inline bool race_detector(const char *left_out)
{
    if (E2DH_RACE_DETECTOR)
        fprintf(stderr, "left out under a race detector: %s\n", left_out);
    return E2DH_RACE_DETECTOR;
}

#endif
