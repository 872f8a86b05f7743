/* SPDX-License-Identifier: MIT */
/*
 * The round trip through Linux's system calls. Stores use MAP_SHARED mappings, and msync makes the
 * stores durable.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor.h"

#define HUGE ((uintptr_t)2 << 20)

static const char *full(void *ctx, const char *path)
{
    static char name[512];

    (void)snprintf(name, sizeof(name), "%s/%s", (const char *)ctx, path);
    return name;
}

static int open_file(void *ctx, const char *path, int flags)
{
    int descriptor = open(full(ctx, path), flags | O_CLOEXEC, 0644);

    return descriptor < 0 ? -errno : descriptor;
}

static int64_t closing(int descriptor, int64_t result)
{
    if (result < 0)
        result = -errno;
    close(descriptor);
    return result;
}

static int make_file(void *ctx, const char *path)
{
    int descriptor = open_file(ctx, path, O_RDWR | O_CREAT | O_EXCL);

    return descriptor < 0 ? descriptor : (int)closing(descriptor, 0);
}

static int make_directory(void *ctx, const char *path)
{
    return mkdir(full(ctx, path), 0755) < 0 ? -errno : 0;
}

static int remove_name(void *ctx, const char *path)
{
    return unlink(full(ctx, path)) < 0 ? -errno : 0;
}

static int count_names(void *ctx, const char *directory)
{
    DIR *stream = opendir(full(ctx, directory));
    struct dirent *entry;
    int count = 0;

    if (!stream)
        return -errno;
    while ((entry = readdir(stream)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

static int64_t size_of(void *ctx, const char *path)
{
    struct stat figures;

    return stat(full(ctx, path), &figures) < 0 ? -errno : figures.st_size;
}

static int64_t read_bytes(void *ctx, const char *path, uint64_t offset, void *bytes, size_t length)
{
    int descriptor = open_file(ctx, path, O_RDONLY);

    return descriptor < 0 ? descriptor : closing(descriptor, pread(descriptor, bytes, length, (off_t)offset));
}

static int64_t write_bytes(void *ctx, const char *path, uint64_t offset, const void *bytes, size_t length)
{
    int descriptor = open_file(ctx, path, O_WRONLY);

    return descriptor < 0 ? descriptor : closing(descriptor, pwrite(descriptor, bytes, length, (off_t)offset));
}

static int truncate_file(void *ctx, const char *path, uint64_t size)
{
    return truncate(full(ctx, path), (off_t)size) < 0 ? -errno : 0;
}

static int punch_file(void *ctx, const char *path, uint64_t offset, uint64_t length)
{
    int descriptor = open_file(ctx, path, O_RDWR);

    if (descriptor < 0)
        return descriptor;
    return (int)closing(
        descriptor, fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length));
}

static int64_t next_data(void *ctx, const char *path, uint64_t offset)
{
    int descriptor = open_file(ctx, path, O_RDONLY);

    return descriptor < 0 ? descriptor : closing(descriptor, lseek(descriptor, (off_t)offset, SEEK_DATA));
}

static int map_file(void *ctx, const char *path, uint64_t length, bool writable, struct view *view)
{
    int protection = PROT_READ | (writable ? PROT_WRITE : 0);
    int descriptor = open_file(ctx, path, writable ? O_RDWR : O_RDONLY), error;
    uint8_t *room, *at;

    if (descriptor < 0)
        return descriptor;
    room = mmap(NULL, length + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return (int)closing(descriptor, -1);
    at = (uint8_t *)(((uintptr_t)room + HUGE - 1) & ~(HUGE - 1));
    if (mmap(at, length, protection, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
        error = (int)closing(descriptor, -1);
        munmap(room, length + HUGE);
        return error;
    }
    *view = (struct view){at, length, room};
    return (int)closing(descriptor, 0);
}

static int unmap_file(void *ctx, struct view *view)
{
    int error = 0;

    (void)ctx;
    if (msync(view->at, view->length, MS_SYNC) < 0)
        error = -errno;
    munmap(view->handle, view->length + HUGE);
    return error;
}

struct actor actor_linux(const char *root)
{
    return (struct actor){.ctx = (void *)(uintptr_t)root,
                          .is_linux = true,
                          .create = make_file,
                          .make_directory = make_directory,
                          .unlink = remove_name,
                          .count = count_names,
                          .size = size_of,
                          .read = read_bytes,
                          .write = write_bytes,
                          .truncate = truncate_file,
                          .punch = punch_file,
                          .data = next_data,
                          .map = map_file,
                          .unmap = unmap_file};
}
