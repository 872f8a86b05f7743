/* SPDX-License-Identifier: MIT */
/*
 * The lock plug, a reader/writer ticket spin lock in the word provided by the core.
 *
 * Each thread draws a ticket and waits for the turn of the ticket, so no thread is passed over.
 * A reader admits the next ticket for reading on entry, and for writing on release. A writer
 * admits the next ticket for both on release. No owner is recorded, so any thread may release,
 * as required for the freeze locks.
 *
 * Interrupts. An interrupt handler that calls the library must not interrupt a library call on
 * the same processor. Otherwise the handler would wait for a lock of the interrupted call for
 * ever. This kernel enables interrupts only in user code and in the idle loop, and the plug
 * checks this. So a waiting processor must answer shoot-downs by polling in relax(). In a
 * kernel with interrupts enabled during library calls, handlers must not call the library. Most
 * kernels work this way and need neither rule.
 */
#include "kernel.h"

#define INTERRUPTS_ON 0x200u

/* The contents of the word. All zero means not held and no thread waiting. */
struct counts {
    uint16_t to_write, to_read; /* the ticket admitted next */
    uint16_t drawn;             /* number of tickets drawn */
    uint16_t unused;
} __attribute__((may_alias));

union snapshot {
    uintptr_t word;
    struct counts counts;
};

_Static_assert(sizeof(struct counts) == sizeof(struct ext2dax_lock), "the counts are not the core's word");

static struct counts *counts_of(struct ext2dax_lock *lock)
{
    return (struct counts *)&lock->word;
}

static void insist_on_masked_interrupts(void)
{
    uint64_t flags;

    __asm__ volatile("pushf\n\tpop %0" : "=r"(flags));
    if ((flags & INTERRUPTS_ON) != 0)
        panic("a lock is taken with interrupts on", flags);
}

static uint16_t draw(struct counts *counts)
{
    insist_on_masked_interrupts();
    return __atomic_fetch_add(&counts->drawn, 1, __ATOMIC_RELAXED);
}

static void await(const uint16_t *turn, uint16_t number)
{
    while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != number)
        relax();
}

static void advance(uint16_t *turn)
{
    __atomic_fetch_add(turn, 1, __ATOMIC_RELEASE);
}

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)lock_class;
    (void)number;
    lock->word = 0;
    return 0;
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct counts *counts = counts_of(lock);

    (void)ctx;
    await(&counts->to_read, draw(counts));
    advance(&counts->to_read);
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    advance(&counts_of(lock)->to_write);
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct counts *counts = counts_of(lock);

    (void)ctx;
    await(&counts->to_write, draw(counts));
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    advance(&counts_of(lock)->to_read);
    advance(&counts_of(lock)->to_write);
}

/* Draws a ticket only if the ticket is admitted at once. */
static bool try_lock(struct ext2dax_lock *lock, bool exclusive)
{
    union snapshot seen = {__atomic_load_n(&lock->word, __ATOMIC_RELAXED)}, wanted;

    insist_on_masked_interrupts();
    do {
        if (seen.counts.drawn != (exclusive ? seen.counts.to_write : seen.counts.to_read))
            return false;
        wanted = seen;
        wanted.counts.drawn++;
        if (!exclusive)
            wanted.counts.to_read++;
    } while (
        !__atomic_compare_exchange_n(&lock->word, &seen.word, wanted.word, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return true;
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return try_lock(lock, false);
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return try_lock(lock, true);
}

/*
 * Is the lock held by any thread, or for EXT2DAX_LOCK_EXCLUSIVE, by a writer? `drawn` and
 * `to_write` differ until all holders have left. A reader inside has advanced `to_read`, a
 * writer has not.
 */
static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    union snapshot seen = {__atomic_load_n(&lock->word, __ATOMIC_RELAXED)};

    (void)ctx;
    return seen.counts.drawn != seen.counts.to_write &&
           (mode == EXT2DAX_LOCK_SHARED || seen.counts.to_read == seen.counts.to_write);
}

static const struct ext2dax_lock_ops ops = {
    .size = sizeof(ops),
    .init = init,
    .read_lock = read_lock,
    .read_unlock = read_unlock,
    .write_lock = write_lock,
    .write_unlock = write_unlock,
    .try_read_lock = try_read_lock,
    .try_write_lock = try_write_lock,
    .held = held,
};

const struct ext2dax_locks plug_locks = {&ops, NULL};
