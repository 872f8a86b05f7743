/* SPDX-License-Identifier: MIT */
/* pmem-mapper: files of ext2 images mapped into this process. The command line; each command has a file of its own. */
#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    TAKES_BLOCK_SIZE = 1,
    TAKES_JSON = 2,
    TAKES_THREADS = 4,
    TAKES_RECOVERY = 8,
    TAKES_SECONDS = 16,
    TAKES_RESERVE = 32,
    TAKES_MAPPED = 64,
    TAKES_TOUCH = 128,
    TAKES_POPULATE = 256
};

#define MOST_ARGUMENTS 4

static const struct command {
    const char *name;
    unsigned least, most; /* arguments, the image included */
    unsigned takes;
    int (*run)(const struct request *request);
} commands[] = {
    {"format", 2, 2, TAKES_BLOCK_SIZE | TAKES_RESERVE, command_format},
    {"ls", 1, 2, 0, command_ls},
    {"put", 3, 3, TAKES_RECOVERY, command_put},
    {"get", 2, 3, TAKES_MAPPED | TAKES_POPULATE, command_get},
    {"map", 2, 2, TAKES_JSON | TAKES_TOUCH | TAKES_POPULATE | TAKES_RECOVERY, command_map},
    {"truncate", 3, 3, TAKES_RECOVERY, command_truncate},
    {"punch", 4, 4, TAKES_RECOVERY, command_punch},
    {"race", 2, 2, TAKES_THREADS | TAKES_SECONDS | TAKES_RECOVERY, command_race},
    {"churn", 2, 2, TAKES_SECONDS | TAKES_RECOVERY, command_churn},
    {"demo", 0, 1, 0, command_demo},
};

static const char help[] =
    "Usage: pmem-mapper COMMAND ... [OPTION ...]\n"
    "Maps files of an ext2 image into this process: page faults are resolved by libext2dax.\n"
    "\n"
    "  format IMAGE SIZE            make an empty image; a file that is there is formatted over\n"
    "           --block-size N      1024, 2048 ... 65536 (4096)\n"
    "           --reserve           have the host filesystem allocate all of the image now, so that it cannot run\n"
    "                               full under it later\n"
    "  ls IMAGE [PATH]              inode, mode, links, owner, group, size, mtime (UTC) and name\n"
    "  put IMAGE HOSTFILE PATH      copy a file in, creating or replacing PATH\n"
    "  get IMAGE PATH [HOSTFILE]    copy a file out, to standard output without HOSTFILE or with -\n"
    "           --mapped            by system calls on the window itself: each page is resolved for the kernel, which\n"
    "                               takes --fault userfaultfd; by sigsegv it fails with EFAULT\n"
    "           --populate          with --mapped: pages are made present first, so that it works by sigsegv, too\n"
    "  map IMAGE PATH               extents, holes and huge windows, and a picture of them:\n"
    "           --json              {\"size\",\"block_size\",\"extents\",\"holes\",\"huge_windows\",\"windows\"}, in "
    "blocks\n"
    "           --touch[=write]     instead: map PATH in windows of this process, load a byte of every page, or store\n"
    "                               one, and tell what that took: faults handled here, page faults of the kernel's\n"
    "                               own, mappings made and given up, and how much is mapped by huge entries\n"
    "           --collapse          with --touch: have the kernel make huge pages of the image's memory first met\n"
    "           --populate          with --touch: make pages present before they are touched\n"
    "  truncate IMAGE PATH SIZE     set the size\n"
    "  punch IMAGE PATH OFFSET LENGTH\n"
    "                               make a hole\n"
    "  race IMAGE PATH              threads load and store through mappings of PATH while another truncates,\n"
    "                               extends and punches it, and a second file (PATH.second, removed again) takes\n"
    "                               its blocks; PATH is created where it is missing, its contents are lost\n"
    "           --threads N         1 to 64 (4)\n"
    "           --seconds S         1 to 86400 (5)\n"
    "  churn IMAGE SEED             make, write, store to, truncate, punch and remove files churn.0 ... of the root,\n"
    "                               telling each step before it begins and when it is durable: for whoever kills it\n"
    "           --seconds S         1 to 86400 (5)\n"
    "  demo [IMAGE]                 all of it, on a new image, which it leaves to look at\n"
    "\n"
    "  --no-recovery                    with a command that changes IMAGE: refuse it if it was not cleanly unmounted,\n"
    "                                   for e2fsck, instead of mending what a crash left\n"
    "  --lock none|atomic_ops|pthread   how threads exclude each other (the best this build has)\n"
    "  --fault sigsegv|userfaultfd      how this process learns of page faults; userfaultfd takes privilege\n"
    "  --help, --version\n"
    "\n"
    "A window is 2 MiB of a file (blocks and pages of 4 KiB); it is huge when one aligned run of blocks backs it.\n"
    "put counts the blocks it needs first; failing later all the same, it removes the file it created, or leaves the "
    "one\n"
    "it was replacing empty. Sizes take the suffixes K, M, G and T. Exit status: 0 done, 1 failed, 2 usage.\n";

static int usage(const char *what, const char *why)
{
    fprintf(stderr, "pmem-mapper: %s: %s\nTry 'pmem-mapper --help'.\n", what, why);
    return EXIT_USAGE;
}

static int option_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char why[96];

    if (!number_parse(text, value) && *value >= least && *value <= most)
        return 0;
    snprintf(why, sizeof(why), "'%.20s' is not a number from %llu to %llu", text, (unsigned long long)least,
             (unsigned long long)most);
    return usage(name, why);
}

static int option_lock(struct request *request, const char *text)
{
    char why[96];

    request->locks = ext2dax_locks_by_name(text);
    if (request->locks.ops)
        return 0;
    snprintf(why, sizeof(why), "'%.40s' is not a lock backend of this build", text);
    return usage("--lock", why);
}

static int option_fault(struct request *request, const char *text)
{
    bool userfaultfd = !strcmp(text, "userfaultfd");

    if (!userfaultfd && strcmp(text, "sigsegv") != 0)
        return usage("--fault", "takes sigsegv or userfaultfd");
    request->way = userfaultfd ? EXT2DAX_PROCESS_USERFAULTFD : EXT2DAX_PROCESS_SIGSEGV;
    return 0;
}

/* One option that takes a value; `takes` collects which commands it is for. */
static int option_value(struct request *request, const char *name, const char *text, unsigned *takes)
{
    uint64_t value;
    int code;

    if (!strcmp(name, "--lock"))
        return option_lock(request, text);
    if (!strcmp(name, "--fault"))
        return option_fault(request, text);
    if (!strcmp(name, "--block-size")) {
        code = option_number(name, text, 1024, 65536, &value);
        if (code)
            return code;
        if (value & (value - 1))
            return usage(name, "not a power of two");
        request->block_size = (uint32_t)value;
        *takes |= TAKES_BLOCK_SIZE;
        return 0;
    }
    bool threads = !strcmp(name, "--threads");
    code = option_number(name, text, 1, threads ? 64 : 86400, &value);
    if (code)
        return code;
    *(threads ? &request->threads : &request->seconds) = (unsigned)value;
    *takes |= threads ? TAKES_THREADS : TAKES_SECONDS;
    return 0;
}

/* An option that is all there is to say; false: it is none. */
static bool option_alone(struct request *request, const char *text, unsigned *takes)
{
    const struct {
        const char *name;
        bool *set;
        unsigned takes;
    } alone[] = {
        {"--json", &request->json, TAKES_JSON},          {"--reserve", &request->reserve, TAKES_RESERVE},
        {"--mapped", &request->mapped, TAKES_MAPPED},    {"--no-recovery", &request->no_recovery, TAKES_RECOVERY},
        {"--collapse", &request->collapse, TAKES_TOUCH}, {"--populate", &request->populate, TAKES_POPULATE},
    };

    if (!strcmp(text, "--touch") || !strcmp(text, "--touch=read") || !strcmp(text, "--touch=write")) {
        request->touch = strcmp(text, "--touch=write") ? TOUCH_READ : TOUCH_WRITE;
        *takes |= TAKES_TOUCH;
        return true;
    }
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (!strcmp(text, alone[i].name)) {
            *alone[i].set = true;
            *takes |= alone[i].takes;
            return true;
        }
    }
    return false;
}

static bool wants_value(const char *name)
{
    static const char *const names[] = {"--lock", "--fault", "--block-size", "--threads", "--seconds"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Splits the command line into options and arguments. Options may stand anywhere up to "--". */
static int parse(struct request *request, char **argv, const char **arguments, unsigned *count, unsigned *takes)
{
    bool options = true;

    for (char **at = argv; *at; at++) {
        char name[32];
        if (!options || (*at)[0] != '-' || !(*at)[1]) {
            if (*count > MOST_ARGUMENTS)
                return usage(*at, "too many arguments");
            arguments[(*count)++] = *at;
            continue;
        }
        if (!strcmp(*at, "--")) {
            options = false;
            continue;
        }
        if (option_alone(request, *at, takes))
            continue;
        size_t length = strcspn(*at, "=");
        snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : 0), *at);
        if (!wants_value(name))
            return usage(*at, "unknown option");
        const char *text = (*at)[length] ? *at + length + 1 : *++at;
        if (!text)
            return usage(name, "wants a value");
        int code = option_value(request, name, text, takes);
        if (code)
            return code;
    }
    return 0;
}

static int finish(int code)
{
    errno = 0;
    if (fflush(stdout) || ferror(stdout))
        return system_failed(NULL, errno ? errno : EIO, "standard output");
    return code;
}

static const struct command *command_named(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/*
 * A standard descriptor that is closed would become the image's, and what is said would be written into it. What stands
 * in for it cannot be written to: output that goes nowhere stays a failure.
 */
static void occupy_standard_descriptors(void)
{
    int descriptor;

    do
        descriptor = open("/dev/null", O_RDONLY);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

int main(int argc, char **argv)
{
    const char *arguments[MOST_ARGUMENTS + 2] = {NULL};
    unsigned count = 0, takes = 0;
    struct request request = {.program = argc ? argv[0] : "pmem-mapper",
                              .locks = ext2dax_locks_default(),
                              .block_size = 4096,
                              .threads = 4,
                              .seconds = 5};

    occupy_standard_descriptors();
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(help, stdout);
            return finish(0);
        }
        if (!strcmp(argv[i], "--version")) {
            printf("pmem-mapper %s\n", ext2dax_version());
            return finish(0);
        }
    }
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    int code = parse(&request, argv + 1, arguments, &count, &takes);
    if (code)
        return code;
    if (!count)
        return usage("no command", "name one");
    const struct command *command = command_named(arguments[0]);
    if (!command)
        return usage(arguments[0], "unknown command");
    if (count - 1 < command->least || count - 1 > command->most)
        return usage(command->name, count - 1 < command->least ? "too few arguments" : "too many arguments");
    if (takes & ~command->takes)
        return usage(command->name, "an option that this command does not take");
    if ((request.collapse || request.populate) && request.touch == TOUCH_NOTHING && !request.mapped)
        return usage(command->name, "--collapse and --populate go with --touch, --populate also with --mapped");
    if (!request.locks.ops)
        return usage("--lock", "this build has no lock backend");
    if (command->run == command_race && request.locks.ops == ext2dax_locks_none().ops)
        return usage("race", "threads need locks: --lock none is for one thread");
    request.image = arguments[1];
    request.args = arguments + 2;
    signals_install();
    return finish(command->run(&request));
}
