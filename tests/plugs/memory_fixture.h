/* SPDX-License-Identifier: MIT */
/* The memory backends, each at every location of a file, for tests of the memory plug. */
#ifndef TESTS_PLUGS_MEMORY_FIXTURE_H
#define TESTS_PLUGS_MEMORY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include <ext2dax/hosted/memory.h>

#define HUGE ((size_t)2 << 20)
#define SIZE (3 * HUGE + 12345) /* odd, so not a multiple of any block or page size */

enum place { HEAP, ANONYMOUS, SHM, TMP, PLACES };

extern char shm_directory[], tmp_directory[];
extern char path[64];                /* of the file opened last, or named last */
extern struct ext2dax_memory memory; /* opened last */

/* Creates the two directories. Returns false if one of both cannot be created. */
bool memory_make_directories(void);
/* Removes the directories with the image of each. */
void memory_remove_directories(void);

/* Stores the path of a file below the directory of the place in `path`. */
void memory_name_file(int place, const char *name);
/* Opens a new image at the place. Returns 0 or a negative errno. */
int memory_open_new(int place, size_t size);
/* Closes the memory and checks that it is empty. */
void memory_close(int place);
/* Returns the number of descriptors of this process. */
int memory_descriptors(void);
bool memory_on_tmpfs(const char *at);
/* Returns whether all bytes have the value. */
bool memory_is(const unsigned char *at, unsigned char byte, size_t length);
/* Calls the `check` op, if the memory has one. */
int memory_check(const void *at, size_t length);

#endif
