/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "report.h"

#define PAGE ((size_t)4096)

#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000u
#endif

static uint8_t zeroes[PAGE];

static bool mounted_with_dax(const char *root)
{
    FILE *mounts = setmntent("/proc/mounts", "r");
    struct mntent *entry;
    const char *option = NULL;

    while (mounts && (entry = getmntent(mounts)) != NULL) {
        if (strcmp(entry->mnt_dir, root) == 0)
            option = hasmntopt(entry, "dax");
    }
    if (mounts)
        endmntent(mounts);
    return option != NULL;
}

/* Creates an empty file of `size` bytes. Returns the descriptor, or -1 after a failed check. */
static int scratch(const char *root, char *path, size_t room, off_t size)
{
    int descriptor;

    (void)snprintf(path, room, "%s/scratch", root);
    descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0 || ftruncate(descriptor, size) < 0) {
        report(false, "%s: %s", path, strerror(errno));
        return -1;
    }
    return descriptor;
}

void guest_check_dax(const char *root)
{
    char path[256];
    int descriptor = scratch(root, path, sizeof(path), PAGE);
    struct statx figures;
    void *at;

    if (descriptor < 0)
        return;
    report(mounted_with_dax(root), "DAX is on: the mount has the option");
    report(statx(descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &figures) == 0 &&
               (figures.stx_attributes & STATX_ATTR_DAX) != 0,
           "DAX is on: statx says so of a file");
    at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, descriptor, 0);
    if (at == MAP_FAILED)
        printf("note: MAP_SYNC is refused (%s), as virtio-pmem wants a flush: MAP_SHARED and msync it is\n",
               strerror(errno));
    else
        munmap(at, PAGE);
    unlink(path);
    close(descriptor);
}

static bool holds(int descriptor, off_t offset, const void *bytes, size_t length)
{
    uint8_t seen[PAGE];

    return pread(descriptor, seen, length, offset) == (ssize_t)length && memcmp(seen, bytes, length) == 0;
}

void guest_check_faults(const char *root)
{
    const off_t size = (off_t)(40 * PAGE);
    char path[256];
    int descriptor = scratch(root, path, sizeof(path), size);
    uint8_t *shared, *second, *private;

    if (descriptor < 0)
        return;
    shared = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    second = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, descriptor, 0);
    private = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    if (shared == MAP_FAILED || second == MAP_FAILED || private == MAP_FAILED) {
        report(false, "map a file three times: %s", strerror(errno));
        return;
    }
    report(memcmp(shared + 3 * PAGE, zeroes, PAGE) == 0 && memcmp(second + 3 * PAGE, zeroes, PAGE) == 0,
           "a hole reads as zeroes through two mappings");
    memcpy(shared + 3 * PAGE + 5, "stored", 6);
    report(memcmp(second + 3 * PAGE + 5, "stored", 6) == 0, "a store over the zero page shows in the other mapping");
    report(holds(descriptor, 3 * PAGE + 5, "stored", 6), "and by read, before any msync");
    report(pwrite(descriptor, "written", 7, 3 * PAGE + 100) == 7 && memcmp(shared + 3 * PAGE + 100, "written", 7) == 0,
           "write shows in a mapping");
    memcpy(private + 3 * PAGE + 5, "hidden", 6);
    report(holds(descriptor, 3 * PAGE + 5, "stored", 6) && memcmp(shared + 3 * PAGE + 5, "stored", 6) == 0 &&
               memcmp(private + 3 * PAGE + 5, "hidden", 6) == 0,
           "a private store stays private");
    report(msync(shared, (size_t)size, MS_SYNC) == 0 && fsync(descriptor) == 0, "msync and fsync");
    memcpy(shared + 3 * PAGE + 5, "again.", 6);
    report(holds(descriptor, 3 * PAGE + 5, "again.", 6), "a store after msync");

    report(ftruncate(descriptor, 3 * PAGE + 8) == 0 && !view_access(shared + 4 * PAGE, true) &&
               !view_access(second + 4 * PAGE, false) && !view_access(private + 4 * PAGE, false),
           "past the end every mapping is a SIGBUS");
    report(ftruncate(descriptor, size) == 0 && memcmp(shared + 3 * PAGE + 5, "aga", 3) == 0 &&
               memcmp(shared + 3 * PAGE + 8, zeroes, PAGE - 8) == 0 && view_access(shared + 4 * PAGE, true),
           "longer again, what was cut off reads as zeroes");
    report(unlink(path) == 0 && memcmp(shared + 3 * PAGE + 5, "aga", 3) == 0 && view_access(shared + 9 * PAGE, true),
           "a mapping outlives the name");
    munmap(shared, (size_t)size);
    munmap(second, (size_t)size);
    munmap(private, (size_t)size);
    close(descriptor);
}
