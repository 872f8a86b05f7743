/* SPDX-License-Identifier: MIT */
/*
 * Detection of loop devices backed by a file. A filesystem that Linux has mounted from a loop
 * device keeps metadata in memory. Linux overwrites changes made to the backing file, or trusts
 * metadata that no longer matches, and the image is lost. Such a file looks exactly like an image
 * after an unclean unmount, and no file lock reveals the mount. So this file asks the kernel.
 *
 * /sys/block/loop* names the backing file of each device by the path at the time of attachment. If
 * this process may open the device, the device itself reports the device and inode number of the
 * backing file. Both numbers stay valid when the path is gone, was a link, or names another file in
 * this mount namespace.
 */
#include "in_use.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define TURNS   10 /* attempts while a device is about to detach */
#define TURN_NS 20000000L
#define DELETED " (deleted)"

/*
 * Reads a file of /sys/block/DEVICE without the trailing newline. Returns false if the file is
 * missing, empty or unreadable.
 */
static bool read_sys(const char *device, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];
    ssize_t got;
    int fd, written;

    written = snprintf(path, sizeof(path), "/sys/block/%s/%s", device, name);
    if (written < 0 || (size_t)written >= sizeof(path))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    got = read(fd, text, size - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    if (text[got - 1] == '\n')
        text[got - 1] = '\0';
    return true;
}

static uint64_t read_sys_number(const char *device, const char *name)
{
    char text[32];

    return read_sys(device, name, text, sizeof(text)) ? strtoull(text, NULL, 0) : 0;
}

/*
 * Asks the device for the backing file. Returns 1 if the backing file is `file`, 0 if not, -1 if
 * the device cannot be asked.
 */
static int stands_on(const char *device, const struct stat *file)
{
    char path[288], number[32], own[32];
    struct loop_info64 info = {0}; /* Valgrind does not see the kernel fill this structure */
    struct stat st;
    int fd, is_below = -1;

    snprintf(path, sizeof(path), "/dev/%s", device);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && read_sys(device, "dev", number, sizeof(number))) {
        snprintf(own, sizeof(own), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
        if (strcmp(own, number) == 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0)
            is_below = info.lo_device == file->st_dev && info.lo_inode == file->st_ino;
    }
    close(fd);
    return is_below;
}

static bool is_over(const char *device, const struct stat *file)
{
    char path[PATH_MAX + sizeof(DELETED)];
    struct stat st;
    int is_below;

    if (!read_sys(device, "loop/backing_file", path, sizeof(path)))
        return false;
    is_below = stands_on(device, file);
    if (is_below >= 0)
        return is_below != 0;
    return stat(path, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

static bool overlaps(const char *device, uint64_t offset, uint64_t length)
{
    uint64_t from = read_sys_number(device, "loop/offset"), limit = read_sys_number(device, "loop/sizelimit");
    uint64_t end = limit && limit < UINT64_MAX - from ? from + limit : UINT64_MAX;

    return offset < end && (length > UINT64_MAX - offset || offset + length > from);
}

/*
 * Decodes octal escapes. Control characters, which a terminal would act on, become question marks.
 */
static void decode(const char *from, char *to, size_t size)
{
    size_t used = 0;

    for (; *from && used + 1 < size; used++) {
        unsigned char byte = (unsigned char)*from++;

        if (byte == '\\' && strspn(from, "01234567") >= 3) {
            byte = (unsigned char)((from[0] - '0') * 64 + (from[1] - '0') * 8 + (from[2] - '0'));
            from += 3;
        }
        to[used] = (char)(iscntrl(byte) ? '?' : byte);
    }
    to[used] = '\0';
}

/*
 * Finds where this process sees the block device, given as "7:3", mounted. Returns false if the
 * device is not mounted.
 */
static bool mount_point(const char *number, char *at, size_t size)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    while (file && !found && getline(&line, &room, file) > 0) {
        char *rest = line, *field[5];

        for (int i = 0; i < 5; i++)
            field[i] = strsep(&rest, " ");
        if (!field[4] || strcmp(field[2], number) != 0)
            continue;
        decode(field[4], at, size);
        found = true;
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

/*
 * Is the device or partition mounted, or held by another device? If so, describes the user in
 * use->text.
 */
static bool describe_user(const char *device, const char *part, struct e2dh_use *use)
{
    char name[640], number[32], at[160];
    struct dirent *entry;
    DIR *holders;
    bool found = false;

    snprintf(name, sizeof(name), "%s%s%s", device, *part ? "/" : "", part);
    if (!read_sys(name, "dev", number, sizeof(number)))
        return false;
    if (mount_point(number, at, sizeof(at))) {
        use->mounted = true;
        snprintf(use->text, sizeof(use->text), "is mounted at %s by /dev/%.32s", at, *part ? part : device);
        return true;
    }
    snprintf(at, sizeof(at), "/sys/block/%.48s/holders", name);
    holders = opendir(at);
    while (holders && !found && (entry = readdir(holders)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(use->text, sizeof(use->text), "backs /dev/%.32s, which %.64s holds", *part ? part : device,
                 entry->d_name);
        found = true;
    }
    if (holders)
        closedir(holders);
    return found;
}

/* Checks the device itself, then each partition. */
static bool has_user(const char *device, struct e2dh_use *use)
{
    struct dirent *entry;
    bool found = describe_user(device, "", use);
    char path[288];
    DIR *parts;

    snprintf(path, sizeof(path), "/sys/block/%s", device);
    parts = found ? NULL : opendir(path);
    while (parts && !found && (entry = readdir(parts)) != NULL)
        found = strncmp(entry->d_name, device, strlen(device)) == 0 && describe_user(device, entry->d_name, use);
    if (parts)
        closedir(parts);
    return found;
}

static bool find_use(const struct stat *file, uint64_t offset, uint64_t length, struct e2dh_use *use, bool *passing)
{
    DIR *devices = opendir("/sys/block");
    struct dirent *entry;
    bool found = false;

    *passing = false;
    while (devices && !found && (entry = readdir(devices)) != NULL) {
        const char *device = entry->d_name;

        if (sscanf(device, "loop%u", &use->loop) != 1 || !is_over(device, file) || !overlaps(device, offset, length))
            continue;
        found = true;
        use->mounted = false;
        use->read_only = read_sys_number(device, "ro") != 0;
        if (!has_user(device, use)) {
            snprintf(use->text, sizeof(use->text), "backs /dev/%.32s", device);
            *passing = read_sys_number(device, "loop/autoclear") != 0;
        }
    }
    if (devices)
        closedir(devices);
    return found;
}

bool e2dh_in_use(int fd, uint64_t offset, uint64_t length, struct e2dh_use *use)
{
    struct stat st;
    bool found, passing;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    found = find_use(&st, offset, length, use, &passing);
    for (int turn = 0; found && passing && turn < TURNS; turn++) {
        nanosleep(&(struct timespec){.tv_nsec = TURN_NS}, NULL);
        found = find_use(&st, offset, length, use, &passing);
    }
    return found;
}
