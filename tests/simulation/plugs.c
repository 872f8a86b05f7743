/* SPDX-License-Identifier: MIT */
/*
 * The plugs of a life. Every callback asks the plan for an event first. Only callbacks of threads
 * fail, so that the fixture and the checks succeed.
 */
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* ---- events ---- */

static struct ext2dax_memory_ops memory_ops;

/* May the call of the thread drop the last reference to an unlinked inode, or undo a create? */
static bool may_put_last(unsigned thread)
{
    const struct sim_call *call = world.pending[thread];

    return !call || !(is_file_call(call->kind) || (call->kind >= SIM_COMMON_WRITE && call->kind <= SIM_UNPIN));
}

/* Counts a callback. Returns true if the callback fails. */
static bool fails(enum sim_event_kind kind)
{
    unsigned thread = ext2dax_explorer_running(world.explorer);
    bool failed = false;

    if (thread == EXT2DAX_EXPLORER_THREADS)
        return false;
    for (unsigned i = 0; i < EVENTS; i++) {
        const struct sim_event *event = &world.life->event[i];
        unsigned seen;

        if (event->dropped || event->kind != kind)
            continue;
        seen = world.seen[i]++;
        if (seen >= event->at && seen < (unsigned)event->at + event->times)
            failed = true;
    }
    if (failed) {
        world.injected[thread]++;
        world.stats->event[kind]++;
        world.leaked =
            world.leaked || (may_put_last(thread) && (kind == SIM_EVENT_POISON || kind == SIM_EVENT_NO_MEMORY));
    }
    return failed;
}

struct choice {
    unsigned left, images;
};

static int choose_image(void *arg, const struct ext2dax_crash_state *state)
{
    struct choice *choice = arg;

    choice->images++;
    if (choice->left-- != 0)
        return 0;
    memcpy(world.image, state->image, sizeof world.image);
    return 1;
}

void take_image(enum sim_end end)
{
    struct choice choice = {.left = sim_below(&world.random, sim_below(&world.random, 2) == 0 ? 8 : 600)};

    world.is_cut = true;
    world.end = end;
    if (end != SIM_END_CRASH) {
        memcpy(world.image, world.medium.base, sizeof world.image);
        return;
    }
    ext2dax_crash_check(world.crash, choose_image, &choice);
    if (ext2dax_crash_point(world.crash) == 0) {
        choice.left = sim_below(&world.random, choice.images);
        (void)ext2dax_crash_point(world.crash);
    }
    ext2dax_crash_check(world.crash, NULL, NULL);
}

/* A store in recovery. A power failure leaves an image, from which recovery begins again. */
static void recovery_stores(void)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        const struct sim_event *event = &world.life->event[i];

        if (event->dropped || event->kind != SIM_EVENT_RECOVERY_CRASH || world.seen[i]++ != event->at)
            continue;
        take_image(SIM_END_CRASH);
        world.stats->event[SIM_EVENT_RECOVERY_CRASH]++;
    }
}

/* Counts a store. Returns true if stores fail. */
static bool stores(void)
{
    static const enum sim_end ends[] = {[SIM_EVENT_CRASH] = SIM_END_CRASH, [SIM_EVENT_KILL] = SIM_END_KILL};

    if (world.recovering)
        recovery_stores();
    if (world.is_cut || ext2dax_explorer_running(world.explorer) == EXT2DAX_EXPLORER_THREADS)
        return false;
    for (unsigned kind = SIM_EVENT_CRASH; kind <= SIM_EVENT_KILL; kind++) {
        if (!world.is_cut && fails(kind)) {
            take_image(ends[kind]);
            ext2dax_explorer_stop(world.explorer);
        }
    }
    if (fails(SIM_EVENT_NO_STORE))
        world.store_failed = true;
    return world.store_failed;
}

/* ---- memory ---- */

static int memory_zero(void *ctx, void *at, size_t length)
{
    return stores() ? -EXT2DAX_EIO : world.medium.ops->zero(ctx, at, length);
}

static int memory_persist(void *ctx, const void *at, size_t length)
{
    return stores() ? -EXT2DAX_EIO : world.medium.ops->persist(ctx, at, length);
}

static int memory_fence(void *ctx)
{
    return stores() ? -EXT2DAX_EIO : world.medium.ops->fence(ctx);
}

static int memory_check(void *ctx, const void *at, size_t length)
{
    return fails(SIM_EVENT_POISON) ? -EXT2DAX_EIO : world.medium.ops->check(ctx, at, length);
}

static int memory_discard(void *ctx, void *at, size_t length)
{
    return fails(SIM_EVENT_NO_DISCARD) ? -EXT2DAX_EIO : world.medium.ops->discard(ctx, at, length);
}

static struct ext2dax_memory_ops memory_ops = {.size = sizeof memory_ops,
                                               .zero = memory_zero,
                                               .persist = memory_persist,
                                               .fence = memory_fence,
                                               .check = memory_check,
                                               .discard = memory_discard};

/* ---- the host ---- */

/* An allocation, in a list, because a crash leaves all of them. */
struct allocation {
    struct allocation *next, *before;
    size_t bytes;
    bool is_counted; /* belongs to the library */
};

static struct allocation list = {&list, &list, 0, false};
static unsigned in_use;

static void *allocate(size_t bytes, bool is_counted)
{
    struct allocation *made = malloc(sizeof *made + bytes);

    if (!made)
        abort();
    *made = (struct allocation){list.next, &list, bytes, is_counted};
    made->next->before = made->before->next = made;
    in_use += is_counted;
    memset(made + 1, 0xDD, bytes);
    return made + 1;
}

static void release(void *at)
{
    struct allocation *made = (struct allocation *)at - 1;

    in_use -= made->is_counted;
    made->next->before = made->before;
    made->before->next = made->next;
    memset(at, 0xDE, made->bytes);
    free(made);
}

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return fails(SIM_EVENT_NO_MEMORY) ? NULL : allocate(bytes, true);
}

static void *harness_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return allocate(bytes, false);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    if (at)
        release(at);
}

static void host_time(void *ctx, struct ext2dax_time *now)
{
    static const int64_t odd[] = {0, -1, (int64_t)1 << 31, (int64_t)1 << 40, INT64_MIN, INT64_MAX};

    (void)ctx;
    *now = (struct ext2dax_time){.seconds = 1700000000 + world.reads++ / 4, .nanoseconds = world.reads};
    if (fails(SIM_EVENT_CLOCK))
        now->seconds = odd[sim_below(&world.random, sizeof odd / sizeof odd[0])];
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    if (report->error != 0)
        ext2dax_report_text(report, world.report, sizeof world.report);
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    struct ext2dax_host host = ext2dax_explorer_host(world.explorer);

    (void)ctx;
    host.ops->panic(host.ctx, file, line, what);
}

static size_t copy(void *to, const void *from, size_t bytes)
{
    if (fails(SIM_EVENT_SHORT_COPY))
        bytes = bytes / 2 / GRANULE * GRANULE;
    memcpy(to, from, bytes);
    return bytes;
}

static size_t host_copy(void *ctx, void *to, const void *from, size_t bytes)
{
    (void)ctx;
    return copy(to, from, bytes);
}

static bool may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof host_ops,
                                                 .alloc = host_alloc,
                                                 .release = host_release,
                                                 .time = host_time,
                                                 .log = host_log,
                                                 .panic = host_panic,
                                                 .copy_out = host_copy,
                                                 .copy_in = host_copy,
                                                 .may_use_reserved = may_use_reserved};
static const struct ext2dax_host_ops harness_ops = {
    .size = sizeof harness_ops, .alloc = harness_alloc, .release = host_release, .panic = host_panic};

unsigned plugs_in_use(void)
{
    return in_use;
}

/* ---- locks and address space ---- */

static bool try_read(void *ctx, struct ext2dax_lock *lock)
{
    return !fails(SIM_EVENT_NO_TRY) && world.locks.ops->try_read_lock(ctx, lock);
}

static bool try_write(void *ctx, struct ext2dax_lock *lock)
{
    return !fails(SIM_EVENT_NO_TRY) && world.locks.ops->try_write_lock(ctx, lock);
}

static enum ext2dax_fault_result map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    if (fails(SIM_EVENT_NO_TABLE))
        return EXT2DAX_FAULT_OOM;
    if (fails(SIM_EVENT_NO_MAPPING))
        return EXT2DAX_FAULT_FALLBACK;
    return world.space.ops->map(ctx, fault, mapping);
}

static void order_broken(void *arg, const char *text)
{
    (void)arg;
    complain("%s", text);
}

bool plugs_open(struct ext2dax_plugs *plugs)
{
    struct ext2dax_host harness = {&harness_ops, NULL};

    world.memory = world.medium;
    world.memory.ops = &memory_ops;
    world.locks = ext2dax_explorer_locks(world.explorer);
    world.order = NULL;
    if (!world.blind) {
        world.order = ext2dax_lock_order_open_on(&harness, world.locks, order_broken, NULL);
        if (!world.order)
            return false;
        world.locks = ext2dax_lock_order_locks(world.order);
    }
    world.lock_ops = *world.locks.ops;
    world.lock_ops.try_read_lock = try_read;
    world.lock_ops.try_write_lock = try_write;
    world.model = ext2dax_model_open_on(&harness, &world.memory, world.locks, PAGE, 3);
    if (!world.model)
        return false;
    world.space = ext2dax_model_address_space(world.model);
    world.space_ops = *world.space.ops;
    world.space_ops.map = map;
    *plugs =
        (struct ext2dax_plugs){.locks = {&world.lock_ops, world.locks.ctx},
                               .memory = world.memory,
                               .address_space = ext2dax_explorer_watch(
                                   world.explorer, (struct ext2dax_address_space){&world.space_ops, world.space.ctx}),
                               .host = {&host_ops, NULL}};
    return true;
}

unsigned plugs_close(void)
{
    unsigned left = in_use;

    while (list.next != &list)
        release(list.next + 1);
    world.order = NULL;
    world.model = NULL;
    world.mount = NULL;
    return left;
}
