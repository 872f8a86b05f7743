/* SPDX-License-Identifier: MIT */
/*
 * The lock-order checker. The word of a lock points to a record containing the wrapped lock. Each
 * thread has its own list of locks held. Checking therefore needs no lock, and adds no ordering
 * between threads that a race detector would attribute to the library. Only the list of records,
 * needed by ext2dax_lock_order_close(), has a spinlock.
 */
#include "ext2dax/testkit/lock_order.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/inode.h"
#include "ext2dax/ondisk.h"

#include "../hosted/lock_table.h"
#include "../hosted/race_detector.h"
#include "lock_class.h"
#include "lock_order_holds.h"
#include "zalloc.h"

struct record {
    struct ext2dax_lock inner;
    struct record *next, *before;
    const struct ext2dax_lock *outer;
    enum ext2dax_lock_class lock_class;
    uint64_t number;
    atomic_uint holders;
    atomic_bool exclusive;
};

struct ext2dax_lock_order {
    struct ext2dax_locks locks;       /* ops points to lock_ops, ctx is the caller's */
    struct ext2dax_lock_ops lock_ops; /* copy of the caller's table */
    struct ext2dax_host host;         /* allocates the records */
    void (*broken)(void *arg, const char *text);
    void *arg;
    unsigned id; /* distinguishes holds of this checker from holds of closed checkers */
    atomic_uint breaches;
    atomic_flag busy; /* spinlock of the list of records */
    struct record *records;
};

static _Thread_local struct e2dt_lock_holds own;
_Thread_local struct e2dt_lock_holds *e2dt_lock_holds_now;
static atomic_uint last_id;

static const char *const class_name[EXT2DAX_LOCK_CLASSES] = {
    [EXT2DAX_LOCK_FREEZE_WRITE] = "freeze_write",
    [EXT2DAX_LOCK_RENAME] = "rename",
    [EXT2DAX_LOCK_IO] = "io",
    [EXT2DAX_LOCK_ADDRESS_SPACE] = "address space",
    [EXT2DAX_LOCK_FREEZE_FAULT] = "freeze_fault",
    [EXT2DAX_LOCK_DAX_SEM] = "dax_sem",
    [EXT2DAX_LOCK_RANGE] = "entry",
    [EXT2DAX_LOCK_TRUNCATE] = "truncate",
    [EXT2DAX_LOCK_GROUP] = "group",
    [EXT2DAX_LOCK_FS] = "fs",
    [EXT2DAX_LOCK_ICACHE] = "cache",
    [EXT2DAX_LOCK_PAGE_TABLE] = "page table",
};

const char *e2dt_lock_class_name(enum ext2dax_lock_class lock_class)
{
    return class_name[lock_class];
}

static struct e2dt_lock_holds *holds(void)
{
    return e2dt_lock_holds_now ? e2dt_lock_holds_now : &own;
}

static struct record *record_of(const struct ext2dax_lock *lock)
{
    return (struct record *)lock->word;
}

static bool freezes(const struct record *record)
{
    return record->lock_class == EXT2DAX_LOCK_FREEZE_WRITE || record->lock_class == EXT2DAX_LOCK_FREEZE_FAULT;
}

/* ---- reports ---- */

static void report(struct ext2dax_lock_order *order, const struct record *record, const char *what,
                   const struct record *under)
{
    char text[160], tail[64] = "";

    if (under)
        snprintf(tail, sizeof(tail), " %s %llu", class_name[under->lock_class], (unsigned long long)under->number);
    snprintf(text, sizeof(text), "lock order: %s %llu %s%s", class_name[record->lock_class],
             (unsigned long long)record->number, what, tail);
    atomic_fetch_add_explicit(&order->breaches, 1, memory_order_relaxed);
    if (order->broken) {
        order->broken(order->arg, text);
        return;
    }
    fprintf(stderr, "%s\n", text);
    abort();
}

static bool is_directory(const struct record *record)
{
    const char *inode = (const char *)record->outer - offsetof(struct ext2dax_inode, io);

    return (((const struct ext2dax_inode *)(const void *)inode)->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

static bool io_in_order(const struct record *first, const struct record *second)
{
    if (is_directory(first))
        /* before a file, or before a second directory, where the order cannot be checked here */
        return true;
    return !is_directory(second) && first->number < second->number;
}

static bool in_order(const struct record *first, const struct record *second)
{
    if (first->lock_class == EXT2DAX_LOCK_IO && second->lock_class == EXT2DAX_LOCK_IO)
        return io_in_order(first, second);
    if (first->lock_class == EXT2DAX_LOCK_FS && second->lock_class == EXT2DAX_LOCK_ICACHE)
        return false;
    return first->lock_class < second->lock_class;
}

static void check(struct ext2dax_lock_order *order, const struct record *record)
{
    const struct e2dt_lock_holds *mine = holds();

    for (unsigned i = 0; i < mine->count; i++) {
        if (mine->held[i].order != order->id)
            continue;
        if (mine->held[i].record == record)
            report(order, record, "taken twice by one thread", NULL);
        else if (!in_order(mine->held[i].record, record))
            report(order, record, "taken under", mine->held[i].record);
    }
}

/* ---- locks held by a thread ---- */

static void remove_hold(struct e2dt_lock_holds *mine, unsigned at)
{
    mine->count--;
    for (; at < mine->count; at++)
        mine->held[at] = mine->held[at + 1];
    /* Zeroes the free slot, so that two histories with the same locks held have equal bytes. */
    mine->held[at] = (struct e2dt_lock_hold){0};
}

/*
 * Makes room for another hold. In a full array drops the newest hold of another checker, because
 * such a checker is most likely closed. Returns false if all holds belong to this checker.
 */
static bool make_room(const struct ext2dax_lock_order *order, struct e2dt_lock_holds *mine)
{
    for (unsigned i = mine->count; i-- > 0 && mine->count == E2DT_LOCK_HOLDS;) {
        if (mine->held[i].order != order->id)
            remove_hold(mine, i);
    }
    return mine->count < E2DT_LOCK_HOLDS;
}

static void took(struct ext2dax_lock_order *order, struct record *record, bool exclusive)
{
    struct e2dt_lock_holds *mine = holds();

    atomic_fetch_add_explicit(&record->holders, 1, memory_order_relaxed);
    atomic_store_explicit(&record->exclusive, exclusive, memory_order_relaxed);
    if (exclusive && freezes(record))
        return;
    if (make_room(order, mine))
        mine->held[mine->count++] = (struct e2dt_lock_hold){record, order->id, exclusive};
    else
        report(order, record, "is one lock too many for one thread", NULL);
}

static void leave(struct ext2dax_lock_order *order, struct record *record, bool exclusive)
{
    struct e2dt_lock_holds *mine = holds();
    unsigned i = mine->count;

    if (exclusive && freezes(record)) {
        if (!atomic_load_explicit(&record->exclusive, memory_order_relaxed))
            report(order, record, "released, but not held", NULL);
    } else {
        while (i > 0 && (mine->held[i - 1].order != order->id || mine->held[i - 1].record != record ||
                         mine->held[i - 1].exclusive != exclusive))
            i--;
        if (i > 0)
            remove_hold(mine, i - 1);
        else
            report(order, record, "released by a thread that does not hold it so", NULL);
    }
    if (exclusive)
        atomic_store_explicit(&record->exclusive, false, memory_order_relaxed);
    atomic_fetch_sub_explicit(&record->holders, 1, memory_order_relaxed);
}

/* ---- the plug ---- */

static void link_record(struct ext2dax_lock_order *order, struct record *record)
{
    e2dh_tell_loading(&record->exclusive, sizeof record->exclusive);
    e2dh_tell_loading(&record->holders, sizeof record->holders);
    while (atomic_flag_test_and_set_explicit(&order->busy, memory_order_acquire))
        ;
    e2dh_tell_entered(&order->busy, true);
    record->next = order->records;
    if (record->next)
        record->next->before = record;
    order->records = record;
    e2dh_tell_leaving(&order->busy, true);
    atomic_flag_clear_explicit(&order->busy, memory_order_release);
}

static void unlink_record(struct ext2dax_lock_order *order, struct record *record)
{
    while (atomic_flag_test_and_set_explicit(&order->busy, memory_order_acquire))
        ;
    e2dh_tell_entered(&order->busy, true);
    if (record->before)
        record->before->next = record->next;
    else
        order->records = record->next;
    if (record->next)
        record->next->before = record->before;
    e2dh_tell_leaving(&order->busy, true);
    atomic_flag_clear_explicit(&order->busy, memory_order_release);
}

static int op_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    struct ext2dax_lock_order *order = ctx;
    struct record *record = e2dt_zalloc(&order->host, sizeof(*record));
    int error;

    if (!record)
        return -EXT2DAX_ENOMEM;
    error = order->locks.ops->init(order->locks.ctx, &record->inner, lock_class, number);
    if (error != 0) {
        e2dt_free(&order->host, record, sizeof(*record));
        return error;
    }
    record->outer = lock;
    record->lock_class = lock_class;
    record->number = number;
    link_record(order, record);
    lock->word = (uintptr_t)record;
    return 0;
}

static void op_destroy(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;
    struct record *record = record_of(lock);

    if (atomic_load_explicit(&record->holders, memory_order_relaxed) != 0)
        report(order, record, "destroyed while held", NULL);
    if (order->locks.ops->destroy)
        order->locks.ops->destroy(order->locks.ctx, &record->inner);
    unlink_record(order, record);
    e2dt_free(&order->host, record, sizeof(*record));
    lock->word = 0;
}

static void op_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    check(order, record_of(lock));
    order->locks.ops->read_lock(order->locks.ctx, &record_of(lock)->inner);
    took(order, record_of(lock), false);
}

static void op_read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    leave(order, record_of(lock), false);
    order->locks.ops->read_unlock(order->locks.ctx, &record_of(lock)->inner);
}

static void op_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    check(order, record_of(lock));
    order->locks.ops->write_lock(order->locks.ctx, &record_of(lock)->inner);
    took(order, record_of(lock), true);
}

static void op_write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    leave(order, record_of(lock), true);
    order->locks.ops->write_unlock(order->locks.ctx, &record_of(lock)->inner);
}

/*
 * Trying a lock never waits, so a failed try is allowed in any order. A successful try is checked
 * and recorded like any other lock.
 */
static bool op_try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    if (!order->locks.ops->try_read_lock(order->locks.ctx, &record_of(lock)->inner))
        return false;
    check(order, record_of(lock));
    took(order, record_of(lock), false);
    return true;
}

static bool op_try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    struct ext2dax_lock_order *order = ctx;

    if (!order->locks.ops->try_write_lock(order->locks.ctx, &record_of(lock)->inner))
        return false;
    check(order, record_of(lock));
    took(order, record_of(lock), true);
    return true;
}

static bool op_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    struct ext2dax_lock_order *order = ctx;

    return !order->locks.ops->held || order->locks.ops->held(order->locks.ctx, &record_of(lock)->inner, mode);
}

static const struct ext2dax_lock_ops ops = {
    .size = sizeof(ops),
    .init = op_init,
    .destroy = op_destroy,
    .read_lock = op_read_lock,
    .read_unlock = op_read_unlock,
    .write_lock = op_write_lock,
    .write_unlock = op_write_unlock,
    .try_read_lock = op_try_read_lock,
    .try_write_lock = op_try_write_lock,
    .held = op_held,
};

/* ---- the checker ---- */

struct ext2dax_lock_order *ext2dax_lock_order_open_on(const struct ext2dax_host *host, struct ext2dax_locks locks,
                                                      void (*broken)(void *arg, const char *text), void *arg)
{
    struct ext2dax_lock_order *order = e2dt_zalloc(host, sizeof(*order));

    if (!order)
        return NULL;
    if (!e2dh_copy_lock_table(&order->lock_ops, locks.ops)) {
        e2dt_free(host, order, sizeof(*order));
        return NULL;
    }
    locks.ops = &order->lock_ops;
    order->host = *host;
    order->locks = locks;
    order->broken = broken;
    order->arg = arg;
    order->id = atomic_fetch_add(&last_id, 1) + 1;
    atomic_flag_clear(&order->busy);
    e2dh_tell_loading(&order->busy, sizeof order->busy);
    return order;
}

struct ext2dax_lock_order *ext2dax_lock_order_open(struct ext2dax_locks locks,
                                                   void (*broken)(void *arg, const char *text), void *arg)
{
    struct ext2dax_host host = ext2dax_host_default();

    return ext2dax_lock_order_open_on(&host, locks, broken, arg);
}

void ext2dax_lock_order_close(struct ext2dax_lock_order *order)
{
    struct ext2dax_host host = order->host;

    while (order->records) {
        struct record *record = order->records;

        order->records = record->next;
        e2dt_free(&host, record, sizeof(*record));
    }
    e2dt_free(&host, order, sizeof(*order));
}

struct ext2dax_locks ext2dax_lock_order_locks(struct ext2dax_lock_order *order)
{
    return (struct ext2dax_locks){&ops, order};
}

void ext2dax_lock_order_returned(struct ext2dax_lock_order *order)
{
    struct e2dt_lock_holds *mine = holds();

    for (unsigned i = mine->count; i-- > 0;) {
        if (mine->held[i].order != order->id)
            continue;
        report(order, mine->held[i].record, "held at return", NULL);
        remove_hold(mine, i);
    }
}

unsigned ext2dax_lock_order_broken(const struct ext2dax_lock_order *order)
{
    return atomic_load_explicit(&((struct ext2dax_lock_order *)(uintptr_t)order)->breaches, memory_order_relaxed);
}
