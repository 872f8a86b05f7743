/* SPDX-License-Identifier: MIT */
/*
 * The locks held by a thread, as recorded by the lock-order checker. A test harness running its
 * threads as coroutines of a single thread points `e2dt_lock_holds_now` at the holds of the running
 * coroutine.
 */
#ifndef E2DT_LOCK_ORDER_HOLDS_H
#define E2DT_LOCK_ORDER_HOLDS_H

#include <stdbool.h>

/* Most locks a thread can hold at a time, including locks lost with an abandoned mount. */
#define E2DT_LOCK_HOLDS 32u

struct e2dt_lock_hold {
    void *record;
    unsigned order;
    bool exclusive;
};

struct e2dt_lock_holds {
    struct e2dt_lock_hold held[E2DT_LOCK_HOLDS];
    unsigned count;
};

/* NULL for the thread's own holds. */
extern _Thread_local struct e2dt_lock_holds *e2dt_lock_holds_now;

#endif
