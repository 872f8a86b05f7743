/* SPDX-License-Identifier: MIT */
/* The calls that workloads are made of, and the workloads: every call alone, every two, and a part of all threes. */
#ifndef TESTS_CRASH_PLAN_H
#define TESTS_CRASH_PLAN_H

#include "bed.h"

extern const struct call calls[];
extern const unsigned call_count;

struct plan {
    bool twos;
    unsigned three_in; /* one in so many sequences of three, by a fixed draw; 0: none */
    bool recover;      /* an image that each call alone leaves is recovered, and that crashes everywhere too */
};

/* Runs the plan until `enough` (NULL: never) says so; answers whether it went to the end. */
bool plan_run(struct bed *bed, const struct plan *plan, bool (*enough)(void *arg), void *arg);

#endif
