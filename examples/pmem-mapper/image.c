/* SPDX-License-Identifier: MIT */
/*
 * An open image. Shows how to set up the four plugs and how to report failures. This file is
 * the part to copy into another program.
 *
 * The reason of a failed call is queried after the call has returned, because the library keeps
 * the reports of the calling thread. The log hook may run under locks of the library and in the
 * fault handler. So the log hook handles only reports without a failed call. The hook copies a
 * warning and shows the progress of recovery.
 */
#include "mapper.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The source of the next message of the calling thread. Each failure is printed as soon as the
 * call has returned. So the mark taken at the last message serves all later calls.
 */
static _Thread_local struct {
    uint64_t mark;
    struct ext2dax_report access; /* valid if .error is set, the report of a refused access */
} last;

/*
 * Keeps the reports of recovery and draws the progress. Recovery reports come only in the
 * thread that mounts, with no lock held that drawing could disturb.
 */
static void keep_recovery(struct image *image, const struct ext2dax_report *report)
{
    if (!strcmp(report->structure, "recovery step")) {
        image->recovering.total = report->value;
        progress_step(&image->recovering, report->number);
    } else if (!strcmp(report->structure, "recovery") && image->mended_kinds < MENDED_KINDS) {
        image->repaired[image->mended_kinds++] = *report;
    }
}

/* Prints the start of a message. Escapes the path, because a name may contain any byte. */
static void say_start(const char *image_path)
{
    fputs("pmem-mapper: ", stderr);
    if (image_path) {
        print_text(stderr, image_path, strlen(image_path));
        fputs(": ", stderr);
    }
}

static void say_mended(const struct image *image)
{
    if (!image->mended_kinds)
        return;
    say_start(image->path);
    if (!image->repaired[0].number) {
        fputs("was not cleanly unmounted, but nothing had to be repaired\n", stderr);
        return;
    }
    fputs("was not cleanly unmounted, recovered:", stderr);
    for (unsigned i = 0; i < image->mended_kinds; i++) {
        const struct ext2dax_report *repaired = &image->repaired[i];
        fprintf(stderr, "%s %llu %s%s%s", i ? ";" : "", (unsigned long long)repaired->value, repaired->field,
                repaired->reason ? " " : "", repaired->reason ? repaired->reason : "");
    }
    fputc('\n', stderr);
}

void image_keep_report(void *arg, const struct ext2dax_report *report)
{
    struct image *image = arg;

    if (report->level == EXT2DAX_LEVEL_INFO && !report->error)
        keep_recovery(image, report);
    if (report->level != EXT2DAX_LEVEL_WARNING || atomic_flag_test_and_set(&image->report_busy))
        return;
    image->warning = *report;
    atomic_flag_clear(&image->report_busy);
}

/* Aborts recovery at a stop request. The next mount for writing recovers the image. */
static bool stop_was_asked_for(void *arg)
{
    (void)arg;
    return interrupted != 0;
}

static void say(const char *image_path, const char *format, va_list list)
{
    char *text = NULL;
    int length = vasprintf(&text, format, list);

    say_start(image_path);
    if (length >= 0)
        print_text(stderr, text, (size_t)length);
    free(length >= 0 ? text : NULL);
}

int say_failed(const char *image_path, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(image_path, format, list);
    va_end(list);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int system_failed(const char *image_path, int number, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(image_path, format, list);
    va_end(list);
    fprintf(stderr, ": %s\n", strerror(number));
    return EXIT_FAILED;
}

/* Prints a failure with the reason, and appends the remedy unless NULL. */
static int say_why(const struct image *image, int error, const char *remedy, const char *format, va_list list)
{
    char text[640];

    say(image->path, format, list);
    if (last.access.error)
        ext2dax_report_text(&last.access, text, sizeof(text));
    else
        ext2dax_host_describe(last.mark, error, text, sizeof(text));
    fprintf(stderr, ": %s%s%s\n", text, remedy ? "; " : "", remedy ? remedy : "");
    last.access.error = 0;
    last.mark = ext2dax_host_mark();
    return EXIT_FAILED;
}

int image_failed(const struct image *image, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int code = say_why(image, error, NULL, format, list);
    va_end(list);
    return code;
}

int access_refused(int otherwise)
{
    return ext2dax_host_fault_report(last.mark, &last.access) ? last.access.error : otherwise;
}

/* Returns log2 of the page size. Mappings need a mount with the page size of the processor. */
static unsigned page_shift(void)
{
    long page = sysconf(_SC_PAGESIZE);
    unsigned shift = 10;

    while (shift < 16 && 1L << shift < page)
        shift++;
    return shift;
}

int image_memory_open(struct image *image, const char *what, unsigned flags)
{
    char note[256];
    struct ext2dax_memory_file_options options = {.size = sizeof(options),
                                                  .flags = flags,
                                                  .length = image->where.length,
                                                  .offset = image->where.offset,
                                                  .note = note,
                                                  .note_size = sizeof(note)};

    int error = ext2dax_memory_open_file_with(image->path, &options, &image->memory);
    if (error && *note)
        return say_failed(image->path, "%s: %s", what, note);
    if (error)
        return system_failed(image->path, -error, "%s", what);
    if (*note)
        say_failed(image->path, "warning: %s: the content may change while it is read", note);
    image->memory_open = true;
    return 0;
}

const char *image_unmappable(const struct image *image, char *text, size_t size)
{
    const struct ext2dax_statfs *figures = &image->figures;

    if (figures->block_size != figures->page_size)
        snprintf(text, size, "blocks of %u bytes, pages of %u", figures->block_size, figures->page_size);
    else if (!figures->pmd_pages)
        snprintf(text, size, "the image begins inside a page of its file");
    else
        return NULL;
    return text;
}

/* Describes the content if the file holds no mountable image. Returns false otherwise. */
static bool is_no_image(const struct image *image, int error, char *text, size_t size)
{
    struct ext2dax_report report;

    return ext2dax_host_report(last.mark, error, &report) && identify(image, &report, text, size);
}

/*
 * Prints a failed mount. For a mount for writing, recommends e2fsck if the damage is not
 * repairable by the recovery of the library.
 */
static int mount_failed(const struct image *image, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int code = say_why(image, error, image->writable && error == -EXT2DAX_EUCLEAN ? "run e2fsck" : NULL, format, list);
    va_end(list);
    return code;
}

int image_open(struct image *image, const struct request *request, bool writable)
{
    memset(image, 0, sizeof(*image));
    atomic_flag_clear(&image->report_busy);
    image->path = request->image;
    image->locks = request->locks;

    int code = image_where(request, &image->where);
    if (!code)
        code = image_memory_open(image, writable ? "open for writing" : "open", writable ? 0 : EXT2DAX_FILE_READ_ONLY);
    if (code)
        return code;
    image->writable = writable;
    opened = image;

    struct ext2dax_host_options host_options = {
        .size = sizeof(host_options), .log = image_keep_report, .log_arg = image, .interrupted = stop_was_asked_for};
    int error = ext2dax_host_open(&host_options, &image->host);
    if (error)
        return image_failed(image, error, "open");
    image->host_open = true;

    struct ext2dax_plugs plugs = {.locks = image->locks, .memory = image->memory, .host = image->host};
    struct ext2dax_process_options process_options = {
        .size = sizeof(process_options), .method = request->method, .collapse = request->collapse};
    const char *why = NULL;
    if (request->method != EXT2DAX_FAULT_METHOD_SIGSEGV && ext2dax_process_may(request->method, &why) != 0)
        return say_failed(image->path, "serve page faults: %s", why);
    error = ext2dax_process_open(&image->memory, image->locks, &process_options, &image->process);
    if (error && error != -EXT2DAX_EOPNOTSUPP)
        return system_failed(image->path, -error, "serve page faults");
    if (error)
        image->process = NULL;
    else
        plugs.address_space = ext2dax_process_address_space(image->process);

    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = !writable          ? EXT2DAX_MOUNT_READ_ONLY
                                                     : request->discard ? EXT2DAX_MOUNT_DISCARD
                                                                        : 0,
                                            .page_shift = page_shift()};
    if (!request->no_recovery)
        options.recover = ext2dax_recover;
    const char *what = writable ? "mount for writing" : "mount";
    char text[1200];
    progress_start(&image->recovering, "recovering", 0);
    error = ext2dax_mount(&plugs, &options, &image->mount);
    progress_end(&image->recovering);
    say_mended(image);
    if (error)
        return is_no_image(image, error, text, sizeof(text)) ? say_failed(image->path, "%s: %s", what, text)
                                                             : mount_failed(image, error, "%s", what);
    ext2dax_statfs(image->mount, &image->figures, sizeof(image->figures));
    return 0;
}

int image_close(struct image *image, int code)
{
    int error;

    if (image->mount) {
        error = ext2dax_unmount(image->mount);
        if (error)
            code = image_failed(image, error, "unmount");
    }
    opened = NULL;
    if (image->process) {
        error = ext2dax_process_close(image->process);
        if (error)
            code = image_failed(image, error, "stop serving page faults");
    }
    if (image->mount && image->warning.structure) {
        char text[640];
        ext2dax_report_text(&image->warning, text, sizeof(text));
        say_failed(image->path, "warning: %s", text);
    }
    if (image->host_open)
        ext2dax_host_close(&image->host);
    if (image->memory_open)
        ext2dax_memory_close_file(&image->memory);
    return code;
}

int image_file(struct image *image, const char *verb, const char *path, struct ext2dax_inode **inode)
{
    struct ext2dax_stat figures;
    size_t length = strlen(path);

    int error = ext2dax_lookup_path(image->mount, path, length, 0, inode);
    if (error)
        return image_failed(image, error, "%s %s", verb, path);
    ext2dax_stat(*inode, &figures, sizeof(figures));
    unsigned type = figures.mode & EXT2DAX_S_IFMT;
    if (type == EXT2DAX_S_IFREG && path[length - 1] != '/')
        return 0;
    ext2dax_inode_put(*inode);
    *inode = NULL;
    if (type == EXT2DAX_S_IFDIR)
        return say_failed(image->path, "%s %s: %s", verb, path, ext2dax_strerror(-EXT2DAX_EISDIR));
    return say_failed(image->path, "%s %s: %s", verb, path,
                      type == EXT2DAX_S_IFREG ? ext2dax_strerror(-EXT2DAX_ENOTDIR) : "not a regular file");
}

int image_parent(struct image *image, const char *path, struct ext2dax_inode **directory, const char **name,
                 size_t *length)
{
    const char *slash = strrchr(path, '/');

    *name = slash ? slash + 1 : path;
    *length = strlen(*name);
    if (!*length)
        return -EXT2DAX_EISDIR;
    return ext2dax_lookup_path(image->mount, path, (size_t)(*name - path), 0, directory);
}

bool image_is(const struct image *image, const struct stat *host)
{
    struct stat own;
    int descriptor = ext2dax_memory_descriptor(&image->memory);

    return descriptor >= 0 && !fstat(descriptor, &own) && own.st_dev == host->st_dev && own.st_ino == host->st_ino;
}
