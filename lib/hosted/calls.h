/* SPDX-License-Identifier: MIT */
/*
 * System calls made while the thread holds a lock, a count or a half-made object that only the
 * thread itself can release.
 *
 * Cancellation would end the thread in the middle. So the calls here are no cancellation points,
 * and functions opening or closing something disable cancellation from start to end. Calls that are
 * no cancellation point on any system (mmap, madvise, mprotect, sched_yield, syscall()) need no
 * such protection. A thread with asynchronous cancellation enabled is not supported.
 *
 * A signal would end the process. The kernel sends SIGXFSZ for a write past RLIMIT_FSIZE and
 * SIGPIPE for a write into a pipe without a reader, each in addition to the error that the call
 * returns. The calls here return the error and consume the signal raised by the call itself.
 */
#ifndef E2DH_HOSTED_CALLS_H
#define E2DH_HOSTED_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if !defined(E2D_HAVE_PTHREAD) && defined(__has_include)
#if __has_include(<pthread.h>)
/* A library built without threads may be linked into a program with threads. */
#pragma weak pthread_setcancelstate
#define E2DH_CANCELLATION 1
#endif
#elif defined(E2D_HAVE_PTHREAD)
#define E2DH_CANCELLATION 1
#endif

#if defined(E2DH_CANCELLATION)

#include <pthread.h>

/*
 * Disables cancellation. Returns the previous state, which the matching e2dh_cancel_again()
 * restores. Pairs nest. Async-signal-safe.
 */
static inline int e2dh_cancel_not(void)
{
    int state = PTHREAD_CANCEL_ENABLE;

#if !defined(E2D_HAVE_PTHREAD)
    if (!pthread_setcancelstate)
        return state;
#endif
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return state;
}
static inline void e2dh_cancel_again(int state)
{
#if !defined(E2D_HAVE_PTHREAD)
    if (!pthread_setcancelstate)
        return;
#endif
    (void)pthread_setcancelstate(state, &state);
}

#else

static inline int e2dh_cancel_not(void)
{
    return 0;
}
static inline void e2dh_cancel_again(int state)
{
    (void)state;
}

#endif

/*
 * Like the system call of the same name, with errno set. Async-signal-safe. e2dh_pwrite() restarts
 * after EINTR, e2dh_write() does not.
 */
ssize_t e2dh_write(int fd, const void *from, size_t bytes);
ssize_t e2dh_pwrite(int fd, const void *from, size_t bytes, uint64_t offset);
/*
 * Set the length of a file, or allocate the blocks. Return true on success, false with errno set.
 * Restart after EINTR.
 */
bool e2dh_set_length(int fd, uint64_t bytes);
bool e2dh_allocate(int fd, uint64_t bytes);
/*
 * Frees the memory or the blocks of a range of a file. The file length is unchanged. Returns true
 * on success, false with errno set. Restarts after EINTR.
 */
bool e2dh_punch(int fd, uint64_t offset, uint64_t bytes);
/* Sleeps. Returns early if a signal interrupts the sleep. */
void e2dh_nap(long nanoseconds);

#endif
