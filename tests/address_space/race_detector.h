/* SPDX-License-Identifier: MIT */
/* What a race detector cannot look at: a core that was made to race, and the mappings that it needs itself. */
#ifndef RACE_DETECTOR_H
#define RACE_DETECTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "process_state.h"

/* True under one, having said what is left out. */
static inline bool race_detector(const char *left_out)
{
    if (E2D_RACE_DETECTOR)
        fprintf(stderr, "left out under a race detector: %s\n", left_out);
    return E2D_RACE_DETECTOR;
}

#endif
