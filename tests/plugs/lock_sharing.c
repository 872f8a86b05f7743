/* SPDX-License-Identifier: MIT */
/*
 * Exclusion, sharing and order of admission. The test looks for violations while other threads make
 * a violation as likely as possible.
 */
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "lock_fixture.h"

/* Data protected by the lock. Not atomic, so that a race detector checks the lock too. */
static long left, right;
static int finished;
/* A thread writes if these bits of its numbers are 0. */
static unsigned readers_mask;

#define ROUNDS 4000

static void *store_and_look(void *arg)
{
    unsigned seed = *(unsigned *)arg;

    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245u + 12345u;
        if ((seed >> 16 & readers_mask) == 0) {
            write_lock();
            left++;
            if ((seed >> 24 & 63) == 0)
                sched_yield();
            right++;
            write_unlock();
        } else {
            read_lock();
            if ((seed >> 24 & 63) == 0)
                nap(1);
            if (left != right)
                abort();
            read_unlock();
        }
    }
    add(&finished, 1);
    return NULL;
}

/* Starts just before the counts in the lock word wrap, so the counts wrap while threads wait. */
static void exclude(int backend, unsigned mask)
{
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    unsigned seed[THREADS];
    long writes = 0;

    if (!set_up(backend, true))
        return;
    readers_mask = mask;
    left = right = 0;
    store(&finished, 0);
    for (int i = 0; i < 65000; i++) {
        write_lock();
        write_unlock();
    }
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned s = seed[i] = i + 1;

        for (int round = 0; round < ROUNDS; round++) {
            s = s * 1103515245u + 12345u;
            writes += (s >> 16 & mask) == 0;
        }
        thread[i] = start(store_and_look, &seed[i]);
    }
    await(&finished, THREADS, "threads that store and look");
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_int_eq(left, right);
    ck_assert_int_eq(left, writes);
    tear_down();
}

START_TEST(exclusion)
{
    exclude(_i, 1);
}
END_TEST

/* Shows exclusion where a lock becomes biased to readers between two writers. */
START_TEST(exclusion_of_rare_writers)
{
    exclude(_i, 63);
}
END_TEST

static int inside, go_out;

static void *meet_inside(void *arg)
{
    (void)arg;
    read_lock();
    add(&inside, 1);
    while (!load(&go_out))
        nap(200);
    read_unlock();
    return NULL;
}

START_TEST(readers_together)
{
    enum { THREADS = 6 };
    pthread_t thread[THREADS];

    if (!set_up(_i, true))
        return;
    store(&inside, 0);
    store(&go_out, 0);
    for (int i = 0; i < THREADS; i++)
        thread[i] = start(meet_inside, NULL);
    await(&inside, THREADS, "readers inside together");
    ck_assert(shared());
    ck_assert(!exclusive());
    ck_assert(!try_write_lock());
    store(&go_out, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    tear_down();
}
END_TEST

/* Shows readers asleep behind a writer entering together. */
START_TEST(readers_together_after_writer)
{
    enum { THREADS = 6 };
    pthread_t thread[THREADS];

    if (!set_up(_i, true))
        return;
    store(&inside, 0);
    store(&go_out, 0);
    write_lock();
    for (int i = 0; i < THREADS; i++)
        thread[i] = start(meet_inside, NULL);
    nap(20000);
    ck_assert_int_eq(load(&inside), 0);
    write_unlock();
    await(&inside, THREADS, "readers inside together");
    store(&go_out, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    tear_down();
}
END_TEST

static void *unlock_read_for_another(void *arg)
{
    (void)arg;
    nap(5000);
    read_unlock();
    return NULL;
}
static void *unlock_write_for_another(void *arg)
{
    (void)arg;
    nap(5000);
    write_unlock();
    return NULL;
}

START_TEST(unlock_elsewhere)
{
    pthread_t thread;

    if (!set_up(_i, true))
        return;
    for (int i = 0; i < 5; i++) {
        write_lock();
        thread = start(unlock_write_for_another, NULL);
        read_lock();
        pthread_join(thread, NULL);
        thread = start(unlock_read_for_another, NULL);
        write_lock();
        ck_assert(exclusive());
        pthread_join(thread, NULL);
        write_unlock();
    }
    tear_down();
}
END_TEST

static int order, first_in, second_in, queued;

static void *queue_writer(void *arg)
{
    (void)arg;
    store(&queued, 1);
    write_lock();
    store(&first_in, add(&order, 1));
    write_unlock();
    return NULL;
}
static void *queue_reader(void *arg)
{
    (void)arg;
    store(&queued, 2);
    read_lock();
    store(&second_in, add(&order, 1));
    read_unlock();
    return NULL;
}

/* Shows a reader queued behind a waiting writer, though other readers hold the lock. */
START_TEST(first_come)
{
    pthread_t writer, reader;
    time_t end = time(NULL) + LIMIT;

    if (!set_up(_i, true))
        return;
    for (int round = 0; round < 20; round++) {
        store(&order, 0);
        store(&queued, 0);
        read_lock();
        writer = start(queue_writer, NULL);
        while (try_read_lock()) { /* until the writer waits */
            read_unlock();
            ck_assert_msg(time(NULL) < end, "readers keep passing a writer that waits");
            nap(200);
        }
        reader = start(queue_reader, NULL);
        await(&queued, 2, "the reader");
        nap(3000);
        ck_assert_int_eq(load(&order), 0);
        ck_assert(!exclusive());
        read_unlock();
        pthread_join(writer, NULL);
        pthread_join(reader, NULL);
        ck_assert_int_eq(load(&first_in), 1);
        ck_assert_int_eq(load(&second_in), 2);
    }
    tear_down();
}
END_TEST

static int stop;

static void *overlap_as_reader(void *arg)
{
    (void)arg;
    while (!load(&stop)) {
        read_lock();
        nap(300);
        read_unlock();
    }
    return NULL;
}
static void *insist_as_writer(void *arg)
{
    (void)arg;
    while (!load(&stop)) {
        write_lock();
        nap(100);
        write_unlock();
    }
    return NULL;
}
static void *enter_as_writer(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        write_lock();
        write_unlock();
        add(&finished, 1);
    }
    return NULL;
}
static void *enter_as_reader(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        read_lock();
        read_unlock();
        add(&finished, 1);
    }
    return NULL;
}

/*
 * Checks for starvation. `crowd` keeps the lock busy without a gap, and `loner` must still get the
 * lock.
 */
static void starve(void *(*crowd)(void *), void *(*loner)(void *))
{
    enum { CROWD_THREADS = 4 };
    pthread_t thread[CROWD_THREADS], alone;
    int times = 50;

    store(&stop, 0);
    store(&finished, 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        thread[i] = start(crowd, NULL);
    nap(5000);
    alone = start(loner, &times);
    await(&finished, times, "the one against a crowd");
    store(&stop, 1);
    pthread_join(alone, NULL);
    for (int i = 0; i < CROWD_THREADS; i++)
        pthread_join(thread[i], NULL);
}

START_TEST(writer_among_readers)
{
    if (!set_up(_i, true))
        return;
    starve(overlap_as_reader, enter_as_writer);
    tear_down();
}
END_TEST

START_TEST(reader_among_writers)
{
    if (!set_up(_i, true))
        return;
    starve(insist_as_writer, enter_as_reader);
    tear_down();
}
END_TEST

void add_sharing_case(Suite *suite)
{
    TCase *tcase = add_case(suite, "sharing", 2 * LIMIT);

    tcase_add_loop_test(tcase, exclusion, 0, BACKENDS);
    tcase_add_loop_test(tcase, exclusion_of_rare_writers, 0, BACKENDS);
    tcase_add_loop_test(tcase, readers_together, 0, BACKENDS);
    tcase_add_loop_test(tcase, readers_together_after_writer, 0, BACKENDS);
    tcase_add_loop_test(tcase, unlock_elsewhere, 0, BACKENDS);
    tcase_add_loop_test(tcase, first_come, 0, BACKENDS);
    tcase_add_loop_test(tcase, writer_among_readers, 0, BACKENDS);
    tcase_add_loop_test(tcase, reader_among_writers, 0, BACKENDS);
}
