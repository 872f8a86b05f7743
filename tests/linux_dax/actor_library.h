/* SPDX-License-Identifier: MIT */
#ifndef ACTOR_LIBRARY_H
#define ACTOR_LIBRARY_H

#include "actor.h"
#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/process.h"

/*
 * An image file mounted by the library, with the address space of this process. Stores are page
 * faults.
 */
struct library {
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_process *process;
    struct ext2dax_mount *mount;
};

int library_open(struct library *library, const char *image, bool writable);
int library_close(struct library *library);

struct actor actor_library(struct library *library);

#endif
