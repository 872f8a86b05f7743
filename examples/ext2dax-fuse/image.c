/* SPDX-License-Identifier: MIT */
/*
 * The image. Opens the file, mounts with recovery, and unmounts.
 *
 * The library reports the progress and the repairs of recovery to the log. Both come only in the
 * thread that mounts.
 */
#include "server.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Thread_local bool privileged;

void image_privileged(bool is)
{
    privileged = is;
}

/* The daemon itself is privileged. Only requests of the superuser may use reserved blocks. */
static bool may_use_reserved(void *ctx)
{
    (void)ctx;
    return privileged;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Recovery, as far as the terminal shows. */
static struct {
    double started, drawn;
    unsigned kinds; /* of repairs printed */
} recovery;

static void draw_step(uint64_t done, uint64_t total)
{
    double now = seconds_now();

    if (!total || !isatty(STDERR_FILENO) || now - recovery.started < 1 || now - recovery.drawn < 0.1)
        return;
    recovery.drawn = now;
    fprintf(stderr, "\rrecovering %3u%%", (unsigned)(100 * (done < total ? done : total) / total));
    fflush(stderr);
}

static void draw_end(void)
{
    if (recovery.drawn > 0)
        fputs("\r\033[K", stderr);
    recovery.drawn = 0;
}

/*
 * Is the log hook of the host. Prints what recovery did, and warnings. Errors are printed by the
 * failing step at mount, and later returned to the program that uses the mount.
 */
static void note_report(void *arg, const struct ext2dax_report *report)
{
    const struct server *server = arg;
    char text[256];

    if (report->level == EXT2DAX_LEVEL_INFO && !report->error && !strcmp(report->structure, "recovery step")) {
        draw_step(report->number, report->value);
    } else if (report->level == EXT2DAX_LEVEL_INFO && !report->error && !strcmp(report->structure, "recovery")) {
        draw_end();
        if (report->number)
            failed(server->options->image, "recovered: %llu %s %s", (unsigned long long)report->value, report->field,
                   report->reason);
        else
            failed(server->options->image, "was not cleanly unmounted, but nothing had to be repaired");
    } else if (report->level == EXT2DAX_LEVEL_WARNING || (report->level == EXT2DAX_LEVEL_ERROR && server->mount)) {
        ext2dax_report_text(report, text, sizeof(text));
        failed(server->options->image, "%s: %s", report->level == EXT2DAX_LEVEL_WARNING ? "warning" : "error", text);
    }
}

static int open_memory(struct server *server)
{
    char note[256] = "";
    struct ext2dax_memory_file_options options = {.size = sizeof(options),
                                                  .flags = server->options->read_only ? EXT2DAX_FILE_READ_ONLY : 0,
                                                  .offset = server->options->offset,
                                                  .note = note,
                                                  .note_size = sizeof(note)};
    const char *what = server->options->read_only ? "open" : "open for writing";

    int error = ext2dax_memory_open_file_with(server->image, &options, &server->memory);
    if (error && *note)
        return failed(server->options->image, "%s: %s", what, note);
    if (error == -EXT2DAX_EBUSY)
        return failed(server->options->image, "%s: the image is mounted already, or open in another program", what);
    if (error)
        return failed(server->options->image, "%s: %s", what, strerror(-error));
    if (*note)
        failed(server->options->image, "warning: %s: the content may change while it is read", note);
    server->memory_open = true;
    return 0;
}

int image_open(struct server *server)
{
    char why[640];
    int code = open_memory(server);
    if (code)
        return code;

    struct ext2dax_host_options host_options = {.size = sizeof(host_options), .log = note_report, .log_arg = server};
    int error = ext2dax_host_open(&host_options, &server->host);
    if (error)
        return failed(server->options->image, "open: %s", strerror(-error));
    server->host_open = true;
    memcpy(&server->host_ops, server->host.ops, sizeof(server->host_ops));
    server->host_ops.may_use_reserved = may_use_reserved;
    copy_open(server);

    /*
     * Through the page cache, the memory of hosted/ makes zeroes durable at once. Nothing of an
     * unordered mount is durable before fsync, so plain stores are enough here.
     */
    memcpy(&server->memory_ops, server->memory.ops, sizeof(server->memory_ops));
    if (ext2dax_memory_kind(&server->memory) == EXT2DAX_FILE_PAGE_CACHE)
        server->memory_ops.zero = NULL;
    struct ext2dax_memory memory = server->memory;
    memory.ops = &server->memory_ops;

    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(),
                                  .memory = memory,
                                  .host = {.ops = &server->host_ops, .ctx = server->host.ctx}};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = (server->options->read_only ? EXT2DAX_MOUNT_READ_ONLY : 0u) |
                                                     (server->options->discard ? EXT2DAX_MOUNT_DISCARD : 0u),
                                            .recover = ext2dax_recover};
    recovery.started = seconds_now();
    uint64_t mark = ext2dax_host_mark();
    error = ext2dax_mount(&plugs, &options, &server->mount);
    draw_end();
    if (error) {
        ext2dax_host_describe(mark, error, why, sizeof(why));
        return failed(server->options->image, "mount: %s%s", why,
                      error == -EXT2DAX_EUCLEAN && !server->options->read_only ? "; run e2fsck" : "");
    }
    ext2dax_statfs(server->mount, &server->figures, sizeof(server->figures));
    error = nodes_open(server);
    if (error)
        return failed(server->options->image, "read the root directory: %s", strerror(-error));
    return 0;
}

int image_close(struct server *server, int code)
{
    char why[640];

    nodes_close(server);
    if (server->mount) {
        uint64_t mark = ext2dax_host_mark();
        int error = ext2dax_unmount(server->mount);
        if (error) {
            ext2dax_host_describe(mark, error, why, sizeof(why));
            code = failed(server->options->image, "unmount: %s", why);
        }
        server->mount = NULL;
    }
    if (server->host_open)
        ext2dax_host_close(&server->host);
    if (server->memory_open)
        ext2dax_memory_close_file(&server->memory);
    return code;
}
