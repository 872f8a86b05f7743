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
#include "process_userfault.h"

#include "process_page.h"
#include "process_way.h"

#if E2D_HAVE_USERFAULTFD

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/host.h"

/* Younger than the headers of a system that may well have them. */
#if !defined(USERFAULTFD_IOC_NEW)
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#define FEATURE_WP             ((uint64_t)1 << 0)
#define FEATURE_WP_SHMEM       ((uint64_t)1 << 12) /* Linux 5.19 */
#define FEATURE_WP_UNPOPULATED ((uint64_t)1 << 13) /* … 6.4 */
#define NEEDED                 ((uint64_t)UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_MISSING_SHMEM)
#define WELCOME                (FEATURE_WP | FEATURE_WP_SHMEM | FEATURE_WP_UNPOPULATED)
#define POPULATE_READ          22 /* MADV_POPULATE_READ, Linux 5.14 */
#define TMPFS                  0x01021994

#define MOST_REFUSED 64u
#define MOST_FROZEN  256u     /* that make the wait longer */
#define PARKED_NANOS 4000000L /* how long */

struct touch {
    uint64_t address;
    uint64_t store;
};

struct e2d_userfaults {
    int descriptor;
    int stop; /* an eventfd: readable when the threads shall end */
    int touches[2];
    uint64_t features;
    bool image; /* is the image memory whose stores can be caught? */
    pthread_t reader, resolver;
    /* The resolver's own. */
    uint64_t refused[MOST_REFUSED]; /* addresses */
    unsigned refused_count;
    unsigned frozen_count, frozen_before; /* touches that wait for a thaw; … that did when it was last time to go on */
    struct timespec due;
};

/* ---- a descriptor ---- */

/* With all of `features`; -1: errno says why. */
static int open_with(uint64_t features, uint64_t *granted)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    int device, error, descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

    if (descriptor < 0 && errno == EPERM) {
        device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (device < 0) {
            errno = EPERM;
            return -1;
        }
        descriptor = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        error = errno;
        close(device);
        errno = error;
    }
    if (descriptor < 0)
        return -1;
    if (ioctl(descriptor, UFFDIO_API, &api) != 0) {
        close(descriptor);
        errno = EINVAL;
        return -1;
    }
    *granted = api.features;
    return descriptor;
}

/* 0 or an error, and why. */
static int open_descriptor(int *descriptor, uint64_t *features, const char **why)
{
    /* Tells what there is; what is asked for must be. */
    *descriptor = open_with(0, features);
    if (*descriptor < 0) {
        *why = errno == EPERM ? "userfaultfd is not permitted: it takes CAP_SYS_PTRACE, vm.unprivileged_userfaultfd "
                                "= 1 or access to /dev/userfaultfd"
                              : "this system has no userfaultfd";
        return errno == EPERM ? -EXT2DAX_EPERM : -EXT2DAX_EOPNOTSUPP;
    }
    close(*descriptor);
    if ((*features & NEEDED) != NEEDED) {
        *why = "userfaultfd of this system tells nothing of moves, or of shared memory";
        return -EXT2DAX_EOPNOTSUPP;
    }
    *features &= NEEDED | WELCOME;
    *descriptor = open_with(*features, features);
    if (*descriptor >= 0)
        return 0;
    *why = "userfaultfd could not be set up";
    return -errno;
}

int e2d_userfaultfd_may(const char **why)
{
    uint64_t features;
    int descriptor, error;

    if (e2d_under_valgrind()) {
        *why = "Valgrind knows nothing of userfaultfd";
        return -EXT2DAX_EOPNOTSUPP;
    }
    error = open_descriptor(&descriptor, &features, why);
    if (!error)
        close(descriptor);
    return error;
}

/* ---- what the way asks for ---- */

int e2d_userfault_register(struct ext2dax_process *process, char *at, size_t bytes, enum e2d_userfault_mode mode)
{
    struct uffdio_register range = {.range = {.start = (uintptr_t)at, .len = bytes},
                                    .mode = mode == E2D_USERFAULT_TOUCHES ? UFFDIO_REGISTER_MODE_MISSING
                                                                          : UFFDIO_REGISTER_MODE_WP};

    return ioctl(process->userfaults->descriptor, UFFDIO_REGISTER, &range) == 0 ? 0 : -errno;
}

bool e2d_userfault_catches_in(const struct ext2dax_process *process, bool zeroes)
{
    return zeroes ? (process->userfaults->features & FEATURE_WP) != 0 : process->userfaults->image;
}

static bool protect(struct ext2dax_process *process, char *at, size_t bytes, uint64_t mode)
{
    struct uffdio_writeprotect range = {.range = {.start = (uintptr_t)at, .len = bytes}, .mode = mode};
    int error;

    /* Refused while a move, of a window that is being made, has not been read of yet. */
    do
        error = ioctl(process->userfaults->descriptor, UFFDIO_WRITEPROTECT, &range);
    while (error != 0 && errno == EAGAIN);
    return error == 0;
}

bool e2d_userfault_catch(struct ext2dax_process *process, char *at, size_t bytes, bool zeroes)
{
    /* Before Linux 6.4 only pages that are there can be protected, where a file does not lie behind. */
    if (zeroes && !(process->userfaults->features & FEATURE_WP_UNPOPULATED) &&
        (mprotect(at, bytes, PROT_READ) != 0 || madvise(at, bytes, POPULATE_READ) != 0))
        return false;
    return protect(process, at, bytes, UFFDIO_WRITEPROTECT_MODE_WP);
}

bool e2d_userfault_let_through(struct ext2dax_process *process, char *at, size_t bytes)
{
    /* Who waits is woken when all is done. */
    return protect(process, at, bytes, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

static void wake(const struct e2d_userfaults *faults, uintptr_t at, size_t bytes)
{
    struct uffdio_range range = {.start = at, .len = bytes};

    (void)ioctl(faults->descriptor, UFFDIO_WAKE, &range);
}

void e2d_userfault_wake(struct ext2dax_process *process, char *at, size_t bytes)
{
    wake(process->userfaults, (uintptr_t)at, bytes);
}

static size_t kernel_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void wake_page(const struct e2d_userfaults *faults, uint64_t address)
{
    size_t page = kernel_page();

    wake(faults, (uintptr_t)address & ~(uintptr_t)(page - 1), page);
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

static bool is_anything_parked(const struct e2d_userfaults *faults)
{
    return faults->refused_count || faults->frozen_count;
}

/* The more of them wait for a thaw the less often they try. */
static void park(struct e2d_userfaults *faults)
{
    if (!is_anything_parked(faults))
        set_due(&faults->due,
                PARKED_NANOS * (1 + (faults->frozen_before < MOST_FROZEN ? faults->frozen_before : MOST_FROZEN) / 16));
}

/* Nanoseconds until what is parked is to go on; 0: it is time. */
static int64_t time_left(const struct e2d_userfaults *faults)
{
    struct timespec now;
    int64_t left;

    clock_gettime(CLOCK_MONOTONIC, &now);
    left = (int64_t)(faults->due.tv_sec - now.tv_sec) * 1000000000 + (faults->due.tv_nsec - now.tv_nsec);
    return left > 0 ? left : 0;
}

static void go_on(struct ext2dax_process *process)
{
    struct e2d_userfaults *faults = process->userfaults;
    uintptr_t low = atomic_load(&process->low), high = atomic_load(&process->high);

    for (unsigned i = 0; i < faults->refused_count; i++)
        set_refused(process, faults->refused[i], false);
    faults->refused_count = 0;
    faults->frozen_before = faults->frozen_count;
    faults->frozen_count = 0;
    /* Whoever else waits tries again, too. */
    if (faults->frozen_before && low < high)
        wake(faults, low, high - low);
}

/* A refusal is to last until it has been met. */
static void make_room_for_refusal(struct ext2dax_process *process)
{
    struct timespec left = {0, 0};

    if (process->userfaults->refused_count < MOST_REFUSED)
        return;
    left.tv_nsec = (long)time_left(process->userfaults);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    go_on(process);
}

static void answer(struct ext2dax_process *process, const struct touch *touch)
{
    struct e2d_userfaults *faults = process->userfaults;
    enum e2d_access access = touch->store ? E2D_ACCESS_WRITE : E2D_ACCESS_READ;
    struct ext2dax_mount *frozen;
    enum e2d_outcome outcome;

    /* Who waits may have been interrupted in malloc, with its locks held. */
    ext2dax_host_in_handler(true);
    outcome = e2d_process_resolve(process, (uintptr_t)touch->address, access, &frozen);
    ext2dax_host_in_handler(false);
    switch (outcome) {
    case E2D_OUTCOME_FROZEN:
        park(faults);
        faults->frozen_count++;
        return;
    case E2D_OUTCOME_SIGBUS:
        make_room_for_refusal(process);
        set_refused(process, touch->address, true);
        park(faults);
        faults->refused[faults->refused_count++] = touch->address;
        break;
    case E2D_OUTCOME_FOREIGN: /* a donor's, or the window is gone */
        (void)e2d_userfault_hide_donor(process, (uintptr_t)touch->address);
        break;
    case E2D_OUTCOME_DONE:
        break;
    }
    wake_page(faults, touch->address);
}

static void *resolve_touches(void *arg)
{
    struct ext2dax_process *process = arg;
    struct e2d_userfaults *faults = process->userfaults;
    struct touch touches[32];

    for (;;) {
        struct pollfd wanted[2] = {{.fd = faults->stop, .events = POLLIN},
                                   {.fd = faults->touches[0], .events = POLLIN}};
        struct timespec left = {0, 0};
        ssize_t got = 0;

        if (is_anything_parked(faults)) {
            left.tv_nsec = (long)time_left(faults);
        }
        if (ppoll(wanted, 2, is_anything_parked(faults) ? &left : NULL, NULL) < 0 && errno != EINTR)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        if (wanted[1].revents & POLLIN)
            got = read(faults->touches[0], touches, sizeof(touches));
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(touches[0]); i++)
            answer(process, &touches[i]);
        if (is_anything_parked(faults) && time_left(faults) == 0)
            go_on(process);
    }
}

/* ---- the reader ---- */

static void *read_questions(void *arg)
{
    struct e2d_userfaults *faults = arg;
    struct uffd_msg messages[32];

    for (;;) {
        struct pollfd wanted[2] = {{.fd = faults->stop, .events = POLLIN},
                                   {.fd = faults->descriptor, .events = POLLIN}};
        ssize_t got;

        if (poll(wanted, 2, -1) < 0 && errno != EINTR)
            abort();
        if (wanted[0].revents & POLLIN)
            return NULL;
        got = wanted[1].revents & POLLIN ? read(faults->descriptor, messages, sizeof(messages)) : 0;
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(messages[0]); i++) {
            struct touch touch;

            if (messages[i].event != UFFD_EVENT_PAGEFAULT)
                continue; /* a move: to have read of it is all there is to do */
            touch.address = messages[i].arg.pagefault.address;
            touch.store = (messages[i].arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0;
            if (write(faults->touches[1], &touch, sizeof(touch)) != (ssize_t)sizeof(touch))
                wake_page(faults, touch.address);
        }
    }
}

/* ---- opened and closed ---- */

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

static void tell_to_stop(const struct e2d_userfaults *faults)
{
    const uint64_t one = 1;

    if (write(faults->stop, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort();
}

/* Is the image memory of which stores can be caught? */
static bool is_shared_memory(const struct ext2dax_process *process)
{
    struct statfs figures;

    return fstatfs(process->descriptor, &figures) == 0 && figures.f_type == TMPFS;
}

int e2d_userfault_open(struct ext2dax_process *process)
{
    struct e2d_userfaults *faults = calloc(1, sizeof(*faults));
    const char *why;
    int error;

    if (!faults)
        return -EXT2DAX_ENOMEM;
    error = e2d_userfaultfd_may(&why);
    if (!error)
        error = open_descriptor(&faults->descriptor, &faults->features, &why);
    if (error)
        goto release;
    faults->image =
        (faults->features & FEATURE_WP) && (faults->features & FEATURE_WP_SHMEM) && is_shared_memory(process);
    faults->stop = eventfd(0, EFD_CLOEXEC);
    if (faults->stop < 0) {
        error = -errno;
        goto close_descriptor;
    }
    if (pipe2(faults->touches, O_CLOEXEC | O_NONBLOCK) != 0) {
        error = -errno;
        goto close_stop;
    }
    process->userfaults = faults;
    error = start(&faults->reader, read_questions, faults);
    if (error)
        goto close_pipe;
    error = start(&faults->resolver, resolve_touches, process);
    if (!error)
        return 0;
    tell_to_stop(faults);
    pthread_join(faults->reader, NULL);

close_pipe:
    process->userfaults = NULL;
    close(faults->touches[0]);
    close(faults->touches[1]);
close_stop:
    close(faults->stop);
close_descriptor:
    close(faults->descriptor);
release:
    free(faults);
    return error;
}

void e2d_userfault_close(struct ext2dax_process *process)
{
    struct e2d_userfaults *faults = process->userfaults;

    /* A child has inherited none of the threads. */
    if (process->owner == getpid()) {
        tell_to_stop(faults);
        pthread_join(faults->resolver, NULL);
        pthread_join(faults->reader, NULL);
    }
    close(faults->touches[0]);
    close(faults->touches[1]);
    close(faults->stop);
    close(faults->descriptor);
    free(faults);
    process->userfaults = NULL;
}

#endif
