/* SPDX-License-Identifier: MIT */
/*
 * Instead of the kernel's plug_locks.c: a lock that lets everybody in at once if it is of the class NO_LOCK, a dax_sem for
 * example, so that a truncate does not wait for the faults under way. The checks must notice. The others work, though
 * unfairly; and whoever comes to one of the class SLOW_LOCK, as a fault to the entry lock when it has looked at the size,
 * lingers there, so that somebody else comes between whatever the host makes the processors do.
 */
#include "kernel.h"

#define WRITER 0x10000u  /* is in */
#define OPEN   0x100000u /* no lock at all */
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
