/* SPDX-License-Identifier: MIT */
/*
 * The lives of a plan. A life is a walk of the explorer, and the next life begins with the image
 * which the walk has left.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"
#include "../isolation/invariants.h"

#define CHECKED_EVERY 8u /* decisions between checks of the whole image */

struct world world;

static struct invariants invariants_here(void)
{
    return (struct invariants){.explorer = world.explorer,
                               .memory = &world.medium,
                               .model = world.model,
                               .unlinked = true,
                               .leaked = world.leaked,
                               .frozen = world.frozen != 0};
}

static void break_protection(bool broken)
{
    if (ext2dax_mutant_activate(broken && world.mutant ? world.mutant : "none") != 0)
        abort();
    ext2dax_assertions(!(broken && world.blind));
}

/* ---- the begin of a life ---- */

static bool is_marked_clean(void)
{
    const struct ext2dax_disk_super *super =
        (const void *)((const unsigned char *)world.medium.base + EXT2DAX_SUPER_OFFSET);
    const unsigned char *state = (const unsigned char *)&super->state;

    return (state[0] & EXT2DAX_STATE_VALID) != 0;
}

static bool mount_image(void)
{
    struct ext2dax_mount_options options = {.size = sizeof options,
                                            .flags = world.life->discard ? EXT2DAX_MOUNT_DISCARD : 0,
                                            .order = EXT2DAX_ORDERED,
                                            .page_shift = 10,
                                            .huge_order = 3,
                                            .recover = ext2dax_recover,
                                            .errors = EXT2DAX_ERRORS_CONTINUE};
    struct ext2dax_plugs plugs;
    int rc;

    if (!plugs_open(&plugs))
        abort();
    /* A kill or a power failure right after a freeze leaves a clean image, which is not scanned. */
    world.recovering = world.is_formatted && world.end != SIM_END_UNMOUNT && !is_marked_clean();
    world.stats->recoveries += world.recovering;
    rc = ext2dax_mount(&plugs, &options, &world.mount);
    if (world.recovering)
        world.leaked = false;
    world.recovering = false;
    if (rc != 0)
        complain("a mount returns %s: %s", ext2dax_strerror(rc), world.report);
    return rc == 0;
}

static void format(void)
{
    struct ext2dax_format_options options = {.size = sizeof options,
                                             .block_size = PAGE,
                                             .inodes = 64,
                                             .inode_size = world.plan->large_inodes ? 256 : 128,
                                             .blocks_per_group = 256,
                                             .time = 1700000000};

    memset(world.medium.base, FREE, IMAGE_BYTES);
    if (ext2dax_format(&world.medium, &options, NULL) != 0)
        abort();
    ext2dax_crash_load(world.crash, world.medium.base);
}

static void on_start(void *arg)
{
    (void)arg;
    break_protection(true);
    if (!world.is_formatted)
        format();
    world.is_cut = false;
    if (!mount_image())
        return;
    if (world.is_cut) {
        /* The power failed in the middle of recovery, and recovery begins again. */
        (void)plugs_close();
        ext2dax_crash_load(world.crash, world.image);
        world.is_cut = false;
        ext2dax_explorer_clear(world.explorer);
        if (!mount_image())
            return;
    }
    world.is_cut = false;
    if (world.is_formatted)
        world_look_up();
    else
        world_populate();
    if (world.is_formatted)
        world_compare();
    world.is_formatted = true;
    for (unsigned i = 0; i < world.plan->threads; i++) {
        world.map[i] = ext2dax_model_map(world.model, world.file, 0, FILE_PAGES, true, true);
        if (!world.map[i])
            abort();
    }
    if (ext2dax_sync(world.mount) != 0)
        complain("sync fails at the begin of a life");
}

/* ---- the end of a life ---- */

static void finding(void *arg, const struct ext2dax_finding *found)
{
    char text[160];

    (void)arg;
    ext2dax_finding_text(found, text, sizeof text);
    complain("after unmounting: %s", text);
}

static void unmount(void)
{
    int rc;

    for (unsigned i = 0; i < world.plan->threads; i++) {
        calls_release(i);
        ext2dax_model_unmap(world.map[i]);
    }
    for (unsigned i = 0; i <= THREADS; i++) {
        for (unsigned k = 0; k < DIRECTORIES; k++)
            ext2dax_inode_put(world.directory[i][k]);
    }
    ext2dax_inode_put(world.file);
    rc = ext2dax_unmount(world.mount);
    if (rc != 0) {
        complain("unmount returns %s", ext2dax_strerror(rc));
        return;
    }
    if (plugs_in_use() != 0)
        complain("memory of the host is in use after unmounting");
    (void)ext2dax_check_image(world.medium.base, world.medium.size, world.leaked ? EXT2DAX_CHECK_LEAKS_OK : 0, finding,
                              NULL, NULL);
}

static void on_step(void *arg)
{
    const struct invariants invariants = invariants_here();

    (void)arg;
    if (world.steps++ % CHECKED_EVERY != 0)
        return;
    invariants_check_state(&invariants);
    calls_check_pins();
}

static void on_finish(void *arg)
{
    const struct invariants invariants = invariants_here();

    (void)arg;
    if (world.is_cut)
        return;
    if (!world.store_failed)
        invariants_check_end(&invariants);
    if (world.store_failed || world.life->end != SIM_END_UNMOUNT) {
        take_image(!world.store_failed && world.life->end == SIM_END_CRASH ? SIM_END_CRASH : SIM_END_KILL);
        world.stats->event[world.end == SIM_END_CRASH ? SIM_EVENT_CRASH : SIM_EVENT_KILL]++;
        return;
    }
    world.end = SIM_END_UNMOUNT;
    unmount();
    memcpy(world.image, world.medium.base, sizeof world.image);
}

static void run_0(void *arg)
{
    (void)arg;
    calls_play(0);
}
static void run_1(void *arg)
{
    (void)arg;
    calls_play(1);
}
static void run_2(void *arg)
{
    (void)arg;
    calls_play(2);
}
static void run_3(void *arg)
{
    (void)arg;
    calls_play(3);
}

/* The models know what the end of the life has made durable. */
static void end_models(void)
{
    for (unsigned i = 0; i < THREADS; i++) {
        if (world.end != SIM_END_CRASH) {
            subtree_settle(&world.tree[i]);
            subtree_settle(&world.after[i]);
            for (uint32_t at = i; at < KEPT; at += THREADS) {
                contents_settle_granule(&world.common, at);
                if (world.pending[i])
                    world.common.may[at] |= (uint64_t)1 << world.pending[i]->value;
            }
        }
        if (world.pending[i] && is_file_call(world.pending[i]->kind))
            subtree_widen(&world.tree[i], world.pending[i]);
        world.pinned[i].active = false;
        world.held[i] = NULL;
    }
}

static void mix(uint64_t value)
{
    world.fingerprint = (world.fingerprint ^ value) * 0x9E3779B97F4A7C15u;
    world.fingerprint ^= world.fingerprint >> 29;
}

/* Plays a life. Returns false after a finding. */
static bool play_life(struct ext2dax_explorer_result *result)
{
    struct ext2dax_scenario scenario = {.name = "simulation",
                                        .threads = world.plan->threads,
                                        .thread = {{"0", run_0}, {"1", run_1}, {"2", run_2}, {"3", run_3}},
                                        .start = on_start,
                                        .step = on_step,
                                        .finish = on_finish};
    bool sound;

    memset(world.seen, 0, sizeof world.seen);
    world.frozen = 0;
    world.store_failed = false;
    sound = ext2dax_explorer_walk(world.explorer, &scenario, sim_draw(&world.random), result);
    break_protection(false);
    world.stats->lives++;
    world.stats->points += result->points;
    world.stats->decisions += result->steps;
    if (!sound)
        return false;
    (void)plugs_close();
    end_models();
    ext2dax_crash_load(world.crash, world.image);
    mix(result->points);
    for (size_t i = 0; i < IMAGE_BYTES; i += 8) {
        uint64_t word;

        memcpy(&word, world.image + i, sizeof word);
        mix(word);
    }
    return true;
}

const char *world_play(const struct sim_plan *plan, const char *mutant, bool blind, struct sim_stats *stats,
                       uint64_t *fingerprint)
{
    static const struct sim_life last = {.end = SIM_END_UNMOUNT};
    static struct ext2dax_explorer_result result;
    struct ext2dax_explorer_options explorer = {.size = sizeof explorer,
                                                .stack = 256 << 10,
                                                .flags = blind ? EXT2DAX_EXPLORER_BLIND : 0,
                                                .preemptions = EXT2DAX_EXPLORER_ANY,
                                                .most_steps = 1000000};
    struct ext2dax_crash_options crash = {
        .size = sizeof crash, .bytes = IMAGE_BYTES, .remember_log = 10, .discard = true, .seed = plan->schedule};
    bool sound = true;

    memset(&world, 0, sizeof world);
    world.plan = plan;
    world.mutant = mutant;
    world.blind = blind;
    world.stats = stats;
    world.random = plan->schedule;
    if (ext2dax_crash_open(&crash, &world.medium, &world.crash) != 0)
        abort();
    world.explorer = ext2dax_explorer_open(&explorer);
    if (!world.explorer)
        abort();
    for (world.number = 0; world.number <= plan->lives && sound; world.number++) {
        world.life = world.number < plan->lives ? &plan->life[world.number] : &last;
        sound = play_life(&result);
    }
    (void)plugs_close();
    ext2dax_explorer_close(world.explorer);
    ext2dax_crash_close(world.crash);
    stats->seeds++;
    *fingerprint = world.fingerprint;
    return sound ? NULL : result.finding;
}
