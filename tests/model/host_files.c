/* SPDX-License-Identifier: MIT */
/* Files, attributes and extended attributes by system calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host.h"

/* ---- files ---- */

static uint64_t size_of(const struct player *player, unsigned slot)
{
    struct stat stat;

    return fstatat(player->slot[slot], "", &stat, AT_EMPTY_PATH) == 0 ? (uint64_t)stat.st_size : 0;
}

/* Writes. A file that is append-only may be opened only to append, which is a write at its end. */
static int64_t write_bytes(struct player *player, const struct call *call, struct outcome *outcome)
{
    bool at_end = call->length == 0 || call->offset == size_of(player, call->slot);
    bool append = (host_flags(player, call->slot) & FS_APPEND_FL) != 0 && at_end;
    int descriptor = host_open(player, call->slot, O_WRONLY | (append ? O_APPEND : 0));
    int64_t result;

    if (descriptor < 0)
        return descriptor;
    call_bytes(call, outcome->bytes, (size_t)call->length);
    result = host_result(pwrite(descriptor, outcome->bytes, (size_t)call->length, (off_t)call->offset));
    (void)close(descriptor);
    return result;
}

static int64_t read_bytes(struct player *player, const struct call *call, struct outcome *outcome)
{
    int descriptor = host_open(player, call->slot, O_RDONLY);
    int64_t result;

    if (descriptor < 0)
        return descriptor;
    result = host_result(pread(descriptor, outcome->bytes, (size_t)call->length, (off_t)call->offset));
    outcome->count = result > 0 ? (size_t)result : 0;
    (void)close(descriptor);
    return result;
}

static int64_t change_size(const struct call *call, int descriptor)
{
    uint64_t most = HOST_OFFSETS - call->offset;
    off_t offset = (off_t)call->offset, length = (off_t)(call->length < most ? call->length : most);

    switch (call->kind) {
    case CALL_TRUNCATE:
        return host_result(ftruncate(descriptor, offset));
    case CALL_PUNCH:
        return host_result(fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
    case CALL_ZERO_RANGE:
        return host_result(fallocate(descriptor, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length));
    case CALL_ALLOCATE:
        return host_result(fallocate(descriptor, 0, offset, length));
    default:
        return host_result(fsync(descriptor));
    }
}

int64_t host_play_file(struct player *player, const struct call *call, struct outcome *outcome)
{
    unsigned mode = host_mode(player, call->slot);
    bool append = call->kind == CALL_ALLOCATE && (host_flags(player, call->slot) & FS_APPEND_FL) != 0;
    uint64_t size = size_of(player, call->slot);
    int descriptor;
    int64_t result;

    /* A node of a device leads to the device, and a pipe blocks. */
    outcome->unplayed = !S_ISREG(mode) && !S_ISDIR(mode);
    /*
     * An argument is checked before or after the kind of file. Both reasons at once are left out.
     */
    if (call->kind >= CALL_PUNCH && call->kind <= CALL_ALLOCATE)
        outcome->unplayed |= !S_ISREG(mode) || call->length == 0;
    /* Linux fills holes past the end with blocks, even where the size stays. */
    if (call->kind == CALL_ZERO_RANGE)
        outcome->unplayed |= call->offset > size || call->length > size - call->offset;
    if (outcome->unplayed)
        return 0;
    if (call->kind == CALL_READ)
        return read_bytes(player, call, outcome);
    if (call->kind == CALL_WRITE)
        return write_bytes(player, call, outcome);
    descriptor =
        host_open(player, call->slot, call->kind == CALL_FSYNC ? O_RDONLY : O_WRONLY | (append ? O_APPEND : 0));
    if (descriptor < 0)
        return descriptor;
    result = change_size(call, descriptor);
    (void)close(descriptor);
    return result;
}

/* ---- attributes ---- */

uint32_t host_flags(struct player *player, unsigned slot)
{
    unsigned mode = host_mode(player, slot);
    int descriptor, flags = 0;

    if (!S_ISREG(mode) && !S_ISDIR(mode))
        return 0;
    descriptor = host_open(player, slot, O_RDONLY);
    (void)ioctl(descriptor, FS_IOC_GETFLAGS, &flags);
    (void)close(descriptor);
    return (uint32_t)flags & EXT2DAX_FL_SETTABLE;
}

static struct ext2dax_time time_of(const struct timespec *time)
{
    return (struct ext2dax_time){.seconds = time->tv_sec, .nanoseconds = (uint32_t)time->tv_nsec};
}

static int64_t stat_inode(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct ext2dax_stat *seen = &outcome->stat;
    struct statx more;
    struct stat stat;

    if (fstatat(player->slot[call->slot], "", &stat, AT_EMPTY_PATH) != 0)
        return host_result(-1);
    memset(seen, 0, sizeof(*seen));
    seen->number = (uint32_t)stat.st_ino;
    seen->mode = (uint16_t)stat.st_mode;
    seen->links = (uint16_t)stat.st_nlink;
    seen->uid = stat.st_uid;
    seen->gid = stat.st_gid;
    seen->flags = host_flags(player, call->slot);
    if (S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode)) {
        seen->device_major = major(stat.st_rdev);
        seen->device_minor = minor(stat.st_rdev);
    }
    seen->size = (uint64_t)stat.st_size;
    seen->sectors = (uint64_t)stat.st_blocks;
    seen->mtime = time_of(&stat.st_mtim);
    seen->ctime = time_of(&stat.st_ctim);
    seen->atime = time_of(&stat.st_atim);
    /* An inode with room for the time of creation has room for nanoseconds. */
    seen->has_nanoseconds = statx(player->slot[call->slot], "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 &&
                            (more.stx_mask & STATX_BTIME) != 0;
    return 0;
}

static struct timespec moment(const struct call *call, unsigned bit, unsigned now_bit, int64_t after)
{
    if ((call->flags & now_bit) != 0)
        return (struct timespec){0, UTIME_NOW};
    if ((call->flags & bit) == 0)
        return (struct timespec){0, UTIME_OMIT};
    return (struct timespec){call->seconds + after, (long)call->nanoseconds};
}

static int64_t set_flags(struct player *player, const struct call *call)
{
    int descriptor = host_open(player, call->slot, O_RDONLY), flags = 0;
    int64_t result;

    if (descriptor < 0)
        return descriptor;
    (void)ioctl(descriptor, FS_IOC_GETFLAGS, &flags);
    flags = (int)(((unsigned)flags & ~EXT2DAX_FL_SETTABLE) | call->inode_flags);
    result = host_result(ioctl(descriptor, FS_IOC_SETFLAGS, &flags));
    (void)close(descriptor);
    return result;
}

static int64_t set_attributes(struct player *player, const struct call *call, struct outcome *outcome)
{
    const unsigned now = EXT2DAX_SET_ATIME_NOW | EXT2DAX_SET_MTIME_NOW;
    unsigned mode = host_mode(player, call->slot), flags = host_flags(player, call->slot);
    struct timespec times[2] = {moment(call, EXT2DAX_SET_ATIME, EXT2DAX_SET_ATIME_NOW, 1),
                                moment(call, EXT2DAX_SET_MTIME, EXT2DAX_SET_MTIME_NOW, 0)};
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", player->slot[call->slot]);
    if (call->flags == EXT2DAX_SET_FLAGS) {
        /* Linux changes no other flag of an inode that stays immutable. */
        outcome->unplayed = (!S_ISREG(mode) && !S_ISDIR(mode)) ||
                            ((flags & call->inode_flags & FS_IMMUTABLE_FL) != 0 && flags != call->inode_flags);
        return outcome->unplayed ? 0 : set_flags(player, call);
    }
    if (call->flags == EXT2DAX_SET_MODE) {
        /* Linux has no mode of a symbolic link. */
        outcome->unplayed = S_ISLNK(mode);
        return outcome->unplayed ? 0 : host_result(chmod(path, call->mode & 07777u));
    }
    if ((call->flags & (EXT2DAX_SET_UID | EXT2DAX_SET_GID)) != 0) {
        /* Linux clears setuid and setgid of a file that gets an owner. */
        outcome->unplayed = (mode & 06000u) != 0 && !S_ISDIR(mode);
        if (outcome->unplayed)
            return 0;
        return host_result(fchownat(player->slot[call->slot], "",
                                    (call->flags & EXT2DAX_SET_UID) != 0 ? call->uid : (uid_t)-1,
                                    (call->flags & EXT2DAX_SET_GID) != 0 ? call->gid : (gid_t)-1, AT_EMPTY_PATH));
    }
    /* Linux sets the present on an append-only file. */
    outcome->unplayed = (call->flags & now) != 0 && (flags & FS_APPEND_FL) != 0;
    return outcome->unplayed ? 0 : host_result(utimensat(AT_FDCWD, path, times, 0));
}

/* ---- extended attributes ---- */

static void split_names(struct outcome *outcome, size_t length)
{
    for (size_t at = 0; at < length; at += outcome->list[outcome->listed++].length + 1) {
        struct listed *listed = &outcome->list[outcome->listed];

        memset(listed, 0, sizeof(*listed));
        listed->length = strnlen((const char *)outcome->bytes + at, NAME_ROOM - 1);
        memcpy(listed->name, outcome->bytes + at, listed->length);
    }
}

static int64_t play_xattr(struct player *player, const struct call *call, struct outcome *outcome)
{
    static unsigned char value[VALUE_ROOM];
    unsigned mode = host_mode(player, call->slot);
    size_t room = call->length < 65536 ? (size_t)call->length : 65536;
    char name[NAME_ROOM], path[64];
    int64_t result;

    (void)xattr_text(call->name, name);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", player->slot[call->slot]);
    /* Linux gives attributes of users to files and directories only. */
    outcome->unplayed = !S_ISREG(mode) && !S_ISDIR(mode) && call->kind != CALL_LISTXATTR;
    if (outcome->unplayed)
        return 0;
    switch (call->kind) {
    case CALL_GETXATTR:
        result = host_result(getxattr(path, name, outcome->bytes, room));
        outcome->count = result > 0 && room != 0 ? (size_t)result : 0;
        return result;
    case CALL_LISTXATTR:
        result = host_result(listxattr(path, (char *)outcome->bytes, room));
        if (result > 0 && room != 0)
            split_names(outcome, (size_t)result);
        return result;
    case CALL_SETXATTR:
        return host_result(setxattr(path, name, value, xattr_value(call, value), (int)call->flags));
    default:
        return host_result(removexattr(path, name));
    }
}

int64_t host_play_attributes(struct player *player, const struct call *call, struct outcome *outcome)
{
    int64_t result;

    switch (call->kind) {
    case CALL_READLINK:
        outcome->unplayed = !S_ISLNK(host_mode(player, call->slot));
        if (outcome->unplayed)
            return 0;
        /* readlinkat() returns the bytes copied, and the length of the target is the size. */
        result = host_result(readlinkat(player->slot[call->slot], "", (char *)outcome->bytes, (size_t)call->length));
        outcome->count = result > 0 ? (size_t)result : 0;
        return result < 0 ? result : (int64_t)size_of(player, call->slot);
    case CALL_STAT:
        return stat_inode(player, call, outcome);
    case CALL_SETATTR:
        return set_attributes(player, call, outcome);
    default:
        return play_xattr(player, call, outcome);
    }
}
