/* SPDX-License-Identifier: MIT */
/* Two operations for each protection, in some schedule of which its absence shows (duet.h). */
#ifndef MUTANT_SCENARIOS_H
#define MUTANT_SCENARIOS_H

#include "duet.h"

struct mutant_case {
    const char *mutant;
    const struct scenario *scenario;
    bool durable; /* what is durable is looked at */
    bool hostile; /* its image is not whole from the start */
};

/* By mutant, in the order of yield.h; ends with a NULL. */
extern const struct mutant_case mutant_cases[];

#endif
