/* SPDX-License-Identifier: MIT */
/* Decides if a thread can run, from the state of the lock waited for. */
#include <stdio.h>

#include "explorer_internal.h"
#include "lock_class.h"

bool e2dt_lock_is_free(const struct e2dt_lock_state *lock, bool exclusive)
{
    return lock->writer == 0 && (exclusive ? lock->readers == 0 : lock->queued == 0);
}

void e2dt_lock_text(const struct e2dt_lock_state *lock, char *text, size_t size)
{
    snprintf(text, size, "%s %llu", e2dt_lock_class_name(lock->lock_class), (unsigned long long)lock->number);
}

bool e2dt_enabled(const struct e2dt_thread *thread)
{
    switch (thread->waiting) {
    case E2DT_RUNNABLE:
        return true;
    case E2DT_WAITS_SHARED:
        return e2dt_lock_is_free(thread->at, false);
    case E2DT_WAITS_EXCLUSIVE:
        return e2dt_lock_is_free(thread->at, true);
    default:
        return false;
    }
}
