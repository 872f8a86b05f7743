/* SPDX-License-Identifier: MIT */
/*
 * The lock plug's contract, for every backend. This file tests properties visible to a single
 * thread, the states, that only the lock word is changed, and detection of misuse. lock_sharing.c
 * tests exclusion and order of admission, and lock_sleeping.c tests waking of every waiter.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lock_fixture.h"

#ifdef OWN_LOCK
/* A backend from another project, tested by itself. */
struct ext2dax_locks own_locks(void);
static const char *const backends[BACKENDS] = {"own"};

static struct ext2dax_locks by_name(const char *name)
{
    static struct ext2dax_locks own;

    if (!own.ops && !strcmp(name, "own"))
        own = own_locks();
    return own;
}
#else
static const char *const backends[BACKENDS] = {"none", "atomic_ops", "pthread"};
#define by_name ext2dax_locks_by_name
#endif

struct ext2dax_locks locks;
struct guarded_lock guarded;

bool set_up(int backend, bool threads)
{
    locks = by_name(backends[backend]);
    if (!locks.ops) {
        printf("lock backend %s: left out of this build\n", backends[backend]);
        return false;
    }
    if (threads && strcmp(backends[backend], "none") == 0)
        return false;
    guarded.before = guarded.after = (uintptr_t)0x5A5A5A5A;
    ck_assert_int_eq(locks.ops->init(locks.ctx, &guarded.lock, EXT2DAX_LOCK_DAX_SEM, 7), 0);
    return true;
}

void tear_down(void)
{
    ck_assert(!shared());
    ck_assert(try_write_lock());
    write_unlock();
    if (locks.ops->destroy)
        locks.ops->destroy(locks.ctx, &guarded.lock);
    ck_assert_uint_eq(guarded.before, (uintptr_t)0x5A5A5A5A);
    ck_assert_uint_eq(guarded.after, (uintptr_t)0x5A5A5A5A);
}

void nap(long microseconds)
{
    struct timespec t = {0, microseconds * 1000};

    nanosleep(&t, NULL);
}

void await(int *at, int value, const char *what)
{
    time_t end = time(NULL) + LIMIT;

    while (load(at) < value) {
        ck_assert_msg(time(NULL) < end, "%s: %d of %d after %d s", what, load(at), value, LIMIT);
        nap(200);
    }
}

pthread_t start(void *(*body)(void *), void *arg)
{
    pthread_attr_t small;
    pthread_t thread;

    ck_assert_int_eq(pthread_attr_init(&small), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&small, (size_t)256 << 10), 0);
    ck_assert_int_eq(pthread_create(&thread, &small, body, arg), 0);
    pthread_attr_destroy(&small);
    return thread;
}

START_TEST(registry)
{
    struct ext2dax_locks named = by_name(backends[_i]);

    if (!named.ops)
        return;
    ck_assert_uint_eq(named.ops->size, sizeof(struct ext2dax_lock_ops));
    ck_assert(named.ops->init && named.ops->read_lock && named.ops->read_unlock && named.ops->write_lock);
    ck_assert(named.ops->write_unlock && named.ops->try_read_lock && named.ops->try_write_lock);
}
END_TEST

START_TEST(registry_names)
{
    struct ext2dax_locks best = ext2dax_locks_default();

    ck_assert_ptr_null(ext2dax_locks_by_name("").ops);
    ck_assert_ptr_null(ext2dax_locks_by_name("atomic").ops);
    ck_assert_ptr_nonnull(best.ops);
    ck_assert_ptr_eq(ext2dax_locks_by_name("none").ops, ext2dax_locks_none().ops);
    ck_assert_ptr_eq(ext2dax_locks_by_name("atomic_ops").ops, ext2dax_locks_atomic_ops().ops);
    ck_assert_ptr_eq(ext2dax_locks_by_name("pthread").ops, ext2dax_locks_pthread().ops);
    if (ext2dax_locks_atomic_ops().ops)
        ck_assert_ptr_eq(best.ops, ext2dax_locks_atomic_ops().ops);
}
END_TEST

START_TEST(states)
{
    if (!set_up(_i, false))
        return;
    ck_assert(!shared());
    ck_assert(!exclusive());

    read_lock();
    ck_assert(shared());
    ck_assert(!exclusive());
    read_lock();
    ck_assert(try_read_lock());
    ck_assert(!try_write_lock());
    read_unlock();
    read_unlock();
    ck_assert(shared());
    ck_assert(!try_write_lock());
    read_unlock();
    ck_assert(!shared());

    write_lock();
    ck_assert(shared());
    ck_assert(exclusive());
    ck_assert(!try_read_lock());
    ck_assert(!try_write_lock());
    write_unlock();
    ck_assert(!shared());
    ck_assert(!exclusive());

    ck_assert(try_write_lock());
    ck_assert(exclusive());
    ck_assert(!try_read_lock());
    write_unlock();
    ck_assert(try_read_lock());
    ck_assert(!exclusive());
    read_unlock();
    tear_down();
}
END_TEST

/* Shows the same states repeated until every counter in the lock word has wrapped. */
START_TEST(states_for_long)
{
    if (!set_up(_i, false))
        return;
    for (int i = 0; i < 70000; i++) {
        read_lock();
        ck_assert(try_read_lock());
        read_unlock();
        if (!shared() || exclusive() || try_write_lock())
            ck_abort_msg("read-locked, round %d", i);
        read_unlock();
        write_lock();
        if (!exclusive() || try_read_lock() || try_write_lock())
            ck_abort_msg("write-locked, round %d", i);
        write_unlock();
        if (shared() || exclusive())
            ck_abort_msg("unlocked, round %d", i);
    }
    tear_down();
}
END_TEST

/* Readers alone use a lock, which then is biased to readers where the backend knows a bias. */
static void read_for_long(void)
{
    for (int i = 0; i < 100; i++) {
        read_lock();
        read_unlock();
    }
}

/* Shows the states of a lock after many readers, with up to 12 holds in a thread. */
START_TEST(states_after_readers)
{
    if (!set_up(_i, false))
        return;
    for (int round = 0; round < 24; round++) {
        const int holds = 1 + round / 2;

        read_for_long();
        ck_assert(!shared());
        for (int i = 0; i < holds; i++) {
            if (i % 2)
                read_lock();
            else
                ck_assert(try_read_lock());
        }
        ck_assert(shared() && !exclusive());
        for (int i = 0; i < holds; i++) {
            ck_assert(!try_write_lock());
            ck_assert(shared() && !exclusive());
            read_unlock();
        }
        ck_assert(!shared());
        if (round % 2)
            ck_assert(try_write_lock());
        else
            write_lock();
        ck_assert(exclusive() && !try_read_lock());
        write_unlock();
        ck_assert(!shared() && !exclusive());
    }
    tear_down();
}
END_TEST

START_TEST(many_locks)
{
    static struct ext2dax_lock many[4096];
    const int count = (int)(sizeof(many) / sizeof(many[0]));

    if (!set_up(_i, false))
        return;
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(locks.ops->init(locks.ctx, &many[i], EXT2DAX_LOCK_GROUP, (uint64_t)i), 0);
    for (int i = 0; i < count; i += 2)
        locks.ops->write_lock(locks.ctx, &many[i]);
    for (int i = 1; i < count; i += 2)
        locks.ops->read_lock(locks.ctx, &many[i]);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(locks.ops->held(locks.ctx, &many[i], EXT2DAX_LOCK_EXCLUSIVE), i % 2 == 0);
    for (int i = 0; i < count; i++) {
        if (i % 2 == 0)
            locks.ops->write_unlock(locks.ctx, &many[i]);
        else
            locks.ops->read_unlock(locks.ctx, &many[i]);
        ck_assert(!locks.ops->held(locks.ctx, &many[i], EXT2DAX_LOCK_SHARED));
        if (locks.ops->destroy)
            locks.ops->destroy(locks.ctx, &many[i]);
    }
    tear_down();
}
END_TEST

static void unlock_a_read_lock_nobody_has(void)
{
    read_unlock();
}
static void unlock_a_write_lock_nobody_has(void)
{
    write_unlock();
}
static void unlock_for_reading_what_is_write_locked(void)
{
    write_lock();
    read_unlock();
}
static void unlock_for_writing_what_is_read_locked(void)
{
    read_lock();
    write_unlock();
}
static void destroy_what_is_locked(void)
{
    read_lock();
    locks.ops->destroy(locks.ctx, &guarded.lock);
}
static void destroy_what_is_locked_after_readers(void)
{
    read_for_long();
    destroy_what_is_locked();
}
static void unlock_twice_after_readers(void)
{
    read_for_long();
    read_lock();
    read_unlock();
    read_unlock();
}
static void wait_for_oneself(void)
{
    write_lock();
    if (locks.ops != ext2dax_locks_none().ops)
        abort(); /* the other backends would rightly wait */
    read_lock();
}

/* Shows misuse aborting the process, in a child. */
START_TEST(misuse_aborts)
{
    static void (*const misuses[])(void) = {
        unlock_a_read_lock_nobody_has,          unlock_a_write_lock_nobody_has, unlock_for_reading_what_is_write_locked,
        unlock_for_writing_what_is_read_locked, destroy_what_is_locked,         wait_for_oneself,
        destroy_what_is_locked_after_readers,   unlock_twice_after_readers,
    };

    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
        int status;
        pid_t child;

        if (!set_up(_i, false))
            return;
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct rlimit no_core = {0, 0};

            setrlimit(RLIMIT_CORE, &no_core);
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO);
            misuses[i]();
            _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "misuse %zu was not noticed", i);
        tear_down();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    TCase *alone = add_case(suite, "one thread", 2 * LIMIT);

    tcase_add_test(alone, registry_names);
    tcase_add_loop_test(alone, registry, 0, BACKENDS);
    tcase_add_loop_test(alone, states, 0, BACKENDS);
    tcase_add_loop_test(alone, states_for_long, 0, BACKENDS);
    tcase_add_loop_test(alone, states_after_readers, 0, BACKENDS);
    tcase_add_loop_test(alone, many_locks, 0, BACKENDS);
    tcase_add_loop_test(alone, misuse_aborts, 0, BACKENDS);
    add_sharing_case(suite);
    add_sleeping_case(suite);
    return run_suite(suite);
}
