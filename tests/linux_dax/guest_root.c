/* SPDX-License-Identifier: MIT */
/*
 * The init program of a Linux guest whose root filesystem is an image on persistent memory. The
 * program runs twice. In the initramfs it loads the modules in /modules, mounts /dev/pmem0 with DAX
 * as the new root, and executes the copy of itself in the image. In the image it maps the file
 * /data and its own constants, and prints
 *
 *     root NAME PMD_RANGES HUGE FAULTS
 *
 * for each. HUGE counts the huge faults in the trace of the kernel, and FAULTS all page faults.
 * Every block is read before, because Linux maps a range beyond a pointer block huge only if the
 * blocks are known.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "report.h"
#include "trace.h"

#define PMD_RANGE ((size_t)2 << 20)
#define PAGE      ((size_t)4096)
#define FILLERS   ((size_t)3 << 21) /* bytes of `filler` */

/* Constants of three whole ranges, in memory and in the file of the program. */
__asm__(".pushsection .rodata\n"
        ".balign 2097152\n"
        ".globl filler\n"
        "filler: .fill 1572864, 4, 0x12345678\n"
        ".popsection\n");
extern const unsigned char filler[];

_Noreturn static void off(void)
{
    fflush(stdout);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static void must(bool good, const char *text)
{
    if (good)
        return;
    report(false, "%s: %s", text, strerror(errno));
    report_sum();
    off();
}

/* ---- in the initramfs ---- */

static void load_modules(void)
{
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort);
    char path[300];

    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
        int descriptor = open(path, O_RDONLY | O_CLOEXEC);
        must(descriptor >= 0 && (syscall(SYS_finit_module, descriptor, "", 0) == 0 || errno == EEXIST), path);
        close(descriptor);
    }
    for (unsigned turns = 0; access("/dev/pmem0", F_OK) < 0; turns++) {
        must(turns < 1000, "/dev/pmem0");
        usleep(10000);
    }
}

static void enter_root(char **arguments)
{
    if ((mkdir("/dev", 0755) < 0 && errno != EEXIST) || mount("dev", "/dev", "devtmpfs", 0, "") < 0)
        off();
    int descriptor = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
    if (descriptor < 0)
        off();
    dup2(descriptor, STDOUT_FILENO);
    load_modules();
    mkdir("/image", 0755);
    must(mount("/dev/pmem0", "/image", "ext2", MS_RDONLY, "dax") == 0, "mount with DAX");
    must(mount("/dev", "/image/dev", NULL, MS_MOVE, NULL) == 0, "move /dev");
    must(mount("proc", "/image/proc", "proc", 0, "") == 0, "/proc");
    must(mount("trace", "/image/trace", "tracefs", 0, "") == 0, "/trace");
    must(chdir("/image") == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0, "the root");
    fflush(stdout);
    execv("/init", arguments);
    must(false, "execute the program of the image");
}

/* ---- in the image ---- */

static long faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void read_all(int descriptor)
{
    static unsigned char buffer[65536];
    off_t at = 0;
    ssize_t got;

    while ((got = pread(descriptor, buffer, sizeof(buffer), at)) > 0)
        at += got;
    must(got == 0, "read");
}

/* Touches every page of whole ranges, and prints the counts. */
static void count(const char *name, const volatile unsigned char *at, size_t length)
{
    unsigned char sum = 0;

    must(trace_put(TRACE "trace", "") && trace_put(EVENT, "1"), "the trace");
    long before = faults();
    for (size_t i = 0; i < length; i += PAGE)
        sum |= at[i];
    long taken = faults() - before;
    must(trace_put(EVENT, "0"), "the trace");
    report(sum != 0, "%s has data", name);
    printf("root %s %zu %u %ld\n", name, length / PMD_RANGE, trace_huge_faults(), taken);
}

static void look(void)
{
    struct stat status;

    int descriptor = open("/data", O_RDONLY | O_CLOEXEC);
    must(descriptor >= 0 && fstat(descriptor, &status) == 0, "/data");
    read_all(descriptor);
    size_t length = (size_t)status.st_size / PMD_RANGE * PMD_RANGE;
    void *at = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, 0);
    must(at != MAP_FAILED, "map /data");
    count("data", at, length);

    int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    must(program >= 0, "/proc/self/exe");
    read_all(program);
    count("program", filler, FILLERS);
}

int main(int count_, char **arguments)
{
    (void)count_;
    if (access("/modules", F_OK) == 0)
        enter_root(arguments);
    look();
    report_sum();
    off();
}
