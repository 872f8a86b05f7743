/* SPDX-License-Identifier: MIT */
/*
 * Opens and closes a mapped file as an image. Opening determines how bytes become durable, and
 * selects the table of ops (memory_file_ops.c)
 *
 *     DAX         The mapping is the medium. The kernel granted MAP_SYNC, or the file is a devdax
 *                 device. Cache lines are written back with instructions of the processor, and
 *                 the fence of the processor orders the write-backs.
 *     PAGE_CACHE  The mapping is a cache of the medium. msync writes pages back and returns when
 *                 the medium has the pages.
 *     VOLATILE    No medium. Nothing is written back.
 *
 * The mapping replaces an aligned reservation, so no other thread can get the addresses in between.
 * Modulo the huge page size the address of the image equals the file offset. Only then can the
 * kernel use huge entries. So the base of the image is a multiple of the huge page size only if the
 * offset is. Opening with CREATE changes a file only in the last step that can fail, or undoes the
 * change. map_resized() names the exceptions.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "calls.h"
#include "host_report.h"
#include "in_use.h"
#include "memory_file.h"
#include "memory_owner.h"
#include "memory_reserve.h"
#include "writeback.h"
#define SECTOR      512u
#define NOEXEC_SEAL 0x8u /* MFD_NOEXEC_SEAL, since Linux 6.3 */

#define MAGIC_TMPFS     0x01021994u
#define MAGIC_RAMFS     0x858458F6u
#define MAGIC_HUGETLBFS 0x958458F6u

/* Properties of the file found by opening. */
struct shape {
    size_t size;  /* of the file in bytes */
    size_t align; /* of the address and length of the mapping, in bytes */
    size_t image; /* bytes of the image, from f->offset */
    bool device;  /* devdax */
    bool created; /* by this call */
    bool other;   /* neither a regular file nor devdax */
    bool block_device;
};

/* Reads a number from a file of /sys, decimal or hexadecimal with 0x. */
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
    uint64_t size, align = E2DH_HUGE;
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
        /* Kernels without this file need 2 MiB. */
        if (read_number(major(st.st_rdev), minor(st.st_rdev), "device/align", &align) != 0 || align < E2DH_HUGE)
            align = E2DH_HUGE;
    } else {
        shape->other = true;
        shape->block_device = S_ISBLK(st.st_mode);
        return -EXT2DAX_EINVAL;
    }
    if (size > SIZE_MAX - E2DH_HUGE || align > SIZE_MAX / 2)
        return -EXT2DAX_EOVERFLOW;
    shape->size = (size_t)size;
    shape->align = (size_t)align;
    return 0;
}

/*
 * Opens or creates the file. *created says which. Returns a descriptor or a negative errno.
 * O_NONBLOCK makes the open of a pipe return at once, so that the caller can refuse the pipe.
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
    /* Retries if the file is unlinked between the two calls. */
    do {
        fd = open(path, mode | O_CREAT | O_EXCL, 0666);
        if (fd >= 0) {
            *created = true;
        } else if (errno == EEXIST && !(flags & EXT2DAX_FILE_EXCLUSIVE)) {
            struct stat st;

            fd = open(path, mode);
            /* A dangling symbolic link. Both calls fail each time, so retrying would never end. */
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
    return e2dh_set_length(fd, size) ? 0 : -errno;
}

static int reserve_blocks(int fd, uint64_t size)
{
    return e2dh_allocate(fd, size) ? 0 : -errno;
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
 * Maps the file over a reservation and determines the kind of memory. Tries MAP_SYNC first. The
 * kernel grants MAP_SYNC only for a mapping of the medium itself, and then also makes the blocks of
 * a page durable when the page is faulted in. A kernel without MAP_SYNC refuses before changing the
 * reservation.
 */
static int map(struct e2dh_file *f, const struct shape *shape, bool writable)
{
    int prot = PROT_READ | (writable ? PROT_WRITE : 0);
    size_t unit = shape->device ? shape->align : f->page, before;
    uint64_t from = f->offset & ~(uint64_t)(unit - 1), end = f->offset + shape->image;
    bool sync = false;
    void *at;
    int r;

    /* A device is mapped in whole units only. A partial unit at the end is not used. */
    end = (end + unit - 1) & ~(uint64_t)(unit - 1);
    if (shape->device && end > shape->size)
        end = shape->size & ~(unit - 1);
    if (end <= f->offset)
        return -EXT2DAX_EINVAL;
    f->mapped = (size_t)(end - from);
    f->from = from;
    before = (size_t)from & (shape->align - 1);
    r = e2dh_reserve(before + f->mapped, shape->align, &f->base);
    if (r != 0)
        return r;
    if (before)
        munmap(f->base, before);
    f->base = (char *)f->base + before;
    f->how = e2dh_write_back_choose();
    at = MAP_FAILED;
    if (f->how.one) {
        at = mmap(f->base, f->mapped, prot, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, f->fd, (off_t)from);
        sync = at != MAP_FAILED;
    }
    if (at == MAP_FAILED)
        at = mmap(f->base, f->mapped, prot, MAP_SHARED | MAP_FIXED, f->fd, (off_t)from);
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

static void unmap(struct e2dh_file *f)
{
    if (f->base)
        munmap(f->base, f->mapped);
    f->base = NULL;
}

/*
 * Resizes a regular file to hold `length` bytes from the image offset, and maps the image.
 * Truncates a longer file only if the image begins at offset 0. Extends before mapping and
 * truncates after, so that a failure can be undone, because truncated bytes cannot be restored. Two
 * changes are not undone. Blocks reserved in the old size stay reserved, and a DAX file stays
 * truncated if the fsync() after the truncation fails.
 */
static int map_resized(struct e2dh_file *f, struct shape *shape, uint64_t length, bool reserve)
{
    uint64_t old = shape->size, size = f->offset + length;
    int r = 0;

    if (size > SIZE_MAX - E2DH_HUGE)
        return -EXT2DAX_EOVERFLOW;
    if (f->offset && size < old)
        size = old;
    shape->size = (size_t)size;
    shape->image = (size_t)length;
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
    /* The medium must have the new size before the first store. */
    if (r == 0 && f->kind == EXT2DAX_FILE_DAX && fsync(f->fd) != 0)
        r = -errno;
    if (r != 0) {
        unmap(f);
        if (size > old)
            (void)resize(f->fd, old);
    }
    return r;
}

static void publish(struct e2dh_file *f, const struct shape *shape, bool writable, struct ext2dax_memory *memory)
{
    size_t into = (size_t)f->offset & ((shape->device ? shape->align : f->page) - 1);

    *memory = (struct ext2dax_memory){
        .ops = &e2dh_file_ops[f->kind],
        .ctx = f,
        .base = (char *)f->base + into,
        .size = shape->image < f->mapped - into ? shape->image : f->mapped - into,
        .flags =
            (f->kind == EXT2DAX_FILE_DAX ? EXT2DAX_MEMORY_PERSISTENT : 0u) | (writable ? 0u : EXT2DAX_MEMORY_READ_ONLY),
    };
}

static struct e2dh_file *new_file(void)
{
    struct e2dh_file *f = calloc(1, sizeof(*f));

    if (f) {
        f->fd = -1;
        f->page = (size_t)sysconf(_SC_PAGESIZE);
        f->process = e2dh_process_number();
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

/*
 * Determines which bytes of the file are the image. EINVAL if the image does not lie in the file.
 */
static int place(const struct e2dh_file *f, uint64_t length, struct shape *shape)
{
    if (f->offset >= shape->size || length > shape->size - f->offset)
        return -EXT2DAX_EINVAL;
    shape->image = (size_t)(length ? length : shape->size - f->offset);
    return 0;
}

/*
 * Refuses to write to a file below a mounted filesystem, or below a loop device, which could be
 * mounted at any moment. An opener for reading gets a note, if the device can be written to.
 */
static int check_use(const struct e2dh_file *f, uint64_t length, bool writable,
                     const struct ext2dax_memory_file_options *options)
{
    struct ext2dax_report report = {.error = -EXT2DAX_EBUSY, .structure = "loop device"};
    struct e2dh_use use;

    if (!e2dh_in_use(f->fd, f->offset, length ? length : UINT64_MAX, &use))
        return 0;
    if (options->note && (writable || !use.read_only))
        snprintf(options->note, options->note_size, "%s", use.text);
    if (!writable)
        return 0;
    report.number = use.loop;
    report.reason = use.mounted ? "the file is mounted by it" : "the file backs it";
    e2dh_host_keep(&report, false);
    return -EXT2DAX_EBUSY;
}

/* Explains in options->note why the file cannot be an image. */
static void say_refused(const struct shape *shape, const struct ext2dax_memory_file_options *options, int error)
{
    const char *text = "";

    if (error != -EXT2DAX_EINVAL || !options->note)
        return;
    if (shape->block_device)
        text = "is a block device, which cannot be mapped: use a file, or a devdax device";
    else if (shape->other)
        text = "is neither a file nor a devdax device";
    else if (shape->size == 0)
        text = "is empty";
    else if (options->offset >= shape->size)
        text = "ends before the offset";
    else if (!(options->flags & EXT2DAX_FILE_CREATE) && options->length > shape->size - options->offset)
        text = "ends before the image does";
    snprintf(options->note, options->note_size, "%s", text);
}

static int open_file(const char *path, const struct ext2dax_memory_file_options *given, struct ext2dax_memory *memory)
{
    struct ext2dax_memory_file_options options = {0};
    struct shape shape = {0};
    bool locked = false, writable;
    uint64_t size;
    unsigned flags;
    struct e2dh_file *f;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (given)
        memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
    flags = options.flags;
    size = options.length;
    writable = !(flags & EXT2DAX_FILE_READ_ONLY);
    if (options.note && options.note_size)
        options.note[0] = '\0';
    else
        options.note = NULL;
    if (!flags_are_sane(flags, size) || options.offset % SECTOR != 0 || options.offset > INT64_MAX - size)
        return -EXT2DAX_EINVAL;
    f = new_file();
    if (!f)
        return -EXT2DAX_ENOMEM;
    f->offset = options.offset;
    f->reserved = (flags & EXT2DAX_FILE_RESERVE) != 0;
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
    /* Repeated, because the size may have changed before this process got the lock. */
    r = shape_of(f->fd, &shape);
    if (r == 0 && !shape.created)
        r = check_use(f, size, writable, &options);
    if (r != 0)
        goto out;
    if (shape.device && !e2dh_write_back_choose().one)
        r = -EXT2DAX_EOPNOTSUPP;
    else if ((flags & EXT2DAX_FILE_CREATE) && !shape.device)
        r = map_resized(f, &shape, size, f->reserved);
    else if ((flags & EXT2DAX_FILE_CREATE) && (f->offset > shape.size || size > shape.size - f->offset))
        r = -EXT2DAX_ENOSPC;
    else
        r = place(f, flags & EXT2DAX_FILE_CREATE ? 0 : size, &shape);
    if (r == 0 && !f->base)
        r = map(f, &shape, writable);
    if (r == 0)
        publish(f, &shape, writable, memory);
out:
    if (r != 0) {
        if (f->fd >= 0)
            say_refused(&shape, &options, r);
        /*
         * Not without the lock, because another process may have opened the new file and use the
         * file.
         */
        if (shape.created && locked)
            unlink(path);
        if (f->fd >= 0)
            close(f->fd);
        free(f);
    }
    return r;
}

int ext2dax_memory_open_file_with(const char *path, const struct ext2dax_memory_file_options *options,
                                  struct ext2dax_memory *memory)
{
    int cancel = e2dh_cancel_not(), r = open_file(path, options, memory);

    e2dh_cancel_again(cancel);
    return r;
}

int ext2dax_memory_open_file(const char *path, unsigned flags, uint64_t size, struct ext2dax_memory *memory)
{
    const struct ext2dax_memory_file_options options = {
        .size = sizeof(options), .flags = flags, .length = flags & EXT2DAX_FILE_CREATE ? size : 0};

    if ((flags & EXT2DAX_FILE_CREATE) && size == 0) {
        *memory = (struct ext2dax_memory){0};
        return -EXT2DAX_EINVAL;
    }
    return ext2dax_memory_open_file_with(path, &options, memory);
}

/*
 * Creates a memfd. The system may require files that are never executed to be marked so
 * (vm.memfd_noexec). Older systems reject the flag.
 */
int e2dh_memfd(const char *name)
{
    int memfd = memfd_create(name, MFD_CLOEXEC | NOEXEC_SEAL);

    return memfd < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC) : memfd;
}

static int open_anonymous(const char *name, uint64_t size, struct ext2dax_memory *memory)
{
    struct shape shape = {.align = E2DH_HUGE};
    struct e2dh_file *f;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (size == 0 || size > INT64_MAX)
        return -EXT2DAX_EINVAL;
    f = new_file();
    if (!f)
        return -EXT2DAX_ENOMEM;
    f->fd = e2dh_memfd(name);
    r = f->fd < 0 ? -errno : map_resized(f, &shape, size, false);
    /*
     * The memfd has a path in /proc. The lock refuses any other opener of this path, as for other
     * files.
     */
    if (r == 0 && flock(f->fd, LOCK_EX | LOCK_NB) != 0)
        r = -errno;
    if (r != 0) {
        unmap(f);
        if (f->fd >= 0)
            close(f->fd);
        free(f);
        return r;
    }
    publish(f, &shape, true, memory);
    return 0;
}

int ext2dax_memory_open_anonymous(const char *name, uint64_t size, struct ext2dax_memory *memory)
{
    int cancel = e2dh_cancel_not(), r = open_anonymous(name, size, memory);

    e2dh_cancel_again(cancel);
    return r;
}

/*
 * Releases the lock explicitly, because a child forked in the meantime still holds the open file
 * description. A close in the child leaves the lock to the parent.
 */
void ext2dax_memory_close_file(struct ext2dax_memory *memory)
{
    int cancel = e2dh_cancel_not();
    struct e2dh_file *f = e2dh_file_of(memory);

    if (f) {
        unmap(f);
        if (e2dh_is_this_process(f->process))
            (void)flock(f->fd, LOCK_UN);
        close(f->fd);
        free(f);
    }
    *memory = (struct ext2dax_memory){0};
    e2dh_cancel_again(cancel);
}

int ext2dax_memory_descriptor(const struct ext2dax_memory *memory)
{
    const struct e2dh_file *f = e2dh_file_of(memory);

    return f ? f->fd : -1;
}

uint64_t e2dh_file_offset(const struct ext2dax_memory *memory)
{
    const struct e2dh_file *f = e2dh_file_of(memory);

    return f ? f->offset : 0;
}

enum ext2dax_memory_kind ext2dax_memory_kind(const struct ext2dax_memory *memory)
{
    const struct e2dh_file *f = e2dh_file_of(memory);

    return f ? f->kind : EXT2DAX_FILE_VOLATILE;
}

const char *ext2dax_memory_write_back(const struct ext2dax_memory *memory)
{
    const struct e2dh_file *f = e2dh_file_of(memory);

    if (!f || f->kind == EXT2DAX_FILE_VOLATILE)
        return "none";
    return f->kind == EXT2DAX_FILE_DAX ? f->how.name : "msync";
}
