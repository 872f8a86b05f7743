/* SPDX-License-Identifier: MIT */
/*
 * A depth-first search over the choice of the next thread. Every state is a decision, unless the
 * thread that ran is the only thread able to run.
 *
 * A frame is a state on the path from the first state to the current state. The thread that ran is
 * tried first, then each other thread. A visited state is not explored again, because all its
 * successors are known. With bounded preemptions a visited state is explored again if more
 * preemptions are left than in any earlier visit, and states also differ by the thread that ran
 * last.
 *
 * A state met again while still on the path closes a cycle. If every thread able to run in the
 * cycle has run, the cycle makes no progress and is a livelock. Otherwise a thread spins until
 * another thread runs, and the schedules running the other thread are tried as well. A cycle from
 * which no schedule reaches an end is also a livelock, detected after all schedules were tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer_internal.h"

#define ALONE   64u /* steps of the only thread able to run, before cycles are looked for */
#define LEARNED 32u /* most runs of threads in a schedule run only for learning */

static bool unbounded(const struct e2dt_frame *frame)
{
    return frame->preemptions == EXT2DAX_EXPLORER_ANY;
}

static bool goes_back_by_replay(const struct ext2dax_explorer *explorer)
{
    return (explorer->options.flags & EXT2DAX_EXPLORER_REPLAY) != 0;
}

/* ---- running and backtracking ---- */

/* Runs the thread until suspended, and adds the run to the schedule. */
static void step(struct ext2dax_explorer *explorer, uint32_t which)
{
    struct e2dt_thread *thread = &explorer->thread[which];
    uint32_t points = thread->points;

    e2dt_threads_run(explorer, which, 0);
    explorer->steps++;
    explorer->result->steps++;
    if (!e2dt_trace_add_turn(explorer, which,
                             thread->waiting == E2DT_ENDED ? E2DT_TO_THE_END : thread->points - points))
        ext2dax_explorer_fail(explorer, "no memory for the schedule");
    if (explorer->steps > explorer->options.most_steps)
        e2dt_search_endless(explorer);
}

/* Runs the turns again, from the first state. */
static void replay_turns(struct ext2dax_explorer *explorer, size_t turns, uint32_t last_points)
{
    e2dt_threads_begin(explorer);
    for (size_t i = 0; i < turns; i++) {
        const struct e2dt_turn *turn = &explorer->turn[i];
        uint32_t points = i + 1 == turns ? last_points : turn->points;

        e2dt_threads_run(explorer, turn->thread,
                         points == E2DT_TO_THE_END ? points : explorer->thread[turn->thread].points + points);
    }
}

/* Truncates the schedule to the part before the frame. */
static void rewind_turns(struct ext2dax_explorer *explorer, const struct e2dt_frame *frame)
{
    explorer->turns = frame->turns;
    if (frame->turns != 0)
        explorer->turn[frame->turns - 1].points = frame->last_points;
    explorer->steps = frame->steps;
}

static void go_back(struct ext2dax_explorer *explorer, const struct e2dt_frame *frame)
{
    if (goes_back_by_replay(explorer)) {
        e2dt_state_first(&explorer->state);
        replay_turns(explorer, frame->turns, frame->last_points);
    } else {
        e2dt_state_back(&explorer->state);
        e2dt_threads_restore(explorer, frame->stacks);
    }
    explorer->doomed = false;
    rewind_turns(explorer, frame);
}

/* ---- findings ---- */

void e2dt_search_deadlock(struct ext2dax_explorer *explorer)
{
    char text[200] = "", what[96];
    size_t at = 0;
    bool asleep = false;

    for (unsigned i = 0; i < explorer->threads && at < sizeof text; i++) {
        const struct e2dt_thread *thread = &explorer->thread[i];

        if (thread->waiting == E2DT_ENDED)
            continue;
        if (thread->waiting == E2DT_SLEEPS) {
            asleep = true;
            e2dt_trace_place(explorer, thread->at, what, sizeof what);
        } else {
            e2dt_lock_text(thread->at, what, sizeof what);
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %c %s %s", at == 0 ? "" : ",", (int)('a' + i),
                               thread->waiting == E2DT_SLEEPS ? "sleeps at" : "waits for", what);
    }
    ext2dax_explorer_fail(explorer, "%s:%s", asleep ? "lost wake-up" : "deadlock", text);
}

static void tell_circle(struct ext2dax_explorer *explorer)
{
    ext2dax_explorer_fail(explorer, "livelock: a state comes back although every thread that could went on");
}

void e2dt_search_circle(struct ext2dax_explorer *explorer, size_t from)
{
    uint32_t ran = 0, could = 0;

    /*
     * A thread able to run only in some states of the cycle counts as well, because a fair lock
     * grants a lock that is free now and then to its waiters.
     */
    for (size_t i = from; i < explorer->frames; i++) {
        ran |= (uint32_t)1 << explorer->frame[i].chosen;
        could |= explorer->frame[i].enabled;
    }
    if ((could & ~ran) == 0)
        tell_circle(explorer);
}

void e2dt_search_endless(struct ext2dax_explorer *explorer)
{
    ext2dax_explorer_fail(explorer, "livelock: no end after %u steps", (unsigned)explorer->options.most_steps);
}

/* ---- arrival in states ---- */

static void add_to_parent(struct ext2dax_explorer *explorer, double count)
{
    if (explorer->frames != 0)
        explorer->frame[explorer->frames - 1].count += count;
}

bool e2dt_search_push(struct ext2dax_explorer *explorer, const struct e2dt_frame *frame)
{
    if (explorer->frames == explorer->frame_room) {
        size_t room = explorer->frame_room * 2 + 64;
        struct e2dt_frame *wider = realloc(explorer->frame, room * sizeof *wider);

        if (!wider)
            return false;
        explorer->frame = wider;
        explorer->frame_room = room;
    }
    explorer->frame[explorer->frames++] = *frame;
    return true;
}

/* Records a step from the newest frame to a visited state, or to an end if NULL. */
static void leads_to(struct ext2dax_explorer *explorer, const struct e2dt_seen *seen)
{
    struct e2dt_frame *frame;

    if (explorer->frames == 0)
        return;
    frame = &explorer->frame[explorer->frames - 1];
    if (!seen || seen->order == 0)
        frame->ends = true;
    else if (seen->order < frame->low)
        frame->low = seen->order;
}

/* Arrives in a state with a decision. Pushes a frame if the state must be explored. */
static void arrive(struct ext2dax_explorer *explorer, uint32_t enabled, uint32_t last, uint32_t preemptions)
{
    struct e2dt_frame frame = {.enabled = enabled, .last = last, .preemptions = preemptions};
    bool bounded = preemptions != EXT2DAX_EXPLORER_ANY, fresh;
    struct e2dt_seen *seen;

    frame.key = e2dt_threads_key(explorer, e2dt_state_look(&explorer->state), bounded ? last : E2DT_NOBODY);
    seen = e2dt_state_seen(&explorer->state, frame.key, &fresh);
    if (!seen)
        goto no_memory;
    if (!fresh) {
        if (seen->frame != E2DT_NOBODY)
            e2dt_search_circle(explorer, seen->frame);
        leads_to(explorer, seen);
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
    seen->order = frame.order = frame.low = ++explorer->order;
    frame.undos = explorer->state.undos;
    frame.stacks = explorer->stacks_used;
    frame.turns = explorer->turns;
    frame.last_points = explorer->turns != 0 ? explorer->turn[explorer->turns - 1].points : 0;
    frame.steps = explorer->steps;
    frame.chosen = last != E2DT_NOBODY ? last : 0;
    if (e2dt_state_keep(&explorer->state) && (goes_back_by_replay(explorer) || e2dt_threads_keep(explorer)) &&
        e2dt_search_push(explorer, &frame))
        return;
no_memory:
    ext2dax_explorer_fail(explorer, "no memory to explore in");
}

/* Counts a schedule after all threads have ended, and checks a new end. */
static void end_of_schedule(struct ext2dax_explorer *explorer)
{
    const struct ext2dax_scenario *scenario = explorer->scenario;
    uint32_t points = 0;
    bool fresh;

    explorer->result->schedules++;
    add_to_parent(explorer, 1);
    leads_to(explorer, NULL);
    for (unsigned i = 0; i < explorer->threads; i++)
        points += explorer->thread[i].points;
    if (points > explorer->result->points)
        explorer->result->points = points;
    if (!e2dt_state_seen(&explorer->state, e2dt_threads_key(explorer, e2dt_state_look(&explorer->state), E2DT_NOBODY),
                         &fresh)) {
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
    e2dt_state_ran(&explorer->state);
}

/* ---- the search ---- */

static uint32_t next_choice(const struct e2dt_frame *frame)
{
    uint32_t left = frame->enabled & ~frame->tried;

    if (frame->last != E2DT_NOBODY && (left >> frame->last & 1) != 0)
        return frame->last;
    /* Switching away from a thread able to run is a preemption. */
    if (frame->last != E2DT_NOBODY && (frame->enabled >> frame->last & 1) != 0 && frame->preemptions == 0)
        return E2DT_NOBODY;
    return left == 0 ? E2DT_NOBODY : (uint32_t)__builtin_ctz(left);
}

/* Runs the chosen thread until the next decision. */
static void go_on(struct ext2dax_explorer *explorer, uint32_t chosen, uint32_t preemptions)
{
    uint64_t key, remembered = 0;
    uint32_t enabled, alone;
    bool all_ended;

    for (alone = 0;; alone++) {
        step(explorer, chosen);
        if (explorer->doomed)
            return;
        enabled = e2dt_threads_enabled(explorer, &all_ended);
        if (all_ended) {
            end_of_schedule(explorer);
            return;
        }
        if (enabled == 0) {
            e2dt_search_deadlock(explorer);
            return;
        }
        if (enabled != (uint32_t)1 << chosen) {
            arrive(explorer, enabled, chosen, preemptions);
            return;
        }
        /*
         * No other thread can end the current behaviour. A recurring state therefore recurs
         * forever.
         */
        if (alone < ALONE)
            continue;
        key = e2dt_threads_key(explorer, e2dt_state_look(&explorer->state), E2DT_NOBODY);
        if (key == remembered) {
            tell_circle(explorer);
            return;
        }
        if ((alone & (alone - 1)) == 0)
            remembered = key;
    }
}

/*
 * Finds strongly connected states with Tarjan's algorithm. A frame from which no older frame is
 * reachable is the first of such a set. The other states of the set are in `open` since the search
 * left them. If no state of the set leads to an end, no schedule from the set ends.
 */
static bool close_set(struct ext2dax_explorer *explorer, struct e2dt_frame *frame)
{
    bool fresh;

    if (frame->low != frame->order)
        return true;
    if (!frame->ends) {
        rewind_turns(explorer, frame);
        frame->chosen = frame->last;
        tell_circle(explorer);
        return false;
    }
    while (explorer->opens != 0) {
        struct e2dt_seen *seen = e2dt_state_seen(&explorer->state, explorer->open[explorer->opens - 1], &fresh);

        if (!seen || seen->order < frame->order)
            break;
        seen->order = 0;
        explorer->opens--;
    }
    return true;
}

static bool leave_open(struct ext2dax_explorer *explorer, uint64_t key)
{
    if (explorer->opens == explorer->open_room) {
        size_t room = explorer->open_room * 2 + 64;
        uint64_t *wider = realloc(explorer->open, room * sizeof *wider);

        if (!wider)
            return false;
        explorer->open = wider;
        explorer->open_room = room;
    }
    explorer->open[explorer->opens++] = key;
    return true;
}

static void pop(struct ext2dax_explorer *explorer)
{
    struct e2dt_frame *frame = &explorer->frame[explorer->frames - 1], *before;
    double count = frame->count;
    bool fresh, counts = unbounded(frame);
    struct e2dt_seen *seen = e2dt_state_seen(&explorer->state, frame->key, &fresh);

    if (counts && !close_set(explorer, frame))
        return;
    if (!seen || (counts && frame->low != frame->order && !leave_open(explorer, frame->key))) {
        ext2dax_explorer_fail(explorer, "no memory to explore in");
        return;
    }
    seen->frame = E2DT_NOBODY;
    if (counts)
        seen->count = count;
    if (frame->low == frame->order)
        seen->order = 0;
    e2dt_state_drop(&explorer->state, frame->undos);
    explorer->stacks_used = frame->stacks;
    explorer->frames--;
    add_to_parent(explorer, counts ? count : 0);
    if (explorer->frames == 0) {
        explorer->result->covered = counts ? count : 0;
        return;
    }
    before = frame - 1;
    before->ends = before->ends || frame->ends;
    if (frame->low < before->low)
        before->low = frame->low;
}

static void back_to_the_first(struct ext2dax_explorer *explorer)
{
    e2dt_state_drop(&explorer->state, 0);
    e2dt_state_back(&explorer->state);
    e2dt_state_forget(&explorer->state);
    explorer->frames = 0;
    explorer->stacks_used = 0;
    explorer->opens = 0;
    explorer->order = 0;
    explorer->doomed = false;
    e2dt_threads_begin(explorer);
}

void e2dt_search_end(struct ext2dax_explorer *explorer)
{
    back_to_the_first(explorer);
}

/* Runs all threads to their ends, once with each thread as the first. */
void e2dt_search_learn(struct ext2dax_explorer *explorer)
{
    for (unsigned first = 0; first < explorer->threads; first++) {
        uint32_t enabled, which = first, points;
        bool all_ended = false;

        back_to_the_first(explorer);
        while ((enabled = e2dt_threads_enabled(explorer, &all_ended)) != 0 && !explorer->doomed &&
               explorer->steps++ < LEARNED) {
            while ((enabled >> which & 1) == 0)
                which = (which + 1) % explorer->threads;
            points = explorer->thread[which].points + E2DT_ON_AND_ON;
            e2dt_threads_run(explorer, which, points);
            /* The thread may be waiting for another thread. */
            if (explorer->thread[which].points == points)
                which = (which + 1) % explorer->threads;
        }
    }
    /* Any failure here recurs in a schedule with an id. */
    explorer->result->finding[0] = '\0';
    explorer->learned = false;
}

static bool explore_once(struct ext2dax_explorer *explorer, uint32_t preemptions)
{
    const struct ext2dax_explorer_options *options = &explorer->options;
    bool here = true, all_ended;

    back_to_the_first(explorer);
    arrive(explorer, e2dt_threads_enabled(explorer, &all_ended), E2DT_NOBODY, preemptions);
    while (explorer->frames != 0 && !explorer->doomed && !explorer->learned) {
        struct e2dt_frame *frame = &explorer->frame[explorer->frames - 1];
        uint32_t chosen = next_choice(frame), left = frame->preemptions;
        size_t frames = explorer->frames;

        if (chosen == E2DT_NOBODY) {
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
        if (left != EXT2DAX_EXPLORER_ANY && frame->last != E2DT_NOBODY && chosen != frame->last &&
            (frame->enabled >> frame->last & 1) != 0)
            left--;
        go_on(explorer, chosen, left);
        here = explorer->frames > frames;
    }
    return !explorer->doomed;
}

uint32_t e2dt_search_preemptions(const struct ext2dax_explorer *explorer)
{
    uint32_t count = 0;

    for (size_t i = 0; i < explorer->frames; i++) {
        const struct e2dt_frame *frame = &explorer->frame[i];

        if (frame->last != E2DT_NOBODY && frame->chosen != frame->last && (frame->enabled >> frame->last & 1) != 0)
            count++;
    }
    return count;
}

bool e2dt_search(struct ext2dax_explorer *explorer, uint32_t preemptions)
{
    bool sound = true;

    if ((explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) != 0)
        e2dt_search_learn(explorer);
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
