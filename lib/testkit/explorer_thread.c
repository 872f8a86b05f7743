/* SPDX-License-Identifier: MIT */
/*
 * Starting threads, running a thread, and saving and restoring all threads.
 *
 * The state of a suspended thread consists of the stack from the stack pointer upwards and the
 * struct. Both are saved with a state. The key of a state includes the stack, the lock or address
 * waited for, and the locks held.
 */
#include <stdlib.h>
#include <string.h>

#include "explorer_internal.h"

static void thread_main(void *arg)
{
    struct e2dt_thread *thread = arg;
    struct ext2dax_explorer *explorer = thread->explorer;

    explorer->scenario->thread[thread - explorer->thread].run(explorer->scenario->arg);
}

void e2dt_threads_begin(struct ext2dax_explorer *explorer)
{
    for (unsigned i = 0; i < explorer->threads; i++) {
        struct e2dt_thread *thread = &explorer->thread[i];

        thread->explorer = explorer;
        thread->waiting = E2DT_RUNNABLE;
        thread->at = NULL;
        thread->points = thread->limit = thread->passed = 0;
        thread->announced = false;
        memset(&thread->holds, 0, sizeof thread->holds);
        e2dt_coroutine_begin(&thread->coroutine, thread_main, thread);
    }
    explorer->turns = 0;
    explorer->steps = 0;
}

void e2dt_threads_run(struct ext2dax_explorer *explorer, uint32_t which, uint32_t limit)
{
    struct e2dt_thread *thread = &explorer->thread[which];

    thread->limit = limit;
    explorer->current = which;
    e2dt_lock_holds_now = &thread->holds;
    e2dt_state_ran(&explorer->state);
    e2dt_coroutine_enter(&thread->coroutine);
    e2dt_lock_holds_now = NULL;
    explorer->current = E2DT_NOBODY;
    if (thread->coroutine.done)
        thread->waiting = E2DT_ENDED;
}

uint32_t e2dt_threads_enabled(const struct ext2dax_explorer *explorer, bool *all_ended)
{
    uint32_t enabled = 0;

    *all_ended = true;
    for (unsigned i = 0; i < explorer->threads; i++) {
        *all_ended = *all_ended && explorer->thread[i].waiting == E2DT_ENDED;
        if (e2dt_enabled(&explorer->thread[i]))
            enabled |= (uint32_t)1 << i;
    }
    return enabled;
}

static size_t stack_used(const struct e2dt_thread *thread)
{
    const struct e2dt_coroutine *coroutine = &thread->coroutine;

    return thread->waiting == E2DT_ENDED ? 0 : (size_t)(coroutine->stack + coroutine->stack_size - coroutine->sp);
}

static uint64_t thread_hash(const struct e2dt_thread *thread)
{
    uint64_t hash = e2dt_state_mix((uint64_t)thread->waiting << 56 ^ (uint64_t)(uintptr_t)thread->at);
    size_t used = stack_used(thread);

    if (used != 0) {
        hash = e2dt_state_mix(hash ^ used) + e2dt_state_hash(thread->coroutine.sp, used);
#if !E2DT_COROUTINE_ASSEMBLY
        /* The registers are not on the stack. */
        hash = e2dt_state_mix(hash) + e2dt_state_hash(&thread->coroutine.context, sizeof thread->coroutine.context);
#endif
    }
    if (thread->holds.count != 0)
        hash = e2dt_state_mix(hash ^
                              e2dt_state_hash(thread->holds.held, thread->holds.count * sizeof thread->holds.held[0]));
    return hash;
}

uint64_t e2dt_threads_key(const struct ext2dax_explorer *explorer, uint64_t sum, uint32_t last)
{
    for (unsigned i = 0; i < explorer->threads; i++)
        sum = e2dt_state_mix(sum + thread_hash(&explorer->thread[i]));
    if (last != E2DT_NOBODY)
        sum = e2dt_state_mix(sum + 1 + last);
    return sum == 0 ? 1 : sum;
}

bool e2dt_threads_keep(struct ext2dax_explorer *explorer)
{
    size_t need = 0;

    for (unsigned i = 0; i < explorer->threads; i++)
        need += sizeof explorer->thread[i] + stack_used(&explorer->thread[i]);
    if (explorer->stacks_used + need > explorer->stacks_room) {
        size_t room = (explorer->stacks_used + need) * 2;
        unsigned char *wider = realloc(explorer->stacks, room);

        if (!wider)
            return false;
        explorer->stacks = wider;
        explorer->stacks_room = room;
    }
    for (unsigned i = 0; i < explorer->threads; i++) {
        const struct e2dt_thread *thread = &explorer->thread[i];
        size_t used = stack_used(thread);

        memcpy(explorer->stacks + explorer->stacks_used, thread, sizeof *thread);
        explorer->stacks_used += sizeof *thread;
        memcpy(explorer->stacks + explorer->stacks_used, thread->coroutine.sp, used);
        explorer->stacks_used += used;
    }
    return true;
}

void e2dt_threads_restore(struct ext2dax_explorer *explorer, size_t at)
{
    for (unsigned i = 0; i < explorer->threads; i++) {
        struct e2dt_thread *thread = &explorer->thread[i];
        size_t used;

        memcpy(thread, explorer->stacks + at, sizeof *thread);
        at += sizeof *thread;
        used = stack_used(thread);
        memcpy(thread->coroutine.sp, explorer->stacks + at, used);
        at += used;
    }
}
