/* SPDX-License-Identifier: MIT */
/*
 * Files used by Linux through a loop device, mounted or not. Opening such a file for writing is
 * refused with an explanation, under every name of the file. Loop devices and mounts are made in a
 * mount namespace ending with the test, and each device is detached at its last close.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/memory.h>

#include "../runner.h"

#define MIB ((uint64_t)1 << 20)

static char folder[] = "/tmp/ext2dax-in-use-XXXXXX";
static char image[64], note[256], device[32];
static unsigned number;
static struct ext2dax_memory memory;

static void name_it(char *to, size_t size, const char *name)
{
    snprintf(to, size, "%s/%s", folder, name);
}

/* Makes a filesystem of 8 MiB in a file, after `before` other bytes. */
static void make_image(uint64_t before)
{
    struct ext2dax_memory_file_options options = {
        .size = sizeof(options), .flags = EXT2DAX_FILE_CREATE, .length = 8 * MIB, .offset = before};

    unlink(image);
    ck_assert_int_eq(ext2dax_memory_open_file_with(image, &options, &memory), 0);
    ck_assert_int_eq(ext2dax_format(&memory, NULL, NULL), 0);
    ext2dax_memory_close_file(&memory);
}

static int open_it(const char *path, unsigned flags, uint64_t offset, uint64_t length)
{
    struct ext2dax_memory_file_options options = {.size = sizeof(options),
                                                  .flags = flags,
                                                  .length = length,
                                                  .offset = offset,
                                                  .note = note,
                                                  .note_size = sizeof(note)};
    int error = ext2dax_memory_open_file_with(path, &options, &memory);

    ext2dax_memory_close_file(&memory);
    return error;
}

/*
 * Attaches a loop device to [offset, offset + limit) of the file, to the end for a limit of 0.
 * Returns a negative value if no device is available.
 */
static int attach(const char *path, uint64_t offset, uint64_t limit, uint32_t flags)
{
    struct loop_info64 info = {.lo_offset = offset, .lo_sizelimit = limit, .lo_flags = flags | LO_FLAGS_AUTOCLEAR};
    int mode = flags & LO_FLAGS_READ_ONLY ? O_RDONLY : O_RDWR, answer = -1;
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = open(path, mode | O_CLOEXEC);

    for (int turn = 0; turn < 20 && answer < 0 && control >= 0 && file >= 0; turn++) {
        int free_one = ioctl(control, LOOP_CTL_GET_FREE);

        if (free_one < 0)
            break;
        number = (unsigned)free_one;
        snprintf(device, sizeof(device), "/dev/loop%u", number);
        answer = open(device, mode | O_CLOEXEC);
        if (answer >= 0 && (ioctl(answer, LOOP_SET_FD, file) != 0 || ioctl(answer, LOOP_SET_STATUS64, &info) != 0)) {
            close(answer);
            answer = -1; /* another process was faster */
        }
    }
    if (control >= 0)
        close(control);
    if (file >= 0)
        close(file);
    return answer;
}

static void check_refused(const char *path, unsigned flags, uint64_t offset, uint64_t length, const char *what)
{
    struct ext2dax_report report;
    struct stat before, after;
    char expected[256];
    uint64_t mark = ext2dax_host_mark();

    snprintf(expected, sizeof(expected), "%s/dev/loop%u", what, number);
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(open_it(path, flags, offset, length), -EXT2DAX_EBUSY);
    ck_assert_msg(strncmp(note, expected, strlen(expected)) == 0, "%s, not %s", note, expected);
    ck_assert(ext2dax_host_report(mark, -EXT2DAX_EBUSY, &report));
    ck_assert_str_eq(report.structure, "loop device");
    ck_assert_uint_eq(report.number, number);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
}

START_TEST(attached)
{
    char other[64];
    int loop;

    make_image(0);
    ck_assert_int_eq(open_it(image, 0, 0, 0), 0);
    ck_assert_str_eq(note, "");
    loop = attach(image, 0, 0, 0);
    ck_assert_int_ge(loop, 0);
    check_refused(image, 0, 0, 0, "backs ");
    check_refused(image, EXT2DAX_FILE_CREATE, 0, MIB, "backs ");
    ck_assert_int_eq(ext2dax_memory_open_file(image, 0, 0, &memory), -EXT2DAX_EBUSY);
    /* A read-only open succeeds, with a note about possible changes. */
    ck_assert_int_eq(open_it(image, EXT2DAX_FILE_READ_ONLY, 0, 0), 0);
    ck_assert_int_eq(strncmp(note, "backs /dev/loop", 15), 0);
    /*
     * Refused under another name, and after the device's name is removed or reused by another file.
     */
    name_it(other, sizeof(other), "other");
    ck_assert_int_eq(link(image, other), 0);
    check_refused(other, 0, 0, 0, "backs ");
    ck_assert_int_eq(unlink(image), 0);
    check_refused(other, 0, 0, 0, "backs ");
    ck_assert_int_eq(close(open(image, O_CREAT | O_RDWR, 0600)), 0);
    ck_assert_int_eq(truncate(image, (off_t)MIB), 0);
    ck_assert_int_eq(open_it(image, 0, 0, 0), 0);
    ck_assert_str_eq(note, "");
    check_refused(other, 0, 0, 0, "backs ");
    close(loop);
    ck_assert_int_eq(open_it(other, 0, 0, 0), 0);
    unlink(other);
}
END_TEST

/* Shows a device over a part of the file blocking an open of the same part only. */
START_TEST(attached_in_part)
{
    int loop;

    make_image(0);
    loop = attach(image, 2 * MIB, MIB, 0);
    ck_assert_int_ge(loop, 0);
    ck_assert_int_eq(open_it(image, 0, 0, 2 * MIB), 0);
    ck_assert_int_eq(open_it(image, 0, 3 * MIB, MIB), 0);
    ck_assert_int_eq(open_it(image, 0, 3 * MIB, 0), 0);
    ck_assert_str_eq(note, "");
    check_refused(image, 0, 0, 2 * MIB + 512, "backs ");
    check_refused(image, 0, 3 * MIB - 512, 0, "backs ");
    check_refused(image, 0, 2 * MIB + 4096, 4096, "backs ");
    check_refused(image, 0, 0, 0, "backs ");
    close(loop);
}
END_TEST

START_TEST(read_only)
{
    int loop;

    make_image(0);
    loop = attach(image, 0, 0, LO_FLAGS_READ_ONLY);
    ck_assert_int_ge(loop, 0);
    check_refused(image, 0, 0, 0, "backs ");
    ck_assert_int_eq(open_it(image, EXT2DAX_FILE_READ_ONLY, 0, 0), 0);
    ck_assert_str_eq(note, ""); /* nothing can change the file */
    close(loop);
}
END_TEST

/* Shows an open just after an unmount. The open waits for the device to be detached. */
START_TEST(on_its_way_out)
{
    pid_t child;
    int loop;

    make_image(0);
    loop = attach(image, 0, 0, 0);
    ck_assert_int_ge(loop, 0);
    child = fork();
    if (child == 0) {
        usleep(60000);
        _exit(0);
    }
    close(loop);
    ck_assert_int_eq(open_it(image, 0, 0, 0), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

static void mount_it(const char *block, const char *at, unsigned long flags)
{
    ck_assert_int_eq(mkdir(at, 0700), 0);
    if (mount(block, at, "ext2", flags, NULL) != 0)
        ck_abort_msg("mount: %s", strerror(errno));
}

static void unmount_it(const char *at)
{
    ck_assert_int_eq(umount(at), 0);
    ck_assert_int_eq(rmdir(at), 0);
}

START_TEST(mounted)
{
    char at[64], what[128];
    int loop;

    make_image(0);
    name_it(at, sizeof(at), "a place\n");
    loop = attach(image, 0, 0, 0);
    ck_assert_int_ge(loop, 0);
    mount_it(device, at, 0);
    close(loop);
    /* The image is not marked clean, so a mount would recover it. */
    snprintf(what, sizeof(what), "is mounted at %s/a place? by ", folder);
    check_refused(image, 0, 0, 0, what);
    check_refused(image, EXT2DAX_FILE_CREATE, 0, 8 * MIB, what);
    ck_assert_int_eq(open_it(image, EXT2DAX_FILE_READ_ONLY, 0, 0), 0);
    ck_assert_int_eq(strncmp(note, what, strlen(what)), 0);
    unmount_it(at);
    ck_assert_int_eq(open_it(image, 0, 0, 0), 0);
    ck_assert_str_eq(note, "");
}
END_TEST

/* Shows a mounted partition of the device. The rest of the file is also in use. */
START_TEST(mounted_partition)
{
    static const unsigned char table[66] = {[4] = 0x83, [9] = 8, [13] = 0x40, [64] = 0x55, [65] = 0xAA};
    char at[64], what[128], path[96], text[32] = "", node[64];
    unsigned major_number, minor_number;
    int loop, fd;

    make_image(MIB);
    fd = open(image, O_RDWR);
    /* A partition of 16384 sectors, starting at sector 2048. */
    ck_assert_int_eq(pwrite(fd, table, sizeof(table), 446), sizeof(table));
    close(fd);
    loop = attach(image, 0, 0, LO_FLAGS_PARTSCAN);
    ck_assert_int_ge(loop, 0);
    snprintf(path, sizeof(path), "/sys/block/loop%u/loop%up1/dev", number, number);
    fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, "%u:%u", &major_number, &minor_number) != 2) {
        printf("(this kernel has no partitions of loop devices)\n");
        close(loop);
        return;
    }
    close(fd);
    name_it(node, sizeof(node), "node");
    ck_assert_int_eq(mknod(node, S_IFBLK | 0600, makedev(major_number, minor_number)), 0);
    name_it(at, sizeof(at), "partition");
    mount_it(node, at, 0);
    close(loop);
    snprintf(what, sizeof(what), "is mounted at %s by ", at);
    check_refused(image, 0, 0, 0, what);
    check_refused(image, 0, MIB, 0, what);
    unmount_it(at);
    unlink(node);
}
END_TEST

/*
 * Prints the reason and returns true if the test must be skipped. Only root attaches loop devices,
 * and containers often have none.
 */
static bool left_out(void)
{
    const char *why = NULL;
    int loop;

    if (geteuid() != 0)
        why = "loop devices are root's";
    else if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
        why = "no mount namespace can be made";
    if (!why) {
        /* Assertions are not available before Check runs. */
        int fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

        loop = fd < 0 || ftruncate(fd, (off_t)MIB) != 0 ? -1 : attach(image, 0, 0, 0);
        if (fd >= 0)
            close(fd);
        if (loop < 0)
            why = "no loop device can be attached";
        else
            close(loop);
    }
    if (why)
        printf("skipped: %s\n", why);
    return why != NULL;
}

int main(void)
{
    Suite *suite = suite_create("files in use");
    TCase *tcase = add_case(suite, "files in use", 60);
    int status;

    if (!mkdtemp(folder))
        return skip("no directory in /tmp can be made");
    name_it(image, sizeof(image), "image");
    if (left_out()) {
        unlink(image);
        rmdir(folder);
        return SKIPPED;
    }
    tcase_add_test(tcase, attached);
    tcase_add_test(tcase, attached_in_part);
    tcase_add_test(tcase, read_only);
    tcase_add_test(tcase, on_its_way_out);
    tcase_add_test(tcase, mounted);
    tcase_add_test(tcase, mounted_partition);
    status = run_suite(suite);
    unlink(image);
    rmdir(folder);
    return status;
}
