/* SPDX-License-Identifier: MIT */
/*
 * Crashes calls at every point. Runs every call, every pair of calls and many sequences of three on
 * a single base or on all bases. Checks every possible crash image with the invariant checker and
 * against the expected names, sizes and contents. A sample also goes through e2fsck. Then recovers
 * a damaged image, which must give the same result wherever a crash interrupts the recovery.
 *
 *   explore short|quick|full [BASE]…
 *
 * Under valgrind and emulation every run is short. Exits with 77 if e2fsck is missing, so no sample
 * was taken, and everything else passed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../emulated.h"
#include "../skip.h"
#include "plan.h"
#include "damaged_image.h"
#include "tree.h"

struct length {
    const char *name;
    struct plan plan;
    unsigned all_up_to, sample, remember_log;
    uint64_t fsck_one_in, fsck_most; /* per base */
};

static const struct length lengths[] = {
    {"short", {false, 0, true}, 6, 32, 16, 4000, 2},
    {"quick", {true, 0, true}, 7, 48, 18, 8000, 12},
    {"full", {true, 2, true}, 12, 1024, 23, 10000, 200},
};

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void add(struct tally *sum, const struct tally *t)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)t;

    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

/*
 * Prints a line of figures. The rate is per second of CPU time, so other load does not change it.
 */
static void print(const char *name, const struct tally *t, double took, double busy)
{
    printf("%-16s %6" PRIu64 " %10" PRIu64 " %10" PRIu64 " %7.0f %6" PRIu64 " %5" PRIu64 " %5" PRIu64 " %6.1f %6.1f\n",
           name, t->workloads, t->checked, t->known, busy > 0 ? (double)t->checked / busy / 1000 : 0.0, t->fscked,
           t->fsck_exit[1], t->findings, busy, took);
    fflush(stdout);
}

/* Measures the rate with the checker as the only check. */
static void time_checker(const struct length *length, const struct base *base)
{
    static const struct plan plan = {true, 0, false};
    struct crash_options options = {.seed = 20,
                                    .line = 8,
                                    .all_up_to = length->all_up_to,
                                    .sample = length->sample,
                                    .remember_log = 20,
                                    .only_checker = true};
    struct crash_fixture *fixture = crash_fixture_open(base, &options);
    double begun = seconds(CLOCK_PROCESS_CPUTIME_ID), took;

    (void)plan_run(fixture, &plan, NULL, NULL);
    took = seconds(CLOCK_PROCESS_CPUTIME_ID) - begun;
    printf("with the checker as the only check: %" PRIu64 " distinct images of %s in %.1f s of one processor, %.0f "
           "thousand a second\n",
           crash_fixture_tally(fixture)->checked, base->name, took,
           took > 0 ? (double)crash_fixture_tally(fixture)->checked / took / 1000 : 0.0);
    crash_fixture_close(fixture);
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return argc == 2;
}

static void recover_damaged(const struct length *length, struct tally *sum)
{
    struct crash_options options = {
        .line = 8, .all_up_to = length->all_up_to, .sample = length->sample, .remember_log = length->remember_log};
    struct damaged_image *damaged = damaged_image_open(&options);
    double start = seconds(CLOCK_MONOTONIC), start_busy = seconds(CLOCK_PROCESS_CPUTIME_ID);

    (void)damaged_image_recover(damaged);
    print(DAMAGED_NAME, damaged_image_tally(damaged), seconds(CLOCK_MONOTONIC) - start,
          seconds(CLOCK_PROCESS_CPUTIME_ID) - start_busy);
    add(sum, damaged_image_tally(damaged));
    damaged_image_close(damaged);
}

static void change_tree(const struct length *length, unsigned base, bool fsck, struct tally *sum)
{
    struct crash_options options = {.seed = 40 + base,
                                    .line = 8,
                                    .all_up_to = length->all_up_to,
                                    .sample = length->sample,
                                    .remember_log = length->remember_log,
                                    .fsck_one_in = fsck ? length->fsck_one_in / 40 : 0,
                                    .fsck_most = length->fsck_most};
    struct tree_fixture *fixture = tree_open(base, &options);
    double start = seconds(CLOCK_MONOTONIC), start_busy = seconds(CLOCK_PROCESS_CPUTIME_ID);

    (void)tree_run(fixture, length->plan.three_in != 0, false);
    print(tree_name(base), tree_tally(fixture), seconds(CLOCK_MONOTONIC) - start,
          seconds(CLOCK_PROCESS_CPUTIME_ID) - start_busy);
    add(sum, tree_tally(fixture));
    tree_close(fixture);
}

int main(int argc, char **argv)
{
    const struct length *length = NULL;
    struct tally sum = {0};
    double begun = seconds(CLOCK_MONOTONIC), busy = seconds(CLOCK_PROCESS_CPUTIME_ID);
    bool fsck = fsck_there();

    for (size_t i = 0; argc > 1 && i < sizeof lengths / sizeof lengths[0]; i++) {
        if (strcmp(argv[1], lengths[i].name) == 0)
            length = &lengths[i];
    }
    if (!length) {
        fprintf(stderr, "usage: explore short|quick|long|full [BASE]...\n");
        return 2;
    }
    if (left_out_emulated("the longer workloads") || slowed())
        length = &lengths[0];
    printf("checked: distinct images that the checker ran on (of the damaged image: that were recovered); known: those "
           "it had "
           "met before\n");
    printf("%-16s %6s %10s %10s %7s %5s %5s %5s %6s\n", "base", "calls", "checked", "known", "1000/s", "e2fsck",
           "repairs", "found", "s");
    for (unsigned i = 0; i < base_count; i++) {
        struct crash_options options = {.seed = 20 + i,
                                        .line = 8,
                                        .all_up_to = length->all_up_to,
                                        .sample = length->sample,
                                        .remember_log = length->remember_log,
                                        .fsck_one_in = fsck && !bases[i].indexed && !bases[i].attributes &&
                                                               (!bases[i].xattrs || bases[i].distinct)
                                                           ? length->fsck_one_in
                                                           : 0,
                                        .fsck_most = length->fsck_most};
        double start = seconds(CLOCK_MONOTONIC), start_busy = seconds(CLOCK_PROCESS_CPUTIME_ID);

        struct crash_fixture *fixture;

        if (!wanted(argc, argv, bases[i].name))
            continue;
        fixture = crash_fixture_open(&bases[i], &options);
        (void)plan_run(fixture, &length->plan, NULL, NULL);
        print(bases[i].name, crash_fixture_tally(fixture), seconds(CLOCK_MONOTONIC) - start,
              seconds(CLOCK_PROCESS_CPUTIME_ID) - start_busy);
        add(&sum, crash_fixture_tally(fixture));
        crash_fixture_close(fixture);
    }
    if (wanted(argc, argv, DAMAGED_NAME))
        recover_damaged(length, &sum);
    for (unsigned i = 0; i < TREE_BASES; i++)
        if (wanted(argc, argv, tree_name(i)))
            change_tree(length, i, fsck, &sum);
    print("all", &sum, seconds(CLOCK_MONOTONIC) - begun, seconds(CLOCK_PROCESS_CPUTIME_ID) - busy);
    printf("%" PRIu64 " images handed out, contents compared on %" PRIu64 "; %" PRIu64 " checked with no leak allowed; "
           "%" PRIu64 " of %" PRIu64 " points exhausted; %" PRIu64 " workloads did not fit; %" PRIu64 " unremembered\n",
           sum.images, sum.contents, sum.strict, sum.points_whole, sum.points, sum.unfit, sum.unremembered);
    if (argc > 2 && length->plan.three_in != 0)
        time_checker(length, &bases[0]);
    printf("%" PRIu64 " findings\n", sum.findings);
    if (sum.findings != 0 || sum.checked == 0)
        return 1;
    if (!fsck)
        printf("SKIPPED: e2fsck is not installed, so no image was put to it; every other check passes\n");
    return fsck ? 0 : SKIPPED;
}
