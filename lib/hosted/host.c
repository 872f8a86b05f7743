/* SPDX-License-Identifier: MIT */
/*
 * Host ops of a hosted program, and the reserve for allocations in a signal handler.
 *
 * Faults, which this library resolves in a signal handler, allocate no memory. The core allocates
 * the memory for faults at mount. So no fault fails for lack of reserve memory, however small the
 * reserve is and however much of the reserve is in use. The reserve serves other calls made by a
 * program in its own handler. Each such call may return ENOMEM.
 *
 * A handler may have interrupted any code, malloc included, so the handler calls neither malloc nor
 * free. Allocations come from a reserve of 256-byte units, with 1 bit per unit in words changed
 * only by compare-and-swap. No step waits for another thread. So handlers in several threads, a
 * handler that interrupted a release in its own thread, and releases outside handlers may all be
 * half done at once. An allocation claims its run word by word. If a bit was taken in the meantime,
 * the allocation releases the bits claimed so far.
 *
 * Memory from malloc released in a handler is pushed on a list. The link lies in the released
 * memory. The next call outside a handler takes the whole list in a single exchange and frees all
 * nodes. Nodes are never popped singly, so a node removed and pushed again (ABA) does no harm.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "calls.h"
#include "fault_handler.h"
#include "guarded_copy.h"
#include "host_report.h"

#define UNIT            ((size_t)256)
#define WORD_BITS       (sizeof(uintptr_t) * 8)
#define DEFAULT_RESERVE ((size_t)256 << 10)
#define SHARED_UNITS    ((size_t)256)

struct freed {
    struct freed *next;
};

struct host {
    void (*log)(void *arg, const struct ext2dax_report *report);
    void *log_arg;
    bool (*interrupted)(void *arg);
    bool stands; /* the clock stands at `present` */
    struct ext2dax_time present;
    uintptr_t *taken; /* 1 bit per unit */
    size_t units;
    char *reserve;                        /* units of UNIT bytes */
    struct freed *later;                  /* released in a handler, to be passed to free() */
    unsigned sigsegv_layer, sigbus_layer; /* of the handlers installed for this host */
};

/*
 * Nesting depth of handlers in the calling thread. The first access to a variable of another TLS
 * model may call malloc. The initial-exec model costs a few bytes of static TLS space in a program
 * that loads the library with dlopen().
 */
static _Thread_local unsigned in_handler __attribute__((tls_model("initial-exec")));

void ext2dax_host_in_handler(bool entering)
{
    if (!entering)
        in_handler--;
    else if (in_handler++ == 0)
        e2dh_host_fault_begins();
}

/* Returns the bits of word `index` that belong to units [first, first + count). */
static uintptr_t bits_in_word(size_t index, size_t first, size_t count)
{
    size_t from = index * WORD_BITS, end = first + count;
    size_t low = first > from ? first - from : 0;
    size_t high = end - from < WORD_BITS ? end - from : WORD_BITS;

    return (UINTPTR_MAX >> (WORD_BITS - (high - low))) << low;
}

static void give_back(struct host *h, size_t first, size_t count)
{
    for (size_t i = first / WORD_BITS; i * WORD_BITS < first + count; i++)
        __atomic_fetch_and(&h->taken[i], ~bits_in_word(i, first, count), __ATOMIC_RELEASE);
}

/*
 * Claims all units or none. On failure *next is the next possible start of a run, just past the
 * last taken unit of the conflicting word.
 */
static bool claim(struct host *h, size_t first, size_t count, size_t *next)
{
    for (size_t i = first / WORD_BITS; i * WORD_BITS < first + count; i++) {
        uintptr_t want = bits_in_word(i, first, count);
        uintptr_t old = __atomic_load_n(&h->taken[i], __ATOMIC_RELAXED);

        do {
            if (old & want) {
                size_t bit = WORD_BITS - 1;

                while (!(old & want & (uintptr_t)1 << bit))
                    bit--;
                *next = i * WORD_BITS + bit + 1;
                if (i * WORD_BITS > first)
                    give_back(h, first, i * WORD_BITS - first);
                return false;
            }
        } while (
            !__atomic_compare_exchange_n(&h->taken[i], &old, old | want, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    }
    return true;
}

static size_t units_for(size_t bytes)
{
    return bytes == 0 ? 1 : bytes / UNIT + (bytes % UNIT != 0);
}

static void *alloc_reserved(struct host *h, size_t bytes)
{
    size_t count = units_for(bytes), first = 0;

    if (count > h->units)
        return NULL;
    while (first <= h->units - count) {
        if (claim(h, first, count, &first))
            return h->reserve + first * UNIT;
    }
    return NULL;
}

static void free_later(struct host *h, void *at)
{
    struct freed *node = at;

    node->next = __atomic_load_n(&h->later, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&h->later, &node->next, node, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static void free_now(struct host *h)
{
    struct freed *node;

    if (!__atomic_load_n(&h->later, __ATOMIC_RELAXED))
        return;
    node = __atomic_exchange_n(&h->later, NULL, __ATOMIC_ACQUIRE);
    while (node) {
        struct freed *next = node->next;

        free(node);
        node = next;
    }
}

static void *host_alloc(void *ctx, size_t bytes)
{
    struct host *h = ctx;

    if (in_handler > 0)
        return alloc_reserved(h, bytes);
    free_now(h);
    return malloc(bytes < sizeof(struct freed) ? sizeof(struct freed) : bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    struct host *h = ctx;
    uintptr_t offset = (uintptr_t)at - (uintptr_t)h->reserve;

    if (!at)
        return;
    if (offset < h->units * UNIT) {
        give_back(h, offset / UNIT, units_for(bytes));
    } else if (in_handler > 0) {
        free_later(h, at);
    } else {
        free(at);
        free_now(h);
    }
}

/*
 * The times of Linux's own filesystems come from the coarse clock too. The steps of a few
 * milliseconds save stores to the image.
 */
#ifdef CLOCK_REALTIME_COARSE
#define CLOCK CLOCK_REALTIME_COARSE
#else
#define CLOCK CLOCK_REALTIME
#endif

static void host_time(void *ctx, struct ext2dax_time *now)
{
    const struct host *h = ctx;
    struct timespec present = {0, 0};

    if (h->stands) {
        *now = h->present;
        return;
    }
    (void)clock_gettime(CLOCK, &present);
    now->seconds = present.tv_sec;
    now->nanoseconds = (uint32_t)present.tv_nsec;
}

static int64_t host_now(void *ctx)
{
    struct ext2dax_time now;

    host_time(ctx, &now);
    return now.seconds;
}

/*
 * Writes the line in a single write(), so that lines of several threads do not mix and a signal
 * handler can log.
 */
static void log_to_stderr(const struct ext2dax_report *report)
{
    static const char *const prefixes[] = {"ext2dax: error: ", "ext2dax: warning: "};
    const char *prefix;
    char line[512];
    size_t used, length;
    ssize_t ignored;
    int saved = errno;

    if (report->level > EXT2DAX_LEVEL_WARNING)
        return;
    prefix = prefixes[report->level];
    used = strlen(prefix);
    memcpy(line, prefix, used);
    length = ext2dax_report_text(report, line + used, sizeof(line) - used);
    used += length < sizeof(line) - used ? length : sizeof(line) - used - 1;
    line[used++] = '\n'; /* replaces the terminator */
    ignored = e2dh_write(STDERR_FILENO, line, used);
    (void)ignored;
    errno = saved;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    const struct host *h = ctx;
    int cancel;

    e2dh_host_keep(report, in_handler > 0);
    if (!h->log) {
        log_to_stderr(report);
        return;
    }
    /* The caller's log may write, which is a cancellation point, while the core holds locks. */
    cancel = e2dh_cancel_not();
    h->log(h->log_arg, report);
    e2dh_cancel_again(cancel);
}

static void complain(const char *text)
{
    ssize_t ignored = e2dh_write(STDERR_FILENO, text, strlen(text));

    (void)ignored;
}

/* Avoids stdio, because a fault handler may panic. */
static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    char digits[sizeof(line) * 3 + 1], *at = digits + sizeof(digits) - 1;

    (void)ctx;
    *at = '\0';
    do {
        *--at = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0);
    complain("ext2dax: ");
    complain(file);
    complain(":");
    complain(at);
    complain(": broken: ");
    complain(what);
    complain("\n");
    abort();
}

static size_t host_copy_out(void *ctx, void *to_caller, const void *from_image, size_t bytes)
{
    (void)ctx;
    return e2dh_guarded_copy_out(to_caller, from_image, bytes);
}

static size_t host_copy_in(void *ctx, void *to_image, const void *from_caller, size_t bytes)
{
    (void)ctx;
    return e2dh_guarded_copy_in(to_image, from_caller, bytes);
}

static bool host_may_use_reserved(void *ctx)
{
    static unsigned cached; /* 0 not asked yet, 1 no, 2 yes */
    unsigned privilege = __atomic_load_n(&cached, __ATOMIC_RELAXED);

    (void)ctx;
    if (privilege == 0) {
        privilege = geteuid() == 0 ? 2 : 1;
        __atomic_store_n(&cached, privilege, __ATOMIC_RELAXED);
    }
    return privilege == 2;
}

static bool host_interrupted(void *ctx)
{
    const struct host *h = ctx;

    return h->interrupted && h->interrupted(h->log_arg);
}

static const struct ext2dax_host_ops ops = {
    .size = sizeof(ops),
    .alloc = host_alloc,
    .release = host_release,
    .now = host_now,
    .log = host_log,
    .panic = host_panic,
    .copy_out = host_copy_out,
    .copy_in = host_copy_in,
    .may_use_reserved = host_may_use_reserved,
    .interrupted = host_interrupted,
    .time = host_time,
};

/* Ops without fault-surviving copies, for hosts without handlers. */
static const struct ext2dax_host_ops ops_without_handlers = {
    .size = sizeof(ops_without_handlers),
    .alloc = host_alloc,
    .release = host_release,
    .now = host_now,
    .log = host_log,
    .panic = host_panic,
    .may_use_reserved = host_may_use_reserved,
    .interrupted = host_interrupted,
    .time = host_time,
};

/* Installs both handlers or none. */
static int add_handlers(struct host *h)
{
    int error = e2dh_handler_add(SIGSEGV, &h->sigsegv_layer);

    if (error)
        return error;
    error = e2dh_handler_add(SIGBUS, &h->sigbus_layer);
    if (error)
        e2dh_handler_remove(SIGSEGV, h->sigsegv_layer);
    return error;
}

static _Alignas(64) char shared_reserve[SHARED_UNITS * UNIT];
static uintptr_t shared_taken[SHARED_UNITS / WORD_BITS];
static struct host shared = {.taken = shared_taken, .units = SHARED_UNITS, .reserve = shared_reserve};

struct ext2dax_host ext2dax_host_default(void)
{
    static bool asked;

    /* Installed permanently. If installation fails, copies behave like memcpy(). */
    if (!__atomic_exchange_n(&asked, true, __ATOMIC_ACQ_REL))
        (void)add_handlers(&shared);
    return (struct ext2dax_host){&ops, &shared};
}

/* Rounds up to whole words of bits, so that every bit has a unit. */
static size_t reserve_units(size_t bytes)
{
    size_t units = units_for(bytes);

    return (units + WORD_BITS - 1) & ~(size_t)(WORD_BITS - 1);
}

int ext2dax_host_open(const struct ext2dax_host_options *options, struct ext2dax_host *host)
{
    struct ext2dax_host_options o = {0};
    struct host *h;
    void *reserve;
    int error;

    *host = (struct ext2dax_host){NULL, NULL};
    if (options)
        memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    if (o.reserve == 0)
        o.reserve = DEFAULT_RESERVE;
    if (o.reserve > SIZE_MAX / 2)
        return -EXT2DAX_ENOMEM;
    h = calloc(1, sizeof(*h));
    if (!h)
        return -EXT2DAX_ENOMEM;
    h->log = o.log;
    h->log_arg = o.log_arg;
    h->interrupted = o.interrupted;
    h->stands = o.clock != NULL;
    if (o.clock)
        h->present = *o.clock;
    h->units = reserve_units(o.reserve);
    h->taken = calloc(h->units / WORD_BITS, sizeof(*h->taken));
    /* Populated, so that a handler is guaranteed to find memory. */
    reserve = mmap(NULL, h->units * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    error = !h->taken || reserve == MAP_FAILED ? -EXT2DAX_ENOMEM : 0;
    if (!error && !o.no_handlers)
        error = add_handlers(h);
    if (error) {
        if (reserve != MAP_FAILED)
            munmap(reserve, h->units * UNIT);
        free(h->taken);
        free(h);
        return error;
    }
    h->reserve = reserve;
    *host = (struct ext2dax_host){o.no_handlers ? &ops_without_handlers : &ops, h};
    return 0;
}

void ext2dax_host_close(struct ext2dax_host *host)
{
    struct host *h = host->ctx;

    if (h && (host->ops == &ops || host->ops == &ops_without_handlers) && h != &shared) {
        if (host->ops == &ops) {
            e2dh_handler_remove(SIGBUS, h->sigbus_layer);
            e2dh_handler_remove(SIGSEGV, h->sigsegv_layer);
        }
        free_now(h);
        munmap(h->reserve, h->units * UNIT);
        free(h->taken);
        free(h);
    }
    *host = (struct ext2dax_host){NULL, NULL};
}
