/* SPDX-License-Identifier: MIT */
/*
 * A table lists threads that hold counted locks by kernel thread id. A thread claims a slot with a
 * compare-and-swap and frees the slot with a store, so a signal handler may do so too, and an
 * exiting thread leaves nothing behind. A thread without a free slot near its hash position is not
 * listed. Each slot has a separate cache line.
 */
#include "lock_count.h"

#include <stddef.h>

#include "ext2dax/hosted/lock.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define PLACES 1024u
#define NEAR   16u

/*
 * A slot holds the thread id in the low 22 bits, enough for every thread id of Linux, and above the
 * id the number of times this thread has claimed a slot.
 */
#define THREAD_BITS 22u
#define THREAD_MASK (((unsigned long)1 << THREAD_BITS) - 1)

_Thread_local int e2dh_locks_counted __attribute__((tls_model("initial-exec")));
atomic_uint e2dh_threads_watched;

static struct {
    _Alignas(64) atomic_ulong word; /* 0 for a free slot */
} places[PLACES];

static _Thread_local atomic_ulong *place __attribute__((tls_model("initial-exec")));

static atomic_ulong *place_of(unsigned long thread, unsigned further)
{
    return &places[(thread + further) % PLACES].word;
}

void e2dh_thread_begins(void)
{
#if defined(__linux__)
    static _Thread_local unsigned long turn __attribute__((tls_model("initial-exec")));
    unsigned long thread = (unsigned long)syscall(SYS_gettid) & THREAD_MASK, word = thread | ++turn << THREAD_BITS;

    for (unsigned i = 0; i < NEAR; i++) {
        unsigned long nobody = 0;

        if (atomic_compare_exchange_strong(place_of(thread, i), &nobody, word)) {
            place = place_of(thread, i);
            return;
        }
    }
#endif
}

void e2dh_thread_ends(void)
{
    if (!place)
        return;
    atomic_store(place, 0);
    place = NULL;
}

unsigned long e2dh_thread_holds_locks(unsigned long thread)
{
    for (unsigned i = 0; i < NEAR && thread != 0; i++) {
        unsigned long word = atomic_load(place_of(thread, i));

        if ((word & THREAD_MASK) == thread)
            return word;
    }
    return 0;
}

bool ext2dax_locks_held(void)
{
    return e2dh_locks_counted > 0;
}
