/* SPDX-License-Identifier: MIT */
/*
 * The fault handler jumps back to an interrupted copy. A guard on the stack of the copy says where
 * to, and the stack pointer says whether the fault interrupted the copy itself.
 */
#include "guard.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <ucontext.h>

#include "fault_context.h"

/* Since Linux 4.7. Not every libc defines this flag. */
#if defined(__linux__) && !defined(SS_AUTODISARM)
#define SS_AUTODISARM (1u << 31)
#endif

/* Bytes of stack that memcpy() may need below the guard. The memcpy() of a sanitizer takes more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROOM ((uintptr_t)2048)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ROOM ((uintptr_t)2048)
#endif
#endif
#if !defined(ROOM)
#define ROOM ((uintptr_t)640)
#endif

struct guard {
    struct guard *outer; /* guard of the copy interrupted by a signal handler with its own copy */
    const struct e2dh_copy *copy;
    sigset_t mask; /* of the thread when the fault interrupted the copy */
    sigjmp_buf landing;
};

/* TLS model as in host.c, for the same reason. */
static _Thread_local struct guard *innermost __attribute__((tls_model("initial-exec")));

/* No sanitizer may move the guard off the real stack, hence the attribute. */
__attribute__((noinline, no_sanitize("address"))) bool e2dh_guard_run(void (*run)(struct e2dh_copy *),
                                                                      struct e2dh_copy *copy)
{
    struct guard guard;
    bool landed;

    copy->done = 0;
    guard.outer = innermost;
    guard.copy = copy;
    landed = sigsetjmp(guard.landing, 0) != 0;
    if (!landed) {
        /* A signal handler interrupting here finds a complete guard. */
        atomic_signal_fence(memory_order_seq_cst);
        innermost = &guard;
        atomic_signal_fence(memory_order_seq_cst);
        run(copy);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        sigprocmask(SIG_SETMASK, &innermost->mask, NULL);
    }
    innermost = innermost->outer;
    return !landed;
}

/*
 * Does the fault address lie in the buffer? Rounds the start of the buffer down to a page, because
 * some architectures report only the page of the address.
 */
static bool is_in_buffer(const struct e2dh_copy *copy, const siginfo_t *info)
{
    uintptr_t low = (uintptr_t)copy->callers & ~(uintptr_t)(LEAST_PAGE - 1);

#if defined(__x86_64__)
    /*
     * A non-canonical address. The kernel does not know the exact address. The memory of the image
     * has no such address.
     */
    if (info->si_code == SI_KERNEL && !info->si_addr)
        return true;
#endif
    return (uintptr_t)info->si_addr - low < (uintptr_t)copy->callers - low + copy->bytes;
}

void e2dh_guard_land(const siginfo_t *info, const void *context)
{
    const ucontext_t *interrupted = context;
    uintptr_t stack = e2dh_context_stack(interrupted);
    struct guard *guard = innermost;

    /*
     * The stack is checked first. A thread that jumped out of a copy, for example after a fault in
     * the image, has left behind a guard in a dead stack frame.
     */
    if (!guard || (stack != 0 && (uintptr_t)guard - stack > ROOM) || !is_in_buffer(guard->copy, info))
        return;
    guard->mask = interrupted->uc_sigmask;
#if defined(SS_AUTODISARM)
    /*
     * A return from the handler would rearm the alternate stack of the thread, so the jump has to
     * do the same. Signals stay blocked until the thread has left that stack.
     */
    if ((unsigned)interrupted->uc_stack.ss_flags & (unsigned)SS_AUTODISARM)
        sigaltstack(&interrupted->uc_stack, NULL);
#endif
    siglongjmp(guard->landing, 1);
}
