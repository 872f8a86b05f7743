/* SPDX-License-Identifier: MIT */
/*
 * Replaces the kernel's plug_locks.c with broken locks. A lock of class NO_LOCK, for example a
 * dax_sem, never blocks, so truncate does not wait for faults in progress. The checks must detect
 * the missing exclusion. Locks of the other classes exclude each other correctly, but unfairly. A
 * writer of a lock of class SLOW_LOCK first waits LINGER microseconds. A fault, for example, waits
 * before its range lock, after it has checked the size. The delay lets another processor intervene
 * on every host, however the host schedules the processors.
 */
#include "kernel.h"

#define WRITER 0x10000u  /* held by a writer */
#define OPEN   0x100000u /* never blocks */
#define SLOW   0x200000u
#define LINGER 300u /* microseconds */

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)number;
    lock->word = lock_class == NO_LOCK ? OPEN : lock_class == SLOW_LOCK ? SLOW : 0;
    return 0;
}

static bool step(struct ext2dax_lock *lock, uintptr_t blocked_by, uintptr_t by)
{
    uintptr_t seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);

    do {
        if ((seen & OPEN) != 0)
            return true;
        if ((seen & blocked_by) != 0)
            return false;
    } while (!__atomic_compare_exchange_n(&lock->word, &seen, seen + by, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return true;
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return step(lock, WRITER, 1);
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return step(lock, WRITER | (WRITER - 1), WRITER);
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    while (!try_read_lock(ctx, lock))
        relax();
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    if ((__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & SLOW) != 0)
        clock_wait(LINGER);
    while (!try_write_lock(ctx, lock))
        relax();
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    step(lock, 0, (uintptr_t)-1);
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    step(lock, 0, (uintptr_t)0 - WRITER);
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
};

const struct ext2dax_locks plug_locks = {&ops, NULL};
