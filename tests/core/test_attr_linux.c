/* SPDX-License-Identifier: MIT */
/*
 * Compares attributes and times with Linux, through loop mounts by the drivers ext2 and ext4. Linux
 * sets and the library reads, then the library sets and Linux reads. Values read by Linux come from
 * a second mount, so the values come from the image and not from inodes in core.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "../runner.h"
#include "../skip.h"
#include "names_fixture.h"

static struct fixture f;
static char base[] = "/tmp/ext2dax-attributes-XXXXXX", at[64]; /* all mounts are below `base` */

static const struct {
    const char *driver;
    unsigned inode_size;
} kinds[] = {{"ext2", 128}, {"ext2", 256}, {"ext4", 128}, {"ext4", 256}};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static const struct {
    int64_t seconds;
    uint32_t nanoseconds;
} times[] = {
    {-2147483648, 0},        {-1, 999999999},          {0, 1},
    {1767225600, 123456789}, {2147483647, 5},          {2147483648, 999999999},
    {4294967296 + 100, 7},   {15032385535, 999999999},
};
#define TIMES ((int)(sizeof(times) / sizeof(times[0])))

static void mount_linux(const char *driver)
{
    snprintf(at, sizeof(at), "%s/%ld", base, (long)getpid());
    ck_assert(mkdir(at, 0700) == 0);
    ck_assert_int_eq(run(&f, "mount -t %s -o loop %s %s", driver, f.path, at), 0);
}

static void unmount_linux(void)
{
    ck_assert_int_eq(run(&f, "umount %s", at), 0);
    ck_assert(rmdir(at) == 0);
}

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", at, name);
    return path;
}

static struct statx stat_linux(const char *name)
{
    struct statx figures;

    ck_assert_int_eq(statx(AT_FDCWD, path_of(name), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &figures), 0);
    return figures;
}

static void same_time(struct ext2dax_time ours, struct statx_timestamp theirs)
{
    ck_assert_int_eq(ours.seconds, theirs.tv_sec);
    ck_assert_uint_eq(ours.nanoseconds, theirs.tv_nsec);
}

/*
 * Returns whether the inode has extra words of times. Either driver may be the code of ext4. The
 * code of ext2 has seconds of 32 bits in every inode.
 */
static bool is_wide(const struct statx *seen)
{
    return (seen->stx_mask & STATX_BTIME) != 0;
}

static struct ext2dax_inode *find_no_follow(const char *name)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_lookup_path(f.mount, name, strlen(name), EXT2DAX_NO_FOLLOW, &inode), 0);
    return inode;
}

/* Compares everything that both sides return. */
static void agree_on(const char *name, const struct statx *theirs)
{
    struct ext2dax_inode *inode = find_no_follow(name);
    struct ext2dax_stat ours;

    ext2dax_stat(inode, &ours, sizeof(ours));
    ext2dax_inode_put(inode);
    ck_assert_uint_eq(ours.number, theirs->stx_ino);
    ck_assert_uint_eq(ours.mode, theirs->stx_mode);
    ck_assert_uint_eq(ours.links, theirs->stx_nlink);
    ck_assert_uint_eq(ours.uid, theirs->stx_uid);
    ck_assert_uint_eq(ours.gid, theirs->stx_gid);
    ck_assert_uint_eq(ours.size, theirs->stx_size);
    ck_assert_uint_eq(ours.sectors, theirs->stx_blocks);
    if (S_ISCHR(ours.mode) || S_ISBLK(ours.mode)) {
        ck_assert_uint_eq(ours.device_major, theirs->stx_rdev_major);
        ck_assert_uint_eq(ours.device_minor, theirs->stx_rdev_minor);
    }
    same_time(ours.mtime, theirs->stx_mtime);
    same_time(ours.ctime, theirs->stx_ctime);
    same_time(ours.atime, theirs->stx_atime);
    ck_assert_int_eq(ours.has_created, is_wide(theirs));
    if (is_wide(theirs))
        same_time(ours.created, theirs->stx_btime);
}

/* Returns the flags of a file. The ioctl transfers an int. */
static uint32_t flags_linux(const char *name)
{
    int fd = open(path_of(name), O_RDONLY), flags = 0;

    ck_assert(fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0);
    close(fd);
    return (uint32_t)flags;
}

static void make_node(const char *name, mode_t mode, unsigned major, unsigned minor)
{
    ck_assert_int_eq(mknod(path_of(name), mode, makedev(major, minor)), 0);
}

static const char *const nodes[] = {"old", "new", "block", "largest", "pipe", "link", "directory"};
#define NODES ((int)(sizeof(nodes) / sizeof(nodes[0])))

static const char *file_name(int i)
{
    static char name[16];

    snprintf(name, sizeof(name), "file%d", i);
    return name;
}

static void set_by_linux(void)
{
    int flags = FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL, fd;

    make_node("old", S_IFCHR | 0640, 1, 3);
    make_node("new", S_IFCHR | 0604, 8, 0x12345);
    make_node("block", S_IFBLK | 0600, 259, 1);
    make_node("largest", S_IFBLK | 0600, 4095, 1048575);
    make_node("pipe", S_IFIFO | 0622, 0, 0);
    ck_assert_int_eq(symlink("file0", path_of("link")), 0);
    ck_assert_int_eq(mkdir(path_of("directory"), 01777), 0);
    for (int i = 0; i < TIMES; i++) {
        struct timespec both[2] = {{times[i].seconds, times[i].nanoseconds}, {times[i].seconds, times[i].nanoseconds}};

        fd = open(path_of(file_name(i)), O_CREAT | O_RDWR, 0600);
        ck_assert(fd >= 0 && write(fd, "data", 4) == 4);
        ck_assert(fchown(fd, 0x12345678, 0x23456789) == 0 && fchmod(fd, 04751) == 0);
        ck_assert(futimens(fd, both) == 0);
        ck_assert(i != 0 || ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0);
        close(fd);
    }
}

START_TEST(linux_sets)
{
    struct statx files[TIMES], others[NODES];
    struct ext2dax_inode *inode;
    struct ext2dax_stat ours;
    uint32_t flags;

    fixture_open(&f, 2048, "-I %u -b 1024", kinds[_i].inode_size);
    mount_linux(kinds[_i].driver);
    set_by_linux();
    unmount_linux();
    mount_linux(kinds[_i].driver);
    for (int i = 0; i < TIMES; i++)
        files[i] = stat_linux(file_name(i));
    for (int i = 0; i < NODES; i++)
        others[i] = stat_linux(nodes[i]);
    flags = flags_linux("file0");
    unmount_linux();
    fixture_mount(&f);
    for (int i = 0; i < TIMES; i++)
        agree_on(file_name(i), &files[i]);
    for (int i = 0; i < NODES; i++)
        agree_on(nodes[i], &others[i]);
    inode = find(&f, "file0");
    ext2dax_stat(inode, &ours, sizeof(ours));
    ck_assert_uint_eq(ours.flags, flags);
    ck_assert_uint_eq(ours.flags, EXT2DAX_FL_NODUMP | EXT2DAX_FL_NOATIME | EXT2DAX_FL_SYNC);
    ext2dax_inode_put(inode);
    fixture_unmount(&f);
    check_clean(&f);
    fixture_close(&f);
}
END_TEST

/* Sets other attributes in all inodes made by Linux. */
static void set_by_library(const char *name, int i)
{
    struct ext2dax_time time = {.seconds = times[i].seconds, .nanoseconds = times[i].nanoseconds};
    struct ext2dax_attributes wanted = {.size = sizeof(wanted),
                                        .set = 0x7F,
                                        .mode = (uint16_t)(02713 + i),
                                        .uid = 0x70000000u + (unsigned)i,
                                        .gid = 0x60000000u + (unsigned)i,
                                        .mtime = time,
                                        .ctime = time,
                                        .atime = time,
                                        .created = time};
    struct ext2dax_inode *inode = find_no_follow(name);

    ck_assert_int_eq(ext2dax_setattr(inode, &wanted), 0);
    if (i == 1) {
        wanted = (struct ext2dax_attributes){.size = sizeof(wanted),
                                             .set = EXT2DAX_SET_FLAGS | EXT2DAX_SET_CTIME,
                                             .flags = EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND | EXT2DAX_FL_NODUMP,
                                             .ctime = time};
        ck_assert_int_eq(ext2dax_setattr(inode, &wanted), 0);
    }
    ext2dax_inode_put(inode);
}

START_TEST(library_sets)
{
    struct statx seen;

    fixture_open(&f, 2048, "-I %u -b 1024", kinds[_i].inode_size);
    mount_linux(kinds[_i].driver);
    set_by_linux();
    unmount_linux();
    fixture_mount(&f);
    for (int i = 0; i < TIMES; i++)
        set_by_library(file_name(i), i);
    for (int i = 0; i < NODES; i++)
        set_by_library(nodes[i], 3);
    fixture_unmount(&f);
    check_clean(&f);
    mount_linux(kinds[_i].driver);
    for (int i = 0; i < TIMES; i++) {
        int64_t seconds;
        bool wide;

        seen = stat_linux(file_name(i));
        wide = is_wide(&seen);
        ck_assert(wide == (kinds[_i].inode_size == 256) || strcmp(kinds[_i].driver, "ext2") == 0);
        seconds = wide || times[i].seconds <= INT32_MAX ? times[i].seconds : INT32_MAX;
        ck_assert_uint_eq(seen.stx_mode, S_IFREG | (02713u + (unsigned)i));
        ck_assert_uint_eq(seen.stx_uid, 0x70000000u + (unsigned)i);
        ck_assert_uint_eq(seen.stx_gid, 0x60000000u + (unsigned)i);
        ck_assert_int_eq(seen.stx_mtime.tv_sec, seconds);
        ck_assert_int_eq(seen.stx_ctime.tv_sec, seconds);
        ck_assert_int_eq(seen.stx_atime.tv_sec, seconds);
        ck_assert_uint_eq(seen.stx_mtime.tv_nsec, wide ? times[i].nanoseconds : 0);
        if (wide)
            ck_assert_int_eq(seen.stx_btime.tv_sec, seconds);
    }
    ck_assert_uint_eq(flags_linux(file_name(1)) & 0xF0, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND | EXT2DAX_FL_NODUMP);
    ck_assert_int_eq(chmod(path_of(file_name(1)), 0600), -1);
    seen = stat_linux("new");
    ck_assert_uint_eq(seen.stx_mode, S_IFCHR | 02716);
    ck_assert_uint_eq(seen.stx_rdev_major, 8);
    ck_assert_uint_eq(seen.stx_rdev_minor, 0x12345);
    unmount_linux();
    fixture_close(&f);
}
END_TEST

static int shell(const char *format, const char *argument)
{
    char command[512];

    snprintf(command, sizeof(command), format, argument, base);
    return system(command);
}

/* Returns whether Linux mounts an image with the driver. */
static bool can_mount(const char *driver)
{
    return shell("PATH=$PATH:/usr/sbin:/sbin; driver=%s; cd %s && mkdir at && truncate -s 512k image && "
                 "mke2fs -q -t ext2 image && mount -t $driver -o loop image at 2>/dev/null && umount at; s=$?; "
                 "rmdir at; rm image; exit $s",
                 driver) == 0;
}

static int run_tests(void)
{
    Suite *suite = suite_create("attributes of Linux");
    TCase *all = add_case(suite, "attributes of Linux", 60);

    tcase_add_loop_test(all, linux_sets, 0, KINDS);
    tcase_add_loop_test(all, library_sets, 0, KINDS);
    return run_suite(suite);
}

int main(void)
{
    int status;

    if (!fixture_tools())
        return SKIPPED;
    if (geteuid() != 0)
        return skip("only root mounts");
    if (!mkdtemp(base))
        return skip("no directory for mounts");
    if (can_mount("ext2") && can_mount("ext4"))
        status = run_tests();
    else
        status = skip("no loop mount by the drivers ext2 and ext4");
    /* A failed test leaves its mount. A mount namespace would keep mounts of other tests alive. */
    (void)shell("%s for at in %s/*; do umount $at; rmdir $at; done 2>/dev/null", "");
    (void)rmdir(base);
    return status;
}
