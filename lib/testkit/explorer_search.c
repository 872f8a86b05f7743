/* SPDX-License-Identifier: MIT */
/*
 * The search: depth first over who goes on, at every state in which more than one thread may.
 *
 * A frame is a state on the way from the first one to the present. What is tried first is that the thread which ran goes
 * on; then each other. A state that was explored before is not entered again: everything that can follow it is known. With
 * bounded preemptions it is, if more of them are left than ever before, and states also differ by who ran last.
 *
 * A state met again on the way to itself is a circle. If every thread that could run in it did, nothing will ever come of it:
 * a livelock. Otherwise one thread spins until another, which may go on, does; the schedules in which it does are tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer.h"

static bool unbounded(const struct e2d_frame *frame)
{
    return frame->preemptions == EXT2DAX_EXPLORER_ANY;
}

static bool goes_back_by_replay(const struct ext2dax_explorer *explorer)
{
    return (explorer->options.flags & EXT2DAX_EXPLORER_REPLAY) != 0;
}

/* ---- threads ---- */

static void thread_main(void *arg)
{
    struct e2d_thread *thread = arg;
    struct ext2dax_explorer *explorer = thread->explorer;

    explorer->scenario->thread[thread - explorer->thread].run(explorer->scenario->arg);
}

static void begin_threads(struct ext2dax_explorer *explorer)
{
    for (unsigned i = 0; i < explorer->threads; i++) {
        struct e2d_thread *thread = &explorer->thread[i];

        thread->explorer = explorer;
        thread->waiting = E2D_RUNNABLE;
        thread->at = NULL;
        thread->points = thread->limit = 0;
        memset(&thread->holds, 0, sizeof thread->holds);
        e2d_coroutine_begin(&thread->coroutine, thread_main, thread);
    }
    explorer->turns = 0;
    explorer->steps = 0;
}

/* Lets the thread run to its next point, or with a limit through that many of them. */
static void run(struct ext2dax_explorer *explorer, uint32_t which, uint32_t limit)
{
    struct e2d_thread *thread = &explorer->thread[which];

    thread->limit = limit;
    explorer->current = which;
    e2d_lock_holds_now = &thread->holds;
    e2d_state_ran(&explorer->state);
    e2d_coroutine_enter(&thread->coroutine);
    e2d_lock_holds_now = NULL;
    explorer->current = E2D_NOBODY;
    if (thread->coroutine.done)
        thread->waiting = E2D_ENDED;
}

static void step(struct ext2dax_explorer *explorer, uint32_t which)
{
    struct e2d_thread *thread = &explorer->thread[which];
    uint32_t points = thread->points;

    run(explorer, which, 0);
    explorer->steps++;
    explorer->result->steps++;
    if (!e2d_trace_add_turn(explorer, which, thread->waiting == E2D_ENDED ? E2D_TO_THE_END : thread->points - points))
        ext2dax_explorer_fail(explorer, "no memory for the schedule");
    if (explorer->steps > explorer->options.most_steps)
        ext2dax_explorer_fail(explorer, "livelock: no end after %u steps", (unsigned)explorer->steps);
}

static uint32_t enabled_threads(const struct ext2dax_explorer *explorer, bool *all_ended)
{
    uint32_t enabled = 0;

    *all_ended = true;
    for (unsigned i = 0; i < explorer->threads; i++) {
        *all_ended = *all_ended && explorer->thread[i].waiting == E2D_ENDED;
        if (e2d_enabled(&explorer->thread[i]))
            enabled |= (uint32_t)1 << i;
    }
    return enabled;
}

/* ---- going back ---- */

static size_t stack_used(const struct e2d_thread *thread)
{
    const struct e2d_coroutine *coroutine = &thread->coroutine;

    return thread->waiting == E2D_ENDED ? 0 : (size_t)(coroutine->stack + coroutine->stack_size - coroutine->sp);
}

/* What a thread is, but for its stack. */
static uint64_t thread_hash(const struct e2d_thread *thread)
{
    uint64_t hash = e2d_state_mix((uint64_t)thread->waiting << 56 ^ (uint64_t)(uintptr_t)thread->at);
    size_t used = stack_used(thread);

    if (used != 0)
        hash = e2d_state_mix(hash ^ used) + e2d_state_hash(thread->coroutine.sp, used);
    if (thread->holds.count != 0)
        hash = e2d_state_mix(hash ^
                             e2d_state_hash(thread->holds.held, thread->holds.count * sizeof thread->holds.held[0]));
    return hash;
}

static uint64_t key_of(const struct ext2dax_explorer *explorer, uint64_t sum, uint32_t last)
{
    for (unsigned i = 0; i < explorer->threads; i++)
        sum = e2d_state_mix(sum + thread_hash(&explorer->thread[i]));
    if (last != E2D_NOBODY)
        sum = e2d_state_mix(sum + 1 + last);
    return sum == 0 ? 1 : sum;
}

static bool keep_stacks(struct ext2dax_explorer *explorer)
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
        const struct e2d_thread *thread = &explorer->thread[i];
        size_t used = stack_used(thread);

        memcpy(explorer->stacks + explorer->stacks_used, thread, sizeof *thread);
        explorer->stacks_used += sizeof *thread;
        memcpy(explorer->stacks + explorer->stacks_used, thread->coroutine.sp, used);
        explorer->stacks_used += used;
    }
    return true;
}

static void restore_stacks(struct ext2dax_explorer *explorer, size_t at)
{
    for (unsigned i = 0; i < explorer->threads; i++) {
        struct e2d_thread *thread = &explorer->thread[i];
        size_t used;

        memcpy(thread, explorer->stacks + at, sizeof *thread);
        at += sizeof *thread;
        used = stack_used(thread);
        memcpy(thread->coroutine.sp, explorer->stacks + at, used);
        at += used;
    }
}

/* Runs the turns again, from the first state. */
static void replay_turns(struct ext2dax_explorer *explorer, size_t turns, uint32_t last_points)
{
    begin_threads(explorer);
    for (size_t i = 0; i < turns; i++) {
        const struct e2d_turn *turn = &explorer->turn[i];
        uint32_t points = i + 1 == turns ? last_points : turn->points;

        run(explorer, turn->thread, points == E2D_TO_THE_END ? points : explorer->thread[turn->thread].points + points);
    }
}

static void go_back(struct ext2dax_explorer *explorer, const struct e2d_frame *frame)
{
    if (goes_back_by_replay(explorer)) {
        e2d_state_first(&explorer->state);
        replay_turns(explorer, frame->turns, frame->last_points);
    } else {
        e2d_state_back(&explorer->state);
        restore_stacks(explorer, frame->stacks);
    }
    explorer->doomed = false;
    explorer->turns = frame->turns;
    if (frame->turns != 0)
        explorer->turn[frame->turns - 1].points = frame->last_points;
    explorer->steps = frame->steps;
}

/* ---- findings ---- */

static void tell_deadlock(struct ext2dax_explorer *explorer)
{
    char text[200] = "", what[96];
    size_t at = 0;
    bool asleep = false;

    for (unsigned i = 0; i < explorer->threads && at < sizeof text; i++) {
        const struct e2d_thread *thread = &explorer->thread[i];

        if (thread->waiting == E2D_ENDED)
            continue;
        if (thread->waiting == E2D_SLEEPS) {
            asleep = true;
            e2d_trace_place(explorer, thread->at, what, sizeof what);
        } else {
            e2d_lock_text(thread->at, what, sizeof what);
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %c %s %s", at == 0 ? "" : ",", (int)('a' + i),
                               thread->waiting == E2D_SLEEPS ? "sleeps at" : "waits for", what);
    }
    ext2dax_explorer_fail(explorer, "%s:%s", asleep ? "lost wake-up" : "deadlock", text);
}

/* The state at frames[from] has come back. */
static void look_at_circle(struct ext2dax_explorer *explorer, size_t from)
{
    uint32_t ran = 0;

    for (size_t i = from; i < explorer->frames; i++)
        ran |= (uint32_t)1 << explorer->frame[i].chosen;
    if ((explorer->frame[from].enabled & ~ran) == 0)
        ext2dax_explorer_fail(explorer, "livelock: a state comes back although every thread that could went on");
}

/* ---- arriving in states ---- */

static void add_to_parent(struct ext2dax_explorer *explorer, double count)
{
    if (explorer->frames != 0)
        explorer->frame[explorer->frames - 1].count += count;
}

static bool push(struct ext2dax_explorer *explorer, const struct e2d_frame *frame)
{
    if (explorer->frames == explorer->frame_room) {
        size_t room = explorer->frame_room * 2 + 64;
        struct e2d_frame *wider = realloc(explorer->frame, room * sizeof *wider);

        if (!wider)
            return false;
        explorer->frame = wider;
        explorer->frame_room = room;
    }
    explorer->frame[explorer->frames++] = *frame;
    return true;
}

/* A state in which somebody decides who goes on. Pushes a frame where it is new. */
static void arrive(struct ext2dax_explorer *explorer, uint32_t enabled, uint32_t last, uint32_t preemptions)
{
    struct e2d_frame frame = {.enabled = enabled, .last = last, .preemptions = preemptions};
    bool bounded = preemptions != EXT2DAX_EXPLORER_ANY, fresh;
    struct e2d_seen *seen;

    frame.key = key_of(explorer, e2d_state_look(&explorer->state), bounded ? last : E2D_NOBODY);
    seen = e2d_state_seen(&explorer->state, frame.key, &fresh);
    if (!seen)
        goto no_memory;
    if (!fresh) {
        if (seen->frame != E2D_NOBODY)
            look_at_circle(explorer, seen->frame);
        if (!bounded || seen->count > preemptions) {
            explorer->result->pruned++;
            add_to_parent(explorer, bounded ? 0 : seen->count);
            return;
        }
    } else if (explorer->scenario->step) {
        explorer->scenario->step(explorer->scenario->arg);
        if (explorer->doomed)
            return;
    }
    seen->count = bounded ? preemptions + 1.0 : 0;
    seen->frame = (uint32_t)explorer->frames;
    frame.undos = explorer->state.undos;
    frame.stacks = explorer->stacks_used;
    frame.turns = explorer->turns;
    frame.last_points = explorer->turns != 0 ? explorer->turn[explorer->turns - 1].points : 0;
    frame.steps = explorer->steps;
    frame.chosen = last != E2D_NOBODY ? last : 0;
    if (e2d_state_keep(&explorer->state) && (goes_back_by_replay(explorer) || keep_stacks(explorer)) &&
        push(explorer, &frame))
        return;
no_memory:
    ext2dax_explorer_fail(explorer, "no memory to explore in");
}

/* All threads are done. */
static void end_of_schedule(struct ext2dax_explorer *explorer)
{
    const struct ext2dax_scenario *scenario = explorer->scenario;
    uint32_t points = 0;
    bool fresh;

    explorer->result->schedules++;
    add_to_parent(explorer, 1);
    for (unsigned i = 0; i < explorer->threads; i++)
        points += explorer->thread[i].points;
    if (points > explorer->result->points)
        explorer->result->points = points;
    if (!e2d_state_seen(&explorer->state, key_of(explorer, e2d_state_look(&explorer->state), E2D_NOBODY), &fresh)) {
        ext2dax_explorer_fail(explorer, "no memory to explore in");
        return;
    }
    if (!fresh)
        return;
    explorer->result->ends++;
    if (scenario->step)
        scenario->step(scenario->arg);
    if (scenario->finish && !explorer->doomed)
        scenario->finish(scenario->arg);
    e2d_state_ran(&explorer->state);
}

/* ---- the search ---- */

static uint32_t next_choice(const struct e2d_frame *frame)
{
    uint32_t left = frame->enabled & ~frame->tried;

    if (frame->last != E2D_NOBODY && (left >> frame->last & 1) != 0)
        return frame->last;
    /* Leaving a thread that could go on is a preemption. */
    if (frame->last != E2D_NOBODY && (frame->enabled >> frame->last & 1) != 0 && frame->preemptions == 0)
        return E2D_NOBODY;
    return left == 0 ? E2D_NOBODY : (uint32_t)__builtin_ctz(left);
}

/* The chosen thread goes on, until somebody has to decide again. */
static void go_on(struct ext2dax_explorer *explorer, uint32_t chosen, uint32_t preemptions)
{
    uint32_t enabled;
    bool all_ended;

    for (;;) {
        step(explorer, chosen);
        if (explorer->doomed)
            return;
        enabled = enabled_threads(explorer, &all_ended);
        if (all_ended) {
            end_of_schedule(explorer);
            return;
        }
        if (enabled == 0) {
            tell_deadlock(explorer);
            return;
        }
        if (enabled != (uint32_t)1 << chosen) {
            arrive(explorer, enabled, chosen, preemptions);
            return;
        }
    }
}

static void pop(struct ext2dax_explorer *explorer)
{
    const struct e2d_frame *frame = &explorer->frame[explorer->frames - 1];
    double count = frame->count;
    bool fresh, counts = unbounded(frame);
    struct e2d_seen *seen = e2d_state_seen(&explorer->state, frame->key, &fresh);

    if (seen) {
        seen->frame = E2D_NOBODY;
        if (counts)
            seen->count = count;
    }
    e2d_state_drop(&explorer->state, frame->undos);
    explorer->stacks_used = frame->stacks;
    explorer->frames--;
    add_to_parent(explorer, counts ? count : 0);
    if (explorer->frames == 0)
        explorer->result->covered = counts ? count : 0;
}

static void back_to_the_first(struct ext2dax_explorer *explorer)
{
    e2d_state_drop(&explorer->state, 0);
    e2d_state_back(&explorer->state);
    e2d_state_forget(&explorer->state);
    explorer->frames = 0;
    explorer->stacks_used = 0;
    explorer->doomed = false;
    begin_threads(explorer);
}

void e2d_search_end(struct ext2dax_explorer *explorer)
{
    back_to_the_first(explorer);
}

/* Every thread to its end, in each order: shows most of what is shared before anything is explored. */
static void learn(struct ext2dax_explorer *explorer)
{
    for (unsigned first = 0; first < explorer->threads; first++) {
        bool all_ended = false;
        uint32_t enabled;

        back_to_the_first(explorer);
        while ((enabled = enabled_threads(explorer, &all_ended)) != 0 && !explorer->doomed &&
               explorer->steps++ <= explorer->options.most_steps) {
            uint32_t which = first;

            while ((enabled >> which & 1) == 0)
                which = (which + 1) % explorer->threads;
            run(explorer, which, E2D_TO_THE_END);
        }
    }
    explorer->learned = false;
}

static bool explore_once(struct ext2dax_explorer *explorer, uint32_t preemptions)
{
    const struct ext2dax_explorer_options *options = &explorer->options;
    bool here = true, all_ended;

    back_to_the_first(explorer);
    arrive(explorer, enabled_threads(explorer, &all_ended), E2D_NOBODY, preemptions);
    while (explorer->frames != 0 && !explorer->doomed && !explorer->learned) {
        struct e2d_frame *frame = &explorer->frame[explorer->frames - 1];
        uint32_t chosen = next_choice(frame), left = frame->preemptions;
        size_t frames = explorer->frames;

        if (chosen == E2D_NOBODY) {
            pop(explorer);
            here = false;
            continue;
        }
        if (options->most_states != 0 && explorer->state.seen_count > options->most_states) {
            explorer->result->complete = false;
            return true;
        }
        if (!here)
            go_back(explorer, frame);
        frame->tried |= (uint32_t)1 << chosen;
        frame->chosen = chosen;
        if (left != EXT2DAX_EXPLORER_ANY && frame->last != E2D_NOBODY && chosen != frame->last &&
            (frame->enabled >> frame->last & 1) != 0)
            left--;
        go_on(explorer, chosen, left);
        here = explorer->frames > frames;
    }
    return !explorer->doomed;
}

bool e2d_search(struct ext2dax_explorer *explorer, uint32_t preemptions)
{
    bool sound;

    if ((explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) != 0)
        learn(explorer);
    do {
        explorer->result->rounds++;
        explorer->result->complete = true;
        explorer->learned = false;
        explorer->result->ends = 0;
        sound = explore_once(explorer, preemptions);
        explorer->result->states = explorer->state.seen_count;
    } while (sound && explorer->learned);
    return sound;
}

bool e2d_search_replay(struct ext2dax_explorer *explorer)
{
    struct e2d_turn *turn = explorer->turn;
    size_t turns = explorer->turns;
    bool all_ended;
    uint32_t enabled;

    back_to_the_first(explorer);
    if (explorer->line)
        e2d_trace_head(explorer);
    for (size_t i = 0; i < turns && !explorer->doomed; i++) {
        struct e2d_thread *thread = &explorer->thread[turn[i].thread];

        if (!e2d_enabled(thread)) {
            explorer->turns = 0;
            return false;
        }
        run(explorer, turn[i].thread,
            turn[i].points == E2D_TO_THE_END ? E2D_TO_THE_END : thread->points + turn[i].points);
        if (explorer->scenario->step && !explorer->doomed)
            explorer->scenario->step(explorer->scenario->arg);
    }
    explorer->turns = turns;
    while (!explorer->doomed && (enabled = enabled_threads(explorer, &all_ended)) != 0) {
        run(explorer, (uint32_t)__builtin_ctz(enabled), E2D_TO_THE_END);
        if (explorer->scenario->step && !explorer->doomed)
            explorer->scenario->step(explorer->scenario->arg);
    }
    if (explorer->doomed)
        return true;
    if (enabled_threads(explorer, &all_ended) == 0 && !all_ended)
        tell_deadlock(explorer);
    else if (explorer->scenario->finish)
        explorer->scenario->finish(explorer->scenario->arg);
    return true;
}
