/* SPDX-License-Identifier: MIT */
/*
 * Seeded simulation. A seed decides calls of several threads, their schedule, and the failures of
 * memory, host and power. Everything is compared with models of the calls. A failing seed is shrunk
 * to few calls and printed.
 *
 *     simulation                     seeds from 1, for a few seconds of a processor
 *     simulation --seconds 600       the same for 10 minutes, and with 0 without end
 *     simulation --first 1000        seeds from 1000
 *     simulation --seeds 500         so many seeds
 *     simulation --seed N            a single seed, exactly as before
 *     simulation --twice 50          plays so many seeds twice, and compares
 *     simulation --mutant NAME       with a broken protection
 *     simulation --mutants [NAME…]   with each of several broken protections, which must be found
 *     simulation --shrink NAME       finds the broken protection, and shrinks the seed
 *
 * A broken library may do anything, so seeds are played in a child process.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define STUCK        60u /* seconds of a processor for a seed */
#define MUTANT_LIMIT 60u /* seconds of a processor for a mutant */
#define SCHEDULES    5u  /* other schedules tried for a shrunk plan */
#define MOST_SHRUNK  12u /* calls left of a mutant's seed */
#define FIRST_SEED   1u
#define SLOWER       20u        /* under valgrind */
#define LARGEST      (64 << 20) /* bytes of an allocation kept in the heap */

/* Written by the child, read by the parent. */
struct verdict {
    uint64_t seed; /* being played */
    bool failed;
    uint64_t fingerprint;
    struct sim_stats stats;
    char finding[300];
};

static struct verdict *verdict;

struct run {
    uint64_t first, seeds; /* 0 seeds for no bound */
    unsigned seconds;      /* of a processor, 0 for no bound */
    const char *mutant;
    bool twice;
};

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Does a mutant need assertions and the lock-order checker off, so that the damage is found? */
static bool is_blind(const char *mutant)
{
    return mutant != NULL;
}

/* Plays a plan in this process. Returns true without a finding. */
static bool play(const struct sim_plan *plan, const char *mutant)
{
    const char *finding = world_play(plan, mutant, is_blind(mutant), &verdict->stats, &verdict->fingerprint);

    if (!finding)
        return true;
    snprintf(verdict->finding, sizeof verdict->finding, "%s", finding);
    verdict->failed = true;
    return false;
}

static void play_seeds(const struct run *run)
{
    static struct sim_plan plan;
    double start = cpu_seconds();

    for (uint64_t i = 0; run->seeds == 0 || i < run->seeds; i++) {
        uint64_t first;

        if (run->seconds != 0 && cpu_seconds() - start > run->seconds)
            return;
        verdict->seed = run->first + i;
        alarm(STUCK * 4);
        sim_plan_make(&plan, verdict->seed);
        if (!play(&plan, run->mutant))
            return;
        first = verdict->fingerprint;
        if (!run->twice)
            continue;
        if (!play(&plan, run->mutant))
            return;
        if (verdict->fingerprint != first) {
            snprintf(verdict->finding, sizeof verdict->finding, "the seed plays differently the second time");
            verdict->failed = true;
            return;
        }
    }
}

/* Waits for the child. A child that died has failed as well. */
static void await(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) != child)
        abort();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    verdict->failed = true;
    snprintf(verdict->finding, sizeof verdict->finding, "the library has died or hangs, signal %d",
             WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static pid_t fork_child(bool quiet)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child < 0)
        abort();
    /* A child without end would outlive a parent that is killed. */
    if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(1);
    if (child == 0 && quiet && !freopen("/dev/null", "w", stderr))
        _exit(1);
    return child;
}

/* ---- shrinking ---- */

static bool still_fails(struct sim_plan *plan, const char *mutant)
{
    const uint64_t schedule = plan->schedule;

    for (unsigned i = 0; i <= SCHEDULES; i++) {
        pid_t child;

        plan->schedule = schedule + i;
        verdict->failed = false;
        child = fork_child(true);
        if (child == 0) {
            alarm(STUCK);
            (void)play(plan, mutant);
            _exit(0);
        }
        await(child);
        if (verdict->failed)
            return true;
    }
    plan->schedule = schedule;
    return false;
}

/* The calls and events of a plan in sequence. */
static bool *dropped_of(struct sim_plan *plan, unsigned number)
{
    unsigned per_life = THREADS * CALLS + EVENTS;
    struct sim_life *life = &plan->life[number / per_life];

    number %= per_life;
    return number < EVENTS ? &life->event[number].dropped
                           : &life->call[(number - EVENTS) / CALLS][(number - EVENTS) % CALLS].dropped;
}

/*
 * Drops parts of the calls and events as long as the plan fails. Returns true if a part was
 * dropped.
 */
static bool drop_parts(struct sim_plan *plan, const char *mutant)
{
    unsigned all = plan->lives * (THREADS * CALLS + EVENTS);
    bool dropped_any = false;

    for (unsigned part = all / 2; part != 0; part /= 2) {
        for (unsigned at = 0; at < all; at += part) {
            struct sim_plan shorter = *plan;
            unsigned changes = 0;

            for (unsigned i = at; i < at + part && i < all; i++) {
                bool *dropped = dropped_of(&shorter, i);

                changes += !*dropped;
                *dropped = true;
            }
            if (changes != 0 && still_fails(&shorter, mutant)) {
                *plan = shorter;
                dropped_any = true;
            }
        }
    }
    return dropped_any;
}

static void shrink(struct sim_plan *plan, const char *mutant)
{
    while (drop_parts(plan, mutant))
        ;
    for (unsigned at = plan->lives; at-- != 0 && plan->lives > 1;) {
        struct sim_plan shorter = *plan;

        shorter.lives--;
        memmove(&shorter.life[at], &shorter.life[at + 1], (shorter.lives - at) * sizeof shorter.life[0]);
        if (still_fails(&shorter, mutant))
            *plan = shorter;
    }
    while (plan->threads > 1) {
        struct sim_plan shorter = *plan;

        shorter.threads--;
        if (!still_fails(&shorter, mutant))
            break;
        *plan = shorter;
    }
    (void)still_fails(plan, mutant);
}

static unsigned count_calls(struct sim_plan *plan)
{
    unsigned count = 0;

    for (unsigned life = 0; life < plan->lives; life++) {
        for (unsigned thread = 0; thread < plan->threads; thread++) {
            for (unsigned i = 0; i < CALLS; i++)
                count += !plan->life[life].call[thread][i].dropped;
        }
    }
    return count;
}

/* Shrinks a failing seed and prints the rest. Returns the number of calls left. */
static unsigned report(uint64_t seed, const char *mutant)
{
    static struct sim_plan plan;

    printf("seed %llu: %s\nreplay with --seed %llu%s%s\n", (unsigned long long)seed, verdict->finding,
           (unsigned long long)seed, mutant ? " --mutant " : "", mutant ? mutant : "");
    sim_plan_make(&plan, seed);
    shrink(&plan, mutant);
    printf("shrunk to %u calls: %s\n", count_calls(&plan), verdict->finding);
    sim_plan_print(&plan, stdout);
    return count_calls(&plan);
}

/* ---- output ---- */

static void print_stats(double seconds)
{
    const struct sim_stats *stats = &verdict->stats;

    printf("%llu seeds, %llu lives, %llu recoveries, %llu calls (%llu refused or failed), %llu yield points, "
           "%llu decisions\n",
           (unsigned long long)stats->seeds, (unsigned long long)stats->lives, (unsigned long long)stats->recoveries,
           (unsigned long long)stats->calls, (unsigned long long)stats->failed_calls, (unsigned long long)stats->points,
           (unsigned long long)stats->decisions);
    for (unsigned i = 0; i < SIM_EVENT_KINDS; i++)
        printf("  %8llu times %s\n", (unsigned long long)stats->event[i], sim_event_name(i));
    printf("%.1f s of a processor, %.0f calls a second\n", seconds, seconds > 0 ? (double)stats->calls / seconds : 0);
}

/* Returns true without a finding. */
static bool run_seeds(const struct run *run)
{
    struct rusage before, after;
    pid_t child;

    memset(verdict, 0, sizeof *verdict);
    getrusage(RUSAGE_CHILDREN, &before);
    child = fork_child(run->mutant != NULL);
    if (child == 0) {
        play_seeds(run);
        _exit(0);
    }
    await(child);
    getrusage(RUSAGE_CHILDREN, &after);
    print_stats(
        (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
        (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) /
            1e6);
    return !verdict->failed;
}

/* Calls or events of a kind that never take place show nothing. */
static bool is_varied(void)
{
    bool varied = true;

    for (unsigned i = 0; i < SIM_CALL_KINDS; i++) {
        if (verdict->stats.kind[i] == 0) {
            printf("no call: %s\n", sim_call_name(i));
            varied = false;
        }
    }
    for (unsigned i = 0; i < SIM_EVENT_KINDS; i++) {
        if (verdict->stats.event[i] == 0) {
            printf("no event: %s\n", sim_event_name(i));
            varied = false;
        }
    }
    return varied;
}

/* Mutants of different kinds. */
static const char *const mutants[] = {
    "DAX_SEM_FAULT",           /* a lock skipped */
    "FENCE_SYNC",              /* a fence skipped */
    "ORDER_REMOVE_BITS_FIRST", /* a wrong order of stores */
    "PUBLISH_UNZEROED",        /* a zeroing skipped */
    "FAULT_NOT_RECHECKED",     /* a recheck skipped */
    "WRITE_BLOCK_LEAKED",      /* a block leaked */
    "PINS_IGNORED",            /* a pin ignored */
    "PINS_IGNORED_FREEZE",     /* a check skipped */
    "FREEZE_WRITE_SKIPPED",    /* a change while frozen */
    "FENCE_RENAME_RECORD",     /* names after a crash */
    "IO_SKIPPED_RENAME",       /* names without a lock */
    "WRITE_BACK_XATTR_BLOCK",  /* an attribute not written back */
    "FSYNC_UNPROTECTED",       /* a dirty mark lost */
};

static bool find_mutant(const char *name)
{
    struct run run = {.first = FIRST_SEED, .seconds = MUTANT_LIMIT, .mutant = name};
    bool found = !run_seeds(&run);

    if (found)
        printf("%s: seed %llu: %s\n", name, (unsigned long long)verdict->seed, verdict->finding);
    else
        printf("%s: not found\n", name);
    return found;
}

/* Plays with each of the mutants named, or with all. */
static int find_mutants(char **names, int count)
{
    unsigned all = count != 0 ? (unsigned)count : sizeof mutants / sizeof mutants[0], found = 0;

    for (unsigned i = 0; i < all; i++)
        found += find_mutant(count != 0 ? names[i] : mutants[i]);
    printf("%u of %u mutants found\n", found, all);
    return found == all ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * Shows the way from a finding to its cause. The seed alone has the same finding again, and shrinks
 * to few calls.
 */
static int shrink_mutant(const char *name)
{
    struct run run = {.seeds = 1, .mutant = name};
    char finding[sizeof verdict->finding];
    unsigned calls;

    if (!find_mutant(name))
        return EXIT_FAILURE;
    memcpy(finding, verdict->finding, sizeof finding);
    run.first = verdict->seed;
    if (run_seeds(&run) || strcmp(finding, verdict->finding) != 0) {
        printf("the seed alone has another finding: %s\n", verdict->finding);
        return EXIT_FAILURE;
    }
    calls = report(run.first, name);
    return calls != 0 && calls <= MOST_SHRUNK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct run run = {.first = FIRST_SEED, .seconds = 3};
    bool single = false, slow = getenv("EXT2DAX_UNDER_VALGRIND") != NULL;

    setvbuf(stdout, NULL, _IOLBF, 0);
#if defined(__GLIBC__)
    /* Each seed allocates the same memory again, which the kernel need not zero each time. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGEST);
    (void)mallopt(M_TRIM_THRESHOLD, LARGEST);
#endif
    verdict = mmap(NULL, sizeof *verdict, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (verdict == MAP_FAILED)
        return EXIT_FAILURE;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--mutants") == 0)
            return find_mutants(argv + i + 1, argc - i - 1);
        if (strcmp(argv[i], "--shrink") == 0)
            return shrink_mutant(value);
        if (strcmp(argv[i], "--seed") == 0) {
            single = true;
            run.first = strtoull(value, NULL, 10);
            run.seeds = 1;
        } else if (strcmp(argv[i], "--first") == 0) {
            run.first = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            run.seeds = strtoull(value, NULL, 10);
            run.seconds = 0;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            run.seconds = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--twice") == 0) {
            run.seeds = strtoull(value, NULL, 10);
            run.seconds = 0;
            run.twice = true;
        } else if (strcmp(argv[i], "--mutant") == 0) {
            run.mutant = value;
        } else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    if (slow && !single && run.seeds != 0)
        run.seeds = run.seeds / SLOWER + 1;
    if (!run_seeds(&run)) {
        (void)report(verdict->seed, run.mutant);
        return EXIT_FAILURE;
    }
    return single || run.twice || slow || is_varied() ? EXIT_SUCCESS : EXIT_FAILURE;
}
