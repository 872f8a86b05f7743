/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Its part of the SIGSEGV handler (fault_handler.c).
 *
 * The handler runs in the accessing thread, on top of arbitrary code of the thread. It therefore
 * uses only means allowed in a signal handler, namely system calls, atomics and the locks given to
 * the process object. The locks are safe, because no thread accesses a mapping while holding any of
 * them, or a lock of the core below io. Memory needed by the core comes from the reserve of the
 * host while the handler runs.
 *
 * Process objects are kept in a list of slots, which only grows. A single store puts a slot into
 * use. Releasing a slot clears it and waits until no handler is inside. A handler increments the
 * user count of a slot before reading the slot, so no handler uses an object being closed.
 */
#include "process_state.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#include <ucontext.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/mount.h"

#include "calls.h"
#include "fault_context.h"
#include "fault_handler.h"
#include "lock_count.h"
#include "process_backend.h"

#define FROZEN_NANOS 1000000L
#define MOST_FROZEN  256u /* waiting threads counted for a longer wait, at most */

struct slot {
    _Atomic(struct ext2dax_process *) process;
    atomic_uint users;
    struct slot *next;
};

static _Atomic(struct slot *) slots;

/* Serializes adding and removing. Never taken by the handler. */
static atomic_flag changing = ATOMIC_FLAG_INIT;
static unsigned added;
static unsigned sigsegv_layer, sigbus_layer; /* layers of the handlers, valid while `added` > 0 */

/*
 * Returns the kind of access reported by the processor. Where fetches are not reported (Valgrind
 * reports none either), the fault address decides. A fetch faults at the address of the instruction
 * or, if the instruction crosses a page boundary, at one of the few bytes after. On s390x the
 * address of a fetch is compared with the page of the instruction.
 */
static enum e2dh_access access_of(const ucontext_t *context, uintptr_t address)
{
    uintptr_t instruction = e2dh_context_instruction(context);
    enum e2dh_access access = E2DH_ACCESS_UNKNOWN;

#if defined(__x86_64__) || defined(__i386__)
    if (context->uc_mcontext.gregs[REG_ERR] & 0x10)
        return E2DH_ACCESS_FETCH;
    access = context->uc_mcontext.gregs[REG_ERR] & 0x2 ? E2DH_ACCESS_WRITE : E2DH_ACCESS_READ;
    if (access == E2DH_ACCESS_WRITE)
        return access;
#elif defined(__aarch64__)
    uint64_t syndrome;

    if (e2dh_context_syndrome(context, &syndrome)) {
        if ((syndrome >> 26 & 0x3f) == 0x20)
            return E2DH_ACCESS_FETCH;
        return syndrome & 0x40u ? E2DH_ACCESS_WRITE : E2DH_ACCESS_READ;
    }
#elif defined(__s390x__)
    instruction &= ~(uintptr_t)0xfff;
#endif
    return instruction != 0 && address - instruction < 8 ? E2DH_ACCESS_ANY : access;
}

/*
 * Stack used to serve a fault, below the frame of the signal. 1.6 KiB were measured on x86-64. The
 * share of the core may grow to 2 KiB (limit in tests/build/stack_chain.py). Builds without
 * optimization or with added checks need far more.
 */
#if !defined(__OPTIMIZE__) || E2DH_RACE_DETECTOR || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_HWADDRESS__)
#define LARGE_FRAMES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define LARGE_FRAMES 1
#endif
#endif
#if defined(LARGE_FRAMES)
#define STACK_TO_SERVE ((size_t)16 << 10)
#define STACK_BEFORE   ((size_t)4 << 10) /* used by the handler before is_stack_too_small() */
#else
#define STACK_TO_SERVE ((size_t)4 << 10)
#define STACK_BEFORE   ((size_t)256)
#endif

/*
 * The kernel reports the size of the frame. An old kernel does not, and MINSIGSTKSZ is used
 * instead.
 */
size_t ext2dax_process_alternate_stack(void)
{
#if defined(AT_MINSIGSTKSZ)
    size_t frame = (size_t)getauxval(AT_MINSIGSTKSZ);
#else
    size_t frame = 0;
#endif

    return (frame ? frame : (size_t)MINSIGSTKSZ) + STACK_TO_SERVE + STACK_BEFORE;
}

/*
 * Tests whether the handler runs on the thread's alternate stack with too little stack left. The
 * memory below the stack belongs to other code. Refusing an access alone takes 1 KiB.
 */
static bool is_stack_too_small(const ucontext_t *context)
{
    static const char complaint[] = "ext2dax: an alternate signal stack is too small for an access of a mapping "
                                    "(ext2dax_process_alternate_stack() returns the smallest size)\n";
    static atomic_bool complained;
    uintptr_t left = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)context->uc_stack.ss_sp;
    ssize_t ignored;

    if (context->uc_stack.ss_flags & SS_DISABLE || left >= context->uc_stack.ss_size || left >= STACK_TO_SERVE)
        return false;
    if (!atomic_exchange(&complained, true)) {
        ignored = e2dh_write(STDERR_FILENO, complaint, sizeof(complaint) - 1);
        (void)ignored;
    }
    return true;
}

/*
 * Refuses an access by a signal handler that interrupted its thread under a lock. Serving takes the
 * same lock, or locks ordered above, so the thread would wait for itself. The access fails instead.
 */
static enum e2dh_outcome refuse_under_locks(struct ext2dax_process *process, uintptr_t address)
{
    bool foreign = false;

    /* An address outside every mapping is the program's own fault, not to be refused here. */
    if (process->locks.ops->try_read_lock(process->locks.ctx, &process->space)) {
        foreign = !e2dh_process_find(process, address);
        e2dh_space_unshare(process);
    }
    return foreign ? E2DH_OUTCOME_FOREIGN : E2DH_OUTCOME_SIGBUS;
}

/* Tries once to resolve a fault. */
static enum e2dh_outcome serve(struct ext2dax_process *process, uintptr_t address, const ucontext_t *context)
{
    struct ext2dax_mount *frozen;
    enum e2dh_outcome outcome;
    sigset_t held_back, before;

    /*
     * The bounds are checked before any lock is taken, so a crash inside the library does not
     * deadlock as well.
     */
    if (address < atomic_load(&process->low) || address >= atomic_load(&process->high) || process->owner != getpid())
        return E2DH_OUTCOME_FOREIGN;
    if (is_stack_too_small(context))
        return E2DH_OUTCOME_SIGBUS;
    if (e2dh_locks_counted > 0)
        return refuse_under_locks(process, address);
    /* Signals are blocked already, unless a handler of other code has called ours. */
    sigfillset(&held_back);
    sigdelset(&held_back, SIGBUS);
    sigprocmask(SIG_SETMASK, &held_back, &before);
    ext2dax_host_in_handler(true);
    outcome = e2dh_process_resolve(process, address, access_of(context, address), &frozen);
    ext2dax_host_in_handler(false);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return outcome;
}

static enum e2dh_outcome serve_any(uintptr_t address, const ucontext_t *context)
{
    enum e2dh_outcome outcome = E2DH_OUTCOME_FOREIGN;

    for (struct slot *slot = atomic_load(&slots); slot && outcome == E2DH_OUTCOME_FOREIGN; slot = slot->next) {
        struct ext2dax_process *process;

        atomic_fetch_add(&slot->users, 1);
        process = atomic_load(&slot->process);
        if (process)
            outcome = serve(process, address, context);
        atomic_fetch_sub(&slot->users, 1);
    }
    return outcome;
}

/*
 * Delays a store until the filesystem is thawed. The thread sleeps for a moment, returns from the
 * handler and faults again. In between the thread runs with its own signal mask, so signals are
 * delivered. Signal handlers may do anything, including a jump that never returns. No lock is held
 * while sleeping. The more threads wait, the less often each tries.
 */
static void wait_frozen(void)
{
    static atomic_uint waiting;
    unsigned others = atomic_fetch_add(&waiting, 1);

    e2dh_nap(FROZEN_NANOS * (1 + (long)(others < MOST_FROZEN ? others : MOST_FROZEN) / 16));
    atomic_fetch_sub(&waiting, 1);
}

/* Tests whether the address may belong to a mapping with userfaultfd. */
static bool is_ours(uintptr_t address)
{
    bool found = false;

    for (struct slot *slot = atomic_load(&slots); slot && !found; slot = slot->next) {
        const struct ext2dax_process *process;

        atomic_fetch_add(&slot->users, 1);
        process = atomic_load(&slot->process);
        found = process && process->backend->asks && address >= atomic_load(&process->low) &&
                address < atomic_load(&process->high);
        atomic_fetch_sub(&slot->users, 1);
    }
    return found;
}

static enum e2dh_resolution resolve(const siginfo_t *info, const ucontext_t *context, void **address)
{
    if (info->si_code == SI_QUEUE && info->si_pid == getpid() && is_ours((uintptr_t)info->si_value.sival_ptr)) {
        /*
         * Sent by process_uffd_handler.c. The reader thread saw an access not to be served, because
         * this thread holds locks.
         */
        *address = info->si_value.sival_ptr;
        return e2dh_locks_counted > 0 ? E2DH_RESOLUTION_SIGBUS : E2DH_RESOLUTION_RETRY;
    }
    if (info->si_code <= 0)
        return E2DH_RESOLUTION_FOREIGN;
    switch (serve_any((uintptr_t)*address, context)) {
    case E2DH_OUTCOME_SIGBUS:
        return E2DH_RESOLUTION_SIGBUS;
    case E2DH_OUTCOME_FROZEN:
        wait_frozen();
        return E2DH_RESOLUTION_RETRY;
    case E2DH_OUTCOME_DONE:
        return E2DH_RESOLUTION_RETRY;
    default:
        return E2DH_RESOLUTION_FOREIGN;
    }
}

static void lock_changing(void)
{
    while (atomic_flag_test_and_set(&changing))
        sched_yield();
}

/*
 * Installs the handlers of SIGSEGV and SIGBUS. SIGBUS is needed too, since a copy (guarded_copy.c)
 * may get a SIGBUS for a page refused by the kernel itself.
 */
static int add_handlers(void)
{
    int error = e2dh_handler_add(SIGSEGV, &sigsegv_layer);

    if (error)
        return error;
    error = e2dh_handler_add(SIGBUS, &sigbus_layer);
    if (error)
        e2dh_handler_remove(SIGSEGV, sigsegv_layer);
    return error;
}

int e2dh_signal_may_be_used(void)
{
    stack_t alternate;

    if (sigaltstack(NULL, &alternate) != 0 || alternate.ss_flags & SS_DISABLE)
        return 0;
    return alternate.ss_size < ext2dax_process_alternate_stack() ? -EXT2DAX_EINVAL : 0;
}

int e2dh_signal_add(struct ext2dax_process *process)
{
    struct slot *slot;
    int error = 0;

    lock_changing();
    for (slot = atomic_load(&slots); slot && atomic_load(&slot->process); slot = slot->next)
        ;
    if (!slot) {
        slot = calloc(1, sizeof(*slot));
        if (!slot) {
            error = -EXT2DAX_ENOMEM;
            goto out;
        }
        slot->next = atomic_load(&slots);
        atomic_store(&slots, slot);
    }
    if (added == 0)
        error = add_handlers();
    if (!error) {
        e2dh_handler_resolve(resolve);
        atomic_store(&slot->process, process);
        added++;
    }
out:
    atomic_flag_clear(&changing);
    return error;
}

void e2dh_signal_remove(struct ext2dax_process *process)
{
    struct slot *slot;

    lock_changing();
    for (slot = atomic_load(&slots); slot && atomic_load(&slot->process) != process; slot = slot->next)
        ;
    if (slot) {
        atomic_store(&slot->process, NULL);
        while (atomic_load(&slot->users) != 0)
            sched_yield();
        if (--added == 0) {
            e2dh_handler_remove(SIGBUS, sigbus_layer);
            e2dh_handler_remove(SIGSEGV, sigsegv_layer);
        }
    }
    atomic_flag_clear(&changing);
}
