/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process: the SIGSEGV handler.
 *
 * It runs in the thread that touched, on top of whatever that thread was doing, so it uses nothing but what a signal
 * handler may: system calls, atomics, and the locks the process object was given. Those are safe because nobody touches
 * a window while holding one of them, or any lock of the core below io. Memory the core asks for comes from the
 * host's reserve meanwhile.
 *
 * Which process objects exist stands in a list that only grows: a slot is taken into use with one store, and given up by
 * clearing it and waiting until no handler is inside. A handler counts itself in before it looks, so it never
 * holds an object that is being closed.
 *
 * A touch that cannot succeed becomes a SIGBUS with the kernel's code and the exact address, queued to the thread itself and
 * delivered when the handler returns, before the instruction is tried again. Nothing is mapped for it, so a file that
 * grows a moment later needs nothing taken away. As with the kernel's own, a thread that blocks or ignores
 * SIGBUS dies of it.
 *
 * The handler may raise one itself, where the image's own file has no room for what the core stores. The program is to be
 * told of it like of any other, so every signal is blocked meanwhile but this one.
 */
#include "process_state.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/mount.h"

struct slot {
    _Atomic(struct ext2dax_process *) process;
    atomic_uint users;
    struct slot *next;
};

static _Atomic(struct slot *) slots;

/* Who adds and removes; never taken by the handler. */
static atomic_flag changing = ATOMIC_FLAG_INIT;
static unsigned added;

/*
 * Our handler exists a few times, each with what was there before it. One that was closed while somebody else's handler
 * lay on top stays below it, and may be called from there: were it installed again on top, the two would call each
 * other for ever. So the next one is installed then.
 */
#define LAYERS 4u

static struct {
    struct sigaction before; /* written while this layer is not installed */
    atomic_bool spent;       /* `before` asked to be called once only, and was */
} layers[LAYERS];
static unsigned layer; /* that is installed, or will be next: those below it are buried for good */

/* What the processor says of the access. */
static enum e2d_access access_of(const ucontext_t *context)
{
#if defined(__x86_64__) || defined(__i386__)
    return context->uc_mcontext.gregs[REG_ERR] & 0x2 ? E2D_ACCESS_WRITE : E2D_ACCESS_READ;
#elif defined(__aarch64__)
    /* A list of tagged records; the one with the syndrome register need not be there. */
    const unsigned char *at = context->uc_mcontext.__reserved;
    const unsigned char *end = at + sizeof(context->uc_mcontext.__reserved);
    struct {
        uint32_t magic, size;
        uint64_t syndrome;
    } record;

    while (at + sizeof(record) <= end) {
        memcpy(&record, at, sizeof(record));
        if (record.magic == 0x45535201u)
            return record.syndrome & 0x40u ? E2D_ACCESS_WRITE : E2D_ACCESS_READ;
        if (record.magic == 0 || record.size < 8)
            break;
        at += record.size;
    }
    return E2D_ACCESS_UNKNOWN;
#else
    (void)context;
    return E2D_ACCESS_UNKNOWN;
#endif
}

/* Until the filesystem is thawed, if need be. */
static enum e2d_outcome serve(struct ext2dax_process *process, uintptr_t address, enum e2d_access access)
{
    struct ext2dax_mount *frozen;
    enum e2d_outcome outcome;

    /* Looked at first, so that a crash inside our own calls is not a deadlock as well. */
    if (address < atomic_load(&process->low) || address >= atomic_load(&process->high) || process->owner != getpid())
        return E2D_OUTCOME_FOREIGN;
    for (;;) {
        ext2dax_host_in_handler(true);
        outcome = e2d_process_resolve(process, address, access, &frozen);
        ext2dax_host_in_handler(false);
        if (outcome != E2D_OUTCOME_FROZEN)
            return outcome;
        ext2dax_wait_thaw(frozen);
    }
}

static enum e2d_outcome serve_any(uintptr_t address, enum e2d_access access)
{
    enum e2d_outcome outcome = E2D_OUTCOME_FOREIGN;

    for (struct slot *slot = atomic_load(&slots); slot && outcome == E2D_OUTCOME_FOREIGN; slot = slot->next) {
        struct ext2dax_process *process;

        atomic_fetch_add(&slot->users, 1);
        process = atomic_load(&slot->process);
        if (process)
            outcome = serve(process, address, access);
        atomic_fetch_sub(&slot->users, 1);
    }
    return outcome;
}

/* Ends as it would without any handler: at once where the signal is sent, at the next try where an access raised it. */
static void end_by_default(int number, ucontext_t *interrupted, bool send)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    sigdelset(&interrupted->uc_sigmask, number);
    if (send)
        raise(number); /* pending until we return */
}

/* Calls a handler as the kernel would have: with its mask. */
static void call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    sigset_t mask;

    sigorset(&mask, &interrupted->uc_sigmask, &action->sa_mask);
    if (!(action->sa_flags & SA_NODEFER))
        sigaddset(&mask, number);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
}

/*
 * Queued with the kernel's code it is delivered before anything else that the thread does. Where that is not to be had
 * (a sandbox refuses; Valgrind takes it for a crash of its own, and delivers other codes late), the handler is called
 * from here.
 */
static void raise_sigbus(void *address, ucontext_t *context)
{
    struct sigaction action;
    siginfo_t info;
    sigset_t held_back;

    memset(&action, 0, sizeof(action));
    sigaction(SIGBUS, NULL, &action);
    if (sigismember(&context->uc_sigmask, SIGBUS) == 1 || action.sa_handler == SIG_IGN) {
        action.sa_handler = SIG_DFL;
        end_by_default(SIGBUS, context, false);
    }
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = BUS_ADRERR;
    info.si_addr = address;
    /* Until we return, which brings back the thread's own mask. */
    sigemptyset(&held_back);
    sigaddset(&held_back, SIGBUS);
    sigprocmask(SIG_BLOCK, &held_back, NULL);
    if (!e2d_under_valgrind() && syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &info) == 0)
        return;
    if (action.sa_handler == SIG_DFL)
        end_by_default(SIGBUS, context, true);
    else
        call(&action, SIGBUS, &info, context);
}

/* Hands the signal to whoever had it before this layer. */
static void pass_on(unsigned from, int number, siginfo_t *info, void *context)
{
    struct sigaction action = layers[from].before;
    bool sent = info->si_code <= 0; /* by a process; else the processor's own, which cannot be ignored */
    bool once = ((unsigned)action.sa_flags & SA_RESETHAND) != 0;

    if (once && atomic_exchange(&layers[from].spent, true))
        action.sa_handler = SIG_DFL;
    if (action.sa_handler == SIG_IGN && sent)
        return;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
        end_by_default(number, context, sent);
    else
        call(&action, number, info, context);
}

static void on_fault(unsigned at, int number, siginfo_t *info, void *context)
{
    int saved = errno;
    enum e2d_outcome outcome = E2D_OUTCOME_FOREIGN;

    if (info->si_code > 0)
        outcome = serve_any((uintptr_t)info->si_addr, access_of(context));
    errno = saved;
    if (outcome == E2D_OUTCOME_SIGBUS)
        raise_sigbus(info->si_addr, context);
    if (outcome == E2D_OUTCOME_FOREIGN)
        pass_on(at, number, info, context);
    errno = saved;
}

#define LAYER(n)                                                                                                       \
    static void on_fault_##n(int number, siginfo_t *info, void *context)                                               \
    {                                                                                                                  \
        on_fault(n, number, info, context);                                                                            \
    }
LAYER(0)
LAYER(1)
LAYER(2)
LAYER(3)
static void (*const handlers[LAYERS])(int, siginfo_t *, void *) = {on_fault_0, on_fault_1, on_fault_2, on_fault_3};

/* Is this layer's handler on top? */
static bool is_on_top(unsigned at, const struct sigaction *top)
{
    return at < LAYERS && top->sa_flags & SA_SIGINFO && top->sa_sigaction == handlers[at];
}

static int install(void)
{
    struct sigaction ours, current;

    if (sigaction(SIGSEGV, NULL, &current) != 0)
        return -errno;
    /* The one that was buried last has come to light again. */
    if (layer > 0 && is_on_top(layer - 1, &current)) {
        layer--;
        return 0;
    }
    if (layer == LAYERS)
        return -EXT2DAX_EBUSY;
    layers[layer].before = current;
    atomic_store(&layers[layer].spent, false);
    memset(&ours, 0, sizeof(ours));
    ours.sa_sigaction = handlers[layer];
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    sigdelset(&ours.sa_mask, SIGBUS);
    return sigaction(SIGSEGV, &ours, NULL) == 0 ? 0 : -errno;
}

/* Where somebody installed another one meanwhile, that one may call ours, which stays to pass on. */
static void uninstall(void)
{
    struct sigaction current;

    if (sigaction(SIGSEGV, NULL, &current) != 0 || !is_on_top(layer, &current)) {
        layer++;
        return;
    }
    current = layers[layer].before;
    if (atomic_load(&layers[layer].spent)) {
        memset(&current, 0, sizeof(current));
        current.sa_handler = SIG_DFL;
    }
    sigaction(SIGSEGV, &current, NULL);
}

static void lock_changing(void)
{
    while (atomic_flag_test_and_set(&changing))
        sched_yield();
}

int e2d_signal_add(struct ext2dax_process *process)
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
        error = install();
    if (!error) {
        atomic_store(&slot->process, process);
        added++;
    }
out:
    atomic_flag_clear(&changing);
    return error;
}

void e2d_signal_remove(struct ext2dax_process *process)
{
    struct slot *slot;

    lock_changing();
    for (slot = atomic_load(&slots); slot && atomic_load(&slot->process) != process; slot = slot->next)
        ;
    if (slot) {
        atomic_store(&slot->process, NULL);
        while (atomic_load(&slot->users) != 0)
            sched_yield();
        if (--added == 0)
            uninstall();
    }
    atomic_flag_clear(&changing);
}
