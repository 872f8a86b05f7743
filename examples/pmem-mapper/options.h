/* SPDX-License-Identifier: MIT */
/* The command line of pmem-mapper, shared by main.c, options.c and help.c. */
#ifndef PMEM_MAPPER_OPTIONS_H
#define PMEM_MAPPER_OPTIONS_H

#include "mapper.h"

/* An option, or a group of options with the same meaning for the commands. */
enum {
    TAKES_BLOCK_SIZE = 0x1,
    TAKES_JSON = 0x2,
    TAKES_THREADS = 0x4,
    TAKES_RECOVERY = 0x8,
    TAKES_SECONDS = 0x10,
    TAKES_RESERVE = 0x20,
    TAKES_MAPPED = 0x40,
    TAKES_ACCESS = 0x80,
    TAKES_POPULATE = 0x100,
    TAKES_PLACE = 0x200,
    TAKES_RECURSIVE = 0x400,
    TAKES_SYMBOLIC = 0x800,
    TAKES_PARENTS = 0x1000,
    TAKES_NO_FOLLOW = 0x2000,
    TAKES_NO_CREATE = 0x4000,
    TAKES_MODE = 0x8000,
    TAKES_TIME = 0x10000,
    TAKES_RENAME = 0x20000,
    TAKES_REMOVE = 0x40000,
    TAKES_IDENTITY = 0x80000
};

/* help.c. */
extern const char help_text[];

/*
 * Parses the command line after the program. Stores the arguments in `arguments`, which has room
 * for all of them, and their number in *count. Collects the TAKES_ flags of the options in
 * *takes. Returns 0, or prints a usage error and returns an exit code.
 */
int options_parse(struct request *request, char **argv, const char **arguments, unsigned *count, unsigned *takes);

#endif
