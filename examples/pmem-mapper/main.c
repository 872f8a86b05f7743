/* SPDX-License-Identifier: MIT */
/*
 * The command line of pmem-mapper, which maps files of ext2 images into the process. The
 * commands are in the other files.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most arguments of a command with any number of paths. */
#define MANY UINT_MAX
/* The options of every command that changes the image. */
#define TAKES_CHANGE (TAKES_PLACE | TAKES_RECOVERY)

static const struct command {
    const char *name;
    unsigned least, most; /* number of arguments, the image included */
    unsigned takes;
    int (*run)(const struct request *request);
} commands[] = {
    {"format", 2, 2, TAKES_PLACE | TAKES_BLOCK_SIZE | TAKES_RESERVE | TAKES_IDENTITY, command_format},
    {"ls", 1, 2, TAKES_PLACE, command_ls},
    {"stat", 2, MANY, TAKES_PLACE, command_stat},
    {"put", 3, 3, TAKES_CHANGE | TAKES_RECURSIVE, command_put},
    {"get", 2, 3, TAKES_PLACE | TAKES_RECURSIVE | TAKES_MAPPED | TAKES_POPULATE, command_get},
    {"mkdir", 2, MANY, TAKES_CHANGE | TAKES_PARENTS | TAKES_MODE, command_mkdir},
    {"mknod", 3, 5, TAKES_CHANGE | TAKES_MODE, command_mknod},
    {"ln", 3, 3, TAKES_CHANGE | TAKES_SYMBOLIC, command_ln},
    {"mv", 3, 3, TAKES_CHANGE | TAKES_RENAME, command_mv},
    {"rm", 2, MANY, TAKES_CHANGE | TAKES_RECURSIVE, command_rm},
    {"chmod", 3, MANY, TAKES_CHANGE | TAKES_RECURSIVE, command_chmod},
    {"chown", 3, MANY, TAKES_CHANGE | TAKES_RECURSIVE | TAKES_NO_FOLLOW, command_chown},
    {"touch", 2, MANY, TAKES_CHANGE | TAKES_NO_FOLLOW | TAKES_NO_CREATE | TAKES_TIME, command_touch},
    {"getfattr", 2, 3, TAKES_PLACE | TAKES_NO_FOLLOW, command_getfattr},
    {"setfattr", 3, 4, TAKES_CHANGE | TAKES_NO_FOLLOW | TAKES_REMOVE, command_setfattr},
    {"map", 2, 2, TAKES_CHANGE | TAKES_JSON | TAKES_ACCESS | TAKES_POPULATE, command_map},
    {"truncate", 3, 3, TAKES_CHANGE, command_truncate},
    {"punch", 4, 4, TAKES_CHANGE, command_punch},
    {"race", 2, 2, TAKES_CHANGE | TAKES_THREADS | TAKES_SECONDS, command_race},
    {"churn", 2, 2, TAKES_CHANGE | TAKES_SECONDS, command_churn},
    {"demo", 0, 1, 0, command_demo},
};

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
 * Opens each closed standard descriptor. Otherwise the image would get this descriptor, and
 * messages would be written into the image. The replacement is read-only, so lost output
 * remains a failure.
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

/* Runs the command of a parsed command line. arguments[0] is the command. */
static int dispatch(struct request *request, const char **arguments, unsigned count, unsigned takes)
{
    if (!count)
        return usage("no command", "name one");
    const struct command *command = command_named(arguments[0]);
    if (!command)
        return usage(arguments[0], "unknown command");
    if (count - 1 < command->least || count - 1 > command->most)
        return usage(command->name, count - 1 < command->least ? "too few arguments" : "too many arguments");
    if (takes & ~command->takes)
        return usage(command->name, "an option that this command does not take");
    if ((request->collapse || request->populate) && request->access == ACCESS_NOTHING && !request->mapped)
        return usage(command->name, "--collapse and --populate go with --access, --populate also with --mapped");
    if (request->offset && request->partition)
        return usage(command->name, "--offset and --partition are two ways to say one thing");
    if (!request->locks.ops)
        return usage("--lock", "this build has no lock backend");
    if (command->run == command_race && request->locks.ops == ext2dax_locks_none().ops)
        return usage("race", "threads need locks: --lock none is for one thread");
    request->image = arguments[1];
    request->args = arguments + 2;
    signals_install();
    return finish(command->run(request));
}

int main(int argc, char **argv)
{
    unsigned count = 0, takes = 0;
    struct request request = {.program = argc ? argv[0] : "pmem-mapper",
                              .locks = ext2dax_locks_default(),
                              .block_size = 4096,
                              .threads = 4,
                              .seconds = 5};

    occupy_standard_descriptors();
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], "--help")) {
            fputs(help_text, stdout);
            return finish(0);
        }
        if (!strcmp(argv[i], "--version")) {
            printf("pmem-mapper %s\n", ext2dax_version());
            return finish(0);
        }
    }
    if (argc < 2) {
        fputs(help_text, stderr);
        return EXIT_USAGE;
    }
    /* The command, the image and a NULL are read even if they are missing. */
    const char **arguments = calloc((size_t)argc + 2, sizeof(*arguments));
    if (!arguments)
        return system_failed(NULL, ENOMEM, "the command line");
    int code = options_parse(&request, argv + 1, arguments, &count, &takes);
    if (!code)
        code = dispatch(&request, arguments, count, takes);
    free(arguments);
    return code;
}
