/* SPDX-License-Identifier: MIT */
/*
 * What lock_atomic_ops.c takes from where it runs: atomic operations on the word of a lock, and ways to wait. A bench that
 * decides itself what happens between two of them, or whether who sleeps is woken, compiles lock_atomic_ops.c with
 * E2D_LOCK_PLATFORM naming a header of its own, which defines the same names.
 */
#ifndef E2D_HOSTED_LOCK_PLATFORM_H
#define E2D_HOSTED_LOCK_PLATFORM_H

#include <atomic_ops.h>
#include <stdbool.h>
#include <stdint.h>

#if UINTPTR_MAX > 0xFFFFFFFFu
#define E2D_LOCK_BITS 64
#else
#define E2D_LOCK_BITS 32
#endif

#if defined(E2D_LOCK_PLATFORM)
#include E2D_LOCK_PLATFORM
#else

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Looks at the word before it goes to sleep: about a microsecond. */
#define E2D_LOCK_SPINS 200u

static inline AO_t e2d_word_load(const volatile AO_t *at)
{
    return AO_load(at);
}
/* Stores `to` if the word is `from`; false: it is not. In three strengths of ordering. */
static inline bool e2d_word_swap(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap(at, from, to);
}
static inline bool e2d_word_swap_acquire(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap_acquire(at, from, to);
}
static inline bool e2d_word_swap_release(volatile AO_t *at, AO_t from, AO_t to)
{
    return AO_compare_and_swap_release(at, from, to);
}

/* Between two looks at the word. */
static inline void e2d_relax(void)
{
#if defined(__i386__) || defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Others first. */
static inline void e2d_give_way(void)
{
    sched_yield();
}

#if defined(__linux__)

#if !defined(SYS_futex) /* 32-bit targets that never had a 32-bit time; without a timeout both are one call */
#define SYS_futex SYS_futex_time64
#endif

/* The half of the word that the kernel compares: the lower one by value. */
static inline volatile uint32_t *e2d_compared(volatile AO_t *at)
{
#if E2D_LOCK_BITS == 64 && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (volatile uint32_t *)at + 1;
#else
    return (volatile uint32_t *)at;
#endif
}

/*
 * Sleeps until woken by one of `bits`, unless the lower half of the word differs from that of `seen`, compared in one step
 * with falling asleep; may return for no reason.
 */
static inline void e2d_sleep_on(volatile AO_t *at, AO_t seen, uint32_t bits)
{
    int saved = errno;

    if (syscall(SYS_futex, e2d_compared(at), FUTEX_WAIT_BITSET_PRIVATE, (uint32_t)seen, NULL, NULL, bits) != 0 &&
        errno == ENOSYS)
        sched_yield();
    errno = saved;
}

/* Wakes everyone who sleeps on the word with one of `bits`. */
static inline void e2d_wake(volatile AO_t *at, uint32_t bits)
{
    int saved = errno;

    syscall(SYS_futex, e2d_compared(at), FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
    errno = saved;
}

#else

static inline void e2d_sleep_on(volatile AO_t *at, AO_t seen, uint32_t bits)
{
    (void)at;
    (void)seen;
    (void)bits;
    sched_yield();
}

static inline void e2d_wake(volatile AO_t *at, uint32_t bits)
{
    (void)at;
    (void)bits;
}

#endif

#endif

#endif
