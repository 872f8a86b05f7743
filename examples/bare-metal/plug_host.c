/* SPDX-License-Identifier: MIT */
/*
 * The host plug. Provides a bump allocator, the clock, the serial line, and copies from and to
 * memory that may be a mapped file.
 */
#include "kernel.h"

#define ARENA_SIZE (1u << 20)
#define ALIGNMENT  16u

static uint8_t arena[ARENA_SIZE] __attribute__((aligned(ALIGNMENT)));
static size_t used;
static unsigned allocations;
static struct ext2dax_lock lock;

/*
 * Freed pieces, reused for an allocation of the same size. The core allocates only a few sizes.
 */
static struct piece {
    struct piece *next;
    size_t bytes;
} * given_back;

static void *take_back(size_t bytes)
{
    struct piece **at = &given_back, *found;

    while (*at && (*at)->bytes != bytes)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    return found;
}

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static void *alloc(void *ctx, size_t bytes)
{
    size_t wanted = rounded(bytes);
    void *at;

    (void)ctx;
    plug_locks.ops->write_lock(plug_locks.ctx, &lock);
    allocations++;
    at = take_back(wanted);
    if (!at && wanted >= bytes && wanted <= ARENA_SIZE - used) {
        at = arena + used;
        used += wanted;
    }
    plug_locks.ops->write_unlock(plug_locks.ctx, &lock);
    return at;
}

static void release(void *ctx, void *at, size_t bytes)
{
    struct piece *piece = at;

    (void)ctx;
    if (!piece)
        return;
    piece->bytes = rounded(bytes);
    plug_locks.ops->write_lock(plug_locks.ctx, &lock);
    piece->next = given_back;
    given_back = piece;
    plug_locks.ops->write_unlock(plug_locks.ctx, &lock);
}

unsigned host_allocations(void)
{
    return allocations;
}

static int64_t now(void *ctx)
{
    (void)ctx;
    return clock_seconds();
}

static void log(void *ctx, const struct ext2dax_report *report)
{
    char text[160];

    (void)ctx;
    ext2dax_report_text(report, text, sizeof(text));
    print(text);
    print("\n");
}

static void fail(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    print(file);
    print(": ");
    panic(what, (uint64_t)line);
}

/* The buffer of the caller may be a mapping with pages not present, or may end too early. */
static size_t copy(void *ctx, void *to, const void *from, size_t bytes)
{
    (void)ctx;
    return copy_user(to, from, bytes);
}

static const struct ext2dax_host_ops ops = {
    .size = sizeof(ops),
    .alloc = alloc,
    .release = release,
    .now = now,
    .log = log,
    .panic = fail,
    .copy_out = copy,
    .copy_in = copy,
};

const struct ext2dax_host plug_host = {&ops, NULL};
