/* SPDX-License-Identifier: MIT */
/* Names by system calls, and the differences between Linux and the headers. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int64_t host_result(int64_t result)
{
    return result < 0 ? -(int64_t)errno : result;
}

/* ---- what system calls cannot express ---- */

/* Seconds at the ends of the range of an inode of 256 bytes, with room for the other times. */
#define EARLIEST (-((int64_t)1 << 31))
#define LATEST   (((int64_t)3 << 32) + INT32_MAX - 4)

static bool can_name(unsigned number)
{
    /* A name of the host has no NUL, and a slash divides two names. An empty path is ENOENT. */
    return number != NAME_EMPTY && number != NAME_SLASH && number != NAME_NUL;
}

static bool can_path(const struct call_path *path)
{
    /* Linux requires a directory in front of a final slash, and has no path of 4096 bytes. */
    if (path->count == 0 || path->slashes || path->dots > 1500)
        return false;
    for (unsigned i = 0; i < path->count; i++) {
        if (!can_name(path->name[i]))
            return false;
    }
    return true;
}

static bool can_create(const struct call *call)
{
    unsigned type = call->mode & EXT2DAX_S_IFMT;

    if (!can_name(call->name) || (call->kind == CALL_SYMLINK && !can_path(&call->path)))
        return false;
    if (call->kind != CALL_CREATE_AS && call->kind != CALL_MKNOD)
        return true;
    /* mknod() makes files and nodes, and knows no other attribute. */
    /* The flags that Linux hands down from the directory are taken back from files of create(). */
    return call->flags == 0 && type != 0 && type != EXT2DAX_S_IFREG && type != EXT2DAX_S_IFDIR &&
           type != EXT2DAX_S_IFLNK && (type & 0x3000) != 0x3000 && call->major < 4096 && call->minor < 1u << 20;
}

static bool can_set(const struct call *call)
{
    const unsigned times = EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME | EXT2DAX_SET_ATIME_NOW | EXT2DAX_SET_MTIME_NOW;
    const unsigned owner = EXT2DAX_SET_UID | EXT2DAX_SET_GID;

    /*
     * Each system call sets one kind of attribute. None sets ctime or the time of creation. Linux
     * stores a time outside the range of an inode as a whole second, and the library as the nearest
     * nanosecond.
     */
    if (call->flags == EXT2DAX_SET_MODE || (call->flags & ~owner) == 0 || (call->flags & ~times) == 0)
        return call->flags != 0 && call->nanoseconds < 1000000000u && call->seconds > EARLIEST &&
               call->seconds < LATEST;
    return call->flags == EXT2DAX_SET_FLAGS && (call->inode_flags & ~EXT2DAX_FL_SETTABLE) == 0;
}

static bool can_xattr(const struct call *call)
{
    /* Linux also changes the mode with an ACL. Names end at NUL. The longest value is 64 KiB. */
    return call->kind == CALL_LISTXATTR ||
           (call->name != XATTR_NUL && call->name != XATTR_ACL_ACCESS && call->name != XATTR_ACL_DEFAULT &&
            call->flags < 3 && call->length <= (call->kind == CALL_SETXATTR ? 65536 : IO_ROOM));
}

bool host_can(const struct call *call)
{
    if (call->more_links != 0)
        return false;
    switch ((enum call_kind)call->kind) {
    case CALL_CREATE:
    case CALL_CREATE_AS:
    case CALL_MKDIR:
    case CALL_MKNOD:
    case CALL_SYMLINK:
        return can_create(call);
    case CALL_LINK:
    case CALL_UNLINK:
    case CALL_RMDIR:
    case CALL_LOOKUP:
        return can_name(call->name);
    case CALL_RENAME:
        return can_name(call->name) && can_name(call->other_name) && call->flags < 3;
    case CALL_LOOKUP_PATH:
        return can_path(&call->path) && call->flags < 2;
    case CALL_SETATTR:
        return can_set(call);
    case CALL_GETXATTR:
    case CALL_SETXATTR:
    case CALL_LISTXATTR:
    case CALL_REMOVEXATTR:
        return can_xattr(call);
    case CALL_READ:
    case CALL_WRITE:
        return call->offset < HOST_OFFSETS && call->length < IO_ROOM;
    case CALL_TRUNCATE:
    case CALL_PUNCH:
    case CALL_ZERO_RANGE:
    case CALL_ALLOCATE:
        return call->offset < HOST_OFFSETS && (call->kind != CALL_ALLOCATE || call->flags == 0);
    case CALL_REMOUNT:
        return call->flags <= EXT2DAX_MOUNT_READ_ONLY;
    /*
     * No system call has an inode number. Only the library reports which blocks exist, because
     * punch of Linux keeps the last block of a file if the range ends inside.
     */
    case CALL_GET:
    case CALL_SEEK:
    case CALL_MAP:
    case CALL_FSYNC_RANGE:
        return false;
    default:
        return true;
    }
}

/*
 * Differences between the headers and Linux. Nothing changes on either side. Where several reasons
 * apply, Linux may report another reason. ANY stands for every kind of call.
 */
#define ANY CALL_KINDS
static const struct difference {
    enum call_kind kind;
    int library, host;
    const char *reason;
} differences[] = {
    {CALL_RENAME, EXT2DAX_EINVAL, EBUSY, "Linux says EBUSY for the names \".\" and \"..\""},
    {CALL_RENAME, EXT2DAX_EINVAL, EEXIST, "Linux says EEXIST for the names \".\" and \"..\" with NOREPLACE"},
    {CALL_RENAME, EXT2DAX_EPERM, 0, "Linux leaves two names of one inode before it looks at the flags"},
    {CALL_RENAME, EXT2DAX_EROFS, EBUSY, "Linux looks at the names before the mount"},
    {ANY, EXT2DAX_EROFS, EEXIST, "Linux looks for the name before the mount"},
    {ANY, EXT2DAX_EROFS, ENOENT, "Linux looks for the name before the mount"},
    {CALL_RENAME, EXT2DAX_EPERM, ENOENT, "Linux looks for both names before the flags"},
    {CALL_RENAME, EXT2DAX_EPERM, EEXIST, "Linux looks for both names before the flags"},
    {ANY, EXT2DAX_ENOENT, EEXIST, "Linux finds \".\" and \"..\" in a removed directory"},
    {ANY, EXT2DAX_EPERM, EEXIST, "Linux looks for the name before the flags of the directory"},
    {ANY, EXT2DAX_EPERM, ENOENT, "Linux looks for the name before the flags of the directory"},
    {ANY, EXT2DAX_ENAMETOOLONG, ENOTDIR, "Linux looks at the directory before the length of a name"},
    {ANY, EXT2DAX_ENAMETOOLONG, ENOENT, "Linux looks for the first name before the length of the second"},
    {CALL_SYMLINK, EXT2DAX_ENAMETOOLONG, EEXIST, "Linux looks for the name before the length of a target"},
    {CALL_CREATE_AS, EXT2DAX_ENAMETOOLONG, EEXIST, "Linux looks for the name before the length of a target"},
    {ANY, EXT2DAX_ENAMETOOLONG, EROFS, "Linux looks at the mount before the length of a name"},
    {CALL_RENAME, EXT2DAX_EINVAL, ENOTDIR, "Linux looks at the directories before the names \".\" and \"..\""},
    {CALL_RENAME, EXT2DAX_EINVAL, ENAMETOOLONG, "Linux looks at the length before the names \".\" and \"..\""},
    {CALL_RENAME, EXT2DAX_EISDIR, ENOTEMPTY, "Linux finds an ancestor as the target before the kinds"},
    {CALL_RENAME, EXT2DAX_EPERM, ENOTEMPTY, "Linux finds an ancestor as the target before the flags"},
    {CALL_RENAME, EXT2DAX_ENOTDIR, EINVAL, "Linux finds a directory above the target before the kinds"},
    {CALL_RENAME, EXT2DAX_EPERM, EINVAL, "Linux finds a directory above the target before the flags"},
    {CALL_RENAME, EXT2DAX_ENOTDIR, EPERM, "Linux looks at the flags of an inode before the kinds"},
    {CALL_RENAME, EXT2DAX_EISDIR, EPERM, "Linux looks at the flags of an inode before the kinds"},
    {CALL_RENAME, EXT2DAX_EPERM, ENOTDIR, "Linux looks at the old name before the new directory"},
    {CALL_RENAME, EXT2DAX_EPERM, EISDIR, "Linux looks at the old name before the new directory"},
    {CALL_RENAME, EXT2DAX_EPERM, EBUSY, "Linux looks at the names before the flags"},
    {CALL_UNLINK, EXT2DAX_EISDIR, EPERM, "Linux looks at the flags of an inode before the kind"},
    {CALL_UNLINK, EXT2DAX_EPERM, EISDIR, "Linux looks at the names \".\" and \"..\" before the flags"},
    {CALL_UNLINK, EXT2DAX_EROFS, EISDIR, "Linux looks at the names \".\" and \"..\" before the mount"},
    {CALL_UNLINK, EXT2DAX_ENOENT, EISDIR, "Linux looks at the names \".\" and \"..\" before the directory"},
    {CALL_RMDIR, EXT2DAX_ENOTDIR, EPERM, "Linux looks at the flags of an inode before the kind"},
    {CALL_RMDIR, EXT2DAX_EPERM, EINVAL, "Linux looks at the names \".\" and \"..\" before the flags"},
    {CALL_RMDIR, EXT2DAX_EPERM, ENOTEMPTY, "Linux looks at the names \".\" and \"..\" before the flags"},
    {CALL_RMDIR, EXT2DAX_EROFS, EINVAL, "Linux looks at the names \".\" and \"..\" before the mount"},
    {CALL_RMDIR, EXT2DAX_EROFS, ENOTEMPTY, "Linux looks at the names \".\" and \"..\" before the mount"},
    {CALL_RMDIR, EXT2DAX_ENOENT, EINVAL, "Linux looks at the names \".\" and \"..\" before the directory"},
    {CALL_RMDIR, EXT2DAX_ENOENT, ENOTEMPTY, "Linux looks at the names \".\" and \"..\" before the directory"},
    {CALL_RMDIR, EXT2DAX_ENOTEMPTY, ENOTDIR, "Linux looks at the directory before the names"},
    {CALL_LINK, EXT2DAX_ENOENT, EPERM, "Linux looks at the flags before the link count"},
    {CALL_GETXATTR, EXT2DAX_EINVAL, ERANGE, "Linux says ERANGE for an empty or long name of an attribute"},
    {CALL_SETXATTR, EXT2DAX_EINVAL, ERANGE, "Linux says ERANGE for an empty or long name of an attribute"},
    {CALL_REMOVEXATTR, EXT2DAX_EINVAL, ERANGE, "Linux says ERANGE for an empty or long name of an attribute"},
    {CALL_SETXATTR, EXT2DAX_EOPNOTSUPP, EROFS, "Linux looks at the mount before the prefix"},
    {CALL_REMOVEXATTR, EXT2DAX_EOPNOTSUPP, EROFS, "Linux looks at the mount before the prefix"},
    {CALL_SETXATTR, EXT2DAX_EOPNOTSUPP, EPERM, "Linux looks at the flags of the inode before the prefix"},
    {CALL_REMOVEXATTR, EXT2DAX_EOPNOTSUPP, EPERM, "Linux looks at the flags of the inode before the prefix"},
    {CALL_SETXATTR, EXT2DAX_EINVAL, EROFS, "Linux looks at the mount before the rest of the name"},
    {CALL_REMOVEXATTR, EXT2DAX_EINVAL, EROFS, "Linux looks at the mount before the rest of the name"},
    {CALL_SETXATTR, EXT2DAX_EINVAL, EPERM, "Linux looks at the flags of the inode before the rest of the name"},
    {CALL_REMOVEXATTR, EXT2DAX_EINVAL, EPERM, "Linux looks at the flags of the inode before the rest of the name"},
};

bool host_differs(enum call_kind kind, int64_t expected, int64_t seen)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        const struct difference *known = &differences[i];

        if ((known->kind == kind || known->kind == ANY) && known->library == -expected && known->host == -seen)
            return true;
    }
    return false;
}

/* ---- slots ---- */

unsigned host_mode(const struct player *player, unsigned slot)
{
    struct stat stat;

    return fstatat(player->slot[slot], "", &stat, AT_EMPTY_PATH) == 0 ? stat.st_mode : 0;
}

static bool is_removed(const struct player *player, unsigned slot)
{
    struct stat stat;

    return fstatat(player->slot[slot], "", &stat, AT_EMPTY_PATH) == 0 && stat.st_nlink == 0;
}

static bool is_root(const struct player *player, unsigned slot)
{
    struct stat stat, root;

    return fstatat(player->slot[slot], "", &stat, AT_EMPTY_PATH) == 0 &&
           fstatat(player->slot[0], "", &root, AT_EMPTY_PATH) == 0 && stat.st_ino == root.st_ino &&
           stat.st_dev == root.st_dev;
}

int host_open(struct player *player, unsigned slot, int flags)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", player->slot[slot]);
    return (int)host_result(open(path, flags | O_CLOEXEC));
}

static void drop(struct player *player, unsigned slot)
{
    if (player->slot[slot] >= 0)
        (void)close(player->slot[slot]);
    player->slot[slot] = -1;
    player->cookie[slot] = 0;
}

static int64_t keep(struct player *player, unsigned into, int descriptor)
{
    if (descriptor < 0)
        return host_result(descriptor);
    if (into == NO_SLOT) {
        (void)close(descriptor);
        return 0;
    }
    drop(player, into);
    player->slot[into] = descriptor;
    return 0;
}

bool host_enter(struct player *player)
{
    for (unsigned i = 0; i < ALL_SLOTS; i++)
        player->slot[i] = -1;
    (void)umask(0);
    player->slot[0] = open(player->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return player->slot[0] >= 0;
}

bool host_ask(struct player *player)
{
    int probe = openat(player->slot[0], "probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (probe < 0)
        return false;
    player->can_allocate = fallocate(probe, 0, 0, 1) == 0;
    player->can_zero = fallocate(probe, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 1) == 0;
    player->can_punch = fallocate(probe, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1) == 0;
    (void)close(probe);
    return unlinkat(player->slot[0], "probe", 0) == 0;
}

void host_leave(struct player *player)
{
    for (unsigned i = 0; i < ALL_SLOTS; i++)
        drop(player, i);
}

void host_clock(struct player *player, int64_t seconds)
{
    (void)player;
    (void)seconds;
}

/* ---- names ---- */

/*
 * Gives a new inode the owner, the mode and the flags of the call, whatever the directory hands
 * down.
 */
static int64_t dress(struct player *player, const struct call *call, const char *name)
{
    int directory = player->slot[call->slot], descriptor;
    unsigned mode = call->kind == CALL_SYMLINK ? 0777u : call->mode & 07777u;
    int flags = 0;

    if (fchownat(directory, name, call->uid, call->gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        (call->kind != CALL_SYMLINK && fchmodat(directory, name, mode, 0) != 0))
        return host_result(-1);
    if (call->kind == CALL_CREATE || call->kind == CALL_MKDIR) {
        descriptor = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        (void)ioctl(descriptor, FS_IOC_GETFLAGS, &flags);
        flags &= ~(int)EXT2DAX_FL_SETTABLE;
        (void)ioctl(descriptor, FS_IOC_SETFLAGS, &flags);
        (void)close(descriptor);
    }
    descriptor = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return keep(player, call->into, descriptor);
}

static int64_t create(struct player *player, const struct call *call)
{
    char name[NAME_ROOM], target[PATH_ROOM];
    int directory = player->slot[call->slot], result;
    unsigned type = call->kind == CALL_CREATE || (call->mode & S_IFMT) == 0 ? S_IFREG : call->mode & S_IFMT;
    dev_t device = type == S_IFCHR || type == S_IFBLK ? makedev(call->major, call->minor) : 0;

    (void)name_text(call->name, name);
    (void)path_text(&call->path, target);
    if (call->kind == CALL_MKDIR)
        result = mkdirat(directory, name, 0700);
    else if (call->kind == CALL_SYMLINK)
        result = symlinkat(target, directory, name);
    else
        result = mknodat(directory, name, type | 0600, device);
    return result != 0 ? host_result(result) : dress(player, call, name);
}

static int64_t change_names(struct player *player, const struct call *call)
{
    char name[NAME_ROOM], other_name[NAME_ROOM], path[64];
    int slot = player->slot[call->slot], other = player->slot[call->other];

    (void)name_text(call->name, name);
    (void)name_text(call->other_name, other_name);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", slot);
    switch (call->kind) {
    case CALL_LINK:
        return host_result(linkat(AT_FDCWD, path, other, name, AT_SYMLINK_FOLLOW));
    case CALL_UNLINK:
        return host_result(unlinkat(slot, name, 0));
    case CALL_RMDIR:
        return host_result(unlinkat(slot, name, AT_REMOVEDIR));
    default:
        return host_result(renameat2(slot, name, other, other_name, call->flags));
    }
}

static int64_t look_up(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_XDEV};
    char text[PATH_ROOM];
    int at, descriptor;

    if (call->kind == CALL_LOOKUP) {
        (void)name_text(call->name, text);
        /* Linux finds "." and ".." in a removed directory. */
        outcome->unplayed = text[0] == '.' && is_removed(player, call->slot);
        if (outcome->unplayed)
            return 0;
        /* The root of a mount is its own parent here. No lookup leaves the mount. */
        how.flags |= O_NOFOLLOW;
        how.resolve = RESOLVE_NO_XDEV;
        at = player->slot[call->slot];
        if (is_root(player, call->slot) && strcmp(text, "..") == 0)
            text[1] = '\0';
        return keep(player, call->into, (int)syscall(SYS_openat2, at, text, &how, sizeof(how)));
    }
    (void)path_text(&call->path, text);
    if ((call->flags & EXT2DAX_NO_FOLLOW) != 0)
        how.flags |= O_NOFOLLOW;
    /* Linux gives up where any mount or name of the system changes during a walk through "..". */
    do {
        descriptor = (int)syscall(SYS_openat2, player->slot[0], text, &how, sizeof(how));
    } while (descriptor < 0 && errno == EAGAIN);
    return keep(player, call->into, descriptor);
}

static uint8_t type_of(unsigned char type)
{
    switch (type) {
    case DT_REG:
        return EXT2DAX_FT_REG;
    case DT_DIR:
        return EXT2DAX_FT_DIR;
    case DT_CHR:
        return EXT2DAX_FT_CHR;
    case DT_BLK:
        return EXT2DAX_FT_BLK;
    case DT_FIFO:
        return EXT2DAX_FT_FIFO;
    case DT_SOCK:
        return EXT2DAX_FT_SOCK;
    case DT_LNK:
        return EXT2DAX_FT_LNK;
    default:
        return EXT2DAX_FT_UNKNOWN;
    }
}

/*
 * Lists at most `most` names from a cookie on. The directory is opened anew, because the C library
 * reads names in advance.
 */
static int64_t list(struct player *player, unsigned slot, uint64_t most, int64_t *cookie, struct outcome *outcome)
{
    int descriptor = openat(player->slot[slot], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *entry = NULL;
    DIR *directory;
    int64_t result;

    if (descriptor < 0)
        return host_result(descriptor);
    (void)lseek(descriptor, *cookie, SEEK_SET);
    directory = fdopendir(descriptor);
    errno = 0;
    while (directory && outcome->listed < most && outcome->listed < LISTED_ROOM && (entry = readdir(directory))) {
        struct listed *listed = &outcome->list[outcome->listed++];

        memset(listed, 0, sizeof(*listed));
        listed->length = strlen(entry->d_name);
        memcpy(listed->name, entry->d_name, listed->length);
        listed->number = (uint32_t)entry->d_ino;
        listed->type = type_of(entry->d_type);
        *cookie = entry->d_off;
    }
    result = host_result(errno != 0 ? -1 : 0);
    outcome->ended = !entry;
    (void)closedir(directory);
    return result;
}

static int64_t read_directory(struct player *player, const struct call *call, struct outcome *outcome)
{
    int64_t start = 0, *cookie = call->kind == CALL_READDIR_PART ? &player->cookie[call->slot] : &start;
    uint64_t most = call->kind == CALL_READDIR_PART ? call->length : LISTED_ROOM;
    int64_t result;

    if (S_ISDIR(host_mode(player, call->slot)) && is_removed(player, call->slot)) {
        outcome->ended = true;
        *cookie = 0;
        return 0;
    }
    result = list(player, call->slot, most, cookie, outcome);
    if (outcome->ended)
        *cookie = 0;
    return result;
}

static int64_t play_mount(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct statvfs figures;
    int descriptor;

    if (call->kind == CALL_SYNC) {
        descriptor = host_open(player, 0, O_RDONLY | O_DIRECTORY);
        (void)syncfs(descriptor);
        (void)close(descriptor);
        return 0;
    }
    if (fstatvfs(player->slot[0], &figures) != 0)
        return host_result(-1);
    memset(&outcome->statfs, 0, sizeof(outcome->statfs));
    outcome->statfs.block_size = (uint32_t)figures.f_bsize;
    outcome->statfs.blocks = figures.f_blocks;
    outcome->statfs.free_blocks = figures.f_bfree;
    outcome->statfs.free_inodes = figures.f_ffree;
    outcome->statfs.read_only = (figures.f_flag & ST_RDONLY) != 0;
    outcome->statfs.max_file_size = outcome->statfs.max_grow_size = HOST_OFFSETS * 2;
    return 0;
}

static bool is_played(const struct player *player, const struct call *call)
{
    switch (call->kind) {
    case CALL_ALLOCATE:
        return player->can_allocate;
    case CALL_ZERO_RANGE:
        return player->can_zero;
    case CALL_PUNCH:
        return player->can_punch;
    case CALL_STATFS:
        return true;
    default:
        return call->kind < CALL_REMOUNT;
    }
}

static int64_t hold(struct player *player, const struct call *call)
{
    if (call->into == NO_SLOT)
        return 0;
    if (call->into == call->slot) {
        player->cookie[call->slot] = 0;
        return 0;
    }
    return keep(player, call->into, fcntl(player->slot[call->slot], F_DUPFD_CLOEXEC, 3));
}

void host_play(struct player *player, const struct call *call, struct outcome *outcome)
{
    outcome->listed = 0;
    outcome->count = 0;
    outcome->ended = false;
    outcome->result = 0;
    outcome->unplayed = !is_played(player, call);
    outcome->nothing = player->slot[call->slot] < 0 ||
                       ((call->kind == CALL_RENAME || call->kind == CALL_LINK) && player->slot[call->other] < 0);
    if (outcome->nothing || outcome->unplayed)
        return;
    if (call->kind <= CALL_SYMLINK)
        outcome->result = create(player, call);
    else if (call->kind <= CALL_RENAME)
        outcome->result = change_names(player, call);
    else if (call->kind <= CALL_LOOKUP_PATH)
        outcome->result = look_up(player, call, outcome);
    else if (call->kind <= CALL_READDIR_PART)
        outcome->result = read_directory(player, call, outcome);
    else if (call->kind == CALL_HOLD)
        outcome->result = hold(player, call);
    else if (call->kind == CALL_PUT)
        call->slot != 0 ? drop(player, call->slot) : (void)0;
    else if (call->kind <= CALL_REMOVEXATTR)
        outcome->result = host_play_attributes(player, call, outcome);
    else if (call->kind <= CALL_FSYNC_RANGE)
        outcome->result = host_play_file(player, call, outcome);
    else
        outcome->result = play_mount(player, call, outcome);
}
