/* SPDX-License-Identifier: MIT */
/*
 * What a thread holds, as the lock-order checker sees it. A bench whose threads are coroutines of one thread points
 * `e2d_lock_holds_now` at the running one's.
 */
#ifndef E2D_LOCK_ORDER_HOLDS_H
#define E2D_LOCK_ORDER_HOLDS_H

#include <stdbool.h>

#define E2D_LOCK_HOLDS 32u /* that one thread can have at a time, those it lost with an abandoned mount included */

struct e2d_lock_hold {
    void *record;
    unsigned order;
    bool exclusive;
};

struct e2d_lock_holds {
    struct e2d_lock_hold held[E2D_LOCK_HOLDS];
    unsigned count;
};

/* NULL: the thread's own. */
extern _Thread_local struct e2d_lock_holds *e2d_lock_holds_now;

#endif
