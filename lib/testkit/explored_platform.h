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

/* Few entries, so that readers without one are explored too. */
#define E2DH_READER_LINES 1u
#define E2DH_LINE_ENTRIES 2u
/* The threads of the explorer are coroutines, so a record may serve any of them. */
#define E2DH_PER_THREAD
#define E2DH_BIAS_UNCHECKED    E2D_MUTANT(LOCK_BIAS_UNCHECKED)
#define E2DH_BIAS_UNWAITED     E2D_MUTANT(LOCK_BIAS_UNWAITED)
#define E2DH_ENTRIES_FORGOTTEN E2D_MUTANT(LOCK_ENTRIES_FORGOTTEN)

static inline AO_t e2dh_word_load_acquire(const volatile AO_t *at)
{
    E2D_YIELD(E2D_YIELD_LOAD, at);
    return AO_load_acquire(at);
}
static inline bool e2dh_entry_take(volatile AO_t *at, AO_t lock)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    return AO_compare_and_swap_full(at, 0, lock);
}
static inline void e2dh_entry_leave(volatile AO_t *at)
{
    E2D_YIELD(E2D_YIELD_STORE, at);
    if (E2D_MUTANT(ENTRY_LEFT_RELAXED))
        AO_store(at, 0);
    else
        AO_store_release(at, 0);
    e2dt_explored_wake(at, 1);
}
static inline AO_t e2dh_entry_load(const volatile AO_t *at)
{
    E2D_YIELD(E2D_YIELD_LOAD, at);
    return AO_load_acquire(at);
}
static inline void e2dh_before_entries(void)
{
    AO_nop_full();
}
static inline unsigned e2dh_next_line(void)
{
    return 0;
}
static inline void e2dh_wait_for_reader(const volatile AO_t *at, unsigned turn)
{
    (void)turn;
    E2D_YIELD(E2D_YIELD_LOAD, at);
    if (AO_load(at) != 0)
        e2dt_explored_sleep(at, 1);
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
