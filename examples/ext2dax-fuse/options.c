/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "usage: ext2dax-fuse [OPTION]... IMAGE MOUNTPOINT\n"
                           "Mounts an ext2 image at a directory, by FUSE.\n"
                           "\n"
                           "  -f, --foreground     stay in the foreground\n"
                           "  -d, --debug          print every request, and stay in the foreground\n"
                           "  -o OPTION[,OPTION]   mount options\n"
                           "      --json[=FILE]    write statistics as JSON at SIGUSR1 and at the end,\n"
                           "                       to FILE or to standard output\n"
                           "  -h, --help           print this text\n"
                           "  -V, --version        print the version\n"
                           "\n"
                           "Mount options\n"
                           "  ro                   mount read-only\n"
                           "  noatime              never change access times (relatime otherwise)\n"
                           "  discard              make holes of freed blocks in the file of the image\n"
                           "  allow_other          let other users use the mount\n"
                           "  offset=BYTES         the image begins at this byte of the file\n"
                           "  writeback_cache      let the kernel gather small writes\n"
                           "  max_threads=N        serve at most N requests at a time\n"
                           "  suid dev nosuid nodev noexec sync dirsync auto_unmount allow_root max_read=N\n"
                           "                       as for every FUSE mount\n"
                           "\n"
                           "Unmount with umount or fusermount3 -u. A signal such as SIGTERM unmounts too.\n";

static enum parsed usage(const char *what, const char *why)
{
    failed(NULL, "%s: %s", what, why);
    fputs("Try 'ext2dax-fuse --help'.\n", stderr);
    return PARSED_USAGE;
}

static bool is_among(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(text, *list))
            return true;
    return false;
}

/* Passes an option to libfuse. */
static bool pass(struct options *options, const char *text)
{
    size_t used = strlen(options->kernel);

    return snprintf(options->kernel + used, sizeof(options->kernel) - used, ",%s", text) <
           (int)(sizeof(options->kernel) - used);
}

static bool number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    *value = strtoull(text, &end, 10);
    return !errno && !*end && *value <= most;
}

/* Parses a single mount option. */
static enum parsed mount_option(struct options *options, const char *text)
{
    static const char *const passed[] = {"allow_other", "allow_root", "auto_unmount", "suid", "nosuid",  "dev", "nodev",
                                         "exec",        "noexec",     "async",        "sync", "dirsync", NULL};
    /* Options of fstab and of mount, which need nothing here. */
    static const char *const ignored[] = {"rw",
                                          "nodiscard",
                                          "defaults",
                                          "auto",
                                          "noauto",
                                          "user",
                                          "nouser",
                                          "users",
                                          "nofail",
                                          "_netdev",
                                          "atime",
                                          "relatime",
                                          "default_permissions",
                                          NULL};
    uint64_t value = 0;

    if (!strcmp(text, "ro"))
        options->read_only = true;
    else if (!strcmp(text, "noatime"))
        options->no_atime = true;
    else if (!strcmp(text, "discard"))
        options->discard = true;
    else if (!strcmp(text, "writeback_cache"))
        options->writeback_cache = true;
    else if (!strncmp(text, "offset=", 7) && number(text + 7, INT64_MAX, &value))
        options->offset = value;
    else if (!strncmp(text, "max_threads=", 12) && number(text + 12, 1000, &value) && value)
        options->max_threads = (unsigned)value;
    else if (!is_among(text, ignored) && strncmp(text, "x-", 2) != 0 && !is_among(text, passed) &&
             (strncmp(text, "max_read=", 9) != 0 || !number(text + 9, UINT_MAX, &value)))
        return usage(text, "no such mount option, or a bad value");
    bool to_libfuse =
        is_among(text, passed) || !strcmp(text, "ro") || !strcmp(text, "noatime") || !strncmp(text, "max_read=", 9);
    return to_libfuse && !pass(options, text) ? usage(text, "too many mount options") : PARSED_MOUNT;
}

static enum parsed mount_options(struct options *options, const char *list)
{
    char *copy = strdup(list), *rest = copy;
    enum parsed parsed = PARSED_MOUNT;

    if (!copy)
        return usage(list, "no memory");
    for (char *one; parsed == PARSED_MOUNT && (one = strsep(&rest, ",")) != NULL;)
        if (*one)
            parsed = mount_option(options, one);
    free(copy);
    return parsed;
}

static bool is(const char *argument, const char *letter, const char *word)
{
    return !strcmp(argument, letter) || !strcmp(argument, word);
}

/* Parses an option other than -o. */
static enum parsed option(struct options *options, const char *argument)
{
    if (is(argument, "-h", "--help")) {
        fputs(help, stdout);
        return PARSED_DONE;
    }
    if (is(argument, "-V", "--version")) {
        printf("ext2dax-fuse %s, libfuse %s\n", ext2dax_version(), fuse_pkgversion());
        return PARSED_DONE;
    }
    if (is(argument, "-f", "--foreground"))
        options->foreground = true;
    else if (is(argument, "-d", "--debug"))
        options->foreground = options->debug = true;
    else if (!strcmp(argument, "--json"))
        options->json = "-";
    else if (!strncmp(argument, "--json=", 7) && argument[7])
        options->json = argument + 7;
    else
        return usage(argument, "no such option");
    return PARSED_MOUNT;
}

enum parsed options_parse(struct options *options, int argc, char **argv)
{
    bool only_names = false;
    enum parsed parsed = PARSED_MOUNT;

    for (int i = 1; i < argc && parsed == PARSED_MOUNT; i++) {
        if (!only_names && !strcmp(argv[i], "--"))
            only_names = true;
        else if (!only_names && !strcmp(argv[i], "-o"))
            parsed = ++i < argc ? mount_options(options, argv[i]) : usage("-o", "no mount options follow");
        else if (!only_names && !strncmp(argv[i], "-o", 2))
            parsed = mount_options(options, argv[i] + 2);
        else if (!only_names && argv[i][0] == '-' && argv[i][1])
            parsed = option(options, argv[i]);
        else if (!options->image)
            options->image = argv[i];
        else if (!options->mountpoint)
            options->mountpoint = argv[i];
        else
            parsed = usage(argv[i], "unexpected argument");
    }
    if (parsed == PARSED_MOUNT && !options->mountpoint)
        parsed = usage(options->image ? "MOUNTPOINT" : "IMAGE", "missing argument");
    return parsed;
}
