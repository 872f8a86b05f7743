/* SPDX-License-Identifier: MIT */
/*
 * Host hooks of a hosted program, and the reserve that serves allocations made in a fault handler.
 *
 * A handler may have interrupted anything, malloc's neighbours included, so it calls neither malloc nor free. It
 * allocates from a reserve: units of 256 bytes, one bit each in words that are changed by compare-and-swap alone. No
 * step waits for another thread, so that handlers in several threads, one that interrupted a release in its own
 * thread, and releases from outside may all be half-way at once. An allocation claims its run word by word and gives
 * back what it has when it meets a bit that was taken meanwhile.
 *
 * What a handler releases and malloc made is pushed on a list, whose link lies in the freed memory itself; the next
 * call outside a handler takes the whole list in one exchange (so nothing is ever popped singly, and a node that comes
 * and goes and comes again does no harm) and frees it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
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
    uintptr_t *taken; /* a bit a unit */
    size_t units;
    char *reserve;       /* units of UNIT bytes */
    struct freed *later; /* released in a handler, for free() */
};

/*
 * How deep the calling thread is in handlers. The first touch of a variable of the other models may call malloc; this
 * one costs a loader that opens the library late a few bytes of static space.
 */
static _Thread_local unsigned in_handler __attribute__((tls_model("initial-exec")));

void ext2dax_host_in_handler(bool entering)
{
    if (!entering)
        in_handler--;
    else if (in_handler++ == 0)
        e2d_host_fault_begins();
}

/* The bits of word `index` that belong to units [first, first + count). */
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

/* Takes all the units or none. Else *next is where a run might start that avoids what is in the way. */
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

static int64_t host_now(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

/* One write(), so that lines of several threads do not mix, and a handler can log. */
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
    line[used++] = '\n'; /* where the terminator was */
    ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
    errno = saved;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    const struct host *h = ctx;

    e2d_host_keep(report, in_handler > 0);
    if (h->log)
        h->log(h->log_arg, report);
    else
        log_to_stderr(report);
}

static void complain(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

    (void)ignored;
}

/* Without stdio: the panic may be one of a fault handler. */
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

static bool host_may_use_reserved(void *ctx)
{
    static unsigned cached; /* 0: not asked yet; 1: no; 2: yes */
    unsigned answer = __atomic_load_n(&cached, __ATOMIC_RELAXED);

    (void)ctx;
    if (answer == 0) {
        answer = geteuid() == 0 ? 2 : 1;
        __atomic_store_n(&cached, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}

static const struct ext2dax_host_ops ops = {
    .size = sizeof(ops),
    .alloc = host_alloc,
    .release = host_release,
    .now = host_now,
    .log = host_log,
    .panic = host_panic,
    .may_use_reserved = host_may_use_reserved,
};

struct ext2dax_host ext2dax_host_default(void)
{
    static _Alignas(64) char reserve[SHARED_UNITS * UNIT];
    static uintptr_t taken[SHARED_UNITS / WORD_BITS];
    static struct host shared = {.taken = taken, .units = SHARED_UNITS, .reserve = reserve};

    return (struct ext2dax_host){&ops, &shared};
}

/* Whole words of units, so that no bit stands for a unit that is not there. */
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
    h->units = reserve_units(o.reserve);
    h->taken = calloc(h->units / WORD_BITS, sizeof(*h->taken));
    /* Populated: a handler is to find memory there, not hope for it. */
    reserve = mmap(NULL, h->units * UNIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (!h->taken || reserve == MAP_FAILED) {
        if (reserve != MAP_FAILED)
            munmap(reserve, h->units * UNIT);
        free(h->taken);
        free(h);
        return -EXT2DAX_ENOMEM;
    }
    h->reserve = reserve;
    *host = (struct ext2dax_host){&ops, h};
    return 0;
}

void ext2dax_host_close(struct ext2dax_host *host)
{
    struct host *h = host->ctx;

    if (h && host->ops == &ops && h != ext2dax_host_default().ctx) {
        free_now(h);
        munmap(h->reserve, h->units * UNIT);
        free(h->taken);
        free(h);
    }
    *host = (struct ext2dax_host){NULL, NULL};
}
