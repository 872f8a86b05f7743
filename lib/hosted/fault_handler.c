/* SPDX-License-Identifier: MIT */
/*
 * The library's handler of SIGSEGV and SIGBUS. The handler runs in the thread that made the access
 * and may interrupt any code, and so uses only async-signal-safe functions. Three parties can
 * handle a fault, in this order
 *
 *     address space   process_signal.c, SIGSEGV only. Resolves an access to a page of a mapping,
 *                     or turns the access into a SIGBUS
 *     copy            guarded_copy.c. A fault in a caller's buffer ends the copy at the fault
 *     program         the handler installed before ours, called as the kernel would have called
 *                     it, or the default action
 *
 * An access that cannot succeed becomes a SIGBUS with the kernel's code and the exact address. The
 * signal is queued to the thread itself and delivered when the handler returns, before the
 * instruction is retried. No page is mapped for such an access, so when the file is extended a
 * moment later no mapping must be removed. As with the kernel's own SIGBUS, a thread that blocks or
 * ignores SIGBUS is killed.
 *
 * Resolving a fault may itself raise SIGBUS, where the file of the image has no room for a block
 * that the core stores to. The program must receive this SIGBUS like any other, so SIGBUS alone
 * stays unblocked while the handler runs.
 */
#include "fault_handler.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ext2dax/error.h"

#include "guard.h"
#include "race_detector.h"

/*
 * Our handler exists in several layers. Each layer remembers the handler installed before. A layer
 * removed while a foreign handler is installed on top stays below that handler, which may still
 * call the layer. Installing the same layer again on top would make the two handlers call each
 * other forever. So the next layer is installed instead.
 */
#define LAYERS 8u

static struct chain {
    int number;
    struct {
        struct sigaction before; /* written while this layer is not installed */
        atomic_bool spent;       /* `before` had SA_RESETHAND and has been called */
        unsigned users;
    } layers[LAYERS];
    unsigned count; /* layers [0, count) are installed, or buried below a foreign handler */
} chains[] = {{.number = SIGSEGV}, {.number = SIGBUS}};

/* Serializes install and uninstall. The handler never takes this flag. */
static atomic_flag changing = ATOMIC_FLAG_INIT;

static _Atomic(enum e2dh_resolution (*)(const siginfo_t *, const ucontext_t *, void **)) address_space;

static struct chain *chain_of(int number)
{
    return &chains[number == SIGSEGV ? 0 : 1];
}

/*
 * Restores the default action, so that the signal ends the process as if no handler existed. A
 * signal raised by an access takes effect when the access is retried. With `send` the signal is
 * raised here and takes effect when the handler returns.
 */
static void end_by_default(int number, ucontext_t *interrupted, bool send)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
    sigdelset(&interrupted->uc_sigmask, number);
    if (send)
        raise(number); /* pending until the handler returns */
}

/* Calls a handler as the kernel would, under the handler's own signal mask. */
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

static void program_action(int number, struct sigaction *action);

/*
 * Raises a SIGBUS for the access. A signal queued with the kernel's code is delivered before the
 * thread does anything else. Where queueing is not possible, this function calls the handler itself
 * or takes the default action. Two cases are known. A sandbox may refuse the system call. Valgrind
 * takes a queued signal with this code for a crash of its own and delivers other codes late.
 */
static void raise_sigbus(void *address, ucontext_t *context)
{
    struct sigaction action;
    siginfo_t info;
    sigset_t held_back;

    program_action(SIGBUS, &action);
    if (sigismember(&context->uc_sigmask, SIGBUS) == 1 || action.sa_handler == SIG_IGN) {
        action.sa_handler = SIG_DFL;
        end_by_default(SIGBUS, context, false);
    }
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = BUS_ADRERR;
    info.si_addr = address;
    /* Blocked until the handler returns, which restores the thread's own mask. */
    sigemptyset(&held_back);
    sigaddset(&held_back, SIGBUS);
    sigprocmask(SIG_BLOCK, &held_back, NULL);
    if (!e2dh_race_detected && syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &info) == 0)
        return;
    if (action.sa_handler == SIG_DFL)
        end_by_default(SIGBUS, context, true);
    else
        call(&action, SIGBUS, &info, context);
}

/* Passes the signal to the handler installed before this layer. */
static void pass_on(struct chain *chain, unsigned from, siginfo_t *info, void *context)
{
    struct sigaction action = chain->layers[from].before;
    /* Sent by a process. Otherwise the processor raised the signal, which cannot be ignored. */
    bool sent = info->si_code <= 0;
    bool once = ((unsigned)action.sa_flags & SA_RESETHAND) != 0;

    if (once && atomic_exchange(&chain->layers[from].spent, true))
        action.sa_handler = SIG_DFL;
    if (action.sa_handler == SIG_IGN && sent)
        return;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
        end_by_default(chain->number, context, sent);
    else
        call(&action, chain->number, info, context);
}

static void on_fault(unsigned at, int number, siginfo_t *info, void *context)
{
    enum e2dh_resolution (*resolve)(const siginfo_t *, const ucontext_t *, void **) = atomic_load(&address_space);
    enum e2dh_resolution resolution = E2DH_RESOLUTION_FOREIGN;
    void *address = info->si_addr;
    int saved = errno;

    if (number == SIGSEGV && resolve)
        resolution = resolve(info, context, &address);
    errno = saved;
    /* Does not return if the fault ends a copy. */
    if (resolution != E2DH_RESOLUTION_RETRY && info->si_code > 0)
        e2dh_guard_land(info, context);
    if (resolution == E2DH_RESOLUTION_SIGBUS)
        raise_sigbus(address, context);
    if (resolution == E2DH_RESOLUTION_FOREIGN)
        pass_on(chain_of(number), at, info, context);
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
LAYER(4)
LAYER(5)
LAYER(6)
LAYER(7)
static void (*const handlers[LAYERS])(int, siginfo_t *, void *) = {
    on_fault_0, on_fault_1, on_fault_2, on_fault_3, on_fault_4, on_fault_5, on_fault_6, on_fault_7,
};

/* Is the handler of this layer installed? */
static bool is_on_top(unsigned at, const struct sigaction *top)
{
    return top->sa_flags & SA_SIGINFO && top->sa_sigaction == handlers[at];
}

/*
 * Returns in *action the handler installed before a layer, in its current state. A spent
 * SA_RESETHAND handler is the default action.
 */
static void before_layer(const struct chain *chain, unsigned at, struct sigaction *action)
{
    *action = chain->layers[at].before;
    if (atomic_load(&chain->layers[at].spent)) {
        memset(action, 0, sizeof(*action));
        action->sa_handler = SIG_DFL;
    }
}

bool e2dh_handler_is_first(int number)
{
    struct sigaction top;
    unsigned at = 0;

    if (sigaction(number, NULL, &top) != 0)
        return false;
    while (at < LAYERS && !is_on_top(at, &top))
        at++;
    return at < LAYERS;
}

/* Returns in *action the topmost handler of the program, skipping layers of ours. */
static void program_action(int number, struct sigaction *action)
{
    const struct chain *chain = chain_of(number);

    memset(action, 0, sizeof(*action));
    sigaction(number, NULL, action);
    for (unsigned at = 0; at < LAYERS; at++) {
        if (is_on_top(at, action)) {
            before_layer(chain, at, action);
            return;
        }
    }
}

static int install(struct chain *chain)
{
    struct sigaction ours, current;
    unsigned at = chain->count;

    memset(&current, 0, sizeof(current));
    if (sigaction(chain->number, NULL, &current) != 0)
        return -errno;
    /* Still installed, or on top again after a foreign handler was removed. */
    if (at > 0 && is_on_top(at - 1, &current))
        return 0;
    if (at == LAYERS)
        return -EXT2DAX_EBUSY;
    chain->layers[at].before = current;
    chain->layers[at].users = 0;
    atomic_store(&chain->layers[at].spent, false);
    memset(&ours, 0, sizeof(ours));
    ours.sa_sigaction = handlers[at];
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    /*
     * A sent signal keeps its effect on system calls, restarted or interrupted, as without our
     * handler.
     */
    if (current.sa_flags & SA_RESTART || current.sa_handler == SIG_IGN)
        ours.sa_flags |= SA_RESTART;
    sigfillset(&ours.sa_mask);
    sigdelset(&ours.sa_mask, SIGBUS);
    if (sigaction(chain->number, &ours, NULL) != 0)
        return -errno;
    chain->count++;
    return 0;
}

/*
 * Uninstalls unused layers from the top. Stops at a layer below a foreign handler. That handler may
 * call the layer, so the layer stays and passes signals on.
 */
static void uninstall_unused(struct chain *chain)
{
    struct sigaction current;

    while (chain->count > 0 && chain->layers[chain->count - 1].users == 0) {
        memset(&current, 0, sizeof(current));
        if (sigaction(chain->number, NULL, &current) != 0 || !is_on_top(chain->count - 1, &current))
            return;
        before_layer(chain, chain->count - 1, &current);
        sigaction(chain->number, &current, NULL);
        chain->count--;
    }
}

static void lock_changing(void)
{
    while (atomic_flag_test_and_set(&changing))
        sched_yield();
}

int e2dh_handler_add(int number, unsigned *layer)
{
    struct chain *chain = chain_of(number);
    int error;

    lock_changing();
    error = install(chain);
    if (!error) {
        *layer = chain->count - 1;
        chain->layers[*layer].users++;
    }
    atomic_flag_clear(&changing);
    return error;
}

void e2dh_handler_remove(int number, unsigned layer)
{
    struct chain *chain = chain_of(number);

    lock_changing();
    chain->layers[layer].users--;
    uninstall_unused(chain);
    atomic_flag_clear(&changing);
}

void e2dh_handler_resolve(enum e2dh_resolution (*resolve)(const siginfo_t *info, const ucontext_t *context,
                                                          void **address))
{
    atomic_store(&address_space, resolve);
}
