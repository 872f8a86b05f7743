/* SPDX-License-Identifier: MIT */
/*
 * The default lock in every schedule of its atomic operations, with two and three threads locking
 * and unlocking in either mode. A writer excludes all others, every thread gets the lock, and no
 * wake-up is lost. With a mutant of the lock a wake-up is lost.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/mutant.h"
#include "../runner.h"
#include "coroutine.h"
#include "explored_lock.h"

/* States per meeting under a sanitizer, where backtracking means running the schedule again. */
#define SANITIZED 2000u

static struct ext2dax_explorer *explorer;
static struct ext2dax_locks locks;

static struct {
    struct ext2dax_lock lock;
    unsigned readers, writers; /* holders of the lock */
    unsigned served;
} meeting;

/*
 * Readers before a meeting, by the kind of the meeting. The eighth reader makes the lock biased,
 * and may be one of the meeting.
 */
static const struct {
    const char *text;
    unsigned readers;
} kinds[] = {{"", 0}, {", one before the bias", 7}, {", biased", 8}};
#define KINDS (sizeof kinds / sizeof kinds[0])
static unsigned readers_before;

/* Returns the address to sleep at. A sleeper has 1 of 32 bits, and each bit has its own address. */
static const void *place(const volatile void *at, unsigned bit)
{
    return (const unsigned char *)(uintptr_t)at + 64 + bit;
}

static void fall_asleep(const volatile void *at, uint32_t bits)
{
    ext2dax_explorer_sleep(explorer, place(at, (unsigned)__builtin_ctz(bits)));
}

static void wake(const volatile void *at, uint32_t bits)
{
    for (; bits != 0; bits &= bits - 1)
        ext2dax_explorer_wake(explorer, place(at, (unsigned)__builtin_ctz(bits)));
}

static void inside(void)
{
    if (meeting.writers > 1 || (meeting.writers == 1 && meeting.readers != 0))
        ext2dax_explorer_fail(explorer, "%u writers and %u readers inside", meeting.writers, meeting.readers);
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_STORE, &meeting.readers);
}

static void reads(void *arg)
{
    (void)arg;
    locks.ops->read_lock(locks.ctx, &meeting.lock);
    meeting.readers++;
    inside();
    meeting.readers--;
    meeting.served++;
    locks.ops->read_unlock(locks.ctx, &meeting.lock);
}

static void writes(void *arg)
{
    (void)arg;
    locks.ops->write_lock(locks.ctx, &meeting.lock);
    meeting.writers++;
    inside();
    meeting.writers--;
    meeting.served++;
    locks.ops->write_unlock(locks.ctx, &meeting.lock);
}

static void tries(void *arg)
{
    (void)arg;
    if (!locks.ops->try_write_lock(locks.ctx, &meeting.lock)) {
        meeting.served++;
        return;
    }
    meeting.writers++;
    inside();
    meeting.writers--;
    meeting.served++;
    locks.ops->write_unlock(locks.ctx, &meeting.lock);
}

static void set(void *arg)
{
    (void)arg;
    memset(&meeting, 0, sizeof meeting);
    ck_assert_int_eq(ext2dax_explorer_remember(explorer, &meeting, sizeof meeting), 0);
    for (unsigned part = 0; part < 2; part++) {
        size_t bytes;
        void *readers = e2dt_explored_readers(part, &bytes);

        memset(readers, 0, bytes);
        ck_assert_int_eq(ext2dax_explorer_remember(explorer, readers, bytes), 0);
    }
    ck_assert_int_eq(locks.ops->init(locks.ctx, &meeting.lock, EXT2DAX_LOCK_FS, 0), 0);
    for (unsigned i = 0; i < readers_before; i++) {
        locks.ops->read_lock(locks.ctx, &meeting.lock);
        locks.ops->read_unlock(locks.ctx, &meeting.lock);
    }
    (void)ext2dax_explorer_name(explorer, &meeting.lock, sizeof meeting.lock, "the lock's word");
}

static void look_at_the_end(void *arg)
{
    const struct ext2dax_scenario *scenario = arg;

    if (meeting.served != scenario->threads)
        ext2dax_explorer_fail(explorer, "somebody did not get in");
    if (!locks.ops->try_write_lock(locks.ctx, &meeting.lock))
        ext2dax_explorer_fail(explorer, "the lock is not free at the end");
}

#define READER                                                                                                         \
    {                                                                                                                  \
        "reader", reads                                                                                                \
    }
#define WRITER                                                                                                         \
    {                                                                                                                  \
        "writer", writes                                                                                               \
    }
#define TRIER                                                                                                          \
    {                                                                                                                  \
        "tries to write", tries                                                                                        \
    }

static struct ext2dax_scenario meetings[] = {
    {.name = "writer, writer", .threads = 2, .thread = {WRITER, WRITER}},
    {.name = "writer, reader", .threads = 2, .thread = {WRITER, READER}},
    {.name = "writer, try", .threads = 2, .thread = {WRITER, TRIER}},
    {.name = "writer, writer, reader", .threads = 3, .thread = {WRITER, WRITER, READER}},
    {.name = "writer, reader, reader", .threads = 3, .thread = {WRITER, READER, READER}},
    {.name = "writer, reader, try", .threads = 3, .thread = {WRITER, READER, TRIER}},
};
#define MEETINGS (sizeof meetings / sizeof meetings[0])

/* Explores meeting number i % MEETINGS of kind i / MEETINGS. */
static bool explore(size_t i, const char *mutant, struct ext2dax_explorer_result *result)
{
    struct ext2dax_scenario *scenario = &meetings[i % MEETINGS];
    bool sound;
    struct ext2dax_explorer_options options = {
        .size = sizeof options,
        .preemptions = EXT2DAX_EXPLORER_ANY,
        .most_states = E2DT_COROUTINE_SANITIZED && strcmp(mutant, "none") == 0 ? SANITIZED : 0};

    explorer = ext2dax_explorer_open(&options);
    ck_assert_ptr_nonnull(explorer);
    locks = e2dt_explored_locks();
    e2dt_explored_sleep_hook = fall_asleep;
    e2dt_explored_wake_hook = wake;
    readers_before = kinds[i / MEETINGS].readers;
    scenario->arg = scenario;
    scenario->start = set;
    scenario->finish = look_at_the_end;
    ck_assert_int_eq(ext2dax_mutant_activate(mutant), 0);
    sound = ext2dax_explorer_explore(explorer, scenario, result);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    ext2dax_explorer_close(explorer);
    return sound;
}

static const char *kind(size_t i)
{
    return kinds[i / MEETINGS].text;
}

START_TEST(everybody_gets_in)
{
    struct ext2dax_explorer_result result;

    if (!explore((size_t)_i, "none", &result))
        ck_abort_msg("%s%s, schedule %s: %s", meetings[(size_t)_i % MEETINGS].name, kind((size_t)_i), result.id,
                     result.finding);
    ck_assert(result.complete || E2DT_COROUTINE_SANITIZED);
    printf("%-22s%-22s %7llu schedules %8llu pruned %8llu states, %.3g schedules covered\n",
           meetings[(size_t)_i % MEETINGS].name, kind((size_t)_i), (unsigned long long)result.schedules,
           (unsigned long long)result.pruned, (unsigned long long)result.states, result.covered);
}
END_TEST

/*
 * Mutants, parts of what the explorer says of them, and the meeting explored first. A sanitizer is
 * too slow for the meetings before.
 */
static const struct {
    const char *mutant, *finding;
    size_t first;
} broken[] = {{"LOCK_SLEEPS_UNCHECKED", "lost wake-up", 0},
              {"LOCK_WAKE_LOST", "lost wake-up", 0},
              {"LOCK_BIAS_UNCHECKED", "inside", 2 * MEETINGS},
              {"LOCK_BIAS_UNWAITED", "inside", 2 * MEETINGS},
              {"LOCK_ENTRIES_FORGOTTEN", "inside", 3 * MEETINGS - 1}};

START_TEST(a_broken_lock_is_noticed)
{
    struct ext2dax_explorer_result result;
    size_t i = broken[_i].first;

    while (i < KINDS * MEETINGS && explore(i, broken[_i].mutant, &result))
        i++;
    ck_assert_msg(i < KINDS * MEETINGS, "%s was not noticed", broken[_i].mutant);
    ck_assert_ptr_nonnull(strstr(result.finding, broken[_i].finding));
    printf("%-26s %-22s%-22s %5llu  %-14s %s\n", broken[_i].mutant, meetings[i % MEETINGS].name, kind(i),
           (unsigned long long)(result.schedules + result.pruned + 1), result.id, result.finding);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("the default lock, explored");
    TCase *cases = add_case(suite, "schedules", 120);

    tcase_add_loop_test(cases, everybody_gets_in, 0, (int)(KINDS * MEETINGS));
    tcase_add_loop_test(cases, a_broken_lock_is_noticed, 0, (int)(sizeof broken / sizeof broken[0]));
    return run_suite(suite);
}
