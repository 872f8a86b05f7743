/* SPDX-License-Identifier: MIT */
/*
 * Signals. A store or load through a mapping raises SIGBUS if the page lies past the end of
 * file, if no block is free, or if the image cannot be read. This is an ordinary result, so all
 * accesses use the guarded functions of this file.
 *
 * Leaving the handler by siglongjmp is safe, because the access itself raises the signal, in
 * code of pmem-mapper without a lock. The fault address distinguishes an access of the library.
 * SA_NODEFER keeps the signal mask unchanged, so the jump does not have to restore the mask.
 */
#include "mapper.h"

#include <setjmp.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t interrupted;
const char *volatile unfinished;
const struct image *volatile opened;

static _Thread_local sigjmp_buf *volatile guard;

static atomic_flag ending = ATOMIC_FLAG_INIT;

static void stop_requested(int number)
{
    (void)number;
    interrupted = 1;
}

static void put_text(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(EXIT_FAILED);
}

/*
 * Handles SIGBUS. An address in the memory of the image belongs to an access of the library,
 * which may hold locks. Such a fault can be neither resolved nor left by a jump. So the program
 * ends, and the image is in the state after a crash.
 */
static void bus_error(int number, siginfo_t *info, void *context)
{
    const struct image *image = opened;
    bool own = image && (uintptr_t)info->si_addr - (uintptr_t)image->memory.base < image->memory.size;

    (void)number;
    (void)context;
    if (guard && !own)
        siglongjmp(*guard, 1);
    /* Several threads may fault at once. The first prints the message and ends the process. */
    if (atomic_flag_test_and_set(&ending))
        for (;;)
            pause();
    if (unfinished)
        unlink(unfinished);
    put_text("pmem-mapper: ");
    if (image || unfinished) {
        put_text(image ? image->path : unfinished);
        put_text(": access: ");
    }
    put_text("the file of the image failed: no space on its filesystem, an I/O error, or a truncated file");
    put_text(image && image->writable ? "; the image is repaired when it is next changed\n" : "\n");
    _exit(EXIT_FAILED);
}

void signals_install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = bus_error;
    action.sa_flags = SA_NODEFER | SA_SIGINFO;
    sigaction(SIGBUS, &action, NULL);
    memset(&action, 0, sizeof(action));
    action.sa_handler = stop_requested;
    /* SA_RESETHAND lets a second stop request end the program at once. */
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    /* write() returns EPIPE or EFBIG instead. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
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

bool guarded_access(volatile unsigned char *at, bool store)
{
    sigjmp_buf point;

    if (sigsetjmp(point, 0)) {
        guard_set(NULL);
        return false;
    }
    guard_set(&point);
    if (store)
        __atomic_fetch_or(at, 0, __ATOMIC_RELAXED); /* keeps the byte under concurrent stores */
    else
        (void)*at;
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
