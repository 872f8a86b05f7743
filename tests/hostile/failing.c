/* SPDX-License-Identifier: MIT */
#include "failing.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/lock_order.h"

#include "../fuzz/reports.h"
#include "../fuzz/tree.h"

const char *const failing_names[FAILINGS] = {
    [FAIL_NONE] = "none",       [FAIL_ALLOC] = "alloc",           [FAIL_LOCK_INIT] = "init", [FAIL_TRY_LOCK] = "try",
    [FAIL_MAP_OOM] = "oom",     [FAIL_MAP_FALLBACK] = "fallback", [FAIL_CHECK] = "check",    [FAIL_COPY] = "copy",
    [FAIL_CLOCK] = "clock",     [FAIL_INTERRUPTED] = "intr",      [FAIL_CLAIM] = "claim",    [FAIL_USABLE] = "usable",
    [FAIL_DISCARD] = "discard", [FAIL_ALIASES] = "aliases",       [FAIL_ZERO] = "zero",      [FAIL_PERSIST] = "persist",
    [FAIL_FENCE] = "fence"};

static struct {
    enum failing failing;
    long left;
    bool on, fired;
    long held, made, given;
    struct ext2dax_lock_order *order;
    struct ext2dax_locks under; /* every lock passes through the lock order checker */
    struct ext2dax_model *model;
    struct ext2dax_address_space space;
    struct ext2dax_address_space_ops space_ops;
} s;

static bool fails(enum failing failing)
{
    if (s.failing != failing || s.left-- > 0)
        return false;
    s.left = 0;
    if (!s.on)
        s.failing = FAIL_NONE;
    s.fired = true;
    return true;
}

void failing_arm(enum failing failing, long left, bool on)
{
    s.failing = failing;
    s.left = left;
    s.on = on;
    s.fired = false;
}

bool failing_disarm(void)
{
    s.failing = FAIL_NONE;
    return s.fired;
}

long failing_held(void)
{
    return s.held;
}

/* ---- host ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    void *at = fails(FAIL_ALLOC) ? NULL : malloc(bytes);

    (void)ctx;
    if (at)
        memset(at, 0xA5, bytes);
    s.given += at != NULL;
    return at;
}
static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0x5A, bytes);
    free(at);
    s.given--;
}
static void host_time(void *ctx, struct ext2dax_time *now)
{
    (void)ctx;
    *now = (struct ext2dax_time){.seconds = 1800000000, .nanoseconds = 5};
    if (fails(FAIL_CLOCK))
        *now = (struct ext2dax_time){.seconds = INT64_MIN, .nanoseconds = UINT32_MAX};
}
static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    reports_note(report);
}
static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    fuzz_fail(file, line, what);
}
/* A copy that fails is half as long. */
static size_t host_copy(void *ctx, void *to, const void *from, size_t bytes)
{
    size_t copied = fails(FAIL_COPY) ? bytes / 2 : bytes;

    (void)ctx;
    memcpy(to, from, copied);
    return copied;
}
static bool host_interrupted(void *ctx)
{
    (void)ctx;
    return fails(FAIL_INTERRUPTED);
}
static bool host_may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

struct ext2dax_host fuzz_host(void)
{
    static const struct ext2dax_host_ops ops = {.size = sizeof(ops),
                                                .alloc = host_alloc,
                                                .release = host_release,
                                                .log = host_log,
                                                .panic = host_panic,
                                                .copy_out = host_copy,
                                                .copy_in = host_copy,
                                                .may_use_reserved = host_may_use_reserved,
                                                .interrupted = host_interrupted,
                                                .time = host_time};

    return (struct ext2dax_host){&ops, NULL};
}

/* ---- locks ---- */

#define FORWARD(name, change)                                                                                          \
    static void name(void *ctx, struct ext2dax_lock *lock)                                                             \
    {                                                                                                                  \
        (void)ctx;                                                                                                     \
        s.under.ops->name(s.under.ctx, lock);                                                                          \
        change;                                                                                                        \
    }
FORWARD(destroy, s.made--)
FORWARD(read_lock, s.held++)
FORWARD(read_unlock, s.held--)
FORWARD(write_lock, s.held++)
FORWARD(write_unlock, s.held--)

#define FORWARD_TRY(name)                                                                                              \
    static bool name(void *ctx, struct ext2dax_lock *lock)                                                             \
    {                                                                                                                  \
        bool got = !fails(FAIL_TRY_LOCK) && s.under.ops->name(s.under.ctx, lock);                                      \
                                                                                                                       \
        (void)ctx;                                                                                                     \
        s.held += got;                                                                                                 \
        return got;                                                                                                    \
    }
FORWARD_TRY(try_read_lock)
FORWARD_TRY(try_write_lock)

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    if (fails(FAIL_LOCK_INIT))
        return -EXT2DAX_ENOMEM;
    s.made++;
    return s.under.ops->init(s.under.ctx, lock, lock_class, number);
}
static bool is_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    (void)ctx;
    return s.under.ops->held(s.under.ctx, lock, mode);
}

static const struct ext2dax_lock_ops lock_ops = {sizeof(lock_ops), init,       destroy,      read_lock,
                                                 read_unlock,      write_lock, write_unlock, try_read_lock,
                                                 try_write_lock,   is_held};

/* ---- memory ---- */

static int zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    if (fails(FAIL_ZERO)) {
        /* Old bytes, which no caller may take for pointers. */
        memset(at, 0x5A, length);
        return -EXT2DAX_EIO;
    }
    memset(at, 0, length);
    return 0;
}
static int persist(void *ctx, const void *at, size_t length)
{
    (void)ctx;
    (void)at;
    (void)length;
    return fails(FAIL_PERSIST) ? -EXT2DAX_EIO : 0;
}
static int fence(void *ctx)
{
    (void)ctx;
    return fails(FAIL_FENCE) ? -EXT2DAX_EIO : 0;
}
static int check(void *ctx, const void *at, size_t length)
{
    (void)ctx;
    (void)at;
    (void)length;
    return fails(FAIL_CHECK) ? -EXT2DAX_EIO : 0;
}
static int claim(void *ctx, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    (void)ctx;
    return wanted > held && fails(FAIL_CLAIM) ? -EXT2DAX_EBUSY : 0;
}
static int usable(void *ctx)
{
    (void)ctx;
    return fails(FAIL_USABLE) ? -EXT2DAX_EINVAL : 0;
}
static size_t next_data(void *ctx, const void *at, size_t length, size_t *from)
{
    (void)ctx;
    (void)at;
    *from = 0;
    return length;
}
/* Leaves other bytes behind when it fails. */
static int discard(void *ctx, void *at, size_t length)
{
    bool failed = fails(FAIL_DISCARD);

    (void)ctx;
    memset(at, failed ? 0xEE : 0, length);
    return failed ? -EXT2DAX_EIO : 0;
}

struct ext2dax_memory failing_memory(void *base, size_t size)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops),
                                                  .zero = zero,
                                                  .persist = persist,
                                                  .fence = fence,
                                                  .check = check,
                                                  .claim = claim,
                                                  .usable = usable,
                                                  .next_data = next_data,
                                                  .discard = discard};

    return (struct ext2dax_memory){&ops, NULL, base, size, 0};
}

/* ---- address space ---- */

static enum ext2dax_fault_result space_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *run)
{
    if (fails(FAIL_MAP_OOM))
        return EXT2DAX_FAULT_OOM;
    if (fails(FAIL_MAP_FALLBACK))
        return EXT2DAX_FAULT_FALLBACK;
    return s.space_ops.map(ctx, fault, run);
}
static bool space_aliases(void *ctx, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, const void *buffer,
                          size_t bytes)
{
    return fails(FAIL_ALIASES) ||
           (s.space_ops.aliases && s.space_ops.aliases(ctx, inode, offset, length, buffer, bytes));
}

struct ext2dax_plugs failing_open(unsigned char *base, size_t size, unsigned page_shift, unsigned huge_order)
{
    static struct ext2dax_address_space_ops ops;
    struct ext2dax_plugs plugs = {
        .locks = {&lock_ops, NULL}, .memory = failing_memory(base, size), .host = fuzz_host()};

    s.order = ext2dax_lock_order_open(ext2dax_locks_none(), NULL, NULL);
    MUST(s.order);
    s.under = ext2dax_lock_order_locks(s.order);
    s.model = ext2dax_model_open(&plugs.memory, ext2dax_locks_none(), (uint32_t)1 << page_shift, huge_order);
    MUST(s.model);
    s.space = ext2dax_model_address_space(s.model);
    memset(&s.space_ops, 0, sizeof(s.space_ops));
    memcpy(&s.space_ops, s.space.ops, s.space.ops->size < sizeof(ops) ? s.space.ops->size : sizeof(ops));
    ops = s.space_ops;
    ops.size = sizeof(ops);
    ops.map = space_map;
    ops.aliases = space_aliases;
    plugs.address_space = (struct ext2dax_address_space){&ops, s.space.ctx};
    return plugs;
}

void failing_close(void)
{
    ext2dax_model_close(s.model);
    s.model = NULL;
    MUST(s.held == 0 && s.made == 0 && s.given == 0);
    ext2dax_lock_order_returned(s.order);
    ext2dax_lock_order_close(s.order);
}

struct ext2dax_model *failing_model(void)
{
    return s.model;
}
