/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"
#include "../runner.h"
#include "coroutine.h"
#include "disk/inode.h"
#include "invariants.h"

struct core_fixture fixture CHANGES;
struct ext2dax_inode *file CHANGES, *victim CHANGES;
struct ext2dax_model_map *map CHANGES, *other CHANGES;

/* States explored for assertions, which only fill a column of the table. */
#define ENOUGH 20000u
/* States explored to show a method of exploration without findings on an unbroken core. */
#define THOROUGH 100000u

/* States per scenario under a sanitizer, where backtracking means running the schedule again. */
#define SANITIZED 500u

/* Most serial orders of a pair. */
#define SERIAL_ORDERS 6u

static struct ext2dax_explorer *explorer;
static const struct pair *playing;

/* The outcomes of the serial orders. While they are recorded no outcome is compared. */
static uint64_t serial_outcome[SERIAL_ORDERS];
static unsigned serial_outcomes;
static bool recording;

/* The section of all variables declared with CHANGES. */
extern unsigned char __start_changes[], __stop_changes[];

/* ---- findings ---- */

void complain(const char *what)
{
    if (!playing || !playing->unchecked)
        ext2dax_explorer_fail(explorer, "%s", what);
}

void expect(bool condition, const char *what)
{
    if (!condition)
        complain(what);
}

void outcome(uint64_t hash)
{
    unsigned i = 0;

    while (i < serial_outcomes && serial_outcome[i] != hash)
        i++;
    if (i < serial_outcomes)
        return;
    if (recording && i < SERIAL_ORDERS)
        serial_outcome[serial_outcomes++] = hash;
    else if (playing->serial)
        complain("an outcome that no serial order has");
}

static struct invariants invariants_here(void)
{
    return (struct invariants){.explorer = explorer,
                               .memory = &fixture.memory,
                               .model = fixture.model,
                               .others = &victim->number,
                               .unlinked = true,
                               .hostile = playing->hostile};
}

/* ---- the scenario as passed to the explorer ---- */

static void break_protection(const struct pair *pair, bool broken)
{
    ck_assert_int_eq(ext2dax_mutant_activate(broken && pair->mutant ? pair->mutant : "none"), 0);
}

static void on_start(void *arg)
{
    const struct pair *pair = arg;
    struct core_fixture_options options = {.size = 128 << 10,
                                           .block_size = PAGE,
                                           .blocks_per_group = 256,
                                           .inodes = pair->serial ? 32 : 0,
                                           .page_shift = 10,
                                           .huge_order = 3,
                                           .order = pair->durable ? EXT2DAX_ORDERED : EXT2DAX_ORDER_AUTO,
                                           .durable = pair->durable,
                                           .explorer = explorer,
                                           .blind = pair->blind,
                                           .discard = true};

    ck_assert_int_eq(ext2dax_explorer_remember(explorer, __start_changes, (size_t)(__stop_changes - __start_changes)),
                     0);
    core_fixture_open(&fixture, &options);
    ck_assert_int_eq(ext2dax_explorer_ignore_counters(explorer, fixture.mount), 0);
    file = core_fixture_create(&fixture, "file");
    victim = core_fixture_create(&fixture, "victim");
    map = ext2dax_model_map(fixture.model, file, 0, 40, true, true);
    other = ext2dax_model_map(fixture.model, file, 0, 40, true, true);
    ext2dax_explorer_name_inode(explorer, file, "file");
    ext2dax_explorer_name_inode(explorer, victim, "victim");
    pair->scenario->start();
    break_protection(pair, true);
    ext2dax_assertions(!pair->blind);
}

static void on_step(void *arg)
{
    const struct pair *pair = arg;
    const struct invariants invariants = invariants_here();

    if (!pair->unchecked)
        invariants_check_state(&invariants);
}

static void on_finish(void *arg)
{
    const struct pair *pair = arg;
    const struct invariants invariants = invariants_here();

    if (pair->unchecked)
        return;
    break_protection(pair, false);
    invariants_check_end(&invariants);
    if (pair->scenario->verify)
        pair->scenario->verify();
    break_protection(pair, true);
}

static void play_first(void *arg)
{
    const struct pair *pair = arg;

    pair->scenario->first();
    if (fixture.order)
        ext2dax_lock_order_returned(fixture.order);
}

static void play_second(void *arg)
{
    const struct pair *pair = arg;

    pair->scenario->second();
    if (fixture.order)
        ext2dax_lock_order_returned(fixture.order);
}

static void play_third(void *arg)
{
    const struct pair *pair = arg;

    pair->third();
    if (fixture.order)
        ext2dax_lock_order_returned(fixture.order);
}

static struct ext2dax_scenario describe(const struct pair *pair)
{
    return (struct ext2dax_scenario){
        .name = pair->scenario->name,
        .arg = (void *)(uintptr_t)pair,
        .threads = pair->third ? 3 : 2,
        .thread = {{"the first", play_first}, {"the second", play_second}, {"the third", play_third}},
        .start = on_start,
        .step = on_step,
        .finish = on_finish};
}

static void open_explorer(const struct pair *pair, unsigned flags, uint32_t preemptions)
{
    struct ext2dax_explorer_options options = {.size = sizeof options,
                                               .flags = flags | (pair->blind ? EXT2DAX_EXPLORER_BLIND : 0),
                                               .preemptions = preemptions,
                                               .most_states = recording                  ? 0
                                                              : pair->unchecked          ? ENOUGH
                                                              : pair->thorough           ? THOROUGH
                                                              : E2DT_COROUTINE_SANITIZED ? SANITIZED
                                                                                         : 0};

    explorer = ext2dax_explorer_open(&options);
    ck_assert_ptr_nonnull(explorer);
    playing = pair;
}

static void close_explorer(const struct pair *pair)
{
    ext2dax_explorer_close(explorer);
    break_protection(pair, false);
    ext2dax_assertions(true);
}

/*
 * The order of explorations for a mutant. Schedules with few preemptions come first, because a
 * mutant is most likely detected there. A mutant may make threads access shared data without a lock
 * and unannounced, which only an exploration of all yield points detects. Some mutants are detected
 * only with a fair lock.
 */
static const struct {
    unsigned flags;
    uint32_t preemptions;
} tries[] = {
    {EXT2DAX_EXPLORER_SHARED_ONLY, 1},
    {EXT2DAX_EXPLORER_SHARED_ONLY, 2},
    {EXT2DAX_EXPLORER_SHARED_ONLY, EXT2DAX_EXPLORER_ANY},
    {0, 2},
    {0, EXT2DAX_EXPLORER_ANY},
    {EXT2DAX_EXPLORER_FAIR, 2},
    {EXT2DAX_EXPLORER_FAIR, EXT2DAX_EXPLORER_ANY},
};

static bool is_tried(const struct pair *pair, unsigned number)
{
    if (pair->mutant && !pair->unchecked)
        return true;
    /* Three threads have too many schedules for any number of preemptions. */
    if (pair->third)
        return number == 1;
    return tries[number].preemptions == EXT2DAX_EXPLORER_ANY && (pair->thorough || number == 2);
}

/*
 * Records the outcomes of all serial orders of the unbroken core. Without preemptions a thread runs
 * to its end.
 */
static bool record_outcomes(const struct pair *pair, struct ext2dax_explorer_result *result)
{
    struct pair unbroken = *pair;
    const struct ext2dax_scenario scenario = describe(&unbroken);
    bool sound;

    unbroken.mutant = NULL;
    unbroken.unchecked = false;
    recording = true;
    open_explorer(&unbroken, 0, 0);
    sound = ext2dax_explorer_explore(explorer, &scenario, result);
    recording = false;
    close_explorer(&unbroken);
    return sound;
}

bool pair_explore(const struct pair *pair, struct ext2dax_explorer_result *result)
{
    const struct ext2dax_scenario scenario = describe(pair);
    uint64_t schedules = 0, pruned = 0;
    bool sound = true;

    serial_outcomes = 0;
    if (pair->serial && !record_outcomes(pair, result))
        return false;
    for (unsigned i = 0; i < sizeof tries / sizeof tries[0] && sound; i++) {
        if (!is_tried(pair, i))
            continue;
        open_explorer(pair, tries[i].flags, tries[i].preemptions);
        sound = ext2dax_explorer_explore(explorer, &scenario, result);
        close_explorer(pair);
        result->schedules += schedules;
        result->pruned += pruned;
        schedules = result->schedules;
        pruned = result->pruned;
    }
    return sound;
}

static void print_line(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

bool pair_replay(const struct pair *pair, const char *id, unsigned flags, bool print,
                 struct ext2dax_explorer_result *result)
{
    const struct ext2dax_scenario scenario = describe(pair);
    bool sound;
    int error;

    open_explorer(pair, flags, EXT2DAX_EXPLORER_ANY);
    sound = ext2dax_explorer_replay(explorer, &scenario, id, print ? print_line : NULL, NULL, result, &error);
    close_explorer(pair);
    ck_assert_int_eq(error, 0);
    return sound;
}

static void every_schedule(const struct scenario *scenario)
{
    const struct pair pair = {.scenario = scenario};
    struct ext2dax_explorer_result result, again;

    if (!pair_explore(&pair, &result)) {
        printf("%s: %s\n", scenario->name, result.finding);
        (void)pair_replay(&pair, result.id, result.flags, true, &again);
        ck_abort_msg("%s, schedule %s: %s", scenario->name, result.id, result.finding);
    }
    ck_assert(result.complete || E2DT_COROUTINE_SANITIZED);
    printf("%-45s %6llu schedules %7llu pruned %7llu states%s\n", scenario->name, (unsigned long long)result.schedules,
           (unsigned long long)result.pruned, (unsigned long long)result.states,
           result.complete ? "" : ", not all: a sanitizer is slow");
}

static const struct scenario *running;

START_TEST(every_schedule_is_in_order)
{
    every_schedule(&running[_i]);
}
END_TEST

int pairs_run(const char *name, const struct scenario *scenarios, int count)
{
    Suite *suite = suite_create(name);
    TCase *tests = add_case(suite, "pairs", 120);

    running = scenarios;
    tcase_add_loop_test(tests, every_schedule_is_in_order, 0, count);
    return run_suite(suite);
}

/* ---- operations ---- */

enum ext2dax_fault_result fault_in(struct ext2dax_model_map *in, uint64_t page, bool write,
                                   enum ext2dax_fault_result (*entry)(struct ext2dax_fault *))
{
    struct ext2dax_fault f;

    ext2dax_model_fault(in, page, write, &f);
    return entry(&f);
}

void store(struct ext2dax_model_map *in, uint64_t offset, unsigned char byte)
{
    enum ext2dax_fault_result result = ext2dax_model_write(in, offset, &byte, 1, false, true);

    expect(result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_SIGBUS, "a store failed");
}

/* Shares an attribute block, made from a block allocated for data. */
void share_attributes(struct ext2dax_inode *one, struct ext2dax_inode *two)
{
    struct ext2dax_le32 *header;

    ck_assert_int_eq(ext2dax_write(one, 0, "x", 1), 1);
    header = (void *)((unsigned char *)fixture.memory.base + core_fixture_physical(one, 0) * PAGE);
    memset(header, 0, PAGE);
    header[0] = e2d_le32(E2D_XATTR_MAGIC);
    header[1] = e2d_le32(2); /* references */
    header[2] = e2d_le32(1); /* blocks */
    one->disk->file_acl = two->disk->file_acl = one->disk->block[0];
    one->disk->block[0] = e2d_le32(0);
    two->disk->sectors = one->disk->sectors;
}

void linger(void)
{
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_STORE, NULL);
}

static void finding(void *arg, const struct ext2dax_finding *f)
{
    (void)arg;
    complain(f->what);
}

void no_leaks(void)
{
    (void)ext2dax_check_image(fixture.memory.base, fixture.memory.size, EXT2DAX_CHECK_MOUNTED, finding, NULL, NULL);
}

void fill(uint64_t first, uint64_t pages)
{
    unsigned char bytes[8 * PAGE];

    memset(bytes, OLD, sizeof bytes);
    for (uint64_t i = 0; i < pages; i += 8)
        ck_assert_int_gt(
            ext2dax_write(file, (first + i) * PAGE, bytes, (pages - i < 8 ? (size_t)(pages - i) : 8) * PAGE), 0);
}
