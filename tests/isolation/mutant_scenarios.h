/* SPDX-License-Identifier: MIT */
/*
 * A pair of operations for each protection. At least one schedule of the pair detects the missing
 * protection (pair.h).
 */
#ifndef MUTANT_SCENARIOS_H
#define MUTANT_SCENARIOS_H

#include "pair.h"

struct mutant_case {
    const char *mutant;
    const struct scenario *scenario;
    bool durable; /* durability is checked */
    bool hostile; /* the image is invalid from the start */
};

/* By mutant, in the order of instrument.h. A NULL ends the list. */
extern const struct mutant_case mutant_cases[];
/* Likewise for names. The outcomes of the serial orders are compared (name_operations.h). */
extern const struct mutant_case name_mutant_cases[];

#endif
