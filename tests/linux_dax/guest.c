/* SPDX-License-Identifier: MIT */
/*
 * The init program, and only program, of a Linux guest with an image of this library as its
 * persistent memory. Loads the modules in /modules in order of their names, mounts /dev/pmem0 at
 * /image, runs the requested phase, and powers off.
 *
 *     init FIRST PHASE OPTION
 *
 * FIRST is the actor of phase 1 of the round trip, "linux" or "library". PHASE is the phase to run
 * here, after a check of the result of the earlier phases. A PHASE past the last only checks. If
 * the check fails, the phase is not run. OPTION is the mount option, "dax", or "plain" for none.
 *
 * Prints a line per check on the second serial port. The kernel's messages use the first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"
#include "round_trip.h"
#include "report.h"

#define DEVICE "/dev/pmem0"
#define ROOT   "/image"

_Noreturn static void off(void)
{
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

_Noreturn static void give_up(const char *what, const char *name)
{
    report(false, "%s %s: %s", what, name, strerror(errno));
    report_sum();
    off();
}

static void must_mount(const char *what, const char *at, const char *type, const char *options)
{
    if ((mkdir(at, 0755) < 0 && errno != EEXIST) || mount(what, at, type, 0, options) < 0)
        give_up("mount", at);
}

static void must_unmount(void)
{
    if (umount(ROOT) < 0)
        give_up("unmount", ROOT);
}

static void load_modules(void)
{
    struct dirent **names;
    int count = scandir("/modules", &names, NULL, alphasort), descriptor;
    char path[300];

    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
        descriptor = open(path, O_RDONLY | O_CLOEXEC);
        if (descriptor < 0 || (syscall(SYS_finit_module, descriptor, "", 0) < 0 && errno != EEXIST))
            give_up("load", path);
        close(descriptor);
    }
}

static void await_device(void)
{
    for (unsigned turns = 0; access(DEVICE, F_OK) < 0; turns++) {
        if (turns == 1000)
            give_up("wait for", DEVICE);
        usleep(10000);
    }
}

static void boot(void)
{
    int descriptor;

    /* An initramfs has no device files, so no output is possible before this point. */
    if ((mkdir("/dev", 0755) < 0 && errno != EEXIST) || mount("dev", "/dev", "devtmpfs", 0, "") < 0)
        off();
    descriptor = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
    if (descriptor < 0)
        off();
    dup2(descriptor, STDOUT_FILENO);
    must_mount("proc", "/proc", "proc", "");
    must_mount("sys", "/sys", "sysfs", "");
    must_mount("trace", "/trace", "tracefs", "");
    load_modules();
    await_device();
}

static void act(const char *option, bool linux_first, unsigned phase)
{
    struct round_trip *trip = calloc(1, sizeof(*trip));
    struct actor actor = actor_linux(ROOT);

    if (!trip)
        give_up("keep", "the round trip");
    trip->linux_first = linux_first;
    for (unsigned before = 1; before < phase; before++)
        round_trip_phase(trip, before, NULL);

    must_mount(DEVICE, ROOT, "ext2", option);
    guest_check_dax(ROOT);
    if (phase > 1)
        round_trip_check(trip, &actor, "as it came");
    if (phase <= ROUND_TRIP_PHASES && report_failures() == 0) {
        round_trip_phase(trip, phase, &actor);
        guest_check_faults(ROOT);
        round_trip_check(trip, &actor, "as it goes");
    }
    must_unmount();

    for (unsigned i = 0; round_trip_ranges(i); i++) {
        bool more = true;

        for (unsigned pass = 0; more; pass++) {
            must_mount(DEVICE, ROOT, "ext2", option);
            more = guest_count_ranges(ROOT, round_trip_ranges(i), pass);
            must_unmount();
        }
    }

    /* Shows the data on the device after a new mount, not only in Linux's memory. */
    must_mount(DEVICE, ROOT, "ext2", option);
    if (phase <= ROUND_TRIP_PHASES && trip->model.count != 0)
        round_trip_check(trip, &actor, "mounted again");
    must_unmount();
}

int main(int count, char **arguments)
{
    boot();
    view_catch_sigbus();
    if (count != 4) {
        errno = EINVAL;
        give_up("run", "init FIRST PHASE OPTION");
    }
    act(strcmp(arguments[3], "dax") == 0 ? "dax" : "", strcmp(arguments[1], "linux") == 0,
        (unsigned)atoi(arguments[2]));
    report_sum();
    off();
}
