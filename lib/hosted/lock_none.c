/* SPDX-License-Identifier: MIT */
/*
 * No locking, for a program with a single thread. The word counts holders. 1 is the writer, each
 * reader adds 2. With a single thread a held lock can never become free while the caller waits. So
 * waiting would be a certain deadlock and aborts the program instead. Unlocking a free lock and
 * destroying a held lock abort the program too.
 */
#include <stddef.h>

#include "ext2dax/error.h"

#include "lock_misuse.h"

#define WRITER     ((uintptr_t)1)
#define ONE_READER ((uintptr_t)2)

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)lock_class;
    (void)number;
    lock->word = 0;
    return 0;
}

static void destroy(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word != 0)
        e2dh_lock_misuse("destroyed while held");
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word & WRITER)
        return false;
    lock->word += ONE_READER;
    return true;
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word != 0)
        return false;
    lock->word = WRITER;
    return true;
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    if (!try_read_lock(ctx, lock))
        e2dh_lock_misuse("read lock of a write-locked lock, without threads");
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    if (!try_write_lock(ctx, lock))
        e2dh_lock_misuse("write lock of a held lock, without threads");
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word < ONE_READER)
        e2dh_lock_misuse("read unlock without a reader");
    lock->word -= ONE_READER;
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word != WRITER)
        e2dh_lock_misuse("write unlock without a writer");
    lock->word = 0;
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    (void)ctx;
    return mode == EXT2DAX_LOCK_EXCLUSIVE ? lock->word == WRITER : lock->word != 0;
}

struct ext2dax_locks ext2dax_locks_none(void)
{
    static const struct ext2dax_lock_ops ops = {
        .size = sizeof(ops),
        .init = init,
        .destroy = destroy,
        .read_lock = read_lock,
        .read_unlock = read_unlock,
        .write_lock = write_lock,
        .write_unlock = write_unlock,
        .try_read_lock = try_read_lock,
        .try_write_lock = try_write_lock,
        .held = held,
    };

    return (struct ext2dax_locks){&ops, NULL};
}
