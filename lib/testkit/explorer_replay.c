/* SPDX-License-Identifier: MIT */
/*
 * One schedule by its id. Every point of it is a state of its own here, so that a circle is seen wherever it closes: a
 * frame is pushed for each, and nothing is kept with it.
 */
#include "explorer.h"

/* Notes the present state; E2D_NOBODY: it is new, else the frame of the first time it was there. */
static uint32_t note(struct ext2dax_explorer *explorer)
{
    struct e2d_seen *seen;
    bool fresh;

    seen = e2d_state_seen(&explorer->state, e2d_threads_key(explorer, e2d_state_look(&explorer->state), E2D_NOBODY),
                          &fresh);
    if (!seen) {
        ext2dax_explorer_fail(explorer, "no memory to explore in");
        return E2D_NOBODY;
    }
    if (!fresh)
        return seen->frame;
    seen->frame = (uint32_t)explorer->frames;
    return E2D_NOBODY;
}

/* Lets the thread through one point. */
static void go(struct ext2dax_explorer *explorer, uint32_t which)
{
    bool all_ended;
    struct e2d_frame frame = {.enabled = e2d_threads_enabled(explorer, &all_ended), .chosen = which};

    if (e2d_search_push(explorer, &frame))
        e2d_threads_run(explorer, which, explorer->thread[which].points + 1);
    else
        ext2dax_explorer_fail(explorer, "no memory to explore in");
}

static void look(struct ext2dax_explorer *explorer)
{
    if (explorer->scenario->step && !explorer->doomed)
        explorer->scenario->step(explorer->scenario->arg);
}

/* false: the thread cannot do so. */
static bool take_turn(struct ext2dax_explorer *explorer, const struct e2d_turn *turn)
{
    struct e2d_thread *thread = &explorer->thread[turn->thread];
    uint32_t goal = turn->points == E2D_TO_THE_END ? turn->points : thread->points + turn->points;

    if (!e2d_enabled(thread))
        return false;
    while (!explorer->doomed && thread->points < goal && e2d_enabled(thread)) {
        (void)note(explorer);
        go(explorer, turn->thread);
    }
    return explorer->doomed || (goal == E2D_TO_THE_END ? thread->waiting == E2D_ENDED : thread->points == goal);
}

static uint32_t next_of(const struct ext2dax_explorer *explorer, uint32_t which, uint32_t enabled)
{
    do
        which = (which + 1) % explorer->threads;
    while ((enabled >> which & 1) == 0);
    return which;
}

/* Each to its end, the first before the second; one that gets nowhere lets the next one go on. */
static void to_the_end(struct ext2dax_explorer *explorer)
{
    uint32_t which = explorer->threads - 1, left = explorer->options.most_steps, enabled, before;
    bool all_ended;

    while (!explorer->doomed && (enabled = e2d_threads_enabled(explorer, &all_ended)) != 0) {
        before = note(explorer);
        if (before != E2D_NOBODY)
            e2d_search_circle(explorer, before);
        if (left-- == 0)
            e2d_search_endless(explorer);
        if (explorer->doomed)
            return;
        if (before != E2D_NOBODY || (enabled >> which & 1) == 0)
            which = next_of(explorer, which, enabled);
        go(explorer, which);
        if (!e2d_enabled(&explorer->thread[which]))
            look(explorer);
    }
}

bool e2d_search_replay(struct ext2dax_explorer *explorer)
{
    size_t turns = explorer->turns;
    bool good = true, all_ended;

    e2d_search_end(explorer);
    if (explorer->line)
        e2d_trace_head(explorer);
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
    if (e2d_threads_enabled(explorer, &all_ended) == 0 && !all_ended)
        e2d_search_deadlock(explorer);
    else if (explorer->scenario->finish)
        explorer->scenario->finish(explorer->scenario->arg);
    return true;
}
