/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Opens a userfaultfd descriptor and makes its requests to the
 * kernel.
 */
#include "process_uffd.h"

#include "calls.h"
#include "guarded_copy.h"
#include "memory_reserve.h"
#include "process_backend.h"

#if E2DH_HAVE_USERFAULTFD

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ext2dax/error.h"

/* Headers older than the kernel of a system may lack the definitions below. */
#if !defined(USERFAULTFD_IOC_NEW)
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#define FEATURE_WP             ((uint64_t)1 << 0)
#define FEATURE_THREAD_ID      ((uint64_t)1 << 8)  /* Linux 4.14 */
#define FEATURE_WP_SHMEM       ((uint64_t)1 << 12) /* Linux 5.19 */
#define FEATURE_WP_UNPOPULATED ((uint64_t)1 << 13) /* Linux 6.4 */
#define NEEDED                 ((uint64_t)UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_MISSING_SHMEM)
#define WELCOME                (FEATURE_THREAD_ID | FEATURE_WP | FEATURE_WP_SHMEM | FEATURE_WP_UNPOPULATED)
#define POPULATE_READ          22    /* MADV_POPULATE_READ, Linux 5.14 */
#define MOST_ATTEMPTS          5000u /* each takes a few dozen microseconds */
#define TMPFS                  0x01021994

/* ---- open and close ---- */

/* Opens a descriptor with all of `features`. Returns -1 with the reason in errno. */
static int open_with(uint64_t features, uint64_t *granted)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    int device, error, descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

    if (descriptor < 0 && errno == EPERM) {
        device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (device < 0) {
            errno = errno == EMFILE || errno == ENFILE ? errno : EPERM;
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

/*
 * Opens a descriptor with all needed features. Returns 0 or a negative errno, with the reason in
 * *why.
 */
static int open_descriptor(int *descriptor, uint64_t *features, const char **why)
{
    /*
     * Opened without features, to learn which features exist. A request for a missing feature
     * fails.
     */
    *descriptor = open_with(0, features);
    if (*descriptor < 0 && (errno == EMFILE || errno == ENFILE)) {
        *why = "userfaultfd takes a descriptor, and no more may be open";
        return -errno;
    }
    if (*descriptor < 0) {
        *why = errno == EPERM ? "userfaultfd is not permitted: it takes CAP_SYS_PTRACE, vm.unprivileged_userfaultfd "
                                "= 1 or access to /dev/userfaultfd"
                              : "this system has no userfaultfd";
        return errno == EPERM ? -EXT2DAX_EPERM : -EXT2DAX_EOPNOTSUPP;
    }
    close(*descriptor);
    if ((*features & NEEDED) != NEEDED) {
        *why = "userfaultfd of this system reports neither moves nor shared memory";
        return -EXT2DAX_EOPNOTSUPP;
    }
    *features &= NEEDED | WELCOME;
    *descriptor = open_with(*features, features);
    if (*descriptor >= 0)
        return 0;
    *why = "userfaultfd could not be set up";
    return -errno;
}

/*
 * Tests whether mremap() can move a mapping of a file and leave the source mapped. Pages are
 * revoked in this way. Needs Linux 5.13.
 */
static bool can_move(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int file = e2dh_memfd("ext2dax absent");
    char *at, *to = MAP_FAILED;

    if (file < 0)
        return false;
    at = mmap(NULL, page, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED)
        to = (char *)syscall(SYS_mremap, at, page, page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (to != MAP_FAILED)
        munmap(to, page);
    if (at != MAP_FAILED)
        munmap(at, page);
    close(file);
    return to != MAP_FAILED;
}

int e2dh_userfaultfd_may(const char **why)
{
    uint64_t features;
    int descriptor, error;

    if (e2dh_under_valgrind()) {
        *why = "Valgrind knows nothing of userfaultfd";
        return -EXT2DAX_EOPNOTSUPP;
    }
    error = open_descriptor(&descriptor, &features, why);
    if (error)
        return error;
    close(descriptor);
    if (can_move())
        return 0;
    *why = "this system cannot move shared mappings as it takes (Linux 5.13)";
    return -EXT2DAX_EOPNOTSUPP;
}

/* Tests whether userfaultfd can write-protect the memory of the image, which must be on tmpfs. */
static bool is_shared_memory(const struct ext2dax_process *process)
{
    struct statfs figures;

    return fstatfs(process->descriptor, &figures) == 0 && figures.f_type == TMPFS;
}

int e2dh_userfault_open(struct ext2dax_process *process)
{
    struct e2dh_uffd *faults = calloc(1, sizeof(*faults));
    const char *why;
    int error;

    if (!faults)
        return -EXT2DAX_ENOMEM;
    error = e2dh_userfaultfd_may(&why);
    if (!error)
        error = open_descriptor(&faults->descriptor, &faults->features, &why);
    if (error) {
        free(faults);
        return error;
    }
    faults->image =
        (faults->features & FEATURE_WP) && (faults->features & FEATURE_WP_SHMEM) && is_shared_memory(process);
    process->userfaults = faults;
    e2dh_guard_refusals(true);
    return 0;
}

void e2dh_userfault_close(struct ext2dax_process *process)
{
    e2dh_guard_refusals(false);
    close(process->userfaults->descriptor);
    free(process->userfaults);
    process->userfaults = NULL;
}

/* ---- requests of the fault method ---- */

int e2dh_userfault_register(struct ext2dax_process *process, char *at, size_t bytes, enum e2dh_userfault_mode mode)
{
    struct uffdio_register range = {.range = {.start = (uintptr_t)at, .len = bytes},
                                    .mode = mode == E2DH_USERFAULT_MISSING ? UFFDIO_REGISTER_MODE_MISSING
                                                                           : UFFDIO_REGISTER_MODE_WP};

    return ioctl(process->userfaults->descriptor, UFFDIO_REGISTER, &range) == 0 ? 0 : -errno;
}

bool e2dh_userfault_catches_in(const struct ext2dax_process *process, bool zeroes)
{
    return zeroes ? (process->userfaults->features & FEATURE_WP) != 0 : process->userfaults->image;
}

static bool protect(struct ext2dax_process *process, char *at, size_t bytes, uint64_t mode)
{
    struct uffdio_writeprotect range = {.range = {.start = (uintptr_t)at, .len = bytes}, .mode = mode};
    int error;

    /*
     * The ioctl returns EAGAIN while the remap event of a mapping under construction is unread,
     * because the reader is not running. Attempts are bounded, since a program creating mappings
     * all the time could cause EAGAIN forever.
     */
    for (unsigned attempt = 0; (error = ioctl(process->userfaults->descriptor, UFFDIO_WRITEPROTECT, &range)) != 0 &&
                               errno == EAGAIN && attempt < MOST_ATTEMPTS;
         attempt++)
        e2dh_nap(20000);
    return error == 0;
}

bool e2dh_userfault_catch(struct ext2dax_process *process, char *at, size_t bytes, bool zeroes)
{
    /* Before Linux 6.4, anonymous pages can be write-protected only after being populated. */
    if (zeroes && !(process->userfaults->features & FEATURE_WP_UNPOPULATED) &&
        (mprotect(at, bytes, PROT_READ) != 0 || madvise(at, bytes, POPULATE_READ) != 0))
        return false;
    return protect(process, at, bytes, UFFDIO_WRITEPROTECT_MODE_WP);
}

bool e2dh_userfault_let_through(struct ext2dax_process *process, char *at, size_t bytes)
{
    /* Waiting threads are woken after the whole fault is resolved. */
    return protect(process, at, bytes, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

void e2dh_userfault_wake(struct ext2dax_process *process, uintptr_t at, size_t bytes)
{
    struct uffdio_range range = {.start = at, .len = bytes};

    (void)ioctl(process->userfaults->descriptor, UFFDIO_WAKE, &range);
}

#endif
