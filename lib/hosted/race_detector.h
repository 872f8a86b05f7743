/* SPDX-License-Identifier: MIT */
/*
 * Reports to Helgrind and DRD. Neither tool can see the order of accesses under a lock of this
 * library, nor the order created by an atomic access. Built in if Valgrind's headers are available
 * at build time. Outside Valgrind each report costs the test of a flag.
 */
#ifndef E2DH_HOSTED_RACE_DETECTOR_H
#define E2DH_HOSTED_RACE_DETECTOR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_include)
#if __has_include(<valgrind/helgrind.h>) && __has_include(<valgrind/drd.h>)
#define E2DH_TELLS_RACE_DETECTORS 1
#endif
#endif

#if defined(E2DH_TELLS_RACE_DETECTORS)

/* True under Valgrind. */
extern bool e2dh_race_detected;

void e2dh_tell_before(const volatile void *tag);
void e2dh_tell_after(const volatile void *tag);
void e2dh_tell_atomic(const volatile void *at, size_t bytes);

#else

#define e2dh_race_detected false
static inline void e2dh_tell_before(const volatile void *tag)
{
    (void)tag;
}
static inline void e2dh_tell_after(const volatile void *tag)
{
    (void)tag;
}
static inline void e2dh_tell_atomic(const volatile void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

#endif

/*
 * Report a reader/writer lock as entered, or as about to be left. A reader is ordered after the
 * earlier writers, a writer after all earlier holders. Hence two tags, the address of the lock for
 * writers and the next address for readers.
 */
static inline void e2dh_tell_entered(const volatile void *lock, bool write)
{
    if (!e2dh_race_detected)
        return;
    e2dh_tell_after(lock);
    if (write)
        e2dh_tell_after((const volatile char *)lock + 1);
}
static inline void e2dh_tell_leaving(const volatile void *lock, bool write)
{
    if (e2dh_race_detected)
        e2dh_tell_before((const volatile char *)lock + (write ? 0 : 1));
}

/*
 * Report a word as about to be stored to, or as loaded, in an order relied on by other threads.
 * Neither access is a race.
 */
static inline void e2dh_tell_storing(const volatile void *at, size_t bytes)
{
    if (!e2dh_race_detected)
        return;
    e2dh_tell_atomic(at, bytes);
    e2dh_tell_before(at);
}
static inline void e2dh_tell_loading(const volatile void *at, size_t bytes)
{
    if (e2dh_race_detected)
        e2dh_tell_atomic(at, bytes);
}
static inline void e2dh_tell_loaded(const volatile void *at)
{
    if (e2dh_race_detected)
        e2dh_tell_after(at);
}

#endif
