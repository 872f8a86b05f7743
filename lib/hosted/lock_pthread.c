/* SPDX-License-Identifier: MIT */
/*
 * Locks of POSIX threads. The word points to a fair reader/writer lock made of a mutex and a queue.
 *
 * pthread_rwlock_t has two defects here. Only the thread holding the lock may release the lock, and
 * locks of the freeze classes may be released by another thread. Implementations prefer a side (the
 * default kind of glibc starves writers, the other kind starves readers). Here the mutex guards the
 * state only. The thread that takes the mutex holds the mutex for a few instructions. A thread that
 * cannot enter at once, or finds others waiting, queues a node from its own stack. A leaving holder
 * passes the lock to the head of the queue, a writer or all readers up to the next writer. So the
 * lock is first come, first served, no thread enters past the queue, and only threads in turn are
 * woken. Any thread may release, and held() is exact.
 *
 * Lock and unlock each take the mutex, so a shared pair costs two pairs of the mutex. Measured on
 * x86-64 in one run, a pair of a single thread costs 2.2 times a pair of pthread_rwlock_t, and 1.7
 * of these are the mutex. With two threads on one lock the pair costs 2 to 4 times as much as the
 * pair of pthread_rwlock_t. Programs for which the cost matters use `atomic_ops`.
 *
 * A fault handler takes such locks too, though POSIX lists no mutex function as async-signal-safe.
 * The POSIX rule concerns handlers interrupting such a function half-way. The handler here runs for
 * a SIGSEGV raised by an access to a mapping. No mutex and no condition variable lies in a mapping,
 * so the access interrupted no pthread function, and the interrupted code holds no such lock (the
 * library accesses no mapping while holding a lock below io). So the handler is an ordinary
 * function call at the faulting instruction. Only init and destroy use the heap, and no fault
 * creates or destroys a lock.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "ext2dax/error.h"

#include "lock_count.h"
#include "lock_misuse.h"

struct waiter {
    struct waiter *next;
    pthread_cond_t turn;
    bool write;
    bool granted; /* the lock has been taken for the waiter */
};

struct fair_lock {
    pthread_mutex_t mutex; /* guards all other fields and every queued node */
    struct waiter *first;
    struct waiter **last; /* link for the next node */
    unsigned long readers;
    bool writer;
    unsigned counted; /* kinds of holders that lock_count.h counts */
};

static void must(int error)
{
    if (error != 0)
        e2dh_lock_misuse("a pthread call failed");
}

static struct fair_lock *fair(const struct ext2dax_lock *lock)
{
    return (struct fair_lock *)lock->word;
}

/* Takes the lock for another holder if the current holders allow. Needs the mutex. */
static bool admit(struct fair_lock *f, bool write)
{
    if (f->writer || (write && f->readers > 0))
        return false;
    if (write)
        f->writer = true;
    else
        f->readers++;
    return true;
}

/*
 * Admits waiters from the head of the queue as long as the lock allows. A granted node belongs to
 * the waiting thread again. Needs the mutex.
 */
static void hand_on(struct fair_lock *f)
{
    while (f->first && admit(f, f->first->write)) {
        struct waiter *w = f->first;

        f->first = w->next;
        if (!f->first)
            f->last = &f->first;
        w->granted = true;
        must(pthread_cond_signal(&w->turn));
    }
}

/*
 * Needs the mutex. Disables cancellation, because waiting is a cancellation point, and a cancelled
 * waiter would leave its node in the queue.
 */
static void wait_in_queue(struct fair_lock *f, bool write)
{
    struct waiter w = {.write = write};
    int cancel_state;

    must(pthread_cond_init(&w.turn, NULL));
    must(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state));
    *f->last = &w;
    f->last = &w.next;
    while (!w.granted)
        must(pthread_cond_wait(&w.turn, &f->mutex));
    must(pthread_setcancelstate(cancel_state, NULL));
    must(pthread_cond_destroy(&w.turn));
}

static bool is_counted(const struct fair_lock *f, bool write)
{
    return (f->counted & (write ? E2DH_COUNT_EXCLUSIVE : E2DH_COUNT_SHARED)) != 0;
}

static void take(struct fair_lock *f, bool write)
{
    if (is_counted(f, write))
        e2dh_locks_count();
    must(pthread_mutex_lock(&f->mutex));
    if (f->first || !admit(f, write))
        wait_in_queue(f, write);
    must(pthread_mutex_unlock(&f->mutex));
}

static bool try_take(struct fair_lock *f, bool write)
{
    bool taken, counted = is_counted(f, write);

    if (counted)
        e2dh_locks_count();
    must(pthread_mutex_lock(&f->mutex));
    taken = !f->first && admit(f, write);
    must(pthread_mutex_unlock(&f->mutex));
    if (counted && !taken)
        e2dh_locks_discount();
    return taken;
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    take(fair(lock), false);
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    take(fair(lock), true);
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return try_take(fair(lock), false);
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    return try_take(fair(lock), true);
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    struct fair_lock *f = fair(lock);
    bool counted = is_counted(f, false); /* the lock may be freed once released */

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    if (f->readers == 0)
        e2dh_lock_misuse("read unlock without a reader");
    f->readers--;
    hand_on(f);
    must(pthread_mutex_unlock(&f->mutex));
    if (counted)
        e2dh_locks_discount();
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    struct fair_lock *f = fair(lock);
    bool counted = is_counted(f, true);

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    if (!f->writer)
        e2dh_lock_misuse("write unlock without a writer");
    f->writer = false;
    hand_on(f);
    must(pthread_mutex_unlock(&f->mutex));
    if (counted)
        e2dh_locks_discount();
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    struct fair_lock *f = fair(lock);
    bool is_held;

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    is_held = f->writer || (mode == EXT2DAX_LOCK_SHARED && f->readers > 0);
    must(pthread_mutex_unlock(&f->mutex));
    return is_held;
}

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    struct fair_lock *f = calloc(1, sizeof(*f));

    (void)ctx;
    if (!f)
        return -EXT2DAX_ENOMEM;
    if (pthread_mutex_init(&f->mutex, NULL) != 0) {
        free(f);
        return -EXT2DAX_ENOMEM;
    }
    f->last = &f->first;
    f->counted = e2dh_counted_holders(lock_class, number);
    lock->word = (uintptr_t)f;
    return 0;
}

static void destroy(void *ctx, struct ext2dax_lock *lock)
{
    struct fair_lock *f = fair(lock);

    (void)ctx;
    if (f->writer || f->readers > 0 || f->first)
        e2dh_lock_misuse("destroyed while held");
    must(pthread_mutex_destroy(&f->mutex));
    free(f);
    lock->word = 0;
}

struct ext2dax_locks ext2dax_locks_pthread(void)
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
