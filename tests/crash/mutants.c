/* SPDX-License-Identifier: MIT */
/*
 * Shows the need for every part of the store order, and a check which notices its loss. Removes
 * each fence and each write-back and injects each wrong order, a single mutant at a time. Runs
 * workloads until a check fails. The bases are made before any mutant is active.
 *
 *   mutants [MUTANT]…
 *
 * Exits with 77 if e2fsck is missing and everything else passed. Each mutant runs in a process of
 * its own, so the library state left by a failed run affects no other mutant.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"
#include "instrument.h"
#include "../skip.h"
#include "plan.h"
#include "damaged_image.h"
#include "tree.h"

#define FIXTURES_MOST 32
#define SECONDS       120 /* time limit per mutant */

/* Mutants with no effect in any workload, with the reason. */
static const struct {
    const char *name, *why;
} equivalent[] = {
    {"WRITE_BACK_FSYNC_INODE",
     "ordered, each store to the inode is written back where it is made; unordered, fsync flushes "
     "the whole image after it"},
    {"WRITE_BACK_XATTR_BURIED",
     "a removed entry with a value is as good as one without, the value takes space until the entry is cut off"},
    {"WRITE_BACK_XATTR_REWRITTEN_HASH",
     "the workloads begin with attributes of the library, which have no hash in the inode, so 0 replaces 0"},
    {"FENCE_RECOVER_REST",
     "a mount goes on to mark the image as in use before anything else, and the fence of that mark comes before "
     "everything based on a store that recovery has cleared"},
};

/* The first memory writes back whole cache lines, the second only the words named by persist. */
static const unsigned lines[] = {64, 8};
#define LINES (sizeof lines / sizeof lines[0])

static struct crash_fixture *fixtures[LINES][FIXTURES_MOST];
static struct damaged_image *damaged_images[LINES];
static struct tree_fixture *trees[LINES][TREE_BASES];

/* ---- is every write-back listed? ---- */

#define SITE_ROW(name, function, what) {function, what},
static const struct {
    const char *function, *what;
} named[] = {E2D_WRITE_BACKS(SITE_ROW)};
#undef SITE_ROW
#define NAMED (sizeof named / sizeof named[0])

static bool met[NAMED];
static unsigned nameless;

static void meet(const char *function, const char *what)
{
    for (size_t i = 0; i < NAMED; i++) {
        if (strcmp(function, named[i].function) == 0 && strcmp(what, named[i].what) == 0) {
            met[i] = true;
            return;
        }
    }
    if (nameless++ == 0)
        printf("%s() writes back %s, and no mutant takes that away\n", function, what);
}

/* Checks that every write-back reached by a workload is listed, and every listed one is reached. */
static bool names_are_whole(void)
{
    static const struct plan all = {true, 0, false};
    bool whole = true;

    e2dt_site_hook = meet;
    for (unsigned i = 0; i < base_count; i++)
        (void)plan_run(fixtures[0][i], &all, NULL, NULL);
    (void)damaged_image_recover(damaged_images[0]);
    for (unsigned i = 0; i < TREE_BASES; i++)
        (void)tree_run(trees[0][i], false, false);
    e2dt_site_hook = NULL;
    for (size_t i = 0; i < NAMED; i++) {
        if (!met[i])
            printf("no workload comes to %s() writing back %s\n", named[i].function, named[i].what);
        whole = whole && met[i];
    }
    return whole && nameless == 0;
}

/* ---- running a mutant ---- */

static bool found(void *arg)
{
    const struct crash_fixture *fixture = arg;

    return crash_fixture_tally(fixture)->findings != 0;
}

/*
 * Mutants e2fsck must object to with no other check active. e2fsck stops at their damage or repairs
 * it wrongly. Without this test the e2fsck sample would prove nothing.
 */
static const char *const for_fsck[] = {"ORDER_POINTERS_FIRST", "ORDER_SHRINK_SIZE_FIRST", "ORDER_ENTRY_FIRST",
                                       "ORDER_SMALL_DTIME", "FENCE_UNLINK_LINKS"};
static bool by_fsck;

static int hunt_by_fsck(const char *name, int to)
{
    static const struct plan alone = {false, 0, false};
    struct crash_options options = {
        .all_up_to = 8, .sample = 128, .quiet = true, .only_fsck = true, .fsck_one_in = 4, .fsck_most = 2000};

    (void)alarm(SECONDS);
    for (unsigned i = 0; i < 2; i++) {
        struct crash_fixture *fixture = crash_fixture_open(&bases[i], &options);

        if (ext2dax_mutant_activate(name) != 0)
            return 2;
        if (!plan_run(fixture, &alone, found, fixture))
            return write(to, crash_fixture_finding(fixture), strlen(crash_fixture_finding(fixture))) > 0 ? 0 : 2;
        (void)ext2dax_mutant_activate("none");
    }
    return 1;
}

/* Runs the calls on trees. Returns true and stores a line about the finding, or returns false. */
static bool found_by_tree(bool twos, char *line, size_t room)
{
    for (size_t i = 0; i < LINES * TREE_BASES; i++) {
        struct tree_fixture *fixture = trees[i % LINES][i / LINES];

        if (tree_run(fixture, twos, true))
            continue;
        snprintf(line, room, "%2u %s", lines[i % LINES], tree_finding(fixture));
        return true;
    }
    return false;
}

/* Runs in the child process. Returns 0 and writes a line about the finding, or returns 1. */
static int hunt(const char *name, int to)
{
    static const struct plan stages[] = {{false, 0, false}, {true, 0, false}};
    char line[600];

    (void)alarm(SECONDS);
    if (ext2dax_mutant_activate(name) != 0)
        return 2;
    for (size_t i = 0; i < LINES; i++) {
        if (damaged_image_recover(damaged_images[i]))
            continue;
        snprintf(line, sizeof line, "%2u %s", lines[i], damaged_image_finding(damaged_images[i]));
        return write(to, line, strlen(line)) > 0 ? 0 : 2;
    }
    for (size_t turn = 0; turn < 2 * LINES; turn++) {
        if (turn == LINES && found_by_tree(false, line, sizeof line))
            return write(to, line, strlen(line)) > 0 ? 0 : 2;
        for (unsigned i = 0; i < base_count; i++) {
            struct crash_fixture *fixture = fixtures[turn % LINES][i];

            if (plan_run(fixture, &stages[turn / LINES], found, fixture))
                continue;
            snprintf(line, sizeof line, "%2u %s", lines[turn % LINES], crash_fixture_finding(fixture));
            return write(to, line, strlen(line)) > 0 ? 0 : 2;
        }
    }
    if (found_by_tree(true, line, sizeof line))
        return write(to, line, strlen(line)) > 0 ? 0 : 2;
    return 1;
}

/* Returns a description of the check which caught the mutant, or NULL. */
static const char *caught_by(const char *name)
{
    static char line[600];
    int ends[2], status;
    ssize_t got;
    pid_t child;

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        close(ends[0]);
        _exit(by_fsck ? hunt_by_fsck(name, ends[1]) : hunt(name, ends[1]));
    }
    close(ends[1]);
    got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 2) {
        printf("%s: ended by signal %d, exit %d\n", name, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
               WIFEXITED(status) ? WEXITSTATUS(status) : 0);
        return NULL;
    }
    line[got > 0 ? got : 0] = '\0';
    return WEXITSTATUS(status) == 0 ? line : NULL;
}

static const char *excuse(const char *name)
{
    for (size_t i = 0; i < sizeof equivalent / sizeof equivalent[0]; i++) {
        if (strcmp(name, equivalent[i].name) == 0)
            return equivalent[i].why;
    }
    return NULL;
}

/* Mutants of other kinds which break the store order too. */
static const char *const others[] = {
#if CRASH_FAULTS
    "PUBLISH_BEFORE_ZEROING",
#endif
    "PUBLISH_UNZEROED", "TAIL_NOT_ZEROED", "END_STAYS"};

static bool ours(int number)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(ext2dax_mutant_name(number), others[i]) == 0)
            return true;
    }
    return ext2dax_mutant_kind(number) == EXT2DAX_MUTANT_CRASH;
}

int main(int argc, char **argv)
{
    struct crash_options options = {.all_up_to = 8, .sample = 128, .remember_log = 16, .quiet = true};
    unsigned caught = 0, excused = 0, missed = 0;
    bool whole;

    for (unsigned i = 0; i < LINES * base_count; i++) {
        options.seed = i;
        options.line = lines[i % LINES];
        fixtures[i % LINES][i / LINES] = crash_fixture_open(&bases[i / LINES], &options);
    }
    for (unsigned i = 0; i < LINES; i++) {
        options.line = lines[i];
        damaged_images[i] = damaged_image_open(&options);
        for (unsigned k = 0; k < TREE_BASES; k++)
            trees[i][k] = tree_open(k, &options);
    }
    whole = argc != 1 || names_are_whole();
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        const char *name = ext2dax_mutant_name(i), *by;
        bool wanted = argc == 1;

        for (int k = 1; k < argc; k++)
            wanted = wanted || strcmp(argv[k], name) == 0;
        if (!wanted || !ours(i))
            continue;
        by = caught_by(name);
        caught += by != NULL;
        excused += !by && excuse(name);
        missed += !by && !excuse(name);
        printf("%-7s %-34s %s\n",
               by             ? "caught"
               : excuse(name) ? "equal"
                              : "MISSED",
               name,
               by             ? by
               : excuse(name) ? excuse(name)
                              : ext2dax_mutant_text(i));
    }
    by_fsck = true;
    for (size_t i = 0; argc == 1 && fsck_there() && i < sizeof for_fsck / sizeof for_fsck[0]; i++) {
        const char *by = caught_by(for_fsck[i]);

        printf("%-7s %-34s by e2fsck alone: %s\n", by ? "caught" : "MISSED", for_fsck[i], by ? by : "");
        missed += !by;
    }
    printf("%u caught, %u missed, %u that no crash can tell from the core as it is\n", caught, missed, excused);
    for (unsigned i = 0; i < LINES * base_count; i++)
        crash_fixture_close(fixtures[i % LINES][i / LINES]);
    for (unsigned i = 0; i < LINES; i++) {
        damaged_image_close(damaged_images[i]);
        for (unsigned k = 0; k < TREE_BASES; k++)
            tree_close(trees[i][k]);
    }
    if (!whole || missed != 0 || caught == 0)
        return 1;
    if (!fsck_there())
        printf("SKIPPED: e2fsck is not installed, so it was not shown to object; every mutant is caught by other "
               "checks\n");
    return fsck_there() ? 0 : SKIPPED;
}
