/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process: what userfaultfd asks, and who answers.
 *
 * Two threads. The reader reads questions and takes no lock of the library, ever: whoever moves mappings waits, with
 * locks held, until the kernel's announcement of the move has been read. It hands touches to the resolver through a
 * pipe; where that is full the touch is simply tried again. The resolver takes the locks that a fault takes.
 *
 * The resolver must not wait for a thaw: reads go on while the filesystem is frozen, and it alone answers them. So a
 * store that has to wait is left waiting, and sent to try again every few milliseconds, less often where many are.
 *
 * An access that cannot succeed though it lies within the file (no space, an I/O error) is refused: its page loses its
 * permissions. A system call gets EFAULT. The program's own touch is a SIGSEGV, whose handler asks once more, in the
 * thread itself, and makes it a SIGBUS. A few milliseconds later the page is as it was before, since there may be space
 * by then.
 */
#include "process_touch.h"

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"

#include "process_page.h"
#include "process_userfault.h"
#include "process_way.h"

#if E2D_HAVE_USERFAULTFD

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MOST_REFUSED 64u
#define MOST_FROZEN  256u     /* that make the wait longer */
#define PARKED_NANOS 4000000L /* how long */

struct touch {
    uint64_t address;
    uint64_t store;
};

struct e2d_touches {
    int stop; /* an eventfd: readable when the threads shall end */
    int pipe[2];
    pthread_t reader, resolver;
    /* The resolver's own. */
    uint64_t refused[MOST_REFUSED]; /* addresses */
    unsigned refused_count;
    unsigned frozen_count, frozen_before; /* touches that wait for a thaw; … that did when it was last time to go on */
    struct timespec due;
};

static void wake_page(struct ext2dax_process *process, uint64_t address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    e2d_userfault_wake(process, (uintptr_t)address & ~(uintptr_t)(page - 1), page);
}

/* ---- the resolver ---- */

/* A page's permissions where its touch was refused, or what it had. The caller holds table. */
static void refuse(struct e2d_process_window *window, uint64_t index, bool now)
{
    enum e2d_page page = e2d_page_of(window, index);
    char *at = e2d_address_of(window, index);
    size_t bytes = e2d_bytes_of(window, 1);

    if ((page == E2D_PAGE_NONE || page == E2D_PAGE_ASIDE) && !now) {
        e2d_pages_arm(window, index, index + 1, false);
        return;
    }
    if (page == E2D_PAGE_NONE || page == E2D_PAGE_ASIDE)
        (void)e2d_put_without_permission(at, bytes);
    else if ((page == E2D_PAGE_READ || page == E2D_PAGE_ZERO) && e2d_userfault_catches(window, page))
        (void)mprotect(at, bytes, PROT_READ | (now ? 0 : PROT_WRITE));
    else if (page == E2D_PAGE_WRITE && !now)
        /* Stores were let through meanwhile, without a new mapping. */
        (void)mprotect(at, bytes, PROT_READ | PROT_WRITE);
    else
        return;
    e2d_record_start(window, index, true);
    e2d_record_start(window, index + 1, true);
}

static void set_refused(struct ext2dax_process *process, uint64_t address, bool now)
{
    struct e2d_process_window *window;

    e2d_table_lock(process);
    while (now && !e2d_pages_have_room(process) && e2d_pages_evict(process))
        ;
    window = e2d_process_find(process, (uintptr_t)address);
    if (window)
        refuse(window, (uint64_t)((uintptr_t)address - (uintptr_t)window->address) >> window->page_shift, now);
    e2d_table_unlock(process);
}

/* `nanos` is less than a second. */
static void set_due(struct timespec *due, long nanos)
{
    clock_gettime(CLOCK_MONOTONIC, due);
    due->tv_nsec += nanos;
    if (due->tv_nsec >= 1000000000) {
        due->tv_sec++;
        due->tv_nsec -= 1000000000;
    }
}

static bool is_anything_parked(const struct e2d_touches *touches)
{
    return touches->refused_count || touches->frozen_count;
}

/* The more of them wait for a thaw the less often they try. */
static void park(struct e2d_touches *touches)
{
    unsigned many = touches->frozen_before < MOST_FROZEN ? touches->frozen_before : MOST_FROZEN;

    if (!is_anything_parked(touches))
        set_due(&touches->due, PARKED_NANOS * (1 + (int)many / 16));
}

/* Nanoseconds until what is parked is to go on; 0: it is time. */
static int64_t time_left(const struct e2d_touches *touches)
{
    struct timespec now;
    int64_t left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (int64_t)(touches->due.tv_sec - now.tv_sec) * 1000000000 + (touches->due.tv_nsec - now.tv_nsec);
    return left > 0 ? left : 0;
}

static void go_on(struct ext2dax_process *process)
{
    struct e2d_touches *touches = process->touches;
    uintptr_t low = atomic_load(&process->low), high = atomic_load(&process->high);

    for (unsigned i = 0; i < touches->refused_count; i++)
        set_refused(process, touches->refused[i], false);
    touches->refused_count = 0;
    touches->frozen_before = touches->frozen_count;
    touches->frozen_count = 0;
    /* Whoever else waits tries again, too. */
    if (touches->frozen_before && low < high)
        e2d_userfault_wake(process, low, high - low);
}

/* A refusal is to last until it has been met. */
static void make_room_for_refusal(struct ext2dax_process *process)
{
    struct timespec left = {0, 0};

    if (process->touches->refused_count < MOST_REFUSED)
        return;
    left.tv_nsec = (long)time_left(process->touches);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    go_on(process);
}

static void answer(struct ext2dax_process *process, const struct touch *touch)
{
    struct e2d_touches *touches = process->touches;
    enum e2d_access access = touch->store ? E2D_ACCESS_WRITE : E2D_ACCESS_READ;
    struct ext2dax_mount *frozen;
    enum e2d_outcome outcome;

    /* Who waits may have been interrupted in malloc, with its locks held. */
    ext2dax_host_in_handler(true);
    outcome = e2d_process_resolve(process, (uintptr_t)touch->address, access, &frozen);
    ext2dax_host_in_handler(false);
    switch (outcome) {
    case E2D_OUTCOME_FROZEN:
        park(touches);
        touches->frozen_count++;
        return;
    case E2D_OUTCOME_SIGBUS:
        make_room_for_refusal(process);
        set_refused(process, touch->address, true);
        park(touches);
        touches->refused[touches->refused_count++] = touch->address;
        break;
    case E2D_OUTCOME_FOREIGN: /* a donor's, or the window is gone */
        (void)e2d_userfault_hide_donor(process, (uintptr_t)touch->address);
        break;
    case E2D_OUTCOME_DONE:
        break;
    }
    wake_page(process, touch->address);
}

static void *resolve_touches(void *arg)
{
    struct ext2dax_process *process = arg;
    struct e2d_touches *touches = process->touches;
    struct touch batch[32];

    for (;;) {
        struct pollfd wanted[2] = {{.fd = touches->stop, .events = POLLIN}, {.fd = touches->pipe[0], .events = POLLIN}};
        struct timespec left = {0, 0};
        ssize_t got = 0;

        if (is_anything_parked(touches))
            left.tv_nsec = (long)time_left(touches);
        if (ppoll(wanted, 2, is_anything_parked(touches) ? &left : NULL, NULL) < 0 && errno != EINTR)
            abort();
        /* Somebody has closed what is not his: better an end than touches that nobody answers. */
        if ((wanted[0].revents | wanted[1].revents) & ~POLLIN)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        if (wanted[1].revents & POLLIN)
            got = read(touches->pipe[0], batch, sizeof(batch));
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(batch[0]); i++)
            answer(process, &batch[i]);
        if (is_anything_parked(touches) && time_left(touches) == 0)
            go_on(process);
    }
}

/* ---- the reader ---- */

static void *read_questions(void *arg)
{
    struct ext2dax_process *process = arg;
    const struct e2d_touches *touches = process->touches;
    int questions = process->userfaults->descriptor;
    struct uffd_msg messages[32];

    for (;;) {
        struct pollfd wanted[2] = {{.fd = touches->stop, .events = POLLIN}, {.fd = questions, .events = POLLIN}};
        ssize_t got;

        if (poll(wanted, 2, -1) < 0 && errno != EINTR)
            abort();
        /* Somebody has closed what is not his: better an end than touches that nobody answers. */
        if ((wanted[0].revents | wanted[1].revents) & ~POLLIN)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        got = wanted[1].revents & POLLIN ? read(questions, messages, sizeof(messages)) : 0;
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(messages[0]); i++) {
            struct touch touch;

            if (messages[i].event != UFFD_EVENT_PAGEFAULT)
                continue; /* a move: to have read of it is all there is to do */
            touch.address = messages[i].arg.pagefault.address;
            touch.store = (messages[i].arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0;
            if (write(touches->pipe[1], &touch, sizeof(touch)) != (ssize_t)sizeof(touch))
                wake_page(process, touch.address);
        }
    }
}

/* ---- begun and ended ---- */

/* A thread that gets no signals but those it raises itself. */
static int start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked, before;
    int error;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static void tell_to_stop(const struct e2d_touches *touches)
{
    const uint64_t one = 1;

    if (write(touches->stop, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort();
}

int e2d_touches_begin(struct ext2dax_process *process)
{
    struct e2d_touches *touches = calloc(1, sizeof(*touches));
    int error = 0;

    if (!touches)
        return -EXT2DAX_ENOMEM;
    touches->stop = eventfd(0, EFD_CLOEXEC);
    if (touches->stop < 0) {
        error = -errno;
        goto release;
    }
    if (pipe2(touches->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        error = -errno;
        goto close_stop;
    }
    process->touches = touches;
    error = start(&touches->reader, read_questions, process);
    if (error)
        goto close_pipe;
    error = start(&touches->resolver, resolve_touches, process);
    if (!error)
        return 0;
    tell_to_stop(touches);
    pthread_join(touches->reader, NULL);

close_pipe:
    process->touches = NULL;
    close(touches->pipe[0]);
    close(touches->pipe[1]);
close_stop:
    close(touches->stop);
release:
    free(touches);
    return error;
}

void e2d_touches_end(struct ext2dax_process *process)
{
    struct e2d_touches *touches = process->touches;

    /* A child has inherited none of the threads. */
    if (process->owner == getpid()) {
        tell_to_stop(touches);
        pthread_join(touches->resolver, NULL);
        pthread_join(touches->reader, NULL);
    }
    close(touches->pipe[0]);
    close(touches->pipe[1]);
    close(touches->stop);
    free(touches);
    process->touches = NULL;
}

#else

int e2d_touches_begin(struct ext2dax_process *process)
{
    (void)process;
    return -EXT2DAX_EOPNOTSUPP;
}

void e2d_touches_end(struct ext2dax_process *process)
{
    (void)process;
}

#endif
