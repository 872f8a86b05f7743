/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations. Only this file knows the implementation, which is libatomic_ops by default, or
 * the compiler builtins with E2D_ATOMICS_BUILTIN (for a build without any headers). Only 4-byte and
 * word-sized operations exist, because some targets have no others. A 64-bit value is an
 * ext2dax_word64.
 *
 * In the instrumented core (E2D_INSTRUMENT) every operation except e2d_count(), e2d_counted() and
 * the barriers is a yield point, at which the schedule explorer may run another thread.
 */
#ifndef E2D_BASE_ATOMIC_H
#define E2D_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/inode.h"

#include "base/instrument.h"

#if !defined(E2D_ATOMICS_BUILTIN)

#include <atomic_ops.h>

/*
 * Compilers for size may leave a function of the library out of line, although the function is a
 * single instruction.
 */
#ifdef __GNUC__
#define E2D_FLAT __attribute__((flatten))
#else
#define E2D_FLAT
#endif

_Static_assert(sizeof(AO_t) == sizeof(uintptr_t), "libatomic_ops' word is not a pointer wide");
_Static_assert(sizeof(unsigned) == sizeof(uint32_t), "libatomic_ops' int is not 4 bytes");

E2D_FLAT static inline uint32_t e2d_load32(const uint32_t *at)
{
    uint32_t value;

    E2D_LOADING(at);
    value = AO_int_load_acquire((const volatile unsigned *)at);
    E2D_LOADED(at);
    return value;
}
E2D_FLAT static inline uint32_t e2d_load32_relaxed(const uint32_t *at)
{
    uint32_t value;

    E2D_LOADING(at);
    value = AO_int_load((const volatile unsigned *)at);
    E2D_LOADED(at);
    return value;
}
E2D_FLAT static inline void e2d_set32(uint32_t *at, uint32_t value)
{
    E2D_STORING(at);
    AO_int_store_release((volatile unsigned *)at, value);
}
E2D_FLAT static inline void e2d_set32_relaxed(uint32_t *at, uint32_t value)
{
    E2D_STORING(at);
    AO_int_store((volatile unsigned *)at, value);
}
E2D_FLAT static inline bool e2d_swap32(uint32_t *at, uint32_t from, uint32_t to)
{
    bool value;

    E2D_STORING(at);
    value = AO_int_compare_and_swap_full((volatile unsigned *)at, from, to) != 0;
    E2D_LOADED(at);
    return value;
}
E2D_FLAT static inline uint32_t e2d_add32(uint32_t *at, uint32_t by)
{
    uint32_t value;

    E2D_STORING(at);
    value = AO_int_fetch_and_add_full((volatile unsigned *)at, by);
    E2D_LOADED(at);
    return value;
}
E2D_FLAT static inline uintptr_t e2d_load_word(const uintptr_t *at)
{
    uintptr_t value;

    E2D_LOADING(at);
    value = AO_load_acquire((const volatile AO_t *)at);
    E2D_LOADED(at);
    return value;
}
E2D_FLAT static inline void e2d_set_word(uintptr_t *at, uintptr_t value)
{
    E2D_STORING(at);
    AO_store_release((volatile AO_t *)at, value);
}
/* Statistics counters. Not a yield point. */
E2D_FLAT static inline void e2d_count(uintptr_t *at, uintptr_t by)
{
    (void)AO_fetch_and_add((volatile AO_t *)at, by);
}
E2D_FLAT static inline uintptr_t e2d_counted(const uintptr_t *at)
{
    return AO_load((const volatile AO_t *)at);
}
E2D_FLAT static inline void e2d_barrier_load(void)
{
    AO_nop_read();
}
E2D_FLAT static inline void e2d_barrier_full(void)
{
    AO_nop_full();
}

#else

static inline uint32_t e2d_load32(const uint32_t *at)
{
    uint32_t value;

    E2D_LOADING(at);
    value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    E2D_LOADED(at);
    return value;
}
static inline uint32_t e2d_load32_relaxed(const uint32_t *at)
{
    uint32_t value;

    E2D_LOADING(at);
    value = __atomic_load_n(at, __ATOMIC_RELAXED);
    E2D_LOADED(at);
    return value;
}
static inline void e2d_set32(uint32_t *at, uint32_t value)
{
    E2D_STORING(at);
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}
static inline void e2d_set32_relaxed(uint32_t *at, uint32_t value)
{
    E2D_STORING(at);
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
}
static inline bool e2d_swap32(uint32_t *at, uint32_t from, uint32_t to)
{
    bool value;

    E2D_STORING(at);
    value = __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    E2D_LOADED(at);
    return value;
}
static inline uint32_t e2d_add32(uint32_t *at, uint32_t by)
{
    uint32_t value;

    E2D_STORING(at);
    value = __atomic_fetch_add(at, by, __ATOMIC_SEQ_CST);
    E2D_LOADED(at);
    return value;
}
static inline uintptr_t e2d_load_word(const uintptr_t *at)
{
    uintptr_t value;

    E2D_LOADING(at);
    value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    E2D_LOADED(at);
    return value;
}
static inline void e2d_set_word(uintptr_t *at, uintptr_t value)
{
    E2D_STORING(at);
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}
static inline void e2d_count(uintptr_t *at, uintptr_t by)
{
    (void)__atomic_fetch_add(at, by, __ATOMIC_RELAXED);
}
static inline uintptr_t e2d_counted(const uintptr_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}
static inline void e2d_barrier_load(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}
static inline void e2d_barrier_full(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

/*
 * Load and store of a 64-bit value with a single writer at a time and lockless readers. The
 * declaration of the value names the lock which serializes the writers. With 8-byte words the value
 * is a single word. Otherwise readers retry until the sequence count shows no concurrent writer.
 */
static inline uint64_t e2d_load64(const struct ext2dax_word64 *at)
{
#if UINTPTR_MAX > 0xFFFFFFFFu
    return e2d_load_word(&at->low);
#else
    uintptr_t before, low, high;

    do {
        before = e2d_load_word(&at->sequence);
        low = e2d_load_word(&at->low);
        high = e2d_load_word(&at->high);
        e2d_barrier_load();
    } while ((before & 1) != 0 || e2d_load_word(&at->sequence) != before);
    return (uint64_t)high << 32 | low;
#endif
}

static inline void e2d_set64(struct ext2dax_word64 *at, uint64_t value)
{
#if UINTPTR_MAX > 0xFFFFFFFFu
    e2d_set_word(&at->low, (uintptr_t)value);
#else
    e2d_set_word(&at->sequence, at->sequence + 1);
    e2d_barrier_full();
    e2d_set_word(&at->low, (uintptr_t)value);
    e2d_set_word(&at->high, (uintptr_t)(value >> 32));
    e2d_set_word(&at->sequence, at->sequence + 1);
#endif
}

#endif
