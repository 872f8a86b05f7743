/* SPDX-License-Identifier: MIT */
#include "explorer_harness.h"

#include <stdlib.h>
#include <string.h>

struct ext2dax_explorer *explorer;
struct world world;

const struct mode modes[MODES] = {
    {"snapshots", 0},
    {"snapshots, shared only", EXT2DAX_EXPLORER_SHARED_ONLY},
    {"replay", EXT2DAX_EXPLORER_REPLAY},
    {"replay, shared only", EXT2DAX_EXPLORER_SHARED_ONLY | EXT2DAX_EXPLORER_REPLAY},
};

void open_explorer(unsigned flags)
{
    struct ext2dax_explorer_options options = {
        .size = sizeof options, .memory = (size_t)128 << 10, .preemptions = EXT2DAX_EXPLORER_ANY, .flags = flags};

    explorer = ext2dax_explorer_open(&options);
    if (!explorer)
        abort();
}

void close_explorer(void)
{
    ext2dax_explorer_close(explorer);
    explorer = NULL;
}

void empty_world(void *arg)
{
    struct ext2dax_locks locks = ext2dax_explorer_locks(explorer);

    (void)arg;
    memset(&world, 0, sizeof world);
    if (ext2dax_explorer_remember(explorer, &world, sizeof world) != 0)
        ext2dax_explorer_fail(explorer, "no memory for the world");
    for (unsigned i = 0; i < LOCKS; i++) {
        if (locks.ops->init(locks.ctx, &world.lock[i], EXT2DAX_LOCK_GROUP, i) != 0)
            ext2dax_explorer_fail(explorer, "no memory for locks");
    }
}

uint32_t load(unsigned variable)
{
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_LOAD, &world.variable[variable]);
    return world.variable[variable];
}

void store(unsigned variable, uint32_t value)
{
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_STORE, &world.variable[variable]);
    world.variable[variable] = value;
}

void lock(unsigned which)
{
    struct ext2dax_locks locks = ext2dax_explorer_locks(explorer);

    locks.ops->write_lock(locks.ctx, &world.lock[which]);
}

bool try_lock(unsigned which)
{
    struct ext2dax_locks locks = ext2dax_explorer_locks(explorer);

    return locks.ops->try_write_lock(locks.ctx, &world.lock[which]);
}

void unlock(unsigned which)
{
    struct ext2dax_locks locks = ext2dax_explorer_locks(explorer);

    locks.ops->write_unlock(locks.ctx, &world.lock[which]);
}

void reproduce(const struct ext2dax_scenario *scenario, const struct ext2dax_explorer_result *result)
{
    for (unsigned i = 0; i < 3; i++) {
        struct ext2dax_explorer_result again = *result;
        int error;
        bool good = ext2dax_explorer_replay(explorer, scenario, again.id, NULL, NULL, &again, &error);

        ck_assert_msg(error == 0 && !good && again.failed, "%s: '%s' does not find '%s'", scenario->name, result->id,
                      result->finding);
        ck_assert_str_eq(again.finding, result->finding);
        ck_assert_str_eq(again.id, result->id);
    }
}

void expect_finding(const struct ext2dax_scenario *scenario, const char *text)
{
    struct ext2dax_explorer_result result;
    bool good = ext2dax_explorer_explore(explorer, scenario, &result);

    ck_assert_int_eq(good, !result.failed);
    if (!text) {
        ck_assert_msg(good, "%s: %s (%s)", scenario->name, result.finding, result.id);
        ck_assert_msg(result.complete, "%s", scenario->name);
        ck_assert_msg(result.ends > 0, "%s never ends", scenario->name);
        return;
    }
    ck_assert_msg(!good, "%s: nothing found", scenario->name);
    ck_assert_msg(strncmp(result.finding, text, strlen(text)) == 0, "%s: %s, not %s", scenario->name, result.finding,
                  text);
    ck_assert(!result.complete);
    reproduce(scenario, &result);
}
