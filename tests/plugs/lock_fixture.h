/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of the lock test. Provides the backend under test with a single lock, and
 * bounded waits for threads.
 */
#ifndef LOCK_FIXTURE_H
#define LOCK_FIXTURE_H

#include <check.h>
#include <pthread.h>
#include <stdbool.h>

#include <ext2dax/hosted/lock.h>

#include "../runner.h"

#define LIMIT 60 /* seconds for a wait certain to end, far more than needed on any machine */
#ifdef OWN_LOCK
#define BACKENDS 1
#else
#define BACKENDS 3
#endif

/* The backend under test and its lock, between two words required to stay unchanged. */
extern struct ext2dax_locks locks;
extern struct guarded_lock {
    uintptr_t before;
    struct ext2dax_lock lock;
    uintptr_t after;
} guarded;

/*
 * Sets up a backend. Returns false if this build lacks the backend, or if the test needs threads
 * and the backend does not support threads.
 */
bool set_up(int backend, bool threads);
void tear_down(void);

void nap(long microseconds);
/* Waits until *at equals `value`. Fails the test if the wait does not end. */
void await(int *at, int value, const char *what);
pthread_t start(void *(*body)(void *), void *arg);

/* Add the cases of the other parts of the lock test. */
void add_sharing_case(Suite *suite);
void add_sleeping_case(Suite *suite);

static inline void read_lock(void)
{
    locks.ops->read_lock(locks.ctx, &guarded.lock);
}
static inline void read_unlock(void)
{
    locks.ops->read_unlock(locks.ctx, &guarded.lock);
}
static inline void write_lock(void)
{
    locks.ops->write_lock(locks.ctx, &guarded.lock);
}
static inline void write_unlock(void)
{
    locks.ops->write_unlock(locks.ctx, &guarded.lock);
}
static inline bool try_read_lock(void)
{
    return locks.ops->try_read_lock(locks.ctx, &guarded.lock);
}
static inline bool try_write_lock(void)
{
    return locks.ops->try_write_lock(locks.ctx, &guarded.lock);
}
static inline bool shared(void)
{
    return locks.ops->held(locks.ctx, &guarded.lock, EXT2DAX_LOCK_SHARED);
}
static inline bool exclusive(void)
{
    return locks.ops->held(locks.ctx, &guarded.lock, EXT2DAX_LOCK_EXCLUSIVE);
}

static inline int load(int *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}
static inline void store(int *at, int value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}
static inline int add(int *at, int by)
{
    return __atomic_add_fetch(at, by, __ATOMIC_ACQ_REL);
}

#endif
