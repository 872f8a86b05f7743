/* SPDX-License-Identifier: MIT */
/*
 * The calls and the workloads made of them. Each call alone, each pair, and a part of all sequences
 * of three.
 */
#ifndef TESTS_CRASH_PLAN_H
#define TESTS_CRASH_PLAN_H

#include "crash_fixture.h"

extern const struct call calls[];
extern const unsigned call_count;

struct plan {
    bool twos;
    /* run 1 in this many sequences of three, by a fixed pseudorandom draw, or none if 0 */
    unsigned three_in;
    bool recover; /* recover an image left by each single call, and crash the recovery too */
};

/*
 * Runs the plan until `enough` returns true. A NULL `enough` never stops the plan. Returns whether
 * the plan ran to its end.
 */
bool plan_run(struct crash_fixture *fixture, const struct plan *plan, bool (*enough)(void *arg), void *arg);

#endif
