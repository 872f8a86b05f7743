/* SPDX-License-Identifier: MIT */
/* The statistics, as JSON. */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[REQUESTS] = {
    "lookup",          "forget", "getattr", "setattr", "readlink", "mknod",    "mkdir",     "unlink",      "rmdir",
    "symlink",         "rename", "link",    "open",    "create",   "read",     "write",     "lseek",       "fallocate",
    "copy_file_range", "fsync",  "readdir", "statfs",  "getxattr", "setxattr", "listxattr", "removexattr", "ioctl",
};

static unsigned long long load(atomic_uint_fast64_t *counter)
{
    return (unsigned long long)atomic_load_explicit(counter, memory_order_relaxed);
}

static void write_to(struct server *server, FILE *to)
{
    struct ext2dax_statfs figures;
    struct ext2dax_counters counters;

    ext2dax_statfs(server->mount, &figures, sizeof(figures));
    ext2dax_count(server->mount, &counters, sizeof(counters));
    fputs("{\"requests\": {", to);
    for (unsigned i = 0; i < REQUESTS; i++)
        fprintf(to, "%s\"%s\": %llu", i ? ", " : "", names[i], load(&server->requests[i]));
    fprintf(to, "}, \"failures\": %llu, \"bytes_read\": %llu, \"bytes_written\": %llu", load(&server->failures),
            load(&server->bytes_read), load(&server->bytes_written));
    fprintf(to, ", \"blocks_allocated\": %llu, \"blocks_freed\": %llu, \"fences\": %llu",
            (unsigned long long)counters.blocks_allocated, (unsigned long long)counters.blocks_freed,
            (unsigned long long)counters.fences);
    fprintf(to, ", \"block_size\": %u, \"free_blocks\": %llu, \"free_inodes\": %llu}\n", figures.block_size,
            (unsigned long long)figures.free_blocks, (unsigned long long)figures.free_inodes);
}

void statistics_write(struct server *server)
{
    const char *path = server->options->json;

    if (!path)
        return;
    FILE *to = strcmp(path, "-") ? fopen(path, "w") : stdout;
    if (to)
        write_to(server, to);
    if (!to || fflush(to) || (to != stdout && fclose(to)))
        failed(server->options->image, "write statistics to %s: %s", path, strerror(errno));
}
