/* SPDX-License-Identifier: MIT */
/*
 * Runs every scenario in every schedule, and prints the number of schedules. Scenarios of two
 * threads combine each mover with each changer and each start. Scenarios of three threads combine
 * each pair of faulting movers with each changer.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/testkit/mutant.h"
#include "fixture.h"

static struct {
    unsigned threads;
    unsigned flags;
    uint32_t preemptions;
    unsigned slice, slices;
    double seconds; /* no scenario starts after this many seconds */
    const char *only, *start, *replay, *mutant;
    bool order, quiet;
} wanted = {.threads = 2, .flags = EXT2DAX_EXPLORER_SHARED_ONLY, .preemptions = EXT2DAX_EXPLORER_ANY, .slices = 1};

static struct {
    uint64_t scenarios, schedules, pruned, states, ends, steps;
    uint64_t violations, left_out;
    double covered;
} total;

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void print_line(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

/* Replays a schedule. Returns true if the schedule exists and has no finding. */
static bool replay(const struct ext2dax_scenario *scenario, const char *id)
{
    struct ext2dax_explorer_result result;
    int error;

    ext2dax_explorer_clear(fixture.explorer);
    printf("\n%s, schedule %s\n\n", scenario->name, id);
    (void)ext2dax_explorer_replay(fixture.explorer, scenario, id, print_line, NULL, &result, &error);
    if (error != 0)
        printf("%s is no schedule of \"%s\"\n", id, scenario->name);
    else
        printf("\n%s\n\n", result.failed ? result.finding : "nothing is wrong");
    return error == 0 && !result.failed;
}

static void play(const struct play *play)
{
    struct ext2dax_explorer_result result;
    struct ext2dax_scenario scenario;
    char name[200];

    play_describe(play, &scenario, name, sizeof name);
    if (wanted.only && strcmp(name, wanted.only) != 0)
        return;
    if (wanted.replay) {
        total.violations += !replay(&scenario, wanted.replay);
        return;
    }
    ext2dax_explorer_clear(fixture.explorer);
    (void)ext2dax_explorer_explore(fixture.explorer, &scenario, &result);
    total.scenarios++;
    total.schedules += result.schedules;
    total.pruned += result.pruned;
    total.states += result.states;
    total.ends += result.ends;
    total.steps += result.steps;
    total.covered += result.covered;
    if (!wanted.quiet)
        printf("%-76s %8llu schedules %9llu pruned %8llu states%s\n", name, (unsigned long long)result.schedules,
               (unsigned long long)result.pruned, (unsigned long long)result.states,
               result.complete || result.failed ? "" : " (not all)");
    if (result.failed) {
        total.violations++;
        printf("VIOLATION in \"%s\": %s\n", name, result.finding);
        (void)replay(&scenario, result.id);
    }
    fflush(stdout);
}

static bool faults(const struct operation *operation)
{
    static const char *const names[] = {"read fault", "write fault", "PMD write", "mkwrite"};

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(operation->name, names[i]) == 0)
            return true;
    }
    return false;
}

/* ---- selection ---- */

#define MOST_PLAYS 4096u
/* a prime, so that a run too short for all scenarios covers some of every kind */
#define STRIDE 1009u

static struct play plays[MOST_PLAYS];
static unsigned play_count;

static void add_play(const struct play *one)
{
    if (wanted.start && strcmp(one->start->name, wanted.start) != 0)
        return;
    if (play_count == MOST_PLAYS) {
        fprintf(stderr, "isolation: more scenarios than there is room for\n");
        exit(2);
    }
    plays[play_count++] = *one;
}

static void add_pairs(const struct start *start)
{
    for (unsigned m = 0; m < mover_count; m++)
        for (unsigned c = 0; c < changer_count; c++)
            add_play(&(struct play){start, {&movers[m], &changers[c]}, 2, wanted.order});
}

static void add_trios(const struct start *start)
{
    for (unsigned m = 0; m < mover_count; m++)
        for (unsigned n = m; n < mover_count; n++)
            for (unsigned c = 0; c < changer_count && faults(&movers[m]) && faults(&movers[n]); c++)
                add_play(&(struct play){start, {&movers[m], &movers[n], &changers[c]}, 3, wanted.order});
}

/* Runs the scenarios of this slice until the time is over. */
static void play_all(double begun)
{
    for (unsigned s = 0; s < start_count; s++) {
        if (wanted.threads == 2)
            add_pairs(&starts[s]);
        else
            add_trios(&starts[s]);
    }
    for (unsigned i = 0; i < play_count; i++) {
        if (i % wanted.slices != wanted.slice)
            continue;
        if (wanted.seconds > 0 && now() - begun > wanted.seconds)
            total.left_out++;
        else
            play(&plays[wanted.seconds > 0 ? i * STRIDE % play_count : i]);
    }
}

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: isolation [--threads 2|3] [--everywhere] [--preemptions N] [--slice I/N] [--seconds S] "
                "[--order] [--fair]\n"
                "                 [--start NAME] [--only SCENARIO [--mutant NAME] [--replay ID]] [--quiet]\n");
    return status;
}

static int arguments(int argc, char **argv)
{
    static const struct option options[] = {{"threads", required_argument, NULL, 't'},
                                            {"everywhere", no_argument, NULL, 'e'},
                                            {"preemptions", required_argument, NULL, 'p'},
                                            {"slice", required_argument, NULL, 's'},
                                            {"seconds", required_argument, NULL, 'S'},
                                            {"order", no_argument, NULL, 'o'},
                                            {"fair", no_argument, NULL, 'f'},
                                            {"start", required_argument, NULL, 'b'},
                                            {"only", required_argument, NULL, 'n'},
                                            {"mutant", required_argument, NULL, 'm'},
                                            {"replay", required_argument, NULL, 'r'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 't':
            wanted.threads = (unsigned)atoi(optarg);
            break;
        case 'e':
            wanted.flags &= ~EXT2DAX_EXPLORER_SHARED_ONLY;
            break;
        case 'p':
            wanted.preemptions = (uint32_t)atoi(optarg);
            break;
        case 's':
            if (sscanf(optarg, "%u/%u", &wanted.slice, &wanted.slices) != 2 || wanted.slice >= wanted.slices)
                return usage(stderr, 2);
            break;
        case 'S':
            wanted.seconds = atof(optarg);
            break;
        case 'o':
            wanted.order = true;
            break;
        case 'f':
            wanted.flags |= EXT2DAX_EXPLORER_FAIR;
            break;
        case 'b':
            wanted.start = optarg;
            break;
        case 'n':
            wanted.only = optarg;
            break;
        case 'm':
            wanted.mutant = optarg;
            break;
        case 'r':
            wanted.replay = optarg;
            break;
        case 'q':
            wanted.quiet = true;
            break;
        case 'h':
            exit(usage(stdout, 0));
        default:
            return usage(stderr, 2);
        }
    }
    return optind == argc && (wanted.threads == 2 || wanted.threads == 3) ? 0 : usage(stderr, 2);
}

int main(int argc, char **argv)
{
    struct ext2dax_explorer_options options = {.size = sizeof options};
    double begun = now(), took;

    if (arguments(argc, argv) != 0)
        return 2;
    if (wanted.seconds > 0 && getenv("EXT2DAX_SECONDS"))
        wanted.seconds = atof(getenv("EXT2DAX_SECONDS"));
    options.flags = wanted.flags | (wanted.mutant ? EXT2DAX_EXPLORER_BLIND : 0);
    options.preemptions = wanted.preemptions;
    /* Keeps a single scenario from using all of the time. */
    options.most_states = wanted.seconds > 0 ? 1000000 : 0;
    fixture.explorer = ext2dax_explorer_open(&options);
    if (!fixture.explorer || (wanted.mutant && ext2dax_mutant_activate(wanted.mutant) != 0)) {
        fprintf(stderr, "isolation: %s\n", fixture.explorer ? "no such mutant" : "no memory");
        return 2;
    }
    play_all(begun);
    ext2dax_explorer_close(fixture.explorer);
    took = now() - begun;
    if (wanted.only && total.scenarios == 0 && !wanted.replay) {
        fprintf(stderr, "isolation: %s: no such scenario\n", wanted.only);
        return 2;
    }
    if (wanted.replay)
        return total.violations != 0;
    printf("%llu scenarios of %u threads: %llu schedules run, %llu pruned, %llu states (%llu of them ends) in %.0f s, "
           "%.0f states a "
           "second; %.3g schedules covered\n",
           (unsigned long long)total.scenarios, wanted.threads, (unsigned long long)total.schedules,
           (unsigned long long)total.pruned, (unsigned long long)total.states, (unsigned long long)total.ends, took,
           (double)total.states / took, total.covered);
    if (total.left_out != 0)
        printf("%llu scenarios left out: the time was up\n", (unsigned long long)total.left_out);
    printf("%llu violations\n", (unsigned long long)total.violations);
    return total.violations != 0;
}
