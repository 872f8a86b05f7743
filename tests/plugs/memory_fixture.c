/* SPDX-License-Identifier: MIT */
#include "memory_fixture.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <ext2dax/error.h>
#include <ext2dax/hosted/memory.h>

char shm_directory[] = "/dev/shm/ext2dax-plugs-XXXXXX";
char tmp_directory[] = "/tmp/ext2dax-plugs-XXXXXX";

char path[64];
struct ext2dax_memory memory;

void memory_name_file(int place, const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", place == SHM ? shm_directory : tmp_directory, name);
}

int memory_open_new(int place, size_t size)
{
    switch (place) {
    case HEAP:
        return ext2dax_memory_open_heap(size, &memory);
    case ANONYMOUS:
        return ext2dax_memory_open_anonymous("plugs", size, &memory);
    default:
        memory_name_file(place, "image");
        unlink(path);
        return ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_EXCLUSIVE, size, &memory);
    }
}

void memory_close(int place)
{
    if (place == HEAP)
        ext2dax_memory_close_heap(&memory);
    else
        ext2dax_memory_close_file(&memory);
    ck_assert_ptr_null(memory.base);
    ck_assert_ptr_null(memory.ops);
    ck_assert_uint_eq(memory.size, 0);
}

int memory_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

bool memory_on_tmpfs(const char *at)
{
    struct statfs fs;

    return statfs(at, &fs) == 0 && fs.f_type == 0x01021994;
}

bool memory_is(const unsigned char *at, unsigned char byte, size_t length)
{
    return length == 0 || (at[0] == byte && memcmp(at, at + 1, length - 1) == 0);
}

int memory_check(const void *at, size_t length)
{
    return memory.ops->check ? memory.ops->check(memory.ctx, at, length) : 0;
}

bool memory_make_directories(void)
{
    return mkdtemp(tmp_directory) && mkdtemp(shm_directory);
}

void memory_remove_directories(void)
{
    snprintf(path, sizeof(path), "%s/image", shm_directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/image", tmp_directory);
    unlink(path);
    rmdir(shm_directory);
    rmdir(tmp_directory);
}
