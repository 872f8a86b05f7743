/* SPDX-License-Identifier: MIT */
/*
 * Every waiter is woken, with more threads than processors, in crowds, at every step of falling
 * asleep, under signals, in a signal handler, and in a thread being cancelled.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "lock_fixture.h"

#define CROWD 300 /* threads, more than a 32-bit word has tickets */

/* Data protected by the lock, and the progress of the threads. */
static long left;
static int inside, finished, queued;

static void *enter_once(void *arg)
{
    if (*(int *)arg) {
        write_lock();
        left++;
        write_unlock();
    } else {
        read_lock();
        add(&inside, 1);
        read_unlock();
    }
    add(&finished, 1);
    return NULL;
}

/*
 * Shows every waiter woken when all sleep, readers and writers mixed, with more waiters than a
 * small word has tickets.
 */
START_TEST(crowd)
{
    static pthread_t thread[CROWD];
    static int write[2] = {0, 1};

    if (!set_up(_i, true))
        return;
    left = 0;
    store(&inside, 0);
    store(&finished, 0);
    write_lock();
    for (int i = 0; i < CROWD; i++)
        thread[i] = start(enter_once, &write[i % 3 == 0]);
    nap(50000);
    ck_assert_int_eq(load(&finished), 0);
    write_unlock();
    await(&finished, CROWD, "a crowd of waiters");
    for (int i = 0; i < CROWD; i++)
        pthread_join(thread[i], NULL);
    ck_assert_int_eq(left, CROWD / 3);
    ck_assert_int_eq(load(&inside), CROWD - CROWD / 3);
    tear_down();
}
END_TEST

/* Uses critical sections about as long as falling asleep, so waits end at every step of it. */
static void *churn_one(void *arg)
{
    unsigned seed = *(unsigned *)arg;

    for (int i = 0; i < 6000; i++) {
        volatile unsigned spin;

        seed = seed * 1103515245u + 12345u;
        spin = seed >> 12 & 0x7FF;
        switch (seed >> 24 & 7) {
        case 0:
        case 1:
            write_lock();
            left++;
            while (spin > 0)
                spin--;
            write_unlock();
            break;
        case 2:
            if (try_write_lock()) {
                left++;
                write_unlock();
            }
            break;
        case 3:
            if (try_read_lock())
                read_unlock();
            break;
        default:
            read_lock();
            while (spin > 0)
                spin--;
            read_unlock();
        }
    }
    add(&finished, 1);
    return NULL;
}

START_TEST(churn)
{
    enum { THREADS = 12 };
    pthread_t thread[THREADS];
    unsigned seed[THREADS];

    if (!set_up(_i, true))
        return;
    store(&finished, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        seed[i] = 77 * i + 5;
        thread[i] = start(churn_one, &seed[i]);
    }
    await(&finished, THREADS, "threads that churn");
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    tear_down();
}
END_TEST

static void do_nothing(int number)
{
    (void)number;
}

static void *wait_under_signals(void *arg)
{
    if (*(int *)arg) {
        write_lock();
        store(&inside, 1);
        write_unlock();
    } else {
        read_lock();
        store(&inside, 1);
        read_unlock();
    }
    return NULL;
}

/* Shows a waiter still waiting after a signal interrupts its sleep. */
START_TEST(signals_do_not_admit)
{
    struct sigaction action = {.sa_handler = do_nothing}, old;

    if (!set_up(_i, true))
        return;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &old), 0);
    for (int write = 0; write < 2; write++) {
        pthread_t waiter;

        store(&inside, 0);
        write_lock();
        waiter = start(wait_under_signals, &write);
        for (int i = 0; i < 50; i++) {
            nap(300);
            pthread_kill(waiter, SIGUSR1);
            ck_assert_int_eq(load(&inside), 0);
        }
        write_unlock();
        pthread_join(waiter, NULL);
        ck_assert_int_eq(load(&inside), 1);
    }
    sigaction(SIGUSR1, &old, NULL);
    tear_down();
}
END_TEST

static int go;

static void *follow(void *arg)
{
    int round = 0;

    (void)arg;
    while (round >= 0) {
        int next = load(&go);

        if (next == round) {
            sched_yield();
            continue;
        }
        round = next;
        if (round & 1)
            read_lock();
        else
            write_lock();
        if (round & 1)
            read_unlock();
        else
            write_unlock();
        store(&finished, round);
    }
    return NULL;
}

/*
 * Shows a single holder unlocking at every step of a single waiter falling asleep. A wake-up lost
 * there is lost for good, because no other thread uses the lock.
 */
START_TEST(leave_while_falling_asleep)
{
    pthread_t follower;
    time_t end;

    if (!set_up(_i, true))
        return;
    store(&go, 0);
    store(&finished, 0);
    follower = start(follow, NULL);
    end = time(NULL) + 1;
    for (int round = 1; round < 60000 && time(NULL) < end; round++) {
        volatile int hold = round % 1500 * 11;
        time_t patience = time(NULL) + LIMIT;

        write_lock();
        store(&go, round);
        while (hold > 0)
            hold--;
        write_unlock();
        while (load(&finished) != round) {
            ck_assert_msg(time(NULL) < patience, "round %d: the waiter was not woken", round);
            sched_yield();
        }
    }
    store(&go, -1);
    pthread_join(follower, NULL);
    tear_down();
}
END_TEST

static void lock_in_handler(int number)
{
    (void)number;
    read_lock();
    read_unlock();
    write_lock();
    write_unlock();
}

static void *disturb_and_unlock(void *arg)
{
    for (int i = 0; i < 20; i++) {
        nap(500);
        pthread_kill(*(pthread_t *)arg, SIGUSR2);
    }
    write_unlock();
    return NULL;
}

/*
 * Shows a lock taken in a signal handler raised by the thread itself, like a fault handler, asleep
 * and interrupted by signals. errno is preserved.
 */
START_TEST(in_signal_handler)
{
    struct sigaction action = {.sa_handler = lock_in_handler}, old;
    struct sigaction disturbance = {.sa_handler = do_nothing}, old_disturbance;
    pthread_t self = pthread_self(), thread;

    if (!set_up(_i, true))
        return;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &old), 0);
    ck_assert_int_eq(sigaction(SIGUSR2, &disturbance, &old_disturbance), 0);
    write_lock();
    thread = start(disturb_and_unlock, &self);
    errno = EXDEV;
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(errno, EXDEV);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &old, NULL);
    sigaction(SIGUSR2, &old_disturbance, NULL);
    tear_down();
}
END_TEST

/*
 * A thread cancelled while waiting leaves no gap in the queue, and is not terminated before it has
 * the lock.
 */
static void *cancelled_waiter(void *arg)
{
    (void)arg;
    store(&queued, 1);
    write_lock();
    store(&inside, 1);
    write_unlock();
    pthread_testcancel();
    return NULL;
}

START_TEST(cancelled_while_waiting)
{
    pthread_t waiter;

    if (!set_up(_i, true))
        return;
    store(&inside, 0);
    store(&queued, 0);
    read_lock();
    waiter = start(cancelled_waiter, NULL);
    await(&queued, 1, "the waiter");
    nap(5000);
    ck_assert_int_eq(pthread_cancel(waiter), 0);
    nap(5000);
    read_unlock();
    await(&inside, 1, "the cancelled waiter's turn");
    pthread_join(waiter, NULL);
    tear_down();
}
END_TEST

void add_sleeping_case(Suite *suite)
{
    TCase *tcase = add_case(suite, "sleeping", 2 * LIMIT);

    tcase_add_loop_test(tcase, crowd, 0, BACKENDS);
    tcase_add_loop_test(tcase, churn, 0, BACKENDS);
    tcase_add_loop_test(tcase, signals_do_not_admit, 0, BACKENDS);
    tcase_add_loop_test(tcase, leave_while_falling_asleep, 0, BACKENDS);
    tcase_add_loop_test(tcase, in_signal_handler, 0, BACKENDS);
    tcase_add_loop_test(tcase, cancelled_while_waiting, 0, BACKENDS);
}
