/* SPDX-License-Identifier: MIT */
/*
 * Threads beside system calls on mappings by userfaultfd. Stores which wait for a thaw, stores of
 * several threads, and accesses in signal handlers.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../runner.h"
#include "mounted.h"
#include "system_calls.h"
#include "fault_method.h"
#include "process_state.h"

/* ---- frozen ---- */

static atomic_bool through;
static uint8_t *frozen_at;

static void *store_by_system_call(void *unused)
{
    (void)unused;
    if (stored(frozen_at, 0x5F) == 0)
        atomic_store(&through, true);
    return NULL;
}

static void *store_itself(void *unused)
{
    (void)unused;
    poke(frozen_at, 0x5F);
    atomic_store(&through, true);
    return NULL;
}

static atomic_uint signals_seen;

static void on_user_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}

START_TEST(a_store_waits_for_thaw_and_reads_do_not)
{
    struct ext2dax_inode *file;
    pthread_t thread;
    int other[2];
    uint8_t *at, byte;

    start(NULL);
    ck_assert_int_eq(pipe2(other, O_CLOEXEC), 0);
    signal(SIGUSR1, on_user_signal);
    file = make_file(&m, "f", 600 * PAGE);
    at = map_file(&m, file, 0, 600 * PAGE, EXT2DAX_MAP_WRITE);
    if (_i & 2)
        ck_assert_int_eq(loaded(at), 0);
    frozen_at = at;
    atomic_store(&through, false);
    ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, _i & 1 ? store_itself : store_by_system_call, NULL), 0);
    for (unsigned i = 1; i < 500; i++) {
        ck_assert_int_eq(write(other[1], at + i * PAGE, 1), 1);
        ck_assert_int_eq(read(other[0], &byte, 1), 1);
        ck_assert_uint_eq(byte, 0);
    }
    /*
     * A thread whose own store waits still takes signals. A race detector holds signals back until
     * the thread's next call.
     */
    for (unsigned wait = 0; _i & 1 && !E2DH_RACE_DETECTOR && atomic_load(&signals_seen) < 3; wait++) {
        pthread_kill(thread, SIGUSR1);
        wait_a_moment(wait);
    }
    usleep(20000);
    ck_assert(!atomic_load(&through));
    ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
    pthread_join(thread, NULL);
    ck_assert(atomic_load(&through));
    ck_assert_uint_eq(byte_of(file, 0), 0x5F);
    close(other[0]);
    close(other[1]);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

#define FROZEN_THREADS 150

static void *store_own_page(void *at)
{
    poke(at, 0x5F);
    return NULL;
}

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uintptr_t faults_until_now(void)
{
    struct ext2dax_counters counters;

    ext2dax_count(m.mount, &counters, sizeof(counters));
    return counters.faults;
}

/* Many threads waiting for a thaw use little CPU time. */
START_TEST(many_wait_for_thaw_quietly)
{
    pthread_t threads[FROZEN_THREADS];
    struct ext2dax_inode *file;
    pthread_attr_t small;
    uintptr_t before;
    int64_t began;
    uint8_t *at;

    start(NULL);
    file = make_file(&m, "f", FROZEN_THREADS * PAGE);
    at = map_file(&m, file, 0, FROZEN_THREADS * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256u << 10);
    before = faults_until_now();
    began = milliseconds();
    for (unsigned i = 0; i < FROZEN_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], &small, store_own_page, at + i * PAGE), 0);
    usleep(300000);
    ck_assert_uint_lt(faults_until_now() - before, 3 * FROZEN_THREADS + 8 * (uintptr_t)(milliseconds() - began));
    ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
    for (unsigned i = 0; i < FROZEN_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < FROZEN_THREADS; i++)
        ck_assert_uint_eq(byte_of(file, i * PAGE), 0x5F);
    pthread_attr_destroy(&small);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

/* ---- threads ---- */

#define STORERS 4
#define CALLS   (32 * PAGE / 8)

static uint8_t *shared_at;

/* Stores every fourth word, each with a read(2) of its own. */
static void *store_words(void *arg)
{
    size_t mine = (size_t)(uintptr_t)arg;
    int own[2];
    bool good = pipe2(own, O_CLOEXEC) == 0;

    for (size_t i = mine; good && i < CALLS; i += STORERS) {
        uint64_t word = i + 1;

        good = write(own[1], &word, sizeof(word)) == sizeof(word) &&
               read(own[0], shared_at + i * 8, sizeof(word)) == sizeof(word);
        /*
         * This page is removed all the time. The store may be lost with the page, but the call
         * succeeds.
         */
        good = good && write(own[1], &word, sizeof(word)) == sizeof(word) &&
               read(own[0], shared_at + (32 + i % 24) * PAGE, sizeof(word)) == sizeof(word);
    }
    close(own[0]);
    close(own[1]);
    return good ? NULL : "a system call failed";
}

/* Stores by system calls are not lost beside punch, truncate and fsync. */
START_TEST(no_store_of_a_system_call_is_lost)
{
    struct ext2dax_inode *file;
    pthread_t threads[STORERS];
    uint64_t word;
    void *failed;

    start(NULL);
    file = make_file(&m, "f", 64 * PAGE);
    for (unsigned round = 0; round < 4; round++) {
        ck_assert_int_eq(ext2dax_punch(file, 0, 32 * PAGE), 0);
        shared_at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
        for (size_t i = 0; i < STORERS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, store_words, (void *)i), 0);
        for (unsigned i = 0; i < 200; i++) {
            ck_assert_int_eq(ext2dax_fsync(file), 0);
            ck_assert_int_eq(ext2dax_punch(file, 32 * PAGE, 24 * PAGE), 0);
            ck_assert_int_eq(ext2dax_truncate(file, i & 1 ? 64 * PAGE : 57 * PAGE), 0);
        }
        for (size_t i = 0; i < STORERS; i++) {
            pthread_join(threads[i], &failed);
            ck_assert_ptr_null(failed);
        }
        unmap_file(&m, shared_at);
        for (uint64_t i = 0; i < CALLS; i++) {
            ck_assert_int_eq(ext2dax_read(file, i * 8, &word, sizeof(word)), sizeof(word));
            ck_assert_uint_eq(word, i + 1);
        }
    }
    ext2dax_inode_put(file);
    finish();
}
END_TEST

#define INTERRUPTIONS 1500

static _Atomic(uint8_t *) interrupted_at;
static atomic_uint interruptions;
static struct ext2dax_inode *interrupted_file;

static void store_in_handler(int number)
{
    int saved = errno;

    (void)number;
    poke(interrupted_at + (atomic_load(&interruptions) & 7) * HUGE, 1);
    atomic_fetch_add(&interruptions, 1);
    errno = saved;
}

static void *interrupt(void *arg)
{
    for (unsigned i = 0; i < INTERRUPTIONS; i++) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        while (atomic_load(&interruptions) <= i)
            sched_yield();
        if (i % 8 == 7 && ext2dax_punch(interrupted_file, 0, 8 * (uint64_t)HUGE) != 0)
            return "punch failed";
    }
    return NULL;
}

/* An access in a signal handler may interrupt malloc. All threads share a single heap. */
START_TEST(an_access_may_interrupt_malloc)
{
    struct mounted_options options = {.size = 128u << 20};
    pthread_t self = pthread_self(), thread;
    void *held[16] = {NULL}, *failed;
    struct ext2dax_inode *file;

#if defined(M_ARENA_MAX)
    mallopt(M_ARENA_MAX, 1);
#endif
    start(&options);
    signal(SIGUSR1, store_in_handler);
    file = make_file(&m, "f", 8 * (uint64_t)HUGE);
    interrupted_at = map_file(&m, file, 0, 8 * (uint64_t)HUGE, EXT2DAX_MAP_WRITE);
    interrupted_file = file;
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt, &self), 0);
    for (size_t i = 0; atomic_load(&interruptions) < INTERRUPTIONS; i++) {
        free(held[i % 16]);
        held[i % 16] = malloc(2000 + i % 3000);
    }
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    for (size_t i = 0; i < 16; i++)
        free(held[i]);
    unmap_file(&m, interrupted_at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (left_out_method())
        return SKIPPED;
    suite = suite_create("address space: userfaultfd and threads");
    tcase = add_case(suite, "process", 60);
    tcase_add_loop_test(tcase, a_store_waits_for_thaw_and_reads_do_not, 0, 4);
    tcase_add_test(tcase, many_wait_for_thaw_quietly);
    tcase_add_test(tcase, no_store_of_a_system_call_is_lost);
    tcase_add_test(tcase, an_access_may_interrupt_malloc);
    return run_suite(suite);
}
