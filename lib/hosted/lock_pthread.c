/* SPDX-License-Identifier: MIT */
/*
 * Locks of POSIX threads: the word points to a fair reader/writer lock made of a mutex and a queue.
 *
 * Why not pthread_rwlock_t: only the thread that took one may release it, which the freeze classes need not keep to,
 * and implementations prefer one side (glibc's default starves writers, its other kind readers). Here the mutex guards
 * the state only and is held for a few instructions by the thread that took it. Who cannot enter at once, or finds
 * others waiting, queues a node from its own stack; who leaves hands the lock to the head of the queue, a writer or
 * all readers up to the next writer. So it is first come, first served, nobody enters past the queue, and only those
 * are woken whose turn it is. Any thread may release, and held() is exact.
 *
 * A fault handler takes these locks too, though POSIX lists no mutex function as safe in a signal handler. The rule is
 * about handlers that interrupt such a function half-way. Ours runs for a SIGSEGV raised by a touch of a mapped window;
 * no mutex or condition variable lies in one, so no pthread function on the way here was interrupted, and the code
 * interrupted holds none of our locks (the library touches no window below io). The handler is then an ordinary
 * function call at that instruction. Only init and destroy use the heap, and no fault makes or ends a lock.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "ext2dax/error.h"

#include "lock_misuse.h"

struct waiter {
    struct waiter *next;
    pthread_cond_t turn;
    bool write;
    bool granted; /* the lock has been taken in the waiter's name */
};

struct fair_lock {
    pthread_mutex_t mutex; /* guards the rest, and every node queued */
    struct waiter *first;
    struct waiter **last; /* where the next node is hung up */
    unsigned long readers;
    bool writer;
};

static void must(int error)
{
    if (error != 0)
        e2d_lock_misuse("a pthread call failed");
}

static struct fair_lock *fair(const struct ext2dax_lock *lock)
{
    return (struct fair_lock *)lock->word;
}

/* Under the mutex: takes the lock for one more holder, if those inside allow it. */
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

/* Under the mutex: admits from the head of the queue whoever may enter now. A node granted is its owner's again. */
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

/* Under the mutex. Waiting is a cancellation point, and a cancelled waiter would leave its node behind. */
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

static void take(struct fair_lock *f, bool write)
{
    must(pthread_mutex_lock(&f->mutex));
    if (f->first || !admit(f, write))
        wait_in_queue(f, write);
    must(pthread_mutex_unlock(&f->mutex));
}

static bool try_take(struct fair_lock *f, bool write)
{
    bool taken;

    must(pthread_mutex_lock(&f->mutex));
    taken = !f->first && admit(f, write);
    must(pthread_mutex_unlock(&f->mutex));
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

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    if (f->readers == 0)
        e2d_lock_misuse("read unlock without a reader");
    f->readers--;
    hand_on(f);
    must(pthread_mutex_unlock(&f->mutex));
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    struct fair_lock *f = fair(lock);

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    if (!f->writer)
        e2d_lock_misuse("write unlock without a writer");
    f->writer = false;
    hand_on(f);
    must(pthread_mutex_unlock(&f->mutex));
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    struct fair_lock *f = fair(lock);
    bool answer;

    (void)ctx;
    must(pthread_mutex_lock(&f->mutex));
    answer = f->writer || (mode == EXT2DAX_LOCK_SHARED && f->readers > 0);
    must(pthread_mutex_unlock(&f->mutex));
    return answer;
}

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    struct fair_lock *f = calloc(1, sizeof(*f));

    (void)ctx;
    (void)lock_class;
    (void)number;
    if (!f)
        return -EXT2DAX_ENOMEM;
    if (pthread_mutex_init(&f->mutex, NULL) != 0) {
        free(f);
        return -EXT2DAX_ENOMEM;
    }
    f->last = &f->first;
    lock->word = (uintptr_t)f;
    return 0;
}

static void destroy(void *ctx, struct ext2dax_lock *lock)
{
    struct fair_lock *f = fair(lock);

    (void)ctx;
    if (f->writer || f->readers > 0 || f->first)
        e2d_lock_misuse("destroyed while held");
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
