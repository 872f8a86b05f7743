/* SPDX-License-Identifier: MIT */
/*
 * A mapped file as an image. Opening settles how its bytes become durable, and the table of ops follows from that:
 *
 *     DAX         the mapping is the medium (the kernel granted MAP_SYNC, or it is a devdax device): cache lines are
 *                 written back with the processor's own instructions, and its fence orders them
 *     PAGE_CACHE  the mapping is a cache of the medium: msync, page by page, which returns when it is done
 *     VOLATILE    there is no medium: nothing
 *
 * The mapping replaces an aligned reservation, so no other thread can get the addresses in between. Opening changes a
 * file (CREATE) only as its last step that can fail, or undoes it.
 *
 * Ops may run in a fault handler and while the core's locks are held: they go to the kernel without libc's cancellation
 * points, use no heap and keep errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "memory_reserve.h"
#include "writeback.h"

#define NOEXEC_SEAL 0x8u /* MFD_NOEXEC_SEAL, Linux 6.3 */

#define MAGIC_TMPFS     0x01021994u
#define MAGIC_RAMFS     0x858458F6u
#define MAGIC_HUGETLBFS 0x958458F6u

#if !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

struct file {
    int fd;
    enum ext2dax_file_kind kind;
    struct e2d_write_back how; /* DAX only */
    size_t page;               /* bytes, of the host's pages */
    void *base;
    size_t mapped; /* bytes: the size, up to a whole page */
};

/* What opening found out about the file. */
struct shape {
    size_t size;
    size_t align; /* of the mapping's address and length */
    bool device;  /* devdax */
    bool created; /* by this call */
};

/* The host's pages that hold the range. */
static void page_range(const struct file *f, const void *at, size_t length, void **first, size_t *bytes)
{
    size_t into = (uintptr_t)at & (f->page - 1);

    *first = (char *)f->base + ((const char *)at - into - (const char *)f->base);
    *bytes = (into + length + f->page - 1) & ~(f->page - 1);
}

static int volatile_zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    e2d_zero_volatile(at, length);
    return 0;
}

static int cached_persist(void *ctx, const void *at, size_t length)
{
    int saved = errno, r = 0;
    void *first;
    size_t bytes;

    if (length == 0)
        return 0;
    page_range(ctx, at, length, &first, &bytes);
    while (syscall(SYS_msync, first, bytes, MS_SYNC) != 0) {
        if (errno != EINTR) {
            r = -EXT2DAX_EIO;
            break;
        }
    }
    errno = saved;
    return r;
}

static int cached_zero(void *ctx, void *at, size_t length)
{
    e2d_zero_volatile(at, length);
    return cached_persist(ctx, at, length);
}

static int dax_persist(void *ctx, const void *at, size_t length)
{
    const struct file *f = ctx;

    e2d_write_back_range(&f->how, at, length);
    return 0;
}

static int dax_zero(void *ctx, void *at, size_t length)
{
    const struct file *f = ctx;

    e2d_zero_durable(&f->how, at, length);
    return 0;
}

static int dax_fence(void *ctx)
{
    const struct file *f = ctx;

    f->how.fence();
    return 0;
}

/*
 * Has the kernel enter the pages for reading, which it refuses exactly where a read would raise SIGBUS: poison, a bad
 * block, a read error, a file cut short by another. A kernel that cannot (before 5.14) knows nothing against the range.
 */
static int check(void *ctx, const void *at, size_t length)
{
    int saved = errno, r = 0;
    void *first;
    size_t bytes;

    if (length == 0)
        return 0;
    page_range(ctx, at, length, &first, &bytes);
    if (madvise(first, bytes, MADV_POPULATE_READ) != 0 && (errno == EFAULT || errno == EHWPOISON))
        r = -EXT2DAX_EIO;
    errno = saved;
    return r;
}

static const struct ext2dax_memory_ops ops_of[] = {
    [EXT2DAX_FILE_PAGE_CACHE] = {.size = sizeof(struct ext2dax_memory_ops),
                                 .zero = cached_zero,
                                 .persist = cached_persist,
                                 .check = check},
    [EXT2DAX_FILE_VOLATILE] = {.size = sizeof(struct ext2dax_memory_ops), .zero = volatile_zero},
    [EXT2DAX_FILE_DAX] = {.size = sizeof(struct ext2dax_memory_ops),
                          .zero = dax_zero,
                          .persist = dax_persist,
                          .fence = dax_fence,
                          .check = check},
};

/* The file behind memory opened here, else NULL. */
static struct file *file_of(const struct ext2dax_memory *memory)
{
    for (size_t i = 0; i < sizeof(ops_of) / sizeof(ops_of[0]); i++) {
        if (memory->ops == &ops_of[i])
            return memory->ctx;
    }
    return NULL;
}

/* A number from a file of /sys; decimal or with 0x. */
static int read_number(unsigned major_number, unsigned minor_number, const char *name, uint64_t *number)
{
    char path[96], text[32];
    ssize_t got;
    char *end;
    int fd;

    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major_number, minor_number, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return -EXT2DAX_EINVAL;
    text[got] = '\0';
    *number = strtoull(text, &end, 0);
    return end == text ? -EXT2DAX_EINVAL : 0;
}

static bool is_dax_device(const struct stat *st)
{
    char path[96], target[PATH_MAX];
    const char *name;
    ssize_t got;

    if (!S_ISCHR(st->st_mode))
        return false;
    snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev), minor(st->st_rdev));
    got = readlink(path, target, sizeof(target) - 1);
    if (got <= 0)
        return false;
    target[got] = '\0';
    name = strrchr(target, '/');
    return name && strcmp(name, "/dax") == 0;
}

static int shape_of(int fd, struct shape *shape)
{
    uint64_t size, align = E2D_HUGE;
    struct stat st;
    int r;

    if (fstat(fd, &st) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EXT2DAX_EISDIR;
    if (S_ISREG(st.st_mode)) {
        size = (uint64_t)st.st_size;
    } else if (is_dax_device(&st)) {
        shape->device = true;
        r = read_number(major(st.st_rdev), minor(st.st_rdev), "size", &size);
        if (r != 0)
            return r;
        /* Kernels that do not tell want 2 MiB. */
        if (read_number(major(st.st_rdev), minor(st.st_rdev), "device/align", &align) != 0 || align < E2D_HUGE)
            align = E2D_HUGE;
    } else {
        return -EXT2DAX_EINVAL;
    }
    if (size > SIZE_MAX - E2D_HUGE || align > SIZE_MAX / 2)
        return -EXT2DAX_EOVERFLOW;
    shape->size = (size_t)size;
    shape->align = (size_t)align;
    return 0;
}

/*
 * Opens or makes the file; *created tells which. A descriptor, or an error. O_NONBLOCK: a pipe is refused, not waited
 * for.
 */
static int open_image(const char *path, unsigned flags, bool *created)
{
    int mode = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (flags & EXT2DAX_FILE_READ_ONLY ? O_RDONLY : O_RDWR);
    int fd;

    *created = false;
    if (!(flags & EXT2DAX_FILE_CREATE)) {
        fd = open(path, mode);
        return fd < 0 ? -errno : fd;
    }
    /* Again where the file vanishes between the two. */
    do {
        fd = open(path, mode | O_CREAT | O_EXCL, 0666);
        if (fd >= 0) {
            *created = true;
        } else if (errno == EEXIST && !(flags & EXT2DAX_FILE_EXCLUSIVE)) {
            struct stat st;

            fd = open(path, mode);
            /* A symbolic link to nothing is there and is not, for ever. */
            if (fd < 0 && errno == ENOENT && lstat(path, &st) == 0)
                return -EXT2DAX_ENOENT;
        } else {
            return -errno;
        }
    } while (fd < 0 && errno == ENOENT);
    return fd < 0 ? -errno : fd;
}

static int resize(int fd, uint64_t size)
{
    while (ftruncate(fd, (off_t)size) != 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static int reserve_blocks(int fd, uint64_t size)
{
    while (fallocate(fd, 0, 0, (off_t)size) != 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static bool has_no_medium(int fd)
{
    struct statfs fs;
    unsigned long magic;

    if (fstatfs(fd, &fs) != 0)
        return false;
    magic = (unsigned long)fs.f_type & 0xFFFFFFFFul;
    return magic == MAGIC_TMPFS || magic == MAGIC_RAMFS || magic == MAGIC_HUGETLBFS;
}

/*
 * Maps the file over a reservation and settles its kind. MAP_SYNC is asked for first: only a mapping of the medium
 * itself gets it, and then the blocks under a page just faulted in are durable too. The kernel refuses it before it
 * touches the reservation.
 */
static int map(struct file *f, const struct shape *shape, bool writable)
{
    int prot = PROT_READ | (writable ? PROT_WRITE : 0);
    size_t unit = shape->device ? shape->align : f->page;
    bool sync = false;
    void *at;
    int r;

    /* A device is mapped in whole units only; what a size leaves over is not used. */
    f->mapped = (shape->device ? shape->size : shape->size + unit - 1) & ~(unit - 1);
    if (f->mapped == 0)
        return -EXT2DAX_EINVAL;
    r = e2d_reserve(f->mapped, shape->align, &f->base);
    if (r != 0)
        return r;
    f->how = e2d_write_back_choose();
    at = MAP_FAILED;
    if (f->how.one) {
        at = mmap(f->base, f->mapped, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, f->fd, 0);
        sync = at != MAP_FAILED;
    }
    if (at == MAP_FAILED)
        at = mmap(f->base, f->mapped, prot, MAP_SHARED | MAP_FIXED, f->fd, 0);
    if (at == MAP_FAILED) {
        r = -errno;
        munmap(f->base, f->mapped);
        f->base = NULL;
        return r;
    }
    if (sync || shape->device)
        f->kind = EXT2DAX_FILE_DAX;
    else
        f->kind = has_no_medium(f->fd) ? EXT2DAX_FILE_VOLATILE : EXT2DAX_FILE_PAGE_CACHE;
    if (f->kind == EXT2DAX_FILE_VOLATILE)
        madvise(f->base, f->mapped, MADV_HUGEPAGE); /* a hint */
    return 0;
}

static void unmap(struct file *f)
{
    if (f->base)
        munmap(f->base, f->mapped);
    f->base = NULL;
}

/*
 * Makes a regular file `size` bytes long and maps it. It grows before it is mapped and shrinks after, so that what
 * fails can be undone: bytes cut off could not be brought back.
 */
static int map_resized(struct file *f, struct shape *shape, uint64_t size, bool reserve)
{
    size_t old = shape->size;
    int r = 0;

    if (size > SIZE_MAX - E2D_HUGE)
        return -EXT2DAX_EOVERFLOW;
    shape->size = (size_t)size;
    if (size > old) {
        r = resize(f->fd, size);
        if (r != 0)
            return r;
    }
    if (reserve)
        r = reserve_blocks(f->fd, size);
    if (r == 0)
        r = map(f, shape, true);
    if (r == 0 && size < old)
        r = resize(f->fd, size);
    /* The size the medium is to have must be on it before stores are. */
    if (r == 0 && f->kind == EXT2DAX_FILE_DAX && fsync(f->fd) != 0)
        r = -errno;
    if (r != 0) {
        unmap(f);
        if (size > old)
            (void)resize(f->fd, old);
    }
    return r;
}

static void publish(struct file *f, const struct shape *shape, bool writable, struct ext2dax_memory *memory)
{
    *memory = (struct ext2dax_memory){
        .ops = &ops_of[f->kind],
        .ctx = f,
        .base = f->base,
        .size = shape->size < f->mapped ? shape->size : f->mapped,
        .flags =
            (f->kind == EXT2DAX_FILE_DAX ? EXT2DAX_MEMORY_PERSISTENT : 0u) | (writable ? 0u : EXT2DAX_MEMORY_READ_ONLY),
    };
}

static struct file *new_file(void)
{
    struct file *f = calloc(1, sizeof(*f));

    if (f) {
        f->fd = -1;
        f->page = (size_t)sysconf(_SC_PAGESIZE);
    }
    return f;
}

static bool flags_are_sane(unsigned flags, uint64_t size)
{
    unsigned create_only = EXT2DAX_FILE_EXCLUSIVE | EXT2DAX_FILE_RESERVE;

    if (flags & ~(EXT2DAX_FILE_READ_ONLY | EXT2DAX_FILE_CREATE | create_only))
        return false;
    if (flags & EXT2DAX_FILE_CREATE)
        return !(flags & EXT2DAX_FILE_READ_ONLY) && size > 0 && size <= INT64_MAX;
    return !(flags & create_only);
}

int ext2dax_file_open(const char *path, unsigned flags, uint64_t size, struct ext2dax_memory *memory)
{
    bool writable = !(flags & EXT2DAX_FILE_READ_ONLY);
    struct shape shape = {0};
    bool locked = false;
    struct file *f;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (!flags_are_sane(flags, size))
        return -EXT2DAX_EINVAL;
    f = new_file();
    if (!f)
        return -EXT2DAX_ENOMEM;
    r = open_image(path, flags, &shape.created);
    if (r < 0)
        goto out;
    f->fd = r;
    r = shape_of(f->fd, &shape);
    if (r != 0)
        goto out;
    if (flock(f->fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        r = errno == EWOULDBLOCK ? -EXT2DAX_EBUSY : -errno;
        goto out;
    }
    locked = true;
    /* Once more: the size may have changed before the lock was ours. */
    r = shape_of(f->fd, &shape);
    if (r != 0)
        goto out;
    if (shape.device && !e2d_write_back_choose().one)
        r = -EXT2DAX_EOPNOTSUPP;
    else if ((flags & EXT2DAX_FILE_CREATE) && !shape.device)
        r = map_resized(f, &shape, size, (flags & EXT2DAX_FILE_RESERVE) != 0);
    else if ((flags & EXT2DAX_FILE_CREATE) && size > shape.size)
        r = -EXT2DAX_ENOSPC;
    else
        r = map(f, &shape, writable);
    if (r == 0)
        publish(f, &shape, writable, memory);
out:
    if (r != 0) {
        /* Not without the lock: another may have found the file in the meantime and use it. */
        if (shape.created && locked)
            unlink(path);
        if (f->fd >= 0)
            close(f->fd);
        free(f);
    }
    return r;
}

/* A system may insist that what is never executed says so (vm.memfd_noexec), which older ones do not understand. */
int e2d_memfd(const char *name)
{
    int memfd = memfd_create(name, MFD_CLOEXEC | NOEXEC_SEAL);

    return memfd < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC) : memfd;
}

bool e2d_set_length(int memfd, uint64_t bytes)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur) {
        errno = EFBIG;
        return false;
    }
    return ftruncate(memfd, (off_t)bytes) == 0;
}

int ext2dax_file_open_anonymous(const char *name, uint64_t size, struct ext2dax_memory *memory)
{
    struct shape shape = {.align = E2D_HUGE};
    struct file *f;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (size == 0 || size > INT64_MAX)
        return -EXT2DAX_EINVAL;
    f = new_file();
    if (!f)
        return -EXT2DAX_ENOMEM;
    f->fd = e2d_memfd(name);
    r = f->fd < 0 ? -errno : map_resized(f, &shape, size, false);
    if (r != 0) {
        if (f->fd >= 0)
            close(f->fd);
        free(f);
        return r;
    }
    publish(f, &shape, true, memory);
    return 0;
}

/* Closing gives the lock back. */
void ext2dax_file_close(struct ext2dax_memory *memory)
{
    struct file *f = file_of(memory);

    if (f) {
        unmap(f);
        close(f->fd);
        free(f);
    }
    *memory = (struct ext2dax_memory){0};
}

int ext2dax_file_descriptor(const struct ext2dax_memory *memory)
{
    const struct file *f = file_of(memory);

    return f ? f->fd : -1;
}

enum ext2dax_file_kind ext2dax_file_kind(const struct ext2dax_memory *memory)
{
    const struct file *f = file_of(memory);

    return f ? f->kind : EXT2DAX_FILE_VOLATILE;
}

const char *ext2dax_file_write_back(const struct ext2dax_memory *memory)
{
    const struct file *f = file_of(memory);

    if (!f || f->kind == EXT2DAX_FILE_VOLATILE)
        return "none";
    return f->kind == EXT2DAX_FILE_DAX ? f->how.name : "msync";
}
