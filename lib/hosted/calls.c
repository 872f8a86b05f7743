/* SPDX-License-Identifier: MIT */
/*
 * System calls that end neither the thread nor the process.
 *
 * The kernel sends the signal of a failed call to the calling thread. The signal is blocked during
 * the call, so a signal raised is pending in the thread when the call returns the error. hush_end()
 * consumes the signal unless the signal was already pending before the call. Only a thread with the
 * signal already blocked can have an earlier signal pending. An example is a fault handler, which
 * blocks all signals but SIGBUS. An unconsumed signal would end the process when the handler
 * returns.
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

struct hush {
    int cancel;
    sigset_t before, pending;
};

static void hush_begin(struct hush *h)
{
    sigset_t ours;

    h->cancel = e2dh_cancel_not();
    sigemptyset(&h->pending);
    sigemptyset(&ours);
    sigaddset(&ours, SIGXFSZ);
    sigaddset(&ours, SIGPIPE);
    sigprocmask(SIG_BLOCK, &ours, &h->before);
    if (sigismember(&h->before, SIGXFSZ) == 1 || sigismember(&h->before, SIGPIPE) == 1)
        sigpending(&h->pending);
}

/* Preserves errno of the call. */
static void hush_end(const struct hush *h, bool failed)
{
    static const struct timespec at_once = {0, 0};
    int saved = errno, number = saved == EFBIG ? SIGXFSZ : SIGPIPE;
    sigset_t raised;

    if (failed && (saved == EFBIG || saved == EPIPE) && sigismember(&h->pending, number) != 1) {
        sigemptyset(&raised);
        sigaddset(&raised, number);
        while (sigtimedwait(&raised, NULL, &at_once) < 0 && errno == EINTR)
            ;
    }
    sigprocmask(SIG_SETMASK, &h->before, NULL);
    e2dh_cancel_again(h->cancel);
    errno = saved;
}

ssize_t e2dh_write(int fd, const void *from, size_t bytes)
{
    struct hush h;
    ssize_t wrote;

    hush_begin(&h);
    wrote = write(fd, from, bytes);
    hush_end(&h, wrote < 0);
    return wrote;
}

ssize_t e2dh_pwrite(int fd, const void *from, size_t bytes, uint64_t offset)
{
    struct hush h;
    ssize_t wrote;

    hush_begin(&h);
    do
        wrote = pwrite(fd, from, bytes, (off_t)offset);
    while (wrote < 0 && errno == EINTR);
    hush_end(&h, wrote < 0);
    return wrote;
}

bool e2dh_set_length(int fd, uint64_t bytes)
{
    struct hush h;
    int r;

    hush_begin(&h);
    while ((r = ftruncate(fd, (off_t)bytes)) != 0 && errno == EINTR)
        ;
    hush_end(&h, r != 0);
    return r == 0;
}

bool e2dh_allocate(int fd, uint64_t bytes)
{
    struct hush h;
    int r;

    hush_begin(&h);
    while ((r = fallocate(fd, 0, 0, (off_t)bytes)) != 0 && errno == EINTR)
        ;
    hush_end(&h, r != 0);
    return r == 0;
}

bool e2dh_punch(int fd, uint64_t offset, uint64_t bytes)
{
    int cancel = e2dh_cancel_not(), r;

    while ((r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes)) != 0 &&
           errno == EINTR)
        ;
    e2dh_cancel_again(cancel);
    return r == 0;
}

void e2dh_nap(long nanoseconds)
{
    int cancel = e2dh_cancel_not();

    (void)nanosleep(&(struct timespec){0, nanoseconds}, NULL);
    e2dh_cancel_again(cancel);
}
