/* SPDX-License-Identifier: MIT */
/*
 * Public calls of the explorer, for opening, plugs, restored memory, names, yield points and
 * exploring.
 */
#include "explorer_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "ext2dax/error.h"

#include "base/internal.h"
#include "base/copy_struct.h"

#define DEFAULT_MEMORY     ((size_t)1 << 20)
#define DEFAULT_STACK      ((size_t)64 << 10)
#define DEFAULT_MOST_STEPS 100000u
#define FEW_PREEMPTIONS    4u

/* ---- opening ---- */

struct ext2dax_explorer *ext2dax_explorer_open(const struct ext2dax_explorer_options *options)
{
    struct ext2dax_explorer *explorer = calloc(1, sizeof *explorer);
    bool good;

    if (!explorer)
        return NULL;
    e2d_copy_struct(&explorer->options, sizeof explorer->options, options);
    if (!options)
        explorer->options.preemptions = EXT2DAX_EXPLORER_ANY;
    if (explorer->options.memory == 0)
        explorer->options.memory = DEFAULT_MEMORY;
    if (explorer->options.stack == 0)
        explorer->options.stack = DEFAULT_STACK;
    if (explorer->options.most_steps == 0)
        explorer->options.most_steps = DEFAULT_MOST_STEPS;
    if (e2dt_coroutine_is_checked())
        explorer->options.flags |= EXT2DAX_EXPLORER_REPLAY;
    explorer->current = E2DT_NOBODY;
    good = explorer->options.memory < SIZE_MAX / 2 && explorer->options.stack < SIZE_MAX / 2;
    good = good && e2dt_state_open(&explorer->state, explorer->options.memory);
    for (unsigned i = 0; i < EXT2DAX_EXPLORER_THREADS && good; i++)
        good = e2dt_coroutine_open(&explorer->thread[i].coroutine, explorer->options.stack);
    if (good)
        return explorer;
    ext2dax_explorer_close(explorer);
    return NULL;
}

void ext2dax_explorer_close(struct ext2dax_explorer *explorer)
{
    for (unsigned i = 0; i < EXT2DAX_EXPLORER_THREADS; i++)
        e2dt_coroutine_close(&explorer->thread[i].coroutine);
    e2dt_state_close(&explorer->state);
    free(explorer->accessed);
    free(explorer->turn);
    free(explorer->frame);
    free(explorer->stacks);
    free(explorer->named);
    free(explorer->open);
    free(explorer);
}

void ext2dax_explorer_clear(struct ext2dax_explorer *explorer)
{
    e2dt_state_clear(&explorer->state);
    e2dt_access_clear(explorer);
    explorer->names = 0;
    explorer->frames = 0;
    explorer->stacks_used = 0;
    explorer->doomed = false;
}

void ext2dax_explorer_set(struct ext2dax_explorer *explorer, unsigned flags, uint32_t preemptions)
{
    explorer->options.flags = flags | (e2dt_coroutine_is_checked() ? EXT2DAX_EXPLORER_REPLAY : 0);
    explorer->options.preemptions = preemptions;
}

/* ---- memory and the host ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    return ext2dax_explorer_alloc(ctx, bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    ext2dax_explorer_release(ctx, at, bytes);
}

static int64_t host_now(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

/*
 * Does not return. The panicking thread stays suspended, and its schedule ends there. Outside of
 * threads aborts the program.
 */
static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    struct ext2dax_explorer *explorer = ctx;

    ext2dax_explorer_fail(explorer, "assertion: %s (%s:%d)", what, file, line);
    if (explorer->current == E2DT_NOBODY) {
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
        abort();
    }
    /* Passes a point, so that the schedule's id includes the thread's progress up to here. */
    (void)e2dt_pass(explorer, true);
    for (;;)
        e2dt_coroutine_leave(&explorer->thread[explorer->current].coroutine);
}

static bool host_may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof host_ops,
    .alloc = host_alloc,
    .release = host_release,
    .now = host_now,
    .panic = host_panic,
    .may_use_reserved = host_may_use_reserved,
};

struct ext2dax_host ext2dax_explorer_host(struct ext2dax_explorer *explorer)
{
    return (struct ext2dax_host){&host_ops, explorer};
}

/*
 * Does nothing. Only the call itself matters. The contents of a durable medium are not checked
 * here.
 */
static int memory_fence(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct ext2dax_memory_ops memory_ops = {.size = sizeof memory_ops, .fence = memory_fence};

int ext2dax_explorer_memory(struct ext2dax_explorer *explorer, size_t bytes, unsigned char fill,
                            struct ext2dax_memory *memory)
{
    void *base = e2dt_state_alloc(&explorer->state, bytes, (size_t)64 << 10);

    if (!base)
        return -EXT2DAX_ENOMEM;
    memset(base, fill, bytes);
    *memory = (struct ext2dax_memory){.ops = &memory_ops, .ctx = explorer, .base = base, .size = bytes};
    return ext2dax_explorer_name(explorer, base, bytes, "image");
}

/* ---- a watched address space ---- */

/* Yields before a call. Returns false outside of threads, where the table has no column. */
static bool called(struct ext2dax_explorer *explorer)
{
    e2dt_point(explorer, E2D_YIELD_CALLBACK, &explorer->watched, true, NULL);
    return explorer->current != E2DT_NOBODY;
}

static enum ext2dax_fault_result watch_map(void *ctx, struct ext2dax_fault *fault,
                                           const struct ext2dax_mapping *mapping)
{
    struct ext2dax_explorer *explorer = ctx;
    static const char *const kind[] = {
        [EXT2DAX_MAPPING_DATA] = "", [EXT2DAX_MAPPING_ZERO] = " to zeroes", [EXT2DAX_MAPPING_COPY] = " copied"};

    if (called(explorer))
        e2dt_trace(explorer, "MAP page%s %llu%s%s%s", mapping->count == 1 ? "" : "s", (unsigned long long)mapping->page,
                   mapping->count == 1 ? "" : "...", kind[mapping->kind], mapping->writable ? ", writable" : "");
    return explorer->watched.ops->map(explorer->watched.ctx, fault, mapping);
}

static void watch_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct ext2dax_explorer *explorer = ctx;

    if (called(explorer))
        e2dt_trace(explorer, "UNMAP from page %llu", (unsigned long long)first);
    explorer->watched.ops->unmap(explorer->watched.ctx, inode, first, count, private_too);
}

static uint64_t watch_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    struct ext2dax_explorer *explorer = ctx;

    if (called(explorer))
        e2dt_trace(explorer, "PROTECT from page %llu", (unsigned long long)first);
    return explorer->watched.ops->protect(explorer->watched.ctx, inode, first, count, run);
}

static void watch_extend(void *ctx, struct ext2dax_inode *inode, uint64_t pages)
{
    struct ext2dax_explorer *explorer = ctx;

    if (called(explorer))
        e2dt_trace(explorer, "GROW to page %llu", (unsigned long long)pages);
    explorer->watched.ops->extend(explorer->watched.ctx, inode, pages);
}

static bool watch_aliases(void *ctx, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, const void *buffer,
                          size_t bytes)
{
    struct ext2dax_explorer *explorer = ctx;

    return explorer->watched.ops->aliases(explorer->watched.ctx, inode, offset, length, buffer, bytes);
}

struct ext2dax_address_space ext2dax_explorer_watch(struct ext2dax_explorer *explorer,
                                                    struct ext2dax_address_space space)
{
    struct ext2dax_address_space_ops *ops = &explorer->watched_ops;

    e2d_copy_struct(ops, sizeof *ops, space.ops);
    explorer->watched = (struct ext2dax_address_space){ops, space.ctx};
    /*
     * An op missing in the table is missing in the watched table as well, so mounting refuses both.
     */
    explorer->watching_ops = (struct ext2dax_address_space_ops){.size = sizeof *ops,
                                                                .map = ops->map ? watch_map : NULL,
                                                                .unmap = ops->unmap ? watch_unmap : NULL,
                                                                .protect = ops->protect ? watch_protect : NULL,
                                                                .extend = ops->extend ? watch_extend : NULL,
                                                                .aliases = ops->aliases ? watch_aliases : NULL};
    return (struct ext2dax_address_space){&explorer->watching_ops, explorer};
}

/* ---- state and names ---- */

int ext2dax_explorer_remember(struct ext2dax_explorer *explorer, void *at, size_t bytes)
{
    if (explorer->exploring)
        return -EXT2DAX_EBUSY;
    return e2dt_state_remember(&explorer->state, at, bytes);
}

int ext2dax_explorer_ignore(struct ext2dax_explorer *explorer, const void *at, size_t bytes)
{
    if (explorer->exploring)
        return -EXT2DAX_EBUSY;
    return e2dt_state_ignore(&explorer->state, at, bytes);
}

int ext2dax_explorer_ignore_counters(struct ext2dax_explorer *explorer, struct ext2dax_mount *mount)
{
    int rc = ext2dax_explorer_ignore(explorer, &mount->counters, sizeof mount->counters);

    return rc != 0 ? rc : ext2dax_explorer_ignore(explorer, mount->fences_by_name, sizeof mount->fences_by_name);
}

int ext2dax_explorer_name(struct ext2dax_explorer *explorer, const void *at, size_t bytes, const char *text)
{
    struct e2dt_named *wider = realloc(explorer->named, (explorer->names + 1) * sizeof *wider);

    if (!wider)
        return -EXT2DAX_ENOMEM;
    explorer->named = wider;
    wider[explorer->names++] = (struct e2dt_named){at, bytes, text};
    return 0;
}

int ext2dax_explorer_name_inode(struct ext2dax_explorer *explorer, const struct ext2dax_inode *inode, const char *text)
{
    int rc = ext2dax_explorer_name(explorer, inode, sizeof *inode, text);

    if (rc == 0)
        rc = ext2dax_explorer_name(explorer, &inode->size, sizeof inode->size, "size in core");
    if (rc == 0)
        rc =
            ext2dax_explorer_name(explorer, inode->dirty, sizeof inode->dirty + sizeof inode->dirty_all, "dirty marks");
    if (rc == 0)
        rc = ext2dax_explorer_name(explorer, inode->disk->block, sizeof inode->disk->block, "pointer");
    return rc != 0 ? rc : ext2dax_explorer_name(explorer, inode->disk, sizeof *inode->disk, "inode on disk");
}

/* ---- calls for threads ---- */

void ext2dax_explorer_point(struct ext2dax_explorer *explorer, enum ext2dax_explorer_access access, const void *at)
{
    bool store = access == EXT2DAX_EXPLORER_STORE;

    e2dt_point(explorer, store ? E2D_YIELD_STORE : E2D_YIELD_LOAD, at, store, store ? "store" : "load");
}

__attribute__((noinline)) static void fall_asleep(struct ext2dax_explorer *explorer, const void *at)
{
    /*
     * Other threads may react to earlier stores or releases of this thread, and send the wake-up
     * before the sleep.
     */
    (void)e2dt_access(explorer, at, true);
    if (e2dt_pass(explorer, explorer->thread[explorer->current].announced))
        e2dt_stand(explorer, E2DT_RUNNABLE, NULL);
    (void)e2dt_pass(explorer, true);
    e2dt_trace(explorer, "sleep");
    e2dt_stand(explorer, E2DT_SLEEPS, at);
}

void ext2dax_explorer_sleep(struct ext2dax_explorer *explorer, const void *at)
{
    if (explorer->current == E2DT_NOBODY)
        return;
    fall_asleep(explorer, at);
    e2dt_coroutine_tidy();
}

void ext2dax_explorer_wake(struct ext2dax_explorer *explorer, const void *at)
{
    e2dt_point(explorer, E2D_YIELD_STORE, at, true, "wake");
    for (unsigned i = 0; i < explorer->threads; i++) {
        if (explorer->thread[i].waiting == E2DT_SLEEPS && explorer->thread[i].at == at)
            explorer->thread[i].waiting = E2DT_RUNNABLE;
    }
}

/* ---- exploring ---- */

static void prepare(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario,
                    struct ext2dax_explorer_result *result)
{
    memset(result, 0, sizeof *result);
    result->flags = explorer->options.flags;
    explorer->scenario = scenario;
    explorer->result = result;
    explorer->threads = scenario->threads;
    explorer->doomed = explorer->stopped = false;
    if (scenario->threads == 0 || scenario->threads > EXT2DAX_EXPLORER_THREADS)
        ext2dax_explorer_fail(explorer, "a scenario has 1 to %d threads", EXT2DAX_EXPLORER_THREADS);
}

/* Runs the scenario's start function and saves the first state. */
static bool begin(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario,
                  struct ext2dax_explorer_result *result)
{
    prepare(explorer, scenario, result);
    if (scenario->start && !explorer->doomed) {
        if (explorer->state.limit != 0)
            ext2dax_explorer_clear(explorer);
        scenario->start(scenario->arg);
    }
    if (!explorer->doomed && e2dt_state_begin(&explorer->state) != 0)
        ext2dax_explorer_fail(explorer, "no memory to explore in");
    result->failed = explorer->doomed;
    if (result->failed)
        explorer->result = NULL;
    else
        explorer->exploring = true;
    return !result->failed;
}

static void end(struct ext2dax_explorer *explorer)
{
    e2dt_hook(NULL);
    e2dt_search_end(explorer);
    explorer->exploring = false;
    explorer->result = NULL;
}

/*
 * Searches for a failing schedule with few preemptions. The failing schedule with the fewest
 * preemptions is the easiest to read.
 */
static void find_plainest(struct ext2dax_explorer *explorer, struct ext2dax_explorer_result *result)
{
    struct ext2dax_explorer_result *plain = &explorer->plain;

    for (uint32_t preemptions = 0; preemptions <= FEW_PREEMPTIONS; preemptions++) {
        if (explorer->options.preemptions < preemptions)
            break;
        memset(plain, 0, sizeof *plain);
        explorer->result = plain;
        if (e2dt_search(explorer, preemptions))
            continue;
        memcpy(result->finding, plain->finding, sizeof result->finding);
        e2dt_trace_id(explorer, result->id, sizeof result->id);
        result->preemptions = e2dt_search_preemptions(explorer);
        break;
    }
}

bool ext2dax_explorer_explore(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario,
                              struct ext2dax_explorer_result *result)
{
    if (!begin(explorer, scenario, result))
        return false;
    e2dt_hook(explorer);
    if (!e2dt_search(explorer, explorer->options.preemptions)) {
        result->failed = true;
        result->complete = false;
        result->preemptions = e2dt_search_preemptions(explorer);
        e2dt_trace_id(explorer, result->id, sizeof result->id);
        find_plainest(explorer, result);
    }
    end(explorer);
    return !result->failed;
}

bool ext2dax_explorer_walk(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario, uint64_t seed,
                           struct ext2dax_explorer_result *result)
{
    prepare(explorer, scenario, result);
    if (scenario->start && !explorer->doomed) {
        ext2dax_explorer_clear(explorer);
        scenario->start(scenario->arg);
    }
    if (!explorer->doomed) {
        explorer->exploring = true;
        e2dt_hook_walk(explorer);
        e2dt_walk(explorer, seed);
        e2dt_unhook_walk();
        explorer->exploring = false;
    }
    result->failed = explorer->doomed;
    explorer->result = NULL;
    return !result->failed;
}

void ext2dax_explorer_stop(struct ext2dax_explorer *explorer)
{
    explorer->stopped = true;
}

unsigned ext2dax_explorer_running(const struct ext2dax_explorer *explorer)
{
    return explorer->current == E2DT_NOBODY ? EXT2DAX_EXPLORER_THREADS : explorer->current;
}

bool ext2dax_explorer_replay(struct ext2dax_explorer *explorer, const struct ext2dax_scenario *scenario, const char *id,
                             void (*line)(void *arg, const char *text), void *arg,
                             struct ext2dax_explorer_result *result, int *error)
{
    char copy[EXT2DAX_EXPLORER_ID]; /* `id` may point into *result */
    bool good = snprintf(copy, sizeof copy, "%s", id) < (int)sizeof copy;

    *error = 0;
    if (!begin(explorer, scenario, result))
        return false;
    e2dt_hook(explorer);
    /*
     * Learns the shared addresses first, because the table lists only accesses to shared addresses.
     */
    if (line && (explorer->options.flags & EXT2DAX_EXPLORER_SHARED_ONLY) != 0)
        e2dt_search_learn(explorer);
    good = good && e2dt_trace_turns(explorer, copy, scenario->threads) && e2dt_search_replay(explorer);
    /* A first replay without output has validated the id, so there is a table to print. */
    if (good && line) {
        result->finding[0] = '\0';
        explorer->line = line;
        explorer->line_arg = arg;
        good = e2dt_search_replay(explorer);
        explorer->line = NULL;
    }
    if (!good)
        *error = -EXT2DAX_EINVAL;
    result->failed = good && explorer->doomed;
    if (result->failed)
        snprintf(result->id, sizeof result->id, "%s", copy);
    end(explorer);
    return good && !result->failed;
}
