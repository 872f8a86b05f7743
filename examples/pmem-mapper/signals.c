/* SPDX-License-Identifier: MIT */
/*
 * Signals. A store or load through a window raises SIGBUS where the page lies past the end of the file, where no block
 * could be had, or where the image could not be read: an ordinary answer, so accesses go through the guards here.
 *
 * Leaving the handler by siglongjmp is safe: the signal is raised by the access itself, in code of ours that holds no
 * lock, never inside the library. SA_NODEFER keeps the signal mask as it was, so that the jump need not restore it.
 */
#include "mapper.h"

#include <setjmp.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t interrupted;
const char *volatile unfinished;

static _Thread_local sigjmp_buf *volatile guard;

static void stop_requested(int number)
{
    (void)number;
    interrupted = 1;
}

static void bus_error(int number)
{
    static const char text[] = "pmem-mapper: the file behind the image failed an access: no space on its filesystem, "
                               "an I/O error, or it was cut short\n";
    (void)number;
    if (guard)
        siglongjmp(*guard, 1);
    if (unfinished)
        unlink(unfinished);
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(EXIT_FAILED);
    _exit(EXIT_FAILED);
}

void signals_install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = bus_error;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGBUS, &action, NULL);
    action.sa_handler = stop_requested;
    /* A second request ends the program whatever it is doing. */
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void guard_set(sigjmp_buf *point)
{
    atomic_signal_fence(memory_order_seq_cst);
    guard = point;
    atomic_signal_fence(memory_order_seq_cst);
}

bool guarded_copy(void *to, const void *from, size_t bytes)
{
    sigjmp_buf point;

    if (sigsetjmp(point, 0)) {
        guard_set(NULL);
        return false;
    }
    guard_set(&point);
    memcpy(to, from, bytes);
    guard_set(NULL);
    return true;
}

bool guarded_load(const _Atomic uint64_t *at, uint64_t *value)
{
    sigjmp_buf point;

    if (sigsetjmp(point, 0)) {
        guard_set(NULL);
        return false;
    }
    guard_set(&point);
    *value = atomic_load_explicit(at, memory_order_seq_cst);
    guard_set(NULL);
    return true;
}

bool guarded_store(_Atomic uint64_t *at, uint64_t value)
{
    sigjmp_buf point;

    if (sigsetjmp(point, 0)) {
        guard_set(NULL);
        return false;
    }
    guard_set(&point);
    atomic_store_explicit(at, value, memory_order_seq_cst);
    guard_set(NULL);
    return true;
}
