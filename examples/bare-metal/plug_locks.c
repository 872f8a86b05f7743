/* SPDX-License-Identifier: MIT */
/*
 * The lock plug: a reader/writer spin lock of tickets, in the core's word.
 *
 * Everybody draws a number and waits for it to come up, so nobody is passed over. A reader lets the next one read as soon
 * as it is in, and write when it leaves; a writer lets the next one do either when it leaves. No thread is remembered, so
 * that whoever likes may release, as the freeze locks want it.
 *
 * Interrupts: a handler that calls the library must never find its own processor in the middle of a call, or it would
 * wait for itself. This kernel has them on in user code and in its idle loop only, and the plug insists on it. Therefore who
 * waits must answer shoot-downs meanwhile: relax(). A kernel with interrupts on in its calls takes care that
 * handlers make none, as most do, and needs neither.
 */
#include "kernel.h"

#define INTERRUPTS_ON 0x200u

/* What the word holds. All zero: nobody has it, and nobody waits. */
struct counts {
    uint16_t to_write, to_read; /* whose turn it is */
    uint16_t drawn;             /* numbers */
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

/* Draws a number only if its turn has come already. */
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

/* Somebody is in who has not left; a reader among them has let the next one read. */
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
