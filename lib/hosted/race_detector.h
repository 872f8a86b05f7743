/* SPDX-License-Identifier: MIT */
/*
 * What Helgrind and DRD cannot see: that a lock of our own orders what is done under it, and that an atomic access orders
 * others. Told where Valgrind's headers were there to build with; in a program that does not run under Valgrind each of
 * these is one look at a flag.
 */
#ifndef E2D_HOSTED_RACE_DETECTOR_H
#define E2D_HOSTED_RACE_DETECTOR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_include)
#if __has_include(<valgrind/helgrind.h>) && __has_include(<valgrind/drd.h>)
#define E2D_TELLS_RACE_DETECTORS 1
#endif
#endif

#if defined(E2D_TELLS_RACE_DETECTORS)

/* True under Valgrind. */
extern bool e2d_race_detected;

void e2d_tell_before(const volatile void *tag);
void e2d_tell_after(const volatile void *tag);
void e2d_tell_atomic(const volatile void *at, size_t bytes);

#else

#define e2d_race_detected false
static inline void e2d_tell_before(const volatile void *tag)
{
    (void)tag;
}
static inline void e2d_tell_after(const volatile void *tag)
{
    (void)tag;
}
static inline void e2d_tell_atomic(const volatile void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

#endif

/*
 * A reader/writer lock was entered, or is about to be left. A reader comes after the writers before it, a writer after
 * everyone: two tags, the lock's address and the one behind it.
 */
static inline void e2d_tell_entered(const volatile void *lock, bool write)
{
    if (!e2d_race_detected)
        return;
    e2d_tell_after(lock);
    if (write)
        e2d_tell_after((const volatile char *)lock + 1);
}
static inline void e2d_tell_leaving(const volatile void *lock, bool write)
{
    if (e2d_race_detected)
        e2d_tell_before((const volatile char *)lock + (write ? 0 : 1));
}

/* A word is about to be stored to, or has been loaded, in an order that others rely on. Neither access is a race. */
static inline void e2d_tell_storing(const volatile void *at, size_t bytes)
{
    if (!e2d_race_detected)
        return;
    e2d_tell_atomic(at, bytes);
    e2d_tell_before(at);
}
static inline void e2d_tell_loading(const volatile void *at, size_t bytes)
{
    if (e2d_race_detected)
        e2d_tell_atomic(at, bytes);
}
static inline void e2d_tell_loaded(const volatile void *at)
{
    if (e2d_race_detected)
        e2d_tell_after(at);
}

#endif
