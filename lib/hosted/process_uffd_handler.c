/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Resolves the fault messages of userfaultfd.
 *
 * Two threads are used. The reader reads messages and never takes a lock of the library, because a
 * thread moving VMAs waits, with locks held, until the remap event has been read. The reader passes
 * page faults to the resolver through a pipe. If the pipe is full, the reader wakes the faulting
 * thread, which repeats the access. The resolver takes the locks a fault takes.
 *
 * The resolver must not wait for a thaw. Reads continue while the filesystem is frozen, and no
 * other thread resolves them. So a store having to wait is left waiting, and is woken every few
 * milliseconds to repeat the access, less often if many stores wait.
 *
 * An access inside the file that cannot succeed (no space, an I/O error) is refused by removing the
 * permissions of the page. A system call then gets EFAULT. An access by the program itself raises
 * SIGSEGV. The handler resolves the fault once more, in the accessing thread, and turns the signal
 * into SIGBUS. A few milliseconds later the page gets back its permissions, since space may have
 * been freed by then.
 */
#include "process_uffd_handler.h"

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"

#include "lock_count.h"
#include "process_vmas.h"
#include "process_page.h"
#include "process_uffd.h"
#include "process_backend.h"

#if E2DH_HAVE_USERFAULTFD

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST_FROZEN  256u     /* waiting stores counted for a longer wait, at most */
#define PARKED_NANOS 4000000L /* shortest wait before refused pages and waiting stores retry */

struct pending {
    uint64_t address;
    uint64_t store;
};

struct e2dh_accesses {
    int stop; /* eventfd, readable when the threads have to end */
    int pipe[2];
    pthread_t reader, resolver;
    /* Used by the resolver only. */
    uint64_t refused[E2DH_MOST_REFUSED]; /* addresses */
    unsigned refused_count;
    /* Stores waiting for a thaw, now and at the previous retry. */
    unsigned frozen_count, frozen_before;
    struct timespec due;
};

static void wake_page(struct ext2dax_process *process, uint64_t address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    e2dh_userfault_wake(process, (uintptr_t)address & ~(uintptr_t)(page - 1), page);
}

/* ---- the resolver ---- */

/*
 * With `now`, removes the permissions of a page whose access was refused. Otherwise restores the
 * permissions. The caller holds table.
 */
static void refuse(struct e2dh_mapping *mapping, uint64_t index, bool now)
{
    enum e2dh_page page = e2dh_page_of(mapping, index);
    char *at = e2dh_address_of(mapping, index);
    size_t bytes = e2dh_bytes_of(mapping, 1);

    bool shown = page == E2DH_PAGE_READ || page == E2DH_PAGE_ZERO;

    /*
     * The refused page may have been mapped since. The mapping may also have been removed, and
     * another created in its place.
     */
    if (now == e2dh_is_bare(mapping, index) || (shown && !e2dh_userfault_catches(mapping, page)))
        return;
    /*
     * mprotect() fails if the page is in the middle of a VMA and the kernel has no VMA left for a
     * split.
     */
    if (shown && mprotect(at, bytes, e2dh_readable(mapping) | (now ? 0 : PROT_WRITE)) == 0) {
        e2dh_record_bare(mapping, e2dh_pmd_range_at(mapping, index), index, now);
        e2dh_record_start(mapping, index, true);
        e2dh_record_start(mapping, index + 1, true);
    } else if (now && page != E2DH_PAGE_WRITE && page != E2DH_PAGE_COPY) {
        e2dh_pages_refuse(mapping, index);
    } else if (!now) {
        e2dh_pages_clear(mapping, index, index + 1, false);
    }
}

static void set_refused(struct ext2dax_process *process, uint64_t address, bool now)
{
    struct e2dh_mapping *mapping;

    e2dh_table_lock(process);
    if (now)
        e2dh_pages_make_room(process);
    mapping = e2dh_process_find(process, (uintptr_t)address);
    if (mapping)
        refuse(mapping, (uint64_t)((uintptr_t)address - (uintptr_t)mapping->address) >> mapping->page_shift, now);
    e2dh_table_unlock(process);
}

/* Sets *due to `nanos` from now, less than 1 second. */
static void set_due(struct timespec *due, long nanos)
{
    clock_gettime(CLOCK_MONOTONIC, due);
    due->tv_nsec += nanos;
    if (due->tv_nsec >= 1000000000) {
        due->tv_sec++;
        due->tv_nsec -= 1000000000;
    }
}

static bool is_anything_parked(const struct e2dh_accesses *accesses)
{
    return accesses->refused_count || accesses->frozen_count;
}

/* Schedules the next retry. The more stores wait for a thaw, the less often they retry. */
static void park(struct e2dh_accesses *accesses)
{
    unsigned many = accesses->frozen_before < MOST_FROZEN ? accesses->frozen_before : MOST_FROZEN;

    if (!is_anything_parked(accesses))
        set_due(&accesses->due, PARKED_NANOS * (1 + (int)many / 16));
}

/* Returns the nanoseconds until the next retry. 0 means now. */
static int64_t time_left(const struct e2dh_accesses *accesses)
{
    struct timespec now;
    int64_t left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (int64_t)(accesses->due.tv_sec - now.tv_sec) * 1000000000 + (accesses->due.tv_nsec - now.tv_nsec);
    return left > 0 ? left : 0;
}

static void go_on(struct ext2dax_process *process)
{
    struct e2dh_accesses *accesses = process->accesses;
    uintptr_t low = atomic_load(&process->low), high = atomic_load(&process->high);

    for (unsigned i = 0; i < accesses->refused_count; i++)
        set_refused(process, accesses->refused[i], false);
    accesses->refused_count = 0;
    accesses->frozen_before = accesses->frozen_count;
    accesses->frozen_count = 0;
    /* Wakes all other waiting threads too. */
    if (accesses->frozen_before && low < high)
        e2dh_userfault_wake(process, low, high - low);
}

/*
 * Waits for the retry if too many pages are refused. A refusal has to last until the access has
 * failed.
 */
static void make_room_for_refusal(struct ext2dax_process *process)
{
    struct timespec left = {0, 0};
    unsigned most;

    e2dh_table_lock(process);
    most = e2dh_vmas_refusals(process);
    e2dh_table_unlock(process);
    if (process->accesses->refused_count < most)
        return;
    left.tv_nsec = (long)time_left(process->accesses);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    go_on(process);
}

static void resolve(struct ext2dax_process *process, const struct pending *pending)
{
    struct e2dh_accesses *accesses = process->accesses;
    enum e2dh_access access = pending->store ? E2DH_ACCESS_WRITE : E2DH_ACCESS_READ;
    struct ext2dax_mount *frozen;
    enum e2dh_outcome outcome;

    /*
     * Avoids malloc, since the waiting thread may hold the locks of malloc, interrupted by a
     * signal.
     */
    ext2dax_host_in_handler(true);
    outcome = e2dh_process_resolve(process, (uintptr_t)pending->address, access, &frozen);
    ext2dax_host_in_handler(false);
    switch (outcome) {
    case E2DH_OUTCOME_FROZEN:
        park(accesses);
        accesses->frozen_count++;
        return;
    case E2DH_OUTCOME_SIGBUS:
        make_room_for_refusal(process);
        set_refused(process, pending->address, true);
        park(accesses);
        accesses->refused[accesses->refused_count++] = pending->address;
        break;
    case E2DH_OUTCOME_FOREIGN: /* access of a spare mapping, or the mapping is gone */
        (void)e2dh_uffd_hide_staging(process, (uintptr_t)pending->address);
        break;
    case E2DH_OUTCOME_DONE:
        break;
    }
    wake_page(process, pending->address);
}

static void *resolve_accesses(void *arg)
{
    struct ext2dax_process *process = arg;
    struct e2dh_accesses *accesses = process->accesses;
    struct pending batch[32];

    for (;;) {
        struct pollfd wanted[2] = {{.fd = accesses->stop, .events = POLLIN},
                                   {.fd = accesses->pipe[0], .events = POLLIN}};
        struct timespec left = {0, 0};
        ssize_t got = 0;

        if (is_anything_parked(accesses))
            left.tv_nsec = (long)time_left(accesses);
        if (ppoll(wanted, 2, is_anything_parked(accesses) ? &left : NULL, NULL) < 0 && errno != EINTR)
            abort();
        /* Other code has closed a descriptor of ours. Aborting is better than unresolved faults. */
        if ((wanted[0].revents | wanted[1].revents) & ~POLLIN)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        if (wanted[1].revents & POLLIN)
            got = read(accesses->pipe[0], batch, sizeof(batch));
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(batch[0]); i++)
            resolve(process, &batch[i]);
        if (is_anything_parked(accesses) && time_left(accesses) == 0)
            go_on(process);
    }
}

/* ---- the reader ---- */

/* Tests whether a thread blocks SIGSEGV. */
static bool is_deaf(unsigned long thread)
{
    char path[64], text[4096], *mask;
    ssize_t length = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%lu/status", thread);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = read(fd, text, sizeof(text) - 1);
        close(fd);
    }
    if (length <= 0)
        return false;
    text[length] = '\0';
    mask = strstr(text, "\nSigBlk:");
    return mask && (strtoull(mask + 8, NULL, 16) >> (SIGSEGV - 1) & 1) != 0;
}

/* Thread that may be waiting for itself. */
struct suspect {
    unsigned long thread;
    uint64_t address;
    unsigned long holds; /* result of e2dh_thread_holds_locks() */
    uint64_t turn;       /* number of the read() that returned the message */
    unsigned asked;      /* consecutive faults since the first */
};
#define SUSPECTS    64u
#define LONG_ENOUGH 100u /* consecutive faults before the program is aborted */

/*
 * Ends the wait of a thread by SIGSEGV, which process_signal.c turns into SIGBUS. A thread blocking
 * SIGSEGV would wait forever, and ends the program as with sigsegv. Returns false if the thread is
 * gone.
 */
static bool refuse_thread(const struct suspect *suspect, bool deaf)
{
    static const char complaint[] =
        "ext2dax: a signal handler that blocks SIGSEGV has accessed a mapping, in a thread that holds locks\n";
    siginfo_t info;
    ssize_t ignored;

    if (deaf) {
        ignored = write(STDERR_FILENO, complaint, sizeof(complaint) - 1);
        (void)ignored;
        abort();
    }
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGSEGV;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(uintptr_t)suspect->address;
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), suspect->thread, SIGSEGV, &info) == 0;
}

/*
 * Handles a fault of a thread holding locks. The access may come from a signal handler that
 * interrupted code holding locks, and resolving the fault would wait for the thread itself. No lock
 * is taken here to find out. The thread may also have been served already, and may have taken the
 * locks afterwards. So the first message only wakes the thread, which faults again only if still
 * making the access. If no lock was released in between (`holds` is unchanged), the access is made
 * under the locks and is refused. Aborting cannot be undone, and requires very many faults. Returns
 * false if the fault is to be resolved as usual.
 */
static bool refuse_under_locks(struct ext2dax_process *process, struct suspect *suspects, const struct suspect *now)
{
    struct suspect *before = &suspects[now->thread % SUSPECTS];
    bool again = before->thread == now->thread && before->address == now->address && before->holds == now->holds &&
                 before->turn != now->turn;
    unsigned asked = again ? before->asked + 1 : 0;
    bool deaf;

    if (now->holds == 0)
        return false;
    if (again) {
        deaf = is_deaf(now->thread);
        if (!deaf || asked >= LONG_ENOUGH)
            return refuse_thread(now, deaf);
    }
    *before = *now;
    before->asked = asked;
    wake_page(process, now->address);
    return true;
}

static void *read_questions(void *arg)
{
    struct ext2dax_process *process = arg;
    const struct e2dh_accesses *accesses = process->accesses;
    int questions = process->userfaults->descriptor;
    struct suspect suspects[SUSPECTS] = {{0}};
    struct uffd_msg messages[32];

    for (uint64_t turn = 1;; turn++) {
        struct pollfd wanted[2] = {{.fd = accesses->stop, .events = POLLIN}, {.fd = questions, .events = POLLIN}};
        ssize_t got;

        if (poll(wanted, 2, -1) < 0 && errno != EINTR)
            abort();
        /* Other code has closed a descriptor of ours. Aborting is better than unresolved faults. */
        if ((wanted[0].revents | wanted[1].revents) & ~POLLIN)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        got = wanted[1].revents & POLLIN ? read(questions, messages, sizeof(messages)) : 0;
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(messages[0]); i++) {
            struct suspect suspect;
            struct pending pending;

            if (messages[i].event != UFFD_EVENT_PAGEFAULT)
                continue; /* a remap event only has to be read */
            pending.address = messages[i].arg.pagefault.address;
            suspect.thread = messages[i].arg.pagefault.feat.ptid;
            suspect.address = pending.address;
            suspect.holds = e2dh_thread_holds_locks(suspect.thread);
            suspect.turn = turn;
            suspect.asked = 0;
            if (refuse_under_locks(process, suspects, &suspect))
                continue;
            pending.store =
                (messages[i].arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0;
            if (write(accesses->pipe[1], &pending, sizeof(pending)) != (ssize_t)sizeof(pending))
                wake_page(process, pending.address);
        }
    }
}

/* ---- start and stop ---- */

/* Starts a thread with all signals blocked except signals raised by its own instructions. */
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

static void tell_to_stop(const struct e2dh_accesses *accesses)
{
    const uint64_t one = 1;

    if (write(accesses->stop, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort();
}

int e2dh_accesses_begin(struct ext2dax_process *process)
{
    struct e2dh_accesses *accesses = calloc(1, sizeof(*accesses));
    int error = 0;

    if (!accesses)
        return -EXT2DAX_ENOMEM;
    accesses->stop = eventfd(0, EFD_CLOEXEC);
    if (accesses->stop < 0) {
        error = -errno;
        goto release;
    }
    if (pipe2(accesses->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        error = -errno;
        goto close_stop;
    }
    process->accesses = accesses;
    atomic_fetch_add(&e2dh_threads_watched, 1);
    error = start(&accesses->reader, read_questions, process);
    if (error)
        goto close_pipe;
    error = start(&accesses->resolver, resolve_accesses, process);
    if (!error)
        return 0;
    tell_to_stop(accesses);
    pthread_join(accesses->reader, NULL);

close_pipe:
    atomic_fetch_sub(&e2dh_threads_watched, 1);
    process->accesses = NULL;
    close(accesses->pipe[0]);
    close(accesses->pipe[1]);
close_stop:
    close(accesses->stop);
release:
    free(accesses);
    return error;
}

void e2dh_accesses_end(struct ext2dax_process *process)
{
    struct e2dh_accesses *accesses = process->accesses;

    /* A child has inherited none of the threads. */
    if (process->owner == getpid()) {
        tell_to_stop(accesses);
        pthread_join(accesses->resolver, NULL);
        pthread_join(accesses->reader, NULL);
    }
    atomic_fetch_sub(&e2dh_threads_watched, 1);
    close(accesses->pipe[0]);
    close(accesses->pipe[1]);
    close(accesses->stop);
    free(accesses);
    process->accesses = NULL;
}

#else

int e2dh_accesses_begin(struct ext2dax_process *process)
{
    (void)process;
    return -EXT2DAX_EOPNOTSUPP;
}

void e2dh_accesses_end(struct ext2dax_process *process)
{
    (void)process;
}

#endif
