/* SPDX-License-Identifier: MIT */
/*
 * The platform of lock_atomic_ops.c when explored. Every atomic is a yield point, and the test
 * harness implements sleeping.
 */
#ifndef E2DT_TESTKIT_EXPLORED_PLATFORM_H
#define E2DT_TESTKIT_EXPLORED_PLATFORM_H

#include "explored_lock.h"
#include "base/instrument.h"

#define E2DH_LOCK_SPINS 1u /* sufficient, because everything between two loads is explored */

static inline AO_t e2dh_word_load(const volatile AO_t *at)
{
    E2D_YIELD(E2D_YIELD_LOAD, at);
    return AO_load(at);
}
static inline bool e2dh_word_swap(volatile AO_t *at, AO_t from, AO_t to)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    return AO_compare_and_swap(at, from, to);
}
static inline bool e2dh_word_swap_acquire(volatile AO_t *at, AO_t from, AO_t to)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    return AO_compare_and_swap_acquire(at, from, to);
}
static inline bool e2dh_word_swap_release(volatile AO_t *at, AO_t from, AO_t to)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    return E2D_MUTANT(UNLOCK_RELAXED) ? AO_compare_and_swap(at, from, to) : AO_compare_and_swap_release(at, from, to);
}
static inline void e2dh_relax(void)
{
}
static inline void e2dh_give_way(void)
{
}
static inline void e2dh_sleep_on(volatile AO_t *at, AO_t seen, uint32_t bits)
{
    E2D_YIELD(E2D_YIELD_LOAD, at);
    if (E2D_MUTANT(LOCK_SLEEPS_UNCHECKED) || (uint32_t)AO_load(at) == (uint32_t)seen)
        e2dt_explored_sleep(at, bits);
}
static inline void e2dh_wake(volatile AO_t *at, uint32_t bits)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    if (!E2D_MUTANT(LOCK_WAKE_LOST))
        e2dt_explored_wake(at, bits);
}

#endif
