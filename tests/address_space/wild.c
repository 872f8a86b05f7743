/* SPDX-License-Identifier: MIT */
/*
 * A program with mappings under a sanitizer, which has a SIGSEGV handler of its own. Accesses to a
 * mapping are resolved. A wild access still reaches the sanitizer, which reports it and ends the
 * program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <ext2dax/hosted/process.h>

#define PAGE 4096u

static struct ext2dax_process *process;
static struct ext2dax_mount *mount;
static struct ext2dax_inode *root, *file;

static volatile unsigned char *open_mapping(void)
{
    struct ext2dax_format_options format = {.size = sizeof(format)};
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    void *at = NULL;

    if (ext2dax_memory_open_anonymous("wild", 8u << 20, &plugs.memory) != 0 ||
        ext2dax_format(&plugs.memory, &format, NULL) != 0 ||
        ext2dax_process_open(&plugs.memory, plugs.locks, NULL, &process) != 0)
        return NULL;
    plugs.address_space = ext2dax_process_address_space(process);
    if (ext2dax_mount(&plugs, &options, &mount) != 0 || ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) != 0 ||
        ext2dax_create(root, "f", 1, 0644, 0, 0, &file) != 0 || ext2dax_truncate(file, 16 * PAGE) != 0 ||
        ext2dax_process_map(process, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE, &at) != 0)
        return NULL;
    return at;
}

/* Runs in a child whose output is read. Uses the mapping, then makes a wild access. */
static void be_wild(void)
{
    volatile unsigned char *at = open_mapping(), *nowhere;

    if (!at)
        _exit(3);
    at[5 * PAGE] = 5;
    if (at[5 * PAGE] != 5 || at[6 * PAGE] != 0)
        _exit(4);
    fputs("the mapping works\n", stderr);
    nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    nowhere[7] = 1;
    fputs("the wild access went through\n", stderr);
    _exit(5);
}

int main(int argc, char **argv)
{
    static char said[65536];
    size_t length = 0;
    ssize_t got;
    int ends[2], status;
    pid_t child;
    bool good;

    if (argc != 2 || pipe(ends) != 0)
        return 1;
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        alarm(60);
        be_wild();
    }
    close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
        length += (size_t)got;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    good = strstr(said, "the mapping works") && strstr(said, argv[1]) && strstr(said, "SEGV") &&
           !strstr(said, "went through") && !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fputs(said, good ? stdout : stderr);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
