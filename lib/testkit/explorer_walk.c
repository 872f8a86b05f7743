/* SPDX-License-Identifier: MIT */
/*
 * A random walk, a single schedule with every decision drawn from a seed. Nothing is saved and
 * nothing is restored, so a walk takes no time for the comparison of states and may be as long as
 * the scenario.
 *
 * A thread runs through a drawn number of yield points, then the next thread is drawn. The mean of
 * the numbers is drawn as well, at the start. Some faults need two switches at adjacent points, and
 * others need a thread stopped for a long time.
 */
#include "explorer_internal.h"

#define MEANS 5u /* of the points per turn, 2, 8, 32, 128 and 512 */

static uint64_t draw(uint64_t *seed)
{
    *seed += 0x9E3779B97F4A7C15u;
    return e2dt_state_mix(*seed);
}

static uint32_t below(uint64_t *seed, uint32_t bound)
{
    return (uint32_t)((draw(seed) >> 32) * bound >> 32);
}

static uint32_t pick(uint64_t *seed, uint32_t enabled)
{
    uint32_t left = below(seed, (uint32_t)__builtin_popcount(enabled));

    while (left-- != 0)
        enabled &= enabled - 1;
    return (uint32_t)__builtin_ctz(enabled);
}

static void count_points(struct ext2dax_explorer *explorer)
{
    explorer->result->points = 0;
    for (unsigned i = 0; i < explorer->threads; i++)
        explorer->result->points += explorer->thread[i].points;
}

void e2dt_walk(struct ext2dax_explorer *explorer, uint64_t seed)
{
    const struct ext2dax_scenario *scenario = explorer->scenario;
    uint32_t most = 3u << (2 * below(&seed, MEANS)), enabled;
    bool all_ended;

    e2dt_threads_begin(explorer);
    while ((enabled = e2dt_threads_enabled(explorer, &all_ended)) != 0 && !explorer->doomed && !explorer->stopped) {
        uint32_t which = pick(&seed, enabled);

        e2dt_threads_run(explorer, which, explorer->thread[which].points + 1 + below(&seed, most));
        explorer->result->steps++;
        if (explorer->doomed || explorer->stopped)
            break;
        if (scenario->step)
            scenario->step(scenario->arg);
        if (++explorer->steps > explorer->options.most_steps)
            e2dt_search_endless(explorer);
    }
    count_points(explorer);
    if (explorer->doomed || explorer->stopped)
        return;
    if (!all_ended) {
        e2dt_search_deadlock(explorer);
        return;
    }
    explorer->result->schedules = 1;
    if (scenario->finish)
        scenario->finish(scenario->arg);
}
