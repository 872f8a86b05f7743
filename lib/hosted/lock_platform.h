/* SPDX-License-Identifier: MIT */
/*
 * Platform of lock_atomic_ops.c. Atomic operations on the word of a lock, and functions to wait. A
 * test harness that controls the steps between two operations, or decides whether a sleeper is
 * woken, compiles lock_atomic_ops.c with E2D_LOCK_PLATFORM set to a header of its own. The header
 * defines the same names.
 */
#ifndef E2DH_HOSTED_LOCK_PLATFORM_H
#define E2DH_HOSTED_LOCK_PLATFORM_H

#include <atomic_ops.h>
#include <stdbool.h>
#include <stdint.h>

#if UINTPTR_MAX > 0xFFFFFFFFu
#define E2DH_LOCK_BITS 64
#else
#define E2DH_LOCK_BITS 32
#endif

#if defined(E2D_LOCK_PLATFORM)
#include E2D_LOCK_PLATFORM
#else

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Loads of the word before a waiter sleeps, about a microsecond. */
#define E2DH_LOCK_SPINS        200u

static inline AO_t e2dh_word_load(const volatile AO_t *at)
{
    return AO_load(at);
}
/*
 * Compares the word with `from` and stores `to` if equal. Returns false if not equal. Three
 * functions for three memory orders.
 */
static inline bool e2dh_word_swap(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap(at, from, to);
}
static inline bool e2dh_word_swap_acquire(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap_acquire(at, from, to);
}
static inline bool e2dh_word_swap_release(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap_release(at, from, to);
}

static inline AO_t e2dh_word_load_acquire(const volatile AO_t *at)
{
    return AO_load_acquire(at);
}

/* ---- the table of readers ---- */

/* A writer loads all entries, some 300 ns. Threads beyond the number of lines share lines. */
#define E2DH_READER_LINES      64u
#define E2DH_LINE_ENTRIES      8u

/* Mutants of a test harness. */
#define E2DH_BIAS_UNCHECKED    false
#define E2DH_BIAS_UNWAITED     false
#define E2DH_ENTRIES_FORGOTTEN false

/* TLS model as in host.c, for the same reason. */
#define E2DH_PER_THREAD        _Thread_local __attribute__((tls_model("initial-exec")))

/*
 * Takes a free entry. Returns false if another thread was faster. A reader stores an entry and then
 * loads the word, a writer stores the word and then loads the entries. One of both sees the other,
 * because each has a full barrier in between.
 */
static inline bool e2dh_entry_take(volatile AO_t *at, AO_t lock)
{
    bool taken = AO_compare_and_swap_full(at, 0, lock);

#if !defined(__i386__) && !defined(__x86_64__)
    AO_nop_full();
#endif
    return taken;
}
static inline void e2dh_entry_leave(volatile AO_t *at)
{
    AO_store_release(at, 0);
}
static inline AO_t e2dh_entry_load(const volatile AO_t *at)
{
    return AO_load_acquire(at);
}
/* Orders the store of a word before the loads of the entries. */
static inline void e2dh_before_entries(void)
{
    AO_nop_full();
}

/* Returns the number of earlier calls. */
static inline unsigned e2dh_next_line(void)
{
    static volatile AO_t calls;

    return (unsigned)AO_fetch_and_add1(&calls);
}

/* Pauses between two loads of the word. */
static inline void e2dh_relax(void)
{
#if defined(__i386__) || defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Yields the processor. */
static inline void e2dh_give_way(void)
{
    sched_yield();
}

/*
 * Waits for a reader to leave an entry, before load number `turn` of the entry. A reader may hold
 * the lock for long, and wakes nobody.
 */
static inline void e2dh_wait_for_reader(const volatile AO_t *at, unsigned turn)
{
    static const struct timespec moment = {.tv_nsec = 50000};
    int saved = errno;

    (void)at;
    if (turn < E2DH_LOCK_SPINS)
        e2dh_relax();
    else if (turn < 2 * E2DH_LOCK_SPINS)
        e2dh_give_way();
    else
        (void)nanosleep(&moment, NULL);
    errno = saved;
}

#if defined(__linux__)

/* 32-bit targets with 64-bit time only. Without a timeout both system calls are the same. */
#if !defined(SYS_futex)
#define SYS_futex SYS_futex_time64
#endif

/* Returns the half of the word compared by the kernel, the lower half by value. */
static inline volatile uint32_t *e2dh_compared(volatile AO_t *at)
{
#if E2DH_LOCK_BITS == 64 && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (volatile uint32_t *)at + 1;
#else
    return (volatile uint32_t *)at;
#endif
}

/*
 * Sleeps until woken with any of `bits`. Does not sleep if the lower half of the word differs from
 * the lower half of `seen`. The comparison and falling asleep are a single step in the kernel. May
 * return spuriously.
 */
static inline void e2dh_sleep_on(volatile AO_t *at, AO_t seen, uint32_t bits)
{
    int saved = errno;

    if (syscall(SYS_futex, e2dh_compared(at), FUTEX_WAIT_BITSET_PRIVATE, (uint32_t)seen, NULL, NULL, bits) != 0 &&
        errno == ENOSYS)
        sched_yield();
    errno = saved;
}

/* Wakes all sleepers on the word with any of `bits`. */
static inline void e2dh_wake(volatile AO_t *at, uint32_t bits)
{
    int saved = errno;

    syscall(SYS_futex, e2dh_compared(at), FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
    errno = saved;
}

#else

static inline void e2dh_sleep_on(volatile AO_t *at, AO_t seen, uint32_t bits)
{
    (void)at;
    (void)seen;
    (void)bits;
    sched_yield();
}

static inline void e2dh_wake(volatile AO_t *at, uint32_t bits)
{
    (void)at;
    (void)bits;
}

#endif

#endif

#endif
