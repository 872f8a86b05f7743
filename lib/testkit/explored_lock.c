/* SPDX-License-Identifier: MIT */
/*
 * Sleep and wake-up of the explored lock's waiters, forwarded to the test harness. The lock itself
 * is lib/hosted/lock_atomic_ops.c.
 */
#include "explored_lock.h"

#include <stddef.h>

void (*e2dt_explored_sleep_hook)(const volatile void *at, uint32_t bits);
void (*e2dt_explored_wake_hook)(const volatile void *at, uint32_t bits);

void e2dt_explored_sleep(const volatile void *at, uint32_t bits)
{
    if (e2dt_explored_sleep_hook)
        e2dt_explored_sleep_hook(at, bits);
}

void e2dt_explored_wake(const volatile void *at, uint32_t bits)
{
    if (e2dt_explored_wake_hook)
        e2dt_explored_wake_hook(at, bits);
}
