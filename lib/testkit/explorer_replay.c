/* SPDX-License-Identifier: MIT */
/*
 * Replay of a single schedule by id. Every point is a separate state here, so that a cycle is
 * detected at any point. A frame is pushed for every point, without saving any state.
 */
#include "explorer_internal.h"

/*
 * Records the current state. Returns the frame of the first visit, or E2DT_NOBODY for a new state.
 */
static uint32_t note(struct ext2dax_explorer *explorer)
{
    struct e2dt_seen *seen;
    bool fresh;

    seen = e2dt_state_seen(&explorer->state, e2dt_threads_key(explorer, e2dt_state_look(&explorer->state), E2DT_NOBODY),
                           &fresh);
    if (!seen) {
        ext2dax_explorer_fail(explorer, "no memory to explore in");
        return E2DT_NOBODY;
    }
    if (!fresh)
        return seen->frame;
    seen->frame = (uint32_t)explorer->frames;
    return E2DT_NOBODY;
}

/* Runs the thread through a single point. */
static void go(struct ext2dax_explorer *explorer, uint32_t which)
{
    bool all_ended;
    struct e2dt_frame frame = {.enabled = e2dt_threads_enabled(explorer, &all_ended), .chosen = which};

    if (e2dt_search_push(explorer, &frame))
        e2dt_threads_run(explorer, which, explorer->thread[which].points + 1);
    else
        ext2dax_explorer_fail(explorer, "no memory to explore in");
}

static void look(struct ext2dax_explorer *explorer)
{
    if (explorer->scenario->step && !explorer->doomed)
        explorer->scenario->step(explorer->scenario->arg);
}

/* Returns false if the thread cannot run the turn. */
static bool take_turn(struct ext2dax_explorer *explorer, const struct e2dt_turn *turn)
{
    struct e2dt_thread *thread = &explorer->thread[turn->thread];
    uint32_t goal = turn->points == E2DT_TO_THE_END ? turn->points : thread->points + turn->points;

    if (!e2dt_enabled(thread))
        return false;
    while (!explorer->doomed && thread->points < goal && e2dt_enabled(thread)) {
        (void)note(explorer);
        go(explorer, turn->thread);
    }
    return explorer->doomed || (goal == E2DT_TO_THE_END ? thread->waiting == E2DT_ENDED : thread->points == goal);
}

static uint32_t next_of(const struct ext2dax_explorer *explorer, uint32_t which, uint32_t enabled)
{
    do
        which = (which + 1) % explorer->threads;
    while ((enabled >> which & 1) == 0);
    return which;
}

/*
 * Runs each thread to the end, in the order of threads. A thread without progress lets the next
 * thread run.
 */
static void to_the_end(struct ext2dax_explorer *explorer)
{
    uint32_t which = explorer->threads - 1, left = explorer->options.most_steps, enabled, before;
    bool all_ended;

    while (!explorer->doomed && (enabled = e2dt_threads_enabled(explorer, &all_ended)) != 0) {
        before = note(explorer);
        if (before != E2DT_NOBODY)
            e2dt_search_circle(explorer, before);
        if (left-- == 0)
            e2dt_search_endless(explorer);
        if (explorer->doomed)
            return;
        if (before != E2DT_NOBODY || (enabled >> which & 1) == 0)
            which = next_of(explorer, which, enabled);
        go(explorer, which);
        if (!e2dt_enabled(&explorer->thread[which]))
            look(explorer);
    }
}

bool e2dt_search_replay(struct ext2dax_explorer *explorer)
{
    size_t turns = explorer->turns;
    bool good = true, all_ended;

    e2dt_search_end(explorer);
    if (explorer->line)
        e2dt_trace_head(explorer);
    for (size_t i = 0; i < turns && good && !explorer->doomed; i++) {
        good = take_turn(explorer, &explorer->turn[i]);
        look(explorer);
    }
    explorer->turns = turns;
    if (!good)
        return false;
    to_the_end(explorer);
    if (explorer->doomed)
        return true;
    if (e2dt_threads_enabled(explorer, &all_ended) == 0 && !all_ended)
        e2dt_search_deadlock(explorer);
    else if (explorer->scenario->finish)
        explorer->scenario->finish(explorer->scenario->arg);
    return true;
}
